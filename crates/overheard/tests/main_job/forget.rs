//! What is forgotten is gone and stays out.

use crate::program::{counts, plain, posts_file, run, succeed, text};

#[test]
fn an_author_who_is_forgotten_is_not_imported_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = posts_file(folder.path(), 200);
    succeed(plain(&data).arg("import").arg(&file));
    let forget = |more: &[&str]| run(plain(&data).args(["forget", "--author", "@USER3"]).args(more));
    for (more, code) in [(&["--dry-run"] as &[&str], 0), (&[], 3)] {
        let output = forget(more);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}{}", text(&output.stderr));
        assert!(said.contains("3 posts") && said.contains("nothing was deleted"), "{said}");
    }
    assert_eq!(counts(&data).0, 200);
    // A dry run does not even raise the lake's format; a deletion does, and says what that means.
    let format = data.join("lake/lake.json");
    std::fs::write(&format, "{\"format\":1}").unwrap();
    assert!(forget(&["--dry-run"]).status.success());
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "{\"format\":1}");
    let output = forget(&["--and-block", "--yes"]);
    assert!(
        output.status.success() && text(&output.stderr).contains("going back needs a backup"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(counts(&data), (197, 197, 197, 197));

    // A larger file with the same posts, and new ones of the same author.
    let file = posts_file(folder.path(), 400);
    succeed(plain(&data).arg("import").arg(&file));
    assert_eq!(counts(&data).0, 395, "user3 wrote 5 of 400");
    assert!(succeed(plain(&data).args(["forget", "--blocked"])).contains("user3"));
    succeed(plain(&data).args(["forget", "--unblock", "user3"]));
    assert_eq!(run(plain(&data).args(["forget"])).status.code(), Some(1));
}

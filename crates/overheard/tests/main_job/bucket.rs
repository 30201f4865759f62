//! The lake in a bucket of a stand-in for S3 (`make setup-test` installs it): imports killed at random moments, SQL,
//! reprocessing, a check, a backup restored into another prefix.

use crate::program::{counts_with, plain, posts_file, run, succeed, text};
use crate::services::Bucket;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const POSTS: usize = 3_000;

#[test]
fn a_lake_in_a_bucket_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bucket) = Bucket::start(folder.path()) else { return };
    let (data, file) = (folder.path().join("data"), posts_file(folder.path(), POSTS));
    let command = |arguments: &[&str]| {
        let mut command = bucket.command(&data, "team/lake");
        command.args(arguments);
        command
    };
    for moment in [300, 700, 1_100, 1_500, 2_000] {
        let mut import = command(&["import"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        import.kill().unwrap();
        import.wait().unwrap();
    }
    succeed(command(&["import"]).arg(&file));
    let all = (POSTS as u64, POSTS as u64, POSTS as u64, POSTS as u64);
    let counts = |data: &Path, prefix: &str| counts_with(|| bucket.command(data, prefix));
    assert_eq!(counts(&data, "team/lake"), all);
    assert!(!data.join("lake").exists(), "nothing of the lake is kept in the data folder but copies");

    succeed(&mut command(&["reprocess", "--since", "2026-01-01"]));
    assert_eq!(counts(&data, "team/lake"), all);
    succeed(&mut command(&["check"]));
    let refused = run(&mut command(&["repair", "--dry-run"]));
    assert!(text(&refused.stderr).contains("not offered for a lake in a bucket"), "{}", text(&refused.stderr));
    let doctor = text(&run(&mut command(&["doctor"])).stdout);
    assert!(doctor.lines().any(|line| line.starts_with("ok") && line.contains("3000 posts")), "{doctor}");

    let (backup, restored) = (folder.path().join("backup"), folder.path().join("restored"));
    succeed(command(&["backup"]).arg(&backup));
    succeed(bucket.command(&restored, "copy").arg("restore").arg(&backup));
    succeed(bucket.command(&restored, "copy").arg("import").arg(&file));
    assert_eq!(counts(&restored, "copy"), all);
}

#[test]
fn a_bucket_that_cannot_be_reached_is_told_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut import = plain(&folder.path().join("data"));
    import.env("OVERHEARD__LAKE__URL", "s3://posts/lake").env("OVERHEARD__LAKE__ENDPOINT", "http://minio.example.org");
    let refused = run(import.arg("import").arg(posts_file(folder.path(), 1)));
    assert!(text(&refused.stderr).contains("lake.allow_http"), "{}", text(&refused.stderr));
    let mut import = plain(&folder.path().join("data"));
    let refused = run(import.env("OVERHEARD__LAKE__URL", "ftp://posts/lake").args(["topics", "list"]));
    assert!(text(&refused.stderr).contains("s3://bucket/prefix"), "{}", text(&refused.stderr));
}

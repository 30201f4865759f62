//! The way back in: users are managed on the data folder, without anybody being able to sign in, and it is written down.

use crate::program::{plain, run, succeed, text};

#[test]
fn an_operator_makes_and_mends_users_and_the_last_admin_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let users = |args: &[&str]| run(plain(&data).arg("users").args(args));
    let password = |said: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix("password")).unwrap_or_else(|| panic!("{said}"));
        line.trim().to_owned()
    };
    let first = password(&succeed(plain(&data).args(["users", "add", "ada", "--role", "admin"])));
    let second = password(&succeed(plain(&data).args(["users", "reset-password", "ada"])));
    assert!(first.len() > 20 && first != second);
    for (args, words) in [
        (vec!["add", "ada"], "already"),
        (vec!["add", "not a name"], "1 to 64"),
        (vec!["remove", "ada"], "last admin"),
        (vec!["role", "ada", "viewer"], "last admin"),
        (vec!["reset-password", "grace"], "users list"),
    ] {
        let output = users(&args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains(words), "{args:?}: {}", text(&output.stderr));
    }
    assert!(users(&["add", "grace", "--role", "admin"]).status.success());
    assert!(users(&["role", "ada", "viewer"]).status.success());
    assert!(users(&["remove", "ada"]).status.success());
    let listed = text(&users(&["list", "--format", "csv"]).stdout);
    assert!(listed.lines().count() == 2 && listed.contains("grace,admin,"), "{listed}");
    let log = succeed(plain(&data).args(["audit", "--format", "csv"]));
    let newest = log.lines().nth(1).unwrap();
    assert!(newest.ends_with(",command line,,users remove,ada,done"), "{log}");
    assert_eq!(log.lines().count(), 6, "{log}");
    assert!(!log.contains(&second), "{log}");
}

#[cfg(unix)]
#[test]
fn a_new_data_folder_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    succeed(plain(&data).args(["users", "add", "ada"]));
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o077, 0);
}

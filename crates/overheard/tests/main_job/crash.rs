//! Killed at random moments, the program loses nothing and counts nothing twice.

use crate::program::{counts, plain, posts_file, run, succeed};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const POSTS: usize = 20_000;

/// Moments after the start, milliseconds: from before the first append to the middle of commits. More with
/// `OVERHEARD_KILLS`.
fn moments() -> Vec<u64> {
    let kills = std::env::var("OVERHEARD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12);
    (0..kills).map(|kill: u64| 40 + kill * 7_919 % 1_300).collect()
}

#[test]
fn killed_at_random_moments_nothing_is_lost_and_nothing_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = posts_file(folder.path(), POSTS);
    let mut killed = 0;
    for moment in moments() {
        let mut import =
            plain(&data).arg("import").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        killed += usize::from(import.try_wait().unwrap().is_none());
        import.kill().unwrap();
        import.wait().unwrap();
    }
    assert!(killed > 0, "no import was still running when it was to be killed");
    succeed(plain(&data).arg("import").arg(&file));
    let all = POSTS as u64;
    assert_eq!(counts(&data), (all, all, all, all), "after {killed} kills");
}

fn quietly(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills the process; says whether it was still running.
fn kill(child: &mut Child) -> bool {
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

#[test]
fn a_backup_in_the_middle_of_an_import_is_whole_whoever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let file = posts_file(folder.path(), POSTS);
    let all = POSTS as u64;
    let mut restored = 0;
    // A restore and an import of the rest take seconds: a fifth of the kills.
    for (round, moment) in moments().into_iter().step_by(5).enumerate() {
        let mut import = quietly(plain(&data).arg("import").arg(&file));
        std::thread::sleep(Duration::from_millis(300 + moment / 2));
        let mut cut_short = quietly(plain(&data).arg("backup").arg(&backup));
        std::thread::sleep(Duration::from_millis(moment / 3));
        kill(&mut cut_short);
        let made = run(plain(&data).arg("backup").arg(&backup));
        kill(&mut import);
        // The very first may come before there is an installation.
        if !made.status.success() {
            continue;
        }
        let copy = folder.path().join(format!("restored-{round}"));
        succeed(plain(&copy).arg("restore").arg(&backup));
        succeed(plain(&copy).arg("import").arg(&file));
        assert_eq!(counts(&copy), (all, all, all, all), "round {round}");
        std::fs::remove_dir_all(&copy).unwrap();
        restored += 1;
    }
    assert!(restored > 0, "no backup was made");
    succeed(plain(&data).arg("import").arg(&file));
    assert_eq!(counts(&data), (all, all, all, all));
}

#[test]
fn a_reprocess_killed_at_random_moments_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = posts_file(folder.path(), 6_000);
    succeed(plain(&data).arg("import").arg(&file));
    let mut killed = 0;
    for moment in moments().into_iter().step_by(3) {
        let mut reprocess = quietly(plain(&data).args(["reprocess", "--since", "2026-01-01"]));
        std::thread::sleep(Duration::from_millis(moment));
        killed += usize::from(kill(&mut reprocess));
    }
    assert!(killed > 0, "no reprocess was still running when it was to be killed");
    succeed(plain(&data).args(["reprocess", "--since", "2026-01-01"]));
    assert_eq!(counts(&data), (6_000, 6_000, 6_000, 6_000));
}

#[test]
fn an_import_takes_over_from_a_process_that_dies() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = posts_file(folder.path(), POSTS);
    let mut first = quietly(plain(&data).arg("import").arg(&file));
    while !data.join("overheard.db.consumer").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut second = quietly(plain(&data).arg("import").arg(&file));
    std::thread::sleep(Duration::from_millis(500));
    kill(&mut first);
    assert!(second.wait().unwrap().success());
    let all = POSTS as u64;
    assert_eq!(counts(&data), (all, all, all, all));
}

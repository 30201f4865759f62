//! Killed at random moments, the program loses nothing and counts nothing twice.

use crate::program::{counts, plain, posts_file, succeed};
use std::process::Stdio;
use std::time::Duration;

const POSTS: usize = 20_000;

/// Moments after the start, milliseconds: from before the first append to the middle of commits. More with
/// `OVERHEARD_KILLS`.
fn moments() -> Vec<u64> {
    let kills = std::env::var("OVERHEARD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6);
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

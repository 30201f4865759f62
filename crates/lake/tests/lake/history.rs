//! The typed questions of the watch and of alert rules, as the suite of `testkit` promises them.

use domain::ManualClock;
use lake::{Config, Lake};
use std::sync::{Arc, Mutex};

async fn open(folders: &Mutex<Vec<tempfile::TempDir>>) -> Lake {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(testkit::posts::noon()));
    let lake = Lake::open(folder.path().to_str().unwrap(), Config::default(), clock).await.unwrap();
    folders.lock().unwrap().push(folder);
    lake
}

#[tokio::test]
async fn the_lake_answers_the_questions_about_stored_posts() {
    let folders = Mutex::default();
    testkit::conformance::history(async || Arc::new(open(&folders).await)).await;
}

#[tokio::test]
async fn the_lake_gives_posts_back_as_they_were_received() {
    let folders = Mutex::default();
    testkit::conformance::raw_posts(async || open(&folders).await).await;
}

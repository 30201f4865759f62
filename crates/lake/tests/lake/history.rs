//! The typed questions of the watch and of alert rules, as the suite of `testkit` promises them.

use domain::ManualClock;
use lake::{Config, Lake};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn the_lake_answers_the_questions_about_stored_posts() {
    let folders = Mutex::new(Vec::new());
    testkit::conformance::history(async || {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(testkit::posts::noon()));
        let lake = Lake::open(folder.path().to_str().unwrap(), Config::default(), clock).await.unwrap();
        folders.lock().unwrap().push(folder);
        Arc::new(lake)
    })
    .await;
}

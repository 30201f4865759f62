//! The gauge of the watch's delay. It is of the whole process, so this test has a process of its own.

mod incident;

use domain::ManualClock;
use incident::{Running, begin, quick};
use lake::{Config, Lake};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::sync::Arc;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn the_delay_grows_while_the_lake_cannot_be_asked() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let delay = || {
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.starts_with("overheard_watch_delay_seconds{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(f64::NAN, f64::min)
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(begin()));
    let lake = Arc::new(Lake::open(folder.path().to_str().unwrap(), Config::default(), clock).await.unwrap());
    let until = begin() + chrono::TimeDelta::hours(4);
    incident::write(&lake, 3_000, begin(), until, &mut 0).await.unwrap();
    let running = Running::start(&lake, quick(), until);
    assert!(running.until(60, |_| delay() < 3_600.0).await, "{}", metrics.render());
    *running.asked.refused.lock().unwrap() = Some("span");
    assert!(running.until(60, |running| !running.health.problems().is_empty()).await);
    running.clock.advance(2 * HOUR);
    assert!(running.until(60, |_| delay() >= 7_200.0).await, "{}", metrics.render());
    running.stop().await;
}

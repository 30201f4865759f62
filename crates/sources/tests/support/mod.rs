//! What the tests of connectors share: the suite of `testkit` with everything logged, and waits of a few milliseconds.

use domain::{SystemClock, Topic};
use futures::future::BoxFuture;
use sources::kit::backoff::BackoffPolicy;
use sources::kit::status::SharedStatus;
use sources::{Connector, Context};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use testkit::conformance::{self, StandIn, Start, Subject};
use tokio::sync::watch;

/// Must not show anywhere.
pub(crate) const SECRET: &str = "simulator-token";

/// Everything that is logged by this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of_this_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let level = tracing::Level::DEBUG;
            tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone()).init();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Waits of a few milliseconds.
pub(crate) fn impatient() -> BackoffPolicy {
    BackoffPolicy {
        network_step: Duration::from_millis(5),
        network_max: Duration::from_millis(50),
        http_first: Duration::from_millis(10),
        http_max: Duration::from_millis(50),
        rate_first: Duration::from_millis(20),
        rate_max: Duration::from_millis(100),
        healthy_after: Duration::from_millis(20),
    }
}

/// Runs a connector with what the suite gives.
pub(crate) async fn run(connector: Box<dyn Connector>, start: Start) -> domain::Result<()> {
    let topic = Topic { name: "all".into(), query: "entry OR post".into(), created_at: testkit::posts::noon() };
    let (_topics, topics) = watch::channel(vec![topic]);
    let context = Context {
        source: domain::SourceId("tested".into()),
        queue: start.queue,
        state: start.state,
        clock: Arc::new(SystemClock),
        topics,
        status: SharedStatus::default(),
    };
    connector.run(context, start.shutdown).await
}

pub(crate) async fn suite(
    stand_in: impl Fn() -> BoxFuture<'static, Box<dyn StandIn>> + Sync,
    start: impl Fn(Start) -> BoxFuture<'static, domain::Result<()>> + Sync,
) {
    let log = Log::of_this_process();
    conformance::connector(Subject { stand_in: &stand_in, start: &start, secrets: &[SECRET] }).await;
    let text = log.text();
    assert!(text.contains("tested") && !text.contains(SECRET), "a secret is logged");
}

//! Tries a write for as long as it takes, and reports while it fails.

use domain::{Clock, ErrorKind, Health, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// What to do after an attempt.
pub(crate) enum Next<T> {
    Done(T),
    /// The wait is over.
    Again,
    /// The shutdown came first.
    Stop,
}

/// Tries without end, with growing waits, until the shutdown.
pub(crate) struct Patience<'a> {
    health: &'a Health,
    clock: &'a Arc<dyn Clock>,
    wait_max: Duration,
    shutdown: &'a CancellationToken,
    wait: Duration,
    failing: Option<&'static str>,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(
        health: &'a Health,
        clock: &'a Arc<dyn Clock>,
        wait_max: Duration,
        shutdown: &'a CancellationToken,
    ) -> Self {
        let wait = Duration::from_millis(250).min(wait_max);
        Self { health, clock, wait_max, shutdown, wait, failing: None }
    }

    pub(crate) async fn judge<T>(&mut self, component: &'static str, attempt: Result<T>) -> Result<Next<T>> {
        let error = match attempt {
            Ok(done) => {
                self.failing.take().into_iter().for_each(|component| self.health.recovered(component));
                return Ok(Next::Done(done));
            }
            Err(error) if error.kind() == ErrorKind::Retry => error,
            Err(error) => return Err(error),
        };
        self.failing = Some(component);
        self.health.failed(component, &error, self.clock.now());
        warn!(component, %error, wait_ms = self.wait.as_millis() as u64, "write failed, trying again");
        let wait = self.wait;
        self.wait = (wait * 2).min(self.wait_max);
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(Next::Again),
            () = self.shutdown.cancelled() => Ok(Next::Stop),
        }
    }
}

//! Things that are asked again and again: feeds, timelines, searches. Each has its own schedule and its own waits after
//! failures; only a few are asked at once.

use super::backoff::{Backoff, BackoffPolicy};
use super::failure::Failure;
use super::status::State;
use super::stop;
use crate::connector::Context;
use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Requests under way at once within one source.
const AT_ONCE: usize = 8;

/// One thing that is asked.
#[async_trait]
pub(crate) trait Poll: Send {
    /// Its name for people.
    fn name(&self) -> String;
    /// Asks once: stores what came, then moves the cursor. Returns the time until the next request. May be cut off at a
    /// stop.
    async fn poll(&mut self) -> Result<Duration, Problem>;
    /// The shortest wait after this failure.
    fn pause_after(&self, _: &Failure) -> Duration {
        Duration::ZERO
    }
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It is tried again after a wait.
    Platform(Failure),
    /// The queue or the state failed: the source ends.
    Port(domain::Error),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Platform(failure)
    }
}

impl From<domain::Error> for Problem {
    fn from(error: domain::Error) -> Self {
        Self::Port(error)
    }
}

impl From<crate::Error> for Problem {
    fn from(error: crate::Error) -> Self {
        Self::Port(error.into())
    }
}

/// Asks until `shutdown`, or until the queue or the state fails.
pub(crate) async fn run(
    polls: Vec<Box<dyn Poll>>,
    context: &Context,
    policy: BackoffPolicy,
    shutdown: &CancellationToken,
) -> domain::Result<()> {
    let slots = Semaphore::new(AT_ONCE);
    let asking = polls.into_iter().map(|poll| keep_asking(poll, context, policy, &slots, shutdown));
    let ended = futures::future::try_join_all(asking).await;
    context.status.set_state(State::Stopped);
    ended.map(drop)
}

async fn keep_asking(
    mut poll: Box<dyn Poll>,
    context: &Context,
    policy: BackoffPolicy,
    slots: &Semaphore,
    shutdown: &CancellationToken,
) -> domain::Result<()> {
    let mut backoff = Backoff::new(policy);
    loop {
        let Some(slot) = stop::unless_stopped(slots.acquire(), shutdown).await else { return Ok(()) };
        let asked = stop::finish(poll.poll(), shutdown).await;
        drop(slot);
        let now = context.clock.now();
        let delay = match asked {
            None => return Ok(()),
            Some(Ok(delay)) => {
                backoff.reset();
                context.status.answered(&poll.name(), now);
                delay
            }
            Some(Err(Problem::Port(error))) => return Err(error),
            Some(Err(Problem::Platform(failure))) => {
                let delay = backoff.after(&failure, now).max(poll.pause_after(&failure));
                let message = failure.message();
                let seconds = delay.as_secs_f64();
                tracing::warn!(source.id = %context.source, error = message, delay_s = seconds, "request failed");
                context.status.failed(&poll.name(), &message, delay);
                delay
            }
        };
        if stop::unless_stopped(tokio::time::sleep(delay), shutdown).await.is_none() {
            return Ok(());
        }
    }
}

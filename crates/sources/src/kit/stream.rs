//! A connection that is held open: connects, reads, notices silence, and connects again after the wait that the failure
//! asks for. What an event means is the connector's business.

use super::backoff::{Backoff, BackoffPolicy};
use super::failure::Failure;
use super::status::State;
use super::stop;
use crate::connector::Context;
use async_trait::async_trait;
use domain::Topic;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A connector's side of a stream.
#[async_trait]
pub(crate) trait Streaming: Send + Sync {
    type Connection: Send;
    type Event: Send;

    /// Opens the connection.
    async fn connect(&mut self) -> Result<Self::Connection, Failure>;
    /// Waits for what comes next. May be cut off at any time without losing an event.
    async fn next(&self, connection: &mut Self::Connection) -> Result<Self::Event, Ended>;
    /// Stores what came and moves the cursor. May be cut off at a stop.
    async fn take(&mut self, connection: &mut Self::Connection, event: Self::Event) -> domain::Result<Taken>;
    /// The connection is open.
    async fn opened(&mut self) -> domain::Result<()> {
        Ok(())
    }
    /// The connection ended.
    async fn closed(&mut self) -> domain::Result<()> {
        Ok(())
    }
    /// The topics changed while the connection is open. May be cut off at a stop.
    async fn topics_changed(&mut self) {}
}

/// What follows from an event.
pub(crate) enum Taken {
    GoOn,
    Ended(Ended),
}

/// Why a connection ended, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) message: String,
    /// The platform says that we connect too often, or too many times at once.
    pub(crate) is_rate: bool,
}

impl Ended {
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_rate: false }
    }
}

/// How patient we are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Silence after which the connection counts as dead.
    pub(crate) silence_max: Duration,
    pub(crate) backoff: BackoffPolicy,
}

/// Runs until `shutdown`, or until the queue or the state fails.
pub(crate) async fn run<S: Streaming>(
    stream: &mut S,
    context: &Context,
    limits: Limits,
    shutdown: &CancellationToken,
) -> domain::Result<()> {
    let mut backoff = Backoff::new(limits.backoff);
    let mut topics = context.topics.clone();
    loop {
        // The connection that is opened now asks for the topics of now.
        topics.mark_unchanged();
        context.status.set_state(State::Connecting);
        let Some(connected) = stop::unless_stopped(stream.connect(), shutdown).await else { return Ok(()) };
        let delay = match connected {
            Ok(connection) => {
                context.status.connected(context.clock.now());
                stream.opened().await?;
                let opened = Instant::now();
                let ended = read(stream, connection, context, &mut topics, limits.silence_max, shutdown).await?;
                let Some(ended) = ended else { return Ok(()) };
                stream.closed().await?;
                let closed = backoff.closed(opened.elapsed());
                let delay = if ended.is_rate { backoff.rate(None) } else { closed };
                told(context, &ended.message, delay, "stream ended");
                delay
            }
            Err(failure) => {
                let delay = backoff.after(&failure, context.clock.now());
                told(context, &failure.message(), delay, "no connection");
                delay
            }
        };
        context.status.set_state(State::Waiting { seconds: delay.as_secs_f64() });
        if stop::unless_stopped(tokio::time::sleep(delay), shutdown).await.is_none() {
            return Ok(());
        }
    }
}

fn told(context: &Context, message: &str, delay: Duration, what: &'static str) {
    tracing::warn!(source.id = %context.source, reason = message, delay_ms = delay.as_millis(), "{what}");
    metrics::counter!("overheard_source_disconnects_total", "source" => context.source.0.clone()).increment(1);
    context.status.set_error(message);
}

/// Reads one connection to its end; `None`: told to stop.
async fn read<S: Streaming>(
    stream: &mut S,
    mut connection: S::Connection,
    context: &Context,
    topics: &mut watch::Receiver<Vec<Topic>>,
    silence_max: Duration,
    shutdown: &CancellationToken,
) -> domain::Result<Option<Ended>> {
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            changed = topics.changed() => {
                // The owner of the topics is gone: the program ends.
                if changed.is_err() {
                    return Ok(None);
                }
                if stop::unless_stopped(stream.topics_changed(), shutdown).await.is_none() {
                    return Ok(None);
                }
                continue;
            }
            event = tokio::time::timeout(silence_max, stream.next(&mut connection)) => event,
        };
        let event = match event {
            Err(_) => return Ok(Some(Ended::broken(format!("nothing came for {} s", silence_max.as_secs())))),
            Ok(Err(ended)) => return Ok(Some(ended)),
            Ok(Ok(event)) => event,
        };
        context.status.heard(context.clock.now());
        match stop::finish(stream.take(&mut connection, event), shutdown).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(error),
            Some(Ok(Taken::Ended(ended))) => return Ok(Some(ended)),
            Some(Ok(Taken::GoOn)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::status::SharedStatus;
    use domain::{Clock, SourceId, SystemClock};
    use state::MemoryState;
    use std::sync::Arc;
    use testkit::MemoryQueue;
    use tokio::sync::Notify;

    /// Stays connected, and never gets through with a change of topics.
    struct Stuck {
        changing: Arc<Notify>,
    }

    #[async_trait]
    impl Streaming for Stuck {
        type Connection = ();
        type Event = ();

        async fn connect(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        async fn next(&self, _: &mut ()) -> Result<(), Ended> {
            std::future::pending().await
        }

        async fn take(&mut self, _: &mut (), _: ()) -> domain::Result<Taken> {
            Ok(Taken::GoOn)
        }

        async fn topics_changed(&mut self) {
            self.changing.notify_one();
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_change_of_topics() {
        let (topics, watched) = watch::channel(Vec::new());
        let context = Context {
            source: SourceId("stuck".into()),
            queue: Arc::new(MemoryQueue::default()),
            state: Arc::new(MemoryState::default()),
            clock: Arc::new(SystemClock),
            topics: watched,
            status: SharedStatus::default(),
        };
        let (shutdown, changing) = (CancellationToken::new(), Arc::new(Notify::new()));
        let mut stream = Stuck { changing: changing.clone() };
        let limits = Limits { silence_max: Duration::from_secs(60), backoff: BackoffPolicy::default() };
        let running = run(&mut stream, &context, limits, &shutdown);
        let stopping = async {
            while context.status.get(SystemClock.now()).state != State::Connected {
                tokio::task::yield_now().await;
            }
            topics.send_replace(Vec::new());
            changing.notified().await;
            shutdown.cancel();
        };
        let both = async { tokio::join!(running, stopping) };
        let (ended, ()) = tokio::time::timeout(Duration::from_secs(8), both).await.expect("it stops");
        ended.expect("a stop is no error");
    }
}

//! Services that one process at a time runs, where the processes of an installation are on several machines.

use domain::Result;
use state::{Exclusive, RENEW};
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long a service whose work was lost may take to stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Runs the service whenever this process holds the work; without a claim, from now on. Ends with the service, or at the
/// shutdown.
pub(crate) async fn run<F>(
    claim: Option<Exclusive>,
    name: &'static str,
    start: impl Fn(CancellationToken) -> F,
    shutdown: CancellationToken,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let Some(mut claim) = claim else { return start(shutdown).await };
    while holds(&mut claim, name, &shutdown).await {
        info!(service = name, token = claim.token(), "this process does the work from now on");
        let stop = CancellationToken::new();
        let mut service = tokio::spawn(start(stop.clone()));
        tokio::select! {
            ended = &mut service => {
                claim.give_up().await?;
                return ended.unwrap_or_else(|error| Err(domain::Error::stop(format!("{name} panicked: {error}"))));
            }
            () = shutdown.cancelled() => {
                stop.cancel();
                let ended = service.await;
                claim.give_up().await?;
                return ended.unwrap_or_else(|error| Err(domain::Error::stop(format!("{name} panicked: {error}"))));
            }
            () = until_lost(&mut claim, name) => {
                warn!(service = name, "another process may do the work; this one stops it");
                stop.cancel();
                if tokio::time::timeout(STOP_MAX, &mut service).await.is_err() {
                    service.abort();
                }
            }
        }
    }
    Ok(())
}

/// Waits until this process holds the work. False: the shutdown came first.
async fn holds(claim: &mut Exclusive, name: &str, shutdown: &CancellationToken) -> bool {
    while !shutdown.is_cancelled() {
        match claim.step().await {
            Ok(Some(_)) => return true,
            Ok(None) => {}
            Err(error) => warn!(service = name, %error, "who does the work can't be asked; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(RENEW) => {}
            () = shutdown.cancelled() => {}
        }
    }
    false
}

/// Renews for as long as that succeeds in time.
async fn until_lost(claim: &mut Exclusive, name: &str) {
    while claim.token().is_some() {
        tokio::time::sleep(RENEW).await;
        if claim.token().is_none() {
            return;
        }
        if let Err(error) = claim.step().await {
            warn!(service = name, %error, "the work can't be renewed; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ManualClock, Timestamp};
    use state::{HOLD, MemoryState, TAKEOVER};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};
    use tokio::task::JoinHandle;

    struct Process {
        clock: Arc<ManualClock>,
        /// Services of this process that run.
        running: Arc<AtomicI32>,
        shutdown: CancellationToken,
        task: JoinHandle<Result<()>>,
    }

    fn process(store: &Arc<MemoryState>, name: &str) -> Process {
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let claim = Exclusive::new(store.clone(), clock.clone(), "detect", name);
        let (running, shutdown) = (Arc::new(AtomicI32::new(0)), CancellationToken::new());
        let counted = running.clone();
        let start = move |stop: CancellationToken| {
            let counted = counted.clone();
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                stop.cancelled().await;
                counted.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        };
        let task = tokio::spawn(run(Some(claim), "detect", start, shutdown.clone()));
        Process { clock, running, shutdown, task }
    }

    async fn becomes(process: &Process, running: i32) {
        for _ in 0..1_000 {
            if process.running.load(Ordering::SeqCst) == running {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the service does not become {running}");
    }

    /// The clocks are moved by hand; only the renewals take real time.
    #[tokio::test]
    async fn a_process_that_stood_still_stops_its_service_and_the_next_one_has_started() {
        let store = Arc::new(MemoryState::default());
        let first = process(&store, "first");
        becomes(&first, 1).await;
        let second = process(&store, "second");
        // The second one has to see the document once before it can find it unchanged.
        tokio::time::sleep(RENEW / 2).await;
        first.clock.advance(HOLD);
        becomes(&first, 0).await;
        second.clock.advance(TAKEOVER);
        becomes(&second, 1).await;
        assert_eq!(first.running.load(Ordering::SeqCst), 0);
        second.shutdown.cancel();
        second.task.await.unwrap().unwrap();
        first.clock.advance(TAKEOVER);
        becomes(&first, 1).await;
        first.shutdown.cancel();
        first.task.await.unwrap().unwrap();
    }
}

//! The life cycle: services in the order in which they are stopped. The first signal stops softly, one service after
//! the other, so that what is under way is finished; a second signal, or a service that takes too long, ends the process
//! hard, which loses nothing either: it only leaves work to the next start.

use anyhow::{Result, bail};
use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long one service may take to finish what it has in hand.
const STOP_MAX: Duration = Duration::from_secs(60);

struct Running {
    name: &'static str,
    shutdown: CancellationToken,
    handle: JoinHandle<domain::Result<()>>,
}

/// Services under way, in stop order.
#[derive(Default)]
pub(crate) struct Supervisor {
    services: Vec<Running>,
}

impl Supervisor {
    /// Starts a service; those started first are stopped first.
    pub(crate) fn start<F>(&mut self, name: &'static str, service: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = domain::Result<()>> + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let handle = tokio::spawn(service(shutdown.clone()));
        self.services.push(Running { name, shutdown, handle });
    }

    /// Waits for a signal or for a service to end by itself, then stops all in order.
    pub(crate) async fn run(mut self) -> Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let failed = tokio::select! {
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            name = ended(&mut self.services) => Some(name),
        };
        match failed {
            None => info!("stopping: finishing what is under way; a second signal stops at once"),
            Some(name) => error!(service = name, "a service ended by itself; stopping the others"),
        }
        tokio::select! {
            outcome = stop(self.services) => match (outcome, failed) {
                (Err(error), _) => Err(error),
                (Ok(()), Some(name)) => bail!("the service {name} ended by itself"),
                (Ok(()), None) => Ok(()),
            },
            _ = interrupt.recv() => bail!("stopped at once by a second signal; the queue lends the rest at the next start"),
            _ = terminate.recv() => bail!("stopped at once by a second signal; the queue lends the rest at the next start"),
        }
    }
}

/// The name of the first service that ends.
async fn ended(services: &mut [Running]) -> &'static str {
    loop {
        if let Some(done) = services.iter().find(|service| service.handle.is_finished()) {
            return done.name;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn stop(services: Vec<Running>) -> Result<()> {
    let mut failure = None;
    for Running { name, shutdown, mut handle } in services {
        shutdown.cancel();
        let outcome = match tokio::time::timeout(STOP_MAX, &mut handle).await {
            Ok(Ok(Ok(()))) => continue,
            Ok(Ok(Err(error))) => anyhow::Error::new(error).context(format!("the service {name} failed")),
            Ok(Err(panic)) => anyhow::Error::new(panic).context(format!("the service {name} broke off")),
            Err(_) => {
                warn!(service = name, "did not stop in time, going on without it");
                handle.abort();
                continue;
            }
        };
        error!(service = name, error = format!("{outcome:#}"), "service failed");
        failure.get_or_insert(outcome);
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

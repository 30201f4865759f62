//! Starts services and stops them in order. The first signal stops them one after the other, so that work in progress is
//! finished. A second signal, or a service that takes too long, ends the process at once. Nothing is lost by that: the
//! next start repeats the work.

use anyhow::{Result, bail};
use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long one service may take to finish its work.
const STOP_MAX: Duration = Duration::from_secs(60);

/// The stages in which services are stopped. The services of one stage are stopped in the order in which they were
/// started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connectors: no more posts come in.
    Ingest,
    /// From the queue into the lake: the batch in progress is committed.
    Enrich,
    /// Detection, alert rules, notifications.
    Detect,
    /// The HTTP server: requests in progress are answered.
    Serve,
    /// What the others rely on.
    State,
}

struct Running {
    stage: Stage,
    name: String,
    shutdown: CancellationToken,
    handle: JoinHandle<domain::Result<()>>,
}

/// The running services.
#[derive(Default)]
pub struct Supervisor {
    services: Vec<Running>,
}

impl Supervisor {
    /// Starts a service.
    pub fn start<F>(&mut self, stage: Stage, name: impl Into<String>, service: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = domain::Result<()>> + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let handle = tokio::spawn(service(shutdown.clone()));
        self.services.push(Running { stage, name: name.into(), shutdown, handle });
    }

    /// Waits for a signal or for a service to end by itself, then stops all in order.
    pub async fn run(mut self) -> Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Stable: the order of the starts is kept within a stage.
        self.services.sort_by_key(|service| service.stage);
        let failed = tokio::select! {
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            name = ended(&mut self.services) => Some(name),
        };
        match &failed {
            None => info!("stopping: finishing work in progress; a second signal stops at once"),
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
async fn ended(services: &mut [Running]) -> String {
    loop {
        if let Some(done) = services.iter().find(|service| service.handle.is_finished()) {
            return done.name.clone();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn stop(services: Vec<Running>) -> Result<()> {
    let mut failure = None;
    for Running { name, shutdown, mut handle, .. } in services {
        shutdown.cancel();
        let outcome = match tokio::time::timeout(STOP_MAX, &mut handle).await {
            Ok(Ok(Ok(()))) => continue,
            Ok(Ok(Err(error))) => anyhow::Error::new(error).context(format!("the service {name} failed")),
            Ok(Err(panic)) => anyhow::Error::new(panic).context(format!("the service {name} panicked")),
            Err(_) => {
                warn!(service = name, "did not stop in time and was aborted");
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn services_stop_by_stage_and_then_in_the_order_of_their_start() {
        let (mut supervisor, stopped) = (Supervisor::default(), Arc::new(Mutex::new(Vec::new())));
        let services = [
            (Stage::State, "topics"),
            (Stage::Serve, "server"),
            (Stage::Enrich, "understand"),
            (Stage::Enrich, "upkeep"),
            (Stage::Ingest, "source"),
        ];
        for (stage, name) in services {
            let stopped = stopped.clone();
            supervisor.start(stage, name, |shutdown| async move {
                shutdown.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        supervisor.start(Stage::Detect, "watch", |_| async { Ok(()) });
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "the service watch ended by itself");
        assert_eq!(*stopped.lock().unwrap(), ["source", "understand", "upkeep", "server", "topics"]);
    }
}

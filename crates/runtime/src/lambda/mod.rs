//! The program as a Lambda function: batches of an SQS queue (`batches`), objects that others write to S3 (`objects`), and
//! single steps for a state machine (`steps`). What comes is handed to the same stage as a worker's (`pipeline::Carry`), so
//! that the lake takes every post once, however often Lambda repeats an event.

mod api;
mod batches;
mod objects;
mod steps;

use crate::config::{Config, QueueEngine};
use crate::forget::NotedTable;
use crate::installation::Installation;
use crate::supervisor::{Stage, Supervisor};
use crate::wiring;
use anyhow::{Context, Result, bail};
use api::{Invocation, RuntimeApi};
use domain::{Error, Offset, PartitionId, Post, PostId, PostTable as _, RawPosts as _, RawSelection};
use lake::Lake;
use pipeline::{Handed, Understand};
use serde_json::Value;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Time that is left for the answer when an invocation's time runs out.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Ids of one question to the lake.
const IDS_MAX: usize = 1_000;

/// What the function does with events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Batches of the queue that the listener fills.
    Understand,
    /// Objects that others wrote.
    S3,
    /// One step of a state machine.
    Step,
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "understand" => Ok(Self::Understand),
            "s3" => Ok(Self::S3),
            "step" => Ok(Self::Step),
            _ => Err(format!("unknown action {text:?} (use understand, s3 or step)")),
        }
    }
}

/// Answers invocations until the process is ended.
pub async fn run(config: Config, action: Action) -> Result<()> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API");
    let address = address.context("AWS_LAMBDA_RUNTIME_API is not set: Lambda starts this command, people don't")?;
    if action == Action::Understand && config.queue.engine != QueueEngine::Sqs {
        bail!("queue.engine must be \"sqs\", as the listener's: the batches come from its queue");
    }
    let queue = wiring::open_queue(&config)?;
    let handed = Arc::new(Handed::new(wiring::work_queue(&config, &queue)?));
    let installation = Installation::open_worker(config, queue).await?;
    let mut supervisor = Supervisor::default();
    let understand = installation.start_worker(handed.clone(), &mut supervisor)?;
    let function = Function {
        action,
        handed,
        understand,
        lake: installation.lake.clone(),
        table: NotedTable { lake: installation.lake.clone(), state: installation.state() },
        objects: aws::s3::Objects::new(objects::settings(&installation.config)?),
    };
    let api = RuntimeApi::new(&address)?;
    supervisor.start(Stage::Ingest, "lambda", |shutdown| function.answer(api, shutdown));
    info!(?action, "ready for invocations");
    supervisor.run().await
}

/// What invocations are answered with.
struct Function {
    action: Action,
    handed: Arc<Handed>,
    understand: Arc<Understand>,
    lake: Arc<Lake>,
    table: NotedTable,
    objects: aws::s3::Objects,
}

impl Function {
    async fn answer(self, api: RuntimeApi, shutdown: CancellationToken) -> domain::Result<()> {
        loop {
            let Invocation { id, until, event } = tokio::select! {
                next = api.next() => next?,
                () = shutdown.cancelled() => return Ok(()),
            };
            let outcome = self.handle(&event, until - ANSWER_TIME).await;
            api.answer(&id, outcome).await?;
        }
    }

    async fn handle(&self, event: &Value, until: Instant) -> domain::Result<Value> {
        match self.action {
            Action::Understand => batches::understand(&self.handed, event, until).await,
            Action::S3 => tokio::time::timeout_at(until, self.read_objects(event)).await.unwrap_or_else(|_| too_slow()),
            Action::Step => tokio::time::timeout_at(until, self.step(event)).await.unwrap_or_else(|_| too_slow()),
        }
    }

    /// The posts that the lake knows already, of those that an earlier try may not have left there: others may bring the
    /// same post again, under another key.
    async fn known(&self, partition: &PartitionId, posts: &[(Offset, &Post)]) -> domain::Result<HashSet<PostId>> {
        self.lake.committed(partition).await?;
        let tried = self.lake.transactions(partition.as_str()).await?;
        // A table may lack what another one has: such posts are brought again, and every table takes what it lacks.
        let is_half_way = |offset: &Offset| tried.is_some_and(|(least, most)| (least + 1..=most).contains(offset));
        let ids = posts.iter().filter(|(offset, _)| !is_half_way(offset)).map(|(_, post)| post.id.clone());
        let ids: Vec<PostId> = ids.collect();
        let mut known = HashSet::new();
        for ids in ids.chunks(IDS_MAX) {
            let found = self.lake.raw_posts(&RawSelection::Ids(ids.to_vec()), "", ids.len()).await?;
            known.extend(found.into_iter().filter_map(|raw| PostId::parse(&raw.post_id).ok()));
        }
        Ok(known)
    }
}

fn too_slow<T>() -> domain::Result<T> {
    Err(Error::retry("the function's time ran out before everything was stored; what was stored stays"))
}

//! A running installation: opens what its services share, and starts the services of each role.
//!
//! Nothing here serves HTTP: a program that plays the role `serve` adds the server as a service of its own.

use crate::admin::{RunningAlerts, RunningImports, RunningPosts, RunningPush, RunningSystem};
use crate::clock::clock;
use crate::config::{Config, QueueEngine, language_file};
use crate::connectors::Connectors;
use crate::roles::{Role, Roles};
use crate::supervisor::{Stage, Supervisor};
use crate::{agreement, alerting, exclusive, follow, forget, upkeep, wiring};
use alerts::{AlertBook, RuleEvaluator};
use anyhow::{Context as _, Result};
use domain::{Health, StateStore, Topic, WorkQueue};
use lake::{Lake, SqlWorkers};
use pipeline::{
    Carry, CarryConfig, Committed, Copied, Corrections, Forward, ForwardConfig, Understand, Watch, WatchConfig,
};
use queue::Embedded;
use state::Exclusive;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Committed batches that a slow listener may lag behind before it misses some.
const LIVE_BATCHES: usize = 64;

/// An open installation.
pub struct Installation {
    pub config: Config,
    pub roles: Roles,
    pub queue: Arc<Embedded>,
    pub lake: Arc<Lake>,
    pub system: Arc<RunningSystem>,
    pub connectors: Arc<Connectors>,
    health: Arc<Health>,
    book: Arc<AlertBook>,
    topics: watch::Sender<Vec<Topic>>,
    committed: broadcast::Sender<Committed>,
    /// Where the role `understand` is played.
    enrichment: Option<Enrichment>,
}

struct Enrichment {
    language: Arc<nlp::Understanding>,
    stage: Arc<Understand>,
}

impl Enrichment {
    async fn load(config: &Config, state: &dyn StateStore, topics: Vec<Topic>) -> Result<Self> {
        if let Err(error) = language_file(&config.understand.model) {
            tracing::warn!("{error}");
        }
        let categories = wiring::category_set(config, state).await?;
        let language = Arc::new(wiring::language(config, categories)?);
        let stage = wiring::stage(config, language.clone(), topics)?;
        Ok(Self { language, stage })
    }
}

impl Installation {
    /// Opens queue and lake and loads the models that the roles need.
    pub async fn open(config: Config, roles: Roles, queue: Arc<Embedded>) -> Result<Self> {
        let lake = match roles.has(Role::that_empties_the_queue(config.queue.engine)) {
            true => agreement::open_lake(&config, &queue).await?,
            false if roles.write_lake() => wiring::open_lake(&config, &queue).await?,
            false => wiring::open_lake_for(&config, &queue, roles.has(Role::Serve)).await?,
        };
        Self::with_lake(config, roles, queue, lake).await
    }

    /// The same for a worker that is handed its posts ([`Self::start_worker`]): the lake is another queue's.
    pub async fn open_worker(config: Config, queue: Arc<Embedded>) -> Result<Self> {
        let lake = wiring::open_lake(&config, &queue).await?;
        Self::with_lake(config, Roles::of(vec![Role::Understand]), queue, lake).await
    }

    async fn with_lake(config: Config, roles: Roles, queue: Arc<Embedded>, lake: Arc<Lake>) -> Result<Self> {
        let state: Arc<dyn StateStore> = queue.clone();
        let topics = wiring::topics(state.as_ref()).await?;
        let enrichment = match roles.enrich() {
            true => Some(Enrichment::load(&config, state.as_ref(), topics.clone()).await?),
            false => None,
        };
        let model = enrichment.as_ref().filter(|_| config.understand.enabled);
        let model = model.map(|enrichment| enrichment.stage.model().to_owned());
        let book = alerting::book(&config, state);
        let health = Arc::new(Health::default());
        lake.report_to(health.clone());
        let (topics, _) = watch::channel(topics);
        let connectors = Connectors::new(&config, queue.clone(), topics.clone());
        let system = RunningSystem::new(
            &config,
            roles.clone(),
            queue.clone(),
            lake.clone(),
            model,
            health.clone(),
            connectors.clone(),
        )?;
        let (committed, _) = broadcast::channel(LIVE_BATCHES);
        Ok(Self {
            config,
            roles,
            queue,
            lake,
            system: Arc::new(system),
            connectors,
            health,
            book,
            topics,
            committed,
            enrichment,
        })
    }

    /// Users, topics, rules and the other small documents.
    pub fn state(&self) -> Arc<dyn StateStore> {
        self.queue.clone()
    }

    /// Posts that programs push.
    pub fn push(&self) -> Result<RunningPush> {
        RunningPush::new(self.config.sources.clone(), self.queue.clone())
    }

    /// Files that people drop on the page.
    pub fn imports(&self) -> RunningImports {
        RunningImports::new(&self.config.data, self.queue.clone())
    }

    /// The alert rules and the alerts.
    pub fn alerts(&self) -> RunningAlerts {
        let (lake, book) = (self.lake.clone(), self.book.clone());
        RunningAlerts::new(&self.config, self.state(), lake, book, self.roles.write_lake())
    }

    /// Deletion and dead letters.
    pub fn posts(&self) -> RunningPosts {
        let (config, writes_lake) = (self.config.clone(), self.roles.write_lake());
        RunningPosts { config, queue: self.queue.clone(), lake: self.lake.clone(), writes_lake }
    }

    /// What runs people's SQL.
    pub fn sql(&self) -> Result<SqlWorkers> {
        Ok(SqlWorkers::new(wiring::sql_workers(&self.config)?))
    }

    /// The batches that this process commits from now on.
    pub fn committed(&self) -> broadcast::Receiver<Committed> {
        self.committed.subscribe()
    }

    /// Starts the services of the roles, except the server's.
    pub fn start(&self, supervisor: &mut Supervisor) -> Result<()> {
        self.config.notices().iter().for_each(|notice| tracing::warn!("{notice}"));
        if self.roles.has(Role::Listen) {
            self.start_connectors(supervisor)?;
        }
        if let Some(enrichment) = &self.enrichment {
            if self.roles.has(Role::Understand) {
                let work = wiring::work_queue(&self.config, &self.queue)?;
                self.start_carrying(enrichment, work, self.config.understand.carry(), supervisor)?;
            }
            self.follow_edits(enrichment, supervisor);
            self.start_corrections(enrichment, supervisor);
            self.start_upkeep(supervisor);
        }
        if self.roles.has(Role::that_empties_the_queue(self.config.queue.engine)) {
            let queue = self.queue.clone();
            supervisor.start(Stage::Enrich, "queue upkeep", |shutdown| upkeep::queue(queue, shutdown));
        }
        if self.roles.has(Role::Detect) {
            self.start_detection(supervisor)?;
        }
        let (state, topics) = (self.state(), self.topics.clone());
        supervisor.start(Stage::State, "topics", |shutdown| follow::topics(state, topics, shutdown));
        let (queue, health) = (self.queue.clone(), self.health.clone());
        supervisor.start(Stage::State, "queue", |shutdown| upkeep::end_on_queue_failure(queue, health, shutdown));
        let (data, free_min) = (self.config.data.clone(), self.config.free_space_min_mb * 1_000_000);
        let health = self.health.clone();
        supervisor.start(Stage::State, "disk space", |shutdown| upkeep::disk(data, free_min, health, shutdown));
        let lake = self.lake.clone();
        supervisor.start(Stage::State, "lake copies", |shutdown| upkeep::copies(lake, shutdown));
        let system = self.system.clone();
        supervisor.start(Stage::State, "metrics upkeep", |shutdown| system.keep_metrics(shutdown));
        Ok(())
    }

    /// The connectors of the sources, and the way from the queue to the broker.
    fn start_connectors(&self, supervisor: &mut Supervisor) -> Result<()> {
        self.connectors.check()?;
        let connectors = self.connectors.clone();
        supervisor.start(Stage::Ingest, "sources", |shutdown| connectors.run(shutdown));
        if let Some(broker) = wiring::broker(&self.config)? {
            let forward = Forward {
                config: ForwardConfig::default(),
                queue: self.queue.clone(),
                broker,
                lake: self.lake.clone(),
                clock: clock(),
                health: self.health.clone(),
            };
            supervisor.start(Stage::Ingest, "forward", |shutdown| forward.run(shutdown));
        }
        Ok(())
    }

    /// Starts what carries the posts of `work` to the lake, and nothing else: another process keeps the lake. Posts that
    /// wait are taken at once. Gives the stage that understands them.
    pub fn start_worker(&self, work: Arc<dyn WorkQueue>, supervisor: &mut Supervisor) -> Result<Arc<Understand>> {
        let enrichment = self.enrichment.as_ref().context("a worker plays the role understand")?;
        let config = CarryConfig { batch_every: Duration::ZERO, ..self.config.understand.carry() };
        self.start_carrying(enrichment, work, config, supervisor)?;
        self.follow_edits(enrichment, supervisor);
        let (state, topics) = (self.state(), self.topics.clone());
        supervisor.start(Stage::State, "topics", |shutdown| follow::topics(state, topics, shutdown));
        Ok(enrichment.stage.clone())
    }

    /// From a queue into the lake.
    fn start_carrying(
        &self,
        enrichment: &Enrichment,
        queue: Arc<dyn WorkQueue>,
        config: CarryConfig,
        supervisor: &mut Supervisor,
    ) -> Result<()> {
        let table = Arc::new(forget::NotedTable { lake: self.lake.clone(), state: self.state() });
        let sinks = wiring::streams(&self.config)?;
        let carry = Carry {
            config,
            queue,
            understand: enrichment.stage.clone(),
            lake: Arc::new(Copied { table, sinks }),
            clock: clock(),
            committed: self.committed.clone(),
            health: self.health.clone(),
        };
        supervisor.start(Stage::Enrich, "understand", |shutdown| carry.run(shutdown));
        Ok(())
    }

    /// Takes over what people edit of how posts are enriched.
    fn follow_edits(&self, enrichment: &Enrichment, supervisor: &mut Supervisor) {
        let Enrichment { language, stage } = enrichment;
        let (state, applied) = (self.state(), stage.clone());
        supervisor
            .start(Stage::Enrich, "blocked authors", |shutdown| follow::blocked_authors(state, applied, shutdown));
        let (applied, topics) = (stage.clone(), self.topics.subscribe());
        supervisor.start(Stage::Enrich, "topic matching", |shutdown| follow::apply_topics(applied, topics, shutdown));
        if self.config.understand.enabled {
            let (config, language, state) = (self.config.clone(), language.clone(), self.state());
            supervisor
                .start(Stage::Enrich, "categories", |shutdown| follow::categories(config, language, state, shutdown));
        }
    }

    /// Applies the labels that people give.
    fn start_corrections(&self, enrichment: &Enrichment, supervisor: &mut Supervisor) {
        let (state, lake, stage) = (self.state(), self.lake.clone(), enrichment.stage.clone());
        let corrections = Corrections { state, lake, reprocess: wiring::reprocess(stage), clock: clock() };
        supervisor.start(Stage::Enrich, "corrections", |shutdown| corrections.run(shutdown));
    }

    /// Deletion, and the maintenance of the lake.
    fn start_upkeep(&self, supervisor: &mut Supervisor) {
        let (queue, lake, health) = (self.queue.clone(), self.lake.clone(), self.health.clone());
        let deletion = move |stop| forget::run(queue.clone(), lake.clone(), health.clone(), stop);
        self.start_alone(supervisor, Stage::Enrich, "deletion", deletion);
        let (lake, health) = (self.lake.clone(), self.health.clone());
        let lake_upkeep = move |stop| upkeep::lake(lake.clone(), health.clone(), stop);
        self.start_alone(supervisor, Stage::Enrich, "lake upkeep", lake_upkeep);
    }

    /// Anomaly detection, alert rules and notifications.
    fn start_detection(&self, supervisor: &mut Supervisor) -> Result<()> {
        let evaluator = Arc::new(RuleEvaluator::new(
            alerting::rules(&self.config, self.state()),
            self.book.clone(),
            self.lake.clone(),
            self.lake.clone(),
            clock(),
            self.health.clone(),
        ));
        if self.config.watch.enabled {
            let watch = Watch {
                config: watch_config(&self.config)?,
                history: self.lake.clone(),
                lake: self.lake.clone(),
                clock: clock(),
                listener: evaluator.clone(),
                queue: self.queue.clone(),
                health: self.health.clone(),
                backfills: self.connectors.backfills(),
            };
            self.start_alone(supervisor, Stage::Detect, "watch", move |stop| watch.clone().run(stop));
        }
        self.start_alone(supervisor, Stage::Detect, "alert rules", move |stop| evaluator.clone().run(stop));
        let service = alerting::outbox(&self.config, &self.book, self.lake.clone(), self.health.clone())?;
        self.start_alone(supervisor, Stage::Detect, "alerts", move |stop| service.clone().run(stop));
        Ok(())
    }

    /// Starts a service that one process at a time runs, where the processes are on several machines.
    fn start_alone<F>(
        &self,
        supervisor: &mut Supervisor,
        stage: Stage,
        name: &'static str,
        service: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = domain::Result<()>> + Send + 'static,
    {
        let is_one_machine = self.config.queue.engine == QueueEngine::Embedded;
        let holder = format!("{}-{}", std::process::id(), clock().now().timestamp_micros());
        let claim = (!is_one_machine).then(|| Exclusive::new(self.state(), clock(), name, &holder));
        supervisor.start(stage, name, |shutdown| exclusive::run(claim, name, service, shutdown));
    }
}

fn watch_config(config: &Config) -> Result<WatchConfig> {
    Ok(WatchConfig {
        intervals_s: config.watch.intervals_s.clone(),
        lateness: Duration::from_secs(config.watch.lateness_s),
        false_alarms_per_week: config.watch.false_alarms_per_week,
        dimensions: config.watch.dimensions()?,
        parts_max: config.watch.parts_max,
        explain_within: Duration::from_secs(config.watch.explain_within_s),
        late: chrono::TimeDelta::seconds(config.watch.late_s.into()),
        backlog_wait: Duration::from_secs(config.watch.backlog_wait_s),
        time_zone: config.time_zone()?,
        ..WatchConfig::default()
    })
}

//! What the server asks of the running house: sources, system report, push, replays, alerts taken in hand.

use crate::config::Config;
use crate::forget::request::Request;
use crate::{alerting, house, limits, rehearsal, rule_facts};
use async_trait::async_trait;
use axum::body::Bytes;
use chrono::TimeDelta;
use domain::{
    Alert, AlertRule, Analytics, CategoryDefinition, DeadLetter, EnrichedPost, Error, Health, PostQueue, QueryLimits,
    Result, SourceId, Timestamp,
};
use lake::{Lake, SqlWorkers};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pipeline::Committed;
use queue::Embedded;
use server::{
    AlertNow, Forgotten, Operations, PushError, PushOutcome, PushStatus, Replayed, SourceStatus, SqlAnswer,
    SystemReport, TableReport, ToForget, Undelivered,
};
use sources::kit::status::SharedStatus;
use sources::push::{self, PushSource};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The running house as the server sees it.
pub(crate) struct House {
    roles: Vec<String>,
    started_at: Timestamp,
    config: Config,
    queue: Arc<Embedded>,
    lake: Arc<Lake>,
    sql: SqlWorkers,
    model: Option<String>,
    book: Arc<alerts::AlertBook>,
    health: Arc<Health>,
    push: HashMap<String, PushSource>,
    x: OnceLock<SharedStatus>,
    metrics: PrometheusHandle,
    recent: Mutex<VecDeque<Batch>>,
    seen: Mutex<BTreeMap<String, Seen>>,
    measured: tokio::sync::Mutex<Option<(Instant, Measured)>>,
}

/// What takes a walk over the disk to know.
#[derive(Clone)]
struct Measured {
    tables: Vec<TableReport>,
    disk_used_bytes: u64,
}

/// A measurement is good for so long: many open pages ask every few seconds.
const MEASURED_FOR: Duration = Duration::from_secs(10);
/// Histograms are merged this often, or they grow until somebody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a source brought since the process started.
#[derive(Default)]
struct Seen {
    posts: u64,
    last_post_at: Option<Timestamp>,
    /// Commits of the last minute with the posts of the source in each.
    recent: VecDeque<(Timestamp, usize)>,
}

/// What a commit tells of the speed: how many posts, how long each was under way.
struct Batch {
    at: Timestamp,
    lags_ms: Vec<u64>,
}

/// Posts that one call may delete: it answers when they are gone.
const FORGET_MAX: usize = 20_000;
/// Speeds are means over this time.
const RECENT: TimeDelta = TimeDelta::minutes(1);

impl House {
    pub(crate) fn new(
        config: &Config,
        roles: Vec<String>,
        queue: Arc<Embedded>,
        lake: Arc<Lake>,
        model: Option<String>,
        book: Arc<alerts::AlertBook>,
        health: Arc<Health>,
    ) -> anyhow::Result<Arc<Self>> {
        let source = |name: &String| {
            let rights = config.sources.push_rights(name)?;
            Some((name.clone(), PushSource::new(queue.clone(), house::clock(), rights)))
        };
        let push = config.sources.push.iter().filter_map(|configured| source(&configured.name)).collect();
        Ok(Arc::new(Self {
            roles,
            started_at: house::clock().now(),
            config: config.clone(),
            queue,
            sql: SqlWorkers::new(limits::sql_workers(config)?),
            lake,
            model,
            book,
            health,
            push,
            x: OnceLock::new(),
            metrics: PrometheusBuilder::new().install_recorder()?,
            recent: Mutex::default(),
            seen: Mutex::default(),
            measured: tokio::sync::Mutex::default(),
        }))
    }

    /// Keeps the metrics small until `shutdown`.
    pub(crate) async fn keep_metrics(self: Arc<Self>, shutdown: CancellationToken) -> Result<()> {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(UPKEEP) => self.metrics.run_upkeep(),
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// The X connector's state, once it runs.
    pub(crate) fn show_x(&self, status: SharedStatus) {
        // A second connector of the kind is never started.
        drop(self.x.set(status));
    }

    /// Takes the speed of a commit.
    pub(crate) fn observe(&self, committed: &Committed) {
        self.observe_sources(committed);
        let lag = |post: &EnrichedPost| (committed.at - post.post.received_at).num_milliseconds().max(0) as u64;
        let batch = Batch { at: committed.at, lags_ms: committed.posts.iter().map(lag).collect() };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(batch);
        while recent.front().is_some_and(|oldest| committed.at - oldest.at > RECENT) {
            recent.pop_front();
        }
    }

    /// Counts what each source brought in a commit.
    fn observe_sources(&self, committed: &Committed) {
        let mut brought: BTreeMap<&str, (usize, Timestamp)> = BTreeMap::new();
        for post in committed.posts.iter() {
            let entry = brought.entry(&post.post.source.0).or_insert((0, post.post.received_at));
            *entry = (entry.0 + 1, entry.1.max(post.post.received_at));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, (posts, last)) in brought {
            let one = seen.entry(source.to_owned()).or_default();
            one.posts += posts as u64;
            one.last_post_at = one.last_post_at.max(Some(last));
            one.recent.push_back((committed.at, posts));
            while one.recent.front().is_some_and(|(at, _)| committed.at - *at > RECENT) {
                one.recent.pop_front();
            }
        }
    }

    /// Adds what was counted of a source; those that are no connector of ours (`sample`, imports) are told too.
    fn with_seen(&self, mut sources: Vec<SourceStatus>, now: Timestamp) -> Vec<SourceStatus> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, one) in seen.iter() {
            let minute =
                one.recent.iter().filter(|(at, _)| now - *at <= RECENT).map(|(_, posts)| *posts).sum::<usize>();
            let known = sources.iter_mut().find(|source| source.id == *id);
            if known.as_ref().is_some_and(|source| source.connector == "x") {
                continue;
            }
            let status = SourceStatus {
                id: id.clone(),
                connector: id.split(':').next().unwrap_or_default().to_owned(),
                state: "connected".into(),
                since: Some(self.started_at),
                ..SourceStatus::default()
            };
            let status = SourceStatus {
                posts: one.posts,
                posts_per_minute: minute as f64,
                last_post_at: one.last_post_at,
                ..known.as_deref().cloned().unwrap_or(status)
            };
            match known {
                Some(source) => *source = status,
                None => sources.push(status),
            }
        }
        sources
    }

    fn writes_lake(&self) -> bool {
        self.roles.iter().any(|role| role == "understand" || role == "detect")
    }

    /// SQL reads alerts from the lake. Where this process can't write it, the one that judges the rules does.
    async fn show(&self, alert: Result<Option<Alert>>) -> Result<Option<Alert>> {
        let alert = alert?;
        if self.writes_lake()
            && let Err(error) = self.book.write(self.lake.as_ref(), house::clock().now()).await
        {
            tracing::warn!(%error, "an alert is not in the lake yet; trying again");
        }
        Ok(alert)
    }

    /// Posts a second, median and 99th percentile of the lag, over the last minute.
    fn speed(&self, now: Timestamp) -> (f64, Option<u64>, Option<u64>) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let within = recent.iter().filter(|batch| now - batch.at <= RECENT);
        let mut lags: Vec<u64> = within.flat_map(|batch| batch.lags_ms.iter().copied()).collect();
        lags.sort_unstable();
        let quantile =
            |share: f64| lags.get(((lags.len() as f64 * share) as usize).min(lags.len().saturating_sub(1))).copied();
        (lags.len() as f64 / RECENT.num_seconds() as f64, quantile(0.5), quantile(0.99))
    }

    /// Rows, files and bytes, measured anew when the last time is too long ago.
    async fn measured(&self) -> Measured {
        let mut measured = self.measured.lock().await;
        if let Some((at, measured)) = &*measured
            && at.elapsed() < MEASURED_FOR
        {
            return measured.clone();
        }
        let mut tables = Vec::new();
        for name in ["raw", "sentiment", "entities", "key_phrases", "anomalies", "alerts"] {
            let counted = self.lake.query(&format!("SELECT count(*) FROM {name}"), QueryLimits::default()).await;
            let rows = counted.ok().and_then(|rows| rows.rows.first()?.first()?.as_u64()).unwrap_or(0);
            tables.push(TableReport {
                name: name.into(),
                rows,
                version: self.lake.version(),
                ..TableReport::default()
            });
        }
        let data = self.config.data.clone();
        let walked = tokio::task::spawn_blocking(move || {
            for table in &mut tables {
                (table.files, table.size_bytes) = parquet_files(&data.join("lake").join(&table.name));
            }
            Measured { tables, disk_used_bytes: disk_used(&data) }
        });
        let now = walked.await.unwrap_or(Measured { tables: Vec::new(), disk_used_bytes: 0 });
        *measured = Some((Instant::now(), now.clone()));
        now
    }

    async fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        for problem in self.health.problems() {
            let since = problem.since.format("%Y-%m-%d %H:%M UTC");
            notices.push(format!("{} has been failing since {since}: {}", problem.component, problem.reason));
        }
        match alerts::troubles(self.queue.as_ref()).await {
            Ok(troubles) => notices.extend(troubles.iter().map(alerts::ChannelTrouble::sentence)),
            Err(error) => notices.push(format!("the state of the alert channels can't be read: {error}")),
        }
        let rules = rule_facts::problems(self.queue.as_ref()).await.unwrap_or_default();
        notices.extend(rules.iter().map(|(name, problem)| format!("alert rule {name:?} {problem}")));
        if self.model.is_none() && self.roles.iter().any(|role| role == "understand") {
            notices.push("posts are kept without being understood: understand.enabled is false".into());
        }
        if fs4::available_space(&self.config.data).is_ok_and(|free| free < 2_000_000_000) {
            notices.push("less than 2 GB are free on the data disk".into());
        }
        notices
    }
}

/// Parquet files below a folder, with their size in bytes.
fn parquet_files(folder: &Path) -> (u64, u64) {
    let (mut files, mut size) = (0, 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let (more, bytes) = parquet_files(&path);
            files += more;
            size += bytes;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files += 1;
            size += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    (files, size)
}

fn disk_used(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(
            |entry| {
                if entry.path().is_dir() { disk_used(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }
            },
        )
        .sum()
}

/// Resident memory of this process, bytes, where the system tells.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn outcome(outcome: push::Outcome) -> PushOutcome {
    let (status, reason) = match outcome.status {
        push::Status::Stored => (PushStatus::Accepted, None),
        push::Status::Duplicate => (PushStatus::Duplicate, None),
        push::Status::Deleted => (PushStatus::Rejected, Some("its platform deleted this post before".into())),
        push::Status::Rejected => (PushStatus::Rejected, outcome.reason),
    };
    PushOutcome { status, post_id: outcome.post_id, reason }
}

fn refusal(error: push::Error) -> PushError {
    match error {
        push::Error::Full { retry_after } => {
            PushError::Full { retry_after_s: u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX) }
        }
        push::Error::Queue(cause) => PushError::Failed(cause.to_string()),
        push::Error::TooLarge(_) => PushError::TooManyItems { items_max: push::POSTS_MAX },
        other => PushError::Malformed(other.to_string()),
    }
}

#[async_trait]
impl Operations for House {
    async fn sources(&self) -> Vec<SourceStatus> {
        let now = house::clock().now();
        let mut sources: Vec<SourceStatus> = self.x.get().map(|status| x_source(status, now)).into_iter().collect();
        sources.extend(self.push.keys().map(|name| SourceStatus {
            id: format!("push:{name}"),
            connector: "push".into(),
            state: "connected".into(),
            since: Some(self.started_at),
            ..SourceStatus::default()
        }));
        self.with_seen(sources, now)
    }

    async fn system(&self) -> SystemReport {
        let now = house::clock().now();
        let (posts_per_second, lag_p50_ms, lag_p99_ms) = self.speed(now);
        let measured = self.measured().await;
        SystemReport {
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: Some(self.started_at),
            roles: self.roles.clone(),
            model: self.model.clone(),
            posts_per_second,
            lag_p50_ms,
            lag_p99_ms,
            memory_bytes: memory_bytes(),
            disk_used_bytes: Some(measured.disk_used_bytes),
            disk_free_bytes: fs4::available_space(&self.config.data).ok(),
            retention_days: (self.config.lake.retention_days > 0).then_some(self.config.lake.retention_days),
            tables: measured.tables,
            channels: alerting::channels(&self.config),
            notices: self.notices().await,
        }
    }

    async fn not_ready(&self) -> Vec<String> {
        let mut failing: Vec<String> = self.health.problems().into_iter().map(|problem| problem.component).collect();
        if let Err(error) = self.lake.query("SELECT 1", QueryLimits::default()).await {
            tracing::warn!(%error, "the lake can't be asked");
            failing.push("lake".into());
        }
        if let Err(error) = self.queue.depth().await {
            tracing::warn!(%error, "the queue can't be asked");
            failing.push("queue".into());
        }
        failing.dedup();
        failing
    }

    async fn sql(&self, sql: &str, limits: QueryLimits) -> Result<SqlAnswer> {
        let lake::SqlAnswer { columns, rows, truncated } = self.sql.ask(sql, limits).await?;
        Ok(SqlAnswer { columns, rows, truncated })
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    async fn acknowledge(&self, alert_id: &str, who: &str) -> Result<Option<Alert>> {
        self.show(self.book.acknowledge(alert_id, who, house::clock().now()).await).await
    }

    async fn silence(&self, alert_id: &str, until: Timestamp, _who: &str) -> Result<Option<Alert>> {
        self.show(self.book.silence(alert_id, until, house::clock().now()).await).await
    }

    async fn preset_categories(&self) -> Result<Vec<CategoryDefinition>> {
        let set = house::categories(&self.config).map_err(|error| Error::reject(format!("{error:#}")))?;
        Ok(set.map_or(Vec::new(), |set| set.categories))
    }

    async fn rules(&self) -> Result<Vec<AlertRule>> {
        alerting::rules(&self.config, self.queue.as_ref()).await
    }

    async fn forget(&self, what: ToForget) -> Result<Forgotten> {
        let ToForget { posts, author, platform, query, and_block, dry_run } = what;
        let request = Request { posts, author, platform, query, and_block };
        let found = request.find(&self.lake).await?;
        let mut forgotten = Forgotten {
            posts: found.posts.len(),
            reposts: found.reposts,
            first_ids: found.posts.iter().take(100).cloned().collect(),
            ..Forgotten::default()
        };
        if dry_run {
            return Ok(forgotten);
        }
        if found.posts.len() > FORGET_MAX {
            return Err(Error::reject(format!(
                "{} posts are too many for one call, which takes {FORGET_MAX}; use the command: overheard forget",
                found.posts.len()
            )));
        }
        let cleared = request.carry_out(&found, &self.queue, &self.lake, self.writes_lake(), |_| {}).await?;
        (forgotten.deleted, forgotten.traces_later) = (true, cleared.is_none());
        let cleared = cleared.unwrap_or_default();
        (forgotten.anomalies, forgotten.alerts) = (cleared.anomalies, cleared.documents);
        (forgotten.dead_letters, forgotten.corrections) = (cleared.dead_letters, cleared.labels);
        Ok(forgotten)
    }

    fn channels(&self) -> Option<Vec<String>> {
        Some(alerting::channels(&self.config))
    }

    async fn rule_problems(&self) -> Result<HashMap<String, String>> {
        rule_facts::problems(self.queue.as_ref()).await
    }

    async fn alerts_now(&self, ids: &[String]) -> Result<Vec<AlertNow>> {
        let mut alerts = Vec::new();
        for id in ids {
            alerts.extend(self.book.alert(id).await?.map(alert_now));
        }
        Ok(alerts)
    }

    async fn back_test(&self, rule: &AlertRule, from: Timestamp, to: Timestamp) -> Result<Vec<Alert>> {
        rehearsal::back_test(self.lake.as_ref(), rule, from, to).await
    }

    async fn push(&self, source: &str, content_type: Option<&str>, body: Bytes) -> Result<Vec<PushOutcome>, PushError> {
        // Tokens name the source with or without its kind; a platform's name has no colon.
        let source = source.strip_prefix("push:").unwrap_or(source);
        let made;
        let connector = match self.push.get(source) {
            Some(connector) => connector,
            None => {
                let rights = house::push_rights(&self.config, source).map_err(PushError::NotAllowed)?;
                made = PushSource::new(self.queue.clone(), house::clock(), rights);
                &made
            }
        };
        let id = SourceId(format!("push:{source}"));
        let outcomes = connector.accept(&body, content_type, &id).await.map_err(refusal)?;
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    fn push_source(&self, source: &str) -> std::result::Result<bool, String> {
        let source = source.strip_prefix("push:").unwrap_or(source);
        house::push_rights(&self.config, source)?;
        Ok(self.push.contains_key(source))
    }

    async fn replay(&self, letter: &DeadLetter) -> Result<Replayed> {
        house::replay(&self.config, self.queue.as_ref(), letter).await
    }
}

fn alert_now(stored: alerts::StoredAlert) -> AlertNow {
    let lost = |lost: alerts::Undelivered| Undelivered { channel: lost.channel, at: lost.at, reason: lost.reason };
    AlertNow { alert: stored.alert, undelivered: stored.undelivered.into_iter().map(lost).collect() }
}

fn x_source(status: &SharedStatus, now: Timestamp) -> SourceStatus {
    let x = status.get(now);
    SourceStatus {
        id: "x".into(),
        connector: "x".into(),
        state: x.state.as_str().into(),
        since: x.connected_since,
        posts: x.posts_read,
        posts_per_minute: x.posts_per_minute as f64,
        last_post_at: x.last_post_at,
        last_error: x.last_error,
        cost_usd: x.cost_usd,
    }
}

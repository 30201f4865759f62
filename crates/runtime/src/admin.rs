//! The port that the server asks (`domain::Operations`): sources, system report, push, replay, alerts, SQL, deletion.

use crate::clock::clock;
use crate::config::Config;
use crate::connectors::Connectors;
use crate::forget::request::Request;
use crate::roles::{Role, Roles};
use crate::traffic::{Speed, Traffic};
use crate::usage::{self, Meter};
use crate::{alerting, metrics, reprocess, wiring};
use async_trait::async_trait;
use domain::{
    Alert, AlertNow, AlertRule, CategoryDefinition, DeadLetter, Error, Forgotten, Health, Operations, PostQueue,
    PushError, PushOutcome, PushStatus, QueryLimits, Replayed, Result, SourceId, SourceStatus, SqlAnswer, SystemReport,
    TimeRange, Timestamp, ToForget, Undelivered,
};
use lake::{Lake, SqlWorkers};
use metrics_exporter_prometheus::PrometheusHandle;
use pipeline::Committed;
use queue::Embedded;
use sources::push::{self, PushSource};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The running installation as the server sees it.
pub struct Admin {
    roles: Roles,
    started_at: Timestamp,
    config: Config,
    queue: Arc<Embedded>,
    lake: Arc<Lake>,
    sql: SqlWorkers,
    model: Option<String>,
    book: Arc<alerts::AlertBook>,
    health: Arc<Health>,
    push: HashMap<String, PushSource>,
    connectors: Arc<Connectors>,
    metrics: PrometheusHandle,
    traffic: Traffic,
    meter: Meter,
}

/// Histograms are merged this often, or they grow until somebody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// Below this much free disk people are warned, bytes.
const DISK_FREE_MIN: u64 = 2_000_000_000;
/// What a process without the role `understand` can't show.
const ELSEWHERE: &str = "posts are enriched by another process: live posts, posts per second, lag and posts per source are \
    known there and not shown here";
/// Posts that one call may delete: it answers when they are gone.
const FORGET_MAX: usize = 20_000;

impl Admin {
    pub fn new(
        config: &Config,
        roles: Roles,
        queue: Arc<Embedded>,
        lake: Arc<Lake>,
        model: Option<String>,
        book: Arc<alerts::AlertBook>,
        health: Arc<Health>,
        connectors: Arc<Connectors>,
    ) -> anyhow::Result<Arc<Self>> {
        let now = clock().now();
        let source = |name: &String| {
            let rights = config.sources.push_rights(name)?;
            Some((name.clone(), PushSource::new(queue.clone(), clock(), rights)))
        };
        let push = config.sources.push.iter().filter_map(|configured| source(&configured.name)).collect();
        Ok(Arc::new(Self {
            roles,
            started_at: now,
            meter: Meter::new(config.data.clone(), lake.clone()),
            config: config.clone(),
            queue,
            sql: SqlWorkers::new(wiring::sql_workers(config)?),
            lake,
            model,
            book,
            health,
            push,
            connectors,
            metrics: metrics::install()?,
            traffic: Traffic::new(now),
        }))
    }

    /// Reads the gauges and keeps histograms small until `shutdown`.
    pub async fn keep_metrics(self: Arc<Self>, shutdown: CancellationToken) -> Result<()> {
        while !shutdown.is_cancelled() {
            metrics::read_gauges(self.queue.as_ref(), &self.lake, &self.health, &self.config.data).await;
            self.metrics.run_upkeep();
            tokio::select! {
                () = tokio::time::sleep(UPKEEP) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Counts a commit.
    pub fn observe(&self, committed: &Committed) {
        self.traffic.observe(committed);
    }

    fn writes_lake(&self) -> bool {
        self.roles.write_lake()
    }

    /// SQL reads alerts from the lake. Where this process can't write it, the one that judges the rules does.
    async fn show(&self, alert: Result<Option<Alert>>) -> Result<Option<Alert>> {
        let alert = alert?;
        if self.writes_lake()
            && let Err(error) = self.book.write(self.lake.as_ref(), clock().now()).await
        {
            tracing::warn!(%error, "an alert is not in the lake yet; trying again");
        }
        Ok(alert)
    }

    async fn notices(&self, disk_free_bytes: Option<u64>) -> Vec<String> {
        let mut notices = Vec::new();
        for problem in self.health.problems() {
            let since = problem.since.format("%Y-%m-%d %H:%M UTC");
            notices.push(format!("{} has been failing since {since}: {}", problem.component, problem.reason));
        }
        match alerts::troubles(self.queue.as_ref()).await {
            Ok(troubles) => notices.extend(troubles.iter().map(alerts::ChannelTrouble::sentence)),
            Err(error) => notices.push(format!("the state of the alert channels can't be read: {error}")),
        }
        let rules = alerts::rule_problems(self.queue.as_ref()).await.unwrap_or_default();
        notices.extend(rules.iter().map(|(name, problem)| format!("alert rule {name:?} {problem}")));
        if self.model.is_none() && self.roles.has(Role::Understand) {
            notices.push("posts are kept without being understood: understand.enabled is false".into());
        }
        if !self.roles.has(Role::Understand) {
            notices.push(ELSEWHERE.into());
        }
        if !self.roles.has(Role::Understand) && self.queue.has_lender().await.is_ok_and(|has| !has) {
            notices.push("no process enriches posts: start one with `overheard up --role understand`".into());
        }
        if disk_free_bytes.is_some_and(|free| free < DISK_FREE_MIN) {
            notices.push("less than 2 GB are free on the data disk".into());
        }
        notices
    }
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
        push::Error::TooLarge(sentence) => PushError::TooLarge(sentence),
        other => PushError::Malformed(other.to_string()),
    }
}

#[async_trait]
impl Operations for Admin {
    async fn sources(&self) -> Vec<SourceStatus> {
        let now = clock().now();
        let mut sources = self.connectors.statuses(now);
        sources.extend(self.push.keys().map(|name| SourceStatus {
            id: format!("push:{name}"),
            connector: "push".into(),
            state: "connected".into(),
            since: Some(self.started_at),
            ..SourceStatus::default()
        }));
        self.traffic.add_to(sources, now)
    }

    async fn system(&self) -> SystemReport {
        let now = clock().now();
        let Speed { posts_per_second, lag_p50_ms, lag_p99_ms } = self.traffic.speed(now);
        let usage = self.meter.usage().await;
        SystemReport {
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: Some(self.started_at),
            roles: self.roles.names(),
            model: self.model.clone(),
            posts_per_second,
            lag_p50_ms,
            lag_p99_ms,
            memory_bytes: usage::memory_bytes(),
            disk_used_bytes: Some(usage.disk_used_bytes),
            disk_free_bytes: usage.disk_free_bytes,
            retention_days: (self.config.lake.retention_days > 0).then_some(self.config.lake.retention_days),
            tables: usage.tables,
            channels: alerting::channels(&self.config),
            notices: self.notices(usage.disk_free_bytes).await,
        }
    }

    async fn not_ready(&self) -> Vec<String> {
        let mut failing: Vec<String> = self.health.problems().into_iter().map(|problem| problem.component).collect();
        if let Err(error) = self.lake.alive().await {
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
        self.sql.ask(sql, limits).await
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    async fn acknowledge(&self, alert_id: &str, who: &str) -> Result<Option<Alert>> {
        self.show(self.book.acknowledge(alert_id, who, clock().now()).await).await
    }

    async fn silence(&self, alert_id: &str, until: Timestamp, _who: &str) -> Result<Option<Alert>> {
        self.show(self.book.silence(alert_id, until, clock().now()).await).await
    }

    async fn preset_categories(&self) -> Result<Vec<CategoryDefinition>> {
        let set = wiring::categories(&self.config).map_err(|error| Error::reject(format!("{error:#}")))?;
        Ok(set.map_or(Vec::new(), |set| set.categories))
    }

    async fn rules(&self) -> Result<Vec<AlertRule>> {
        alerting::rules(&self.config, self.queue.clone()).all().await
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
        alerts::rule_problems(self.queue.as_ref()).await
    }

    async fn alerts_now(&self, ids: &[String]) -> Result<Vec<AlertNow>> {
        let mut alerts = Vec::new();
        for id in ids {
            alerts.extend(self.book.alert(id).await?.map(alert_now));
        }
        Ok(alerts)
    }

    async fn back_test(&self, rule: &AlertRule, from: Timestamp, to: Timestamp) -> Result<Vec<Alert>> {
        alerts::back_test(self.lake.as_ref(), rule, TimeRange { from, to }).await
    }

    async fn push(&self, source: &str, content_type: Option<&str>, body: &[u8]) -> Result<Vec<PushOutcome>, PushError> {
        // Tokens name the source with or without its kind; a platform's name has no colon.
        let source = source.strip_prefix("push:").unwrap_or(source);
        let made;
        let connector = match self.push.get(source) {
            Some(connector) => connector,
            None => {
                let rights = self.config.sources.rights_of(source).map_err(PushError::NotAllowed)?;
                made = PushSource::new(self.queue.clone(), clock(), rights);
                &made
            }
        };
        let id = SourceId(format!("push:{source}"));
        let outcomes = connector.accept(body, content_type, &id).await.map_err(refusal)?;
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    fn push_source(&self, source: &str) -> std::result::Result<bool, String> {
        let source = source.strip_prefix("push:").unwrap_or(source);
        self.config.sources.rights_of(source)?;
        Ok(self.push.contains_key(source))
    }

    async fn replay(&self, letter: &DeadLetter) -> Result<Replayed> {
        reprocess::replay(&self.config, self.queue.as_ref(), letter).await
    }
}

fn alert_now(stored: alerts::StoredAlert) -> AlertNow {
    let lost = |lost: alerts::Undelivered| Undelivered { channel: lost.channel, at: lost.at, reason: lost.reason };
    AlertNow { alert: stored.alert, undelivered: stored.undelivered.into_iter().map(lost).collect() }
}

//! The system report, the sources, readiness and the metrics.

use crate::clock::clock;
use crate::config::Config;
use crate::connectors::Connectors;
use crate::roles::{Role, Roles};
use crate::traffic::{Speed, Traffic};
use crate::usage::{self, Meter};
use crate::{alerting, metrics, wiring};
use async_trait::async_trait;
use domain::{
    Backfill, CategoryDefinition, Error, Health, PostQueue, Result, SourceStatus, SystemInfo, SystemReport, Timestamp,
};
use lake::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use pipeline::Committed;
use queue::Embedded;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The state of the running installation.
pub struct RunningSystem {
    roles: Roles,
    started_at: Timestamp,
    config: Config,
    queue: Arc<Embedded>,
    lake: Arc<Lake>,
    model: Option<String>,
    health: Arc<Health>,
    connectors: Arc<Connectors>,
    metrics: PrometheusHandle,
    traffic: Traffic,
    meter: Meter,
}

/// Histograms are merged this often, or they grow until somebody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);
/// What full dead letters mean, and what to do.
pub const LETTERS_FULL: &str = "the dead letters are full, so a push with a post that can't be read is answered 429 and \
    connectors wait: replay or remove some (dashboard, or `overheard dead-letters`), or raise queue.dead_letters_max or \
    queue.dead_letters_bytes_max";
/// Below this much free disk people are warned, bytes.
const DISK_FREE_MIN: u64 = 2_000_000_000;
/// What a process without the role `understand` can't show.
const ELSEWHERE: &str = "posts are enriched by another process: live posts, posts per second, lag and posts per source are \
    known there and not shown here";
/// What a process without the role `listen` can't show.
const LISTENS_ELSEWHERE: &str = "sources are read by another process: their state is known there and not shown here";

impl RunningSystem {
    pub fn new(
        config: &Config,
        roles: Roles,
        queue: Arc<Embedded>,
        lake: Arc<Lake>,
        model: Option<String>,
        health: Arc<Health>,
        connectors: Arc<Connectors>,
    ) -> anyhow::Result<Self> {
        let now = clock().now();
        Ok(Self {
            roles,
            started_at: now,
            meter: Meter::new(config.data.clone(), lake.clone()),
            config: config.clone(),
            queue,
            lake,
            model,
            health,
            connectors,
            metrics: metrics::install()?,
            traffic: Traffic::new(now),
        })
    }

    /// Reads the gauges and keeps histograms small until `shutdown`.
    pub async fn keep_metrics(self: Arc<Self>, shutdown: CancellationToken) -> Result<()> {
        while !shutdown.is_cancelled() {
            metrics::read_gauges(self.queue.as_ref(), &self.lake, &self.health, &self.config.data).await;
            metrics::read_channels(&alerting::channels(&self.config), self.queue.as_ref()).await;
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
        if self.queue.depth().await.is_ok_and(|depth| depth.dead_letters_full) {
            notices.push(LETTERS_FULL.into());
        }
        let rules = alerting::rule_problems(&self.config, self.queue.clone()).await.unwrap_or_default();
        notices.extend(rules.iter().map(|(name, problem)| format!("alert rule {name:?} {problem}")));
        if self.model.is_none() && self.roles.has(Role::Understand) {
            notices.push("posts are kept without being understood: understand.enabled is false".into());
        }
        if !self.roles.has(Role::Understand) {
            notices.push(ELSEWHERE.into());
        }
        if !self.roles.has(Role::Listen) {
            notices.push(LISTENS_ELSEWHERE.into());
        }
        let takes_out = Role::that_empties_the_queue(self.config.queue.engine);
        if !self.roles.has(takes_out) && self.queue.has_lender().await.is_ok_and(|has| !has) {
            notices.push("no process enriches posts: start one with `overheard up --role understand`".into());
        }
        if disk_free_bytes.is_some_and(|free| free < DISK_FREE_MIN) {
            notices.push("less than 2 GB are free on the data disk".into());
        }
        notices
    }
}

#[async_trait]
impl SystemInfo for RunningSystem {
    async fn sources(&self) -> Vec<SourceStatus> {
        let now = clock().now();
        let mut sources = match self.roles.has(Role::Listen) {
            true => self.connectors.statuses(now),
            false => self.connectors.elsewhere().await,
        };
        // Configurations of earlier versions may repeat a name.
        let push: BTreeSet<&String> = self.config.sources.push.iter().map(|source| &source.name).collect();
        sources.extend(push.into_iter().map(|name| SourceStatus {
            id: format!("push:{name}"),
            connector: "push".into(),
            state: "connected".into(),
            since: Some(self.started_at),
            ..SourceStatus::default()
        }));
        let mut sources = self.traffic.add_to(sources, now);
        sources.retain(|source| !self.connectors.is_removed(&source.id));
        sources
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

    fn backfills(&self) -> Vec<Backfill> {
        self.connectors.backfills().running()
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    async fn preset_categories(&self) -> Result<Vec<CategoryDefinition>> {
        let set = wiring::categories(&self.config).map_err(|error| Error::reject(format!("{error:#}")))?;
        Ok(set.map_or(Vec::new(), |set| set.categories))
    }
}

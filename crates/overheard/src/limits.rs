//! The limits of the server as settings, checked before the server and its SQL workers see them. `docs/limits.md` says
//! what happens at each.

use crate::config::Config;
use crate::secrets;
use anyhow::{Context, Result, bail};
use lake::WorkerConfig;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const MB: usize = 1 << 20;

/// What strangers, people and programs can take of this machine through the server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    pub connections: usize,
    pub idle_timeout_s: u64,
    pub body_timeout_s: u64,
    pub write_timeout_s: u64,
    pub body_kb: usize,
    pub push_body_mb: usize,
    pub bodies_mb: usize,
    pub questions_at_once: usize,
    pub answers_mb: usize,
    pub answer_age_ms: u64,
    pub streams: usize,
    pub streams_per_user: usize,
    pub sql_at_once: usize,
    pub sql_timeout_s: u64,
    pub sql_rows: usize,
    pub sql_answer_mb: usize,
    pub sql_memory_mb: u64,
    pub sql_spill_mb: u64,
    pub sql_idle_s: u64,
    pub exports_at_once: usize,
    pub export_timeout_s: u64,
}

impl LimitsConfig {
    /// What types can't say: each limit lets something through and is not beyond what the rest relies on.
    pub(crate) fn check(&self) -> Result<()> {
        let million = 1_000_000;
        let bounds: [(&str, u64, u64, u64); 21] = [
            ("connections", self.connections as u64, 1, million),
            ("idle_timeout_s", self.idle_timeout_s, 1, 3_600),
            ("body_timeout_s", self.body_timeout_s, 1, 3_600),
            ("write_timeout_s", self.write_timeout_s, 1, 3_600),
            ("body_kb", self.body_kb as u64, 16, 65_536),
            ("push_body_mb", self.push_body_mb as u64, 1, 1_024),
            ("bodies_mb", self.bodies_mb as u64, 1, 4_095),
            ("questions_at_once", self.questions_at_once as u64, 1, 1_024),
            ("answers_mb", self.answers_mb as u64, 1, million),
            ("answer_age_ms", self.answer_age_ms, 0, 3_600_000),
            ("streams", self.streams as u64, 1, million),
            ("streams_per_user", self.streams_per_user as u64, 1, million),
            ("sql_at_once", self.sql_at_once as u64, 1, 64),
            ("sql_timeout_s", self.sql_timeout_s, 1, 3_600),
            ("sql_rows", self.sql_rows as u64, 1, million),
            ("sql_answer_mb", self.sql_answer_mb as u64, 1, 1_024),
            // Below it, opening a lake of some thousand files already fails.
            ("sql_memory_mb", self.sql_memory_mb, 256, million),
            ("sql_spill_mb", self.sql_spill_mb, 1, million),
            ("sql_idle_s", self.sql_idle_s, 1, 86_400),
            ("exports_at_once", self.exports_at_once as u64, 1, 64),
            // Files that were replaced are deleted an hour later, also from under an export.
            ("export_timeout_s", self.export_timeout_s, 1, 3_600),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                bail!("server.limits.{name} = {value} must be {least} to {most}");
            }
        }
        if self.push_body_mb > self.bodies_mb {
            bail!("server.limits.bodies_mb must be at least push_body_mb, or no push gets through");
        }
        Ok(())
    }
}

/// The server's settings.
pub(crate) fn server(config: &Config) -> Result<server::Config> {
    let (settings, limits) = (&config.server, &config.server.limits);
    let seconds = Duration::from_secs;
    let metrics_token = match settings.metrics_token_env.as_str() {
        "" => None,
        name => {
            let token = secrets::read(name, "").with_context(|| format!("server.metrics_token_env: set {name}"))?;
            Some(token.expose_secret().to_owned())
        }
    };
    Ok(server::Config {
        metrics_token,
        connections_max: limits.connections,
        header_timeout: seconds(limits.idle_timeout_s),
        body_timeout: seconds(limits.body_timeout_s),
        write_timeout: seconds(limits.write_timeout_s),
        bodies_max_bytes: limits.bodies_mb * MB,
        body_max_bytes: limits.body_kb * 1024,
        push_max_bytes: limits.push_body_mb * MB,
        sql_rows_max: limits.sql_rows,
        sql_timeout: seconds(limits.sql_timeout_s),
        export_timeout: seconds(limits.export_timeout_s),
        exports_at_once: limits.exports_at_once,
        export_ids_only: settings.export_ids_only.clone(),
        questions_at_once: limits.questions_at_once,
        streams_max: limits.streams,
        streams_per_user_max: limits.streams_per_user,
        answer_age_max: Duration::from_millis(limits.answer_age_ms),
        answers_max_bytes: limits.answers_mb * MB,
        ..settings.settings()?
    })
}

/// The workers that answer SQL of people: this program once more.
pub(crate) fn sql_workers(config: &Config) -> Result<WorkerConfig> {
    let limits = &config.server.limits;
    // The running program itself, also when its file was replaced since.
    let running = PathBuf::from("/proc/self/exe");
    let program = if running.exists() { running } else { std::env::current_exe().context("find this program")? };
    Ok(WorkerConfig {
        program,
        arguments: vec!["sql-worker".into()],
        lake: config.data.join("lake"),
        at_once: limits.sql_at_once,
        memory_bytes: limits.sql_memory_mb << 20,
        spill_bytes: limits.sql_spill_mb << 20,
        answer_bytes_max: limits.sql_answer_mb * MB,
        idle: Duration::from_secs(limits.sql_idle_s),
    })
}

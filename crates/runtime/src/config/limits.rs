//! Limits of the HTTP server and its SQL workers. `docs/limits.md` says what happens at each.

use super::bounds::within;
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What clients may take of this machine through the server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub connections: usize,
    pub idle_timeout_s: u64,
    pub body_timeout_s: u64,
    pub write_timeout_s: u64,
    pub body_kb: usize,
    pub push_body_mb: usize,
    pub bodies_mb: usize,
    pub import_mb: usize,
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
    /// Checks that each limit is within sensible bounds.
    pub(super) fn check(&self) -> Result<()> {
        let million = 1_000_000;
        let bounds = [
            ("connections", self.connections as u64, 1, million),
            ("idle_timeout_s", self.idle_timeout_s, 1, 3_600),
            ("body_timeout_s", self.body_timeout_s, 1, 3_600),
            ("write_timeout_s", self.write_timeout_s, 1, 3_600),
            ("body_kb", self.body_kb as u64, 16, 65_536),
            ("push_body_mb", self.push_body_mb as u64, 1, 1_024),
            ("bodies_mb", self.bodies_mb as u64, 1, 4_095),
            ("import_mb", self.import_mb as u64, 1, 1_048_576),
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
        within("server.limits", &bounds)?;
        if self.push_body_mb > self.bodies_mb {
            bail!("server.limits.bodies_mb must be at least push_body_mb, or no push gets through");
        }
        Ok(())
    }
}

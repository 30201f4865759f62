//! Posts as they were received, for those that enrich them again.

use super::sql::{in_range, literal};
use crate::lake::Lake;
use crate::schema::TableName;
use chrono::NaiveDate;
use domain::{Error, PostId, Result, TimeRange, Timestamp};
use std::time::Duration;

/// Commands read the whole lake.
const TIMEOUT: Duration = Duration::from_secs(3_600);

/// A post as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPost {
    pub post_id: String,
    pub source: String,
    pub platform: String,
    /// The stored word of `domain::Provenance`.
    pub provenance: String,
    pub received_at: Timestamp,
    pub payload: String,
    pub payload_format: Option<String>,
}

/// Which posts of `raw` are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawSelection {
    /// Published in a range.
    Range(TimeRange),
    /// Published on one of these days (UTC).
    Days(Vec<NaiveDate>),
    /// Those that are in no other table.
    NotEnriched,
    /// With one of these ids.
    Ids(Vec<PostId>),
}

impl RawSelection {
    fn condition(&self) -> String {
        match self {
            Self::Range(range) => in_range(*range),
            Self::Days(days) => {
                let days: Vec<String> = days.iter().map(|day| format!("DATE '{day}'")).collect();
                format!("event_date IN ({})", days.join(", "))
            }
            Self::NotEnriched => "post_id NOT IN (SELECT post_id FROM sentiment WHERE post_id IS NOT NULL)".to_owned(),
            Self::Ids(ids) => {
                let ids: Vec<String> = ids.iter().map(|id| literal(id.as_str())).collect();
                format!("post_id IN ({})", ids.join(", "))
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Days(days) => days.is_empty(),
            Self::Ids(ids) => ids.is_empty(),
            Self::Range(_) | Self::NotEnriched => false,
        }
    }
}

impl Lake {
    /// How many posts of `raw` are selected.
    pub async fn count_raw(&self, selection: &RawSelection) -> Result<u64> {
        if selection.is_empty() {
            return Ok(0);
        }
        let sql = format!("SELECT count(*) FROM raw WHERE {}", selection.condition());
        Ok(self.first_row(&sql, TIMEOUT, |rows| Some(rows.count(0, 0))).await?.unwrap_or(0))
    }

    /// A page of the selected posts: those with an id above `after`, by id.
    pub async fn raw_posts(&self, selection: &RawSelection, after: &str, limit: usize) -> Result<Vec<RawPost>> {
        if selection.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT post_id, source, platform, provenance, received_at, payload, payload_format FROM raw \
             WHERE {} AND post_id > {} ORDER BY post_id LIMIT {limit}",
            selection.condition(),
            literal(after),
        );
        let mut posts = Vec::new();
        self.each_batch(&sql, TIMEOUT, |rows| {
            for row in 0..rows.rows {
                let post_id = rows.owned(0, row).ok_or_else(|| Error::stop("a row of raw has no post_id"))?;
                posts.push(RawPost {
                    source: rows.owned(1, row).unwrap_or_default(),
                    platform: rows.owned(2, row).unwrap_or_default(),
                    provenance: rows.owned(3, row).unwrap_or_default(),
                    received_at: rows.time(4, row).unwrap_or_default(),
                    payload: rows.owned(5, row).unwrap_or_default(),
                    payload_format: rows.owned(6, row),
                    post_id,
                });
            }
            Ok(())
        })
        .await?;
        Ok(posts)
    }

    /// How many posts are in `raw` alone, and the first day of them.
    pub async fn not_enriched(&self) -> Result<Option<(u64, NaiveDate)>> {
        let sql = format!("SELECT count(*), min(occurred_at) FROM raw WHERE {}", RawSelection::NotEnriched.condition());
        self.first_row(&sql, TIMEOUT, |rows| Some((rows.count(0, 0), rows.time(1, 0)?.date_naive()))).await
    }

    /// Rows of a table.
    pub async fn count_rows(&self, table: TableName) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", table.as_str());
        Ok(self.first_row(&sql, TIMEOUT, |rows| Some(rows.count(0, 0))).await?.unwrap_or(0))
    }

    /// Whether questions can be answered: reads what is new in the logs of the tables.
    pub async fn alive(&self) -> Result<()> {
        self.refresh_when_due().await?;
        self.engine.context(&self.tables).await?;
        Ok(())
    }
}

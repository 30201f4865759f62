//! Posts as they were received, for those that enrich them again.

use super::sql::{in_range, literal, literals};
use crate::lake::Lake;
use crate::schema::TableName;
use async_trait::async_trait;
use chrono::NaiveDate;
use domain::{Error, PostId, RawPost, RawPosts, RawSelection, Result};
use std::time::Duration;

/// Commands read the whole lake.
const TIMEOUT: Duration = Duration::from_secs(3_600);

fn condition(selection: &RawSelection) -> String {
    match selection {
        RawSelection::Range(range) => in_range(*range),
        RawSelection::Days(days) => {
            let days: Vec<String> = days.iter().map(|day| format!("DATE '{day}'")).collect();
            format!("event_date IN ({})", days.join(", "))
        }
        RawSelection::NotEnriched => {
            "post_id NOT IN (SELECT post_id FROM sentiment WHERE post_id IS NOT NULL)".to_owned()
        }
        RawSelection::Ids(ids) => format!("post_id IN ({})", literals(ids.iter().map(PostId::as_str))),
    }
}

#[async_trait]
impl RawPosts for Lake {
    async fn count_raw(&self, selection: &RawSelection) -> Result<u64> {
        if selection.is_empty() {
            return Ok(0);
        }
        let sql = format!("SELECT count(*) FROM raw WHERE {}", condition(selection));
        Ok(self.first_row(&sql, TIMEOUT, |rows| Some(rows.count(0, 0))).await?.unwrap_or(0))
    }

    async fn raw_posts(&self, selection: &RawSelection, after: &str, limit: usize) -> Result<Vec<RawPost>> {
        if selection.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT post_id, source, platform, provenance, received_at, payload, payload_format FROM raw \
             WHERE {} AND post_id > {} ORDER BY post_id LIMIT {limit}",
            condition(selection),
            literal(after),
        );
        let mut posts = Vec::new();
        self.each_batch(&sql, TIMEOUT, |rows| {
            for row in 0..rows.rows {
                let post_id = rows.owned(0, row).ok_or_else(|| Error::stop("a row of raw has no post_id"))?;
                posts.push(RawPost {
                    source: rows.string(1, row),
                    platform: rows.string(2, row),
                    provenance: rows.string(3, row),
                    received_at: rows.time(4, row).unwrap_or_default(),
                    payload: rows.string(5, row),
                    payload_format: rows.owned(6, row),
                    post_id,
                });
            }
            Ok(())
        })
        .await?;
        Ok(posts)
    }
}

impl Lake {
    /// How many posts are in `raw` alone, and the first day of them.
    pub async fn not_enriched(&self) -> Result<Option<(u64, NaiveDate)>> {
        let sql = format!("SELECT count(*), min(occurred_at) FROM raw WHERE {}", condition(&RawSelection::NotEnriched));
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

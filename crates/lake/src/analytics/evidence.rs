//! What the lake knows of an incident: its posts and those of the time before, with the values that they can be told
//! apart by.
//!
//! Memory is bounded whatever the volume: if there are more posts than asked for, a sample is read. A post is in the
//! sample by a number made of its id and time, so that all tables give the same posts.

use super::Budget;
use super::cells::Cells;
use super::sql::{in_range, literals, of_series, time};
use super::watch::TIMEOUT;
use crate::lake::Lake;
use domain::analytics::COUNTED_KINDS;
use domain::{
    Dimension, EntityKind, Evidence, EvidencePost, IncidentScope, PostInWindow, Result, SentimentLabel, TimeRange,
    Timestamp, WatchHistory,
};
use std::collections::HashMap;
use tracing::warn;

/// A post's number for sampling is less than this prime.
const RESIDUES: i64 = 997;
/// Dimensions with a column of the posts' own table.
const COLUMNS: [Dimension; 7] = [
    Dimension::Category,
    Dimension::Language,
    Dimension::Country,
    Dimension::Place,
    Dimension::Sentiment,
    Dimension::Platform,
    Dimension::Author,
];
/// Dimensions with a table of their own: name of the table, and column.
const TABLES: [(Dimension, &str, &str); 2] =
    [(Dimension::Entity, "entities", "entity"), (Dimension::Phrase, "key_phrases", "phrase")];

/// Which posts are read.
struct Scope {
    /// The time alone, whatever the series.
    all: String,
    within: String,
    series: String,
    /// Which posts are in the sample; holds in every table with `post_id` and `occurred_at`.
    sampled: String,
    /// Of [`RESIDUES`] so many are read of the incident.
    share: i64,
}

impl Lake {
    pub(super) async fn evidence_of(&self, incident: &IncidentScope) -> Result<Evidence> {
        let scope = self.scope(incident).await?;
        let (mut evidence, ids) = self.evidence_posts(&scope).await?;
        for (dimension, table, column) in TABLES {
            match self.terms(&scope, &ids, (table, column)).await {
                Ok(terms) => drop(evidence.values.insert(dimension, terms)),
                Err(error) => {
                    warn!(dimension = dimension.name(), %error, "an anomaly is explained without a dimension")
                }
            }
        }
        match self.examples(&scope, incident.examples_max).await {
            Ok(examples) => evidence.examples = examples,
            Err(error) => warn!(%error, "an anomaly is explained without examples"),
        }
        Ok(evidence)
    }

    async fn scope(&self, incident: &IncidentScope) -> Result<Scope> {
        let onset = incident.range.from;
        let before = TimeRange { from: onset - incident.baseline, to: onset };
        let share_now = share(self.mentions(&incident.series, incident.range).await?, incident.posts_max);
        let share_before = share(self.mentions(&incident.series, before).await?, incident.baseline_posts_max);
        Ok(Scope {
            all: in_range(TimeRange { from: before.from, ..incident.range }),
            within: in_range(incident.range),
            series: of_series(&incident.series),
            sampled: sampled(onset, share_now, share_before),
            share: share_now,
        })
    }

    /// The posts with the values that stand in their own table, and the index of each by its id.
    async fn evidence_posts(&self, scope: &Scope) -> Result<(Evidence, HashMap<String, u32>)> {
        let sql = format!(
            "SELECT post_id, occurred_at, coalesce(author, post_id), \
                    coalesce(CAST(fingerprint AS VARCHAR), repost_of, post_id), hashtags, {columns} \
             FROM sentiment WHERE {} AND {} AND {}",
            scope.all,
            scope.series,
            scope.sampled,
            columns = COLUMNS.map(Dimension::name).join(", "),
        );
        let weight = RESIDUES as f64 / scope.share as f64;
        let (mut evidence, mut ids) = (Evidence { weight, ..Evidence::default() }, HashMap::new());
        let mut budget = Budget(self.config.answer_bytes_max);
        self.each_batch(&sql, TIMEOUT, |rows| {
            (0..rows.rows).try_for_each(|row| budget.take(add_post(rows, row, &mut evidence, &mut ids)))
        })
        .await?;
        Ok((evidence, ids))
    }

    /// What the posts say, of a table of terms. Authors and categories stand in the posts' own table only, so terms are
    /// joined by id.
    async fn terms(
        &self,
        scope: &Scope,
        ids: &HashMap<String, u32>,
        (table, column): (&str, &str),
    ) -> Result<Vec<(u32, String)>> {
        let condition = match table {
            "entities" => format!("kind IN ({})", literals(COUNTED_KINDS.map(EntityKind::as_str))),
            _ => "TRUE".to_owned(),
        };
        let sql = format!(
            "SELECT said.post_id, said.value \
               FROM (SELECT post_id, lower({column}) AS value FROM {table} WHERE {condition} AND {all} AND {sampled}) AS said \
               JOIN (SELECT post_id FROM sentiment WHERE {all} AND {series} AND {sampled}) AS post \
                 ON said.post_id = post.post_id",
            all = scope.all,
            series = scope.series,
            sampled = scope.sampled,
        );
        let (mut terms, mut budget) = (Vec::new(), Budget(self.config.answer_bytes_max));
        self.each_batch(&sql, TIMEOUT, |rows| {
            for row in 0..rows.rows {
                let post = rows.text(0, row).and_then(|id| ids.get(id));
                let Some((post, value)) = post.zip(rows.owned(1, row)) else { continue };
                budget.take(value.len())?;
                terms.push((*post, value));
            }
            Ok(())
        })
        .await?;
        Ok(terms)
    }

    /// A sample over the whole incident, the same at every look: by the last digits of the ids, which are as good as
    /// random.
    async fn examples(&self, scope: &Scope, most: usize) -> Result<Vec<PostInWindow>> {
        let sql = format!(
            "SELECT post_id, text, url, author, sentiment, fingerprint, repost_of, reach FROM sentiment \
             WHERE {} AND {} AND {} ORDER BY reverse(post_id) LIMIT {most}",
            scope.within, scope.series, scope.sampled,
        );
        let mut examples = Vec::new();
        self.each_batch(&sql, TIMEOUT, |rows| {
            examples.extend((0..rows.rows).filter_map(|row| example(rows, row)));
            Ok(())
        })
        .await?;
        Ok(examples)
    }
}

/// How many of the residues give about `most` posts of `all`.
fn share(all: u64, most: u32) -> i64 {
    if all <= u64::from(most) {
        return RESIDUES;
    }
    ((f64::from(most) / all as f64 * RESIDUES as f64).ceil() as i64).clamp(1, RESIDUES)
}

fn sampled(onset: Timestamp, share: i64, share_before: i64) -> String {
    if share == RESIDUES && share_before == RESIDUES {
        return "TRUE".to_owned();
    }
    let nth = |nth: u8, factor: u32| format!("ascii(substr(reverse(post_id), {nth}, 1)) * {factor}");
    format!(
        "((CAST(occurred_at AS BIGINT) % {RESIDUES}) * 31 + {} + {} + {}) % {RESIDUES} < \
         CASE WHEN occurred_at >= {} THEN {share} ELSE {share_before} END",
        nth(1, 7919),
        nth(2, 104_729),
        nth(3, 1_299_709),
        time(onset),
    )
}

/// Adds the post of a row; returns the bytes that it takes.
fn add_post(rows: &Cells, row: usize, evidence: &mut Evidence, ids: &mut HashMap<String, u32>) -> usize {
    let (Some(id), Some(occurred_at)) = (rows.owned(0, row), rows.time(1, row)) else { return 0 };
    let number = u32::try_from(evidence.posts.len()).unwrap_or(u32::MAX);
    let [author, message] = [2, 3].map(|column| rows.owned(column, row).unwrap_or_else(|| id.clone()));
    let mut bytes = id.len() + author.len() + message.len() + size_of::<EvidencePost>();
    let mut add = |dimension: Dimension, value: String| {
        bytes += value.len() + size_of::<(u32, String)>();
        evidence.values.entry(dimension).or_default().push((number, value));
    };
    rows.texts(4, row).into_iter().for_each(|tag| add(Dimension::Hashtag, tag));
    let mut is_negative = false;
    for (at, dimension) in COLUMNS.into_iter().enumerate() {
        if let Some(value) = rows.owned(5 + at, row) {
            is_negative |= dimension == Dimension::Sentiment && value == SentimentLabel::Negative.as_str();
            add(dimension, value);
        }
    }
    evidence.posts.push(EvidencePost { occurred_at, author, message, is_negative });
    ids.insert(id, number);
    bytes
}

fn example(rows: &Cells, row: usize) -> Option<PostInWindow> {
    Some(PostInWindow {
        post_id: rows.owned(0, row)?,
        text: rows.owned(1, row)?,
        url: rows.owned(2, row),
        author: rows.owned(3, row),
        sentiment: rows.owned(4, row),
        fingerprint: rows.int(5, row),
        repost_of: rows.owned(6, row),
        reach: rows.natural(7, row),
    })
}

//! Posts of an author, reposts, all texts and all anomalies, page by page: for deletions.

use super::cells::Cells;
use super::incidents;
use super::sql::{literal, literals};
use crate::lake::Lake;
use domain::analytics::PostText;
use domain::{Anomaly, PostId, Result};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(300);
/// Posts read at once: bounds memory.
const PAGE: usize = 2_000;

/// Whose post one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAuthor {
    pub post_id: String,
    pub name: Option<String>,
    pub id: Option<String>,
}

impl Lake {
    /// Hands every post to `take`, day by day and page by page.
    pub async fn each_text(&self, mut take: impl FnMut(PostText) + Send) -> Result<()> {
        let columns = "post_id, author, language, text, occurred_at";
        self.each_row(columns, "TRUE", |rows, row| text(rows, row).into_iter().for_each(&mut take)).await
    }

    /// A page of anomalies: those with an id above `after`, by id.
    pub async fn anomalies_after(&self, after: &str, limit: usize) -> Result<Vec<Anomaly>> {
        let meant = format!("anomaly_id > {} ORDER BY anomaly_id LIMIT {limit}", literal(after));
        incidents::anomalies_where(self, &meant).await
    }

    /// Posts of an author: a name (without `@`) or an id, in lower case. `platform`: of that one alone.
    pub async fn posts_of_author(&self, author: &str, platform: Option<&str>) -> Result<Vec<StoredAuthor>> {
        let platform = platform.map(|platform| format!(" AND platform = {}", literal(platform))).unwrap_or_default();
        let author = literal(author);
        let condition = format!("(lower(ltrim(author, '@')) = {author} OR lower(author_id) = {author}){platform}");
        let mut posts = Vec::new();
        self.each_row("post_id, author, author_id", &condition, |rows, row| {
            let (name, id) = (rows.owned(1, row), rows.owned(2, row));
            posts.extend(rows.owned(0, row).map(|post_id| StoredAuthor { post_id, name, id }));
        })
        .await?;
        Ok(posts)
    }

    /// Ids of the reposts of these posts.
    pub async fn reposts_of(&self, posts: &[String]) -> Result<Vec<String>> {
        if posts.is_empty() {
            return Ok(Vec::new());
        }
        let of_these = format!("repost_of IN ({})", literals(posts.iter().map(String::as_str)));
        let mut reposts = Vec::new();
        self.each_row("post_id", &of_these, |rows, row| reposts.extend(rows.owned(0, row))).await?;
        Ok(reposts)
    }

    /// Reads the rows of `sentiment` that meet a condition, day by day and page by page. The first column is `post_id`.
    async fn each_row(&self, columns: &str, condition: &str, mut take: impl FnMut(&Cells, usize) + Send) -> Result<()> {
        let mut days = Vec::new();
        let sql = format!("SELECT CAST(event_date AS VARCHAR) FROM sentiment WHERE {condition} GROUP BY 1 ORDER BY 1");
        self.each_batch(&sql, TIMEOUT, |rows| {
            days.extend((0..rows.rows).filter_map(|row| rows.owned(0, row)));
            Ok(())
        })
        .await?;
        for day in days {
            let mut after = String::new();
            loop {
                let sql = format!(
                    "SELECT {columns} FROM sentiment WHERE event_date = DATE {} AND ({condition}) AND post_id > {} \
                     ORDER BY post_id LIMIT {PAGE}",
                    literal(&day),
                    literal(&after),
                );
                let mut last = None;
                self.each_batch(&sql, TIMEOUT, |rows| {
                    (0..rows.rows).for_each(|row| take(rows, row));
                    last = rows.rows.checked_sub(1).and_then(|row| rows.owned(0, row)).or(last.take());
                    Ok(())
                })
                .await?;
                match last {
                    Some(last) => after = last,
                    None => break,
                }
            }
        }
        Ok(())
    }
}

fn text(rows: &Cells, row: usize) -> Option<PostText> {
    Some(PostText {
        id: PostId::parse(rows.text(0, row)?).ok()?,
        author: rows.owned(1, row),
        language: rows.owned(2, row),
        text: rows.string(3, row),
        occurred_at: rows.time(4, row)?,
    })
}

//! Topics: listed with their volume, edited, and their query checked while it is written, with what it would have caught.

use super::{Analyst, Body, QUERY, Viewer};
use crate::answers::{Row, each, micros};
use crate::app::App;
use crate::error::Error;
use crate::filter::TimeRange;
use crate::query::in_range;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use domain::topic::Query;
use domain::{Author, Post, PostId, Rows, Topic};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

const TOPIC: &str = "topic";
const TOPICS_MAX: usize = 500;
const QUERY_LENGTH_MAX: usize = 4096;

/// A name of a topic, rule, category or saved query: 1 to 64 characters, none of them control characters.
pub(super) fn checked_name(field: &str, name: &str) -> Result<String, Error> {
    let name = name.trim();
    match (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err(Error::bad_field(field, "A name has 1 to 64 characters.")),
    }
}

/// Refuses a query that can't be read, pointing at the place.
fn checked_query(query: &str) -> Result<Query, Error> {
    if query.len() > QUERY_LENGTH_MAX {
        return Err(Error::bad_field("query", format!("A query has at most {QUERY_LENGTH_MAX} bytes.")));
    }
    if query.trim().is_empty() {
        return Err(Error::bad_field("query", "Write what to listen for, for example: airline (delay OR cancelled)"));
    }
    Query::parse(query).map_err(|error| {
        let begin = u32::try_from(error.at).unwrap_or(0);
        Error::bad_text("query", error.message, begin, begin + 1)
    })
}

/// A topic with its volume.
#[derive(Serialize, ToSchema)]
pub(crate) struct TopicView {
    name: String,
    query: String,
    created_at: DateTime<Utc>,
    /// Mentions of the last day.
    mentions_day: u64,
    /// Mentions of the last seven days.
    mentions_week: u64,
    /// When it was last mentioned, within the last seven days.
    newest_at: Option<DateTime<Utc>>,
}

/// All topics.
#[utoipa::path(get, path = "/api/topics", tag = "topics", responses((status = 200, body = Vec<TopicView>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<TopicView>>, Error> {
    let kept = app.state.list(TOPIC).await.map_err(Error::of_port)?;
    let now = app.clock.now();
    // Whole minutes, so that the same question is asked again within one.
    let minute = now - Duration::seconds(now.timestamp() % 60);
    let to = minute + Duration::minutes(1);
    let week = TimeRange { from: to - Duration::days(7), to };
    let sql = format!(
        "SELECT topic, count(*) AS week, count(*) FILTER (WHERE occurred_at >= {}) AS day, \
         CAST(max(occurred_at) AS BIGINT) AS newest_us \
         FROM (SELECT unnest(topics) AS topic, occurred_at FROM sentiment WHERE {}) GROUP BY topic",
        crate::query::time(to - Duration::days(1)),
        in_range(week)
    );
    let rows = app.answers.ask(sql, TOPICS_MAX * 2, now).await?;
    let volumes: HashMap<String, (u64, u64, Option<DateTime<Utc>>)> = each(&rows)
        .filter_map(|row| Some((row.text("topic")?, (row.count("day"), row.count("week"), row.time("newest")))))
        .collect();
    let views = kept.into_iter().map(|(_, value)| {
        let Topic { name, query, created_at } = serde_json::from_value(value).map_err(Error::internal)?;
        let (mentions_day, mentions_week, newest_at) = volumes.get(&name).copied().unwrap_or_default();
        Ok(TopicView { name, query, created_at, mentions_day, mentions_week, newest_at })
    });
    views.collect::<Result<Vec<_>, Error>>().map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicBody {
    /// `AND OR NOT`, parentheses, "phrases", `#tag`, `@user`, `from:`, `lang:`.
    query: String,
}

/// Adds or replaces a topic. Posts that are here already are matched again by `overheard reprocess`.
#[utoipa::path(put, path = "/api/topics/{name}", tag = "topics", params(("name" = String, Path)),
    request_body = TopicBody, responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
    Body(body): Body<TopicBody, QUERY>,
) -> Result<StatusCode, Error> {
    let name = checked_name("name", &name)?;
    checked_query(&body.query)?;
    let known = app.state.list(TOPIC).await.map_err(Error::of_port)?;
    let before = known.iter().find(|(key, _)| *key == name);
    if known.len() >= TOPICS_MAX && before.is_none() {
        return Err(Error::conflict("name", format!("There are {TOPICS_MAX} topics already; remove one first.")));
    }
    let created_at = before
        .and_then(|(_, value)| serde_json::from_value::<Topic>(value.clone()).ok())
        .map_or_else(|| app.clock.now(), |topic| topic.created_at);
    let topic = Topic { name: name.clone(), query: body.query.trim().to_owned(), created_at };
    let value = serde_json::to_value(&topic).map_err(Error::internal)?;
    app.state.put(TOPIC, &name, value).await.map_err(Error::of_port)?;
    tracing::info!(topic = name, by = who.name, "topic saved");
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a topic; posts that mention it stay.
#[utoipa::path(delete, path = "/api/topics/{name}", tag = "topics", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    if !app.state.delete(TOPIC, &name).await.map_err(Error::of_port)? {
        return Err(Error::not_found("There is no topic of this name."));
    }
    tracing::info!(topic = name, by = who.name, "topic removed");
    Ok(StatusCode::NO_CONTENT)
}

/// A post that a query would have caught.
#[derive(Serialize, ToSchema)]
pub(crate) struct Caught {
    post_id: String,
    text: String,
    author: Option<String>,
    occurred_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Preview {
    /// Posts of the last seven days that were tried, the newest ones.
    tried: u64,
    /// Of those, posts that the query catches.
    caught: u64,
    /// How many posts a day it would bring, by those tried.
    per_day: f64,
    /// The newest of them, at most ten.
    examples: Vec<Caught>,
}

/// Posts tried by a preview: enough to judge a query, few enough to answer while it is typed.
const TRIED_MAX: usize = 5000;
const EXAMPLES_MAX: usize = 10;

/// Checks a query (400 points at the place that is wrong) and says what it would have caught among the newest posts that
/// are here. What no topic has caught so far is not here, so a new subject may show nothing.
#[utoipa::path(post, path = "/api/topics/check", tag = "topics", request_body = TopicBody,
    responses((status = 200, body = Preview)))]
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    _: Analyst,
    Body(body): Body<TopicBody, QUERY>,
) -> Result<Json<Preview>, Error> {
    let query = checked_query(&body.query)?;
    let now = app.clock.now();
    let range = TimeRange { from: now - Duration::days(7), to: now };
    let sql = format!(
        "SELECT post_id, text, author, language, {} FROM sentiment WHERE {} ORDER BY occurred_at DESC LIMIT {TRIED_MAX}",
        micros("occurred_at"),
        in_range(range)
    );
    let rows = app.answers.ask(sql, TRIED_MAX, now).await?;
    // Thousands of texts take some milliseconds of a core: not on the threads that answer everybody.
    tokio::task::spawn_blocking(move || preview(&query, &rows)).await.map(Json).map_err(Error::internal)
}

fn preview(query: &Query, rows: &Rows) -> Preview {
    let (mut caught, mut examples, mut oldest, mut newest) = (0, Vec::new(), None, None);
    for row in each(rows) {
        let Some(post) = post_of(&row) else { continue };
        oldest = Some(post.occurred_at);
        newest = newest.or(oldest);
        if query.matches(&post, row.text("language").as_deref()) {
            caught += 1;
            if examples.len() < EXAMPLES_MAX {
                let author = post.author.and_then(|author| author.username);
                let (post_id, occurred_at) = (post.id.to_string(), post.occurred_at);
                examples.push(Caught { post_id, text: post.text, author, occurred_at });
            }
        }
    }
    let hours = newest.zip(oldest).map_or(0, |(newest, oldest)| (newest - oldest).num_hours());
    // Less than a day of posts says nothing of a day: then what was caught is what a day brings, at least.
    let days = (hours as f64 / 24.0).max(1.0);
    Preview { tried: rows.rows.len() as u64, caught, per_day: caught as f64 / days, examples }
}

/// As much of a post as a query looks at.
fn post_of(row: &Row<'_>) -> Option<Post> {
    let id = PostId::parse(row.text("post_id")?).ok()?;
    let author = Some(Author { username: row.text("author"), ..Author::default() });
    Some(Post { author, ..Post::of_text(id, row.text("text")?, row.time("occurred_at")?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mistake_is_pointed_at() {
        let problem = checked_query("airline AND (delay").unwrap_err();
        assert_eq!(problem.problem().field.as_deref(), Some("query"));
        assert!(problem.problem().begin.is_some(), "{problem}");
        assert!(checked_query("airline (delay OR \"late flight\")").is_ok());
    }

    #[test]
    fn a_preview_counts_what_the_query_would_have_caught() {
        let names = ["post_id", "text", "author", "language", "occurred_at_us"];
        let column = |name: &&str| domain::Column { name: (*name).into(), data_type: String::new() };
        let row = |id: u32, text: &str, hour: i64| {
            vec![json!(format!("x:{id}")), json!(text), json!("ada"), json!("en"), json!(hour * 3_600_000_000)]
        };
        let rows = Rows {
            columns: names.iter().map(column).collect(),
            rows: vec![row(1, "my flight is late", 96), row(2, "sunny day", 60), row(3, "Late again", 48)],
            truncated: false,
        };
        let preview = preview(&checked_query("late").unwrap(), &rows);
        assert_eq!((preview.tried, preview.caught, preview.per_day), (3, 2, 1.0));
        assert_eq!(preview.examples[1].text, "Late again");
    }
}

//! Topics: listed with their volume, edited, and their query checked while it is written, with what it would have caught.

use super::{Analyst, Body, QUERY, Viewer};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use domain::analytics::{PostText, RecentTextsQuery, TopicVolume, TopicVolumesQuery};
use domain::topic::Query;
use domain::{Author, Fault, Post, TimeRange, Topic};
use serde::{Deserialize, Serialize};
use state::Topics;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Refuses a query that can't be read, pointing at the place.
fn checked_query(query: &str) -> Result<Query, Error> {
    Query::parse(query).map_err(|error| Fault::of_query("query", error).into())
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
    let saved = Topics::new(app.state.as_ref()).list().await.map_err(Error::of_port)?;
    let now = app.clock.now();
    // Whole minutes, so that the same question is asked again within one.
    let minute = now - Duration::seconds(now.timestamp() % 60);
    let query = TopicVolumesQuery { to: minute + Duration::minutes(1) };
    let volumes = app.answers.ask(&query, now).await?;
    let volumes: HashMap<&str, &TopicVolume> = volumes.iter().map(|volume| (volume.topic.as_str(), volume)).collect();
    let views = saved.into_iter().map(|Topic { name, query, created_at }| {
        let volume = volumes.get(name.as_str());
        TopicView {
            mentions_day: volume.map_or(0, |volume| volume.day),
            mentions_week: volume.map_or(0, |volume| volume.week),
            newest_at: volume.map(|volume| volume.newest_at),
            name,
            query,
            created_at,
        }
    });
    Ok(Json(views.collect()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicBody {
    /// `AND OR NOT`, parentheses, "phrases", `#tag`, `@user`, `from:`, `lang:`.
    query: String,
}

/// Adds or replaces a topic. Run `overheard reprocess` to apply it to stored posts.
#[utoipa::path(put, path = "/api/topics/{name}", tag = "topics", params(("name" = String, Path)),
    request_body = TopicBody, responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
    Body(body): Body<TopicBody, QUERY>,
) -> Result<StatusCode, Error> {
    let topic = Topic { name, query: body.query, created_at: app.clock.now() }.trimmed();
    let name = topic.name.clone();
    Topics::new(app.state.as_ref()).save(topic).await?;
    tracing::info!(topic = name, by = who.name, "topic saved");
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a topic. Posts that mention it are kept.
#[utoipa::path(delete, path = "/api/topics/{name}", tag = "topics", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    if !Topics::new(app.state.as_ref()).delete(&name).await.map_err(Error::of_port)? {
        return Err(Error::not_found("There is no topic with this name."));
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

/// Checks a query (400 with the position of an error) and previews it on the newest stored posts. Sources that drop posts
/// without a topic may have stored nothing about a new subject.
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
    let recent = RecentTextsQuery { range, limit: TRIED_MAX };
    let texts = app.answers.ask(&recent, now).await?;
    // Thousands of texts take some milliseconds of a core: not on the threads that answer everybody.
    tokio::task::spawn_blocking(move || preview(&query, &texts)).await.map(Json).map_err(Error::internal)
}

fn preview(query: &Query, texts: &[PostText]) -> Preview {
    let (mut caught, mut examples) = (0, Vec::new());
    for tried in texts {
        if query.matches(&post_of(tried), tried.language.as_deref()) {
            caught += 1;
            if examples.len() < EXAMPLES_MAX {
                examples.push(Caught {
                    post_id: tried.id.to_string(),
                    text: tried.text.clone(),
                    author: tried.author.clone(),
                    occurred_at: tried.occurred_at,
                });
            }
        }
    }
    let hours = texts.first().zip(texts.last());
    let hours = hours.map_or(0, |(newest, oldest)| (newest.occurred_at - oldest.occurred_at).num_hours());
    // Less than a day of posts says nothing of a day: then what was caught is what a day brings, at least.
    let days = (hours as f64 / 24.0).max(1.0);
    Preview { tried: texts.len() as u64, caught, per_day: caught as f64 / days, examples }
}

/// As much of a post as a query looks at.
fn post_of(text: &PostText) -> Post {
    let author = Some(Author { username: text.author.clone(), ..Author::default() });
    Post { author, ..Post::of_text(text.id.clone(), text.text.clone(), text.occurred_at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PostId;

    #[test]
    fn a_mistake_is_pointed_at() {
        let problem = checked_query("airline AND (delay").unwrap_err();
        assert_eq!(problem.problem().field.as_deref(), Some("query"));
        assert!(problem.problem().begin.is_some(), "{problem}");
        assert!(checked_query("airline (delay OR \"late flight\")").is_ok());
    }

    #[test]
    fn a_preview_counts_what_the_query_would_have_caught() {
        let tried = |id: u32, text: &str, hour: i64| PostText {
            id: PostId::new("x", &id.to_string()).unwrap(),
            text: text.into(),
            author: Some("ada".into()),
            language: Some("en".into()),
            occurred_at: DateTime::from_timestamp(hour * 3_600, 0).unwrap(),
        };
        let texts = [tried(1, "my flight is late", 96), tried(2, "sunny day", 60), tried(3, "Late again", 48)];
        let preview = preview(&checked_query("late").unwrap(), &texts);
        assert_eq!((preview.tried, preview.caught, preview.per_day), (3, 2, 1.0));
        assert_eq!(preview.examples[1].text, "Late again");
    }
}

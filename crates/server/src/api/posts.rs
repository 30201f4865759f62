//! Posts: the newest in view, page by page, and one in full.

use super::labels::{Correction, corrections};
use super::post::{EntityView, PostView, columns};
use super::{Params, Viewer};
use crate::answers::{each, micros};
use crate::app::App;
use crate::error::Error;
use crate::filter::{Filter, FilterParams, TimeRange};
use crate::query::{self, in_range, literal};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use domain::{PostId, Question, Rows};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PostsParams {
    /// 1 to 200; 50 when left out.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// `copies` shows reposts and near-duplicates as one post.
    group: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Posts {
    posts: Vec<PostView>,
    /// Cursor of the next page; none: this is the last.
    next: Option<String>,
    version: u64,
}

/// Which posts a page shows.
struct Chosen {
    post_id: String,
    at: DateTime<Utc>,
    copies: u64,
}

/// Posts in view, the newest first.
#[utoipa::path(get, path = "/api/posts", tag = "posts", params(FilterParams, PostsParams),
    responses((status = 200, body = Posts)))]
pub(crate) async fn posts(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<PostsParams>,
) -> Result<Json<Posts>, Error> {
    let limit = params.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Error::bad_field("limit", "limit lies between 1 and 200."));
    }
    let grouped = match params.group.as_deref() {
        None => false,
        Some("copies") => true,
        Some(_) => return Err(Error::bad_field("group", "Posts can be grouped by copies.")),
    };
    let after = params.cursor.as_deref().map(parse_cursor).transpose()?;
    let version = app.answers.version();
    let rows = match grouped {
        true => app.answers.ask(choice(&filter, after.as_ref(), true, limit + 1), limit + 1, app.clock.now()).await?,
        false => newest(&app, &filter, after.as_ref(), limit + 1).await?,
    };
    let mut chosen: Vec<Chosen> = each(&rows)
        .filter_map(|row| {
            let (post_id, at) = (row.text("post_id")?, row.time("occurred_at")?);
            Some(Chosen { post_id, at, copies: row.count("copies").max(1) })
        })
        .collect();
    let more = chosen.len() > limit;
    chosen.truncate(limit);
    let next = chosen.last().filter(|_| more).map(|last| format!("{}.{}", last.at.timestamp_micros(), last.post_id));
    Ok(Json(Posts { posts: in_full(&app, &chosen).await?, next, version }))
}

/// The newest posts behind the cursor. Only as much of the range is read as holds them.
async fn newest(
    app: &App,
    filter: &Filter,
    after: Option<&(DateTime<Utc>, String)>,
    limit: usize,
) -> Result<Arc<Rows>, Error> {
    let TimeRange { from, to } = filter.range;
    let to = after.map_or(to, |(at, _)| to.min(*at + Duration::microseconds(1)));
    let older = filter.within(TimeRange { from, to: after.map_or(to, |(at, _)| to.min(*at)) });
    let (question, now) = (Question::NthNewest { nth: limit }, app.clock.now());
    let starts = match app.answers.count_held(&older, question).await.map_err(Error::of_port)? {
        Some(rows) => vec![each(&rows).next().and_then(|row| row.time("at")).unwrap_or(older.range.to)],
        // Words: the last part of the range may do.
        None => vec![to - (to - from) / 64, to - (to - from) / 8, from],
    };
    let mut rows = Arc::default();
    for start in starts {
        let filter = filter.within(TimeRange { from: start.max(from), to });
        rows = app.answers.ask(choice(&filter, after, false, limit), limit, now).await?;
        if rows.rows.len() >= limit {
            break;
        }
    }
    Ok(rows)
}

fn parse_cursor(cursor: &str) -> Result<(DateTime<Utc>, String), Error> {
    let parsed = cursor.split_once('.').and_then(|(at, id)| {
        let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
        Some((at, PostId::parse(id).ok()?.as_str().to_owned()))
    });
    parsed.ok_or_else(|| Error::bad_field("cursor", "This is no cursor of ours. Start from the first page."))
}

/// Ids and times alone: only the chosen rows are then read in full.
fn choice(filter: &Filter, after: Option<&(DateTime<Utc>, String)>, grouped: bool, limit: usize) -> String {
    let conditions = query::posts_where(filter);
    let behind = |time: &str, id: &str| {
        after.map(|(at, post_id)| {
            let (at, post_id) = (query::time(*at), literal(post_id));
            format!("({time} < {at} OR ({time} = {at} AND {id} < {post_id}))")
        })
    };
    if grouped {
        let having = behind("newest_at", "post_id").map_or(String::new(), |behind| format!(" WHERE {behind}"));
        return format!(
            "SELECT post_id, CAST(newest_at AS BIGINT) AS occurred_at_us, copies FROM (\
             SELECT last_value(post_id ORDER BY occurred_at, post_id) AS post_id, max(occurred_at) AS newest_at, \
             count(*) AS copies FROM sentiment WHERE {conditions} \
             GROUP BY coalesce(CAST(fingerprint AS VARCHAR), repost_of, post_id)){having} \
             ORDER BY newest_at DESC, post_id DESC LIMIT {limit}"
        );
    }
    let behind = behind("occurred_at", "post_id").map_or(String::new(), |behind| format!(" AND {behind}"));
    format!(
        "SELECT post_id, {}, 1 AS copies FROM sentiment WHERE {conditions}{behind} \
         ORDER BY occurred_at DESC, post_id DESC LIMIT {limit}",
        micros("occurred_at")
    )
}

/// The chosen posts with their entities and corrections, in the order chosen.
async fn in_full(app: &App, chosen: &[Chosen]) -> Result<Vec<PostView>, Error> {
    let (Some(from), Some(last)) = (chosen.iter().map(|c| c.at).min(), chosen.iter().map(|c| c.at).max()) else {
        return Ok(Vec::new());
    };
    let range = TimeRange { from, to: last + Duration::microseconds(1) };
    let ids = chosen.iter().map(|one| literal(&one.post_id)).collect::<Vec<_>>().join(", ");
    let conditions = format!("{} AND post_id IN ({ids})", in_range(range));
    let rows = format!("SELECT {} FROM sentiment WHERE {conditions}", columns());
    let entities = format!(
        "SELECT post_id, entity, kind, confidence, begin, \"end\" FROM entities WHERE {conditions} ORDER BY begin"
    );
    let now = app.clock.now();
    let (rows, entities) =
        tokio::try_join!(app.answers.ask(rows, chosen.len() * 2, now), app.answers.ask(entities, 50_000, now))?;
    let mut found: HashMap<String, PostView> =
        each(&rows).map(|row| PostView::of_row(&row)).map(|post| (post.post_id.clone(), post)).collect();
    for row in each(&entities) {
        if let Some(post) = row.text("post_id").and_then(|id| found.get_mut(&id)) {
            post.entities.push(EntityView::of_row(&row));
        }
    }
    let mut posts = Vec::with_capacity(chosen.len());
    for one in chosen {
        if let Some(mut post) = found.remove(&one.post_id) {
            post.copies = one.copies;
            post.correction = corrections(app, &one.post_id).await?.pop();
            posts.push(post);
        }
    }
    Ok(posts)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostParams {
    /// `platform:native_id`.
    id: String,
    /// When it was written, if known: finds it much faster.
    at: Option<DateTime<Utc>>,
}

/// A phrase that says what the text is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhraseView {
    phrase: String,
    confidence: f64,
    begin: u32,
    end: u32,
}

/// A post that says nearly the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CopyView {
    post_id: String,
    author: Option<String>,
    platform: String,
    occurred_at: DateTime<Utc>,
    url: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PostDetail {
    post: PostView,
    key_phrases: Vec<PhraseView>,
    /// Others within three days that say nearly the same, the newest first, at most twenty.
    copies: Vec<CopyView>,
    /// The platform's own JSON.
    payload: Option<String>,
    /// How it came: `stream`, `search`, `push`, `file`, `sample`.
    provenance: Option<String>,
    /// Every correction, the newest last.
    corrections: Vec<Correction>,
}

/// One post in full.
#[utoipa::path(get, path = "/api/post", tag = "posts", params(PostParams), responses((status = 200, body = PostDetail)))]
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    _: Viewer,
    Params(params): Params<PostParams>,
) -> Result<Json<PostDetail>, Error> {
    let id = PostId::parse(params.id).map_err(|error| Error::of_input("id", error))?;
    let now = app.clock.now();
    let at = match params.at {
        Some(at) => at,
        None => {
            let sql = format!(
                "SELECT {} FROM sentiment WHERE post_id = {} LIMIT 1",
                micros("occurred_at"),
                literal(id.as_str())
            );
            let rows = app.answers.ask(sql, 1, now).await?;
            each(&rows).next().and_then(|row| row.time("occurred_at")).ok_or_else(absent)?
        }
    };
    let mut found = in_full(&app, &[Chosen { post_id: id.to_string(), at, copies: 1 }]).await?;
    let post = found.pop().ok_or_else(absent)?;
    detail(&app, post).await.map(Json)
}

fn absent() -> Error {
    Error::not_found("This post is not here. It may have been deleted on its platform.")
}

async fn detail(app: &App, post: PostView) -> Result<PostDetail, Error> {
    let at = TimeRange { from: post.occurred_at, to: post.occurred_at + Duration::microseconds(1) };
    let near = TimeRange { from: post.occurred_at - Duration::days(3), to: post.occurred_at + Duration::days(3) };
    let (id, here) = (literal(&post.post_id), in_range(at));
    let questions = [
        format!("SELECT phrase, confidence, begin, \"end\" FROM key_phrases WHERE {here} AND post_id = {id}"),
        format!("SELECT payload, provenance FROM raw WHERE {here} AND post_id = {id} LIMIT 1"),
        format!(
            "SELECT post_id, author, platform, {}, url FROM sentiment WHERE {} AND post_id <> {id} AND fingerprint = \
             (SELECT max(fingerprint) FROM sentiment WHERE {here} AND post_id = {id}) \
             ORDER BY occurred_at DESC LIMIT 20",
            micros("occurred_at"),
            in_range(near)
        ),
    ];
    let now = app.clock.now();
    let answers = try_join_all(questions.map(|sql| app.answers.ask(sql, 200, now))).await?;
    let phrases = each(&answers[0]).filter_map(|row| {
        let place = |name| u32::try_from(row.count(name)).unwrap_or(0);
        let confidence = row.number("confidence").unwrap_or(0.0);
        Some(PhraseView { phrase: row.text("phrase")?, confidence, begin: place("begin"), end: place("end") })
    });
    let copies = each(&answers[2]).map(|row| {
        let view = PostView::of_row(&row);
        CopyView {
            post_id: view.post_id,
            author: row.text("author"),
            platform: row.text("platform").unwrap_or_default(),
            occurred_at: view.occurred_at,
            url: row.text("url").filter(|url| url.starts_with("http")),
        }
    });
    let raw = each(&answers[1]).next();
    let corrections = corrections(app, &post.post_id).await?;
    Ok(PostDetail {
        key_phrases: phrases.collect(),
        copies: copies.collect(),
        payload: raw.as_ref().and_then(|row| row.text("payload")),
        provenance: raw.as_ref().and_then(|row| row.text("provenance")),
        corrections,
        post,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_checked_before_it_is_used() {
        let (at, id) = parse_cursor("1790000000000000.bluesky:at://did:plc:abc/1").unwrap();
        assert_eq!((at.timestamp(), id.as_str()), (1_790_000_000, "bluesky:at://did:plc:abc/1"));
        for bad in ["", "x.y", "1.", "1790000000000000.x:1 OR 1=1", "99999999999999999999.x:1"] {
            assert!(parse_cursor(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_next_page_begins_behind_the_last_post_even_within_one_instant() {
        let filter = Filter::parse("", "2026-11-23T07:00:00Z".parse().unwrap()).unwrap();
        let after = ("2026-11-23T06:00:00Z".parse().unwrap(), "x:9".to_owned());
        let sql = choice(&filter, Some(&after), false, 51);
        assert!(sql.contains("AND post_id < 'x:9'"), "{sql}");
        assert!(choice(&filter, Some(&after), true, 51).contains("WHERE (newest_at <"));
    }
}

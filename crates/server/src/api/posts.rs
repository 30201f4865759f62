//! Posts: the newest in view, page by page, and one in full.

use super::labels::{Correction, corrections};
use super::post::{PostView, decimal, web_address};
use super::{Filtered, Params, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::filter::{FilterParams, checked_at, is_plausible};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::analytics::{Cursor, FoundPost, PostCopy, PostQuery, PostsQuery};
use domain::{KeyPhrase, PostId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PostsParams {
    /// 1 to 200 (default 50).
    limit: Option<usize>,
    /// `next` of the previous page.
    cursor: Option<String>,
    /// `copies`: return reposts and near-duplicates as one post.
    group: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Posts {
    posts: Vec<PostView>,
    /// Cursor of the next page; null on the last page.
    next: Option<String>,
    version: u64,
}

/// Matching posts, newest first.
#[utoipa::path(get, path = "/api/posts", tag = "posts", params(FilterParams, PostsParams),
    responses((status = 200, body = Posts)))]
pub(crate) async fn posts(
    State(app): State<Arc<App>>,
    _: Viewer,
    Filtered(filter, params): Filtered<PostsParams>,
) -> Result<Json<Posts>, Error> {
    let limit = params.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Error::bad_field("limit", "limit must be between 1 and 200."));
    }
    let group_copies = match params.group.as_deref() {
        None => false,
        Some("copies") => true,
        Some(_) => return Err(Error::bad_field("group", "Posts can be grouped by copies.")),
    };
    let after = params.cursor.as_deref().map(parse_cursor).transpose()?;
    let version = app.answers.version();
    let query = PostsQuery { selection: filter.selection, after, group_copies, limit };
    let page = app.answers.ask(&query, app.clock.now()).await?;
    let mut posts = Vec::with_capacity(page.posts.len());
    for post in &page.posts {
        posts.push(with_correction(&app, post).await?);
    }
    let next = page.next.as_ref().map(|next| format!("{}.{}", next.at.timestamp_micros(), next.post_id));
    Ok(Json(Posts { posts, next, version }))
}

async fn with_correction(app: &App, post: &FoundPost) -> Result<PostView, Error> {
    let correction = corrections(app, post.post.id.as_str()).await?.pop();
    Ok(PostView::of(post, correction))
}

fn parse_cursor(cursor: &str) -> Result<Cursor, Error> {
    let parsed = cursor.split_once('.').and_then(|(at, id)| {
        let at = DateTime::from_timestamp_micros(at.parse().ok()?).filter(|at| is_plausible(*at))?;
        Some(Cursor { at, post_id: PostId::parse(id).ok()? })
    });
    parsed.ok_or_else(|| Error::bad_field("cursor", "Invalid cursor. Start from the first page."))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostParams {
    /// `platform:native_id`.
    id: String,
    /// When the post was published; makes the lookup faster.
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
    /// Near-duplicates within three days, newest first, at most 20.
    copies: Vec<CopyView>,
    /// The platform's own JSON.
    payload: Option<String>,
    /// How it was ingested: `stream`, `search`, `push`, `file`, `sample`.
    provenance: Option<String>,
    /// All corrections, oldest first.
    corrections: Vec<Correction>,
}

/// One post with all details.
#[utoipa::path(get, path = "/api/post", tag = "posts", params(PostParams), responses((status = 200, body = PostDetail)))]
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    _: Viewer,
    Params(params): Params<PostParams>,
) -> Result<Json<PostDetail>, Error> {
    let id = PostId::parse(params.id).map_err(|error| Error::of_input("id", error))?;
    let query = PostQuery { id, at: checked_at(params.at)? };
    let found = app.answers.ask(&query, app.clock.now()).await?;
    let found = found
        .as_ref()
        .as_ref()
        .ok_or_else(|| Error::not_found("This post is not here. It may have been deleted on its platform."))?;
    let corrections = corrections(&app, query.id.as_str()).await?;
    let correction = corrections.last().cloned();
    Ok(Json(PostDetail {
        post: PostView::of(&found.post, correction),
        key_phrases: found.key_phrases.iter().map(PhraseView::of).collect(),
        copies: found.copies.iter().map(CopyView::of).collect(),
        payload: found.payload.clone(),
        provenance: found.provenance.clone(),
        corrections,
    }))
}

impl PhraseView {
    fn of(phrase: &KeyPhrase) -> Self {
        let KeyPhrase { text, confidence, begin, end } = phrase;
        Self { phrase: text.clone(), confidence: decimal(*confidence), begin: *begin, end: *end }
    }
}

impl CopyView {
    fn of(copy: &PostCopy) -> Self {
        Self {
            post_id: copy.id.to_string(),
            author: copy.author.clone(),
            platform: copy.platform.clone(),
            occurred_at: copy.occurred_at,
            url: web_address(copy.url.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_checked_before_it_is_used() {
        let Cursor { at, post_id } = parse_cursor("1790000000000000.bluesky:at://did:plc:abc/1").unwrap();
        assert_eq!((at.timestamp(), post_id.as_str()), (1_790_000_000, "bluesky:at://did:plc:abc/1"));
        // The last one is within a day of the latest time that there is.
        for bad in
            ["", "x.y", "1.", "1790000000000000.x:1 OR 1=1", "99999999999999999999.x:1", "8210266876799999999.x:1"]
        {
            assert!(parse_cursor(bad).is_err(), "{bad:?}");
        }
    }
}

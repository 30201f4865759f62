//! How the house does: queue, lag, disk; and the dead letters, to look at, replay or give up.

use super::{Admin, Body, Params, Viewer};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::{DeadLetter, Replayed, SystemReport};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};
use utoipa::{IntoParams, ToSchema};

/// How full the queue is.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueView {
    waiting: u64,
    in_flight: u64,
    dead_letters: u64,
    /// Records ever appended.
    appended: u64,
    /// Appends refused because the post was kept already.
    duplicates: u64,
    /// Age of the oldest record not yet committed, milliseconds.
    oldest_ms: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct System {
    report: SystemReport,
    queue: QueueView,
    /// Version of the lake.
    lake_version: u64,
    /// Open live streams.
    streams: usize,
}

/// Status of the installation.
#[utoipa::path(get, path = "/api/system", tag = "system", responses((status = 200, body = System)))]
pub(crate) async fn system(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<System>, Error> {
    let (report, depth) = tokio::join!(app.ports.system.system(), app.queue.depth());
    let depth = depth.map_err(Error::of_port)?;
    let queue = QueueView {
        waiting: depth.waiting,
        in_flight: depth.in_flight,
        dead_letters: depth.dead_letters,
        appended: depth.appended,
        duplicates: depth.duplicates,
        oldest_ms: depth.oldest_ms,
    };
    let streams = app.streams.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
    Ok(Json(System { report, queue, lake_version: app.answers.version(), streams }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LettersParams {
    /// 1 to 500 (default 100).
    limit: Option<usize>,
}

/// Something that could not be kept or understood.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterView {
    id: u64,
    source: String,
    /// The platform of its posts, where they name none.
    platform: String,
    /// In words: what is wrong and where.
    reason: String,
    /// What came in, as far as it is text.
    payload: String,
    occurred_at: DateTime<Utc>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { id, source, platform, reason, payload, occurred_at, .. } = letter;
        Self { id, source, platform, reason, payload, occurred_at }
    }
}

/// Dead letters, newest first.
#[utoipa::path(get, path = "/api/dead-letters", tag = "system", params(LettersParams),
    responses((status = 200, body = Vec<DeadLetterView>)))]
pub(crate) async fn dead_letters(
    State(app): State<Arc<App>>,
    _: Admin,
    Params(params): Params<LettersParams>,
) -> Result<Json<Vec<DeadLetterView>>, Error> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Error::bad_field("limit", "limit must be between 1 and 500."));
    }
    let letters = app.queue.dead_letters(limit).await.map_err(Error::of_port)?;
    Ok(Json(letters.into_iter().map(DeadLetterView::from).collect()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterId {
    id: u64,
}

/// The id, if a dead letter can have it.
fn checked(id: u64) -> Result<u64, Error> {
    match i64::try_from(id) {
        Ok(1..) => Ok(id),
        _ => Err(Error::bad_field("id", format!("id must be between 1 and {}.", i64::MAX))),
    }
}

async fn letter(app: &App, id: u64) -> Result<DeadLetter, Error> {
    app.queue.find_dead_letter(id).await.map_err(Error::of_port)?.ok_or_else(gone)
}

fn gone() -> Error {
    Error::not_found("There is no dead letter with this id; it may have been replayed already.")
}

/// Replays a dead letter. It is removed only if that succeeds.
#[utoipa::path(post, path = "/api/dead-letters/replay", tag = "system", request_body = LetterId,
    responses((status = 200, body = Replayed)))]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Body(body): Body<LetterId>,
) -> Result<Json<Replayed>, Error> {
    let letter = letter(&app, checked(body.id)?).await?;
    let replayed = app.ports.posts.replay(&letter).await.map_err(|error| Error::of_input("id", error))?;
    if replayed.reason.is_none() {
        app.queue.remove_dead_letter(body.id).await.map_err(Error::of_port)?;
    }
    tracing::info!(letter = body.id, accepted = replayed.accepted, by = who.name, "dead letter replayed");
    Ok(Json(replayed))
}

/// Discards a dead letter.
#[utoipa::path(delete, path = "/api/dead-letters", tag = "system", request_body = LetterId,
    responses((status = 204)))]
pub(crate) async fn drop_letter(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Body(body): Body<LetterId>,
) -> Result<StatusCode, Error> {
    let removed = app.queue.remove_dead_letter(checked(body.id)?).await.map_err(Error::of_port)?.ok_or_else(gone)?;
    tracing::info!(letter = removed.id, by = who.name, "dead letter given up");
    Ok(StatusCode::NO_CONTENT)
}

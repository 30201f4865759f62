//! Sources: how each does, and those that people add, change, try out and remove.

use super::{Admin, Body, QUERY, Viewer};
use crate::app::App;
use crate::audit::Trail;
use crate::error::Error;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use domain::{AddedSource, Backfill, SourceError, SourceKind, SourceOrder, SourceStatus, SourceTrial};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Invalid(fault) => fault.into(),
            SourceError::Failed(error) => Self::of_port(error),
        }
    }
}

/// All sources with their status.
#[utoipa::path(get, path = "/api/sources", tag = "sources", responses((status = 200, body = Vec<SourceStatus>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Viewer) -> Json<Vec<SourceStatus>> {
    Json(app.ports.system.sources().await)
}

/// Sources that are adding past posts, with their progress. Detection waits until they are done.
#[utoipa::path(get, path = "/api/backfills", tag = "sources", responses((status = 200, body = Vec<Backfill>)))]
pub(crate) async fn backfills(State(app): State<Arc<App>>, _: Viewer) -> Json<Vec<Backfill>> {
    Json(app.ports.system.backfills())
}

/// Kinds of sources that can be added, with their settings.
#[utoipa::path(get, path = "/api/source-kinds", tag = "sources", responses((status = 200, body = Vec<SourceKind>)))]
pub(crate) async fn kinds(State(app): State<Arc<App>>, _: Viewer) -> Json<Vec<SourceKind>> {
    Json(app.ports.sources.kinds())
}

/// Sources that were added in the dashboard, without secrets. Others are defined in the config file.
#[utoipa::path(get, path = "/api/added-sources", tag = "sources", responses((status = 200, body = Vec<AddedSource>)))]
pub(crate) async fn added(State(app): State<Arc<App>>, _: Admin) -> Result<Json<Vec<AddedSource>>, Error> {
    app.ports.sources.added().await.map(Json).map_err(Error::of_port)
}

/// Adds or changes a source. It starts within seconds.
#[utoipa::path(put, path = "/api/added-sources/{name}", tag = "sources", params(("name" = String, Path)),
    request_body = SourceOrder, responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Extension(trail): Extension<Trail>,
    Path(name): Path<String>,
    Body(order): Body<SourceOrder, QUERY>,
) -> Result<StatusCode, Error> {
    let state = if order.enabled { "running" } else { "paused" };
    trail.about(format!("{name} ({}), {state}", order.kind));
    app.ports.sources.save(&name, order, &who.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes an added source. Its posts are kept.
#[utoipa::path(delete, path = "/api/added-sources/{name}", tag = "sources", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    match app.ports.sources.remove(&name).await.map_err(Error::of_port)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found("No source of this name was added here.")),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialBody {
    /// Name of a source that was added, whose secrets are used where the order has none.
    #[serde(default)]
    name: String,
    source: SourceOrder,
}

/// Tests a source: checks access to the platform, and reads the first posts if that is free. Stores nothing. Takes up to 15
/// seconds.
#[utoipa::path(post, path = "/api/source-trials", tag = "sources", request_body = TrialBody,
    responses((status = 200, body = SourceTrial)))]
pub(crate) async fn try_out(
    State(app): State<Arc<App>>,
    _: Admin,
    Body(body): Body<TrialBody, QUERY>,
) -> Result<Json<SourceTrial>, Error> {
    Ok(Json(app.ports.sources.try_out(&body.name, body.source).await?))
}

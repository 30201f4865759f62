//! Deleting posts for good, for admins.

use super::{Admin, Body};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use domain::{Forgotten, ToForget};
use std::sync::Arc;

/// Deletes posts and every copy of their words, or, unless `dry_run` is false, says which posts that would be. They are
/// never taken in again.
#[utoipa::path(post, path = "/api/forget", tag = "posts", request_body = ToForget,
    responses((status = 200, body = Forgotten)))]
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Body(body): Body<ToForget>,
) -> Result<Json<Forgotten>, Error> {
    let dry_run = body.dry_run;
    let forgotten = app.ports.posts.forget(body).await.map_err(|error| Error::of_input("posts", error))?;
    if !dry_run {
        tracing::info!(posts = forgotten.posts, by = who.name, "posts deleted");
    }
    Ok(Json(forgotten))
}

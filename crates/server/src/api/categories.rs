//! The user's own categories: names, what they mean, and examples that teach them.

use super::{Analyst, Body, LARGE, Viewer};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::CategoryDefinition;
use serde::Serialize;
use state::Categories;
use std::sync::Arc;
use utoipa::ToSchema;

/// The categories in use and where they were written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CategorySetView {
    /// `page`: saved here; `file`: of the configuration (`understand.categories`), which holds while nothing is saved
    /// here; `none`.
    from: &'static str,
    categories: Vec<CategoryDefinition>,
}

/// The active categories.
#[utoipa::path(get, path = "/api/categories", tag = "topics", responses((status = 200, body = CategorySetView)))]
pub(crate) async fn get(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<CategorySetView>, Error> {
    let categories = Categories::new(app.state.as_ref()).saved().await.map_err(Error::of_port)?;
    if !categories.is_empty() {
        return Ok(Json(CategorySetView { from: "page", categories }));
    }
    let categories = app.ports.system.preset_categories().await.map_err(Error::of_port)?;
    Ok(Json(CategorySetView { from: if categories.is_empty() { "none" } else { "file" }, categories }))
}

/// Replaces all categories; an empty list restores those of the config file. Applies to new posts.
#[utoipa::path(put, path = "/api/categories", tag = "topics", request_body = Vec<CategoryDefinition>,
    responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(categories): Body<Vec<CategoryDefinition>, LARGE>,
) -> Result<StatusCode, Error> {
    let count = categories.len();
    Categories::new(app.state.as_ref()).save(categories).await?;
    tracing::info!(categories = count, by = who.name, "categories saved");
    Ok(StatusCode::NO_CONTENT)
}

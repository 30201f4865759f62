//! The user's own categories: names, what they mean, and examples that teach them.

use super::{Analyst, Body, LARGE, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::operations::CategoryBody;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::StateStore;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

const CATEGORY_SET: &str = "category_set";
/// The one set in use.
const KEY: &str = "default";
const CATEGORIES_MAX: usize = 100;
const EXAMPLES_MAX: usize = 1000;

/// The categories in use and where they were written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CategorySetView {
    /// `page`: saved here; `file`: of the configuration (`understand.categories`), which holds while nothing is saved
    /// here; `none`.
    from: &'static str,
    categories: Vec<CategoryBody>,
}

/// What was saved on the page; empty: nothing, so the configuration's file holds.
pub async fn saved(state: &dyn StateStore) -> domain::Result<Vec<CategoryBody>> {
    let kept = state.get(CATEGORY_SET, KEY).await?;
    kept.map_or(Ok(Vec::new()), |value| {
        serde_json::from_value(value).map_err(|error| domain::Error::stop(format!("read the categories: {error}")))
    })
}

/// The categories in use.
#[utoipa::path(get, path = "/api/categories", tag = "topics", responses((status = 200, body = CategorySetView)))]
pub(crate) async fn get(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<CategorySetView>, Error> {
    let categories = saved(app.state.as_ref()).await.map_err(Error::of_port)?;
    if !categories.is_empty() {
        return Ok(Json(CategorySetView { from: "page", categories }));
    }
    let categories = app.operations.preset_categories().await.map_err(Error::of_port)?;
    Ok(Json(CategorySetView { from: if categories.is_empty() { "none" } else { "file" }, categories }))
}

/// Replaces all categories; an empty list goes back to the configuration's file. Posts that arrive from then on get them.
#[utoipa::path(put, path = "/api/categories", tag = "topics", request_body = Vec<CategoryBody>,
    responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(categories): Body<Vec<CategoryBody>, LARGE>,
) -> Result<StatusCode, Error> {
    check(&categories)?;
    let value = serde_json::to_value(&categories).map_err(Error::internal)?;
    app.state.put(CATEGORY_SET, KEY, value).await.map_err(Error::of_port)?;
    tracing::info!(categories = categories.len(), by = who.name, "categories saved");
    Ok(StatusCode::NO_CONTENT)
}

fn check(categories: &[CategoryBody]) -> Result<(), Error> {
    if categories.len() > CATEGORIES_MAX {
        return Err(Error::bad_field("categories", format!("At most {CATEGORIES_MAX} categories are kept.")));
    }
    if categories.len() == 1 {
        return Err(Error::bad_field("categories", "Two categories or more are needed to tell posts apart."));
    }
    let mut names = BTreeSet::new();
    for (at, category) in categories.iter().enumerate() {
        super::topics::checked_name(&format!("{at}.name"), &category.name)?;
        if !names.insert(category.name.to_lowercase()) {
            return Err(Error::bad_field(format!("{at}.name"), format!("\"{}\" is there twice.", category.name)));
        }
        if category.name.eq_ignore_ascii_case("other") {
            return Err(Error::bad_field(
                format!("{at}.name"),
                "\"other\" is what fits none of them; choose another name.",
            ));
        }
        if category.examples.len() > EXAMPLES_MAX {
            return Err(Error::bad_field(format!("{at}.examples"), format!("At most {EXAMPLES_MAX} examples each.")));
        }
        if category.description.trim().is_empty() && category.examples.is_empty() {
            let message = "Say in a sentence what belongs to it, or give an example.";
            return Err(Error::bad_field(format!("{at}.description"), message));
        }
    }
    Ok(())
}

//! The user's own categories: names, what they mean, and examples that teach them.

use super::Body;
use crate::app::App;
use crate::auth::{Analyst, Viewer};
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

const CATEGORY_SET: &str = "category_set";
/// The one set in use.
const KEY: &str = "default";
const CATEGORIES_MAX: usize = 100;
const EXAMPLES_MAX: usize = 1000;

/// One category.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryBody {
    name: String,
    /// What belongs to it, in words.
    #[serde(default)]
    description: String,
    /// Texts that belong to it.
    #[serde(default)]
    examples: Vec<String>,
}

/// All categories; an empty list means those that come with the program.
#[utoipa::path(get, path = "/api/categories", tag = "topics", responses((status = 200, body = Vec<CategoryBody>)))]
pub(crate) async fn get(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<CategoryBody>>, Error> {
    let kept = app.state.get(CATEGORY_SET, KEY).await.map_err(Error::of_port)?;
    kept.map_or(Ok(Vec::new()), |value| serde_json::from_value(value).map_err(Error::internal)).map(Json)
}

/// Replaces all categories.
#[utoipa::path(put, path = "/api/categories", tag = "topics", request_body = Vec<CategoryBody>,
    responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(categories): Body<Vec<CategoryBody>>,
) -> Result<StatusCode, Error> {
    check(&categories)?;
    let value = serde_json::to_value(&categories).map_err(Error::internal)?;
    app.state.put(CATEGORY_SET, KEY, value).await.map_err(Error::of_port)?;
    app.operations.topics_changed().await.map_err(Error::of_port)?;
    tracing::info!(categories = categories.len(), by = who.name, "categories saved");
    Ok(StatusCode::NO_CONTENT)
}

fn check(categories: &[CategoryBody]) -> Result<(), Error> {
    if categories.len() > CATEGORIES_MAX {
        return Err(Error::bad_field("categories", format!("At most {CATEGORIES_MAX} categories are kept.")));
    }
    let mut names = BTreeSet::new();
    for (at, category) in categories.iter().enumerate() {
        super::topics::checked_name(&format!("{at}.name"), &category.name)?;
        if !names.insert(category.name.to_lowercase()) {
            return Err(Error::bad_field(format!("{at}.name"), format!("\"{}\" is there twice.", category.name)));
        }
        if category.examples.len() > EXAMPLES_MAX {
            return Err(Error::bad_field(format!("{at}.examples"), format!("At most {EXAMPLES_MAX} examples each.")));
        }
    }
    Ok(())
}

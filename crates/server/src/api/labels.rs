//! Corrections: what a person says a post really is. Kept as labels for retraining, with their whole history: nothing is
//! overwritten, a withdrawal is an entry of its own.

use super::Body;
use crate::app::App;
use crate::auth::{Analyst, Viewer};
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{PostId, SentimentLabel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

const LABEL: &str = "label";

/// What someone said a post is, when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Correction {
    by: String,
    at: DateTime<Utc>,
    /// `positive`, `negative`, `neutral` or `mixed`; none: as the model said.
    sentiment: Option<String>,
    /// None: as the model said.
    category: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCorrection {
    post_id: String,
    #[schema(value_type = Option<String>)]
    sentiment: Option<SentimentLabel>,
    category: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Label {
    post_id: String,
    correction: Correction,
}

/// Every correction of a post, the oldest first.
pub(super) async fn corrections(app: &App, post_id: &str) -> Result<Vec<Correction>, Error> {
    let kept = app.state.get(LABEL, post_id).await.map_err(Error::of_port)?;
    kept.map_or(Ok(Vec::new()), |value| serde_json::from_value(value).map_err(Error::internal))
}

/// The corrections that hold now, for retraining.
#[utoipa::path(get, path = "/api/labels", tag = "posts", responses((status = 200, body = Vec<Label>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<Label>>, Error> {
    let kept = app.state.list(LABEL).await.map_err(Error::of_port)?;
    let mut labels = Vec::with_capacity(kept.len());
    for (post_id, value) in kept {
        let history: Vec<Correction> = serde_json::from_value(value).map_err(Error::internal)?;
        let last = history.into_iter().last();
        if let Some(correction) = last.filter(|last| last.sentiment.is_some() || last.category.is_some()) {
            labels.push(Label { post_id, correction });
        }
    }
    Ok(Json(labels))
}

/// Corrects a post's sentiment or category; with neither, the last correction is withdrawn.
#[utoipa::path(post, path = "/api/labels", tag = "posts", request_body = NewCorrection,
    responses((status = 200, body = Vec<Correction>)))]
pub(crate) async fn correct(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(new): Body<NewCorrection>,
) -> Result<Json<Vec<Correction>>, Error> {
    let id = PostId::parse(new.post_id).map_err(|error| Error::of_input("post_id", error))?;
    let category = new.category.map(|category| category.trim().to_owned());
    if category.as_ref().is_some_and(|category| category.is_empty() || category.chars().count() > 100) {
        return Err(Error::bad_field("category", "A category has 1 to 100 characters."));
    }
    let mut history = corrections(&app, id.as_str()).await?;
    let sentiment = new.sentiment.map(|label| label.as_str().to_owned());
    history.push(Correction { by: who.name, at: app.clock.now(), sentiment, category });
    let value = serde_json::to_value(&history).map_err(Error::internal)?;
    app.state.put(LABEL, id.as_str(), value).await.map_err(Error::of_port)?;
    Ok(Json(history))
}

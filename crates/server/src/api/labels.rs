//! Corrections: what a person says that a post really is. They are kept as labels (`state::Labels`) for retraining, and
//! the post's rows in the lake are written again with the label, so that every count, series and SQL answer has it.

use super::{Analyst, Body, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::filter::checked_at;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::analytics::PostQuery;
use domain::{PostId, SentimentLabel};
use serde::{Deserialize, Serialize};
pub(super) use state::Correction;
use state::Labels;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCorrection {
    post_id: String,
    /// When the post was published; makes the lookup faster.
    at: Option<DateTime<Utc>>,
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
    Labels::new(app.state.as_ref()).history(post_id).await.map_err(Error::of_port)
}

/// Current corrections, for training.
#[utoipa::path(get, path = "/api/labels", tag = "posts", responses((status = 200, body = Vec<Label>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<Label>>, Error> {
    let current = Labels::new(app.state.as_ref()).current().await.map_err(Error::of_port)?;
    let mut labels: Vec<Label> =
        current.into_iter().map(|(post_id, correction)| Label { post_id: post_id.to_string(), correction }).collect();
    labels.sort_by(|a, b| a.post_id.cmp(&b.post_id));
    Ok(Json(labels))
}

/// Corrects the sentiment or category of a post; with neither, withdraws the last correction. Counts update within seconds.
#[utoipa::path(post, path = "/api/labels", tag = "posts", request_body = NewCorrection,
    responses((status = 200, body = Vec<Correction>)))]
pub(crate) async fn correct(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(new): Body<NewCorrection>,
) -> Result<Json<Vec<Correction>>, Error> {
    let id = PostId::parse(new.post_id.as_str()).map_err(|error| Error::of_input("post_id", error))?;
    let (model_sentiment, model_category) = match corrections(&app, id.as_str()).await?.first() {
        Some(_) => (None, None),
        None => model_said(&app, &id, new.at).await?,
    };
    let NewCorrection { sentiment, category, .. } = new;
    let correction =
        Correction { by: who.name, at: app.clock.now(), sentiment, category, model_sentiment, model_category };
    Ok(Json(Labels::new(app.state.as_ref()).add(&id, correction).await?))
}

/// Sentiment and category as the post's row tells them; nobody has corrected it so far.
async fn model_said(
    app: &App,
    id: &PostId,
    at: Option<DateTime<Utc>>,
) -> Result<(Option<String>, Option<String>), Error> {
    let query = PostQuery { id: id.clone(), at: checked_at(at)? };
    let found = app.answers.ask(&query, app.clock.now()).await?;
    let post = found.as_ref().as_ref().map(|found| &found.post.post).ok_or_else(|| {
        Error::bad_field("post_id", "There is no such post here. It may have been deleted on its platform.")
    })?;
    let sentiment = post.sentiment.map(|label| label.as_str().to_owned());
    Ok((sentiment, post.category.as_ref().map(|category| category.label.clone())))
}

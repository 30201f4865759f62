//! Corrections: what a person says a post really is. Kept as labels for retraining, with their whole history: nothing is
//! overwritten, a withdrawal is an entry of its own. The post's row in the lake is then written anew with the label
//! ([`waiting`] lists what is left to do), so that every count, series and SQL answer tells what holds now.

use super::{Analyst, Body, Viewer};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::analytics::PostQuery;
use domain::{PostId, SentimentLabel, StateStore};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

const LABEL: &str = "label";
/// Posts whose row does not tell their label yet.
const LABEL_WAITING: &str = "label_waiting";

/// What someone said a post is, when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Correction {
    pub by: String,
    pub at: DateTime<Utc>,
    /// `positive`, `negative`, `neutral` or `mixed`; none: as the model said.
    #[schema(value_type = Option<String>)]
    pub sentiment: Option<SentimentLabel>,
    /// None: as the model said.
    pub category: Option<String>,
    /// What the model had said when the post was first corrected.
    #[serde(default)]
    pub model_sentiment: Option<String>,
    #[serde(default)]
    pub model_category: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCorrection {
    post_id: String,
    /// When the post was written, if known: finds it much faster.
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

/// The labels that hold now, by post. A post whose last correction was withdrawn has none.
pub async fn standing(state: &dyn StateStore) -> domain::Result<HashMap<PostId, Correction>> {
    let mut labels = HashMap::new();
    for (post_id, value) in state.list(LABEL).await? {
        let history: Vec<Correction> = serde_json::from_value(value)
            .map_err(|error| domain::Error::stop(format!("the label of {post_id} can't be read: {error}")))?;
        let last = history.into_iter().last();
        if let Some(last) = last.filter(|last| last.sentiment.is_some() || last.category.is_some()) {
            labels.insert(PostId::parse(post_id)?, last);
        }
    }
    Ok(labels)
}

/// Posts whose row in the lake is to be written anew because their label changed, each with the key of its entry: a
/// correction made meanwhile has an entry of its own.
pub async fn waiting(state: &dyn StateStore) -> domain::Result<Vec<(String, PostId)>> {
    let waiting = state.list(LABEL_WAITING).await?;
    let id = |post_id: serde_json::Value| PostId::parse(post_id.as_str().unwrap_or_default());
    waiting.into_iter().map(|(key, post_id)| Ok((key, id(post_id)?))).collect()
}

/// The row of the entry's post tells its label now.
pub async fn written(state: &dyn StateStore, key: &str) -> domain::Result<()> {
    state.delete(LABEL_WAITING, key).await.map(drop)
}

/// Every correction of a post, the oldest first.
pub(super) async fn corrections(app: &App, post_id: &str) -> Result<Vec<Correction>, Error> {
    let kept = app.state.get(LABEL, post_id).await.map_err(Error::of_port)?;
    kept.map_or(Ok(Vec::new()), |value| serde_json::from_value(value).map_err(Error::internal))
}

/// The corrections that hold now, for retraining.
#[utoipa::path(get, path = "/api/labels", tag = "posts", responses((status = 200, body = Vec<Label>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<Label>>, Error> {
    let standing = standing(app.state.as_ref()).await.map_err(Error::of_port)?;
    let mut labels: Vec<Label> =
        standing.into_iter().map(|(post_id, correction)| Label { post_id: post_id.to_string(), correction }).collect();
    labels.sort_by(|a, b| a.post_id.cmp(&b.post_id));
    Ok(Json(labels))
}

/// Corrects a post's sentiment or category; with neither, the last correction is withdrawn. Counts follow within seconds.
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
    let (model_sentiment, model_category) = match history.first() {
        Some(first) => (first.model_sentiment.clone(), first.model_category.clone()),
        None => model_said(&app, &id, new.at).await?,
    };
    let (by, at, sentiment) = (who.name, app.clock.now(), new.sentiment);
    history.push(Correction { by, at, sentiment, category, model_sentiment, model_category });
    let value = serde_json::to_value(&history).map_err(Error::internal)?;
    // What is left to do comes first: a crash between the two writes a row anew that did not change.
    let entry = format!("{id}#{}", history.len());
    app.state.put(LABEL_WAITING, &entry, json!(id.as_str())).await.map_err(Error::of_port)?;
    app.state.put(LABEL, id.as_str(), value).await.map_err(Error::of_port)?;
    Ok(Json(history))
}

/// Sentiment and category as the post's row tells them; nobody has corrected it so far.
async fn model_said(
    app: &App,
    id: &PostId,
    at: Option<DateTime<Utc>>,
) -> Result<(Option<String>, Option<String>), Error> {
    let query = PostQuery { id: id.clone(), at };
    let found = app.answers.ask(&query, app.clock.now()).await?;
    let post = found.as_ref().as_ref().map(|found| &found.post.post).ok_or_else(|| {
        Error::bad_field("post_id", "There is no such post here. It may have been deleted on its platform.")
    })?;
    let sentiment = post.sentiment.map(|label| label.as_str().to_owned());
    Ok((sentiment, post.category.as_ref().map(|category| category.label.clone())))
}

//! What the posts in view are made of: the largest values of a dimension, each with its sentiment.

use super::{Filtered, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::filter::FilterParams;
use axum::Json;
use axum::extract::State;
use domain::Dimension;
use domain::analytics::{BreakdownItem, BreakdownQuery, Counts};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BreakdownParams {
    /// Dimensions, with commas between: `category,language`.
    by: String,
    /// Values of each, 1 to 200; 10 when left out.
    limit: Option<usize>,
}

/// Posts that have one value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Part {
    value: String,
    /// Kind of an entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    mentions: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    mixed: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Breakdown {
    by: Dimension,
    /// The largest first. Posts without a value are left out.
    parts: Vec<Part>,
    /// There are more values than were asked for.
    more: bool,
}

/// The most frequent values of dimensions. For `topic`, the topic filter is ignored, so that the result is the share of voice
/// among all topics.
#[utoipa::path(get, path = "/api/breakdown", tag = "analytics", params(FilterParams, BreakdownParams),
    responses((status = 200, body = Vec<Breakdown>)))]
pub(crate) async fn breakdown(
    State(app): State<Arc<App>>,
    _: Viewer,
    Filtered(filter, params): Filtered<BreakdownParams>,
) -> Result<Json<Vec<Breakdown>>, Error> {
    let limit = params.limit.unwrap_or(10);
    if !(1..=200).contains(&limit) {
        return Err(Error::bad_field("limit", "limit must be between 1 and 200."));
    }
    let dimensions: Vec<Dimension> = params
        .by
        .split(',')
        .map(|word| word.parse().map_err(|_| Error::bad_field("by", format!("There is no dimension \"{word}\"."))))
        .collect::<Result<_, _>>()?;
    let now = app.clock.now();
    let selection = filter.selection;
    let query = |by: &Dimension| {
        let selection = if *by == Dimension::Topic { selection.without(*by) } else { selection.clone() };
        // One more than is shown says whether there are more.
        BreakdownQuery { selection, by: *by, limit: limit + 1 }
    };
    let queries: Vec<BreakdownQuery> = dimensions.iter().map(query).collect();
    let answers = try_join_all(queries.iter().map(|query| app.answers.ask(query, now))).await?;
    Ok(Json(dimensions.into_iter().zip(answers).map(|(by, items)| view(by, &items, limit)).collect()))
}

fn view(by: Dimension, items: &[BreakdownItem], limit: usize) -> Breakdown {
    let part = |item: &BreakdownItem| {
        let Counts { mentions, positive, negative, neutral, mixed } = item.counts;
        let kind = item.kind.map(|kind| kind.as_str().to_owned());
        Part { value: item.value.clone(), kind, mentions, positive, negative, neutral, mixed }
    };
    Breakdown { by, parts: items.iter().take(limit).map(part).collect(), more: items.len() > limit }
}

//! What the posts in view are made of: the largest values of a dimension, each with its sentiment.

use super::{Params, Viewer};
use crate::answers::each;
use crate::app::App;
use crate::error::Error;
use crate::filter::{Dimension, Filter, FilterParams};
use crate::query::{self, COUNTS, SUMS};
use axum::Json;
use axum::extract::State;
use domain::{Question, Rows};
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

/// The largest values of dimensions. A dimension's own filter is left aside for `topic` alone, so that the answer is the
/// share of voice among all topics.
#[utoipa::path(get, path = "/api/breakdown", tag = "analytics", params(FilterParams, BreakdownParams),
    responses((status = 200, body = Vec<Breakdown>)))]
pub(crate) async fn breakdown(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<BreakdownParams>,
) -> Result<Json<Vec<Breakdown>>, Error> {
    let limit = params.limit.unwrap_or(10);
    if !(1..=200).contains(&limit) {
        return Err(Error::bad_field("limit", "limit lies between 1 and 200."));
    }
    let dimensions: Vec<Dimension> = params
        .by
        .split(',')
        .map(|word| {
            Dimension::parse(word).ok_or_else(|| Error::bad_field("by", format!("There is no dimension \"{word}\".")))
        })
        .collect::<Result<_, _>>()?;
    let now = app.clock.now();
    let filters: Vec<Filter> = dimensions
        .iter()
        .map(|by| if *by == Dimension::Topic { filter.without(*by) } else { filter.clone() })
        .collect();
    let questions = dimensions.iter().zip(&filters).map(|(by, filter)| {
        let question = Question::Breakdown { by: query::counted(*by), limit: limit + 1 };
        app.answers.count(filter, question, statement(*by, filter, limit + 1), limit + 1, now)
    });
    let answers = try_join_all(questions).await?;
    Ok(Json(dimensions.into_iter().zip(answers).map(|(by, rows)| parts(by, &rows, limit)).collect()))
}

fn statement(by: Dimension, filter: &Filter, limit: usize) -> String {
    let (posts, named) = (query::posts_where(filter), query::named_where(filter));
    let values =
        |source: String| format!("SELECT value, {COUNTS} FROM ({source}) WHERE value IS NOT NULL GROUP BY value");
    let grouped = match by {
        Dimension::Topic => values(format!("SELECT unnest(topics) AS value, sentiment FROM sentiment WHERE {posts}")),
        Dimension::Hashtag => {
            values(format!("SELECT unnest(hashtags) AS value, sentiment FROM sentiment WHERE {posts}"))
        }
        // Hashtags, mentions, links and emoji are entities too, but not what one looks for here.
        Dimension::Entity => names(&format!(
            "SELECT entity AS name, kind, sentiment FROM entities WHERE {named} \
             AND kind IN ('person', 'organisation', 'location', 'product', 'work', 'event')"
        )),
        Dimension::Phrase => {
            names(&format!("SELECT phrase AS name, NULL AS kind, sentiment FROM key_phrases WHERE {named}"))
        }
        scalar => {
            let column = query::column(scalar).unwrap_or("NULL");
            format!(
                "SELECT {column} AS value, {COUNTS} FROM sentiment WHERE {posts} AND {column} IS NOT NULL GROUP BY {column}"
            )
        }
    };
    format!("{grouped} ORDER BY mentions DESC, value LIMIT {limit}")
}

/// Names counted without regard to case, each with its most frequent spelling and kind.
fn names(source: &str) -> String {
    format!(
        "SELECT first_value(name ORDER BY spelled DESC, name) AS value, first_value(kind ORDER BY meant DESC, kind) AS kind, \
         {SUMS} FROM (SELECT *, sum(mentions) OVER (PARTITION BY name) AS spelled, \
         sum(mentions) OVER (PARTITION BY lower(name), kind) AS meant \
         FROM (SELECT name, kind, {COUNTS} FROM ({source}) GROUP BY name, kind)) GROUP BY lower(name)"
    )
}

fn parts(by: Dimension, rows: &Rows, limit: usize) -> Breakdown {
    let all = each(rows).filter_map(|row| {
        Some(Part {
            value: row.text("value")?,
            kind: row.text("kind"),
            mentions: row.count("mentions"),
            positive: row.count("positive"),
            negative: row.count("negative"),
            neutral: row.count("neutral"),
            mixed: row.count("mixed"),
        })
    });
    Breakdown { by, parts: all.take(limit).collect(), more: rows.rows.len() > limit }
}

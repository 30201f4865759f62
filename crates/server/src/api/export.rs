//! The posts in view as a file: CSV or JSON lines, or their ids alone where a platform's rules allow no more.

use super::Params;
use super::post::{PostView, columns};
use crate::answers::each;
use crate::app::App;
use crate::auth::Viewer;
use crate::error::Error;
use crate::filter::{Filter, FilterParams};
use crate::query;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::QueryLimits;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// `csv` or `jsonl`.
    format: String,
    /// `yes`: only ids.
    ids_only: Option<String>,
}

/// Columns of the file, in order: keys of a post as the API tells it.
const COLUMNS: [&str; 20] = [
    "post_id",
    "platform",
    "source",
    "author",
    "url",
    "occurred_at",
    "received_at",
    "language",
    "text",
    "text_en",
    "sentiment",
    "emotion",
    "offensive",
    "category",
    "category_confidence",
    "topics",
    "hashtags",
    "place",
    "country",
    "reach",
];

/// The posts in view as a file, the newest first.
#[utoipa::path(get, path = "/api/posts/export", tag = "posts", params(FilterParams, ExportParams),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<ExportParams>,
) -> Result<Response, Error> {
    let csv = match params.format.as_str() {
        "csv" => true,
        "jsonl" => false,
        _ => return Err(Error::bad_field("format", "The format is csv or jsonl.")),
    };
    let ids_only = params.ids_only.as_deref() == Some("yes");
    let rows_max = app.config.export_rows_max;
    let sql = format!(
        "SELECT {} FROM sentiment WHERE {} ORDER BY occurred_at DESC LIMIT {rows_max}",
        columns(),
        query::posts_where(&filter)
    );
    let limits = QueryLimits { rows_max, timeout: app.config.sql_timeout };
    let rows = app.answers.ask_fresh(&sql, limits).await.map_err(Error::of_port)?;
    let columns: &[&str] = if ids_only { &COLUMNS[..1] } else { &COLUMNS };
    let mut file = if csv { line(columns.iter().map(|name| (*name).to_owned())) } else { String::new() };
    for row in each(&rows) {
        let post = serde_json::to_value(PostView::of_row(&row)).map_err(Error::internal)?;
        if csv {
            file.push_str(&line(columns.iter().map(|name| cell(&post[name]))));
        } else {
            let kept: serde_json::Map<_, _> = columns.iter().map(|name| ((*name).into(), post[name].clone())).collect();
            file.push_str(&Value::Object(kept).to_string());
            file.push('\n');
        }
    }
    let (kind, name) =
        if csv { ("text/csv; charset=utf-8", "posts.csv") } else { ("application/x-ndjson", "posts.jsonl") };
    let attached = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, attached)], file).into_response())
}

/// A value as a cell's text; several are joined by a bar.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
        other => other.to_string(),
    }
}

/// One CSV line (RFC 4180). A cell that a spreadsheet would take for a formula gets an apostrophe before it; a leading
/// `@` stays, since nearly every reply begins with one and no current spreadsheet runs it.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        let cell = if cell.starts_with(['=', '+', '-', '\t', '\r']) { format!("'{cell}") } else { cell };
        match cell.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell,
        }
    });
    format!("{}\r\n", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_their_text_and_never_become_formulas() {
        let cells = ["a,b", "say \"hi\"\nthere", "=1+1", "@united late"].map(str::to_owned);
        assert_eq!(line(cells.into_iter()), "\"a,b\",\"say \"\"hi\"\"\nthere\",'=1+1,@united late\r\n");
    }
}

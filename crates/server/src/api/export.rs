//! The posts in view as a file: CSV, JSON lines or Parquet. Where a platform's rules allow no more to be passed on than
//! the id of a post ([`IDS_ONLY`]), its words and its author stay here; what we ourselves understood of it goes along.

use super::Params;
use super::post::{PostView, columns};
use crate::answers::each;
use crate::app::App;
use crate::auth::Viewer;
use crate::error::Error;
use crate::filter::{Filter, FilterParams};
use crate::query;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::QueryLimits;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// `csv`, `jsonl` or `parquet`.
    format: String,
    /// `yes`: only ids.
    ids_only: Option<String>,
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Time,
    Number,
    Whole,
}

/// Columns of the file, in order: keys of a post as the API tells it.
const COLUMNS: [(&str, Kind); 20] = [
    ("post_id", Kind::Text),
    ("platform", Kind::Text),
    ("source", Kind::Text),
    ("author", Kind::Text),
    ("url", Kind::Text),
    ("occurred_at", Kind::Time),
    ("received_at", Kind::Time),
    ("language", Kind::Text),
    ("text", Kind::Text),
    ("text_en", Kind::Text),
    ("sentiment", Kind::Text),
    ("emotion", Kind::Text),
    ("offensive", Kind::Number),
    ("category", Kind::Text),
    ("category_confidence", Kind::Number),
    ("topics", Kind::Texts),
    ("hashtags", Kind::Texts),
    ("place", Kind::Text),
    ("country", Kind::Text),
    ("reach", Kind::Whole),
];

/// Platforms whose terms let a downloaded file hold ids only: X (developer policy, redistribution of content).
const IDS_ONLY: [&str; 1] = ["x"];

/// What the platform gave us and we may not pass on for it.
const THEIRS: [&str; 10] =
    ["author", "url", "occurred_at", "language", "text", "text_en", "hashtags", "place", "country", "reach"];

type Record = Map<String, Value>;

/// Writes columns and rows in one of the formats.
type Writer = fn(&[(&str, Kind)], &[Record]) -> Result<Vec<u8>, Error>;

/// The posts in view as a file, the newest first.
#[utoipa::path(get, path = "/api/posts/export", tag = "posts", params(FilterParams, ExportParams),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<ExportParams>,
) -> Result<Response, Error> {
    let (kind, name, write): (_, _, Writer) = match params.format.as_str() {
        "csv" => ("text/csv; charset=utf-8", "posts.csv", csv),
        "jsonl" => ("application/x-ndjson", "posts.jsonl", jsonl),
        "parquet" => ("application/vnd.apache.parquet", "posts.parquet", parquet_file),
        _ => return Err(Error::bad_field("format", "The format is csv, jsonl or parquet.")),
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
    // A hundred thousand posts take a second of a core: not on the threads that answer everybody.
    let file = tokio::task::spawn_blocking(move || {
        let columns: &[_] = if ids_only { &COLUMNS[..1] } else { &COLUMNS };
        let records: Vec<Record> =
            each(&rows).map(|row| record(&PostView::of_row(&row), columns)).collect::<Result<_, _>>()?;
        write(columns, &records)
    });
    let file = file.await.map_err(Error::internal)??;
    let attached = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, attached)], file).into_response())
}

/// A post as a record of the columns, without what its platform keeps to itself.
fn record(post: &PostView, columns: &[(&str, Kind)]) -> Result<Record, Error> {
    let Value::Object(mut post) = serde_json::to_value(post).map_err(Error::internal)? else {
        return Err(Error::internal("a post is no record"));
    };
    if post.get("platform").and_then(Value::as_str).is_some_and(|platform| IDS_ONLY.contains(&platform)) {
        THEIRS.iter().for_each(|name| drop(post.insert((*name).into(), Value::Null)));
    }
    Ok(columns.iter().map(|(name, _)| ((*name).to_owned(), post.remove(*name).unwrap_or_default())).collect())
}

fn csv(columns: &[(&str, Kind)], records: &[Record]) -> Result<Vec<u8>, Error> {
    let mut file = line(columns.iter().map(|(name, _)| (*name).to_owned()));
    for record in records {
        file.push_str(&line(columns.iter().map(|(name, _)| cell(&record[*name]))));
    }
    Ok(file.into_bytes())
}

fn jsonl(_: &[(&str, Kind)], records: &[Record]) -> Result<Vec<u8>, Error> {
    let mut file = Vec::new();
    for record in records {
        serde_json::to_writer(&mut file, record).map_err(Error::internal)?;
        file.push(b'\n');
    }
    Ok(file)
}

fn parquet_file(columns: &[(&str, Kind)], records: &[Record]) -> Result<Vec<u8>, Error> {
    let data_type = |kind: &Kind| match kind {
        Kind::Text => DataType::Utf8,
        Kind::Texts => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Number => DataType::Float64,
        Kind::Whole => DataType::Int64,
    };
    let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(*name, data_type(kind), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut decoder = arrow::json::ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(records.len().max(1))
        .build_decoder()
        .map_err(Error::internal)?;
    decoder.serialize(records).map_err(Error::internal)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(Error::internal)?;
    if let Some(batch) = decoder.flush().map_err(Error::internal)? {
        writer.write(&batch).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
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
    use serde_json::json;

    fn records(platform: &str) -> Vec<Record> {
        let names = ["post_id", "platform", "text", "sentiment", "topics", "reach", "occurred_at_us"];
        let column = |name: &&str| domain::Column { name: (*name).into(), data_type: String::new() };
        let row = json!(["a:1", platform, "late again", "negative", ["storm"], 12, 1_790_000_000_000_000_i64]);
        let rows = vec![row.as_array().unwrap().clone()];
        let rows = domain::Rows { columns: names.iter().map(column).collect(), rows, truncated: false };
        each(&rows).map(|row| record(&PostView::of_row(&row), &COLUMNS).unwrap()).collect()
    }

    #[test]
    fn of_x_only_the_id_and_what_we_understood_is_passed_on() {
        let (x, reviews) = (records("x"), records("reviews"));
        assert_eq!((&x[0]["text"], &x[0]["occurred_at"], &x[0]["reach"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!((&x[0]["post_id"], &x[0]["sentiment"]), (&json!("a:1"), &json!("negative")));
        assert_eq!(reviews[0]["text"], "late again");
    }

    #[test]
    fn a_parquet_file_holds_typed_columns() {
        let file = parquet_file(&COLUMNS, &records("reviews")).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes(file), 10).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!((batches.len(), batches[0].num_rows(), batches[0].num_columns()), (1, 1, COLUMNS.len()));
        let text = |name: &str| {
            let column = batches[0].column_by_name(name).unwrap();
            arrow::util::display::array_value_to_string(column, 0).unwrap()
        };
        assert_eq!(
            (text("text").as_str(), text("topics").as_str(), text("reach").as_str()),
            ("late again", "[storm]", "12")
        );
        assert!(text("occurred_at").starts_with("2026-09-21"), "{}", text("occurred_at"));
    }

    fn bytes(file: Vec<u8>) -> axum::body::Bytes {
        file.into()
    }

    #[test]
    fn cells_keep_their_text_and_never_become_formulas() {
        let cells = ["a,b", "say \"hi\"\nthere", "=1+1", "@united late"].map(str::to_owned);
        assert_eq!(line(cells.into_iter()), "\"a,b\",\"say \"\"hi\"\"\nthere\",'=1+1,@united late\r\n");
    }
}

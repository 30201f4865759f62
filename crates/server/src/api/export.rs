//! The posts in view as a file: CSV, JSON lines or Parquet, all of them, however many. The file is written as the lake is
//! read and sent as it is written, so its length costs no memory; when something fails on the way the connection is
//! broken off, so that nobody takes a part for the whole.
//!
//! Where a platform's terms allow no more to be passed on than the id of a post (`Config::export_ids_only`), its words
//! and its author stay here; what we ourselves understood of it goes along.

mod format;

use super::post::{PostView, columns};
use super::{Params, Viewer};
use crate::answers::each;
use crate::app::App;
use crate::error::Error;
use crate::filter::{Filter, FilterParams, TimeRange};
use crate::query;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{Duration, NaiveDate, NaiveTime};
use domain::Rows;
use format::{COLUMNS, Column, Format};
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter, try_unfold};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// `csv`, `jsonl` or `parquet`.
    format: String,
    /// `yes`: only ids.
    ids_only: Option<String>,
    /// `yes`: CSV begins with a byte order mark, which Excel needs to read letters beyond ASCII.
    bom: Option<String>,
}

/// What the platform gave us and we may not pass on for it.
const THEIRS: [&str; 10] =
    ["author", "url", "occurred_at", "language", "text", "text_en", "hashtags", "place", "country", "reach"];

/// Posts are sorted by time; so many of them, about, are sorted at one time.
const SORTED_AT_ONCE: u64 = 50_000;

/// A post as the columns of a file.
type Record = Map<String, Value>;

/// The posts in view as a file, the newest first, all of them.
#[utoipa::path(get, path = "/api/posts/export", tag = "posts", params(FilterParams, ExportParams),
    responses((status = 200, content(
        (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    Viewer(who): Viewer,
    filter: Filter,
    Params(params): Params<ExportParams>,
) -> Result<Response, Error> {
    let ids_only = yes_or_no("ids_only", params.ids_only.as_deref())?;
    let bom = yes_or_no("bom", params.bom.as_deref())?;
    let columns: &'static [Column] = if ids_only { &COLUMNS[..1] } else { &COLUMNS };
    let format = Format::parse(&params.format, columns, bom)?;
    let place = Arc::clone(&app.exports).try_acquire_owned();
    let place =
        place.map_err(|_| Error::too_many("Other exports are running. Try again when one of them is done.", 30))?;
    let ends_at = Instant::now() + app.config.export_timeout;
    let mut rows = timeout_at(ends_at, begin(&app, &filter)).await.map_err(|_| too_long())??;
    // What is wrong with the question itself is told before the file begins.
    let first = timeout_at(ends_at, rows.try_next()).await.map_err(|_| too_long())?.map_err(Error::of_port)?;
    let rows = iter(first.map(Ok)).chain(rows).boxed();
    let (kind, name) = (format.content_type(), format.file_name());
    let export = Export { app, who: who.name, columns, rows, format: Some(format), ends_at, written: 0, _place: place };
    let file = try_unfold(export, |mut export| async move {
        let part = export.next().await.inspect_err(|error| tracing::error!(%error, "an export was broken off"))?;
        Ok::<_, Error>(part.map(|part| (part, export)))
    });
    let attached = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, attached)];
    Ok((headers, Body::from_stream(file)).into_response())
}

fn yes_or_no(field: &str, value: Option<&str>) -> Result<bool, Error> {
    match value {
        Some("yes") => Ok(true),
        None | Some("no") => Ok(false),
        Some(_) => Err(Error::bad_field(field, format!("{field} is yes or no."))),
    }
}

fn too_long() -> Error {
    Error::bad_field("from", "The export takes longer than one may; narrow the time range.")
}

type Pieces = BoxStream<'static, domain::Result<Rows>>;

/// Rows of all posts in view, the newest first.
async fn begin(app: &App, filter: &Filter) -> Result<Pieces, Error> {
    let conditions = query::posts_where(filter);
    let days = format!(
        "SELECT CAST(event_date AS VARCHAR) AS day, count(*) AS posts FROM sentiment WHERE {conditions} \
         GROUP BY event_date ORDER BY event_date DESC"
    );
    let days: Vec<Rows> =
        app.operations.rows(vec![days]).await.map_err(Error::of_port)?.try_collect().await.map_err(Error::of_port)?;
    let days = days.iter().flat_map(each).filter_map(|row| Some((row.text("day")?.parse().ok()?, row.count("posts"))));
    let ranges = days.flat_map(|(day, posts)| ranges_of_day(day, posts, filter.range));
    let statements = ranges.map(|range| {
        let conditions = query::posts_where(&filter.within(range));
        format!("SELECT {} FROM sentiment WHERE {conditions} ORDER BY occurred_at DESC, post_id DESC", columns())
    });
    app.operations.rows(statements.collect()).await.map_err(Error::of_port)
}

/// The part of the range that lies in the day, in pieces with about [`SORTED_AT_ONCE`] posts each, the latest first.
fn ranges_of_day(day: NaiveDate, posts: u64, range: TimeRange) -> Vec<TimeRange> {
    let midnight = day.and_time(NaiveTime::MIN).and_utc();
    let (from, to) = (range.from.max(midnight), range.to.min(midnight + Duration::days(1)));
    let pieces = i32::try_from(posts.div_ceil(SORTED_AT_ONCE).clamp(1, 24 * 60)).unwrap_or(1);
    // Whole microseconds, as times are kept.
    let step = (to - from).num_microseconds().unwrap_or(0) / i64::from(pieces);
    let at = |piece: i32| if piece == pieces { to } else { from + Duration::microseconds(step * i64::from(piece)) };
    let ranges = (0..pieces).rev().map(|piece| TimeRange { from: at(piece), to: at(piece + 1) });
    ranges.filter(|range| range.from < range.to).collect()
}

/// An export under way.
struct Export {
    app: Arc<App>,
    who: String,
    columns: &'static [Column],
    rows: Pieces,
    /// None once the file is written to its end.
    format: Option<Format>,
    ends_at: Instant,
    written: usize,
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The next part of the file; none at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(mut format) = self.format.take() {
            let rows = timeout_at(self.ends_at, self.rows.next()).await.map_err(|_| too_long())?;
            let Some(rows) = rows.transpose().map_err(Error::of_port)? else {
                tracing::info!(rows = self.written, by = self.who, "posts exported");
                return format.end().map(|end| Some(end.into()));
            };
            self.written += rows.rows.len();
            let (app, columns) = (Arc::clone(&self.app), self.columns);
            // Not on the threads that answer everybody.
            let written = tokio::task::spawn_blocking(move || {
                let records =
                    each(&rows).map(|row| record(&PostView::of_row(&row), columns, &app.config.export_ids_only));
                let part = format.rows(&records.collect::<Result<Vec<_>, _>>()?)?;
                Ok::<_, Error>((format, part))
            });
            let (format, part) = written.await.map_err(Error::internal)??;
            self.format = Some(format);
            if !part.is_empty() {
                return Ok(Some(part.into()));
            }
        }
        Ok(None)
    }
}

/// A post as a record of the columns, without what its platform keeps to itself.
fn record(post: &PostView, columns: &[Column], ids_only: &[String]) -> Result<Record, Error> {
    let Value::Object(mut post) = serde_json::to_value(post).map_err(Error::internal)? else {
        return Err(Error::internal("a post is no record"));
    };
    let platform = post.get("platform").and_then(Value::as_str);
    if platform.is_some_and(|platform| ids_only.iter().any(|one| one == platform)) {
        THEIRS.iter().for_each(|name| drop(post.insert((*name).into(), Value::Null)));
    }
    Ok(columns.iter().map(|(name, _)| ((*name).to_owned(), post.remove(*name).unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn records(platform: &str, ids_only: &[String]) -> Vec<Record> {
        let names = ["post_id", "platform", "text", "sentiment", "topics", "reach", "occurred_at_us"];
        let column = |name: &&str| domain::Column { name: (*name).into(), data_type: String::new() };
        let row = json!(["a:1", platform, "late again", "negative", ["storm"], 12, 1_790_000_000_000_000_i64]);
        let rows = vec![row.as_array().unwrap().clone()];
        let rows = Rows { columns: names.iter().map(column).collect(), rows, truncated: false };
        each(&rows).map(|row| record(&PostView::of_row(&row), &COLUMNS, ids_only).unwrap()).collect()
    }

    #[test]
    fn of_x_only_the_id_and_what_we_understood_is_passed_on() {
        let x_only = ["x".to_owned()];
        let (x, reviews) = (records("x", &x_only), records("reviews", &x_only));
        assert_eq!((&x[0]["text"], &x[0]["occurred_at"], &x[0]["reach"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!((&x[0]["post_id"], &x[0]["sentiment"]), (&json!("a:1"), &json!("negative")));
        assert_eq!(reviews[0]["text"], "late again");
        assert_eq!(records("x", &[])[0]["text"], "late again", "a setting");
    }

    #[test]
    fn a_parquet_file_holds_typed_columns_of_every_piece() {
        let mut format = Format::parse("parquet", &COLUMNS, false).unwrap();
        let mut file = Vec::new();
        for _ in 0..3 {
            file.extend(format.rows(&records("reviews", &[])).unwrap());
        }
        file.extend(format.end().unwrap());
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(Bytes::from(file), 10).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!((batches.len(), batches[0].num_rows(), batches[0].num_columns()), (1, 3, COLUMNS.len()));
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

    #[test]
    fn pieces_of_a_day_leave_no_instant_out() {
        let time = |text: &str| text.parse().unwrap();
        let range = TimeRange { from: time("2026-11-20T07:00:00.000001Z"), to: time("2026-11-22T00:00:00Z") };
        let day = |text: &str, posts| ranges_of_day(text.parse().unwrap(), posts, range);
        let pieces = day("2026-11-20", 330_000);
        assert_eq!((pieces.len(), pieces[0].to, pieces[6].from), (7, time("2026-11-21T00:00:00Z"), range.from));
        assert!(pieces.windows(2).all(|pair| pair[0].from == pair[1].to));
        assert_eq!(day("2026-11-21", 1), [TimeRange { from: time("2026-11-21T00:00:00Z"), to: range.to }]);
    }
}

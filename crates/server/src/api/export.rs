//! The posts in view as a file: CSV, JSON lines or Parquet, all of them, however many. The file is written as the lake is
//! read and sent as it is written, so its length costs no memory; when something fails on the way the connection is
//! broken off, so that nobody takes a part for the whole.
//!
//! Where a platform's terms allow no more to be passed on than the id of a post (`Config::export_ids_only`), its words
//! and its author stay here; what we ourselves understood of it goes along.

mod columns;
mod format;

use super::{Filtered, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::filter::FilterParams;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use columns::{COLUMNS, Column};
use domain::analytics::PostStream;
use format::Format;
use futures::stream::{StreamExt as _, TryStreamExt as _, iter, try_unfold};
use serde::Deserialize;
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

/// All matching posts as a file, newest first.
#[utoipa::path(get, path = "/api/posts/export", tag = "posts", params(FilterParams, ExportParams),
    responses((status = 200, content(
        (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    Viewer(who): Viewer,
    Filtered(filter, params): Filtered<ExportParams>,
) -> Result<Response, Error> {
    let ids_only = yes_or_no("ids_only", params.ids_only.as_deref())?;
    let bom = yes_or_no("bom", params.bom.as_deref())?;
    let columns: &'static [Column] = if ids_only { &COLUMNS[..1] } else { &COLUMNS };
    let format = Format::parse(&params.format, columns, bom, &app.config.export_ids_only)?;
    let place = Arc::clone(&app.exports).try_acquire_owned();
    let place =
        place.map_err(|_| Error::too_many("Other exports are running. Try again when one of them is done.", 30))?;
    let ends_at = Instant::now() + app.config.export_timeout;
    let mut posts = timeout_at(ends_at, app.answers.export(&filter.selection)).await.map_err(|_| too_long())??;
    // What is wrong with the question itself is told before the file begins.
    let first = timeout_at(ends_at, posts.try_next()).await.map_err(|_| too_long())?.map_err(Error::of_port)?;
    let posts = iter(first.map(Ok)).chain(posts).boxed();
    let (kind, name) = (format.content_type(), format.file_name());
    let export = Export { who: who.name, posts, format: Some(format), ends_at, written: 0, _place: place };
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

/// An export under way.
struct Export {
    who: String,
    posts: PostStream,
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
            let posts = timeout_at(self.ends_at, self.posts.next()).await.map_err(|_| too_long())?;
            let Some(posts) = posts.transpose().map_err(Error::of_port)? else {
                tracing::info!(rows = self.written, by = self.who, "posts exported");
                return format.end().map(|end| Some(end.into()));
            };
            self.written += posts.len();
            // Not on the threads that answer everybody.
            let written = tokio::task::spawn_blocking(move || {
                let part = format.rows(&posts)?;
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

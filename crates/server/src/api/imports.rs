//! Files of posts that people drop on the page.

use super::{Analyst, Params};
use crate::app::App;
use crate::audit::Trail;
use crate::body;
use crate::error::Error;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::{Extension, Json};
use domain::{FileImport, ImportOrder};
use futures::StreamExt as _;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use utoipa::IntoParams;

/// The files that were dropped since the server started, the newest first, with what came of each.
#[utoipa::path(get, path = "/api/imports", tag = "sources", responses((status = 200, body = Vec<FileImport>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Analyst) -> Json<Vec<FileImport>> {
    Json(app.ports.imports.imports())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportParams {
    /// Name of the file.
    name: String,
    /// Platform of posts that name none; X when left out.
    #[serde(default)]
    platform: String,
    /// Which column or path is which field: `text=Review,created_at=Posted`.
    #[serde(default)]
    columns: String,
}

/// Takes a file of posts, in any format of `overheard import`. It is read once it is here as a whole; `GET` tells how far
/// that is, and what was assumed, rejected or not used.
#[utoipa::path(post, path = "/api/imports", tag = "sources", params(ImportParams),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 202, body = FileImport)))]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Extension(trail): Extension<Trail>,
    Params(ImportParams { name, platform, columns }): Params<ImportParams>,
    request: Request,
) -> Result<(StatusCode, Json<FileImport>), Error> {
    trail.about(name.clone());
    let (parts, body) = request.into_parts();
    let told = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let order = ImportOrder { name, platform, columns, who: who.name };
    let place = match app.ports.imports.place(&order) {
        Ok(place) if told.is_none_or(|bytes| bytes <= app.config.import_max_bytes) => place,
        other => {
            body::discard(body).await;
            return Err(other.map_or_else(Error::from, |_| too_large(&app)));
        }
    };
    if let Err(error) = save(&app, body, &place).await {
        drop(tokio::fs::remove_file(&place).await);
        return Err(error);
    }
    Ok((StatusCode::ACCEPTED, Json(app.ports.imports.start(order, &place))))
}

fn too_large(app: &App) -> Error {
    let mib = app.config.import_max_bytes >> 20;
    Error::too_large(format!("A file has at most {mib} MiB here; import a larger one with overheard import."))
}

/// Writes a body to a file. Each part of it must come within the time that a body has.
async fn save(app: &App, body: Body, place: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::unavailable("The file could not be kept.", error);
    let mut file = tokio::fs::File::create(place).await.map_err(failed)?;
    let mut parts = body.into_data_stream();
    let mut bytes = 0;
    loop {
        let part = timeout(app.config.body_timeout, parts.next()).await;
        let Some(part) = part.map_err(|_| Error::timeout("The file did not come in time."))? else { break };
        let part = part.map_err(|_| Error::bad_field("file", "The file could not be read to its end."))?;
        bytes += part.len() as u64;
        if bytes > app.config.import_max_bytes {
            return Err(too_large(app));
        }
        file.write_all(&part).await.map_err(failed)?;
    }
    if bytes == 0 {
        return Err(Error::bad_field("file", "The file is empty."));
    }
    file.flush().await.map_err(failed)
}

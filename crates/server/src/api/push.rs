//! Posts pushed to us: `POST /v1/posts` with a token of the source, and `POST /v1/push/{source}` for platforms that call in
//! their own form and sign what they send.

use crate::app::App;
use crate::auth::bearer;
use crate::body;
use crate::error::Error;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{PushError, PushOutcome, PushStatus};
use serde::Serialize;
use state::{TokenScope, digest};
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct Pushed {
    accepted: usize,
    duplicates: usize,
    rejected: usize,
    /// One for each item, in order.
    items: Vec<PushOutcome>,
}

/// Ingests up to 1,000 posts: a JSON array or object, or JSON lines (`application/x-ndjson`). The response has one outcome
/// per item and is sent after the posts are on disk. The body may be gzipped. Needs a push token.
#[utoipa::path(post, path = "/v1/posts", tag = "push",
    request_body(content = Vec<serde_json::Value>, content_type = "application/json"),
    responses((status = 200, body = Pushed)))]
pub(crate) async fn push(State(app): State<Arc<App>>, request: Request) -> Result<Json<Pushed>, Error> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let source = match source_of(&app, &headers).await {
        Ok(source) => source,
        Err(refused) => {
            body::discard(body).await;
            return Err(refused);
        }
    };
    let taken = body::take_encoded(&app, &headers, body, app.config.push_max_bytes).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (bytes, _held) = taken.into_parts();
    let items = app.ports.push.push(&source, content_type, &bytes).await.map_err(refused)?;
    Ok(Json(Pushed::of(items)))
}

impl Pushed {
    fn of(items: Vec<PushOutcome>) -> Self {
        let count = |status| items.iter().filter(|item| item.status == status).count();
        Self {
            accepted: count(PushStatus::Accepted),
            duplicates: count(PushStatus::Duplicate),
            rejected: count(PushStatus::Rejected),
            items,
        }
    }
}

/// Takes a call of a platform in its own form, for a push source with a preset. The platform proves itself by a signature
/// or a secret, as its documentation says. Deliveries of Amazon Data Firehose get the answer that it asks for.
#[utoipa::path(post, path = "/v1/push/{source}", tag = "push", params(("source" = String, Path)),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, body = Pushed)))]
pub(crate) async fn call(State(app): State<Arc<App>>, Path(source): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let delivery = parts.headers.get("x-amz-firehose-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let taken = take_call(&app, &source, &parts.headers, body).await;
    match delivery {
        None => taken.map(|items| Json(Pushed::of(items))).into_response(),
        Some(request_id) => {
            let status = taken.as_ref().map_or_else(Error::status, |_| StatusCode::OK);
            let error_message = taken.err().map(|error| error.problem().message.clone());
            let timestamp = app.clock.now().timestamp_millis();
            (status, Json(Delivered { request_id, timestamp, error_message })).into_response()
        }
    }
}

/// What Firehose wants to read. After an error it sends the delivery again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    request_id: String,
    /// Milliseconds of Unix time.
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

async fn take_call(app: &App, source: &str, headers: &HeaderMap, body: Body) -> Result<Vec<PushOutcome>, Error> {
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let pairs: Vec<(String, String)> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let bytes_max = match app.ports.push.check_call(source, &pairs) {
        Ok(bytes_max) => bytes_max.min(app.config.push_max_bytes),
        Err(error) => {
            body::discard(body).await;
            return Err(refused(error));
        }
    };
    let (bytes, _held) = body::take_encoded(app, headers, body, bytes_max).await?.into_parts();
    app.ports.push.call(source, &pairs, &bytes).await.map_err(refused)
}

async fn source_of(app: &App, headers: &HeaderMap) -> Result<String, Error> {
    let secret = bearer(headers).ok_or_else(|| Error::unauthorized("Send a push token: Authorization: Bearer ..."))?;
    let Some((token, _)) = app.accounts.token(&digest(secret), app.clock.now()).await? else {
        return Err(Error::unauthorized("This token is not known."));
    };
    let TokenScope::Push { source } = token.scope else {
        return Err(Error::forbidden("This token is for the API; pushing needs a push token."));
    };
    match app.ports.push.push_source(&source) {
        Ok(configured) if configured || token.makes_source => Ok(source),
        Ok(_) => Err(Error::forbidden(format!("The source {source:?} is not configured any more."))),
        Err(reason) => Err(Error::forbidden(reason)),
    }
}

fn refused(error: PushError) -> Error {
    match error {
        PushError::Malformed(message) => Error::bad_field("body", message),
        PushError::TooLarge(message) => Error::too_large(message),
        PushError::NotAllowed(message) => Error::forbidden(message),
        PushError::Unproven(message) => Error::unauthorized(message),
        PushError::Full { retry_after_s } => Error::too_many("The queue is full; send it again later.", retry_after_s),
        PushError::LettersFull { retry_after_s } => Error::too_many(
            "No room is left for dead letters, and this call has posts that can't be kept. Correct them, or ask an \
             administrator to replay or remove dead letters (dashboard, System).",
            retry_after_s,
        ),
        PushError::Failed(cause) => Error::unavailable("The posts could not be kept; send them again.", cause),
    }
}

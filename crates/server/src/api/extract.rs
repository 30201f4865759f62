//! Query and body of a request, with refusals in our own form.

use crate::app::App;
use crate::body;
use crate::error::Error;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The query of the URL beside the filter.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        Query::<T>::from_request_parts(parts, state).await.map(|Query(params)| Self(params)).map_err(|rejection| {
            let text = rejection.body_text();
            let words = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            let (field, message) = words.split_once(": ").unwrap_or(("query", words));
            Error::bad_field(field, message)
        })
    }
}

/// The JSON body, of at most `MAX` bytes. It is read after the extractors that say who asks.
pub(crate) struct Body<T, const MAX: usize = SMALL>(pub(crate) T);

/// A name, a label, a password.
const SMALL: usize = 16 << 10;
/// A statement, a query, a rule.
pub(crate) const QUERY: usize = 128 << 10;
/// As much as the settings allow any call.
pub(crate) const LARGE: usize = usize::MAX;

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Arc<App>> for Body<T, MAX> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Error::bad_field("content-type", "The body must be JSON (content-type: application/json)."));
        }
        let taken = body::take(app, &parts.headers, body, MAX.min(app.config.body_max_bytes)).await?;
        Json::<T>::from_bytes(&taken.bytes).map(|Json(body)| Self(body)).map_err(|rejection| {
            let text = rejection.body_text();
            let known = "Failed to deserialize the JSON body into the target type: ";
            match (&rejection, text.strip_prefix(known).and_then(|words| words.split_once(": "))) {
                (JsonRejection::JsonDataError(_), Some((field, message))) => Error::bad_field(field, message),
                _ => Error::bad_field("body", text),
            }
        })
    }
}

/// `application/json`, or a format made of it (`application/problem+json`).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

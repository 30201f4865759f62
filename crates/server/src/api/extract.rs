//! Query and body of a request, with refusals in our own form.

use crate::error::Error;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

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

/// The JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        Json::<T>::from_request(request, state).await.map(|Json(body)| Self(body)).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                return Error::too_large("The body is too large.");
            }
            let text = rejection.body_text();
            let known = "Failed to deserialize the JSON body into the target type: ";
            match (&rejection, text.strip_prefix(known).and_then(|words| words.split_once(": "))) {
                (JsonRejection::JsonDataError(_), Some((field, message))) => Error::bad_field(field, message),
                (JsonRejection::MissingJsonContentType(_), _) => {
                    Error::bad_field("content-type", "The body must be JSON (content-type: application/json).")
                }
                _ => Error::bad_field("body", text),
            }
        })
    }
}

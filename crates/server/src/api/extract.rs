//! What handlers take from a request: who asks, filter, query and body, with refusals in our own form. `Viewer`,
//! `Analyst` or `Admin` among a handler's arguments is its access rule.

use crate::app::App;
use crate::audit::Trail;
use crate::auth::{ClientAddress, Pass, SESSION_COOKIE, Who, who_has};
use crate::body;
use crate::error::Error;
use crate::filter::Filter;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use serde::de::DeserializeOwned;
use state::Role;
use std::convert::Infallible;
use std::sync::Arc;
use utoipa::IntoParams;

/// The filter alone. Any other parameter is refused.
impl FromRequestParts<Arc<App>> for Filter {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        Self::parse(parts.uri.query().unwrap_or(""), &[], app.clock.now())
    }
}

/// The filter and the parameters of the endpoint itself, which are those that the OpenAPI document names. Any other
/// parameter is refused.
pub(crate) struct Filtered<T>(pub(crate) Filter, pub(crate) T);

impl<T: DeserializeOwned + IntoParams> FromRequestParts<Arc<App>> for Filtered<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let own = T::into_params(|| None);
        let own: Vec<&str> = own.iter().map(|parameter| parameter.name.as_str()).collect();
        let filter = Filter::parse(parts.uri.query().unwrap_or(""), &own, app.clock.now())?;
        let Params(params) = Params::from_request_parts(parts, app).await?;
        Ok(Self(filter, params))
    }
}

/// The query of the URL.
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

/// Anyone who is known.
pub(crate) struct Viewer(pub(crate) Who);
/// At least an analyst.
pub(crate) struct Analyst(pub(crate) Who);
/// An admin.
pub(crate) struct Admin(pub(crate) Who);
/// Anyone who is known, also while his password has to be changed first.
pub(crate) struct Anyone(pub(crate) Who);

async fn who(parts: &Parts, app: &App) -> Result<Who, Error> {
    let pass = Pass::of(&parts.headers, &app.config.cookie(SESSION_COOKIE))
        .ok_or_else(|| Error::unauthorized("Sign in first."))?;
    let who = who_has(&app.accounts, &pass, app.clock.now()).await?;
    if let Some(trail) = parts.extensions.get::<Trail>() {
        trail.is_of(&who.name);
    }
    Ok(who)
}

async fn at_least(parts: &Parts, app: &App, role: Role) -> Result<Who, Error> {
    let who = who(parts, app).await?;
    if who.must_change_password {
        return Err(Error::forbidden("Choose a new password first: POST /api/session/password."));
    }
    match who.role >= role {
        true => Ok(who),
        false if role == Role::Admin => Err(Error::forbidden("Only an admin can do this.")),
        false => Err(Error::forbidden("Only an analyst or admin can do this.")),
    }
}

impl FromRequestParts<Arc<App>> for Anyone {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        who(parts, app).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        at_least(parts, app, Role::Viewer).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Analyst {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        at_least(parts, app, Role::Analyst).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        at_least(parts, app, Role::Admin).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(client_address(app, &parts.extensions, &parts.headers))
    }
}

/// Where a request comes from, as the configured proxies say.
pub(crate) fn client_address(app: &App, extensions: &Extensions, headers: &HeaderMap) -> ClientAddress {
    ClientAddress::of(extensions, headers, &app.config.trusted_proxies, app.config.forwarded_header)
}

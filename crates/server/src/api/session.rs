//! Sign-in and sign-out of people.

use super::Body;
use crate::app::App;
use crate::auth::{Role, SESSION_COOKIE, Via, Viewer, cookie};
use crate::error::Error;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    name: String,
    role: Role,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

fn set_cookie(app: &App, secret: &str, age_s: i64) -> Result<HeaderValue, Error> {
    let secure = if app.config.cookie_secure { "; Secure" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_s}{secure}");
    HeaderValue::from_str(&cookie).map_err(Error::internal)
}

/// Signs in: sets the session's cookie.
#[utoipa::path(post, path = "/api/session", tag = "session", request_body = Credentials,
    responses((status = 200, body = Me)))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Body(credentials): Body<Credentials>,
) -> Result<Response, Error> {
    let (now, address) = (app.clock.now(), address.ip().to_string());
    if let Some(seconds) = app.attempts.wait_s(&credentials.name, &address, now) {
        return Err(Error::too_many("Too many failed sign-ins. Wait a few minutes and try again.", seconds));
    }
    let Some(account) = app.accounts.verified(&credentials.name, credentials.password).await? else {
        app.attempts.failed(&credentials.name, &address, now);
        tracing::warn!(address, "sign-in refused");
        return Err(Error::unauthorized("Name or password is wrong."));
    };
    app.attempts.succeeded(&account.name);
    let age_max = Duration::from_std(app.config.session_age_max).map_err(Error::internal)?;
    let secret = app.accounts.open(&account.name, now, age_max).await?;
    let me = Me { name: account.name, role: account.role };
    Ok(([(header::SET_COOKIE, set_cookie(&app, &secret, age_max.num_seconds())?)], Json(me)).into_response())
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = 200, body = Me)))]
pub(crate) async fn who_am_i(Viewer(who): Viewer) -> Json<Me> {
    Json(Me { name: who.name, role: who.role })
}

/// Signs out.
#[utoipa::path(delete, path = "/api/session", tag = "session", responses((status = 204)))]
pub(crate) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Error> {
    if let Some(secret) = cookie(&headers) {
        app.accounts.close(secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(&app, "", 0)?)]).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// The password until now.
    current: String,
    /// At least 12 characters.
    password: String,
}

/// Changes one's own password; every session of the user ends.
#[utoipa::path(post, path = "/api/session/password", tag = "session", request_body = NewPassword,
    responses((status = 204)))]
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    Viewer(who): Viewer,
    Body(body): Body<NewPassword>,
) -> Result<StatusCode, Error> {
    if who.via == Via::Token {
        return Err(Error::forbidden("A token has no password."));
    }
    if app.accounts.verified(&who.name, body.current).await?.is_none() {
        return Err(Error::bad_field("current", "This is not your password."));
    }
    app.accounts.change(&who.name, None, Some(body.password)).await?;
    Ok(StatusCode::NO_CONTENT)
}

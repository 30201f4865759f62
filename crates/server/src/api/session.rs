//! Sign-in and sign-out of people, their sessions, and their own password.

use super::{Anyone, Body, Viewer};
use crate::app::App;
use crate::audit::Trail;
use crate::auth::{ClientAddress, DEVICE_COOKIE, SESSION_COOKIE, Trier, Via, Who, cookie, is_local};
use crate::error::Error;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use state::{Account, DEVICE_AGE_MAX, Role, Session, Stored, digest, public_id};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use utoipa::ToSchema;

/// Longest name that is looked at, bytes.
const NAME_LENGTH_MAX: usize = 256;

/// The signed-in user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    name: String,
    role: Role,
    /// Until this password is changed, nothing else is answered.
    must_change_password: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// `site`: which requests of other sites send the cookie (SameSite).
pub(super) fn set_cookie(
    app: &App,
    name: &'static str,
    secret: &str,
    age_s: i64,
    site: &str,
) -> Result<HeaderValue, Error> {
    let (name, secure) = (app.config.cookie(name), if app.config.is_https() { "; Secure" } else { "" });
    let cookie = format!("{name}={secret}; Path=/; HttpOnly; SameSite={site}; Max-Age={age_s}{secure}");
    HeaderValue::from_str(&cookie).map_err(Error::internal)
}

fn wait(seconds: u32) -> Error {
    Error::too_many("Too many failed tries. Wait a little and try again.", seconds)
}

/// Signs in and sets the session cookie.
#[utoipa::path(post, path = "/api/session", tag = "session", request_body = Credentials,
    responses((status = 200, body = Me)))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(trail): Extension<Trail>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Body(Credentials { name, password }): Body<Credentials>,
) -> Result<Response, Error> {
    if name.len() > NAME_LENGTH_MAX {
        return Err(Error::bad_field("name", format!("A name has at most {NAME_LENGTH_MAX} bytes.")));
    }
    let now = app.clock.now();
    let device = match cookie(&headers, &app.config.cookie(DEVICE_COOKIE)) {
        Some(secret) if app.accounts.is_known_device(secret, &name, now).await? => Some(secret),
        _ => None,
    };
    let attempt = app.attempts.sign_in(Trier { name: &name, address, device }, now).map_err(wait)?;
    let verified = match app.accounts.verified(&name, password, device.is_some()).await {
        Ok(verified) => verified,
        Err(error) => {
            app.attempts.taken_back(attempt, now);
            return Err(error.into());
        }
    };
    let Some(account) = verified else {
        // A name that nobody has may be a password typed into the wrong field: it is not written down.
        let known = app.accounts.account(&name).await?.is_some();
        trail.about(if known { name.as_str() } else { "an unknown name" });
        tracing::warn!(%address, user = known.then_some(&name), "sign-in refused");
        return Err(Error::unauthorized("Name or password is wrong."));
    };
    app.attempts.succeeded(attempt, now);
    trail.is_of(&account.value.name);
    signed_in(&app, &account, address, &headers, device.is_some()).await
}

/// Opens a session, and answers with its cookie.
async fn signed_in(
    app: &App,
    account: &Stored<Account>,
    address: IpAddr,
    headers: &HeaderMap,
    is_known_device: bool,
) -> Result<Response, Error> {
    let cookies = open_session(app, account, address, headers, is_known_device).await?;
    let must_change_password = account.value.must_change_password;
    let me = Me { name: account.value.name.clone(), role: account.value.role, must_change_password };
    Ok((AppendHeaders(cookies), Json(me)).into_response())
}

/// Opens a session and gives its cookies.
pub(super) async fn open_session(
    app: &App,
    account: &Stored<Account>,
    address: IpAddr,
    headers: &HeaderMap,
    is_known_device: bool,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let now = app.clock.now();
    let age_max = Duration::from_std(app.config.session_age_max).map_err(Error::internal)?;
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let secret = app.accounts.open(account, &address.to_string(), browser, now, age_max).await?;
    let cookie = set_cookie(app, SESSION_COOKIE, &secret, age_max.num_seconds(), "Strict")?;
    let mut cookies = vec![(header::SET_COOKIE, cookie)];
    if !is_known_device {
        let device = app.accounts.remember_device(&account.value.name, now).await?;
        let cookie = set_cookie(app, DEVICE_COOKIE, &device, DEVICE_AGE_MAX.num_seconds(), "Strict")?;
        cookies.push((header::SET_COOKIE, cookie));
    }
    Ok(cookies)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkBody {
    /// What follows `#sign-in=` in the link.
    secret: String,
}

/// Signs in by the link that `overheard demo` prints: once, within ten minutes, from the same machine.
#[utoipa::path(post, path = "/api/session/link", tag = "session", request_body = LinkBody,
    responses((status = 200, body = Me)))]
pub(crate) async fn sign_in_by_link(
    State(app): State<Arc<App>>,
    Extension(trail): Extension<Trail>,
    client: ClientAddress,
    headers: HeaderMap,
    Body(LinkBody { secret }): Body<LinkBody>,
) -> Result<Response, Error> {
    let refused = || Error::unauthorized("This sign-in link has expired or was used. Sign in with your password.");
    if !is_local(client, &headers, &app.config.trusted_proxies) {
        return Err(refused());
    }
    let user = {
        let mut link = app.sign_in_link.lock().unwrap_or_else(PoisonError::into_inner);
        let user = link.as_ref().and_then(|link| link.user_of(&secret, app.clock.now())).map(str::to_owned);
        let user = user.ok_or_else(refused)?;
        *link = None;
        user
    };
    let account = app.accounts.stored(&user).await?.ok_or_else(refused)?;
    trail.is_of(&user);
    signed_in(&app, &account, client.0, &headers, false).await
}

/// The signed-in user.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = 200, body = Me)))]
pub(crate) async fn who_am_i(Anyone(who): Anyone) -> Json<Me> {
    Json(Me { name: who.name, role: who.role, must_change_password: who.must_change_password })
}

/// Signs out.
#[utoipa::path(delete, path = "/api/session", tag = "session", responses((status = 204)))]
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    who: Result<Anyone, Error>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    // Whoever is not known any more only loses the cookie.
    drop(who);
    if let Some(secret) = cookie(&headers, &app.config.cookie(SESSION_COOKIE)) {
        app.accounts.close(&digest(secret)).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(&app, SESSION_COOKIE, "", 0, "Strict")?)])
        .into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// The password until now.
    current: String,
    /// At least 12 characters, another than before.
    password: String,
}

/// Changes your own password and ends your other sessions.
#[utoipa::path(post, path = "/api/session/password", tag = "session", request_body = NewPassword,
    responses((status = 204)))]
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    Anyone(who): Anyone,
    Body(body): Body<NewPassword>,
) -> Result<StatusCode, Error> {
    if who.pass.via == Via::Token {
        return Err(Error::forbidden("A token has no password."));
    }
    if body.current == body.password {
        return Err(Error::bad_field("password", "This is the password until now; choose another."));
    }
    let now = app.clock.now();
    let attempt = app.attempts.confirm(&who.user, now).map_err(wait)?;
    let verified = match app.accounts.verified(&who.user, body.current, true).await {
        Ok(verified) => verified,
        Err(error) => {
            app.attempts.taken_back(attempt, now);
            return Err(error.into());
        }
    };
    let Some(account) = verified else { return Err(Error::bad_field("current", "This is not your password.")) };
    app.attempts.succeeded(attempt, now);
    app.accounts.change_own_password(&account.value, body.password, &who.pass.key).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionView {
    id: String,
    user: String,
    /// Address that it was opened from.
    address: String,
    /// The browser, in its own words.
    browser: String,
    created_at: DateTime<Utc>,
    /// When it was last used, to within ten minutes.
    seen_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    /// The one that asks.
    is_this: bool,
}

impl SessionView {
    fn of(key: &str, session: Session, who: &Who) -> Self {
        let Session { user, created_at, expires_at, address, browser, seen_at } = session;
        let is_this = who.pass.key == key;
        Self { id: public_id(key).to_owned(), user, address, browser, created_at, seen_at, expires_at, is_this }
    }
}

/// Your sessions; for an admin, all sessions.
#[utoipa::path(get, path = "/api/sessions", tag = "session", responses((status = 200, body = Vec<SessionView>)))]
pub(crate) async fn sessions(
    State(app): State<Arc<App>>,
    Viewer(who): Viewer,
) -> Result<Json<Vec<SessionView>>, Error> {
    let sessions = app.accounts.sessions(visible_of(&who), app.clock.now()).await?;
    Ok(Json(sessions.into_iter().map(|(key, session)| SessionView::of(&key, session, &who)).collect()))
}

/// Whose sessions one may see and end: none stands for everybody.
fn visible_of(who: &Who) -> Option<&str> {
    (who.role < Role::Admin).then_some(who.user.as_str())
}

/// Ends one of your sessions; an admin can end any session.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "session", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn end_session(
    State(app): State<Arc<App>>,
    Viewer(who): Viewer,
    Extension(trail): Extension<Trail>,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    let sessions = app.accounts.sessions(visible_of(&who), app.clock.now()).await?;
    let Some((key, session)) = sessions.into_iter().find(|(key, _)| public_id(key) == id) else {
        return Err(Error::not_found("There is no session with this id."));
    };
    trail.about(format!("a session of {}", session.user));
    app.accounts.close(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

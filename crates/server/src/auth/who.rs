//! Extractors that say who asks, and refuse who may not: `Viewer`, `Analyst`, `Admin` in a handler's arguments are its
//! whole access rule.

use super::{Role, TokenScope};
use crate::app::App;
use crate::error::Error;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use std::sync::Arc;

/// Name of the session's cookie.
pub(crate) const SESSION_COOKIE: &str = "overheard_session";

/// How someone proved who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    Session,
    Token,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) via: Via,
}

/// Anyone who is known.
pub(crate) struct Viewer(pub(crate) Who);
/// At least an analyst.
pub(crate) struct Analyst(pub(crate) Who);
/// An admin.
pub(crate) struct Admin(pub(crate) Who);

/// The secret of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The secret in the session's cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, secret)| secret)
}

async fn who(parts: &Parts, app: &App) -> Result<Who, Error> {
    if let Some(secret) = bearer(&parts.headers) {
        let token = app.accounts.token(secret).await?;
        return match token.map(|token| (token.scope, token.name)) {
            Some((TokenScope::Api { role }, name)) => Ok(Who { name: format!("token {name}"), role, via: Via::Token }),
            Some((TokenScope::Push { .. }, _)) => Err(Error::forbidden("This token only pushes posts.")),
            None => Err(Error::unauthorized("This token is not known.")),
        };
    }
    let Some(secret) = cookie(&parts.headers) else { return Err(Error::unauthorized("Sign in first.")) };
    let Some(session) = app.accounts.session(secret, app.clock.now()).await? else {
        return Err(Error::unauthorized("Your session has ended. Sign in again."));
    };
    let Some(account) = app.accounts.account(&session.user).await? else {
        return Err(Error::unauthorized("This user is no longer here."));
    };
    Ok(Who { name: account.name, role: account.role, via: Via::Session })
}

async fn at_least(parts: &Parts, app: &App, role: Role) -> Result<Who, Error> {
    let who = who(parts, app).await?;
    match who.role >= role {
        true => Ok(who),
        false if role == Role::Admin => Err(Error::forbidden("Only an admin can do this.")),
        false => Err(Error::forbidden("Only an analyst or admin can do this.")),
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

//! Who asks: the session or token of a request, and the user behind it.

use crate::error::Error;
use axum::http::{HeaderMap, header};
use domain::Timestamp;
use state::{Accounts, Role, TokenScope, digest};

/// Name of the session's cookie, without the prefix that it has on https.
pub(crate) const SESSION_COOKIE: &str = "overheard_session";
/// Name of the cookie by which a device is known.
pub(crate) const DEVICE_COOKIE: &str = "overheard_device";
/// A sign-in with the identity provider that is under way.
pub(crate) const ATTEMPT_COOKIE: &str = "overheard_sign_in";

/// How someone proved who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    Session,
    Token,
}

/// The proof itself: the digest under which the session or token is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) via: Via,
    pub(crate) key: String,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// As people are told: the user's name, or `token NAME`.
    pub(crate) name: String,
    /// The user; with a token, the one who made it.
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) pass: Pass,
    pub(crate) must_change_password: bool,
}

/// The secret of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, secret)| secret)
}

impl Pass {
    /// The proof in a request's headers; `session_cookie` is the name of the session's cookie.
    pub(crate) fn of(headers: &HeaderMap, session_cookie: &str) -> Option<Self> {
        let pass = |via, secret| Self { via, key: digest(secret) };
        let token = bearer(headers).map(|secret| pass(Via::Token, secret));
        token.or_else(|| cookie(headers, session_cookie).map(|secret| pass(Via::Session, secret)))
    }
}

/// Who has this proof now.
pub(crate) async fn who_has(accounts: &Accounts, pass: &Pass, now: Timestamp) -> Result<Who, Error> {
    match pass.via {
        Via::Token => who_of_token(accounts, pass, now).await,
        Via::Session => who_of_session(accounts, pass, now).await,
    }
}

async fn who_of_token(accounts: &Accounts, pass: &Pass, now: Timestamp) -> Result<Who, Error> {
    let Some((token, owner)) = accounts.token(&pass.key, now).await? else {
        return Err(Error::unauthorized("This token is not known."));
    };
    let (TokenScope::Api { role }, Some(owner)) = (token.scope, owner) else {
        return Err(Error::forbidden("This token only pushes posts."));
    };
    Ok(Who {
        name: format!("token {}", token.name),
        user: owner.name,
        role: role.min(owner.role),
        pass: pass.clone(),
        must_change_password: false,
    })
}

async fn who_of_session(accounts: &Accounts, pass: &Pass, now: Timestamp) -> Result<Who, Error> {
    let Some(session) = accounts.seen_session(&pass.key, now).await? else {
        return Err(Error::unauthorized("Your session has ended. Sign in again."));
    };
    let Some(account) = accounts.account(&session.user).await? else {
        return Err(Error::unauthorized("This user no longer exists."));
    };
    Ok(Who {
        user: account.name.clone(),
        name: account.name,
        role: account.role,
        pass: pass.clone(),
        must_change_password: account.must_change_password,
    })
}

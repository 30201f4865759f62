//! Users and tokens, for admins.

use super::{Admin, Body};
use crate::app::App;
use crate::audit::Trail;
use crate::error::Error;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use state::{Account, Role, Token, TokenOrder, TokenScope};
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    name: String,
    role: Role,
    created_at: DateTime<Utc>,
    /// He was given a password that he has to change at his next sign-in.
    must_change_password: bool,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        let Account { name, role, created_at, must_change_password, .. } = account;
        Self { name, role, created_at, must_change_password }
    }
}

/// Longest life of a token that has an end: ten years.
const TOKEN_DAYS_MAX: u32 = 3650;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    name: String,
    /// At least 12 characters.
    password: String,
    role: Role,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    role: Option<Role>,
    /// At least 12 characters; ends the user's sessions.
    password: Option<String>,
}

/// All users.
#[utoipa::path(get, path = "/api/users", tag = "users", responses((status = 200, body = Vec<User>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Admin) -> Result<Json<Vec<User>>, Error> {
    Ok(Json(app.accounts.accounts().await?.into_iter().map(User::from).collect()))
}

/// Adds a user.
#[utoipa::path(post, path = "/api/users", tag = "users", request_body = NewUser, responses((status = 201)))]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Extension(trail): Extension<Trail>,
    Body(user): Body<NewUser>,
) -> Result<StatusCode, Error> {
    trail.about(format!("{} as {}", user.name, user.role.as_str()));
    if !app.accounts.add(&user.name, user.role, user.password, false, app.clock.now()).await? {
        return Err(Error::conflict("name", "There is a user of this name already."));
    }
    tracing::info!(user = user.name, by = who.name, "user added");
    Ok(StatusCode::CREATED)
}

/// Changes a user's role or password.
#[utoipa::path(patch, path = "/api/users/{name}", tag = "users", params(("name" = String, Path)),
    request_body = UserChange, responses((status = 204)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    _: Admin,
    Extension(trail): Extension<Trail>,
    Path(name): Path<String>,
    Body(change): Body<UserChange>,
) -> Result<StatusCode, Error> {
    let role = change.role.map(|role| format!(" becomes {}", role.as_str())).unwrap_or_default();
    let password = if change.password.is_some() { " gets a new password" } else { "" };
    trail.about(format!("{name}{role}{password}"));
    let missing = || Error::not_found("There is no user with this name.");
    if let Some(role) = change.role
        && !app.accounts.change_role(&name, role).await?
    {
        return Err(missing());
    }
    if let Some(password) = change.password
        && !app.accounts.set_password(&name, password, false).await?
    {
        return Err(missing());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user with all sessions and tokens.
#[utoipa::path(delete, path = "/api/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    if !app.accounts.remove(&name).await? {
        return Err(Error::not_found("There is no user with this name."));
    }
    tracing::info!(user = name, by = who.name, "user removed");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenView {
    id: String,
    name: String,
    scope: TokenScope,
    created_by: String,
    created_at: DateTime<Utc>,
    /// None: it has no end of its own.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to within ten minutes.
    used_at: Option<DateTime<Utc>>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        let Token { id, name, scope, created_by, created_at, expires_at, used_at, .. } = token;
        Self { id, name, scope, created_by, created_at, expires_at, used_at }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What people call it.
    name: String,
    scope: TokenScope,
    /// It ends after so many days; left out: when it is revoked or its maker is removed.
    expires_in_days: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedToken {
    token: TokenView,
    /// Shown this once; only its digest is kept.
    secret: String,
}

/// All tokens, without secrets.
#[utoipa::path(get, path = "/api/tokens", tag = "users", responses((status = 200, body = Vec<TokenView>)))]
pub(crate) async fn tokens(State(app): State<Arc<App>>, _: Admin) -> Result<Json<Vec<TokenView>>, Error> {
    Ok(Json(app.accounts.tokens().await?.into_iter().map(TokenView::from).collect()))
}

/// Creates a token. Its role is at most yours, and it ends when your account is removed.
#[utoipa::path(post, path = "/api/tokens", tag = "users", request_body = NewToken,
    responses((status = 201, body = IssuedToken)))]
pub(crate) async fn issue_token(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Extension(trail): Extension<Trail>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Error> {
    if new.expires_in_days.is_some_and(|days| !(1..=TOKEN_DAYS_MAX).contains(&days)) {
        return Err(Error::bad_field("expires_in_days", format!("A token ends after 1 to {TOKEN_DAYS_MAX} days.")));
    }
    let makes_source = match &new.scope {
        TokenScope::Push { source } if source.trim().is_empty() => {
            return Err(Error::bad_field("scope.source", "Name the source that this token pushes as."));
        }
        TokenScope::Push { source } => {
            !app.ports.push.push_source(source).map_err(|reason| Error::bad_field("scope.source", reason))?
        }
        TokenScope::Api { .. } => false,
    };
    let now = app.clock.now();
    let expires_at = new.expires_in_days.map(|days| now + Duration::days(days.into()));
    let name = new.name.trim().to_owned();
    trail.about(name.as_str());
    let order = TokenOrder { name, scope: new.scope, expires_at, makes_source };
    let (token, secret) = app.accounts.issue(order, &who.user, now).await?;
    tracing::info!(token = token.id, by = who.name, "token issued");
    Ok((StatusCode::CREATED, Json(IssuedToken { token: token.into(), secret })))
}

/// Revokes a token.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn revoke_token(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    match app.accounts.revoke(&id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found("There is no token with this id.")),
    }
}

//! Users and tokens, for admins.

use super::Body;
use crate::app::App;
use crate::auth::{Account, Admin, Role, Token, TokenScope};
use crate::error::Error;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    name: String,
    role: Role,
    created_at: DateTime<Utc>,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self { name: account.name, role: account.role, created_at: account.created_at }
    }
}

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
    Body(user): Body<NewUser>,
) -> Result<StatusCode, Error> {
    if !app.accounts.add(&user.name, user.role, user.password, app.clock.now()).await? {
        return Err(Error::conflict("name", "There is a user of this name already."));
    }
    tracing::info!(user = user.name, by = who.name, "user added");
    Ok(StatusCode::CREATED)
}

async fn last_admin(app: &App, name: &str) -> Result<bool, Error> {
    let accounts = app.accounts.accounts().await?;
    Ok(accounts.iter().filter(|account| account.role == Role::Admin).all(|account| account.name == name))
}

/// Changes a user's role or password.
#[utoipa::path(patch, path = "/api/users/{name}", tag = "users", params(("name" = String, Path)),
    request_body = UserChange, responses((status = 204)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(name): Path<String>,
    Body(change): Body<UserChange>,
) -> Result<StatusCode, Error> {
    if change.role.is_some_and(|role| role != Role::Admin) && last_admin(&app, &name).await? {
        return Err(Error::conflict("role", "This is the last admin."));
    }
    match app.accounts.change(&name, change.role, change.password).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found("There is no user of this name.")),
    }
}

/// Removes a user and ends his sessions.
#[utoipa::path(delete, path = "/api/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    if last_admin(&app, &name).await? {
        return Err(Error::conflict("name", "This is the last admin."));
    }
    if !app.accounts.remove(&name).await? {
        return Err(Error::not_found("There is no user of this name."));
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
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        let Token { id, name, scope, created_by, created_at } = token;
        Self { id, name, scope, created_by, created_at }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What people call it.
    name: String,
    scope: TokenScope,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedToken {
    token: TokenView,
    /// Shown this once; only its digest is kept.
    secret: String,
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/api/tokens", tag = "users", responses((status = 200, body = Vec<TokenView>)))]
pub(crate) async fn tokens(State(app): State<Arc<App>>, _: Admin) -> Result<Json<Vec<TokenView>>, Error> {
    Ok(Json(app.accounts.tokens().await?.into_iter().map(TokenView::from).collect()))
}

/// Makes a token.
#[utoipa::path(post, path = "/api/tokens", tag = "users", request_body = NewToken,
    responses((status = 201, body = IssuedToken)))]
pub(crate) async fn issue_token(
    State(app): State<Arc<App>>,
    Admin(who): Admin,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Error> {
    let named = !new.name.trim().is_empty() && new.name.chars().count() <= 64;
    if !named {
        return Err(Error::bad_field("name", "A token's name has 1 to 64 characters."));
    }
    if matches!(&new.scope, TokenScope::Push { source } if source.trim().is_empty()) {
        return Err(Error::bad_field("scope.source", "Name the source that this token pushes as."));
    }
    let (token, secret) = app.accounts.issue(new.name.trim(), new.scope, &who.name, app.clock.now()).await?;
    tracing::info!(token = token.id, by = who.name, "token issued");
    Ok((StatusCode::CREATED, Json(IssuedToken { token: token.into(), secret })))
}

/// Removes a token; whoever uses it is refused from now on.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn revoke_token(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    match app.accounts.revoke(&id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found("There is no token of this id.")),
    }
}

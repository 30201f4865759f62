//! What the operator does at the machine, on the data folder, while the program runs or not: the first admin, and users
//! when nobody can sign in any more.

use super::accounts::Accounts;
use super::{Role, secret};
use crate::error::Error;
use domain::{StateStore, Timestamp};
use std::sync::Arc;

/// A user as the operator sees him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub must_change_password: bool,
}

/// On a first start, when there is no user yet: makes the user `admin`. With a password given, nothing is returned;
/// else one is made, to be shown once, and with `must_change` changed at the first sign-in.
pub async fn create_first_admin(
    state: &Arc<dyn StateStore>,
    password: Option<String>,
    must_change: bool,
    now: Timestamp,
) -> domain::Result<Option<String>> {
    let accounts = Accounts::new(Arc::clone(state));
    if !accounts.accounts().await.map_err(out)?.is_empty() {
        return Ok(None);
    }
    let made = password.is_none().then(secret::new_password);
    let password = password.or_else(|| made.clone()).unwrap_or_default();
    let must_change = must_change && made.is_some();
    let added = accounts.add("admin", Role::Admin, password, must_change, now).await.map_err(out)?;
    Ok(made.filter(|_| added))
}

/// Every user, by name.
pub async fn users(state: &Arc<dyn StateStore>) -> domain::Result<Vec<UserSummary>> {
    let accounts = Accounts::new(Arc::clone(state)).accounts().await.map_err(out)?;
    let summary = |account: super::Account| UserSummary {
        name: account.name,
        role: account.role,
        created_at: account.created_at,
        must_change_password: account.must_change_password,
    };
    Ok(accounts.into_iter().map(summary).collect())
}

/// Adds a user with a random password, which is returned; `None`: the name is taken.
pub async fn add_user(
    state: &Arc<dyn StateStore>,
    name: &str,
    role: Role,
    now: Timestamp,
) -> domain::Result<Option<String>> {
    let password = secret::new_password();
    let added = Accounts::new(Arc::clone(state)).add(name, role, password.clone(), true, now).await.map_err(out)?;
    Ok(added.then_some(password))
}

/// Gives a user a new random password and ends his sessions; `None`: no such user.
pub async fn reset_password(state: &Arc<dyn StateStore>, name: &str) -> domain::Result<Option<String>> {
    let password = secret::new_password();
    let accounts = Accounts::new(Arc::clone(state));
    let changed = accounts.set_password(name, password.clone(), true).await.map_err(out)?;
    Ok(changed.then_some(password))
}

/// Gives a user another role; `false`: no such user.
pub async fn change_role(state: &Arc<dyn StateStore>, name: &str, role: Role) -> domain::Result<bool> {
    Accounts::new(Arc::clone(state)).change_role(name, role).await.map_err(out)
}

/// Removes a user with his sessions and tokens; `false`: no such user.
pub async fn remove_user(state: &Arc<dyn StateStore>, name: &str) -> domain::Result<bool> {
    Accounts::new(Arc::clone(state)).remove(name).await.map_err(out)
}

/// Refusals in the words that a client would be told.
pub(super) fn out(error: Error) -> domain::Error {
    match error.status().is_client_error() {
        true => domain::Error::reject(error.problem().message.clone()),
        false => domain::Error::caused(domain::ErrorKind::Stop, "users can't be read or written", error),
    }
}

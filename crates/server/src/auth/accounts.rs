//! Users in the state store, by name. Every change of one is a compare and swap: read, change, write if it is still as it
//! was read, else again. So a removed user does not come back, and two admins can't remove each other at once.

use super::documents::{Account, CONFIGURATION, Kept, TOKEN, Token, USER, contended, json, kept};
use super::{Role, password};
use crate::error::Error;
use domain::{StateStore, Swap, Timestamp};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::watch;

/// Tries of a change that others come between: far more than people do at once.
const TRIES_MAX: usize = 50;

/// Users, sessions and tokens.
#[derive(Clone)]
pub(crate) struct Accounts {
    pub(super) state: Arc<dyn StateStore>,
    /// Told whenever someone may have lost a right: live streams look again who they serve.
    changed: watch::Sender<()>,
}

impl Accounts {
    pub(crate) fn new(state: Arc<dyn StateStore>) -> Self {
        Self { state, changed: watch::channel(()).0 }
    }

    /// Wakes when someone may have lost a right in this process.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn tell(&self) {
        self.changed.send_replace(());
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Result<Option<Kept<T>>, Error> {
        self.state.get(kind, key).await.map_err(Error::of_port)?.map(kept).transpose()
    }

    pub(super) async fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, Kept<T>)>, Error> {
        let documents = self.state.list(kind).await.map_err(Error::of_port)?;
        documents.into_iter().map(|(key, document)| Ok((key, kept(document)?))).collect()
    }

    pub(super) async fn swap(&self, changes: Vec<Swap>) -> Result<bool, Error> {
        self.state.swap(changes).await.map_err(Error::of_port)
    }

    pub(crate) async fn account(&self, name: &str) -> Result<Option<Account>, Error> {
        Ok(self.get(USER, name).await?.map(|kept| kept.it))
    }

    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(self.list(USER).await?.into_iter().map(|(_, kept)| kept.it).collect())
    }

    /// Adds a user; `false` when the name is taken.
    pub(crate) async fn add(
        &self,
        name: &str,
        role: Role,
        secret: String,
        must_change_password: bool,
        now: Timestamp,
    ) -> Result<bool, Error> {
        check_name(name)?;
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let account = Account { name: name.to_owned(), role, password_hash, created_at: now, must_change_password };
        self.state.put_new(USER, name, json(&account)?).await.map_err(Error::of_port)
    }

    /// Changes a user; `false`: there is none of this name. The last admin stays one.
    async fn edit(
        &self,
        name: &str,
        change: impl Fn(Account) -> Result<Option<Account>, Error>,
    ) -> Result<bool, Error> {
        for _ in 0..TRIES_MAX {
            let accounts = self.list::<Account>(USER).await?;
            let Some((_, kept)) = accounts.iter().find(|(key, _)| key == name) else { return Ok(false) };
            let changed = change(kept.it.clone())?;
            let value = changed.as_ref().map(json).transpose()?;
            let mut changes = vec![Swap::new(USER, name, Some(kept.document.clone()), value)];
            let is_admin = |account: &Account| account.role == Role::Admin;
            if is_admin(&kept.it) && !changed.as_ref().is_some_and(is_admin) {
                let others = accounts.iter().filter(|(key, other)| key != name && is_admin(&other.it));
                changes.extend(others.map(|(key, other)| other.unchanged(USER, key)));
                if changes.len() == 1 {
                    let field = if changed.is_some() { "role" } else { "name" };
                    return Err(Error::conflict(field, "This is the last admin."));
                }
            }
            if changed.is_none() {
                changes.extend(self.belongings(name).await?);
            }
            if self.swap(changes).await? {
                self.tell();
                return Ok(true);
            }
        }
        Err(contended())
    }

    /// What goes with a user who is removed: tokens, sessions, known devices. A user who gets the same name later has
    /// nothing of them.
    async fn belongings(&self, name: &str) -> Result<Vec<Swap>, Error> {
        let mut gone = self.sessions_and_devices_of(name).await?;
        let tokens = self.list::<Token>(TOKEN).await?;
        let own = tokens.iter().filter(|(_, token)| token.it.created_by == name && !token.it.of_configuration());
        gone.extend(own.map(|(key, token)| token.removed(TOKEN, key)));
        Ok(gone)
    }

    /// Gives a user another role; `false`: there is none of this name.
    pub(crate) async fn change_role(&self, name: &str, role: Role) -> Result<bool, Error> {
        self.edit(name, |account| Ok(Some(Account { role, ..account }))).await
    }

    /// Gives a user a password that someone else chose; ends his sessions.
    pub(crate) async fn set_password(&self, name: &str, secret: String, must_change: bool) -> Result<bool, Error> {
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let changed = |account| {
            Ok(Some(Account { password_hash: password_hash.clone(), must_change_password: must_change, ..account }))
        };
        let found = self.edit(name, changed).await?;
        self.end_sessions_of(name, None).await?;
        Ok(found)
    }

    /// Changes one's own password, ends the other sessions. `verified`: the account whose password was just checked.
    pub(crate) async fn change_own_password(
        &self,
        verified: &Account,
        secret: String,
        keep: &str,
    ) -> Result<(), Error> {
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let changed = |account: Account| {
            if account.password_hash != verified.password_hash {
                return Err(Error::conflict("current", "The password was changed elsewhere meanwhile."));
            }
            Ok(Some(Account { password_hash: password_hash.clone(), must_change_password: false, ..account }))
        };
        if !self.edit(&verified.name, changed).await? {
            return Err(Error::unauthorized("This user is no longer here."));
        }
        self.end_sessions_of(&verified.name, Some(keep)).await
    }

    /// Removes a user with his sessions and tokens; `false`: there is none of this name.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, Error> {
        self.edit(name, |_| Ok(None)).await
    }

    /// The user with this name and password. `known`: asked from a device that he signed in from before.
    pub(crate) async fn verified(
        &self,
        name: &str,
        secret: String,
        known: bool,
    ) -> Result<Option<Kept<Account>>, Error> {
        let account = self.get::<Account>(USER, name).await?;
        let hash = account.as_ref().map(|account| account.it.password_hash.clone());
        Ok(if password::verify(secret, hash, known).await? { account } else { None })
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
    match (1..=64).contains(&name.chars().count()) && name.chars().all(allowed) && name != CONFIGURATION {
        true => Ok(()),
        false => Err(Error::bad_field("name", "A name has 1 to 64 letters, digits or . - _ @")),
    }
}

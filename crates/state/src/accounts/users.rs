//! Users, by name.

use super::documents::{Account, CONFIGURATION, Role};
use super::error::AccountError;
use super::store::Accounts;
use super::{password, secret};
use crate::documents::{Stored, TRIES_MAX};
use domain::{Fault, Identity, Swap, Timestamp};

impl Accounts {
    /// Whether a user can have this name.
    pub fn check_name(name: &str) -> Result<(), Fault> {
        domain::check_name("name", name)?;
        let allowed = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
        match name.chars().all(allowed) && name != CONFIGURATION {
            true => Ok(()),
            false => Err(Fault::new("name", "A name has 1 to 64 letters, digits or . - _ @")),
        }
    }

    /// The user of this name.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, AccountError> {
        Ok(self.user_documents().get(name).await?.map(|stored| stored.value))
    }

    /// The account with this name, to open a session for it.
    pub async fn stored(&self, name: &str) -> Result<Option<Stored<Account>>, AccountError> {
        Ok(self.user_documents().get(name).await?)
    }

    /// Every user, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, AccountError> {
        Ok(self.user_documents().list().await?.into_iter().map(|stored| stored.value).collect())
    }

    /// Adds a user; `false` when the name is taken.
    pub async fn add(
        &self,
        name: &str,
        role: Role,
        secret: String,
        must_change_password: bool,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        Self::check_name(name)?;
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let name_of = name.to_owned();
        let account =
            Account { name: name_of, role, password_hash, created_at: now, must_change_password, subject: None };
        Ok(self.user_documents().put_new(name, &account).await?)
    }

    /// Adds a user with a random password, which is returned and changed at the first sign-in; `None`: the name is taken.
    pub async fn add_with_new_password(
        &self,
        name: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<Option<String>, AccountError> {
        let password = secret::new_password();
        Ok(self.add(name, role, password.clone(), true, now).await?.then_some(password))
    }

    /// On a first start, when there is no user yet: makes the user `admin`. With a password given, nothing is returned;
    /// else one is made, to be shown once, and with `must_change` changed at the first sign-in.
    pub async fn add_first_admin(
        &self,
        password: Option<String>,
        must_change: bool,
        now: Timestamp,
    ) -> Result<Option<String>, AccountError> {
        if !self.accounts().await?.is_empty() {
            return Ok(None);
        }
        let made = password.is_none().then(secret::new_password);
        let password = password.or_else(|| made.clone()).unwrap_or_default();
        let added = self.add("admin", Role::Admin, password, must_change && made.is_some(), now).await?;
        Ok(made.filter(|_| added))
    }

    /// The user whom a provider signs in, added at the first time. The role is the provider's, but the last admin stays one.
    /// Refused: the name is another user's.
    pub async fn signed_on(
        &self,
        identity: &Identity,
        role: Role,
        now: Timestamp,
    ) -> Result<Stored<Account>, AccountError> {
        let users = self.user_documents();
        let is_them = |stored: &Stored<Account>| stored.value.subject.as_ref() == Some(&identity.subject);
        if let Some(user) = users.list().await?.into_iter().find(is_them) {
            if user.value.role == role {
                return Ok(user);
            }
            match self.change_role(&user.key, role).await {
                Ok(_) | Err(AccountError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            return users.get(&user.key).await?.filter(is_them).ok_or_else(AccountError::contended);
        }
        Self::check_name(&identity.name)?;
        let (name, subject) = (identity.name.clone(), Some(identity.subject.clone()));
        // No password has this hash.
        let password_hash = String::new();
        let account = Account { name, role, password_hash, created_at: now, must_change_password: false, subject };
        users.put_new(&identity.name, &account).await?;
        users.get(&identity.name).await?.filter(is_them).ok_or_else(|| {
            let message =
                format!("{} is the name of another user. Ask an admin to remove or rename that user.", identity.name);
            AccountError::Conflict(Fault::new("name", message))
        })
    }

    /// Changes a user; `false`: there is none of this name. The last admin stays one.
    async fn edit(
        &self,
        name: &str,
        change: impl Fn(Account) -> Result<Option<Account>, AccountError>,
    ) -> Result<bool, AccountError> {
        let users = self.user_documents();
        for _ in 0..TRIES_MAX {
            let all = users.list().await?;
            let Some(user) = all.iter().find(|stored| stored.key == name) else { return Ok(false) };
            let changed = change(user.value.clone())?;
            let mut changes = vec![match &changed {
                Some(account) => users.changed(user, account)?,
                None => users.removed(user),
            }];
            let is_admin = |account: &Account| account.role == Role::Admin;
            if is_admin(&user.value) && !changed.as_ref().is_some_and(is_admin) {
                let others = all.iter().filter(|other| other.key != name && is_admin(&other.value));
                changes.extend(others.map(|other| users.unchanged(other)));
                if changes.len() == 1 {
                    let field = if changed.is_some() { "role" } else { "name" };
                    return Err(AccountError::Conflict(Fault::new(field, "This is the last admin.")));
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
        Err(AccountError::contended())
    }

    /// What goes with a user who is removed: tokens, sessions, known devices. A user who gets the same name later has
    /// nothing of them.
    async fn belongings(&self, name: &str) -> Result<Vec<Swap>, AccountError> {
        let mut gone = self.sessions_and_devices_of(name).await?;
        gone.extend(self.tokens_of(name).await?);
        Ok(gone)
    }

    /// Gives a user another role; `false`: there is none of this name.
    pub async fn change_role(&self, name: &str, role: Role) -> Result<bool, AccountError> {
        self.edit(name, |account| Ok(Some(Account { role, ..account }))).await
    }

    /// Gives a user a password that someone else chose; ends the user's sessions.
    pub async fn set_password(&self, name: &str, secret: String, must_change: bool) -> Result<bool, AccountError> {
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let changed = |account: Account| match account.subject {
            Some(_) => {
                let message = "This user signs in with an identity provider and has no password.";
                Err(AccountError::Conflict(Fault::new("password", message)))
            }
            None => {
                Ok(Some(Account { password_hash: password_hash.clone(), must_change_password: must_change, ..account }))
            }
        };
        let found = self.edit(name, changed).await?;
        self.end_sessions_of(name, None).await?;
        Ok(found)
    }

    /// Gives a user a new random password, which is returned, and ends the user's sessions; `None`: no such user.
    pub async fn reset_password(&self, name: &str) -> Result<Option<String>, AccountError> {
        let password = secret::new_password();
        Ok(self.set_password(name, password.clone(), true).await?.then_some(password))
    }

    /// Changes one's own password, ends the other sessions. `verified`: the account whose password was just checked.
    pub async fn change_own_password(
        &self,
        verified: &Account,
        secret: String,
        keep: &str,
    ) -> Result<(), AccountError> {
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let changed = |account: Account| {
            if account.password_hash != verified.password_hash {
                let fault = Fault::new("current", "The password was changed elsewhere meanwhile.");
                return Err(AccountError::Conflict(fault));
            }
            Ok(Some(Account { password_hash: password_hash.clone(), must_change_password: false, ..account }))
        };
        if !self.edit(&verified.name, changed).await? {
            return Err(AccountError::Changed("This user no longer exists."));
        }
        self.end_sessions_of(&verified.name, Some(keep)).await
    }

    /// Removes a user with his sessions and tokens; `false`: there is none of this name.
    pub async fn remove(&self, name: &str) -> Result<bool, AccountError> {
        self.edit(name, |_| Ok(None)).await
    }

    /// The user with this name and password. `known`: asked from a device that the user signed in from before.
    pub async fn verified(
        &self,
        name: &str,
        secret: String,
        known: bool,
    ) -> Result<Option<Stored<Account>>, AccountError> {
        let account = self.user_documents().get(name).await?;
        let hash = account.as_ref().map(|account| account.value.password_hash.clone());
        Ok(if password::verify(secret, hash, known).await? { account } else { None })
    }
}

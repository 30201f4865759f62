//! Users, sessions and tokens in the state store. Keys: a user's name; the digest of a session's or token's secret.

use super::{Role, password, secret};
use crate::error::Error;
use chrono::Duration;
use domain::{StateStore, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const USER: &str = "user";
const SESSION: &str = "session";
const TOKEN: &str = "token";

/// A user as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) role: Role,
    password_hash: String,
    pub(crate) created_at: Timestamp,
}

/// A browser's session as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "for", rename_all = "lowercase")]
pub(crate) enum TokenScope {
    /// The API, as a user with this role.
    Api { role: Role },
    /// Pushing posts as this source, and nothing else.
    Push { source: String },
}

/// A program's token as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Public id, for listing and removing.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: TokenScope,
    pub(crate) created_by: String,
    pub(crate) created_at: Timestamp,
}

/// Users, sessions and tokens.
#[derive(Clone)]
pub(crate) struct Accounts(pub(crate) Arc<dyn StateStore>);

fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(Error::internal)
}

fn json<T: Serialize>(value: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(Error::internal)
}

impl Accounts {
    pub(crate) async fn account(&self, name: &str) -> Result<Option<Account>, Error> {
        self.0.get(USER, name).await.map_err(Error::of_port)?.map(read).transpose()
    }

    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, Error> {
        self.0.list(USER).await.map_err(Error::of_port)?.into_iter().map(|(_, value)| read(value)).collect()
    }

    /// Adds a user; `false` when the name is taken.
    pub(crate) async fn add(&self, name: &str, role: Role, secret: String, now: Timestamp) -> Result<bool, Error> {
        check_name(name)?;
        password::check(&secret)?;
        let password_hash = password::hash(secret).await?;
        let account = Account { name: name.to_owned(), role, password_hash, created_at: now };
        self.0.put_new(USER, name, json(&account)?).await.map_err(Error::of_port)
    }

    /// Changes role or password; a new password ends the user's sessions.
    pub(crate) async fn change(&self, name: &str, role: Option<Role>, secret: Option<String>) -> Result<bool, Error> {
        let Some(mut account) = self.account(name).await? else { return Ok(false) };
        account.role = role.unwrap_or(account.role);
        if let Some(secret) = secret {
            password::check(&secret)?;
            account.password_hash = password::hash(secret).await?;
            self.end_sessions_of(name).await?;
        }
        self.0.put(USER, name, json(&account)?).await.map_err(Error::of_port)?;
        Ok(true)
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<bool, Error> {
        self.end_sessions_of(name).await?;
        self.0.delete(USER, name).await.map_err(Error::of_port)
    }

    /// The user with this name and password.
    pub(crate) async fn verified(&self, name: &str, secret: String) -> Result<Option<Account>, Error> {
        let account = self.account(name).await?;
        let kept = account.as_ref().map(|account| account.password_hash.clone());
        Ok(if password::verify(secret, kept).await? { account } else { None })
    }

    /// Opens a session and gives its secret.
    pub(crate) async fn open(&self, name: &str, now: Timestamp, age_max: Duration) -> Result<String, Error> {
        self.forget_expired(now).await?;
        let secret = secret::new("");
        let session = Session { user: name.to_owned(), created_at: now, expires_at: now + age_max };
        self.0.put(SESSION, &secret::digest(&secret), json(&session)?).await.map_err(Error::of_port)?;
        Ok(secret)
    }

    pub(crate) async fn session(&self, secret: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        let found = self.0.get(SESSION, &secret::digest(secret)).await.map_err(Error::of_port)?;
        let session: Option<Session> = found.map(read).transpose()?;
        Ok(session.filter(|session| session.expires_at > now))
    }

    pub(crate) async fn close(&self, secret: &str) -> Result<bool, Error> {
        self.0.delete(SESSION, &secret::digest(secret)).await.map_err(Error::of_port)
    }

    async fn end_sessions(&self, ended: impl Fn(&Session) -> bool) -> Result<(), Error> {
        for (key, value) in self.0.list(SESSION).await.map_err(Error::of_port)? {
            if ended(&read(value)?) {
                self.0.delete(SESSION, &key).await.map_err(Error::of_port)?;
            }
        }
        Ok(())
    }

    async fn end_sessions_of(&self, name: &str) -> Result<(), Error> {
        self.end_sessions(|session| session.user == name).await
    }

    async fn forget_expired(&self, now: Timestamp) -> Result<(), Error> {
        self.end_sessions(|session| session.expires_at <= now).await
    }

    /// Makes a token and gives its secret, which is shown this once.
    pub(crate) async fn issue(
        &self,
        name: &str,
        scope: TokenScope,
        by: &str,
        now: Timestamp,
    ) -> Result<(Token, String), Error> {
        let secret = secret::new("ovh_");
        let id = secret::digest(&secret)[..12].to_owned();
        let token = Token { id, name: name.to_owned(), scope, created_by: by.to_owned(), created_at: now };
        self.0.put(TOKEN, &secret::digest(&secret), json(&token)?).await.map_err(Error::of_port)?;
        Ok((token, secret))
    }

    pub(crate) async fn token(&self, secret: &str) -> Result<Option<Token>, Error> {
        self.0.get(TOKEN, &secret::digest(secret)).await.map_err(Error::of_port)?.map(read).transpose()
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, Error> {
        self.0.list(TOKEN).await.map_err(Error::of_port)?.into_iter().map(|(_, value)| read(value)).collect()
    }

    /// Removes the token with this public id.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, Error> {
        for (key, value) in self.0.list(TOKEN).await.map_err(Error::of_port)? {
            if read::<Token>(value)?.id == id {
                return self.0.delete(TOKEN, &key).await.map_err(Error::of_port);
            }
        }
        Ok(false)
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
    match (1..=64).contains(&name.chars().count()) && name.chars().all(allowed) {
        true => Ok(()),
        false => Err(Error::bad_field("name", "A name has 1 to 64 letters, digits or . - _ @")),
    }
}

/// On a first start, when there is no user yet: makes the user `admin` and gives his password, to be shown once.
pub async fn create_first_admin(state: &Arc<dyn StateStore>, now: Timestamp) -> domain::Result<Option<String>> {
    let accounts = Accounts(Arc::clone(state));
    if !state.list(USER).await?.is_empty() {
        return Ok(None);
    }
    let password = secret::new_password();
    let added = accounts.add("admin", Role::Admin, password.clone(), now).await.map_err(out)?;
    Ok(added.then_some(password))
}

/// Gives a user a new random password (a person at the machine who lost his); `None`: no such user.
pub async fn set_password(state: &Arc<dyn StateStore>, name: &str) -> domain::Result<Option<String>> {
    let password = secret::new_password();
    let changed = Accounts(Arc::clone(state)).change(name, None, Some(password.clone())).await.map_err(out)?;
    Ok(changed.then_some(password))
}

/// Lets whoever holds `secret` push posts as `source`: for tokens that stand in the configuration. Said again it changes
/// nothing.
pub async fn allow_push(state: &Arc<dyn StateStore>, source: &str, secret: &str, now: Timestamp) -> domain::Result<()> {
    let digest = secret::digest(secret);
    let scope = TokenScope::Push { source: source.to_owned() };
    let (id, name) = (digest[..12].to_owned(), format!("configured for {source}"));
    let token = Token { id, name, scope, created_by: "configuration".into(), created_at: now };
    state.put_new(TOKEN, &digest, json(&token).map_err(out)?).await?;
    Ok(())
}

fn out(error: Error) -> domain::Error {
    domain::Error::caused(domain::ErrorKind::Stop, "users can't be read or written", error)
}

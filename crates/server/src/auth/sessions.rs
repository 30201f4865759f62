//! Sessions of browsers in the state store, by the digest of their secret, and the devices that someone signed in from
//! before, which guesses of others can't lock out.

use super::accounts::Accounts;
use super::documents::{Account, Kept, USER, contended, json};
use super::secret;
use crate::error::Error;
use chrono::Duration;
use domain::{Swap, Timestamp};
use serde::{Deserialize, Serialize};

pub(super) const SESSION: &str = "session";
const DEVICE: &str = "device";
/// A device is known for so long after the last sign-in from it.
pub(crate) const DEVICE_AGE_MAX: Duration = Duration::days(180);
/// When a session was last seen is written at most this often.
pub(super) const SEEN_EVERY: Duration = Duration::minutes(10);
/// What is kept of a browser's own words about itself, characters.
const BROWSER_LENGTH_MAX: usize = 200;

/// A browser's session as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Where it was opened from.
    #[serde(default)]
    pub(crate) address: String,
    /// The browser, in its own words.
    #[serde(default)]
    pub(crate) browser: String,
    #[serde(default)]
    pub(crate) seen_at: Option<Timestamp>,
}

/// A device from which someone signed in.
#[derive(Debug, Serialize, Deserialize)]
struct Device {
    user: String,
    expires_at: Timestamp,
}

/// Public id of a session or token: enough of its digest to tell it from the others.
pub(crate) fn public_id(key: &str) -> &str {
    key.get(..12).unwrap_or(key)
}

impl Accounts {
    /// Opens a session of the account as it was verified, and gives its secret. Refused when the account was changed or
    /// removed meanwhile.
    pub(crate) async fn open(
        &self,
        account: &Kept<Account>,
        address: &str,
        browser: &str,
        now: Timestamp,
        age_max: Duration,
    ) -> Result<String, Error> {
        self.forget_expired(now).await?;
        let (secret, user) = (secret::new(""), account.it.name.clone());
        let session = Session {
            user: user.clone(),
            created_at: now,
            expires_at: now + age_max,
            address: address.to_owned(),
            browser: browser.chars().take(BROWSER_LENGTH_MAX).collect(),
            seen_at: Some(now),
        };
        let opened = Swap::new(SESSION, &secret::digest(&secret), None, Some(json(&session)?));
        match self.swap(vec![account.unchanged(USER, &user), opened]).await? {
            true => Ok(secret),
            false => Err(Error::unauthorized("This user was changed meanwhile. Sign in again.")),
        }
    }

    /// The session of this key, which is seen now.
    pub(super) async fn seen_session(&self, key: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        let kept = self.get::<Session>(SESSION, key).await?;
        let Some(kept) = kept.filter(|session| session.it.expires_at > now) else { return Ok(None) };
        if kept.it.seen_at.is_none_or(|seen| now - seen >= SEEN_EVERY) {
            let seen = json(&Session { seen_at: Some(now), ..kept.it.clone() })?;
            // Lost only against the session's end or another look.
            self.swap(vec![Swap::new(SESSION, key, Some(kept.document.clone()), Some(seen))]).await?;
        }
        Ok(Some(kept.it))
    }

    /// Sessions that have not expired, with their keys: of a user, or everybody's.
    pub(crate) async fn sessions(&self, of: Option<&str>, now: Timestamp) -> Result<Vec<(String, Session)>, Error> {
        let all = self.list::<Session>(SESSION).await?.into_iter().map(|(key, kept)| (key, kept.it));
        let wanted = |session: &Session| session.expires_at > now && of.is_none_or(|user| session.user == user);
        Ok(all.filter(|(_, session)| wanted(session)).collect())
    }

    /// Ends the session with this key.
    pub(crate) async fn close(&self, key: &str) -> Result<bool, Error> {
        let closed = self.state.delete(SESSION, key).await.map_err(Error::of_port)?;
        self.tell();
        Ok(closed)
    }

    /// Ends the sessions of a user, but for the one with the key `keep`.
    pub(super) async fn end_sessions_of(&self, name: &str, keep: Option<&str>) -> Result<(), Error> {
        for (key, session) in self.list::<Session>(SESSION).await? {
            if session.it.user == name && keep != Some(key.as_str()) {
                self.state.delete(SESSION, &key).await.map_err(Error::of_port)?;
            }
        }
        self.tell();
        Ok(())
    }

    /// Takes the sessions and known devices of a user away.
    pub(super) async fn sessions_and_devices_of(&self, name: &str) -> Result<Vec<Swap>, Error> {
        let (sessions, devices) = (self.list::<Session>(SESSION).await?, self.list::<Device>(DEVICE).await?);
        let sessions = sessions.iter().filter(|(_, session)| session.it.user == name);
        let devices = devices.iter().filter(|(_, device)| device.it.user == name);
        let sessions = sessions.map(|(key, session)| session.removed(SESSION, key));
        Ok(sessions.chain(devices.map(|(key, device)| device.removed(DEVICE, key))).collect())
    }

    async fn forget_expired(&self, now: Timestamp) -> Result<(), Error> {
        let sessions = self.list::<Session>(SESSION).await?.into_iter();
        let old_sessions = sessions.filter(|(_, kept)| kept.it.expires_at <= now).map(|(key, _)| (SESSION, key));
        let devices = self.list::<Device>(DEVICE).await?.into_iter();
        let old_devices = devices.filter(|(_, kept)| kept.it.expires_at <= now).map(|(key, _)| (DEVICE, key));
        for (kind, key) in old_sessions.chain(old_devices) {
            self.state.delete(kind, &key).await.map_err(Error::of_port)?;
        }
        Ok(())
    }

    /// Whether this device is one that the user signed in from before.
    pub(crate) async fn is_known_device(&self, secret: &str, user: &str, now: Timestamp) -> Result<bool, Error> {
        let device = self.get::<Device>(DEVICE, &secret::digest(secret)).await?;
        Ok(device.is_some_and(|device| device.it.user == user && device.it.expires_at > now))
    }

    /// Remembers the device of a user who signed in, if he is still there.
    pub(crate) async fn remember_device(&self, user: &str, now: Timestamp) -> Result<String, Error> {
        let secret = secret::new("");
        let device = json(&Device { user: user.to_owned(), expires_at: now + DEVICE_AGE_MAX })?;
        let account = self.get::<Account>(USER, user).await?.ok_or_else(contended)?;
        let remembered = Swap::new(DEVICE, &secret::digest(&secret), None, Some(device));
        // Lost against a change of the account: then this device is an unknown one next time.
        self.swap(vec![account.unchanged(USER, user), remembered]).await?;
        Ok(secret)
    }
}

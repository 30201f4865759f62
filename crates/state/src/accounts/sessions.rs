//! Sessions of browsers, and the devices that someone signed in from before, which guesses of others can't lock out.

use super::documents::{Account, Device, Session};
use super::error::AccountError;
use super::secret;
use super::store::Accounts;
use crate::documents::Stored;
use chrono::Duration;
use domain::{Swap, Timestamp};

/// A device is known for so long after the last sign-in from it.
pub const DEVICE_AGE_MAX: Duration = Duration::days(180);
/// When a session or token was last used is written at most this often.
pub(super) const SEEN_EVERY: Duration = Duration::minutes(10);
/// What is kept of a browser's own words about itself, characters.
const BROWSER_LENGTH_MAX: usize = 200;

impl Accounts {
    /// Opens a session of the account as it was verified, and gives its secret. Refused when the account was changed or
    /// removed meanwhile.
    pub async fn open(
        &self,
        account: &Stored<Account>,
        address: &str,
        browser: &str,
        now: Timestamp,
        age_max: Duration,
    ) -> Result<String, AccountError> {
        self.forget_expired(now).await?;
        let secret = secret::new_secret();
        let session = Session {
            user: account.value.name.clone(),
            created_at: now,
            expires_at: now + age_max,
            address: address.to_owned(),
            browser: browser.chars().take(BROWSER_LENGTH_MAX).collect(),
            seen_at: Some(now),
        };
        let opened = self.session_documents().added(&secret::digest(&secret), &session)?;
        match self.swap(vec![self.user_documents().unchanged(account), opened]).await? {
            true => Ok(secret),
            false => Err(AccountError::Changed("This user was changed meanwhile. Sign in again.")),
        }
    }

    /// The session of this key, which is seen now.
    pub async fn seen_session(&self, key: &str, now: Timestamp) -> Result<Option<Session>, AccountError> {
        let sessions = self.session_documents();
        let Some(stored) = sessions.get(key).await?.filter(|session| session.value.expires_at > now) else {
            return Ok(None);
        };
        if stored.value.seen_at.is_none_or(|seen| now - seen >= SEEN_EVERY) {
            let seen = Session { seen_at: Some(now), ..stored.value.clone() };
            // Lost only against the session's end or another look.
            self.swap(vec![sessions.changed(&stored, &seen)?]).await?;
        }
        Ok(Some(stored.value))
    }

    /// Sessions that have not expired, with their keys: of a user, or everybody's.
    pub async fn sessions(&self, of: Option<&str>, now: Timestamp) -> Result<Vec<(String, Session)>, AccountError> {
        let wanted = |session: &Session| session.expires_at > now && of.is_none_or(|user| session.user == user);
        let all = self.session_documents().list().await?.into_iter();
        Ok(all.filter(|stored| wanted(&stored.value)).map(|stored| (stored.key, stored.value)).collect())
    }

    /// Ends the session with this key.
    pub async fn close(&self, key: &str) -> Result<bool, AccountError> {
        let closed = self.session_documents().delete(key).await?;
        self.tell();
        Ok(closed)
    }

    /// Ends the sessions of a user, but for the one with the key `keep`.
    pub(super) async fn end_sessions_of(&self, name: &str, keep: Option<&str>) -> Result<(), AccountError> {
        for session in self.session_documents().list().await? {
            if session.value.user == name && keep != Some(session.key.as_str()) {
                self.session_documents().delete(&session.key).await?;
            }
        }
        self.tell();
        Ok(())
    }

    /// Takes the sessions and known devices of a user away.
    pub(super) async fn sessions_and_devices_of(&self, name: &str) -> Result<Vec<Swap>, AccountError> {
        let (sessions, devices) = (self.session_documents(), self.device_documents());
        let mut gone = Vec::new();
        gone.extend(sessions.list().await?.iter().filter(|s| s.value.user == name).map(|s| sessions.removed(s)));
        gone.extend(devices.list().await?.iter().filter(|d| d.value.user == name).map(|d| devices.removed(d)));
        Ok(gone)
    }

    /// Deletes sessions, devices and tokens that are over.
    async fn forget_expired(&self, now: Timestamp) -> Result<(), AccountError> {
        let (sessions, devices) = (self.session_documents(), self.device_documents());
        for session in sessions.list().await?.iter().filter(|session| session.value.expires_at <= now) {
            sessions.delete(&session.key).await?;
        }
        for device in devices.list().await?.iter().filter(|device| device.value.expires_at <= now) {
            devices.delete(&device.key).await?;
        }
        self.forget_expired_tokens(now).await
    }

    /// Whether this device is one that the user signed in from before.
    pub async fn is_known_device(&self, secret: &str, user: &str, now: Timestamp) -> Result<bool, AccountError> {
        let device = self.device_documents().get(&secret::digest(secret)).await?;
        Ok(device.is_some_and(|device| device.value.user == user && device.value.expires_at > now))
    }

    /// Remembers the device of a user who signed in, if the user is still there.
    pub async fn remember_device(&self, user: &str, now: Timestamp) -> Result<String, AccountError> {
        let secret = secret::new("");
        let device = Device { user: user.to_owned(), expires_at: now + DEVICE_AGE_MAX };
        let account = self.user_documents().get(user).await?.ok_or_else(AccountError::contended)?;
        let remembered = self.device_documents().added(&secret::digest(&secret), &device)?;
        // Lost against a change of the account: then this device is an unknown one next time.
        self.swap(vec![self.user_documents().unchanged(&account), remembered]).await?;
        Ok(secret)
    }
}

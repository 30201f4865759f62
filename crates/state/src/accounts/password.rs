//! Passwords: hashed slowly on purpose, on a thread where that stops nobody.

use super::error::AccountError;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use domain::Fault;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Shortest password accepted, characters.
const PASSWORD_LENGTH_MIN: usize = 12;
const PASSWORD_LENGTH_MAX: usize = 256;

/// Each hashing takes 19 MiB and some tens of milliseconds of a core.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// Hashings under way and waiting.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// Most of them: about two seconds of work. Strangers get half, so that people who signed in before find room.
const ASKED_MAX: usize = 64;
const ASKED_BY_STRANGERS_MAX: usize = ASKED_MAX / 2;

/// Refuses passwords that are too short to hold or too long to be meant.
pub(super) fn check(password: &str) -> Result<(), Fault> {
    let length = password.chars().count();
    if length < PASSWORD_LENGTH_MIN {
        return Err(Fault::new("password", format!("A password has at least {PASSWORD_LENGTH_MIN} characters.")));
    }
    if length > PASSWORD_LENGTH_MAX {
        return Err(Fault::new("password", format!("A password has at most {PASSWORD_LENGTH_MAX} characters.")));
    }
    Ok(())
}

/// Argon2id with a random salt, as a PHC string.
pub(super) async fn hash(password: String) -> Result<String, AccountError> {
    slowly(ASKED_MAX, move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(AccountError::internal)
    })
    .await?
}

/// Compares with a kept hash. Without one it works as long and says no, so that the time does not tell who exists.
/// `known`: asked by someone who signed in before.
pub(super) async fn verify(password: String, kept: Option<String>, known: bool) -> Result<bool, AccountError> {
    if password.chars().count() > PASSWORD_LENGTH_MAX {
        return Ok(false);
    }
    let most = if known { ASKED_MAX } else { ASKED_BY_STRANGERS_MAX };
    slowly(most, move || match kept.as_deref().map(PasswordHash::new) {
        Some(Ok(hash)) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        Some(Err(_)) | None => {
            let worked = Argon2::default().hash_password(password.as_bytes()).is_ok();
            tracing::debug!(worked, "no such user");
            false
        }
    })
    .await
}

/// One hashing asked for, until it is done or given up.
struct Asked;

impl Asked {
    fn one_of(most: usize) -> Result<Self, AccountError> {
        let asked = Self;
        match ASKED.fetch_add(1, Ordering::Relaxed) < most {
            true => Ok(asked),
            false => Err(AccountError::Busy("Too many people sign in at this moment. Try again.")),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        ASKED.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn slowly<T: Send + 'static>(most: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccountError> {
    let _asked = Asked::one_of(most)?;
    let permit = AT_ONCE.acquire().await.map_err(AccountError::internal)?;
    let worked = move || {
        // Held by the work itself: a caller who goes away does not make room for more at once.
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(worked).await.map_err(AccountError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_opens() {
        let kept = hash("correct horse battery".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$"));
        assert!(verify("correct horse battery".into(), Some(kept.clone()), true).await.unwrap());
        assert!(!verify("correct horse batterz".into(), Some(kept), true).await.unwrap());
        assert!(!verify("anything at all".into(), None, false).await.unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check("elevenchars").is_err());
        assert!(check("twelve chars").is_ok());
        assert!(check(&"x".repeat(257)).is_err());
    }
}

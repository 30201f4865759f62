//! Passwords: hashed slowly on purpose, on a thread where that stops nobody.

use crate::error::Error;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Shortest password accepted, characters.
const PASSWORD_LENGTH_MIN: usize = 12;
const PASSWORD_LENGTH_MAX: usize = 256;

/// Each hashing takes 19 MiB and some tens of milliseconds of a core.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Refuses passwords that are too short to hold or too long to be meant.
pub(super) fn check(password: &str) -> Result<(), Error> {
    let length = password.chars().count();
    if length < PASSWORD_LENGTH_MIN {
        return Err(Error::bad_field("password", format!("A password has at least {PASSWORD_LENGTH_MIN} characters.")));
    }
    if length > PASSWORD_LENGTH_MAX {
        return Err(Error::bad_field("password", format!("A password has at most {PASSWORD_LENGTH_MAX} characters.")));
    }
    Ok(())
}

/// Argon2id with a random salt, as a PHC string.
pub(super) async fn hash(password: String) -> Result<String, Error> {
    slowly(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(Error::internal)
    })
    .await?
}

/// Compares with a kept hash. Without one it works as long and says no, so that the time does not tell who exists.
pub(super) async fn verify(password: String, kept: Option<String>) -> Result<bool, Error> {
    if password.chars().count() > PASSWORD_LENGTH_MAX {
        return Ok(false);
    }
    slowly(move || match kept.as_deref().map(PasswordHash::new) {
        Some(Ok(hash)) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        Some(Err(_)) | None => {
            let worked = Argon2::default().hash_password(password.as_bytes()).is_ok();
            tracing::debug!(worked, "no such user");
            false
        }
    })
    .await
}

async fn slowly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let _permit = AT_ONCE.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_opens() {
        let kept = hash("correct horse battery".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$"));
        assert!(verify("correct horse battery".into(), Some(kept.clone())).await.unwrap());
        assert!(!verify("correct horse batterz".into(), Some(kept)).await.unwrap());
        assert!(!verify("anything at all".into(), None).await.unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check("elevenchars").is_err());
        assert!(check("twelve chars").is_ok());
        assert!(check(&"x".repeat(257)).is_err());
    }
}

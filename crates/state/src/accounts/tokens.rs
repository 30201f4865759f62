//! Tokens of programs. A token is never worth more than whoever made it: it ends with him, and has at most his role.

use super::documents::{Account, CONFIGURATION, Token, TokenOrder, TokenScope, public_id};
use super::error::AccountError;
use super::secret;
use super::sessions::SEEN_EVERY;
use super::store::Accounts;
use chrono::Duration;
use domain::{Swap, Timestamp, check_name};

/// Tokens that have expired are listed for so long, then deleted.
const EXPIRED_KEPT: Duration = Duration::days(30);

impl Accounts {
    /// Makes a token of this user and gives its secret, which is shown this once.
    pub async fn issue(&self, order: TokenOrder, by: &str, now: Timestamp) -> Result<(Token, String), AccountError> {
        let TokenOrder { name, scope, expires_at, makes_source } = order;
        check_name("name", &name)?;
        scope.source().map_or(Ok(()), |source| check_name("scope.source", source))?;
        let secret = secret::new("ovh_");
        let key = secret::digest(&secret);
        let id = public_id(&key).to_owned();
        let created_by = by.to_owned();
        let token = Token { id, name, scope, created_by, created_at: now, expires_at, used_at: None, makes_source };
        let owner = self.user_documents().get(by).await?.ok_or_else(AccountError::contended)?;
        let issued = self.token_documents().added(&key, &token)?;
        match self.swap(vec![self.user_documents().unchanged(&owner), issued]).await? {
            true => Ok((token, secret)),
            false => Err(AccountError::contended()),
        }
    }

    /// The token of this key with its owner (none for the configuration's), unless it has expired or its owner is gone.
    pub async fn token(&self, key: &str, now: Timestamp) -> Result<Option<(Token, Option<Account>)>, AccountError> {
        let tokens = self.token_documents();
        let Some(stored) = tokens.get(key).await?.filter(|token| !token.value.has_expired(now)) else {
            return Ok(None);
        };
        let owner = self.account(&stored.value.created_by).await?;
        if owner.is_none() && !stored.value.is_configured() {
            return Ok(None);
        }
        if stored.value.used_at.is_none_or(|used| now - used >= SEEN_EVERY) {
            let used = Token { used_at: Some(now), ..stored.value.clone() };
            // Lost only against a revocation or another use.
            self.swap(vec![tokens.changed(&stored, &used)?]).await?;
        }
        Ok(Some((stored.value, owner)))
    }

    /// Every token.
    pub async fn tokens(&self) -> Result<Vec<Token>, AccountError> {
        Ok(self.token_documents().list().await?.into_iter().map(|stored| stored.value).collect())
    }

    /// Removes the token with this public id.
    pub async fn revoke(&self, id: &str) -> Result<bool, AccountError> {
        let tokens = self.token_documents();
        let all = tokens.list().await?;
        let Some(token) = all.iter().find(|token| token.value.id == id) else { return Ok(false) };
        let gone = tokens.delete(&token.key).await?;
        self.tell();
        Ok(gone)
    }

    /// Takes the tokens of a user away.
    pub(super) async fn tokens_of(&self, name: &str) -> Result<Vec<Swap>, AccountError> {
        let tokens = self.token_documents();
        let all = tokens.list().await?;
        let own = all.iter().filter(|token| token.value.created_by == name && !token.value.is_configured());
        Ok(own.map(|token| tokens.removed(token)).collect())
    }

    pub(super) async fn forget_expired_tokens(&self, now: Timestamp) -> Result<(), AccountError> {
        let tokens = self.token_documents();
        for token in tokens.list().await?.iter().filter(|token| token.value.has_expired(now - EXPIRED_KEPT)) {
            tokens.delete(&token.key).await?;
        }
        Ok(())
    }

    /// Makes the tokens of the configuration the ones given, as (source, secret): others that stood there before end.
    pub async fn set_push_tokens(&self, tokens: &[(String, String)], now: Timestamp) -> Result<(), AccountError> {
        let documents = self.token_documents();
        for token in documents.list().await?.iter().filter(|token| token.value.is_configured()) {
            let stays = tokens.iter().any(|(source, secret)| {
                secret::digest(secret) == token.key && token.value.scope == TokenScope::Push { source: source.clone() }
            });
            if !stays {
                documents.delete(&token.key).await?;
            }
        }
        for (source, secret) in tokens {
            let key = secret::digest(secret);
            let token = Token {
                id: public_id(&key).to_owned(),
                name: format!("configured for {source}"),
                scope: TokenScope::Push { source: source.clone() },
                created_by: CONFIGURATION.into(),
                created_at: now,
                expires_at: None,
                used_at: None,
                makes_source: false,
            };
            documents.put_new(&key, &token).await?;
        }
        Ok(())
    }
}

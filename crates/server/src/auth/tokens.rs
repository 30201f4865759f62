//! Tokens of programs in the state store, by the digest of their secret. A token is never worth more than whoever made
//! it: it ends with him, and has at most his role.

use super::accounts::Accounts;
use super::documents::{Account, CONFIGURATION, TOKEN, Token, TokenScope, USER, contended, json};
use super::{secret, sessions};
use crate::error::Error;
use domain::{StateStore, Swap, Timestamp};
use std::sync::Arc;

/// A token to be made.
pub(crate) struct TokenOrder {
    pub(crate) name: String,
    pub(crate) scope: TokenScope,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) makes_source: bool,
}

impl Accounts {
    /// Makes a token of this user and gives its secret, which is shown this once.
    pub(crate) async fn issue(&self, order: TokenOrder, by: &str, now: Timestamp) -> Result<(Token, String), Error> {
        let TokenOrder { name, scope, expires_at, makes_source } = order;
        let secret = secret::new("ovh_");
        let key = secret::digest(&secret);
        let id = sessions::public_id(&key).to_owned();
        let created_by = by.to_owned();
        let token = Token { id, name, scope, created_by, created_at: now, expires_at, used_at: None, makes_source };
        let owner = self.get::<Account>(USER, by).await?.ok_or_else(contended)?;
        let issued = Swap::new(TOKEN, &key, None, Some(json(&token)?));
        match self.swap(vec![owner.unchanged(USER, by), issued]).await? {
            true => Ok((token, secret)),
            false => Err(contended()),
        }
    }

    /// The token of this key with its owner (none for the configuration's), unless it has expired or its owner is gone.
    pub(crate) async fn token(&self, key: &str, now: Timestamp) -> Result<Option<(Token, Option<Account>)>, Error> {
        let Some(kept) = self.get::<Token>(TOKEN, key).await?.filter(|token| !token.it.expired(now)) else {
            return Ok(None);
        };
        let owner = self.account(&kept.it.created_by).await?;
        if owner.is_none() && !kept.it.of_configuration() {
            return Ok(None);
        }
        if kept.it.used_at.is_none_or(|used| now - used >= sessions::SEEN_EVERY) {
            let used = Token { used_at: Some(now), ..kept.it.clone() };
            // Lost only against a revocation or another use.
            self.swap(vec![Swap::new(TOKEN, key, Some(kept.document.clone()), Some(json(&used)?))]).await?;
        }
        Ok(Some((kept.it, owner)))
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, Error> {
        Ok(self.list(TOKEN).await?.into_iter().map(|(_, kept)| kept.it).collect())
    }

    /// Removes the token with this public id.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, Error> {
        for (key, token) in self.list::<Token>(TOKEN).await? {
            if token.it.id == id {
                let gone = self.state.delete(TOKEN, &key).await.map_err(Error::of_port)?;
                self.tell();
                return Ok(gone);
            }
        }
        Ok(false)
    }
}

/// Makes the tokens of the configuration the ones given, as (source, secret): others that stood there before end.
pub async fn set_push_tokens(
    state: &Arc<dyn StateStore>,
    tokens: &[(String, String)],
    now: Timestamp,
) -> domain::Result<()> {
    set(&Accounts::new(Arc::clone(state)), tokens, now).await.map_err(super::operator::out)
}

async fn set(accounts: &Accounts, tokens: &[(String, String)], now: Timestamp) -> Result<(), Error> {
    let kept = accounts.list::<Token>(TOKEN).await?;
    for (key, token) in kept.iter().filter(|(_, token)| token.it.of_configuration()) {
        let still = tokens.iter().any(|(source, secret)| {
            secret::digest(secret) == *key && token.it.scope == TokenScope::Push { source: source.clone() }
        });
        if !still {
            accounts.state.delete(TOKEN, key).await.map_err(Error::of_port)?;
        }
    }
    for (source, secret) in tokens {
        let key = secret::digest(secret);
        let token = Token {
            id: sessions::public_id(&key).to_owned(),
            name: format!("configured for {source}"),
            scope: TokenScope::Push { source: source.clone() },
            created_by: CONFIGURATION.into(),
            created_at: now,
            expires_at: None,
            used_at: None,
            makes_source: false,
        };
        accounts.state.put_new(TOKEN, &key, json(&token)?).await.map_err(Error::of_port)?;
    }
    Ok(())
}

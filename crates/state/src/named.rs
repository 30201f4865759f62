//! Documents that people save under a name: topics, alert rules, queries. Their number is limited, and what is saved is
//! checked here, whichever way it comes in.

use crate::documents::{Documents, TRIES_MAX};
use crate::kind::Kind;
use domain::{AlertRule, Fault, Result, StateStore, Swap, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that people save under a name, which is also its key.
pub trait Named: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// The kind of its documents.
    const KIND: Kind;
    /// What people call several of them.
    const PLURAL: &'static str;
    /// How many there can be.
    const COUNT_MAX: usize;

    fn name(&self) -> &str;

    /// The same without white space at the ends of its texts.
    fn trimmed(self) -> Self;

    /// What is wrong with it.
    fn check(&self) -> Result<(), Fault>;

    /// What it keeps of the one that it replaces.
    fn replacing(self, _before: Self) -> Self {
        self
    }
}

impl Named for Topic {
    const KIND: Kind = Kind::Topic;
    const PLURAL: &'static str = "topics";
    const COUNT_MAX: usize = 500;

    fn name(&self) -> &str {
        &self.name
    }

    fn trimmed(self) -> Self {
        self.trimmed()
    }

    fn check(&self) -> Result<(), Fault> {
        self.check().map(drop)
    }

    fn replacing(self, before: Self) -> Self {
        Self { created_at: before.created_at, ..self }
    }
}

impl Named for AlertRule {
    const KIND: Kind = Kind::Rule;
    const PLURAL: &'static str = "rules";
    const COUNT_MAX: usize = 500;

    fn name(&self) -> &str {
        &self.name
    }

    fn trimmed(self) -> Self {
        self.trimmed()
    }

    fn check(&self) -> Result<(), Fault> {
        self.check_itself()
    }
}

/// Why something was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It can't be used as it is.
    #[error(transparent)]
    Invalid(#[from] Fault),
    #[error("there are {count_max} {what} already; remove one first")]
    Full { what: &'static str, count_max: usize },
    #[error(transparent)]
    Store(#[from] domain::Error),
}

/// The documents of a [`Named`] type.
pub struct NamedDocuments<'a, T> {
    store: &'a dyn StateStore,
    documents: Documents<'a, T>,
}

impl<'a, T: Named> NamedDocuments<'a, T> {
    pub fn new(store: &'a dyn StateStore) -> Self {
        Self { store, documents: Documents::new(store, T::KIND) }
    }

    /// All of them, by name. One that can't be read is an error.
    pub async fn list(&self) -> Result<Vec<T>> {
        Ok(self.documents.list().await?.into_iter().map(|stored| stored.value).collect())
    }

    /// Those that can be read, by name; the others are left out with a warning.
    pub async fn list_readable(&self) -> Result<Vec<T>> {
        Ok(self.documents.list_readable().await?.into_iter().map(|stored| stored.value).collect())
    }

    /// The one of this name.
    pub async fn get(&self, name: &str) -> Result<Option<T>> {
        Ok(self.documents.get(name.trim()).await?.map(|stored| stored.value))
    }

    /// Adds it, or replaces the one of its name. White space at the ends of its texts is left out.
    pub async fn save(&self, item: T) -> Result<(), SaveError> {
        let item = item.trimmed();
        item.check()?;
        let name = item.name();
        for _ in 0..TRIES_MAX {
            let before = self.store.get(&T::KIND.name(), name).await?;
            if before.is_none() && self.store.list(&T::KIND.name()).await?.len() >= T::COUNT_MAX {
                return Err(SaveError::Full { what: T::PLURAL, count_max: T::COUNT_MAX });
            }
            let item = match before.as_ref().and_then(|value| T::deserialize(value).ok()) {
                Some(known) => item.clone().replacing(known),
                None => item.clone(),
            };
            let after = self.documents.json(name, &item)?;
            if self.store.swap(vec![Swap::new(&T::KIND.name(), name, before, Some(after))]).await? {
                return Ok(());
            }
        }
        Err(self.documents.contended(name).into())
    }

    /// Adds it if there is none of its name.
    pub async fn save_new(&self, item: T) -> Result<bool, SaveError> {
        let item = item.trimmed();
        item.check()?;
        Ok(self.documents.put_new(item.name(), &item).await?)
    }

    /// Removes the one of this name; says whether there was one.
    pub async fn delete(&self, name: &str) -> Result<bool> {
        self.documents.delete(name.trim()).await
    }
}

//! The categories that were saved on the page. While none are, those of the configuration's file hold.

use crate::documents::Documents;
use crate::kind::Kind;
use crate::named::SaveError;
use domain::{CategoryDefinition, Result, StateStore, check_categories};

/// The one set in use.
const KEY: &str = "default";

/// The saved categories.
pub struct Categories<'a>(Documents<'a, Vec<CategoryDefinition>>);

impl<'a> Categories<'a> {
    pub fn new(store: &'a dyn StateStore) -> Self {
        Self(Documents::new(store, Kind::CategorySet))
    }

    /// The saved categories; empty: none are.
    pub async fn saved(&self) -> Result<Vec<CategoryDefinition>> {
        Ok(self.0.get(KEY).await?.map(|stored| stored.value).unwrap_or_default())
    }

    /// Replaces them all; an empty list goes back to the configuration's file.
    pub async fn save(&self, categories: Vec<CategoryDefinition>) -> Result<(), SaveError> {
        let categories: Vec<_> = categories.into_iter().map(CategoryDefinition::trimmed).collect();
        if !categories.is_empty() {
            check_categories(&categories)?;
        }
        Ok(self.0.put(KEY, &categories).await?)
    }
}

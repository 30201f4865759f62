//! Sources that people added while the program runs. Their secrets are kept sealed: the key is not among the documents.

use crate::kind::Kind;
use crate::named::Named;
use chrono::{DateTime, Utc};
use domain::Fault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A source that a person added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedSource {
    pub name: String,
    pub kind: String,
    pub enabled: bool,
    /// The settings of its kind, without secrets.
    pub settings: BTreeMap<String, Value>,
    /// Sealed secrets, by key.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    pub saved_by: String,
    pub saved_at: DateTime<Utc>,
}

impl SavedSource {
    /// Checks a name, which is a part of every post of the source.
    pub fn check_name(name: &str) -> Result<(), Fault> {
        let is_plain = name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        match is_plain && (1..=64).contains(&name.chars().count()) && name.chars().any(char::is_alphanumeric) {
            true => Ok(()),
            false => Err(Fault::new("name", "A name has 1 to 64 letters, digits, “_”, “-” or “.”.")),
        }
    }
}

impl Named for SavedSource {
    const KIND: Kind = Kind::Source;
    const PLURAL: &'static str = "sources";
    const COUNT_MAX: usize = 200;

    fn name(&self) -> &str {
        &self.name
    }

    fn trimmed(self) -> Self {
        Self { name: self.name.trim().to_owned(), ..self }
    }

    fn check(&self) -> Result<(), Fault> {
        Self::check_name(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_word() {
        for name in ["news", "Größe-1", "a.b_c"] {
            assert_eq!(SavedSource::check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "push:a", "a\n", &"x".repeat(65)] {
            assert_eq!(SavedSource::check_name(name).unwrap_err().field, "name", "{name:?}");
        }
    }
}

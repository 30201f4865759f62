//! Sources that people add while the program runs: the kinds there are, what is saved, and a trial before it is saved.

use crate::error::{Error, Result};
use crate::fault::Fault;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a setting of a source is typed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    Text,
    Number,
    Switch,
    List,
    /// Goes into the order's `secrets`, and is never shown again.
    Secret,
}

/// A setting of a kind of source.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceField {
    pub key: String,
    pub kind: FieldKind,
    /// What it means.
    pub about: String,
    pub required: bool,
    /// What holds when it is left out.
    pub default: Option<Value>,
}

/// A kind of source that can be added.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceKind {
    /// As in the configuration: `feed`.
    pub name: String,
    pub title: String,
    /// What it brings and what it needs.
    pub about: String,
    pub fields: Vec<SourceField>,
}

/// A source as a person wants it.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceOrder {
    pub kind: String,
    /// False: it is kept and does not run.
    pub enabled: bool,
    /// The settings of its kind.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Secrets to set; an empty text removes one. Those that are left out stay as they are.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
}

/// A source that a person added.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AddedSource {
    pub name: String,
    pub kind: String,
    pub enabled: bool,
    pub settings: BTreeMap<String, Value>,
    /// The secrets that are set, by key.
    pub secrets: Vec<String>,
    pub saved_by: String,
    pub saved_at: DateTime<Utc>,
}

/// A post that a trial brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SamplePost {
    pub post_id: String,
    pub text: String,
    pub author: Option<String>,
    pub url: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

/// What became of a trial. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceTrial {
    /// The platform lets us in.
    pub ok: bool,
    /// What the platform said, in words.
    pub summary: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The first posts that it would bring, at most five.
    pub posts: Vec<SamplePost>,
}

/// Why an order was not carried out.
#[derive(Debug)]
pub enum SourceError {
    /// It can't be used as it is.
    Invalid(Fault),
    Failed(Error),
}

impl From<Fault> for SourceError {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault)
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The sources that people add. Those of the configuration are not among them.
#[async_trait]
pub trait SourceSettings: Send + Sync {
    /// The kinds that can be added.
    fn kinds(&self) -> Vec<SourceKind>;

    /// What people added, by name.
    async fn added(&self) -> Result<Vec<AddedSource>>;

    /// Adds the source of this name, or changes it. It runs within seconds.
    async fn save(&self, name: &str, order: SourceOrder, who: &str) -> Result<(), SourceError>;

    /// Removes it; its posts stay. Says whether there was one.
    async fn remove(&self, name: &str) -> Result<bool>;

    /// Asks the platform as the source would, and reads its first posts where that costs nothing. `name`: a source
    /// whose secrets hold where the order gives none.
    async fn try_out(&self, name: &str, order: SourceOrder) -> Result<SourceTrial, SourceError>;
}

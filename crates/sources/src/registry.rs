//! A kind of source that can be configured. The kinds are listed in [`crate::KINDS`].

use crate::KINDS;
use crate::connector::{Connector, Secrets, Settings};
use crate::error::{Error, Result};
use crate::record::Format;
use schemars::Schema;
use serde_json::Value;

/// A kind of source: how its settings are read, and its connector made.
pub struct Kind {
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it brings and what it needs.
    pub about: &'static str,
    /// It is not read to show what it would bring.
    pub is_charged: bool,
    pub(crate) formats: &'static [Format],
    platforms: fn(&Value) -> Result<Vec<String>>,
    connector: fn(&Value, &Secrets<'_>) -> Result<Box<dyn Connector>>,
    schema: fn() -> Schema,
}

impl Kind {
    pub(crate) const fn of<S: Settings>(name: &'static str) -> Self {
        Self {
            name,
            title: S::TITLE,
            about: S::ABOUT,
            is_charged: S::IS_CHARGED,
            formats: S::FORMATS,
            platforms: platforms::<S>,
            connector: connector::<S>,
            schema: schema::<S>,
        }
    }

    /// Checks settings, and names the platforms whose posts the source will bring.
    pub fn platforms(&self, settings: &Value) -> Result<Vec<String>> {
        (self.platforms)(settings)
    }

    /// Makes the connector of a source.
    pub fn connector(&self, settings: &Value, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        (self.connector)(settings, secrets)
    }

    /// The JSON Schema of the settings.
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }
}

/// The kind of this name.
pub fn find(name: &str) -> Result<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        Error::Setting(format!("unknown kind {name:?} (expected one of {}, push)", known.join(", ")))
    })
}

fn read<S: Settings>(settings: &Value) -> Result<S> {
    serde_json::from_value(settings.clone()).map_err(|error| Error::Setting(error.to_string()))
}

fn platforms<S: Settings>(settings: &Value) -> Result<Vec<String>> {
    let settings: S = read(settings)?;
    settings.check()?;
    Ok(settings.platforms())
}

fn connector<S: Settings>(settings: &Value, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
    read::<S>(settings)?.connector(secrets)
}

fn schema<S: Settings>() -> Schema {
    schemars::schema_for!(S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_setting_is_named() {
        let feed = find("feed").unwrap();
        let error = |settings: Value| feed.platforms(&settings).unwrap_err().to_string();
        assert!(error(json!({"urls": ["https://a.example/feed"], "intervall_s": 60})).contains("intervall_s"));
        assert!(error(json!({})).contains("urls"));
        assert!(error(json!({"urls": ["a.example"]})).contains("a.example"));
        assert!(error(json!({"urls": ["https://a.example/feed"], "interval_s": 5})).contains("interval_s"));
        assert_eq!(feed.platforms(&json!({"urls": ["https://a.example/feed"]})).unwrap(), ["news"]);
        assert!(find("feeds").err().unwrap().to_string().contains("expected one of x, feed"));
    }

    #[test]
    fn every_kind_has_a_schema() {
        assert!(KINDS.iter().all(|kind| kind.schema().get("properties").is_some()));
    }
}

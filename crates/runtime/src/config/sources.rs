//! Settings of the sources: `[[sources]]`, each with `kind`, `name`, `enabled` and the keys of its kind, which its
//! connector reads ([`sources::registry`]).
//!
//! Versions before `[[sources]]` had the tables `[sources.x]` and `[[sources.push]]`. They are read as sources of the kinds
//! `x` and `push`.

mod schema;

use crate::secrets;
use anyhow::{Context, Result, anyhow, bail};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sources::connector::Secrets;
use sources::push::{Preset, Rights};
use sources::record::ColumnMapping;
use sources::redact::{self, Redact};
use sources::{Connector, registry};
use std::collections::BTreeSet;

/// What names of environment variables for sources begin with: `OVERHEARD__SOURCES__<NAME>__<KEY>` sets one key, and
/// `OVERHEARD__SOURCES` is the whole list as JSON.
pub(crate) const ENVIRONMENT: &str = "OVERHEARD__SOURCES";

/// The notice about a configuration file of an earlier version.
const EARLIER_FORM: &str = "[sources.x] and [[sources.push]] are the form of earlier versions and still work; the current \
    form is [[sources]] with kind = \"x\" or kind = \"push\" and a name (docs/sources.md)";

/// How to change a name.
const RENAMING: &str = "the token and the stored posts stay valid under a new name; before you change it, replay or delete \
    the source's dead letters, and afterwards change the rules that name it (docs/sources.md, \"Renaming a source\")";

/// Longest name of a source.
const NAME_MAX_BYTES: usize = 64;

/// All configured sources.
#[derive(Debug, Clone, Default)]
pub struct SourcesConfig {
    pub connectors: Vec<SourceConfig>,
    pub push: Vec<PushConfig>,
    /// The section has the form of earlier versions.
    pub is_earlier_form: bool,
}

/// A source that a connector brings.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    pub kind: String,
    pub name: String,
    pub enabled: bool,
    /// What is taken out of its posts before they are stored.
    pub redact: Vec<Redact>,
    /// The keys of its kind.
    pub settings: Map<String, Value>,
}

/// A source of the kind `push`: others send its posts.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    pub name: String,
    /// Platform of posts that name none; left out: the preset's name.
    #[serde(default)]
    pub platform: String,
    /// Environment variable with the token, or with the secret that the platform signs by.
    pub token_env: String,
    /// The platform that calls `POST /v1/push/<name>` in its own form; left out: posts come to `POST /v1/posts`.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// For the presets `json` and `firehose`: which path is which field, as in `text=answer.words,created_at=when`.
    #[serde(default)]
    pub mapping: String,
    /// What is taken out of its posts before they are stored; left out: everything, for help desks.
    #[serde(default)]
    pub redact: Option<Vec<Redact>>,
    /// Other platforms whose posts this source may bring.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Whether it may delete and replace posts; left out: on platforms that no other source brings.
    #[serde(default)]
    pub deletes: Option<bool>,
}

impl SourcesConfig {
    fn read(value: Value) -> Result<Self> {
        let (tables, is_earlier_form) = match value {
            Value::Null => (Vec::new(), false),
            Value::Array(list) => (list.into_iter().map(table).collect::<Result<_>>()?, false),
            Value::Object(sections) => (of_earlier_form(sections)?, true),
            _ => bail!("sources must be a list: [[sources]]"),
        };
        let mut config = Self { is_earlier_form, ..Self::default() };
        for table in tables {
            config.add(table)?;
        }
        Ok(config)
    }

    fn add(&mut self, mut table: Map<String, Value>) -> Result<()> {
        let text = |key: &str| match table.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
            Some(_) => Err(anyhow!("sources: {key} must be text")),
            None => Err(anyhow!("sources: a source has no {key} (e.g. kind = \"feed\", name = \"news\")")),
        };
        let kind = text("kind")?;
        // Earlier versions checked no names.
        let name = match table.get("name").and_then(Value::as_str) {
            Some(name) if self.is_earlier_form && kind == "push" => name.to_owned(),
            _ => text("name")?,
        };
        let enabled = match table.remove("enabled") {
            None => true,
            Some(value) => boolean(&value)
                .with_context(|| format!("sources: enabled = {value} of the source {name:?} must be true or false"))?,
        };
        table.retain(|key, _| !["kind", "name"].contains(&key.as_str()));
        if kind != "push" {
            let redact = redaction(&mut table).with_context(|| format!("sources: source {name:?}"))?;
            self.connectors.push(SourceConfig { kind, name, enabled, redact, settings: table });
        } else if enabled {
            table.insert("name".into(), name.clone().into());
            let push =
                serde_json::from_value::<PushConfig>(table.into()).map_err(Into::into).and_then(PushConfig::checked);
            self.push.push(push.with_context(|| format!("sources: push source {name:?}"))?);
        }
        Ok(())
    }

    /// Applies environment variables.
    pub fn apply(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
        let mut variables: Vec<_> = variables
            .filter_map(|(name, value)| Some((name.strip_prefix(ENVIRONMENT)?.to_lowercase(), value)))
            .filter(|(path, _)| path.is_empty() || path.starts_with("__"))
            .collect();
        // The whole list first; last what turns a source off.
        variables.sort_by_key(|(path, _)| (path.ends_with("__enabled"), path.clone()));
        for (path, value) in variables {
            if path.is_empty() {
                let list = serde_json::from_str(&value).with_context(|| format!("{ENVIRONMENT} is not JSON"))?;
                *self = Self::read(list)?;
                continue;
            }
            let mut keys = path.trim_start_matches("__").split("__");
            let (Some(name), Some(key), None) = (keys.next(), keys.next(), keys.next()) else {
                bail!("{ENVIRONMENT}{}: expected {ENVIRONMENT}__<NAME>__<KEY>", path.to_uppercase());
            };
            let is_connector = self.connectors.iter().any(|source| variable(&source.name) == name)
                // In earlier versions these variables meant [sources.x] alone.
                || self.is_earlier_form && name == "x";
            match self.push.iter().position(|source| variable(&source.name) == name) {
                Some(place) if !is_connector => self.set_push(place, key, value)?,
                _ => self.source(name)?.set(key, value)?,
            }
        }
        Ok(())
    }

    /// Sets a key of a push source. One that is off is no longer among the sources.
    fn set_push(&mut self, place: usize, key: &str, text: String) -> Result<()> {
        let named = secrets::as_env(key, &text);
        let (key, text) = named.as_ref().map_or((key, text.clone()), |(key, name)| (key.as_str(), name.clone()));
        let source = self.push.remove(place);
        let name = source.name.clone();
        let mut table = match serde_json::to_value(source)? {
            Value::Object(table) => table,
            _ => Map::new(),
        };
        let value = match key {
            "platforms" | "redact" => list(&text),
            "enabled" | "deletes" => {
                boolean(&Value::from(text.as_str())).map_or_else(|| Value::String(text.clone()), Value::Bool)
            }
            "kind" | "name" => bail!("{key} of the source {name:?} can't be set by the environment"),
            _ => Value::String(text),
        };
        table.insert(key.to_owned(), value);
        table.insert("kind".into(), "push".into());
        self.add(table)
    }

    /// The source that environment variables call so. X need not be configured otherwise, as in earlier versions.
    fn source(&mut self, called: &str) -> Result<&mut SourceConfig> {
        let place = self.connectors.iter().position(|source| variable(&source.name) == called);
        if place.is_none() && called == "x" {
            let (kind, name) = ("x".to_owned(), "x".to_owned());
            let (redact, settings) = (Vec::new(), Map::new());
            self.connectors.push(SourceConfig { kind, name, enabled: false, redact, settings });
        }
        let place = place.or((called == "x").then(|| self.connectors.len() - 1));
        let unknown = || format!("{ENVIRONMENT}__{}: no source has this name", called.to_uppercase());
        self.connectors.get_mut(place.with_context(unknown)?).context("a source")
    }

    /// Checks what types can't express. Names of earlier versions are not checked: see [`Self::notices`].
    pub fn check(&self) -> Result<()> {
        if let Some(fault) = self.name_faults().into_iter().next().filter(|_| !self.is_earlier_form) {
            bail!("sources: {fault}; {RENAMING}");
        }
        let mut checked = self.connectors.iter().filter(|source| source.enabled || !self.is_earlier_form);
        checked.try_for_each(|source| source.platforms().map(drop))
    }

    /// What is wrong with the names.
    fn name_faults(&self) -> Vec<String> {
        let (mut names, mut faults) = (BTreeSet::new(), Vec::new());
        let connectors = self.connectors.iter().map(|source| ("", &source.name));
        for (namespace, name) in connectors.chain(self.push.iter().map(|source| ("push", &source.name))) {
            let is_allowed = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
            if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.chars().all(is_allowed) {
                faults.push(format!(
                    "the name {name:?} must be 1 to {NAME_MAX_BYTES} letters, digits, '_', '-', '.' or ':'"
                ));
            } else if !names.insert((namespace, name)) {
                faults.push(format!("two sources have the name {name:?}: give each its own"));
            }
        }
        faults
    }

    /// What should be changed in a configuration that works.
    pub fn notices(&self) -> Vec<String> {
        if !self.is_earlier_form {
            return Vec::new();
        }
        let faults = self.name_faults().into_iter().map(|fault| format!("in [[sources]] {fault}; {RENAMING}"));
        std::iter::once(EARLIER_FORM.to_owned()).chain(faults).collect()
    }

    /// What a configured push source may do; `None`: none has this name.
    pub fn push_rights(&self, name: &str) -> Option<Rights> {
        let source = self.push.iter().find(|source| source.name == name)?;
        let mut own = source.all_platforms();
        own.retain(|platform| self.brings(platform, name));
        let keep = match source.deletes {
            None => own.into_iter().map(str::to_owned).collect(),
            Some(true) => Vec::new(),
            Some(false) => source.all_platforms().into_iter().map(str::to_owned).collect(),
        };
        Some(Rights { platform: source.platform.clone(), platforms: source.platforms.clone(), keep })
    }

    /// What a push source may do, configured or not. One that isn't configured brings its own platform, named as itself,
    /// unless another source brings that platform; the error says so.
    pub fn rights_of(&self, source: &str) -> Result<Rights, String> {
        if let Some(rights) = self.push_rights(source) {
            return Ok(rights);
        }
        if source == "x" || self.brings(source, source) {
            let advice = "configure this source in [[sources]] with kind = \"push\"";
            return Err(format!("{source:?} is the platform of another source: {advice}"));
        }
        Ok(Rights::of(source))
    }

    /// The configured push sources with their tokens.
    pub fn push_tokens(&self) -> Result<Vec<(String, String)>> {
        let mut tokens: Vec<(String, String)> = Vec::new();
        for source in self.push.iter().filter(|source| source.preset.is_none()) {
            let token = source.secret()?.expose_secret().to_owned();
            if let Some((other, _)) = tokens.iter().find(|(_, known)| *known == token) {
                bail!("push sources {:?} and {other:?} have the same token; give each its own", source.name);
            }
            tokens.push((source.name.clone(), token));
        }
        Ok(tokens)
    }

    /// Whether a configured source besides the push source `name` brings posts of this platform.
    pub fn brings(&self, platform: &str, name: &str) -> bool {
        let others = self.push.iter().filter(|source| source.name != name);
        let connectors = self.connectors.iter().filter(|source| source.enabled);
        let of_connectors =
            |source: &SourceConfig| source.platforms().is_ok_and(|all| all.iter().any(|it| it == platform));
        others.flat_map(PushConfig::all_platforms).any(|other| other == platform)
            || connectors.into_iter().any(of_connectors)
    }

    /// Whether a source has this name, as it stands in posts: `news`, `push:reviews`.
    pub fn has(&self, name: &str) -> bool {
        self.connectors.iter().any(|source| source.name == name)
            || self.push.iter().any(|source| name.strip_prefix("push:") == Some(&source.name))
    }

    /// All sources as they are written.
    fn tables(&self) -> Result<Vec<Value>, serde_json::Error> {
        let connectors = self.connectors.iter().map(|source| {
            let mut table = Map::new();
            table.insert("kind".into(), source.kind.clone().into());
            table.insert("name".into(), source.name.clone().into());
            table.insert("enabled".into(), source.enabled.into());
            if !source.redact.is_empty() {
                table.insert("redact".into(), serde_json::to_value(&source.redact)?);
            }
            table.extend(source.settings.clone());
            Ok(table.into())
        });
        let push = self.push.iter().map(|source| {
            let mut table = serde_json::to_value(source)?;
            table["kind"] = "push".into();
            // TOML has no null.
            table.as_object_mut().into_iter().for_each(|table| table.retain(|_, value| !value.is_null()));
            Ok(table)
        });
        connectors.chain(push).collect()
    }
}

/// What environment variables call a source of this name, in small letters.
fn variable(name: &str) -> String {
    name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// `true` or `false`, or a word or number that stands for it, as in the other sections.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Some(true),
            "false" | "off" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A list from text: JSON, or commas between its items.
fn list(text: &str) -> Value {
    let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect();
    Value::Array(serde_json::from_str(text).unwrap_or_else(|_| items()))
}

fn table(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(table) => Ok(table),
        other => bail!("sources: {other} is not a source"),
    }
}

/// `[sources.x]` and `[[sources.push]]` as a list.
fn of_earlier_form(sections: Map<String, Value>) -> Result<Vec<Map<String, Value>>> {
    let mut tables = Vec::new();
    for (section, value) in sections {
        let (kind, list) = match (section.as_str(), value) {
            ("x", Value::Object(mut x)) => {
                x.entry("name").or_insert("x".into());
                x.entry("enabled").or_insert(false.into());
                ("x", vec![Value::Object(x)])
            }
            ("push", Value::Array(list)) => ("push", list),
            _ => bail!("sources.{section}: a source is configured in [[sources]] with kind and name"),
        };
        for value in list {
            let mut table = table(value)?;
            table.insert("kind".into(), kind.into());
            tables.push(table);
        }
    }
    Ok(tables)
}

impl SourceConfig {
    /// Sets a key from text: as its type says, else JSON where it is JSON. A list may have commas between its items.
    fn set(&mut self, key: &str, text: String) -> Result<()> {
        if ["kind", "name"].contains(&key) {
            bail!("{key} of the source {:?} can't be set by the environment", self.name);
        }
        if key == "enabled" {
            let fault = || format!("enabled = {text:?} of the source {:?} must be true or false", self.name);
            self.enabled = boolean(&text.clone().into()).with_context(fault)?;
            return Ok(());
        }
        if key == "redact" {
            self.redact = redaction(&mut Map::from_iter([(key.to_owned(), list(&text))]))?;
            return Ok(());
        }
        let named = secrets::as_env(key, &text);
        let (key, text) = named.unwrap_or_else(|| (key.to_owned(), text));
        let schema = self.kind()?.schema().to_value();
        let value = match schema["properties"][&key]["type"].as_str() {
            Some("array") => list(&text),
            Some("string") => Value::String(text),
            _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        self.settings.insert(key, value);
        Ok(())
    }

    fn kind(&self) -> Result<&'static registry::Kind> {
        registry::find(&self.kind).with_context(|| format!("source {:?}", self.name))
    }

    /// Checks the settings, and names the platforms whose posts the source brings.
    pub fn platforms(&self) -> Result<Vec<String>> {
        let platforms = self.kind()?.platforms(&self.settings.clone().into());
        platforms.with_context(|| format!("source {:?} (kind {:?})", self.name, self.kind))
    }

    /// What the settings name that is a secret at AWS, with its value. It is read there, which takes a while.
    pub fn remote_secrets(&self) -> Result<Vec<String>> {
        let names = self.settings.iter().filter(|(key, _)| key.ends_with("_env")).filter_map(|(_, name)| name.as_str());
        let names = names.filter(|name| secrets::is_remote(name));
        names.map(|name| Ok(secrets::read(name, "")?.expose_secret().to_owned())).collect()
    }

    /// The connector, with secrets of the environment, of files and of AWS.
    pub fn connector(&self) -> Result<Box<dyn Connector>> {
        self.connector_with(&|variable, file| {
            secrets::read(variable, file).map_err(|error| sources::Error::Setting(format!("{error:#}")))
        })
    }

    /// The connector.
    pub fn connector_with(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        let connector = self.kind()?.connector(&self.settings.clone().into(), secrets);
        connector.with_context(|| format!("set up the source {:?} (kind {:?})", self.name, self.kind))
    }
}

/// Takes the key out that says what is redacted.
pub(crate) fn redaction(settings: &mut Map<String, Value>) -> Result<Vec<Redact>> {
    match settings.remove("redact") {
        None => Ok(Vec::new()),
        Some(value) => serde_json::from_value(value).context("redact is a list of email, phone, card"),
    }
}

impl PushConfig {
    fn checked(mut self) -> Result<Self> {
        let needs_mapping = matches!(self.preset, Some(Preset::Json | Preset::Firehose));
        if !self.mapping.is_empty() && !needs_mapping {
            bail!("mapping is for the presets json and firehose");
        }
        ColumnMapping::parse(&self.mapping).context("mapping")?;
        if self.platform.is_empty() {
            self.platform = self.preset.context("a push source needs a platform, or a preset")?.name().to_owned();
        }
        Ok(self)
    }

    /// Which path of the JSON is which field.
    pub fn columns(&self) -> Result<ColumnMapping> {
        Ok(ColumnMapping::parse(&self.mapping)?)
    }

    /// The token, or the secret that the platform signs by.
    pub fn secret(&self) -> Result<SecretString> {
        secrets::read(&self.token_env, "")
            .with_context(|| format!("push source {:?}: set {}", self.name, self.token_env))
    }

    /// What is taken out of its posts.
    pub fn redacted(&self) -> &[Redact] {
        let by_preset: &[Redact] = if self.preset.is_some_and(Preset::is_help_desk) { &redact::ALL } else { &[] };
        self.redact.as_deref().unwrap_or(by_preset)
    }

    fn all_platforms(&self) -> Vec<&str> {
        std::iter::once(self.platform.as_str()).chain(self.platforms.iter().map(String::as_str)).collect()
    }
}

impl<'de> Deserialize<'de> for SourcesConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(value).map_err(|error| D::Error::custom(format!("{error:#}")))
    }
}

impl Serialize for SourcesConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tables().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests;

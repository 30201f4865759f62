//! The sources that people add, as the server asks for them.

use super::kinds::{describe, names_secret, variable_of};
use super::{Connectors, trial};
use crate::clock::clock;
use crate::config::{SourceConfig, redaction};
use crate::wiring;
use anyhow::Result;
use async_trait::async_trait;
use domain::{AddedSource, Error, Fault, SourceError, SourceKind, SourceOrder, SourceSettings, SourceTrial};
use secrecy::SecretString;
use serde_json::{Map, Value};
use sources::redact::Redact;
use sources::{Connector, registry};
use state::{SaveError, SavedSource, SavedSources};
use std::collections::BTreeMap;

/// Longest secret, in bytes.
const SECRET_MAX: usize = 10_000;

/// What a sealed secret is good for.
fn place(source: &str, secret: &str) -> String {
    format!("source/{source}/{secret}")
}

impl Connectors {
    /// The connector of a source that was added.
    pub(super) fn connector(&self, saved: &SavedSource) -> Result<Box<dyn Connector>> {
        let open =
            |(key, sealed): (&String, &String)| Ok((key.clone(), self.vault.open(&place(&saved.name, key), sealed)?));
        let secrets = saved.secrets.iter().map(open).collect::<Result<Opened>>()?;
        let mut settings: Map<String, Value> = saved.settings.clone().into_iter().collect();
        let redact = redaction(&mut settings)?;
        let mut source =
            SourceConfig { kind: saved.kind.clone(), name: saved.name.clone(), enabled: true, redact, settings };
        // Its settings name no variable of the environment: the names stand for the secrets that were typed in.
        source.settings.extend(secrets.keys().map(|key| (variable_of(key), key.clone().into())));
        source.connector_with(&|variable, _| {
            let missing = || sources::Error::Setting("a token is needed; type it in".into());
            secrets.get(variable).cloned().ok_or_else(missing)
        })
    }

    /// The secrets of an order, sealed: those that it gives, and those that the source of this name has.
    async fn sealed(&self, name: &str, order: &SourceOrder) -> domain::Result<BTreeMap<String, String>> {
        let saved = SavedSources::new(self.queue.as_ref()).get(name).await?;
        // A secret goes to the server that it was typed in for, and to no other.
        let kept =
            saved.filter(|saved| saved.kind == order.kind && addresses(&saved.settings) == addresses(&order.settings));
        let mut sealed = kept.map(|saved| saved.secrets).unwrap_or_default();
        for (key, secret) in &order.secrets {
            match secret.trim() {
                "" => drop(sealed.remove(key)),
                secret => {
                    drop(sealed.insert(key.clone(), self.vault.seal(&place(name, key), secret).map_err(failed)?));
                }
            }
        }
        Ok(sealed)
    }
}

/// What is taken out of the posts of a source that was added; its settings were checked when it was saved.
pub(super) fn redacted(saved: &SavedSource) -> Vec<Redact> {
    let value = saved.settings.get("redact").cloned().unwrap_or_default();
    serde_json::from_value(value).unwrap_or_default()
}

type Opened = BTreeMap<String, SecretString>;

/// The settings that say which server is asked.
fn addresses(settings: &BTreeMap<String, Value>) -> Vec<&Value> {
    settings.iter().filter(|(key, _)| key.contains("url")).map(|(_, value)| value).collect()
}

/// What is wrong with an order besides its name.
fn check(order: &SourceOrder) -> Result<(), Fault> {
    let kind = registry::find(&order.kind).map_err(|error| Fault::new("kind", error.to_string()))?;
    if let Some(key) = order.settings.keys().find(|key| names_secret(key)) {
        let message = "Only the configuration file may name a variable or a file. Type the secret itself in.";
        return Err(Fault::new(format!("settings.{key}"), message));
    }
    let secrets: Vec<String> = describe(kind).fields.into_iter().map(|field| field.key).collect();
    if let Some(key) = order.secrets.keys().find(|key| !secrets.contains(key)) {
        return Err(Fault::new(format!("secrets.{key}"), "This kind of source has no such secret."));
    }
    if let Some((key, _)) = order.secrets.iter().find(|(_, secret)| secret.len() > SECRET_MAX) {
        return Err(Fault::new(format!("secrets.{key}"), format!("A secret has at most {SECRET_MAX} bytes.")));
    }
    let mut settings: Map<String, Value> = order.settings.clone().into_iter().collect();
    redaction(&mut settings).map_err(|error| Fault::new("settings.redact", format!("{error:#}")))?;
    kind.platforms(&settings.into()).map(drop).map_err(|error| Fault::new("settings", error.to_string()))
}

fn source(name: &str, order: SourceOrder, secrets: BTreeMap<String, String>, who: &str) -> SavedSource {
    let SourceOrder { kind, enabled, settings, .. } = order;
    SavedSource {
        name: name.to_owned(),
        kind,
        enabled,
        settings,
        secrets,
        saved_by: who.to_owned(),
        saved_at: clock().now(),
    }
}

fn of_save(error: SaveError) -> SourceError {
    match error {
        SaveError::Invalid(fault) => fault.into(),
        SaveError::Store(error) => error.into(),
        full @ SaveError::Full { .. } => Fault::new("name", full.to_string()).into(),
    }
}

fn failed(error: anyhow::Error) -> Error {
    Error::stop(format!("{error:#}"))
}

#[async_trait]
impl SourceSettings for Connectors {
    fn kinds(&self) -> Vec<SourceKind> {
        sources::KINDS.iter().map(describe).collect()
    }

    async fn added(&self) -> domain::Result<Vec<AddedSource>> {
        let saved = SavedSources::new(self.queue.as_ref()).list_readable().await?;
        let view = |saved: SavedSource| {
            let SavedSource { name, kind, enabled, settings, secrets, saved_by, saved_at } = saved;
            AddedSource { name, kind, enabled, settings, secrets: secrets.into_keys().collect(), saved_by, saved_at }
        };
        Ok(saved.into_iter().map(view).collect())
    }

    async fn save(&self, name: &str, order: SourceOrder, who: &str) -> Result<(), SourceError> {
        SavedSource::check_name(name)?;
        if self.config.sources.connectors.iter().any(|source| source.name == name) {
            return Err(Fault::new("name", "The configuration file has a source of this name.").into());
        }
        check(&order)?;
        let secrets = self.sealed(name, &order).await?;
        let source = source(name, order, secrets, who);
        SavedSources::new(self.queue.as_ref()).save(source).await.map_err(of_save)
    }

    async fn remove(&self, name: &str) -> domain::Result<bool> {
        SavedSources::new(self.queue.as_ref()).delete(name).await
    }

    async fn try_out(&self, name: &str, order: SourceOrder) -> Result<SourceTrial, SourceError> {
        check(&order)?;
        let kind = registry::find(&order.kind).map_err(|error| Fault::new("kind", error.to_string()))?;
        let secrets = self.sealed(name, &order).await?;
        let source = source(name, order, secrets, "");
        let connector = self.connector(&source).map_err(|error| Fault::new("settings", format!("{error:#}")))?;
        let topics = wiring::topics(self.queue.as_ref()).await.map_err(failed)?;
        Ok(trial::try_out(connector, topics, !kind.is_charged).await)
    }
}

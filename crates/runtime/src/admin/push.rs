//! Posts that programs and platforms push.

use crate::clock::clock;
use crate::config::SourcesConfig;
use anyhow::Result;
use async_trait::async_trait;
use domain::{PostQueue, PushError, PushIntake, PushOutcome, PushStatus, SourceId};
use sources::push::{self, Headers, PushSource, Webhook};
use sources::redact::RedactedQueue;
use std::collections::HashMap;
use std::sync::Arc;

/// The configured push sources, and those that a token makes.
pub struct RunningPush {
    sources: SourcesConfig,
    queue: Arc<dyn PostQueue>,
    configured: HashMap<String, PushSource>,
    webhooks: HashMap<String, Webhook>,
}

impl RunningPush {
    pub fn new(sources: SourcesConfig, queue: Arc<dyn PostQueue>) -> Result<Self> {
        let (mut configured, mut webhooks) = (HashMap::new(), HashMap::new());
        for one in &sources.push {
            let Some(rights) = sources.push_rights(&one.name) else { continue };
            let source = PushSource::new(RedactedQueue::before(queue.clone(), one.redacted()), clock(), rights);
            match one.preset {
                None => drop(configured.insert(one.name.clone(), source)),
                Some(preset) => {
                    let webhook = Webhook { source, preset, secret: one.secret()?, mapping: one.columns()? };
                    webhooks.insert(one.name.clone(), webhook);
                }
            }
        }
        Ok(Self { configured, webhooks, sources, queue })
    }

    fn webhook(&self, source: &str) -> Result<&Webhook, PushError> {
        let unknown = || PushError::Unproven("no source of this name takes calls of a platform".into());
        self.webhooks.get(source).ok_or_else(unknown)
    }

    /// The refusal of a call. A full queue is told from full dead letters.
    async fn refusal(&self, error: push::Error) -> PushError {
        match error {
            push::Error::Full { retry_after } => {
                let retry_after_s = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX);
                match self.queue.depth().await.is_ok_and(|depth| depth.dead_letters_full) {
                    true => PushError::LettersFull { retry_after_s },
                    false => PushError::Full { retry_after_s },
                }
            }
            push::Error::Queue(cause) => PushError::Failed(cause.to_string()),
            push::Error::TooLarge(sentence) => PushError::TooLarge(sentence),
            push::Error::Unproven(sentence) => PushError::Unproven(sentence),
            other => PushError::Malformed(other.to_string()),
        }
    }
}

/// The name of a push source. Tokens name it with or without its kind; a platform's name has no colon.
fn name_of(source: &str) -> &str {
    source.strip_prefix("push:").unwrap_or(source)
}

#[async_trait]
impl PushIntake for RunningPush {
    fn push_source(&self, source: &str) -> Result<bool, String> {
        let source = name_of(source);
        self.sources.rights_of(source)?;
        Ok(self.configured.contains_key(source))
    }

    async fn push(&self, source: &str, content_type: Option<&str>, body: &[u8]) -> Result<Vec<PushOutcome>, PushError> {
        let source = name_of(source);
        let made;
        let connector = match self.configured.get(source) {
            Some(connector) => connector,
            None => {
                let rights = self.sources.rights_of(source).map_err(PushError::NotAllowed)?;
                made = PushSource::new(self.queue.clone(), clock(), rights);
                &made
            }
        };
        let id = SourceId(format!("push:{source}"));
        match connector.accept(body, content_type, &id).await {
            Ok(outcomes) => Ok(outcomes.into_iter().map(outcome).collect()),
            Err(error) => Err(self.refusal(error).await),
        }
    }

    fn check_call(&self, source: &str, headers: &[(String, String)]) -> Result<usize, PushError> {
        self.webhook(source)?.check(Headers(headers)).map_err(|error| PushError::Unproven(error.to_string()))
    }

    async fn call(
        &self,
        source: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Vec<PushOutcome>, PushError> {
        let id = SourceId(format!("push:{source}"));
        match self.webhook(source)?.accept(Headers(headers), body, &id).await {
            Ok(outcomes) => Ok(outcomes.into_iter().map(outcome).collect()),
            Err(error) => Err(self.refusal(error).await),
        }
    }
}

fn outcome(outcome: push::Outcome) -> PushOutcome {
    let (status, reason) = match outcome.status {
        push::Status::Stored => (PushStatus::Accepted, None),
        push::Status::Duplicate => (PushStatus::Duplicate, None),
        push::Status::Deleted => (PushStatus::Rejected, Some("its platform deleted this post before".into())),
        push::Status::Rejected => (PushStatus::Rejected, outcome.reason),
    };
    PushOutcome { status, post_id: outcome.post_id, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::wiring;

    #[tokio::test]
    async fn a_push_is_told_when_the_dead_letters_are_full() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data: folder.path().into(), ..Config::load(None, None).unwrap() };
        config.queue.dead_letters_max = 1;
        let intake = RunningPush::new(config.sources.clone(), wiring::open_queue(&config).unwrap()).unwrap();
        assert_eq!(intake.push("shop", None, b"[{}]").await.unwrap()[0].status, PushStatus::Rejected);
        let refused = intake.push("shop", None, br#"[{"id":"1"}]"#).await.unwrap_err();
        assert_eq!(refused, PushError::LettersFull { retry_after_s: 5 });
        let good = br#"[{"id":"1","text":"words","created_at":"2026-03-01T12:00:00Z"}]"#;
        assert_eq!(intake.push("shop", None, good).await.unwrap()[0].status, PushStatus::Accepted);
    }
}

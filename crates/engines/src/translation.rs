//! Translation into English by a service: LibreTranslate (open source, a server of one's own; `POST /translate`) or Amazon
//! Translate. A language that the service does not know is remembered and not
//! asked for again.

use crate::asking::{Asking, Limits, Service, client};
use aws::{Class, Client, Failure};
use domain::{Clock, Error, Result, Translator, Untranslated, macrolanguage};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// The engine. Shared freely between threads.
pub struct Translation {
    asking: Asking<Speaker>,
}

impl Translation {
    /// `address` of a LibreTranslate server, and its API key where it wants one.
    ///
    /// # Errors
    /// Kind `Stop` when the address is none, or the client or its thread can't be made.
    pub fn libretranslate(address: &str, key: Option<SecretString>, limits: &Limits) -> Result<Self> {
        let url = web_address(&format!("{}/translate", address.trim_end_matches('/')))?;
        Self::start(Protocol::LibreTranslate { client: client(limits)?, url, key }, limits)
    }

    /// Amazon Translate.
    ///
    /// # Errors
    /// As [`Self::libretranslate`].
    pub fn amazon(settings: &aws::Settings, clock: Arc<dyn Clock>, limits: &Limits) -> Result<Self> {
        let aws = Client::new(aws::Service::Translate, settings, client(limits)?, clock)?;
        Self::start(Protocol::Amazon(aws), limits)
    }

    /// How hard a service is asked unless somebody says otherwise.
    pub fn limits() -> Limits {
        Limits {
            // Machine translation on a server's processors takes its time.
            timeout: Duration::from_secs(20),
            rest: Duration::from_secs(30),
            kept_max: 20_000,
            calls_max: 8,
        }
    }

    fn start(protocol: Protocol, limits: &Limits) -> Result<Self> {
        let speaker = Speaker { protocol, unknown: Mutex::default() };
        Ok(Self { asking: Asking::start(speaker, limits)? })
    }
}

fn web_address(address: &str) -> Result<Url> {
    let url = address.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| Error::stop(format!("translation: {address:?} is no web address (http:// or https://)")))
}

impl Translator for Translation {
    fn translate(&self, texts: &[Untranslated<'_>]) -> Vec<Result<String>> {
        let question =
            |of: &Untranslated<'_>| Question { language: macrolanguage(of.language).into(), text: of.text.into() };
        let answers = self.asking.ask_all(texts.iter().map(question).collect());
        let answer = |of: &Untranslated<'_>| match answers.get(&question(of)) {
            Some(Ok(english)) => Ok(english.clone()),
            Some(Err(error)) => Err(Error::new(error.kind(), error.to_string())),
            None => Err(Error::retry("no answer came")),
        };
        texts.iter().map(answer).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Question {
    language: String,
    text: String,
}

enum Protocol {
    LibreTranslate { client: reqwest::Client, url: Url, key: Option<SecretString> },
    Amazon(Client),
}

struct Speaker {
    protocol: Protocol,
    /// Languages that the service said it does not know.
    unknown: Mutex<HashSet<String>>,
}

/// LibreTranslate's answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "translatedText")]
    english: String,
}

/// What it says when it refuses.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default, rename = "error")]
    message: String,
}

impl Speaker {
    async fn libretranslate(
        &self,
        client: &reqwest::Client,
        url: &Url,
        key: Option<&SecretString>,
        question: &Question,
    ) -> Result<String> {
        let Question { language, text } = question;
        let key = key.map(|key| key.expose_secret());
        let body = json!({"q": text, "source": language, "target": "en", "format": "text", "api_key": key});
        let failed = |error: reqwest::Error| Error::retry(format!("{}: {}", self.name(), error.without_url()));
        let response = client.post(url.clone()).json(&body).send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            let Refusal { message } = response.json().await.unwrap_or_default();
            let words = format!("{} answered {status}: {message}", self.name());
            return Err(match status {
                StatusCode::BAD_REQUEST => self.refused(question, message.contains("not supported"), words),
                _ => Error::retry(words),
            });
        }
        Ok(response.json::<Answer>().await.map_err(failed)?.english)
    }

    fn of_amazon(&self, question: &Question, failure: Failure) -> Error {
        match failure.class {
            Class::Refused => {
                let is_of_the_language = failure.code.contains("UnsupportedLanguagePair");
                self.refused(question, is_of_the_language, failure.to_string())
            }
            _ => failure.into(),
        }
    }

    fn refused(&self, question: &Question, is_of_the_language: bool, words: String) -> Error {
        if is_of_the_language {
            self.unknown.lock().unwrap_or_else(PoisonError::into_inner).insert(question.language.clone());
        }
        Error::reject(words)
    }
}

impl Service for Speaker {
    type Question = Question;
    type Answer = String;

    fn name(&self) -> &'static str {
        match self.protocol {
            Protocol::LibreTranslate { .. } => "libretranslate",
            Protocol::Amazon(_) => "amazon translate",
        }
    }

    async fn call(&self, questions: &[Question]) -> Vec<Result<String>> {
        futures::future::join_all(questions.iter().map(|question| self.translate(question))).await
    }
}

impl Speaker {
    async fn translate(&self, question: &Question) -> Result<String> {
        if self.unknown.lock().unwrap_or_else(PoisonError::into_inner).contains(&question.language) {
            return Err(Error::reject(format!("{} does not know the language {}", self.name(), question.language)));
        }
        match &self.protocol {
            Protocol::LibreTranslate { client, url, key } => {
                self.libretranslate(client, url, key.as_ref(), question).await
            }
            Protocol::Amazon(client) => {
                let english = aws::translate::to_english(client, &question.language, &question.text).await;
                english.map_err(|failure| self.of_amazon(question, failure))
            }
        }
    }
}

//! Translation into English by a service: LibreTranslate (open source, a server of one's own; `POST /translate`) or Amazon
//! Translate (`TranslateText`, AWS JSON 1.1, signed). A language that the service does not know is remembered and not
//! asked for again.

use crate::asking::{Asking, Limits, Service, client};
use aws_signature::{Credentials, Target};
use domain::{Clock, Error, Result, Translator, Untranslated, macrolanguage};
use reqwest::{RequestBuilder, StatusCode};
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
        Self::start(Protocol::LibreTranslate { url, key }, limits)
    }

    /// Amazon Translate of a region; `endpoint` replaces AWS's own address (tests, private endpoints).
    ///
    /// # Errors
    /// As [`Self::libretranslate`].
    pub fn amazon(
        region: &str,
        endpoint: Option<&str>,
        credentials: Credentials,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        let url = endpoint.map_or_else(|| format!("https://translate.{region}.amazonaws.com/"), str::to_owned);
        let target = Target { service: "translate", region: region.to_owned(), url: web_address(&url)? };
        Self::start(Protocol::Amazon { target, credentials, clock }, limits)
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
        let speaker = Speaker { client: client(limits)?, protocol, unknown: Mutex::default() };
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
    LibreTranslate { url: Url, key: Option<SecretString> },
    Amazon { target: Target, credentials: Credentials, clock: Arc<dyn Clock> },
}

struct Speaker {
    client: reqwest::Client,
    protocol: Protocol,
    /// Languages that the service said it does not know.
    unknown: Mutex<HashSet<String>>,
}

/// What both services answer, under their own names.
#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "translatedText", alias = "TranslatedText")]
    english: String,
}

/// What both say when they refuse.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default, rename = "__type")]
    kind: String,
    #[serde(default, alias = "error", alias = "Message")]
    message: String,
}

impl Refusal {
    fn is_of_the_language(&self) -> bool {
        self.kind.contains("UnsupportedLanguagePair") || self.message.contains("not supported")
    }

    /// Amazon answers 400 when it is the caller or the pace that it refuses, too.
    fn is_of_the_service(&self) -> bool {
        ["Throttling", "TooManyRequests", "LimitExceeded", "UnrecognizedClient", "AccessDenied", "Signature", "Token"]
            .iter()
            .any(|kind| self.kind.contains(kind) && !self.kind.contains("TextSize"))
    }
}

impl Speaker {
    fn request(&self, question: &Question) -> RequestBuilder {
        let Question { language, text } = question;
        match &self.protocol {
            Protocol::LibreTranslate { url, key } => {
                let key = key.as_ref().map(|key| key.expose_secret());
                let body = json!({"q": text, "source": language, "target": "en", "format": "text", "api_key": key});
                self.client.post(url.clone()).json(&body)
            }
            Protocol::Amazon { target, credentials, clock } => {
                let body =
                    json!({"Text": text, "SourceLanguageCode": language, "TargetLanguageCode": "en"}).to_string();
                let given = [
                    ("content-type", "application/x-amz-json-1.1"),
                    ("x-amz-target", "AWSShineFrontendService_20170701.TranslateText"),
                ];
                let headers = aws_signature::headers(credentials, target, &given, &body, clock.now());
                let request = self.client.post(target.url.clone()).body(body);
                headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
            }
        }
    }

    fn refused(&self, question: &Question, status: StatusCode, refusal: &Refusal) -> Error {
        let words = match (refusal.message.as_str(), refusal.kind.as_str()) {
            ("", "") => String::new(),
            ("", kind) => format!(": {kind}"),
            (message, _) => format!(": {message}"),
        };
        let words = format!("{} answered {status}{words}", self.name());
        if status == StatusCode::BAD_REQUEST && !refusal.is_of_the_service() {
            if refusal.is_of_the_language() {
                self.unknown.lock().unwrap_or_else(PoisonError::into_inner).insert(question.language.clone());
            }
            return Error::reject(words);
        }
        Error::retry(words)
    }
}

impl Service for Speaker {
    type Question = Question;
    type Answer = String;

    fn name(&self) -> &'static str {
        match self.protocol {
            Protocol::LibreTranslate { .. } => "libretranslate",
            Protocol::Amazon { .. } => "amazon translate",
        }
    }

    async fn call(&self, question: &Question) -> Result<String> {
        if self.unknown.lock().unwrap_or_else(PoisonError::into_inner).contains(&question.language) {
            return Err(Error::reject(format!("{} does not know the language {}", self.name(), question.language)));
        }
        let failed = |error: reqwest::Error| Error::retry(format!("{}: {}", self.name(), error.without_url()));
        let response = self.request(question).send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            let refusal = response.json::<Refusal>().await.unwrap_or_default();
            return Err(self.refused(question, status, &refusal));
        }
        Ok(response.json::<Answer>().await.map_err(failed)?.english)
    }
}

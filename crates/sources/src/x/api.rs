//! The requests to X, and its refusals in words. Relies on `reqwest`, which alone is given the token.

use super::config::XConfig;
use super::payload::StreamError;
use crate::connector::Check;
use crate::error::{Error, Result};
use crate::kit::failure::Failure;
use crate::kit::http::{Fetcher, innermost, web_address};
use crate::kit::stream::Ended;
use chrono::DateTime;
use domain::{Clock, Timestamp};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use url::Url;

const RULES_PAGE: usize = 1_000;

/// What to ask for with each post.
const POST_FIELDS: [(&str, &str); 2] = [
    (
        "tweet.fields",
        "created_at,lang,author_id,edit_history_tweet_ids,geo,public_metrics,referenced_tweets,note_tweet",
    ),
    ("place.fields", "full_name,country_code,geo"),
];
const EXPANSIONS: &str = "geo.place_id,referenced_tweets.id";
const AUTHOR_FIELDS: [(&str, &str); 2] = [
    ("expansions", "author_id,geo.place_id,referenced_tweets.id"),
    ("user.fields", "username,location,public_metrics"),
];

/// A rule as X has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) id: String,
    pub(super) value: String,
    #[serde(default)]
    pub(super) tag: Option<String>,
}

#[derive(Deserialize)]
struct RulesPage {
    #[serde(default)]
    data: Vec<Rule>,
    #[serde(default)]
    meta: Option<PageMeta>,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(default)]
    next_token: Option<String>,
}

/// A rule that X would not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedRule {
    pub(super) value: String,
    pub(super) title: String,
    pub(super) reason: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    details: Vec<String>,
    #[serde(default)]
    value: Option<serde_json::Value>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    connection_issue: Option<String>,
    #[serde(default)]
    errors: Vec<Problem>,
}

/// X's API with our token.
#[derive(Clone)]
pub(super) struct Api {
    /// With the token. It follows no redirects, which would carry the token away.
    fetcher: Fetcher,
    base: Url,
    expand_authors: bool,
    timeout: Duration,
}

/// An open stream.
pub(super) struct Stream(Response);

impl Stream {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.0.chunk().await {
            Ok(chunk) => Ok(chunk.map(|bytes| bytes.to_vec())),
            Err(error) => Err(format!("the connection broke: {}", innermost(&error))),
        }
    }
}

impl Api {
    pub(super) fn new(config: &XConfig) -> Result<Self> {
        let base = config.base_url.trim_end_matches('/');
        let base = web_address(base).ok_or_else(|| {
            Error::Setting(format!("{base:?} is not the base URL of an API (expected e.g. https://api.x.com)"))
        })?;
        let XConfig { expand_authors, request_timeout: timeout, .. } = *config;
        let fetcher = Fetcher::with_token(timeout, &config.bearer_token)?;
        Ok(Self { fetcher, base, expand_authors, timeout })
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/2/{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn post_query(&self) -> Vec<(&'static str, &'static str)> {
        let mut query = POST_FIELDS.to_vec();
        if self.expand_authors {
            query.extend(AUTHOR_FIELDS)
        } else {
            query.push(("expansions", EXPANSIONS))
        }
        query
    }

    /// Opens the filtered stream.
    pub(super) async fn open_stream(&self) -> Result<Stream, Failure> {
        let url = self.url("tweets/search/stream", &self.post_query());
        // No limit on the whole: a stream has no end. The headers must come in time, though.
        // Compressed, the stream would sit in the decoder until a block is full.
        let sending = self.send(self.fetcher.client().get(url).header(ACCEPT_ENCODING, "identity"));
        match tokio::time::timeout(self.timeout, sending).await {
            Ok(answer) => Ok(Stream(answer?)),
            Err(_) => Err(Failure::Network("X did not answer in time".into())),
        }
    }

    /// All rules of the application, ours and others'.
    pub(super) async fn rules(&self) -> Result<Vec<Rule>, Failure> {
        let mut rules = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let size = RULES_PAGE.to_string();
            let mut query = vec![("max_results", size.as_str())];
            query.extend(next.as_deref().map(|token| ("pagination_token", token)));
            let url = self.url("tweets/search/stream/rules", &query);
            let page: RulesPage = self.json(self.fetcher.client().get(url).timeout(self.timeout)).await?;
            rules.extend(page.data);
            next = page.meta.and_then(|meta| meta.next_token);
            if next.is_none() {
                return Ok(rules);
            }
        }
    }

    /// Adds rules (or only tries to, by `dry_run`); gives those that X would not take.
    pub(super) async fn add_rules(
        &self,
        rules: &[(String, String)],
        dry_run: bool,
    ) -> Result<Vec<RefusedRule>, Failure> {
        let add: Vec<_> = rules.iter().map(|(value, tag)| serde_json::json!({"value": value, "tag": tag})).collect();
        self.change_rules(&serde_json::json!({ "add": add }), dry_run).await
    }

    /// Deletes rules by id.
    pub(super) async fn delete_rules(&self, ids: &[String]) -> Result<(), Failure> {
        self.change_rules(&serde_json::json!({"delete": {"ids": ids}}), false).await.map(|_| ())
    }

    async fn change_rules(&self, body: &serde_json::Value, dry_run: bool) -> Result<Vec<RefusedRule>, Failure> {
        let query: &[(&str, &str)] = if dry_run { &[("dry_run", "true")] } else { &[] };
        let url = self.url("tweets/search/stream/rules", query);
        let request = self.fetcher.client().post(url).timeout(self.timeout).json(body);
        // X answers 400 when none of the rules is good, and names them in the same form as in a 201.
        let answer = self.answer(request).await?;
        let status = answer.status();
        let headers = answer.headers().clone();
        let text = read(answer).await?;
        let problem: Problem = serde_json::from_str(&text).unwrap_or_else(|_| Problem::empty());
        let refused = problem.errors.iter().filter_map(Problem::as_refused_rule).collect::<Vec<_>>();
        if status.is_success() || (status == StatusCode::BAD_REQUEST && !refused.is_empty()) {
            return Ok(refused);
        }
        Err(error_of(status, &headers, &text))
    }

    /// One page of the recent search, as text; `Err` with status 400 when X does not like the query.
    pub(super) async fn search(&self, query: &[(&str, &str)]) -> Result<String, Failure> {
        let mut whole = self.post_query();
        whole.extend_from_slice(&[("max_results", "100")]);
        let mut url = self.url("tweets/search/recent", &whole);
        url.query_pairs_mut().extend_pairs(query);
        read(self.send(self.fetcher.client().get(url).timeout(self.timeout)).await?).await
    }

    /// Asks for the rules, which costs nothing, and says in words what came of it.
    pub(super) async fn check(&self, clock: &dyn Clock) -> Check {
        match self.rules().await {
            Ok(rules) => {
                let summary = format!("X lets us in; {} rules are set", rules.len());
                Check { ok: true, summary, advice: None }
            }
            Err(Failure::Refused { message, advice }) => Check { ok: false, summary: message, advice: Some(advice) },
            Err(Failure::Rate { message, retry_at }) => {
                let seconds = retry_at.map_or(60, |at| (at - clock.now()).num_seconds().max(1));
                Check { ok: false, summary: message, advice: Some(format!("wait {seconds} s and check again")) }
            }
            Err(failure @ Failure::Network(_)) => Check {
                ok: false,
                summary: failure.message(),
                advice: Some("check the address, the network, the proxy and the firewall of this machine".into()),
            },
            Err(failure @ Failure::Http { .. }) => Check {
                ok: false,
                summary: failure.message(),
                advice: Some("X may be out of order: look at its status page and try again later".into()),
            },
        }
    }

    async fn json<T: for<'de> Deserialize<'de>>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let text = read(self.send(request).await?).await?;
        serde_json::from_str(&text).map_err(|error| http(StatusCode::OK, format!("the answer can't be read: {error}")))
    }

    /// An answer that is a success.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = self.answer(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = read(answer).await.unwrap_or_default();
        Err(error_of(status, &headers, &text))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| Failure::Network(format!("X can't be reached: {}", innermost(&error))))
    }
}

async fn read(answer: Response) -> Result<String, Failure> {
    let body = crate::kit::http::read(answer, "X").await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// An answer with a status that is no success.
fn http(status: StatusCode, words: String) -> Failure {
    let status = status.as_u16();
    Failure::Http { status, message: format!("X answers with status {status}: {words}"), retry_at: None }
}

/// The end of a stream that X announced in it.
pub(super) fn ended_by(error: &StreamError) -> Ended {
    let message = match error.kind.as_str() {
        "TooManyConnections" => TOO_MANY.into(),
        "" => format!("X ended the stream: {} {}", error.title, error.detail).trim_end().to_owned(),
        kind => format!("X ended the stream ({kind}): {} {}", error.title, error.detail).trim_end().to_owned(),
    };
    Ended { message, is_rate: error.kind == "TooManyConnections" || error.title == "ConnectionException" }
}

const TOO_MANY: &str = "X says that this token has a connection open already: another program uses it, or X has not \
    noticed yet that ours is closed";

fn error_of(status: StatusCode, headers: &HeaderMap, text: &str) -> Failure {
    let problem: Problem = serde_json::from_str(text).unwrap_or_else(|_| Problem::empty());
    let words = problem.words().unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            let many = problem.connection_issue.as_deref() == Some("TooManyConnections");
            Failure::Rate {
                message: if many { TOO_MANY.into() } else { format!("X asks us to slow down: {words}") },
                retry_at: reset_at(headers).filter(|_| !many),
            }
        }
        StatusCode::UNAUTHORIZED => Failure::Refused {
            message: "X does not accept the bearer token".into(),
            advice: "copy the app's bearer token again from the developer console; it changes when it is regenerated"
                .into(),
        },
        StatusCode::FORBIDDEN => refused(&problem, &words),
        _ => http(status, words),
    }
}

fn refused(problem: &Problem, words: &str) -> Failure {
    let not_enrolled = problem.reason.as_deref() == Some("client-not-enrolled");
    Failure::Refused {
        message: if not_enrolled {
            "X knows the token, but its app has no access to the filtered stream (client-not-enrolled)".into()
        } else {
            format!("X forbids it: {words}")
        },
        advice: if not_enrolled {
            "put the app into a project whose plan has the filtered stream (pay-per-use or Enterprise)".into()
        } else {
            "check in the developer console that the app is not suspended and its spending limit not reached".into()
        },
    }
}

/// When the limit counts anew, if it is used up.
fn reset_at(headers: &HeaderMap) -> Option<Timestamp> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let used_up = number("x-rate-limit-remaining").is_none_or(|remaining| remaining <= 0);
    number("x-rate-limit-reset").filter(|_| used_up).and_then(|second| DateTime::from_timestamp(second, 0))
}

impl Problem {
    fn empty() -> Self {
        Self {
            title: None,
            detail: None,
            details: Vec::new(),
            value: None,
            message: None,
            reason: None,
            connection_issue: None,
            errors: Vec::new(),
        }
    }

    fn words(&self) -> Option<String> {
        let own = [&self.title, &self.detail, &self.message];
        let mut words: Vec<&str> = own.into_iter().filter_map(|part| part.as_deref()).collect();
        words.dedup();
        if words.is_empty() || words == ["Invalid Request"] {
            return self
                .errors
                .iter()
                .find_map(Problem::words)
                .or_else(|| words.first().map(|word| (*word).to_owned()));
        }
        Some(words.join(": "))
    }

    fn as_refused_rule(&self) -> Option<RefusedRule> {
        let serde_json::Value::String(value) = self.value.as_ref()? else {
            return None;
        };
        let detail = self.details.first().or(self.detail.as_ref()).or(self.message.as_ref());
        let title = self.title.clone().unwrap_or_default();
        Some(RefusedRule { value: value.clone(), reason: detail.unwrap_or(&title).clone(), title })
    }
}

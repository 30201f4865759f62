//! The connector of Stack Exchange: questions with these tags on one site, their answers and comments. One request brings
//! questions with all that belongs to them. Waits follow the site's `backoff` and the day's quota of requests. Deletions
//! are not told.

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::api::{Api, address};
use crate::kit::failure::Failure;
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use async_trait::async_trait;
use chrono::{DateTime, Days};
use domain::{Author, Timestamp, markup};
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

const FORMAT: Format = Format { name: "stackexchange-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "stackexchange", fields };
const PLAN: Plan = Plan {
    kind: "stackexchange",
    reader: READER,
    first_pages: 1,
    look_back: 0,
    follows: None,
    overlaps: true,
    wanted_only: false,
    shows_deletions: false,
    rechecks: false,
};
/// Questions in a page. Each brings its answers and comments.
const PER_PAGE: &str = "50";
/// What answers hold beside the usual fields.
const INCLUDED: &str = "question.body;question.answers;question.comments;answer.body;answer.link;answer.comments;\
    comment.body;comment.link";

/// Settings of a source of the kind `stackexchange`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The site, as in its address: `stackoverflow`, `superuser`, `dba`.
    #[serde(default = "stackoverflow")]
    pub site: String,
    /// Tags; questions with any of them are read. `a;b` stands for questions with both.
    pub tags: Vec<String>,
    /// Environment variable with the key of an application. Without one, 300 requests a day are allowed.
    #[serde(default)]
    pub key_env: String,
    /// File with the key.
    #[serde(default)]
    pub key_file: String,
    /// Address of the API.
    #[serde(default = "stackexchange")]
    pub url: String,
    /// Seconds between two polls, at least 60.
    #[serde(default = "a_quarter_of_an_hour")]
    pub interval_s: u64,
}

fn stackoverflow() -> String {
    "stackoverflow".into()
}

fn stackexchange() -> String {
    "https://api.stackexchange.com".into()
}

fn a_quarter_of_an_hour() -> u64 {
    900
}

impl Settings {
    fn base(&self) -> Result<Url> {
        if self.tags.iter().all(|tag| tag.trim().is_empty()) {
            return Err(Error::Setting("no tag is named (tags)".into()));
        }
        if self.site.is_empty() || !self.site.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')) {
            return Err(Error::Setting(format!("invalid site {:?} (expected e.g. stackoverflow)", self.site)));
        }
        address(&self.url, &stackexchange())
    }

    /// The connector with another pace than the usual one.
    pub fn connector_at(&self, key: Option<SecretString>, pace: Pace) -> Result<Box<dyn Connector>> {
        let tags = self.tags.iter().map(|tag| tag.trim().to_lowercase()).filter(|tag| !tag.is_empty());
        let site = Site {
            api: Api::new(self.base()?, HeaderMap::new(), pace.request_timeout)?,
            site: self.site.clone(),
            tags: tags.collect(),
            key,
            filter: OnceCell::new(),
            used_up_until: Mutex::new(None),
        };
        Ok(Box::new(Lists { plan: PLAN, pace, pages: vec![Arc::new(site)] }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Stack Exchange";
    const ABOUT: &str =
        "Questions, answers and comments on Stack Overflow and its sister sites, by tags. Needs no account.";
    const FORMATS: &[Format] = &[FORMAT];

    fn check(&self) -> Result<()> {
        self.base()?;
        Pace::every(self.interval_s, 60).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![READER.platform.into()]
    }

    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        let key = connector::optional_secret(secrets, &self.key_env, &self.key_file)?;
        self.connector_at(key, Pace::every(self.interval_s, 60)?)
    }
}

/// A site.
struct Site {
    api: Api,
    site: String,
    tags: Vec<String>,
    key: Option<SecretString>,
    /// The name of the filter that stands for [`INCLUDED`].
    filter: OnceCell<String>,
    /// When requests count anew, once none is left.
    used_up_until: Mutex<Option<Timestamp>>,
}

#[derive(Deserialize)]
struct Answer<T> {
    items: Vec<T>,
    #[serde(default)]
    has_more: bool,
    /// Seconds.
    #[serde(default)]
    backoff: u64,
    #[serde(default)]
    quota_remaining: Option<i64>,
}

#[derive(Deserialize)]
struct Filter {
    filter: String,
}

impl Site {
    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Answer<T>, Failure> {
        let mut query = query.to_vec();
        query.extend(self.key.as_ref().map(|key| ("key", key.expose_secret().trim())));
        if let Some(until) = self.used_up_until().filter(|until| *until > now) {
            let message = "the day's requests are used up".into();
            return Err(Failure::Rate { message, retry_at: Some(until) });
        }
        let answer: Answer<T> = self.api.get(path, &query, now).await.map_err(|failure| throttled(failure, now))?;
        if answer.quota_remaining.is_some_and(|left| left <= 0) {
            *self.used_up_until.lock().unwrap_or_else(PoisonError::into_inner) = next_day(now);
        }
        Ok(answer)
    }

    fn used_up_until(&self) -> Option<Timestamp> {
        *self.used_up_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of our filter. A filter that exists already keeps its name.
    async fn filter(&self, now: Timestamp) -> Result<&str, Failure> {
        let make = async || {
            let query = [("include", INCLUDED), ("base", "default"), ("unsafe", "false")];
            let answer: Answer<Filter> = self.get("/2.3/filters/create", &query, now).await?;
            answer.items.into_iter().next().map(|filter| filter.filter).ok_or_else(|| Failure::Http {
                status: 200,
                message: "the answer names no filter".into(),
                retry_at: None,
            })
        };
        self.filter.get_or_try_init(make).await.map(String::as_str)
    }
}

/// The quota counts anew at midnight, UTC.
fn next_day(now: Timestamp) -> Option<Timestamp> {
    now.date_naive().checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc())
}

/// Stack Exchange refuses by 400 when there were too many requests, and names the wait only in words.
fn throttled(failure: Failure, now: Timestamp) -> Failure {
    match failure {
        Failure::Http { status: 400, message, .. } if message.contains("throttle_violation") => {
            let words = message.split("available in ").nth(1).and_then(|rest| rest.split(' ').next());
            let seconds = words.and_then(|seconds| seconds.parse::<u64>().ok());
            Failure::Rate { retry_at: seconds.map(|seconds| now + Duration::from_secs(seconds)), message }
        }
        other => other,
    }
}

#[async_trait]
impl Pages for Site {
    fn name(&self) -> String {
        self.site.clone()
    }

    async fn lists(&self, _: &Context) -> Result<Vec<String>, Problem> {
        Ok(self.tags.clone())
    }

    /// `from`: the number of the page.
    async fn page(
        &self,
        list: &str,
        from: Option<&str>,
        _: &Validators,
        now: Timestamp,
    ) -> Result<Option<Page>, Problem> {
        let (filter, number) = (self.filter(now).await?, from.unwrap_or("1"));
        let query = [
            ("site", self.site.as_str()),
            ("tagged", list),
            ("sort", "activity"),
            ("order", "desc"),
            ("pagesize", PER_PAGE),
            ("page", number),
            ("filter", filter),
        ];
        let answer: Answer<Value> = self.get("/2.3/questions", &query, now).await?;
        let next = number.parse::<u64>().ok().filter(|_| answer.has_more).map(|number| (number + 1).to_string());
        let mut items = Vec::new();
        for question in answer.items {
            let order = question["last_activity_date"].as_i64().unwrap_or(0);
            unfold("question", question, &mut |kind, part| {
                let raw = to_raw_value(&part).ok();
                items.extend(raw.map(|raw| Item { kind, place: self.site.clone(), order, raw }));
            });
        }
        Ok(Some(Page { items, next, pause: Duration::from_secs(answer.backoff.min(3_600)), ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let answer: Answer<Value> = self.get("/2.3/info", &[("site", &self.site)], now).await?;
        let left = answer.quota_remaining.map_or_else(String::new, |left| format!("; {left} requests are left today"));
        Ok(format!("{} answers{left}", self.site))
    }

    fn advice(&self) -> &'static str {
        "check site and tags; with the key of an application (key_env) 10,000 requests a day are allowed instead of 300"
    }
}

/// Gives a question, then what belongs to it, without the nesting.
fn unfold(kind: &'static str, mut part: Value, give: &mut dyn FnMut(&'static str, Value)) {
    let mut below = Vec::new();
    for (key, kind) in [("answers", "answer"), ("comments", "comment")] {
        if let Some(Value::Array(parts)) = part.as_object_mut().and_then(|part| part.remove(key)) {
            below.extend(parts.into_iter().map(|part| (kind, part)));
        }
    }
    give(kind, part);
    below.into_iter().for_each(|(kind, part)| unfold(kind, part, give));
}

/// A question, an answer or a comment.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    question_id: Option<u64>,
    #[serde(default)]
    answer_id: Option<u64>,
    #[serde(default)]
    comment_id: Option<u64>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    link: Option<String>,
    #[serde(default)]
    owner: Option<Owner>,
    creation_date: i64,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    user_id: Option<u64>,
    #[serde(default)]
    display_name: Option<String>,
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let entry: Entry = items::item(payload)?;
    let site = &payload.place;
    // Questions and answers share their numbers.
    let id = match (entry.comment_id, entry.answer_id, entry.question_id) {
        (Some(id), _, _) => format!("{site}/comment/{id}"),
        (None, Some(id), _) | (None, None, Some(id)) => format!("{site}/{id}"),
        (None, None, None) => return Err("unexpected item: no id".into()),
    };
    // Answers repeat the title of their question.
    let title = entry.title.filter(|_| payload.kind == "question");
    let title = title.map(|title| markup::decode_entities(&title).into_owned());
    let author = |owner: Owner| Author {
        id: owner.user_id.map(|id| format!("{id}@{site}")),
        username: owner.display_name.map(|name| markup::decode_entities(&name).into_owned()),
        ..Author::default()
    };
    Ok(Fields {
        text: items::titled(title.as_deref(), &markup::html_to_text(&entry.body)),
        author: entry.owner.map(author),
        url: entry.link,
        date: DateTime::from_timestamp(entry.creation_date, 0),
        id,
        ..Fields::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_is_unfolded() {
        let question = json!({
            "question_id": 1, "title": "Late &amp; full", "body": "<p>The <code>train</code></p>", "creation_date": 1_793_527_200,
            "owner": {"user_id": 7, "display_name": "bo"}, "link": "https://stackoverflow.com/q/1",
            "comments": [{"comment_id": 9, "body": "Which?", "creation_date": 1_793_527_300}],
            "answers": [{"answer_id": 2, "question_id": 1, "title": "Late &amp; full", "body": "<p>All</p>",
                "creation_date": 1_793_527_400, "comments": [{"comment_id": 10, "body": "Yes", "creation_date": 1_793_527_500}]}],
        });
        let mut read = Vec::new();
        unfold("question", question, &mut |kind, part| {
            let (item, place) = (to_raw_value(&part).unwrap(), "stackoverflow".to_owned());
            let read_at = Timestamp::UNIX_EPOCH;
            let kind = kind.to_owned();
            let payload = Payload { kind, place, item: &item, read_at, version: None, replaces: vec![] };
            let fields = fields(&payload).unwrap();
            read.push(format!("{} {:?}", fields.id, fields.text));
        });
        let expected = [
            r#"stackoverflow/1 "Late & full\n\nThe train""#,
            r#"stackoverflow/2 "All""#,
            r#"stackoverflow/comment/10 "Yes""#,
            r#"stackoverflow/comment/9 "Which?""#,
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_throttled_request_is_tried_again_when_it_may() {
        let now: Timestamp = "2026-11-01T22:00:00Z".parse().unwrap();
        let message =
            "status 400 (throttle_violation: too many requests from this IP, more requests available in 79 seconds)";
        let failure = |message: &str| Failure::Http { status: 400, message: message.into(), retry_at: None };
        let retry_at = match throttled(failure(message), now) {
            Failure::Rate { retry_at, .. } => retry_at,
            other => panic!("{other:?}"),
        };
        assert_eq!((retry_at.unwrap() - now).num_seconds(), 79);
        assert_eq!(throttled(failure("status 400 (bad_parameter)"), now), failure("status 400 (bad_parameter)"));
        assert_eq!(next_day(now).unwrap().to_rfc3339(), "2026-11-02T00:00:00+00:00");
    }
}

//! The connector of Google Play: reviews of one's own apps, from the API for publishers. Google shows the reviews of the
//! last seven days, and those that were changed in them; it does not tell of deletions. The stars stay in the payload
//! (`starRating`).

mod account;

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::api::{Api, address, secret_header};
use crate::kit::failure::Failure;
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use account::{Account, Token};
use async_trait::async_trait;
use chrono::DateTime;
use domain::Timestamp;
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

const FORMAT: Format = Format { name: "googleplay-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "googleplay", fields };
const PLAN: Plan = Plan {
    kind: "googleplay",
    reader: READER,
    first_pages: usize::MAX,
    // All that Google shows is a week: it says nothing of the order.
    look_back: 14 * 86_400,
    follows: None,
    overlaps: false,
    wanted_only: false,
    shows_deletions: false,
    rechecks: false,
};

/// Settings of a source of the kind `googleplay`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names of the apps' packages, such as `com.example.app`.
    pub packages: Vec<String>,
    /// Environment variable with the key of a service account, as JSON.
    #[serde(default = "google_play_key")]
    pub key_env: String,
    /// File with the key.
    #[serde(default)]
    pub key_file: String,
    /// Address of the API.
    #[serde(default = "googleapis")]
    pub url: String,
    /// Seconds between two polls of an app, at least 300.
    #[serde(default = "an_hour")]
    pub interval_s: u64,
}

fn google_play_key() -> String {
    "GOOGLE_PLAY_KEY".into()
}

fn googleapis() -> String {
    "https://androidpublisher.googleapis.com".into()
}

fn an_hour() -> u64 {
    3_600
}

impl Settings {
    fn base(&self) -> Result<Url> {
        let is_name = |name: &str| {
            name.contains('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
                && !name.contains("..")
        };
        if let Some(wrong) = self.packages.iter().find(|name| !is_name(name)) {
            return Err(Error::Setting(format!("invalid package {wrong:?} (expected e.g. com.example.app)")));
        }
        if self.packages.is_empty() {
            return Err(Error::Setting("no app is named (packages)".into()));
        }
        address(&self.url, &googleapis())
    }

    /// The connector with another pace than the usual one. `key`: the JSON of a service account's key.
    pub fn connector_at(&self, key: &SecretString, pace: Pace) -> Result<Box<dyn Connector>> {
        let access = Arc::new(Access {
            account: Account::new(key, pace.request_timeout)?,
            base: self.base()?,
            timeout: pace.request_timeout,
            api: Mutex::new(None),
        });
        let app =
            |package: &String| Arc::new(App { access: access.clone(), package: package.clone() }) as Arc<dyn Pages>;
        Ok(Box::new(Lists { plan: PLAN, pace, pages: self.packages.iter().map(app).collect() }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Google Play";
    const ABOUT: &str = "Reviews of your own Android app. Needs a service account of its developer account.";
    const FORMATS: &[Format] = &[FORMAT];

    fn check(&self) -> Result<()> {
        self.base()?;
        Pace::every(self.interval_s, 300).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![READER.platform.into()]
    }

    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        self.connector_at(&secrets(&self.key_env, &self.key_file)?, Pace::every(self.interval_s, 300)?)
    }
}

/// The API with a token, renewed in time.
struct Access {
    account: Account,
    base: Url,
    timeout: Duration,
    api: Mutex<Option<(Arc<Api>, Timestamp)>>,
}

impl Access {
    async fn api(&self, now: Timestamp) -> Result<Arc<Api>, Problem> {
        let mut current = self.api.lock().await;
        if let Some((api, good_until)) = &*current
            && now < *good_until
        {
            return Ok(api.clone());
        }
        let Token { value, good_until } = self.account.token(now).await?;
        let bearer = SecretString::from(format!("Bearer {}", value.expose_secret()));
        let mut headers = HeaderMap::new();
        secret_header(&mut headers, "authorization", &bearer)?;
        let api = Arc::new(Api::new(self.base.clone(), headers, self.timeout)?);
        *current = Some((api.clone(), good_until));
        Ok(api)
    }

    /// The token was refused: the next request asks for another.
    async fn forget(&self) {
        *self.api.lock().await = None;
    }
}

/// An app.
struct App {
    access: Arc<Access>,
    package: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    reviews: Vec<Box<RawValue>>,
    #[serde(default)]
    token_pagination: Pagination,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    #[serde(default)]
    next_page_token: Option<String>,
}

#[async_trait]
impl Pages for App {
    fn name(&self) -> String {
        self.package.clone()
    }

    async fn lists(&self, _: &Context) -> Result<Vec<String>, Problem> {
        Ok(vec!["reviews".into()])
    }

    /// `from`: the token of the page.
    async fn page(&self, _: &str, from: Option<&str>, _: &Validators, now: Timestamp) -> Result<Option<Page>, Problem> {
        let api = self.access.api(now).await?;
        let mut query = vec![("maxResults", "100")];
        query.extend(from.map(|from| ("token", from)));
        let path = format!("/androidpublisher/v3/applications/{}/reviews", self.package);
        let answer: Result<Answer, Failure> = api.get(&path, &query, now).await;
        if let Err(Failure::Refused { .. }) = &answer {
            self.access.forget().await;
        }
        let Answer { reviews, token_pagination } = answer?;
        let item = |raw: Box<RawValue>| {
            let comment = serde_json::from_str::<Review>(raw.get()).ok().and_then(Review::comment);
            let changed = comment.and_then(|comment| comment.changed());
            Item { kind: "", place: self.package.clone(), order: changed.map_or(0, |at| at.timestamp()), raw }
        };
        let items = reviews.into_iter().map(item).collect();
        Ok(Some(Page { items, next: token_pagination.next_page_token, ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let page = self.page("", None, &Validators::default(), now).await?.unwrap_or_default();
        Ok(format!("{} has {} reviews of the last week on the first page", self.package, page.items.len()))
    }

    fn advice(&self) -> &'static str {
        "invite the service account in the Play Console and let it view app information and reply to reviews"
    }
}

/// A review: what its author wrote, and the answer of the publisher.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    review_id: String,
    #[serde(default)]
    author_name: Option<String>,
    comments: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    user_comment: Option<Comment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    #[serde(default)]
    text: String,
    #[serde(default)]
    reviewer_language: Option<String>,
    #[serde(default)]
    last_modified: Option<Modified>,
}

#[derive(Deserialize)]
struct Modified {
    /// Of Unix time, as text.
    seconds: String,
}

impl Review {
    fn comment(self) -> Option<Comment> {
        self.comments.into_iter().find_map(|part| part.user_comment)
    }
}

impl Comment {
    fn changed(&self) -> Option<Timestamp> {
        DateTime::from_timestamp(self.last_modified.as_ref()?.seconds.parse().ok()?, 0)
    }
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let review: Review = items::item(payload)?;
    let (id, author) = (review.review_id.clone(), items::named(review.author_name.clone()));
    let comment = review.comment().ok_or("unexpected item: no comment of a user")?;
    let package = &payload.place;
    Ok(Fields {
        // Reviews of earlier years have a title before a tab.
        text: items::titled(None, &comment.text.trim().replacen('\t', "\n\n", 1)),
        author,
        url: Some(format!("https://play.google.com/store/apps/details?id={package}&reviewId={id}")),
        date: comment.changed(),
        language: comment.reviewer_language,
        id,
        is_deleted: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_review_is_read() {
        let comment = json!({"text": "Late\tThe train", "starRating": 2, "reviewerLanguage": "en",
            "lastModified": {"seconds": "1793527200", "nanos": 1}});
        let review = json!({"reviewId": "a-1", "authorName": "Bo",
            "comments": [{"userComment": comment}, {"developerComment": {"text": "Sorry"}}]});
        let raw = serde_json::value::to_raw_value(&review).unwrap();
        let (kind, place, read_at) = (String::new(), "com.example".to_owned(), Timestamp::UNIX_EPOCH);
        let read = fields(&Payload { kind, place, item: &raw, read_at, version: None, replaces: vec![] }).unwrap();
        assert_eq!((read.id.as_str(), read.text.as_str()), ("a-1", "Late\n\nThe train"));
        assert_eq!((read.date.unwrap().timestamp(), read.language.as_deref()), (1_793_527_200, Some("en")));
    }
}

//! The connector of Discourse: all public posts of a forum. The list of a forum is complete, so a post that it no longer
//! shows between two others was deleted or moved to where the public can't read it.

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::api::{Api, address, secret_header};
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use async_trait::async_trait;
use domain::{Author, Timestamp, markup};
use reqwest::header::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use url::Url;

const FORMAT: Format = Format { name: "discourse-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "discourse", fields };
const PLAN: Plan = Plan {
    kind: "discourse",
    reader: READER,
    first_pages: 2,
    look_back: 0,
    follows: None,
    overlaps: false,
    wanted_only: false,
    shows_deletions: true,
    rechecks: true,
};
/// Ids of posts in a page, at most.
const PER_PAGE: i64 = 50;
const EXAMPLE: &str = "https://meta.discourse.org";

/// Settings of a source of the kind `discourse`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of the forum.
    pub url: String,
    /// Environment variable with an API key; only for forums that show nothing to visitors.
    #[serde(default)]
    pub token_env: String,
    /// File with the API key.
    #[serde(default)]
    pub token_file: String,
    /// User on whose behalf the key reads.
    #[serde(default = "system")]
    pub username: String,
    /// Seconds between two polls, at least 30.
    #[serde(default = "two_minutes")]
    pub interval_s: u64,
}

fn system() -> String {
    "system".into()
}

fn two_minutes() -> u64 {
    120
}

impl Settings {
    fn base(&self) -> Result<Url> {
        address(&self.url, EXAMPLE)
    }

    /// The connector with another pace than the usual one.
    pub fn connector_at(&self, key: Option<&SecretString>, pace: Pace) -> Result<Box<dyn Connector>> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            secret_header(&mut headers, "api-key", key)?;
            let username = HeaderValue::from_str(&self.username)
                .map_err(|_| Error::Setting(format!("invalid username {:?}", self.username)))?;
            headers.insert("api-username", username);
        }
        let forum = Forum { api: Api::new(self.base()?, headers, pace.request_timeout)? };
        Ok(Box::new(Lists { plan: PLAN, pace, pages: vec![Arc::new(forum)] }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Discourse";
    const ABOUT: &str = "Posts of a Discourse forum. Needs its address; a forum that is not public needs an API key.";
    const FORMATS: &[Format] = &[FORMAT];

    fn check(&self) -> Result<()> {
        self.base()?;
        Pace::every(self.interval_s, 30).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![READER.platform.into()]
    }

    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        let key = connector::optional_secret(secrets, &self.token_env, &self.token_file)?;
        self.connector_at(key.as_ref(), Pace::every(self.interval_s, 30)?)
    }
}

/// A forum.
struct Forum {
    api: Api,
}

#[derive(Deserialize)]
struct Answer {
    latest_posts: Vec<Box<RawValue>>,
}

/// What a page needs to know of a post.
#[derive(Deserialize)]
struct Head {
    id: i64,
}

#[async_trait]
impl Pages for Forum {
    fn name(&self) -> String {
        self.api.host().to_owned()
    }

    async fn lists(&self, _: &Context) -> Result<Vec<String>, Problem> {
        Ok(vec!["posts".into()])
    }

    /// `from`: the highest id.
    async fn page(&self, _: &str, from: Option<&str>, _: &Validators, now: Timestamp) -> Result<Option<Page>, Problem> {
        let query: Vec<_> = from.map(|from| ("before", from)).into_iter().collect();
        let Answer { latest_posts } = self.api.get("/posts.json", &query, now).await?;
        let item = |raw: Box<RawValue>| {
            let order = serde_json::from_str::<Head>(raw.get()).map_or(0, |head| head.id);
            Item { kind: "", place: self.api.host().to_owned(), order, raw }
        };
        let items: Vec<Item> = latest_posts.into_iter().map(item).collect();
        // Posts that visitors can't read are left out after the page is cut, so a page can be short or empty.
        let oldest = items.iter().map(|item| item.order).min();
        let from = from.and_then(|from| from.parse::<i64>().ok());
        let next = oldest.map(|oldest| oldest - 1).or(from.map(|from| from - PER_PAGE)).filter(|next| *next > 0);
        Ok(Some(Page { items, next: next.map(|next| next.to_string()), ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let page = self.page("", None, &Validators::default(), now).await?.unwrap_or_default();
        Ok(format!("{} shows {} posts", self.api.host(), page.items.len()))
    }

    fn advice(&self) -> &'static str {
        "check the address of the forum; if visitors must sign in, create an API key with the scope posts:list and set token_env"
    }
}

/// A post of a forum.
#[derive(Deserialize)]
struct ForumPost {
    id: i64,
    username: String,
    #[serde(default)]
    user_id: Option<i64>,
    created_at: String,
    cooked: String,
    topic_id: i64,
    #[serde(default)]
    topic_slug: Option<String>,
    #[serde(default)]
    topic_title: Option<String>,
    post_number: i64,
    #[serde(default)]
    user_deleted: bool,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    deleted_at: Option<String>,
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let post: ForumPost = items::item(payload)?;
    let slug = post.topic_slug.as_deref().filter(|slug| !slug.is_empty()).unwrap_or("topic");
    // The first post of a topic stands under the title.
    let title = post.topic_title.as_deref().filter(|_| post.post_number == 1);
    // A post that readers reported is hidden for a while: there are no words to store, but it was not deleted.
    let words = if post.hidden { String::new() } else { markup::html_to_text(&without_quotes(&post.cooked)) };
    let host = &payload.place;
    Ok(Fields {
        id: format!("{host}/{}", post.id),
        text: if words.is_empty() { words } else { items::titled(title, &words) },
        author: Some(Author {
            id: post.user_id.map(|id| format!("{id}@{host}")),
            username: Some(format!("{}@{host}", post.username)),
            ..Author::default()
        }),
        url: Some(format!("https://{host}/t/{slug}/{}/{}", post.topic_id, post.post_number)),
        date: items::date(&post.created_at),
        language: None,
        is_deleted: post.user_deleted || post.deleted_at.is_some(),
    })
}

/// HTML without the words of others: quotes and previews of links.
fn without_quotes(html: &str) -> String {
    let mut kept = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find("<aside") {
        kept.push_str(&rest[..at]);
        rest = rest[at..].split_once("</aside>").map_or("", |(_, rest)| rest);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Fields {
        let post = format!(
            r#"{{"id":7,"username":"bo","created_at":"2026-11-01T10:00:00.000Z","topic_id":12,"topic_slug":"trains",
            "topic_title":"Trains","cooked":"<aside class=\"quote\"><p>Yours</p></aside><p>Late &amp; full</p>"{more}}}"#
        );
        let raw: &RawValue = serde_json::from_str(&post).unwrap();
        let place = "forum.example".to_owned();
        let read_at = Timestamp::UNIX_EPOCH;
        fields(&Payload { kind: String::new(), place, item: raw, read_at, version: None, replaces: vec![] }).unwrap()
    }

    #[test]
    fn a_post_is_read_without_the_words_of_others() {
        let first = read(r#","post_number":1"#);
        assert_eq!((first.id.as_str(), first.text.as_str()), ("forum.example/7", "Trains\n\nLate & full"));
        assert_eq!(first.url.as_deref(), Some("https://forum.example/t/trains/12/1"));
        assert_eq!(read(r#","post_number":2"#).text, "Late & full");
        assert_eq!(read(r#","post_number":1,"hidden":true"#).text, "");
        assert!(read(r#","post_number":2,"user_deleted":true"#).is_deleted);
    }
}

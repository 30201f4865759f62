//! The connector of Hacker News: stories and comments with the words of the topics, from the search of Algolia. The search
//! needs no key. It finds words anywhere; what no topic matches is dropped. It does not tell of deletions.

mod words;

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::Result;
use crate::kit::api::{Api, address};
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use async_trait::async_trait;
use domain::Timestamp;
use domain::markup;
use domain::topic::Query;
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use url::Url;

const FORMAT: Format = Format { name: "hackernews-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "hackernews", fields };
const PLAN: Plan = Plan {
    kind: "hackernews",
    reader: READER,
    first_pages: 1,
    // Items reach the index some minutes late, and can be edited for two hours.
    look_back: 2 * 3_600,
    follows: Some(2 * 3_600),
    overlaps: true,
    wanted_only: true,
    shows_deletions: false,
    rechecks: false,
};
const PER_PAGE: usize = 100;
/// Searches of one poll: 10,000 requests an hour are allowed.
const SEARCHES_MAX: usize = 100;

/// Settings of a source of the kind `hackernews`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of the search.
    #[serde(default = "algolia")]
    pub url: String,
    /// Seconds between two polls, at least 60.
    #[serde(default = "five_minutes")]
    pub interval_s: u64,
}

fn algolia() -> String {
    "https://hn.algolia.com".into()
}

fn five_minutes() -> u64 {
    300
}

impl Settings {
    fn base(&self) -> Result<Url> {
        address(&self.url, &algolia())
    }

    /// The connector with another pace than the usual one.
    pub fn connector_at(&self, pace: Pace) -> Result<Box<dyn Connector>> {
        let search = Search { api: Api::new(self.base()?, HeaderMap::new(), pace.request_timeout)? };
        Ok(Box::new(Lists { plan: PLAN, pace, pages: vec![Arc::new(search)] }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Hacker News";
    const ABOUT: &str = "Stories and comments on Hacker News that match your topics. Needs no account.";
    const FORMATS: &[Format] = &[FORMAT];

    fn check(&self) -> Result<()> {
        self.base()?;
        Pace::every(self.interval_s, 60).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![READER.platform.into()]
    }

    fn connector(&self, _: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        self.connector_at(Pace::every(self.interval_s, 60)?)
    }
}

/// The search.
struct Search {
    api: Api,
}

#[derive(Deserialize)]
struct Answer {
    hits: Vec<Box<RawValue>>,
}

/// What a page needs to know of a hit.
#[derive(Deserialize)]
struct Head {
    created_at_i: i64,
}

#[async_trait]
impl Pages for Search {
    fn name(&self) -> String {
        self.api.host().to_owned()
    }

    async fn lists(&self, context: &Context) -> Result<Vec<String>, Problem> {
        let topics = context.topics.borrow().clone();
        let (mut searches, mut left_out) = (BTreeSet::new(), BTreeMap::new());
        for topic in topics {
            match Query::parse(&topic.query).map_err(|error| error.message).and_then(|query| words::searches(&query)) {
                Ok(more) if searches.len() + more.len() <= SEARCHES_MAX => searches.extend(more),
                Ok(_) => {
                    drop(left_out.insert(topic.name, format!("all topics need more than {SEARCHES_MAX} searches")))
                }
                Err(reason) => drop(left_out.insert(topic.name, reason)),
            }
        }
        context.status.set_topics(left_out, Vec::new());
        Ok(searches.into_iter().collect())
    }

    /// `from`: the latest time, in seconds.
    async fn page(
        &self,
        list: &str,
        from: Option<&str>,
        _: &Validators,
        now: Timestamp,
    ) -> Result<Option<Page>, Problem> {
        let (limit, filter) = (PER_PAGE.to_string(), from.map(|from| format!("created_at_i<={from}")));
        let mut query = vec![
            ("query", list),
            ("tags", "(story,comment,poll)"),
            ("typoTolerance", "false"),
            ("attributesToHighlight", "[]"),
            ("hitsPerPage", &limit),
        ];
        query.extend(filter.as_deref().map(|filter| ("numericFilters", filter)));
        let Answer { hits } = self.api.get("/api/v1/search_by_date", &query, now).await?;
        let item = |raw: Box<RawValue>| {
            let order = serde_json::from_str::<Head>(raw.get()).map_or(0, |head| head.created_at_i);
            Item { kind: "", place: String::new(), order, raw }
        };
        let is_full = hits.len() >= PER_PAGE;
        let items: Vec<Item> = hits.into_iter().map(item).collect();
        let oldest = items.iter().map(|item| item.order).min().filter(|_| is_full);
        // The next page begins with the second in which this one ends, unless it holds nothing else.
        let next = oldest.map(|oldest| if from == Some(&oldest.to_string()) { oldest - 1 } else { oldest });
        Ok(Some(Page { items, next: next.map(|next| next.to_string()), ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let page = self.page("", None, &Validators::default(), now).await?.unwrap_or_default();
        Ok(format!("the search answers with {} items", page.items.len()))
    }

    fn advice(&self) -> &'static str {
        "check the url; the search of Hacker News is at https://hn.algolia.com"
    }
}

/// A story or a comment.
#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "objectID")]
    id: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    story_text: Option<String>,
    #[serde(default)]
    comment_text: Option<String>,
    #[serde(default)]
    author: Option<String>,
    created_at: String,
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let hit: Hit = items::item(payload)?;
    // Paragraphs begin with `<p>` and are not closed.
    let html = hit.comment_text.or(hit.story_text).unwrap_or_default().replace("<p>", "</p>");
    let title = hit.title.map(|title| markup::decode_entities(&title).into_owned());
    Ok(Fields {
        url: Some(format!("https://news.ycombinator.com/item?id={}", hit.id)),
        text: items::titled(title.as_deref(), &markup::html_to_text(&html)),
        author: items::named(hit.author),
        date: items::date(&hit.created_at),
        id: hit.id,
        ..Fields::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hit: &str) -> Fields {
        let raw: &RawValue = serde_json::from_str(hit).unwrap();
        let read_at = Timestamp::UNIX_EPOCH;
        fields(&Payload {
            kind: String::new(),
            place: String::new(),
            item: raw,
            read_at,
            version: None,
            replaces: vec![],
        })
        .unwrap()
    }

    #[test]
    fn stories_and_comments_are_read() {
        let story = read(
            r#"{"objectID":"1","title":"Show HN: A &amp; B","url":"https://a.example","author":"bo","points":3,
            "created_at":"2026-11-01T10:00:00Z","created_at_i":1793527200,"_tags":["story"],"story_text":null}"#,
        );
        assert_eq!((story.text.as_str(), story.id.as_str()), ("Show HN: A & B", "1"));
        assert_eq!(story.date.unwrap().timestamp(), 1_793_527_200);
        let comment = read(
            r#"{"objectID":"2","comment_text":"It&#x27;s late.<p>See <a href=\"https:&#x2F;&#x2F;a.example\">a.example</a>",
            "story_title":"A","created_at":"2026-11-01T10:00:00Z","created_at_i":1793527200}"#,
        );
        assert_eq!(comment.text, "It's late.\n\nSee a.example");
        assert_eq!((comment.author, comment.url.unwrap().as_str()), (None, "https://news.ycombinator.com/item?id=2"));
    }
}

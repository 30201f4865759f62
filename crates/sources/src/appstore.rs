//! The connector of the App Store: customer reviews of apps, from Apple's public feed per country. Apple shows the last 500
//! reviews of an app in a country, and does not tell of deletions. The stars stay in the payload (`im:rating`).

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::api::{Api, address};
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use async_trait::async_trait;
use domain::Timestamp;
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::sync::Arc;
use url::Url;

const FORMAT: Format = Format { name: "appstore-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "appstore", fields };
const PLAN: Plan = Plan {
    kind: "appstore",
    reader: READER,
    first_pages: 10,
    // Reviews can appear a day late.
    look_back: 2 * 86_400,
    follows: None,
    overlaps: false,
    wanted_only: false,
    shows_deletions: false,
    rechecks: false,
};
/// Apple refuses further pages.
const PAGES_MAX: u32 = 10;

/// Settings of a source of the kind `appstore`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Numbers of apps, as in their addresses: `https://apps.apple.com/us/app/name/id123456789`.
    pub apps: Vec<String>,
    /// Countries, as two letters.
    #[serde(default = "us")]
    pub countries: Vec<String>,
    /// Address of the feed.
    #[serde(default = "itunes")]
    pub url: String,
    /// Seconds between two polls of an app, at least 300.
    #[serde(default = "an_hour")]
    pub interval_s: u64,
}

fn us() -> Vec<String> {
    vec!["us".into()]
}

fn itunes() -> String {
    "https://itunes.apple.com".into()
}

fn an_hour() -> u64 {
    3_600
}

impl Settings {
    fn base(&self) -> Result<Url> {
        let is_app = |app: &str| !app.is_empty() && app.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(wrong) = self.apps.iter().find(|app| !is_app(app.trim_start_matches("id"))) {
            return Err(Error::Setting(format!("invalid app {wrong:?} (expected its number, e.g. 123456789)")));
        }
        let is_country = |country: &str| country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
        if let Some(wrong) = self.countries.iter().find(|country| !is_country(country)) {
            return Err(Error::Setting(format!("invalid country {wrong:?} (expected two letters, e.g. us)")));
        }
        if self.apps.is_empty() || self.countries.is_empty() {
            return Err(Error::Setting("no app or no country is named (apps, countries)".into()));
        }
        address(&self.url, &itunes())
    }

    /// The connector with another pace than the usual one.
    pub fn connector_at(&self, pace: Pace) -> Result<Box<dyn Connector>> {
        let api = Arc::new(Api::new(self.base()?, HeaderMap::new(), pace.request_timeout)?);
        let countries: Vec<String> = self.countries.iter().map(|country| country.to_lowercase()).collect();
        let app = |number: &String| {
            let number = number.trim_start_matches("id").to_owned();
            Arc::new(App { api: api.clone(), number, countries: countries.clone() }) as Arc<dyn Pages>
        };
        Ok(Box::new(Lists { plan: PLAN, pace, pages: self.apps.iter().map(app).collect() }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "App Store";
    const ABOUT: &str = "Customer reviews of an app in Apple's App Store. Needs the number of the app, and no account.";
    const FORMATS: &[Format] = &[FORMAT];

    fn check(&self) -> Result<()> {
        self.base()?;
        Pace::every(self.interval_s, 300).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![READER.platform.into()]
    }

    fn connector(&self, _: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        self.connector_at(Pace::every(self.interval_s, 300)?)
    }
}

/// An app.
struct App {
    api: Arc<Api>,
    number: String,
    countries: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    feed: Feed,
}

#[derive(Deserialize)]
struct Feed {
    /// A list; a single entry stands by itself; missing if there is none.
    #[serde(default)]
    entry: Value,
}

#[async_trait]
impl Pages for App {
    fn name(&self) -> String {
        format!("app {}", self.number)
    }

    async fn lists(&self, _: &Context) -> Result<Vec<String>, Problem> {
        Ok(self.countries.clone())
    }

    /// `from`: the number of the page.
    async fn page(
        &self,
        country: &str,
        from: Option<&str>,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Option<Page>, Problem> {
        let (app, number) = (&self.number, from.unwrap_or("1"));
        let path = format!("/{country}/rss/customerreviews/page={number}/id={app}/sortby=mostrecent/json");
        let answer = self.api.get_if_changed::<Answer>(&path, &[], validators, now).await?;
        let Some((Answer { feed }, validators)) = answer else { return Ok(None) };
        let entries = match feed.entry {
            Value::Array(entries) => entries,
            Value::Null => Vec::new(),
            entry => vec![entry],
        };
        let next = number.parse::<u32>().ok().filter(|number| !entries.is_empty() && *number < PAGES_MAX);
        // The app itself may stand among the reviews.
        let reviews = entries.iter().filter(|entry| entry.get("im:rating").is_some());
        let item = |entry: &Value| {
            let updated = entry.pointer("/updated/label").and_then(Value::as_str).and_then(items::date);
            let order = updated.map_or(0, |updated| updated.timestamp());
            Some(Item { kind: "", place: country.to_owned(), order, raw: to_raw_value(entry).ok()? })
        };
        let items = reviews.filter_map(item).collect();
        Ok(Some(Page { items, next: next.map(|number| (number + 1).to_string()), validators, ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let mut shown = Vec::new();
        for country in &self.countries {
            let page = self.page(country, None, &Validators::default(), now).await?.unwrap_or_default();
            shown.push(format!("{country} {}", page.items.len()));
        }
        Ok(format!("reviews on the first page of app {}: {}", self.number, shown.join(", ")))
    }

    fn advice(&self) -> &'static str {
        "check the number of the app and the countries; Apple sometimes shows nothing to addresses of data centres"
    }
}

/// A review.
#[derive(Deserialize)]
struct Review {
    id: Label,
    #[serde(default)]
    title: Label,
    #[serde(default)]
    content: Label,
    #[serde(default)]
    updated: Label,
    #[serde(default)]
    author: Reviewer,
    #[serde(default)]
    link: Option<Link>,
}

#[derive(Default, Deserialize)]
struct Label {
    #[serde(default)]
    label: String,
}

#[derive(Default, Deserialize)]
struct Reviewer {
    #[serde(default)]
    name: Label,
}

#[derive(Deserialize)]
struct Link {
    attributes: LinkAttributes,
}

#[derive(Deserialize)]
struct LinkAttributes {
    href: String,
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let review: Review = items::item(payload)?;
    Ok(Fields {
        id: review.id.label,
        text: items::titled(Some(&review.title.label), &review.content.label),
        author: items::named(Some(review.author.name.label)),
        url: review.link.map(|link| link.attributes.href),
        date: items::date(&review.updated.label),
        ..Fields::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_review_is_read() {
        let review = json!({
            "author": {"uri": {"label": "https://itunes.apple.com/us/reviews/id7"}, "name": {"label": "bo"}},
            "updated": {"label": "2026-11-01T03:00:00-07:00"}, "im:rating": {"label": "2"}, "id": {"label": "900"},
            "title": {"label": "Late"}, "content": {"label": "The train", "attributes": {"type": "text"}},
            "link": {"attributes": {"rel": "related", "href": "https://itunes.apple.com/us/review?id=1"}},
        });
        let raw = to_raw_value(&review).unwrap();
        let (kind, place, read_at) = (String::new(), "us".to_owned(), Timestamp::UNIX_EPOCH);
        let read = fields(&Payload { kind, place, item: &raw, read_at, version: None, replaces: vec![] }).unwrap();
        assert_eq!((read.id.as_str(), read.text.as_str()), ("900", "Late\n\nThe train"));
        assert_eq!(read.date.unwrap().to_rfc3339(), "2026-11-01T10:00:00+00:00");
    }
}

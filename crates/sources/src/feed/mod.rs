//! The connector of feeds: RSS, Atom and JSON Feed, asked again and again.
//!
//! Requests are conditional (`ETag`, `Last-Modified`), and the time to the next one follows the server's words:
//! `Cache-Control`, `Retry-After`, the feed's own `ttl` and `skipHours`. A feed that moved for good (301, 308) is asked at
//! its new address; one that is gone (410) is asked once a day. The address of a page leads to the feed that it names. An entry that changed is a new version of its post. What a
//! feed no longer lists is not deleted: feeds list the newest entries only.

mod dates;
mod discovery;
mod document;
mod encoding;
pub(crate) mod payload;
mod repair;

use crate::connector::{self, Check, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::backoff::BackoffPolicy;
use crate::kit::failure::Failure;
use crate::kit::http::{Fetcher, Validators, web_address};
use crate::kit::ingest;
use crate::kit::poll::{self, Poll, Problem};
use crate::kit::versions::Version;
use crate::record::{Format, Parsed, checks};
use async_trait::async_trait;
use chrono::{TimeDelta, Timelike};
use document::{Document, Place};
use domain::{Clock, Provenance, Timestamp};
use payload::Entry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use state::Cursor;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Longest time between two requests, whatever a server says of its answer.
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3_600);
/// How often a feed is asked that is gone.
const GONE: TimeDelta = TimeDelta::days(1);
/// How long, and how many, entries are remembered that a feed no longer lists.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
const UNLISTED_MAX: usize = 5_000;
/// Failures of the network after which the configured address of a feed that moved is asked again.
const UNREACHABLE_MAX: u32 = 3;
/// What is told of a page that leads to no feed.
const PAGE: &str = "it is a web page, and names no feed";
/// Until a feed is asked that a page named.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Settings of a source of the kind `feed`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Addresses of RSS, Atom or JSON feeds, or of pages that name theirs.
    pub urls: Vec<String>,
    /// Platform of the posts.
    #[serde(default = "news")]
    pub platform: String,
    /// Seconds between two requests of one feed, at least 60. A feed can ask for more.
    #[serde(default = "a_quarter_of_an_hour")]
    pub interval_s: u64,
}

fn news() -> String {
    "news".into()
}

fn a_quarter_of_an_hour() -> u64 {
    900
}

impl Settings {
    fn config(&self) -> Result<FeedConfig> {
        if self.interval_s < 60 {
            return Err(Error::Setting(format!("interval_s = {} is too short (at least 60)", self.interval_s)));
        }
        let config = FeedConfig::new(&self.urls, &self.platform)?;
        Ok(FeedConfig { interval: Duration::from_secs(self.interval_s), ..config })
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Feeds";
    const ABOUT: &str =
        "RSS, Atom and JSON feeds of news sites, blogs and forums. Needs their addresses, and no account.";
    const FORMATS: &[Format] = &[payload::FORMAT];

    fn check(&self) -> Result<()> {
        self.config().map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![self.platform.clone()]
    }

    fn connector(&self, _: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Feeds::new(self.config()?)?))
    }
}

/// What the connector works with.
#[derive(Debug, Clone)]
pub struct FeedConfig {
    pub urls: Vec<Url>,
    /// The platform of the posts.
    pub platform: String,
    /// Time between two requests of one feed, unless the server asks for more.
    pub interval: Duration,
    pub request_timeout: Duration,
    pub backoff: BackoffPolicy,
}

impl FeedConfig {
    /// The usual settings for these feeds.
    pub fn new(urls: &[String], platform: &str) -> Result<Self> {
        if urls.is_empty() {
            return Err(Error::Setting("no feed is named (urls)".into()));
        }
        checks::platform(platform).map_err(Error::Setting)?;
        let read = |url: &String| {
            let example = "https://example.org/feed.xml";
            web_address(url)
                .ok_or_else(|| Error::Setting(format!("invalid address of a feed {url:?} (expected e.g. {example})")))
        };
        let mut listed = HashSet::new();
        let mut urls = urls.iter().map(read).collect::<Result<Vec<_>>>()?;
        urls.retain(|url| listed.insert(url.clone()));
        Ok(Self {
            urls,
            platform: platform.to_owned(),
            interval: Duration::from_secs(900),
            request_timeout: Duration::from_secs(30),
            backoff: BackoffPolicy::for_polling(),
        })
    }
}

/// The connector.
pub struct Feeds {
    config: FeedConfig,
    fetcher: Fetcher,
}

impl Feeds {
    pub fn new(config: FeedConfig) -> Result<Self> {
        let fetcher = Fetcher::new(config.request_timeout)?;
        Ok(Self { config, fetcher })
    }

    /// Asks a feed as if for the first time.
    async fn look(&self, url: &Url, now: Timestamp) -> Result<Document, Failure> {
        let ask = async |url: &Url| {
            let answer = self.fetcher.get(url, url, &Validators::default(), now).await?;
            let place = Place { at: url.clone(), feed: url.clone(), charset: answer.charset, now };
            read(answer.body.unwrap_or_default(), place).await
        };
        match ask(url).await? {
            Found::Feed(document) => Ok(document),
            Found::Page { feed } => match ask(&feed).await? {
                Found::Feed(document) => Ok(document),
                Found::Page { .. } => Err(no_feed("it is a web page")),
            },
        }
    }
}

#[async_trait]
impl Connector for Feeds {
    async fn check(&self, clock: &dyn Clock) -> Check {
        let mut entries = 0;
        for (url, name) in self.config.urls.iter().zip(names(&self.config.urls)) {
            match self.look(url, clock.now()).await {
                Ok(document) => entries += document.entries.len(),
                Err(failure) => {
                    let summary = format!("{name}: {}", failure.message());
                    let advice = "check the address in a browser; it must lead to a feed, or to a page that names one";
                    return Check { ok: false, summary, advice: Some(advice.into()) };
                }
            }
        }
        let feeds = self.config.urls.len();
        Check { ok: true, summary: format!("{feeds} feeds answer, with {entries} entries"), advice: None }
    }

    async fn run(self: Box<Self>, context: Context, shutdown: CancellationToken) -> domain::Result<()> {
        let mut polls: Vec<Box<dyn Poll>> = Vec::new();
        for (url, name) in self.config.urls.iter().zip(names(&self.config.urls)) {
            let key = format!("feed:{}:{url}", context.source);
            let cursor = Cursor::load(context.state.clone(), key).await?;
            let (fetcher, config) = (self.fetcher.clone(), self.config.clone());
            let (context, unreachable) = (context.clone(), 0);
            polls.push(Box::new(Feed { name, url: url.clone(), config, fetcher, context, cursor, unreachable }));
        }
        poll::run(polls, &context, self.config.backoff, &shutdown).await
    }
}

/// Names for people: without queries, which can hold secrets. Those that would be the same are numbered.
fn names(urls: &[Url]) -> Vec<String> {
    let plain = |url: &Url| format!("{}{}", url.host_str().unwrap_or_default(), url.path());
    let names: Vec<String> = urls.iter().map(plain).collect();
    let is_shared = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    let numbered = names.iter().enumerate().map(|(at, name)| match is_shared(name) {
        true => format!("{name} ({})", at + 1),
        false => name.clone(),
    });
    numbered.collect()
}

/// What is remembered of a feed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    #[serde(flatten)]
    validators: Validators,
    /// Where it moved for good.
    moved_to: Option<Url>,
    /// The entries of its last document and those that left it not long ago, by id.
    entries: BTreeMap<String, Version>,
    /// Since when entries are no longer listed.
    unlisted: BTreeMap<String, Timestamp>,
}

impl Seen {
    /// Keeps the entries of a document, and for some time those that it no longer lists: one that comes back may be an edit.
    fn remember(&mut self, listed: BTreeMap<String, Version>, now: Timestamp) {
        let before = std::mem::replace(&mut self.entries, listed);
        for id in before.keys().filter(|id| !self.entries.contains_key(*id)) {
            self.unlisted.entry(id.clone()).or_insert(now);
        }
        self.unlisted.retain(|id, since| !self.entries.contains_key(id) && now - *since <= REMEMBERED);
        let mut oldest: Vec<(Timestamp, String)> = self.unlisted.iter().map(|(id, at)| (*at, id.clone())).collect();
        oldest.sort();
        for (_, id) in &oldest[..oldest.len().saturating_sub(UNLISTED_MAX)] {
            self.unlisted.remove(id);
        }
        self.entries.extend(before.into_iter().filter(|(id, _)| self.unlisted.contains_key(id)));
    }
}

/// One feed.
struct Feed {
    name: String,
    url: Url,
    config: FeedConfig,
    fetcher: Fetcher,
    context: Context,
    cursor: Cursor<Seen>,
    /// Failures of the network, one after the other.
    unreachable: u32,
}

#[async_trait]
impl Poll for Feed {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn poll(&mut self) -> Result<Duration, Problem> {
        let asked = self.ask().await;
        let is_unreachable = matches!(asked, Err(Problem::Platform(Failure::Network(_))));
        self.unreachable = if is_unreachable { self.unreachable + 1 } else { 0 };
        let is_refused = matches!(asked, Err(Problem::Platform(Failure::Http { .. } | Failure::Refused { .. })));
        if is_refused || self.unreachable >= UNREACHABLE_MAX {
            // There is no feed where it moved to: the configured address may know better by now.
            (self.cursor.value.moved_to, self.unreachable) = (None, 0);
        }
        asked
    }

    /// What is wrong with an answer lasts; an error of the server (5xx) may be over soon.
    fn pause_after(&self, failure: &Failure) -> Duration {
        match failure {
            Failure::Http { status: ..500, .. } | Failure::Refused { .. } => self.config.interval,
            _ => Duration::ZERO,
        }
    }
}

impl Feed {
    async fn ask(&mut self) -> Result<Duration, Problem> {
        let now = self.context.clock.now();
        let seen = &self.cursor.value;
        let url = seen.moved_to.clone().unwrap_or_else(|| self.url.clone());
        let answer = match self.fetcher.get(&url, &self.url, &seen.validators, now).await {
            Err(Failure::Http { status: 410, .. }) => {
                let message = "the feed is gone for good (410): remove it from the source".into();
                return Err(Failure::Http { status: 410, message, retry_at: Some(now + GONE) }.into());
            }
            answer => answer?,
        };
        let mut pause = self.config.interval.max(answer.max_age.unwrap_or_default().min(PAUSE_MAX));
        if let Some(body) = answer.body {
            let at = answer.moved_to.clone().unwrap_or_else(|| url.clone());
            let place = Place { at, feed: self.url.clone(), charset: answer.charset, now };
            let document = match read(body, place).await? {
                Found::Feed(document) => document,
                Found::Page { .. } if url != self.url => return Err(no_feed("it is a web page").into()),
                Found::Page { feed } => {
                    tracing::info!(source.id = %self.context.source, page = %self.name, "the page names its feed");
                    self.cursor.value.moved_to = Some(feed);
                    self.cursor.save().await?;
                    return Ok(AT_ONCE);
                }
            };
            pause = document.pause(pause, now);
            self.store(document.entries).await?;
            self.context.status.set_notes(&self.name, document.notes);
            self.cursor.value.validators = answer.validators;
        }
        // Only once there is a feed: a login page of a network can redirect for good as well.
        if let Some(moved_to) = answer.moved_to {
            tracing::info!(source.id = %self.context.source, from = %self.name, "feed moved for good");
            self.cursor.value.moved_to = Some(moved_to);
        }
        self.cursor.save().await?;
        Ok(pause)
    }

    /// Stores what is new. The cursor is saved by the caller, after this.
    async fn store(&mut self, entries: Vec<Entry>) -> Result<(), Problem> {
        let origin = self.context.origin(&self.config.platform, Provenance::Poll);
        let mut parsed = Parsed::default();
        let mut versions = BTreeMap::new();
        for mut entry in entries {
            let id = entry.id.clone();
            let known = &self.cursor.value.entries;
            let known = known.get(&id).or_else(|| known.get(entry.former.as_deref()?));
            let (version, is_new) = next_version(known, &mut entry);
            if is_new {
                (payload::FORMAT.parse)(&entry.to_json(), &origin, &mut parsed);
            }
            versions.insert(id, version);
        }
        ingest::store(&self.context, payload::FORMAT, parsed, &origin).await?;
        self.cursor.value.remember(versions, self.context.clock.now());
        Ok(())
    }
}

/// The version that an entry is, and whether it is new; an entry that is an edit gets an id of its own.
fn next_version(known: Option<&Version>, entry: &mut Entry) -> (Version, bool) {
    let (version, is_new) = Version::next(known, &entry.id, &entry.hash());
    if is_new {
        entry.replaces.extend(known.map(|known| known.post.clone()));
        entry.id.clone_from(&version.post);
    }
    (version, is_new)
}

/// What an address leads to.
enum Found {
    Feed(Document),
    /// A web page that names a feed.
    Page {
        feed: Url,
    },
}

/// Reads a document away from the async threads: it can be long.
async fn read(body: Vec<u8>, place: Place) -> Result<Found, Failure> {
    let reading = tokio::task::spawn_blocking(move || match Document::read(&body, &place) {
        Ok(document) => Ok(Found::Feed(document)),
        Err(reason) => match discovery::feed_of(&body, &place.at) {
            Some(feed) => Ok(Found::Page { feed }),
            None if discovery::is_page(&body) => Err(PAGE.into()),
            None => Err(reason),
        },
    });
    let read = reading.await.unwrap_or_else(|_| Err("the reader of feeds failed on it".into()));
    read.map_err(|reason| no_feed(&reason))
}

fn no_feed(reason: &str) -> Failure {
    Failure::Http { status: 200, message: format!("the answer is not a feed: {reason}"), retry_at: None }
}

impl Document {
    /// The time to the next request: what the feed asks for, beyond the hours that it wants to be left alone.
    fn pause(&self, at_least: Duration, now: Timestamp) -> Duration {
        let mut pause = at_least.max(self.ttl.unwrap_or_default().min(PAUSE_MAX));
        for _ in 0..24 {
            let next = TimeDelta::from_std(pause).ok().and_then(|pause| now.checked_add_signed(pause));
            let Some(next) = next else { break };
            if !self.skip_hours.contains(&next.hour()) {
                break;
            }
            // To the next full hour.
            let passed = u64::from(next.minute()) * 60 + u64::from(next.second());
            pause += Duration::from_secs(3_600 - passed);
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-01T{time}Z").parse().unwrap()
    }

    #[test]
    fn a_feed_is_left_alone_when_it_asks_for_it() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let document = |ttl: Option<u64>, skip_hours: &[u32]| Document {
            entries: Vec::new(),
            ttl: ttl.map(minutes),
            skip_hours: skip_hours.to_vec(),
            notes: Vec::new(),
        };
        assert_eq!(document(None, &[]).pause(minutes(15), at("10:00:00")), minutes(15));
        assert_eq!(document(Some(60), &[]).pause(minutes(15), at("10:00:00")), minutes(60));
        assert_eq!(document(Some(9_999), &[]).pause(minutes(15), at("10:00:00")), PAUSE_MAX);
        assert_eq!(document(None, &[10, 11]).pause(minutes(15), at("10:00:00")), minutes(120));
        let endless = Duration::from_secs(9_000_000_000_000_000);
        assert_eq!(document(None, &[10]).pause(endless, at("10:00:00")), endless);
        let always: Vec<u32> = (0..24).collect();
        assert!(document(None, &always).pause(minutes(15), at("10:00:00")) <= minutes(25 * 60));
    }

    #[test]
    fn feeds_that_differ_by_their_query_have_names_of_their_own() {
        let urls = ["https://a.example/f?q=1", "https://b.example/f", "https://a.example/f?q=2", "https://b.example/f"];
        let config = FeedConfig::new(&urls.map(str::to_owned), "news").unwrap();
        assert_eq!(config.urls.len(), 3, "an address that is listed twice is asked once");
        assert_eq!(names(&config.urls), ["a.example/f (1)", "b.example/f", "a.example/f (3)"]);
    }

    #[test]
    fn an_edit_replaces_the_version_before_it() {
        let entry = |text: &str| Entry { id: "a".into(), content: Some(text.into()), ..Entry::default() };
        let (first, is_new) = next_version(None, &mut entry("one"));
        assert!(is_new && first.post == "a");
        assert_eq!(next_version(Some(&first), &mut entry("one")), (first.clone(), false));
        let mut edited = entry("two");
        let (second, is_new) = next_version(Some(&first), &mut edited);
        assert!(is_new && edited.id == second.post && second.post.starts_with("a#2-"));
        assert_eq!(edited.replaces, ["a"]);
    }

    #[test]
    fn an_entry_that_comes_back_within_a_month_is_known() {
        let version = |text: &str| Version::next(None, "a", text).0;
        let document = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), version("one"))).collect();
        let (mut seen, now) = (Seen::default(), at("10:00:00"));
        seen.remember(document(&["a", "b"]), now);
        seen.remember(document(&["b"]), now);
        assert_eq!((seen.entries.len(), seen.unlisted.len()), (2, 1));
        seen.remember(document(&["b"]), now + TimeDelta::days(29));
        assert!(seen.entries.contains_key("a"));
        seen.remember(document(&["b"]), now + TimeDelta::days(31));
        assert_eq!((seen.entries.len(), seen.unlisted.len()), (1, 0));
        let many = (0..UNLISTED_MAX + 10).map(|id| (id.to_string(), version("one"))).collect();
        seen.remember(many, now);
        seen.remember(document(&["a"]), now);
        assert_eq!((seen.entries.len(), seen.unlisted.len()), (UNLISTED_MAX + 1, UNLISTED_MAX));
    }
}

//! The connector of YouTube: comments on videos, on all videos of channels, and on videos that searches find. A ledger
//! keeps the source within the day's quota of units. A thread shows up to five replies. Deletions are not told.

mod ledger;

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::api::{Api, address, secret_header};
use crate::kit::failure::Failure;
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{Author, Timestamp};
use ledger::{Ledger, midnight};
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};
use url::Url;

const FORMAT: Format = Format { name: "youtube-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "youtube", fields };
const PLAN: Plan = Plan {
    kind: "youtube",
    reader: READER,
    first_pages: 1,
    look_back: 0,
    follows: Some(FOLLOWED_S),
    overlaps: false,
    wanted_only: false,
    shows_deletions: false,
    rechecks: false,
};
/// How long edits of a comment and replies to it are followed: two days.
const FOLLOWED_S: i64 = 2 * 86_400;
/// Units that a search takes. Newer projects have a quota of 100 searches a day instead, which is the same.
const SEARCH_UNITS: u64 = 100;
/// Time between two runs of a search: four runs a day.
const SEARCH_EVERY: TimeDelta = TimeDelta::hours(6);

/// Settings of a source of the kind `youtube`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Ids of videos, as in `watch?v=ID`.
    #[serde(default)]
    pub videos: Vec<String>,
    /// Ids of channels, which begin with `UC`: comments on all their videos.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Searches: comments on the newest 50 videos that each finds. A search runs every six hours.
    #[serde(default)]
    pub searches: Vec<String>,
    /// Environment variable with an API key of the YouTube Data API.
    #[serde(default = "youtube_api_key")]
    pub key_env: String,
    /// File with the API key.
    #[serde(default)]
    pub key_file: String,
    /// Units that may be spent a day. A project has 10,000 unless Google grants more.
    #[serde(default = "ten_thousand")]
    pub units_per_day: u64,
    /// Address of the API.
    #[serde(default = "googleapis")]
    pub url: String,
    /// Seconds between two polls, at least 300. A poll takes one unit for each video and channel.
    #[serde(default = "half_an_hour")]
    pub interval_s: u64,
}

fn youtube_api_key() -> String {
    "YOUTUBE_API_KEY".into()
}

fn ten_thousand() -> u64 {
    10_000
}

fn googleapis() -> String {
    "https://www.googleapis.com".into()
}

fn half_an_hour() -> u64 {
    1_800
}

impl Settings {
    fn base(&self) -> Result<Url> {
        let is_id =
            |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if let Some(wrong) = self.videos.iter().find(|id| !is_id(id)) {
            return Err(Error::Setting(format!("invalid video {wrong:?} (expected its id, as in watch?v=ID)")));
        }
        if let Some(wrong) = self.channels.iter().find(|id| !is_id(id) || !id.starts_with("UC")) {
            return Err(Error::Setting(format!("invalid channel {wrong:?} (expected its id, which begins with UC)")));
        }
        if self.videos.is_empty() && self.channels.is_empty() && self.searches.is_empty() {
            return Err(Error::Setting("nothing is selected: set videos, channels or searches".into()));
        }
        if !self.searches.is_empty() && self.units_per_day < SEARCH_UNITS {
            let least = format!("a search takes {SEARCH_UNITS} units");
            return Err(Error::Setting(format!("units_per_day = {} is too little: {least}", self.units_per_day)));
        }
        address(&self.url, &googleapis())
    }

    /// The connector with another pace than the usual one.
    pub fn connector_at(&self, key: &SecretString, pace: Pace) -> Result<Box<dyn Connector>> {
        let mut headers = HeaderMap::new();
        secret_header(&mut headers, "x-goog-api-key", key)?;
        let api = Api::new(self.base()?, headers, pace.request_timeout)?;
        let comments = Comments { api, settings: self.clone(), ledger: OnceCell::new() };
        Ok(Box::new(Lists { plan: PLAN, pace, pages: vec![Arc::new(comments)] }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "YouTube";
    const ABOUT: &str =
        "Comments on videos, of channels and of searches. Needs an API key; Google limits the calls of a day.";
    const IS_CHARGED: bool = true;
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

/// The comments of a source.
struct Comments {
    api: Api,
    settings: Settings,
    /// Loaded by the first poll. A check has none.
    ledger: OnceCell<Mutex<Ledger>>,
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
    #[serde(default, rename = "nextPageToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Thread {
    snippet: ThreadSnippet,
    #[serde(default)]
    replies: Replies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadSnippet {
    /// Missing for comments on a channel itself.
    #[serde(default)]
    video_id: String,
    top_level_comment: Box<RawValue>,
}

#[derive(Default, Deserialize)]
struct Replies {
    #[serde(default)]
    comments: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Video {
    id: VideoId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VideoId {
    #[serde(default)]
    video_id: Option<String>,
}

impl Comments {
    /// The answer to a request that takes so many units.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        units: u64,
        now: Timestamp,
    ) -> Result<Answer<T>, Problem> {
        if let Some(ledger) = self.ledger.get() {
            ledger.lock().await.spend(units, now).await?;
        }
        match self.api.get(&format!("/youtube/v3/{path}"), query, now).await {
            Err(Failure::Refused { message, .. }) if message.contains("quotaExceeded") => {
                if let Some(ledger) = self.ledger.get() {
                    ledger.lock().await.used_up().await?;
                }
                Err(Failure::Rate { message, retry_at: Some(midnight(now)) }.into())
            }
            answer => Ok(answer?),
        }
    }

    async fn ledger(&self, context: &Context) -> Result<&Mutex<Ledger>, Problem> {
        let key = format!("youtube:{}:quota", context.source);
        let load =
            || async { Ledger::load(context.state.clone(), key, self.settings.units_per_day).await.map(Mutex::new) };
        Ok(self.ledger.get_or_try_init(load).await?)
    }

    /// Runs a search if it is time. Returns the newest videos that it found, now and before.
    async fn search(&self, search: &str, ledger: &Mutex<Ledger>, now: Timestamp) -> Result<Vec<String>, Problem> {
        let known = ledger.lock().await.found(search).cloned().unwrap_or_default();
        if now - known.searched_at < SEARCH_EVERY {
            return Ok(known.videos);
        }
        let query = [("part", "id"), ("type", "video"), ("order", "date"), ("maxResults", "50"), ("q", search)];
        let answer: Answer<Video> = self.ask("search", &query, SEARCH_UNITS, now).await?;
        let videos = answer.items.into_iter().filter_map(|video| video.id.video_id).collect();
        let mut ledger = ledger.lock().await;
        ledger.add_found(search, videos, now).await?;
        Ok(ledger.found(search).cloned().unwrap_or_default().videos)
    }
}

const VIDEO: &str = "video ";
const CHANNEL: &str = "channel ";

#[async_trait]
impl Pages for Comments {
    fn name(&self) -> String {
        "comments".into()
    }

    async fn lists(&self, context: &Context) -> Result<Vec<String>, Problem> {
        let (ledger, now) = (self.ledger(context).await?, context.clock.now());
        let mut lists: Vec<String> = self.settings.channels.iter().map(|id| format!("{CHANNEL}{id}")).collect();
        let mut videos = self.settings.videos.clone();
        for search in &self.settings.searches {
            videos.extend(self.search(search, ledger, now).await?);
        }
        let mut listed = std::collections::BTreeSet::new();
        videos.retain(|video| listed.insert(video.clone()));
        lists.extend(videos.iter().map(|id| format!("{VIDEO}{id}")));
        let spent = format!("{} of {} units spent today", ledger.lock().await.units(), self.settings.units_per_day);
        context.status.set_topics(BTreeMap::new(), vec![spent]);
        Ok(lists)
    }

    /// `from`: the token of the page.
    async fn page(
        &self,
        list: &str,
        from: Option<&str>,
        _: &Validators,
        now: Timestamp,
    ) -> Result<Option<Page>, Problem> {
        let of = match (list.strip_prefix(VIDEO), list.strip_prefix(CHANNEL)) {
            (Some(video), _) => ("videoId", video),
            (None, channel) => ("allThreadsRelatedToChannelId", channel.unwrap_or(list)),
        };
        let mut query = vec![
            ("part", "snippet,replies"),
            ("order", "time"),
            ("maxResults", "100"),
            ("textFormat", "plainText"),
            of,
        ];
        query.extend(from.map(|from| ("pageToken", from)));
        let answer: Answer<Thread> = match self.ask("commentThreads", &query, 1, now).await {
            Err(Problem::Platform(failure)) if has_none(&failure) => Answer { items: Vec::new(), next: None },
            answer => answer?,
        };
        let mut items = Vec::new();
        for Thread { snippet, replies } in answer.items {
            let written = serde_json::from_str::<Comment>(snippet.top_level_comment.get()).ok();
            let written = written.and_then(|comment| items::date(&comment.snippet.published_at));
            let order = written.map_or(0, |written| written.timestamp());
            let all = std::iter::once(snippet.top_level_comment).chain(replies.comments);
            items.extend(all.map(|raw| Item { kind: "", place: snippet.video_id.clone(), order, raw }));
        }
        Ok(Some(Page { items, next: answer.next, ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let answer: Answer<serde_json::Value> = self.ask("i18nLanguages", &[("part", "id")], 1, now).await?;
        Ok(format!("the key is accepted (the API knows {} languages)", answer.items.len()))
    }

    fn advice(&self) -> &'static str {
        "create an API key for the YouTube Data API v3 in the Google Cloud console, and set key_env"
    }
}

/// Whether a list has no comments for good: they are switched off, or the video is gone. Others are read nevertheless.
fn has_none(failure: &Failure) -> bool {
    let reasons = ["commentsDisabled", "videoNotFound", "channelNotFound"];
    reasons.iter().any(|reason| failure.message().contains(reason))
}

/// A comment.
#[derive(Deserialize)]
struct Comment {
    id: String,
    snippet: Snippet,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snippet {
    #[serde(default)]
    text_display: String,
    #[serde(default)]
    text_original: Option<String>,
    #[serde(default)]
    author_display_name: Option<String>,
    #[serde(default)]
    author_channel_id: Option<ChannelId>,
    published_at: String,
}

#[derive(Deserialize)]
struct ChannelId {
    value: String,
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let Comment { id, snippet } = items::item(payload)?;
    let username = snippet.author_display_name.map(|name| name.trim_start_matches('@').to_owned());
    let author = Author { id: snippet.author_channel_id.map(|id| id.value), username, ..Author::default() };
    let video = &payload.place;
    Ok(Fields {
        text: items::titled(None, &snippet.text_original.unwrap_or(snippet.text_display)),
        author: Some(author),
        url: (!video.is_empty()).then(|| format!("https://www.youtube.com/watch?v={video}&lc={id}")),
        date: items::date(&snippet.published_at),
        id,
        ..Fields::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_comment_is_read() {
        let comment = json!({"id": "Ugx1", "snippet": {"textDisplay": "It&#39;s", "textOriginal": "It's <late>",
            "authorDisplayName": "@bo", "authorChannelId": {"value": "UC7"}, "publishedAt": "2026-11-01T10:00:00Z"}});
        let raw = serde_json::value::to_raw_value(&comment).unwrap();
        let (kind, place, read_at) = (String::new(), "abc".to_owned(), Timestamp::UNIX_EPOCH);
        let read = fields(&Payload { kind, place, item: &raw, read_at, version: None, replaces: vec![] }).unwrap();
        assert_eq!((read.id.as_str(), read.text.as_str()), ("Ugx1", "It's <late>"));
        assert_eq!(read.url.as_deref(), Some("https://www.youtube.com/watch?v=abc&lc=Ugx1"));
        assert_eq!(read.author.unwrap().username.as_deref(), Some("bo"));
    }

    #[test]
    fn wrong_ids_are_named() {
        let error = |settings: serde_json::Value| {
            let settings: Settings = serde_json::from_value(settings).unwrap();
            connector::Settings::check(&settings).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(error(json!({"channels": ["UC_x5"]})), "");
        assert!(error(json!({"videos": ["https://youtu.be/a"]})).contains("youtu.be"));
        assert!(error(json!({"channels": ["@bo"]})).contains("UC"));
        assert!(error(json!({})).contains("nothing is selected"));
        assert!(error(json!({"searches": ["a"], "units_per_day": 9})).contains("100 units"));
        assert!(error(json!({"videos": ["a"], "interval_s": 10})).contains("at least 300"));
    }
}

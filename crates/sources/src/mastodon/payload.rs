//! A status of Mastodon as the post that it makes. The payload is the status as it came.

use crate::record::{Format, Origin, Parsed, checks};
use chrono::DateTime;
use domain::markup;
use domain::{Author, Post, PostId, Record, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Statuses of Mastodon.
pub(crate) const FORMAT: Format = Format { name: "mastodon-1", parse };
/// The name of the platform in post ids.
pub(super) const PLATFORM: &str = "mastodon";

/// What is kept of a post.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload<'a> {
    /// The host of the instance that it was read from.
    pub(super) host: String,
    #[serde(borrow)]
    pub(super) status: &'a RawValue,
    /// The id of the version before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<String>,
}

/// A status.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    /// The instance's own id: grows with time.
    pub(super) id: String,
    /// The same on every instance.
    uri: String,
    #[serde(default)]
    url: Option<String>,
    created_at: String,
    #[serde(default)]
    pub(super) edited_at: Option<String>,
    #[serde(default)]
    content: String,
    /// A content warning, shown above the content.
    #[serde(default)]
    spoiler_text: String,
    #[serde(default)]
    language: Option<String>,
    account: Account,
    #[serde(default)]
    reblog: Option<Box<Status>>,
}

#[derive(Debug, Deserialize)]
struct Account {
    id: String,
    /// With its host, unless it is of the instance itself.
    acct: String,
    #[serde(default)]
    followers_count: Option<u64>,
}

impl Status {
    /// The id of the post, whatever its version.
    pub(super) fn first_id(&self) -> Result<PostId, String> {
        PostId::new(PLATFORM, &self.uri).map_err(|error| error.to_string())
    }

    /// The id of this version: an edit has one of its own.
    pub(super) fn version_id(&self) -> Result<PostId, String> {
        match &self.edited_at {
            Some(at) => PostId::new(PLATFORM, &format!("{}#{at}", self.uri)).map_err(|error| error.to_string()),
            None => self.first_id(),
        }
    }

    /// The versions before this one: `replaces`, if it is known, and the first.
    pub(super) fn earlier(&self, replaces: Option<PostId>) -> Result<Vec<PostId>, String> {
        let (id, first) = (self.version_id()?, self.first_id()?);
        let mut earlier: Vec<PostId> = replaces.into_iter().chain([first]).filter(|earlier| *earlier != id).collect();
        earlier.dedup();
        Ok(earlier)
    }

    /// Whether the post, or the one that it reposts, has words. One of pictures alone has none.
    pub(super) fn has_text(&self) -> bool {
        !self.reblog.as_deref().unwrap_or(self).text().trim().is_empty()
    }

    fn text(&self) -> String {
        let content = markup::html_to_text(&self.content);
        match self.spoiler_text.trim() {
            "" => content,
            warning => format!("{warning}\n\n{content}").trim_end().to_owned(),
        }
    }
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    parsed.keep(record(text, origin), text.as_bytes());
}

fn record(text: &str, origin: &Origin) -> Result<Record, String> {
    let not_ours = |error: serde_json::Error| format!("not a status of Mastodon: {error}");
    let Payload { host, status, replaces } = serde_json::from_str(text).map_err(not_ours)?;
    let status: Status = serde_json::from_str(status.get()).map_err(not_ours)?;
    let id = status.version_id()?;
    let replaces = replaces.map(PostId::parse).transpose().map_err(|error| error.to_string())?;
    let earlier = status.earlier(replaces)?;
    let shown = status.reblog.as_deref().unwrap_or(&status);
    let words = shown.text();
    checks::text(&words)?;
    let acct = &status.account.acct;
    let username = if acct.contains('@') { acct.clone() } else { format!("{acct}@{host}") };
    Ok(Record::Post(Box::new(Post {
        id,
        source: origin.source.clone(),
        platform: PLATFORM.into(),
        text: words,
        author: Some(Author {
            id: Some(format!("{}@{host}", status.account.id)),
            username: Some(username),
            location: None,
            followers: status.account.followers_count,
        }),
        url: [shown.url.as_ref(), Some(&shown.uri)].into_iter().flatten().find(|link| checks::is_link(link)).cloned(),
        occurred_at: checks::bounded(time(&status.created_at), origin.received_at),
        received_at: origin.received_at,
        language_hint: shown.language.clone(),
        coordinates: None,
        place_name: None,
        repost_of: status.reblog.as_deref().map(Status::first_id).transpose()?,
        replaces: earlier,
        reach: status.account.followers_count,
        provenance: origin.provenance,
        topics_hint: Vec::new(),
        payload: text.to_owned(),
        payload_format: Some(FORMAT.name.into()),
    })))
}

fn time(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Provenance, SourceId};

    const STATUS: &str = r#"{"id":"109","uri":"https://a.example/users/bo/statuses/109","url":"https://a.example/@bo/109",
        "created_at":"2026-11-01T11:00:00.000Z","edited_at":null,"spoiler_text":"Trains","language":"en",
        "content":"<p>Late <a href=\"https://a.example/tags/again\">#<span>again</span></a></p>",
        "account":{"id":"7","acct":"bo","followers_count":12},"reblog":null}"#;

    fn read(status: &str, more: &str) -> Post {
        let origin = Origin {
            source: SourceId("mastodon".into()),
            platform: PLATFORM.into(),
            provenance: Provenance::Poll,
            received_at: DateTime::from_timestamp(1_793_534_401, 0).unwrap(),
        };
        match record(&format!("{{\"host\":\"a.example\",\"status\":{status}{more}}}"), &origin) {
            Ok(Record::Post(post)) => *post,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_status_becomes_a_post() {
        let post = read(STATUS, "");
        assert_eq!(post.id.native_id(), "https://a.example/users/bo/statuses/109");
        assert_eq!(post.text, "Trains\n\nLate #again");
        let author = post.author.unwrap();
        assert_eq!((author.username.as_deref(), author.followers), (Some("bo@a.example"), Some(12)));
        assert_eq!(post.url.as_deref(), Some("https://a.example/@bo/109"));
        assert!(post.replaces.is_empty());
    }

    #[test]
    fn an_edit_replaces_the_versions_before_it() {
        let edited = STATUS.replace("\"edited_at\":null", "\"edited_at\":\"2026-11-01T11:30:00.000Z\"");
        let before = "mastodon:https://a.example/users/bo/statuses/109#2026-11-01T11:10:00.000Z";
        let post = read(&edited, &format!(",\"replaces\":\"{before}\""));
        assert!(post.id.as_str().ends_with("109#2026-11-01T11:30:00.000Z"));
        let replaced: Vec<&str> = post.replaces.iter().map(PostId::as_str).collect();
        assert_eq!(replaced, [before, "mastodon:https://a.example/users/bo/statuses/109"]);
        assert_eq!(read(&edited, "").replaces.len(), 1, "the first version, at least");
    }

    #[test]
    fn a_boost_is_a_repost() {
        let inner = STATUS.replace("/109", "/44");
        let post = read(&STATUS.replace("\"reblog\":null", &format!("\"reblog\":{inner}")), "");
        assert_eq!(post.repost_of.unwrap().native_id(), "https://a.example/users/bo/statuses/44");
        assert_eq!(post.url.as_deref(), Some("https://a.example/@bo/44"));
    }
}

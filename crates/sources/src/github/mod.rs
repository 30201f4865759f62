//! The connector of GitHub: issues of repositories, comments on them, and discussions. Requests are conditional, and waits
//! follow GitHub's rate limits. Pull requests and comments on them are left out. GitHub does not tell of deletions.

mod discussions;

use crate::connector::{self, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::api::{Api, address, secret_header};
use crate::kit::http::Validators;
use crate::kit::items::{self, Fields, Payload, Reader};
use crate::kit::listing::{Item, Lists, Pace, Page, Pages, Plan};
use crate::kit::poll::Problem;
use crate::record::{Format, Origin, Parsed};
use async_trait::async_trait;
use domain::{Author, Timestamp};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use url::Url;

const FORMAT: Format = Format { name: "github-1", parse };
const READER: Reader = Reader { format: FORMAT, platform: "github", fields };
const PLAN: Plan = Plan {
    kind: "github",
    reader: READER,
    first_pages: 1,
    look_back: 0,
    follows: None,
    overlaps: false,
    wanted_only: false,
    shows_deletions: false,
    rechecks: false,
};
const PER_PAGE: usize = 100;
const ISSUE: &str = "issue";
const COMMENT: &str = "comment";
const DISCUSSION: &str = "discussion";

/// Settings of a source of the kind `github`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Repositories, as `owner/name`.
    pub repositories: Vec<String>,
    /// Environment variable with an access token. Without one, GitHub allows 60 requests an hour.
    #[serde(default)]
    pub token_env: String,
    /// File with the access token.
    #[serde(default)]
    pub token_file: String,
    /// Reads discussions too. They need a token.
    #[serde(default)]
    pub discussions: bool,
    /// Address of the API; of an enterprise server, `https://HOST/api/v3`.
    #[serde(default = "github")]
    pub url: String,
    /// Seconds between two polls of a repository, at least 60.
    #[serde(default = "five_minutes")]
    pub interval_s: u64,
}

fn github() -> String {
    "https://api.github.com".into()
}

fn five_minutes() -> u64 {
    300
}

impl Settings {
    fn base(&self) -> Result<Url> {
        let part = |part: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && !part.starts_with('.') && part.chars().all(fits)
        };
        let is_name = |name: &&String| name.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name));
        if let Some(wrong) = self.repositories.iter().find(|name| !is_name(name)) {
            return Err(Error::Setting(format!("invalid repository {wrong:?} (expected owner/name)")));
        }
        if self.repositories.is_empty() {
            return Err(Error::Setting("no repository is named (repositories)".into()));
        }
        address(&self.url, &github())
    }

    /// The connector with another pace than the usual one.
    pub fn connector_at(&self, token: Option<&SecretString>, pace: Pace) -> Result<Box<dyn Connector>> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/vnd.github+json"))]);
        headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        if let Some(token) = token {
            let bearer = SecretString::from(format!("Bearer {}", token.expose_secret().trim()));
            secret_header(&mut headers, "authorization", &bearer)?;
        }
        let api = Arc::new(Api::new(self.base()?, headers, pace.request_timeout)?);
        let mut names = self.repositories.clone();
        names.sort_unstable_by_key(|name| name.to_lowercase());
        names.dedup_by_key(|name| name.to_lowercase());
        let page = |name| {
            let (api, has_discussions) = (api.clone(), self.discussions);
            Arc::new(Repository { api, name, has_discussions }) as Arc<dyn Pages>
        };
        Ok(Box::new(Lists { plan: PLAN, pace, pages: names.into_iter().map(page).collect() }))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "GitHub";
    const ABOUT: &str = "Issues, comments and discussions of repositories. A token allows more calls, and discussions.";
    const FORMATS: &[Format] = &[FORMAT];

    fn check(&self) -> Result<()> {
        self.base()?;
        Pace::every(self.interval_s, 60).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![READER.platform.into()]
    }

    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        let token = connector::optional_secret(secrets, &self.token_env, &self.token_file)?;
        // Here and not in `check`, which sees no token that was typed in on the page.
        if self.discussions && token.is_none() {
            return Err(Error::Setting("discussions = true needs a token: set token_env or token_file".into()));
        }
        self.connector_at(token.as_ref(), Pace::every(self.interval_s, 60)?)
    }
}

/// A repository.
struct Repository {
    api: Arc<Api>,
    name: String,
    has_discussions: bool,
}

/// What a page needs to know of an item.
#[derive(Deserialize)]
struct Head {
    updated_at: String,
    html_url: String,
}

#[derive(Deserialize)]
struct About {
    full_name: String,
    open_issues_count: u64,
}

#[async_trait]
impl Pages for Repository {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn lists(&self, _: &Context) -> Result<Vec<String>, Problem> {
        let discussions = self.has_discussions.then_some(DISCUSSION);
        Ok([ISSUE, COMMENT].into_iter().chain(discussions).map(str::to_owned).collect())
    }

    /// `from`: the number of the page; of discussions, a cursor.
    async fn page(
        &self,
        list: &str,
        from: Option<&str>,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Option<Page>, Problem> {
        if list == DISCUSSION {
            return Ok(Some(discussions::page(&self.api, &self.name, from, now).await?));
        }
        let (kind, path) = if list == ISSUE { (ISSUE, "issues") } else { (COMMENT, "issues/comments") };
        let (number, limit) = (from.unwrap_or("1"), PER_PAGE.to_string());
        let mut query = vec![("sort", "updated"), ("direction", "desc"), ("per_page", &*limit), ("page", number)];
        query.extend((kind == ISSUE).then_some(("state", "all")));
        let path = format!("/repos/{}/{path}", self.name);
        let answer = self.api.get_if_changed::<Vec<Box<RawValue>>>(&path, &query, validators, now).await?;
        let Some((all, validators)) = answer else { return Ok(None) };
        let is_full = all.len() >= PER_PAGE;
        let next = number.parse::<u64>().ok().filter(|_| is_full).map(|number| (number + 1).to_string());
        let item = |raw: Box<RawValue>| {
            let head = serde_json::from_str::<Head>(raw.get()).ok();
            if head.as_ref().is_some_and(|head| head.html_url.contains("/pull/")) {
                return None;
            }
            let changed = head.and_then(|head| items::date(&head.updated_at));
            let order = changed.map_or(0, |changed| changed.timestamp());
            Some(Item { kind, place: self.name.clone(), order, raw })
        };
        Ok(Some(Page { items: all.into_iter().filter_map(item).collect(), next, validators, ..Page::default() }))
    }

    async fn probe(&self, now: Timestamp) -> Result<String, Problem> {
        let about: About = self.api.get(&format!("/repos/{}", self.name), &[], now).await?;
        Ok(format!("{} has {} open issues and pull requests", about.full_name, about.open_issues_count))
    }

    fn advice(&self) -> &'static str {
        "check the name of the repository; a private one needs a token with read access to its issues (token_env)"
    }
}

/// An issue or a comment.
#[derive(Deserialize)]
struct Entry {
    /// The same when the repository is renamed.
    node_id: String,
    html_url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
    created_at: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
    /// Missing in discussions.
    #[serde(default)]
    id: Option<u64>,
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    READER.parse(text, origin, parsed);
}

fn fields(payload: &Payload<'_>) -> Result<Fields, String> {
    let entry: Entry = items::item(payload)?;
    let body = without_comments(&entry.body.unwrap_or_default().replace("\r\n", "\n"));
    let author =
        |user: User| Author { id: user.id.map(|id| id.to_string()), username: Some(user.login), ..Author::default() };
    Ok(Fields {
        id: entry.node_id,
        text: items::titled(entry.title.as_deref(), &body),
        author: entry.user.map(author),
        url: Some(entry.html_url),
        date: items::date(&entry.created_at),
        ..Fields::default()
    })
}

/// Markdown without the hidden hints of templates.
fn without_comments(markdown: &str) -> String {
    let mut kept = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, rest)| rest);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_issue_is_read_without_the_hints_of_its_template() {
        let issue = json!({
            "node_id": "I_1", "html_url": "https://github.com/o/r/issues/1", "title": "Late",
            "body": "<!-- Describe it -->\r\nA `Vec<u8>` is lost", "user": {"login": "bo", "id": 7},
            "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-02T10:00:00Z",
        });
        let raw = serde_json::value::to_raw_value(&issue).unwrap();
        let (kind, place) = (ISSUE.to_owned(), "o/r".to_owned());
        let read_at = Timestamp::UNIX_EPOCH;
        let read = fields(&Payload { kind, place, item: &raw, read_at, version: None, replaces: vec![] }).unwrap();
        assert_eq!((read.id.as_str(), read.text.as_str()), ("I_1", "Late\n\nA `Vec<u8>` is lost"));
        assert_eq!(read.author.unwrap().username.as_deref(), Some("bo"));
    }

    #[test]
    fn only_names_of_repositories_are_asked_for() {
        let error = |names: &[&str]| {
            let settings: Settings = serde_json::from_value(json!({ "repositories": names })).unwrap();
            connector::Settings::check(&settings).err().map(|error| error.to_string())
        };
        assert_eq!(error(&["rust-lang/rust", "a_b/c.d"]), None);
        for wrong in ["rust", "a/b/c", "a/../b", "a/..", "a/b?x=1", "/b", "a/"] {
            assert!(error(&[wrong]).unwrap().contains("owner/name"), "{wrong}");
        }
        assert!(error(&[]).unwrap().contains("repositories"));
    }
}

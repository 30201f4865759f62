//! Posts that others push to us: the body of `POST /v1/posts`, answered item by item, and calls of platforms in their own
//! form ([`Webhook`], `presets`), which prove where they come from (`proof`). The routes, tokens and limits of bytes are the
//! server's; here the body is read and stored.

mod presets;
mod proof;
mod webhook;

use crate::formats;
use crate::kit::ingest;
use crate::record::{Format, Origin, Parsed, Rejection};
use domain::{Appended, Clock, ErrorKind, PostQueue, Provenance, Record, SourceId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use presets::FORMATS;
pub use presets::Preset;
pub use proof::Headers;
pub use webhook::Webhook;

/// Most posts in one call.
pub const POSTS_MAX: usize = 1_000;
/// Longest body, in bytes, for the route to refuse early.
pub const BODY_MAX_BYTES: usize = 16 << 20;
/// Most earlier versions that one item may replace: above any platform's edit history.
pub const REPLACES_MAX: usize = 32;
/// Most posts that one call may delete or replace. Each is remembered for ever, so that it does not come back.
pub const REMOVALS_MAX: usize = 1_000;
/// What a caller is asked to wait when the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a whole call is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 413
    #[error("{0}")]
    TooLarge(String),
    /// 415
    #[error("the content type {0:?} is not understood: send application/json or application/x-ndjson")]
    ContentType(String),
    /// 400
    #[error("{0}")]
    Malformed(String),
    /// 401
    #[error("{0}")]
    Unproven(String),
    /// 429
    #[error("the queue is full: try again in {} s", retry_after.as_secs())]
    Full { retry_after: Duration },
    /// 500
    #[error("the posts could not be stored")]
    Queue(#[source] domain::Error),
}

impl Error {
    /// The status that HTTP has for it.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge(_) => 413,
            Self::ContentType(_) => 415,
            Self::Malformed(_) => 400,
            Self::Unproven(_) => 401,
            Self::Full { .. } => 429,
            Self::Queue(_) => 500,
        }
    }
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Place in the call, from 0.
    pub index: usize,
    /// The post's id, when it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_id: Option<String>,
    pub status: Status,
    /// For what was rejected: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of one item, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// On disk.
    Stored,
    /// There before; nothing was added.
    Duplicate,
    /// Its platform deleted it before; it stays out.
    Deleted,
    /// Kept as a dead letter.
    Rejected,
}

/// What a source may do. A token speaks for its source, so it is held to the platforms that the configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The platform of posts that name none.
    pub platform: String,
    /// Other platforms whose posts it may bring.
    pub platforms: Vec<String>,
    /// Platforms of these whose posts it may not delete or replace, because other sources bring posts of them too.
    pub keep: Vec<String>,
}

impl Rights {
    /// Everything on one platform, nothing on others.
    pub fn of(platform: impl Into<String>) -> Self {
        Self { platform: platform.into(), platforms: Vec::new(), keep: Vec::new() }
    }

    /// Why this record is not allowed, if it isn't.
    pub fn refusal(&self, record: &Record) -> Option<String> {
        let platform = record.post_id().platform();
        if platform != self.platform && !self.platforms.iter().any(|allowed| allowed == platform) {
            return Some(format!(
                "this source may not push posts of the platform {platform:?}; allow it in `platforms` of the source"
            ));
        }
        let (removes, count) = match record {
            Record::Deletion(_) => ("delete", 1),
            Record::Post(post) => ("replace", post.replaces.len()),
        };
        if count > REPLACES_MAX {
            return Some(format!("the post replaces {count} others; at most {REPLACES_MAX} are accepted"));
        }
        (count > 0 && self.keep.iter().any(|kept| kept == platform)).then(|| {
            format!(
                "this source may not {removes} posts of the platform {platform:?}, which other sources bring too; \
                 allow it with `deletes = true` of the source"
            )
        })
    }
}

/// The posts that a record deletes or replaces.
fn removals(record: &Record) -> usize {
    match record {
        Record::Deletion(_) => 1,
        Record::Post(post) => post.replaces.len(),
    }
}

/// The connector.
pub struct PushSource {
    queue: Arc<dyn PostQueue>,
    clock: Arc<dyn Clock>,
    rights: Rights,
}

impl PushSource {
    pub fn new(queue: Arc<dyn PostQueue>, clock: Arc<dyn Clock>, rights: Rights) -> Self {
        Self { queue, clock, rights }
    }

    /// Stores the posts of a body; the answer comes once they are on disk, one outcome an item. `source`: whose token it
    /// was.
    pub async fn accept(
        &self,
        body: &[u8],
        content_type: Option<&str>,
        source: &SourceId,
    ) -> Result<Vec<Outcome>, Error> {
        if body.len() > BODY_MAX_BYTES {
            return Err(Error::TooLarge(format!(
                "the body has {} bytes; at most {BODY_MAX_BYTES} are accepted",
                body.len()
            )));
        }
        let items = items(body, content_type)?;
        if items.len() > POSTS_MAX {
            return Err(Error::TooLarge(format!(
                "{} posts in one call; at most {POSTS_MAX} are accepted",
                items.len()
            )));
        }
        let origin = Origin {
            source: source.clone(),
            platform: self.rights.platform.clone(),
            provenance: Provenance::Push,
            received_at: self.clock.now(),
        };
        let mut call = Call::default();
        for (index, item) in items.into_iter().enumerate() {
            call.add(index, item, &origin, &self.rights);
            // An item can be a page of posts.
            if call.outcomes.len() > POSTS_MAX {
                return Err(Error::TooLarge(format!("more than {POSTS_MAX} posts in one call: send them in several")));
            }
        }
        self.settle(call, None, &origin).await
    }

    /// Stores what a call brought. `format`: of what was rejected, where it is known.
    async fn settle(&self, mut call: Call, format: Option<Format>, origin: &Origin) -> Result<Vec<Outcome>, Error> {
        let failed = |error: domain::Error| match error.kind() {
            ErrorKind::Retry => Error::Full { retry_after: RETRY_AFTER },
            _ => Error::Queue(error),
        };
        if !call.records.is_empty() {
            let answers = self.queue.append(call.records).await.map_err(failed)?;
            ingest::count_all(&origin.source, &answers);
            for (place, answer) in call.places.iter().zip(answers) {
                call.outcomes[*place].status = match answer {
                    Appended::Stored(_) => Status::Stored,
                    Appended::Duplicate => Status::Duplicate,
                    Appended::Deleted => Status::Deleted,
                };
            }
        }
        let rejections = call.parsed.rejections;
        ingest::reject(&*self.queue, origin, format, rejections).await.map_err(|error| match error {
            crate::Error::Port(error) => failed(error),
            other => Error::Queue(other.into()),
        })?;
        Ok(call.outcomes)
    }
}

/// One call on its way.
#[derive(Default)]
struct Call {
    parsed: Parsed,
    records: Vec<Record>,
    /// For each record: its outcome.
    places: Vec<usize>,
    outcomes: Vec<Outcome>,
    /// Posts that the call deletes or replaces so far.
    removals: usize,
}

impl Call {
    fn add(&mut self, index: usize, item: &[u8], origin: &Origin, rights: &Rights) {
        let rejected = self.parsed.rejections.len();
        formats::parse_any(item, origin, &mut self.parsed);
        self.sort(index, item, rejected, rights);
    }

    /// Gives what was read its outcomes: an item is one post; a page of X's search is several. `rejected`: how many were
    /// rejected before the item.
    fn sort(&mut self, index: usize, item: &[u8], rejected: usize, rights: &Rights) {
        for record in std::mem::take(&mut self.parsed.records) {
            if let Some(reason) = self.refusal(&record, rights) {
                // The item as it came: it can be replayed once the source is allowed to bring it.
                self.parsed.rejections.push(Rejection::new(reason, item));
                continue;
            }
            self.removals += removals(&record);
            self.places.push(self.outcomes.len());
            let post_id = Some(record.post_id().to_string());
            self.outcomes.push(Outcome { index, post_id, status: Status::Stored, reason: None });
            self.records.push(record);
        }
        for rejection in &self.parsed.rejections[rejected..] {
            let reason = Some(rejection.reason.clone());
            self.outcomes.push(Outcome { index, post_id: None, status: Status::Rejected, reason });
        }
    }

    fn refusal(&self, record: &Record, rights: &Rights) -> Option<String> {
        let beyond = || format!("one call deletes or replaces at most {REMOVALS_MAX} posts");
        let too_many = self.removals + removals(record) > REMOVALS_MAX;
        rights.refusal(record).or_else(|| too_many.then(beyond))
    }
}

/// Cuts a body into items.
fn items<'b>(body: &'b [u8], content_type: Option<&str>) -> Result<Vec<&'b [u8]>, Error> {
    let kind = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let lines = match kind.as_deref() {
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines") => true,
        None | Some("" | "application/json" | "text/json") => false,
        Some(other) => return Err(Error::ContentType(other.to_owned())),
    };
    let body = body.trim_ascii();
    if body.is_empty() {
        return Err(Error::Malformed("the body is empty: send a post, an array of posts, or one post a line".into()));
    }
    if lines {
        return Ok(body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect());
    }
    if body.starts_with(b"{") {
        // Checked as a whole, so that two objects in a row are told apart from one.
        serde_json::from_slice::<&RawValue>(body).map_err(|error| malformed(&error))?;
        return Ok(vec![body]);
    }
    let array: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    Ok(array.into_iter().map(|item| item.get().as_bytes()).collect())
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::Malformed(format!(
        "malformed JSON: {error}; send a post, an array of posts, or NDJSON with its content type"
    ))
}

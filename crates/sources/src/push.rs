//! Posts that others push to us: the body of `POST /v1/posts`, answered item by item. The route, its token and its
//! limit of bytes are the server's; here the body is read and stored.

use crate::hand_over;
use crate::record::{self, Origin, Parsed};
use domain::{Appended, Clock, ErrorKind, PostQueue, Provenance, Record, SourceId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Most posts in one call.
pub const POSTS_MAX: usize = 1_000;
/// Longest body, in bytes, for the route to refuse early.
pub const BODY_MAX_BYTES: usize = 16 << 20;
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

/// The connector.
pub struct PushSource {
    queue: Arc<dyn PostQueue>,
    clock: Arc<dyn Clock>,
    /// The platform of posts that name none.
    platform: String,
}

impl PushSource {
    pub fn new(queue: Arc<dyn PostQueue>, clock: Arc<dyn Clock>, platform: impl Into<String>) -> Self {
        Self { queue, clock, platform: platform.into() }
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
            platform: self.platform.clone(),
            provenance: Provenance::Push,
            received_at: self.clock.now(),
        };
        let mut call = Call::default();
        for (index, item) in items.into_iter().enumerate() {
            call.add(index, item, &origin);
            // An item can be a page of posts.
            if call.outcomes.len() > POSTS_MAX {
                return Err(Error::TooLarge(format!("more than {POSTS_MAX} posts in one call: send them in several")));
            }
        }
        self.settle(call, &origin).await
    }

    async fn settle(&self, mut call: Call, origin: &Origin) -> Result<Vec<Outcome>, Error> {
        let failed = |error: domain::Error| match error.kind() {
            ErrorKind::Retry => Error::Full { retry_after: RETRY_AFTER },
            _ => Error::Queue(error),
        };
        if !call.records.is_empty() {
            let answers = self.queue.append(call.records).await.map_err(failed)?;
            hand_over::count_all(&origin.source, &answers);
            for (place, answer) in call.places.iter().zip(answers) {
                call.outcomes[*place].status = match answer {
                    Appended::Stored(_) => Status::Stored,
                    Appended::Duplicate => Status::Duplicate,
                    Appended::Deleted => Status::Deleted,
                };
            }
        }
        let rejections = call.parsed.rejections;
        hand_over::reject(&*self.queue, origin, rejections).await.map_err(|error| match error {
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
}

impl Call {
    fn add(&mut self, index: usize, item: &[u8], origin: &Origin) {
        let rejected = self.parsed.rejections.len();
        record::parse(item, origin, &mut self.parsed);
        // An item is one post; a page of X's search is several, each with an outcome of its own.
        for record in self.parsed.records.drain(..) {
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

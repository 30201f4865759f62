//! Posts into the queue and rejections to the dead letters. A full queue makes the source wait.

use crate::connector::Context;
use crate::error::Result;
use crate::record::{Format, Origin, PLATFORM_ASSUMED, Parsed, Rejection};
use domain::{Appended, DeadLetter, Deletion, ErrorKind, PostId, PostQueue, Record, SourceId};
use std::time::Duration;

/// First and longest wait for a queue that is full.
const WAIT_MIN: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What became of the records of an append.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub stored: u64,
    pub duplicates: u64,
    /// Posts that their platform deleted before.
    pub deleted: u64,
}

impl Counts {
    fn of(answers: &[Appended]) -> Self {
        let count = |wanted: fn(&Appended) -> bool| answers.iter().filter(|answer| wanted(answer)).count() as u64;
        Self {
            stored: count(|answer| matches!(answer, Appended::Stored(_))),
            duplicates: count(|answer| matches!(answer, Appended::Duplicate)),
            deleted: count(|answer| matches!(answer, Appended::Deleted)),
        }
    }
}

/// Appends, waiting as long as the queue is full. The answer comes once the records are on disk.
pub(crate) async fn append(queue: &dyn PostQueue, source: &SourceId, records: Vec<Record>) -> Result<Counts> {
    if records.is_empty() {
        return Ok(Counts::default());
    }
    let mut wait = WAIT_MIN;
    loop {
        match queue.append(records.clone()).await {
            Ok(answers) => {
                return Ok(count_all(source, &answers));
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                tracing::debug!(source.id = %source, wait_ms = wait.as_millis(), "queue is full, waiting");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Stores what was read live: rejections to the dead letters, posts into the queue. To be called before the cursor moves.
pub(crate) async fn store(
    context: &Context,
    format: Format,
    parsed: Parsed,
    origin: &Origin,
) -> domain::Result<Counts> {
    reject_patiently(&*context.queue, origin, format, parsed.rejections).await?;
    let posts = parsed.records.iter().filter(|record| matches!(record, Record::Post(_))).count() as u64;
    let counts = append(&*context.queue, &origin.source, parsed.records).await?;
    if posts > 0 {
        context.status.read(posts, counts.stored.min(posts), origin.received_at, true);
    }
    Ok(counts)
}

/// Follows deletions of posts that were kept; platforms tell of many that were not. To be called before the cursor moves.
pub(crate) async fn delete(context: &Context, ids: Vec<PostId>, origin: &Origin) -> domain::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let kept = context.queue.has(ids.clone()).await?;
    let ids = ids.into_iter().zip(kept).filter(|(_, is_kept)| *is_kept);
    let deletion =
        |(id, _)| Record::Deletion(Deletion { id, source: origin.source.clone(), received_at: origin.received_at });
    append(&*context.queue, &origin.source, ids.map(deletion).collect()).await?;
    Ok(())
}

/// Counts the answers of an append, for the caller and for the metrics.
pub(crate) fn count_all(source: &SourceId, answers: &[Appended]) -> Counts {
    let counts = Counts::of(answers);
    count(source, "stored", counts.stored);
    count(source, "duplicate", counts.duplicates);
    count(source, "deleted", counts.deleted);
    counts
}

/// Sets rejections aside with their reason. `format`: where it is known.
pub(crate) async fn reject(
    queue: &dyn PostQueue,
    origin: &Origin,
    format: Option<Format>,
    rejections: Vec<Rejection>,
) -> Result<u64> {
    if rejections.is_empty() {
        return Ok(0);
    }
    let rejected = rejections.len() as u64;
    queue.dead_letter(letters(origin, format, rejections)).await?;
    count(&origin.source, "rejected", rejected);
    Ok(rejected)
}

/// The same for a format that is known, waiting as long as there is no room for more letters: for a connector, whose
/// platform can't be asked to send again.
pub(crate) async fn reject_patiently(
    queue: &dyn PostQueue,
    origin: &Origin,
    format: Format,
    rejections: Vec<Rejection>,
) -> domain::Result<()> {
    if rejections.is_empty() {
        return Ok(());
    }
    let rejected = rejections.len() as u64;
    let letters = letters(origin, Some(format), rejections);
    let mut wait = WAIT_MIN;
    loop {
        match queue.dead_letter(letters.clone()).await {
            Err(error) if error.kind() == ErrorKind::Retry => {
                if wait == WAIT_MIN {
                    tracing::warn!(source.id = %origin.source, %error, "dead letters can't be kept, waiting");
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            done => {
                done?;
                count(&origin.source, "rejected", rejected);
                return Ok(());
            }
        }
    }
}

fn letters(origin: &Origin, format: Option<Format>, rejections: Vec<Rejection>) -> Vec<DeadLetter> {
    let letters = rejections.into_iter().map(|rejection| DeadLetter {
        id: 0,
        source: origin.source.0.clone(),
        platform: if origin.platform.is_empty() { PLATFORM_ASSUMED.into() } else { origin.platform.clone() },
        reason: rejection.reason,
        payload: rejection.payload,
        payload_format: format.map(|format| format.name.to_owned()),
        provenance: Some(origin.provenance),
        occurred_at: origin.received_at,
    });
    letters.collect()
}

fn count(source: &SourceId, outcome: &'static str, records: u64) {
    if records > 0 {
        metrics::counter!("overheard_source_records_total", "source" => source.0.clone(), "outcome" => outcome)
            .increment(records);
    }
}

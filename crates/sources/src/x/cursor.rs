//! How far we have read, and what it cost, kept in the state as the cursor `x:<source>`. Written after the posts are in
//! the queue, so a crash repeats posts (the queue drops repeats) and never skips any.

use crate::kit::gaps::{Gaps, NextGap};
use chrono::TimeDelta;
use domain::{Record, Result, SourceId, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Posts come a little out of order: a gap begins this much before the newest post.
const OUT_OF_ORDER: TimeDelta = TimeDelta::seconds(30);
/// The document is written at most this often while posts come.
const SAVE_EVERY: TimeDelta = TimeDelta::seconds(1);
/// X's ids hold the time in milliseconds since [`ID_EPOCH_MS`] above 22 bits.
const ID_TIME_BITS: u32 = 22;
/// Milliseconds of Unix time at which X's ids begin.
const ID_EPOCH_MS: i64 = 1_288_834_974_657;

/// The first id that a post of this moment can have.
fn id_at(now: Timestamp) -> u64 {
    u64::try_from(now.timestamp_millis() - ID_EPOCH_MS).unwrap_or(0) << ID_TIME_BITS
}

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    /// The highest id seen: X's ids grow with time.
    newest_id: Option<u64>,
    /// An id of the moment of the first start: a gap begins here while no post has come.
    first_connected_id: Option<u64>,
    /// The earliest beginning of all gaps: after a start they are one, which is open.
    gap_since_id: Option<u64>,
    posts_read: u64,
    posts_billed: u64,
    /// Documents of earlier versions kept up to four gaps, by their states.
    #[serde(skip_serializing)]
    ready_since_id: Option<u64>,
    #[serde(skip_serializing)]
    next_since_id: Option<u64>,
    #[serde(skip_serializing)]
    filling_since_id: Option<u64>,
}

impl Document {
    /// The earliest beginning of all gaps.
    fn since_id(&self) -> Option<u64> {
        let gaps = [self.gap_since_id, self.ready_since_id, self.next_since_id, self.filling_since_id];
        gaps.into_iter().flatten().min()
    }
}

/// What a batch brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) posts: u64,
    newest_id: Option<u64>,
}

impl Seen {
    pub(super) fn of(records: &[Record]) -> Self {
        let posts = records.iter().filter(|record| matches!(record, Record::Post(_)));
        let ids = posts.clone().filter_map(|record| record.post_id().native_id().parse().ok());
        Self { posts: posts.count() as u64, newest_id: ids.max() }
    }
}

/// The cursor of one source.
pub(super) struct Cursor {
    inner: Mutex<Inner>,
    read_at_start: (u64, u64),
}

struct Inner {
    stored: state::Cursor<Document>,
    saved_at: Option<Timestamp>,
    gaps: Gaps,
}

impl Cursor {
    pub(super) async fn load(store: Arc<dyn StateStore>, source: &SourceId) -> Result<Self> {
        let stored = state::Cursor::<Document>::load(store, format!("x:{source}")).await?;
        let read_at_start = (stored.value.posts_read, stored.value.posts_billed);
        let gaps = Gaps::open_since(stored.value.since_id());
        Ok(Self { inner: Mutex::new(Inner { stored, gaps, saved_at: None }), read_at_start })
    }

    /// Posts read, and posts billed, before this start.
    pub(super) fn read_at_start(&self) -> (u64, u64) {
        self.read_at_start
    }

    /// Posts are in the queue.
    pub(super) async fn moved(&self, seen: &Seen, billed: u64, now: Timestamp) -> Result<()> {
        let mut inner = self.inner.lock().await;
        inner.stored.value.newest_id = inner.stored.value.newest_id.max(seen.newest_id);
        inner.stored.value.posts_read += seen.posts;
        inner.stored.value.posts_billed += billed;
        if inner.saved_at.is_none_or(|at| now - at >= SAVE_EVERY || now < at) {
            inner.saved_at = Some(now);
            self.write(&mut inner).await?;
        }
        Ok(())
    }

    /// The first start: what is published from now on is not lost when that ends before the first post.
    pub(super) async fn begin(&self, now: Timestamp) -> Result<()> {
        let mut inner = self.inner.lock().await;
        let document = &mut inner.stored.value;
        document.first_connected_id = document.first_connected_id.or_else(|| Some(id_at(now)));
        self.write(&mut inner).await
    }

    /// From the newest post on, posts may be missing now.
    pub(super) async fn open_gap_since_last_post(&self) -> Result<()> {
        let mut inner = self.inner.lock().await;
        let slack = u64::try_from(OUT_OF_ORDER.num_milliseconds()).unwrap_or(0) << ID_TIME_BITS;
        if let Some(reached) = inner.stored.value.newest_id.or(inner.stored.value.first_connected_id) {
            inner.gaps.open(reached.saturating_sub(slack));
        }
        self.write(&mut inner).await
    }

    /// The stream is connected again. Only now may the gap be searched: what is published from here on comes by the
    /// stream. `at`: now, by a clock that is never set.
    pub(super) async fn connected(&self, at: Instant) -> Result<()> {
        let mut inner = self.inner.lock().await;
        inner.gaps.end(at);
        self.write(&mut inner).await
    }

    /// The gap to fill, once the stream has been connected for `delay`. Until [`Self::filled`], a crash opens it again.
    pub(super) async fn take_gap(&self, delay: Duration, now: Instant) -> NextGap {
        self.inner.lock().await.gaps.take(delay, now)
    }

    /// The gap is filled.
    pub(super) async fn filled(&self) -> Result<()> {
        let mut inner = self.inner.lock().await;
        inner.gaps.filled();
        self.write(&mut inner).await
    }

    /// The gap could not be filled to its end: it is to be taken again.
    pub(super) async fn give_gap_back(&self) {
        self.inner.lock().await.gaps.give_back();
    }

    pub(super) async fn save(&self) -> Result<()> {
        let mut inner = self.inner.lock().await;
        self.write(&mut inner).await
    }

    async fn write(&self, inner: &mut Inner) -> Result<()> {
        inner.stored.value.gap_since_id = inner.gaps.since_id();
        inner.stored.save().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::MemoryState;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Timestamp {
        "2025-03-12T12:00:00Z".parse().unwrap()
    }

    async fn cursor(state: &Arc<MemoryState>) -> Cursor {
        Cursor::load(state.clone(), &SourceId("x".into())).await.unwrap()
    }

    #[tokio::test]
    async fn a_gap_is_searched_once_the_stream_has_run_for_the_delay() {
        let (cursor, now) = (cursor(&Arc::default()).await, Instant::now());
        let seen = Seen { posts: 1, newest_id: Some(id_at(noon())) };
        cursor.moved(&seen, 1, noon()).await.unwrap();
        cursor.open_gap_since_last_post().await.unwrap();
        assert_eq!(cursor.take_gap(HOUR, now).await, NextGap::None, "the stream does not run yet");
        cursor.connected(now).await.unwrap();
        assert_eq!(cursor.take_gap(HOUR, now + HOUR / 4).await, NextGap::In(HOUR - HOUR / 4));
        assert_eq!(cursor.take_gap(HOUR, now + HOUR).await, NextGap::Since(id_at(noon() - OUT_OF_ORDER)));
        // A second break while the first gap is being filled waits for the search as well.
        cursor.open_gap_since_last_post().await.unwrap();
        cursor.connected(now + HOUR).await.unwrap();
        cursor.filled().await.unwrap();
        assert_eq!(cursor.take_gap(HOUR, now + HOUR).await, NextGap::In(HOUR));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_again_and_again_does_not_hold_the_first_gap_up() {
        let state = Arc::default();
        let (cursor, began) = (cursor(&state).await, Instant::now());
        let after = |minutes| began + HOUR / 60 * minutes;
        for minute in 0..=60_u32 {
            let now = noon() + TimeDelta::minutes(minute.into());
            cursor.moved(&Seen { posts: 1, newest_id: Some(id_at(now)) }, 1, now).await.unwrap();
            cursor.open_gap_since_last_post().await.unwrap();
            cursor.connected(after(minute)).await.unwrap();
        }
        assert_eq!(cursor.take_gap(HOUR, after(60)).await, NextGap::Since(id_at(noon() - OUT_OF_ORDER)));
        cursor.filled().await.unwrap();
        // The others are one, and wait since the last of them; a crash does not forget them.
        let others = NextGap::Since(id_at(noon() + TimeDelta::minutes(1) - OUT_OF_ORDER));
        assert_eq!(cursor.take_gap(HOUR, after(61)).await, NextGap::In(HOUR - HOUR / 60));
        let after_a_crash = self::cursor(&state).await;
        after_a_crash.connected(began).await.unwrap();
        assert_eq!(after_a_crash.take_gap(HOUR, after(60)).await, others);
        assert_eq!(cursor.take_gap(HOUR, after(120)).await, others);
    }

    #[tokio::test]
    async fn a_break_before_the_first_post_is_a_gap_since_the_first_connection() {
        let state = Arc::default();
        let first = cursor(&state).await;
        first.open_gap_since_last_post().await.unwrap();
        first.begin(noon()).await.unwrap();
        let now = Instant::now();
        first.connected(now).await.unwrap();
        assert_eq!(first.take_gap(Duration::ZERO, now).await, NextGap::None, "nothing was missed before");
        let after_a_crash = cursor(&state).await;
        after_a_crash.open_gap_since_last_post().await.unwrap();
        after_a_crash.begin(noon() + TimeDelta::hours(2)).await.unwrap();
        after_a_crash.connected(now).await.unwrap();
        assert_eq!(after_a_crash.take_gap(Duration::ZERO, now).await, NextGap::Since(id_at(noon() - OUT_OF_ORDER)));
    }

    #[tokio::test]
    async fn gaps_of_former_versions_are_taken_over() {
        let state: Arc<MemoryState> = Arc::default();
        let former = serde_json::json!({"newest_id": 9_000, "ready_since_id": 700, "next_since_id": 800});
        state.put("cursor", "x:x", former).await.unwrap();
        let (cursor, now) = (cursor(&state).await, Instant::now());
        cursor.open_gap_since_last_post().await.unwrap();
        cursor.connected(now).await.unwrap();
        assert_eq!(cursor.take_gap(Duration::ZERO, now).await, NextGap::Since(700));
        cursor.give_gap_back().await;
        assert_eq!(cursor.take_gap(Duration::ZERO, now).await, NextGap::Since(700));
        cursor.filled().await.unwrap();
        assert_eq!(cursor.take_gap(Duration::ZERO, now).await, NextGap::None);
    }

    #[test]
    fn ids_hold_the_time_of_their_post() {
        // The first post of the airline data.
        let written = "2015-02-17T07:36:05Z".parse().unwrap();
        let id = 567_588_278_875_213_824;
        assert!((id_at(written)..id_at(written + TimeDelta::seconds(1))).contains(&id));
    }
}

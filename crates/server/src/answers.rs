//! Questions to the lake: a limit on how many run at once, and a cache of answers. The cache's key is the question, an
//! answer is good for one version of the lake (and a moment longer), and the cache is bounded in bytes. Two people who ask
//! the same at the same time cause one question.

use crate::config::Config;
use crate::error::Error;
use chrono::Duration;
use domain::analytics::{
    AlertsQuery, Analytics, AnomaliesQuery, BreakdownItem, BreakdownQuery, ComparedTotals, CountriesQuery,
    CountryCount, PlaceCount, PlacesQuery, PostDetail, PostQuery, PostStream, PostText, PostsPage, PostsQuery,
    RecentTextsQuery, SeriesPoint, SeriesQuery, TableColumns, TopicVolume, TopicVolumesQuery, TotalsQuery,
};
use domain::{Alert, Anomaly, Result, Selection, Timestamp};
use serde::Serialize;
use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, Semaphore};

/// Answers kept, whatever their size; a dashboard asks about fifteen questions, so this is some dozens of views.
const ANSWERS_MAX: usize = 512;

/// A question whose answer is cached.
pub(crate) trait Question: Sync {
    type Answer: Serialize + Send + Sync + 'static;

    fn key(&self) -> Key;

    fn put_to(&self, analytics: &dyn Analytics) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// When was the newest post published?
pub(crate) struct NewestAt;

/// Which tables does SQL see?
pub(crate) struct Tables;

macro_rules! questions {
    ($($query:ident => $method:ident -> $answer:ty;)+) => {
        /// A question as the key of its answer.
        #[derive(Clone, PartialEq, Eq, Hash, Serialize)]
        pub(crate) enum Key {
            NewestAt,
            Tables,
            $($query($query)),+
        }

        $(impl Question for $query {
            type Answer = $answer;

            fn key(&self) -> Key {
                Key::$query(self.clone())
            }

            async fn put_to(&self, analytics: &dyn Analytics) -> Result<$answer> {
                analytics.$method(self).await
            }
        })+
    };
}

questions! {
    TotalsQuery => totals -> ComparedTotals;
    SeriesQuery => series -> Vec<SeriesPoint>;
    BreakdownQuery => breakdown -> Vec<BreakdownItem>;
    CountriesQuery => countries -> Vec<CountryCount>;
    PlacesQuery => places -> Vec<PlaceCount>;
    TopicVolumesQuery => topic_volumes -> Vec<TopicVolume>;
    PostsQuery => posts -> PostsPage;
    PostQuery => post -> Option<PostDetail>;
    RecentTextsQuery => recent_texts -> Vec<PostText>;
    AnomaliesQuery => anomalies -> Vec<Anomaly>;
    AlertsQuery => alerts -> Vec<Alert>;
}

impl Question for NewestAt {
    type Answer = Option<Timestamp>;

    fn key(&self) -> Key {
        Key::NewestAt
    }

    async fn put_to(&self, analytics: &dyn Analytics) -> Result<Option<Timestamp>> {
        analytics.newest_at().await
    }
}

impl Question for Tables {
    type Answer = Vec<TableColumns>;

    fn key(&self) -> Key {
        Key::Tables
    }

    async fn put_to(&self, analytics: &dyn Analytics) -> Result<Vec<TableColumns>> {
        analytics.tables().await
    }
}

/// An answer of the type that belongs to its question, and its size in bytes.
type Slot = Arc<OnceCell<(Arc<dyn Any + Send + Sync>, usize)>>;

struct Kept {
    version: u64,
    asked_at: Timestamp,
    slot: Slot,
    /// Size of the question, and of the answer once it is there.
    bytes: usize,
    is_counted: bool,
}

#[derive(Default)]
struct Cache {
    entries: HashMap<Key, Kept>,
    bytes: usize,
}

impl Cache {
    fn remove(&mut self, key: &Key) {
        if let Some(removed) = self.entries.remove(key) {
            self.bytes -= removed.bytes;
        }
    }

    /// Counts an answer that has just come. One that would push out most of the others is not kept.
    fn count(&mut self, key: &Key, slot: &Slot, bytes: usize, bytes_max: usize) {
        if bytes > bytes_max / 2 {
            if self.entries.get(key).is_some_and(|entry| Arc::ptr_eq(&entry.slot, slot)) {
                self.remove(key);
            }
            return;
        }
        let is_new = |entry: &&mut Kept| Arc::ptr_eq(&entry.slot, slot) && !entry.is_counted;
        if let Some(entry) = self.entries.get_mut(key).filter(is_new) {
            entry.is_counted = true;
            entry.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Forgets the oldest until there is room.
    fn shrink(&mut self, entries_max: usize, bytes_max: usize) {
        while self.entries.len() > entries_max || self.bytes > bytes_max {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.asked_at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
    }
}

/// The lake behind the limit and the cache.
pub(crate) struct Answers {
    analytics: Arc<dyn Analytics>,
    cache: Mutex<Cache>,
    at_once: Semaphore,
    age_max: Duration,
    bytes_max: usize,
}

impl Answers {
    pub(crate) fn new(analytics: Arc<dyn Analytics>, config: &Config) -> Self {
        Self {
            analytics,
            cache: Mutex::default(),
            at_once: Semaphore::new(config.questions_at_once.clamp(1, Semaphore::MAX_PERMITS)),
            age_max: Duration::from_std(config.answer_age_max).unwrap_or(Duration::zero()),
            bytes_max: config.answers_max_bytes,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.analytics.version()
    }

    /// Every selected post. Not cached, and not among the questions at once: exports have a limit of their own.
    pub(crate) async fn export(&self, selection: &Selection) -> Result<PostStream, Error> {
        self.analytics.export(selection).await.map_err(Error::of_port)
    }

    /// Asks, or gives the answer that is still good.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q, now: Timestamp) -> Result<Arc<Q::Answer>, Error> {
        let key = question.key();
        let slot = self.slot(&key, now);
        let (answer, bytes) = slot
            .get_or_try_init(|| async {
                let _permit =
                    self.at_once.acquire().await.map_err(|_| domain::Error::retry("the server is stopping"))?;
                let answer = question.put_to(self.analytics.as_ref()).await?;
                let bytes = size(&answer);
                Ok((Arc::new(answer) as Arc<dyn Any + Send + Sync>, bytes))
            })
            .await
            .map_err(Error::of_port)?;
        let mut cache = self.cache();
        cache.count(&key, &slot, *bytes, self.bytes_max);
        cache.shrink(ANSWERS_MAX, self.bytes_max);
        drop(cache);
        Arc::clone(answer).downcast().map_err(|_| Error::internal("the cache holds an answer of another type"))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, key: &Key, now: Timestamp) -> Slot {
        let version = self.analytics.version();
        let mut cache = self.cache();
        let good = |entry: &&Kept| entry.version == version || now - entry.asked_at < self.age_max;
        if let Some(entry) = cache.entries.get(key).filter(good) {
            return Arc::clone(&entry.slot);
        }
        cache.remove(key);
        let (slot, bytes) = (Slot::default(), size(key));
        cache.bytes += bytes;
        let kept = Kept { version, asked_at: now, slot: Arc::clone(&slot), bytes, is_counted: false };
        cache.entries.insert(key.clone(), kept);
        cache.shrink(ANSWERS_MAX, self.bytes_max);
        slot
    }
}

/// The length of a value as JSON, which is about the memory that it takes.
fn size(value: &impl Serialize) -> usize {
    struct Length(usize);

    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut length = Length(0);
    // Counting does not fail; what is no JSON counts up to there.
    drop(serde_json::to_writer(&mut length, value));
    length.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use domain::{EnrichedBatch, PostTable};
    use testkit::MemoryLake;

    #[tokio::test]
    async fn answers_are_forgotten_before_they_fill_the_memory() {
        let lake = MemoryLake::default();
        let post = testkit::posts::enriched("1", &"x".repeat(3_000));
        let (partition, posts) = ("posts".into(), Arc::new(vec![post.clone()]));
        lake.commit(EnrichedBatch { partition, after_offset: 0, last_offset: 1, posts, deletions: Vec::new() })
            .await
            .unwrap();
        let config = Config { answers_max_bytes: 12_000, ..Config::default() };
        let answers = Answers::new(Arc::new(lake), &config);
        let now = |number: i64| DateTime::from_timestamp(number, 0).unwrap();
        let range = domain::TimeRange::at(post.post.occurred_at);
        let ask = async |number: usize| {
            let question = RecentTextsQuery { range, limit: number };
            assert_eq!(answers.ask(&question, now(number as i64)).await.unwrap().len(), 1);
        };
        for number in 1..100 {
            ask(number).await;
            assert!(answers.cache().bytes <= 12_000);
        }
        let kept = answers.cache().entries.len();
        assert_eq!(kept, 3, "as many as there is room for");
        ask(99).await;
        let cache = answers.cache();
        let sizes: usize = cache.entries.values().map(|entry| entry.bytes).sum();
        assert_eq!(cache.bytes, sizes, "an answer that is asked for again is not counted again");
    }

    #[tokio::test]
    async fn a_large_answer_does_not_push_out_the_others() {
        let lake = MemoryLake::default();
        let (small, mut large) =
            (testkit::posts::enriched("2", "short"), testkit::posts::enriched("1", &"x".repeat(9_000)));
        large.post.occurred_at -= Duration::minutes(1);
        let range =
            domain::TimeRange { from: large.post.occurred_at, to: small.post.occurred_at + Duration::minutes(1) };
        lake.commit(testkit::posts::batch(vec![large, small])).await.unwrap();
        let answers = Answers::new(Arc::new(lake), &Config { answers_max_bytes: 12_000, ..Config::default() });
        let now = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
        let (one, both) = (RecentTextsQuery { range, limit: 1 }, RecentTextsQuery { range, limit: 2 });
        assert_eq!(answers.ask(&one, now(1)).await.unwrap().len(), 1);
        assert_eq!(answers.ask(&both, now(2)).await.unwrap().len(), 2);
        let cache = answers.cache();
        assert!(cache.entries.contains_key(&one.key()) && !cache.entries.contains_key(&both.key()));
        let sizes: usize = cache.entries.values().map(|entry| entry.bytes).sum();
        assert_eq!(cache.bytes, sizes);
    }
}

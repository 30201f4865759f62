//! Eight days of posts with an eightfold last hour, of any volume, in a lake of their own; and the watch over it, clock
//! in hand. Different authors and texts, four topics; in the last hour most posts about trains tell of a signal failure.

#![allow(dead_code, clippy::allow_attributes, reason = "every user takes its part")]

use async_trait::async_trait;
use chrono::{Duration, TimeDelta};
use domain::{
    Anomaly, AnomalyListener, Author, Backfills, Category, Dimension, EnrichedBatch, EnrichedPost, Enrichment, Error,
    Evidence, Health, IncidentScope, KeyPhrase, Language, ManualClock, Post, PostId, PostTable, Provenance, Result,
    Sentiment, SentimentLabel, SeriesCounts, SeriesKey, SourceId, TimeRange, Timestamp, WatchHistory,
};
use lake::Lake;
use pipeline::{Watch, WatchConfig};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use testkit::MemoryQueue;
use tokio_util::sync::CancellationToken;

pub(crate) const TOPIC: &str = "trains";
pub(crate) const CAUSE: &str = "signal failure";
const TOPICS: [&str; 4] = [TOPIC, "ferries", "buses", "stations"];
const WORDS: [&str; 40] = [
    "late", "again", "today", "waiting", "hours", "nobody", "knows", "why", "great", "crew", "thanks", "team", "lost",
    "bag", "refund", "please", "help", "never", "best", "worst", "seat", "queue", "app", "broken", "update", "city",
    "north", "gate", "price", "doubled", "love", "new", "phone", "battery", "closed", "power", "back", "coffee",
    "cold", "tickets",
];
const DAY_S: u64 = 86_400;
pub(crate) const DAYS: u64 = 8;
/// Most posts in a commit: bounds memory.
const BATCH_MAX: usize = 50_000;

/// Begin of the eight days, 2026-03-01.
pub(crate) fn begin() -> Timestamp {
    Timestamp::from_timestamp(1_772_323_200, 0).unwrap_or_default()
}

/// Begin of the last hour.
pub(crate) fn onset() -> Timestamp {
    begin() + Duration::days(DAYS as i64) - Duration::hours(1)
}

/// SplitMix64.
fn random(of: u64) -> u64 {
    let mut z = of.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Writes the posts of a stretch: `per_day` a day, after the onset eight times as many.
pub(crate) async fn write(lake: &Lake, per_day: u64, from: Timestamp, to: Timestamp, numbers: &mut u64) -> Result<()> {
    let is_storm = from >= onset();
    let seconds = (to - from).num_seconds() as u64;
    let count = per_day * seconds / DAY_S * if is_storm { 8 } else { 1 };
    let mut posts = Vec::new();
    for nth in 0..count {
        *numbers += 1;
        let us = (seconds * 1_000_000 * nth / count) as i64;
        posts.push(post(*numbers, from + TimeDelta::microseconds(us), is_storm && nth % 8 != 0));
        if posts.len() == BATCH_MAX || nth + 1 == count {
            let (partition, posts) = ("generated".into(), Arc::new(std::mem::take(&mut posts)));
            lake.commit(EnrichedBatch {
                partition,
                after_offset: 0,
                last_offset: *numbers,
                posts,
                deletions: Vec::new(),
            })
            .await?;
        }
    }
    Ok(())
}

/// A text of its own around a phrase.
fn text(dice: u64, phrase: &str) -> String {
    let word = |nth: u64| WORDS[(random(dice ^ nth) % WORDS.len() as u64) as usize];
    let words = |from: u64| (from..from + 6).map(word).collect::<Vec<_>>().join(" ");
    format!("{} {phrase} {}", words(1), words(11))
}

fn post(number: u64, at: Timestamp, is_excess: bool) -> EnrichedPost {
    let dice = random(number);
    // Other properties don't follow from the topic.
    let (topic_dice, dice) = (dice, random(dice));
    let topic = if is_excess { TOPIC } else { TOPICS[(topic_dice % 4) as usize] };
    let first = if is_excess && dice % 10 < 7 { CAUSE.to_owned() } else { format!("stop {}", dice % 2_000) };
    let phrases = [first, format!("line {}", dice % 300)];
    let text = text(dice, &phrases[0]);
    let phrase = |text: &String| KeyPhrase { text: text.clone(), confidence: 0.8, begin: 0, end: 5 };
    let label = if is_excess || dice % 5 == 0 { SentimentLabel::Negative } else { SentimentLabel::Neutral };
    EnrichedPost {
        offset: number,
        post: Post {
            id: PostId::new("x", &format!("{}", 1_900_000_000_000_000_000 + number * 977)).unwrap(),
            source: SourceId("generated".into()),
            platform: "x".into(),
            author: Some(Author {
                id: Some(format!("{number}")),
                username: Some(format!("rider_{number}")),
                location: None,
                followers: Some(10),
            }),
            url: None,
            occurred_at: at,
            received_at: at,
            language_hint: None,
            coordinates: None,
            place_name: None,
            repost_of: None,
            replaces: Vec::new(),
            reach: Some(10),
            provenance: Provenance::Stream,
            topics_hint: Vec::new(),
            payload_format: None,
            payload: "{}".into(),
            text,
        },
        enrichment: Enrichment {
            language: Language { code: "en".into(), confidence: 0.9 },
            sentiment: Some(Sentiment { label, positive: 0.1, negative: 0.5, neutral: 0.3, mixed: 0.1 }),
            key_phrases: phrases.iter().map(phrase).collect(),
            category: Some(Category { label: format!("category {}", dice % 6), confidence: 0.8 }),
            fingerprint: Some(dice as i64),
            model: "generated".into(),
            ..Enrichment::default()
        },
        topics: vec![topic.to_owned()],
        place: None,
        author_place: None,
        enriched_at: at,
    }
}

/// What was told, in order.
#[derive(Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<Anomaly>>);

impl Told {
    /// The newest of each anomaly of the topic as a whole that was told as going on since the onset.
    pub(crate) fn of_storm(&self) -> Option<Anomaly> {
        let told = self.0.lock().unwrap();
        told.iter().rev().find(|one| one.topic == TOPIC && one.slice.is_none() && one.onset >= onset()).cloned()
    }
}

#[async_trait]
impl AnomalyListener for Told {
    async fn observe(&self, anomalies: Vec<Anomaly>, _: Timestamp) -> Result<()> {
        self.0.lock().unwrap().extend(anomalies);
        Ok(())
    }
}

/// A lake that counts the looks of the watch, which begin with the question for the span, and refuses one question if it
/// is told to.
pub(crate) struct Asked {
    lake: Arc<Lake>,
    looks: AtomicUsize,
    /// Hours whose topics were counted, whenever that was.
    counted_hours: AtomicUsize,
    pub(crate) refused: Mutex<Option<&'static str>>,
}

impl Asked {
    fn ask(&self, question: &str) -> Result<()> {
        self.looks.fetch_add(usize::from(question == "span"), Ordering::Relaxed);
        match *self.refused.lock().unwrap() {
            Some(refused) if refused == question => Err(Error::reject("refused for the test")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl WatchHistory for Asked {
    async fn span(&self) -> Result<Option<(Timestamp, Timestamp)>> {
        self.ask("span")?;
        self.lake.span().await
    }
    async fn mentions(&self, series: &SeriesKey, range: TimeRange) -> Result<u64> {
        self.ask("mentions")?;
        self.lake.mentions(series, range).await
    }
    async fn posts_by_interval(&self, range: TimeRange, interval_s: u32) -> Result<BTreeMap<Timestamp, u64>> {
        self.ask("posts_by_interval")?;
        self.lake.posts_by_interval(range, interval_s).await
    }
    async fn topic_counts(&self, range: TimeRange, interval_s: u32) -> Result<SeriesCounts> {
        self.ask("topic_counts")?;
        let hours = usize::try_from((range.to - range.from).num_hours()).unwrap_or(0);
        self.counted_hours.fetch_add(hours, Ordering::Relaxed);
        self.lake.topic_counts(range, interval_s).await
    }
    async fn part_counts(&self, range: TimeRange, interval_s: u32, dimensions: &[Dimension]) -> Result<SeriesCounts> {
        self.ask("part_counts")?;
        self.lake.part_counts(range, interval_s, dimensions).await
    }
    async fn evidence(&self, incident: &IncidentScope) -> Result<Evidence> {
        self.ask("evidence")?;
        self.lake.evidence(incident).await
    }
    async fn explained_ends(&self) -> Result<HashMap<String, Timestamp>> {
        self.lake.explained_ends().await
    }
    fn version(&self) -> u64 {
        WatchHistory::version(self.lake.as_ref())
    }
}

/// A watch that runs.
pub(crate) struct Running {
    pub(crate) asked: Arc<Asked>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) told: Arc<Told>,
    pub(crate) health: Arc<Health>,
    pub(crate) backfills: Arc<Backfills>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Running {
    pub(crate) fn start(lake: &Arc<Lake>, config: WatchConfig, now: Timestamp) -> Self {
        Self::refused(lake, config, now, None)
    }

    /// A watch whose lake refuses a question.
    pub(crate) fn refused(
        lake: &Arc<Lake>,
        config: WatchConfig,
        now: Timestamp,
        refused: Option<&'static str>,
    ) -> Self {
        Self::beside(lake, config, now, refused, Arc::default())
    }

    /// A watch beside sources that add posts of the past.
    pub(crate) fn beside(
        lake: &Arc<Lake>,
        config: WatchConfig,
        now: Timestamp,
        refused: Option<&'static str>,
        backfills: Arc<Backfills>,
    ) -> Self {
        let (clock, told) = (Arc::new(ManualClock::at(now)), Arc::new(Told::default()));
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let refused = Mutex::new(refused);
        let asked = Arc::new(Asked {
            lake: lake.clone(),
            looks: AtomicUsize::new(0),
            counted_hours: AtomicUsize::new(0),
            refused,
        });
        let watch = Watch {
            config,
            history: asked.clone(),
            lake: lake.clone(),
            clock: clock.clone(),
            listener: told.clone(),
            queue: Arc::new(MemoryQueue::default()),
            health: health.clone(),
            backfills: backfills.clone(),
        };
        let task = tokio::spawn(watch.run(stop.clone()));
        Self { asked, clock, told, health, backfills, stop, task }
    }

    /// The first look is through: all that is closed was judged.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.asked.looks.load(Ordering::Relaxed) > 1
    }

    /// Waits until something holds; false: it never did within the limit.
    pub(crate) async fn until(&self, seconds: u64, holds: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..seconds * 20 {
            if holds(self) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        false
    }

    /// Looks of the watch so far, and the hours that it counted.
    pub(crate) fn effort(&self) -> (usize, usize) {
        (self.asked.looks.load(Ordering::Relaxed), self.asked.counted_hours.load(Ordering::Relaxed))
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// As in the program, at a test's pace.
pub(crate) fn quick() -> WatchConfig {
    WatchConfig {
        tick: std::time::Duration::from_millis(20),
        look_back_every: std::time::Duration::from_millis(50),
        ..WatchConfig::default()
    }
}

/// Whether the planted cause is among the drivers.
pub(crate) fn names_cause(anomaly: &Anomaly) -> bool {
    anomaly.drivers.iter().any(|driver| driver.value == CAUSE)
}

//! The typed questions about stored posts, answered from the posts that a [`MemoryLake`] holds.

use crate::MemoryLake;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::analytics::COUNTED_KINDS;
use domain::{
    Anomaly, Dimension, EnrichedPost, Evidence, EvidencePost, IncidentScope, PostInWindow, Result, RuleHistory,
    SentimentLabel, SeriesCounts, SeriesKey, TimeRange, Timestamp, WatchHistory, WindowCount, Windows,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[async_trait]
impl WatchHistory for MemoryLake {
    async fn span(&self) -> Result<Option<(Timestamp, Timestamp)>> {
        let times: BTreeSet<Timestamp> = self.posts().iter().map(|post| post.post.occurred_at).collect();
        Ok(times.first().copied().zip(times.last().copied()))
    }

    async fn mentions(&self, series: &SeriesKey, range: TimeRange) -> Result<u64> {
        Ok(self.within(range).iter().filter(|post| is_of(post, series)).count() as u64)
    }

    async fn posts_by_interval(&self, range: TimeRange, interval_s: u32) -> Result<BTreeMap<Timestamp, u64>> {
        let mut posts = BTreeMap::new();
        for post in self.within(range) {
            *posts.entry(floor(post.post.occurred_at, interval_s)).or_default() += 1;
        }
        Ok(posts)
    }

    async fn topic_counts(&self, range: TimeRange, interval_s: u32) -> Result<SeriesCounts> {
        let of = |post: &EnrichedPost| {
            let topics = post.topics.iter().map(|topic| SeriesKey::whole(topic));
            topics.chain([SeriesKey::all_posts()]).collect()
        };
        Ok(counts(&self.within(range), interval_s, of))
    }

    async fn part_counts(&self, range: TimeRange, interval_s: u32, dimensions: &[Dimension]) -> Result<SeriesCounts> {
        let of = |post: &EnrichedPost| {
            let mut keys = Vec::new();
            for dimension in [Dimension::Category].iter().chain(dimensions) {
                let all_posts = (*dimension != Dimension::Category).then(SeriesKey::all_posts);
                for whole in post.topics.iter().map(|topic| SeriesKey::whole(topic)).chain(all_posts) {
                    let value = values(post, *dimension).into_iter().next();
                    keys.extend(value.map(|value| SeriesKey { part: Some((*dimension, value)), ..whole }));
                }
            }
            keys
        };
        Ok(counts(&self.within(range), interval_s, of))
    }

    async fn evidence(&self, incident: &IncidentScope) -> Result<Evidence> {
        let range = TimeRange { from: incident.range.from - incident.baseline, ..incident.range };
        let mut evidence = Evidence { weight: 1.0, ..Evidence::default() };
        let posts = self.within(range).into_iter().filter(|post| is_of(post, &incident.series));
        for (number, post) in (0..).zip(posts) {
            use Dimension::{Author, Category, Country, Entity, Hashtag, Language, Phrase, Place, Platform, Sentiment};
            for dimension in [Author, Category, Country, Entity, Hashtag, Language, Phrase, Place, Platform, Sentiment]
            {
                let values = values(&post, dimension).into_iter().map(|value| (number, value));
                evidence.values.entry(dimension).or_default().extend(values);
            }
            evidence.posts.push(counted(&post));
            if post.post.occurred_at >= incident.range.from && evidence.examples.len() < incident.examples_max {
                evidence.examples.push(example(&post));
            }
        }
        evidence.values.retain(|_, values| !values.is_empty());
        Ok(evidence)
    }

    async fn explained_ends(&self) -> Result<HashMap<String, Timestamp>> {
        let explained = self.anomalies().into_iter().filter(|anomaly| !anomaly.drivers.is_empty());
        Ok(explained.filter_map(|anomaly| Some((anomaly.id, anomaly.end?))).collect())
    }

    fn version(&self) -> u64 {
        self.commits()
    }
}

#[async_trait]
impl RuleHistory for MemoryLake {
    async fn window_counts(&self, topic: Option<&str>, windows: Windows) -> Result<Vec<WindowCount>> {
        let series = SeriesKey::of_topic(topic);
        let mut counts = vec![WindowCount::default(); windows.count];
        for (at, count) in counts.iter_mut().enumerate() {
            let from = windows.from + windows.length * i32::try_from(at).unwrap_or(i32::MAX);
            for post in self.within(TimeRange { from, to: from + windows.length }) {
                count.mentions += u64::from(is_of(&post, &series));
                count.negative += u64::from(is_of(&post, &series) && is_negative(&post));
            }
        }
        Ok(counts)
    }

    async fn first_mention(
        &self,
        topic: Option<&str>,
        phrase: &str,
        enriched_since: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        let (series, phrase) = (SeriesKey::of_topic(topic), phrase.to_lowercase());
        let is_new = |post: &EnrichedPost| {
            enriched_since
                .is_none_or(|since| post.enriched_at >= since && post.post.occurred_at >= since - TimeDelta::days(1))
        };
        let posts = self.posts().into_iter().filter(|post| is_of(post, &series) && is_new(post));
        Ok(posts.filter(|post| post.post.text.to_lowercase().contains(&phrase)).map(|post| post.post.occurred_at).min())
    }

    async fn last_received(&self, source: &str, since: Timestamp) -> Result<Option<Timestamp>> {
        let posts = self.posts().into_iter().map(|post| post.post).filter(|post| post.source.0 == source);
        Ok(posts
            .filter(|post| post.received_at >= since && post.occurred_at >= since)
            .map(|post| post.received_at)
            .max())
    }

    async fn received(&self, source: &str, range: TimeRange) -> Result<Vec<Timestamp>> {
        let posts = self.posts().into_iter().map(|post| post.post).filter(|post| post.source.0 == source);
        let within = posts.filter(|post| range.from <= post.received_at && post.received_at < range.to);
        let seconds: BTreeSet<Timestamp> = within.map(|post| floor(post.received_at, 1)).collect();
        Ok(seconds.into_iter().collect())
    }

    async fn anomalies(&self, topic: Option<&str>, onset: TimeRange) -> Result<Vec<Anomaly>> {
        let mut anomalies = MemoryLake::anomalies(self);
        anomalies.retain(|one| {
            topic.is_none_or(|topic| topic == one.topic) && onset.from <= one.onset && one.onset < onset.to
        });
        anomalies.sort_by(|a, b| a.onset.cmp(&b.onset).then_with(|| a.id.cmp(&b.id)));
        Ok(anomalies)
    }
}

impl MemoryLake {
    fn within(&self, range: TimeRange) -> Vec<EnrichedPost> {
        let mut posts = self.posts();
        posts.retain(|post| range.from <= post.post.occurred_at && post.post.occurred_at < range.to);
        posts
    }
}

fn floor(at: Timestamp, interval_s: u32) -> Timestamp {
    let interval = i64::from(interval_s);
    Timestamp::from_timestamp(at.timestamp().div_euclid(interval) * interval, 0).unwrap_or(at)
}

fn counts(posts: &[EnrichedPost], interval_s: u32, of: impl Fn(&EnrichedPost) -> Vec<SeriesKey>) -> SeriesCounts {
    let mut by_time: BTreeMap<SeriesKey, BTreeMap<Timestamp, f64>> = BTreeMap::new();
    for post in posts {
        for key in of(post) {
            *by_time.entry(key).or_default().entry(floor(post.post.occurred_at, interval_s)).or_default() += 1.0;
        }
    }
    by_time.into_iter().map(|(key, counts)| (key, counts.into_iter().collect())).collect()
}

fn is_of(post: &EnrichedPost, series: &SeriesKey) -> bool {
    let topic = series.topic.as_ref().is_none_or(|topic| post.topics.contains(topic));
    topic && series.part.as_ref().is_none_or(|(dimension, value)| values(post, *dimension).contains(value))
}

fn is_negative(post: &EnrichedPost) -> bool {
    post.enrichment.sentiment.is_some_and(|sentiment| sentiment.label == SentimentLabel::Negative)
}

/// The values of a dimension that an incident is explained by.
fn values(enriched: &EnrichedPost, dimension: Dimension) -> Vec<String> {
    let lower = |names: Vec<String>| names.iter().map(|name| name.to_lowercase()).collect();
    match dimension {
        Dimension::Entity => {
            let counted = enriched.enrichment.entities.iter().filter(|entity| COUNTED_KINDS.contains(&entity.kind));
            lower(counted.map(|entity| entity.text.clone()).collect())
        }
        Dimension::Phrase => lower(dimension.values(enriched)),
        _ => dimension.values(enriched),
    }
}

fn counted(enriched: &EnrichedPost) -> EvidencePost {
    let id = || enriched.post.id.as_str().to_owned();
    let repost_of = enriched.post.repost_of.as_ref().map(|id| id.as_str().to_owned());
    EvidencePost {
        occurred_at: enriched.post.occurred_at,
        author: values(enriched, Dimension::Author).pop().unwrap_or_else(id),
        message: enriched.enrichment.fingerprint.map(|print| print.to_string()).or(repost_of).unwrap_or_else(id),
        is_negative: is_negative(enriched),
    }
}

fn example(enriched: &EnrichedPost) -> PostInWindow {
    let EnrichedPost { post, enrichment, .. } = enriched;
    PostInWindow {
        post_id: post.id.as_str().to_owned(),
        text: post.text.clone(),
        url: post.url.clone(),
        author: values(enriched, Dimension::Author).pop(),
        sentiment: values(enriched, Dimension::Sentiment).pop(),
        fingerprint: enrichment.fingerprint,
        repost_of: post.repost_of.as_ref().map(|id| id.as_str().to_owned()),
        reach: post.reach,
    }
}

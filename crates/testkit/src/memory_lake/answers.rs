//! The answers: every question goes through all posts, so that each answer is as plain as its question.

use super::{MemoryLake, State};
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::analytics::{
    AlertsQuery, Analytics, AnomaliesQuery, BreakdownItem, BreakdownQuery, COUNTED_KINDS, ComparedTotals,
    CountriesQuery, CountryCount, Counts, Cursor, FoundPost, PlaceCount, PlacesQuery, PostCopy, PostDetail, PostQuery,
    PostStream, PostText, PostsPage, PostsQuery, RecentTextsQuery, SeriesPoint, SeriesQuery, StoredPost, TableColumns,
    TopicVolume, TopicVolumesQuery, Totals, TotalsQuery,
};
use domain::{
    Alert, AlertState, Anomaly, Dimension, EnrichedPost, EntityKind, Error, PlaceKind, Result, Selection,
    SentimentLabel, TimeRange, Timestamp,
};
use futures::stream::{self, StreamExt as _};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Posts in a piece of an export.
const PIECE: usize = 2;

impl State {
    fn selected(&self, selection: &Selection) -> Vec<&EnrichedPost> {
        let all = self.posts.values();
        all.filter(|post| selection.range.contains(post.post.occurred_at) && selection.matches(post)).collect()
    }

    fn newest_first(&self, selection: &Selection) -> Vec<&EnrichedPost> {
        let mut posts = self.selected(selection);
        posts.sort_by_key(|post| Reverse(cursor(post)));
        posts
    }
}

fn cursor(post: &EnrichedPost) -> Cursor {
    Cursor { at: post.post.occurred_at, post_id: post.post.id.clone() }
}

fn count<'a>(posts: impl IntoIterator<Item = &'a EnrichedPost>) -> Counts {
    let mut counts = Counts::default();
    for post in posts {
        counts.mentions += 1;
        match post.enrichment.sentiment.map(|sentiment| sentiment.label) {
            Some(SentimentLabel::Positive) => counts.positive += 1,
            Some(SentimentLabel::Negative) => counts.negative += 1,
            Some(SentimentLabel::Neutral) => counts.neutral += 1,
            Some(SentimentLabel::Mixed) => counts.mixed += 1,
            None => {}
        }
    }
    counts
}

fn totals(posts: Vec<&EnrichedPost>) -> Totals {
    let author = |post: &&EnrichedPost| {
        let author = post.post.author.clone()?;
        author.id.or(author.username)
    };
    let authors: BTreeSet<String> = posts.iter().filter_map(author).collect();
    let reach = posts.iter().filter_map(|post| post.post.reach).sum();
    Totals { authors: authors.len() as u64, reach, counts: count(posts) }
}

/// The most frequent, and of several the first.
fn most_frequent<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut frequencies: BTreeMap<T, usize> = BTreeMap::new();
    values.for_each(|value| *frequencies.entry(value).or_default() += 1);
    frequencies.into_iter().max_by_key(|(value, count)| (*count, Reverse(value.clone()))).map(|(value, _)| value)
}

/// Name and kind of what a post is counted by.
fn names(by: Dimension, post: &EnrichedPost) -> Vec<(String, Option<EntityKind>)> {
    if by == Dimension::Entity {
        let counted = post.enrichment.entities.iter().filter(|entity| COUNTED_KINDS.contains(&entity.kind));
        return counted.map(|entity| (entity.text.clone(), Some(entity.kind))).collect();
    }
    by.values(post).into_iter().map(|value| (value, None)).collect()
}

fn breakdown(posts: &[&EnrichedPost], by: Dimension) -> Vec<BreakdownItem> {
    let is_one = |name: &str| match by {
        Dimension::Entity | Dimension::Phrase => name.to_lowercase(),
        _ => name.to_owned(),
    };
    type Occurrence<'a> = (String, Option<EntityKind>, &'a EnrichedPost);
    let mut groups: BTreeMap<String, Vec<Occurrence<'_>>> = BTreeMap::new();
    for post in posts {
        for (name, kind) in names(by, post) {
            groups.entry(is_one(&name)).or_default().push((name, kind, post));
        }
    }
    let item = |found: Vec<Occurrence<'_>>| BreakdownItem {
        value: most_frequent(found.iter().map(|(name, ..)| name.clone())).unwrap_or_default(),
        kind: most_frequent(found.iter().filter_map(|(_, kind, _)| kind.map(EntityKind::as_str)))
            .and_then(|name| COUNTED_KINDS.into_iter().find(|kind| kind.as_str() == name)),
        counts: count(found.iter().map(|(.., post)| *post)),
    };
    let mut items: Vec<BreakdownItem> = groups.into_values().map(item).collect();
    items.sort_by(|a, b| b.counts.mentions.cmp(&a.counts.mentions).then_with(|| a.value.cmp(&b.value)));
    items
}

fn places(posts: &[&EnrichedPost]) -> Vec<PlaceCount> {
    let mut groups: BTreeMap<(String, Option<String>, String), Vec<&EnrichedPost>> = BTreeMap::new();
    for post in posts {
        if let Some((place, _)) = post.place.as_ref().filter(|(place, _)| place.kind != PlaceKind::Country) {
            let key = (place.name.clone(), place.region.clone(), place.country.clone());
            groups.entry(key).or_default().push(post);
        }
    }
    let place = |((place, region, country), posts): (_, Vec<&EnrichedPost>)| {
        let points = posts.iter().filter_map(|post| post.place.as_ref().map(|(place, _)| place.coordinates));
        let (lats, lons) = points.fold((0.0, 0.0), |(lats, lons), point| (lats + point.lat, lons + point.lon));
        let posts_count = posts.len() as f64;
        let (lat, lon) = (lats / posts_count, lons / posts_count);
        PlaceCount { place, region, country: Some(country), lat, lon, counts: count(posts) }
    };
    let mut places: Vec<PlaceCount> = groups.into_iter().map(place).collect();
    places.sort_by_key(|place| Reverse(place.counts.mentions));
    places
}

/// Posts that say nearly the same, as one: the newest of them.
fn grouped(posts: Vec<&EnrichedPost>) -> Vec<FoundPost> {
    let mut groups: BTreeMap<String, Vec<&EnrichedPost>> = BTreeMap::new();
    for post in posts {
        let original = post.post.repost_of.as_ref().unwrap_or(&post.post.id).to_string();
        let key = post.enrichment.fingerprint.map_or(original, |fingerprint| fingerprint.to_string());
        groups.entry(key).or_default().push(post);
    }
    let newest = |posts: Vec<&EnrichedPost>| {
        let newest = posts.iter().max_by_key(|post| cursor(post))?;
        Some(FoundPost { copies: posts.len() as u64, ..FoundPost::from(*newest) })
    };
    let mut found: Vec<FoundPost> = groups.into_values().filter_map(newest).collect();
    found.sort_by_key(|post| Reverse((post.post.occurred_at, post.post.id.clone())));
    found
}

fn detail(state: &State, query: &PostQuery) -> Option<PostDetail> {
    let found = state.posts.get(&query.id).filter(|post| query.at.is_none_or(|at| at == post.post.occurred_at))?;
    let (at, days) = (found.post.occurred_at, TimeDelta::days(PostDetail::COPIES_WITHIN_DAYS));
    let near = Selection::all(TimeRange { from: at - days, to: at + days });
    let is_copy = |post: &&EnrichedPost| {
        let fingerprint = found.enrichment.fingerprint;
        post.post.id != query.id && fingerprint.is_some() && post.enrichment.fingerprint == fingerprint
    };
    let copy = |post: &EnrichedPost| PostCopy {
        id: post.post.id.clone(),
        author: post.post.author.as_ref().and_then(|author| author.username.clone()),
        platform: post.post.platform.clone(),
        occurred_at: post.post.occurred_at,
        url: post.post.url.clone(),
    };
    let copies = state.newest_first(&near).into_iter().filter(is_copy).map(copy);
    Some(PostDetail {
        post: found.into(),
        key_phrases: found.enrichment.key_phrases.clone(),
        copies: copies.take(PostDetail::COPIES_MAX).collect(),
        payload: Some(found.post.payload.clone()),
        provenance: Some(found.post.provenance.as_str().to_owned()),
    })
}

fn is_one_of(value: Option<&String>, wanted: &[String]) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
}

impl MemoryLake {
    fn answer<T>(&self, answer: impl FnOnce(&State) -> T) -> T {
        let mut state = self.state();
        state.asked += 1;
        answer(&state)
    }
}

#[async_trait]
impl Analytics for MemoryLake {
    async fn totals(&self, query: &TotalsQuery) -> Result<ComparedTotals> {
        Ok(self.answer(|state| {
            let posts = state.selected(&query.selection).into_iter();
            let (since, before) = posts.partition(|post| post.post.occurred_at >= query.since);
            ComparedTotals { before: totals(before), since: totals(since) }
        }))
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<SeriesPoint>> {
        query.check()?;
        let step = TimeDelta::seconds(query.step_s);
        let mut cells: BTreeMap<(Timestamp, Option<String>), u64> = BTreeMap::new();
        self.answer(|state| {
            for post in state.selected(&query.selection) {
                let steps = (post.post.occurred_at - query.origin).num_microseconds().unwrap_or_default()
                    / step.num_microseconds().unwrap_or(1);
                let at = query.origin + step * i32::try_from(steps).unwrap_or_default();
                let values = query.by.values(post);
                if values.is_empty() && query.by != Dimension::Topic {
                    *cells.entry((at, None)).or_default() += 1;
                }
                values.into_iter().for_each(|value| *cells.entry((at, Some(value))).or_default() += 1);
            }
        });
        Ok(cells.into_iter().map(|((at, value), mentions)| SeriesPoint { at, value, mentions }).collect())
    }

    async fn breakdown(&self, query: &BreakdownQuery) -> Result<Vec<BreakdownItem>> {
        let mut items = self.answer(|state| breakdown(&state.selected(&query.selection), query.by));
        items.truncate(query.limit);
        Ok(items)
    }

    async fn countries(&self, query: &CountriesQuery) -> Result<Vec<CountryCount>> {
        let mut countries: BTreeMap<Option<String>, Vec<EnrichedPost>> = BTreeMap::new();
        self.answer(|state| {
            for post in state.selected(&query.selection) {
                let country = post.place.as_ref().map(|(place, _)| place.country.clone());
                countries.entry(country).or_default().push(post.clone());
            }
        });
        Ok(countries
            .iter()
            .map(|(country, posts)| CountryCount { country: country.clone(), counts: count(posts) })
            .collect())
    }

    async fn places(&self, query: &PlacesQuery) -> Result<Vec<PlaceCount>> {
        let mut places = self.answer(|state| places(&state.selected(&query.selection)));
        places.truncate(query.limit);
        Ok(places)
    }

    async fn topic_volumes(&self, query: &TopicVolumesQuery) -> Result<Vec<TopicVolume>> {
        let week = Selection::all(TimeRange { from: query.to - TimeDelta::days(7), to: query.to });
        let mut volumes: BTreeMap<String, TopicVolume> = BTreeMap::new();
        self.answer(|state| {
            for post in state.selected(&week) {
                let at = post.post.occurred_at;
                for topic in &post.topics {
                    let unknown = || TopicVolume { topic: topic.clone(), day: 0, week: 0, newest_at: at };
                    let volume = volumes.entry(topic.clone()).or_insert_with(unknown);
                    volume.week += 1;
                    volume.day += u64::from(at >= query.to - TimeDelta::days(1));
                    volume.newest_at = volume.newest_at.max(at);
                }
            }
        });
        Ok(volumes.into_values().collect())
    }

    async fn newest_at(&self) -> Result<Option<Timestamp>> {
        Ok(self.answer(|state| state.posts.values().map(|post| post.post.occurred_at).max()))
    }

    async fn posts(&self, query: &PostsQuery) -> Result<PostsPage> {
        let mut posts: Vec<FoundPost> = self.answer(|state| match query.group_copies {
            true => grouped(state.selected(&query.selection)),
            false => state.newest_first(&query.selection).into_iter().map(FoundPost::from).collect(),
        });
        let cursor = |post: &FoundPost| Cursor { at: post.post.occurred_at, post_id: post.post.id.clone() };
        posts.retain(|post| query.after.as_ref().is_none_or(|after| cursor(post) < *after));
        let more = posts.len() > query.limit;
        posts.truncate(query.limit);
        Ok(PostsPage { next: posts.last().filter(|_| more).map(cursor), posts })
    }

    async fn post(&self, query: &PostQuery) -> Result<Option<PostDetail>> {
        Ok(self.answer(|state| detail(state, query)))
    }

    async fn recent_texts(&self, query: &RecentTextsQuery) -> Result<Vec<PostText>> {
        let text = |post: &EnrichedPost| PostText {
            id: post.post.id.clone(),
            text: post.post.text.clone(),
            author: post.post.author.as_ref().and_then(|author| author.username.clone()),
            language: Some(post.enrichment.language.code.clone()),
            occurred_at: post.post.occurred_at,
        };
        let selection = Selection::all(query.range);
        Ok(self.answer(|state| state.newest_first(&selection).into_iter().take(query.limit).map(text).collect()))
    }

    async fn anomalies(&self, query: &AnomaliesQuery) -> Result<Vec<Anomaly>> {
        let mut found: Vec<Anomaly> = self.answer(|state| {
            let meant = |anomaly: &&Anomaly| match query {
                AnomaliesQuery::Ids(ids) => ids.contains(&anomaly.id),
                AnomaliesQuery::Within { range, topics, categories, .. } => {
                    range.contains(anomaly.onset)
                        && is_one_of(Some(&anomaly.topic), topics)
                        && is_one_of(anomaly.category.as_ref(), categories)
                }
            };
            state.anomalies.values().filter(meant).cloned().collect()
        });
        found.sort_by(|a, b| b.onset.cmp(&a.onset).then_with(|| a.id.cmp(&b.id)));
        if let AnomaliesQuery::Within { limit, .. } = query {
            found.truncate(*limit);
        }
        Ok(found)
    }

    async fn alerts(&self, query: &AlertsQuery) -> Result<Vec<Alert>> {
        let mut found: Vec<Alert> = self.answer(|state| {
            let meant = |alert: &&Alert| {
                (alert.state == AlertState::Open || query.range.contains(alert.opened_at))
                    && query.state.is_none_or(|wanted| wanted == alert.state)
                    && is_one_of(alert.topic.as_ref(), &query.topics)
            };
            state.alerts.values().filter(meant).cloned().collect()
        });
        found.sort_by(|a, b| b.opened_at.cmp(&a.opened_at).then_with(|| a.id.cmp(&b.id)));
        found.truncate(query.limit);
        Ok(found)
    }

    async fn export(&self, selection: &Selection) -> Result<PostStream> {
        let (posts, pieces_max) = self.answer(|state| {
            let posts: Vec<StoredPost> = state.newest_first(selection).into_iter().map(StoredPost::from).collect();
            (posts, state.export_pieces_max)
        });
        let mut pieces: Vec<Result<Vec<StoredPost>>> = posts.chunks(PIECE).map(|piece| Ok(piece.to_vec())).collect();
        if let Some(pieces_max) = pieces_max {
            pieces.truncate(pieces_max);
            pieces.push(Err(Error::retry("a file is gone")));
        }
        Ok(stream::iter(pieces).boxed())
    }

    async fn tables(&self) -> Result<Vec<TableColumns>> {
        Ok(self.answer(|_| Vec::new()))
    }

    fn version(&self) -> u64 {
        self.state().changes
    }
}

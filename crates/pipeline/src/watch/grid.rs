//! One grid of intervals with a detector per series. The false-alarm budget is shared by the series that are watched, half
//! of it by topics as wholes and half by their parts, so that many parts don't make the whole deaf. One incident is told
//! once: parts of a topic that is in an incident as a whole, or of which another part was told within two hours, follow.
//!
//! Topics as wholes are always watched. Of their parts those with the most mentions of late are, so that a source which
//! invents values blinds nothing.

use super::WatchConfig;
use super::counts::{Counted, SeriesKey};
use super::series::Dimension;
use chrono::{Duration, Offset, TimeDelta};
use detect::{Change, Detector, FalseAlarms, Incident, Kind};
use domain::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tracing::warn;

/// What a part was mentioned lately fades with this time constant.
const RECENT: TimeDelta = TimeDelta::days(2);
/// Parts whose onsets lie so close tell of one incident.
const ONE_INCIDENT: TimeDelta = TimeDelta::hours(2);

/// One grid of intervals with its detectors.
#[derive(Clone)]
pub(super) struct Grid {
    pub(super) interval_s: u32,
    /// Everything before is judged; `None`: to be built.
    pub(super) done: Option<Timestamp>,
    /// Where the counting began: series that turn up later were zero since then.
    pub(super) began: Timestamp,
    series: BTreeMap<SeriesKey, Series>,
    /// Taught silence since the counting began: what a series that turns up begins with.
    silent: Detector,
    /// Series whose present incident another one tells.
    followers: BTreeSet<SeriesKey>,
    /// Parts that were too many to be watched at the last look that had new ones.
    left_out: usize,
}

#[derive(Clone)]
struct Series {
    detector: Detector,
    /// Mentions of late.
    recent: f64,
}

impl Grid {
    pub(super) fn new(interval_s: u32, config: &WatchConfig) -> Self {
        let per_week = config.false_alarms_per_week / config.intervals_s.len().max(1) as f64;
        let false_alarms = FalseAlarms { per_week };
        Self {
            interval_s,
            done: None,
            began: Timestamp::UNIX_EPOCH,
            series: BTreeMap::new(),
            silent: Detector::new(detect::Config { false_alarms, ..detect::Config::every(interval_s) }),
            followers: BTreeSet::new(),
            left_out: 0,
        }
    }

    /// The incidents that are going on and told by their own series.
    pub(super) fn incidents(&self) -> impl Iterator<Item = (&SeriesKey, &Incident)> {
        let told = self.series.iter().filter(|(key, _)| !self.followers.contains(key));
        told.filter_map(|(key, series)| Some((key, series.detector.incident()?)))
    }

    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(super) fn floor(&self, at: Timestamp) -> Timestamp {
        let interval = i64::from(self.interval_s);
        Timestamp::from_timestamp(at.timestamp().div_euclid(interval) * interval, 0).unwrap_or(at)
    }

    /// Every series gets a value for every interval of the stretch: what was not counted is zero. Answers the changes that
    /// are to be told.
    pub(super) fn push(
        &mut self,
        counted: impl Into<Counted>,
        from: Timestamp,
        to: Timestamp,
        config: &WatchConfig,
    ) -> Vec<(SeriesKey, Change)> {
        let Counted { counts, without_parts } = counted.into();
        let mut by_time: BTreeMap<Timestamp, BTreeMap<SeriesKey, f64>> = BTreeMap::new();
        for count in counts {
            by_time.entry(count.at).or_default().insert(count.key, count.mentions);
        }
        self.open_series(&by_time, config);
        let keep = (-f64::from(self.interval_s) / RECENT.num_seconds() as f64).exp();
        let mut told = Vec::new();
        let mut at = from;
        while at < to {
            let values = by_time.get(&at);
            let has_parts = !without_parts.contains(&at);
            // Days and weeks are learned by people's clock, so that the change to summer time is no change to them.
            let utc_offset_s = at.with_timezone(&config.time_zone).offset().fix().local_minus_utc();
            let mut changes = Vec::new();
            self.silent.set_utc_offset(utc_offset_s);
            self.silent.push(at, 0.0);
            for (key, series) in self.series.iter_mut().filter(|(key, _)| has_parts || key.part.is_none()) {
                let mentions = values.and_then(|values| values.get(key)).copied().unwrap_or(0.0);
                series.recent = series.recent * keep + mentions;
                series.detector.set_utc_offset(utc_offset_s);
                if let Some(change) = series.detector.push(at, mentions).change {
                    changes.push((key.clone(), change));
                }
            }
            told.extend(self.lead(changes));
            at += Duration::seconds(i64::from(self.interval_s));
        }
        told
    }

    /// Leaves out what another series tells. The most general series leads; of parts, the one that opened first, then the
    /// most surprising.
    fn lead(&mut self, mut changes: Vec<(SeriesKey, Change)>) -> Vec<(SeriesKey, Change)> {
        changes.sort_by(|(a, one), (b, other)| {
            let score = |change: &Change| change.incident().score;
            a.part.is_some().cmp(&b.part.is_some()).then(score(other).total_cmp(&score(one))).then(a.cmp(b))
        });
        let mut told: Vec<(SeriesKey, Change)> = Vec::new();
        for (key, change) in changes {
            if matches!(change, Change::Opened(_)) && self.follows(&key, change.incident(), &told) {
                self.followers.insert(key.clone());
            }
            let over = matches!(change, Change::Ended(_) | Change::Adopted(_));
            let follows = if over { self.followers.remove(&key) } else { self.followers.contains(&key) };
            if !follows {
                told.push((key, change));
            }
        }
        told
    }

    /// Whether an incident that opens is told by another series already: by the topic as a whole while it is in one of the
    /// same direction, or by another part with about the same onset.
    fn follows(&self, key: &SeriesKey, opened: &Incident, told: &[(SeriesKey, Change)]) -> bool {
        if key.part.is_none() {
            return false;
        }
        let rises = |incident: &Incident| incident.kind == Kind::Surge;
        let whole = SeriesKey::whole(&key.topic);
        let whole = self.series.get(&whole).and_then(|series| series.detector.incident());
        if whole.is_some_and(|incident| rises(incident) == rises(opened)) {
            return true;
        }
        // Parts are told in order of the interval, so one that opens in this very interval leads once it is in `told`.
        let leads = |part: &SeriesKey, incident: &Incident| {
            let earlier = incident.onset < opened.onset || told.iter().any(|(other, _)| other == part);
            earlier && !self.followers.contains(part) && opened.onset - incident.onset <= ONE_INCIDENT
        };
        let parts =
            self.series.iter().filter(|(part, _)| part.topic == key.topic && part.part.is_some() && *part != key);
        parts
            .filter_map(|(part, series)| Some((part, series.detector.incident()?)))
            .any(|(part, incident)| rises(incident) == rises(opened) && leads(part, incident))
    }

    /// Detectors for series that turn up for the first time.
    fn open_series(&mut self, by_time: &BTreeMap<Timestamp, BTreeMap<SeriesKey, f64>>, config: &WatchConfig) {
        let mut fresh: BTreeMap<&SeriesKey, f64> = BTreeMap::new();
        for (key, mentions) in by_time.values().flatten().filter(|(key, _)| !self.series.contains_key(key)) {
            *fresh.entry(key).or_default() += mentions;
        }
        if fresh.is_empty() {
            return;
        }
        let leaves = self.leaving(&fresh, config);
        let left_out = leaves.len();
        if left_out > 0 && self.left_out == 0 {
            warn!(left_out, "too many parts of topics: those with the fewest mentions are not watched");
        }
        self.left_out = left_out;
        metrics::gauge!("overheard_watch_parts_left_out", "interval_s" => self.interval_s.to_string())
            .set(left_out as f64);
        let opened: Vec<SeriesKey> = fresh.into_keys().filter(|key| !leaves.contains(*key)).cloned().collect();
        for key in leaves {
            self.series.remove(&key);
            self.followers.remove(&key);
        }
        for key in opened {
            self.series.insert(key, Series { detector: self.silent.clone(), recent: 0.0 });
        }
        self.share_budget();
    }

    /// Parts, known and fresh, that are too many: the ones with the fewest mentions of late, in each dimension of each
    /// topic and over everything. One in an incident stays until it is over.
    fn leaving(&self, fresh: &BTreeMap<&SeriesKey, f64>, config: &WatchConfig) -> BTreeSet<SeriesKey> {
        let known = self.series.iter().map(|(key, series)| {
            (key, if series.detector.incident().is_some() { f64::INFINITY } else { series.recent })
        });
        let mut parts: Vec<(&SeriesKey, f64)> = known
            .chain(fresh.iter().map(|(key, recent)| (*key, *recent)))
            .filter(|(key, _)| key.part.is_some())
            .collect();
        parts.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.cmp(b)));
        let mut of_dimension: BTreeMap<(&str, Dimension), usize> = BTreeMap::new();
        let (mut stay, mut leave) = (0, BTreeSet::new());
        for (key, _) in parts {
            let Some((dimension, _)) = &key.part else { continue };
            let seen = of_dimension.entry((&key.topic, *dimension)).or_default();
            if *seen < config.parts_max && stay < config.series_max {
                *seen += 1;
                stay += 1;
            } else {
                leave.insert(key.clone());
            }
        }
        leave
    }

    /// Half of the false alarms for topics as wholes, half for their parts; all of them for the wholes where there are no
    /// parts.
    fn share_budget(&mut self) {
        let parts = self.series.keys().filter(|key| key.part.is_some()).count();
        let wholes = self.series.len() - parts;
        let halves = if parts > 0 { 2 } else { 1 };
        let sharing = |series: usize| u32::try_from(series * halves).unwrap_or(u32::MAX);
        for (key, series) in &mut self.series {
            series.detector.set_series(sharing(if key.part.is_some() { parts } else { wholes }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::counts::Count;
    use super::*;
    use chrono::Timelike;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_timestamp(1_772_323_200 + hour * 3600, 0).unwrap()
    }

    fn part(dimension: Dimension, value: &str) -> SeriesKey {
        SeriesKey { topic: "trains".into(), part: Some((dimension, value.into())) }
    }

    fn negative() -> SeriesKey {
        part(Dimension::Sentiment, "negative")
    }

    /// Three weeks of 100 mentions an hour, 40 of them negative, 60 neutral, 90 on x and 10 in reviews, as `change` has
    /// them in the last hours; what is told, and how many intervals were.
    fn told(change: impl Fn(&SeriesKey, i64) -> f64) -> Vec<(SeriesKey, Change)> {
        let usual = [
            (SeriesKey::whole("trains"), 100.0),
            (negative(), 40.0),
            (part(Dimension::Sentiment, "neutral"), 60.0),
            (part(Dimension::Platform, "x"), 90.0),
            (part(Dimension::Platform, "reviews"), 10.0),
        ];
        let config = WatchConfig { intervals_s: vec![3600], ..WatchConfig::default() };
        let mut grid = Grid::new(3600, &config);
        let mut told = Vec::new();
        for hour in 0..24 * 21 {
            // A little of the unrest of real counts, the same every run.
            let unrest = 1.0 + 0.1 * ((hour * 7919 % 101) as f64 / 50.0 - 1.0);
            let counted = usual.iter().map(|(key, usual)| Count {
                at: at(hour),
                key: key.clone(),
                mentions: (usual * unrest * if hour >= 24 * 20 { change(key, hour - 24 * 20) } else { 1.0 }).round(),
            });
            told.extend(grid.push(counted.collect::<Vec<_>>(), at(hour), at(hour + 1), &config));
        }
        told
    }

    fn opened(told: &[(SeriesKey, Change)]) -> Vec<&SeriesKey> {
        told.iter().filter(|(_, change)| matches!(change, Change::Opened(_))).map(|(key, _)| key).collect()
    }

    #[test]
    fn quiet_weeks_tell_nothing() {
        assert!(told(|_, _| 1.0).is_empty());
    }

    #[test]
    fn a_storm_of_all_parts_is_told_once_by_the_whole() {
        let told = told(|_, hour| if (0..6).contains(&hour) { 5.0 } else { 1.0 });
        assert_eq!(opened(&told), [&SeriesKey::whole("trains")]);
        assert!(told.iter().all(|(key, _)| key.part.is_none()), "{told:?}");
        assert!(told.iter().any(|(_, change)| matches!(change, Change::Ended(_))));
    }

    #[test]
    fn a_shift_within_the_whole_is_told_by_the_part_that_shows_it_most() {
        // The mood turns while the volume stays; reviews of the same hours follow.
        let told = told(|key, hour| match (key.subject().as_str(), (0..8).contains(&hour)) {
            ("trains: negative", true) => 2.4,
            ("trains: neutral", true) => 0.1,
            ("trains: reviews", true) => 2.2,
            _ => 1.0,
        });
        let opened = opened(&told);
        assert!(opened.contains(&&negative()), "{opened:?}");
        assert!(!opened.contains(&&part(Dimension::Platform, "reviews")), "a surge of the same hours: {opened:?}");
        assert!(!opened.contains(&&SeriesKey::whole("trains")));
    }

    #[test]
    fn the_change_to_summer_time_is_no_incident_where_people_live_by_it() {
        // Eight weeks of days with a night by Berlin's clock, 10,000 mentions an hour in the mean, from 2 February 2026.
        let opened_by = |time_zone: chrono_tz::Tz| {
            let begin = at(-27 * 24);
            let config = WatchConfig { intervals_s: vec![3600], time_zone, ..WatchConfig::default() };
            let mut grid = Grid::new(3600, &config);
            let mut told = Vec::new();
            for hour in 0..24 * 63 {
                let from = begin + Duration::hours(hour);
                let clock = from.with_timezone(&chrono_tz::Europe::Berlin).hour();
                let day = 1.0 + 0.6 * ((f64::from(clock) - 14.0) / 24.0 * std::f64::consts::TAU).cos();
                let unrest = 1.0 + 0.01 * ((hour * 7919 % 101) as f64 / 50.0 - 1.0);
                let count = Count { at: from, key: SeriesKey::whole("trains"), mentions: (1e4 * day * unrest).round() };
                told.extend(grid.push(vec![count], from, from + Duration::hours(1), &config));
            }
            opened(&told).len()
        };
        assert_eq!(opened_by(chrono_tz::Europe::Berlin), 0);
        assert!(opened_by(chrono_tz::Tz::UTC) > 0, "the shift shows by another clock");
    }

    #[test]
    fn wholes_and_parts_share_the_budget_by_halves() {
        let config = WatchConfig::default();
        let mut grid = Grid::new(3600, &config);
        let count = |key: SeriesKey| Count { at: at(0), key, mentions: 1.0 };
        let shares =
            |grid: &Grid| -> Vec<u32> { grid.series.values().map(|series| series.detector.series()).collect() };
        let topics = ["a", "b", "c"].map(SeriesKey::whole);
        grid.push(Vec::from(topics.map(count)), at(0), at(1), &config);
        assert_eq!(shares(&grid), [3, 3, 3]);
        grid.push(vec![count(negative())], at(1), at(2), &config);
        assert_eq!(shares(&grid), [6, 6, 6, 2]);
    }

    #[test]
    fn a_source_that_invents_values_leaves_out_neither_topics_nor_the_values_that_matter() {
        let config = WatchConfig { parts_max: 30, ..WatchConfig::default() };
        let mut grid = Grid::new(3600, &config);
        let count = |hour, key, mentions| Count { at: at(hour), key, mentions };
        let real = || part(Dimension::Platform, "x");
        grid.push(vec![count(0, real(), 90.0), count(0, SeriesKey::whole("trains"), 90.0)], at(0), at(1), &config);
        for hour in 1..8 {
            let invented = (0..3000).map(|nth| count(hour, part(Dimension::Platform, &format!("{hour} {nth}")), 1.0));
            let of_topic = [count(hour, real(), 90.0), count(hour, SeriesKey::whole(&format!("later {hour}")), 5.0)];
            grid.push(invented.chain(of_topic).collect::<Vec<_>>(), at(hour), at(hour + 1), &config);
        }
        assert!(grid.series.contains_key(&real()));
        assert_eq!(grid.series.keys().filter(|key| key.part.is_none()).count(), 8);
        assert_eq!(grid.series.len(), 8 + 30);
        assert!(grid.left_out > 2900);
    }
}

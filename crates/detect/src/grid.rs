//! The detectors of all series for one interval length: which series are watched, how they share the false-alarm budget,
//! and which of them reports an incident.
//!
//! Half of the budget belongs to topics as wholes and half to their parts, so that many parts do not make the wholes
//! insensitive. One incident is reported once: parts of a topic that is in an incident as a whole, or of which another
//! part opened within two hours, follow.
//!
//! Topics as wholes are always watched. Of their parts those with the most mentions of late are, so that a source that
//! invents values displaces nothing.

use crate::config::{Config, FalseAlarms};
use crate::detector::Detector;
use crate::incident::{Change, Incident, Kind};
use chrono::{Duration, Offset, TimeDelta};
use chrono_tz::Tz;
use domain::{Dimension, SeriesCounts, SeriesKey, TimeRange, Timestamp};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Time constant with which earlier mentions of a part fade.
const RECENT: TimeDelta = TimeDelta::days(2);
/// Parts with onsets this close belong to one incident.
const ONE_INCIDENT: TimeDelta = TimeDelta::hours(2);
/// Posts of the past change the detectors when they are this many and this share of those counted.
const PAST_MIN: f64 = 50.0;
const PAST_SHARE: f64 = 0.005;

/// How a grid watches its series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridConfig {
    pub interval_s: u32,
    /// False alarms that are acceptable over all series of the grid together.
    pub false_alarms: FalseAlarms,
    /// Whose days and weeks the detectors learn, so that a change to summer time is no change to them.
    pub time_zone: Tz,
    /// Most parts of topics that are watched: bounds memory (a few kB each). Topics as wholes always are.
    pub series_max: usize,
    /// Most values of one dimension watched in one topic: those mentioned most of late.
    pub parts_max: usize,
}

/// The detectors for one interval length.
#[derive(Clone)]
pub struct Grid {
    config: GridConfig,
    /// Everything before is judged; `None`: nothing is.
    done: Option<Timestamp>,
    /// Where the counting began: series that turn up later had no mentions since then.
    began: Timestamp,
    series: BTreeMap<SeriesKey, Series>,
    /// Has seen no mentions since the counting began: what a series that turns up begins with.
    silent: Detector,
    /// Series whose present incident another one reports.
    followers: BTreeSet<SeriesKey>,
    /// Parts that were too many to be watched when parts last turned up.
    left_out: usize,
}

#[derive(Clone)]
struct Series {
    detector: Detector,
    /// Mentions of late.
    recent: f64,
}

impl Grid {
    pub fn new(config: GridConfig) -> Self {
        let GridConfig { interval_s, false_alarms, .. } = config;
        Self {
            config,
            done: None,
            began: Timestamp::UNIX_EPOCH,
            series: BTreeMap::new(),
            silent: Detector::new(Config { false_alarms, ..Config::every(interval_s) }),
            followers: BTreeSet::new(),
            left_out: 0,
        }
    }

    /// Counting begins here.
    pub fn begin(&mut self, at: Timestamp) {
        (self.done, self.began) = (Some(at), at);
    }

    pub fn interval_s(&self) -> u32 {
        self.config.interval_s
    }

    /// Everything before is judged.
    pub fn done(&self) -> Option<Timestamp> {
        self.done
    }

    /// Where the counting began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// How many series are watched.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Parts that were too many to be watched when parts last turned up.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The incidents that are going on and reported by their own series.
    pub fn incidents(&self) -> impl Iterator<Item = (&SeriesKey, &Incident)> {
        let reported = self.series.iter().filter(|(key, _)| !self.followers.contains(key));
        reported.filter_map(|(key, series)| Some((key, series.detector.incident()?)))
    }

    /// Begin of the interval that holds a moment.
    pub fn floor(&self, at: Timestamp) -> Timestamp {
        let interval = i64::from(self.config.interval_s);
        Timestamp::from_timestamp(at.timestamp().div_euclid(interval) * interval, 0).unwrap_or(at)
    }

    /// Judges the intervals of a range. Every series gets a value for every interval: 0 if it was not counted. In the
    /// intervals `without_parts` only topics as wholes do. Returns the changes to report.
    pub fn push(
        &mut self,
        counts: &SeriesCounts,
        without_parts: &[Timestamp],
        range: TimeRange,
    ) -> Vec<(SeriesKey, Change)> {
        self.open_series(counts);
        let keep = (-f64::from(self.config.interval_s) / RECENT.num_seconds() as f64).exp();
        let mut waiting: Vec<&[(Timestamp, f64)]> =
            self.series.keys().map(|key| counts.get(key).map_or(&[][..], Vec::as_slice)).collect();
        let mut reported = Vec::new();
        let mut at = range.from;
        while at < range.to {
            let has_parts = !without_parts.contains(&at);
            let utc_offset_s = at.with_timezone(&self.config.time_zone).offset().fix().local_minus_utc();
            let mut changes = Vec::new();
            self.silent.set_utc_offset(utc_offset_s);
            self.silent.push(at, 0.0);
            for ((key, series), waiting) in self.series.iter_mut().zip(&mut waiting) {
                let mentions = take(waiting, at);
                if !has_parts && key.part.is_some() {
                    continue;
                }
                series.recent = series.recent * keep + mentions;
                series.detector.set_utc_offset(utc_offset_s);
                if let Some(change) = series.detector.push(at, mentions).change {
                    changes.push((key.clone(), change));
                }
            }
            reported.extend(self.lead(changes));
            at += Duration::seconds(i64::from(self.config.interval_s));
        }
        self.done = Some(range.to);
        reported
    }

    /// Leaves out what another series reports. The most general series leads; of parts, the one that opened first, then
    /// the most surprising.
    fn lead(&mut self, mut changes: Vec<(SeriesKey, Change)>) -> Vec<(SeriesKey, Change)> {
        changes.sort_by(|(a, one), (b, other)| {
            let by_score = other.incident().score.total_cmp(&one.incident().score);
            a.part.is_some().cmp(&b.part.is_some()).then(by_score).then_with(|| precedence(a, b))
        });
        let mut reported: Vec<(SeriesKey, Change)> = Vec::new();
        for (key, change) in changes {
            if matches!(change, Change::Opened(_)) && self.follows(&key, change.incident(), &reported) {
                self.followers.insert(key.clone());
            }
            let follows = if change.is_over() { self.followers.remove(&key) } else { self.followers.contains(&key) };
            if !follows {
                reported.push((key, change));
            }
        }
        reported
    }

    /// Whether an incident that opens is reported by another series already: by the topic as a whole while it is in one
    /// of the same direction, or by another part with about the same onset.
    fn follows(&self, key: &SeriesKey, opened: &Incident, reported: &[(SeriesKey, Change)]) -> bool {
        if key.part.is_none() {
            return false;
        }
        let rises = |incident: &Incident| incident.kind == Kind::Surge;
        let whole = key.as_whole();
        let incident = self.series.get(&whole).and_then(|series| series.detector.incident());
        if incident.is_some_and(|incident| rises(incident) == rises(opened)) {
            return true;
        }
        // Changes come in order of the interval, so a part that opens in this very interval leads once it is reported.
        let leads = |part: &SeriesKey, incident: &Incident| {
            let earlier = incident.onset < opened.onset || reported.iter().any(|(other, _)| other == part);
            earlier && !self.followers.contains(part) && opened.onset - incident.onset <= ONE_INCIDENT
        };
        let of_topic = self.series.range(whole..).take_while(|(part, _)| part.topic == key.topic);
        of_topic
            .filter(|(part, _)| part.part.is_some() && *part != key)
            .filter_map(|(part, series)| Some((part, series.detector.incident()?)))
            .any(|(part, incident)| rises(incident) == rises(opened) && leads(part, incident))
    }

    /// Detectors for series that turn up for the first time.
    fn open_series(&mut self, counts: &SeriesCounts) {
        let fresh = counts.iter().filter(|(key, _)| !self.series.contains_key(key));
        let fresh: BTreeMap<&SeriesKey, f64> =
            fresh.map(|(key, counts)| (key, counts.iter().map(|(_, mentions)| mentions).sum())).collect();
        if fresh.is_empty() {
            return;
        }
        let leaves = self.leaving(&fresh);
        self.left_out = leaves.len();
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
    fn leaving(&self, fresh: &BTreeMap<&SeriesKey, f64>) -> BTreeSet<SeriesKey> {
        let known = self.series.iter().map(|(key, series)| {
            (key, if series.detector.incident().is_some() { f64::INFINITY } else { series.recent })
        });
        let mut parts: Vec<(&SeriesKey, f64)> = known
            .chain(fresh.iter().map(|(key, recent)| (*key, *recent)))
            .filter(|(key, _)| key.part.is_some())
            .collect();
        parts.sort_by(|(a, one), (b, other)| other.total_cmp(one).then_with(|| precedence(a, b)));
        let mut of_dimension: BTreeMap<(Option<&str>, Dimension), usize> = BTreeMap::new();
        let (mut stay, mut leave) = (0, BTreeSet::new());
        for (key, _) in parts {
            let Some((dimension, _)) = &key.part else { continue };
            let seen = of_dimension.entry((key.topic.as_deref(), *dimension)).or_default();
            if *seen < self.config.parts_max && stay < self.config.series_max {
                *seen += 1;
                stay += 1;
            } else {
                leave.insert(key.clone());
            }
        }
        leave
    }

    /// Half of the false alarms for topics as wholes, half for their parts; all of them for the wholes if there are no
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

/// Of several changes of one incident the last: it includes the others.
pub fn latest(changes: Vec<(SeriesKey, Change)>) -> Vec<(SeriesKey, Change)> {
    let mut last: BTreeMap<(SeriesKey, Timestamp), Change> = BTreeMap::new();
    for (key, change) in changes {
        last.insert((key, change.incident().onset), change);
    }
    last.into_iter().map(|((key, _), change)| (key, change)).collect()
}

/// Whether so many posts came since the past was judged that the detectors are to be built anew.
pub fn is_past_changed(posts_now: f64, posts_judged: f64) -> bool {
    posts_now - posts_judged > PAST_MIN.max(PAST_SHARE * posts_judged)
}

/// The count of an interval; counts of earlier intervals are dropped.
fn take(waiting: &mut &[(Timestamp, f64)], at: Timestamp) -> f64 {
    while let [(time, mentions), rest @ ..] = *waiting {
        match time.cmp(&at) {
            Ordering::Less => *waiting = rest,
            Ordering::Equal => return *mentions,
            Ordering::Greater => break,
        }
    }
    0.0
}

/// Which of two series comes first if nothing else tells them apart: categories say most.
fn precedence(a: &SeriesKey, b: &SeriesKey) -> Ordering {
    let is_category = |key: &SeriesKey| key.category().is_some();
    a.topic.cmp(&b.topic).then(is_category(b).cmp(&is_category(a))).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::subject;
    use chrono::Timelike;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_timestamp(1_772_323_200 + hour * 3600, 0).unwrap()
    }

    fn part(dimension: Dimension, value: &str) -> SeriesKey {
        SeriesKey { topic: Some("trains".into()), part: Some((dimension, value.into())) }
    }

    fn negative() -> SeriesKey {
        part(Dimension::Sentiment, "negative")
    }

    fn grid_of(time_zone: Tz) -> Grid {
        let false_alarms = FalseAlarms::WEEKLY;
        Grid::new(GridConfig { interval_s: 3600, false_alarms, time_zone, series_max: 20_000, parts_max: 50 })
    }

    /// Judges one hour with these mentions.
    fn push(
        grid: &mut Grid,
        from: Timestamp,
        mentions: impl IntoIterator<Item = (SeriesKey, f64)>,
    ) -> Vec<(SeriesKey, Change)> {
        let counts = mentions.into_iter().map(|(key, mentions)| (key, vec![(from, mentions)])).collect();
        grid.push(&counts, &[], TimeRange { from, to: from + Duration::hours(1) })
    }

    /// Three weeks of 100 mentions an hour, 40 of them negative, 60 neutral, 90 on x and 10 in reviews, with a factor of
    /// `change` in each hour of the last day; what is reported.
    fn reported(change: impl Fn(&SeriesKey, i64) -> f64) -> Vec<(SeriesKey, Change)> {
        let usual = [
            (SeriesKey::whole("trains"), 100.0),
            (negative(), 40.0),
            (part(Dimension::Sentiment, "neutral"), 60.0),
            (part(Dimension::Platform, "x"), 90.0),
            (part(Dimension::Platform, "reviews"), 10.0),
        ];
        let mut grid = grid_of(Tz::UTC);
        let mut reported = Vec::new();
        for hour in 0..24 * 21 {
            // Counts vary by 10%, the same in every run.
            let noise = 1.0 + 0.1 * ((hour * 7919 % 101) as f64 / 50.0 - 1.0);
            let factor = |key| noise * if hour >= 24 * 20 { change(key, hour - 24 * 20) } else { 1.0 };
            let mentions = usual.iter().map(|(key, usual)| (key.clone(), (usual * factor(key)).round()));
            reported.extend(push(&mut grid, at(hour), mentions));
        }
        reported
    }

    fn opened(reported: &[(SeriesKey, Change)]) -> Vec<&SeriesKey> {
        reported.iter().filter(|(_, change)| matches!(change, Change::Opened(_))).map(|(key, _)| key).collect()
    }

    #[test]
    fn quiet_weeks_report_nothing() {
        assert!(reported(|_, _| 1.0).is_empty());
    }

    #[test]
    fn a_surge_of_all_parts_is_reported_once_by_the_whole() {
        let reported = reported(|_, hour| if (0..6).contains(&hour) { 5.0 } else { 1.0 });
        assert_eq!(opened(&reported), [&SeriesKey::whole("trains")]);
        assert!(reported.iter().all(|(key, _)| key.part.is_none()), "{reported:?}");
        assert!(reported.iter().any(|(_, change)| matches!(change, Change::Ended(_))));
    }

    #[test]
    fn a_shift_within_the_whole_is_reported_by_the_part_that_shows_it_most() {
        // Sentiment turns while the volume stays; reviews of the same hours follow.
        let reported = reported(|key, hour| match (subject(key).as_str(), (0..8).contains(&hour)) {
            ("trains: negative", true) => 2.4,
            ("trains: neutral", true) => 0.1,
            ("trains: reviews", true) => 2.2,
            _ => 1.0,
        });
        let opened = opened(&reported);
        assert!(opened.contains(&&negative()), "{opened:?}");
        assert!(!opened.contains(&&part(Dimension::Platform, "reviews")), "a surge of the same hours: {opened:?}");
        assert!(!opened.contains(&&SeriesKey::whole("trains")));
    }

    #[test]
    fn a_change_to_summer_time_is_no_incident_in_the_time_zone_that_has_it() {
        // Eight weeks of days with a night by Berlin's clock, 10,000 mentions an hour in the mean, from 2 February 2026.
        let opened_by = |time_zone: chrono_tz::Tz| {
            let begin = at(-27 * 24);
            let mut grid = grid_of(time_zone);
            let mut reported = Vec::new();
            for hour in 0..24 * 63 {
                let from = begin + Duration::hours(hour);
                let clock = from.with_timezone(&chrono_tz::Europe::Berlin).hour();
                let day = 1.0 + 0.6 * ((f64::from(clock) - 14.0) / 24.0 * std::f64::consts::TAU).cos();
                let noise = 1.0 + 0.01 * ((hour * 7919 % 101) as f64 / 50.0 - 1.0);
                let mentions = (1e4 * day * noise).round();
                reported.extend(push(&mut grid, from, [(SeriesKey::whole("trains"), mentions)]));
            }
            opened(&reported).len()
        };
        assert_eq!(opened_by(chrono_tz::Europe::Berlin), 0);
        assert!(opened_by(chrono_tz::Tz::UTC) > 0, "the shift shows by another clock");
    }

    #[test]
    fn wholes_and_parts_share_the_budget_by_halves() {
        let mut grid = grid_of(Tz::UTC);
        let shares =
            |grid: &Grid| -> Vec<u32> { grid.series.values().map(|series| series.detector.series()).collect() };
        push(&mut grid, at(0), ["a", "b", "c"].map(|topic| (SeriesKey::whole(topic), 1.0)));
        assert_eq!(shares(&grid), [3, 3, 3]);
        push(&mut grid, at(1), [(negative(), 1.0)]);
        assert_eq!(shares(&grid), [6, 6, 6, 2]);
    }

    #[test]
    fn a_source_that_invents_values_displaces_neither_topics_nor_the_values_that_matter() {
        let mut grid = grid_of(Tz::UTC);
        grid.config.parts_max = 30;
        let real = || part(Dimension::Platform, "x");
        push(&mut grid, at(0), [(real(), 90.0), (SeriesKey::whole("trains"), 90.0)]);
        for hour in 1..8 {
            let invented = (0..3000).map(|nth| (part(Dimension::Platform, &format!("{hour} {nth}")), 1.0));
            let of_topic = [(real(), 90.0), (SeriesKey::whole(&format!("later {hour}")), 5.0)];
            push(&mut grid, at(hour), invented.chain(of_topic));
        }
        assert!(grid.series.contains_key(&real()));
        assert_eq!(grid.series.keys().filter(|key| key.part.is_none()).count(), 8);
        assert_eq!(grid.series.len(), 8 + 30);
        assert!(grid.left_out > 2900);
    }

    #[test]
    fn an_interval_that_was_not_counted_has_no_mentions() {
        let counts = [(at(1), 3.0), (at(4), 5.0)];
        let mut waiting = &counts[..];
        assert_eq!([0, 1, 2, 4, 5].map(|hour| take(&mut waiting, at(hour))), [0.0, 3.0, 0.0, 5.0, 0.0]);
    }

    #[test]
    fn only_many_posts_of_the_past_change_it() {
        assert!(!is_past_changed(49.0, 0.0) && is_past_changed(51.0, 0.0));
        assert!(!is_past_changed(100_400.0, 100_000.0) && is_past_changed(100_600.0, 100_000.0));
    }
}

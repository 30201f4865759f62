//! What was spent of YouTube's quota: units a day, which count anew at midnight in Pacific time. A unit is noted before it
//! is spent, so a crash never lets us spend more than the day's limit.

use crate::kit::failure::Failure;
use crate::kit::poll::Problem;
use chrono::{Days, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::America::Los_Angeles;
use domain::{StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use state::Cursor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Videos that are remembered of one search: the newest.
const VIDEOS_MAX: usize = 50;

/// What is remembered of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Spent {
    /// The day in Pacific time.
    day: NaiveDate,
    units: u64,
    /// When each search was last made, and the videos that it found, the newest first.
    found: BTreeMap<String, Found>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) searched_at: Timestamp,
    pub(super) videos: Vec<String>,
}

/// The ledger of a source.
pub(super) struct Ledger {
    cursor: Cursor<Spent>,
    units_max: u64,
}

impl Ledger {
    pub(super) async fn load(state: Arc<dyn StateStore>, key: String, units_max: u64) -> domain::Result<Self> {
        Ok(Self { cursor: Cursor::load(state, key).await?, units_max })
    }

    /// Units spent today.
    pub(super) fn units(&self) -> u64 {
        self.cursor.value.units
    }

    /// Notes units that are about to be spent, unless that is more than is left of the day.
    pub(super) async fn spend(&mut self, units: u64, now: Timestamp) -> Result<(), Problem> {
        let spent = &mut self.cursor.value;
        let today = now.with_timezone(&Los_Angeles).date_naive();
        if spent.day != today {
            (spent.day, spent.units) = (today, 0);
        }
        if spent.units + units > self.units_max {
            let message = format!("{} of {} units of today's quota are spent", spent.units, self.units_max);
            return Err(Failure::Rate { message, retry_at: Some(midnight(now)) }.into());
        }
        spent.units += units;
        Ok(self.cursor.save().await?)
    }

    /// YouTube says that nothing is left, because others use the same key.
    pub(super) async fn used_up(&mut self) -> domain::Result<()> {
        self.cursor.value.units = self.cursor.value.units.max(self.units_max);
        self.cursor.save().await
    }

    pub(super) fn found(&self, search: &str) -> Option<&Found> {
        self.cursor.value.found.get(search)
    }

    /// Adds the videos of a search that was made now.
    pub(super) async fn add_found(&mut self, search: &str, videos: Vec<String>, now: Timestamp) -> domain::Result<()> {
        let found = self.cursor.value.found.entry(search.to_owned()).or_default();
        let mut all = videos;
        all.extend(found.videos.iter().filter(|video| !all.contains(video)).cloned().collect::<Vec<_>>());
        all.truncate(VIDEOS_MAX);
        *found = Found { searched_at: now, videos: all };
        self.cursor.save().await
    }
}

/// The next midnight in Pacific time.
pub(super) fn midnight(now: Timestamp) -> Timestamp {
    let tomorrow = now.with_timezone(&Los_Angeles).date_naive() + Days::new(1);
    // Clocks are changed at two, so each midnight exists once.
    Los_Angeles.from_local_datetime(&tomorrow.and_time(NaiveTime::MIN)).earliest().map_or(now, |at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::MemoryState;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[tokio::test]
    async fn never_more_than_the_days_units_are_spent() {
        let state: Arc<MemoryState> = Arc::default();
        let load = || Ledger::load(state.clone(), "quota".into(), 101);
        let mut ledger = load().await.unwrap();
        ledger.spend(100, at("2026-11-28T10:00:00Z")).await.unwrap();
        drop(ledger);
        let mut ledger = load().await.unwrap();
        ledger.spend(1, at("2026-11-28T20:00:00Z")).await.unwrap();
        match ledger.spend(1, at("2026-11-29T07:59:00Z")).await {
            Err(Problem::Platform(Failure::Rate { retry_at, .. })) => {
                assert_eq!(retry_at, Some(at("2026-11-29T08:00:00Z")))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(ledger.units(), 101);
        ledger.spend(1, at("2026-11-29T08:00:01Z")).await.unwrap();
        assert_eq!(ledger.units(), 1, "a new day in Pacific time");
    }

    #[test]
    fn midnight_is_that_of_california() {
        assert_eq!(midnight(at("2026-07-01T12:00:00Z")), at("2026-07-02T07:00:00Z"));
        assert_eq!(midnight(at("2026-11-01T06:30:00Z")), at("2026-11-01T07:00:00Z"));
        assert_eq!(midnight(at("2026-11-01T12:00:00Z")), at("2026-11-02T08:00:00Z"), "clocks go back");
        assert_eq!(midnight(at("2026-03-08T12:00:00Z")), at("2026-03-09T07:00:00Z"), "clocks go forward");
    }

    #[tokio::test]
    async fn the_newest_videos_of_a_search_are_remembered() {
        let mut ledger = Ledger::load(Arc::new(MemoryState::default()), "quota".into(), 100).await.unwrap();
        let now = at("2026-11-28T10:00:00Z");
        let videos = |numbers: std::ops::Range<u32>| numbers.map(|number| number.to_string()).collect::<Vec<_>>();
        ledger.add_found("trains", videos(0..40), now).await.unwrap();
        ledger.add_found("trains", videos(35..60), now).await.unwrap();
        let found = ledger.found("trains").unwrap();
        assert_eq!((found.videos.len(), found.videos.first().unwrap().as_str()), (50, "35"));
        assert_eq!(found.videos[25], "0");
    }
}

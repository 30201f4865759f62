//! Hours in which only critical alerts go out, by the clock on the wall of a time zone.

use crate::clock::Timestamp;
use crate::error::Error;
use chrono::{Days, NaiveTime, TimeZone};
use chrono_tz::Tz;
use std::str::FromStr;

/// `22:00-07:00 Europe/Berlin`; an end before the beginning lies on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    begin: NaiveTime,
    end: NaiveTime,
    zone: Tz,
}

impl FromStr for QuietHours {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::reject(format!("quiet hours {text:?} are not of the form 22:00-07:00 Europe/Berlin"));
        let (hours, zone) = text.trim().split_once(' ').unwrap_or((text.trim(), "UTC"));
        let (begin, end) = hours.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| wrong());
        Ok(Self { begin: time(begin)?, end: time(end)?, zone: zone.trim().parse().map_err(|_| wrong())? })
    }
}

impl QuietHours {
    /// When the quiet that `now` falls into ends; none when it is not quiet.
    pub fn end_after(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.with_timezone(&self.zone);
        let time = local.time();
        let overnight = self.end <= self.begin;
        let quiet =
            if overnight { time >= self.begin || time < self.end } else { time >= self.begin && time < self.end };
        if !quiet {
            return None;
        }
        let day = if overnight && time >= self.begin { local.date_naive() + Days::new(1) } else { local.date_naive() };
        // A wall-clock time that summer time skips does not exist: an hour later does.
        let end = day.and_time(self.end);
        let at = self.zone.from_local_datetime(&end).earliest();
        let at = at.or_else(|| self.zone.from_local_datetime(&(end + chrono::TimeDelta::hours(1))).earliest());
        at.map(|at| at.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quiet_hours_over_midnight_end_in_the_morning_of_their_zone() {
        let quiet: QuietHours = "22:00-07:00 Europe/Berlin".parse().unwrap();
        assert_eq!(quiet.end_after(at("2026-07-01T21:00:00Z")), Some(at("2026-07-02T05:00:00Z")));
        assert_eq!(quiet.end_after(at("2026-01-02T05:30:00Z")), Some(at("2026-01-02T06:00:00Z")));
        assert_eq!(quiet.end_after(at("2026-01-02T06:00:00Z")), None);
    }

    #[test]
    fn an_end_that_summer_time_skips_is_an_hour_later() {
        let quiet: QuietHours = "22:00-02:30 Europe/Berlin".parse().unwrap();
        assert_eq!(quiet.end_after(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn what_is_no_span_of_hours_is_refused() {
        for wrong in ["", "22-7", "22:00-25:00 UTC", "22:00-07:00 Berlin"] {
            assert!(wrong.parse::<QuietHours>().is_err(), "{wrong}");
        }
    }
}

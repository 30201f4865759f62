//! What the detector promises: quiet on what is usual, quick on what is not, the same whatever the size, no look-ahead.

use chrono::Duration;
use detect::{
    Backtest, Change, Config, Detector, Kind, backtest, draw_svg, draw_terminal, fill, interval_of, missing,
    out_of_order, read_csv, write_csv,
};
use domain::Timestamp;
use proptest::prelude::*;

#[path = "simulation/mod.rs"]
mod simulation;
use simulation::{Random, start, usual};

fn hour(index: i64) -> Timestamp {
    start() + Duration::hours(index)
}

fn series(seed: u64, hours: i64, level: f64, dispersion: f64, factor: impl Fn(i64) -> f64) -> Vec<(Timestamp, f64)> {
    let mut random = Random::new(seed);
    (0..hours).map(|h| (hour(h), random.count(usual(level, h) * factor(h), dispersion))).collect()
}

fn hourly(rows: Vec<(Timestamp, f64)>) -> Backtest {
    backtest(Config::every(3600), rows)
}

fn onsets(result: &Backtest) -> Vec<Timestamp> {
    result.rows.iter().filter(|row| row.anomaly).map(|row| row.at).collect()
}

/// False alarms of a year of a hundred hourly series, from 2 to 10,000 mentions an hour.
fn false_alarms_a_year(dispersion: f64) -> usize {
    let of_series = |seed: u64| {
        let level = 2.0 * 1.09_f64.powi(seed as i32);
        onsets(&hourly(series(seed + 1, 8760, level, dispersion, |_| 1.0))).len()
    };
    (0..100).map(of_series).sum()
}

#[test]
fn false_alarms_are_as_many_as_the_budget_allows() {
    // One a week over 100 series is 52 a year. The mean of several years is within 30% of it (bench/detect/README.md);
    // one year varies by 7 more.
    for dispersion in [0.0, 0.05, 0.1, 0.3, 0.5] {
        let alarms = false_alarms_a_year(dispersion);
        assert!((30..=75).contains(&alarms), "{alarms} false alarms at over-dispersion {dispersion}");
    }
}

#[test]
fn measurements_are_judged_by_their_own_variance() {
    // A price of 0.10 that varies by a hundredth: 0.15 is far out, though a count with that mean would vary by 0.3.
    let mut random = Random::new(3);
    let price =
        |h: i64, noise: f64| if h == 1000 { 0.15 } else { 0.10 + 0.001 * (noise - 20.0).clamp(-12.0, 12.0) / 4.0 };
    let rows = (0..1200).map(|h| (hour(h), price(h, random.count(20.0, 0.0)))).collect();
    let result = hourly(rows);
    let highest = result.rows.iter().max_by(|a, b| a.anomaly_score.total_cmp(&b.anomaly_score)).map(|row| row.at);
    assert_eq!(highest, Some(hour(1000)));
    let row = result.rows[1000];
    assert!(row.anomaly_score > 0.4 && row.upper < 0.15 && row.lower > 0.06, "{row:?}");
}

#[test]
fn a_tripled_level_is_found_within_two_intervals_and_told_once() {
    let begin = 24 * 28;
    let mut late = 0;
    for seed in 0..40 {
        let mut random = Random::new(seed + 100);
        let rows =
            (0..begin + 12).map(|h| (hour(h), random.count(if h < begin { 20.0 } else { 60.0 }, 0.02))).collect();
        let found: Vec<_> = onsets(&hourly(rows)).into_iter().filter(|at| *at >= hour(begin)).collect();
        late += usize::from(found.first().is_none_or(|at| *at > hour(begin + 1)));
        assert!(found.len() <= 1, "one incident was told {} times", found.len());
    }
    assert!(late <= 2, "{late} of 40 were found late");
}

#[test]
fn a_constant_series_raises_nothing() {
    for value in [0.0, 1.0, 7.0, 30_000.0] {
        assert!(onsets(&hourly((0..2000).map(|h| (hour(h), value)).collect())).is_empty(), "{value}");
    }
}

#[test]
fn the_score_means_the_same_for_small_and_large_series() {
    // The share of points above a score is alike for 3 an hour and 30,000 an hour.
    let share = |level| {
        let result = hourly(series(5, 8760, level, 0.05, |_| 1.0));
        let mut detector = Detector::new(Config::every(3600));
        let high = result.rows.iter().filter(|row| detector.push(row.at, row.value).score > 0.35).count();
        high as f64 / 8760.0
    };
    let (small, large) = (share(3.0), share(30_000.0));
    assert!(small < 0.02 && large < 0.02 && (small - large).abs() < 0.008, "{small} against {large}");
}

#[test]
fn long_storms_deafen_little_more_than_short_ones() {
    // A burst every two days teaches how rare bursts are; that it lasts makes hardly more of them.
    let last_score = |length: i64| {
        let mut random = Random::new(9);
        let mut detector = Detector::new(Config::every(300));
        let interval = Duration::minutes(5);
        let mut best = 0.0_f64;
        for index in 0..288 * 40_i64 {
            let burst = index >= 288 * 4 && index % 576 < length;
            let factor = if index >= 288 * 40 - 12 {
                8.0
            } else if burst {
                4.0
            } else {
                1.0
            };
            let point = detector.push(start() + interval * index as i32, random.count(40.0 * factor, 0.05));
            if factor == 8.0 {
                best = best.max(point.onset_score);
            }
        }
        best
    };
    let (short, long) = (last_score(2), last_score(48));
    assert!(short > 0.6 && short - long < 0.2, "{short} after short storms, {long} after long ones");
}

#[test]
fn a_year_later_or_tenfold_the_same_is_found() {
    let storm = |h: i64| if (900..908).contains(&h) { 5.0 } else { 1.0 };
    let rows = series(31, 1200, 200.0, 0.1, storm);
    let found = |rows: Vec<(Timestamp, f64)>| onsets(&hourly(rows));
    let here = found(rows.clone());
    assert_eq!(here, [hour(900)]);
    // 52 weeks later every hour has the same place in its week.
    let later = Duration::weeks(52);
    let moved = found(rows.iter().map(|(at, value)| (*at + later, *value)).collect());
    assert_eq!(moved, here.iter().map(|at| *at + later).collect::<Vec<_>>());
    assert_eq!(found(rows.iter().map(|(at, value)| (*at, value * 10.0)).collect()), here);
}

#[test]
fn a_long_storm_is_one_anomaly_and_two_storms_are_two() {
    let storms = |h: i64| if (900..930).contains(&h) || (1100..1104).contains(&h) { 6.0 } else { 1.0 };
    assert_eq!(onsets(&hourly(series(37, 1300, 80.0, 0.05, storms))), [hour(900), hour(1100)]);
}

#[test]
fn a_bad_csv_is_refused_with_its_line_and_a_good_one_read_in_every_form() {
    let good = "timestamp,value\n2015-02-26 21:42:53,5\n\"2015-02-26T21:47:53Z\",6\n1424987573,7\n";
    assert_eq!(read_csv(good).unwrap().iter().map(|row| row.1).collect::<Vec<_>>(), [5.0, 6.0, 7.0]);
    for (bad, says) in [
        ("timestamp,value\nyesterday,5\n", "line 2: \"yesterday\" is not a time"),
        ("timestamp,value\n2015-02-26 21:42:53,many\n", "line 2: \"many\" is not a number"),
        ("timestamp,value\n2015-02-26 21:42:53,-1\n", "line 2: \"-1\" is not a count"),
        ("timestamp value\n2015-02-26T21:42:53\n", "line 2: two columns"),
        ("timestamp,value\n12345,5\n", "line 2: \"12345\" is not a time"),
        ("timestamp,value\n", "there are no rows"),
    ] {
        let error = read_csv(bad).unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn times_are_read_in_every_form_that_exports_have() {
    let hours = |rows: &[(Timestamp, f64)]| rows.iter().map(|(at, _)| at.timestamp()).collect::<Vec<_>>();
    let expected = [1_772_323_200, 1_772_326_800];
    for text in [
        "timestamp,value\n2026-03-01 00:00:00,1\n2026-03-01T01:00,2\n",
        "t;v\n1772323200000;1\n1772326800000;2\n",
        "1772323200,1\n1772326800.0,2\n",
        "t\tv\n1772323200000000\t1\n2026-03-01 02:00:00+01:00\t2\n",
        "2026-03-01,1\n2026-03-01 01:00:00 UTC,2\n",
    ] {
        assert_eq!(hours(&read_csv(text).unwrap()), expected, "{text}");
    }
    let days = read_csv("day,count\n2026-03-01,5\n2026-03-02,6\n2026-03-03,7\n").unwrap();
    assert_eq!(interval_of(&days), Some(86_400));
}

#[test]
fn intervals_without_a_row_are_counted_and_can_be_filled() {
    let rows: Vec<_> = [0, 1, 2, 5, 6, 9].map(|h| (hour(h), 3.0)).into();
    assert_eq!(missing(&rows, 3_600), Some((hour(3), 4)));
    let filled = fill(rows, 3_600).unwrap();
    assert_eq!(missing(&filled, 3_600), None);
    let zeros: Vec<_> = filled.iter().filter(|row| row.1 == 0.0).map(|row| row.0).collect();
    assert_eq!(zeros, [hour(3), hour(4), hour(7), hour(8)]);
    assert!(fill(vec![(hour(0), 1.0), (hour(9_000_000), 1.0)], 3_600).unwrap_err().contains("too many"));
    assert_eq!(out_of_order(&[(hour(1), 1.0), (hour(1), 1.0), (hour(0), 1.0), (hour(2), 1.0)]), 2);
}

#[test]
fn nothing_looks_ahead() {
    let rows = series(9, 1500, 40.0, 0.1, |h| if h > 1200 { 4.0 } else { 1.0 });
    let whole = hourly(rows.clone());
    for length in [1, 50, 700, 1201, 1203, 1400] {
        assert_eq!(hourly(rows[..length].to_vec()).rows, whole.rows[..length]);
    }
}

#[test]
fn a_dead_source_is_told_apart_from_a_drop() {
    let kind = |factor: f64| {
        let result = hourly(series(11, 24 * 30, 200.0, 0.02, |h| if h >= 24 * 29 + 12 { factor } else { 1.0 }));
        result.incidents.iter().rfind(|incident| incident.onset >= hour(24 * 29)).map(|incident| incident.kind)
    };
    assert_eq!(kind(0.0), Some(Kind::Silence));
    assert_eq!(kind(0.1), Some(Kind::Drop));
}

#[test]
fn gaps_and_duplicates_are_survived() {
    let mut rows = series(13, 24 * 40, 50.0, 0.05, |_| 1.0);
    rows.drain(300..350);
    rows.drain(600..601);
    let again = rows[500];
    rows.insert(501, (again.0, 100_000.0));
    rows.insert(700, (rows[100].0, 100_000.0));
    rows[800].1 = f64::NAN;
    rows[801].1 = -3.0;
    assert_eq!(onsets(&hourly(rows)), Vec::<Timestamp>::new());
}

#[test]
fn the_change_to_summer_time_raises_nothing() {
    // A smooth day, as people have; the weekend's edge of `usual` is a step that would be an anomaly of its own.
    for level in [20.0_f64, 2000.0] {
        let usual = |level: f64, hour: i64| level * (1.0 + 0.6 * (hour as f64 / 24.0 * std::f64::consts::TAU).cos());
        let mut random = Random::new(17);
        let rows = (0..24 * 120)
            .map(|h| (hour(h), random.count(usual(level, if h > 24 * 90 { h + 1 } else { h }), 0.05)))
            .collect();
        assert!(onsets(&hourly(rows)).iter().all(|at| *at < hour(24 * 90) || *at > hour(24 * 97)), "{level}");
    }
}

#[test]
fn slow_growth_raises_nothing() {
    let rows = series(19, 24 * 180, 50.0, 0.05, |h| 1.0 + h as f64 / (24.0 * 60.0));
    assert!(onsets(&hourly(rows)).len() <= 1);
}

#[test]
fn a_new_level_is_adopted() {
    let rows = series(23, 24 * 60, 100.0, 0.05, |h| if h > 24 * 40 { 5.0 } else { 1.0 });
    let mut detector = Detector::new(Config::every(3600));
    let mut adopted = None;
    for (at, value) in rows {
        if matches!(detector.push(at, value).change, Some(Change::Adopted(_))) {
            adopted.get_or_insert(at);
        }
    }
    let adopted = adopted.expect("the level was never adopted");
    assert!(adopted > hour(24 * 41) && adopted < hour(24 * 45), "{adopted}");
    assert!(detector.incident().is_none());
}

#[test]
fn the_csv_and_the_pictures_show_the_storm() {
    let result = hourly(series(29, 24 * 30, 100.0, 0.02, |h| if h == 24 * 29 { 20.0 } else { 1.0 }));
    let csv = write_csv(&result);
    assert!(csv.starts_with("timestamp,value,expected,lower,upper,anomaly_score,anomaly\n"));
    assert_eq!(csv.lines().filter(|line| line.ends_with(",1")).count(), 1);
    assert_eq!(read_csv(&csv).unwrap().len(), 24 * 30);
    assert!(draw_svg("a <b>", &result).contains("a &lt;b&gt;") && draw_svg("x", &result).contains("class=\"a\""));
    assert!(draw_terminal(&result, 100).contains('^'));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_text_as_a_series_is_judged_or_refused(pieces in proptest::collection::vec(prop_oneof![
        Just("2026-03-01"), Just(" 05:00"), Just(","), Just(";"), Just("\n"), Just("1772323200000"), Just("99999999999"),
        Just("1e16"), Just("-1"), Just("NaN"), Just("\""), Just("100000001,3\n"), Just("2026-03-01 01:00,7\n"), Just("é"),
    ], 0..40)) {
        if let Ok(rows) = read_csv(&pieces.concat()) && let Some(interval_s) = interval_of(&rows) {
            missing(&rows, interval_s);
            prop_assert!(fill(rows.clone(), interval_s).is_err() || rows.len() < 1_000_000);
            let result = backtest(Config::every(interval_s), rows.iter().copied());
            prop_assert_eq!(result.rows.len(), rows.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_input_gives_finite_answers(values in proptest::collection::vec(prop_oneof![0.0..1e9_f64, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)], 1..200), steps in proptest::collection::vec(-5_i64..500, 200)) {
        let mut detector = Detector::new(Config::every(300));
        let mut at = start();
        for (value, step) in values.into_iter().zip(steps) {
            at += Duration::seconds(step * 60);
            let point = detector.push(at, value);
            prop_assert!(point.expected.is_finite() && point.lower.is_finite() && point.upper.is_finite());
            prop_assert!((0.0..=1.0).contains(&point.score) && (0.0..=1.0).contains(&point.onset_score));
        }
    }
}

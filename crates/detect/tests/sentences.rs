//! The text of twenty situations against `golden/sentences.txt`; `make golden` writes it anew.

use chrono::Duration;
use chrono_tz::Tz;
use detect::{Explanation, Kind, Repeated, Spread, sentence};
use domain::{Driver, Timestamp};

struct Situation {
    name: &'static str,
    subject: &'static str,
    kind: Kind,
    begin: &'static str,
    hours: i64,
    zone: Tz,
    explanation: Explanation,
}

fn situation(name: &'static str, kind: Kind, observed: f64, expected: f64) -> Situation {
    let explanation = Explanation { observed, expected, ..Explanation::default() };
    let begin = "2026-03-06T14:00:00Z";
    Situation { name, subject: "Voltaro Energy", kind, begin, hours: 3, zone: chrono_tz::UTC, explanation }
}

fn driver(dimension: &str, value: &str, contribution: f64) -> Driver {
    Driver {
        dimension: dimension.parse().unwrap(),
        value: value.into(),
        observed: 0.0,
        expected: 0.0,
        contribution,
        new: false,
    }
}

impl Situation {
    fn about(mut self, drivers: &[(&str, &str, f64)]) -> Self {
        self.explanation.drivers.extend(drivers.iter().map(|(d, v, c)| driver(d, v, *c)));
        self
    }

    fn new_terms(mut self, terms: &[&str]) -> Self {
        self.explanation.new_terms.extend(terms.iter().map(|term| driver("phrase", term, 0.1)));
        self
    }

    fn spelled(mut self, value: &str, spelling: &str) -> Self {
        self.explanation.spellings.insert(value.into(), spelling.into());
        self
    }

    fn negative(mut self, share: f64, before: f64) -> Self {
        (self.explanation.negative_share, self.explanation.negative_share_before) = (Some(share), Some(before));
        self
    }

    fn copied(mut self, text: &str, mentions: f64, largest: u32) -> Self {
        self.explanation.repeated = Some(Repeated { text: text.into(), mentions });
        self.explanation.spread = Spread { originals: 40, copies: largest - 1, largest, authors: 90 };
        self
    }

    fn at(self, begin: &'static str, hours: i64, zone: Tz) -> Self {
        Self { begin, hours, zone, ..self }
    }

    fn of(self, subject: &'static str) -> Self {
        Self { subject, ..self }
    }

    fn told(&self) -> String {
        let begin: Timestamp = self.begin.parse().unwrap();
        let end = begin + Duration::hours(self.hours);
        sentence(self.subject, self.kind, begin, end, self.zone, &self.explanation)
    }
}

fn surges() -> Vec<Situation> {
    let surge = |name, observed, expected| situation(name, Kind::Surge, observed, expected);
    let outage = [("phrase", "power outage", 0.5), ("entity", "bremen", 0.2), ("entity", "lübeck", 0.2)];
    let berlin = chrono_tz::Europe::Berlin;
    vec![
        surge("a surge with reasons", 274.0, 31.0)
            .about(&outage)
            .spelled("bremen", "Bremen")
            .spelled("lübeck", "Lübeck")
            .negative(0.93, 0.4),
        surge("one reason", 80.0, 20.0).about(&[("phrase", "price increase", 0.7)]).negative(0.6, 0.55),
        surge("a part of the increase", 80.0, 20.0).about(&[("hashtag", "#tariff", 0.2)]),
        surge("nothing known but the numbers", 120.0, 30.0),
        surge("a very large surge", 3120.0, 30.0).negative(0.2, 0.2),
        surge("where none are usual", 12.0, 0.1).about(&[("phrase", "data leak", 0.9)]).negative(1.0, 0.0),
        surge("a new phrase", 90.0, 30.0).about(&outage[..1]).new_terms(&["cable fire"]).negative(0.7, 0.3),
        surge("new phrases alone", 90.0, 30.0).new_terms(&["cable fire", "transformer station", "third one"]),
        surge("one country", 90.0, 30.0).about(&[("country", "NO", 0.8)]),
        surge("one author", 90.0, 30.0).about(&[("author", "busybody", 0.8)]),
        surge("one post passed on", 150.0, 20.0).copied("Our fleet's on fleek.", 110.0, 103).negative(0.1, 0.4),
        surge("some copies", 150.0, 20.0).about(&outage[..1]).copied("Win a prize today, only today!", 30.0, 20),
        surge("the mood turns good", 90.0, 30.0).about(&[("phrase", "new store", 0.6)]).negative(0.05, 0.5),
        surge("over midnight, another zone", 90.0, 30.0).at("2026-03-06T22:00:00Z", 3, berlin).negative(0.5, 0.5),
        surge("a category of a topic", 90.0, 30.0).of("Voltaro Energy: outage").negative(0.9, 0.6),
        surge("names within names", 90.0, 30.0).about(&[
            ("phrase", "power outage", 0.4),
            ("phrase", "outage", 0.3),
            ("entity", "Voltaro Energy", 0.3),
        ]),
    ]
}

fn losses() -> Vec<Situation> {
    vec![
        situation("a drop", Kind::Drop, 12.0, 66.0).about(&[("platform", "reddit", 0.9)]),
        situation("a small drop before dawn", Kind::Drop, 40.0, 66.0)
            .at("2026-03-06T02:00:00Z", 1, chrono_tz::UTC)
            .negative(0.1, 0.4),
        situation("a silence", Kind::Silence, 0.0, 66.0),
        situation("a silence of a quiet topic", Kind::Silence, 0.0, 7.4).at("2026-03-06T00:00:00Z", 24, chrono_tz::UTC),
    ]
}

#[test]
fn golden_sentences_of_twenty_situations() {
    let situations: Vec<Situation> = surges().into_iter().chain(losses()).collect();
    assert_eq!(situations.len(), 20);
    let told: String = situations.iter().map(|one| format!("# {}\n{}\n\n", one.name, one.told())).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sentences.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(path).unwrap(), "`make golden` writes it anew");
}

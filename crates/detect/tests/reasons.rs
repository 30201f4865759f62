//! Why: drivers, copies told from complaints, and the sentence.

use detect::{Counts, Kind, PostInWindow, Question, ValueCount, explain, sentence};

fn counts(mentions: f64, negative: f64, values: &[(&str, &str, f64)]) -> Counts {
    let values = values
        .iter()
        .map(|(d, v, count)| ValueCount { dimension: (*d).into(), value: (*v).into(), count: *count })
        .collect();
    Counts { mentions, negative, values }
}

fn storm() -> Question {
    Question {
        window: counts(
            412.0,
            334.0,
            &[
                ("language", "en", 405.0),
                ("key_phrase", "snow", 160.0),
                ("entity", "DFW", 120.0),
                ("key_phrase", "rebook", 90.0),
                ("key_phrase", "seat", 12.0),
                ("hashtag", "#snowmageddon", 1.0),
            ],
        ),
        baseline: counts(
            264.0,
            120.0,
            &[
                ("language", "en", 258.0),
                ("key_phrase", "snow", 4.0),
                ("key_phrase", "rebook", 16.0),
                ("key_phrase", "seat", 8.0),
            ],
        ),
        expected: Some(66.0),
        baseline_windows: 4.0,
        posts: Vec::new(),
    }
}

#[test]
fn the_sentence_says_what_how_much_when_and_why() {
    let (begin, end) = ("2015-02-22T22:00:00Z".parse().unwrap(), "2015-02-22T23:00:00Z".parse().unwrap());
    let text = sentence("late flight", Kind::Surge, begin, end, chrono_tz::America::New_York, &explain(&storm()));
    assert_eq!(
        text,
        "Mentions of *late flight* are 6.2× what is normal for a Sunday evening (412 against 66, 17:00–18:00 EST): *snow*, *DFW*, *rebook* explain most of it; 81 % negative (usually 45 %)."
    );
}

#[test]
fn the_sentence_names_what_is_talked_about_before_who_and_where() {
    let mut question = storm();
    for (dimension, value) in [("author", "busybody"), ("country", "CN")] {
        question.window.values.push(ValueCount { dimension: dimension.into(), value: value.into(), count: 300.0 });
    }
    let (begin, end) = ("2015-02-22T22:00:00Z".parse().unwrap(), "2015-02-22T23:00:00Z".parse().unwrap());
    let tell =
        |question: &Question| sentence("late flight", Kind::Surge, begin, end, chrono_tz::UTC, &explain(question));
    assert!(tell(&question).contains(": *snow*, *DFW*, *rebook* explain"), "{}", tell(&question));
    question.window.values.retain(|v| matches!(v.dimension.as_str(), "author" | "country"));
    assert!(tell(&question).contains(": *CN*, *busybody* explain"), "{}", tell(&question));
}

#[test]
fn what_only_grew_along_is_no_driver() {
    let explanation = explain(&storm());
    let names: Vec<&str> = explanation.drivers.iter().map(|d| d.value.as_str()).collect();
    assert_eq!(names, ["snow", "DFW", "rebook"]);
    assert!(explanation.drivers[1].new && !explanation.drivers[0].new);
    assert!((explanation.drivers[0].contribution - 159.0 / 346.0).abs() < 1e-9);
}

fn post(id: usize, text: &str, repost_of: Option<&str>) -> PostInWindow {
    PostInWindow {
        post_id: format!("x:{id}"),
        text: text.into(),
        repost_of: repost_of.map(Into::into),
        ..PostInWindow::default()
    }
}

#[test]
fn one_post_passed_on_is_told_from_many_complaints() {
    let mut posts = vec![post(0, "the engine is on fire over denver", None), post(1, "lost my suitcase again", None)];
    posts.extend((2..30).map(|id| post(id, "the engine is on fire over denver", Some("x:0"))));
    let explanation = explain(&Question { posts, ..storm() });
    assert!(explanation.spread.is_viral());
    assert_eq!((explanation.spread.originals, explanation.spread.largest), (2, 29));
    let shown: Vec<(&str, u32)> = explanation.examples.iter().map(|e| (e.post_id.as_str(), e.copies)).collect();
    assert_eq!(shown, [("x:0", 29), ("x:1", 1)]);
}

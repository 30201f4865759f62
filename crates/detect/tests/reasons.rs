//! Why: drivers, copies told from complaints, and the sentence.

use detect::{Counts, Kind, PostInWindow, Question, ValueCount, explain, sentence};
use domain::Dimension;

fn counts(mentions: f64, negative: f64, values: &[(&str, &str, f64)]) -> Counts {
    let values = values
        .iter()
        .map(|(d, v, count)| ValueCount {
            dimension: d.parse().unwrap(),
            value: (*v).into(),
            count: *count,
            voices: *count,
        })
        .collect();
    Counts { mentions, negative, voices: mentions, values }
}

fn storm() -> Question {
    Question {
        window: counts(
            412.0,
            334.0,
            &[
                ("language", "en", 405.0),
                ("phrase", "snow", 160.0),
                ("entity", "DFW", 120.0),
                ("phrase", "rebook", 90.0),
                ("phrase", "seat", 12.0),
                ("hashtag", "#snowmageddon", 1.0),
            ],
        ),
        baseline: counts(
            264.0,
            120.0,
            &[("language", "en", 258.0), ("phrase", "snow", 4.0), ("phrase", "rebook", 16.0), ("phrase", "seat", 8.0)],
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
        "Mentions of *late flight* are 6.2× the usual: 412 instead of 66 on Sunday evening (17:00–18:00 EST). Most of the increase is about *snow*, *DFW* and *rebook*; 81% are negative (usually 45%)."
    );
}

#[test]
fn the_sentence_names_what_is_talked_about_before_who_and_where() {
    let mut question = storm();
    for (dimension, value) in [("author", "busybody"), ("country", "CN")] {
        question.window.values.push(ValueCount {
            dimension: dimension.parse().unwrap(),
            value: value.into(),
            count: 300.0,
            voices: 300.0,
        });
    }
    let (begin, end) = ("2015-02-22T22:00:00Z".parse().unwrap(), "2015-02-22T23:00:00Z".parse().unwrap());
    let tell =
        |question: &Question| sentence("late flight", Kind::Surge, begin, end, chrono_tz::UTC, &explain(question));
    assert!(tell(&question).contains("is about *snow*, *DFW* and *rebook*"), "{}", tell(&question));
    question.window.values.retain(|v| matches!(v.dimension, Dimension::Author | Dimension::Country));
    assert!(tell(&question).contains("comes from *CN* and *busybody*"), "{}", tell(&question));
}

#[test]
fn what_only_grew_along_is_no_driver() {
    let explanation = explain(&storm());
    let names: Vec<&str> = explanation.drivers.iter().map(|d| d.value.as_str()).collect();
    assert_eq!(names, ["snow", "DFW", "rebook"]);
    assert!(explanation.drivers[1].new && !explanation.drivers[0].new);
    assert!((explanation.drivers[0].contribution - 159.0 / 346.0).abs() < 1e-9);
}

#[test]
fn forms_of_a_word_and_parts_of_a_phrase_are_one_reason() {
    let mut question = storm();
    let values = [
        ("phrase", "cancelled flight", 60.0),
        ("phrase", "Cancelled Flights", 30.0),
        ("phrase", "flight cancelled", 20.0),
        ("phrase", "cancelled", 130.0),
        ("hashtag", "#Snow", 50.0),
        ("phrase", "rebook agent", 20.0),
    ];
    let count = |(dimension, value, count): (&str, &str, f64)| ValueCount {
        dimension: dimension.parse().unwrap(),
        value: value.into(),
        count,
        voices: count,
    };
    question.window.values.extend(values.map(count));
    let explanation = explain(&question);
    let reasons: Vec<(&str, f64)> = explanation.drivers.iter().map(|d| (d.value.as_str(), d.observed)).collect();
    // The phrase says most of what its word does; of "rebook" its longer phrase says little.
    assert_eq!(reasons, [("cancelled flight", 110.0), ("snow", 160.0), ("DFW", 120.0), ("rebook", 90.0)]);
}

#[test]
fn what_one_person_repeats_is_no_reason() {
    let mut question = storm();
    let loud = |voices| ValueCount { dimension: Dimension::Phrase, value: "win a prize".into(), count: 150.0, voices };
    question.window.values.push(loud(2.0));
    assert!(explain(&question).drivers.iter().all(|d| d.value != "win a prize"));
    question.window.values.pop();
    question.window.values.push(loud(140.0));
    assert!(explain(&question).drivers.iter().any(|d| d.value == "win a prize"));
}

#[test]
fn new_terms_are_a_list_of_their_own() {
    let mut question = storm();
    let term = |value: &str, voices: f64| ValueCount {
        dimension: Dimension::Phrase,
        value: value.into(),
        count: voices,
        voices,
    };
    question.baseline.voices *= 2.0;
    question.window.values.extend([term("travel waiver", 5.0), term("waiver", 5.0), term("ground stop", 2.0)]);
    let new = |question: &Question| -> Vec<String> {
        explain(question).new_terms.into_iter().map(|term| term.value).collect()
    };
    assert_eq!(new(&question), ["travel waiver"]);
    let (begin, end) = ("2015-02-22T22:00:00Z".parse().unwrap(), "2015-02-22T23:00:00Z".parse().unwrap());
    let told = sentence("late flight", Kind::Surge, begin, end, chrono_tz::UTC, &explain(&question));
    assert!(told.contains("*rebook*; mentioned for the first time: *travel waiver*; 81% are negative"), "{told}");
    // A baseline too small to have had it says nothing of what is new.
    question.baseline.voices = 20.0;
    assert!(new(&question).is_empty());
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

#[test]
fn words_that_are_quoted_from_one_post_are_no_reason_but_told_as_copies() {
    let mut question = storm();
    let mut posts: Vec<PostInWindow> = (0..40)
        .map(|id| {
            let own = ["lol", "no", "why", "please stop", "real tweet", "who okayed this"][id % 6];
            post(id, &format!("{own} “@air{id}: Our fleet's on fleek. http://t.co/{id}”"), None)
        })
        .collect();
    posts.extend((40..160).map(|id| {
        let complaint = ["snow at gate", "no crew because of snow near", "two hours of snow and then row"][id % 3];
        post(id, &format!("stuck {} {complaint} {id} in {}", id * 7, id * 3), None)
    }));
    question.posts = posts;
    let fleek = ValueCount { dimension: Dimension::Phrase, value: "fleek".into(), count: 103.0, voices: 103.0 };
    question.window.values.push(fleek);
    let explanation = explain(&question);
    let names: Vec<&str> = explanation.drivers.iter().map(|d| d.value.as_str()).collect();
    assert!(!names.contains(&"fleek") && names.contains(&"snow"), "{names:?}");
    assert!(explanation.new_terms.is_empty());
    let (begin, end) = ("2015-02-22T22:00:00Z".parse().unwrap(), "2015-02-22T23:00:00Z".parse().unwrap());
    let told = sentence("air", Kind::Surge, begin, end, chrono_tz::UTC, &explanation);
    assert!(
        told.contains("; 103 mentions repeat one post, “no Our fleet's on fleek”; 81% are negative (usually 45%)."),
        "{told}"
    );
}

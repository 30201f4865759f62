//! Whatever people write, understanding answers for every post, in order, and every offset cuts the original text where
//! it says. Runs on the small random models of the parity fixtures, and without a model.

#[path = "readers/offsets.rs"]
mod offsets;

use domain::{Enrichment, SentimentLabel};
use nlp::{Config, Understanding};
use offsets::check;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::LazyLock;

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(case)
}

fn language_model() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/lid.176.ftz")
}

fn tiny() -> Config {
    Config {
        model_dir: Some(folder("overheard")),
        language_model: Some(language_model()),
        threads: 2,
        entity_confidence_min: 0.0,
        ..Config::default()
    }
}

static TINY: LazyLock<Understanding> = LazyLock::new(|| Understanding::load(&tiny()).unwrap());

static FOREIGN: LazyLock<Understanding> = LazyLock::new(|| {
    let config = Config {
        sentiment_model: Some(folder("xlm-roberta")),
        entity_model: Some(folder("xlm-roberta-tokens")),
        category_model: Some(folder("bert")),
        ..tiny()
    };
    Understanding::load(&config).unwrap()
});

fn read(understanding: &Understanding, text: &str) -> Enrichment {
    understanding.read(&[(text, None)]).pop().unwrap().unwrap()
}

fn odd_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\0",
        "\0\0a\0",
        "😀",
        "😀😀😀😀",
        "👩‍👩‍👧🇩🇪👍🏽",
        "\u{301}",
        "\u{301}\u{301}a",
        "\u{202e}\u{202d}abc\u{202c}",
        "\u{200f}שלום\u{200e}",
        "@",
        "#",
        "$",
        "@@@@",
        "http://",
        "https://t.co/x @user #tag $AAPL",
        "&amp;&lt;&#x1F600;&bad;",
        "<s></s><mask>",
        "ﷺﷺﷺ",
        "İİİ",
        "ＡＢＣ　ｄ",
        "e\u{301}\u{323}",
        "\u{feff}bom",
        "\r\n\t\u{b}\u{c}",
        "\u{fffd}",
        "ا\u{640}\u{640}\u{640}ا",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([
        "\u{301}".repeat(3000),
        "😀".repeat(3000),
        "a".repeat(70_000),
        "字".repeat(5000),
        "@a ".repeat(4000),
        "\0".repeat(4000),
        "&".repeat(9000),
    ]);
    texts
}

#[test]
fn odd_texts_are_understood_like_any_other() {
    let texts = odd_texts();
    let pairs: Vec<(&str, Option<&str>)> = texts.iter().map(|text| (text.as_str(), Some("en-US"))).collect();
    for understanding in [&*TINY, &*FOREIGN] {
        let answers = understanding.read(&pairs);
        assert_eq!(answers.len(), texts.len());
        for (text, answer) in texts.iter().zip(answers) {
            let found = answer.unwrap();
            assert!(found.sentiment.is_some());
            check(text, &found);
        }
    }
}

#[test]
fn a_megabyte_is_read_as_far_as_the_limit_goes_and_the_rest_is_stated() {
    let understanding = Understanding::load(&Config { model_bytes_max: 64 << 10, ..tiny() }).unwrap();
    let text = "The queue at Heathrow was endless 😡 ".repeat(1 << 15);
    assert!(text.len() > 1 << 20);
    let found = read(&understanding, &text);
    check(&text, &found);
    assert!(
        found.issues.iter().any(|issue| issue.starts_with("text: the models read the first 65")),
        "{:?}",
        found.issues
    );
    assert!(found.issues.iter().any(|issue| issue.contains("windows")), "{:?}", found.issues);
}

#[test]
fn every_model_keeps_the_promises_of_the_port() {
    let without_model = Config { language_model: Some(language_model()), ..Config::default() };
    for understanding in [&*TINY, &*FOREIGN, &Understanding::load(&without_model).unwrap()] {
        testkit::conformance::enricher(understanding);
    }
}

#[test]
fn without_a_model_rules_and_language_remain() {
    let config = Config { language_model: Some(language_model()), ..Config::default() };
    let understanding = Understanding::load(&config).unwrap();
    let found = read(&understanding, "Der Kaffee bei @user war wirklich gut, danke! #Kaffee");
    assert_eq!((found.language.code.as_str(), found.sentiment, found.embedding.len()), ("de", None, 0));
    assert_eq!(found.model, "rules");
    assert_eq!(found.entities.len(), 2);
    assert!(!found.key_phrases.is_empty());
}

#[test]
fn a_foreign_classifier_stands_in_for_its_head_alone() {
    let text = "Angela Merkel sprach gestern in Berlin";
    let (own, foreign) = (read(&TINY, text), read(&FOREIGN, text));
    assert_ne!(own.sentiment, foreign.sentiment);
    assert_eq!(own.emotion, foreign.emotion);
    assert_eq!(own.embedding, foreign.embedding);
    assert_eq!(
        (own.model.as_str(), foreign.model.as_str()),
        ("tiny 1.0", "tiny 1.0 + xlm-roberta + xlm-roberta-tokens + bert")
    );
    assert!(own.category.is_none() && foreign.category.is_some());
    let label = foreign.category.unwrap().label;
    assert!(["negative", "neutral", "positive", "other"].contains(&label.as_str()), "{label}");
}

#[test]
fn a_model_that_does_not_fit_its_place_is_refused_with_the_reason() {
    let error = |config| Understanding::load(&config).err().unwrap().to_string();
    let words = error(Config { sentiment_model: Some(folder("xlm-roberta-tokens")), ..Config::default() });
    assert!(words.contains("labels words, not texts"), "{words}");
    let texts = error(Config { entity_model: Some(folder("bert")), ..Config::default() });
    assert!(texts.contains("does not label entities"), "{texts}");
    let nothing = error(Config { model_dir: Some(folder("nowhere")), ..Config::default() });
    assert!(nothing.contains("config.json"), "{nothing}");
}

#[test]
fn a_classifier_says_what_it_can_stand_in_for() {
    let tasks = |case: &str| {
        let classifier = nlp::classifier::Classifier::load(&folder(case), nlp::encoder::Options::default()).unwrap();
        nlp::Task::of(&classifier).into_iter().map(nlp::Task::as_str).collect::<Vec<_>>()
    };
    assert_eq!(tasks("bert"), ["sentiment", "category"]);
    assert_eq!(tasks("bert-tokens"), ["entities"]);
}

#[test]
fn the_enrichment_of_a_post_does_not_depend_on_its_batch() {
    let texts = odd_texts();
    let texts: Vec<&str> =
        texts.iter().map(String::as_str).take(20).chain(["I love it", "kein Empfang in Berlin"]).collect();
    let pairs: Vec<_> = texts.iter().map(|text| (*text, None)).collect();
    for (text, together) in texts.iter().zip(TINY.read(&pairs)) {
        assert_eq!(read(&TINY, text), together.unwrap(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_understood(text in "(?s)(.|[@#$&;👍🏽a-z]|\\p{Arabic}|\\p{Han}|\\p{Thai}|\\p{M}){0,120}") {
        let found = read(&FOREIGN, &text);
        prop_assert!(found.sentiment.is_some_and(|s| s.label != SentimentLabel::Mixed || s.mixed > 0.2));
        check(&text, &found);
    }
}

/// The shipped model's judgement of what it was not trained on, by what it was.
#[test]
fn capitals_and_newer_emoji_are_judged_as_what_they_stand_for() {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/overheard-small");
    let shipped = Understanding::load(&Config { model_dir: Some(shipped), ..tiny() }).unwrap();
    let judged = |text: &str| read(&shipped, text).sentiment.unwrap();
    for text in [
        "the staff were rude and nobody answered the phone",
        "das essen war kalt und die bedienung unfreundlich",
        "merci à toute l'équipe, c'était parfait",
        "still no answer after three weeks",
    ] {
        let (small, capitals) = (judged(text), judged(&text.to_uppercase()));
        assert!(small.label == capitals.label && (small.negative - capitals.negative).abs() < 0.01, "{text}");
    }
    for (text, label) in [
        ("🤬🤮", SentimentLabel::Negative),
        ("😂😂", SentimentLabel::Positive),
        ("Nordbahn 🤬", SentimentLabel::Negative),
        ("Tarif 2027 🤮🤮🤮", SentimentLabel::Negative),
        ("#nordbahn 😾", SentimentLabel::Negative),
        ("Nordbahn 🥳🥳", SentimentLabel::Positive),
        ("@nordbahn 🫶🏽", SentimentLabel::Positive),
    ] {
        assert_eq!(judged(text).label, label, "{text}");
    }
}

/// Sentiment of 300 validation posts, in small letters and in capitals. Skipped without the labelled data.
#[test]
fn capitals_cost_no_more_than_two_points_of_recall() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("OVERHEARD_DATA").map_or(root.join("../shared/data"), PathBuf::from);
    let lines = |name: &str| std::fs::read_to_string(data.join("tweeteval/sentiment").join(name));
    let (Ok(texts), Ok(labels)) = (lines("val_text.txt"), lines("val_labels.txt")) else {
        eprintln!("skipped: no labelled data in {}", data.display());
        return;
    };
    let shipped = Config { model_dir: Some(root.join("models/overheard-small")), threads: 2, ..Config::default() };
    let shipped = Understanding::load(&shipped).unwrap();
    let texts: Vec<&str> = texts.lines().take(300).collect();
    let recall = |change: fn(&str) -> String| {
        let texts: Vec<String> = texts.iter().map(|text| changed(text, change)).collect();
        let pairs: Vec<(&str, Option<&str>)> = texts.iter().map(|text| (text.as_str(), None)).collect();
        let mut counts = [(0_u32, 0_u32); 3];
        for (answer, label) in shipped.read(&pairs).into_iter().zip(labels.lines()) {
            let found = answer.unwrap().sentiment.unwrap();
            let scores = [found.negative, found.neutral, found.positive];
            let best = (0..3).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
            let label: usize = label.parse().unwrap();
            counts[label] = (counts[label].0 + u32::from(best == label), counts[label].1 + 1);
        }
        counts.iter().map(|(right, all)| 100.0 * f64::from(*right) / f64::from(*all)).sum::<f64>() / 3.0
    };
    let (small, capitals) = (recall(str::to_lowercase), recall(str::to_uppercase));
    println!("macro recall: {small:.1} in small letters, {capitals:.1} in capitals");
    assert!(capitals > small - 2.0, "{small:.1} in small letters, {capitals:.1} in capitals");
}

/// With other letters in all words but user names and links.
fn changed(text: &str, change: fn(&str) -> String) -> String {
    let word = |word: &str| if word.starts_with('@') || word == "http" { word.to_owned() } else { change(word) };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

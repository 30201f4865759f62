//! Topic queries from the outside: what they find, how mistakes are told, that the matcher of many agrees with the
//! query alone and with a naive reference, and that X's rules never let through less than the query asks for.

use chrono::{TimeZone, Utc};
use domain::topic::{Query, TopicMatcher};
use domain::{Author, Post, PostId, Provenance, SourceId, Topic};
use proptest::prelude::*;

fn post(text: &str) -> Post {
    let at = Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap();
    Post {
        id: PostId::parse("x:1").unwrap(),
        source: SourceId("test".into()),
        platform: "x".into(),
        text: text.into(),
        author: Some(Author { username: Some("VahidESQ".into()), ..Author::default() }),
        url: None,
        occurred_at: at,
        received_at: at,
        language_hint: Some("pt-BR".into()),
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: vec![],
        reach: None,
        provenance: Provenance::Stream,
        topics_hint: vec![],
        payload_format: None,
        payload: "{}".into(),
    }
}

fn topic(name: &str, query: &str) -> Topic {
    Topic { name: name.into(), query: query.into(), created_at: Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap() }
}

#[test]
fn queries_find_what_they_say() {
    // (query, texts that match, texts that don't)
    let table: &[(&str, &[&str], &[&str])] = &[
        ("delta", &["Delta!", "#delta", "@Delta's crew", "DELTA"], &["deltas", "flydelta", ""]),
        ("delta united", &["united and delta"], &["delta", "united"]),
        ("delta OR united jfk", &["delta", "united at JFK"], &["united", "jfk"]),
        ("(delta OR united) jfk", &["delta jfk"], &["delta"]),
        ("delta -dawn", &["delta"], &["delta dawn"]),
        ("delta NOT (dawn OR force)", &["delta"], &["delta force", "dawn delta"]),
        ("delta AND NOT dawn", &["delta"], &["delta dawn"]),
        (
            "\"customer service\"",
            &["great Customer  Service", "customer-service"],
            &["service customer", "customer's service"],
        ),
        ("“customer service”", &["customer service"], &["customer"]),
        ("cancel*", &["cancelled", "cancel", "Cancellation"], &["uncancelled", "can"]),
        ("\"flight cancel*\"", &["my flight cancelled"], &["flight was cancelled"]),
        ("#fail", &["so #fail", "#FAIL!"], &["fail", "#failing"]),
        ("@united", &["@United help", ".@united"], &["united", "@unitedway", "me@united"]),
        ("$UAL", &["buy $ual now"], &["ual", "$uals"]),
        ("from:@vahidesq bags", &["my bags"], &["nothing"]),
        ("from:someone", &[], &["anything"]),
        ("lang:pt voo", &["meu voo"], &["flight"]),
        ("nestlé", &["NESTLE", "Nestlé"], &["nest"]),
        ("東京 OR กรุงเทพ", &["今日は東京タワー", "ไปกรุงเทพกัน"], &["大阪"]),
        ("😡", &["no!😡😡"], &["😀"]),
        ("follow-up", &["a follow-up", "follow up"], &["followup"]),
        ("AT&T", &["at&t is down", "AT&amp;T is down"], &["at t"]),
        ("why?", &["but why"], &["whys"]),
        ("100% +1", &["100% of it, +1"], &["100"]),
        ("C++ rock'n'roll w/o", &["c++ and rock'n'roll w/o"], &["c"]),
        ("\"or\"", &["this or that"], &["more"]),
        ("a*b", &[], &[]),
    ];
    for (query, yes, no) in table {
        let Ok(parsed) = Query::parse(query) else {
            assert!(yes.is_empty() && no.is_empty(), "{query} must be read");
            continue;
        };
        let many = TopicMatcher::new(vec![topic("t", query)]).unwrap();
        for (texts, expected) in [(yes, true), (no, false)] {
            for text in *texts {
                assert_eq!(parsed.matches(&post(text), None), expected, "{query} in {text:?}");
                assert_eq!(!many.matches(&post(text), None).is_empty(), expected, "matcher: {query} in {text:?}");
            }
        }
    }
}

#[test]
fn the_language_found_goes_before_the_platforms_claim() {
    let query = Query::parse("lang:en").unwrap();
    assert!(query.matches(&post("x"), Some("en")));
    assert!(!query.matches(&post("x"), None), "the post claims pt-BR");
    assert!(Query::parse("lang:pt-PT").unwrap().matches(&post("x"), Some("und")), "und is no answer");
}

#[test]
fn a_language_includes_its_varieties() {
    for (query, found, expected) in [
        ("lang:no", "nb", true),
        ("lang:nb", "nb", true),
        ("lang:nb", "nn", false),
        ("lang:ar", "arz", true),
        ("lang:zh", "yue", true),
        ("lang:hi", "hi-Latn", true),
        ("lang:en", "nb", false),
    ] {
        assert_eq!(Query::parse(query).unwrap().matches(&post("x"), Some(found)), expected, "{query} {found}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    let table = [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("delta (united", 6, "never closed"),
        ("delta) united", 5, "closes nothing"),
        ("delta \"customer service", 6, "never closed"),
        ("delta OR", 8, "OR needs a word after it"),
        ("OR delta", 0, "OR needs a word before it"),
        ("delta or united", 6, "capital letters"),
        ("delta && united", 6, "capital letters"),
        ("delta ()", 6, "empty"),
        ("delta - dawn", 6, "stands alone"),
        ("-dawn", 0, "must not be there"),
        ("delta OR -dawn", 0, "must not be there"),
        ("can*cel", 3, "end of a word"),
        ("a*", 0, "before a *"),
        ("delta !!!", 6, "punctuation"),
        ("has:images delta", 0, "not known"),
        ("from: delta", 5, "needs a value"),
        ("lang:english", 5, "language code"),
        ("delta AND OR united", 10, "AND needs"),
        ("東京 (大阪", 3, "never closed"),
        ("customer NEAR/5 service", 9, "near each other"),
        ("customer onear/3 service", 9, "near each other"),
        ("\"customer service\"~5", 18, "near each other"),
        ("gr?y", 2, "any letter"),
        ("gray OR colou?r", 13, "any letter"),
        ("cancel% refund", 6, "use a *"),
        ("refund~2", 6, "similar words"),
        ("refund^4", 6, "weights"),
        ("refund|return", 6, "write OR"),
        ("+refund bank", 0, "leave out the +"),
        ("bank !refund", 5, "write a -"),
        ("/ref.*d/", 0, "patterns"),
        ("[1 TO 5]", 0, "ranges"),
        ("refund ANDNOT bank", 7, "AND, OR, NOT"),
        ("title:refund", 0, "not known"),
    ];
    for (query, at, part) in table {
        let error = Query::parse(query).expect_err(query);
        assert_eq!(error.at, at, "{query}: {error}");
        assert!(error.message.contains(part), "{query}: {error}");
    }
    let error = Query::parse("delta (united").unwrap_err();
    assert_eq!(error.to_string(), "this ( is never closed: add a )\n  delta (united\n        ^");
    assert_eq!(Query::parse("東京 (大阪").unwrap_err().pointer(), "  東京 (大阪\n  \u{3000}\u{3000} ^");
}

#[test]
fn limits_hold_without_a_panic() {
    assert!(Query::parse(&"a".repeat(4_097)).unwrap_err().message.contains("4097"));
    assert!(Query::parse(&"ab ".repeat(257)).unwrap_err().message.contains("256"));
    assert!(Query::parse(&"(".repeat(4_000)).unwrap_err().message.contains("levels"));
    assert!(Query::parse(&"-".repeat(4_000)).is_err());
    assert!(Query::parse(&format!("{}a{}", "(".repeat(31), ")".repeat(31))).is_ok());
}

#[test]
fn one_bad_topic_is_named() {
    let error = TopicMatcher::new(vec![topic("good", "a b"), topic("bad one", "(")]).unwrap_err();
    assert!(error.to_string().contains("bad one"), "{error}");
    let (matcher, problems) = TopicMatcher::of_readable(vec![topic("good", "a"), topic("old", "gr?y")]).unwrap();
    assert_eq!((matcher.len(), problems.len(), problems[0].contains("\"old\"")), (1, 1, true), "the good one goes on");
    assert!(topic("x".repeat(65).as_str(), "a").check().is_err());
    assert!(topic(" a", "a").check().is_err());
    assert!(topic("airlines", "united").check().is_ok());
}

/// A query as a tree over a tiny vocabulary, with its own naive meaning.
#[derive(Debug, Clone)]
enum Tree {
    Word(usize),
    Prefix(usize),
    Pair(usize, usize),
    Tag(usize),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
}

const WORDS: [&str; 5] = ["ab", "abc", "zürich", "de", "f1"];

impl Tree {
    fn write(&self) -> String {
        match self {
            Tree::Word(n) => WORDS[*n].into(),
            Tree::Prefix(n) => format!("{}*", WORDS[*n]),
            Tree::Pair(n, m) => format!("\"{} {}\"", WORDS[*n], WORDS[*m]),
            Tree::Tag(n) => format!("#{}", WORDS[*n]),
            Tree::And(parts) => format!("({})", parts.iter().map(Tree::write).collect::<Vec<_>>().join(" ")),
            Tree::Or(parts) => format!("({})", parts.iter().map(Tree::write).collect::<Vec<_>>().join(" OR ")),
            Tree::Not(part) => format!("-{}", part.write()),
        }
    }

    /// The meaning, on words cut at white space.
    fn holds(&self, words: &[String]) -> bool {
        let plain = |n: usize| WORDS[n].replace('ü', "u");
        let bare = |word: &String| word.trim_start_matches('#').to_string();
        match self {
            Tree::Word(n) => words.iter().any(|word| bare(word) == plain(*n)),
            Tree::Prefix(n) => words.iter().any(|word| bare(word).starts_with(&plain(*n))),
            Tree::Pair(n, m) => words.windows(2).any(|pair| bare(&pair[0]) == plain(*n) && pair[1] == plain(*m)),
            Tree::Tag(n) => words.iter().any(|word| *word == format!("#{}", plain(*n))),
            Tree::And(parts) => parts.iter().all(|part| part.holds(words)),
            Tree::Or(parts) => parts.iter().any(|part| part.holds(words)),
            Tree::Not(part) => !part.holds(words),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let word = 0..WORDS.len();
    let leaf = prop_oneof![
        4 => word.clone().prop_map(Tree::Word),
        1 => word.clone().prop_map(Tree::Prefix),
        1 => (word.clone(), word.clone()).prop_map(|(n, m)| Tree::Pair(n, m)),
        1 => word.prop_map(Tree::Tag),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Tree::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Tree::Or),
            inner.prop_map(|part| Tree::Not(Box::new(part))),
        ]
    })
}

fn texts() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned),
        prop::sample::select(WORDS.to_vec()).prop_map(|word| format!("#{}", word.to_uppercase())),
        prop::sample::select(vec!["abcd", "zurich", "xab", "unrelated", "!!", "1"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

fn naive_words(text: &str) -> Vec<String> {
    text.split_whitespace().filter(|word| *word != "!!").map(|word| word.to_lowercase().replace('ü', "u")).collect()
}

proptest! {
    #[test]
    fn query_and_matcher_agree_with_the_naive_reading(forest in prop::collection::vec(trees(), 1..5), text in texts()) {
        let readable: Vec<(String, Tree)> = forest.into_iter().enumerate()
            .map(|(n, tree)| (n.to_string(), tree))
            .filter(|(_, tree)| Query::parse(&tree.write()).is_ok())
            .collect();
        let expected: Vec<String> = readable.iter()
            .filter(|(_, tree)| tree.holds(&naive_words(&text)))
            .map(|(name, _)| name.clone())
            .collect();
        let subject = post(&text);
        let alone: Vec<String> = readable.iter()
            .filter(|(_, tree)| Query::parse(&tree.write()).unwrap().matches(&subject, None))
            .map(|(name, _)| name.clone())
            .collect();
        let topics = readable.iter().map(|(name, tree)| topic(name, &tree.write())).collect();
        prop_assert_eq!(&alone, &expected);
        prop_assert_eq!(TopicMatcher::new(topics).unwrap().matches(&subject, None), expected);
    }

    #[test]
    fn no_input_makes_it_panic(query in "\\PC{0,60}", text in "\\PC{0,60}") {
        if let Ok(query) = Query::parse(&query) {
            query.matches(&post(&text), None);
        }
    }

    #[test]
    fn odd_operators_do_not_make_it_panic(query in "[()\"*#@$ \\-:ORANDTab😡ü東]{0,40}") {
        if let Err(error) = Query::parse(&query) {
            prop_assert!(error.at <= query.chars().count() && error.pointer().contains('^'));
        }
    }
}

//! Topics' queries as rules of X: what X can be asked for, and that the rules never let through less than the query.

use domain::topic::Query;
use proptest::prelude::*;
use sources::x::query::rules;
use testkit::posts::post;

fn post_of(text: &str) -> domain::Post {
    post("1", text)
}

#[test]
fn x_rules_say_what_x_can_be_asked() {
    let rules_of = |query: &str| rules(&Query::parse(query).unwrap());
    let table = [
        ("delta AND united", "delta united"),
        ("delta OR united jfk", "delta OR (united jfk)"),
        ("(delta OR united) NOT dawn", "(delta OR united) -dawn"),
        ("delta -(dawn OR \"air force\")", "delta -dawn -\"air force\""),
        ("delta -(dawn force)", "(delta -dawn) OR (delta -force)"),
        ("nestlé", "nestlé OR nestle"),
        ("-nestlé kitkat", "-nestlé -nestle kitkat"),
        ("follow-up #fail @united $UAL from:United", "\"follow-up\" #fail @united $UAL from:united"),
        ("bag lang:he", "bag lang:iw"),
        ("bag lang:xho", "bag"),
        ("delta cancel*", "delta"),
        ("\"flight cancel*\"", "flight"),
        ("delta -cancel*", "delta"),
        ("delta OR from:a.bsky.social", "delta"),
        ("\"OR\"", "\"OR\""),
        ("😡 delta", "😡 delta"),
    ];
    for (query, expected) in table {
        assert_eq!(rules_of(query).expect(query).rules, [expected], "{query}");
    }
    assert!(rules_of("delta cancel*").unwrap().notes[0].contains("no wildcard"));
    for query in ["cancel*", "delta OR cancel*", "lang:en", "delta OR lang:en", "from:a.bsky.social"] {
        let error = rules_of(query).expect_err(query);
        assert!(!error.what.is_empty() && !error.why.is_empty(), "{query}: {error}");
    }
}

#[test]
fn long_queries_become_several_rules_that_together_ask_the_same() {
    let words: Vec<String> = (0..250).map(|n| format!("airline{n:03}")).collect();
    for query in [words.join(" OR "), format!("({}) delayed -ad", words[..200].join(" OR "))] {
        let rules = rules(&Query::parse(&query).unwrap()).unwrap().rules;
        assert!(rules.len() > 1);
        for rule in &rules {
            assert!(rule.chars().count() <= 1_024, "{}", rule.len());
        }
        let parsed: Vec<Query> = rules.iter().map(|rule| Query::parse(rule).unwrap()).collect();
        for n in [0, 99, 199] {
            let subject = post_of(&format!("airline{n:03} delayed"));
            assert!(parsed.iter().any(|rule| rule.matches(&subject, None)), "{n}");
        }
    }
    let conjunction = words.join(" ");
    let rules = rules(&Query::parse(&conjunction).unwrap()).unwrap();
    assert_eq!(rules.rules.len(), 1);
    assert!(rules.rules[0].chars().count() <= 1_024 && !rules.notes.is_empty());
}

/// Queries over a few words: a word, a phrase, a prefix or a tag, negated, joined and nested.
fn queries() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["ab", "abc", "zürich", "de*", "\"ab f1\"", "#abc"]).prop_map(str::to_owned);
    word.prop_recursive(4, 24, 3, |inner| {
        let parts = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts.clone().prop_map(|parts| format!("({})", parts.join(" "))),
            parts.prop_map(|parts| format!("({})", parts.join(" OR "))),
            inner.prop_map(|part| format!("-{part}")),
        ]
    })
}

fn texts() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["ab", "ABC", "Zürich", "zurich", "def", "f1", "#abc", "unrelated", "!!"]);
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn rules_never_let_through_less(query in queries(), text in texts()) {
        if let Ok(query) = Query::parse(&query) && let Ok(rules) = rules(&query) {
            let subject = post_of(&text);
            let through = rules.rules.iter().any(|rule| Query::parse(rule).unwrap().matches(&subject, None));
            prop_assert!(through || !query.matches(&subject, None), "{} as {:?}", query, rules.rules);
        }
    }

    #[test]
    fn odd_operators_do_not_make_it_panic(query in "[()\"*#@$ \\-:ORANDTab😡ü東]{0,40}") {
        if let Ok(query) = Query::parse(&query) && let Ok(rules) = rules(&query) {
            prop_assert!(rules.rules.iter().all(|rule| !rule.is_empty()));
        }
    }
}

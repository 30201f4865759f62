//! Any text as a topic's query: no panic, a mistake lies within the query, and X's rules keep their limits.
#![no_main]

use domain::topic::Query;
use domain::{Post, PostId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (query, text) = data.split_once('\n').unwrap_or((data, "some words"));
    match Query::parse(query) {
        Ok(parsed) => {
            let at = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
            let post = Post::of_text(PostId::new("x", "1").expect("an id"), text.to_owned(), at);
            let found = parsed.matches(&post, Some("en"));
            assert_eq!(found, parsed.matches(&post, Some("en")));
            if let Ok(rules) = sources::x::query::rules(&parsed) {
                assert!(rules.rules.iter().all(|rule| rule.chars().count() <= 1_024 && !rule.is_empty()));
            }
        }
        Err(error) => assert!(error.at <= query.chars().count() && !error.message.is_empty()),
    }
});

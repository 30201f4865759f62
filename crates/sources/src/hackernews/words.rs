//! What to search for to find the posts of a topic. The search knows only words that must all occur, so it can find more
//! than the topic's query asks for, never less; the posts are matched again.

use domain::topic::text::Ending;
use domain::topic::{Expression, Query, Term};
use std::collections::BTreeSet;

/// Most searches for one topic: each costs a request per poll.
const SEARCHES_MAX: usize = 20;
/// Longest search that the platform accepts.
const LENGTH_MAX_BYTES: usize = 512;

/// Searches that together find all posts of a query, or why there are none.
pub(super) fn searches(query: &Query) -> Result<BTreeSet<String>, String> {
    let found = of(query.expression())
        .ok_or("each alternative needs a word: Hacker News can't be searched by account, language or negation alone")?;
    if found.len() > SEARCHES_MAX {
        return Err(format!("it needs {} searches (at most {SEARCHES_MAX}); use fewer alternatives", found.len()));
    }
    match found.iter().find(|search| search.len() > LENGTH_MAX_BYTES) {
        Some(_) => Err(format!("it needs a search of more than {LENGTH_MAX_BYTES} bytes; use fewer words")),
        None => Ok(found),
    }
}

/// `None`: the expression can match posts without any particular word.
fn of(expression: &Expression) -> Option<BTreeSet<String>> {
    match expression {
        Expression::Term(Term::Text { written, .. }) => Some(BTreeSet::from([written.clone()])),
        Expression::Term(Term::From(_) | Term::Lang(_)) | Expression::Not(_) => None,
        Expression::Or(all) => all.iter().map(of).try_fold(BTreeSet::new(), |mut found, more| {
            found.extend(more?);
            Some(found)
        }),
        Expression::And(all) => {
            let whole: Vec<&str> = all.iter().filter_map(whole_word).collect();
            if whole.len() > 1 {
                return Some(BTreeSet::from([whole.join(" ")]));
            }
            all.iter().filter_map(of).min_by_key(BTreeSet::len)
        }
    }
}

/// Only the last word of a search can be the beginning of a word, so those are not joined.
fn whole_word(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Term(Term::Text { ending: Ending::Whole | Ending::Tag, written, .. }) => Some(written),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_at_least_the_posts_of_the_topic() {
        let found = |query: &str| {
            let found = searches(&Query::parse(query).unwrap())?;
            Ok::<_, String>(found.into_iter().collect::<Vec<_>>().join(" | "))
        };
        assert_eq!(found("delta OR united").unwrap(), "delta | united");
        assert_eq!(found("delta late -jobs").unwrap(), "delta late");
        assert_eq!(found("delta (late OR cancel*)").unwrap(), "delta");
        assert_eq!(found("(delta OR united) cancel*").unwrap(), "cancel");
        assert_eq!(found("\"customer service\" lang:en").unwrap(), "customer service");
        for query in ["from:bo", "delta OR from:bo", "-delta lang:en"] {
            if let Ok(query) = Query::parse(query) {
                assert!(searches(&query).unwrap_err().contains("needs a word"), "{query:?}");
            }
        }
        let many: Vec<String> = (0..30).map(|number| format!("word{number}")).collect();
        assert!(found(&many.join(" OR ")).unwrap_err().contains("30 searches"));
    }
}

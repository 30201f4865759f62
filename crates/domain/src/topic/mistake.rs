//! A mistake in a query, with its place.

use super::text::{Class, class};
use std::fmt;

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong and how to mend it.
    pub message: String,
    /// Where, in characters from the start of the query.
    pub at: usize,
    excerpt: String,
}

impl QueryError {
    /// A mistake at a character of the query.
    pub(super) fn new(query: &[char], at: usize, message: String) -> Self {
        Self { message, at, excerpt: excerpt(query, at) }
    }

    /// Two lines: the query, or the part of it around the mistake, and a caret below the place.
    pub fn pointer(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.message, self.excerpt)
    }
}

impl std::error::Error for QueryError {}

/// The query around the place, with a caret below it; wide characters get a wide blank, so that the caret stands right.
fn excerpt(query: &[char], at: usize) -> String {
    const AROUND: usize = 40;
    let begin = at.saturating_sub(AROUND);
    let end = query.len().min(at + AROUND);
    let mut line = String::from(if begin > 0 { "  …" } else { "  " });
    let mut caret = String::from(if begin > 0 { "   " } else { "  " });
    for (index, c) in query.iter().enumerate().take(end).skip(begin) {
        line.push(if c.is_whitespace() || c.is_control() { ' ' } else { *c });
        if index < at {
            caret.push(if class(*c) == Class::Unspaced { '\u{3000}' } else { ' ' });
        }
    }
    if end < query.len() {
        line.push('…');
    }
    format!("{line}\n{caret}^")
}

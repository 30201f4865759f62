//! What is wrong with something that a person wrote: a topic, a rule, a category, a saved query. The checks stand beside
//! the types and hold alike for the API, the configuration and the command line.

use crate::error::Error;
use crate::topic::QueryError;
use std::borrow::Cow;
use std::fmt;

/// Longest name of a topic, rule, category or saved query, in characters.
pub const NAME_MAX_CHARS: usize = 64;

/// The first mistake in what a person wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, as in the API: `condition.window_s`.
    pub field: Cow<'static, str>,
    /// A sentence for the person who wrote it.
    pub message: String,
    /// Where in the field's text, in characters from 0.
    pub at: Option<usize>,
    /// The text around that place with a caret below it; empty without a place.
    pointer: String,
}

impl Fault {
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), at: None, pointer: String::new() }
    }

    /// A mistake in a query.
    pub fn of_query(field: impl Into<Cow<'static, str>>, error: QueryError) -> Self {
        let pointer = error.pointer().to_owned();
        Self { field: field.into(), at: Some(error.at), pointer, message: error.message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, message, pointer, .. } = self;
        write!(f, "{field}: {message}")?;
        if pointer.is_empty() { Ok(()) } else { write!(f, "\n{pointer}") }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::reject(fault.to_string())
    }
}

/// Checks the name of a topic, rule, category or saved query: 1 to 64 characters without white space at its ends, none of
/// them control characters.
pub fn check_name(field: impl Into<Cow<'static, str>>, name: &str) -> Result<(), Fault> {
    let is_long = name.chars().count() > NAME_MAX_CHARS;
    let message = match name {
        "" => format!("A name has 1 to {NAME_MAX_CHARS} characters."),
        _ if is_long => format!("A name has at most {NAME_MAX_CHARS} characters."),
        name if name.trim() != name => "A name has no white space at its ends.".to_owned(),
        name if name.chars().any(char::is_control) => "A name has no control characters.".to_owned(),
        // Browsers take them out of the addresses of the API.
        "." | ".." => "A name is not . or ..".to_owned(),
        _ => return Ok(()),
    };
    Err(Fault::new(field, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_on_one_line() {
        for name in ["a", "Größe 東京", &"x".repeat(64)] {
            assert_eq!(check_name("name", name), Ok(()), "{name}");
        }
        for name in ["", " ", " a", "a\n", "a\u{7}b", ".", "..", &"x".repeat(65)] {
            assert_eq!(check_name("name", name).unwrap_err().field, "name", "{name:?}");
        }
    }
}

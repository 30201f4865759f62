//! What we listen for: a topic is a name with a boolean query; a post that matches it is a mention of it. Here are the
//! query language ([`query`]), how words are compared ([`text`]) and the matcher of all topics at once ([`matcher`]).

mod foreign;
pub mod matcher;
pub mod query;
pub mod text;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

pub use matcher::TopicMatcher;
pub use query::{Expression, Query, QueryError, Term};

/// A saved query with a name; a post that matches it is a mention of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Unique, 1 to 64 characters.
    pub name: String,
    /// Boolean query, see [`query`].
    pub query: String,
    pub created_at: Timestamp,
}

impl Topic {
    /// Longest name, in characters.
    pub const NAME_MAX_CHARS: usize = 64;

    /// Checks the name and the query; the message of a refusal is for the person who wrote them.
    pub fn check(&self) -> Result<Query> {
        let length = self.name.chars().count();
        if self.name.trim().is_empty() || self.name.trim() != self.name {
            return Err(Error::reject("a topic needs a name, without white space at its ends"));
        }
        if length > Self::NAME_MAX_CHARS {
            return Err(Error::reject(format!(
                "the topic's name has {length} characters; at most {} are accepted",
                Self::NAME_MAX_CHARS
            )));
        }
        if self.name.chars().any(char::is_control) {
            return Err(Error::reject("the topic's name holds control characters"));
        }
        Query::parse(&self.query).map_err(|error| Error::reject(error.to_string()))
    }
}

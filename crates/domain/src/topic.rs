//! What we listen for: a topic is a name with a boolean query; a post that matches it is a mention of it. Here are the
//! query language ([`query`]), how words are compared ([`text`]) and the matcher of all topics at once ([`matcher`]).

mod foreign;
pub mod matcher;
mod mistake;
pub mod query;
pub mod text;

use crate::clock::Timestamp;
use crate::fault::{Fault, check_name};
use crate::series::ALL_POSTS;
use serde::{Deserialize, Serialize};

pub use matcher::TopicMatcher;
pub use mistake::QueryError;
pub use query::{Expression, Query, Term};

/// A saved query with a name; a post that matches it is a mention of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Unique, 1 to 64 characters; [`ALL_POSTS`] is taken.
    pub name: String,
    /// Boolean query, see [`query`].
    pub query: String,
    pub created_at: Timestamp,
}

impl Topic {
    /// The topic without white space at the ends of its name and query.
    pub fn trimmed(self) -> Self {
        Self { name: self.name.trim().to_owned(), query: self.query.trim().to_owned(), ..self }
    }

    /// Checks the name and the query.
    pub fn check(&self) -> Result<Query, Fault> {
        check_name("name", &self.name)?;
        if self.name == ALL_POSTS {
            return Err(Fault::new(
                "name",
                format!("{ALL_POSTS:?} is the name of all posts together; choose another."),
            ));
        }
        Query::parse(&self.query).map_err(|error| Fault::of_query("query", error))
    }
}

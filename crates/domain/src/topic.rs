//! What we listen for.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A saved query with a name; a post that matches it is a mention of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Unique, 1 to 64 characters.
    pub name: String,
    /// Boolean query, see [`query`].
    pub query: String,
    pub created_at: Timestamp,
}

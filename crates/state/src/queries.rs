//! SQL that people save under a name.

use crate::kind::Kind;
use crate::named::Named;
use chrono::{DateTime, Utc};
use domain::{Fault, check_name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A saved query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SavedQuery {
    pub name: String,
    pub sql: String,
    pub saved_by: String,
    pub saved_at: DateTime<Utc>,
}

impl SavedQuery {
    /// Longest statement, in characters.
    pub const SQL_MAX_CHARS: usize = 20_000;

    /// Checks a statement, whether it is saved or run.
    pub fn check_sql(sql: &str) -> Result<(), Fault> {
        if sql.trim().is_empty() {
            return Err(Fault::new("sql", "Write a statement first, for example SELECT count(*) FROM posts."));
        }
        match sql.chars().count() > Self::SQL_MAX_CHARS {
            true => Err(Fault::new("sql", format!("A statement has at most {} characters.", Self::SQL_MAX_CHARS))),
            false => Ok(()),
        }
    }
}

impl Named for SavedQuery {
    const KIND: Kind = Kind::Query;
    const PLURAL: &'static str = "saved queries";
    const COUNT_MAX: usize = 1_000;

    fn name(&self) -> &str {
        &self.name
    }

    fn trimmed(self) -> Self {
        Self { name: self.name.trim().to_owned(), ..self }
    }

    fn check(&self) -> Result<(), Fault> {
        check_name("name", &self.name)?;
        Self::check_sql(&self.sql)
    }
}

//! What can go wrong with the queue's file, and what a caller does about it.

use domain::ErrorKind;
use rusqlite::ErrorCode;
use std::path::PathBuf;

/// The result of this crate's own calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused; `doing` says what it was asked for.
    #[error("{doing}: {source}")]
    Sqlite { doing: &'static str, source: rusqlite::Error },
    /// The file or its folder can't be made or opened.
    #[error("open {}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    /// The file was made by a later version of this program.
    #[error("{} has format {found}; this program reads up to {known}: use the newer program", path.display())]
    NewerFormat { path: PathBuf, found: i64, known: i64 },
    /// A stored record was written by a later version of this program.
    #[error("record {offset} has format {found}; this program reads up to {known}: use the newer program")]
    NewerRecord { offset: u64, found: u8, known: u8 },
    /// The file is another program's database.
    #[error("{} is not a queue of Overheard", path.display())]
    Foreign { path: PathBuf },
    /// The limit on disk is reached: whoever brings records waits.
    #[error("queue is full: {waiting} records ({waiting_bytes} bytes) are waiting")]
    Full { waiting: u64, waiting_bytes: u64 },
    /// An earlier durable write failed, so nothing more is promised until a restart has checked the file.
    #[error("queue takes no more writes after a failed one ({0}); restart to recover")]
    Poisoned(String),
    /// The limit of dead letters is reached.
    #[error(
        "there is no room for more dead letters: {letters} ({letter_bytes} bytes) are kept; look at them with \
         `overheard dead-letters list`, then replay or remove them, or raise queue.dead_letters_max or \
         queue.dead_letters_bytes_max"
    )]
    LettersFull { letters: u64, letter_bytes: u64 },
    /// The number of partitions can't be made smaller.
    #[error("the queue {} has {found} partitions, more than queue.partitions = {wanted}: set it to {found}", path.display())]
    FewerPartitions { path: PathBuf, found: u16, wanted: u16 },
    /// The number of partitions can't change while posts wait.
    #[error(
        "the queue {} has {found} partitions and {waiting} posts wait in it: set queue.partitions to {found}, let them be \
         stored, then set it to {wanted}", path.display()
    )]
    PartitionsInUse { path: PathBuf, found: u16, wanted: u16, waiting: u64 },
    /// What the caller brought can't be stored; nothing else is affected.
    #[error("the queue can't store this: {0}")]
    Refused(String),
    /// A copy of the file can't be made.
    #[error("copy the queue to {}: {reason}", path.display())]
    Copy { path: PathBuf, reason: String },
    /// A document can't be read or written as JSON.
    #[error("{doing}: {source}")]
    Json { doing: &'static str, source: serde_json::Error },
    /// The thread that works for the queue is gone.
    #[error("queue is closed")]
    Closed,
}

impl Error {
    /// What the caller does about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sqlite { source, .. } if passes_by_itself(source) => ErrorKind::Retry,
            Self::Full { .. } | Self::LettersFull { .. } => ErrorKind::Retry,
            Self::Json { .. } | Self::Refused(_) | Self::Copy { .. } => ErrorKind::Reject,
            _ => ErrorKind::Stop,
        }
    }
}

/// Whether SQLite left the file as it was and the same call may work later: another process writes, or the disk is
/// full for now. Everything else (I/O errors, corruption) leaves open what is on disk.
pub(crate) fn passes_by_itself(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull))
}

/// Whether a write failed for what its caller brought (a number or a text that SQLite can't hold). The file is as good
/// as before once that write is undone.
pub(crate) fn is_callers_own(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as Sqlite;
    matches!(error, Sqlite::ToSqlConversionFailure(_) | Sqlite::NulError(_))
        || matches!(error.sqlite_error_code(), Some(ErrorCode::TooBig | ErrorCode::TypeMismatch))
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        domain::Error::caused(error.kind(), error.to_string(), error)
    }
}

/// Names what SQLite was asked for when it refuses.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|source| Error::Sqlite { doing, source })
    }
}

impl<T> Doing<T> for serde_json::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|source| Error::Json { doing, source })
    }
}

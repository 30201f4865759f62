//! What can go wrong in the lake, and what a caller does about it.

use arrow::error::ArrowError;
use deltalake::DeltaTableError;
use domain::ErrorKind;
use parquet::errors::ParquetError;
use std::path::PathBuf;

/// The result of this crate's own calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Delta library refused; `doing` says what it was asked for.
    #[error("{doing} table {table}: {source}")]
    Delta { doing: &'static str, table: &'static str, source: Box<DeltaTableError> },
    /// A data file or a folder can't be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Disk { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// A data file's contents can't be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Parquet { doing: &'static str, path: PathBuf, source: ParquetError },
    /// Rows don't fit the table.
    #[error("rows of table {table}: {source}")]
    Rows { table: &'static str, source: ArrowError },
    /// Another writer was faster every time.
    #[error("table {0} is being changed by another writer; try again")]
    Contended(&'static str),
    /// A batch before this one is missing.
    #[error(
        "table {table} holds partition {partition} up to offset {held} and the batch follows on offset {after}: nothing was \
         written; it can be committed once the batches between are"
    )]
    Gap { table: &'static str, partition: String, held: u64, after: u64 },
    /// There is no lake to read.
    #[error("there is no lake in {}: run `overheard up` or `overheard import` first", .0.display())]
    Missing(PathBuf),
    /// The folder has no address.
    #[error("{0} is not a folder of this machine")]
    NotLocal(String),
    /// The address names no bucket.
    #[error(
        "{0:?} is not the address of a lake: use a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    )]
    Address(String),
    /// Requests would go over the network unencrypted.
    #[error("{0} has no TLS: use https, or set lake.allow_http = true if the network between is trusted")]
    PlainHttp(String),
    /// The bucket can't be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Store { doing: &'static str, path: PathBuf, source: Box<object_store::Error> },
    /// The store lets two writers write the same object.
    #[error(
        "{0} does not support conditional writes (If-None-Match): two writers would overwrite each other's commits; use a \
         store that does"
    )]
    NoPutIfAbsent(String),
    /// The store's listings come late.
    #[error("{0} does not list an object that was just written: commits would not be seen; use a store that does")]
    Stale(String),
    /// What only a lake on the local disk offers.
    #[error("{0} is not offered for a lake in a bucket")]
    NotOnBucket(&'static str),
    /// A write through a lake that was opened for reading.
    #[error("the lake was opened for reading only")]
    ReadOnly,
    /// A table's column has another type than this program writes.
    #[error("table {table}: column {column} is {found}, this program writes {expected}")]
    Schema { table: &'static str, column: String, found: String, expected: String },
    /// Files of the table were lost or cut short.
    #[error("table {table} is damaged: {what}; `overheard check` tells everything, `overheard repair` mends it")]
    Damaged { table: &'static str, what: String },
    /// The lake was written by a later version of this program.
    #[error("{} has format {found}, this program knows up to {known}: start the newer version", path.display())]
    NewerFormat { path: PathBuf, found: u64, known: u64 },
    /// The table has a column that this program would lose when it rewrites rows.
    #[error(
        "table {table} has the column {column}, which this program doesn't know and would lose: start the version that made it"
    )]
    UnknownColumn { table: &'static str, column: String },
    /// The retention would delete most of what there is: a clock that is wrong does that.
    #[error("{0}")]
    Expiry(String),
    /// The query engine can't be set up.
    #[error("set up the query engine: {0}")]
    Engine(#[source] Box<datafusion::error::DataFusionError>),
    /// A worker thread is gone (the process is stopping).
    #[error("the lake is closing")]
    Closing,
}

impl Error {
    /// What the caller does about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ReadOnly
            | Self::Missing(_)
            | Self::NotLocal(_)
            | Self::Address(_)
            | Self::PlainHttp(_)
            | Self::NotOnBucket(_)
            | Self::NoPutIfAbsent(_)
            | Self::Stale(_)
            | Self::Rows { .. } => ErrorKind::Reject,
            Self::Schema { .. }
            | Self::Damaged { .. }
            | Self::NewerFormat { .. }
            | Self::UnknownColumn { .. }
            | Self::Expiry(_)
            | Self::Engine(_)
            | Self::Closing => ErrorKind::Stop,
            // Commits are idempotent, so a repeat is safe; a disk that is full is full for now.
            Self::Delta { .. }
            | Self::Store { .. }
            | Self::Disk { .. }
            | Self::Parquet { .. }
            | Self::Contended(_)
            | Self::Gap { .. } => ErrorKind::Retry,
        }
    }

    pub(crate) fn delta(doing: &'static str, table: &'static str) -> impl FnOnce(DeltaTableError) -> Self {
        move |source| Self::Delta { doing, table, source: Box::new(source) }
    }

    pub(crate) fn disk(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { doing, path, source }
    }

    pub(crate) fn parquet(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { doing, path, source }
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        domain::Error::caused(error.kind(), error.to_string(), error)
    }
}

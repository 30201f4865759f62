//! How a record lies on disk: one byte of format, then JSON, the serde form of `domain::Record`. Format 1 is pinned by
//! `tests/fixtures/v1.db`; format 2 adds `payload_format` and the provenance `poll`, which an older program can't read.

use crate::error::{Doing, Error, Result};
use crate::partitions;
use domain::{PostId, Record};
use xxhash_rust::xxh3::xxh3_128;

const FORMAT: u8 = 2;

/// A record made ready by the caller's thread, so that the writer's thread only writes.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) post_key: [u8; 16],
    /// Keys of the earlier versions that an edit replaces.
    pub(crate) replaced: Vec<[u8; 16]>,
    pub(crate) is_deletion: bool,
    /// Day of the event (of its arrival, for a deletion), counted from 1970-01-01.
    pub(crate) event_day: i64,
    pub(crate) body: Vec<u8>,
}

/// 16 bytes that stand for an id: one in 10^20 that any two of ten billion ids collide.
pub(crate) fn post_key(id: &PostId) -> [u8; 16] {
    key(id.as_str())
}

pub(crate) fn key(id: &str) -> [u8; 16] {
    xxh3_128(id.as_bytes()).to_be_bytes()
}

pub(crate) fn prepare(record: &Record) -> Result<Prepared> {
    let mut body = Vec::with_capacity(1024);
    body.push(FORMAT);
    serde_json::to_writer(&mut body, record).doing("write a record as JSON")?;
    let (is_deletion, at, replaced) = match record {
        Record::Post(post) => {
            let earlier = post.replaces.iter().filter(|id| **id != post.id);
            (false, post.occurred_at, earlier.map(post_key).collect())
        }
        Record::Deletion(deletion) => (true, deletion.received_at, Vec::new()),
    };
    let event_day = at.timestamp().div_euclid(86_400);
    Ok(Prepared { post_key: post_key(record.post_id()), replaced, is_deletion, event_day, body })
}

/// Why a stored record can't be lent.
pub(crate) enum Unreadable {
    /// A later program wrote it: this process must not go on.
    Newer(Error),
    /// It will never be readable: to be set aside with this reason.
    Damaged(String),
}

pub(crate) fn decode(key: u64, body: &[u8]) -> std::result::Result<Record, Unreadable> {
    let offset = partitions::offset_of(key);
    match body.split_first() {
        Some((1..=FORMAT, json)) => {
            serde_json::from_slice(json).map_err(|e| Unreadable::Damaged(format!("stored record {offset}: {e}")))
        }
        Some((&found, _)) if found > FORMAT => {
            Err(Unreadable::Newer(Error::NewerRecord { offset, found, known: FORMAT }))
        }
        _ => Err(Unreadable::Damaged(format!("stored record {offset} has no known format"))),
    }
}

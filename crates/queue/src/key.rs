//! The key of a record: its partition's index in the upper bits and its offset in the lower ones. So a queue of one
//! partition lies on disk as before there were others.

use domain::Offset;
use std::ops::Range;

const OFFSET_BITS: u32 = 48;

/// The key of a record.
pub(crate) fn of(index: u16, offset: Offset) -> u64 {
    u64::from(index) << OFFSET_BITS | offset
}

/// The offset of a record with that key.
pub(crate) fn offset_of(key: u64) -> Offset {
    key & ((1 << OFFSET_BITS) - 1)
}

/// The partition of a record with that key.
pub(crate) fn index_of(key: u64) -> u16 {
    (key >> OFFSET_BITS) as u16
}

/// The keys of a partition's records lie within, both ends excluded.
pub(crate) fn range(index: u16) -> Range<u64> {
    of(index, 0)..of(index + 1, 0)
}

//! Where the members of a zip archive lie whose bytes are stored as they are: the form in which torch writes weights.
//! Archives over 4 GiB included (zip64). Nothing is unpacked; of the file only the records are read.
//!
//! ```text
//! members, each:  local header  name  extra  bytes
//! directory:      an entry for each member: method, sizes, name, where its local header is
//! zip64 end       (where 32 bits are too few)  zip64 locator
//! end             where the directory is, how many entries it has
//! ```

use super::source::Source;
use std::collections::HashMap;
use std::ops::Range;

/// Length of the last record without its comment, of the comment at most, and of the locator before it.
const END: usize = 22;
const COMMENT_MAX: usize = 0xffff;
const LOCATOR: usize = 20;
/// Bytes of a directory at most: one of 1,000 members has about 100,000.
const DIRECTORY_MAX: usize = 16 << 20;

/// The bytes of each member, by name; what is wrong with the archive otherwise.
pub(super) fn members(file: &Source) -> Result<HashMap<String, Range<usize>>, String> {
    let (directory, count) = directory(file)?;
    let mut rest = directory.as_slice();
    let mut found = HashMap::new();
    for _ in 0..count {
        let entry = Some(rest).filter(|entry| entry.starts_with(b"PK\x01\x02")).ok_or("its directory is cut off")?;
        let (member, length) = member(file, entry)?;
        if found.insert(member.name.clone(), member.range).is_some() {
            return Err(format!("it holds {:?} twice", member.name));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(found)
}

/// The directory and what follows it, and how many entries it has.
fn directory(file: &Source) -> Result<(Vec<u8>, u64), String> {
    let cut = "its end is missing: the file is not whole";
    let begin = file.length().saturating_sub(END + COMMENT_MAX + LOCATOR);
    let tail = file.part(begin..file.length()).ok_or(cut)?;
    let last = tail.len().checked_sub(END).ok_or(cut)?;
    let at = (last.saturating_sub(COMMENT_MAX)..=last).rev().find(|&at| tail[at..].starts_with(b"PK\x05\x06"));
    let at = at.ok_or(cut)?;
    let end = &tail[at..];
    let (count, place) = (u64::from(u16_at(end, 10)?), u64::from(u32_at(end, 16)?));
    let locator = at.checked_sub(LOCATOR).map(|at| &tail[at..]);
    let (count, place) = match locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
        None => (count, place),
        Some(locator) => {
            let end = record(file, u64_at(locator, 8)?, 56)?;
            if !end.starts_with(b"PK\x06\x06") {
                return Err("its directory can't be found".into());
            }
            (u64_at(&end, 32)?, u64_at(&end, 48)?)
        }
    };
    let place = usize::try_from(place).map_err(|_| cut)?;
    let length = (begin + at).checked_sub(place).ok_or("it points behind its own end")?;
    if length > DIRECTORY_MAX {
        return Err("its directory is larger than that of any model".into());
    }
    Ok((file.part(place..begin + at).ok_or(cut)?, count))
}

struct Member {
    name: String,
    range: Range<usize>,
}

/// The member of a directory entry, and the length of the entry.
fn member(file: &Source, entry: &[u8]) -> Result<(Member, usize), String> {
    let lengths = [28, 30, 32].map(|at| u16_at(entry, at).map(usize::from));
    let [name_length, extra_length, comment_length] = lengths;
    let (name_length, extra_length) = (name_length?, extra_length?);
    let name = part(entry, 46, name_length)?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| "a member's name is no text")?;
    let extra = part(entry, 46 + name_length, extra_length)?;
    if u16_at(entry, 8)? & 1 != 0 || u16_at(entry, 10)? != 0 {
        return Err(format!("{name:?} is compressed or encrypted; torch stores bytes as they are"));
    }
    // Sizes and places of 32 bits; those that are full stand in the zip64 field, in this order.
    let mut wide = zip64(extra);
    let mut value = |at: usize| match u32_at(entry, at)? {
        u32::MAX => {
            let (value, rest) = wide.split_at_checked(8).ok_or("a size of more than 32 bits is missing")?;
            wide = rest;
            u64_at(value, 0)
        }
        value => Ok(u64::from(value)),
    };
    let (size, packed, place) = (value(24)?, value(20)?, value(42)?);
    let local = record(file, place, 30)?;
    if size != packed || !local.starts_with(b"PK\x03\x04") {
        return Err(format!("{name:?} is not where the directory says"));
    }
    let skipped = 30 + u64::from(u16_at(&local, 26)?) + u64::from(u16_at(&local, 28)?);
    let begin = place.checked_add(skipped).and_then(|begin| usize::try_from(begin).ok());
    let end = begin.and_then(|begin| begin.checked_add(usize::try_from(size).ok()?));
    match (begin, end) {
        (Some(begin), Some(end)) if end <= file.length() => {
            Ok((Member { name, range: begin..end }, 46 + name_length + extra_length + comment_length?))
        }
        _ => Err(format!("{name:?} goes on behind the end of the file: the file is not whole")),
    }
}

/// The zip64 field among the extra ones; empty when there is none.
fn zip64(mut extra: &[u8]) -> &[u8] {
    while let (Ok(kind), Ok(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Ok(field) = part(extra, 4, usize::from(length)) else { break };
        if kind == 1 {
            return field;
        }
        extra = &extra[4 + field.len()..];
    }
    &[]
}

/// A record of the file.
fn record(file: &Source, at: u64, length: usize) -> Result<Vec<u8>, String> {
    let range = usize::try_from(at).ok().and_then(|at| Some(at..at.checked_add(length)?));
    range.and_then(|range| file.part(range)).ok_or_else(|| "it points behind its own end".into())
}

fn part(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], String> {
    bytes.get(at..).and_then(|rest| rest.get(..length)).ok_or_else(|| "a record is cut off".into())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    part(bytes, at, 2).map(|found| u16::from_le_bytes([found[0], found[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    Ok(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at + 2)?) << 16)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    Ok(u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at + 4)?) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// An archive with one member, `a/b`, whose sizes and place stand in the zip64 field, and its end in a zip64 record.
    fn wide(place: u64, size: u64, packed: u64, method: u8) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(26, 0);
        bytes.extend([3, 0, 2, 0]);
        bytes.extend(b"a/bxxdata");
        let directory = bytes.len() as u64;
        bytes.extend(b"PK\x01\x02");
        bytes.extend([0; 6]);
        bytes.extend([method, 0]);
        bytes.extend([0; 8]);
        bytes.extend([0xff; 8]);
        bytes.extend([3, 0, 37, 0, 1, 0]);
        bytes.extend([0; 8]);
        bytes.extend([0xff; 4]);
        bytes.extend(b"a/b");
        // Another field first, then zip64: real size, packed size, place.
        bytes.extend([9, 9, 5, 0, 1, 2, 3, 4, 5, 1, 0, 24, 0]);
        bytes.extend([size, packed, place].map(u64::to_le_bytes).concat());
        bytes.push(b'c');
        let end = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.resize(bytes.len() + 28, 0);
        bytes.extend([1u64, 0, directory].map(u64::to_le_bytes).concat());
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(end.to_le_bytes());
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(b"PK\x05\x06");
        bytes.resize(bytes.len() + 18, 0xff);
        bytes
    }

    #[test]
    fn members_beyond_32_bits_are_found_by_their_wide_fields() {
        let bytes = wide(0, 4, 4, 0);
        let members = |bytes: &[u8]| members(&Source::of(Path::new("x.zip"), bytes.to_vec()));
        let found = members(&bytes).unwrap();
        assert_eq!(&bytes[found["a/b"].clone()], b"data");
        let mut behind = bytes.clone();
        behind.extend(b"a comment behind the end");
        assert_eq!(members(&behind).unwrap()["a/b"], found["a/b"]);
        for (place, size, packed, method, words) in [
            (0, u64::MAX, u64::MAX, 0, "goes on behind the end"),
            (0, 1 << 40, 1 << 40, 0, "goes on behind the end"),
            (u64::MAX, 4, 4, 0, "points behind its own end"),
            (5, 4, 4, 0, "not where the directory says"),
            (0, 4, 3, 0, "not where the directory says"),
            (0, 4, 4, 8, "compressed or encrypted"),
        ] {
            let error = members(&wide(place, size, packed, method)).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}

//! How batches and letters are written in messages: one byte of format, then zstd of JSON.

use domain::{DeadLetter, Deletion, Error, Lease, Leased, Offset, PartitionId, Record, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read as _;

const FORMAT: u8 = 1;
/// Fast, and a third of the bytes.
const LEVEL: i32 = 1;
/// Most bytes that a message unpacks to, so that a damaged one can't fill the memory.
const UNPACKED_MAX: u64 = 256 << 20;
/// Payload that is kept of a letter which doesn't fit into a message.
const LETTER_PAYLOAD_CHARS: usize = 100_000;

#[derive(Serialize, Deserialize)]
struct Batch {
    partition: String,
    after_offset: Offset,
    offsets: Vec<Offset>,
    records: Vec<Record>,
}

/// Messages of at most `bytes_max` bytes that carry the lease, in order; and letters for posts that are larger than
/// that. A deletion of such a post takes its place, so that its offset is not missed.
pub(crate) fn encode(lease: &Lease, bytes_max: usize) -> Result<(Vec<Vec<u8>>, Vec<DeadLetter>)> {
    let (mut messages, mut letters) = (Vec::new(), Vec::new());
    let mut waiting = vec![(lease.after_offset, lease.records.clone())];
    while let Some((after_offset, mut records)) = waiting.pop() {
        let body = pack(&batch(&lease.partition, after_offset, &records))?;
        if body.len() <= bytes_max {
            messages.push(body);
        } else if records.len() > 1 {
            let rest = records.split_off(records.len() / 2);
            let split_at = records.last().map_or(after_offset, |last| last.offset);
            // The first half is popped first.
            waiting.extend([(split_at, rest), (after_offset, records)]);
        } else {
            for leased in &mut records {
                if let Some((stand_in, letter)) = set_aside(&leased.record, body.len(), bytes_max) {
                    leased.record = stand_in;
                    letters.push(letter);
                }
            }
            messages.push(pack(&batch(&lease.partition, after_offset, &records))?);
        }
    }
    Ok((messages, letters))
}

fn batch(partition: &PartitionId, after_offset: Offset, records: &[Leased]) -> Batch {
    Batch {
        partition: partition.to_string(),
        after_offset,
        offsets: records.iter().map(|leased| leased.offset).collect(),
        records: records.iter().map(|leased| leased.record.clone()).collect(),
    }
}

fn set_aside(record: &Record, bytes: usize, bytes_max: usize) -> Option<(Record, DeadLetter)> {
    let Record::Post(post) = record else { return None };
    let letter = DeadLetter {
        id: 0,
        source: post.source.0.clone(),
        platform: post.platform.clone(),
        reason: format!("the post takes {bytes} bytes in a message of the broker, which carries {bytes_max}"),
        payload: post.payload.clone(),
        payload_format: post.payload_format.clone(),
        provenance: Some(post.provenance),
        occurred_at: post.occurred_at,
    };
    let deletion = Deletion { id: post.id.clone(), source: post.source.clone(), received_at: post.received_at };
    Some((Record::Deletion(deletion), letter))
}

/// Reads a batch; the caller gives the lease its id.
pub(crate) fn decode(message: &[u8]) -> Result<Lease> {
    let Batch { partition, after_offset, offsets, records } = unpack(message)?;
    if offsets.len() != records.len() || records.is_empty() {
        return Err(Error::reject("a batch of the broker is damaged: its offsets and records differ in number"));
    }
    let records = offsets.into_iter().zip(records).map(|(offset, record)| Leased { offset, record }).collect();
    Ok(Lease { id: 0, partition: partition.as_str().into(), after_offset, records })
}

/// Messages that carry the letters.
pub(crate) fn encode_letters(letters: Vec<DeadLetter>, bytes_max: usize) -> Result<Vec<Vec<u8>>> {
    let (mut messages, mut waiting) = (Vec::new(), vec![letters]);
    while let Some(mut letters) = waiting.pop() {
        let body = pack(&letters)?;
        match letters.as_mut_slice() {
            [] => {}
            _ if body.len() <= bytes_max => messages.push(body),
            [letter] => {
                letter.payload = letter.payload.chars().take(LETTER_PAYLOAD_CHARS).collect();
                letter.reason.push_str(" (the payload was cut to fit into a message of the broker)");
                messages.push(pack(&letters)?);
            }
            _ => {
                let rest = letters.split_off(letters.len() / 2);
                waiting.extend([rest, letters]);
            }
        }
    }
    Ok(messages)
}

pub(crate) fn decode_letters(message: &[u8]) -> Result<Vec<DeadLetter>> {
    unpack(message)
}

fn pack(value: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value).map_err(|error| Error::caused(KIND, "write a batch as JSON", error))?;
    let packed = zstd::bulk::compress(&json, LEVEL).map_err(|error| Error::caused(KIND, "pack a batch", error))?;
    Ok([&[FORMAT], packed.as_slice()].concat())
}

fn unpack<T: DeserializeOwned>(message: &[u8]) -> Result<T> {
    let packed = match message.split_first() {
        Some((&FORMAT, packed)) => packed,
        Some((&found, _)) if found > FORMAT => {
            return Err(Error::stop(format!(
                "a message of the broker has format {found}; this program reads up to {FORMAT}: use the newer program"
            )));
        }
        _ => return Err(Error::reject("a message of the broker has no known format")),
    };
    let mut json = Vec::new();
    let unpacked = zstd::Decoder::new(packed).and_then(|decoder| decoder.take(UNPACKED_MAX).read_to_end(&mut json));
    unpacked.map_err(|error| Error::caused(KIND, "a message of the broker is damaged", error))?;
    serde_json::from_slice(&json).map_err(|error| Error::caused(KIND, "a message of the broker is damaged", error))
}

const KIND: domain::ErrorKind = domain::ErrorKind::Reject;

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::posts::{post, record};

    fn lease(records: Vec<Record>) -> Lease {
        let records = (11..).zip(records).map(|(offset, record)| Leased { offset, record }).collect();
        Lease { id: 7, partition: "posts/3".into(), after_offset: 10, records }
    }

    #[test]
    fn a_large_lease_goes_in_messages_that_follow_on_each_other() {
        // Letters as random as a hash makes them, so that they don't pack well.
        let letter = |seed: u64| char::from(b'a' + (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as u8 % 26);
        let text = |n: u64| (0..200).map(|i| letter(n * 7_919 + i * i + 1)).collect::<String>();
        let records = (0..64).map(|n| Record::Post(Box::new(post(&n.to_string(), &text(n)))));
        let whole = lease(records.collect());
        let (messages, letters) = encode(&whole, 4_000).unwrap();
        assert!(messages.len() > 2 && letters.is_empty() && messages.iter().all(|message| message.len() <= 4_000));
        let mut reached = 10;
        let mut back = Vec::new();
        for message in &messages {
            let part = decode(message).unwrap();
            assert_eq!((part.after_offset, part.partition.as_str()), (reached, "posts/3"));
            reached = part.records.last().unwrap().offset;
            back.extend(part.records);
        }
        assert_eq!(back, whole.records);
    }

    #[test]
    fn a_post_too_large_for_a_message_is_set_aside_and_keeps_its_offset() {
        let (messages, letters) = encode(&lease(vec![record("a"), record("b")]), 10).unwrap();
        let parts: Vec<Lease> = messages.iter().map(|message| decode(message).unwrap()).collect();
        assert_eq!(parts.iter().map(|part| part.records[0].offset).collect::<Vec<_>>(), [11, 12]);
        assert!(matches!(&parts[1].records[0].record, Record::Deletion(deletion) if deletion.id.native_id() == "b"));
        assert_eq!(letters.len(), 2);
        assert!(letters[0].reason.contains("which carries 10"), "{}", letters[0].reason);
    }

    #[test]
    fn damaged_messages_are_refused() {
        let good = encode(&lease(vec![record("a")]), 100_000).unwrap().0.remove(0);
        for bad in [&[][..], &[0], &[FORMAT], &[FORMAT, 1, 2, 3], &good[..good.len() - 1]] {
            assert_eq!(decode(bad).unwrap_err().kind(), KIND);
        }
        assert_eq!(decode(&[FORMAT + 1]).unwrap_err().kind(), domain::ErrorKind::Stop);
    }
}

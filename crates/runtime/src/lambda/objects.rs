//! Events of S3: objects with JSON lines that others wrote (Firehose, say), gzipped or not. An object is a partition of its
//! own and its records are the offsets, so that an event that comes again adds nothing. Objects come in no order.

use super::Function;
use crate::clock::clock;
use crate::config::Config;
use crate::secrets;
use domain::{
    DeadLetter, Error, Lease, Leased, Offset, PartitionId, Post, Provenance, Record, Result, SourceId, WorkQueue,
};
use flate2::read::MultiGzDecoder;
use pipeline::Outcome;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sources::record::{Origin, Parsed, Rejection};
use std::io::Read as _;

/// Bytes of an object, as it is and unpacked.
const OBJECT_MAX: u64 = 256 << 20;
const UNPACKED_MAX: u64 = 512 << 20;
/// Records that are understood at once.
const RECORDS_MAX: usize = 2_000;

/// How buckets of others are reached: as the lake's.
pub(super) fn settings(config: &Config) -> anyhow::Result<aws::Settings> {
    let lake = &config.lake;
    let credentials = secrets::aws_credentials(&lake.access_key_env, &lake.secret_env)?;
    let endpoint = lake.endpoint_of("s3://");
    Ok(aws::Settings { region: lake.region.clone(), endpoint, credentials: Some(credentials) })
}

impl Function {
    /// Reads the objects of an event into the lake.
    pub(super) async fn read_objects(&self, event: &Value) -> Result<Value> {
        let wrong =
            || Error::reject("the event is not one of S3: the function's action is s3 (OVERHEARD_LAMBDA_ACTION)");
        let records = event["Records"].as_array().ok_or_else(wrong)?;
        let (mut posts, mut rejected) = (0, 0);
        for record in records {
            let named = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
            let (bucket, key) = (named(&record["s3"]["bucket"]["name"])?, named(&record["s3"]["object"]["key"])?);
            if !record["eventName"].as_str().unwrap_or_default().starts_with("ObjectCreated:") {
                continue;
            }
            let (of_object, rejections) = self.read_object(&bucket, &key_of_event(&key)).await?;
            posts += of_object;
            rejected += rejections;
        }
        Ok(json!({"posts": posts, "rejected": rejected}))
    }

    async fn read_object(&self, bucket: &str, key: &str) -> Result<(usize, usize)> {
        let bytes = unpacked(&self.objects.read(bucket, key, OBJECT_MAX).await?)?;
        let origin = Origin {
            source: SourceId(format!("s3:{bucket}")),
            platform: String::new(),
            provenance: Provenance::File,
            received_at: clock().now(),
        };
        let Parsed { records, rejections, .. } = parsed(&bytes, &origin);
        let partition = PartitionId::of_event("s3", &format!("{bucket}/{key}"));
        let numbered: Vec<Leased> = (1..).zip(records).map(|(offset, record)| Leased { offset, record }).collect();
        let posts: Vec<(Offset, &Post)> = numbered.iter().filter_map(post_of).collect();
        let known = self.known(&partition, &posts).await?;
        let kept =
            numbered.into_iter().filter(|leased| post_of(leased).is_none_or(|(_, post)| !known.contains(&post.id)));
        let kept: Vec<Leased> = kept.collect();
        let (count, rejected) = (kept.len(), rejections.len());
        let letters = rejections.into_iter().map(|rejection| letter(rejection, &origin)).collect();
        self.handed.dead_letter_accepted(letters).await?;
        let mut after_offset = 0;
        for records in kept.chunks(RECORDS_MAX) {
            let last_offset = records.last().map_or(after_offset, |last| last.offset);
            let lease = Lease { id: 0, partition: partition.clone(), after_offset, records: records.to_vec() };
            if self.handed.hand(lease).await != Outcome::Stored {
                return Err(Error::retry(format!("s3://{bucket}/{key} could not be stored")));
            }
            after_offset = last_offset;
        }
        Ok((count, rejected))
    }
}

fn post_of(leased: &Leased) -> Option<(Offset, &Post)> {
    match &leased.record {
        Record::Post(post) => Some((leased.offset, post)),
        Record::Deletion(_) => None,
    }
}

fn letter(rejection: Rejection, origin: &Origin) -> DeadLetter {
    DeadLetter {
        id: 0,
        source: origin.source.0.clone(),
        platform: origin.platform.clone(),
        reason: rejection.reason,
        payload: rejection.payload,
        payload_format: None,
        provenance: Some(origin.provenance),
        occurred_at: origin.received_at,
    }
}

/// Events write keys as forms do: `+` is a space.
fn key_of_event(key: &str) -> String {
    let pair = format!("key={}", key.replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map_or_else(String::new, |(_, key)| key.into_owned())
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.to_vec());
    }
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(UNPACKED_MAX + 1).read_to_end(&mut unpacked);
    read.map_err(|error| Error::reject(format!("the object is not whole gzip: {error}")))?;
    if unpacked.len() as u64 > UNPACKED_MAX {
        return Err(Error::reject(format!("the object unpacks to more than {UNPACKED_MAX} bytes")));
    }
    Ok(unpacked)
}

/// The records of JSON lines. Firehose may put no line break between two records.
fn parsed(bytes: &[u8], origin: &Origin) -> Parsed {
    let mut parsed = Parsed::default();
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let mut objects = serde_json::Deserializer::from_slice(line).into_iter::<IgnoredAny>();
        let mut from = 0;
        while let Some(Ok(_)) = objects.next() {
            let to = objects.byte_offset();
            sources::formats::parse_any(&line[from..to], origin, &mut parsed);
            from = to;
        }
        let rest = line[from..].trim_ascii();
        if !rest.is_empty() {
            sources::formats::parse_any(rest, origin, &mut parsed);
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_apart_with_and_without_line_breaks() {
        let origin = Origin {
            source: SourceId("s3:raw".into()),
            platform: "shop".into(),
            provenance: Provenance::File,
            received_at: "2026-03-02T00:00:00Z".parse().unwrap(),
        };
        let post = |id: u32| format!(r#"{{"id":"{id}","text":"words","created_at":"2026-03-01T12:00:00Z"}}"#);
        let text = format!("{}{}\r\n\n{} cut {{\n{}", post(1), post(2), post(3), post(4));
        let found = parsed(text.as_bytes(), &origin);
        assert_eq!((found.records.len(), found.rejections.len()), (4, 1), "{:?}", found.rejections);
    }

    #[test]
    fn keys_and_packed_objects_are_read_as_aws_writes_them() {
        assert_eq!(key_of_event("raw/2026/11/27/a+b%C3%BC%2B1.json"), "raw/2026/11/27/a bü+1.json");
        assert_eq!(key_of_event("raw/a&b=c"), "raw/a&b=c");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, b"{}\n").unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(unpacked(&packed).unwrap(), b"{}\n");
        assert_eq!(unpacked(&packed[..packed.len() - 4]).unwrap_err().kind(), domain::ErrorKind::Reject);
        assert_eq!(unpacked(b"{}").unwrap(), b"{}");
    }
}

//! Amazon Data Firehose and Kinesis Data Streams: records in calls of the allowed size; those that a call failed to take
//! are sent again.

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::{Operation, PUT_RECORD_BATCH, PUT_RECORDS, Service};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{Error, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// Records of one call.
pub const RECORDS_MAX: usize = 500;
/// Bytes of one record, before base64.
pub const RECORD_BYTES_MAX: usize = 1_000 << 10;
/// Bytes of one call: Firehose takes 4 MiB, Kinesis more.
const CALL_BYTES_MAX: usize = 4 << 20;
/// Calls for records that failed before, and the first wait between them; it doubles.
const ROUNDS: u32 = 4;
const WAIT: Duration = Duration::from_millis(100);

/// A record. Kinesis puts those of one key into one shard, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: String,
    pub data: Vec<u8>,
}

/// Delivers all records, or fails: then some may be delivered. A record that is too large must not be among them.
pub async fn put(client: &Client, service: Service, stream: &str, records: &[Record]) -> Result<()> {
    let mut rest: &[Record] = records;
    while !rest.is_empty() {
        let (call, after) = rest.split_at(call_length(rest));
        put_all(client, service, stream, call.iter().collect()).await?;
        rest = after;
    }
    Ok(())
}

/// How many records one call takes.
fn call_length(records: &[Record]) -> usize {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += record.data.len() + record.key.len();
        bytes <= CALL_BYTES_MAX
    };
    records.iter().take(RECORDS_MAX).take_while(fits).count().max(1)
}

async fn put_all(client: &Client, service: Service, stream: &str, mut records: Vec<&Record>) -> Result<()> {
    let mut wait = WAIT;
    let mut code = String::new();
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        (records, code) = put_once(client, service, stream, records).await?;
        if records.is_empty() {
            return Ok(());
        }
    }
    let (left, service) = (records.len(), service.name());
    Err(Error::retry(format!(
        "{service}: the stream {stream} took all but {left} records, the last refused with {code}"
    )))
}

/// The records that the call failed to take, and why.
async fn put_once<'a>(
    client: &Client,
    service: Service,
    stream: &str,
    records: Vec<&'a Record>,
) -> Result<(Vec<&'a Record>, String)> {
    let (operation, answer, list) = match service {
        Service::Kinesis => (PUT_RECORDS, put_records(client, stream, &records).await?, "Records"),
        _ => (PUT_RECORD_BATCH, put_record_batch(client, stream, &records).await?, "RequestResponses"),
    };
    failed(operation, &answer, list, records)
}

fn failed<'a>(
    operation: Operation,
    answer: &Value,
    list: &str,
    records: Vec<&'a Record>,
) -> Result<(Vec<&'a Record>, String)> {
    let count = ["FailedPutCount", "FailedRecordCount"].iter().find_map(|name| answer[*name].as_u64());
    if count == Some(0) {
        return Ok((Vec::new(), String::new()));
    }
    let outcomes = answer[list].as_array().filter(|outcomes| outcomes.len() == records.len());
    let outcomes = outcomes.ok_or_else(|| Failure::unreadable(operation, "it does not tell of every record"))?;
    let mut code = String::new();
    let mut left = Vec::new();
    for (record, outcome) in records.into_iter().zip(outcomes) {
        if let Some(error) = outcome["ErrorCode"].as_str() {
            code = format!("{error}: {}", outcome["ErrorMessage"].as_str().unwrap_or_default());
            left.push(record);
        }
    }
    Ok((left, code))
}

async fn put_record_batch(client: &Client, stream: &str, records: &[&Record]) -> Result<Value, Failure> {
    let records: Vec<Value> = records.iter().map(|record| json!({"Data": STANDARD.encode(&record.data)})).collect();
    client.json(PUT_RECORD_BATCH, &json!({"DeliveryStreamName": stream, "Records": records})).await
}

async fn put_records(client: &Client, stream: &str, records: &[&Record]) -> Result<Value, Failure> {
    let record = |record: &&Record| json!({"Data": STANDARD.encode(&record.data), "PartitionKey": record.key});
    let records: Vec<Value> = records.iter().map(record).collect();
    client.json(PUT_RECORDS, &json!({"StreamName": stream, "Records": records})).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> Record {
        Record { key: "k".into(), data: vec![b'x'; bytes] }
    }

    #[test]
    fn a_call_holds_what_the_services_take() {
        assert_eq!(call_length(&vec![record(1); 700]), 500);
        assert_eq!(call_length(&vec![record(RECORD_BYTES_MAX); 9]), 4);
        assert_eq!(call_length(&[record(5 << 20), record(1)]), 1);
    }

    #[test]
    fn records_that_failed_are_told_apart_from_those_that_were_taken() {
        let records = [record(1), record(2), record(3)];
        let answer = json!({"FailedPutCount": 1, "RequestResponses": [
            {"RecordId": "a"}, {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}, {"RecordId": "c"},
        ]});
        let (left, code) = failed(PUT_RECORD_BATCH, &answer, "RequestResponses", records.iter().collect()).unwrap();
        assert_eq!(left, [&records[1]]);
        assert_eq!(code, "ServiceUnavailableException: Slow down.");
        let answer = json!({"FailedRecordCount": 2, "Records": [{}]});
        assert!(failed(PUT_RECORDS, &answer, "Records", records.iter().collect()).is_err());
    }
}

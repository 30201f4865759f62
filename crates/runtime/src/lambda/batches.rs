//! Events of an SQS FIFO queue: each message is a batch of the listener. The answer names the messages that failed; a
//! message after a failed one of its group fails too, so that SQS brings the group again in order.

use brokers::sqs::read_batch;
use domain::{Error, Result};
use pipeline::{Handed, Outcome};
use serde_json::{Value, json};
use std::collections::HashSet;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

/// Carries the batches of an event to the lake, until the moment given.
pub(super) async fn understand(handed: &Handed, event: &Value, until: Instant) -> Result<Value> {
    let records = event["Records"].as_array().filter(|records| records.iter().all(is_of_sqs));
    let records = records.ok_or_else(|| {
        Error::reject("the event is not one of SQS: the function's action is understand (OVERHEARD_LAMBDA_ACTION)")
    })?;
    let mut failed_groups = HashSet::new();
    let mut handed_over = Vec::new();
    for record in records {
        let part = |name: &str| record[name].as_str().unwrap_or_default();
        let group = record["attributes"]["MessageGroupId"].as_str().unwrap_or_default();
        let outcome = match read_batch(part("body")) {
            // What comes after a message that can't be read waits for it.
            Ok(lease) if !failed_groups.contains(group) => Some(handed.hand(lease)),
            Ok(_) => None,
            Err(error) => {
                error!(message = part("messageId"), %error, "a message can't be read; it goes to the dead-letter queue in the end");
                failed_groups.insert(group);
                None
            }
        };
        handed_over.push((part("messageId"), group, outcome));
    }
    let mut failed = Vec::new();
    failed_groups.clear();
    for (message, group, outcome) in handed_over {
        let is_done = match outcome {
            Some(outcome) if !failed_groups.contains(group) => is_done(timeout_at(until, outcome).await.ok(), message),
            _ => false,
        };
        if !is_done {
            failed_groups.insert(group);
            failed.push(json!({"itemIdentifier": message}));
        }
    }
    Ok(json!({"batchItemFailures": failed}))
}

fn is_of_sqs(record: &Value) -> bool {
    record["eventSource"] == "aws:sqs"
}

/// Whether SQS may forget the message. What the lake refuses is sent again by the listener, after what is missing.
fn is_done(outcome: Option<Outcome>, message: &str) -> bool {
    match outcome {
        Some(Outcome::Stored | Outcome::Refused) => true,
        Some(Outcome::Returned) => false,
        None => {
            warn!(message, "the function's time ran out before the batch was stored; it comes again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::WorkQueue;
    use std::sync::Arc;
    use std::time::Duration;
    use testkit::MemoryQueue;

    fn record(id: &str, group: &str, body: &str) -> Value {
        json!({"messageId": id, "body": body, "eventSource": "aws:sqs", "attributes": {"MessageGroupId": group}})
    }

    async fn failures(event: Value) -> Result<Value> {
        let handed = Handed::new(Arc::new(MemoryQueue::default()));
        let until = Instant::now() + Duration::from_millis(50);
        let answer = understand(&handed, &event, until).await;
        assert!(handed.lease(1, Duration::ZERO).await.unwrap().is_none(), "nothing that can't be read is handed on");
        answer
    }

    #[tokio::test]
    async fn a_message_that_cant_be_read_fails_with_all_after_it_in_its_group() {
        let records = [record("1", "0", "poison"), record("2", "1", "AAAA"), record("3", "0", "more")];
        let answer = failures(json!({"Records": records})).await.unwrap();
        let failed = ["1", "2", "3"].map(|id| json!({"itemIdentifier": id}));
        assert_eq!(answer, json!({"batchItemFailures": failed}));
    }

    #[tokio::test]
    async fn an_event_of_another_service_is_refused() {
        for event in [json!({"Records": [{"eventSource": "aws:s3"}]}), json!({}), Value::Null] {
            let error = failures(event).await.unwrap_err();
            assert!(error.to_string().contains("OVERHEARD_LAMBDA_ACTION"), "{error}");
        }
        assert_eq!(failures(json!({"Records": []})).await.unwrap(), json!({"batchItemFailures": []}));
    }
}

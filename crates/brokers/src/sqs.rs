//! Amazon SQS. One FIFO queue holds the batches: the partition is the message group, of which SQS lends one message at a
//! time. A second FIFO queue holds the letters of workers. Six actions of the API, as JSON over signed POST requests.

use crate::transport::Transport;
use crate::wire;
use async_trait::async_trait;
use aws_signature::{Credentials, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{Broker, Clock, Error, ErrorKind, Lease, PartitionId, Result, SentLetters};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::error;
use url::Url;

/// Most bytes of a batch: a message takes 1 MiB of text, and base64 makes four characters of three bytes.
pub const MESSAGE_MAX: usize = 700_000;
/// Letters that were not kept in this time are handed out again.
const LETTERS_LEASE: Duration = Duration::from_secs(60);
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Where the queues are.
#[derive(Debug, Clone)]
pub struct Settings {
    pub region: String,
    /// Address of the FIFO queue of batches.
    pub queue: Url,
    /// Address of the FIFO queue of letters.
    pub letters: Url,
    pub credentials: Credentials,
    /// A batch that was neither acked nor extended for so long is lent again.
    pub lease: Duration,
}

/// One side of the queue at SQS.
pub struct Sqs {
    settings: Settings,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    /// Tells the messages of this process apart from those of others.
    session: String,
    sent_last: AtomicU64,
    /// Handles of letters that were handed out.
    letters: Mutex<HashMap<u64, String>>,
    letters_last: AtomicU64,
}

impl Sqs {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).build();
        let client = client.map_err(|error| Error::caused(ErrorKind::Stop, "set up calls to SQS", error))?;
        let session = uuid::Uuid::new_v4().simple().to_string();
        let (sent_last, letters, letters_last) = (AtomicU64::default(), Mutex::default(), AtomicU64::default());
        Ok(Self { settings, client, clock, session, sent_last, letters, letters_last })
    }

    /// Messages in the queue of batches. Refuses queues that are not FIFO queues.
    pub async fn check(&self) -> Result<u64> {
        self.messages(&self.settings.letters).await?;
        self.messages(&self.settings.queue).await
    }

    async fn messages(&self, queue: &Url) -> Result<u64> {
        let found = self.call("GetQueueAttributes", queue, json!({"AttributeNames": ["All"]})).await?;
        let attributes = &found["Attributes"];
        if attributes["FifoQueue"] != "true" {
            return Err(Error::stop(format!(
                "the SQS queue {queue} is not a FIFO queue: make one whose name ends in .fifo"
            )));
        }
        let counts = ["", "NotVisible", "Delayed"].map(|which| {
            let count = attributes[format!("ApproximateNumberOfMessages{which}")].as_str();
            count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default()
        });
        Ok(counts.iter().sum())
    }

    async fn call(&self, action: &str, queue: &Url, mut request: Value) -> Result<Value> {
        request["QueueUrl"] = json!(queue.as_str());
        let body = request.to_string();
        let mut url = queue.clone();
        url.set_path("/");
        let target = Target { service: "sqs", region: self.settings.region.clone(), url };
        let action_header = format!("AmazonSQS.{action}");
        let given = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", action_header.as_str())];
        let headers = aws_signature::headers(&self.settings.credentials, &target, &given, &body, self.clock.now());
        let mut post = self.client.post(target.url).body(body);
        for (name, value) in headers {
            post = post.header(name, value);
        }
        let failed = |error| Error::caused(ErrorKind::Retry, format!("SQS does not answer to {action}"), error);
        let response = post.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Err(Error::retry(format!("SQS refuses {action}: {status} {} {}", word("__type"), word("message"))))
    }

    async fn put(&self, queue: &Url, group: &str, id: &str, body: &[u8]) -> Result<()> {
        let message =
            json!({"MessageBody": STANDARD.encode(body), "MessageGroupId": group, "MessageDeduplicationId": id});
        self.call("SendMessage", queue, message).await.map(drop)
    }

    /// The next message of a queue, with its handle.
    async fn next(&self, queue: &Url, lease: Duration) -> Result<Option<(String, Vec<u8>)>> {
        let request = json!({"MaxNumberOfMessages": 1, "VisibilityTimeout": lease.as_secs().max(1)});
        let answer = self.call("ReceiveMessage", queue, request).await?;
        let message = &answer["Messages"][0];
        let (Some(handle), Some(body)) = (message["ReceiptHandle"].as_str(), message["Body"].as_str()) else {
            return Ok(None);
        };
        // What is no base64 is no batch: the caller throws it away.
        Ok(Some((handle.to_owned(), STANDARD.decode(body).unwrap_or_default())))
    }

    async fn delete(&self, queue: &Url, handle: &str) -> Result<()> {
        self.call("DeleteMessage", queue, json!({"ReceiptHandle": handle})).await.map(drop)
    }

    async fn lend_for(&self, handle: &str, time: Duration) -> Result<()> {
        let request = json!({"ReceiptHandle": handle, "VisibilityTimeout": time.as_secs()});
        self.call("ChangeMessageVisibility", &self.settings.queue, request).await.map(drop)
    }
}

#[async_trait]
impl Broker for Sqs {
    async fn send(&self, lease: &Lease) -> Result<()> {
        let (messages, letters) = wire::encode(lease, MESSAGE_MAX)?;
        for message in wire::encode_letters(letters, MESSAGE_MAX)? {
            self.send_letters(message).await?;
        }
        let group = lease.partition.index().to_string();
        for (nth, message) in messages.iter().enumerate() {
            let id = format!("{}-{}-{nth}", self.session, lease.id);
            self.put(&self.settings.queue, &group, &id, message).await?;
        }
        Ok(())
    }

    /// SQS counts the messages of all partitions together, and about.
    async fn holds(&self, _partition: &PartitionId) -> Result<u64> {
        self.messages(&self.settings.queue).await
    }

    async fn letters(&self) -> Result<Option<SentLetters>> {
        let Some((handle, message)) = self.next(&self.settings.letters, LETTERS_LEASE).await? else { return Ok(None) };
        let letters = match wire::decode_letters(&message) {
            Ok(letters) => letters,
            Err(error) if error.kind() == ErrorKind::Reject => {
                error!(%error, "dead letters of a worker can't be read and are thrown away");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let id = self.letters_last.fetch_add(1, Ordering::Relaxed) + 1;
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).insert(id, handle);
        Ok(Some(SentLetters { id, letters }))
    }

    async fn ack_letters(&self, id: u64) -> Result<()> {
        let handle = self.letters.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match handle {
            Some(handle) => self.delete(&self.settings.letters, &handle).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Transport for Sqs {
    type Receipt = String;

    async fn receive(&self) -> Result<Option<(String, Vec<u8>)>> {
        self.next(&self.settings.queue, self.settings.lease).await
    }

    async fn extend(&self, receipt: &String) -> Result<()> {
        self.lend_for(receipt, self.settings.lease).await
    }

    async fn ack(&self, receipt: &String) -> Result<()> {
        self.delete(&self.settings.queue, receipt).await
    }

    async fn release(&self, receipt: &String) -> Result<()> {
        self.lend_for(receipt, Duration::ZERO).await
    }

    async fn send_letters(&self, body: Vec<u8>) -> Result<()> {
        let number = self.sent_last.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-letters-{number}", self.session);
        self.put(&self.settings.letters, "letters", &id, &body).await
    }
}

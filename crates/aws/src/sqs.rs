//! Amazon SQS: one queue.

use crate::client::{Client, Settings};
use crate::failure::Failure;
use crate::operation::{
    CHANGE_VISIBILITY, DELETE_MESSAGE, Operation, QUEUE_ATTRIBUTES, RECEIVE_MESSAGE, SEND_MESSAGE, Service,
};
use domain::{Clock, Result};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A queue.
pub struct Queue {
    client: Client,
    url: Url,
}

/// A message on loan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the loan.
    pub handle: String,
    pub body: String,
}

/// Where a message of a FIFO queue stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub group: &'a str,
    /// A message with the same id is dropped for five minutes.
    pub id: &'a str,
}

/// What is known of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    pub is_fifo: bool,
    /// About.
    pub messages: u64,
}

impl Queue {
    /// Calls go to the host of the queue's own address.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(url: &Url, settings: &Settings, http: reqwest::Client, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut endpoint = url.clone();
        endpoint.set_path("/");
        let settings = Settings { endpoint: endpoint.into(), ..settings.clone() };
        Ok(Self { client: Client::new(Service::Sqs, &settings, http, clock)?, url: url.clone() })
    }

    /// The same, for a caller that tries again by itself.
    pub fn with_one_attempt(self) -> Self {
        Self { client: self.client.with_one_attempt(), ..self }
    }

    /// The queue's address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    async fn call(&self, operation: Operation, mut request: Value) -> Result<Value, Failure> {
        request["QueueUrl"] = json!(self.url.as_str());
        self.client.json(operation, &request).await
    }

    pub async fn send(&self, body: &str, place: Option<Place<'_>>) -> Result<(), Failure> {
        let mut request = json!({"MessageBody": body});
        if let Some(Place { group, id }) = place {
            request["MessageGroupId"] = json!(group);
            request["MessageDeduplicationId"] = json!(id);
        }
        self.call(SEND_MESSAGE, request).await.map(drop)
    }

    /// The next message, lent for so long.
    pub async fn receive(&self, lease: Duration) -> Result<Option<Message>, Failure> {
        let request = json!({"MaxNumberOfMessages": 1, "VisibilityTimeout": lease.as_secs().max(1)});
        let answer = self.call(RECEIVE_MESSAGE, request).await?;
        let message = &answer["Messages"][0];
        let part = |name: &str| message[name].as_str().map(str::to_owned);
        Ok(part("ReceiptHandle").zip(part("Body")).map(|(handle, body)| Message { handle, body }))
    }

    pub async fn delete(&self, handle: &str) -> Result<(), Failure> {
        self.call(DELETE_MESSAGE, json!({"ReceiptHandle": handle})).await.map(drop)
    }

    /// Lends a message for so long from now on.
    pub async fn lend_for(&self, handle: &str, time: Duration) -> Result<(), Failure> {
        let request = json!({"ReceiptHandle": handle, "VisibilityTimeout": time.as_secs()});
        self.call(CHANGE_VISIBILITY, request).await.map(drop)
    }

    pub async fn attributes(&self) -> Result<Attributes, Failure> {
        let answer = self.call(QUEUE_ATTRIBUTES, json!({"AttributeNames": ["All"]})).await?;
        let attributes = &answer["Attributes"];
        let counts = ["", "NotVisible", "Delayed"].map(|which| {
            let count = attributes[format!("ApproximateNumberOfMessages{which}")].as_str();
            count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default()
        });
        Ok(Attributes { is_fifo: attributes["FifoQueue"] == "true", messages: counts.iter().sum() })
    }
}

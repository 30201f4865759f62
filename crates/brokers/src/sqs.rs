//! Amazon SQS. One FIFO queue holds the batches: the partition is the message group, of which SQS lends one message at a
//! time. A second FIFO queue holds the letters of workers.

use crate::transport::Transport;
use crate::wire;
use async_trait::async_trait;
use aws::sqs::{Place, Queue};
use aws::{Class, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{Broker, Clock, DeadLetter, Error, ErrorKind, Lease, PartitionId, Result, SentLetters};
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
    pub aws: aws::Settings,
    /// Address of the FIFO queue of batches.
    pub queue: Url,
    /// Address of the FIFO queue of letters.
    pub letters: Url,
    /// A batch that was neither acked nor extended for so long is lent again.
    pub lease: Duration,
}

/// One side of the queue at SQS.
pub struct Sqs {
    batches: Queue,
    letters: Queue,
    lease: Duration,
    /// Tells the messages of this process apart from those of others.
    session: String,
    sent_last: AtomicU64,
    /// Handles of letters that were handed out.
    lent_letters: Mutex<HashMap<u64, String>>,
    letters_last: AtomicU64,
}

/// The batch in a message of the queue of batches; the caller gives the lease its id. Kind `Reject`: it holds none.
pub fn read_batch(body: &str) -> Result<Lease> {
    wire::decode(&STANDARD.decode(body).unwrap_or_default())
}

/// A queue is always worth another try: the posts are kept until it works.
fn retried(failure: Failure) -> Error {
    let advice = if failure.class == Class::Refused { "; check queue.sqs with `overheard doctor`" } else { "" };
    Error::caused(ErrorKind::Retry, format!("{failure}{advice}"), failure)
}

impl Sqs {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).build();
        let client = client.map_err(|error| Error::caused(ErrorKind::Stop, "set up calls to SQS", error))?;
        let queue = |url: &Url| Queue::new(url, &settings.aws, client.clone(), clock.clone());
        Ok(Self {
            batches: queue(&settings.queue)?,
            letters: queue(&settings.letters)?,
            lease: settings.lease,
            session: uuid::Uuid::new_v4().simple().to_string(),
            sent_last: AtomicU64::default(),
            lent_letters: Mutex::default(),
            letters_last: AtomicU64::default(),
        })
    }

    /// Messages in the queue of batches. Refuses queues that are not FIFO queues.
    pub async fn check(&self) -> Result<u64> {
        messages(&self.letters).await?;
        messages(&self.batches).await
    }

    /// Hands letters to the listener.
    pub async fn put_letters(&self, letters: Vec<DeadLetter>) -> Result<()> {
        for message in wire::encode_letters(letters, MESSAGE_MAX)? {
            self.send_letters(message).await?;
        }
        Ok(())
    }
}

async fn messages(queue: &Queue) -> Result<u64> {
    let found = queue.attributes().await.map_err(retried)?;
    if !found.is_fifo {
        let url = queue.url();
        return Err(Error::stop(format!("the SQS queue {url} is not a FIFO queue: make one whose name ends in .fifo")));
    }
    Ok(found.messages)
}

async fn put(queue: &Queue, group: &str, id: &str, body: &[u8]) -> Result<()> {
    queue.send(&STANDARD.encode(body), Some(Place { group, id })).await.map_err(retried)
}

/// The next message of a queue, with its handle.
async fn next(queue: &Queue, lease: Duration) -> Result<Option<(String, Vec<u8>)>> {
    let message = queue.receive(lease).await.map_err(retried)?;
    // What is no base64 is no batch: the caller throws it away.
    Ok(message.map(|message| (message.handle, STANDARD.decode(message.body).unwrap_or_default())))
}

#[async_trait]
impl Broker for Sqs {
    async fn send(&self, lease: &Lease) -> Result<()> {
        let (messages, letters) = wire::encode(lease, MESSAGE_MAX)?;
        self.put_letters(letters).await?;
        let group = lease.partition.index().to_string();
        for (nth, message) in messages.iter().enumerate() {
            let id = format!("{}-{}-{nth}", self.session, lease.id);
            put(&self.batches, &group, &id, message).await?;
        }
        Ok(())
    }

    /// SQS counts the messages of all partitions together, and about.
    async fn holds(&self, _partition: &PartitionId) -> Result<u64> {
        messages(&self.batches).await
    }

    async fn letters(&self) -> Result<Option<SentLetters>> {
        let Some((handle, message)) = next(&self.letters, LETTERS_LEASE).await? else { return Ok(None) };
        let letters = match wire::decode_letters(&message) {
            Ok(letters) => letters,
            Err(error) if error.kind() == ErrorKind::Reject => {
                error!(%error, "dead letters of a worker can't be read and are thrown away");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let id = self.letters_last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lent_letters.lock().unwrap_or_else(PoisonError::into_inner).insert(id, handle);
        Ok(Some(SentLetters { id, letters }))
    }

    async fn ack_letters(&self, id: u64) -> Result<()> {
        let handle = self.lent_letters.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match handle {
            Some(handle) => self.letters.delete(&handle).await.map_err(retried),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Transport for Sqs {
    type Receipt = String;

    async fn receive(&self) -> Result<Option<(String, Vec<u8>)>> {
        next(&self.batches, self.lease).await
    }

    async fn extend(&self, receipt: &String) -> Result<()> {
        self.batches.lend_for(receipt, self.lease).await.map_err(retried)
    }

    async fn ack(&self, receipt: &String) -> Result<()> {
        self.batches.delete(receipt).await.map_err(retried)
    }

    async fn release(&self, receipt: &String) -> Result<()> {
        self.batches.lend_for(receipt, Duration::ZERO).await.map_err(retried)
    }

    async fn send_letters(&self, body: Vec<u8>) -> Result<()> {
        let number = self.sent_last.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-letters-{number}", self.session);
        put(&self.letters, "letters", &id, &body).await
    }
}

//! The stream, its consumers, and what both sides of the queue ask of them.

use crate::nats::connection::{Connection, Message, SignIn};
use crate::transport::Transport;
use crate::wire;
use async_trait::async_trait;
use domain::{Broker, Error, ErrorKind, Lease, PartitionId, Result, SentLetters};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{error, info};
use url::Url;

/// Most bytes of a message: below the 1 MB that a server takes unless it is set up otherwise.
pub const MESSAGE_MAX: usize = 900_000;
/// Letters that were not kept in this time are handed out again.
const LETTERS_LEASE: Duration = Duration::from_secs(60);
/// A repeat of a message is known for so long.
const REPEATS_S: u64 = 120;

/// Where the stream is and what it is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Servers of one cluster; they are tried in this order.
    pub servers: Vec<Url>,
    pub sign_in: SignIn,
    /// Name of the stream, and first word of its subjects.
    pub stream: String,
    pub partitions: u16,
    /// A batch that was neither acked nor extended for so long is lent again.
    pub lease: Duration,
    /// Copies of the stream, for a new one.
    pub replicas: u8,
    /// Bytes of the stream, for a new one; more is refused.
    pub bytes_max: u64,
}

/// One side of the queue at a NATS server. Connects when it is first used, and again after a failure.
pub struct Nats {
    settings: Settings,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    is_made: AtomicBool,
    /// Tells the messages of this process apart from those of others.
    session: String,
    next_partition: AtomicU16,
    /// Where letters that were handed out are acked.
    letters: Mutex<HashMap<u64, String>>,
    letters_last: AtomicU64,
}

/// A stream as it was found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub messages: u64,
    pub bytes: u64,
    pub replicas: u64,
    pub was_made: bool,
}

#[derive(Deserialize)]
struct Refusal {
    code: u16,
    #[serde(default)]
    description: String,
}

impl Nats {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            connection: tokio::sync::Mutex::default(),
            is_made: AtomicBool::new(false),
            session: uuid::Uuid::new_v4().simple().to_string(),
            next_partition: AtomicU16::new(0),
            letters: Mutex::default(),
            letters_last: AtomicU64::default(),
        }
    }

    /// Makes the stream and its consumers where they are missing, and refuses a stream that is something else.
    pub async fn make(&self) -> Result<Found> {
        let (name, subjects) = (&self.settings.stream, self.subjects());
        let known = self.ask(&format!("STREAM.INFO.{name}"), &Value::Null).await?;
        let (info, was_made) = match known {
            Ok(info) => (info, false),
            Err(refusal) if refusal.code == 404 => {
                let config = json!({
                    "name": name, "subjects": subjects, "retention": "workqueue", "storage": "file", "discard": "new",
                    "num_replicas": self.settings.replicas, "max_bytes": self.settings.bytes_max,
                    "duplicate_window": REPEATS_S * 1_000_000_000,
                });
                (self.done(&format!("STREAM.CREATE.{name}"), &config).await?, true)
            }
            Err(refusal) => return Err(refused("look at the stream", refusal)),
        };
        let config = &info["config"];
        let is_ours = config["retention"] == "workqueue"
            && config["storage"] == "file"
            && subjects
                .iter()
                .all(|subject| config["subjects"].as_array().is_some_and(|of| of.contains(&json!(subject))));
        if !is_ours {
            return Err(Error::stop(format!(
                "the NATS stream {name} is not one of Overheard (retention workqueue, storage file, subjects {}): name \
                 another one in queue.nats.stream, or delete it",
                subjects.join(" and ")
            )));
        }
        for index in 0..self.settings.partitions {
            self.make_consumer(&consumer(index), &self.subject(index), self.settings.lease, 1).await?;
        }
        self.make_consumer("letters", &format!("{name}.letters"), LETTERS_LEASE, 100).await?;
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let state = &info["state"];
        Ok(Found {
            messages: number(&state["messages"]),
            bytes: number(&state["bytes"]),
            replicas: number(&config["num_replicas"]),
            was_made,
        })
    }

    async fn make_consumer(&self, name: &str, subject: &str, lease: Duration, lent_max: u32) -> Result<()> {
        let stream = &self.settings.stream;
        let config = json!({
            "durable_name": name, "name": name, "filter_subject": subject, "deliver_policy": "all",
            "ack_policy": "explicit", "ack_wait": u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX),
            "max_ack_pending": lent_max, "max_deliver": -1,
        });
        let request = json!({"stream_name": stream, "config": config});
        self.done(&format!("CONSUMER.CREATE.{stream}.{name}.{subject}"), &request).await.map(drop)
    }

    fn subjects(&self) -> [String; 2] {
        [format!("{}.posts.*", self.settings.stream), format!("{}.letters", self.settings.stream)]
    }

    fn subject(&self, index: u16) -> String {
        format!("{}.posts.{index}", self.settings.stream)
    }

    async fn connected(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        let mut failure = Error::stop("no NATS server is named: set queue.nats.servers");
        for server in &self.settings.servers {
            match Connection::open(server, &self.settings.sign_in).await {
                Ok(open) => {
                    info!(%server, "connected to NATS");
                    let open = Arc::new(open);
                    *connection = Some(open.clone());
                    return Ok(open);
                }
                Err(error) => failure = error,
            }
        }
        // A server that refuses today may be set right tomorrow, and the queue waits.
        Err(Error::caused(ErrorKind::Retry, failure.to_string(), failure))
    }

    /// The same, with the stream and the consumers there.
    async fn ready(&self) -> Result<Arc<Connection>> {
        if !self.is_made.load(Ordering::Acquire) {
            self.make().await?;
            self.is_made.store(true, Ordering::Release);
        }
        self.connected().await
    }

    /// Asks JetStream's API; its answer, or its refusal.
    async fn ask(&self, what: &str, request: &Value) -> Result<Result<Value, Refusal>> {
        let body = if request.is_null() { String::new() } else { request.to_string() };
        let reply = self.connected().await?.request(&format!("$JS.API.{what}"), None, body.as_bytes()).await?;
        answer(&reply)
    }

    async fn done(&self, what: &str, request: &Value) -> Result<Value> {
        self.ask(what, request).await?.map_err(|refusal| refused(what, refusal))
    }

    /// The next message of a consumer; `None` when there is none now. With `no_wait` alone the server would answer at once
    /// where nothing is stored, but only at the end of a lease where the messages that it has wait behind one that is out.
    async fn next(&self, consumer: &str) -> Result<Option<(String, Vec<u8>)>> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{consumer}", self.settings.stream);
        let reply = self.ready().await?.request(&subject, None, NEXT).await?;
        match (reply.status, reply.reply) {
            (None, Some(ack)) => Ok(Some((ack, reply.payload))),
            (Some(503), _) => Err(self.gone("the consumer")),
            _ => Ok(None),
        }
    }

    /// Puts a message into the stream. `id`: the same message again is not taken twice.
    async fn put(&self, subject: &str, id: Option<&str>, body: &[u8]) -> Result<()> {
        let reply = self.ready().await?.request(subject, id, body).await?;
        if reply.status == Some(503) {
            return Err(self.gone("the stream"));
        }
        match answer(&reply)? {
            Ok(_) => Ok(()),
            // Full, or without a leader for now.
            Err(refusal) => {
                Err(Error::retry(format!("NATS takes no message: {} ({})", refusal.description, refusal.code)))
            }
        }
    }

    /// Somebody took it away: it is made again before the next use.
    fn gone(&self, what: &str) -> Error {
        self.is_made.store(false, Ordering::Release);
        Error::retry(format!("{what} is not there, or JetStream is off (start nats-server with -js)"))
    }
}

/// One message, within 10 ms (in nanoseconds).
const NEXT: &[u8] = br#"{"batch":1,"no_wait":true,"expires":10000000}"#;

fn consumer(index: u16) -> String {
    format!("posts-{index}")
}

fn answer(reply: &Message) -> Result<Result<Value, Refusal>> {
    if reply.status == Some(503) {
        return Err(Error::retry("JetStream doesn't answer: start nats-server with -js"));
    }
    let failed = |error| Error::caused(ErrorKind::Retry, "read an answer of NATS", error);
    let mut answer: Value = serde_json::from_slice(&reply.payload).map_err(failed)?;
    match answer.get_mut("error") {
        Some(refusal) => Ok(Err(serde_json::from_value(refusal.take()).map_err(failed)?)),
        None => Ok(Ok(answer)),
    }
}

/// What was refused for its content is refused for ever.
fn refused(what: &str, refusal: Refusal) -> Error {
    let kind = if refusal.code == 400 { ErrorKind::Stop } else { ErrorKind::Retry };
    Error::new(kind, format!("NATS refuses {what}: {} ({})", refusal.description, refusal.code))
}

#[async_trait]
impl Broker for Nats {
    async fn send(&self, lease: &Lease) -> Result<()> {
        let (messages, letters) = wire::encode(lease, MESSAGE_MAX)?;
        for message in wire::encode_letters(letters, MESSAGE_MAX)? {
            self.send_letters(message).await?;
        }
        let subject = self.subject(lease.partition.index());
        for (nth, message) in messages.iter().enumerate() {
            let id = format!("{}-{}-{nth}", self.session, lease.id);
            self.put(&subject, Some(&id), message).await?;
        }
        Ok(())
    }

    async fn holds(&self, partition: &PartitionId) -> Result<u64> {
        self.ready().await?;
        let what = format!("CONSUMER.INFO.{}.{}", self.settings.stream, consumer(partition.index()));
        let info = match self.ask(&what, &Value::Null).await? {
            Ok(info) => info,
            Err(refusal) if refusal.code == 404 => return Err(self.gone("the consumer")),
            Err(refusal) => return Err(refused("look at a consumer", refusal)),
        };
        let count = |name: &str| info[name].as_u64().unwrap_or_default();
        Ok(count("num_pending") + count("num_ack_pending"))
    }

    async fn letters(&self) -> Result<Option<SentLetters>> {
        let Some((ack, message)) = self.next("letters").await? else { return Ok(None) };
        let letters = match wire::decode_letters(&message) {
            Ok(letters) => letters,
            Err(error) if error.kind() == ErrorKind::Reject => {
                error!(%error, "dead letters of a worker can't be read and are thrown away");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let id = self.letters_last.fetch_add(1, Ordering::Relaxed) + 1;
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).insert(id, ack);
        Ok(Some(SentLetters { id, letters }))
    }

    async fn ack_letters(&self, id: u64) -> Result<()> {
        let ack = self.letters.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match ack {
            Some(ack) => self.connected().await?.request(&ack, None, b"+ACK").await.map(drop),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Transport for Nats {
    type Receipt = String;

    async fn receive(&self) -> Result<Option<(String, Vec<u8>)>> {
        let count = self.settings.partitions;
        let first = self.next_partition.load(Ordering::Relaxed);
        for step in 0..count {
            let index = (first + step) % count;
            if let Some(found) = self.next(&consumer(index)).await? {
                self.next_partition.store((index + 1) % count, Ordering::Relaxed);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn extend(&self, receipt: &String) -> Result<()> {
        self.connected().await?.publish(receipt, b"+WPI").await
    }

    async fn ack(&self, receipt: &String) -> Result<()> {
        self.connected().await?.request(receipt, None, b"+ACK").await.map(drop)
    }

    async fn release(&self, receipt: &String) -> Result<()> {
        self.connected().await?.publish(receipt, b"-NAK").await
    }

    async fn send_letters(&self, body: Vec<u8>) -> Result<()> {
        self.put(&format!("{}.letters", self.settings.stream), None, &body).await
    }
}

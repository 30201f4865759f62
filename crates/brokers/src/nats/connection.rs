//! One connection to a NATS server: requests and their replies, which is all that JetStream needs.
//! The protocol is text lines and counted bytes (docs.nats.io, "NATS Protocol").

use crate::nats::tls;
use domain::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use url::Url;

/// How long a server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A line of the protocol is shorter; a message too, whatever the server's limit.
const LINE_MAX: u64 = 64 << 10;
const MESSAGE_MAX: usize = 64 << 20;
const PORT: u16 = 4222;

/// How to sign in.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    pub user: Option<String>,
    pub password: Option<SecretString>,
    pub token: Option<SecretString>,
    /// Certificates that are trusted, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A reply.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// Where an answer to it goes.
    pub(crate) reply: Option<String>,
    /// The status of a reply that is no message.
    pub(crate) status: Option<u16>,
    pub(crate) payload: Vec<u8>,
}

/// What the server says of itself.
#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    headers: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Writer = Arc<tokio::sync::Mutex<WriteHalf<Box<dyn Stream>>>>;

/// Who waits for which reply; `None` once the connection is closed.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Message>>>>>;

/// See the module. Closed when it is dropped.
pub(crate) struct Connection {
    writer: Writer,
    waiting: Waiting,
    inbox: String,
    request_last: AtomicU64,
    reader: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    /// Connects and signs in.
    pub(crate) async fn open(server: &Url, sign_in: &SignIn) -> Result<Self> {
        let opened = tokio::time::timeout(ANSWER_MAX, shake_hands(server, sign_in)).await;
        let stream = opened.unwrap_or_else(|_| Err(Error::retry("it doesn't answer")));
        let stream =
            stream.map_err(|error| Error::caused(error.kind(), format!("NATS at {server}: {error}"), error))?;
        let (read, write) = tokio::io::split(stream);
        let writer = Arc::new(tokio::sync::Mutex::new(write));
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let inbox = format!("_INBOX.{}", uuid::Uuid::new_v4().simple());
        let reader = tokio::spawn(read_all(BufReader::new(read), writer.clone(), waiting.clone()));
        Ok(Self { writer, waiting, inbox, request_last: AtomicU64::default(), reader })
    }

    /// Whether the connection can be used no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Sends a message, with an id where the server is to refuse a repeat, and waits for the reply.
    pub(crate) async fn request(&self, subject: &str, id: Option<&str>, payload: &[u8]) -> Result<Message> {
        let number = self.request_last.fetch_add(1, Ordering::Relaxed) + 1;
        let (answer, answered) = oneshot::channel();
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => drop(waiting.insert(number, answer)),
            None => return Err(Error::retry("the connection to NATS is closed")),
        }
        let answered = async {
            self.write(subject, Some(number), id, payload).await?;
            answered.await.map_err(|_| Error::retry("the connection to NATS was closed"))
        };
        match tokio::time::timeout(ANSWER_MAX, answered).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                // A server that doesn't answer is left: the next request connects again.
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(Error::retry(format!("NATS doesn't answer to {subject}")))
            }
        }
    }

    /// Sends a message to which no reply comes.
    pub(crate) async fn publish(&self, subject: &str, payload: &[u8]) -> Result<()> {
        let sent = tokio::time::timeout(ANSWER_MAX, self.write(subject, None, None, payload)).await;
        sent.unwrap_or_else(|_| Err(Error::retry("NATS takes nothing")))
    }

    /// Each request has a subscription of its own, which ends with the reply: a message of a consumer comes under the
    /// subject that it was put under, so that only the subscription tells whose reply it is.
    async fn write(&self, subject: &str, request: Option<u64>, id: Option<&str>, payload: &[u8]) -> Result<()> {
        let headers = id.map(|id| format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n"));
        let (subscription, reply) = match request {
            None => (String::new(), String::new()),
            Some(number) => {
                let inbox = format!("{}.{number}", self.inbox);
                (format!("SUB {inbox} {number}\r\nUNSUB {number} 1\r\n"), format!(" {inbox}"))
            }
        };
        let mut bytes = match &headers {
            None => format!("{subscription}PUB {subject}{reply} {}\r\n", payload.len()),
            Some(headers) => {
                let (of_headers, all) = (headers.len(), headers.len() + payload.len());
                format!("{subscription}HPUB {subject}{reply} {of_headers} {all}\r\n{headers}")
            }
        }
        .into_bytes();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        self.writer.lock().await.write_all(&bytes).await.map_err(closed)
    }
}

fn closed(error: std::io::Error) -> Error {
    Error::caused(domain::ErrorKind::Retry, "the connection to NATS failed", error)
}

async fn shake_hands(server: &Url, sign_in: &SignIn) -> Result<Box<dyn Stream>> {
    let host = server.host_str().unwrap_or_default();
    let tcp = TcpStream::connect((host.trim_matches(['[', ']']), server.port().unwrap_or(PORT))).await;
    let tcp = tcp.map_err(|error| Error::retry(format!("can't connect: {error}")))?;
    tcp.set_nodelay(true).map_err(closed)?;
    let mut stream: Box<dyn Stream> = Box::new(tcp);
    let first = line(&mut stream).await?;
    let info = first.strip_prefix("INFO ").and_then(|json| serde_json::from_str::<Info>(json).ok());
    let info = info.ok_or_else(|| Error::stop("this is no NATS server"))?;
    if !info.headers {
        return Err(Error::stop("the server is too old: 2.2 or newer is needed"));
    }
    let is_encrypted = server.scheme() == "tls" || info.tls_required;
    if is_encrypted {
        stream = Box::new(tls::connect(stream, host, sign_in.ca_file.as_deref()).await?);
    }
    let secret = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    let connect = serde_json::json!({
        "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "name": "overheard",
        "protocol": 1, "headers": true, "no_responders": true, "tls_required": is_encrypted,
        "user": sign_in.user, "pass": secret(&sign_in.password), "auth_token": secret(&sign_in.token),
    });
    stream.write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await.map_err(closed)?;
    loop {
        let answer = line(&mut stream).await?;
        if answer == "PONG" {
            return Ok(stream);
        }
        if let Some(refusal) = answer.strip_prefix("-ERR ") {
            return Err(Error::stop(format!("the server refuses: {refusal}")));
        }
    }
}

/// A line, byte by byte, so that nothing after it is taken (what follows may be encrypted).
async fn line(stream: &mut Box<dyn Stream>) -> Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if line.len() as u64 > LINE_MAX {
            return Err(Error::stop("this is no NATS server"));
        }
        line.push(stream.read_u8().await.map_err(closed)?);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Hands replies on until the connection ends.
async fn read_all(mut stream: BufReader<ReadHalf<Box<dyn Stream>>>, writer: Writer, waiting: Waiting) {
    while let Ok(Some(read)) = read_one(&mut stream).await {
        match read {
            Read::Ping => {
                if writer.lock().await.write_all(b"PONG\r\n").await.is_err() {
                    break;
                }
            }
            Read::Refusal(reason) => tracing::warn!(reason, "NATS refuses"),
            Read::Message(number, message) => {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let waits = waiting.as_mut().and_then(|waiting| waiting.remove(&number));
                // Who waited may have given up.
                waits.into_iter().for_each(|waits| drop(waits.send(message.clone())));
            }
            Read::Other => {}
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
}

enum Read {
    Ping,
    Refusal(String),
    /// A reply to the request with that number.
    Message(u64, Message),
    Other,
}

/// The next line with what belongs to it; `None` at the end, or at something that is not the protocol.
async fn read_one(stream: &mut BufReader<ReadHalf<Box<dyn Stream>>>) -> std::io::Result<Option<Read>> {
    let mut line = String::new();
    if (&mut *stream).take(LINE_MAX).read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (number, reply, headers, total) = match words.as_slice() {
        ["MSG", _, number, total] => (number, None, "0", total),
        ["MSG", _, number, reply, total] => (number, Some(reply), "0", total),
        ["HMSG", _, number, headers, total] => (number, None, *headers, total),
        ["HMSG", _, number, reply, headers, total] => (number, Some(reply), *headers, total),
        ["PING"] => return Ok(Some(Read::Ping)),
        ["-ERR", ..] => return Ok(Some(Read::Refusal(line.trim().to_owned()))),
        _ => return Ok(Some(Read::Other)),
    };
    let numbers = (number.parse::<u64>(), headers.parse::<usize>(), total.parse::<usize>());
    let (Ok(number), Ok(headers), Ok(total)) = numbers else { return Ok(None) };
    if headers > total || total > MESSAGE_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; total + 2];
    stream.read_exact(&mut bytes).await?;
    bytes.truncate(total);
    let payload = bytes.split_off(headers);
    let message = Message { reply: reply.map(|reply| (*reply).to_owned()), status: status(&bytes), payload };
    Ok(Some(Read::Message(number, message)))
}

/// The status in the first line of headers: `NATS/1.0 404 No Messages`.
fn status(headers: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(headers).ok()?;
    text.lines().next()?.strip_prefix("NATS/1.0 ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_the_number_of_the_first_line() {
        assert_eq!(status(b"NATS/1.0 404 No Messages\r\n\r\n"), Some(404));
        assert_eq!(status(b"NATS/1.0 503\r\n\r\n"), Some(503));
        assert_eq!(status(b"NATS/1.0\r\nNats-Msg-Id: 503\r\n\r\n"), None);
        assert_eq!(status(b""), None);
    }
}

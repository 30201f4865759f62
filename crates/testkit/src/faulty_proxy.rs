//! A proxy that misbehaves on demand, to stand between a connector and its stand-in. It works on bytes, so it fits
//! every protocol over HTTP, streams and web sockets included.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the proxy answers in place of the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// With this status and an empty body.
    Status(u16),
    /// With 429 and `Retry-After: 1`.
    Rate,
    /// Never.
    Silence,
    /// With a byte now and then.
    Drip,
    /// With bytes that mean nothing.
    Garbage,
    /// With 64 MiB.
    Huge,
    /// By closing the connection.
    Close,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Status(500),
        Self::Status(503),
        Self::Status(404),
        Self::Rate,
        Self::Silence,
        Self::Drip,
        Self::Garbage,
        Self::Huge,
        Self::Close,
    ];
}

/// A running proxy; dropped, it stops.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
    trouble: watch::Sender<Option<Trouble>>,
    hits: Arc<AtomicU64>,
    task: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl FaultyProxy {
    /// Starts in front of `upstream`, an address as `127.0.0.1:80`.
    pub async fn start(upstream: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let trouble = watch::Sender::new(None);
        let hits = Arc::new(AtomicU64::new(0));
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let (watched, counted, kept) = (trouble.subscribe(), hits.clone(), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut watched, counted, upstream) = (watched.clone(), counted.clone(), upstream.clone());
                let serving = tokio::spawn(async move {
                    let trouble = *watched.borrow_and_update();
                    // A change ends the connections that are open.
                    tokio::select! {
                        _ = watched.changed() => {}
                        _ = serve(client, &upstream, trouble, &counted) => {}
                    }
                });
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(serving);
            }
        });
        Ok(Self { address, trouble, hits, task, connections })
    }

    /// The base URL for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins or ends the trouble; connections that are open are closed.
    pub fn set(&self, trouble: Option<Trouble>) {
        self.hits.store(0, Ordering::Relaxed);
        self.trouble.send_replace(trouble);
    }

    /// Requests met by the trouble since it began.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(JoinHandle::abort);
    }
}

async fn serve(
    mut client: TcpStream,
    upstream: &str,
    trouble: Option<Trouble>,
    hits: &AtomicU64,
) -> std::io::Result<()> {
    let Some(trouble) = trouble else {
        let mut server = TcpStream::connect(upstream).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    };
    read_head(&mut client).await?;
    hits.fetch_add(1, Ordering::Relaxed);
    let head = |status: u16, length: usize, more: &str| {
        format!("HTTP/1.1 {status} Trouble\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n")
    };
    match trouble {
        Trouble::Status(status) => client.write_all(head(status, 0, "").as_bytes()).await?,
        Trouble::Rate => client.write_all(head(429, 0, "retry-after: 1\r\n").as_bytes()).await?,
        Trouble::Silence => std::future::pending().await,
        Trouble::Drip => {
            client.write_all(head(200, 1 << 20, "").as_bytes()).await?;
            loop {
                client.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Trouble::Garbage => {
            let bytes: Vec<u8> = (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            client.write_all(head(200, bytes.len(), "").as_bytes()).await?;
            client.write_all(&bytes).await?;
        }
        Trouble::Huge => {
            client.write_all(head(200, 64 << 20, "").as_bytes()).await?;
            let block = vec![b'x'; 1 << 20];
            for _ in 0..64 {
                client.write_all(&block).await?;
            }
        }
        Trouble::Close => {}
    }
    client.shutdown().await
}

/// Reads a request up to the end of its headers.
async fn read_head(client: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4_096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match client.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(())
}

//! Takes in the body of a request: within its size, its time, and the bytes that all bodies together may hold. Handlers
//! call it after they know who asks.

use crate::app::App;
use crate::error::Error;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use futures::StreamExt as _;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// How long a body waits for others to be done with.
const WAIT: Duration = Duration::from_secs(5);

/// A body with its share of the bytes that all may hold; the share is given back when this is dropped.
pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    share: OwnedSemaphorePermit,
}

impl Taken {
    /// The bytes, and their share to be held as long as they are.
    pub(crate) fn into_parts(self) -> (Vec<u8>, OwnedSemaphorePermit) {
        (self.bytes, self.share)
    }
}

/// How long a body runs by that is not wanted.
const DISCARD: Duration = Duration::from_secs(1);

/// Reads a body of at most `bytes_max` bytes that may be compressed with gzip. The limit holds for the bytes as sent and
/// as decompressed.
pub(crate) async fn take_encoded(app: &App, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Taken, Error> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?").trim());
    let encodings: Vec<String> = encodings.map(str::to_lowercase).filter(|name| name != "identity").collect();
    match encodings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => take(app, headers, body, bytes_max).await,
        ["gzip" | "x-gzip"] => {
            // The decompressed body may be as large as allowed.
            let taken = take_share(app, headers, body, bytes_max, bytes_max).await?;
            let decompressing = tokio::task::spawn_blocking(move || decompress(&taken.bytes, bytes_max));
            let bytes = decompressing.await.map_err(Error::internal)??;
            Ok(Taken { bytes, share: taken.share })
        }
        _ => {
            discard(body).await;
            let encodings = encodings.join(", ");
            Err(Error::unsupported_encoding(format!(
                "The content encoding {encodings:?} is not supported: send the body with gzip, or without compression."
            )))
        }
    }
}

fn decompress(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let mut decompressed = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(bytes_max as u64 + 1);
    reader
        .read_to_end(&mut decompressed)
        .map_err(|error| Error::bad_field("body", format!("The body is not valid gzip: {error}.")))?;
    if decompressed.len() > bytes_max {
        return Err(Error::too_large(format!(
            "The decompressed body is too large: at most {bytes_max} bytes are taken here."
        )));
    }
    Ok(decompressed)
}

/// Reads a body of at most `bytes_max` bytes.
pub(crate) async fn take(app: &App, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Taken, Error> {
    take_share(app, headers, body, bytes_max, 0).await
}

/// The same, with a share of at least `share_min` bytes.
async fn take_share(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    share_min: usize,
) -> Result<Taken, Error> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|bytes| bytes > bytes_max) {
        discard(body).await;
        return Err(too_large(bytes_max));
    }
    // Who does not tell the length may send all that is allowed.
    let share =
        u32::try_from(told.unwrap_or(bytes_max).max(share_min).min(app.config.bodies_max_bytes)).unwrap_or(u32::MAX);
    let share = match timeout(WAIT, Arc::clone(&app.bodies).acquire_many_owned(share)).await {
        Ok(Ok(share)) => share,
        _ => {
            return Err(Error::unavailable(
                "Too much is being sent at this moment; send it again.",
                "bodies_max_bytes",
            ));
        }
    };
    let read = timeout(app.config.body_timeout, read(body, told.unwrap_or(0), bytes_max));
    match read.await {
        Ok(bytes) => Ok(Taken { bytes: bytes?, share }),
        Err(_) => Err(Error::timeout("The body did not come in time.")),
    }
}

/// Lets a body that nobody wants run by for a moment, holding none of it: a client that still sends when the connection
/// is closed may never read why.
pub(crate) async fn discard(body: Body) {
    let mut parts = body.into_data_stream();
    let gone = async { while let Some(Ok(_)) = parts.next().await {} };
    // What comes later is cut off.
    drop(timeout(DISCARD, gone).await);
}

async fn read(body: Body, told: usize, bytes_max: usize) -> Result<Vec<u8>, Error> {
    // What is announced is not yet sent.
    let mut bytes = Vec::with_capacity(told.min(64 << 10));
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Error::bad_field("body", "The body could not be read to its end."))?;
        if bytes.len() + part.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn too_large(bytes_max: usize) -> Error {
    Error::too_large(format!("The body is too large: at most {bytes_max} bytes are taken here."))
}

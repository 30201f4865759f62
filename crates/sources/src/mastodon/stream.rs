//! A timeline that is streamed. What a break leaves out is brought by the polls of the same timeline.

use super::events::{Event, Events};
use super::timeline::Timeline;
use crate::kit::failure::Failure;
use crate::kit::lines::Lines;
use crate::kit::stream::{Ended, Streaming, Taken};
use async_trait::async_trait;
use domain::Provenance;
use reqwest::Response;
use serde_json::value::RawValue;

/// Reads the stream.
pub(super) struct Listener {
    pub(super) timeline: Timeline,
}

/// An open stream, with what has come of an event.
pub(super) struct Connection {
    answer: Response,
    lines: Lines,
    events: Events,
}

#[async_trait]
impl Streaming for Listener {
    type Connection = Connection;
    type Event = Vec<u8>;

    async fn connect(&mut self) -> Result<Connection, Failure> {
        let answer = self.timeline.open_stream().await?;
        Ok(Connection { answer, lines: Lines::default(), events: Events::default() })
    }

    async fn next(&self, connection: &mut Connection) -> Result<Vec<u8>, Ended> {
        match connection.answer.chunk().await {
            Ok(Some(chunk)) => Ok(chunk.to_vec()),
            Ok(None) => Err(Ended::broken("the instance closed the stream")),
            Err(error) => Err(Ended::broken(format!("the stream broke: {}", crate::kit::http::innermost(&error)))),
        }
    }

    async fn take(&mut self, connection: &mut Connection, chunk: Vec<u8>) -> domain::Result<Taken> {
        let Ok(lines) = connection.lines.feed(&chunk) else {
            return Ok(Taken::Ended(Ended::broken("a line without end came")));
        };
        for event in lines.iter().filter_map(|line| connection.events.line(line)) {
            self.event(&event).await?;
        }
        Ok(Taken::GoOn)
    }
}

impl Listener {
    async fn event(&self, event: &Event) -> domain::Result<()> {
        match event.name.as_str() {
            "update" | "status.update" => match serde_json::from_str::<&RawValue>(&event.data) {
                Ok(status) => self.timeline.store(&[status], Provenance::Stream).await,
                // Not JSON at all: the poll brings the post.
                Err(_) => Ok(()),
            },
            "delete" => self.timeline.delete(&event.data).await,
            _ => Ok(()),
        }
    }
}

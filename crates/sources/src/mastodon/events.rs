//! Server-sent events, as far as Mastodon uses them: an `event:` line, then one `data:` line. Lines that begin with a colon
//! are keep-alives.

/// Joins lines to events.
#[derive(Debug, Default)]
pub(super) struct Events {
    name: String,
}

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

impl Events {
    /// Takes a line; gives the event that it ends.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<Event> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if let Some(name) = line.strip_prefix("event:") {
            self.name = name.trim().to_owned();
            return None;
        }
        let data = line.strip_prefix("data:")?.trim().to_owned();
        Some(Event { name: std::mem::take(&mut self.name), data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let mut events = Events::default();
        let lines: [&[u8]; 6] =
            [b":thump", b"event: update\r", b"data: {\"a\":1}\r", b":", b"event:delete", b"data:12"];
        let found: Vec<Event> = lines.iter().filter_map(|line| events.line(line)).collect();
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        assert_eq!(found, [event("update", "{\"a\":1}"), event("delete", "12")]);
    }
}

//! Work that one process at a time does, on whichever machine: a document names the holder. Clocks of machines are never
//! compared. The holder renews its document; another process takes over after it has seen the document unchanged for
//! [`TAKEOVER`] of its own time. The holder stops [`HOLD`] after its last renewal by its own clock, which is sooner.
//!
//! A process that was stopped (`SIGSTOP`, a machine asleep) and goes on may act in the moment before it looks at its clock.
//! What exclusive work writes must bear that: by compare and swap, or under ids that follow from what is written. The
//! token, which grows with each takeover, tells the holders apart.

use crate::kind::Kind;
use domain::{Clock, Result, StateStore, Swap};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How often a process renews, or looks whether it may take over.
pub const RENEW: Duration = Duration::from_secs(3);
/// A holder that could not renew for so long stops.
pub const HOLD: Duration = Duration::from_secs(12);
/// A holder that did not renew for so long has lost the work.
pub const TAKEOVER: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    /// Empty: the work was given up.
    holder: String,
    token: u64,
    /// Grows with each renewal.
    beat: u64,
}

/// One process's claim to one kind of work.
pub struct Exclusive {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    work: String,
    holder: String,
    /// The document of another holder, and when it was first seen so.
    seen: Option<(Value, Duration)>,
    /// While this process holds the work: the token, and when it was renewed.
    held: Option<(u64, Duration)>,
}

impl Exclusive {
    /// A claim to the work with that name. `holder` must differ between processes.
    pub fn new(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>, work: &str, holder: &str) -> Self {
        Self { store, clock, work: work.to_owned(), holder: holder.to_owned(), seen: None, held: None }
    }

    /// The token, while this process holds the work by its own clock.
    pub fn token(&self) -> Option<u64> {
        let (token, renewed) = self.held?;
        (self.clock.elapsed().saturating_sub(renewed) < HOLD).then_some(token)
    }

    /// Renews, takes the work or looks on; gives [`Self::token`]. To be called every [`RENEW`]. An error leaves a
    /// holder with what is left of its time.
    pub async fn step(&mut self) -> Result<Option<u64>> {
        // From before the document is written, so that this process stops before another one may take over.
        let now = self.clock.elapsed();
        let found = self.store.get(&Kind::Exclusive.name(), &self.work).await?;
        let known = found.as_ref().and_then(|value| Document::deserialize(value).ok());
        let next = match known {
            Some(Document { holder, token, beat }) if holder == self.holder && self.token() == Some(token) => {
                Document { holder, token, beat: beat + 1 }
            }
            Some(document) if !document.holder.is_empty() && !self.is_stale(found.as_ref(), now) => {
                self.held = None;
                return Ok(None);
            }
            known => Document { holder: self.holder.clone(), token: known.map_or(0, |known| known.token) + 1, beat: 1 },
        };
        let token = next.token;
        let taken =
            self.store.swap(vec![Swap::new(&Kind::Exclusive.name(), &self.work, found, Some(json!(next)))]).await?;
        self.held = taken.then_some((token, now));
        self.seen = None;
        Ok(self.token())
    }

    /// Whether the document has been as it is for so long that its holder has stopped.
    fn is_stale(&mut self, found: Option<&Value>, now: Duration) -> bool {
        match &self.seen {
            Some((seen, since)) if Some(seen) == found => now.saturating_sub(*since) >= TAKEOVER,
            _ => {
                self.seen = found.map(|found| (found.clone(), now));
                false
            }
        }
    }

    /// Lets the next process take the work at once. Call it when the work has ended.
    pub async fn give_up(&mut self) -> Result<()> {
        let Some((held, _)) = self.held.take() else { return Ok(()) };
        let found = self.store.get(&Kind::Exclusive.name(), &self.work).await?;
        let known = found.as_ref().and_then(|value| Document::deserialize(value).ok());
        if let Some(Document { token, beat, .. }) = known.filter(|known| known.token == held) {
            let free = Document { holder: String::new(), token, beat };
            // Lost meanwhile: then there is nothing to give up.
            self.store.swap(vec![Swap::new(&Kind::Exclusive.name(), &self.work, found, Some(json!(free)))]).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryState;
    use domain::{ManualClock, Timestamp};

    struct Machine {
        clock: Arc<ManualClock>,
        claim: Exclusive,
    }

    impl Machine {
        fn new(store: &Arc<MemoryState>, name: &str) -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
            Self { claim: Exclusive::new(store.clone(), clock.clone(), "detect", name), clock }
        }

        async fn step(&mut self) -> Option<u64> {
            self.claim.step().await.unwrap()
        }
    }

    /// Time passes for both; only the second one runs.
    async fn stands_still(still: &Machine, other: &mut Machine, seconds: u64) -> Option<u64> {
        let mut token = None;
        for _ in 0..seconds / RENEW.as_secs() {
            still.clock.advance(RENEW);
            other.clock.advance(RENEW);
            token = other.step().await;
            assert!(still.claim.token().is_none() || token.is_none(), "two hold the work at one time");
        }
        token
    }

    #[tokio::test]
    async fn a_holder_that_is_stopped_loses_the_work_within_30_s_and_notices_when_it_goes_on() {
        let store = Arc::new(MemoryState::default());
        let (mut a, mut b) = (Machine::new(&store, "a"), Machine::new(&store, "b"));
        assert_eq!((a.step().await, b.step().await), (Some(1), None));
        for _ in 0..50 {
            a.clock.advance(RENEW);
            b.clock.advance(RENEW);
            assert_eq!((a.step().await, b.step().await), (Some(1), None), "while it renews it keeps the work");
        }
        assert_eq!(stands_still(&a, &mut b, 18).await, None);
        assert_eq!(stands_still(&a, &mut b, 9).await, Some(2), "taken over within 30 s");
        assert_eq!(a.claim.token(), None, "it knows before it asks");
        assert_eq!(a.step().await, None);
        a.claim.give_up().await.unwrap();
        assert_eq!(b.step().await, Some(2), "who lost the work can't give it up");
    }

    #[tokio::test]
    async fn work_that_was_given_up_is_taken_at_once_and_by_one_only() {
        let store = Arc::new(MemoryState::default());
        let (mut a, mut b, mut c) = (Machine::new(&store, "a"), Machine::new(&store, "b"), Machine::new(&store, "c"));
        assert_eq!(a.step().await, Some(1));
        a.claim.give_up().await.unwrap();
        assert_eq!((a.claim.token(), b.step().await, c.step().await), (None, Some(2), None));
        // A holder that is late for its own renewal takes the work anew: others may have had it.
        b.clock.advance(HOLD);
        assert_eq!((b.claim.token(), b.step().await), (None, None));
    }

    #[tokio::test]
    async fn a_document_that_cannot_be_read_is_replaced() {
        let store = Arc::new(MemoryState::default());
        store.put(&Kind::Exclusive.name(), "detect", json!("damaged")).await.unwrap();
        assert_eq!(Machine::new(&store, "a").step().await, Some(1));
    }
}

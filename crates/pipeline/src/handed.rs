//! A work queue whose leases somebody hands over and waits for: where posts come as calls (the events of a Lambda
//! function), they take the same way to the lake as from any other queue.

use async_trait::async_trait;
use domain::{DeadLetter, Lease, Result, WorkQueue};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// What became of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The lake has it.
    Stored,
    /// The lake lacks what lies before it.
    Refused,
    /// It was given back; nothing is known of it.
    Returned,
}

/// The queue.
pub struct Handed {
    /// Takes the letters.
    letters: Arc<dyn WorkQueue>,
    inner: Mutex<Inner>,
    came: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Lease>,
    /// Who waits for which lease.
    callers: HashMap<u64, oneshot::Sender<Outcome>>,
    id_last: u64,
}

impl Handed {
    /// Posts that can't be understood are set aside in `letters`.
    pub fn new(letters: Arc<dyn WorkQueue>) -> Self {
        Self { letters, inner: Mutex::default(), came: Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a lease over at once; leases are taken in the order of these calls. The answer comes when it is settled. A
    /// caller who gives up waiting leaves the lease where it is: the lake takes it once, whoever brings it again.
    pub fn hand(&self, mut lease: Lease) -> impl Future<Output = Outcome> + use<> {
        let (tell, told) = oneshot::channel();
        {
            let mut inner = self.inner();
            inner.id_last += 1;
            lease.id = inner.id_last;
            inner.callers.insert(lease.id, tell);
            inner.waiting.push_back(lease);
        }
        self.came.notify_one();
        async { told.await.unwrap_or(Outcome::Returned) }
    }

    fn settle(&self, lease_id: u64, outcome: Outcome) -> bool {
        let caller = self.inner().callers.remove(&lease_id);
        // The caller may have stopped waiting.
        caller.map(|caller| caller.send(outcome).is_ok()).is_some()
    }
}

#[async_trait]
impl WorkQueue for Handed {
    async fn lease(&self, _limit: usize, _duration: Duration) -> Result<Option<Lease>> {
        Ok(self.inner().waiting.pop_front())
    }

    async fn extend(&self, lease_id: u64, _duration: Duration) -> Result<bool> {
        Ok(self.inner().callers.contains_key(&lease_id))
    }

    async fn ack(&self, lease_id: u64) -> Result<bool> {
        Ok(self.settle(lease_id, Outcome::Stored))
    }

    async fn release(&self, lease_id: u64) -> Result<()> {
        self.settle(lease_id, Outcome::Returned);
        Ok(())
    }

    async fn refuse(&self, lease_id: u64) -> Result<bool> {
        self.settle(lease_id, Outcome::Refused);
        Ok(true)
    }

    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.letters.dead_letter_accepted(letters).await
    }

    async fn fills(&self, _size: usize) -> Result<bool> {
        Ok(!self.inner().waiting.is_empty())
    }

    async fn wait(&self, timeout: Duration) {
        if self.inner().waiting.is_empty() {
            drop(tokio::time::timeout(timeout, self.came.notified()).await);
        }
    }
}

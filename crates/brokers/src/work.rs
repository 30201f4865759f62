//! The worker's side over any broker: which messages are on loan, and until when by the clock of this process. What ran
//! out is neither extended nor acked here, so that a late worker takes nothing from the next one.

use crate::transport::Transport;
use crate::wire;
use async_trait::async_trait;
use domain::{DeadLetter, ErrorKind, Lease, Result, WorkQueue};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::error;

/// Pauses between two looks at a broker that has nothing to lend.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// A worker.
pub struct Worker<T: Transport> {
    transport: T,
    /// How long the broker lends a message.
    lease: Duration,
    /// Most bytes of a message.
    message_max: usize,
    out: Mutex<HashMap<u64, Loan<T::Receipt>>>,
    id_last: AtomicU64,
    /// Looks in a row that found nothing.
    idle: AtomicU32,
}

struct Loan<R> {
    receipt: Arc<R>,
    until: Instant,
}

impl<T: Transport> Worker<T> {
    pub fn new(transport: T, lease: Duration, message_max: usize) -> Self {
        let (out, id_last, idle) = (Mutex::default(), AtomicU64::default(), AtomicU32::default());
        Self { transport, lease, message_max, out, id_last, idle }
    }

    fn out(&self) -> MutexGuard<'_, HashMap<u64, Loan<T::Receipt>>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The receipt of a lease that is still out.
    fn held(&self, lease_id: u64) -> Option<Arc<T::Receipt>> {
        self.out().get(&lease_id).filter(|loan| loan.until > Instant::now()).map(|loan| loan.receipt.clone())
    }
}

#[async_trait]
impl<T: Transport> WorkQueue for Worker<T> {
    async fn lease(&self, _limit: usize, _duration: Duration) -> Result<Option<Lease>> {
        // From before the broker lends it, so that it ends here before it ends there.
        let until = Instant::now() + self.lease;
        let Some((receipt, message)) = self.transport.receive().await? else {
            self.idle.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        };
        self.idle.store(0, Ordering::Relaxed);
        let decoded = tokio::task::spawn_blocking(move || wire::decode(&message)).await;
        let mut lease = match decoded.map_err(|error| domain::Error::caused(ErrorKind::Stop, "read a batch", error))? {
            Ok(lease) => lease,
            Err(error) if error.kind() == ErrorKind::Reject => {
                // The listener has the posts still: it sends them again when the lake doesn't get them.
                error!(%error, "a batch can't be read and is thrown away; its posts are sent again");
                self.transport.ack(&receipt).await?;
                return Ok(None);
            }
            Err(error) => {
                self.transport.release(&receipt).await?;
                return Err(error);
            }
        };
        lease.id = self.id_last.fetch_add(1, Ordering::Relaxed) + 1;
        self.out().insert(lease.id, Loan { receipt: receipt.into(), until });
        Ok(Some(lease))
    }

    async fn extend(&self, lease_id: u64, _duration: Duration) -> Result<bool> {
        let until = Instant::now() + self.lease;
        let Some(receipt) = self.held(lease_id) else { return Ok(false) };
        self.transport.extend(&receipt).await?;
        Ok(self.out().get_mut(&lease_id).map(|loan| loan.until = until).is_some())
    }

    async fn ack(&self, lease_id: u64) -> Result<bool> {
        let Some(receipt) = self.held(lease_id) else {
            self.out().remove(&lease_id);
            return Ok(false);
        };
        self.transport.ack(&receipt).await?;
        Ok(self.out().remove(&lease_id).is_some())
    }

    async fn release(&self, lease_id: u64) -> Result<()> {
        if let Some(receipt) = self.held(lease_id) {
            self.transport.release(&receipt).await?;
        }
        self.out().remove(&lease_id);
        Ok(())
    }

    async fn refuse(&self, lease_id: u64) -> Result<bool> {
        self.ack(lease_id).await.map(|_| true)
    }

    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()> {
        for message in wire::encode_letters(letters, self.message_max)? {
            self.transport.send_letters(message).await?;
        }
        Ok(())
    }

    async fn fills(&self, _size: usize) -> Result<bool> {
        // The listener made the batches; they don't grow by waiting.
        Ok(true)
    }

    async fn wait(&self, timeout: Duration) {
        let idle = self.idle.load(Ordering::Relaxed);
        if idle > 0 {
            let pause = (PAUSE_MIN * 2_u32.pow(idle.min(8) - 1)).min(PAUSE_MAX);
            tokio::time::sleep(pause.min(timeout)).await;
        }
    }
}

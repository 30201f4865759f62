//! What the worker's side needs of a broker.

use async_trait::async_trait;
use domain::Result;

/// Lends messages, those of each partition one at a time and in order.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Names a message that is on loan.
    type Receipt: Send + Sync;

    /// The next message of any partition; `None` when there is none now.
    async fn receive(&self) -> Result<Option<(Self::Receipt, Vec<u8>)>>;
    /// Lends the message for another full time from now on.
    async fn extend(&self, receipt: &Self::Receipt) -> Result<()>;
    /// Forgets the message.
    async fn ack(&self, receipt: &Self::Receipt) -> Result<()>;
    /// Gives the message back.
    async fn release(&self, receipt: &Self::Receipt) -> Result<()>;
    /// Hands letters to the listener.
    async fn send_letters(&self, body: Vec<u8>) -> Result<()>;
}

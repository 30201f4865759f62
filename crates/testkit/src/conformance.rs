//! What every implementation of a port must do, as suites that each implementation runs in a test of its own:
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn the_sqlite_queue_keeps_the_promises() {
//!     testkit::conformance::queue(async || Arc::new(open_fresh_queue()) as Arc<dyn PostQueue>).await;
//! }
//! ```
//!
//! `make` gives a fresh, empty implementation at each call. A broken promise panics with its name.

mod analytics;
mod connector;
mod enricher;
mod geocoder;
mod history;
mod notifier;
mod queue;
mod state;
mod translator;

pub use analytics::{lake, says_the_same};
pub use connector::{StandIn, Start, Subject, connector};
pub use enricher::enricher;
pub use geocoder::{geocoder, geocoder_that_is_down};
pub use history::{History, history};
pub use notifier::{Receiver, http_receiver, notifier, smtp_receiver};
pub use queue::queue;
pub use state::state;
pub use translator::{translator, translator_that_is_down};

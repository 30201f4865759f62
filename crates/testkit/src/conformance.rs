//! What every implementation of a port must do, as suites that each implementation runs in a test of its own:
//!
//! ```
//! testkit::conformance::translator(&testkit::FakeTranslator);
//! ```
//!
//! Where a suite takes `make`, each call gives a fresh, empty implementation. A broken promise panics with its name.

mod analytics;
mod connector;
mod enricher;
mod geocoder;
mod history;
mod notifier;
mod queue;
mod raw;
mod state;
mod translator;
mod work;

pub use analytics::{lake, says_the_same};
pub use connector::{StandIn, Start, Subject, connector};
pub use enricher::enricher;
pub use geocoder::{geocoder, geocoder_that_is_down};
pub use history::{History, history};
pub use notifier::{Receiver, http_receiver, notifier, smtp_receiver};
pub use queue::queue;
pub use raw::raw_posts;
pub use state::state;
pub use translator::{translator, translator_that_is_down};
pub use work::{Sides, work};

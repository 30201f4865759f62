//! The clock of the running program.

use domain::{Clock, SystemClock};
use std::sync::Arc;

/// The system's clock.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

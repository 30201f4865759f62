//! The ports that the server asks (`domain::operations`), each implemented in a file of its own.

mod alerts;
mod posts;
mod push;
mod system;

pub use alerts::RunningAlerts;
pub use posts::RunningPosts;
pub use push::RunningPush;
pub use system::{LETTERS_FULL, RunningSystem};

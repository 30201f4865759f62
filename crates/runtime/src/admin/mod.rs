//! The ports that the server asks (`domain::operations`), each implemented in a file of its own.

mod alerts;
mod imports;
mod posts;
mod push;
mod system;

pub use alerts::RunningAlerts;
pub use imports::RunningImports;
pub use posts::RunningPosts;
pub use push::RunningPush;
pub use system::{LETTERS_FULL, RunningSystem};

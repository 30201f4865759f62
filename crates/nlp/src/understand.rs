//! Placeholder.
pub struct Config; pub struct Understanding;

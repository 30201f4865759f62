//! Words and ports.

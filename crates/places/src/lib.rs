//! The `places` room; see ARCHITECTURE.md.

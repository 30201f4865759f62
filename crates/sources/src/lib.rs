//! The `sources` room; see ARCHITECTURE.md.

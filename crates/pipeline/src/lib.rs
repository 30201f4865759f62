//! The `pipeline` room; see ARCHITECTURE.md.

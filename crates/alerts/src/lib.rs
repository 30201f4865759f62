//! The `alerts` room; see ARCHITECTURE.md.

//! The `detect` room; see ARCHITECTURE.md.

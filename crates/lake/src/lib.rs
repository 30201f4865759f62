//! The `lake` room; see ARCHITECTURE.md.

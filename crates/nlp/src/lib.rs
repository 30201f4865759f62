//! The `nlp` room; see ARCHITECTURE.md.

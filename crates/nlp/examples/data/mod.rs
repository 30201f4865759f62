//! The labelled data that examples read.

use std::path::{Path, PathBuf};

/// UMSAB's folders and their languages.
pub(crate) const UMSAB: [(&str, &str); 8] = [
    ("arabic", "ar"),
    ("english", "en"),
    ("french", "fr"),
    ("german", "de"),
    ("hindi", "hi"),
    ("italian", "it"),
    ("portuguese", "pt"),
    ("spanish", "es"),
];

/// `OVERHEARD_DATA`, else the data beside the checkout.
pub(crate) fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("OVERHEARD_DATA").map_or(beside, PathBuf::from)
}

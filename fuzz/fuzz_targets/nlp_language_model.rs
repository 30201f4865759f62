//! A fastText model: one that tells a language, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "other targets use the rest")]
#[path = "../../crates/nlp/tests/readers/mod.rs"]
mod readers;

fuzz_target!(|bytes: &[u8]| readers::language_model(bytes));

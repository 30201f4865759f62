//! Weights in any container: a model that reads a text, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "other targets use the rest")]
#[path = "../../crates/nlp/tests/readers/mod.rs"]
mod readers;

fuzz_target!(|bytes: &[u8]| readers::weights(bytes));

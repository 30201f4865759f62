//! A post: cleaned and understood, with every offset that of a character.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "other targets use the rest")]
#[path = "../../crates/nlp/tests/readers/mod.rs"]
mod readers;

fuzz_target!(|bytes: &[u8]| readers::text(&String::from_utf8_lossy(bytes)));

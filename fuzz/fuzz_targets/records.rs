//! Any bytes as a record of X or of the simple form: no panic, nothing vanishes, and a kept post is rebuilt from its payload.
#![no_main]

use domain::{Provenance, Record, SourceId};
use libfuzzer_sys::fuzz_target;
use sources::formats::parse_any as parse;
use sources::record::{Origin, Parsed};

fuzz_target!(|data: &[u8]| {
    let origin = Origin {
        source: SourceId("fuzz".into()),
        platform: "x".into(),
        provenance: Provenance::File,
        received_at: chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time"),
    };
    let mut parsed = Parsed::default();
    parse(data, &origin, &mut parsed);
    let bytes: usize = parsed
        .records
        .iter()
        .map(|record| match record {
            Record::Post(post) => post.payload.len(),
            Record::Deletion(_) => 0,
        })
        .sum();
    assert!(bytes <= data.len() * 9 + (2 << 20));
    for record in parsed.records.iter().take(10) {
        let Record::Post(post) = record else { continue };
        let mut again = Parsed::default();
        parse(post.payload.as_bytes(), &origin, &mut again);
        assert!(again.records.contains(record), "{post:?} / {again:?}");
    }
});

//! Our encoder against Python's `transformers`: the same logits within 1e-3, the same labels and the same pieces, for a
//! small random model of every architecture. `parity/generate.py` wrote the fixtures.

use nlp::encoder::{Encoder, Options, Precision};
use serde::Deserialize;
use std::path::PathBuf;

const CASES: [&str; 10] = [
    "bert",
    "bert-tokens",
    "distilbert",
    "roberta",
    "xlm-roberta",
    "xlm-roberta-tokens",
    "deberta-v2",
    "deberta-v3",
    "modernbert",
    "modernbert-tokens",
];

#[derive(Deserialize)]
struct Expected {
    labels: Vec<String>,
    texts: Vec<Row>,
    #[serde(default)]
    nasty: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
    logits: Vec<f32>,
}

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(case)
}

fn load(case: &str, precision: Precision) -> (Encoder, Expected) {
    let encoder = Encoder::load(&folder(case), Options { precision, threads: 2, token_budget: 64 }).unwrap();
    let expected = std::fs::read_to_string(folder(case).join("expected.json")).unwrap();
    (encoder, serde_json::from_str(&expected).unwrap())
}

/// Logits of ours for each text, and theirs without the rows of special tokens.
fn both(encoder: &Encoder, expected: &Expected) -> Vec<(String, Vec<f32>, Vec<f32>)> {
    let texts: Vec<&str> = expected.texts.iter().map(|row| row.text.as_str()).collect();
    let words = encoder.heads().next().unwrap().level == nlp::encoder::Level::Piece;
    let labels = expected.labels.len();
    let rows = expected.texts.iter().zip(encoder.read(&texts));
    rows.map(|(row, reading)| {
        let reading = reading.unwrap();
        assert_eq!(reading.tokens.ids, row.ids[1..row.ids.len() - 1], "{:?}", row.text);
        let theirs = if words { row.logits[labels..row.logits.len() - labels].to_vec() } else { row.logits.clone() };
        (row.text.clone(), reading.logits[0].clone(), theirs)
    })
    .collect()
}

fn best(row: &[f32]) -> usize {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
}

#[test]
fn logits_and_labels_are_those_of_transformers() {
    for case in CASES {
        let (encoder, expected) = load(case, Precision::Exact);
        assert_eq!(encoder.heads().next().unwrap().labels, expected.labels, "{case}");
        let mut worst = 0f32;
        for (text, ours, theirs) in both(&encoder, &expected) {
            assert_eq!(ours.len(), theirs.len(), "{case} {text:?}");
            let labels = expected.labels.len();
            for (ours, theirs) in ours.chunks(labels).zip(theirs.chunks(labels)) {
                for (a, b) in ours.iter().zip(theirs) {
                    worst = worst.max((a - b).abs());
                    assert!((a - b).abs() < 1e-3, "{case} {text:?}: {a} against {b}");
                }
                assert_eq!(best(ours), best(theirs), "{case} {text:?}");
            }
        }
        println!("{case}: {} texts, largest difference {worst:.1e}", expected.texts.len());
    }
}

#[derive(Deserialize)]
struct OwnRow {
    text: String,
    ids: Vec<u32>,
    logits: std::collections::BTreeMap<String, Vec<f32>>,
}

#[test]
fn every_head_of_the_shipped_format_says_what_torch_says_of_the_same_int8_weights() {
    let options = Options { precision: Precision::Int8, threads: 2, token_budget: 64 };
    let encoder = Encoder::load(&folder("overheard"), options).unwrap();
    let rows = std::fs::read_to_string(folder("overheard").join("expected.json")).unwrap();
    let rows: Vec<OwnRow> = serde_json::from_str(&rows).unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let heads: Vec<String> = encoder.heads().map(|head| head.name.clone()).collect();
    assert_eq!(heads, ["embedding", "emotion", "entities", "offensive", "sentiment"]);
    let mut worst = 0f32;
    for (row, reading) in rows.iter().zip(encoder.read(&texts)) {
        let reading = reading.unwrap();
        assert_eq!(reading.tokens.ids, row.ids[1..row.ids.len() - 1], "{:?}", row.text);
        for (head, logits) in heads.iter().zip(&reading.logits) {
            let theirs = &row.logits[head];
            assert_eq!(logits.len(), theirs.len(), "{head}");
            worst = logits.iter().zip(theirs).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
        }
    }
    println!("largest difference {worst:.1e}");
    assert!(worst < 2e-3, "{worst}: activations of 13 bits and more must not show");
}

#[test]
fn int8_stays_close_to_the_exact_weights() {
    for case in CASES {
        let (encoder, expected) = load(case, Precision::Int8);
        let (mut dot, mut ours_norm, mut theirs_norm) = (0.0, 0.0, 0.0);
        for (_, ours, theirs) in both(&encoder, &expected) {
            for (a, b) in ours.iter().zip(&theirs) {
                dot += a * b;
                ours_norm += a * a;
                theirs_norm += b * b;
            }
        }
        let cosine = dot / (ours_norm * theirs_norm).sqrt();
        println!("{case}: cosine of int8 logits {cosine:.6}");
        assert!(cosine > 0.99, "{case}: {cosine}");
    }
}

/// FNV-1a over ids as little-endian u32, as in `generate.py`.
fn fingerprint(ids: impl Iterator<Item = u32>) -> String {
    let hash = ids
        .flat_map(u32::to_le_bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[test]
fn pieces_of_a_thousand_nasty_strings_are_those_of_transformers() {
    let strings = std::fs::read_to_string(folder("nasty.json")).unwrap();
    let strings: Vec<String> = serde_json::from_str(&strings).unwrap();
    assert_eq!(strings.len(), 1000);
    let mut tokenizers = 0;
    for case in CASES {
        let (encoder, expected) = load(case, Precision::Exact);
        if expected.nasty.is_empty() {
            continue;
        }
        tokenizers += 1;
        let (first, last) = (expected.texts[0].ids[0], *expected.texts[0].ids.last().unwrap());
        for (text, want) in strings.iter().zip(&expected.nasty) {
            let tokens = encoder.tokens(text).unwrap();
            let ids = [first].into_iter().chain(tokens.ids.iter().copied()).chain([last]);
            assert_eq!(fingerprint(ids), *want, "{case} {text:?} {:?}", tokens.ids);
            for (begin, end) in tokens.offsets {
                assert!(text.get(begin..end).is_some(), "{case} {text:?}: {begin}..{end} is no part of it");
            }
        }
    }
    assert!(tokenizers >= 6, "only {tokenizers} tokenizers were compared");
}

#[derive(Deserialize)]
struct Numbered {
    first: u32,
    last: u32,
    nasty: Vec<String>,
}

#[test]
fn camembert_numbers_the_pieces_of_a_sentencepiece_model_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    let other = folder("xlm-roberta");
    for file in [
        folder("camembert").join("config.json"),
        other.join("model.safetensors"),
        other.join("sentencepiece.bpe.model"),
    ] {
        std::fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
    }
    let encoder = Encoder::load(dir.path(), Options::default()).unwrap();
    let read = |file: PathBuf| std::fs::read_to_string(file).unwrap();
    let strings: Vec<String> = serde_json::from_str(&read(folder("nasty.json"))).unwrap();
    let expected: Numbered = serde_json::from_str(&read(folder("camembert").join("tokens.json"))).unwrap();
    assert_eq!(expected.nasty.len(), 1000);
    for (text, want) in strings.iter().zip(&expected.nasty) {
        let tokens = encoder.tokens(text).unwrap();
        let ids = [expected.first].into_iter().chain(tokens.ids.iter().copied()).chain([expected.last]);
        assert_eq!(fingerprint(ids), *want, "{text:?} {:?}", tokens.ids);
    }
}

#[test]
fn a_text_has_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    let strings = std::fs::read_to_string(folder("nasty.json")).unwrap();
    let strings: Vec<String> = serde_json::from_str(&strings).unwrap();
    let texts: Vec<&str> = strings.iter().take(60).map(String::as_str).collect();
    for (case, precision) in CASES.iter().flat_map(|case| [(case, Precision::Exact), (case, Precision::Int8)]) {
        let (encoder, _) = load(case, precision);
        let whole: Vec<_> = encoder.read(&texts).into_iter().map(Result::unwrap).collect();
        for (i, text) in texts.iter().enumerate() {
            let alone = encoder.read(&[text]).pop().unwrap().unwrap();
            assert!(alone == whole[i], "{case} {precision:?}: text {i} differs alone");
        }
        let options = Options { precision, threads: 1, token_budget: 1000 };
        let other = Encoder::load(&folder(case), options).unwrap();
        for (i, reading) in other.read(&texts).into_iter().enumerate() {
            assert!(reading.unwrap() == whole[i], "{case} {precision:?}: text {i} differs with another budget");
        }
    }
}

#[test]
fn long_texts_are_read_in_windows_and_no_piece_is_left_out() {
    for case in ["bert", "xlm-roberta-tokens", "modernbert"] {
        let (encoder, expected) = load(case, Precision::Int8);
        let text = "Это было прекрасно, danke für nichts! ".repeat(40);
        let reading = encoder.read(&[&text]).pop().unwrap().unwrap();
        assert!(reading.windows > 3, "{case}: {} windows", reading.windows);
        if encoder.heads().next().unwrap().level == nlp::encoder::Level::Piece {
            assert_eq!(reading.logits[0].len(), reading.tokens.ids.len() * expected.labels.len());
        }
        assert!(reading.logits[0].iter().all(|logit| logit.is_finite()));
    }
}

//! Readers of files from outside, and of posts, get damaged input: bytes changed, stretches cut, doubled and moved. The
//! same functions are fuzzed for longer by `make fuzz`.

mod readers;

use proptest::prelude::*;
use proptest::sample::Index;
use readers::fixture::repository;
use std::fs;

/// One blow to a file.
#[derive(Debug, Clone)]
enum Blow {
    Change(Index, u8),
    /// Numbers in files are lengths, more often than not: extreme ones.
    Fill(Index, u8, u8),
    Cut(Index, Index),
    Double(Index, Index),
    Truncate(Index),
}

fn blow() -> impl Strategy<Value = Blow> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Blow::Change(at, byte)),
        2 => (at(), 1u8..9, prop_oneof![Just(0x00), Just(0x7f), Just(0xff)]).prop_map(|(at, n, b)| Blow::Fill(at, n, b)),
        1 => (at(), at()).prop_map(|(from, to)| Blow::Cut(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Blow::Double(from, to)),
        1 => at().prop_map(Blow::Truncate),
    ]
}

/// The first bytes of a file describe it and deserve the blows; the rest of most is numbers.
fn place(bytes: &[u8], at: &Index) -> usize {
    let at = at.index(2 * bytes.len().max(1));
    if at < bytes.len() { at } else { (at - bytes.len()) % bytes.len().clamp(1, 4000) }
}

fn damage(bytes: &mut Vec<u8>, blow: &Blow) {
    if bytes.is_empty() {
        return;
    }
    let range = |bytes: &[u8], from: &Index, to: &Index| {
        let (from, to) = (place(bytes, from), place(bytes, to));
        from.min(to)..from.max(to).min(from.min(to) + 2000)
    };
    match blow {
        Blow::Change(at, byte) => {
            let at = place(bytes, at);
            bytes[at] = *byte;
        }
        Blow::Fill(at, count, byte) => {
            let at = place(bytes, at);
            bytes.iter_mut().skip(at).take(usize::from(*count)).for_each(|b| *b = *byte);
        }
        Blow::Cut(from, to) => drop(bytes.drain(range(bytes, from, to))),
        Blow::Double(from, to) => {
            let range = range(bytes, from, to);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, copy);
        }
        Blow::Truncate(at) => {
            let at = place(bytes, at);
            bytes.truncate(at);
        }
    }
}

/// Gives the reader damaged copies of the files.
fn survive(files: &[&str], cases: u32, reader: fn(&[u8])) {
    let files: Vec<Vec<u8>> = files.iter().map(|file| fs::read(repository(file)).unwrap()).collect();
    let strategy = (any::<Index>(), prop::collection::vec(blow(), 0..6));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let run = proptest::test_runner::TestRunner::new(config).run(&strategy, |(file, blows)| {
        let mut bytes = file.get(&files).clone();
        blows.iter().for_each(|blow| damage(&mut bytes, blow));
        reader(&bytes);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn damaged_weights_are_answered() {
    let files = [
        "bert-tokens/model.safetensors",
        "modernbert/model.safetensors",
        "deberta-v3/model.safetensors",
        "overheard/model.safetensors",
        "containers/bert-tokens.zip/pytorch_model.bin",
        "containers/roberta.former/pytorch_model.bin",
        "containers/distilbert.onnx/onnx/model.onnx",
    ]
    .map(|file| format!("crates/nlp/tests/parity/{file}"));
    survive(&files.each_ref().map(String::as_str), 300, readers::weights);
}

#[test]
fn damaged_configurations_are_answered() {
    let files = ["bert", "modernbert", "deberta-v3", "overheard", "roberta"];
    let files = files.map(|case| format!("crates/nlp/tests/parity/{case}/config.json"));
    survive(&files.each_ref().map(String::as_str), 300, readers::config);
}

#[test]
fn damaged_tokenizers_are_answered() {
    let files = [
        "bert-tokens/tokenizer.json",
        "deberta-v3/tokenizer.json",
        "modernbert/tokenizer.json",
        "xlm-roberta/sentencepiece.bpe.model",
        "roberta/merges.txt",
        "bert/vocab.txt",
    ]
    .map(|file| format!("crates/nlp/tests/parity/{file}"));
    survive(&files.each_ref().map(String::as_str), 300, readers::tokenizer);
}

#[test]
fn damaged_language_models_are_answered() {
    survive(&["models/lid.176.ftz"], 40, readers::language_model);
}

#[test]
fn damaged_categories_are_answered() {
    survive(&["fuzz/seeds/nlp_categories/set.toml", "fuzz/seeds/nlp_categories/head.json"], 300, readers::categories);
}

#[test]
fn damaged_posts_are_understood() {
    let files = ["crates/nlp/tests/parity/nasty.json", "fuzz/seeds/nlp_text/posts.txt"];
    survive(&files, 300, |bytes| {
        // A post's worth of what was damaged.
        let begin = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % bytes.len().max(1);
        let part = &bytes[begin..bytes.len().min(begin + 280)];
        readers::text(&String::from_utf8_lossy(part));
    });
}

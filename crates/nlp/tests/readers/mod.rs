//! What a reader must do with any bytes: answer, with a value or an error, without a panic and in bounded memory. The
//! tests of this crate call these functions with damaged fixtures, the targets in `fuzz/` with what libFuzzer finds.

pub(crate) mod fixture;
mod offsets;

use fixture::{fixture, repository};
use nlp::categories::{CategoryHead, CategorySet};
use nlp::encoder::{self, Encoder, Options};
use nlp::language::LanguageIdentifier;
use nlp::text::{Cleaning, fingerprint, scan, slice};
use nlp::{Config, Understanding};
use std::fs;
use std::sync::LazyLock;

fn options() -> Options {
    Options { threads: 1, ..Options::default() }
}

/// Weights in any container, told by their first bytes, and of any family, told by a name in them.
pub(crate) fn weights(bytes: &[u8]) {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    let case = if has(b"tok_embeddings") {
        "modernbert"
    } else if has(b"rel_embeddings") {
        "deberta-v3"
    } else if has(b"heads.") {
        "overheard"
    } else if has(b"distilbert") {
        "distilbert"
    } else {
        "bert-tokens"
    };
    let file = match bytes {
        [b'P', b'K', ..] | [0x80, ..] => "pytorch_model.bin",
        [0x08 | 0x3a, ..] => "model.onnx",
        _ => "model.safetensors",
    };
    let folder = fixture(case, &["model.safetensors"]);
    fs::write(folder.path().join(file), bytes).unwrap();
    drop(encoder::shards(&folder.path().join(file)));
    if let Ok(encoder) = Encoder::load(folder.path(), options()) {
        drop(encoder.read(&["The queue at Heathrow was endless"]));
    }
}

/// `config.json`, for the weights of a family that it names.
pub(crate) fn config(bytes: &[u8]) {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    let families = [("modernbert", "modernbert"), ("deberta", "deberta-v3"), ("overheard", "overheard")];
    let case = families.into_iter().find(|(name, _)| has(name.as_bytes())).map_or("bert", |(_, case)| case);
    let folder = fixture(case, &["config.json"]);
    fs::write(folder.path().join("config.json"), bytes).unwrap();
    drop(encoder::check(folder.path()));
    if let Ok(encoder) = Encoder::load(folder.path(), options()) {
        drop(encoder.read(&["The queue at Heathrow was endless"]));
    }
}

/// A tokenizer in any form, told by its first bytes.
pub(crate) fn tokenizer(bytes: &[u8]) {
    let (case, file) = match bytes {
        [b'{', ..] => ("bert-tokens", "tokenizer.json"),
        [0x0a, ..] => ("xlm-roberta", "sentencepiece.bpe.model"),
        [b'#', ..] => ("roberta", "merges.txt"),
        _ => ("bert", "vocab.txt"),
    };
    let folder = fixture(case, &["model.safetensors", file]);
    fs::write(folder.path().join(file), bytes).unwrap();
    drop(encoder::check_tokenizer(folder.path()));
}

/// A model of fastText for languages.
pub(crate) fn language_model(bytes: &[u8]) {
    if let Ok(model) = LanguageIdentifier::parse(bytes) {
        model.identify("a word or two, und noch eins", Some("de"));
    }
}

/// A user's categories, as a file and as they are stored.
pub(crate) fn categories(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(set) = CategorySet::parse(text) {
        let embed = |texts: &[&str]| Ok(texts.iter().map(|text| vec![1.0, text.len() as f32]).collect());
        drop(CategoryHead::zero_shot(&set, &embed));
    }
    if let Ok(head) = CategoryHead::from_json(text) {
        drop(head.classify("a text", &vec![0.5; head.embedding_width()]));
    }
}

static UNDERSTANDING: LazyLock<Understanding> = LazyLock::new(|| {
    let config = Config {
        model_dir: Some(repository("crates/nlp/tests/parity/overheard")),
        language_model: Some(repository("models/lid.176.ftz")),
        threads: 1,
        entity_confidence_min: 0.0,
        ..Config::default()
    };
    Understanding::load(&config).unwrap()
});

/// A post: every offset is that of a character, and what is said of it fits it.
pub(crate) fn text(text: &str) {
    let characters = text.chars().count();
    for span in scan(text) {
        assert_eq!(&text[span.bytes.clone()], slice(text, span.chars.start, span.chars.end), "{span:?} of {text:?}");
    }
    for cleaning in [Cleaning::shipped(), Cleaning::social(), Cleaning::verbatim()] {
        let clean = cleaning.clean(text);
        let mut last = 0;
        for (at, c) in clean.text.char_indices() {
            let range = clean.original(at..at + c.len_utf8());
            assert!(last <= range.start && range.start < range.end && range.end as usize <= characters, "{text:?}");
            last = range.start;
        }
    }
    assert_eq!(fingerprint(text), fingerprint(text));
    let found = UNDERSTANDING.read(&[(text, Some("en"))]).pop().unwrap().unwrap();
    assert!(!found.issues.iter().any(|issue| issue.contains("failed")), "{:?} of {text:?}", found.issues);
    offsets::check(text, &found);
}

//! Makes `src/language/latin-posts.bin`, the tables of the second opinion on texts in Latin letters:
//! `cargo run -p nlp --example train_language`. Reads the data folder (`OVERHEARD_DATA`, else `../shared/data`), training
//! parts only: UMSAB in its languages, TweetEval's English posts, SmSA's Indonesian ones, and, as languages without a
//! class, news sentences in Danish, Swedish, Croatian and Slovak, and stop words of some forty more.

mod data;

use nlp::language::train::{Sample, latin_tables, stop_word_samples};
use std::fs::read_to_string;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = data::folder();
    let mut samples = Vec::new();
    // Arabic has a script of its own.
    for (folder, code) in data::UMSAB.into_iter().filter(|(_, code)| *code != "ar") {
        add(&mut samples, read_to_string(data.join("umsab").join(folder).join("train_text.txt"))?.lines(), code);
    }
    add(&mut samples, read_to_string(data.join("tweeteval/sentiment/train_text.txt"))?.lines().take(12_000), "en");
    for line in read_to_string(data.join("extra/indonesian_smsa.jsonl"))?.lines().take(4_000) {
        let value: serde_json::Value = serde_json::from_str(line)?;
        add(&mut samples, value["text"].as_str(), "id");
    }
    for language in ["danish", "swedish", "croatian", "slovak"] {
        let conll = read_to_string(data.join(format!("extra/uner_{language}.conll")))?;
        let sentences: Vec<String> = conll.split("\n\n").take(1_200).map(sentence).collect();
        add(&mut samples, sentences.iter().map(String::as_str), "xx");
    }
    samples.extend(stop_word_samples(&["en", "fr", "de", "hi", "it", "pt", "es", "id", "ms"], 150));
    let bytes = latin_tables(&samples);
    let path = root.join("src/language/latin-posts.bin");
    std::fs::write(&path, &bytes)?;
    eprintln!("{} posts, {} bytes to {}", samples.len(), bytes.len(), path.display());
    Ok(())
}

fn add<'a>(samples: &mut Vec<Sample>, texts: impl IntoIterator<Item = &'a str>, code: &str) {
    samples.extend(texts.into_iter().map(|text| Sample { text: text.into(), code: code.into() }));
}

/// The words of a CoNLL block.
fn sentence(block: &str) -> String {
    block.lines().filter_map(|line| line.split(['\t', ' ']).next()).collect::<Vec<_>>().join(" ")
}

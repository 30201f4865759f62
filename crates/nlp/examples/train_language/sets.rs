//! What the model of languages learns from.

use crate::data;
use crate::romanised::romanised;
use nlp::language::train::{Sample, stop_word_samples};
use std::error::Error;
use std::fs::read_to_string;
use std::path::Path;

/// Posts count more than sentences that are no posts.
const POST_WEIGHT: f32 = 3.0;

/// The short texts with their languages.
pub(crate) fn short() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let lines = read_to_string(data::folder().join("language/short.jsonl"))?;
    let read = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok((field("text"), field("language")))
    };
    lines.lines().map(read).collect()
}

/// In which twentieth a text is, by FNV-1a.
pub(crate) fn part(text: &str) -> u32 {
    hash(text) % 20
}

fn hash(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// The texts of a file of JSON lines.
pub(crate) fn texts(path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let read = |line: &str| Ok(serde_json::from_str::<serde_json::Value>(line)?["text"].as_str().unwrap_or("").into());
    read_to_string(path)?.lines().map(read).collect()
}

pub(crate) fn sample(text: &str, code: &str, weight: f32) -> Sample {
    Sample { text: text.into(), code: code.into(), weight }
}

/// Posts and sentences other than the short texts.
pub(crate) fn posts() -> Result<Vec<Sample>, Box<dyn Error>> {
    let data = data::folder();
    let mut found: Vec<(String, String)> = Vec::new();
    for (folder, code) in data::UMSAB {
        let code = if code == "hi" { "hi-Latn" } else { code };
        add(&mut found, code, read_to_string(data.join("umsab").join(folder).join("train_text.txt"))?.lines());
    }
    add(&mut found, "en", read_to_string(data.join("tweeteval/sentiment/train_text.txt"))?.lines().take(3_000));
    for (path, code, most) in [
        ("emotion/goemotions/train.jsonl", "en", 2_000),
        ("themes/clinc150.jsonl", "en", 1_500),
        ("extra/indonesian_smsa.jsonl", "id", 1_000),
    ] {
        let texts = texts(&data.join(path))?;
        let step = texts.len().div_ceil(most).max(1);
        add(&mut found, code, texts.iter().step_by(step).map(String::as_str));
    }
    for entry in std::fs::read_dir(data.join("emotion/xed"))? {
        let path = entry?.path();
        let code = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace("pt-br", "pt");
        add(&mut found, &code, texts(&path)?.iter().map(String::as_str).take(900));
    }
    for entry in std::fs::read_dir(data.join("translation/tatoeba"))? {
        let path = entry?.path();
        let code = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace("-en", "");
        let pairs = read_to_string(&path)?;
        add(&mut found, &code, pairs.lines().filter_map(|line| line.split('\t').next()));
    }
    for (language, code) in [("danish", "da"), ("swedish", "sv"), ("croatian", "hr"), ("slovak", "sk")] {
        let conll = read_to_string(data.join(format!("extra/uner_{language}.conll")))?;
        let sentences: Vec<String> = conll.split("\n\n").take(900).map(sentence).collect();
        add(&mut found, code, sentences.iter().map(String::as_str));
    }
    let romanised: Vec<_> = found.iter().filter_map(|(text, code)| romanised(text, code, hash(text))).collect();
    found.extend(romanised.into_iter().map(|(text, code)| (text, code.to_owned())));
    found.sort();
    Ok(weighed(&found))
}

/// With the first words of longer posts as texts of their own, and stop words of languages without other texts.
fn weighed(found: &[(String, String)]) -> Vec<Sample> {
    let is_post = |text: &str| text.contains("@user") || text.contains("http") || text.contains('#');
    let weight = |text: &str| if is_post(text) { POST_WEIGHT } else { 1.0 };
    let mut samples: Vec<Sample> = found.iter().map(|(text, code)| sample(text, code, weight(text))).collect();
    for (text, code) in found.iter().filter(|(text, _)| text.split(' ').count() > 8) {
        let words = 2 + hash(text) as usize % 5;
        let plain = text.split(' ').filter(|word| !word.starts_with(['@', '#']) && !word.starts_with("http"));
        let start = plain.take(words).collect::<Vec<_>>().join(" ");
        samples.push(sample(&start, code, 0.5));
    }
    let mut known: Vec<&str> = found.iter().map(|(_, code)| code.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    samples.extend(stop_word_samples(&known, 100));
    samples
}

fn add<'a>(found: &mut Vec<(String, String)>, code: &str, texts: impl IntoIterator<Item = &'a str>) {
    found.extend(texts.into_iter().map(|text| (text.to_owned(), code.to_owned())));
}

/// The words of a CoNLL block.
fn sentence(block: &str) -> String {
    block.lines().filter_map(|line| line.split(['\t', ' ']).next()).collect::<Vec<_>>().join(" ")
}

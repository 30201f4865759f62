//! Makes `models/language-posts.bin`: `cargo run -p nlp --example train_language`. Reads the data folder
//! (`OVERHEARD_DATA`, else `../shared/data`), training parts only; `training/README.md` lists what is used.
//!
//! The short texts are divided by a hash. A first model learns from three quarters; a tenth (tune) sets the temperature,
//! and the rest (decide) is only reported. Texts that the sentence pairs also hold are in neither. The model that is
//! written learns from all texts.

#![expect(clippy::print_stdout, reason = "prints a table")]

#[path = "../data/mod.rs"]
mod data;
mod report;
mod romanised;
mod sets;

use nlp::language::LanguageIdentifier;
use nlp::language::train::train;
use report::LARGE;
use sets::sample;
use std::collections::HashSet;
use std::error::Error;
use std::path::Path;

/// The short texts count more than a post: they have all languages.
const SHORT_WEIGHT: f32 = 3.0;

fn main() -> Result<(), Box<dyn Error>> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let lid = std::fs::read(models.join("lid.176.ftz"))?;
    let short = sets::short()?;
    let part = |of: fn(u32) -> bool| {
        short.iter().filter(move |(text, _)| of(sets::part(text))).map(|(text, code)| (text.as_str(), code.as_str()))
    };
    let (learn, tune, decide) = (part(|p| p > 4), part(|p| (3..=4).contains(&p)), part(|p| p < 3));
    let (tune, decide): (Vec<_>, Vec<_>) = (tune.collect(), decide.collect());
    let mut samples = sets::posts()?;
    samples.extend(learn.map(|(text, code)| sample(text, code, SHORT_WEIGHT)));
    let known: HashSet<String> = samples.iter().map(|sample| letters(&sample.text)).collect();
    let is_new = |(text, _): &&(&str, &str)| !known.contains(&letters(text));
    let new_tune: Vec<_> = tune.iter().filter(is_new).copied().collect();
    let new_decide: Vec<_> = decide.iter().filter(is_new).copied().collect();
    let first = train(&samples, &lid, 1.0, importance)?;
    let mut best = (f64::MAX, 1.0);
    for temperature in [0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0] {
        let loss = loss(&LanguageIdentifier::with_classifier(&lid, &warmed(&first, temperature))?, &new_tune);
        best = if loss < best.0 { (loss, temperature) } else { best };
    }
    let identifier = LanguageIdentifier::with_classifier(&lid, &warmed(&first, best.1))?;
    println!("{} samples, {} bytes, temperature {}", samples.len(), first.len(), best.1);
    report::short("tune", &identifier, &new_tune);
    report::short("decide", &identifier, &new_decide);
    report::posts(&identifier)?;
    report::romanised(&identifier);
    samples.extend(tune.iter().chain(&decide).map(|(text, code)| sample(text, code, SHORT_WEIGHT)));
    std::fs::write(models.join("language-posts.bin"), train(&samples, &lid, best.1, importance)?)?;
    Ok(())
}

/// Large languages are more common than their share of the samples.
fn importance(code: &str) -> f32 {
    match code {
        "en" => 2.0,
        code if LARGE.contains(&code) => 1.5,
        _ => 1.0,
    }
}

/// A text without what sets of the same sentences differ in.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A model at another temperature, which stands behind the magic and two counts.
fn warmed(model: &[u8], temperature: f32) -> Vec<u8> {
    let mut model = model.to_vec();
    model[7..11].copy_from_slice(&temperature.to_le_bytes());
    model
}

/// Mean cross-entropy of right or wrong, by the confidence given.
fn loss(identifier: &LanguageIdentifier, texts: &[(&str, &str)]) -> f64 {
    let one = |(text, code): &(&str, &str)| {
        let answer = identifier.identify(text, None);
        let p = f64::from(answer.confidence.clamp(0.01, 0.99));
        -(if answer.code == *code { p } else { 1.0 - p }).ln()
    };
    texts.iter().map(one).sum::<f64>() / texts.len() as f64
}

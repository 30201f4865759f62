//! How often the language of a tweet is told right: `cargo run -p nlp --example eval_language [train]`. UMSAB's validation
//! posts (or, with `train`, those that the tables were trained on), whose folders name the language, without any hint.
//! Prints a confusion table and posts per second on one core.
//!
//! The Hindi folder holds no Devanagari: it mixes Hindi in Latin letters with posts in plain English, about a third of
//! them. So the accuracy is also given over the other seven, and over all with English taken for right in that folder.

#![expect(clippy::print_stdout, reason = "prints a table")]

mod data;

use domain::macrolanguage;
use nlp::language::LanguageIdentifier;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = data::folder();
    let part = if std::env::args().nth(1).as_deref() == Some("train") { "train" } else { "val" };
    let show_errors = std::env::args().any(|arg| arg == "--errors");
    let identifier = LanguageIdentifier::load(&root.join("../../models/lid.176.ftz"))?;
    let (mut right, mut right_of_seven, mut lenient, mut total, mut seven) = (0, 0, 0, 0, 0);
    let (mut seconds, mut calibration) = (0.0, vec![(0_u32, 0.0_f32, 0_u32); 10]);
    for (folder, code) in data::UMSAB {
        let texts = std::fs::read_to_string(data.join("umsab").join(folder).join(format!("{part}_text.txt")))?;
        let started = Instant::now();
        let answers: Vec<_> = texts.lines().map(|text| identifier.identify(text, None)).collect();
        seconds += started.elapsed().as_secs_f64();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (answer, text) in answers.iter().zip(texts.lines()) {
            *counts.entry(&answer.code).or_default() += 1;
            let bin = &mut calibration[((answer.confidence * 10.0) as usize).min(9)];
            if code != "hi" {
                *bin = (bin.0 + 1, bin.1 + answer.confidence, bin.2 + u32::from(macrolanguage(&answer.code) == code));
            }
            if show_errors && macrolanguage(&answer.code) != code {
                println!("  {code} {} {:.2}  {text}", answer.code, answer.confidence);
            }
        }
        let hits: usize = counts.iter().filter(|(found, _)| macrolanguage(found) == code).map(|(_, count)| count).sum();
        let english = if code == "hi" { counts.get("en").copied().unwrap_or(0) } else { 0 };
        (right, lenient, total) = (right + hits, lenient + hits + english, total + answers.len());
        if code != "hi" {
            (right_of_seven, seven) = (right_of_seven + hits, seven + answers.len());
        }
        let mut row: Vec<_> = counts.into_iter().collect();
        row.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        println!("{code}  {:5.1} %  {row:?}", 100.0 * hits as f64 / answers.len() as f64);
    }
    let percent = |a: usize, b: usize| 100.0 * a as f64 / b as f64;
    println!("all eight as labelled      {:.2} %", percent(right, total));
    println!("without the Hindi folder   {:.2} %", percent(right_of_seven, seven));
    println!("English right among Hindi  {:.2} %", percent(lenient, total));
    let gap: f32 = calibration.iter().map(|(_, sum, hits)| (sum - *hits as f32).abs()).sum();
    println!("calibration error, seven   {:.3}", gap / seven as f32);
    println!("posts per second           {:.0}", total as f64 / seconds);
    Ok(())
}

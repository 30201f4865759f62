//! Posts per second on one core of everything that is not the model: `cargo run -p nlp --example bench_text`. Reads
//! UMSAB's training posts of the data folder, eight languages.

#![expect(clippy::print_stdout, reason = "prints a table")]

mod data;

use nlp::language::LanguageIdentifier;
use nlp::phrases::KeyPhrases;
use nlp::text::{Cleaning, fingerprint, scan};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = data::folder();
    let mut posts = Vec::new();
    for (folder, code) in data::UMSAB {
        let texts = std::fs::read_to_string(data.join("umsab").join(folder).join("train_text.txt"))?;
        posts.extend(texts.lines().map(|text| (text.to_owned(), code)));
    }
    let identifier = LanguageIdentifier::load(&root.join("../../models/lid.176.ftz"))?;
    let (cleaning, phrases) = (Cleaning::social(), KeyPhrases::default());
    let time = |name: &str, work: &dyn Fn(&str, &str) -> usize| {
        let best = (0..3)
            .map(|_| {
                let started = Instant::now();
                let sum: usize = posts.iter().map(|(text, code)| work(text, code)).sum();
                std::hint::black_box(sum);
                started.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        println!("{name:12} {:8.0} posts/s", posts.len() as f64 / best);
    };
    time("scan", &|text, _| scan(text).len());
    time("clean", &|text, _| cleaning.clean(text).text.len());
    time("fingerprint", &|text, _| fingerprint(text).is_some().into());
    time("language", &|text, _| identifier.identify(text, None).code.len());
    time("key phrases", &|text, code| phrases.extract(text, code, &[]).len());
    Ok(())
}

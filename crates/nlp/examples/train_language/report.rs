//! How often languages are told right.

use crate::{data, sets};
use domain::macrolanguage;
use nlp::language::LanguageIdentifier;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::read_to_string;

/// Large languages, by the number of posts.
pub(crate) const LARGE: [&str; 25] = [
    "en", "zh", "es", "ar", "hi", "pt", "ru", "ja", "de", "fr", "it", "id", "ko", "tr", "nl", "pl", "sv", "fa", "vi",
    "th", "uk", "ro", "cs", "hu", "el",
];

/// Posts in Latin letters of languages with another script, written by hand.
const ROMANISED: &[(&str, &str)] = &[
    ("ar-Latn", "ana mesh 3aref a3mel eh"),
    ("ar-Latn", "el internet bate2 awi ya gama3a"),
    ("ar-Latn", "kifak habibi shu akhbarak"),
    ("ar-Latn", "7abibi wa7ashtini awi"),
    ("ar-Latn", "wallah el khedma zbala"),
    ("ar-Latn", "inshallah bokra a7san"),
    ("ar-Latn", "shou hal shi ya3ne"),
    ("ar-Latn", "3andi moshkela fel telefon"),
    ("ar-Latn", "khalas ana za2t men el sherka di"),
    ("ar-Latn", "mabrook ya sa7by"),
    ("ru-Latn", "privet kak dela"),
    ("ru-Latn", "spasibo bolshoe za pomosh"),
    ("ru-Latn", "kogda uzhe pridet moya posylka"),
    ("ru-Latn", "opyat zaderzhali reis"),
    ("ru-Latn", "ya ne ponimayu chto proishodit"),
    ("ru-Latn", "pochemu tak dolgo"),
    ("el-Latn", "kalimera ti kaneis"),
    ("el-Latn", "den mporw na katalavw"),
    ("el-Latn", "i ptisi kathisterise pali"),
    ("el-Latn", "efharisto poly re file"),
    ("el-Latn", "pote tha erthei to paketo mou"),
    ("hi-Latn", "yaar ye kya ho raha hai"),
    ("hi-Latn", "mera order abhi tak nahi aaya"),
    ("hi-Latn", "bahut ghatiya service hai"),
    ("hi-Latn", "aap log kab tak doge"),
    ("hi-Latn", "kya baat hai bhai"),
];

/// The short texts, with the pairs that are confused most.
pub(crate) fn short(name: &str, identifier: &LanguageIdentifier, texts: &[(&str, &str)]) {
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut wrong: BTreeMap<(String, String), u32> = BTreeMap::new();
    for (text, code) in texts {
        let answer = identifier.identify(text, None).code;
        let count = counts.entry(code).or_default();
        *count = (count.0 + u32::from(answer == *code), count.1 + 1);
        if answer != *code {
            *wrong.entry(((*code).to_owned(), answer)).or_default() += 1;
        }
    }
    let share = |(right, all): (u32, u32)| 100.0 * f64::from(right) / f64::from(all.max(1));
    let mean = |of: Vec<f64>| of.iter().sum::<f64>() / of.len().max(1) as f64;
    let all = counts.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    let large: Vec<(&str, f64)> = LARGE.iter().filter_map(|code| Some((*code, share(*counts.get(code)?)))).collect();
    println!(
        "{name:8} mean over languages {:.1} %, over texts {:.1} %, 25 largest {:.1} %, English {:.1} %",
        mean(counts.values().map(|count| share(*count)).collect()),
        share(all),
        mean(large.iter().map(|(_, share)| *share).collect()),
        counts.get("en").copied().map_or(0.0, share)
    );
    let below = large.iter().filter(|(_, share)| *share < 95.0).map(|(code, share)| format!("{code} {share:.0}"));
    println!("         large languages below 95 %: {}", below.collect::<Vec<_>>().join(", "));
    let mut wrong: Vec<_> = wrong.into_iter().collect();
    wrong.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let wrong = wrong.iter().take(30).map(|((from, to), count)| format!("{from}>{to} {count}"));
    println!("         confused: {}", wrong.collect::<Vec<_>>().join(", "));
}

/// How often posts of the validation parts get their language.
pub(crate) fn posts(identifier: &LanguageIdentifier) -> Result<(), Box<dyn Error>> {
    let data = data::folder();
    for (folder, code) in data::UMSAB {
        let texts = read_to_string(data.join("umsab").join(folder).join("val_text.txt"))?;
        rate(identifier, folder, code, texts.lines());
    }
    let texts = read_to_string(data.join("tweeteval/sentiment/val_text.txt"))?;
    rate(identifier, "TweetEval", "en", texts.lines());
    let airline: Vec<String> = sets::texts(&data.join("airline/tweets.jsonl"))?.into_iter().step_by(4).collect();
    rate(identifier, "airline", "en", airline.iter().map(String::as_str));
    let words = |text: &&str| text.split(' ').filter(|word| !word.starts_with(['@', '#'])).count();
    let few = airline.iter().map(String::as_str).filter(|text| (2..=6).contains(&words(text)));
    rate(identifier, "short airline", "en", few);
    Ok(())
}

fn rate<'a>(identifier: &LanguageIdentifier, name: &str, code: &str, texts: impl Iterator<Item = &'a str>) {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut all = 0;
    for text in texts {
        let answer = identifier.identify(text, None).code;
        if std::env::args().any(|arg| arg == "--errors") && macrolanguage(&answer) != code {
            println!("  {answer:8} {text}");
        }
        *counts.entry(answer).or_default() += 1;
        all += 1;
    }
    let right: u32 = counts.iter().filter(|(found, _)| macrolanguage(found) == code).map(|(_, count)| count).sum();
    println!("{name:14} {code} {:6.2} % of {all}  {counts:?}", 100.0 * f64::from(right) / f64::from(all.max(1)));
}

/// Posts in Latin letters of languages with another script.
pub(crate) fn romanised(identifier: &LanguageIdentifier) {
    for (code, text) in ROMANISED {
        println!("{code} {:8} {text}", identifier.identify(text, None).code);
    }
}

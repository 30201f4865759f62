//! The shipped program's own answers against labelled sets: `cargo run -p nlp --example eval -- [MODEL_DIR]`.
//!
//! Reads the validation splits of the data folder (`OVERHEARD_DATA`, else `../shared/data` beside the repository), and
//! those of `OVERHEARD_TEST`, a folder with splits named `test` in the same layout, where someone has them. Every text
//! goes the way that a post goes: cleaned, cut, read by the int8 engine, decoded; entities are judged by the words that
//! they touch, without those found by rule. Published figures are on the tests.

#![expect(clippy::print_stdout, reason = "prints a table")]

#[path = "../data/mod.rs"]
mod data;
mod figures;
mod sets;

use domain::{Enrichment, macrolanguage};
use figures::{Named, Strict, calibration_error, entities, macro_recall, of_pairs};
use nlp::{Config, Understanding};
use sets::{TextSet, WordSet, json_set, text_set, word_set};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

const EXTRA_TEXTS: [&str; 4] =
    ["thai_wisesight", "indonesian_smsa", "indonesian_nusax", "portuguese_mozambique_afrisenti"];
const EXTRA_WORDS: [&str; 7] =
    ["tweebank_ner", "uner_portuguese", "uner_danish", "uner_swedish", "uner_croatian", "uner_slovak", "uner_chinese"];
/// The extra sets have no split of their own: training leaves out every 20th text, of which every 4th is judged here.
const EXTRA_STEP: usize = 80;
const EMOTIONS: [&str; 4] = ["anger", "joy", "optimism", "sadness"];

type Done = Result<(), Box<dyn Error>>;

/// Rows of the table: figure, ours, published.
#[derive(Default)]
struct Table(Vec<(String, String, &'static str)>);

fn main() -> Done {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let model = std::env::args_os().nth(1).map_or_else(|| root.join("models/overheard-small"), PathBuf::from);
    let data = data::folder();
    let config =
        Config { model_dir: Some(model), language_model: Some(root.join("models/lid.176.ftz")), ..Config::default() };
    let understanding = Understanding::load(&config)?;
    judge(&understanding, &data, "val", "dev")?;
    match std::env::var_os("OVERHEARD_TEST") {
        Some(folder) => judge(&understanding, Path::new(&folder), "test", "test"),
        None => Ok(()),
    }
}

/// Prints the table of one folder; sets that it lacks are left out.
fn judge(understanding: &Understanding, data: &Path, split: &str, word_split: &str) -> Done {
    let began = Instant::now();
    let mut table = Table::default();
    let posts = texts(understanding, data, split, &mut table)? + words(understanding, data, word_split, &mut table)?;
    println!(
        "\n{} on {split}: {posts} posts in {:.0} s\n",
        understanding_name(understanding),
        began.elapsed().as_secs_f32()
    );
    println!("| figure | ours | published (test) |\n|---|---|---|");
    for (figure, ours, published) in &table.0 {
        println!("| {figure} | {ours} | {published} |");
    }
    if posts == 0 { Err(format!("no labelled sets in {}", data.display()).into()) } else { Ok(()) }
}

fn understanding_name(understanding: &Understanding) -> &str {
    domain::Enricher::model(understanding)
}

impl Table {
    fn percent(&mut self, figure: String, value: f64, published: &'static str) {
        self.0.push((figure, format!("{value:.1}"), published));
    }

    fn error(&mut self, figure: String, value: f64) {
        self.0.push((figure, format!("{value:.3}"), ""));
    }
}

/// Sentiment, emotion, offence and language; how many posts were judged.
fn texts(understanding: &Understanding, data: &Path, split: &str, table: &mut Table) -> Result<usize, Box<dyn Error>> {
    let mut posts = 0;
    let tweeteval = |task: &str| text_set(&data.join("tweeteval").join(task), split, format!("TweetEval {task}"));
    if let Some(set) = tweeteval("sentiment")? {
        posts += set.texts.len();
        let (pairs, sure) = told(&read(understanding, &set)?, &set, sentiment);
        let figures = of_pairs(3, pairs);
        table.percent(format!("{}, macro recall", set.name), macro_recall(&figures), "RoBERTa-base 71.3, TimeLMs 73.7");
        table.error(format!("{}, calibration error", set.name), calibration_error(&sure));
    }
    posts += umsab(understanding, data, split, table)?;
    if let Some(set) = tweeteval("emotion")? {
        posts += set.texts.len();
        let (pairs, sure) = told(&read(understanding, &set)?, &set, emotion);
        table.percent(format!("{}, macro F1", set.name), macro_f1(4, pairs), "RoBERTa-base 76.1");
        table.error(format!("{}, calibration error", set.name), calibration_error(&sure));
    }
    if let Some(set) = tweeteval("offensive")? {
        posts += set.texts.len();
        let (pairs, sure) = told(&read(understanding, &set)?, &set, offensive);
        table.percent(format!("{}, macro F1", set.name), macro_f1(2, pairs), "RoBERTa-base 79.5");
        table.error(format!("{}, calibration error", set.name), calibration_error(&sure));
    }
    for name in EXTRA_TEXTS {
        let path = data.join("extra").join(format!("{name}.jsonl"));
        if let Some(set) = json_set(&path, EXTRA_STEP, name.to_owned())? {
            posts += set.texts.len();
            let (pairs, _) = told(&read(understanding, &set)?, &set, sentiment);
            table.percent(format!("{name} ({} held back), macro F1", set.texts.len()), macro_f1(3, pairs), "");
        }
    }
    Ok(posts)
}

/// Sentiment and language of eight languages.
fn umsab(understanding: &Understanding, data: &Path, split: &str, table: &mut Table) -> Result<usize, Box<dyn Error>> {
    let (mut posts, mut sum, mut sets, mut sure, mut hits, mut seven) = (0, 0.0, 0, Vec::new(), 0, (0, 0));
    for (folder, code) in data::UMSAB {
        let name = format!("UMSAB {folder}");
        let Some(set) = text_set(&data.join("umsab").join(folder), split, name)? else { continue };
        let answers = read(understanding, &set)?;
        let (pairs, confidences) = told(&answers, &set, sentiment);
        let f1 = macro_f1(3, pairs);
        table.percent(format!("{}, macro F1", set.name), f1, "");
        sure.extend(confidences);
        (posts, sets, sum) = (posts + set.texts.len(), sets + 1, sum + f1);
        let right = answers.iter().filter(|found| macrolanguage(&found.language.code) == code).count();
        hits += right;
        if code != "hi" {
            seven = (seven.0 + right, seven.1 + set.texts.len());
        }
    }
    if sets > 0 {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        table.percent(format!("UMSAB mean of {sets}, macro F1"), sum / f64::from(sets), "XLM-R base 66.8, XLM-T 69.4");
        table.error("UMSAB, calibration error".into(), calibration_error(&sure));
        table.percent("UMSAB language as the folder says, accuracy".into(), percent(hits, posts), "");
        table.percent("UMSAB language without the Hindi folder, accuracy".into(), percent(seven.0, seven.1), "");
    }
    Ok(posts)
}

fn macro_f1(classes: usize, pairs: Vec<(usize, usize)>) -> f64 {
    100.0 * f64::from(of_pairs(classes, pairs).macro_f1)
}

fn read(understanding: &Understanding, set: &TextSet) -> Result<Vec<Enrichment>, Box<dyn Error>> {
    let texts: Vec<(&str, Option<&str>)> = set.texts.iter().map(|text| (text.as_str(), None)).collect();
    let mut found = Vec::with_capacity(texts.len());
    for part in texts.chunks(512) {
        found.extend(understanding.read(part).into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

/// (right, said) class numbers, and (confidence, whether right).
type Told = (Vec<(usize, usize)>, Vec<(f32, bool)>);

fn told(answers: &[Enrichment], set: &TextSet, say: impl Fn(&Enrichment) -> (usize, f32)) -> Told {
    let told = answers.iter().zip(&set.classes).map(|(found, &class)| {
        let (said, confidence) = say(found);
        ((class, said), (confidence, said == class))
    });
    told.unzip()
}

/// The strongest of three: "mixed" is given back to the poles that it was taken from, in proportion.
fn sentiment(found: &Enrichment) -> (usize, f32) {
    let Some(s) = found.sentiment else { return (usize::MAX, 0.0) };
    let poles = s.negative + s.positive;
    let back = if poles > 0.0 { (poles + s.mixed) / poles } else { 1.0 };
    strongest(&[s.negative * back, s.neutral, s.positive * back])
}

fn emotion(found: &Enrichment) -> (usize, f32) {
    let Some(emotion) = &found.emotion else { return (usize::MAX, 0.0) };
    let class = EMOTIONS.iter().position(|label| *label == emotion.label).unwrap_or(usize::MAX);
    (class, emotion.confidence)
}

fn offensive(found: &Enrichment) -> (usize, f32) {
    let share = found.offensive.unwrap_or(0.0);
    strongest(&[1.0 - share, share])
}

fn strongest(shares: &[f32]) -> (usize, f32) {
    let best = (0..shares.len()).fold(0, |best, i| if shares[i] > shares[best] { i } else { best });
    (best, shares[best])
}

/// Entities; how many posts were judged.
fn words(understanding: &Understanding, data: &Path, split: &str, table: &mut Table) -> Result<usize, Box<dyn Error>> {
    let mut posts = 0;
    if let Some(set) = word_set(&data.join("wnut17").join(format!("{split}.conll")), 1, "WNUT17".into())? {
        posts += set.posts.len();
        let found = named(understanding, &set)?;
        entity_rows(&set, &found, wnut_name, Some, "winner 2017 41.9, BERTweet 56.5", table);
        let set = WordSet { name: "WNUT17 organisations merged".into(), ..set };
        entity_rows(&set, &found, merged, merged, "", table);
    }
    let more = EXTRA_WORDS.map(|name| (data.join("extra").join(format!("{name}.conll")), EXTRA_STEP, name.to_owned()));
    let btc = (data.join("btc").join(format!("{split}.conll")), 1, "BTC".to_owned());
    for (path, step, name) in std::iter::once(btc).chain(more) {
        if let Some(set) = word_set(&path, step, name)? {
            posts += set.posts.len();
            entity_rows(&set, &named(understanding, &set)?, three, three, "", table);
        }
    }
    Ok(posts)
}

/// Kinds of the model as WNUT17 names them.
fn wnut_name(kind: &str) -> Option<&str> {
    match kind {
        "organisation" => Some("corporation"),
        "work" => Some("creative-work"),
        other => Some(other),
    }
}

/// Kinds of the product, from the model's and from WNUT17's.
fn merged(kind: &str) -> Option<&str> {
    match kind {
        "corporation" | "group" => Some("organisation"),
        "creative-work" => Some("work"),
        other => Some(other),
    }
}

/// Kinds that BTC and news sets tell apart.
fn three(kind: &str) -> Option<&str> {
    match kind {
        "person" | "PER" => Some("PER"),
        "location" | "LOC" => Some("LOC"),
        "organisation" | "group" | "ORG" => Some("ORG"),
        _ => None,
    }
}

/// What the model finds in each post, in words.
fn named(understanding: &Understanding, set: &WordSet) -> Result<Vec<Vec<Named>>, Box<dyn Error>> {
    let texts: Vec<&str> = set.posts.iter().map(|post| post.text.as_str()).collect();
    let answers = understanding.named(&texts).into_iter().collect::<Result<Vec<_>, _>>()?;
    let in_words = |(post, found): (&sets::Words, Vec<(String, domain::Entity)>)| {
        let words = found.into_iter().map(|(kind, entity)| {
            let (first, after) = post.touched(entity.begin, entity.end);
            (first, after, kind)
        });
        words.collect()
    };
    Ok(set.posts.iter().zip(answers).map(in_words).collect())
}

/// Strict F1, precision and recall under two namings: of what the model says, and of what is true.
fn entity_rows<'a>(
    set: &'a WordSet,
    found: &'a [Vec<Named>],
    ours: impl Fn(&'a str) -> Option<&'a str>,
    theirs: impl Fn(&'a str) -> Option<&'a str>,
    published: &'static str,
    table: &mut Table,
) {
    let mut strict = Strict::default();
    for (post, found) in set.posts.iter().zip(found) {
        let gold = entities(&post.tags, &theirs);
        let said = found.iter().filter_map(|(first, after, kind)| Some((*first, *after, ours(kind)?.to_owned())));
        strict.add(&gold, &said.collect::<Vec<_>>());
    }
    let [f1, precision, recall] = strict.percent();
    table.percent(format!("{}, entity F1", set.name), f1, published);
    table.0.push((format!("{}, precision / recall", set.name), format!("{precision:.1} / {recall:.1}"), ""));
}

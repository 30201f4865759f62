//! `overheard compare`: what an engine of Amazon would say of one's own texts, beside the shipped model, and what it costs.

use crate::Global;
use crate::commands::analyze::{Asked, Engine, asked, open};
use crate::commands::cost::Prices;
use crate::output::{self, Format, say};
use anyhow::{Context, Result, bail};
use domain::{Clock, EnrichedPost, Enrichment, Post, SentimentLabel, SystemClock};
use runtime::{Config, wiring};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Questions that Comprehend is asked about a text.
const QUESTIONS: f64 = 4.0;
/// Texts understood at once.
const CHUNK: usize = 512;

/// Put an engine of Amazon beside the shipped model on your own texts: where they agree, and what each costs.
///
/// In: as for `overheard analyze`. Lines of JSON may have a "sentiment" of your own (positive, negative, neutral, mixed):
/// then both are compared with it. Every text is asked for at AWS, which charges for it; --limit keeps that small.
/// Nothing is stored.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = "Examples:\n  overheard compare reviews.jsonl --limit 500")]
pub(crate) struct Args {
    /// File with texts; `-` is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Which engine: comprehend or sagemaker.
    #[arg(long, value_enum, default_value = "comprehend")]
    engine: Engine,
    /// Most texts that are compared.
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// Other prices, in the form of config/prices.toml.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, args: Args) -> Result<ExitCode> {
    if args.engine == Engine::Embedded {
        bail!("the shipped model is compared with another: --engine comprehend or --engine sagemaker");
    }
    let config = global.load()?;
    let prices = Prices::read(args.prices.as_deref())?;
    let now = SystemClock.now();
    let lines = open(&args.file)?.split(b'\n').enumerate();
    let texts = lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim_ascii().is_empty()));
    let mut given: Vec<(Post, Option<String>)> = Vec::new();
    for (index, line) in texts.take(args.limit) {
        let Asked { post, label, .. } = asked(index + 1, &line.context("read the texts")?, now);
        match post {
            Ok(post) => given.push((post, label)),
            Err(problem) => eprintln!("line {}: {problem}", index + 1),
        }
    }
    if given.is_empty() {
        bail!("there are no texts in {}", args.file.display());
    }
    let posts: Vec<Post> = given.iter().map(|(post, _)| post.clone()).collect();
    let (ours, took) = understood(&config, Engine::Embedded, &posts)?;
    let (theirs, _) = understood(&config, args.engine, &posts)?;
    let pairs: Vec<(&Enrichment, &Enrichment)> =
        ours.iter().zip(&theirs).map(|(ours, theirs)| (&ours.enrichment, &theirs.enrichment)).collect();
    show_agreement(&pairs)?;
    show_sentiments(&pairs)?;
    let labels: Vec<Option<&str>> = given.iter().map(|(_, label)| label.as_deref()).collect();
    show_right(&pairs, &labels)?;
    show_price(args.engine, &posts, took, &prices)?;
    let failed = pairs.iter().filter(|(_, theirs)| !theirs.issues.is_empty()).collect::<Vec<_>>();
    if let Some((_, first)) = failed.first() {
        say(format_args!("{} texts had no whole answer from AWS; the first: {}", failed.len(), first.issues[0]))?;
        return Ok(ExitCode::from(3));
    }
    Ok(ExitCode::SUCCESS)
}

/// What an engine understands of the posts, and how long it takes.
fn understood(config: &Config, engine: Engine, posts: &[Post]) -> Result<(Vec<EnrichedPost>, Duration)> {
    let mut config = config.clone();
    engine.choose(&mut config);
    let language = wiring::language(&config, wiring::categories(&config)?)?;
    let stage = wiring::stage(&config, Arc::new(language), Vec::new())?;
    let began = Instant::now();
    let mut all = Vec::with_capacity(posts.len());
    for posts in posts.chunks(CHUNK) {
        for answer in stage.posts(posts.to_vec(), SystemClock.now()) {
            all.push(answer?);
        }
    }
    Ok((all, began.elapsed()))
}

type Pair<'a> = (&'a Enrichment, &'a Enrichment);

/// How much two sets share.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shared {
    both: usize,
    ours: usize,
    theirs: usize,
}

impl Shared {
    /// Of the things that all texts name.
    fn of<'a>(pairs: &[Pair<'a>], named: impl Fn(&'a Enrichment) -> BTreeSet<String>) -> Self {
        let mut shared = Self::default();
        for (ours, theirs) in pairs {
            let (ours, theirs) = (named(ours), named(theirs));
            let both = ours.intersection(&theirs).count();
            shared.both += both;
            shared.ours += ours.len() - both;
            shared.theirs += theirs.len() - both;
        }
        shared
    }

    /// Twice the shared ones, of all that either names.
    fn agreement(&self) -> Option<f64> {
        let all = 2 * self.both + self.ours + self.theirs;
        (all > 0).then(|| 2.0 * self.both as f64 / all as f64)
    }
}

fn one(value: Option<String>) -> BTreeSet<String> {
    value.into_iter().collect()
}

fn sentiment(enrichment: &Enrichment) -> Option<String> {
    enrichment.sentiment.map(|sentiment| sentiment.label.as_str().to_owned())
}

fn percent(share: Option<f64>) -> Value {
    share.map_or(Value::Null, |share| json!(format!("{:.1}%", share * 100.0)))
}

fn show_agreement(pairs: &[Pair<'_>]) -> Result<()> {
    use domain::EntityKind::{Event, Location, Organisation, Person, Product, Work};
    let entities = |enrichment: &Enrichment| -> BTreeSet<String> {
        let named = enrichment.entities.iter();
        let named = named.filter(|one| matches!(one.kind, Person | Organisation | Location | Product | Work | Event));
        named.map(|one| format!("{} {}", one.kind.as_str(), one.text.to_lowercase())).collect()
    };
    let phrases = |enrichment: &Enrichment| -> BTreeSet<String> {
        enrichment.key_phrases.iter().map(|phrase| phrase.text.to_lowercase()).collect()
    };
    let category = |enrichment: &Enrichment| one(enrichment.category.as_ref().map(|category| category.label.clone()));
    let all = [
        ("language", Shared::of(pairs, |enrichment| one(Some(enrichment.language.code.clone())))),
        ("sentiment", Shared::of(pairs, |enrichment| one(sentiment(enrichment)))),
        ("category", Shared::of(pairs, category)),
        ("entities", Shared::of(pairs, entities)),
        ("key phrases", Shared::of(pairs, phrases)),
    ];
    let rows = all
        .iter()
        .map(|(what, shared)| {
            let numbers = [shared.both, shared.ours, shared.theirs].map(|count| json!(count));
            [json!(what), percent(shared.agreement())].into_iter().chain(numbers).collect()
        })
        .collect();
    output::print(&output::rows(&["what", "agreement", "both", "ours alone", "theirs alone"], rows), Format::Table)
}

const LABELS: [SentimentLabel; 4] =
    [SentimentLabel::Positive, SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Mixed];

/// Our sentiments down, theirs across.
fn show_sentiments(pairs: &[Pair<'_>]) -> Result<()> {
    let label = |enrichment: &Enrichment| enrichment.sentiment.map(|sentiment| sentiment.label);
    let count = |ours: SentimentLabel, theirs: SentimentLabel| {
        pairs.iter().filter(|pair| (label(pair.0), label(pair.1)) == (Some(ours), Some(theirs))).count()
    };
    let row = |ours: SentimentLabel| {
        std::iter::once(json!(ours.as_str())).chain(LABELS.map(|theirs| json!(count(ours, theirs)))).collect()
    };
    let names = LABELS.map(SentimentLabel::as_str);
    let columns: Vec<&str> = std::iter::once("ours / theirs").chain(names).collect();
    output::print(&output::rows(&columns, LABELS.map(row).to_vec()), Format::Table)
}

/// How often each says what the texts' own labels say.
fn show_right(pairs: &[Pair<'_>], labels: &[Option<&str>]) -> Result<()> {
    let labelled: Vec<(&Pair<'_>, &str)> =
        pairs.iter().zip(labels).filter_map(|(pair, label)| Some((pair, (*label)?))).collect();
    if labelled.is_empty() {
        return Ok(());
    }
    let right = |which: fn(&Pair<'_>) -> Option<String>| {
        let right = labelled.iter().filter(|(pair, label)| which(pair).as_deref() == Some(*label)).count();
        100.0 * right as f64 / labelled.len() as f64
    };
    let (ours, theirs) = (right(|pair| sentiment(pair.0)), right(|pair| sentiment(pair.1)));
    say(format_args!(
        "{} texts have a sentiment of their own: ours says the same of {ours:.1}%, theirs of {theirs:.1}%",
        labelled.len()
    ))
}

fn show_price(engine: Engine, posts: &[Post], took: Duration, prices: &Prices) -> Result<()> {
    let count = posts.len() as f64;
    let characters: usize = posts.iter().map(|post| post.text.chars().count()).sum();
    let per_thousand = |dollars: f64| dollars / count * 1_000.0;
    // Each text counts by itself, so the average would be too low.
    let theirs: f64 = match engine {
        Engine::Comprehend => {
            let of = |post: &Post| prices.comprehend(1.0, post.text.chars().count() as f64, QUESTIONS);
            per_thousand(posts.iter().map(of).sum())
        }
        // Half a second of 4 GB a text, serverless.
        _ => 1_000.0 * 0.5 * 4.0 * prices.of("sagemaker", "gb_second"),
    };
    let hour = prices.of("fargate", "vcpu_hour") + 2.0 * prices.of("fargate", "gb_hour");
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let ours = per_thousand(took.as_secs_f64() / 3_600.0 * processors * hour);
    say(format_args!(
        "1,000 texts ({:.0} characters each) cost ${theirs:.2} at AWS, and ${ours:.4} of processor time as measured here \
         ({:.0} texts/s, Fargate on demand); list prices noted {}",
        characters as f64 / count,
        count / took.as_secs_f64().max(1e-9),
        prices.noted()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{KeyPhrase, Language};

    fn enrichment(language: &str, phrases: &[&str]) -> Enrichment {
        let phrase = |text: &&str| KeyPhrase { text: (*text).into(), confidence: 1.0, begin: 0, end: 1 };
        Enrichment {
            language: Language { code: language.into(), confidence: 1.0 },
            key_phrases: phrases.iter().map(phrase).collect(),
            ..Enrichment::default()
        }
    }

    #[test]
    fn what_both_name_is_counted_text_by_text() {
        let all = [
            (enrichment("en", &["late flight", "seat"]), enrichment("en", &["seat", "crew"])),
            (enrichment("de", &["seat"]), enrichment("nl", &[])),
        ];
        let pairs: Vec<Pair<'_>> = all.iter().map(|(ours, theirs)| (ours, theirs)).collect();
        let phrases =
            |enrichment: &Enrichment| enrichment.key_phrases.iter().map(|phrase| phrase.text.clone()).collect();
        let shared = Shared::of(&pairs, phrases);
        assert_eq!(shared, Shared { both: 1, ours: 2, theirs: 1 });
        assert_eq!(shared.agreement(), Some(0.4));
        let languages = Shared::of(&pairs, |enrichment| one(Some(enrichment.language.code.clone())));
        assert_eq!(languages.agreement(), Some(0.5));
        assert_eq!(Shared::default().agreement(), None);
    }
}

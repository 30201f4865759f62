//! `overheard analyze`: what is understood of texts, without storing them. The same stage as the pipeline's.

use crate::Global;
use crate::config::Config;
use crate::house;
use crate::output::{self, say};
use anyhow::{Context, Result};
use clap::ValueEnum;
use domain::{Clock, EnrichedPost, Post, PostId, Provenance, SourceId, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Say what the model understands of texts: language, sentiment, entities, key phrases, category, places.
///
/// In: one text a line, or JSON lines {"id": ..., "text": ...}. Out: one JSON line each, in the same order; `begin`
/// and `end` count characters of the text given. Nothing is stored.
///
/// echo "Loving the new seats on flight 12 to München!" | overheard analyze
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// File with texts; `-` is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    #[arg(long, value_enum, default_value = "jsonl")]
    format: LineFormat,
    /// File with your own categories.
    #[arg(long, value_name = "FILE")]
    categories: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LineFormat {
    /// One JSON object a line.
    Jsonl,
    /// Language, sentiment and text for the eye.
    Table,
}

/// Texts understood at once: bounds memory, and lets the engine sort by length.
const CHUNK: usize = 512;

pub(crate) fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let mut config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    if let Some(file) = &args.categories {
        config.understand.categories = file.to_string_lossy().into_owned();
    }
    let language = house::language(&config, house::categories(&config)?)?;
    let understand = house::stage(&config, Arc::new(language), Vec::new())?;
    let now = SystemClock.now();
    let input: Box<dyn BufRead> = match args.file.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(&args.file).with_context(|| format!("open {}", args.file.display()))?)),
    };
    let mut failed = 0;
    let mut chunk = Vec::new();
    let mut lines = input.split(b'\n').enumerate();
    loop {
        let line = lines.next().transpose_line()?;
        let at_end = line.is_none();
        if let Some((number, bytes)) = line {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.trim().is_empty() {
                continue;
            }
            chunk.push(post(number + 1, text.trim_end_matches('\r'), now)?);
        }
        if chunk.len() == CHUNK || at_end {
            let ids: Vec<Value> = chunk.iter().map(|(id, _): &(Value, Post)| id.clone()).collect();
            let posts = chunk.drain(..).map(|(_, post)| post).collect();
            for (id, answer) in ids.into_iter().zip(understand.posts(posts, now)) {
                match answer {
                    Ok(post) => print(&id, &post, args.format)?,
                    Err(error) => {
                        failed += 1;
                        output::print_line(&json!({"id": id, "error": error.to_string()}))?;
                    }
                }
            }
        }
        if at_end {
            return Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) });
        }
    }
}

/// Turns the iterator's `Option<(n, Result)>` inside out.
trait TransposeLine {
    fn transpose_line(self) -> std::io::Result<Option<(usize, Vec<u8>)>>;
}

impl TransposeLine for Option<(usize, std::io::Result<Vec<u8>>)> {
    fn transpose_line(self) -> std::io::Result<Option<(usize, Vec<u8>)>> {
        self.map(|(number, line)| line.map(|bytes| (number, bytes))).transpose()
    }
}

/// A line is a JSON object with a `text`, or the text itself.
fn post(number: usize, line: &str, now: Timestamp) -> Result<(Value, Post)> {
    let object = serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    let text = object.as_ref().and_then(|object| object.get("text")?.as_str().map(str::to_owned));
    let id = object.as_ref().and_then(|object| object.get("id").cloned()).unwrap_or_else(|| json!(number.to_string()));
    let text = text.unwrap_or_else(|| line.to_owned());
    let field = |name: &str| object.as_ref().and_then(|object| object.get(name)?.as_str().map(str::to_owned));
    let post = Post {
        id: PostId::new("text", &number.to_string())?,
        source: SourceId("analyze".into()),
        platform: "text".into(),
        text,
        author: field("user_location")
            .map(|location| domain::Author { location: Some(location), ..Default::default() }),
        url: None,
        occurred_at: now,
        received_at: now,
        language_hint: field("lang"),
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: Vec::new(),
        reach: None,
        provenance: Provenance::File,
        topics_hint: Vec::new(),
        payload: String::new(),
    };
    Ok((id, post))
}

fn print(id: &Value, post: &EnrichedPost, format: LineFormat) -> Result<()> {
    let e = &post.enrichment;
    match format {
        LineFormat::Jsonl => output::print_line(&document(id, post)),
        LineFormat::Table => {
            let sentiment = e.sentiment.map_or("-", |sentiment| sentiment.label.as_str());
            say(format_args!("{:<4} {:<9} {}", e.language.code, sentiment, post.post.text))
        }
    }
}

/// The documented form of an answer.
fn document(id: &Value, post: &EnrichedPost) -> Value {
    let e = &post.enrichment;
    let places: Vec<Value> = post
        .place
        .iter()
        .map(|(place, from)| {
            let mut value = json!(place);
            value["from"] = json!(from);
            value
        })
        .collect();
    json!({
        "id": id,
        "language": e.language,
        "text_en": e.text_en,
        "sentiment": e.sentiment,
        "emotion": e.emotion,
        "offensive": e.offensive,
        "entities": e.entities,
        "key_phrases": e.key_phrases,
        "category": e.category,
        "places": places,
        "model": e.model,
        "issues": e.issues,
    })
}

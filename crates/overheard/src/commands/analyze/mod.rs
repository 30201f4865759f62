//! `overheard analyze`: what is understood of texts, without storing them. The same stage as the pipeline's.

mod answers;

use crate::Global;
use crate::output::{self, Format};
use answers::Answers;
use anyhow::{Context, Result};
use clap::ValueEnum;
use domain::{Author, Clock, Post, PostId, SystemClock, Timestamp};
use pipeline::Understand;
use runtime::config::UnderstandEngine;
use runtime::{Config, wiring};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Analyze texts without storing them: language, sentiment, entities, key phrases, category, places
///
/// Input: one text per line. A line that begins with `{` is JSON, {"id": ..., "text": ...}, with
/// optional `lang` and `user_location`. Output: one result per line, in the same order; `begin` and
/// `end` are character offsets into the text.
///
/// An invalid line gets a result with an `error` and is reported by number; the rest are processed, and
/// the exit code is 3. A plain text line among JSON lines is reported too, because it may be a
/// truncated object.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  echo "Loving the new seats on flight 12 to München!" | overheard analyze
  overheard analyze texts.txt --format csv --categories categories.toml"#
)]
pub(crate) struct Args {
    /// File with texts; `-` is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Output format: jsonl and json are complete; csv has labels and scores; table has language, sentiment and text.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// File with your own categories (`overheard categories --help`).
    #[arg(long, value_name = "FILE")]
    categories: Option<PathBuf>,
    /// Who speaks, in place of the engine of the settings.
    #[arg(long, value_enum)]
    engine: Option<Engine>,
}

/// Texts understood at once: bounds memory, and lets the engine sort by length.
const CHUNK: usize = 512;

pub(crate) fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let mut config = global.load()?;
    if let Some(file) = &args.categories {
        config.understand.categories = file.to_string_lossy().into_owned();
    }
    if let Some(engine) = args.engine {
        engine.choose(&mut config);
    }
    let input = open(&args.file)?;
    let language = wiring::language(&config, wiring::categories(&config)?)?;
    let understand = wiring::stage(&config, Arc::new(language), Vec::new())?;
    let mut answers = Answers::new(BufWriter::new(io::stdout().lock()), args.format);
    match answer_all(input, &understand, &mut answers) {
        Err(error) if output::is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        other => other?,
    }
    Ok(if answers.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// Which engine speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The shipped model alone.
    Embedded,
    /// Amazon Comprehend over it (settings: [understand.aws]). Every text is a paid call.
    Comprehend,
    /// The classifier of understand.aws.sagemaker_endpoint over it. Every text is a paid call.
    Sagemaker,
}

impl Engine {
    /// Has this engine speak, whatever is configured.
    pub(crate) fn choose(self, config: &mut Config) {
        config.understand.engine = match self {
            Self::Comprehend => UnderstandEngine::Comprehend,
            Self::Embedded | Self::Sagemaker => UnderstandEngine::Embedded,
        };
        if self != Self::Sagemaker {
            config.understand.aws.sagemaker_endpoint.clear();
        }
    }
}

/// The lines of a file; `-` is standard input.
pub(crate) fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    Ok(match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(file).with_context(|| format!("open {}", file.display()))?)),
    })
}

/// A line that asks for an answer.
pub(crate) struct Asked {
    /// From 1.
    number: usize,
    /// Whether it is JSON, or means to be.
    object: bool,
    id: Value,
    pub(crate) post: Result<Post, String>,
    /// The sentiment that somebody gave it (`compare`).
    pub(crate) label: Option<String>,
}

fn answer_all(input: impl BufRead, understand: &Understand, answers: &mut Answers<impl Write>) -> Result<()> {
    let now = SystemClock.now();
    let mut lines = input.split(b'\n').enumerate().filter_map(|(index, line)| match line {
        Ok(line) if line.trim_ascii().is_empty() => None,
        line => Some(line.map(|line| asked(index + 1, &line, now))),
    });
    answers.begin()?;
    let mut objects = false;
    loop {
        let chunk = lines.by_ref().take(CHUNK).collect::<io::Result<Vec<Asked>>>().context("read the texts")?;
        if chunk.is_empty() {
            return answers.end();
        }
        let posts = chunk.iter().filter_map(|asked| asked.post.as_ref().ok().cloned()).collect();
        let mut understood = understand.posts(posts, now).into_iter();
        for asked in chunk {
            objects |= asked.object;
            if objects && !asked.object {
                answers.doubt(asked.number, "taken as a text because it does not begin with {, unlike other lines");
            }
            let answer = asked.post.and_then(|_| match understood.next() {
                Some(answer) => answer.map_err(|error| error.to_string()),
                None => Err("no answer".into()),
            });
            answers.write(asked.number, &asked.id, &answer)?;
        }
    }
}

/// Reads a line: JSON where it begins like an object, else the text itself.
pub(crate) fn asked(number: usize, line: &[u8], now: Timestamp) -> Asked {
    let line = if number == 1 { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let named = |id: &Value| if id.is_null() { json!(number.to_string()) } else { id.clone() };
    if !line.trim_ascii_start().starts_with(b"{") {
        let text = String::from_utf8_lossy(line).into_owned();
        let post = post(number, text, &Value::Null, now);
        return Asked { number, object: false, id: named(&Value::Null), post, label: None };
    }
    let (object, problem) = match serde_json::from_slice::<Value>(line) {
        Ok(object) => (object, None),
        // It counts lines itself, and sees but one.
        Err(error) => {
            let words = error.to_string().replace("at line 1 column", "at column");
            (Value::Null, Some(format!("not JSON: {words}")))
        }
    };
    let post = match (problem, &object["text"]) {
        (Some(problem), _) => Err(problem),
        (None, Value::String(text)) => post(number, text.clone(), &object, now),
        (None, Value::Null) => Err("no \"text\"".to_owned()),
        (None, _) => Err("\"text\" is not a string".to_owned()),
    };
    let label = object["sentiment"].as_str().map(str::to_lowercase);
    Asked { number, object: true, id: named(&object["id"]), post, label }
}

fn post(number: usize, text: String, object: &Value, now: Timestamp) -> Result<Post, String> {
    let field = |name: &str| object[name].as_str().map(str::to_owned);
    let id = PostId::new("text", &number.to_string()).map_err(|error| error.to_string())?;
    let author = field("user_location").map(|location| Author { location: Some(location), ..Author::default() });
    Ok(Post { author, language_hint: field("lang"), ..Post::of_text(id, text, now) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(number: usize, line: &[u8]) -> (Value, Result<String, String>) {
        let asked = asked(number, line, SystemClock.now());
        (asked.id, asked.post.map(|post| post.text))
    }

    #[test]
    fn a_line_is_json_where_it_begins_like_an_object_and_a_text_otherwise() {
        for (line, id, text) in [
            (&b"I love it\r"[..], json!("4"), Ok("I love it")),
            (b"\"quoted\"", json!("4"), Ok("\"quoted\"")),
            (b"[1, 2]", json!("4"), Ok("[1, 2]")),
            (br#"{"id": 7, "text": "a\nb"}"#, json!(7), Ok("a\nb")),
            (br#"  {"text": ""}"#, json!("4"), Ok("")),
            (br#"{"id": "x"}"#, json!("x"), Err("no \"text\"")),
            (br#"{"id": "x", "text": 5}"#, json!("x"), Err("not a string")),
            (br#"{"text": "cut"#, json!("4"), Err("not JSON: EOF while parsing a string at column 13")),
            (b"{\"text\": \"\xff\"}", json!("4"), Err("not JSON")),
        ] {
            let (found, post) = ask(4, line);
            assert_eq!(found, id);
            match (post, text) {
                (Ok(post), Ok(text)) => assert_eq!(post, text),
                (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ask(1, "\u{feff}{\"text\": \"a\"}".as_bytes()).1, Ok("a".into()));
        assert_eq!(ask(1, b"bad \xff byte").1, Ok("bad \u{fffd} byte".into()));
    }
}

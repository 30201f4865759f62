//! `overheard geocode`: place names to coordinates, offline.

use crate::output::{self, Format};
use anyhow::Result;
use places::{Gazetteer, Hints};
use serde_json::json;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::process::ExitCode;

/// Geocode place names offline: country, region, city and coordinates
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard geocode "Brooklyn, NY" "München"
  overheard geocode --format jsonl - < locations.txt    one text per line in, one JSON line each out (null: unknown)"#
)]
pub(crate) struct Args {
    /// Place names; a single `-` reads one per line from standard input.
    #[arg(required = true)]
    texts: Vec<String>,
    /// Output format.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Language hint (ISO 639-1).
    #[arg(long)]
    language: Option<String>,
    /// Preferred country (ISO 3166, two letters).
    #[arg(long)]
    country: Option<String>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let gazetteer = Gazetteer::embedded()?;
    let hints = Hints { language: args.language.as_deref(), country: args.country.as_deref() };
    if args.format == Format::Jsonl {
        return write_lines(texts(&args), &|text| places::geocode_line(gazetteer, text, &hints));
    }
    let mut rows = Vec::new();
    for text in texts(&args) {
        let text = text?;
        let found = gazetteer.locate(&text, &hints);
        if found.is_empty() {
            rows.push(vec![json!(text), json!("unknown")]);
        }
        for place in found {
            rows.push(vec![
                json!(text),
                json!(place.name),
                json!(place.region),
                json!(place.country),
                json!(place.coordinates.lat),
                json!(place.coordinates.lon),
                json!(place.kind),
                json!((f64::from(place.confidence) * 100.0).round() / 100.0),
            ]);
        }
    }
    rows.iter_mut().for_each(|row| row.resize(8, serde_json::Value::Null));
    let columns = ["text", "name", "region", "country", "lat", "lon", "kind", "confidence"];
    output::print(&output::rows(&columns, rows), args.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The texts asked about; bytes that are no UTF-8 are replaced, so that each line of standard input is one text.
fn texts(args: &Args) -> Box<dyn Iterator<Item = io::Result<String>> + '_> {
    if args.texts != ["-"] {
        return Box::new(args.texts.iter().cloned().map(Ok));
    }
    let read = |line: Vec<u8>| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
    Box::new(BufReader::new(io::stdin()).split(b'\n').map(move |line| line.map(read)))
}

/// One line out for each text. A reader that goes away early (`| head`) ends it.
fn write_lines(texts: impl Iterator<Item = io::Result<String>>, line: &dyn Fn(&str) -> String) -> Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    for text in texts {
        let written = writeln!(out, "{}", line(&text?));
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return Ok(ExitCode::SUCCESS);
        }
        written?;
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

//! `overheard geocode`: place names to coordinates, offline.

use crate::output::{self, Format, say};
use anyhow::Result;
use places::{Gazetteer, Hints};
use serde_json::json;
use std::io::BufRead;
use std::process::ExitCode;

/// Turn place names into country, region, city and coordinates.
///
/// overheard geocode "Brooklyn, NY" "München"
/// overheard geocode --format jsonl - < locations.txt     one text a line in, one JSON line each out (null: not known)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Texts; a single `-` reads one a line from standard input.
    #[arg(required = true)]
    texts: Vec<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Language of the texts (ISO 639-1), where known: a hint.
    #[arg(long)]
    language: Option<String>,
    /// Country to prefer (ISO 3166 two letters), where known: a hint.
    #[arg(long)]
    country: Option<String>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let gazetteer = Gazetteer::embedded()?;
    let hints = Hints { language: args.language.as_deref(), country: args.country.as_deref() };
    let stdin = args.texts == ["-"];
    if args.format == Format::Jsonl {
        let print = |text: &str| say(places::geocode_line(gazetteer, text, &hints));
        if stdin {
            for line in std::io::stdin().lock().lines() {
                print(&line?)?;
            }
        } else {
            args.texts.iter().try_for_each(|text| print(text))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let texts = if stdin { std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()? } else { args.texts };
    let mut rows = Vec::new();
    for text in &texts {
        let found = gazetteer.locate(text, &hints);
        if found.is_empty() {
            rows.push(vec![json!(text), json!("not known")]);
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

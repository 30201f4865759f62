//! Answers of `overheard analyze` in each of its forms, written as they come.

use crate::output::{self, Format};
use anyhow::Result;
use domain::EnrichedPost;
use serde_json::{Value, json};
use std::io::Write;

/// Bad lines that are told one by one.
const TOLD_MAX: usize = 20;

/// Columns of the form for spreadsheets.
const COLUMNS: [&str; 17] = [
    "id",
    "text",
    "language",
    "sentiment",
    "positive",
    "negative",
    "neutral",
    "mixed",
    "emotion",
    "offensive",
    "category",
    "category_confidence",
    "entities",
    "key_phrases",
    "place",
    "model",
    "error",
];

/// Answers on their way out, each as soon as it is there.
pub(super) struct Answers<W: Write> {
    out: W,
    format: Format,
    written: usize,
    failed: usize,
    doubted: usize,
}

impl<W: Write> Answers<W> {
    pub(super) fn new(out: W, format: Format) -> Self {
        Self { out, format, written: 0, failed: 0, doubted: 0 }
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        match self.format {
            Format::Json => write!(self.out, "[")?,
            Format::Csv => self.row(&COLUMNS.map(str::to_owned))?,
            Format::Jsonl | Format::Table => {}
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<()> {
        if self.format == Format::Json {
            writeln!(self.out, "{}]", if self.written == 0 { "" } else { "\n" })?;
        }
        if self.failed > TOLD_MAX {
            eprintln!("... and {} more lines", self.failed - TOLD_MAX);
        }
        if self.doubted > TOLD_MAX {
            eprintln!("... and {} more lines taken as texts", self.doubted - TOLD_MAX);
        }
        Ok(self.out.flush()?)
    }

    /// Tells of a line that gets an answer, and may mean something else.
    pub(super) fn doubt(&mut self, number: usize, words: &str) {
        self.doubted += 1;
        if self.doubted <= TOLD_MAX {
            eprintln!("line {number}: {words}");
        }
    }

    /// Lines that got no answer but an error.
    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    pub(super) fn write(&mut self, number: usize, id: &Value, answer: &Result<EnrichedPost, String>) -> Result<()> {
        if let Err(problem) = answer {
            self.failed += 1;
            if self.failed <= TOLD_MAX {
                eprintln!("line {number}: {problem}");
            }
        }
        let document = || match answer {
            Ok(post) => document(id, post),
            Err(problem) => json!({"id": id, "line": number, "error": problem}),
        };
        match self.format {
            Format::Jsonl => writeln!(self.out, "{}", document())?,
            Format::Json => {
                let between = if self.written == 0 { "\n" } else { ",\n" };
                write!(self.out, "{between}{}", document())?;
            }
            Format::Csv => self.row(&cells(id, answer))?,
            Format::Table => {
                let (language, sentiment, words) = match answer {
                    Ok(post) => {
                        let sentiment = post.enrichment.sentiment.map_or("-", |sentiment| sentiment.label.as_str());
                        (post.enrichment.language.code.as_str(), sentiment, post.post.text.clone())
                    }
                    Err(problem) => ("?", "error", format!("line {number}: {problem}")),
                };
                writeln!(self.out, "{language:<4} {sentiment:<9} {}", words.replace(['\n', '\r', '\t'], " "))?;
            }
        }
        self.written += 1;
        Ok(())
    }

    fn row(&mut self, cells: &[String]) -> Result<()> {
        let mut row = csv::Writer::from_writer(&mut self.out);
        row.write_record(cells)?;
        Ok(row.flush()?)
    }
}

/// A row of the form for spreadsheets; lists are parted by semicolons.
fn cells(id: &Value, answer: &Result<EnrichedPost, String>) -> [String; COLUMNS.len()] {
    let mut cells = COLUMNS.map(|_| String::new());
    cells[0] = output::text(id);
    let post = match answer {
        Ok(post) => post,
        Err(problem) => {
            cells[16].clone_from(problem);
            return cells;
        }
    };
    let e = &post.enrichment;
    let number = |n: f32| format!("{n:.4}");
    cells[1].clone_from(&post.post.text);
    cells[2].clone_from(&e.language.code);
    if let Some(s) = &e.sentiment {
        cells[3] = s.label.as_str().to_owned();
        for (cell, score) in cells[4..8].iter_mut().zip([s.positive, s.negative, s.neutral, s.mixed]) {
            *cell = number(score);
        }
    }
    cells[8] = e.emotion.as_ref().map(|emotion| emotion.label.clone()).unwrap_or_default();
    cells[9] = e.offensive.map(number).unwrap_or_default();
    if let Some(category) = &e.category {
        cells[10].clone_from(&category.label);
        cells[11] = number(category.confidence);
    }
    let entities = e.entities.iter().map(|entity| format!("{} ({})", entity.text, entity.kind.as_str()));
    cells[12] = entities.collect::<Vec<_>>().join("; ");
    cells[13] = e.key_phrases.iter().map(|phrase| phrase.text.as_str()).collect::<Vec<_>>().join("; ");
    cells[14] = post.place.as_ref().map(|(place, _)| place.name.clone()).unwrap_or_default();
    cells[15].clone_from(&e.model);
    cells
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

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, answers: &[Result<EnrichedPost, String>]) -> String {
        let mut out = Vec::new();
        let mut writer = Answers::new(&mut out, format);
        writer.begin().unwrap();
        for (index, answer) in answers.iter().enumerate() {
            writer.write(index + 1, &json!(index), answer).unwrap();
        }
        writer.end().unwrap();
        assert_eq!(writer.failed, answers.iter().filter(|answer| answer.is_err()).count());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_format_has_an_answer_for_each_line() {
        let bad = || Err::<EnrichedPost, _>("no, \"text\"".to_owned());
        let json: Vec<Value> = serde_json::from_str(&printed(Format::Json, &[bad(), bad()])).unwrap();
        assert_eq!(json[1], json!({"id": 1, "line": 2, "error": "no, \"text\""}));
        assert_eq!(printed(Format::Json, &[]), "[]\n");
        assert_eq!(printed(Format::Jsonl, &[bad(), bad()]).lines().count(), 2);
        assert_eq!(printed(Format::Table, &[bad()]), "?    error     line 1: no, \"text\"\n");
        let csv = printed(Format::Csv, &[bad()]);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!((&row[0], &row[16]), ("0", "no, \"text\""));
    }
}

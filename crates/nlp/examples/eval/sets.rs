//! Labelled sets as they lie in the data folder: TweetEval's layout (one text a line, one number a line), CoNLL columns,
//! and JSON lines.

use std::error::Error;
use std::path::Path;

/// Texts with the number of the right class each.
pub(crate) struct TextSet {
    pub(crate) name: String,
    pub(crate) texts: Vec<String>,
    pub(crate) classes: Vec<usize>,
}

/// Texts in words, each with its tag (`O`, `B-person`, `I-person`).
pub(crate) struct WordSet {
    pub(crate) name: String,
    pub(crate) posts: Vec<Words>,
}

/// A text put together from its words.
#[derive(Default)]
pub(crate) struct Words {
    pub(crate) text: String,
    /// Characters of the text that each word takes.
    pub(crate) ranges: Vec<(u32, u32)>,
    pub(crate) tags: Vec<String>,
}

type Read<T> = Result<T, Box<dyn Error>>;

/// `FOLDER/{split}_text.txt` with `{split}_labels.txt`; none when the folder has no such split.
pub(crate) fn text_set(folder: &Path, split: &str, name: String) -> Read<Option<TextSet>> {
    let path = folder.join(format!("{split}_text.txt"));
    if !path.exists() {
        return Ok(None);
    }
    let texts = std::fs::read_to_string(path)?;
    let texts: Vec<String> = texts.trim_end_matches('\n').split('\n').map(str::to_owned).collect();
    let labels = std::fs::read_to_string(folder.join(format!("{split}_labels.txt")))?;
    let classes = labels.split_whitespace().map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    if texts.len() != classes.len() {
        return Err(format!("{name}: {} texts, {} labels", texts.len(), classes.len()).into());
    }
    Ok(Some(TextSet { name, texts, classes }))
}

/// Every `step`-th line `{"text": ..., "label": ...}` of a file; none when there is no such file.
pub(crate) fn json_set(path: &Path, step: usize, name: String) -> Read<Option<TextSet>> {
    let Ok(lines) = std::fs::read_to_string(path) else { return Ok(None) };
    let mut set = TextSet { name, texts: Vec::new(), classes: Vec::new() };
    for line in lines.lines().step_by(step) {
        let row: serde_json::Value = serde_json::from_str(line)?;
        set.texts.push(row["text"].as_str().ok_or("a line without text")?.to_owned());
        set.classes.push(row["label"].as_u64().ok_or("a line without label")? as usize);
    }
    Ok(Some(set))
}

/// Every `step`-th sentence of a file with a word and its tag a line; none when there is no such file.
pub(crate) fn word_set(path: &Path, step: usize, name: String) -> Read<Option<WordSet>> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
    let spaced = !name.contains("chinese");
    let (mut posts, mut open) = (Vec::new(), Words::default());
    for line in text.split('\n').chain([""]) {
        let mut parts = line.trim_end_matches('\r').split('\t');
        match (parts.next().map(str::trim), parts.next().map(str::trim)) {
            (Some(word), Some(tag)) if !word.is_empty() => open.push(word, tag, spaced),
            _ if !open.tags.is_empty() => posts.push(std::mem::take(&mut open)),
            _ => {}
        }
    }
    Ok(Some(WordSet { name, posts: posts.into_iter().step_by(step).collect() }))
}

impl Words {
    fn push(&mut self, word: &str, tag: &str, spaced: bool) {
        if spaced && !self.text.is_empty() {
            self.text.push(' ');
        }
        // WNUT17 writes links as URL1, URL2.
        let link = word.strip_prefix("URL").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let begin = self.text.chars().count() as u32;
        self.text.push_str(if link { "http" } else { word });
        self.ranges.push((begin, self.text.chars().count() as u32));
        self.tags.push(tag.to_owned());
    }

    /// First word that characters `begin..end` touch, and the word after the last.
    pub(crate) fn touched(&self, begin: u32, end: u32) -> (usize, usize) {
        let first = self.ranges.partition_point(|range| range.1 <= begin);
        (first, self.ranges.partition_point(|range| range.0 < end).max(first))
    }
}

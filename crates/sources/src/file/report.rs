//! What an import did, and what a person should know of how the files were read.

use crate::record::{Notes, Tally};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Kinds of each sort that are told; the rest are counted.
const TOLD_MAX: usize = 20;

/// How far an import is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What the file that is being read was recognised as.
    pub recognised: Option<String>,
    /// Bytes of the file that were read (compressed ones, when it is).
    pub bytes: u64,
    /// None for standard input.
    pub bytes_total: Option<u64>,
    pub summary: Summary,
}

/// What an import did. `read` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records found.
    pub read: u64,
    /// Posts and deletions that are on disk now.
    pub stored: u64,
    /// Those that were there before.
    pub duplicates: u64,
    /// Posts that their platform deleted before.
    pub deleted: u64,
    /// Set aside as dead letters, with the reason.
    pub rejected: u64,
}

/// What an import did and has to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub summary: Summary,
    pub notes: Notes,
    /// Files that break off, with where: what stands before was read.
    pub broken: Vec<String>,
}

impl Report {
    /// Adds that of another file.
    pub fn add(&mut self, other: Self) {
        self.summary.read += other.summary.read;
        self.summary.stored += other.summary.stored;
        self.summary.duplicates += other.summary.duplicates;
        self.summary.deleted += other.summary.deleted;
        self.summary.rejected += other.summary.rejected;
        self.notes.merge(other.notes);
        self.broken.extend(other.broken);
    }
    /// What a person should know, a line each: the sums first.
    pub fn lines(&self) -> Vec<String> {
        let Summary { read, stored, duplicates, deleted, rejected } = self.summary;
        let [read, stored, duplicates, deleted, rejected] =
            [read, stored, duplicates, deleted, rejected].map(thousands);
        let mut lines = vec![format!(
            "{read} read: {stored} new, {duplicates} duplicates, {deleted} deleted or replaced, {rejected} rejected"
        )];
        lines.extend(self.doubts());
        lines
    }

    /// What was rejected, assumed and not used, and what broke off.
    pub fn doubts(&self) -> Vec<String> {
        let mut lines = tallies("rejected", &self.notes.rejected);
        lines.extend(tallies("assumed", &self.notes.guesses));
        if !self.notes.unused.is_empty() {
            let mut unused: Vec<(&String, &u64)> = self.notes.unused.iter().collect();
            unused.sort_by_key(|(_, count)| Reverse(**count));
            let shown = unused.iter().take(TOLD_MAX).map(|(name, count)| format!("{name} ({})", thousands(**count)));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = unused.len().saturating_sub(TOLD_MAX);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            lines.push(format!("unused fields (map them with --columns FIELD=NAME): {shown}{more}"));
        }
        lines.extend(self.broken.iter().map(|broken| format!("broken off: {broken}")));
        lines
    }
}

fn tallies(what: &str, tallies: &BTreeMap<String, Tally>) -> Vec<String> {
    let mut all: Vec<(&String, &Tally)> = tallies.iter().collect();
    all.sort_by_key(|(_, tally)| Reverse(tally.count));
    let line = |(kind, Tally { count, example }): &(&String, &Tally)| {
        let example = example.replace(char::is_control, " ");
        let first = if example.trim().is_empty() { String::new() } else { format!("; the first: {example}") };
        format!("{what}: {} × {kind}{first}", thousands(*count))
    };
    let mut lines: Vec<String> = all.iter().take(TOLD_MAX).map(line).collect();
    if all.len() > TOLD_MAX {
        lines.push(format!("{what}: {} more kinds", all.len() - TOLD_MAX));
    }
    lines
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

//! What was read otherwise than its owner may expect: keys that nothing uses, guesses, and reasons of rejections, each
//! counted with an example. An import tells it at its end, so that nothing is lost or assumed without a word.

use std::collections::BTreeMap;

/// Most different keys, guesses or reasons that are kept; a file can make up any number.
const KINDS_MAX: usize = 200;
const EXAMPLE_MAX_CHARS: usize = 120;

/// How often something happened, with the first example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub example: String,
}

/// Counts of what to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Keys and columns that are no field of the form, with the number of posts that had them.
    pub unused: BTreeMap<String, u64>,
    /// What was assumed, in words.
    pub guesses: BTreeMap<String, Tally>,
    /// Why records were rejected; numbers and quoted parts are left out of the reason, the example is whole.
    pub rejected: BTreeMap<String, Tally>,
}

impl Notes {
    pub(crate) fn unused(&mut self, key: &str) {
        let key = key.char_indices().nth(EXAMPLE_MAX_CHARS).map_or(key, |(end, _)| &key[..end]);
        if let Some(count) = self.unused.get_mut(key) {
            *count += 1;
        } else if self.unused.len() < KINDS_MAX {
            self.unused.insert(key.to_owned(), 1);
        }
    }

    pub(crate) fn guess(&mut self, what: &str, example: &str) {
        add(&mut self.guesses, what, 1, example);
    }

    /// `place`: where in the file the record stands, for the example.
    pub(crate) fn reject(&mut self, reason: &str, place: &str) {
        add(&mut self.rejected, &kind_of(reason), 1, &format!("{place}{reason}"));
    }

    /// Adds what another part of the same import has to tell.
    pub fn merge(&mut self, other: Self) {
        for (key, count) in other.unused {
            if self.unused.len() < KINDS_MAX || self.unused.contains_key(&key) {
                *self.unused.entry(key).or_default() += count;
            }
        }
        for (mine, others) in [(&mut self.guesses, other.guesses), (&mut self.rejected, other.rejected)] {
            for (what, tally) in others {
                add(mine, &what, tally.count, &tally.example);
            }
        }
    }
}

fn add(tallies: &mut BTreeMap<String, Tally>, what: &str, count: u64, example: &str) {
    if let Some(tally) = tallies.get_mut(what) {
        tally.count += count;
    } else if tallies.len() < KINDS_MAX {
        let example = example.trim().chars().take(EXAMPLE_MAX_CHARS).collect();
        tallies.insert(what.to_owned(), Tally { count, example });
    }
}

/// The reason without what differs from record to record.
fn kind_of(reason: &str) -> String {
    let mut kind = String::with_capacity(reason.len());
    for (index, part) in reason.split('"').enumerate() {
        if index % 2 == 1 {
            kind.push_str("\"…\"");
            continue;
        }
        for c in part.chars() {
            match c {
                '0'..='9' if kind.ends_with('#') => {}
                '0'..='9' => kind.push('#'),
                c => kind.push(c),
            }
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_one_kind_are_counted_together() {
        let mut notes = Notes::default();
        for day in 10..30 {
            notes.reject(&format!("created_at \"{day}/02/2026\" is not a date; at line {day}"), "");
        }
        let kinds: Vec<(&String, &Tally)> = notes.rejected.iter().collect();
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].0, "created_at \"…\" is not a date; at line #");
        assert_eq!((kinds[0].1.count, kinds[0].1.example.contains("10/02/2026")), (20, true));
    }
}

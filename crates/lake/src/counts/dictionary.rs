//! Texts as numbers: each different text once, in one piece of memory.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// The number of no text.
pub(super) const NONE: u32 = 0;

/// Numbers from 1, in the order of the first meeting.
#[derive(Default)]
pub(super) struct Dictionary {
    texts: String,
    /// Where each text ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
}

impl Dictionary {
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        let hash = xxh3_64(text.as_bytes());
        if let Some(number) = self.numbers.find(hash, |number| self.text(*number) == text) {
            return *number;
        }
        self.texts.push_str(text);
        self.ends.push(self.texts.len());
        let number = u32::try_from(self.ends.len()).expect("four billion texts don't fit the memory");
        let Self { texts, ends, numbers } = self;
        numbers.insert_unique(hash, number, |number| xxh3_64(slice(texts, ends, *number).as_bytes()));
        number
    }

    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.find(xxh3_64(text.as_bytes()), |number| self.text(*number) == text).copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        slice(&self.texts, &self.ends, number)
    }

    /// Numbers up to this are given.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.texts.capacity() + self.ends.capacity() * size_of::<usize>() + self.numbers.capacity() * 5
    }
}

fn slice<'a>(texts: &'a str, ends: &[usize], number: u32) -> &'a str {
    let Some(at) = (number as usize).checked_sub(1) else { return "" };
    let begin = at.checked_sub(1).map_or(0, |before| ends[before]);
    &texts[begin..ends[at]]
}

/// Names that are compared without regard to case: each knows the number of its lower-case form.
#[derive(Default)]
pub(super) struct Names {
    dictionary: Dictionary,
    folded: Vec<u32>,
}

impl Names {
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        let number = self.dictionary.intern(name);
        if self.dictionary.len() > self.folded.len() {
            self.folded.push(number);
            let lower = name.to_lowercase();
            if lower != name {
                self.folded[number as usize - 1] = self.intern(&lower);
            }
        }
        number
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.dictionary.find(name)
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.dictionary.text(number)
    }

    pub(super) fn folded(&self, number: u32) -> u32 {
        (number as usize).checked_sub(1).map_or(NONE, |at| self.folded[at])
    }

    pub(super) fn len(&self) -> usize {
        self.dictionary.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.dictionary.bytes() + self.folded.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_number() {
        let mut dictionary = Dictionary::default();
        let numbers: Vec<u32> = ["a", "", "bc", "a"].iter().map(|text| dictionary.intern(text)).collect();
        assert_eq!(numbers, [1, 2, 3, 1]);
        assert_eq!([1, 2, 3].map(|number| dictionary.text(number)), ["a", "", "bc"]);
        assert_eq!((dictionary.find("bc"), dictionary.find("c"), dictionary.len()), (Some(3), None, 3));
    }

    #[test]
    fn spellings_share_their_lower_case_form() {
        let mut names = Names::default();
        let numbers = ["United", "UNITED", "united", "Ünïted", "united"].map(|name| names.intern(name));
        let folded = numbers.map(|number| names.folded(number));
        assert_eq!(names.text(folded[0]), "united");
        assert!(folded[0] == folded[1] && folded[1] == folded[2] && folded[2] == folded[4]);
        assert_eq!(names.text(folded[3]), "ünïted");
    }
}

//! What posts have in common, each different thing once: profiles, places, authors, and the texts in them.

use super::dictionary::{Dictionary, NONE, Names};
use domain::Dimension;
use std::collections::HashMap;
use std::hash::Hash;

/// The labels whose numbers are known beforehand: their place here, from 1.
pub(super) const SENTIMENTS: [&str; 4] = ["positive", "negative", "neutral", "mixed"];

/// The dimensions with one value a post and few values in all: columns of table `sentiment`. A post's values of these are
/// part of its profile; that is all that counting and filtering by a further one needs.
pub(super) const FEW_VALUED: [Dimension; 5] =
    [Dimension::Sentiment, Dimension::Category, Dimension::Language, Dimension::Platform, Dimension::Source];

/// The place of the sentiment in [`FEW_VALUED`].
pub(super) const SENTIMENT: usize = 0;

/// The place of a dimension in [`FEW_VALUED`].
pub(super) fn few_valued(dimension: Dimension) -> Option<usize> {
    FEW_VALUED.iter().position(|of| *of == dimension)
}

/// Everything of a post that few values describe. Many posts share one, so a filter is checked once for a profile
/// instead of once for a post, and posts are counted by profile first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    /// Words, by [`FEW_VALUED`].
    pub(super) values: [u32; FEW_VALUED.len()],
    /// Number of the set of topics.
    pub(super) topics: u32,
    pub(super) is_repost: bool,
}

/// Where posts come from; coordinates by their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) place: u32,
    pub(super) region: u32,
    pub(super) country: u32,
    pub(super) kind: u32,
    pub(super) point: Option<(u64, u64)>,
}

/// Who wrote: the person that is counted, and the handle that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Author {
    pub(super) person: u32,
    pub(super) handle: u32,
}

/// Different things, numbered from 0.
pub(super) struct Numbered<T> {
    items: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { items: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    pub(super) fn intern(&mut self, item: T) -> u32 {
        let next = u32::try_from(self.items.len()).expect("four billion things don't fit the memory");
        *self.numbers.entry(item).or_insert_with_key(|item| {
            self.items.push(item.clone());
            next
        })
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    fn bytes(&self) -> usize {
        (self.items.capacity() + self.numbers.capacity() * 2) * size_of::<T>()
    }
}

pub(super) struct Vocabulary {
    /// Labels, codes, topics, places: few.
    pub(super) words: Dictionary,
    /// Hashtags, entities, phrases, handles: many.
    pub(super) names: Names,
    pub(super) persons: Dictionary,
    pub(super) topics: Numbered<Vec<u32>>,
    pub(super) profiles: Numbered<Profile>,
    pub(super) places: Numbered<Place>,
    pub(super) authors: Numbered<Author>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        let mut words = Dictionary::default();
        for label in SENTIMENTS {
            words.intern(label);
        }
        Self {
            words,
            names: Names::default(),
            persons: Dictionary::default(),
            topics: Numbered::default(),
            profiles: Numbered::default(),
            places: Numbered::default(),
            authors: Numbered::default(),
        }
    }
}

impl Vocabulary {
    /// The author as `author_id` and `author` tell: who has no id is counted by the handle.
    pub(super) fn author(&mut self, id: u32, handle: u32) -> u32 {
        let person = match (id, handle) {
            (NONE, NONE) => NONE,
            (NONE, handle) => self.persons.intern(self.names.text(handle)),
            (id, _) => id,
        };
        self.authors.intern(Author { person, handle })
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.bytes()
            + self.names.bytes()
            + self.persons.bytes()
            + self.topics.bytes()
            + self.profiles.bytes()
            + self.places.bytes()
            + self.authors.bytes()
    }
}

//! Which posts a selection means, as tables that one look per post answers, and the walk over those posts.

use super::chunk::{Chunk, Lists, unpacked};
use super::dictionary::NONE;
use super::vocabulary::{FEW_VALUED, Profile, Vocabulary};
use domain::{Dimension, Selection};
use std::collections::HashSet;
use std::ops::Range;
use std::thread;

/// Fewer posts are not worth a thread.
const ROWS_A_THREAD: usize = 100_000;

/// A selection, looked up in the vocabulary.
pub(super) struct Selected {
    from: i64,
    to: i64,
    profiles: Vec<bool>,
    places: Option<Vec<bool>>,
    authors: Option<Vec<bool>>,
    /// Names that the lists must hold one of.
    hashtags: Option<Vec<bool>>,
    entities: Option<Vec<bool>>,
    phrases: Option<Vec<bool>>,
}

impl Selected {
    pub(super) fn of(selection: &Selection, vocabulary: &Vocabulary) -> Self {
        let values = |dimension| selection.any_of.get(&dimension).map(Vec::as_slice);
        let words = |dimension| {
            values(dimension).map(|values| {
                let mut wanted = vec![false; vocabulary.words.len() + 1];
                values
                    .iter()
                    .filter_map(|value| vocabulary.words.find(value))
                    .for_each(|word| wanted[word as usize] = true);
                wanted
            })
        };
        let folded = |dimension| values(dimension).map(|values| names_where(vocabulary, values));
        let handles = folded(Dimension::Author);
        let authors = vocabulary.authors.items().iter();
        Self {
            from: selection.range.from.timestamp_micros(),
            to: selection.range.to.timestamp_micros(),
            profiles: profiles(selection, vocabulary, words),
            places: places(vocabulary, words(Dimension::Country), words(Dimension::Place)),
            authors: handles.map(|handles| authors.map(|author| handles[author.handle as usize]).collect()),
            hashtags: values(Dimension::Hashtag).map(|tags| hashtags(vocabulary, tags)),
            entities: folded(Dimension::Entity),
            phrases: folded(Dimension::Phrase),
        }
    }

    /// The rows of the chunk within the range.
    pub(super) fn rows(&self, chunk: &Chunk) -> Range<usize> {
        let first = chunk.times.partition_point(|time| *time < self.from);
        first..chunk.times.partition_point(|time| *time < self.to).max(first)
    }

    /// Whether the row's post is meant, whenever it was written.
    #[inline]
    pub(super) fn takes(&self, chunk: &Chunk, row: usize) -> bool {
        let holds = |lists: &Lists, wanted: &Option<Vec<bool>>| {
            wanted.as_ref().is_none_or(|wanted| lists.of(row).iter().any(|item| wanted[unpacked(*item).0 as usize]))
        };
        self.profiles[chunk.profiles[row] as usize]
            && self.places.as_ref().is_none_or(|places| places[chunk.places[row] as usize])
            && self.authors.as_ref().is_none_or(|authors| authors[chunk.authors[row] as usize])
            && holds(&chunk.hashtags, &self.hashtags)
            && holds(&chunk.entities, &self.entities)
            && holds(&chunk.phrases, &self.phrases)
    }

    /// Visits every post that is meant, on as many threads as pay; each thread has an account of its own.
    pub(super) fn walk<A: Send>(
        &self,
        chunks: &[&Chunk],
        account: impl Fn() -> A + Sync,
        visit: impl Fn(&mut A, &Chunk, usize) + Sync,
    ) -> Vec<A> {
        let pieces: Vec<(&Chunk, Range<usize>)> = chunks.iter().map(|chunk| (*chunk, self.rows(chunk))).collect();
        let total: usize = pieces.iter().map(|(_, rows)| rows.len()).sum();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = (total / ROWS_A_THREAD).clamp(1, cores);
        let work = |pieces: Vec<(&Chunk, Range<usize>)>| {
            let mut account = account();
            for (chunk, rows) in pieces {
                for row in rows {
                    if self.takes(chunk, row) {
                        visit(&mut account, chunk, row);
                    }
                }
            }
            account
        };
        let mut shares = shared_out(pieces, total.div_ceil(threads));
        let own = shares.pop().unwrap_or_default();
        thread::scope(|scope| {
            let others: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| work(share))).collect();
            let own = work(own);
            let joined =
                others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.chain([own]).collect()
        })
    }
}

/// Shares of about so many rows each, in order.
fn shared_out(pieces: Vec<(&Chunk, Range<usize>)>, rows_max: usize) -> Vec<Vec<(&Chunk, Range<usize>)>> {
    let (mut shares, mut share, mut room) = (Vec::new(), Vec::new(), rows_max);
    for (chunk, mut rows) in pieces {
        while rows.len() > room {
            let end = rows.start + room;
            share.push((chunk, rows.start..end));
            rows.start = end;
            shares.push(std::mem::take(&mut share));
            room = rows_max;
        }
        room -= rows.len();
        share.push((chunk, rows));
    }
    shares.push(share);
    shares
}

/// For each word, whether it is one of the values.
type Words = Vec<bool>;

fn profiles(selection: &Selection, vocabulary: &Vocabulary, words: impl Fn(Dimension) -> Option<Words>) -> Vec<bool> {
    let wanted: Vec<(usize, Words)> =
        FEW_VALUED.into_iter().enumerate().filter_map(|(at, of)| Some((at, words(of)?))).collect();
    let topics = words(Dimension::Topic);
    let takes = |profile: &Profile| {
        let set = &vocabulary.topics.items()[profile.topics as usize];
        wanted.iter().all(|(at, words)| words[profile.values[*at] as usize])
            && topics.as_ref().is_none_or(|topics| set.iter().any(|topic| topics[*topic as usize]))
            && !(selection.originals_only && profile.is_repost)
    };
    vocabulary.profiles.items().iter().map(takes).collect()
}

fn places(vocabulary: &Vocabulary, countries: Option<Words>, names: Option<Words>) -> Option<Vec<bool>> {
    if countries.is_none() && names.is_none() {
        return None;
    }
    let among = |words: &Option<Words>, word| words.as_ref().is_none_or(|words| words[word as usize]);
    let places = vocabulary.places.items().iter();
    Some(places.map(|place| among(&countries, place.country) && among(&names, place.place)).collect())
}

/// The names that are one of the values but for case.
fn names_where(vocabulary: &Vocabulary, values: &[String]) -> Vec<bool> {
    let names = &vocabulary.names;
    let folded: HashSet<u32> = values.iter().filter_map(|value| names.find(&value.to_lowercase())).collect();
    (0..=u32::try_from(names.len()).unwrap_or(0))
        .map(|name| name != NONE && folded.contains(&names.folded(name)))
        .collect()
}

fn hashtags(vocabulary: &Vocabulary, tags: &[String]) -> Vec<bool> {
    let mut wanted = vec![false; vocabulary.names.len() + 1];
    for tag in tags.iter().flat_map(|tag| [tag.clone(), tag.to_lowercase()]) {
        if let Some(number) = vocabulary.names.find(&tag) {
            wanted[number as usize] = true;
        }
    }
    wanted
}

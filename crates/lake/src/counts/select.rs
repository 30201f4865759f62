//! Which posts a selection means, as tables that one look per post answers, and the walk over those posts.

use super::chunk::{Chunk, Lists, unpacked};
use super::dictionary::NONE;
use super::vocabulary::{Profile, Vocabulary, few_valued};
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
    /// Every dimension has an arm here, so that none is ignored.
    pub(super) fn of(selection: &Selection, vocabulary: &Vocabulary) -> Self {
        let words = |values: &[String]| words_where(vocabulary, values);
        let (mut few, mut topics, mut countries, mut places, mut authors) = (Vec::new(), None, None, None, None);
        let (mut hashtags, mut entities, mut phrases) = (None, None, None);
        for (dimension, values) in &selection.any_of {
            match dimension {
                Dimension::Sentiment
                | Dimension::Category
                | Dimension::Language
                | Dimension::Platform
                | Dimension::Source => few.extend(few_valued(*dimension).map(|at| (at, words(values)))),
                Dimension::Topic => topics = Some(words(values)),
                Dimension::Country => countries = Some(words(values)),
                Dimension::Place => places = Some(words(values)),
                Dimension::Author => authors = Some(names_where(vocabulary, values)),
                Dimension::Hashtag => hashtags = Some(hashtags_where(vocabulary, values)),
                Dimension::Entity => entities = Some(names_where(vocabulary, values)),
                Dimension::Phrase => phrases = Some(names_where(vocabulary, values)),
            }
        }
        let known = vocabulary.authors.items().iter();
        Self {
            from: selection.range.from.timestamp_micros(),
            to: selection.range.to.timestamp_micros(),
            profiles: profiles(vocabulary, selection.originals_only, &few, topics.as_ref()),
            places: places_where(vocabulary, countries, places),
            authors: authors.map(|handles| known.map(|author| handles[author.handle as usize]).collect()),
            hashtags,
            entities,
            phrases,
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

fn words_where(vocabulary: &Vocabulary, values: &[String]) -> Words {
    let mut wanted = vec![false; vocabulary.words.len() + 1];
    values.iter().filter_map(|value| vocabulary.words.find(value)).for_each(|word| wanted[word as usize] = true);
    wanted
}

/// The profiles with one of the words in each of the few-valued dimensions, by their place, and one of the topics.
fn profiles(
    vocabulary: &Vocabulary,
    originals_only: bool,
    few: &[(usize, Words)],
    topics: Option<&Words>,
) -> Vec<bool> {
    let takes = |profile: &Profile| {
        let set = &vocabulary.topics.items()[profile.topics as usize];
        few.iter().all(|(at, words)| words[profile.values[*at] as usize])
            && topics.is_none_or(|topics| set.iter().any(|topic| topics[*topic as usize]))
            && !(originals_only && profile.is_repost)
    };
    vocabulary.profiles.items().iter().map(takes).collect()
}

fn places_where(vocabulary: &Vocabulary, countries: Option<Words>, names: Option<Words>) -> Option<Vec<bool>> {
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

fn hashtags_where(vocabulary: &Vocabulary, tags: &[String]) -> Vec<bool> {
    let mut wanted = vec![false; vocabulary.names.len() + 1];
    for tag in tags.iter().flat_map(|tag| [tag.clone(), tag.to_lowercase()]) {
        if let Some(number) = vocabulary.names.find(&tag) {
            wanted[number as usize] = true;
        }
    }
    wanted
}

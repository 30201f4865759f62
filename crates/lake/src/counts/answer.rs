//! The questions, answered by a walk over the selected posts. `analytics::counts` gives the same answers by SQL.

use super::chunk::{Chunk, unpacked};
use super::dictionary::NONE;
use super::select::Selected;
use super::vocabulary::{SENTIMENT, SENTIMENTS, Vocabulary, few_valued};
use chrono::DateTime;
use domain::analytics::{
    BreakdownItem, COUNTED_KINDS, ComparedTotals, CountryCount, Counts, PlaceCount, SeriesPoint, Totals,
};
use domain::{Dimension, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Most cells of a series that are counted here.
const CELLS_MAX: usize = 4 << 20;

/// Posts: all, and by sentiment in the order of the vocabulary.
type Cells = [u64; CELLS];
const CELLS: usize = 1 + SENTIMENTS.len();

fn counts([mentions, positive, negative, neutral, mixed]: Cells) -> Counts {
    Counts { mentions, positive, negative, neutral, mixed }
}

fn moment(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// A question with all that its answer needs.
pub(crate) struct Asked<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) selected: Selected,
    /// In the order of their days.
    pub(super) chunks: Vec<&'a Chunk>,
    /// These are all posts of the range; else older ones are missing.
    pub(crate) is_whole: bool,
}

impl Asked<'_> {
    /// Column of a post's counts beside `mentions`; 0: none.
    fn sentiment_of(&self, profile: u32) -> usize {
        let sentiment = self.vocabulary.profiles.items()[profile as usize].values[SENTIMENT] as usize;
        if sentiment < CELLS { sentiment } else { 0 }
    }

    fn sentiments(&self) -> Vec<usize> {
        (0..).take(self.vocabulary.profiles.items().len()).map(|profile| self.sentiment_of(profile)).collect()
    }

    pub(crate) fn totals(&self, since: Timestamp) -> ComparedTotals {
        let (since, vocabulary) = (since.timestamp_micros(), self.vocabulary);
        let (profiles, words) = (vocabulary.profiles.items().len(), vocabulary.persons.len() / 64 + 1);
        let person: Vec<u32> = vocabulary.authors.items().iter().map(|author| author.person).collect();
        let side = || Side { by_profile: vec![0; profiles], reach: 0, persons: vec![0; words] };
        let accounts = self.selected.walk(
            &self.chunks,
            || [side(), side()],
            |sides, chunk, row| {
                let side = &mut sides[usize::from(chunk.times[row] >= since)];
                side.by_profile[chunk.profiles[row] as usize] += 1;
                side.reach += chunk.reach[row];
                let person = person[chunk.authors[row] as usize];
                side.persons[person as usize / 64] |= 1 << (person % 64);
            },
        );
        let mut sides = [side(), side()];
        for (whole, part) in accounts.iter().flat_map(|account| account.iter().enumerate()) {
            sides[whole].add(part);
        }
        let [before, since] = sides.map(|side| {
            let persons: u32 = side.persons.iter().map(|word| word.count_ones()).sum();
            let unknown = u32::from(side.persons[0] & 1 == 1);
            let reach = u64::try_from(side.reach).unwrap_or(0);
            Totals { counts: self.by_sentiment(&side.by_profile), authors: u64::from(persons - unknown), reach }
        });
        ComparedTotals { before, since }
    }

    fn by_sentiment(&self, by_profile: &[u64]) -> Counts {
        let mut cells = [0; CELLS];
        for (profile, count) in (0..).zip(by_profile) {
            cells[0] += count;
            if let sentiment @ 1.. = self.sentiment_of(profile) {
                cells[sentiment] += count;
            }
        }
        counts(cells)
    }

    /// None: there would be too many cells.
    pub(crate) fn series(&self, by: Dimension, origin: Timestamp, step_s: i64) -> Option<Vec<SeriesPoint>> {
        let (origin, step) = (origin.timestamp_micros(), step_s * 1_000_000);
        let groups = self.groups(by)?;
        let rows_in = |chunk: &Chunk| self.selected.rows(chunk);
        let times = self.chunks.iter().filter(|chunk| !rows_in(chunk).is_empty());
        let (first, last) = times.fold((i64::MAX, i64::MIN), |(first, last), chunk| {
            let rows = rows_in(chunk);
            (first.min(chunk.times[rows.start]), last.max(chunk.times[rows.end - 1]))
        });
        let mut points = Vec::new();
        if first > last {
            return Some(points);
        }
        let (first, last) = ((first - origin) / step, (last - origin) / step);
        let intervals = usize::try_from(last - first + 1).ok()?;
        let width = groups.values.len();
        let cells = intervals.checked_mul(width).filter(|cells| *cells <= CELLS_MAX)?;
        let accounts = self.selected.walk(
            &self.chunks,
            || (vec![0u64; cells], i64::MIN, 0),
            |(cells, end, base), chunk, row| {
                let time = chunk.times[row];
                // Rows of a chunk rise: the interval is worked out when one ends (or another chunk begins).
                if time >= *end || time < *end - step {
                    let interval = (time - origin) / step;
                    *end = origin + (interval + 1) * step;
                    *base = usize::try_from(interval - first).unwrap_or(0) * width;
                }
                cells[*base + groups.of_row(chunk, row)] += 1;
            },
        );
        let cells = summed(accounts.into_iter().map(|(cells, ..)| cells), cells);
        for (interval, cells) in (first..).zip(cells.chunks(width)) {
            let at = moment(origin + interval * step);
            let mut by_value: BTreeMap<u32, u64> = BTreeMap::new();
            for (values, count) in groups.values.iter().zip(cells).filter(|(_, count)| **count > 0) {
                for value in values {
                    *by_value.entry(*value).or_default() += count;
                }
            }
            let values = by_value.into_iter();
            points.extend(values.map(|(value, mentions)| SeriesPoint { at, value: self.word(value), mentions }));
        }
        Some(points)
    }

    /// The groups of a dimension that has few values.
    fn groups(&self, by: Dimension) -> Option<Groups> {
        let vocabulary = self.vocabulary;
        if let Some(at) = few_valued(by) {
            let words = vocabulary.profiles.items().iter().map(|profile| profile.values[at]);
            return Some(Groups::of(Keyed::Profile, words, |word| vec![word]));
        }
        match by {
            Dimension::Topic => {
                let sets = vocabulary.profiles.items().iter().map(|profile| profile.topics);
                Some(Groups::of(Keyed::Profile, sets, |set| vocabulary.topics.items()[set as usize].clone()))
            }
            Dimension::Country => {
                let places = vocabulary.places.items().iter().map(|place| place.country);
                Some(Groups::of(Keyed::Place, places, |word| vec![word]))
            }
            Dimension::Place => {
                let places = vocabulary.places.items().iter().map(|place| place.place);
                Some(Groups::of(Keyed::Place, places, |word| vec![word]))
            }
            _ => None,
        }
    }

    pub(crate) fn breakdown(&self, by: Dimension, limit: usize) -> Vec<BreakdownItem> {
        let Some(groups) = self.groups(by) else { return self.names(by, limit) };
        let mut found = self.counts_of(&groups);
        found.remove(&NONE);
        let mut found: Vec<(&str, Cells)> =
            found.into_iter().map(|(word, cells)| (self.vocabulary.words.text(word), cells)).collect();
        found.sort_by_key(|(value, cells)| (Reverse(cells[0]), *value));
        found.truncate(limit);
        let item = |(value, cells): (&str, Cells)| BreakdownItem {
            value: value.to_owned(),
            kind: None,
            counts: counts(cells),
        };
        found.into_iter().map(item).collect()
    }

    fn counts_of(&self, groups: &Groups) -> HashMap<u32, Cells> {
        let (cells, sentiments) = (groups.values.len() * CELLS, self.sentiments());
        let accounts = self.selected.walk(
            &self.chunks,
            || vec![0u64; cells],
            |cells, chunk, row| {
                cells[groups.of_row(chunk, row) * CELLS + sentiments[chunk.profiles[row] as usize]] += 1;
            },
        );
        let cells = summed(accounts.into_iter(), cells);
        let mut found: HashMap<u32, Cells> = HashMap::new();
        for (values, cells) in groups.values.iter().zip(cells.chunks(CELLS)) {
            let all: u64 = cells.iter().sum();
            for value in values.iter().filter(|_| all > 0) {
                let counts = found.entry(*value).or_default();
                counts[0] += all;
                (1..CELLS).for_each(|at| counts[at] += cells[at]);
            }
        }
        found
    }

    /// The most frequent of a dimension that may have millions of values: counted first, told by sentiment only where
    /// they are shown.
    fn names(&self, by: Dimension, limit: usize) -> Vec<BreakdownItem> {
        let (names, named) = (&self.vocabulary.names, Named { by, vocabulary: self.vocabulary });
        let size = names.len() + 1;
        let accounts = self.selected.walk(
            &self.chunks,
            || vec![0u64; size],
            |counts, chunk, row| named.each(chunk, row, |name, _| counts[name as usize] += 1),
        );
        let frequencies = summed(accounts.into_iter(), size);
        let chosen = named.most_frequent(&frequencies, limit);
        let mut slots = vec![u32::MAX; size];
        for (slot, (folded, ..)) in (0..).zip(&chosen) {
            slots[*folded as usize] = slot;
        }
        let sentiments = self.sentiments();
        let accounts = self.selected.walk(
            &self.chunks,
            || vec![([0u64; CELLS], [0u64; COUNTED_KINDS.len()]); chosen.len()],
            |found, chunk, row| {
                named.each(chunk, row, |name, kind| {
                    if let Some((counts, kinds)) = found.get_mut(slots[named.group(name) as usize] as usize) {
                        counts[sentiments[chunk.profiles[row] as usize]] += 1;
                        kinds[kind] += 1;
                    }
                });
            },
        );
        let items = chosen.into_iter().enumerate().map(|(slot, (_, mentions, value))| {
            let mut cells = [mentions, 0, 0, 0, 0];
            let mut kinds = COUNTED_KINDS.map(|kind| (0, Reverse(kind.as_str()), kind));
            for (part, of_kinds) in accounts.iter().map(|account| account[slot]) {
                (1..CELLS).for_each(|at| cells[at] += part[at]);
                kinds.iter_mut().zip(of_kinds).for_each(|(kind, more)| kind.0 += more);
            }
            let most = kinds.into_iter().max_by_key(|(count, name, _)| (*count, *name));
            let kind = most.filter(|_| by == Dimension::Entity).map(|(.., kind)| kind);
            BreakdownItem { value: value.to_owned(), kind, counts: counts(cells) }
        });
        items.collect()
    }

    pub(crate) fn countries(&self) -> Vec<CountryCount> {
        let found = self.groups(Dimension::Country).map(|groups| self.counts_of(&groups)).unwrap_or_default();
        let country = |(word, cells)| CountryCount { country: self.word(word), counts: counts(cells) };
        found.into_iter().map(country).collect()
    }

    pub(crate) fn places(&self, limit: usize) -> Vec<PlaceCount> {
        let (places, words) = (self.vocabulary.places.items(), &self.vocabulary.words);
        let is_shown = |place: &super::vocabulary::Place| {
            place.point.is_some() && place.place != NONE && words.text(place.kind) != "country"
        };
        let numbers: Vec<u32> = (0..).take(places.len()).collect();
        let groups = Groups::of(Keyed::Place, numbers.into_iter(), |place| vec![place]);
        let mut found: BTreeMap<[&str; 3], (Cells, f64, f64)> = BTreeMap::new();
        for (number, cells) in self.counts_of(&groups) {
            let place = &places[number as usize];
            if let Some((lat, lon)) = place.point.filter(|_| is_shown(place)) {
                let key = [place.place, place.region, place.country].map(|word| words.text(word));
                let (sums, lats, lons) = found.entry(key).or_default();
                (0..CELLS).for_each(|at| sums[at] += cells[at]);
                *lats += f64::from_bits(lat) * cells[0] as f64;
                *lons += f64::from_bits(lon) * cells[0] as f64;
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(_, (cells, ..))| Reverse(cells[0]));
        found.truncate(limit);
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let place = |([place, region, country], (cells, lats, lons)): ([&str; 3], (Cells, f64, f64))| PlaceCount {
            place: place.to_owned(),
            region: known(region),
            country: known(country),
            lat: lats / cells[0] as f64,
            lon: lons / cells[0] as f64,
            counts: counts(cells),
        };
        found.into_iter().map(place).collect()
    }

    /// When the n-th newest post was published, the oldest where there are fewer; `Some(None)`: there is no post.
    /// None: older posts are not held.
    pub(crate) fn nth_newest(&self, nth: usize) -> Option<Option<Timestamp>> {
        let mut newest: Vec<i64> = Vec::new();
        let mut day = None;
        for chunk in self.chunks.iter().rev() {
            // Chunks of one day overlap; days don't.
            let of = chunk.times.first().map(|time| time.div_euclid(86_400_000_000));
            if day != of && newest.len() >= nth {
                break;
            }
            day = of;
            let rows = self.selected.rows(chunk).rev().filter(|row| self.selected.takes(chunk, *row));
            newest.extend(rows.take(nth).map(|row| chunk.times[row]));
        }
        if newest.len() < nth && !self.is_whole {
            return None;
        }
        newest.sort_unstable_by_key(|time| Reverse(*time));
        Some(newest.iter().take(nth).next_back().map(|time| moment(*time)))
    }

    fn word(&self, word: u32) -> Option<String> {
        (word != NONE).then(|| self.vocabulary.words.text(word).to_owned())
    }
}

/// One side of the moment that totals are split by.
struct Side {
    by_profile: Vec<u64>,
    reach: i64,
    /// A bit for each person.
    persons: Vec<u64>,
}

impl Side {
    fn add(&mut self, part: &Self) {
        self.by_profile.iter_mut().zip(&part.by_profile).for_each(|(sum, part)| *sum += part);
        self.reach += part.reach;
        self.persons.iter_mut().zip(&part.persons).for_each(|(all, part)| *all |= part);
    }
}

/// Which column of a post tells its group.
#[derive(Clone, Copy)]
enum Keyed {
    Profile,
    Place,
}

/// Groups of a dimension: the group of each profile or place, and the values of each group.
struct Groups {
    keyed: Keyed,
    group: Vec<u32>,
    values: Vec<Vec<u32>>,
}

impl Groups {
    fn of(keyed: Keyed, keys: impl Iterator<Item = u32>, values_of: impl Fn(u32) -> Vec<u32>) -> Self {
        let (mut known, mut values) = (HashMap::new(), Vec::new());
        let group = keys.map(|key| {
            *known.entry(key).or_insert_with(|| {
                values.push(values_of(key));
                u32::try_from(values.len() - 1).unwrap_or(0)
            })
        });
        Self { keyed, group: group.collect(), values }
    }

    #[inline]
    fn of_key(&self, key: u32) -> usize {
        self.group[key as usize] as usize
    }

    #[inline]
    fn of_row(&self, chunk: &Chunk, row: usize) -> usize {
        match self.keyed {
            Keyed::Profile => self.of_key(chunk.profiles[row]),
            Keyed::Place => self.of_key(chunk.places[row]),
        }
    }
}

/// A dimension whose values are names.
struct Named<'a> {
    by: Dimension,
    vocabulary: &'a Vocabulary,
}

impl Named<'_> {
    #[inline]
    fn each(&self, chunk: &Chunk, row: usize, mut take: impl FnMut(u32, usize)) {
        match self.by {
            Dimension::Entity => {
                for entity in chunk.entities.of(row) {
                    let (name, kind) = unpacked(*entity);
                    if (kind as usize) < COUNTED_KINDS.len() {
                        take(name, kind as usize);
                    }
                }
            }
            Dimension::Phrase => chunk.phrases.of(row).iter().for_each(|name| take(*name, 0)),
            Dimension::Hashtag => chunk.hashtags.of(row).iter().for_each(|name| take(*name, 0)),
            Dimension::Author => take(self.vocabulary.authors.items()[chunk.authors[row] as usize].handle, 0),
            // These have groups. A new dimension is decided on here, or it would be counted as one of the above.
            Dimension::Topic
            | Dimension::Sentiment
            | Dimension::Category
            | Dimension::Language
            | Dimension::Platform
            | Dimension::Country
            | Dimension::Source
            | Dimension::Place => {}
        }
    }

    /// The name that a name is counted under.
    #[inline]
    fn group(&self, name: u32) -> u32 {
        match self.by {
            Dimension::Entity | Dimension::Phrase => self.vocabulary.names.folded(name),
            _ => name,
        }
    }

    /// Group, mentions, and its most frequent spelling; the most frequent group first.
    fn most_frequent(&self, counts: &[u64], limit: usize) -> Vec<(u32, u64, &str)> {
        let seen = || (0u32..).zip(counts).filter(|(name, count)| *name != NONE && **count > 0);
        let mut grouped = vec![0u64; counts.len()];
        for (name, count) in seen() {
            grouped[self.group(name) as usize] += count;
        }
        let mut sizes: Vec<u64> = grouped.iter().copied().filter(|count| *count > 0).collect();
        let least = match sizes.len() > limit && limit > 0 {
            true => *sizes.select_nth_unstable_by_key(limit - 1, |count| Reverse(*count)).1,
            false => 1,
        };
        let mut spellings: HashMap<u32, (u64, Reverse<&str>)> = HashMap::new();
        for (name, count) in seen() {
            let group = self.group(name);
            if grouped[group as usize] >= least {
                let spelling = (*count, Reverse(self.vocabulary.names.text(name)));
                let best = spellings.entry(group).or_insert(spelling);
                *best = spelling.max(*best);
            }
        }
        let mut chosen: Vec<_> =
            spellings.into_iter().map(|(group, (_, Reverse(text)))| (group, grouped[group as usize], text)).collect();
        chosen.sort_by_key(|(_, count, text)| (Reverse(*count), *text));
        chosen.truncate(limit);
        chosen
    }
}

fn summed(accounts: impl Iterator<Item = Vec<u64>>, size: usize) -> Vec<u64> {
    accounts.fold(vec![0; size], |mut sums, account| {
        sums.iter_mut().zip(account).for_each(|(sum, part)| *sum += part);
        sums
    })
}

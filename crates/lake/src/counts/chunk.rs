//! Posts of one day as columns of numbers, sorted by time, made from the data files of that day.
//!
//! A post takes about 32 bytes, 4 for each hashtag, entity and phrase, and 12 for the ends of those lists.

use super::dictionary::NONE;
use super::vocabulary::{FEW_VALUED, Place, Profile, Vocabulary};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::schema::TableName;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use domain::{Dimension, EntityKind};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::collections::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The tables that are read, and their columns.
pub(super) const TABLES: [TableName; 3] = [TableName::Sentiment, TableName::Entities, TableName::KeyPhrases];
/// Those of table `sentiment` beside the few-valued ones.
const OF_POSTS: [&str; 14] = [
    "post_id",
    "author",
    "author_id",
    "occurred_at",
    "topics",
    "hashtags",
    "place",
    "place_kind",
    "region",
    "country",
    "lat",
    "lon",
    "repost_of",
    "reach",
];
const OF_ENTITIES: [&str; 3] = ["post_id", "entity", "kind"];
const OF_PHRASES: [&str; 2] = ["post_id", "phrase"];
/// Columns whose values hardly repeat: dictionaries don't pay.
const UNIQUE: [&str; 2] = ["post_id", "repost_of"];
/// A row group at once, so that its dictionary is gone through once.
const READ_ROWS: usize = 128 * 1024;

/// Kinds of entities, packed into the top bits of an entity: their place here. The first ones are those that are counted
/// (`COUNTED_KINDS`). Links are excluded: there are too many different ones, and nobody counts them.
const KINDS: [EntityKind; 10] = [
    EntityKind::Person,
    EntityKind::Organisation,
    EntityKind::Location,
    EntityKind::Product,
    EntityKind::Work,
    EntityKind::Event,
    EntityKind::Hashtag,
    EntityKind::Mention,
    EntityKind::Cashtag,
    EntityKind::Emoji,
];
const KIND_SHIFT: u32 = 28;

/// Name and kind of an entity.
pub(super) fn unpacked(entity: u32) -> (u32, u32) {
    (entity & ((1 << KIND_SHIFT) - 1), entity >> KIND_SHIFT)
}

/// A list for each post, one behind the other.
#[derive(Default)]
pub(super) struct Lists {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    pub(super) fn of(&self, row: usize) -> &[u32] {
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.items[begin as usize..self.ends[row] as usize]
    }

    /// From pairs of row and item.
    fn made(mut pairs: Vec<(u32, u32)>, rows: usize) -> Self {
        pairs.sort_by_key(|(row, _)| *row);
        let mut ends = vec![0; rows];
        for (row, _) in &pairs {
            ends[*row as usize] += 1;
        }
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end;
        }
        Self { ends, items: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    fn gathered<'a>(rows: impl Iterator<Item = (&'a Self, usize)>) -> Self {
        let mut made = Self::default();
        for (lists, row) in rows {
            made.items.extend(lists.of(row));
            made.ends.push(u32::try_from(made.items.len()).expect("a day has fewer than four billion of each"));
        }
        made
    }

    fn bytes(&self) -> usize {
        (self.ends.capacity() + self.items.capacity()) * 4
    }
}

/// Posts of one day.
pub(super) struct Chunk {
    /// Microseconds since 1970, rising.
    pub(super) times: Vec<i64>,
    pub(super) profiles: Vec<u32>,
    pub(super) places: Vec<u32>,
    pub(super) authors: Vec<u32>,
    pub(super) reach: Vec<i64>,
    pub(super) hashtags: Lists,
    pub(super) entities: Lists,
    pub(super) phrases: Lists,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Chunks of one day as one.
    pub(super) fn merged(chunks: &[Self]) -> Self {
        let rows = |(nth, chunk): (usize, &Self)| (0..chunk.len()).map(move |row| (nth, row)).collect::<Vec<_>>();
        let mut order: Vec<(usize, usize)> = chunks.iter().enumerate().flat_map(rows).collect();
        order.sort_by_key(|(nth, row)| chunks[*nth].times[*row]);
        let column = |of: fn(&Self) -> &Vec<u32>| order.iter().map(|(nth, row)| of(&chunks[*nth])[*row]).collect();
        let lists = |of: fn(&Self) -> &Lists| Lists::gathered(order.iter().map(|(nth, row)| (of(&chunks[*nth]), *row)));
        Self {
            times: order.iter().map(|(nth, row)| chunks[*nth].times[*row]).collect(),
            profiles: column(|chunk| &chunk.profiles),
            places: column(|chunk| &chunk.places),
            authors: column(|chunk| &chunk.authors),
            reach: order.iter().map(|(nth, row)| chunks[*nth].reach[*row]).collect(),
            hashtags: lists(|chunk| &chunk.hashtags),
            entities: lists(|chunk| &chunk.entities),
            phrases: lists(|chunk| &chunk.phrases),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let lists = self.hashtags.bytes() + self.entities.bytes() + self.phrases.bytes();
        self.len() * (8 + 4 + 4 + 4 + 8) + lists
    }
}

/// The rows of files of one day, decoded.
pub(super) struct Decoded([Vec<RecordBatch>; 3]);

impl Decoded {
    /// Reads the files (by table) of the lake in `root`.
    pub(super) fn read(root: &Location, files: &[Vec<String>; 3]) -> Result<Self> {
        let mut batches: [Vec<RecordBatch>; 3] = Default::default();
        let of_posts = OF_POSTS.into_iter().chain(FEW_VALUED.map(Dimension::name)).collect();
        let columns = [of_posts, OF_ENTITIES.to_vec(), OF_PHRASES.to_vec()];
        for (at, table) in TABLES.into_iter().enumerate() {
            let folder = root.join(table.as_str());
            folder.fetch(files[at].iter().map(String::as_str))?;
            for file in &files[at] {
                batches[at].extend(read(&folder, file, &columns[at])?);
            }
        }
        Ok(Self(batches))
    }

    /// The posts as numbers; says whether there were entities or phrases of posts that are not among them.
    pub(super) fn into_chunk(self, vocabulary: &mut Vocabulary) -> (Chunk, bool) {
        let Self([posts, entities, phrases]) = self;
        let mut rows = Rows::default();
        for batch in &posts {
            rows.extend(batch, vocabulary);
        }
        let mut order: Vec<u32> = (0..).take(rows.times.len()).collect();
        order.sort_by_key(|row| rows.times[*row as usize]);
        let mut place_of = vec![0; order.len()];
        for (to, from) in (0..).zip(&order) {
            place_of[*from as usize] = to;
        }
        // A post is found by 64 bits of hash: two of a day's million posts share one once in forty million days.
        let found: HashMap<u64, u32> = rows.ids.iter().zip(&place_of).map(|(id, row)| (*id, *row)).collect();
        let entities = named(&entities, &found, |batch| entities_of(batch, vocabulary));
        let phrases = named(&phrases, &found, |batch| numbers(batch, "phrase", |text| vocabulary.names.intern(text)));
        let hashtags = rows.hashtags.iter().map(|(row, tag)| (place_of[*row as usize], *tag)).collect();
        let count = order.len();
        let sorted = |values: &[u32]| order.iter().map(|row| values[*row as usize]).collect();
        let chunk = Chunk {
            times: order.iter().map(|row| rows.times[*row as usize]).collect(),
            profiles: sorted(&rows.profiles),
            places: sorted(&rows.places),
            authors: sorted(&rows.authors),
            reach: order.iter().map(|row| rows.reach[*row as usize]).collect(),
            hashtags: Lists::made(hashtags, count),
            entities: Lists::made(entities.0, count),
            phrases: Lists::made(phrases.0, count),
        };
        (chunk, entities.1 || phrases.1)
    }
}

/// Posts in the order of their files.
#[derive(Default)]
struct Rows {
    ids: Vec<u64>,
    times: Vec<i64>,
    profiles: Vec<u32>,
    places: Vec<u32>,
    authors: Vec<u32>,
    reach: Vec<i64>,
    hashtags: Vec<(u32, u32)>,
}

impl Rows {
    fn extend(&mut self, batch: &RecordBatch, vocabulary: &mut Vocabulary) {
        let first = u32::try_from(self.times.len()).expect("a day has fewer than four billion posts");
        self.ids.extend(ids(batch));
        let times = batch.column_by_name("occurred_at").map(|times| times.as_primitive::<TimestampMicrosecondType>());
        self.times.extend(times.into_iter().flat_map(|times| times.iter().map(Option::unwrap_or_default)));
        self.profiles.extend(profiles(batch, vocabulary));
        self.places.extend(places(batch, vocabulary));
        let handles = numbers(batch, "author", |text| vocabulary.names.intern(text));
        let persons = numbers(batch, "author_id", |text| vocabulary.persons.intern(text));
        self.authors.extend(persons.into_iter().zip(handles).map(|(id, handle)| vocabulary.author(id, handle)));
        let reach = batch.column_by_name("reach").map(|reach| reach.as_primitive::<Int64Type>());
        match reach {
            Some(reach) => self.reach.extend(reach.iter().map(Option::unwrap_or_default)),
            None => self.reach.resize(self.times.len(), 0),
        }
        for (row, tags) in (first..).zip(list_numbers(batch, "hashtags", |tag| vocabulary.names.intern(tag))) {
            self.hashtags.extend(tags.into_iter().map(|tag| (row, tag)));
        }
    }
}

fn profiles(batch: &RecordBatch, vocabulary: &mut Vocabulary) -> Vec<u32> {
    let values = FEW_VALUED.map(|of| numbers(batch, of.name(), |text| vocabulary.words.intern(text)));
    let topics = list_numbers(batch, "topics", |topic| vocabulary.words.intern(topic));
    let reposts = batch.column_by_name("repost_of");
    let rows = topics.into_iter().enumerate().map(|(row, topics)| {
        let profile = Profile {
            values: values.each_ref().map(|column| column[row]),
            topics: vocabulary.topics.intern(topics),
            is_repost: reposts.is_some_and(|reposts| reposts.is_valid(row)),
        };
        vocabulary.profiles.intern(profile)
    });
    rows.collect()
}

fn places(batch: &RecordBatch, vocabulary: &mut Vocabulary) -> Vec<u32> {
    let mut column = |name| numbers(batch, name, |text| vocabulary.words.intern(text));
    let [place, region, country, kind] = ["place", "region", "country", "place_kind"].map(&mut column);
    let coordinate = |name, row| {
        let column = batch.column_by_name(name)?.as_primitive_opt::<Float64Type>()?;
        column.is_valid(row).then(|| column.value(row).to_bits())
    };
    let rows = (0..batch.num_rows()).map(|row| {
        let point = coordinate("lat", row).zip(coordinate("lon", row));
        let (place, region, country, kind) = (place[row], region[row], country[row], kind[row]);
        vocabulary.places.intern(Place { place, region, country, kind, point })
    });
    rows.collect()
}

fn entities_of(batch: &RecordBatch, vocabulary: &mut Vocabulary) -> Vec<u32> {
    let names = numbers(batch, "entity", |text| vocabulary.names.intern(text));
    let kinds = numbers(batch, "kind", |text| {
        KINDS
            .iter()
            .position(|kind| kind.as_str() == text)
            .and_then(|at| u32::try_from(at).ok())
            .map_or(NONE, |at| at + 1)
    });
    let packed = names.into_iter().zip(kinds).map(|(name, kind)| match kind {
        NONE => NONE,
        kind => name | (kind - 1) << KIND_SHIFT,
    });
    packed.collect()
}

/// What the rows name, by the row of their post.
fn named(
    batches: &[RecordBatch],
    found: &HashMap<u64, u32>,
    mut items: impl FnMut(&RecordBatch) -> Vec<u32>,
) -> (Vec<(u32, u32)>, bool) {
    let (mut pairs, mut orphans) = (Vec::new(), false);
    for batch in batches {
        for (id, item) in ids(batch).into_iter().zip(items(batch)) {
            match found.get(&id) {
                Some(row) if item != NONE => pairs.push((*row, item)),
                Some(_) => {}
                None => orphans = true,
            }
        }
    }
    (pairs, orphans)
}

fn ids(batch: &RecordBatch) -> Vec<u64> {
    let ids = batch.column_by_name("post_id").and_then(|ids| ids.as_string_opt::<i32>());
    ids.into_iter().flatten().map(|id| xxh3_64(id.unwrap_or_default().as_bytes())).collect()
}

/// A column of texts as numbers; a column that isn't there has none.
fn numbers(batch: &RecordBatch, name: &str, number: impl FnMut(&str) -> u32) -> Vec<u32> {
    batch.column_by_name(name).map_or_else(|| vec![NONE; batch.num_rows()], |column| text_numbers(column, number))
}

fn text_numbers(column: &ArrayRef, mut number: impl FnMut(&str) -> u32) -> Vec<u32> {
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
        let known = text_numbers(dictionary.values(), number);
        let keys = dictionary.keys().iter();
        return keys.map(|key| key.map_or(NONE, |key| known[key.unsigned_abs() as usize])).collect();
    }
    let texts = column.as_string_opt::<i32>();
    texts.into_iter().flatten().map(|text| text.map_or(NONE, &mut number)).collect()
}

fn list_numbers(batch: &RecordBatch, name: &str, number: impl FnMut(&str) -> u32) -> Vec<Vec<u32>> {
    let Some(lists) = batch.column_by_name(name).and_then(|lists| lists.as_list_opt::<i32>()) else {
        return vec![Vec::new(); batch.num_rows()];
    };
    let items = text_numbers(lists.values(), number);
    let bounds = lists.value_offsets().windows(2);
    bounds.map(|ends| items[ends[0].unsigned_abs() as usize..ends[1].unsigned_abs() as usize].to_vec()).collect()
}

/// The named columns of a file; texts that repeat come as dictionaries.
fn read(folder: &Location, name: &str, columns: &[&str]) -> Result<Vec<RecordBatch>> {
    let failed = |source| Error::Parquet { doing: "read", path: folder.shown(name), source };
    let file = folder.open(name)?;
    let stored = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(failed)?;
    let fields = stored.schema().fields().iter().map(|field| match columns.contains(&field.name().as_str()) {
        true => Arc::new(with_dictionary(field)),
        false => Arc::clone(field),
    });
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options).map_err(failed)?;
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied());
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let reader = builder.with_projection(mask).with_batch_size(READ_ROWS).build().map_err(failed)?;
    reader.collect::<Result<_, _>>().map_err(|error| failed(error.into()))
}

fn with_dictionary(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8 if !UNIQUE.contains(&field.name().as_str()) => {
            let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            field.clone().with_data_type(data_type)
        }
        DataType::List(element) if element.data_type() == &DataType::Utf8 => {
            field.clone().with_data_type(DataType::List(Arc::new(with_dictionary(element))))
        }
        _ => field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::analytics::COUNTED_KINDS;

    #[test]
    fn the_kinds_that_are_counted_come_first() {
        assert_eq!(KINDS[..COUNTED_KINDS.len()], COUNTED_KINDS);
    }
}

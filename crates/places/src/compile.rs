//! Second half of the build of the index: the tables that `build/extract.py` writes become one file, read as it lies.
//! The same tables give the same bytes. The layout is drawn in `index.rs`.

use crate::Error;
use crate::index::{
    ALTERNATE, CELL_COLUMNS, CELL_ROWS, COMMON, COUNTRY_SIZE, DEGREE, FIRST_NAME, MAGIC, NICKNAME, NameValue, PlaceId,
    Posting, SECTIONS,
};
use crate::text::Words;
use std::collections::{BTreeMap, HashMap};

/// The tables, each the text of one file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tables<'a> {
    /// code, name, lat, lon, population, languages.
    pub countries: &'a str,
    /// country code, region code, name, lat, lon, population.
    pub regions: &'a str,
    /// name, number of its region, lat, lon, population; by square degree.
    pub cities: &'a str,
    /// name, `c`ountry | `r`egion | `p`lace, number, flags.
    pub names: &'a str,
    /// word, flags.
    pub words: &'a str,
}

/// The bytes of the index.
///
/// # Errors
/// [`Error::Table`] names the table and line that is not as it should be.
pub fn compile(tables: &Tables<'_>) -> Result<Vec<u8>, Error> {
    let mut texts = Texts::default();
    let mut codes = HashMap::new();
    let mut countries = Vec::new();
    for row in rows("countries.tsv", tables.countries) {
        let row = row?;
        codes.insert(row.field(0)?, codes.len() as u16);
        countries.extend(padded::<2>(row.field(0)?));
        countries.extend(padded::<2>(row.field(5)?));
        row.point(&mut countries, 2, texts.put(row.field(1)?))?;
    }
    let mut regions = Vec::new();
    for row in rows("regions.tsv", tables.regions) {
        let row = row?;
        let country = codes.get(row.field(0)?).ok_or_else(|| row.error("unknown country"))?;
        regions.extend(country.to_le_bytes());
        regions.extend(padded::<4>(row.field(1)?));
        row.point(&mut regions, 3, texts.put(row.field(2)?))?;
    }
    let (cities, cells) = cities(tables.cities, &mut texts)?;
    let (postings, names) = names(tables, &countries, &regions, &cities)?;
    Ok(file([countries, regions, cities, cells, texts.bytes, postings, names]))
}

fn file(sections: [Vec<u8>; SECTIONS]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut at = 8 + SECTIONS * 8;
    for section in &sections {
        bytes.extend((at as u32).to_le_bytes());
        bytes.extend((section.len() as u32).to_le_bytes());
        at += section.len();
    }
    sections.iter().for_each(|section| bytes.extend(section));
    bytes
}

fn cities(table: &str, texts: &mut Texts) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let mut records = Vec::new();
    let mut counts = vec![0_u32; CELL_COLUMNS * CELL_ROWS + 1];
    let mut last_cell = 0;
    for row in rows("cities.tsv", table) {
        let row = row?;
        let cell = cell_of(row.number(2)?, row.number(3)?);
        if cell < last_cell {
            return Err(row.error("not in the order of the cells"));
        }
        last_cell = cell;
        counts[cell + 1] += 1;
        records.extend((row.number(1)? as u16).to_le_bytes());
        row.point(&mut records, 2, texts.put(row.field(0)?))?;
    }
    let mut first = 0;
    let starts = counts.iter().flat_map(|count| {
        first += count;
        first.to_le_bytes()
    });
    Ok((records, starts.collect()))
}

/// Number of the square degree of a point.
pub(crate) fn cell_of(lat: f64, lon: f64) -> usize {
    let row = ((lat + 90.0).floor().max(0.0) as usize).min(CELL_ROWS - 1);
    let column = ((lon + 180.0).floor().max(0.0) as usize).min(CELL_COLUMNS - 1);
    row * CELL_COLUMNS + column
}

type Population = HashMap<u32, u32>;

/// Postings and the map of names.
fn names(tables: &Tables<'_>, countries: &[u8], regions: &[u8], cities: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    use crate::index::{CITY_SIZE, REGION_SIZE};
    let (country_count, region_count) = (countries.len() / COUNTRY_SIZE, regions.len() / REGION_SIZE);
    let city_count = cities.len() / CITY_SIZE;
    let mut population = Population::new();
    let sizes = [(countries, COUNTRY_SIZE, 12), (regions, REGION_SIZE, 14), (cities, CITY_SIZE, 10)];
    for (table, size, at) in sizes {
        for record in table.chunks_exact(size) {
            let bytes = [record[at], record[at + 1], record[at + 2], record[at + 3]];
            population.insert(population.len() as u32, u32::from_le_bytes(bytes));
        }
    }
    let mut by_key: BTreeMap<String, Vec<Posting>> = BTreeMap::new();
    let mut words = Words::default();
    for row in rows("names.tsv", tables.names) {
        let row = row?;
        words.read(row.field(0)?);
        let (first, count) = match row.field(1)? {
            "c" => (0, country_count),
            "r" => (country_count, region_count),
            "p" => (country_count + region_count, city_count),
            _ => return Err(row.error("unknown kind")),
        };
        let number = row.number(2)? as usize;
        if number >= count {
            return Err(row.error("no such place"));
        }
        let key = words.key();
        let flags = row.number(3)? as u8;
        let short = key.len() < 2 || (flags == ALTERNATE && key.is_ascii() && key.len() <= 3);
        if !short && !key.starts_with('@') {
            let place = PlaceId((first + number) as u32);
            by_key.entry(key).or_default().push(Posting { place, flags });
        }
    }
    write_names(by_key, &word_flags(tables.words)?, &population, (country_count + region_count) as u32)
}

fn word_flags(table: &str) -> Result<HashMap<String, u8>, Error> {
    let mut flags: HashMap<String, u8> = HashMap::new();
    let mut words = Words::default();
    for row in rows("words.tsv", table) {
        let row = row?;
        words.read(row.field(0)?);
        *flags.entry(words.key()).or_default() |= row.number(1)? as u8 & (COMMON | FIRST_NAME);
    }
    Ok(flags)
}

fn write_names(
    by_key: BTreeMap<String, Vec<Posting>>,
    words: &HashMap<String, u8>,
    population: &Population,
    first_city: u32,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let mut postings: Vec<u8> = Vec::new();
    let mut names = fst::MapBuilder::memory();
    for (key, mut meanings) in by_key {
        let flags = words.get(&key).copied().unwrap_or(0);
        merge(&mut meanings, population, first_city);
        let value = match meanings.as_slice() {
            [only] => NameValue::single(*only, flags),
            several => {
                let at = postings.len() as u32;
                postings.extend((several.len() as u32).to_le_bytes());
                several.iter().for_each(|posting| postings.extend(posting.pack().to_le_bytes()));
                NameValue::several(at, flags)
            }
        };
        names.insert(&key, value.0)?;
    }
    Ok((postings, names.into_inner()?))
}

/// One posting a place: the kind of name that counts most (by hand, then plain, then another language, then a code).
/// Names kept by hand stand first, then countries and regions, then towns, the largest first.
fn merge(meanings: &mut Vec<Posting>, population: &Population, first_city: u32) {
    let rank = |p: &Posting| (!p.has(NICKNAME), p.flags);
    meanings.sort_by_key(|p| (p.place, rank(p)));
    meanings.dedup_by_key(|p| p.place);
    let size = |p: &Posting| population.get(&p.place.0).copied().unwrap_or(0);
    meanings.sort_by_key(|p| (!p.has(NICKNAME), p.place.0 >= first_city, std::cmp::Reverse(size(p)), p.place));
}

#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    known: HashMap<String, u32>,
}

impl Texts {
    fn put(&mut self, text: &str) -> u32 {
        let mut end = text.len().min(255);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        if let Some(&at) = self.known.get(text) {
            return at;
        }
        let at = self.bytes.len() as u32;
        self.bytes.push(text.len() as u8);
        self.bytes.extend(text.as_bytes());
        self.known.insert(text.to_owned(), at);
        at
    }
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [b' '; N];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

struct Row<'a> {
    table: &'static str,
    line: usize,
    fields: Vec<&'a str>,
}

fn rows<'a>(table: &'static str, text: &'a str) -> impl Iterator<Item = Result<Row<'a>, Error>> {
    text.lines().enumerate().map(move |(i, line)| {
        let row = Row { table, line: i + 1, fields: line.split('\t').collect() };
        if row.fields.len() < 2 { Err(row.error("too few fields")) } else { Ok(row) }
    })
}

impl<'a> Row<'a> {
    fn error(&self, reason: &str) -> Error {
        Error::Table { table: self.table.into(), line: self.line, reason: reason.into() }
    }

    fn field(&self, i: usize) -> Result<&'a str, Error> {
        self.fields.get(i).copied().ok_or_else(|| self.error("too few fields"))
    }

    fn number(&self, i: usize) -> Result<f64, Error> {
        self.field(i)?.parse().map_err(|_| self.error("not a number"))
    }

    /// Latitude, longitude and population, which stand together in every table, and the name.
    fn point(&self, out: &mut Vec<u8>, at: usize, name: u32) -> Result<(), Error> {
        for i in [at, at + 1] {
            out.extend(((self.number(i)? * DEGREE).round() as i32).to_le_bytes());
        }
        out.extend((self.number(at + 2)? as u32).to_le_bytes());
        out.extend(name.to_le_bytes());
        Ok(())
    }
}

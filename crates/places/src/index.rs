//! The index as it lies in the file, all numbers little-endian:
//!
//! ```text
//! "OVPLACE1"                                   8 bytes
//! seven sections' (offset u32, length u32)     56 bytes
//! countries   record: code 2 | language 2 | lat i32 | lon i32 | population u32 | name u32         20 bytes
//! regions     record: country u16 | code 4 (space-padded, blank: none) | lat i32 | lon i32 | population u32 | name u32   22 bytes
//! cities      record: region u16 | lat i32 | lon i32 | population u32 | name u32                  18 bytes
//! cells       u32 each: first city of each square degree, south to north, west to east, and the end
//! texts       names, one length byte before each
//! postings    u32 each: count, then so many `place << 8 | flags`, the likeliest first
//! names       fst: folded name -> (payload << 3) | word flags << 1 | several; payload is a posting, or where they lie
//! ```
//!
//! Degrees are in hundred-thousandths. A place is a number: countries first, then regions, then cities; a city knows its
//! region and a region its country, so that no place can lie in two countries.

use crate::Error;
use domain::{Coordinates, PlaceKind};
use fst::raw::Fst;

pub(crate) const MAGIC: &[u8; 8] = b"OVPLACE1";
pub(crate) const SECTIONS: usize = 7;
const HEADER: usize = 8 + SECTIONS * 8;
pub(crate) const COUNTRY_SIZE: usize = 20;
pub(crate) const REGION_SIZE: usize = 22;
pub(crate) const CITY_SIZE: usize = 18;
/// Squares of one degree: 181 rows, so that the pole has one.
pub(crate) const CELL_COLUMNS: usize = 360;
pub(crate) const CELL_ROWS: usize = 181;
/// Degrees are stored in this unit.
pub(crate) const DEGREE: f64 = 100_000.0;

/// Flags of one name of one place; `build/extract.py` has the same.
pub(crate) const ALTERNATE: u8 = 1;
/// An abbreviation: counts only in capitals or beside the place it belongs to.
pub(crate) const CODE: u8 = 2;
/// A name kept by hand: it means this place before any other.
pub(crate) const NICKNAME: u8 = 16;
/// Counts only beside the place it belongs to.
pub(crate) const QUALIFIED_ONLY: u8 = 32;
/// Flags of a name as a word: a word of every day, a first name.
pub(crate) const COMMON: u8 = 4;
pub(crate) const FIRST_NAME: u8 = 8;

/// A place by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlaceId(pub(crate) u32);

/// One meaning of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) place: PlaceId,
    pub(crate) flags: u8,
}

impl Posting {
    pub(crate) fn pack(self) -> u32 {
        self.place.0 << 8 | u32::from(self.flags)
    }

    fn unpack(bits: u32) -> Self {
        Self { place: PlaceId(bits >> 8), flags: bits as u8 }
    }

    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What a name stands for: the flags of the word, and where its meanings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameValue(pub(crate) u64);

impl NameValue {
    pub(crate) fn single(posting: Posting, word: u8) -> Self {
        Self(u64::from(posting.pack()) << 3 | Self::word_bits(word))
    }

    pub(crate) fn several(at: u32, word: u8) -> Self {
        Self(u64::from(at) << 3 | Self::word_bits(word) | 1)
    }

    fn word_bits(word: u8) -> u64 {
        u64::from(word & COMMON != 0) << 1 | u64::from(word & FIRST_NAME != 0) << 2
    }

    pub(crate) fn is_common(self) -> bool {
        self.0 & 2 != 0
    }

    pub(crate) fn is_first_name(self) -> bool {
        self.0 & 4 != 0
    }
}

/// The index, read in place.
pub(crate) struct Index<'a> {
    countries: &'a [u8],
    regions: &'a [u8],
    cities: &'a [u8],
    cells: &'a [u8],
    texts: &'a [u8],
    postings: &'a [u8],
    pub(crate) names: Fst<&'a [u8]>,
    country_count: u32,
    region_count: u32,
    city_count: u32,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn degrees_at(bytes: &[u8], at: usize) -> f64 {
    f64::from(u32_at(bytes, at) as i32) / DEGREE
}

impl<'a> Index<'a> {
    /// Checks the frame of the file. Records within are read with checked bounds; the map of names is trusted, since
    /// the file is part of the binary.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER || &bytes[..8] != MAGIC {
            return Err(Error::Index("not an index of this version"));
        }
        let section = |i: usize| {
            let (at, len) = (u32_at(bytes, 8 + i * 8) as usize, u32_at(bytes, 12 + i * 8) as usize);
            bytes.get(at..at.saturating_add(len)).ok_or(Error::Index("cut short"))
        };
        let (countries, regions, cities) = (section(0)?, section(1)?, section(2)?);
        let index = Self {
            countries,
            regions,
            cities,
            cells: section(3)?,
            texts: section(4)?,
            postings: section(5)?,
            names: Fst::new(section(6)?)?,
            country_count: (countries.len() / COUNTRY_SIZE) as u32,
            region_count: (regions.len() / REGION_SIZE) as u32,
            city_count: (cities.len() / CITY_SIZE) as u32,
        };
        let whole = index.countries.len().is_multiple_of(COUNTRY_SIZE)
            && index.regions.len().is_multiple_of(REGION_SIZE)
            && index.cities.len().is_multiple_of(CITY_SIZE)
            && index.cells.len() == 4 * (CELL_COLUMNS * CELL_ROWS + 1);
        whole.then_some(index).ok_or(Error::Index("records are cut short"))
    }

    pub(crate) fn country_count(&self) -> u32 {
        self.country_count
    }

    pub(crate) fn region_count(&self) -> u32 {
        self.region_count
    }

    pub(crate) fn city_count(&self) -> u32 {
        self.city_count
    }

    pub(crate) fn kind(&self, place: PlaceId) -> PlaceKind {
        if place.0 < self.country_count() {
            PlaceKind::Country
        } else if place.0 < self.country_count() + self.region_count() {
            PlaceKind::Region
        } else {
            PlaceKind::City
        }
    }

    pub(crate) fn city(&self, number: u32) -> PlaceId {
        PlaceId(self.country_count() + self.region_count() + number)
    }

    /// The record's table, its start, and where coordinates begin in it.
    fn record(&self, place: PlaceId) -> (&'a [u8], usize, usize) {
        let (countries, regions) = (self.country_count(), self.region_count());
        match self.kind(place) {
            PlaceKind::Country => (self.countries, place.0 as usize * COUNTRY_SIZE, 4),
            PlaceKind::Region => (self.regions, (place.0 - countries) as usize * REGION_SIZE, 6),
            _ => (self.cities, (place.0 - countries - regions) as usize * CITY_SIZE, 2),
        }
    }

    pub(crate) fn coordinates(&self, place: PlaceId) -> Coordinates {
        let (table, start, at) = self.record(place);
        Coordinates { lat: degrees_at(table, start + at), lon: degrees_at(table, start + at + 4) }
    }

    pub(crate) fn population(&self, place: PlaceId) -> u32 {
        let (table, start, at) = self.record(place);
        u32_at(table, start + at + 8)
    }

    pub(crate) fn name(&self, place: PlaceId) -> &'a str {
        let (table, start, at) = self.record(place);
        self.text(u32_at(table, start + at + 12))
    }

    /// The region of a city or of itself; none for a country.
    pub(crate) fn region(&self, place: PlaceId) -> Option<PlaceId> {
        match self.kind(place) {
            PlaceKind::Country => None,
            PlaceKind::Region => Some(place),
            _ => {
                let (table, start, _) = self.record(place);
                Some(PlaceId(self.country_count() + u32::from(u16_at(table, start))))
            }
        }
    }

    pub(crate) fn country(&self, place: PlaceId) -> PlaceId {
        match self.region(place) {
            None => place,
            Some(region) => {
                let (table, start, _) = self.record(region);
                PlaceId(u32::from(u16_at(table, start)))
            }
        }
    }

    /// ISO 3166-1 code of the country that a place lies in.
    pub(crate) fn country_code(&self, place: PlaceId) -> &'a str {
        let (table, start, _) = self.record(self.country(place));
        table.get(start..start + 2).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or("")
    }

    /// Code of a region, without the country ("TX"); empty where none is in use.
    pub(crate) fn region_code(&self, region: PlaceId) -> &'a str {
        let (table, start, _) = self.record(region);
        let code = table.get(start + 2..start + 6).and_then(|code| std::str::from_utf8(code).ok());
        code.unwrap_or("").trim_end()
    }

    /// First language of the country that a place lies in, ISO 639-1.
    pub(crate) fn language(&self, place: PlaceId) -> &'a [u8] {
        let (table, start, _) = self.record(self.country(place));
        table.get(start + 2..start + 4).unwrap_or(b"  ")
    }

    fn text(&self, at: u32) -> &'a str {
        let at = at as usize;
        let len = usize::from(self.texts.get(at).copied().unwrap_or(0));
        self.texts.get(at + 1..at + 1 + len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }

    /// Numbers of the cities of a square degree.
    pub(crate) fn cell(&self, row: usize, column: usize) -> std::ops::Range<u32> {
        let at = 4 * (row * CELL_COLUMNS + column);
        u32_at(self.cells, at)..u32_at(self.cells, at + 4).min(self.city_count())
    }

    /// The meanings of a name, the likeliest first.
    pub(crate) fn meanings(&self, name: NameValue) -> impl Iterator<Item = Posting> + '_ {
        let payload = (name.0 >> 3) as u32;
        let several = name.0 & 1 != 0;
        let count = if several { u32_at(self.postings, payload as usize) as usize } else { 1 };
        let places = self.country_count() + self.region_count() + self.city_count();
        (0..count.min(self.postings.len() / 4))
            .map(move |i| if several { u32_at(self.postings, payload as usize + 4 + 4 * i) } else { payload })
            .map(Posting::unpack)
            .filter(move |posting| posting.place.0 < places)
    }

    /// The country of an ISO 3166-1 code in lower case; countries lie in the order of their codes.
    pub(crate) fn country_by_code(&self, code: &str) -> Option<NameValue> {
        let (mut low, mut high) = (0, self.country_count());
        while low < high {
            let middle = low.midpoint(high);
            let here = PlaceId(middle);
            match self.country_code(here).bytes().map(|b| b.to_ascii_lowercase()).cmp(code.bytes()) {
                std::cmp::Ordering::Equal => return Some(NameValue::single(Posting { place: here, flags: 0 }, 0)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The value of a whole key.
    pub(crate) fn find(&self, key: &str) -> Option<NameValue> {
        self.names.get(key).map(|output| NameValue(output.value()))
    }
}

//! Rows of CSV: a column mapping says which column is which field of the simple form; columns that bear one of the
//! form's names need no mapping. The payload is the row as a JSON object, from which the post can be rebuilt.

use super::simple::{self, Field, Fields};
use super::value::Value;
use super::{Origin, Parsed, Rejection};
use crate::error::{Error, Result};
use csv::StringRecord;
use serde_json::Map;

/// Which column is which field: `text=Review,created_at=Posted on,username=User`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMapping(Vec<(String, String)>);

impl ColumnMapping {
    /// Reads `field=column` pairs, separated by commas.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, column) = pair.split_once('=').ok_or_else(|| {
                Error::Setting(format!("{pair:?} is no mapping: write field=column, as in text=Review"))
            })?;
            let (name, column) = (name.trim(), column.trim());
            if simple::field(name).is_none() {
                return Err(Error::Setting(format!(
                    "there is no field {name:?}; the fields are id, text, created_at, username, author_id, \
                     user_location, followers, lat_lon, lat, lon, place, lang, url, reach, repost_of, platform"
                )));
            }
            pairs.push((name.to_owned(), column.to_owned()));
        }
        Ok(Self(pairs))
    }
}

/// What the header of a table said.
#[derive(Debug, Clone)]
pub struct Columns {
    names: Vec<String>,
    /// For each column its field, the rank of its name and the field's name in the payload.
    fields: Vec<Option<(Field, u8, String)>>,
}

impl Columns {
    /// Matches the header with the mapping. A header that can't be right says what is likely wrong.
    pub fn new(header: &StringRecord, mapping: &ColumnMapping, delimiter: u8) -> Result<Self> {
        let names: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        let mut fields: Vec<Option<(Field, u8, String)>> = names.iter().map(|name| by_name(name)).collect();
        for (field, column) in &mapping.0 {
            let Some(place) = names.iter().position(|name| name.eq_ignore_ascii_case(column)) else {
                return Err(wrong(&names, delimiter, &format!("there is no column {column:?}")));
            };
            fields[place] = simple::field(field).map(|(kind, _)| (kind, 0, field.clone()));
        }
        let has = |wanted: Field| fields.iter().flatten().any(|(field, ..)| *field == wanted);
        for (wanted, name) in [(Field::Text, "text"), (Field::CreatedAt, "created_at")] {
            if !has(wanted) {
                return Err(wrong(&names, delimiter, &format!("no column is known to hold the {name}")));
            }
        }
        Ok(Self { names, fields })
    }

    /// Reads a row.
    pub fn parse(&self, row: &StringRecord, origin: &Origin, parsed: &mut Parsed) {
        let reject = |reason: String| {
            let cells: Vec<&str> = row.iter().collect();
            Rejection::new(reason, serde_json::to_string(&cells).unwrap_or_default().as_bytes())
        };
        if row.len() != self.names.len() {
            let reason = format!("the row has {} fields, the header {}", row.len(), self.names.len());
            return parsed.rejections.push(reject(reason));
        }
        let mut fields = Box::<Fields>::default();
        for (cell, field) in row.iter().zip(&self.fields) {
            if let Some((field, rank, _)) = field {
                fields.put(*field, *rank, Value::Text(cell.into()));
            }
        }
        match simple::build(fields, self.payload(row), origin) {
            Ok(record) => parsed.records.push(record),
            Err(reason) => parsed.rejections.push(reject(reason)),
        }
    }

    /// The row in the simple form; what is no field of it goes under `columns`.
    fn payload(&self, row: &StringRecord) -> String {
        let (mut object, mut rest) = (Map::new(), Map::new());
        for ((cell, field), name) in row.iter().zip(&self.fields).zip(&self.names) {
            match field {
                Some((_, _, known)) if !object.contains_key(known) => object.insert(known.clone(), cell.into()),
                _ => rest.insert(name.clone(), cell.into()),
            };
        }
        if !rest.is_empty() {
            object.insert("columns".into(), rest.into());
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// `Created At` is `created_at`.
fn by_name(name: &str) -> Option<(Field, u8, String)> {
    let plain = name.to_lowercase().replace([' ', '-'], "_");
    simple::field(&plain).map(|(field, rank)| (field, rank, plain))
}

fn wrong(names: &[String], delimiter: u8, what: &str) -> Error {
    let shown = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let hint = match (names, suspect(names.first().map_or("", String::as_str), delimiter)) {
        ([_], Some(other)) => format!("it looks as if the delimiter were {:?}: give it", char::from(other)),
        _ => "name the columns, as in text=Review,created_at=Date".into(),
    };
    Error::Input(format!("{what}; the header has {shown} with the delimiter {:?}; {hint}", char::from(delimiter)))
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

fn suspect(header: &str, delimiter: u8) -> Option<u8> {
    let count = |wanted: u8| header.bytes().filter(|byte| *byte == wanted).count();
    DELIMITERS.into_iter().filter(|other| *other != delimiter && count(*other) > 0).max_by_key(|other| count(*other))
}

/// The delimiter of a header: the most frequent candidate outside quotation marks.
pub fn sniff_delimiter(header: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in header.iter().take_while(|byte| **byte != b'\n') {
        quoted ^= *byte == b'"';
        if let Some(place) = DELIMITERS.iter().position(|candidate| candidate == byte).filter(|_| !quoted) {
            counts[place] += 1;
        }
    }
    let best = (0..DELIMITERS.len()).rev().max_by_key(|place| counts[*place]).unwrap_or(0);
    if counts[best] == 0 { b',' } else { DELIMITERS[best] }
}

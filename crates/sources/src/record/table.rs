//! Rows of CSV: a column mapping says which column is which field of the simple form; columns that bear one of the
//! form's names need no mapping. The payload is the row as a JSON object, from which the post can be rebuilt.

use super::mapping::ColumnMapping;
use super::names::{Field, field, kept_as, known};
use super::simple::{self, Fields};
use super::value::Value;
use super::{Notes, Origin, Parsed, Rejection, date};
use crate::error::{Error, Result};
use csv::StringRecord;
use domain::{Record, markup};
use serde::{Deserialize, Serialize};
use serde_json::Map;

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
        for (name, column) in &mapping.0 {
            let Some(place) = names.iter().position(|name| name.eq_ignore_ascii_case(column)) else {
                return Err(wrong(&names, delimiter, &format!("there is no column {column:?}")));
            };
            // A column of GeoJSON has the longitude first, whatever it is mapped to.
            let turned = matches!(fields[place], Some((Field::LonLat, ..))) && name == "lat_lon";
            let name = if turned { "lon_lat" } else { name };
            let meant = field(name).map(|(kind, _)| kind);
            // The column that was named counts, and no other.
            fields
                .iter_mut()
                .filter(|other| other.as_ref().map(|(kind, ..)| *kind) == meant)
                .for_each(|other| *other = None);
            fields[place] = field(name).map(|(kind, _)| (kind, 0, name.to_owned()));
        }
        let has = |wanted: Field| fields.iter().flatten().any(|(field, ..)| *field == wanted);
        if !has(Field::Text) {
            return Err(wrong(&names, delimiter, "no column is known to hold the text"));
        }
        if !has(Field::CreatedAt) && !has(Field::Time) {
            return Err(wrong(&names, delimiter, "no column is known to hold the created_at"));
        }
        Ok(Self { names, fields })
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether cells look like a row of this table: as many as the header has, with a text and a date in their places.
    pub(crate) fn fit(&self, row: &csv::ByteRecord) -> bool {
        let holds = |wanted: Field, good: fn(&str) -> bool| {
            self.fields.iter().zip(row).any(|(field, cell)| {
                matches!(field, Some((field, ..)) if *field == wanted) && std::str::from_utf8(cell).is_ok_and(good)
            })
        };
        let date =
            holds(Field::CreatedAt, |cell| date::read(cell).is_ok()) || holds(Field::Time, |cell| !cell.is_empty());
        row.len() == self.names.len() && date && holds(Field::Text, |cell| !cell.trim().is_empty())
    }

    /// Reads a row.
    pub fn parse(&self, row: &StringRecord, origin: &Origin, parsed: &mut Parsed) {
        match self.record(row, origin, &mut parsed.notes) {
            Ok(record) => parsed.records.push(record),
            Err(reason) if row.len() == self.names.len() => {
                parsed.rejections.push(Rejection::new(reason, self.payload(row).as_bytes()));
            }
            Err(reason) => parsed.rejections.push(self.reject(row, reason, None)),
        }
    }

    /// The rejection of a row that can't be kept as an object; a replay reads it as a row again. `fault`: what is wrong
    /// with it for ever.
    pub(crate) fn reject(&self, row: &StringRecord, reason: String, fault: Option<String>) -> Rejection {
        let names = self.names.iter().zip(&self.fields);
        let header = names.map(|(name, field)| field.as_ref().map_or(name, |(.., known)| known).clone()).collect();
        let kept = KeptRow { header, row: row.iter().map(str::to_owned).collect(), fault };
        Rejection::new(reason, serde_json::to_string(&kept).unwrap_or_default().as_bytes())
    }

    fn record(&self, row: &StringRecord, origin: &Origin, notes: &mut Notes) -> Result<Record, String> {
        if row.len() != self.names.len() {
            return Err(format!("the row has {} fields, the header {}", row.len(), self.names.len()));
        }
        let mut fields = Box::<Fields>::default();
        for (cell, field) in row.iter().zip(&self.fields) {
            if let Some((field, rank, _)) = field {
                fields.put(*field, *rank, Value::Text(cell.into()));
            }
        }
        let record = simple::build(fields, self.payload(row), origin, notes)?;
        let unused = row.iter().zip(&self.fields).zip(&self.names);
        for ((_, _), name) in unused.filter(|((cell, field), _)| field.is_none() && !cell.trim().is_empty()) {
            notes.unused(name);
        }
        Ok(record)
    }

    /// The row in the simple form; what is no field of it goes under `columns`.
    fn payload(&self, row: &StringRecord) -> String {
        let (mut object, mut rest) = (Map::new(), Map::new());
        let mut cells: Vec<_> = row.iter().zip(&self.fields).zip(&self.names).collect();
        // Of several columns for one field, the one that counts stands first, as when the row was read.
        cells.sort_by_key(|((cell, field), _)| (markup::is_missing(cell), field.as_ref().map(|(_, rank, _)| *rank)));
        for ((cell, field), name) in cells {
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

/// A rejected row as it is kept in its dead letter.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptRow {
    header: Vec<String>,
    row: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    fault: Option<String>,
}

/// Reads a rejected row again; `None` when the record is none.
pub(crate) fn parse_kept(text: &str, origin: &Origin, notes: &mut Notes) -> Option<Result<Record, String>> {
    if !text.starts_with("{\"header\":[") {
        return None;
    }
    let kept: KeptRow = serde_json::from_str(text).ok()?;
    if let Some(fault) = kept.fault {
        return Some(Err(fault));
    }
    let columns = Columns::new(&kept.header.into(), &ColumnMapping::default(), b',');
    Some(columns.map_err(|error| error.to_string()).and_then(|columns| columns.record(&kept.row.into(), origin, notes)))
}

/// `Created At` is `created_at`.
fn by_name(name: &str) -> Option<(Field, u8, String)> {
    let (field, rank) = known(name)?;
    Some((field, rank, kept_as(name)?))
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

//! The rows of a workbook of Excel (.xlsx): its first sheet, with dates as dates. Relies on `quick-xml`; a reader of its
//! own, because the usual one brings ten more crates.

use super::unpack::Input;
use super::zip::Archive;
use crate::error::{Error, Result};
use chrono::{NaiveDate, TimeDelta};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Most bytes of texts that cells share, which are held in memory.
const STRINGS_BYTES_MAX: u64 = 256 << 20;
/// Most bytes of the other parts beside the sheet.
const PART_BYTES_MAX: u64 = 16 << 20;
/// Columns that a sheet can have.
const COLUMNS_MAX: usize = 16_384;
/// Formats of numbers that are dates or times, by their numbers.
const DATE_FORMATS: [std::ops::RangeInclusive<u32>; 4] = [14..=22, 27..=36, 45..=47, 50..=58];

/// An open workbook.
pub(super) struct Workbook {
    /// The name of the sheet that is read, and how many there are.
    pub(super) sheet: String,
    pub(super) sheets: usize,
    input: Reader<Input>,
    strings: Vec<String>,
    /// For each style of cells, whether it shows a date.
    dates: Vec<bool>,
    from_1904: bool,
    name: String,
}

/// Whether an archive is a workbook.
pub(super) fn is_workbook(archive: &Archive) -> bool {
    archive.find("xl/workbook.xml").is_some()
}

impl Workbook {
    pub(super) fn open(archive: &Archive, name: &str) -> Result<Self> {
        let part = |entry: &str, bytes_max| archive.text(entry, bytes_max).map(Reader::from_reader);
        let failed = |error: quick_xml::Error| Error::Input(format!("{name} is a damaged workbook: {error}"));
        let (sheets, from_1904) = sheets(part("xl/workbook.xml", PART_BYTES_MAX)?).map_err(failed)?;
        let targets = targets(part("xl/_rels/workbook.xml.rels", PART_BYTES_MAX)?).map_err(failed)?;
        let (sheet, id) = sheets.first().cloned().ok_or_else(|| Error::Input(format!("{name} has no sheet")))?;
        let target =
            targets.into_iter().find(|(key, _)| *key == id).map_or("worksheets/sheet1.xml".into(), |(_, it)| it);
        let entry = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
        Ok(Self {
            sheet,
            sheets: sheets.len(),
            strings: strings(part("xl/sharedStrings.xml", STRINGS_BYTES_MAX)?).map_err(failed)?,
            dates: dates(part("xl/styles.xml", PART_BYTES_MAX)?).map_err(failed)?,
            from_1904,
            input: part(&entry, u64::MAX)?,
            name: name.to_owned(),
        })
    }

    /// The next row that has cells, with its number; cells that are left out are empty.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<String>)>> {
        let mut buffer = Vec::new();
        let (mut number, mut row) = (0, Vec::new());
        loop {
            buffer.clear();
            match self.event(&mut buffer)? {
                Event::Start(tag) if is(&tag, "row") => {
                    number = value(&tag, "r").and_then(|text| text.parse().ok()).unwrap_or(number + 1);
                }
                Event::Start(tag) if is(&tag, "c") => {
                    let cell = Cell::of(&tag, row.len());
                    let text = self.cell(&cell)?;
                    if cell.column < COLUMNS_MAX {
                        row.resize(row.len().max(cell.column + 1), String::new());
                        row[cell.column] = text;
                    }
                }
                Event::End(tag) if tag.local_name().as_ref() == "row" && row.iter().any(|cell| !cell.is_empty()) => {
                    return Ok(Some((number, row)));
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    fn event<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Event<'b>> {
        let name = &self.name;
        self.input.read_event_into(buffer).map_err(|error| Error::Input(format!("{name} is damaged: {error}")))
    }

    /// The value of a cell whose tag was read.
    fn cell(&mut self, cell: &Cell) -> Result<String> {
        let mut buffer = Vec::new();
        let (mut text, mut inside) = (String::new(), false);
        loop {
            buffer.clear();
            match self.event(&mut buffer)? {
                Event::Start(tag) => inside = is(&tag, "v") || is(&tag, "t"),
                Event::End(tag) if tag.local_name().as_ref() == "c" => break,
                Event::End(_) => inside = false,
                Event::Eof => break,
                event if inside => add(&event, &mut text),
                _ => {}
            }
        }
        Ok(match cell.kind.as_str() {
            "s" => {
                text.trim().parse().ok().and_then(|place: usize| self.strings.get(place).cloned()).unwrap_or_default()
            }
            "e" => String::new(),
            "" | "n" if self.dates.get(cell.style) == Some(&true) => date(&text, self.from_1904).unwrap_or(text),
            _ => text,
        })
    }
}

/// What the tag of a cell says.
struct Cell {
    column: usize,
    kind: String,
    style: usize,
}

impl Cell {
    /// `next`: the column of a cell that names none.
    fn of(tag: &BytesStart<'_>, next: usize) -> Self {
        let column = |place: String| {
            let letters = place.bytes().take_while(u8::is_ascii_uppercase).take(4);
            letters.fold(0, |column, letter| column * 26 + usize::from(letter - b'A') + 1).checked_sub(1)
        };
        Self {
            column: value(tag, "r").and_then(column).unwrap_or(next),
            kind: value(tag, "t").unwrap_or_default(),
            style: value(tag, "s").and_then(|style| style.parse().ok()).unwrap_or(usize::MAX),
        }
    }
}

fn is(tag: &BytesStart<'_>, name: &str) -> bool {
    tag.local_name().as_ref() == name
}

/// An attribute, whatever its prefix.
fn value(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(domain::markup::decode_entities(&attribute.value).into_owned())
}

/// Adds the text of an event.
fn add(event: &Event<'_>, text: &mut String) {
    match event {
        Event::Text(words) => text.push_str(words),
        Event::CData(words) => text.push_str(words),
        Event::GeneralRef(name) => match name.resolve_char_ref() {
            Ok(Some(letter)) => text.push(letter),
            _ => text.push_str(resolve_predefined_entity(name).unwrap_or_default()),
        },
        _ => {}
    }
}

/// Calls `each` with every tag that opens.
fn tags(mut input: Reader<Input>, mut each: impl FnMut(&BytesStart<'_>)) -> quick_xml::Result<()> {
    let mut buffer = Vec::new();
    loop {
        match input.read_event_into(&mut buffer)? {
            Event::Start(tag) | Event::Empty(tag) => each(&tag),
            Event::Eof => return Ok(()),
            _ => {}
        }
        buffer.clear();
    }
}

/// The names of the sheets with their ids, and whether days are counted from 1904.
fn sheets(input: Reader<Input>) -> quick_xml::Result<(Vec<(String, String)>, bool)> {
    let (mut sheets, mut from_1904) = (Vec::new(), false);
    tags(input, |tag| match tag.local_name().as_ref() {
        "sheet" => {
            let of_relation = tag.attributes().flatten().find(|attribute| attribute.key.as_ref().ends_with(":id"));
            let id = of_relation.map(|attribute| attribute.value.into_owned()).unwrap_or_default();
            sheets.push((value(tag, "name").unwrap_or_default(), id));
        }
        "workbookPr" => from_1904 = matches!(value(tag, "date1904").as_deref(), Some("1" | "true")),
        _ => {}
    })?;
    Ok((sheets, from_1904))
}

/// The files of the sheets, by id.
fn targets(input: Reader<Input>) -> quick_xml::Result<Vec<(String, String)>> {
    let mut targets = Vec::new();
    tags(input, |tag| targets.extend(value(tag, "Id").zip(value(tag, "Target"))))?;
    Ok(targets)
}

/// The texts that cells share. How they are pronounced (`rPh`) is left out.
fn strings(mut input: Reader<Input>) -> quick_xml::Result<Vec<String>> {
    let (mut strings, mut text, mut inside, mut spoken) = (Vec::new(), String::new(), false, false);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match input.read_event_into(&mut buffer)? {
            Event::Start(tag) if is(&tag, "rPh") => spoken = true,
            Event::Start(tag) => inside = is(&tag, "t") && !spoken,
            Event::Empty(tag) if is(&tag, "si") => strings.push(String::new()),
            Event::End(tag) => match tag.local_name().as_ref() {
                "si" => strings.push(std::mem::take(&mut text)),
                "rPh" => spoken = false,
                _ => inside = false,
            },
            Event::Eof => return Ok(strings),
            event if inside => add(&event, &mut text),
            _ => {}
        }
    }
}

/// For each style of cells, whether it shows a date.
fn dates(input: Reader<Input>) -> quick_xml::Result<Vec<bool>> {
    let (mut own, mut dates, mut in_cells) = (Vec::new(), Vec::new(), false);
    tags(input, |tag| {
        let number = || value(tag, "numFmtId").and_then(|id| id.parse::<u32>().ok()).unwrap_or_default();
        match tag.local_name().as_ref() {
            "numFmt" if is_date_format(&value(tag, "formatCode").unwrap_or_default()) => own.push(number()),
            "cellXfs" => in_cells = true,
            "cellStyles" | "dxfs" => in_cells = false,
            "xf" if in_cells => {
                let number = number();
                dates.push(own.contains(&number) || DATE_FORMATS.iter().any(|known| known.contains(&number)));
            }
            _ => {}
        }
    })?;
    Ok(dates)
}

/// Whether a format of numbers has a part of a date outside of quoted words and colours.
fn is_date_format(code: &str) -> bool {
    let mut ends_with = None;
    code.chars().any(|letter| match (ends_with, letter) {
        (Some(end), letter) => {
            if letter == end {
                ends_with = None;
            }
            false
        }
        (None, '"') => {
            ends_with = Some('"');
            false
        }
        (None, '[') => {
            ends_with = Some(']');
            false
        }
        (None, letter) => matches!(letter.to_ascii_lowercase(), 'y' | 'm' | 'd' | 'h'),
    })
}

/// A date that is written as a number of days.
fn date(text: &str, from_1904: bool) -> Option<String> {
    let days: f64 = text.trim().parse().ok().filter(|days| (1.0..3e6).contains(days))?;
    // Excel knows a 29 February 1900, so its days count from 30 December 1899.
    let (year, month, day) = if from_1904 { (1904, 1, 1) } else { (1899, 12, 30) };
    let from = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(0, 0, 0)?;
    let seconds = (days * 86_400.0).round() as i64;
    let at = from.checked_add_signed(TimeDelta::try_seconds(seconds)?)?;
    let form = if seconds % 86_400 == 0 { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M:%S" };
    Some(at.format(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dates_where_their_format_says_so() {
        for code in ["yyyy-mm-dd", "[$-407]d. mmmm yyyy", "h:mm AM/PM", "\"on \"d"] {
            assert!(is_date_format(code), "{code}");
        }
        for code in ["0.00", "#,##0 \"days\"", "[Red]0", "General", ""] {
            assert!(!is_date_format(code), "{code}");
        }
        assert_eq!(date("46349.5", false).as_deref(), Some("2026-11-23 12:00:00"));
        assert_eq!(date("46349", false).as_deref(), Some("2026-11-23"));
        assert_eq!(date("44887", true).as_deref(), Some("2026-11-23"));
        assert_eq!((date("x", false), date("1e300", false)), (None, None));
    }
}

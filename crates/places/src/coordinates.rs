//! Coordinates as phones and people write them: `ÜT: 40.96513,-73.872957`, `Lat: 40.71, Lon: -74.00`,
//! `40.7128 N, 74.0060 W`, `40°42′46″N 74°00′22″W`, `47.51 / 8.54`.

use domain::Coordinates;

/// A text longer than this is no pair of coordinates.
const BYTES_MAX: usize = 120;

/// What stands in a text beside white space.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// Digits with or without a point, and a sign.
    Number {
        value: f64,
        decimal: bool,
    },
    /// °, ′ or ″.
    Degree,
    Minute,
    Second,
    /// N, S, E or W as a word of its own, or right behind a number.
    Direction(char),
    /// `,`, `;`, `/` or `|` between the two.
    Separator,
    /// `lat`, `lon` and what else names them.
    Label,
    Word,
}

/// A pair of coordinates; decimal numbers need a point, so that a list of whole numbers is not taken for one, and 0,0 is
/// what a phone without a fix writes.
pub(crate) fn coordinates_in(text: &str) -> Option<Coordinates> {
    if text.len() > BYTES_MAX || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parts = parts(&points_for_commas(text));
    let first = parts.iter().position(|part| !matches!(part, Part::Word | Part::Label | Part::Separator))?;
    let lead = &parts[..first];
    // The name of a phone may stand before; a sentence is no position.
    if lead.iter().filter(|part| **part == Part::Word).count() > 2 || parts[first..].contains(&Part::Word) {
        return None;
    }
    let point = pair(&parts[first..])?;
    (point.lat != 0.0 || point.lon != 0.0).then_some(point)
}

/// One of the two, with what was written of it.
#[derive(Debug, Default, Clone, Copy)]
struct Angle {
    degrees: f64,
    direction: Option<char>,
    decimal: bool,
    marked: bool,
}

fn pair(parts: &[Part]) -> Option<Coordinates> {
    let separated = parts.iter().filter(|part| **part == Part::Separator).count();
    let halves: Vec<Angle> = if separated == 1 {
        parts.split(|part| *part == Part::Separator).map(angle).collect::<Option<_>>()?
    } else {
        let directed = parts.iter().position(|part| matches!(part, Part::Direction(_)))?;
        // The letter stands before each number, or behind it.
        let cut = if directed == 0 {
            parts[1..].iter().position(|part| matches!(part, Part::Direction(_)))? + 1
        } else {
            directed + 1
        };
        if separated > 0 {
            return None;
        }
        [angle(&parts[..cut])?, angle(&parts[cut..])?].into()
    };
    let [first, second] = halves[..] else { return None };
    let turned = matches!(first.direction, Some('E' | 'W')) && matches!(second.direction, Some('N' | 'S'));
    let (lat, lon) = if turned { (second, first) } else { (first, second) };
    let known = match (lat.direction, lon.direction) {
        (Some('N' | 'S'), Some('E' | 'W')) => lat.marked || lon.marked || (lat.decimal && lon.decimal),
        (None, None) => lat.decimal && lon.decimal,
        _ => false,
    };
    Coordinates::checked(lat.degrees, lon.degrees).filter(|_| known)
}

fn angle(parts: &[Part]) -> Option<Angle> {
    let mut angle = Angle::default();
    let mut unit = 1.0;
    let mut numbers = 0;
    for part in parts {
        match part {
            Part::Number { value, decimal } if numbers < 3 => {
                angle.degrees += value * unit;
                angle.decimal |= *decimal;
                unit /= 60.0;
                numbers += 1;
            }
            Part::Degree | Part::Minute | Part::Second => angle.marked = true,
            Part::Direction(letter) if angle.direction.is_none() => angle.direction = Some(*letter),
            Part::Label => {}
            _ => return None,
        }
    }
    if numbers == 0 || (numbers > 1 && !angle.marked) {
        return None;
    }
    if matches!(angle.direction, Some('S' | 'W')) {
        angle.degrees = -angle.degrees;
    }
    Some(angle)
}

/// `40,7128, -74,0060` with points: only where two numbers of at least three decimals leave no doubt.
fn points_for_commas(text: &str) -> String {
    let pieces: Vec<&str> = text.split(',').map(str::trim).collect();
    let whole = |piece: &str| {
        let digits = piece.trim_start_matches('-');
        !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let decimals = |piece: &str| piece.len() >= 3 && piece.bytes().all(|byte| byte.is_ascii_digit());
    match pieces[..] {
        [a, b, c, d] if whole(a) && decimals(b) && whole(c) && decimals(d) => format!("{a}.{b}, {c}.{d}"),
        _ => text.to_owned(),
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let signed = matches!(c, '-' | '−' | '+') && rest[c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        let taken = if c.is_ascii_digit() || signed {
            number(rest, &mut parts)
        } else if c.is_alphabetic() {
            word(rest, &mut parts)
        } else {
            let part = match c {
                '°' | 'º' | '˚' => Some(Part::Degree),
                '\'' | '′' | '’' => Some(Part::Minute),
                '"' | '″' | '”' => Some(Part::Second),
                ',' | ';' | '/' | '|' => Some(Part::Separator),
                _ => None,
            };
            parts.extend(part);
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    parts
}

fn number(rest: &str, parts: &mut Vec<Part>) -> usize {
    let sign = rest.chars().next().filter(|c| !c.is_ascii_digit());
    let start = sign.map_or(0, char::len_utf8);
    let digits = &rest[start..];
    let length = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let value: Option<f64> = digits[..length].trim_end_matches('.').parse().ok();
    let decimal = digits[..length].trim_end_matches('.').contains('.');
    let negative = matches!(sign, Some('-' | '−'));
    parts
        .push(value.map_or(Part::Word, |value| Part::Number { value: if negative { -value } else { value }, decimal }));
    start + length
}

fn word(rest: &str, parts: &mut Vec<Part>) -> usize {
    let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let lower = rest[..length].to_lowercase();
    parts.push(match lower.as_str() {
        "n" | "north" => Part::Direction('N'),
        "s" | "south" => Part::Direction('S'),
        "e" | "east" => Part::Direction('E'),
        "w" | "west" => Part::Direction('W'),
        "lat" | "latitude" | "lon" | "long" | "lng" | "longitude" => Part::Label,
        _ => Part::Word,
    });
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_read_however_they_are_written() {
        for text in [
            "ÜT: 40.7128,-74.0060",
            "iPhone: 40.7128,  -74.0060",
            "Lat: 40.7128, Lon: -74.0060",
            "lat=40.7128; lng=-74.0060",
            "40.7128 N, 74.0060 W",
            "40.7128° N, 74.0060° W",
            "40°42′46″N 74°00′22″W",
            "N 40°42'46'' / W 74°00'22''",
            "40,7128, -74,0060",
            "40.7128 / -74.0060",
            "40.7128 | −74.0060",
            "74.0060 W, 40.7128 N",
        ] {
            let point = coordinates_in(text).unwrap_or_else(|| panic!("{text}"));
            assert!((point.lat - 40.7128).abs() < 1e-3 && (point.lon + 74.006).abs() < 1e-3, "{text}: {point:?}");
        }
    }

    #[test]
    fn other_numbers_are_no_coordinates() {
        for text in [
            "10° of separation, 5° of heat",
            "iPhone: 0.000000,0.000000",
            "Austin, TX",
            "1.5,2",
            "95.1,10.2",
            "1.5, 2.5 stars",
            "Room 3.1, Floor 2.2",
            "v1.2.3, 4.5",
            "24/7",
            "1990, 2000",
            "10 E, 20 W",
            "40.7 N",
            "12.5",
        ] {
            assert_eq!(coordinates_in(text), None, "{text}");
        }
    }
}

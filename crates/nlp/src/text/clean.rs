//! Cleaning without destroying: the form of a text that a model reads, with the way back to the original.
//!
//! HTML entities are decoded, control characters become spaces, invisible direction marks go, runs of white space become
//! one space; links and user names take the form that the model was trained on. Emoji and hashtags stay: they carry
//! feeling. The way back is a list of segments, each at most [`SEGMENT_CHARS_MAX`] characters long, so that a
//! look-up is a binary search and a short count, and a plain text costs about a fifth of its size.

use super::scan::{Span, scan};
use super::stand_ins::stand_in;
use domain::EntityKind;
use std::ops::Range;

/// Longest stretch that one segment covers.
const SEGMENT_CHARS_MAX: u32 = 64;

/// Capitals that a text in capitals has at least: fewer are a name or two.
const SHOUTED_MIN: usize = 10;
/// Letters of a text whose mood may be in its emoji alone: more than a name or two have a mood of their own, which an
/// emoji that only resembles the written one would disturb.
const MOOD_IN_WORDS: usize = 24;

/// How a text is written for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaning {
    /// In place of every `@name`; none leaves names as they are.
    pub mention: Option<String>,
    /// In place of every link; none leaves links as they are.
    pub link: Option<String>,
    /// As the shipped model's vocabulary wants it: small letters where a text is in capitals, and emoji that it knows where
    /// there is little else.
    pub for_vocabulary: bool,
}

impl Cleaning {
    /// For the shipped model: as [`Self::social`], in letters and emoji that it knows.
    pub fn shipped() -> Self {
        Self { for_vocabulary: true, ..Self::social() }
    }

    /// As in TweetEval and UMSAB: `@user` and `http`.
    pub fn social() -> Self {
        Self { mention: Some("@user".into()), link: Some("http".into()), for_vocabulary: false }
    }

    /// Names and links as written.
    pub fn verbatim() -> Self {
        Self { mention: None, link: None, for_vocabulary: false }
    }

    /// Cleans a text.
    pub fn clean(&self, text: &str) -> CleanText {
        self.clean_scanned(text, &scan(text))
    }

    /// Cleans a text whose spans are known already.
    pub fn clean_scanned(&self, text: &str, spans: &[Span]) -> CleanText {
        let mut writer = Writer::with_capacity(text.len());
        let letters = if self.for_vocabulary { Letters::count(text, spans) } else { Letters::default() };
        writer.lower = letters.shout();
        let by_emoji = self.for_vocabulary && letters.all <= MOOD_IN_WORDS;
        let mut at = 0;
        for span in spans {
            let replacement = match span.kind {
                EntityKind::Mention => self.mention.as_deref(),
                EntityKind::Link => self.link.as_deref(),
                EntityKind::Emoji if by_emoji => stand_in(&text[span.bytes.clone()]),
                _ => None,
            };
            if let Some(replacement) = replacement {
                writer.prose(&text[at..span.bytes.start]);
                writer.replace(replacement, (span.chars.end - span.chars.start).max(1));
                at = span.bytes.end;
            }
        }
        writer.prose(&text[at..]);
        writer.finish()
    }
}

/// Letters of a text outside its spans.
#[derive(Default)]
struct Letters {
    all: usize,
    capitals: usize,
    small: usize,
}

impl Letters {
    fn count(text: &str, spans: &[Span]) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        let end = text.len()..text.len();
        for span in spans.iter().map(|span| &span.bytes).chain([&end]) {
            let mut rest = &text[at..span.start];
            while let Some(first) = rest.chars().next() {
                let (c, length) = decode_entity(rest).unwrap_or((first, first.len_utf8()));
                rest = &rest[length..];
                found.all += usize::from(c.is_alphanumeric());
                found.capitals += usize::from(c.is_uppercase());
                found.small += usize::from(c.is_lowercase());
            }
            at = span.end;
        }
        found
    }

    /// Whether the text is written in capitals. The model was trained on few such texts, and finds few words in them that
    /// it knows: on validation texts put into capitals its sentiment loses 11 points, and 1 in small letters.
    fn shout(&self) -> bool {
        self.capitals >= SHOUTED_MIN && self.small * 9 <= self.capitals
    }
}

/// The small letter of a capital, where it is one character.
fn lowered(c: char) -> char {
    let mut small = c.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) => small,
        _ => c,
    }
}

/// A cleaned text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanText {
    pub text: String,
    segments: Vec<Segment>,
}

/// From a byte of the cleaned text on, where its characters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// First byte in the cleaned text.
    clean: u32,
    /// First character in the original.
    original: u32,
    /// Characters of the original that it covers.
    length: u32,
    /// One character of the cleaned text is one character of the original.
    verbatim: bool,
}

impl CleanText {
    /// The characters of the original that bytes of the cleaned text stand for. A byte inside a replaced stretch stands
    /// for the whole stretch; bytes beyond the end, or inside a character, are brought to the nearest sane place.
    pub fn original(&self, bytes: Range<usize>) -> Range<u32> {
        let begin = self.floor(bytes.start);
        let end = self.floor(bytes.end.max(begin));
        let first = self.position(begin, false);
        if end == begin {
            return first..first;
        }
        let last_begin = self.text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
        first..self.position(last_begin, true).max(first)
    }

    fn floor(&self, byte: usize) -> usize {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }

    /// First (or one past the last) original character of the cleaned character at a byte.
    fn position(&self, byte: usize, after: bool) -> u32 {
        let index = self.segments.partition_point(|segment| segment.clean as usize <= byte);
        let Some(segment) = index.checked_sub(1).and_then(|i| self.segments.get(i)) else { return 0 };
        if segment.verbatim {
            let inside = self.text[segment.clean as usize..byte].chars().count() as u32;
            // At the end of the text there is no character to step over.
            segment.original + (inside + u32::from(after)).min(segment.length)
        } else if after || byte >= self.text.len() {
            segment.original + segment.length
        } else {
            segment.original
        }
    }
}

/// Writes the cleaned text and its segments together.
struct Writer {
    text: String,
    segments: Vec<Segment>,
    /// Characters of the original read so far.
    read: u32,
    /// Capitals become small letters.
    lower: bool,
}

impl Writer {
    fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), segments: Vec::with_capacity(bytes / 64 + 4), read: 0, lower: false }
    }

    /// Cleans a stretch that holds nothing to replace as a whole.
    fn prose(&mut self, text: &str) {
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if c == '&'
                && let Some((decoded, length)) = decode_entity(&text[at..])
            {
                self.decoded(decoded, length as u32);
                at += length;
                continue;
            }
            at += c.len_utf8();
            if c.is_whitespace() || c.is_control() {
                self.space();
            } else if is_invisible(c) {
                self.read = self.read.saturating_add(1);
            } else {
                self.keep(if self.lower { lowered(c) } else { c });
            }
        }
    }

    fn keep(&mut self, c: char) {
        match self.segments.last_mut() {
            Some(last)
                if last.verbatim && last.length < SEGMENT_CHARS_MAX && last.original + last.length == self.read =>
            {
                last.length += 1;
            }
            _ => self.segment(1, true),
        }
        self.text.push(c);
        self.read = self.read.saturating_add(1);
    }

    fn space(&mut self) {
        if self.text.is_empty() || self.text.ends_with(' ') {
            self.read = self.read.saturating_add(1);
        } else {
            self.keep(' ');
        }
    }

    fn decoded(&mut self, c: char, length: u32) {
        if c.is_whitespace() || c.is_control() {
            if !self.text.is_empty() && !self.text.ends_with(' ') {
                self.segment(length, false);
                self.text.push(' ');
            }
        } else if !is_invisible(c) {
            self.segment(length, false);
            self.text.push(if self.lower { lowered(c) } else { c });
        }
        self.read = self.read.saturating_add(length);
    }

    fn replace(&mut self, replacement: &str, length: u32) {
        if !replacement.is_empty() {
            self.segment(length, false);
            self.text.push_str(replacement);
        }
        self.read = self.read.saturating_add(length);
    }

    fn segment(&mut self, length: u32, verbatim: bool) {
        self.segments.push(Segment { clean: self.text.len() as u32, original: self.read, length, verbatim });
    }

    fn finish(mut self) -> CleanText {
        let length = self.text.trim_end_matches(' ').len();
        self.text.truncate(length);
        CleanText { text: self.text, segments: self.segments }
    }
}

/// Marks of direction and byte order, zero-width spaces, soft hyphens: nothing a reader sees. Joiners stay: they shape
/// words of Persian and Hindi, and emoji.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'
        | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFD}')
}

/// Names that platforms and feeds write. Others stay as they are, which is also what a browser does with unknown ones.
const NAMED: [(&str, char); 40] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("hellip", '…'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("cent", '¢'),
    ("deg", '°'),
    ("hearts", '♥'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("ntilde", 'ñ'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
];

/// The character that an HTML entity at the head of `rest` stands for, with its length in bytes, which are all ASCII.
pub(super) fn decode_entity(rest: &str) -> Option<(char, usize)> {
    let body = rest.strip_prefix('&')?;
    let end = body.bytes().take(10).position(|b| b == b';')?;
    let name = &body[..end];
    let length = end + 2;
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return Some((char::from_u32(code.ok()?)?, length));
    }
    NAMED.iter().find(|(known, _)| *known == name).map(|&(_, c)| (c, length))
}

#[cfg(test)]
mod tests {
    use super::super::{NASTY, slice};
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Cleaning::social().clean(text).text, expected, "{text:?}");
    }

    #[test]
    fn links_and_names_take_the_model_s_form_and_the_rest_stays() {
        check("@JetBlue: you &amp; me 😡 #fail http://t.co/x1", "@user: you & me 😡 #fail http");
        check("a\0b\r\n\tc  d ", "a b c d");
        check("\u{FEFF}\u{202E}x\u{202C}", "x");
        check("می\u{200C}خواهم 👨\u{200D}👩", "می\u{200C}خواهم 👨\u{200D}👩");
        check("&lt;3 &#39;q&#39; &#x1F600; &bogus; &amp;amp; &#0;x &#xD800;", "<3 'q' 😀 &bogus; &amp; x &#xD800;");
        check("", "");
        check("&nbsp;&nbsp;", "");
        assert_eq!(Cleaning::verbatim().clean("@a http://b.c/d &gt;").text, "@a http://b.c/d >");
    }

    #[test]
    fn the_way_back_finds_the_original_words() {
        let original = "RT @someone_else:  caf\u{e9} &amp; bar\u{200B} in München http://t.co/abc 👍🏽 ok";
        let clean = Cleaning::social().clean(original);
        let back = |word: &str| {
            let at = clean.text.find(word).unwrap();
            let range = clean.original(at..at + word.len());
            slice(original, range.start, range.end).to_owned()
        };
        for word in ["RT", "café", "bar", "in", "München", "👍🏽", "ok", "in München"] {
            assert_eq!(back(word), word);
        }
        assert_eq!(back("@user"), "@someone_else");
        assert_eq!(back("http"), "http://t.co/abc");
        assert_eq!(back("&"), "&amp;");
        assert_eq!(back("@user: café & bar"), "@someone_else:  café &amp; bar");
        assert_eq!(clean.original(0..0), 0..0);
        assert_eq!(clean.original(90_000..99_000).len(), 0);
    }

    #[test]
    fn a_long_text_maps_back_from_its_far_end() {
        let original = format!("{} @name ende", "wörter und ".repeat(20_000));
        let clean = Cleaning::social().clean(&original);
        let range = clean.original(clean.text.len() - 4..clean.text.len());
        assert_eq!(slice(&original, range.start, range.end), "ende");
    }

    #[test]
    fn a_text_in_capitals_is_read_in_small_letters_and_maps_back() {
        let check = |text: &str, expected: &str| assert_eq!(Cleaning::shipped().clean(text).text, expected, "{text:?}");
        check("UNSER ZUG FÄLLT AUS, @DB_Bahn #IMMER &Auml;RGER", "unser zug fällt aus, @user #immer ärger");
        check("ΠΆΛΙ ΚΑΘΥΣΤΈΡΗΣΗ", "πάλι καθυστέρηση");
        check("NASA and IBM met in New York", "NASA and IBM met in New York");
        check("OMG NO", "OMG NO");
        // Its small letter is two characters.
        let original = "İSTANBUL UÇAĞI YİNE GECİKTİ 😡";
        let clean = Cleaning::shipped().clean(original);
        let at = clean.text.find("uçağ").unwrap();
        let range = clean.original(at..at + "uçağ".len());
        assert_eq!(slice(original, range.start, range.end), "UÇAĞ");
        assert_eq!(Cleaning::social().clean(original).text, original);
    }

    #[test]
    fn emoji_that_the_model_lacks_are_replaced_where_there_is_little_else() {
        let original = "Nordbahn 🤮🖕🏿 👍🏽";
        let clean = Cleaning::shipped().clean(original);
        assert_eq!(clean.text, "Nordbahn 👎😡 👍🏽");
        let at = clean.text.find('😡').unwrap();
        let range = clean.original(at..at + '😡'.len_utf8());
        assert_eq!(slice(original, range.start, range.end), "🖕🏿");
        let long = "the food on the way back was not what we had hoped for 🤮";
        assert_eq!(Cleaning::shipped().clean(long).text, long);
    }

    /// Every character of the cleaned text that was not replaced is the character it says it came from.
    fn check_map(text: &str, cleaning: &Cleaning) {
        let clean = cleaning.clean(text);
        let original: Vec<char> = text.chars().collect();
        let mut last = 0;
        for (at, c) in clean.text.char_indices() {
            let range = clean.original(at..at + c.len_utf8());
            assert!(range.start >= last && range.end > range.start && range.end as usize <= original.len());
            last = range.start;
            if range.len() == 1 {
                let from = original[range.start as usize];
                assert!(from == c || from.is_whitespace() || from.is_control(), "{c:?} from {from:?} in {text:?}");
            }
        }
        assert!(!clean.text.contains("  ") && clean.text.trim() == clean.text);
    }

    #[test]
    fn nasty_texts_map_back() {
        for text in NASTY {
            check_map(text, &Cleaning::verbatim());
            check_map(text, &Cleaning::social());
        }
    }

    proptest! {
        #[test]
        fn any_text_maps_back(text in "(\\PC|&amp;|&#[0-9]{1,4};|@[a-z]{1,3} |http://t.co/a |[\0\n \u{200B}é字]){0,60}") {
            check_map(&text, &Cleaning::verbatim());
        }
    }
}

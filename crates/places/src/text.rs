//! Cuts a line into folded words and says what stands between them. A comma leads from a place to what it lies in, a
//! slash from one place to the next; both matter more here than anywhere else in language.

use crate::fold::{fold_char, is_unspaced, is_word_char};

/// What stands before a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// Nothing: scripts without spaces.
    None,
    /// A capital within a word ("WashingtonDC"): one word or two.
    Camel,
    /// A space or hyphen: a name may go on.
    Soft,
    /// A comma or bracket: a name ends, the line goes on.
    Comma,
    /// A slash, bar, emoji, full stop: something new begins.
    Hard,
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letters, perhaps with digits.
    Word,
    /// Digits only.
    Number,
    /// A flag; its folded text is the country's code, or `gb-eng`, `gb-sct`, `gb-wls`.
    Flag,
    /// A handle, an address, a link: never a place.
    Noise,
}

/// One word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Bytes `start..end` of [`Words::folded`].
    pub start: u32,
    /// See `start`.
    pub end: u32,
    /// What it is.
    pub kind: Kind,
    /// What stands before it.
    pub gap: Gap,
    /// Begins with a capital, or its script has none.
    pub capital: bool,
    /// All capitals.
    pub upper: bool,
}

/// A line cut into words. Can be filled again and again without new memory.
#[derive(Debug, Default)]
pub struct Words {
    /// The folded words, one after the other, nothing between them.
    pub folded: String,
    /// In order.
    pub tokens: Vec<Token>,
}

/// Longer lines are cut: no author location is that long, and time stays bounded.
const CHARS_MAX: usize = 512;

impl Words {
    /// The folded letters of a word.
    pub fn text(&self, token: &Token) -> &str {
        &self.folded[token.start as usize..token.end as usize]
    }

    /// Cuts `line`, replacing what was here.
    pub fn read(&mut self, line: &str) {
        self.folded.clear();
        self.tokens.clear();
        let end = if line.len() <= CHARS_MAX {
            line.len()
        } else {
            line.char_indices().nth(CHARS_MAX).map_or(line.len(), |(at, _)| at)
        };
        Cutter { words: self, rest: &line[..end], gap: Gap::Hard, previous_len: 0 }.run();
        self.join_spelled_out();
    }

    /// The key of a name in the index: its words with one space between, none where the name has none.
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(self.folded.len() + self.tokens.len());
        for (i, token) in self.tokens.iter().enumerate() {
            if i > 0 && token.gap >= Gap::Soft {
                key.push(' ');
            }
            key.push_str(self.text(token));
        }
        key
    }

    /// "N Y" and "P H I L L Y" are one word: runs of single letters are joined.
    fn join_spelled_out(&mut self) {
        let single = |t: &Token| t.kind == Kind::Word && t.end - t.start == 1 && t.capital;
        if !self.tokens.windows(2).any(|pair| single(&pair[0]) && single(&pair[1]) && pair[1].gap == Gap::Soft) {
            return;
        }
        let mut joined: Vec<Token> = Vec::with_capacity(self.tokens.len());
        let mut in_run = false;
        for token in &self.tokens {
            let continues = in_run && single(token) && token.gap == Gap::Soft;
            match joined.last_mut() {
                Some(last) if continues => {
                    last.end = token.end;
                    last.upper = true;
                }
                _ => joined.push(*token),
            }
            in_run = single(token);
        }
        self.tokens = joined;
    }
}

struct Cutter<'w, 'l> {
    words: &'w mut Words,
    rest: &'l str,
    gap: Gap,
    /// Letters of the word before, to tell "St. Louis" from the end of a sentence.
    previous_len: usize,
}

impl Cutter<'_, '_> {
    fn run(mut self) {
        while let Some(c) = self.rest.chars().next() {
            if is_regional_indicator(c) && self.flag() {
                continue;
            }
            if c == '\u{1f3f4}' && self.nation_flag() {
                continue;
            }
            if c == '@' || self.at_link() {
                self.noise();
            } else if is_word_char(c) {
                self.word();
            } else {
                self.separator(c);
            }
        }
    }

    fn push(&mut self, start: usize, kind: Kind, capital: bool, upper: bool) {
        let end = self.words.folded.len();
        if end > start {
            let token = Token { start: start as u32, end: end as u32, kind, gap: self.gap, capital, upper };
            self.words.tokens.push(token);
            self.gap = Gap::None;
        }
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn separator(&mut self, c: char) {
        let after = self.rest[c.len_utf8()..].chars().next();
        let spaced = self.gap >= Gap::Soft && !self.words.tokens.is_empty();
        let gap = match c {
            '\'' | '’' | '‘' | '`' | 'ʻ' | 'ʼ' | '′' | '´' | '\u{200d}' | '\u{fe0f}' => None,
            '\n' | '\r' => Some(Gap::Hard),
            _ if c.is_whitespace() => Some(Gap::Soft),
            '#' | '_' | '=' => Some(Gap::Soft),
            '-' | '‐' | '‑' | '–' | '־' | '・' | '·' if !spaced && after.is_some_and(is_word_char) => {
                Some(Gap::Soft)
            }
            '.' if after.is_some_and(is_word_char) => Some(Gap::Soft),
            // "St. Louis", "N. Carolina", "Ft. Worth" go on after the stop; a longer word ends a sentence.
            '.' if self.previous_len <= 2 => Some(Gap::Soft),
            ',' | '，' | '、' | '،' | '(' | ')' | '[' | ']' | '（' | '）' => Some(Gap::Comma),
            '.' if after.is_none_or(|a| a == ',') => Some(Gap::Comma),
            _ => Some(Gap::Hard),
        };
        if let Some(gap) = gap {
            self.widen(gap);
        }
        self.rest = &self.rest[c.len_utf8()..];
    }

    /// One word of a spaced script, or one letter of an unspaced one.
    fn word(&mut self) {
        let mut start = self.words.folded.len();
        let (mut letters, mut uppers, mut digits, mut run) = (0_usize, 0_usize, 0_usize, 0_usize);
        let (mut capital, mut last_lower) = (false, false);
        let mut chars = self.rest.char_indices().peekable();
        let mut used = 0;
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|&(_, c)| c);
            if is_word_char(c) {
                if is_unspaced(c) {
                    if letters > 0 {
                        used = at;
                        break;
                    }
                    fold_char(c, &mut self.words.folded);
                    used = at + c.len_utf8();
                    // A sign that hangs on this letter goes with it.
                    if next.is_some_and(|n| is_unspaced(n) && is_hanging(n)) {
                        continue;
                    }
                    self.rest = &self.rest[used..];
                    self.push(start, Kind::Word, true, false);
                    self.previous_len = 9;
                    return;
                }
                let is_upper = c.is_uppercase();
                if is_upper && last_lower && letters >= 2 {
                    self.push(start, Kind::Word, capital, false);
                    self.gap = Gap::Camel;
                    start = self.words.folded.len();
                    (letters, uppers, digits) = (0, 0, 0);
                }
                fold_char(c, &mut self.words.folded);
                if letters == 0 {
                    capital = is_upper || !c.is_lowercase();
                }
                letters += 1;
                run += 1;
                uppers += usize::from(is_upper);
                digits += usize::from(c.is_ascii_digit());
                last_lower = c.is_lowercase();
                used = at + c.len_utf8();
            } else if is_apostrophe(c) && next.is_some_and(is_word_char) {
                last_lower = false;
                used = at + c.len_utf8();
            } else if c == '.'
                && run == 1
                && next.is_some_and(char::is_alphabetic)
                && single_letter_next(&self.rest[at..])
            {
                // "D.C.", "U.S.A.", "N.Y": the stops fall away.
                run = 0;
                used = at + 1;
            } else if c == '@' || (c == '.' && domain_next(&self.rest[at..])) {
                self.words.folded.truncate(start);
                self.noise();
                return;
            } else {
                break;
            }
        }
        self.rest = &self.rest[used.max(1).min(self.rest.len())..];
        let kind = if digits == letters { Kind::Number } else { Kind::Word };
        self.previous_len = letters;
        self.push(start, kind, capital, letters >= 1 && uppers + digits == letters && uppers > 0);
    }

    /// Everything up to the next space is a handle or an address.
    fn noise(&mut self) {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let start = self.words.folded.len();
        self.words.folded.push('@');
        self.gap = Gap::Hard;
        self.push(start, Kind::Noise, false, false);
        self.gap = Gap::Hard;
        self.rest = &self.rest[end..];
    }

    fn at_link(&self) -> bool {
        let head = self.rest.as_bytes();
        let starts = |p: &[u8]| head.len() > p.len() && head[..p.len()].eq_ignore_ascii_case(p);
        starts(b"http:") || starts(b"https:") || starts(b"www.")
    }

    fn flag(&mut self) -> bool {
        let mut chars = self.rest.chars();
        let (Some(a), Some(b)) = (chars.next(), chars.next()) else { return false };
        if !is_regional_indicator(b) {
            return false;
        }
        let start = self.words.folded.len();
        for c in [a, b] {
            self.words.folded.push((b'a' + (c as u32 - 0x1f1e6) as u8) as char);
        }
        self.end_flag(start, a.len_utf8() + b.len_utf8());
        true
    }

    /// The flags of England, Scotland and Wales are a black flag and tag letters.
    fn nation_flag(&mut self) -> bool {
        let tags: String = self.rest.chars().skip(1).map_while(tag_letter).collect();
        let Some(nation) = tags.strip_prefix("gb") else { return false };
        let start = self.words.folded.len();
        self.words.folded.push_str("gb-");
        self.words.folded.push_str(nation);
        let used = self.rest.chars().take(2 + tags.len()).map(char::len_utf8).sum();
        self.end_flag(start, used);
        true
    }

    fn end_flag(&mut self, start: usize, used: usize) {
        // A flag goes with the words beside it, whatever ornament lies between.
        self.gap = if self.words.tokens.is_empty() { Gap::Hard } else { Gap::Soft };
        self.push(start, Kind::Flag, true, true);
        self.gap = Gap::Soft;
        self.rest = self.rest.get(used..).unwrap_or("");
    }
}

fn is_regional_indicator(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

fn tag_letter(c: char) -> Option<char> {
    let letter = (c as u32).checked_sub(0xe0000)?;
    (0x61..=0x7a).contains(&letter).then_some(letter as u8 as char)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | 'ʻ' | 'ʼ' | '´')
}

fn is_hanging(c: char) -> bool {
    !c.is_alphanumeric()
        || matches!(c, '\u{e30}'..='\u{e3a}' | '\u{e45}'..='\u{e4e}' | '\u{102b}'..='\u{103e}' | '\u{17b4}'..='\u{17d3}' | '\u{30fc}')
}

/// After ".X" comes no second letter.
fn single_letter_next(from_stop: &str) -> bool {
    let mut chars = from_stop.chars().skip(2);
    !chars.next().is_some_and(is_word_char)
}

/// ".com" and the like, at the end of a word.
fn domain_next(from_stop: &str) -> bool {
    const ENDINGS: [&str; 8] = ["com", "net", "org", "tv", "me", "ly", "fm", "edu"];
    let tail = &from_stop[1..];
    let end = tail.bytes().take(5).position(|b| !b.is_ascii_alphanumeric()).unwrap_or(tail.len().min(5));
    tail.get(..end).is_some_and(|word| ENDINGS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(line: &str) -> Vec<(String, Gap)> {
        let mut words = Words::default();
        words.read(line);
        words.tokens.iter().map(|t| (words.text(t).to_owned(), t.gap)).collect()
    }

    fn texts(line: &str) -> Vec<String> {
        shape(line).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn stops_of_abbreviations_fall_away() {
        assert_eq!(texts("Washington,D.C."), ["washington", "dc"]);
        assert_eq!(texts("U.S.A."), ["usa"]);
        assert_eq!(texts("St.Louis"), ["st", "louis"]);
        assert_eq!(shape("St. Louis")[1].1, Gap::Soft);
        assert_eq!(shape("NYC.  Sports.")[1].1, Gap::Hard);
    }

    #[test]
    fn gaps_tell_list_from_nesting() {
        assert_eq!(shape("Paris, Texas")[1].1, Gap::Comma);
        assert_eq!(shape("NY ✈️ LA")[1].1, Gap::Hard);
        assert_eq!(shape("NYC/Austin")[1].1, Gap::Hard);
        assert_eq!(shape("Winston-Salem")[1].1, Gap::Soft);
        assert_eq!(shape("Boston - London")[1].1, Gap::Hard);
        assert_eq!(shape("WashingtonDC")[1].1, Gap::Camel);
    }

    #[test]
    fn letters_apart_are_one_word() {
        assert_eq!(texts("P H I L L Y"), ["philly"]);
        assert_eq!(texts("S F"), ["sf"]);
    }

    #[test]
    fn flags_name_their_country() {
        assert_eq!(shape("🇩🇪 Berlin"), [("de".into(), Gap::Hard), ("berlin".into(), Gap::Soft)]);
        assert_eq!(texts("🏴󠁧󠁢󠁳󠁣󠁴󠁿"), ["gb-sct"]);
    }

    #[test]
    fn handles_and_links_are_noise() {
        assert_eq!(texts("mail me@paris.com now"), ["mail", "@", "now"]);
        assert_eq!(texts("http://t.co/Paris"), ["@"]);
        assert_eq!(texts("Paris.com"), ["@"]);
    }

    #[test]
    fn unspaced_scripts_are_cut_at_each_letter() {
        assert_eq!(texts("中国北京").len(), 4);
        assert_eq!(shape("中国北京")[1].1, Gap::None);
    }
}

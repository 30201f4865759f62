//! Decides which places the names in a line mean. Names that stand in one another ("Paris, Texas", "Nigeria, Lagos")
//! settle each other; a name alone means its largest place, unless the words about it say that it is no place at all.

mod pairs;

use crate::Hints;
use crate::index::{ALTERNATE, CODE, Index, NICKNAME, PlaceId, Posting, QUALIFIED_ONLY};
use crate::mention::{Mention, is_filler, is_interjection, is_list_word, is_particle, is_preposition, is_street_word};
use crate::text::{Gap, Kind, Token, Words};
use domain::PlaceKind;

/// A place that is meant, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    pub(crate) place: PlaceId,
    pub(crate) confidence: f32,
}

/// No line names more places than this; the rest is left out.
const PLACES_MAX: usize = 4;
/// So much more confidence is needed to stand before a place that was named earlier.
const CLEARLY: f32 = 0.2;
/// A name by itself means one of its likeliest places; "San Francisco" has 150 more.
const MEANINGS_MAX: usize = 24;

/// The places of a line, in the order in which they are named, guesses last; a country or region gives way to a place within it.
pub(crate) fn resolve(index: &Index<'_>, words: &Words, mentions: &[Mention], hints: Hints<'_>) -> Vec<Found> {
    let line = Line::new(index, words, mentions, hints);
    let mut found: Vec<Found> = Vec::new();
    let mut i = 0;
    while i < mentions.len() && found.len() < PLACES_MAX {
        let (choice, used) = line.choose(i);
        i += used;
        if let Some(choice) = choice
            && !found.iter().any(|known| known.place == choice.place)
        {
            found.push(choice);
        }
    }
    if found.len() < 2 {
        return found;
    }
    let all = found.clone();
    found.retain(|broad| !all.iter().any(|narrow| contains(index, broad.place, narrow.place)));
    // A guess does not stand before what is clear ("Windermere (Seattle)").
    let most = found.iter().map(|f| f.confidence).fold(0.0, f32::max);
    found.sort_by_key(|f| f.confidence < most - CLEARLY);
    found
}

/// Whether `inner` lies within the country or region `outer`.
fn contains(index: &Index<'_>, outer: PlaceId, inner: PlaceId) -> bool {
    outer != inner
        && match index.kind(outer) {
            PlaceKind::Country => index.country(inner) == outer,
            PlaceKind::Region => index.region(inner) == Some(outer),
            _ => false,
        }
}

/// What lies between two names.
struct Between {
    gap: Gap,
    /// Words that are no part of any place.
    foreign: bool,
}

struct Pair {
    child: Posting,
    parent: Posting,
    score: f64,
    used: usize,
    confidence: f32,
}

struct Line<'l> {
    index: &'l Index<'l>,
    words: &'l Words,
    mentions: &'l [Mention],
    hints: Hints<'l>,
    /// Words of the whole line that say nothing of a place.
    foreign: usize,
    lower_case: bool,
    codes: usize,
    foreign_words: Foreign,
    /// The likeliest meaning of each mention by itself.
    tops: Vec<Option<Top>>,
}

/// Words that say nothing of a place, one bit each; counted often, so looked up once.
#[derive(Default)]
struct Foreign {
    words: u128,
    /// Those that are letters of an unspaced script: they count half.
    letters: u128,
}

impl Foreign {
    const LEN: usize = 128;

    /// Foreign words among words `from..to`. Past the bits all count: no such line is a location.
    fn count(&self, from: usize, to: usize) -> usize {
        let below = |n: usize| if n >= Self::LEN { u128::MAX } else { (1 << n) - 1 };
        let range = below(to) & !below(from);
        let halves = 2 * (self.words & range).count_ones() - (self.letters & range).count_ones();
        halves.div_ceil(2) as usize + to.saturating_sub(from.max(Self::LEN))
    }
}

/// A meaning with its weight, and its share of the weight of all meanings of the name.
type Top = (Posting, f64, f64);

impl<'l> Line<'l> {
    fn new(index: &'l Index<'l>, words: &'l Words, mentions: &'l [Mention], hints: Hints<'l>) -> Self {
        let mut line = Self {
            index,
            words,
            mentions,
            hints,
            foreign: 0,
            lower_case: true,
            codes: 0,
            foreign_words: Foreign::default(),
            tops: Vec::new(),
        };
        line.foreign_words = line.find_foreign();
        line.foreign = line.foreign_in(0, words.tokens.len());
        line.lower_case = !words.tokens.iter().any(|t| t.kind == Kind::Word && t.capital);
        line.codes = mentions.iter().filter(|m| line.is_code(m)).count();
        line.tops = mentions.iter().map(|mention| line.find_top(mention)).collect();
        line
    }

    /// "Killington, Vt", "piscataway, nj": the last word, of two letters, after a comma.
    fn is_postal(&self, mention: &Mention) -> bool {
        let tokens = &self.words.tokens;
        let token = &tokens[mention.first];
        token.gap == Gap::Comma
            && token.end - token.start == 2
            && (token.capital || !mention.name.is_common())
            && tokens.get(mention.end).is_none_or(|next| next.gap >= Gap::Comma)
    }

    /// "Boston St", "Suffolk County": the name of something else.
    fn is_street_or_county(&self, mention: &Mention) -> bool {
        let next = self.words.tokens.get(mention.end).filter(|next| next.gap == Gap::Soft);
        next.is_some_and(|next| is_street_word(self.words.text(next)) && !self.is_named(mention.end))
    }

    fn is_code(&self, mention: &Mention) -> bool {
        let token = &self.words.tokens[mention.first];
        mention.end == mention.first + 1 && token.upper && token.end - token.start <= 3
    }

    /// Whether word `i` is part of a place's name, as far as a word of every day can be.
    fn is_named(&self, i: usize) -> bool {
        let named = self.mentions.iter().find(|m| (m.first..m.end).contains(&i));
        named.is_some_and(|m| !m.name.is_common() || self.is_code(m))
    }

    fn find_foreign(&self) -> Foreign {
        let mut foreign = Foreign::default();
        for (i, token) in self.words.tokens.iter().enumerate().take(Foreign::LEN) {
            if token.kind == Kind::Word && !is_filler(self.words.text(token)) && !self.is_named(i) {
                foreign.words |= 1 << i;
                foreign.letters |= u128::from(token.gap == Gap::None) << i;
            }
        }
        foreign
    }

    fn is_foreign(&self, i: usize) -> bool {
        i >= Foreign::LEN || self.foreign_words.words >> i & 1 == 1
    }

    fn foreign_in(&self, from: usize, to: usize) -> usize {
        self.foreign_words.count(from, to)
    }

    /// Foreign words between the commas and bars that a mention stands between.
    fn foreign_about(&self, mention: &Mention) -> usize {
        let tokens = &self.words.tokens;
        let from = (0..=mention.first).rev().find(|&i| tokens[i].gap >= Gap::Comma).unwrap_or(0);
        let to = (mention.end..tokens.len()).find(|&i| tokens[i].gap >= Gap::Comma).unwrap_or(tokens.len());
        self.foreign_in(from, to)
    }

    fn between(&self, i: usize) -> Option<Between> {
        let (here, next) = (self.mentions.get(i)?, self.mentions.get(i + 1)?);
        let mut between = Between { gap: self.words.tokens[next.first].gap, foreign: false };
        for token in &self.words.tokens[here.end..next.first] {
            between.gap = between.gap.max(token.gap);
            let word = self.words.text(token);
            if is_list_word(word) {
                between.gap = Gap::Hard;
            }
            between.foreign |= token.kind == Kind::Noise || (token.kind == Kind::Word && !is_filler(word));
        }
        Some(between)
    }

    fn weight(&self, posting: Posting) -> f64 {
        let people = f64::from(self.index.population(posting.place).max(200));
        let kind = self.index.kind(posting.place);
        let mut weight = match kind {
            PlaceKind::Country => 3e8 + people / 10.0,
            PlaceKind::Region => people * 1.5,
            _ => people,
        };
        if posting.has(ALTERNATE) {
            weight *= if kind == PlaceKind::City { 0.05 } else { 0.5 };
        }
        if posting.has(QUALIFIED_ONLY) {
            weight *= 1e-3;
        }
        if posting.has(NICKNAME) {
            weight = weight * 10.0 + 1e9;
        }
        weight * self.hinted(posting.place)
    }

    fn hinted(&self, place: PlaceId) -> f64 {
        let mut factor = 1.0;
        if self.hints.country.is_some_and(|c| c.eq_ignore_ascii_case(self.index.country_code(place))) {
            factor *= 50.0;
        }
        let language = self.hints.language.and_then(|l| l.as_bytes().get(..2));
        if language.is_some_and(|l| l == self.index.language(place)) {
            factor *= if language == Some(b"en") { 2.0 } else { 5.0 };
        }
        factor
    }

    fn find_top(&self, mention: &Mention) -> Option<Top> {
        let mut best: Option<(Posting, f64)> = None;
        let mut sum = 0.0;
        let upper = mention.flag
            || self.words.tokens[mention.first..mention.end].iter().all(|t| t.upper)
            || self.is_postal(mention);
        for posting in self.index.meanings(mention.name).take(MEANINGS_MAX) {
            if posting.has(QUALIFIED_ONLY) || (posting.has(CODE) && !upper) {
                continue;
            }
            let weight = self.weight(posting);
            sum += weight;
            if best.is_none_or(|(_, most)| weight > most) {
                best = Some((posting, weight));
            }
        }
        let (posting, weight) = best?;
        let posting = self.seat(mention, posting).unwrap_or(posting);
        Some((posting, weight, weight / sum))
    }

    fn top(&self, mention: &Mention) -> Option<Top> {
        let at = self.mentions.binary_search_by_key(&mention.first, |m| m.first).ok()?;
        self.tops.get(at).copied().flatten()
    }

    /// "Tokyo" and "Beijing" are cities to people, though the region about them bears the name as well.
    fn seat(&self, mention: &Mention, region: Posting) -> Option<Posting> {
        if self.index.kind(region.place) != PlaceKind::Region {
            return None;
        }
        let people = f64::from(self.index.population(region.place));
        self.index.meanings(mention.name).find(|c| {
            !c.has(ALTERNATE)
                && self.index.kind(c.place) == PlaceKind::City
                && contains(self.index, region.place, c.place)
                && f64::from(self.index.population(c.place)) > people * 0.3
        })
    }

    /// The place that mention `i` opens, if any, and how many mentions that takes.
    fn choose(&self, i: usize) -> (Option<Found>, usize) {
        if let Some(pair) = self.forward(i) {
            return (Some(Found { place: pair.child.place, confidence: pair.confidence }), pair.used);
        }
        if let Some(pair) = self.backward(i) {
            return (Some(Found { place: pair.child.place, confidence: pair.confidence }), pair.used);
        }
        if self.lies_in_the_next(i) {
            return (None, 1);
        }
        (self.alone(i), 1)
    }

    /// "Westbrook, CT" where we know no Westbrook in Connecticut: the state is right, the Westbrook elsewhere is not.
    fn lies_in_the_next(&self, i: usize) -> bool {
        let Some((here, next)) = self.mentions.get(i).zip(self.mentions.get(i + 1)) else { return false };
        let commas = self.words.tokens[here.end..=next.first].iter().filter(|t| t.gap == Gap::Comma).count();
        let barred = self.words.tokens[here.end..=next.first].iter().any(|t| t.gap == Gap::Hard);
        if commas != 1 || barred || self.words.tokens[next.first].gap != Gap::Comma {
            return false;
        }
        let (Some((place, ..)), Some((outer, ..))) = (self.top(here), self.top(next)) else { return false };
        let is_city = |p: Posting| self.index.kind(p.place) == PlaceKind::City;
        let people = self.index.population(place.place);
        match (is_city(place), is_city(outer)) {
            (true, false) => people < 1_000_000 && !place.has(NICKNAME),
            (true, true) => people < 50_000 && outer.has(NICKNAME) && !outer.has(CODE),
            (false, _) => people < 1_000_000 && outer.has(CODE) && !is_city(outer),
        }
    }

    /// A name with nothing beside it to settle it.
    fn alone(&self, i: usize) -> Option<Found> {
        let mention = &self.mentions[i];
        let (posting, _, share) = self.top(mention)?;
        let kind = self.index.kind(posting.place);
        if mention.flag {
            return Some(Found { place: posting.place, confidence: 0.8 });
        }
        let tokens = &self.words.tokens[mention.first..mention.end];
        if mention.name.is_common() && !self.is_postal_alone(mention) {
            return None;
        }
        if kind == PlaceKind::City && self.is_street_or_county(mention) {
            return None;
        }
        let nickname = posting.has(NICKNAME);
        // "Paris Hilton", "Austin Mahone", "San Franciso": a part of a longer name that is not known.
        let small = kind == PlaceKind::City && !nickname;
        if (small || mention.name.is_first_name()) && self.is_part_of_a_name(mention) {
            return None;
        }
        if self.is_a_way_to(mention) {
            return None;
        }
        let about = self.foreign_about(mention);
        if !self.is_written_like_a_place(mention, tokens) && about > 0 {
            return None;
        }
        let people = self.index.population(posting.place);
        let enough = match kind {
            PlaceKind::City if nickname => about <= 4,
            PlaceKind::City if posting.has(CODE) => self.foreign == 0 || self.codes >= self.foreign.max(2),
            PlaceKind::City if about == 0 => people >= self.people_least(mention, posting),
            PlaceKind::City if posting.has(ALTERNATE) => false,
            PlaceKind::City if self.follows_preposition(mention) => about <= 6 && people >= 15_000,
            PlaceKind::City => about <= 3 && people >= 100_000,
            _ if posting.has(CODE) => about <= 1,
            _ => about <= 5,
        };
        enough.then(|| Found { place: posting.place, confidence: self.confidence(posting, share, about) })
    }

    /// "PA", or "PA & NJ": codes that are words of every day count in the company of others, or as the whole line.
    fn is_postal_alone(&self, mention: &Mention) -> bool {
        let whole_line = self.words.tokens.len() == 1 && !is_interjection(self.words.text(&self.words.tokens[0]));
        (self.is_code(mention) && (self.codes >= 2 || whole_line)) || self.is_postal(mention)
    }

    /// A town that nothing but its name speaks for must have so many people: the rarer the spelling, the more.
    fn people_least(&self, mention: &Mention, posting: Posting) -> u32 {
        let one_word = mention.end == mention.first + 1;
        match (self.foreign > 0, posting.has(ALTERNATE), one_word && self.lower_case) {
            (true, ..) => 20_000,
            (false, true, _) if self.words.text(&self.words.tokens[mention.first]).is_ascii() => 20_000,
            (false, _, true) => 3_000,
            _ => 0,
        }
    }

    /// "The Road to Damascus" leads there from a word that is no place.
    fn is_a_way_to(&self, mention: &Mention) -> bool {
        let tokens = &self.words.tokens;
        let Some(to) = mention.first.checked_sub(1) else { return false };
        to > 0 && self.words.text(&tokens[to]) == "to" && self.is_foreign(to - 1)
    }

    fn confidence(&self, posting: Posting, share: f64, about: usize) -> f32 {
        let people = self.index.population(posting.place);
        let base = match self.index.kind(posting.place) {
            _ if posting.has(CODE) => 0.75,
            PlaceKind::Country => 0.9,
            PlaceKind::Region => 0.88,
            _ if posting.has(NICKNAME) => 0.88,
            _ => match people {
                1_000_000.. => 0.9,
                100_000.. => 0.85,
                15_000.. => 0.75,
                _ => 0.6,
            },
        };
        let doubt = 0.9_f32.powi(about.min(8) as i32);
        base * (0.6 + 0.4 * share as f32) * doubt
    }

    /// With a capital, or in a line that has none: after "in", "from", or with no other words.
    fn is_written_like_a_place(&self, mention: &Mention, tokens: &[Token]) -> bool {
        if tokens.iter().any(|token| token.capital) {
            return true;
        }
        // Of two and more words it is hardly anything else: "san francisco califorania".
        self.lower_case && (self.follows_preposition(mention) || tokens.len() > 1)
    }

    fn follows_preposition(&self, mention: &Mention) -> bool {
        let before = mention.first.checked_sub(1).map(|i| self.words.text(&self.words.tokens[i]));
        before.is_some_and(is_preposition)
    }

    /// Another capital word, itself no place, stands directly beside it.
    fn is_part_of_a_name(&self, mention: &Mention) -> bool {
        let tokens = &self.words.tokens;
        let stranger = |i: usize| tokens.get(i).is_some_and(|token| token.capital) && self.is_foreign(i);
        // "Corona del Mar", "Birkenhead upon Hudson": over a particle too.
        let particle = tokens.get(mention.end).is_some_and(|t| t.gap == Gap::Soft && is_particle(self.words.text(t)));
        let next = mention.end + usize::from(particle);
        let after = tokens.get(next).is_some_and(|t| t.gap <= Gap::Soft) && stranger(next);
        let before = tokens[mention.first].gap <= Gap::Soft && mention.first > 0 && stranger(mention.first - 1);
        after || before
    }
}

//! Why a series left its course: which values of which dimensions make up the excess over their own baseline, what is
//! new, how the mood changed, whether it is one post passed on or many people, and the posts that say it best. Relies on
//! counts that the caller gathered over the incident and over comparable windows before it; works on plain data.

use crate::count;
use crate::examples::{Families, Spread};
use crate::wording::{Wordings, as_written, is_part, is_phrase, words_of};
use domain::{Dimension, Driver, ExamplePost, PostInWindow};
use std::collections::{HashMap, HashSet};

/// Counts over one window, or summed over several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    pub mentions: f64,
    pub negative: f64,
    /// Voices of the mentions, as in [`ValueCount`].
    pub voices: f64,
    pub values: Vec<ValueCount>,
}

/// How often one value of a dimension was mentioned.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueCount {
    pub dimension: Dimension,
    pub value: String,
    pub count: f64,
    /// People who said it in words of their own: the different authors or the different messages (reposts and
    /// near-duplicates are one), whichever are fewer. Summed over windows.
    pub voices: f64,
}

/// What is to be explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Over the incident so far.
    pub window: Counts,
    /// Summed over the comparable windows before (same hours of earlier days or weeks).
    pub baseline: Counts,
    /// What the detector expected over the incident; none: the baseline's own mean.
    pub expected: Option<f64>,
    /// How many windows of the incident's length the baseline sums.
    pub baseline_windows: f64,
    /// Posts of the window, as many as are at hand.
    pub posts: Vec<PostInWindow>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// The strongest first; at most twelve, at most four of a dimension.
    pub drivers: Vec<Driver>,
    /// Terms that the baseline never saw though it was long enough to, of at least three voices, without those among the
    /// drivers or part of them; the most voices first, at most five.
    pub new_terms: Vec<Driver>,
    /// Up to three, no two of them alike.
    pub examples: Vec<ExamplePost>,
    pub observed: f64,
    pub expected: f64,
    /// Share of negative mentions, 0 to 1; none without a mention.
    pub negative_share: Option<f64>,
    pub negative_share_before: Option<f64>,
    /// Originals, reposts and the largest family of near-duplicates among `posts`.
    pub spread: Spread,
    /// The message that is passed on most, where its copies make up part of the excess.
    pub repeated: Option<Repeated>,
    /// The spelling that the posts use for a driver or new term, if it differs from its value.
    pub spellings: HashMap<String, String>,
}

impl Explanation {
    /// A driver's value as people write it.
    pub fn spelling<'a>(&'a self, value: &'a str) -> &'a str {
        self.spellings.get(value).map_or(value, String::as_str)
    }
}

/// One message that many posts repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeated {
    /// Its words, without names and links.
    pub text: String,
    /// Mentions of the window that repeat it, reckoned from the posts at hand.
    pub mentions: f64,
}

const DRIVERS_MAX: usize = 12;
const OF_A_DIMENSION_MAX: usize = 4;
const NEW_TERMS_MAX: usize = 5;
/// A driver makes up at least this share of the excess; a term less, because a post holds many,
const CONTRIBUTION_MIN: f64 = 0.04;
const TERM_CONTRIBUTION_MIN: f64 = 0.02;
/// has grown so much more than the whole (else it only grew along),
const LIFT_MIN: f64 = 1.2;
/// and would come by chance once in a hundred, in nats.
const SURPRISE_MIN: f64 = 4.6;
/// Fewer voices are no topic of conversation, however often they repeat themselves.
const VOICES_MIN: f64 = 3.0;
/// A phrase says more than one of its words: so much more it weighs.
const PHRASE_WEIGHT: f64 = 1.5;
/// A term is put in their own way by this share of those who use it; else it is a quotation.
const OWN_MIN: f64 = 0.5;
/// A new term needs this share of the excess in voices,
const NEW_SHARE_MIN: f64 = 0.01;
/// and that the baseline would have had it but once in a hundred, in nats, were it as frequent there.
const NEW_ABSENCE_MIN: f64 = 4.6;
/// Longer phrases that explain so much of a term's own excess say it better than the term.
const SAID_BETTER: f64 = 0.5;
/// A message is told as repeated when its copies are at least so many and such a share of the excess.
const REPEATED_MIN: f64 = 10.0;
const REPEATED_SHARE_MIN: f64 = 0.1;
/// Values vary from window to window by more than chance.
const PHI: f64 = 0.2;

/// Finds what makes up the excess (or, for a drop, the lack).
pub fn explain(question: &Question) -> Explanation {
    let windows = question.baseline_windows.max(1e-9);
    let usual = question.baseline.mentions / windows;
    let observed = question.window.mentions;
    let expected = question.expected.unwrap_or(usual).max(0.0);
    // The detector knows the hour and the level; the baseline lends only its proportions.
    let scale = if usual > 0.0 { expected / usual } else { 1.0 } / windows;
    let share = |counts: &Counts| (counts.mentions > 0.0).then(|| counts.negative / counts.mentions);
    let families = Families::of(&question.posts);
    let (drivers, new_terms) = reasons(question, scale);
    Explanation {
        spellings: spellings(drivers.iter().chain(&new_terms), &question.posts),
        drivers,
        new_terms,
        examples: families.representative(),
        observed,
        expected,
        negative_share: share(&question.window),
        negative_share_before: share(&question.baseline),
        spread: families.spread(),
        repeated: repeated(&families, question.posts.len(), observed, observed - expected),
    }
}

/// The spellings of the terms among the drivers.
fn spellings<'a>(drivers: impl Iterator<Item = &'a Driver>, posts: &[PostInWindow]) -> HashMap<String, String> {
    let texts = || posts.iter().map(|post| post.text.as_str());
    drivers
        .filter(|driver| is_term(driver.dimension))
        .filter_map(|driver| Some((driver.value.clone(), as_written(&driver.value, texts())?)))
        .filter(|(value, spelling)| value != spelling)
        .collect()
}

/// The message passed on most, where it is part of a surge.
fn repeated(families: &Families<'_>, posts: usize, observed: f64, excess: f64) -> Option<Repeated> {
    let mentions = f64::from(families.spread().largest) * observed / posts.max(1) as f64;
    let told = mentions >= REPEATED_MIN && excess > 0.0 && mentions >= REPEATED_SHARE_MIN * excess;
    told.then(|| families.most_repeated().map(|text| Repeated { text, mentions }))?
}

/// One value as a candidate: its counts, the voices behind them, and for a term its words.
struct Candidate {
    driver: Driver,
    voices: f64,
    voices_before: f64,
    /// Share of its posts that put it in their own way.
    own: f64,
    words: Vec<String>,
    weight: f64,
}

impl Candidate {
    fn is_term(&self) -> bool {
        is_term(self.driver.dimension)
    }

    fn excess(&self) -> f64 {
        self.voices - self.voices_before
    }
}

/// Dimensions whose values are words: what people talk about.
fn is_term(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::Phrase | Dimension::Entity | Dimension::Hashtag)
}

/// The drivers and the new terms.
fn reasons(question: &Question, scale: f64) -> (Vec<Driver>, Vec<Driver>) {
    let (voices, voices_before) = (question.window.voices, question.baseline.voices * scale);
    let excess = voices - voices_before;
    if excess.abs() < 1.0 {
        return (Vec::new(), Vec::new());
    }
    let growth = voices.max(0.5) / voices_before.max(0.5);
    let mut candidates = candidates(question, scale);
    for candidate in &mut candidates {
        candidate.driver.contribution = (candidate.excess() / excess).clamp(0.0, 1.0);
        candidate.weight = weight(candidate, growth, excess);
    }
    let least =
        VOICES_MIN.max(NEW_SHARE_MIN * excess).max(NEW_ABSENCE_MIN * voices / question.baseline.voices.max(1.0));
    let is_new = |one: &Candidate| {
        let says = one.driver.dimension != Dimension::Phrase || is_phrase(&one.driver.value);
        one.is_term() && says && one.driver.new && one.own >= OWN_MIN && one.voices >= least
    };
    let new: Vec<usize> = (0..candidates.len()).filter(|at| excess > 0.0 && is_new(&candidates[*at])).collect();
    let mut told: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.weight > 0.0).collect();
    told.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.driver.value.cmp(&b.driver.value)));
    let mut told = say_once(told);
    let mut of_dimension: HashMap<Dimension, usize> = HashMap::new();
    told.retain(|candidate| {
        let seen = of_dimension.entry(candidate.driver.dimension).or_default();
        *seen += 1;
        *seen <= OF_A_DIMENSION_MAX
    });
    told.truncate(DRIVERS_MAX);
    let related = |a: &[String], b: &[String]| a == b || is_part(a, b) || is_part(b, a);
    let mut new: Vec<&Candidate> = new
        .into_iter()
        .map(|at| &candidates[at])
        .filter(|term| !told.iter().any(|told| told.is_term() && related(&term.words, &told.words)))
        .collect();
    new.sort_by(|a, b| b.voices.total_cmp(&a.voices).then_with(|| a.driver.value.cmp(&b.driver.value)));
    let mut new = say_once(new);
    new.truncate(NEW_TERMS_MAX);
    let drivers = |candidates: Vec<&Candidate>| candidates.into_iter().map(|one| one.driver.clone()).collect();
    (drivers(told), drivers(new))
}

/// Every value of window and baseline; the forms of a term (case, plural, inflection, order of words) are one.
fn candidates(question: &Question, scale: f64) -> Vec<Candidate> {
    #[derive(Default)]
    struct Tally<'a> {
        names: HashMap<&'a str, f64>,
        counts: [f64; 2],
        voices: [f64; 2],
    }
    let mut tallies: HashMap<(Dimension, Vec<String>), Tally<'_>> = HashMap::new();
    for (side, counts, scale) in [(0, &question.window, 1.0), (1, &question.baseline, scale)] {
        for value in &counts.values {
            let words =
                if is_term(value.dimension) { words_of(&value.value) } else { vec![value.value.to_lowercase()] };
            let tally = tallies.entry((value.dimension, words)).or_default();
            *tally.names.entry(&value.value).or_default() += value.count;
            tally.counts[side] += value.count * scale;
            // An author is one voice however loud; as a dimension he counts by his posts.
            tally.voices[side] += scale * if value.dimension == Dimension::Author { value.count } else { value.voices };
        }
    }
    let wordings = Wordings::new(question.posts.iter().map(|post| post.text.as_str()));
    tallies
        .into_iter()
        .filter(|((_, words), _)| !words.is_empty())
        .map(|((dimension, words), tally)| {
            let [now, before] = tally.counts;
            let name = tally.names.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
            // What many quote from one post is one voice and the few who put it otherwise.
            let own = if is_term(dimension) { wordings.own_share(&words) } else { 1.0 };
            let driver = Driver {
                dimension,
                value: name.map_or_else(String::new, |(name, _)| name.to_owned()),
                observed: now,
                expected: before,
                contribution: 0.0,
                new: before == 0.0 && now > 0.0,
            };
            Candidate { driver, voices: tally.voices[0] * own, voices_before: tally.voices[1], own, words, weight: 0.0 }
        })
        .collect()
}

/// How well a value explains: its share of the excess, times how much more it changed than the whole. 0: it does not.
fn weight(candidate: &Candidate, growth: f64, excess: f64) -> f64 {
    let (now, before) = (candidate.voices, candidate.voices_before);
    let change = (now + 0.5) / (before + 0.5);
    let lift = if excess > 0.0 { change / growth } else { growth / change };
    let (up, down) = count::surprises(now, before.max(0.1), PHI);
    let surprise = if excess > 0.0 { up } else { down };
    let heard = now.max(before) >= VOICES_MIN && candidate.own >= OWN_MIN;
    let contribution = candidate.driver.contribution;
    let least = if candidate.is_term() { TERM_CONTRIBUTION_MIN } else { CONTRIBUTION_MIN };
    let explains = heard && contribution >= least && lift >= LIFT_MIN && surprise >= SURPRISE_MIN;
    let phrase = if candidate.is_term() && candidate.words.len() > 1 { PHRASE_WEIGHT } else { 1.0 };
    if explains { contribution * lift.ln().min(3.0) * phrase } else { 0.0 }
}

/// Of the same words in several dimensions the first stays; of a term and longer phrases that hold it, the phrases where
/// they explain most of its excess, the term where they don't. Keeps the order.
fn say_once(candidates: Vec<&Candidate>) -> Vec<&Candidate> {
    let mut seen: HashSet<&[String]> = HashSet::new();
    let mut left: Vec<&Candidate> =
        candidates.into_iter().filter(|one| !one.is_term() || seen.insert(&one.words)).collect();
    let mut longest_first: Vec<&Candidate> = left.iter().copied().filter(|one| one.is_term()).collect();
    longest_first.sort_by_key(|one| std::cmp::Reverse(one.words.len()));
    for term in longest_first {
        let holds = |one: &&Candidate| one.is_term() && is_part(&term.words, &one.words);
        let said: f64 = left.iter().copied().filter(holds).map(Candidate::excess).sum();
        if said == 0.0 {
            continue;
        }
        match said / term.excess() >= SAID_BETTER {
            true => left.retain(|one| !std::ptr::eq(*one, term)),
            false => left.retain(|one| !holds(one)),
        }
    }
    left
}

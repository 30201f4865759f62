//! Which words are the same word, and which posts are the same wording: inflections of a word share a stem, and posts that
//! repeat another's words are told from posts that use the same words for something of their own. Plain rules over Latin
//! inflections; words of other scripts are their own stems.

use std::collections::{BTreeSet, HashMap, HashSet};

/// So many words in a row are a wording; fewer are a way of speaking.
const RUN: usize = 4;
/// A post repeats a wording that makes up at least this much of its words.
const REPEATED_SHARE: f64 = 0.4;
/// Posts that a repeated wording needs,
const REPEATED_MIN: usize = 3;
/// how many of the most frequent runs of words are looked at for one wording, and how many wordings are looked for.
const RUNS_LOOKED_AT: usize = 8;
const WORDINGS_MAX: usize = 5;

/// The words of a text without names called, links and the mark of a repost, each as its stem.
pub(crate) fn stems(text: &str) -> Vec<String> {
    prose(text)
        .flat_map(|token| token.split(|c: char| !c.is_alphanumeric() && !is_apostrophe(c)))
        .map(stem)
        .filter(|word| !word.is_empty())
        .collect()
}

/// A text without names called, links and the mark of a repost.
pub(crate) fn bare(text: &str) -> String {
    prose(text).collect::<Vec<_>>().join(" ")
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|token| {
        let word = token.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '@');
        !word.starts_with('@') && !word.starts_with("http") && word.trim_end_matches(':') != "RT"
    })
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ')
}

/// What the inflections of a word share: `delays`, `delayed`, `Delay's` are `delay`. Good for grouping, not for reading.
pub(crate) fn stem(word: &str) -> String {
    let mut word: String = word.trim_matches(is_apostrophe).to_lowercase().replace(['’', 'ʼ'], "'");
    if let Some(owner) = word.strip_suffix("'s") {
        word.truncate(owner.len());
    }
    word.retain(|c| c != '\'');
    if !word.is_ascii() || word.bytes().any(|byte| byte.is_ascii_digit()) {
        return word;
    }
    let keep = |rest: &str, least: usize| (rest.len() >= least).then_some(rest.len());
    if let Some(rest) = word.strip_suffix("ies").and_then(|rest| keep(rest, 2)) {
        word.truncate(rest);
        word.push('y');
    } else if !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        let hissing = ["sses", "shes", "ches", "xes"].iter().any(|end| word.ends_with(end));
        let plural = word.strip_suffix(if hissing { "es" } else { "s" });
        word.truncate(plural.and_then(|rest| keep(rest, 3)).unwrap_or(word.len()));
    }
    let inflected = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed"));
    word.truncate(inflected.and_then(|rest| keep(rest, 3)).unwrap_or(word.len()));
    if word.len() >= 4 && word.ends_with('e') {
        word.pop();
    }
    let end = word.as_bytes();
    if end.len() >= 3 && end[end.len() - 1] == end[end.len() - 2] {
        word.pop();
    }
    word
}

/// The different words of a term, in order of the alphabet: `flight cancelled` and `Cancelled flights` have the same.
pub(crate) fn words_of(term: &str) -> Vec<String> {
    stems(term).into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether all words of `part` are among `whole`'s, which has more.
pub(crate) fn is_part(part: &[String], whole: &[String]) -> bool {
    part.len() < whole.len() && part.iter().all(|word| whole.contains(word))
}

/// The spelling of a term that most of the texts use, such as `Bremen` for `bremen`. Beginnings of sentences count only if
/// there is nothing else. None if no text has the words in this order.
pub(crate) fn as_written<'a>(term: &str, texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted: Vec<String> = term.split_whitespace().map(str::to_lowercase).collect();
    let bare = |token: &'a str| token.trim_matches(|c: char| !c.is_alphanumeric() && c != '#');
    let (mut within, mut initial) = (HashMap::<String, u32>::new(), HashMap::<String, u32>::new());
    for text in texts {
        let tokens: Vec<&str> = text.split_whitespace().collect();
        for (at, run) in tokens.windows(wanted.len().max(1)).enumerate() {
            let run: Vec<&str> = run.iter().map(|token| bare(token)).collect();
            if !run.iter().map(|word| word.to_lowercase()).eq(wanted.iter().cloned()) {
                continue;
            }
            let begins = at == 0 || tokens[at - 1].ends_with(['.', '!', '?', ':', '…']);
            let tally = if begins { &mut initial } else { &mut within };
            *tally.entry(run.join(" ")).or_default() += 1;
        }
    }
    let spellings = if within.is_empty() { initial } else { within };
    spellings.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0))).map(|(spelling, _)| spelling)
}

/// A term that says something alone: several words, or one of a script without capitals, where words are not separated.
pub(crate) fn is_phrase(term: &str) -> bool {
    let cased = |c: char| c.is_lowercase() || c.is_uppercase();
    term.split_whitespace().nth(1).is_some() || !term.chars().any(cased)
}

/// Groups of posts, as indices, that repeat one wording each: the most frequent first.
pub(crate) fn repeated(texts: &[Vec<String>]) -> Vec<Vec<usize>> {
    let mut left: BTreeSet<usize> = (0..texts.len()).collect();
    let mut groups = Vec::new();
    while groups.len() < WORDINGS_MAX {
        let Some(group) = most_repeated(texts, &left) else { break };
        group.iter().for_each(|post| {
            left.remove(post);
        });
        groups.push(group);
    }
    groups
}

fn most_repeated(texts: &[Vec<String>], left: &BTreeSet<usize>) -> Option<Vec<usize>> {
    let mut posts_of_run: HashMap<&[String], BTreeSet<usize>> = HashMap::new();
    for post in left {
        for run in texts[*post].windows(RUN) {
            posts_of_run.entry(run).or_default().insert(*post);
        }
    }
    let mut frequent: Vec<(&[String], &BTreeSet<usize>)> = posts_of_run
        .iter()
        .filter(|(_, posts)| posts.len() >= REPEATED_MIN)
        .map(|(run, posts)| (*run, posts))
        .collect();
    frequent.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(b.0)));
    let repeats = |posts: &BTreeSet<usize>| -> Vec<usize> {
        let common: HashSet<&[String]> = posts_of_run
            .iter()
            .filter(|(_, others)| others.intersection(posts).count() * 5 >= posts.len() * 3)
            .map(|(run, _)| *run)
            .collect();
        posts.iter().copied().filter(|post| covered(&texts[*post], &common) >= REPEATED_SHARE).collect()
    };
    let groups = frequent.iter().take(RUNS_LOOKED_AT).map(|(_, posts)| repeats(posts));
    groups.max_by_key(Vec::len).filter(|group| group.len() >= REPEATED_MIN)
}

/// Share of a text's words that lie within the runs.
fn covered(text: &[String], runs: &HashSet<&[String]>) -> f64 {
    let mut within = vec![false; text.len()];
    for (at, run) in text.windows(RUN).enumerate() {
        if runs.contains(run) {
            within[at..at + RUN].fill(true);
        }
    }
    within.iter().filter(|within| **within).count() as f64 / text.len().max(1) as f64
}

/// The posts at hand, to ask in how many ways a term is put.
pub(crate) struct Wordings {
    texts: Vec<Vec<String>>,
}

impl Wordings {
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self { texts: texts.into_iter().map(stems).collect() }
    }

    /// Share of the posts with these words that put them in their own way, 0 to 1: posts that have the words within the
    /// same run as others count as one. 1 where too few posts are at hand to tell.
    pub(crate) fn own_share(&self, words: &[String]) -> f64 {
        let holding: Vec<&Vec<String>> =
            self.texts.iter().filter(|text| words.iter().all(|word| text.contains(word))).collect();
        if holding.len() < REPEATED_MIN || words.is_empty() {
            return 1.0;
        }
        let length = RUN.max(words.len() + 1);
        let mut posts_of_run: HashMap<&[String], usize> = HashMap::new();
        for text in &holding {
            let runs = text.windows(length).filter(|run| words.iter().all(|word| run.contains(word)));
            for run in runs.collect::<HashSet<_>>() {
                *posts_of_run.entry(run).or_default() += 1;
            }
        }
        let same = posts_of_run.into_values().max().unwrap_or(1);
        (holding.len() - same + 1) as f64 / holding.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflections_share_a_stem_and_other_words_do_not() {
        for forms in [
            &["delay", "Delays", "delayed", "delaying", "delay’s", "DELAY'S"][..],
            &["cancel", "cancels", "cancelled", "canceled", "cancelling"],
            &["flight", "flights", "flight's", "flights'"],
            &["city", "cities", "city's"],
            &["hour", "hours"],
            &["glass", "glasses"],
            &["雪", "雪"],
            &["verspätung", "Verspätung"],
        ] {
            let stems: HashSet<String> = forms.iter().map(|form| stem(form)).collect();
            assert_eq!(stems.len(), 1, "{forms:?}: {stems:?}");
        }
        let different = ["plane", "planet", "bag", "baggage", "gas", "737s", "737", "ring", "red", "bus", "is", "late"];
        assert_eq!(different.iter().map(|word| stem(word)).collect::<HashSet<_>>().len(), different.len());
    }

    #[test]
    fn terms_are_spelled_as_most_people_spell_them() {
        let posts = [
            "Power outage in Bremen!",
            "no light, power outage in BREMEN",
            "Bremen: power outage",
            "@bremen #Blackout",
        ];
        let written = |term: &str| as_written(term, posts.iter().copied());
        assert_eq!(written("bremen").as_deref(), Some("Bremen"));
        assert_eq!(written("power outage").as_deref(), Some("power outage"));
        assert_eq!(written("#blackout").as_deref(), Some("#Blackout"));
        assert_eq!((written("outage power"), written("")), (None, None));
        assert!(is_phrase("power outage") && is_phrase("停電") && !is_phrase("half"));
    }

    #[test]
    fn names_links_and_the_mark_of_a_repost_are_no_words() {
        assert_eq!(stems("RT “@JetBlue: Our fleet’s on fleek. http://t.co/x1”"), ["our", "fleet", "on", "fleek"]);
        assert_eq!(bare("RT @a: so true http://t.co/1"), "so true");
        assert_eq!(words_of("Flight cancelled"), words_of("cancelled flights"));
    }

    fn texts(posts: &[&str]) -> Vec<Vec<String>> {
        posts.iter().map(|post| stems(post)).collect()
    }

    #[test]
    fn quotations_are_one_wording_and_complaints_are_not() {
        let quoted = texts(&[
            "LMAO “@JetBlue: Our fleet's on fleek. http://t.co/a”",
            "our flight to Boston was cancelled and nobody answers",
            "RT @JetBlue: Our fleet's on fleek. http://t.co/b",
            "nope. RT @JetBlue: Our fleet's on fleek.",
            "my flight was cancelled, three hours on hold so far",
            "“@JetBlue: Our fleet's on fleek.” smh you expect me to trust a childish airline with my whole life?",
        ]);
        assert_eq!(repeated(&quoted), [vec![0, 2, 3]]);
    }
}

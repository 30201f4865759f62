//! Which words carry no subject, per language: grammatical words from the crate `stop-words` (NLTK's lists where there
//! is one, Stopwords ISO's else), and from `words.txt` the fillers of posts and what is too weak to stand alone.

use domain::macrolanguage;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What a word is worth in a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// Ends a phrase.
    Stop,
    /// May stand inside one, but is none by itself.
    Weak,
    Content,
}

/// The words of one language.
#[derive(Default)]
pub(super) struct Words {
    stop: HashSet<&'static str>,
    weak: HashSet<&'static str>,
}

static OWN: LazyLock<HashMap<(&'static str, bool), Vec<&'static str>>> = LazyLock::new(|| {
    let mut lists: HashMap<_, Vec<_>> = HashMap::new();
    for line in include_str!("words.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        if let (Some(code), Some(kind)) = (words.next(), words.next()) {
            lists.entry((code, kind == "weak")).or_default().extend(words);
        }
    }
    lists
});

static LANGUAGES: LazyLock<HashMap<&'static str, Words>> = LazyLock::new(|| {
    let mut languages: HashMap<&'static str, Words> = HashMap::new();
    for &code in stop_words::available_languages() {
        languages.insert(code, Words::of(&[code]));
    }
    // Hindi is posted in two scripts, Serbo-Croatian and Norwegian under several codes, unknown text mostly in English.
    languages.insert("hi", Words::of(&["hi", "hinglish"]));
    languages.insert("ms", Words::of(&["ms", "id"]));
    languages.insert("", Words::of(&["en"]));
    languages
});

impl Words {
    fn of(codes: &[&str]) -> Self {
        let mut words = Self::default();
        // Posts in all languages are sprinkled with English grammar; the reverse is rare.
        for code in codes.iter().copied().chain(["en"]) {
            words.stop.extend(stop_words::lookup(code).unwrap_or_default().iter().copied());
        }
        for (&(code, weak), list) in OWN.iter() {
            if codes.contains(&code) || code == "any" || (code == "en" && weak) {
                let set = if weak { &mut words.weak } else { &mut words.stop };
                set.extend(list);
            }
        }
        words
    }

    /// The words of a language; English ones for languages without a list.
    pub(super) fn for_language(code: &str) -> &'static Self {
        static EMPTY: LazyLock<Words> = LazyLock::new(Words::default);
        let known = [code, macrolanguage(code), ""].into_iter().find_map(|code| LANGUAGES.get(code));
        known.unwrap_or(&EMPTY)
    }

    /// What a word in lower case is worth.
    pub(super) fn worth(&self, lower: &str) -> Worth {
        let plain = if lower.contains('’') { Cow::Owned(lower.replace('’', "'")) } else { Cow::Borrowed(lower) };
        if self.stop.contains(plain.as_ref()) || is_laughter(&plain) {
            Worth::Stop
        } else if self.weak.contains(plain.as_ref()) {
            Worth::Weak
        } else {
            Worth::Content
        }
    }

    pub(super) fn is_stop(&self, lower: &str) -> bool {
        self.stop.contains(lower)
    }
}

/// `hahaha`, `jajaja`, `kkkk`, `rsrs`, `hehehe`, `aaaa`, `5555`: one or two letters over and over.
fn is_laughter(word: &str) -> bool {
    let mut distinct: Vec<char> = Vec::with_capacity(3);
    let mut length = 0;
    for c in word.chars() {
        length += 1;
        if !distinct.contains(&c) {
            distinct.push(c);
        }
        if distinct.len() > 2 {
            return false;
        }
    }
    // `haha` is laughter, `mama` and `papa` are not.
    length >= 4 && (distinct.len() == 1 || length >= 5 || word == "haha" || word == "hehe" || word == "jaja")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_and_fillers_are_stop_words_and_subjects_are_not() {
        for (code, stop, content) in [
            ("en", "the", "luggage"),
            ("en", "don’t", "refund"),
            ("de", "und", "verspätung"),
            ("es", "pero", "vuelo"),
            ("pt", "vc", "jogo"),
            ("fr", "avec", "valise"),
            ("it", "perché", "treno"),
            ("hi", "nahi", "cricket"),
            ("hi", "और", "दिल्ली"),
            ("ar", "في", "مطار"),
            ("ru", "и", "рейс"),
            ("id", "yang", "pesawat"),
            ("xx-unknown", "the", "luggage"),
            ("en", "hahahaha", "banana"),
            ("pt", "kkkkkk", "delta"),
        ] {
            assert_eq!(Words::for_language(code).worth(stop), Worth::Stop, "{code} {stop}");
            assert_eq!(Words::for_language(code).worth(content), Worth::Content, "{code} {content}");
        }
        assert_eq!(Words::for_language("en").worth("great"), Worth::Weak);
    }
}

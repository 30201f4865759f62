//! Arabic, Greek and Russian as people write them in Latin letters. Posts so written are rare in the data, so they are
//! made from texts in the language's own script.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A letter and its spellings, the most common ones more than once.
type Spellings = &'static [(char, &'static [&'static str])];

const RUSSIAN: Spellings = &[
    ('а', &["a"]),
    ('б', &["b"]),
    ('в', &["v"]),
    ('г', &["g"]),
    ('д', &["d"]),
    ('е', &["e", "e", "e", "ye"]),
    ('ж', &["zh", "zh", "j"]),
    ('з', &["z"]),
    ('и', &["i"]),
    ('к', &["k"]),
    ('л', &["l"]),
    ('м', &["m"]),
    ('н', &["n"]),
    ('о', &["o"]),
    ('п', &["p"]),
    ('р', &["r"]),
    ('с', &["s"]),
    ('т', &["t"]),
    ('у', &["u"]),
    ('ф', &["f"]),
    ('х', &["h", "kh", "x"]),
    ('ц', &["ts", "c"]),
    ('ч', &["ch", "ch", "4"]),
    ('ш', &["sh"]),
    ('щ', &["sch", "sh", "shch"]),
    ('ъ', &[""]),
    ('ы', &["y", "i"]),
    ('ь', &["", "", "'"]),
    ('э', &["e"]),
    ('ю', &["yu", "ju", "u"]),
    ('я', &["ya", "ya", "ja", "ia"]),
];

const GREEK: Spellings = &[
    ('α', &["a"]),
    ('β', &["v", "b"]),
    ('γ', &["g"]),
    ('δ', &["d"]),
    ('ε', &["e"]),
    ('ζ', &["z"]),
    ('η', &["i", "h"]),
    ('θ', &["th", "th", "8"]),
    ('ι', &["i"]),
    ('κ', &["k"]),
    ('λ', &["l"]),
    ('μ', &["m"]),
    ('ν', &["n"]),
    ('ξ', &["ks", "x", "3"]),
    ('ο', &["o"]),
    ('π', &["p"]),
    ('ρ', &["r"]),
    ('σ', &["s"]),
    ('ς', &["s"]),
    ('τ', &["t"]),
    ('υ', &["y", "u", "i"]),
    ('φ', &["f", "f", "ph"]),
    ('χ', &["x", "h", "ch"]),
    ('ψ', &["ps"]),
    ('ω', &["o", "w"]),
];

const ARABIC: Spellings = &[
    ('ا', &["a"]),
    ('ى', &["a"]),
    ('ة', &["a", "a", "eh"]),
    ('ء', &["2", ""]),
    ('ب', &["b"]),
    ('ت', &["t"]),
    ('ث', &["th", "s"]),
    ('ج', &["g", "j", "j"]),
    ('ح', &["7", "7", "h"]),
    ('خ', &["kh", "5", "5"]),
    ('د', &["d"]),
    ('ذ', &["z", "d"]),
    ('ر', &["r"]),
    ('ز', &["z"]),
    ('س', &["s"]),
    ('ش', &["sh", "sh", "ch"]),
    ('ص', &["s", "s", "9"]),
    ('ض', &["d"]),
    ('ط', &["t", "6"]),
    ('ظ', &["z"]),
    ('ع', &["3", "3", "3", "a"]),
    ('غ', &["gh", "gh", "8"]),
    ('ف', &["f"]),
    ('ق', &["q", "2", "k", "9"]),
    ('ك', &["k"]),
    ('ل', &["l"]),
    ('م', &["m"]),
    ('ن', &["n"]),
    ('ه', &["h"]),
    ('و', &["w", "o", "ou"]),
    ('ي', &["i", "y", "ee"]),
];
/// Arabic doesn't write short vowels; between consonants one is guessed.
const SHORT_VOWELS: [&str; 6] = ["a", "a", "e", "e", "i", "o"];

/// A text in Latin letters, with the code of that. The seed chooses among the spellings.
pub(crate) fn romanised(text: &str, code: &str, seed: u32) -> Option<(String, &'static str)> {
    let (spellings, code) = match code {
        "ar" | "arz" | "arq" => (ARABIC, "ar-Latn"),
        "el" => (GREEK, "el-Latn"),
        "ru" => (RUSSIAN, "ru-Latn"),
        _ => return None,
    };
    let mut choice = seed as usize;
    let mut pick = move |among: usize| {
        choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (choice >> 33) % among
    };
    // A writer keeps to one spelling of a letter within a text.
    let habits: Vec<&str> = spellings.iter().map(|(_, ways)| ways[pick(ways.len())]).collect();
    let (mut latin, mut after_consonant) = (String::new(), false);
    for letter in text.to_lowercase().nfd().filter(|c| !is_combining_mark(*c)) {
        let Some(at) = spellings.iter().position(|(known, _)| *known == letter) else {
            latin.push(letter);
            after_consonant = false;
            continue;
        };
        let consonant = code == "ar-Latn" && !"اىةءوي".contains(letter);
        if consonant && after_consonant && pick(10) < 7 {
            latin.push_str(SHORT_VOWELS[pick(SHORT_VOWELS.len())]);
        }
        latin.push_str(habits[at]);
        after_consonant = consonant;
    }
    Some((latin, code))
}

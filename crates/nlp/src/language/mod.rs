//! The language of a post: 176 languages by fastText's lid.176, made right for posts by what is read (no links, names,
//! foreign scripts, stretched letters), by rules for scripts that one language owns, and by a second opinion on Latin
//! letters ([`latin`]) that knows slang and Hindi in Latin letters. `und` when nothing can be known.

mod evidence;
mod fasttext;
mod latin;
mod script;
pub mod train;

use crate::error::{Error, Result};
use crate::file;
use crate::linear::softmax;
use crate::text::{Span, scan};
use domain::Language;
use evidence::Evidence;
use fasttext::FastText;
use latin::{LatinModel, REST};
use std::path::Path;

/// Bytes of a language model at most: `lid.176.ftz` has 938,000, what fastText compresses less up to a few million.
const FILE_MAX: usize = 64 << 20;
/// Below this confidence the answer is `und`.
const UNDECIDED_BELOW: f32 = 0.2;
/// Letters from which on a text is long enough to be judged without regard to how common a language is.
const LETTERS_ENOUGH: f32 = 14.0;
/// How much more the second opinion counts than fastText, as a power. Chosen on the validation posts of UMSAB.
const SECOND_OPINION: f32 = 2.0;
/// Penalty, in nats, of a language without a class of its own in the second opinion.
const RARE: f32 = 1.0;
/// fastText has no label for Hindi in Latin letters and spreads it over many: the chance it would give it, as a part of
/// what it leaves to all languages but the best.
const ROMANISED_HINDI: f32 = 0.1;
/// What fastText leaves to the others at least: it is often surer than it should be.
const LEFT: f32 = 0.02;
/// What a platform's claim is worth, in nats: as much as a word or two.
const HINT: f32 = 1.0;

/// Tells languages. Reads no clock, keeps no state; one serves all threads.
pub struct LanguageIdentifier {
    model: FastText,
    /// The ISO code of each of the model's labels; several labels may share one.
    codes: Vec<String>,
    /// How common each code is, in nats.
    priors: Vec<f32>,
    /// The first label with the same code, by label.
    first_label: Vec<usize>,
    latin: LatinModel,
    /// For each code, the class of the second opinion.
    latin_class: Vec<usize>,
    /// Classes of the second opinion.
    hindi: usize,
    rest: usize,
    /// The model's own label of Hindi.
    hindi_label: usize,
}

impl LanguageIdentifier {
    /// Reads `lid.176.ftz`.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path, FILE_MAX)?)
    }

    /// Takes the bytes of `lid.176.ftz`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let model = FastText::parse(bytes)?;
        let latin = LatinModel::parse(include_bytes!("latin-posts.bin"))?;
        let codes: Vec<String> = model.labels().iter().map(|label| script::iso(label).to_owned()).collect();
        let class = |code: &str| latin.classes.iter().position(|class| class == code);
        let rest =
            class(REST).ok_or_else(|| Error::Invalid("the language tables lack the class of the rest".into()))?;
        let hindi = class("hi").ok_or_else(|| Error::Invalid("the language tables lack Hindi".into()))?;
        let latin_class = codes.iter().map(|code| class(code).filter(|&c| c != hindi).unwrap_or(rest)).collect();
        let priors = codes.iter().map(|code| script::prior(code)).collect();
        let hindi_label = codes.iter().position(|code| code == "hi").unwrap_or(usize::MAX);
        let first = |code: &String| codes.iter().position(|other| other == code).unwrap_or(usize::MAX);
        let first_label = codes.iter().map(first).collect();
        Ok(Self { model, priors, first_label, codes, latin, latin_class, hindi, rest, hindi_label })
    }

    /// The language of a text, with the platform's own claim (BCP 47) as a weak hint.
    pub fn identify(&self, text: &str, hint: Option<&str>) -> Language {
        self.identify_scanned(text, &scan(text), hint)
    }

    /// As [`Self::identify`], for a text whose spans are known already.
    pub fn identify_scanned(&self, text: &str, spans: &[Span], hint: Option<&str>) -> Language {
        let evidence = Evidence::read(text, spans);
        if let Some(code) = evidence.owner {
            return Language { code: code.into(), confidence: evidence.certainty() };
        }
        let mut probabilities = Vec::new();
        if evidence.letters == 0 || !self.model.probabilities(&evidence.words, &mut probabilities) {
            return Language::default();
        }
        let scores = self.scores(&evidence, &probabilities, hint);
        self.decide(scores)
    }

    /// One score per label, then one for Hindi in Latin letters.
    fn scores(&self, evidence: &Evidence, probabilities: &[f32], hint: Option<&str>) -> Vec<f32> {
        let enough = (evidence.letters as f32 / LETTERS_ENOUGH).min(1.0);
        let hint = hint.and_then(script::hinted);
        let rarity = 1.1 - enough;
        let mut scores: Vec<f32> =
            probabilities.iter().zip(&self.priors).map(|(p, prior)| floored_ln(*p) + rarity * prior).collect();
        if let Some(hint) = &hint {
            let claimed = scores.iter_mut().zip(&self.codes).filter(|(_, code)| *code == hint);
            claimed.for_each(|(score, _)| *score += HINT);
        }
        if !evidence.latin {
            return scores;
        }
        let weight = SECOND_OPINION * enough;
        let mut opinions = self.latin.probabilities(&evidence.words);
        opinions.iter_mut().for_each(|p| *p = weight * (*p + 1e-3).ln());
        opinions[self.rest] -= RARE;
        scores.iter_mut().zip(&self.latin_class).for_each(|(score, &class)| *score += opinions[class]);
        let claimed = if hint.as_deref() == Some("hi") { HINT } else { 0.0 };
        let short = 2.0 * (1.0 - enough);
        let left = (1.0 - probabilities.iter().copied().fold(0.0, f32::max)).max(LEFT);
        let hindi =
            (ROMANISED_HINDI * left).ln() + opinions[self.hindi] + rarity * script::prior("hi") + claimed - short;
        scores.push(hindi);
        scores
    }

    fn decide(&self, mut scores: Vec<f32>) -> Language {
        softmax(&mut scores);
        let Some(best) = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])) else {
            return Language::default();
        };
        // Hindi in Latin letters stands behind the labels and adds to Hindi.
        let first = |index: usize| self.first_label.get(index).copied().unwrap_or(self.hindi_label);
        let confidence: f32 = (0..scores.len()).filter(|&i| first(i) == first(best)).map(|i| scores[i]).sum();
        if confidence < UNDECIDED_BELOW {
            return Language { code: "und".into(), confidence: 0.0 };
        }
        let code = self.codes.get(first(best)).map_or("hi", String::as_str);
        Language { code: code.to_owned(), confidence: confidence.min(1.0) }
    }
}

/// Logarithm of a probability, from below at one in ten thousand. Most labels get next to nothing: no logarithm for them.
fn floored_ln(p: f32) -> f32 {
    const FLOOR: f32 = 1e-4;
    const FLOOR_LN: f32 = -9.210_34;
    if p < 1e-7 { FLOOR_LN } else { (p + FLOOR).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static IDENTIFIER: LazyLock<LanguageIdentifier> =
        LazyLock::new(|| LanguageIdentifier::parse(include_bytes!("../../../../models/lid.176.ftz")).unwrap());

    fn code(text: &str) -> String {
        IDENTIFIER.identify(text, None).code
    }

    #[test]
    fn posts_in_many_languages() {
        for (expected, text) in [
            ("en", "@united our flight is delayed AGAIN 😡 #fail http://t.co/x"),
            ("en", "soooo happyyyyy todayyy!!!"),
            ("de", "@DB_Bahn schon wieder Verspätung, danke für nichts"),
            ("es", "RT @user: q buena la pela de anoche jajaja #cine"),
            ("pt", "vc viu o jogo ontem? muito bom kkkk"),
            ("fr", "j'ai raté mon vol à cause de vous, merci bcp"),
            ("it", "non ci posso credere, il treno è in ritardo anche oggi"),
            ("hi", "yaar ye kya ho raha hai mujhe kuch samajh nahi aaya"),
            ("hi", "आज मौसम बहुत अच्छा है"),
            ("ar", "الرحلة متأخرة مرة أخرى"),
            ("ar", "ﺍﻟﺮﺣﻠﺔ ﻣﺘﺄﺧﺮﺓ مـــــرة"),
            ("ja", "今日の東京は暑いですね #summer @user"),
            ("zh", "今天天气很好我们去公园吧"),
            ("ko", "오늘 비행기가 또 늦었어요 ㅠㅠ"),
            ("th", "วันนี้รถติดมาก omg"),
            ("ru", "Опять задержали рейс, сколько можно"),
            ("el", "Η πτήση καθυστέρησε πάλι"),
            ("he", "הטיסה שוב מתעכבת"),
            ("id", "pesawatnya terlambat lagi, capek banget nunggu"),
            ("nl", "de trein heeft alweer vertraging, ik word er gek van"),
            ("tr", "uçak yine rötar yaptı, bıktım artık"),
            ("pl", "samolot znowu jest opóźniony, mam tego dość"),
            ("sv", "tåget är försenat igen och jag är så trött på det"),
            ("fi", "juna on taas myöhässä, en jaksa enää odottaa"),
            ("vi", "chuyến bay lại bị hoãn, mệt quá đi"),
            ("tl", "na-delay na naman ang flight ko, nakakainis talaga"),
            ("sw", "Rais wa Kenya amesema leo kuwa serikali itaendelea na mpango huo kwa wananchi"),
            ("ka", "რეისი ისევ გადაიდო"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn what_can_t_be_known_is_undetermined() {
        for text in
            ["", " ", "😀😀", "http://t.co/abc", "@user @user2", "12:30 - 14.50", "!!!", "\0", "$AAPL 😀 @x", "🇩🇪"]
        {
            assert_eq!(code(text), "und", "{text:?}");
        }
    }

    #[test]
    fn a_hint_turns_what_is_open_and_not_what_is_clear() {
        let hinted = |text: &str, hint: &str| IDENTIFIER.identify(text, Some(hint)).code;
        assert_eq!(hinted("our flight is delayed again and nobody tells us why", "de"), "en");
        assert_eq!(hinted("আমি", "zz-nonsense"), code("আমি"));
        let open = "no";
        let with = |hint| {
            let language = IDENTIFIER.identify(open, hint);
            if language.code == "es" { language.confidence } else { 0.0 }
        };
        assert!(with(Some("es-MX")) >= with(None));
    }

    #[test]
    fn confidence_is_a_probability_and_long_texts_are_read() {
        for text in crate::text::NASTY {
            let language = IDENTIFIER.identify(text, None);
            assert!((0.0..=1.0).contains(&language.confidence), "{language:?} {text:?}");
            assert!(!language.code.is_empty());
        }
        assert_eq!(code(&"der Zug hat schon wieder Verspätung. ".repeat(30_000)), "de");
        code(&"x".repeat(1 << 20));
        code(&"ก".repeat(1 << 18));
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "(\\PC|[\0\n\u{200D}\u{301}@#]){0,60}") {
            let language = IDENTIFIER.identify(&text, None);
            prop_assert!((0.0..=1.0).contains(&language.confidence));
        }
    }
}

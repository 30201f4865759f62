//! The language of a post. A script that only one language uses decides alone. For other scripts a classifier trained on
//! short texts and posts ([`posts`]) reads the letters and the probabilities of fastText's lid.176. Languages without a
//! class in the classifier are told by fastText alone. Links, user names, other scripts and repeated letters are left out
//! first ([`evidence`]). The answer is `und` if nothing can be known.

mod evidence;
mod fasttext;
mod ngrams;
mod posts;
mod script;
pub mod train;

use crate::error::{Error, Result};
use crate::file;
use crate::linear::softmax;
use crate::text::{Span, scan};
use domain::{Language, macrolanguage};
use evidence::Evidence;
use fasttext::FastText;
use posts::PostModel;
use std::path::Path;

/// Bytes of a language model at most: `lid.176.ftz` has 938,000, what fastText compresses less up to a few million.
const FILE_MAX: usize = 64 << 20;
/// The classifier, made by `cargo run -p nlp --example train_language`.
const POSTS: &[u8] = include_bytes!("../../../../models/language-posts.bin");
/// Below this confidence the answer is `und`.
const UNDECIDED_BELOW: f32 = 0.1;
/// How much the frequency of a language among posts counts, as a power, and how much more the fewer the letters. More gets
/// short English right and loses rare languages.
const FREQUENCY: f32 = 0.2;
const FREQUENCY_OF_A_LETTER: f32 = 2.4;
/// What a platform's claim is worth, in nats: as much as a word or two.
const HINT: f32 = 1.0;
/// Letters and fastText's probability from which on a language without a class is believed.
const UNCLASSED_LETTERS: usize = 20;
const UNCLASSED_MIN: f32 = 0.9;

/// Identifies languages. Keeps no state: one serves all threads, and a text always gets the same answer.
pub struct LanguageIdentifier {
    fasttext: FastText,
    posts: PostModel,
    /// For each of fastText's labels, its code if the classifier has no class for it.
    unclassed: Vec<Option<String>>,
    /// For each class, how common the language is, in nats.
    frequencies: Vec<f32>,
    /// The class of other languages.
    rest: Option<usize>,
}

impl LanguageIdentifier {
    /// Reads `lid.176.ftz`.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path, FILE_MAX)?)
    }

    /// Takes the bytes of `lid.176.ftz`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::with_classifier(bytes, POSTS)
    }

    /// Takes the bytes of `lid.176.ftz` and those of a classifier for posts that was trained with it.
    pub fn with_classifier(bytes: &[u8], classifier: &[u8]) -> Result<Self> {
        let (fasttext, posts) = (FastText::parse(bytes)?, PostModel::parse(classifier)?);
        if fasttext.labels() != posts.labels {
            return Err(Error::Invalid("the classifier for posts was trained with another fastText model".into()));
        }
        let has_class = |code: &str| posts.classes.iter().any(|class| class == code);
        let unclassed = |label: &String| Some(script::iso(label)).filter(|code| !has_class(code)).map(str::to_owned);
        let unclassed = fasttext.labels().iter().map(unclassed).collect();
        let frequencies = posts.classes.iter().map(|code| script::frequency(code)).collect();
        let rest = posts.classes.iter().position(|class| class == train::REST);
        Ok(Self { fasttext, posts, unclassed, frequencies, rest })
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
        if evidence.letters == 0 {
            return Language::default();
        }
        let mut labels = Vec::new();
        self.fasttext.probabilities(&evidence.words, &mut labels);
        let classes = self.classes(&evidence, &labels, hint);
        self.decide(&evidence, &classes, &labels)
    }

    /// Probability of each class.
    fn classes(&self, evidence: &Evidence, labels: &[f32], hint: Option<&str>) -> Vec<f32> {
        let mut scores = self.posts.scores(&evidence.words, labels);
        let power = FREQUENCY + FREQUENCY_OF_A_LETTER / evidence.letters as f32;
        scores.iter_mut().zip(&self.frequencies).for_each(|(score, frequency)| *score += power * frequency);
        if let Some(hint) = hint.and_then(script::hinted) {
            let claimed = |class: &str| class == hint || macrolanguage(class) == hint;
            let claimed = scores.iter_mut().zip(&self.posts.classes).filter(|(_, class)| claimed(class));
            claimed.for_each(|(score, _)| *score += HINT);
        }
        softmax(&mut scores);
        scores
    }

    /// The most probable of the classes and of fastText's other languages.
    fn decide(&self, evidence: &Evidence, classes: &[f32], labels: &[f32]) -> Language {
        let others = || self.unclassed.iter().zip(labels).filter_map(|(code, p)| Some((code.as_deref()?, *p)));
        let mass: f32 = others().map(|(_, p)| p).sum();
        let rest = self.rest.map_or(0.0, |rest| classes[rest]);
        let believed = evidence.letters >= UNCLASSED_LETTERS && mass >= UNCLASSED_MIN;
        let share = if believed { rest.max(mass) } else { rest };
        let known = self.posts.classes.iter().map(String::as_str).zip(classes);
        let known = known.filter(|(code, _)| *code != train::REST);
        let known = known.map(|(code, p)| (code, p * (1.0 - share) / (1.0 - rest).max(f32::MIN_POSITIVE)));
        let others = others().map(|(code, p)| (code, share * p / mass.max(f32::MIN_POSITIVE)));
        match known.chain(others).max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((code, p)) if p >= UNDECIDED_BELOW => Language { code: code.to_owned(), confidence: p.min(1.0) },
            _ => Language::default(),
        }
    }
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
            ("hi-Latn", "yaar ye kya ho raha hai mujhe kuch samajh nahi aaya"),
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
    fn short_posts_get_their_language() {
        for (expected, text) in [
            ("en", "I hate waiting at JFK"),
            ("en", "Best flight ever!!!"),
            ("en", "RT @BarackObama : Thanks Chicago"),
            ("en", "thank you so much"),
            ("en", "WHERE IS MY PARCEL I AM STILL WAITING"),
            ("en", "ok"),
            ("de", "Nie wieder!"),
            ("fr", "Merci beaucoup"),
            ("es", "¡Qué vergüenza!"),
            ("pt", "Muito obrigado"),
            ("it", "Che schifo"),
            ("nl", "Dank je wel"),
            ("sv", "Tack så mycket"),
            ("pl", "Dziękuję bardzo"),
            ("tr", "Çok teşekkürler"),
            ("fi", "Kiitos paljon"),
            ("ru", "Спасибо большое"),
            ("uk", "Щиро дякую"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn latin_letters_do_not_make_a_latin_language() {
        for (expected, text) in [
            ("ar-Latn", "ana mesh 3aref a3mel eh"),
            ("ar-Latn", "7abibi wa7ashtini awi"),
            ("el-Latn", "kalimera ti kaneis"),
            ("hi-Latn", "mera order abhi tak nahi aaya"),
            ("ru-Latn", "kogda uzhe pridet moya posylka"),
            ("en", "gr8 service, thx"),
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

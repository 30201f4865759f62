//! What was understood of a post. Offsets count characters (Unicode scalar values) of the post's original text.

use serde::{Deserialize, Serialize};

/// Everything that one reading of a text gives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Enrichment {
    pub language: Language,
    /// The text in English: the text itself when it is English, a translation when an engine is configured, else none.
    pub text_en: Option<String>,
    /// None when no model is loaded.
    pub sentiment: Option<Sentiment>,
    pub emotion: Option<EmotionScore>,
    /// Probability that the text is offensive, 0 to 1.
    pub offensive: Option<f32>,
    pub entities: Vec<Entity>,
    pub key_phrases: Vec<KeyPhrase>,
    pub category: Option<Category>,
    /// Unit-length sentence embedding; empty when no model is loaded.
    pub embedding: Vec<f32>,
    /// Equal for texts that say nearly the same (`nlp::text::fingerprint`); none when the text is too short to tell.
    pub fingerprint: Option<i64>,
    /// Name and version of the model that spoke, for example `overheard-small 1.0`.
    pub model: String,
    /// What could not be done, and why, in words (`translation: engine not reachable`).
    pub issues: Vec<String>,
}

/// A language with how sure we are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Language {
    /// ISO 639-1 where one exists, else 639-3; with the script if it is not the usual one (`hi-Latn`). `und` if it can't be
    /// known.
    pub code: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// Varieties that have a code of their own, with the language that filters, stop words and translation services know.
const VARIETIES: [(&str, &str); 10] = [
    ("nb", "no"),
    ("nn", "no"),
    ("arq", "ar"),
    ("arz", "ar"),
    ("ar-Latn", "ar"),
    ("wuu", "zh"),
    ("yue", "zh"),
    ("hi-Latn", "hi"),
    ("el-Latn", "el"),
    ("ru-Latn", "ru"),
];

/// The language that a code is a variety of: `no` for `nb`, `ar` for `arz`, `hi` for `hi-Latn`. Any other code is its own.
pub fn macrolanguage(code: &str) -> &str {
    VARIETIES.iter().find(|(variety, _)| *variety == code).map_or(code, |(_, language)| language)
}

/// The codes of the varieties of a language, beside its own.
pub fn varieties(language: &str) -> impl Iterator<Item = &str> {
    VARIETIES.iter().filter(move |(_, of)| *of == language).map(|(variety, _)| *variety)
}

impl Default for Language {
    fn default() -> Self {
        Self { code: "und".into(), confidence: 0.0 }
    }
}

/// The label that a sentiment is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SentimentLabel {
    Positive,
    Negative,
    Neutral,
    Mixed,
}

impl SentimentLabel {
    /// The word stored in the lake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Mixed => "mixed",
        }
    }
}

/// Sentiment with calibrated probabilities; the four scores add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sentiment {
    pub label: SentimentLabel,
    pub positive: f32,
    pub negative: f32,
    pub neutral: f32,
    pub mixed: f32,
}

/// The strongest emotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmotionScore {
    /// `anger`, `joy`, `optimism`, `sadness`.
    pub label: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// What kind of thing an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    Person,
    Organisation,
    Location,
    Product,
    Work,
    Event,
    Hashtag,
    Mention,
    Link,
    Cashtag,
    Emoji,
}

impl EntityKind {
    /// The word stored in the lake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Organisation => "organisation",
            Self::Location => "location",
            Self::Product => "product",
            Self::Work => "work",
            Self::Event => "event",
            Self::Hashtag => "hashtag",
            Self::Mention => "mention",
            Self::Link => "link",
            Self::Cashtag => "cashtag",
            Self::Emoji => "emoji",
        }
    }
}

/// A thing named in the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// As written in the original text: characters `begin..end` of it.
    pub text: String,
    pub kind: EntityKind,
    /// 0 to 1.
    pub confidence: f32,
    /// First character, counted from 0.
    pub begin: u32,
    /// One past the last character.
    pub end: u32,
}

/// A phrase that says what the text is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPhrase {
    /// As written in the original text.
    pub text: String,
    /// 0 to 1.
    pub confidence: f32,
    /// First character, counted from 0.
    pub begin: u32,
    /// One past the last character.
    pub end: u32,
}

/// A classifier's label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// One of the user's names, or `other` below his threshold.
    pub label: String,
    /// 0 to 1.
    pub confidence: f32,
}

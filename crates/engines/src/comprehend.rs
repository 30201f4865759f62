//! Language, sentiment, entities and key phrases by Amazon Comprehend, over the embedded model: what Comprehend says stands
//! before what the model says; what Comprehend does not offer or can't answer stays the model's.

use crate::asking::{Asking, Limits, Service, client};
use aws::comprehend::{self, Question as Asked, TEXT_BYTES_MAX, TEXTS_MAX};
use aws::{Client, Failure};
use domain::{
    Clock, Enricher, Enrichment, Entity, EntityKind, Error, KeyPhrase, Language, Post, Result, Sentiment,
    SentimentLabel,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Languages for which Comprehend offers more than their name (developer guide, "Languages supported").
const LANGUAGES: [&str; 12] = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "zh", "zh-TW"];

/// The engine. Shared freely between threads.
pub struct Comprehend {
    embedded: Arc<dyn Enricher>,
    asking: Asking<Reader>,
    model: String,
}

impl Comprehend {
    /// Starts the thread that holds the client; calls nothing yet.
    ///
    /// # Errors
    /// Kind `Stop` when the client or its thread can't be made.
    pub fn new(
        embedded: Arc<dyn Enricher>,
        settings: &aws::Settings,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        let client = Client::new(aws::Service::Comprehend, settings, client(limits)?, clock)?;
        let model = format!("amazon comprehend over {}", embedded.model());
        Ok(Self { embedded, asking: Asking::start(Reader { client }, limits)?, model })
    }
}

impl Enricher for Comprehend {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        let mut enrichments = self.embedded.enrich(posts);
        let questions: Vec<Option<Question>> = posts
            .iter()
            .zip(&enrichments)
            .map(|(post, enrichment)| Question::of(&post.text, &enrichment.as_ref().ok()?.language.code))
            .collect();
        let answers = self.asking.ask_all(questions.iter().flatten().cloned().collect());
        for ((enrichment, question), post) in enrichments.iter_mut().zip(questions).zip(posts) {
            let Ok(enrichment) = enrichment else { continue };
            enrichment.model.clone_from(&self.model);
            match question.and_then(|question| answers.get(&question)) {
                Some(Ok(found)) => found.clone().apply(&post.text, enrichment),
                Some(Err(error)) => {
                    enrichment.issues.push(format!("understood by the embedded model alone: {error}"));
                }
                None => {}
            }
        }
        enrichments
    }

    fn model(&self) -> &str {
        &self.model
    }
}

/// A text with the language that the model takes it for, so that texts of one language are asked in one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Question {
    likely: String,
    text: String,
}

impl Question {
    /// As much of the text as Comprehend takes; none where there is nothing to read.
    fn of(text: &str, likely: &str) -> Option<Self> {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        (!text.trim().is_empty()).then(|| Self { likely: likely.to_owned(), text: text.to_owned() })
    }
}

/// What Comprehend found in a text.
#[derive(Debug, Clone, Default)]
struct Found {
    language: Option<Language>,
    sentiment: Option<Sentiment>,
    entities: Option<Vec<Entity>>,
    key_phrases: Option<Vec<KeyPhrase>>,
    issues: Vec<String>,
}

impl Found {
    fn apply(self, text: &str, enrichment: &mut Enrichment) {
        if let Some(language) = self.language {
            // An English text is its own English; any other is translated, where an engine does.
            enrichment.text_en = (language.code == "en").then(|| text.to_owned());
            enrichment.language = language;
        }
        if self.sentiment.is_some() {
            enrichment.sentiment = self.sentiment;
        }
        if let Some(entities) = self.entities {
            // Hashtags, names of accounts, links and emoji are read, not guessed.
            enrichment.entities.retain(|entity| !is_guessed(entity.kind));
            enrichment.entities.extend(entities);
            enrichment.entities.sort_by_key(|entity| entity.begin);
        }
        if let Some(key_phrases) = self.key_phrases {
            enrichment.key_phrases = key_phrases;
        }
        enrichment.issues.extend(self.issues);
    }

    /// Notes what a question found, or why it found nothing.
    fn take(&mut self, question: Asked, text: &str, answer: Result<Value, String>) {
        let item = match answer {
            Ok(item) => item,
            Err(error) => {
                self.issues.push(format!("amazon comprehend, {question:?}: {error}"));
                return;
            }
        };
        match question {
            Asked::Language => self.language = language(&item),
            Asked::Sentiment => self.sentiment = sentiment(&item),
            Asked::Entities => self.entities = Some(spans(&item["Entities"], text).filter_map(entity).collect()),
            Asked::KeyPhrases => {
                let phrase = |(_, text, confidence, begin, end)| KeyPhrase { text, confidence, begin, end };
                self.key_phrases = Some(spans(&item["KeyPhrases"], text).map(phrase).collect());
            }
        }
    }
}

fn is_guessed(kind: EntityKind) -> bool {
    use EntityKind::{Event, Location, Organisation, Person, Product, Work};
    matches!(kind, Person | Organisation | Location | Product | Work | Event)
}

/// The language that is most likely.
fn language(item: &Value) -> Option<Language> {
    let score = |language: &Value| language["Score"].as_f64().unwrap_or_default();
    let best = item["Languages"].as_array()?.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    Some(Language { code: best["LanguageCode"].as_str()?.to_owned(), confidence: score(best) as f32 })
}

fn sentiment(item: &Value) -> Option<Sentiment> {
    let score = |name: &str| item["SentimentScore"][name].as_f64().unwrap_or_default() as f32;
    let label = match item["Sentiment"].as_str()? {
        "POSITIVE" => SentimentLabel::Positive,
        "NEGATIVE" => SentimentLabel::Negative,
        "MIXED" => SentimentLabel::Mixed,
        _ => SentimentLabel::Neutral,
    };
    let (positive, negative) = (score("Positive"), score("Negative"));
    Some(Sentiment { label, positive, negative, neutral: score("Neutral"), mixed: score("Mixed") })
}

/// Type, text, confidence and place of the spans of a list. Comprehend counts characters, as we do; a span that is not
/// where it says is left out.
fn spans<'a>(list: &'a Value, text: &'a str) -> impl Iterator<Item = (&'a str, String, f32, u32, u32)> {
    list.as_array().into_iter().flatten().filter_map(move |span| {
        let offset = |name: &str| u32::try_from(span[name].as_u64()?).ok();
        let (begin, end) = (offset("BeginOffset")?, offset("EndOffset")?);
        let length = end.checked_sub(begin)? as usize;
        let found: String = text.chars().skip(begin as usize).take(length).collect();
        let is_there = length > 0 && found.chars().count() == length;
        let confidence = span["Score"].as_f64().unwrap_or_default() as f32;
        is_there.then(|| (span["Type"].as_str().unwrap_or_default(), found, confidence, begin, end))
    })
}

/// Dates, quantities and other things have no kind here.
fn entity((kind, text, confidence, begin, end): (&str, String, f32, u32, u32)) -> Option<Entity> {
    let kind = match kind {
        "PERSON" => EntityKind::Person,
        "ORGANIZATION" => EntityKind::Organisation,
        "LOCATION" => EntityKind::Location,
        "COMMERCIAL_ITEM" => EntityKind::Product,
        "TITLE" => EntityKind::Work,
        "EVENT" => EntityKind::Event,
        _ => return None,
    };
    Some(Entity { text, kind, confidence, begin, end })
}

struct Reader {
    client: Client,
}

impl Service for Reader {
    const QUESTIONS_MAX: usize = TEXTS_MAX;
    type Question = Question;
    type Answer = Found;

    fn name(&self) -> &'static str {
        "amazon comprehend"
    }

    async fn call(&self, questions: &[Question]) -> Vec<Result<Found>> {
        match self.read(questions).await {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(failure) => questions.iter().map(|_| Err(Error::new(failure.kind(), failure.to_string()))).collect(),
        }
    }
}

impl Reader {
    async fn read(&self, questions: &[Question]) -> Result<Vec<Found>, Failure> {
        let texts: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
        let mut found = vec![Found::default(); texts.len()];
        let answers = comprehend::ask(&self.client, Asked::Language, "", &texts).await?;
        for ((found, text), answer) in found.iter_mut().zip(&texts).zip(answers) {
            found.take(Asked::Language, text, answer);
        }
        let mut by_language: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, found) in found.iter_mut().enumerate() {
            let Some(Language { code, .. }) = &mut found.language else { continue };
            if LANGUAGES.contains(&code.as_str()) {
                by_language.entry(code.clone()).or_default().push(at);
            } else {
                found.issues.push(format!("amazon comprehend offers nothing for the language {code}"));
            }
            if code == "zh-TW" {
                code.truncate(2);
            }
        }
        for (language, places) in by_language {
            let of_language: Vec<&str> = places.iter().map(|at| texts[*at]).collect();
            let ask = |question| comprehend::ask(&self.client, question, &language, &of_language);
            let asked = [Asked::Sentiment, Asked::Entities, Asked::KeyPhrases];
            let answers = futures::future::try_join_all(asked.map(ask)).await?;
            for (question, answers) in asked.into_iter().zip(answers) {
                for (at, answer) in places.iter().zip(answers) {
                    found[*at].take(question, texts[*at], answer);
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spans_are_counted_in_characters_and_checked() {
        let text = "Grüße 🙂 aus Köln";
        let list = json!([
            {"Type": "LOCATION", "Text": "Köln", "Score": 0.99, "BeginOffset": 12, "EndOffset": 16},
            {"Type": "DATE", "Text": "x", "Score": 0.9, "BeginOffset": 0, "EndOffset": 1},
            {"Type": "PERSON", "Text": "?", "Score": 0.9, "BeginOffset": 15, "EndOffset": 40},
            {"Type": "PERSON", "Text": "?", "Score": 0.9, "BeginOffset": 5, "EndOffset": 2},
        ]);
        let found: Vec<Entity> = spans(&list, text).filter_map(entity).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].text.as_str(), found[0].kind), ("Köln", EntityKind::Location));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ü".repeat(3_000);
        assert_eq!(Question::of(&long, "de").unwrap().text.len(), TEXT_BYTES_MAX);
        let long = format!("x{long}");
        assert_eq!(Question::of(&long, "de").unwrap().text.len(), TEXT_BYTES_MAX - 1);
        assert_eq!(Question::of(" \n", "de"), None);
    }
}

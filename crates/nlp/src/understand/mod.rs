//! A post understood: cleaned, its language told, read once by the model, by the user's own classifiers where he has put
//! some in place, and by the rules; all of it brought together with offsets into the original text.

mod emoji;
mod entities;
mod sentiment;

use crate::categories::{CategoryHead, CategorySet, Embed, OTHER};
use crate::classifier::Classifier;
use crate::encoder::{Encoder, HeadInfo, Level, Options, Precision, Reading, probabilities};
use crate::error::{Error, Result};
use crate::language::LanguageIdentifier;
use crate::phrases::KeyPhrases;
use crate::text::{self, CleanText, Cleaning, Span};
use domain::{Category, EmotionScore, Enricher, Enrichment, Entity, Post, Sentiment};
use entities::Tagger;
use sentiment::Poles;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

/// What is loaded, and how it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The shipped model, or another in its format; none reads by rules alone.
    pub model_dir: Option<PathBuf>,
    /// `lid.176.ftz`; without it every language is `und`.
    pub language_model: Option<PathBuf>,
    /// A Hugging Face classifier in place of the model's sentiment.
    pub sentiment_model: Option<PathBuf>,
    /// A Hugging Face token classifier in place of the model's entities.
    pub entity_model: Option<PathBuf>,
    /// A Hugging Face classifier that gives the category.
    pub category_model: Option<PathBuf>,
    /// The user's own categories, told by embedding or by a head trained from his examples. Needs the model; stands
    /// before [`Self::category_model`].
    pub categories: Option<CategorySet>,
    /// A category of [`Self::category_model`] below this becomes `other`, 0 to 1.
    pub category_confidence_min: f32,
    /// Entities of the model below this are left out, 0 to 1. The decoder has chosen already, so this is for those that
    /// it was forced to guess.
    pub entity_confidence_min: f32,
    /// Key phrases of a post at most.
    pub key_phrases_max: usize,
    /// Threads that work at once.
    pub threads: usize,
    /// Pieces of a batch, see [`Options::token_budget`].
    pub token_budget: usize,
    /// Of Hugging Face classifiers; the shipped model is always int8.
    pub precision: Precision,
    /// Bytes of a text that models read; what lies beyond is left to the rules, and the enrichment says so.
    pub model_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        let Options { precision, threads, token_budget } = Options::default();
        Self {
            model_dir: None,
            language_model: None,
            sentiment_model: None,
            entity_model: None,
            category_model: None,
            categories: None,
            category_confidence_min: 0.4,
            entity_confidence_min: 0.2,
            key_phrases_max: KeyPhrases::default().phrases_max,
            threads,
            token_budget,
            precision,
            model_bytes_max: 256 << 10,
        }
    }
}

/// What a Hugging Face classifier can do in place of the shipped model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// See [`Config::sentiment_model`].
    Sentiment,
    /// See [`Config::category_model`].
    Category,
    /// See [`Config::entity_model`].
    Entities,
}

impl Task {
    /// What a classifier's labels allow, the most telling first; nothing for one that labels words and no entities.
    pub fn of(classifier: &Classifier) -> Vec<Self> {
        let Some(head) = classifier.head() else { return Vec::new() };
        match head.level {
            Level::Piece => Tagger::of(head).map(|_| Self::Entities).into_iter().collect(),
            _ if Poles::of(&head.labels).is_some() => vec![Self::Sentiment, Self::Category],
            _ => vec![Self::Category],
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sentiment => "sentiment",
            Self::Category => "category",
            Self::Entities => "entities",
        }
    }
}

/// Understands posts; the one entry of this crate.
pub struct Understanding {
    name: String,
    language: Option<LanguageIdentifier>,
    shipped: Option<Shipped>,
    sentiment: Option<(Classifier, Poles)>,
    entities: Option<(Classifier, Tagger)>,
    category: Option<Classifier>,
    /// May be replaced while posts are read.
    categories: RwLock<Option<Arc<CategoryHead>>>,
    phrases: KeyPhrases,
    config: Config,
}

/// The shipped model with its heads by purpose: indices into a reading's logits.
struct Shipped {
    encoder: Encoder,
    sentiment: Option<(usize, Poles)>,
    emotion: Option<usize>,
    offensive: Option<usize>,
    entities: Option<(usize, Tagger)>,
    embedding: Option<usize>,
}

/// A post on its way: what rules see, and what models read.
struct Prepared {
    spans: Vec<Span>,
    /// As the shipped model reads it.
    own: CleanText,
    /// Links and names as in the usual training sets, for foreign classifiers of texts.
    social: Option<CleanText>,
    /// Links and names as written, for foreign entity models.
    verbatim: Option<CleanText>,
    issues: Vec<String>,
}

/// What models said of a post.
#[derive(Default)]
struct Said {
    own: Option<Result<Reading>>,
    sentiment: Option<Result<Sentiment>>,
    entities: Option<Result<Reading>>,
    category: Option<Result<Category>>,
}

impl Understanding {
    /// Loads what the configuration names.
    pub fn load(config: &Config) -> Result<Self> {
        let options =
            |precision| Options { precision, threads: config.threads.max(1), token_budget: config.token_budget.max(1) };
        let foreign = |dir: &Option<PathBuf>| {
            dir.as_ref().map(|dir| Classifier::load(dir, options(config.precision))).transpose()
        };
        let shipped = config.model_dir.as_ref().map(|dir| Encoder::load(dir, options(Precision::Int8))).transpose()?;
        let shipped = shipped.map(Shipped::new);
        let sentiment = foreign(&config.sentiment_model)?.map(with_poles).transpose()?;
        let entities = foreign(&config.entity_model)?.map(with_tagger).transpose()?;
        let category = foreign(&config.category_model)?.map(for_texts).transpose()?;
        let language = config.language_model.as_ref().map(|path| LanguageIdentifier::load(path)).transpose()?;
        let names: Vec<&str> = [
            shipped.as_ref().map(|s| s.encoder.name()),
            sentiment.as_ref().map(|(c, _)| c.encoder().name()),
            entities.as_ref().map(|(c, _)| c.encoder().name()),
            category.as_ref().map(|c| c.encoder().name()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let name = if names.is_empty() { "rules".to_owned() } else { names.join(" + ") };
        let phrases = KeyPhrases { phrases_max: config.key_phrases_max };
        let categories = RwLock::default();
        let found = Self {
            name,
            language,
            shipped,
            sentiment,
            entities,
            category,
            categories,
            phrases,
            config: config.clone(),
        };
        found.set_categories(config.categories.as_ref())?;
        Ok(found)
    }

    /// Puts other categories in place, or none; a set with enough examples is trained here, in seconds. Posts read from
    /// now on get them.
    pub fn set_categories(&self, set: Option<&CategorySet>) -> Result<()> {
        self.set_category_head(set.map(|set| CategoryHead::build(set, self)).transpose()?);
        Ok(())
    }

    /// Puts a head in place that was trained before.
    pub fn set_category_head(&self, head: Option<CategoryHead>) {
        *self.categories.write().unwrap_or_else(|e| e.into_inner()) = head.map(Arc::new);
    }

    /// The engine of the shipped model, for embeddings of texts that are no posts.
    pub fn encoder(&self) -> Option<&Encoder> {
        self.shipped.as_ref().map(|shipped| &shipped.encoder)
    }

    /// Understands texts, each with the platform's own claim of its language.
    pub fn read(&self, texts: &[(&str, Option<&str>)]) -> Vec<Result<Enrichment>> {
        let prepared = self.each(texts.len(), |i| self.prepare(texts[i].0));
        let prepared: Vec<Result<Prepared>> = prepared.into_iter().map(|p| p.ok_or_else(failed)).collect();
        let mut said: Vec<Said> = texts.iter().map(|_| Said::default()).collect();
        self.ask(&prepared, &mut said);
        let answers = self.each(texts.len(), |i| match &prepared[i] {
            Ok(prepared) => Ok(self.assemble(texts[i], prepared, &said[i])),
            Err(e) => Err(Error::Text(e.to_string())),
        });
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(failed()))).collect()
    }

    /// The entities that the shipped model finds, each with its kind as the model names it: finer than the product's
    /// kinds where it was trained on more. For evaluation; [`Self::read`] adds those found by rule.
    pub fn named(&self, texts: &[&str]) -> Vec<Result<Vec<(String, Entity)>>> {
        let Some((shipped, (head, tagger))) = self.shipped.as_ref().and_then(|s| Some((s, s.entities.as_ref()?)))
        else {
            return texts.iter().map(|_| Ok(Vec::new())).collect();
        };
        let prepared: Vec<Prepared> = texts.iter().map(|text| self.prepare(text)).collect();
        let inputs: Vec<&str> = prepared.iter().map(|p| p.own.text.as_str()).collect();
        let readings = shipped.encoder.read(&inputs).into_iter().zip(texts).zip(&prepared);
        let answer = |((reading, text), prepared): ((Result<Reading>, &&str), &Prepared)| {
            let reading = reading?;
            let found = tagger.named(text, &prepared.own, &reading.tokens, &reading.logits[*head]);
            let sure = found.into_iter().filter(|(_, entity)| entity.confidence >= self.config.entity_confidence_min);
            Ok(sure.map(|(name, entity)| (name.to_owned(), entity)).collect())
        };
        readings.map(answer).collect()
    }

    fn each<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<Option<T>> {
        crate::encoder::map_threads(self.config.threads, count, 16, work)
    }

    fn prepare(&self, text: &str) -> Prepared {
        let spans = text::scan(text);
        let mut issues = Vec::new();
        let end = floor(text, self.config.model_bytes_max);
        if end < text.len() {
            issues.push(format!("text: the models read the first {end} of {} bytes", text.len()));
        }
        let read = &text[..end];
        let known = spans.partition_point(|span| span.bytes.end <= end);
        let clean = |cleaning: Cleaning| cleaning.clean_scanned(read, &spans[..known]);
        let own = clean(Cleaning::shipped());
        let foreign = self.sentiment.is_some() || self.category.is_some();
        let social = foreign.then(|| clean(Cleaning::social()));
        let verbatim = self.entities.as_ref().map(|_| clean(Cleaning::verbatim()));
        Prepared { spans, own, social, verbatim, issues }
    }

    /// Lets every model read every text that could be prepared.
    fn ask(&self, prepared: &[Result<Prepared>], said: &mut [Said]) {
        let ready: Vec<usize> = (0..prepared.len()).filter(|&i| prepared[i].is_ok()).collect();
        let of = |pick: fn(&Prepared) -> &CleanText| {
            prepared.iter().flatten().map(|p| pick(p).text.as_str()).collect::<Vec<&str>>()
        };
        if let Some(shipped) = &self.shipped {
            for (&i, reading) in ready.iter().zip(shipped.encoder.read(&of(|p| &p.own))) {
                said[i].own = Some(reading);
            }
        }
        let social = of(|p| p.social.as_ref().unwrap_or(&p.own));
        if let Some((classifier, poles)) = &self.sentiment {
            for (&i, scores) in ready.iter().zip(classifier.classify(&social)) {
                said[i].sentiment = Some(scores.map(|scores| {
                    let shares: Vec<f32> = scores.iter().map(|s| s.probability).collect();
                    poles.sentiment(&shares)
                }));
            }
        }
        if let Some(classifier) = &self.category {
            for (&i, scores) in ready.iter().zip(classifier.classify(&social)) {
                said[i].category = Some(scores.map(|scores| self.strongest(&scores)));
            }
        }
        if let Some((classifier, _)) = &self.entities {
            let texts = of(|p| p.verbatim.as_ref().unwrap_or(&p.own));
            for (&i, reading) in ready.iter().zip(classifier.encoder().read(&texts)) {
                said[i].entities = Some(reading);
            }
        }
    }

    fn strongest(&self, scores: &[crate::classifier::Scored]) -> Category {
        let best = scores.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
        match best {
            Some(best) if best.probability >= self.config.category_confidence_min => {
                Category { label: best.label.clone(), confidence: best.probability }
            }
            best => Category { label: OTHER.into(), confidence: best.map_or(0.0, |b| b.probability) },
        }
    }

    /// One post's enrichment from all that was said of it.
    fn assemble(&self, (text, hint): (&str, Option<&str>), prepared: &Prepared, said: &Said) -> Enrichment {
        let mut found = Enrichment {
            fingerprint: text::fingerprint(text),
            model: self.name.clone(),
            issues: prepared.issues.clone(),
            ..Enrichment::default()
        };
        if let Some(language) = &self.language {
            found.language = language.identify_scanned(text, &prepared.spans, hint);
        }
        let mut named = Vec::new();
        if let (Some(shipped), Some(own)) = (&self.shipped, &said.own) {
            match own {
                Ok(reading) => named = shipped.tell(text, prepared, reading, &mut found),
                Err(e) => found.issues.push(format!("model: {e}")),
            }
        }
        take(&said.sentiment, "sentiment", &mut found.issues, |s| found.sentiment = Some(*s));
        take(&said.category, "category", &mut found.issues, |c| found.category = Some(c.clone()));
        let categories = self.categories.read().unwrap_or_else(|e| e.into_inner()).clone();
        if let Some(head) = categories.filter(|_| !found.embedding.is_empty()) {
            let category = Some(head.classify(text, &found.embedding));
            take(&category, "category", &mut found.issues, |c| found.category = Some(c.clone()));
        }
        if let Some((_, tagger)) = &self.entities {
            let clean = prepared.verbatim.as_ref().unwrap_or(&prepared.own);
            take(&said.entities, "entities", &mut found.issues, |reading| {
                named = reading.logits.first().map_or(Vec::new(), |l| tagger.entities(text, clean, &reading.tokens, l));
            });
        }
        let rules = text::entities(text, &prepared.spans);
        found.entities = entities::merge(rules, named, self.config.entity_confidence_min);
        found.key_phrases = self.phrases.extract_scanned(text, &prepared.spans, &found.language.code, &found.entities);
        if found.language.code == "en" {
            found.text_en = Some(text.to_owned());
        }
        found
    }
}

/// Unit-length embeddings of texts, cleaned as posts are.
impl Embed for Understanding {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let Some(shipped) = &self.shipped else {
            return Err(Error::Invalid("categories of one's own need a language model; none is loaded".into()));
        };
        let clean: Vec<CleanText> = texts.iter().map(|text| Cleaning::shipped().clean(text)).collect();
        let inputs: Vec<&str> = clean.iter().map(|clean| clean.text.as_str()).collect();
        shipped.encoder.read(&inputs).into_iter().map(|reading| Ok(shipped.embedding(&reading?))).collect()
    }
}

impl Enricher for Understanding {
    fn enrich(&self, posts: &[Post]) -> Vec<domain::Result<Enrichment>> {
        let texts: Vec<_> = posts.iter().map(|post| (post.text.as_str(), post.language_hint.as_deref())).collect();
        self.read(&texts).into_iter().map(|answer| answer.map_err(domain::Error::from)).collect()
    }

    fn model(&self) -> &str {
        &self.name
    }
}

impl Shipped {
    fn new(encoder: Encoder) -> Self {
        let find = |name: &str| encoder.heads().position(|head| head.name == name);
        let labels = |i: usize| encoder.heads().nth(i);
        Self {
            sentiment: find("sentiment").and_then(|i| Some((i, Poles::of(&labels(i)?.labels)?))),
            emotion: find("emotion"),
            offensive: find("offensive"),
            entities: find("entities").and_then(|i| Some((i, Tagger::of(labels(i)?)?))),
            embedding: find("embedding"),
            encoder,
        }
    }

    fn shares(&self, reading: &Reading, head: usize) -> Option<(&HeadInfo, Vec<f32>)> {
        let info = self.encoder.heads().nth(head)?;
        Some((info, probabilities(reading.logits.get(head)?, info.temperature)))
    }

    /// Writes what the model says into the enrichment; gives back the entities that it names.
    fn tell(&self, text: &str, prepared: &Prepared, reading: &Reading, found: &mut Enrichment) -> Vec<Entity> {
        if let Some((head, poles)) = &self.sentiment {
            found.sentiment = emoji::sentiment(text, &prepared.spans)
                .or_else(|| self.shares(reading, *head).map(|(_, shares)| poles.sentiment(&shares)));
        }
        found.emotion = self.emotion.and_then(|head| {
            let (info, shares) = self.shares(reading, head)?;
            let best = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]))?;
            Some(EmotionScore { label: info.labels.get(best)?.clone(), confidence: shares[best] })
        });
        found.offensive = self.offensive.and_then(|head| {
            let (info, shares) = self.shares(reading, head)?;
            shares.get(info.labels.iter().position(|label| label == "offensive")?).copied()
        });
        found.embedding = self.embedding(reading);
        if reading.windows > 1 {
            found
                .issues
                .push(format!("text: read in {} overlapping windows, which were put together", reading.windows));
        }
        match &self.entities {
            Some((head, tagger)) => tagger.entities(text, &prepared.own, &reading.tokens, &reading.logits[*head]),
            None => Vec::new(),
        }
    }

    /// The projected mean of the pieces, or the mean itself, at unit length.
    fn embedding(&self, reading: &Reading) -> Vec<f32> {
        let raw = self.embedding.and_then(|head| reading.logits.get(head)).unwrap_or(&reading.pooled);
        let norm = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
        if norm > 0.0 { raw.iter().map(|v| v / norm).collect() } else { raw.clone() }
    }
}

fn take<T>(said: &Option<Result<T>>, what: &str, issues: &mut Vec<String>, mut keep: impl FnMut(&T)) {
    match said {
        Some(Ok(value)) => keep(value),
        Some(Err(e)) => issues.push(format!("{what}: {e}")),
        None => {}
    }
}

fn failed() -> Error {
    Error::Text("a rule failed on it".into())
}

/// The largest byte at or below `limit` that is a boundary of characters.
fn floor(text: &str, limit: usize) -> usize {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

fn with_poles(classifier: Classifier) -> Result<(Classifier, Poles)> {
    let classifier = for_texts(classifier)?;
    match classifier.head().and_then(|head| Poles::of(&head.labels)) {
        Some(poles) => Ok((classifier, poles)),
        None => Err(Error::Unsupported(format!("{}: its labels are no sentiments", classifier.encoder().name()))),
    }
}

fn with_tagger(classifier: Classifier) -> Result<(Classifier, Tagger)> {
    let tagger = classifier.head().filter(|head| head.level == Level::Piece).and_then(Tagger::of);
    match tagger {
        Some(tagger) => Ok((classifier, tagger)),
        None => Err(Error::Unsupported(format!("{}: it does not label entities", classifier.encoder().name()))),
    }
}

fn for_texts(classifier: Classifier) -> Result<Classifier> {
    match classifier.labels_words() {
        false => Ok(classifier),
        true => Err(Error::Unsupported(format!("{}: it labels words, not texts", classifier.encoder().name()))),
    }
}

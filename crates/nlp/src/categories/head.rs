//! The head that gives a post its category: by likeness to the descriptions while there are few examples, by a
//! logistic regression over embedding and n-grams from eight examples a class on. Its probabilities are calibrated by a
//! temperature: fitted on held-out parts of the examples where there are any, a constant else.

use super::features::{Encoding, Reading};
use super::set::sentence;
use super::{CategorySet, Embed, OTHER};
use crate::error::{Error, Result};
use crate::linear::{Example, Linear, Training, scores, softmax, train};
use domain::Category;
use serde::{Deserialize, Serialize};

/// Version of the stored form; another is refused with a word on what to do.
const VERSION: u32 = 1;
/// How much sharper than their likeness zero-shot probabilities are. A first guess, to be tuned like the ones below.
const ZERO_SHOT_SHARPNESS: f32 = 8.0;
/// What the embedding counts against the n-grams, and the penalty. First guesses, to be tuned with the example
/// `eval_categories` once the shipped model's embeddings are final.
const SAY: f32 = 1.5;
const L2: f32 = 1e-3;

/// Parts that the examples are cut into.
const FOLDS: usize = 5;

/// How a head came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    ZeroShot,
    Trained,
}

/// Tells a user's categories. Keeps no state: one serves all threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryHead {
    version: u32,
    names: Vec<String>,
    /// Posts less sure than this are `other`.
    pub other_below: f32,
    temperature: f32,
    knowledge: Knowledge,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
enum Knowledge {
    /// One direction a class: its prototype less the mean of all.
    ZeroShot { directions: Vec<Vec<f32>> },
    /// What was learned from the examples, and how much the likeness to the descriptions adds to it.
    Trained { encoding: Encoding, weights: Vec<f32>, directions: Vec<Vec<f32>>, likeness: f32 },
}

impl CategoryHead {
    /// Makes the head that the set allows: trained when every class has its eight examples, else zero-shot.
    pub fn build(set: &CategorySet, embed: &impl Embed) -> Result<Self> {
        if set.can_train() { Self::train(set, embed) } else { Self::zero_shot(set, embed) }
    }

    /// By likeness to name, description and what examples there are.
    pub fn zero_shot(set: &CategorySet, embed: &impl Embed) -> Result<Self> {
        let directions = directions(set, embed, true)?;
        Ok(Self::with(set, 1.0 / ZERO_SHOT_SHARPNESS, Knowledge::ZeroShot { directions }))
    }

    /// From the examples, and from the descriptions as far as they help to tell held-out examples.
    pub fn train(set: &CategorySet, embed: &impl Embed) -> Result<Self> {
        let examples = readings(set, embed)?;
        let directions = directions(set, embed, false)?;
        let (likeness, temperature) = fit_fusion(&held_out(&examples, &directions));
        let (encoding, linear) = fit(&examples.iter().collect::<Vec<_>>(), set.categories.len());
        let knowledge = Knowledge::Trained { encoding, weights: linear.weights, directions, likeness };
        Ok(Self::with(set, temperature, knowledge))
    }

    fn with(set: &CategorySet, temperature: f32, knowledge: Knowledge) -> Self {
        let names = set.categories.iter().map(|category| category.name.trim().to_owned()).collect();
        Self { version: VERSION, names, other_below: set.other_below, temperature, knowledge }
    }

    /// The categories, in the order of the probabilities.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn method(&self) -> Method {
        match self.knowledge {
            Knowledge::ZeroShot { .. } => Method::ZeroShot,
            Knowledge::Trained { .. } => Method::Trained,
        }
    }

    /// Width of the embeddings that the head was made with.
    pub fn embedding_width(&self) -> usize {
        match &self.knowledge {
            Knowledge::ZeroShot { directions } => directions.first().map_or(0, Vec::len),
            Knowledge::Trained { encoding, .. } => encoding.embedding_width(),
        }
    }

    /// Calibrated probability of each category; they add up to 1. An embedding of another width is an error: the head
    /// was made with another model and must be made again.
    pub fn probabilities(&self, text: &str, embedding: &[f32]) -> Result<Vec<f32>> {
        if embedding.len() != self.embedding_width() {
            return Err(Error::Invalid(format!(
                "categories: made with embeddings of {} numbers, got {}; train them again with this model",
                self.embedding_width(),
                embedding.len()
            )));
        }
        let mut scores = match &self.knowledge {
            Knowledge::ZeroShot { directions } => alike(directions, embedding),
            Knowledge::Trained { encoding, weights, directions, likeness } => {
                let features = encoding.features(&Reading::new(text, embedding.to_vec()));
                let trained = scores(weights, self.names.len(), &features);
                fused(&trained, &alike(directions, embedding), *likeness)
            }
        };
        scores.iter_mut().for_each(|score| *score = if score.is_finite() { *score / self.temperature } else { 0.0 });
        softmax(&mut scores);
        Ok(scores)
    }

    /// The best category, or `other` when it is not sure enough.
    pub fn classify(&self, text: &str, embedding: &[f32]) -> Result<Category> {
        let probabilities = self.probabilities(text, embedding)?;
        let best = (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let confidence = best.map_or(0.0, |index| probabilities[index]);
        let label = match best {
            Some(index) if confidence >= self.other_below => self.names[index].clone(),
            _ => OTHER.to_owned(),
        };
        Ok(Category { label, confidence })
    }

    /// The stored form, JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Invalid(format!("categories: {error}")))
    }

    /// Reads the stored form and checks that its parts belong together.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| Error::Invalid(format!("stored categories: {error}")))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version != Some(VERSION.into()) {
            return Err(Error::Invalid(format!(
                "stored categories: version {} is not {VERSION}; train them again",
                version.map_or("unknown".into(), |v| v.to_string())
            )));
        }
        let head: Self =
            serde_json::from_value(value).map_err(|error| Error::Invalid(format!("stored categories: {error}")))?;
        let classes = head.names.len();
        let width = head.embedding_width();
        let fits = |rows: &[Vec<f32>]| rows.len() == classes && rows.iter().all(|row| row.len() == width);
        let sound = match &head.knowledge {
            Knowledge::ZeroShot { directions } => fits(directions),
            Knowledge::Trained { encoding, weights, directions, likeness } => {
                let learned = encoding.is_sound() && weights.len() == (encoding.width() + 1) * classes;
                learned && fits(directions) && likeness.is_finite()
            }
        };
        if !sound || classes < 2 || head.temperature.is_nan() || head.temperature <= 0.0 {
            return Err(Error::Invalid("stored categories: the parts don't fit together; train them again".into()));
        }
        Ok(head)
    }
}

/// Reads every example once, with its class.
pub(super) fn readings(set: &CategorySet, embed: &impl Embed) -> Result<Vec<(Reading, usize)>> {
    let mut readings = Vec::new();
    for (class, category) in set.categories.iter().enumerate() {
        let texts: Vec<&str> = category.examples.iter().map(String::as_str).collect();
        let embeddings = embedded(embed, &texts)?;
        readings.extend(texts.iter().zip(embeddings).map(|(text, e)| (Reading::new(text, e), class)));
    }
    Ok(readings)
}

/// Fits encoding and weights; every class counts the same.
fn fit(examples: &[&(Reading, usize)], classes: usize) -> (Encoding, Linear) {
    let readings: Vec<&Reading> = examples.iter().map(|(reading, _)| reading).collect();
    let encoding = Encoding::learn(&readings, SAY);
    let mut counts = vec![0_usize; classes];
    examples.iter().for_each(|(_, class)| counts[*class] += 1);
    let examples: Vec<Example> = examples
        .iter()
        .map(|(reading, class)| Example {
            features: encoding.features(reading),
            class: *class,
            weight: 1.0 / counts[*class].max(1) as f32,
        })
        .collect();
    let linear = train(&examples, Training { classes, width: encoding.width(), l2: L2, iterations_max: 100 });
    (encoding, linear)
}

/// No example is surer than this is unsure: few examples that are all told right must not end in certainty.
const DOUBT: f32 = 0.05;
/// Weights tried for the likeness to the descriptions, against the trained scores.
const LIKENESSES: [f32; 6] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0];

/// What is said of an example by those who have not seen it.
pub(super) struct HeldOut {
    pub(super) trained: Vec<f32>,
    /// Likeness to the descriptions.
    pub(super) alike: Vec<f32>,
    pub(super) class: usize,
}

/// Every example told by a head that was fitted without its part. Parts are dealt class by class, so each has its share
/// of every class.
pub(super) fn held_out(examples: &[(Reading, usize)], directions: &[Vec<f32>]) -> Vec<HeldOut> {
    let classes = directions.len();
    let mut dealt = vec![0_usize; classes];
    let parts: Vec<usize> = examples
        .iter()
        .map(|(_, class)| {
            dealt[*class] += 1;
            (dealt[*class] - 1 + class) % FOLDS
        })
        .collect();
    let mut answers = Vec::with_capacity(examples.len());
    for part in 0..FOLDS {
        let of = |held: bool| examples.iter().zip(&parts).filter(move |(_, p)| (**p == part) == held).map(|(e, _)| e);
        let (encoding, linear) = fit(&of(false).collect::<Vec<_>>(), classes);
        answers.extend(of(true).map(|(reading, class)| HeldOut {
            trained: linear.scores(&encoding.features(reading)),
            alike: alike(directions, &reading.embedding),
            class: *class,
        }));
    }
    answers
}

/// Trained scores with a share of the likeness to the descriptions.
pub(super) fn fused(trained: &[f32], alike: &[f32], likeness: f32) -> Vec<f32> {
    trained.iter().zip(alike).map(|(t, a)| t + likeness * a).collect()
}

/// How much a text's embedding is like each prototype.
fn alike(directions: &[Vec<f32>], embedding: &[f32]) -> Vec<f32> {
    directions.iter().map(|direction| dot(direction, embedding)).collect()
}

/// The weight of the likeness and the temperature at which held-out scores are the least surprised, within sane bounds.
pub(super) fn fit_fusion(held_out: &[HeldOut]) -> (f32, f32) {
    let mut best = (f32::INFINITY, 0.0, 1.0);
    for likeness in LIKENESSES {
        for step in 0..=40 {
            let temperature = 0.1 * 1.13_f32.powi(step);
            let surprise = held_out.iter().map(|held| surprise(held, likeness, temperature)).sum();
            if surprise < best.0 {
                best = (surprise, likeness, temperature);
            }
        }
    }
    (best.1, best.2)
}

fn surprise(held: &HeldOut, likeness: f32, temperature: f32) -> f32 {
    let mut scores = fused(&held.trained, &held.alike, likeness);
    scores.iter_mut().for_each(|score| *score /= temperature);
    softmax(&mut scores);
    let all = scores.iter().map(|p| -p.max(1e-9).ln()).sum::<f32>() / scores.len().max(1) as f32;
    let right = -scores.get(held.class).copied().unwrap_or(1.0).max(1e-9).ln();
    (1.0 - DOUBT) * right + DOUBT * all
}

/// One direction a category: its prototype less the mean of all, scaled so that a text right at an average prototype
/// scores 1. The prototype is the mean of the sentence that describes it and, where asked, its examples.
pub(super) fn directions(set: &CategorySet, embed: &impl Embed, with_examples: bool) -> Result<Vec<Vec<f32>>> {
    let mut prototypes = Vec::new();
    for category in &set.categories {
        let sentence = sentence(category);
        let examples = if with_examples { category.examples.as_slice() } else { &[] };
        let texts: Vec<&str> = std::iter::once(sentence.as_str()).chain(examples.iter().map(String::as_str)).collect();
        prototypes.push(unit(mean(&embedded(embed, &texts)?)));
    }
    let centre = mean(&prototypes);
    let less_centre = |p: &Vec<f32>| p.iter().zip(&centre).map(|(a, b)| a - b).collect();
    let directions: Vec<Vec<f32>> = prototypes.iter().map(less_centre).collect();
    let spread = directions.iter().map(|d| dot(d, d)).sum::<f32>() / directions.len().max(1) as f32;
    let scale = 1.0 / spread.max(1e-6);
    Ok(directions.into_iter().map(|d| d.into_iter().map(|x| x * scale).collect()).collect())
}

fn embedded(embed: &impl Embed, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    let embeddings = embed.embed(texts)?;
    let width = embeddings.first().map_or(0, Vec::len);
    if embeddings.len() != texts.len()
        || embeddings.iter().any(|e| e.len() != width || e.iter().any(|x| !x.is_finite()))
    {
        return Err(Error::Invalid("categories: the model gave embeddings that can't be used".into()));
    }
    Ok(embeddings)
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(m, v)| *m += v / vectors.len() as f32);
    }
    mean
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = dot(&vector, &vector).sqrt().max(1e-9);
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A toy embedding: counts of a few letters, unit length, in a narrow cone as real ones are.
    fn toy(texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let count = |text: &str, c: char| text.chars().filter(|x| *x == c).count() as f32;
        Ok(texts.iter().map(|t| unit(vec![8.0, count(t, 'l'), count(t, 'g'), count(t, 'r')])).collect())
    }

    fn set(examples: usize) -> CategorySet {
        let category = |name: &str, description: &str, words: [&str; 3]| {
            let examples: Vec<String> =
                (0..examples).map(|i| format!("\"{} {} number {i}\"", words[i % 3], words[(i + 1) % 3])).collect();
            format!("[[category]]\nname='{name}'\ndescription='{description}'\nexamples=[{}]\n", examples.join(","))
        };
        let text = category("late", "llll", ["delayed", "late", "slow"])
            + &category("luggage", "gggg", ["baggage", "luggage", "bag"])
            + &category("crew", "rrrr", ["rude", "crew", "steward"]);
        CategorySet::parse(&text).unwrap()
    }

    fn label(head: &CategoryHead, text: &str) -> String {
        head.classify(text, &toy(&[text]).unwrap()[0]).unwrap().label
    }

    #[test]
    fn without_examples_likeness_decides() {
        let head = CategoryHead::build(&set(0), &toy).unwrap();
        assert_eq!(head.method(), Method::ZeroShot);
        assert_eq!(label(&head, "llll lll"), "late");
        assert_eq!(label(&head, "ggg ggg"), "luggage");
    }

    #[test]
    fn with_examples_a_head_is_trained() {
        let head = CategoryHead::build(&set(9), &toy).unwrap();
        assert_eq!(head.method(), Method::Trained);
        for (text, expected) in
            [("so slow and delayed", "late"), ("my bag, the baggage!", "luggage"), ("the steward was rude", "crew")]
        {
            assert_eq!(label(&head, text), expected);
        }
        let probabilities = head.probabilities("x", &toy(&["x"]).unwrap()[0]).unwrap();
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn descriptions_count_as_far_as_they_help() {
        let held =
            |trained: [f32; 2], alike: [f32; 2], class| HeldOut { trained: trained.into(), alike: alike.into(), class };
        let told_by_likeness = [held([0.1, 0.0], [0.2, 0.5], 1), held([0.0, 0.1], [0.6, 0.1], 0)];
        assert!(fit_fusion(&told_by_likeness).0 > 0.0);
        let misled_by_likeness = [held([1.0, 0.0], [0.2, 0.5], 0), held([0.0, 1.0], [0.6, 0.1], 1)];
        assert_eq!(fit_fusion(&misled_by_likeness).0, 0.0);
    }

    #[test]
    fn below_the_threshold_it_is_other() {
        let mut head = CategoryHead::build(&set(9), &toy).unwrap();
        head.other_below = 1.0;
        let category = head.classify("zzz", &toy(&["zzz"]).unwrap()[0]).unwrap();
        assert_eq!(category.label, OTHER);
        assert!(category.confidence < 1.0);
    }

    #[test]
    fn a_stored_head_speaks_the_same_and_a_damaged_one_is_refused() {
        for head in [CategoryHead::build(&set(9), &toy).unwrap(), CategoryHead::build(&set(0), &toy).unwrap()] {
            let json = head.to_json().unwrap();
            assert_eq!(CategoryHead::from_json(&json).unwrap(), head);
            for damaged in
                [json.replace("\"version\":1", "\"version\":7"), json.replace("\"late\",", ""), "{}".into(), "x".into()]
            {
                assert!(CategoryHead::from_json(&damaged).is_err());
            }
        }
    }

    #[test]
    fn training_is_deterministic_and_refuses_what_it_can_t_use() {
        assert_eq!(CategoryHead::build(&set(9), &toy).unwrap(), CategoryHead::build(&set(9), &toy).unwrap());
        let broken = |texts: &[&str]| -> Result<Vec<Vec<f32>>> { Ok(vec![vec![f32::NAN; 4]; texts.len()]) };
        assert!(CategoryHead::build(&set(9), &broken).is_err());
        let head = CategoryHead::build(&set(9), &toy).unwrap();
        assert!(head.classify("x", &[1.0]).is_err());
        for text in crate::text::NASTY {
            head.classify(text, &toy(&[text]).unwrap()[0]).unwrap();
        }
    }
}

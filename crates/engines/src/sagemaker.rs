//! Category or sentiment by a classifier on an Amazon SageMaker endpoint, over the embedded model: any Hugging Face container
//! for text classification, or for zero-shot classification with labels of one's own. What the endpoint can't answer
//! stays the model's.

use crate::asking::{Asking, Limits, Service, client};
use aws::Client;
use domain::{Category, Clock, Enricher, Enrichment, Error, ErrorKind, Post, Result, Sentiment, SentimentLabel};
use serde_json::{Value, json};
use std::sync::Arc;

/// Texts of one call: a container answers them within its minute.
const TEXTS_MAX: usize = 16;
/// Characters of a text that are sent: more than such models read.
const TEXT_MAX_CHARS: usize = 2_000;
/// The label of a category below the threshold.
const OTHER: &str = "other";

/// What the endpoint's labels say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SageMakerTask {
    Category,
    Sentiment,
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct SageMakerConfig {
    /// Name of the endpoint.
    pub endpoint: String,
    pub task: SageMakerTask,
    /// Labels of a zero-shot classifier; none: the model has labels of its own.
    pub labels: Vec<String>,
    /// A category that the model is less sure of is `other`. The post is kept all the same.
    pub confidence_min: f32,
}

/// The engine. Shared freely between threads.
pub struct SageMaker {
    embedded: Arc<dyn Enricher>,
    asking: Asking<Endpoint>,
    task: SageMakerTask,
    confidence_min: f32,
    model: String,
}

impl SageMaker {
    /// Starts the thread that holds the client; calls nothing yet.
    ///
    /// # Errors
    /// Kind `Stop` when the name can't be an endpoint's, or the client or its thread can't be made.
    pub fn new(
        embedded: Arc<dyn Enricher>,
        config: &SageMakerConfig,
        settings: &aws::Settings,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        let SageMakerConfig { endpoint: name, task, labels, confidence_min } = config.clone();
        if !aws::sagemaker::is_name(&name) {
            return Err(Error::stop(format!(
                "{name:?} is not the name of a SageMaker endpoint (letters, digits, '-')"
            )));
        }
        let client = Client::new(aws::Service::SageMaker, settings, client(limits)?, clock)?;
        let model = format!("sagemaker {name} over {}", embedded.model());
        let asking = Asking::start(Endpoint { client, name, labels }, limits)?;
        Ok(Self { embedded, asking, task, confidence_min, model })
    }

    fn apply(&self, labels: &Labels, enrichment: &mut Enrichment) -> Result<(), String> {
        match self.task {
            SageMakerTask::Category => {
                let best = labels.iter().max_by(|a, b| a.1.total_cmp(&b.1)).ok_or("it told no label")?;
                let label = if best.1 < self.confidence_min { OTHER.to_owned() } else { best.0.clone() };
                enrichment.category = Some(Category { label, confidence: best.1 });
            }
            SageMakerTask::Sentiment => enrichment.sentiment = Some(sentiment(labels)?),
        }
        Ok(())
    }
}

impl Enricher for SageMaker {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        let mut enrichments = self.embedded.enrich(posts);
        let question = |post: &Post| post.text.chars().take(TEXT_MAX_CHARS).collect::<String>();
        let questions: Vec<String> = posts.iter().map(question).collect();
        let asked = questions.iter().filter(|text| !text.trim().is_empty()).cloned().collect();
        let answers = self.asking.ask_all(asked);
        for (enrichment, question) in enrichments.iter_mut().zip(&questions) {
            let Ok(enrichment) = enrichment else { continue };
            enrichment.model.clone_from(&self.model);
            let Some(answer) = answers.get(question) else { continue };
            let answer = answer.as_ref().map_err(ToString::to_string);
            if let Err(error) = answer.and_then(|labels| self.apply(labels, enrichment)) {
                enrichment.issues.push(format!("classified by the embedded model alone: {error}"));
            }
        }
        enrichments
    }

    fn model(&self) -> &str {
        &self.model
    }
}

/// Labels with their scores.
type Labels = Vec<(String, f32)>;

/// The sentiment that labels tell, by the names that models give them. What a model keeps to itself (some tell the best
/// label alone) is shared among the others.
fn sentiment(labels: &Labels) -> Result<Sentiment, String> {
    let mut scores = [0.0_f32; 4];
    for (label, score) in labels {
        let name = label.to_lowercase();
        let which = match name.as_str() {
            "4 stars" | "5 stars" => 0,
            "1 star" | "2 stars" => 1,
            "3 stars" => 2,
            name if name.starts_with("pos") => 0,
            name if name.starts_with("neg") => 1,
            name if name.starts_with("neu") => 2,
            name if name.starts_with("mix") => 3,
            _ => return Err(format!("its label {label:?} names no sentiment (positive, negative, neutral, mixed)")),
        };
        scores[which] += score.clamp(0.0, 1.0);
    }
    let best = (0..4).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).filter(|best| scores[*best] > 0.0);
    let best = best.ok_or("it told no label")?;
    let rest = 1.0 - scores.iter().sum::<f32>();
    if rest > 0.0 {
        (0..4).filter(|which| *which != best).for_each(|which| scores[which] += rest / 3.0);
    }
    let sum: f32 = scores.iter().sum();
    let [positive, negative, neutral, mixed] = scores.map(|score| score / sum);
    let label = [SentimentLabel::Positive, SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Mixed];
    Ok(Sentiment { label: label[best], positive, negative, neutral, mixed })
}

struct Endpoint {
    client: Client,
    name: String,
    labels: Vec<String>,
}

impl Service for Endpoint {
    const QUESTIONS_MAX: usize = TEXTS_MAX;
    type Question = String;
    type Answer = Labels;

    fn name(&self) -> &'static str {
        "amazon sagemaker"
    }

    async fn call(&self, questions: &[String]) -> Vec<Result<Labels>> {
        match self.ask(questions).await {
            Ok(all) => all.into_iter().map(Ok).collect(),
            // One text may spoil the call for all.
            Err(error) if error.kind() == ErrorKind::Reject && questions.len() > 1 => {
                let alone = questions.chunks(1).map(|question| self.ask(question));
                let answers = futures::future::join_all(alone).await;
                answers.into_iter().map(|answer| answer.map(|mut all| all.pop().unwrap_or_default())).collect()
            }
            Err(error) => questions.iter().map(|_| Err(Error::new(error.kind(), error.to_string()))).collect(),
        }
    }
}

impl Endpoint {
    async fn ask(&self, texts: &[String]) -> Result<Vec<Labels>> {
        let parameters = match self.labels.is_empty() {
            true => json!({"top_k": null, "truncation": true}),
            false => json!({"candidate_labels": self.labels, "multi_label": false}),
        };
        let body = json!({"inputs": texts, "parameters": parameters});
        let answer = aws::sagemaker::invoke(&self.client, &self.name, &body).await?;
        let unread = || Error::reject("the endpoint's answer is not that of a text or zero-shot classification");
        labels(&answer, texts.len()).ok_or_else(unread)
    }
}

/// The labels of each of so many texts, in any of the forms in which containers answer.
fn labels(answer: &Value, texts: usize) -> Option<Vec<Labels>> {
    let list = match answer {
        // A zero-shot classifier asked about one text.
        Value::Object(_) => std::slice::from_ref(answer),
        answer => answer.as_array()?.as_slice(),
    };
    let is_of_one = texts == 1 && list.len() != 1 && list.iter().all(|item| item["label"].is_string());
    if is_of_one {
        return Some(vec![list.iter().map(label).collect::<Option<_>>()?]);
    }
    (list.len() == texts).then_some(())?;
    list.iter().map(of_text).collect()
}

fn of_text(item: &Value) -> Option<Labels> {
    if let Some(labels) = item.as_array() {
        return labels.iter().map(label).collect();
    }
    if let (Some(labels), Some(scores)) = (item["labels"].as_array(), item["scores"].as_array()) {
        let pair = |(label, score): (&Value, &Value)| Some((label.as_str()?.to_owned(), score.as_f64()? as f32));
        return labels.iter().zip(scores).map(pair).collect();
    }
    Some(vec![label(item)?])
}

fn label(item: &Value) -> Option<(String, f32)> {
    Some((item["label"].as_str()?.to_owned(), item["score"].as_f64()? as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_answer_is_read() {
        let of = |label: &str, score: f32| (label.to_owned(), score);
        let label = |label: &str| json!({"label": label, "score": 0.5});
        for (answer, texts, expected) in [
            (json!([label("a"), label("b")]), 2, Some(vec![vec![of("a", 0.5)], vec![of("b", 0.5)]])),
            (json!([label("a"), label("b")]), 1, Some(vec![vec![of("a", 0.5), of("b", 0.5)]])),
            (json!([[label("a"), label("b")]]), 1, Some(vec![vec![of("a", 0.5), of("b", 0.5)]])),
            (json!({"sequence": "t", "labels": ["a"], "scores": [0.5]}), 1, Some(vec![vec![of("a", 0.5)]])),
            (
                json!([{"labels": ["a"], "scores": [0.5]}, {"labels": [], "scores": []}]),
                2,
                Some(vec![vec![of("a", 0.5)], vec![]]),
            ),
            (json!([label("a")]), 2, None),
            (json!({"error": "loading"}), 1, None),
            (json!("text"), 1, None),
        ] {
            assert_eq!(labels(&answer, texts), expected, "{answer}");
        }
    }

    #[test]
    fn labels_become_a_sentiment_by_their_names() {
        let of = |labels: &[(&str, f32)]| sentiment(&labels.iter().map(|(l, s)| ((*l).to_owned(), *s)).collect());
        assert_eq!(of(&[("POSITIVE", 0.9), ("NEGATIVE", 0.1)]).unwrap().label, SentimentLabel::Positive);
        let stars = of(&[("1 star", 0.3), ("2 stars", 0.3), ("5 stars", 0.4)]).unwrap();
        assert_eq!(stars.label, SentimentLabel::Negative);
        let best_alone = of(&[("neutral", 0.7)]).unwrap();
        assert!((best_alone.neutral - 0.7).abs() < 1e-6 && (best_alone.mixed - 0.1).abs() < 1e-6, "{best_alone:?}");
        assert!(of(&[("LABEL_0", 0.9)]).unwrap_err().contains("LABEL_0"));
        assert!(of(&[]).is_err());
    }
}

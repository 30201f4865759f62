//! Amazon Comprehend: what it finds in up to 25 texts at once. A text that fails alone fails alone.

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::{ENTITIES, KEY_PHRASES, LANGUAGES, Operation, SENTIMENT};
use serde_json::{Value, json};

/// Texts of one call.
pub const TEXTS_MAX: usize = 25;
/// Bytes of a text.
pub const TEXT_BYTES_MAX: usize = 5_000;

/// What is asked of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Needs no language.
    Language,
    Sentiment,
    Entities,
    KeyPhrases,
}

impl Question {
    fn operation(self) -> Operation {
        match self {
            Self::Language => LANGUAGES,
            Self::Sentiment => SENTIMENT,
            Self::Entities => ENTITIES,
            Self::KeyPhrases => KEY_PHRASES,
        }
    }
}

/// One answer a text, in order: an item of `ResultList`, or the code and message of its error.
pub async fn ask(
    client: &Client,
    question: Question,
    language: &str,
    texts: &[&str],
) -> Result<Vec<Result<Value, String>>, Failure> {
    let mut answers = once(client, question, language, texts).await?;
    // What failed inside the service may succeed now; what it refuses does not.
    let again: Vec<usize> =
        (0..texts.len()).filter(|at| matches!(&answers[*at], Err(error) if passes(error))).collect();
    if !again.is_empty() {
        let texts: Vec<&str> = again.iter().map(|at| texts[*at]).collect();
        for (at, answer) in again.into_iter().zip(once(client, question, language, &texts).await?) {
            answers[at] = answer;
        }
    }
    Ok(answers)
}

fn passes(error: &str) -> bool {
    error.starts_with("INTERNAL_SERVER_ERROR") || error.starts_with("InternalServerException")
}

async fn once(
    client: &Client,
    question: Question,
    language: &str,
    texts: &[&str],
) -> Result<Vec<Result<Value, String>>, Failure> {
    let mut body = json!({"TextList": texts});
    if question != Question::Language {
        body["LanguageCode"] = json!(language);
    }
    let mut answer = client.json(question.operation(), &body).await?;
    let mut answers = vec![Err("no answer to this text".to_owned()); texts.len()];
    let index = |item: &Value| item["Index"].as_u64().and_then(|index| usize::try_from(index).ok());
    for item in answer["ErrorList"].as_array().into_iter().flatten() {
        let part = |name: &str| item[name].as_str().unwrap_or_default();
        if let Some(slot) = index(item).and_then(|index| answers.get_mut(index)) {
            *slot = Err(format!("{}: {}", part("ErrorCode"), part("ErrorMessage")));
        }
    }
    if let Some(results) = answer["ResultList"].as_array_mut() {
        for item in results {
            if let Some(slot) = index(item).and_then(|index| answers.get_mut(index)) {
                *slot = Ok(item.take());
            }
        }
    }
    Ok(answers)
}

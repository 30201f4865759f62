//! Amazon Translate.

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::TRANSLATE_TEXT;
use serde_json::json;

/// A text in English.
pub async fn to_english(client: &Client, language: &str, text: &str) -> Result<String, Failure> {
    let body = json!({"Text": text, "SourceLanguageCode": language, "TargetLanguageCode": "en"});
    let answer = client.json(TRANSLATE_TEXT, &body).await?;
    let english = answer["TranslatedText"].as_str().map(str::to_owned);
    english.ok_or_else(|| Failure::unreadable(TRANSLATE_TEXT, "it has no TranslatedText"))
}

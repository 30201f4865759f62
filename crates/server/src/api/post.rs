//! A post as the API tells it: from a row of the lake, or fresh from the pipeline.

use super::labels::Correction;
use crate::answers::{Row, micros};
use chrono::{DateTime, Utc};
use domain::{EnrichedPost, EntityKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A thing named in the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct EntityView {
    pub(crate) entity: String,
    pub(crate) kind: String,
    pub(crate) confidence: f64,
    /// First character of the text, counted from 0 (Unicode scalar values).
    pub(crate) begin: u32,
    /// One past the last character.
    pub(crate) end: u32,
}

/// Probabilities of each sentiment; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SentimentScores {
    positive: f64,
    negative: f64,
    neutral: f64,
    mixed: f64,
}

/// One post with what was understood of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PostView {
    pub(crate) post_id: String,
    source: String,
    platform: String,
    author: Option<String>,
    author_followers: Option<i64>,
    /// Where people can read it; only http and https.
    url: Option<String>,
    pub(crate) occurred_at: DateTime<Utc>,
    received_at: Option<DateTime<Utc>>,
    language: Option<String>,
    text: String,
    /// The text in English, when it is not English itself and was translated.
    text_en: Option<String>,
    /// `positive`, `negative`, `neutral` or `mixed`; none when no model has read it.
    sentiment: Option<String>,
    sentiment_scores: Option<SentimentScores>,
    emotion: Option<String>,
    /// Probability that the text is offensive.
    offensive: Option<f64>,
    category: Option<String>,
    category_confidence: Option<f64>,
    topics: Vec<String>,
    hashtags: Vec<String>,
    place: Option<String>,
    region: Option<String>,
    country: Option<String>,
    /// `geotag`, `text` or `profile`.
    place_from: Option<String>,
    repost_of: Option<String>,
    reach: Option<i64>,
    model: Option<String>,
    /// What could not be understood, and why.
    issues: Vec<String>,
    pub(crate) entities: Vec<EntityView>,
    /// Posts in view that say nearly the same, this one included.
    pub(crate) copies: u64,
    /// What a person said it really is.
    pub(crate) correction: Option<Correction>,
}

/// The columns that [`PostView::of_row`] reads.
pub(crate) fn columns() -> String {
    format!(
        "post_id, source, platform, author, author_followers, url, {}, {}, language, text, text_en, sentiment, \
         sentiment_positive, sentiment_negative, sentiment_neutral, sentiment_mixed, emotion, offensive, category, \
         category_confidence, topics, hashtags, place, region, country, place_from, repost_of, reach, model, issues",
        micros("occurred_at"),
        micros("received_at")
    )
}

/// Links that are safe to follow; a post may carry anything.
fn web_address(url: Option<String>) -> Option<String> {
    url.filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}

impl PostView {
    pub(crate) fn of_row(row: &Row<'_>) -> Self {
        let (language, text) = (row.text("language"), row.text("text").unwrap_or_default());
        let text_en = row.text("text_en").filter(|english| *english != text);
        Self {
            post_id: row.text("post_id").unwrap_or_default(),
            source: row.text("source").unwrap_or_default(),
            platform: row.text("platform").unwrap_or_default(),
            author: row.text("author"),
            author_followers: row.whole("author_followers"),
            url: web_address(row.text("url")),
            occurred_at: row.time("occurred_at").unwrap_or(DateTime::UNIX_EPOCH),
            received_at: row.time("received_at"),
            language,
            text,
            text_en,
            sentiment: row.text("sentiment"),
            sentiment_scores: scores(row),
            emotion: row.text("emotion"),
            offensive: row.number("offensive"),
            category: row.text("category"),
            category_confidence: row.number("category_confidence"),
            topics: row.texts("topics"),
            hashtags: row.texts("hashtags"),
            place: row.text("place"),
            region: row.text("region"),
            country: row.text("country"),
            place_from: row.text("place_from"),
            repost_of: row.text("repost_of"),
            reach: row.whole("reach"),
            model: row.text("model"),
            issues: row.texts("issues"),
            entities: Vec::new(),
            copies: 1,
            correction: None,
        }
    }

    pub(crate) fn of_enriched(enriched: &EnrichedPost) -> Self {
        let EnrichedPost { post, enrichment, topics, place, .. } = enriched;
        let author = post.author.as_ref();
        let sentiment = enrichment.sentiment;
        let place_view = place.as_ref().map(|(place, _)| place);
        let tag = |text: &str| text.trim_start_matches(['#', '＃']).to_owned();
        let hashtags = enrichment.entities.iter().filter(|entity| entity.kind == EntityKind::Hashtag);
        Self {
            post_id: post.id.to_string(),
            source: post.source.0.clone(),
            platform: post.platform.clone(),
            author: author.and_then(|author| author.username.clone()),
            author_followers: author.and_then(|author| author.followers).and_then(|count| i64::try_from(count).ok()),
            url: web_address(post.url.clone()),
            occurred_at: post.occurred_at,
            received_at: Some(post.received_at),
            language: Some(enrichment.language.code.clone()),
            text: post.text.clone(),
            text_en: enrichment.text_en.clone().filter(|english| *english != post.text),
            sentiment: sentiment.map(|sentiment| sentiment.label.as_str().to_owned()),
            sentiment_scores: sentiment.map(|sentiment| SentimentScores {
                positive: sentiment.positive.into(),
                negative: sentiment.negative.into(),
                neutral: sentiment.neutral.into(),
                mixed: sentiment.mixed.into(),
            }),
            emotion: enrichment.emotion.as_ref().map(|emotion| emotion.label.clone()),
            offensive: enrichment.offensive.map(f64::from),
            category: enrichment.category.as_ref().map(|category| category.label.clone()),
            category_confidence: enrichment.category.as_ref().map(|category| category.confidence.into()),
            topics: topics.clone(),
            hashtags: hashtags.map(|entity| tag(&entity.text)).collect(),
            place: place_view.map(|place| place.name.clone()),
            region: place_view.and_then(|place| place.region.clone()),
            country: place_view.map(|place| place.country.clone()),
            place_from: place.as_ref().map(|(_, from)| from.as_str().to_owned()),
            repost_of: post.repost_of.as_ref().map(ToString::to_string),
            reach: post.reach.and_then(|reach| i64::try_from(reach).ok()),
            model: Some(enrichment.model.clone()),
            issues: enrichment.issues.clone(),
            entities: enrichment.entities.iter().map(EntityView::of).collect(),
            copies: 1,
            correction: None,
        }
    }
}

fn scores(row: &Row<'_>) -> Option<SentimentScores> {
    Some(SentimentScores {
        positive: row.number("sentiment_positive")?,
        negative: row.number("sentiment_negative")?,
        neutral: row.number("sentiment_neutral")?,
        mixed: row.number("sentiment_mixed").unwrap_or(0.0),
    })
}

impl EntityView {
    fn of(entity: &domain::Entity) -> Self {
        Self {
            entity: entity.text.clone(),
            kind: entity.kind.as_str().to_owned(),
            confidence: entity.confidence.into(),
            begin: entity.begin,
            end: entity.end,
        }
    }

    pub(crate) fn of_row(row: &Row<'_>) -> Self {
        let position = |name| u32::try_from(row.count(name)).unwrap_or(0);
        Self {
            entity: row.text("entity").unwrap_or_default(),
            kind: row.text("kind").unwrap_or_default(),
            confidence: row.number("confidence").unwrap_or(0.0),
            begin: position("begin"),
            end: position("end"),
        }
    }
}

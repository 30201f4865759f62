//! A post as the API tells it: from a row of the lake, or fresh from the pipeline.

use super::labels::Correction;
use chrono::{DateTime, Utc};
use domain::analytics::{FoundPost, StoredPost};
use domain::{Entity, PostId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An entity in the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct EntityView {
    entity: String,
    kind: String,
    confidence: f64,
    /// First character of the text, counted from 0 (Unicode scalar values).
    begin: u32,
    /// One past the last character.
    end: u32,
}

/// Probabilities of each sentiment; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SentimentScores {
    positive: f64,
    negative: f64,
    neutral: f64,
    mixed: f64,
}

/// A post with its enrichment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PostView {
    post_id: String,
    source: String,
    platform: String,
    author: Option<String>,
    author_followers: Option<i64>,
    /// Web address; only http and https.
    url: Option<String>,
    pub(super) occurred_at: DateTime<Utc>,
    received_at: Option<DateTime<Utc>>,
    language: Option<String>,
    text: String,
    /// English translation, if the text is not English and was translated.
    text_en: Option<String>,
    /// `positive`, `negative`, `neutral` or `mixed`; null if it was not analyzed.
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
    /// Problems during enrichment.
    issues: Vec<String>,
    entities: Vec<EntityView>,
    /// Number of matching near-duplicates, including this post.
    copies: u64,
    /// The correction by a person.
    correction: Option<Correction>,
}

/// A link that is safe to follow; a post may carry anything.
pub(super) fn web_address(url: Option<&str>) -> Option<String> {
    url.filter(|url| url.starts_with("https://") || url.starts_with("http://")).map(str::to_owned)
}

/// The shortest decimal number of a score: 0.1, not the 0.10000000149 of the nearest double.
pub(super) fn decimal(score: f32) -> f64 {
    score.to_string().parse().unwrap_or_else(|_| score.into())
}

/// The translation, where it says something else than the text.
pub(super) fn translation(post: &StoredPost) -> Option<&str> {
    post.text_en.as_deref().filter(|english| *english != post.text)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl PostView {
    pub(crate) fn of(found: &FoundPost, correction: Option<Correction>) -> Self {
        let post = &found.post;
        Self {
            post_id: post.id.to_string(),
            source: post.source.clone(),
            platform: post.platform.clone(),
            author: post.author.clone(),
            author_followers: post.author_followers.map(signed),
            url: web_address(post.url.as_deref()),
            occurred_at: post.occurred_at,
            received_at: post.received_at,
            language: post.language.clone(),
            text: post.text.clone(),
            text_en: translation(post).map(str::to_owned),
            sentiment: post.sentiment.map(|label| label.as_str().to_owned()),
            sentiment_scores: post.sentiment_scores.map(SentimentScores::of),
            emotion: post.emotion.clone(),
            offensive: post.offensive.map(decimal),
            category: post.category.as_ref().map(|category| category.label.clone()),
            category_confidence: post.category.as_ref().map(|category| decimal(category.confidence)),
            topics: post.topics.clone(),
            hashtags: post.hashtags.clone(),
            place: post.place.clone(),
            region: post.region.clone(),
            country: post.country.clone(),
            place_from: post.place_from.map(|from| from.as_str().to_owned()),
            repost_of: post.repost_of.as_ref().map(PostId::to_string),
            reach: post.reach.map(signed),
            model: post.model.clone(),
            issues: post.issues.clone(),
            entities: found.entities.iter().map(EntityView::of).collect(),
            copies: found.copies,
            correction,
        }
    }
}

impl SentimentScores {
    fn of(scores: [f32; 4]) -> Self {
        let [positive, negative, neutral, mixed] = scores.map(decimal);
        Self { positive, negative, neutral, mixed }
    }
}

impl EntityView {
    fn of(entity: &Entity) -> Self {
        Self {
            entity: entity.text.clone(),
            kind: entity.kind.as_str().to_owned(),
            confidence: decimal(entity.confidence),
            begin: entity.begin,
            end: entity.end,
        }
    }
}

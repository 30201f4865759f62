//! Questions for single posts, and posts as they are stored.

use super::selection::{Selection, TimeRange};
use crate::clock::Timestamp;
use crate::enriched::EnrichedPost;
use crate::enrichment::{Category, Entity, KeyPhrase, SentimentLabel};
use crate::ids::PostId;
use crate::place::PlaceFrom;
use serde::Serialize;

/// The position of a post in the order of pages: the newest first, then the greatest id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Cursor {
    pub at: Timestamp,
    pub post_id: PostId,
}

/// Which are the newest posts after a cursor?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PostsQuery {
    pub selection: Selection,
    /// The last post of the page before.
    pub after: Option<Cursor>,
    /// Reposts and near-duplicates are one post: the newest of them.
    pub group_copies: bool,
    pub limit: usize,
}

/// A page of posts, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PostsPage {
    pub posts: Vec<FoundPost>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Cursor>,
}

/// A post with the entities of its text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundPost {
    pub post: StoredPost,
    /// In the order of the text.
    pub entities: Vec<Entity>,
    /// Selected posts that say nearly the same, this one included; 1 where they are not grouped.
    pub copies: u64,
}

/// A post and its enrichment as the lake stores them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredPost {
    pub id: PostId,
    pub source: String,
    pub platform: String,
    pub author: Option<String>,
    pub author_followers: Option<u64>,
    pub url: Option<String>,
    pub occurred_at: Timestamp,
    pub received_at: Option<Timestamp>,
    pub language: Option<String>,
    pub text: String,
    pub text_en: Option<String>,
    pub sentiment: Option<SentimentLabel>,
    /// Of positive, negative, neutral and mixed.
    pub sentiment_scores: Option<[f32; 4]>,
    pub emotion: Option<String>,
    pub offensive: Option<f32>,
    pub category: Option<Category>,
    pub topics: Vec<String>,
    /// Without `#`, in lower case.
    pub hashtags: Vec<String>,
    pub place: Option<String>,
    pub region: Option<String>,
    pub country: Option<String>,
    pub place_from: Option<PlaceFrom>,
    pub repost_of: Option<PostId>,
    pub reach: Option<u64>,
    pub model: Option<String>,
    pub issues: Vec<String>,
}

impl StoredPost {
    /// A post of which nothing else is known.
    pub fn new(id: PostId, text: String, occurred_at: Timestamp) -> Self {
        Self {
            source: String::new(),
            platform: id.platform().to_owned(),
            id,
            author: None,
            author_followers: None,
            url: None,
            occurred_at,
            received_at: None,
            language: None,
            text,
            text_en: None,
            sentiment: None,
            sentiment_scores: None,
            emotion: None,
            offensive: None,
            category: None,
            topics: Vec::new(),
            hashtags: Vec::new(),
            place: None,
            region: None,
            country: None,
            place_from: None,
            repost_of: None,
            reach: None,
            model: None,
            issues: Vec::new(),
        }
    }
}

impl From<&EnrichedPost> for StoredPost {
    fn from(enriched: &EnrichedPost) -> Self {
        let EnrichedPost { post, enrichment, topics, place: found, .. } = enriched;
        let author = post.author.as_ref();
        let place = found.as_ref().map(|(place, _)| place);
        let sentiment = enrichment.sentiment;
        Self {
            id: post.id.clone(),
            source: post.source.0.clone(),
            platform: post.platform.clone(),
            author: author.and_then(|author| author.username.clone()),
            author_followers: author.and_then(|author| author.followers),
            url: post.url.clone(),
            occurred_at: post.occurred_at,
            received_at: Some(post.received_at),
            language: Some(enrichment.language.code.clone()),
            text: post.text.clone(),
            text_en: enrichment.text_en.clone(),
            sentiment: sentiment.map(|sentiment| sentiment.label),
            sentiment_scores: sentiment.map(|of| [of.positive, of.negative, of.neutral, of.mixed]),
            emotion: enrichment.emotion.as_ref().map(|emotion| emotion.label.clone()),
            offensive: enrichment.offensive,
            category: enrichment.category.clone(),
            topics: topics.clone(),
            hashtags: enriched.hashtags(),
            place: place.map(|place| place.name.clone()),
            region: place.and_then(|place| place.region.clone()),
            country: place.map(|place| place.country.clone()),
            place_from: found.as_ref().map(|(_, from)| *from),
            repost_of: post.repost_of.clone(),
            reach: post.reach,
            model: Some(enrichment.model.clone()),
            issues: enrichment.issues.clone(),
        }
    }
}

impl From<&EnrichedPost> for FoundPost {
    fn from(enriched: &EnrichedPost) -> Self {
        let mut entities = enriched.enrichment.entities.clone();
        entities.sort_by_key(|entity| entity.begin);
        Self { post: enriched.into(), entities, copies: 1 }
    }
}

/// What is known of one post?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PostQuery {
    pub id: PostId,
    /// When it was published, if known: finds it much faster.
    pub at: Option<Timestamp>,
}

/// One post with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PostDetail {
    pub post: FoundPost,
    pub key_phrases: Vec<KeyPhrase>,
    /// Other posts within three days that say nearly the same, the newest first, then the greatest id, at most
    /// [`PostDetail::COPIES_MAX`].
    pub copies: Vec<PostCopy>,
    /// The platform's own JSON.
    pub payload: Option<String>,
    /// How it was ingested: `stream`, `search`, `push`, `file`, `sample`.
    pub provenance: Option<String>,
}

impl PostDetail {
    pub const COPIES_MAX: usize = 20;
    pub const COPIES_WITHIN_DAYS: i64 = 3;
}

/// A post that says nearly the same as another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostCopy {
    pub id: PostId,
    pub author: Option<String>,
    pub platform: String,
    pub occurred_at: Timestamp,
    pub url: Option<String>,
}

/// What do the newest posts of a time range say? Fewer than `limit` are given when their texts are very long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct RecentTextsQuery {
    pub range: TimeRange,
    pub limit: usize,
}

/// The part of a post that a topic's query looks at. The newest first, then the greatest id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostText {
    pub id: PostId,
    pub text: String,
    pub author: Option<String>,
    pub language: Option<String>,
    pub occurred_at: Timestamp,
}

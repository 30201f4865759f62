//! A post with what was understood of it.

use crate::clock::Timestamp;
use crate::enrichment::{Enrichment, EntityKind};
use crate::place::{Place, PlaceFrom};
use crate::post::Post;

/// A post with everything that was understood of it, ready for the lake.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedPost {
    /// Position in its queue partition.
    pub offset: u64,
    pub post: Post,
    pub enrichment: Enrichment,
    /// Names of the topics it mentions.
    pub topics: Vec<String>,
    /// The place of the post: the surest of geotag, text, profile.
    pub place: Option<(Place, PlaceFrom)>,
    /// Where the author says he lives, told apart from the post's own place.
    pub author_place: Option<Place>,
    pub enriched_at: Timestamp,
}

impl EnrichedPost {
    /// The post's hashtags as they are stored: without `#`, in lower case, each once.
    pub fn hashtags(&self) -> Vec<String> {
        let mut tags = Vec::new();
        for entity in self.enrichment.entities.iter().filter(|entity| entity.kind == EntityKind::Hashtag) {
            let tag = entity.text.trim_start_matches(['#', '＃']).to_lowercase();
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        tags
    }
}

//! The properties of a post that it is filtered and grouped by. This is the only list of them: the HTTP API, the lake and
//! the in-memory fake of the tests read it.

use crate::enriched::EnrichedPost;
use crate::enrichment::EntityKind;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What posts are grouped and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Dimension {
    Topic,
    Sentiment,
    Category,
    Language,
    Platform,
    Country,
    Source,
    Author,
    Place,
    Hashtag,
    Entity,
    Phrase,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 12] = [
        Self::Topic,
        Self::Sentiment,
        Self::Category,
        Self::Language,
        Self::Platform,
        Self::Country,
        Self::Source,
        Self::Author,
        Self::Place,
        Self::Hashtag,
        Self::Entity,
        Self::Phrase,
    ];

    /// Its name in URLs, answers and stored documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Sentiment => "sentiment",
            Self::Category => "category",
            Self::Language => "language",
            Self::Platform => "platform",
            Self::Country => "country",
            Self::Source => "source",
            Self::Author => "author",
            Self::Place => "place",
            Self::Hashtag => "hashtag",
            Self::Entity => "entity",
            Self::Phrase => "phrase",
        }
    }

    /// What its values are, where its name does not say it.
    pub fn about(self) -> Option<&'static str> {
        match self {
            Self::Topic => Some("Name of a topic; may be given several times (any of them), as may all that follow."),
            Self::Sentiment => Some("`positive`, `negative`, `neutral`, `mixed`."),
            Self::Language => Some("ISO 639 code. A language includes its varieties: `no` finds `nb`, `hi` `hi-Latn`."),
            Self::Country => Some("ISO 3166-1 alpha-2 code."),
            Self::Author => Some("Handle, without `@`."),
            Self::Hashtag => Some("Without `#`."),
            _ => None,
        }
    }

    /// Whether its values are compared without regard to case.
    pub fn ignores_case(self) -> bool {
        matches!(self, Self::Author | Self::Hashtag | Self::Entity | Self::Phrase)
    }

    /// The values that a post has. Links are not among the entities: there are too many different ones.
    pub fn values(self, enriched: &EnrichedPost) -> Vec<String> {
        let EnrichedPost { post, enrichment, topics, place, .. } = enriched;
        let place = place.as_ref().map(|(place, _)| place);
        match self {
            Self::Topic => topics.clone(),
            Self::Sentiment => one(enrichment.sentiment.map(|sentiment| sentiment.label.as_str())),
            Self::Category => one(enrichment.category.as_ref().map(|category| category.label.as_str())),
            Self::Language => one(Some(enrichment.language.code.as_str())),
            Self::Platform => one(Some(post.platform.as_str())),
            Self::Country => one(place.map(|place| place.country.as_str())),
            Self::Source => one(Some(post.source.0.as_str())),
            Self::Author => one(post.author.as_ref().and_then(|author| author.username.as_deref())),
            Self::Place => one(place.map(|place| place.name.as_str())),
            Self::Hashtag => enriched.hashtags(),
            Self::Entity => {
                let entities = enrichment.entities.iter().filter(|entity| entity.kind != EntityKind::Link);
                entities.map(|entity| entity.text.clone()).collect()
            }
            Self::Phrase => enrichment.key_phrases.iter().map(|phrase| phrase.text.clone()).collect(),
        }
    }
}

fn one(value: Option<&str>) -> Vec<String> {
    value.map(str::to_owned).into_iter().collect()
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dimension {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|dimension| dimension.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::reject(format!("unknown dimension {name:?} (use one of {known})"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_is_the_one_in_json() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.name().parse::<Dimension>().ok(), Some(dimension));
            assert_eq!(serde_json::to_value(dimension).unwrap(), dimension.name());
        }
        assert!("mood".parse::<Dimension>().unwrap_err().to_string().contains("topic, sentiment"));
    }
}

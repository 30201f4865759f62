//! Posts of the simple form as X's payloads.

use super::faults::Dice;
use domain::{Author, Post};
use serde_json::{Value, json};

/// A post that the simulator serves.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedPost {
    pub id: String,
    pub text: String,
    /// RFC 3339.
    pub created_at: String,
    pub username: String,
    pub location: Option<String>,
    /// Latitude and longitude.
    pub lat_lon: Option<(f64, f64)>,
    pub language: Option<String>,
    /// Ids of earlier versions.
    pub replaces: Vec<String>,
}

impl SimulatedPost {
    /// Reads a line of the simple form.
    pub fn from_simple(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let pair = value.get("lat_lon").and_then(Value::as_array);
        Some(Self {
            id: text("id")?,
            text: text("text")?,
            created_at: text("created_at")?,
            username: text("username").unwrap_or_else(|| "nobody".into()),
            location: text("user_location"),
            lat_lon: pair.and_then(|pair| Some((pair.first()?.as_f64()?, pair.get(1)?.as_f64()?))),
            language: text("lang"),
            replaces: Vec::new(),
        })
    }

    /// An author's id that stays the same for a name (FNV-1a).
    fn author_id(&self) -> String {
        let hash = self
            .username
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (hash >> 16).to_string()
    }

    /// The `data` of the post.
    pub(super) fn data(&self) -> Value {
        let mut history: Vec<&str> = self.replaces.iter().map(String::as_str).collect();
        history.push(&self.id);
        let mut data = json!({
            "id": self.id,
            "text": self.text,
            "author_id": self.author_id(),
            "created_at": self.created_at,
            "edit_history_tweet_ids": history,
            "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0,
                "bookmark_count": 0, "impression_count": 0},
        });
        if let Some(language) = &self.language {
            data["lang"] = json!(language);
        }
        if let Some((lat, lon)) = self.lat_lon {
            data["geo"] = json!({"coordinates": {"type": "Point", "coordinates": [lon, lat]}});
        }
        data
    }

    /// Its author, for `includes`.
    pub(super) fn user(&self) -> Value {
        let mut user = json!({
            "id": self.author_id(),
            "name": self.username,
            "username": self.username,
            "public_metrics": {"followers_count": 100, "following_count": 10, "tweet_count": 1000, "listed_count": 0},
        });
        if let Some(location) = &self.location {
            user["location"] = json!(location);
        }
        user
    }

    /// What our own queries are matched with.
    pub(super) fn as_post(&self) -> Post {
        let mut post = crate::posts::post(&self.id, &self.text);
        post.author = Some(Author { username: Some(self.username.clone()), ..Author::default() });
        post.language_hint = self.language.clone();
        post
    }

    /// The id as a number, for `since_id`.
    pub(super) fn number(&self) -> u64 {
        self.id.parse().unwrap_or(0)
    }

    /// How much later than another it was written, by the time in its id (milliseconds above 22 bits).
    pub(super) fn milliseconds_after(&self, other: &Self) -> u64 {
        (self.number() >> 22).saturating_sub(other.number() >> 22)
    }
}

/// Adds first versions for a share of the posts: the same words with a slip of the pen, and an id just below.
pub(super) fn with_edits(posts: Vec<SimulatedPost>, share: f64, seed: u64) -> Vec<SimulatedPost> {
    let mut dice = Dice::new(seed ^ 0xed17);
    let mut all = Vec::with_capacity(posts.len());
    for mut post in posts {
        let number = post.number();
        if number > 1 && dice.falls(share) {
            let first =
                SimulatedPost { id: (number - 1).to_string(), text: format!("{} teh", post.text), ..post.clone() };
            post.replaces = vec![first.id.clone()];
            all.push(first);
        }
        all.push(post);
    }
    all
}

//! Labels: what a person says that a post really is, with the whole history. Nothing is overwritten, and a withdrawal is
//! an entry of its own. A post whose label changed waits until its rows in the lake are written again with the label.

use crate::documents::{Documents, TRIES_MAX};
use crate::kind::Kind;
use crate::named::SaveError;
use chrono::{DateTime, Utc};
use domain::{Fault, PostId, Result, SentimentLabel, StateStore};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

/// Longest category, in characters.
const CATEGORY_MAX_CHARS: usize = 100;

/// What someone said a post is, when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Correction {
    pub by: String,
    pub at: DateTime<Utc>,
    /// `positive`, `negative`, `neutral` or `mixed`; none: as the model said.
    #[schema(value_type = Option<String>)]
    pub sentiment: Option<SentimentLabel>,
    /// None: as the model said.
    pub category: Option<String>,
    /// What the model had said when the post was first corrected.
    #[serde(default)]
    pub model_sentiment: Option<String>,
    #[serde(default)]
    pub model_category: Option<String>,
}

impl Correction {
    /// The same without white space at the ends of its category.
    pub fn trimmed(self) -> Self {
        Self { category: self.category.map(|category| category.trim().to_owned()), ..self }
    }

    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Fault> {
        match &self.category {
            Some(category) if !(1..=CATEGORY_MAX_CHARS).contains(&category.chars().count()) => {
                Err(Fault::new("category", format!("A category has 1 to {CATEGORY_MAX_CHARS} characters.")))
            }
            Some(category) if category.chars().any(char::is_control) => {
                Err(Fault::new("category", "A category has no control characters."))
            }
            _ => Ok(()),
        }
    }

    fn is_withdrawal(&self) -> bool {
        self.sentiment.is_none() && self.category.is_none()
    }
}

/// The labels.
pub struct Labels<'a> {
    store: &'a dyn StateStore,
    /// By post id.
    histories: Documents<'a, Vec<Correction>>,
    /// Ids of posts whose rows don't have their label yet, by post id and number of the correction.
    waiting: Documents<'a, String>,
}

impl<'a> Labels<'a> {
    pub fn new(store: &'a dyn StateStore) -> Self {
        let (histories, waiting) = (Documents::new(store, Kind::Label), Documents::new(store, Kind::LabelWaiting));
        Self { store, histories, waiting }
    }

    /// Every correction of a post, the oldest first.
    pub async fn history(&self, post: &str) -> Result<Vec<Correction>> {
        Ok(self.histories.get(post).await?.map(|stored| stored.value).unwrap_or_default())
    }

    /// The labels that hold now, by post. A post whose last correction was withdrawn has none.
    pub async fn current(&self) -> Result<HashMap<PostId, Correction>> {
        let mut labels = HashMap::new();
        for stored in self.histories.list().await? {
            if let Some(last) = stored.value.into_iter().last().filter(|last| !last.is_withdrawal()) {
                labels.insert(PostId::parse(stored.key)?, last);
            }
        }
        Ok(labels)
    }

    /// Adds a correction to a post's history, which is returned, and lets the post wait for its rows. What the model had
    /// said is taken from the first correction, if there is one.
    pub async fn add(&self, post: &PostId, correction: Correction) -> Result<Vec<Correction>, SaveError> {
        let (correction, key) = (correction.trimmed(), post.as_str());
        correction.check()?;
        for _ in 0..TRIES_MAX {
            let before = self.histories.get(key).await?;
            let mut history = before.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
            let mut next = correction.clone();
            if let Some(Correction { model_sentiment, model_category, .. }) = history.first().cloned() {
                next = Correction { model_sentiment, model_category, ..next };
            }
            history.push(next);
            let label = match &before {
                Some(before) => self.histories.changed(before, &history)?,
                None => self.histories.added(key, &history)?,
            };
            let entry = format!("{key}#{}", history.len());
            let waits = match self.waiting.get(&entry).await? {
                Some(left) => self.waiting.unchanged(&left),
                None => self.waiting.added(&entry, &key.to_owned())?,
            };
            if self.store.swap(vec![label, waits]).await? {
                return Ok(history);
            }
        }
        Err(self.histories.contended(key).into())
    }

    /// Posts whose rows are to be written again, each with the key of its entry: a correction made meanwhile has an entry
    /// of its own.
    pub async fn waiting(&self) -> Result<Vec<(String, PostId)>> {
        let waiting = self.waiting.list().await?.into_iter();
        waiting.map(|stored| Ok((stored.key, PostId::parse(stored.value)?))).collect()
    }

    /// The rows of the entry's post have its label now.
    pub async fn written(&self, entry: &str) -> Result<()> {
        self.waiting.delete(entry).await.map(drop)
    }

    /// Forgets what was said of these posts; says of how many.
    pub async fn forget(&self, posts: &HashSet<String>) -> Result<usize> {
        let mut count = 0;
        for post in posts {
            count += usize::from(self.histories.delete(post).await?);
        }
        for stored in self.waiting.list_readable().await? {
            if posts.contains(&stored.value) {
                self.waiting.delete(&stored.key).await?;
            }
        }
        Ok(count)
    }
}

//! The copies that other parts made of a post's words: examples of anomalies, alerts and notifications, dead letters, and
//! what people said of the post.

use domain::{Anomaly, Author, DeadLetter, Dimension, Driver, PostQueue, PostTable, Result};
use lake::Lake;
use queue::Embedded;
use serde_json::Value;
use state::Labels;
use std::collections::HashSet;

/// Anomalies read at once.
const PAGE: usize = 1_000;
/// Shorter ids and names occur by chance in a text that is not JSON.
const TOKEN_MIN: usize = 5;

/// What was found and cleared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleared {
    pub anomalies: usize,
    /// Alerts and notifications.
    pub documents: usize,
    pub dead_letters: usize,
    pub labels: usize,
}

/// What is to be cleared.
pub struct Traces<'a> {
    pub queue: &'a Embedded,
    pub lake: &'a Lake,
    pub posts: HashSet<String>,
    pub authors: HashSet<String>,
}

impl Traces<'_> {
    /// Clears all that can be found.
    pub async fn clear(&self) -> Result<Cleared> {
        Ok(Cleared {
            anomalies: self.anomalies().await?,
            documents: self.documents().await?,
            dead_letters: self.dead_letters().await?,
            labels: self.labels().await?,
        })
    }

    async fn anomalies(&self) -> Result<usize> {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = self.lake.anomalies_after(&after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after.clone_from(&last.id);
            let mut cleared = Vec::new();
            for mut anomaly in page {
                if self.clear_anomaly(&mut anomaly) {
                    cleared.push(anomaly);
                }
            }
            count += cleared.len();
            if !cleared.is_empty() {
                self.lake.put_anomalies(cleared).await?;
            }
        }
    }

    fn clear_anomaly(&self, anomaly: &mut Anomaly) -> bool {
        let before = (anomaly.examples.len(), anomaly.drivers.len());
        anomaly.examples.retain(|example| !self.posts.contains(&example.post_id));
        let (named, others) = std::mem::take(&mut anomaly.drivers).into_iter().partition::<Vec<Driver>, _>(|driver| {
            driver.dimension == Dimension::Author && self.is_author(&driver.value)
        });
        anomaly.drivers = others;
        for driver in named {
            anomaly.sentence = without_name(&anomaly.sentence, &driver.value);
        }
        before != (anomaly.examples.len(), anomaly.drivers.len())
    }

    fn is_author(&self, name: &str) -> bool {
        self.authors.contains(&Author::plain_name(name))
    }

    async fn documents(&self) -> Result<usize> {
        let clear = |document: &mut Value| {
            let mut named = Vec::new();
            self.clear_value(document, &mut named);
            named.iter().for_each(|name| blank(document, name));
        };
        state::edit_copies(self.queue, clear).await
    }

    /// Takes out of a document whatever is about one of the posts or names one of the authors, wherever it stands; adds
    /// the names as they were written.
    fn clear_value(&self, value: &mut Value, named: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                items.retain(|item| match self.trace(item) {
                    Some(name) => {
                        named.extend(name);
                        false
                    }
                    None => true,
                });
                items.iter_mut().for_each(|item| self.clear_value(item, named));
            }
            Value::Object(fields) => fields.values_mut().for_each(|field| self.clear_value(field, named)),
            _ => {}
        }
    }

    /// Whether an item is about one of the posts or authors; with the author's name as it is written.
    fn trace(&self, item: &Value) -> Option<Option<String>> {
        let field = |name: &str| item.get(name).and_then(Value::as_str);
        if field("post_id").is_some_and(|id| self.posts.contains(id)) {
            return Some(None);
        }
        let author = field("value").filter(|name| field("dimension") == Some("author") && self.is_author(name));
        author.map(|name| Some(name.to_owned()))
    }

    async fn dead_letters(&self) -> Result<usize> {
        let mut count = 0;
        for letter in self.queue.dead_letters(usize::MAX).await? {
            if self.is_in(&letter) && self.queue.remove_dead_letter(letter.id).await?.is_some() {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Whether what came in holds one of the posts, or is of one of the authors. A text that is not JSON is searched for
    /// the words themselves: rather one letter too many.
    fn is_in(&self, letter: &DeadLetter) -> bool {
        let of_platform = |id: &String| {
            let (platform, native) = id.split_once(':')?;
            (platform == letter.platform || letter.payload.contains(platform)).then(|| native.to_owned())
        };
        let ids: HashSet<String> = self.posts.iter().filter_map(of_platform).collect();
        match serde_json::from_str::<Value>(&letter.payload) {
            Ok(payload) => self.holds(&payload, &ids),
            Err(_) => {
                let tokens = letter.payload.split(|c: char| !(c.is_alphanumeric() || "_-:/.@".contains(c)));
                let long = |token: &&str| token.trim_start_matches('@').chars().count() >= TOKEN_MIN;
                tokens.filter(long).any(|token| ids.contains(token) || self.is_author(token))
            }
        }
    }

    fn holds(&self, value: &Value, ids: &HashSet<String>) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.holds(item, ids)),
            Value::Object(fields) => fields.iter().any(|(name, field)| {
                let text = match field {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return self.holds(field, ids),
                };
                ids.contains(&text)
                    || self.posts.contains(&text)
                    || NAMES.contains(&name.as_str()) && self.is_author(&text)
            }),
            _ => false,
        }
    }

    async fn labels(&self) -> Result<usize> {
        Labels::new(self.queue).forget(&self.posts).await
    }
}

/// Takes a name out of a sentence, which shows the reasons between stars.
fn without_name(sentence: &str, name: &str) -> String {
    sentence.replace(&format!("*{name}*"), "*…*")
}

/// Takes a name out of every sentence of a document.
fn blank(value: &mut Value, name: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, name)),
        Value::Object(fields) => {
            for (field, value) in fields {
                match value {
                    Value::String(text) if field == "sentence" || field == "title" => *text = without_name(text, name),
                    _ => blank(value, name),
                }
            }
        }
        _ => {}
    }
}

/// Fields that hold an author in the formats that are taken.
const NAMES: [&str; 10] =
    ["author", "username", "user", "screen_name", "handle", "author_id", "user_id", "author_username", "acct", "name"];

//! Single steps for a state machine: `classify`, `analyse`, `locate` add what was understood to each post of the event;
//! `save` stores the posts with what was added, by these steps or by others (a task of Comprehend, SageMaker or Amazon
//! Location that writes the same form), and understands what is missing.

use super::Function;
use crate::clock::clock;
use domain::{
    DeadLetter, EnrichedBatch, EnrichedPost, Enrichment, Error, Offset, PartitionId, Place, PlaceFrom, Post, PostTable,
    Provenance, Record, Result, SourceId, WorkQueue,
};
use serde_json::{Value, json};
use sources::record::{Origin, Parsed};
use std::sync::Arc;

/// What posts of an event gain on the way.
const ADDED: [&str; 4] = ["enrichment", "place", "author_place", "error"];

/// A post of an event, or why it is none.
type Read = Result<Post, String>;

impl Function {
    /// Answers the event with more in it.
    pub(super) async fn step(&self, event: &Value) -> Result<Value> {
        let wrong =
            |what| Error::reject(format!("the event has no {what}: {{\"step\": \"analyse\", \"posts\": [...]}}"));
        let step = event["step"].as_str().ok_or_else(|| wrong("step"))?;
        let mut posts = event["posts"].as_array().ok_or_else(|| wrong("posts"))?.clone();
        if !["classify", "analyse", "locate", "save"].contains(&step) {
            return Err(Error::reject(format!("unknown step {step:?} (use classify, analyse, locate or save)")));
        }
        let read: Vec<Read> = posts.iter().map(read).collect();
        let mut understood = self.understood(read.iter().flatten().cloned().collect()).await?.into_iter();
        let of_posts: Vec<Result<EnrichedPost, String>> = read
            .into_iter()
            .map(|read| {
                let post = read.map(|_| understood.next())?;
                post.map_or_else(|| Err("no answer".to_owned()), |answer| answer.map_err(|error| error.to_string()))
            })
            .collect();
        let mut answer = event.clone();
        if step == "save" {
            answer["saved"] = json!(self.save(event, &posts, of_posts).await?);
        } else {
            for (post, understood) in posts.iter_mut().zip(of_posts) {
                match understood {
                    Ok(understood) => add(step, post, understood),
                    Err(reason) => post["error"] = json!(reason),
                }
            }
            answer["posts"] = json!(posts);
        }
        Ok(answer)
    }

    async fn understood(&self, posts: Vec<Post>) -> Result<Vec<Result<EnrichedPost>>> {
        let (understand, now) = (self.understand.clone(), clock().now());
        let understood = tokio::task::spawn_blocking(move || understand.posts(posts, now)).await;
        understood.map_err(|error| Error::retry(format!("the understanding stage failed: {error}")))
    }

    /// Stores the posts under the event's id: the same event again stores nothing twice. How many the lake has now.
    async fn save(&self, event: &Value, given: &[Value], posts: Vec<Result<EnrichedPost, String>>) -> Result<usize> {
        let id = event["id"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| {
            Error::reject("the event has no id, which keeps it from being stored twice: pass the execution's name")
        })?;
        let partition = PartitionId::of_event("step", id);
        let (mut letters, mut all) = (Vec::new(), Vec::new());
        for ((offset, given), post) in (1..).zip(given).zip(posts) {
            match post {
                Ok(post) => all.push(with_given(EnrichedPost { offset, ..post }, given)),
                Err(reason) => letters.push(letter(given, reason)),
            }
        }
        self.handed.dead_letter_accepted(letters).await?;
        let named: Vec<(Offset, &Post)> = all.iter().map(|post| (post.offset, &post.post)).collect();
        let known = self.known(&partition, &named).await?;
        let saved = all.len();
        all.retain(|post| !known.contains(&post.post.id));
        if !all.is_empty() {
            let last_offset = given.len() as Offset;
            let deletions = all.iter().flat_map(|post| post.post.replaces.clone()).collect();
            let posts = Arc::new(all);
            self.table.commit(EnrichedBatch { partition, after_offset: 0, last_offset, posts, deletions }).await?;
        }
        Ok(saved)
    }
}

/// The post of an event: a payload of any known format, without what was added to it.
fn read(value: &Value) -> Read {
    let mut payload = value.clone();
    let object = payload.as_object_mut().ok_or("a post must be an object")?;
    ADDED.iter().for_each(|name| drop(object.remove(*name)));
    let origin = Origin {
        source: SourceId("step".into()),
        platform: String::new(),
        provenance: Provenance::Push,
        received_at: clock().now(),
    };
    let mut parsed = Parsed::default();
    sources::formats::parse_any(payload.to_string().as_bytes(), &origin, &mut parsed);
    match (parsed.records.pop(), parsed.rejections.pop()) {
        (Some(Record::Post(post)), None) if parsed.records.is_empty() => Ok(*post),
        (_, Some(rejection)) => Err(rejection.reason),
        _ => Err("it is not one post".to_owned()),
    }
}

/// Adds what the step is for.
fn add(step: &str, post: &mut Value, understood: EnrichedPost) {
    let EnrichedPost { enrichment, place, author_place, .. } = understood;
    match step {
        "classify" => post["enrichment"]["category"] = json!(enrichment.category),
        "locate" => {
            post["place"] = place.map_or(Value::Null, |(place, from)| {
                let mut value = json!(place);
                value["from"] = json!(from);
                value
            });
            post["author_place"] = json!(author_place);
        }
        _ => {
            let category = post["enrichment"]["category"].take();
            // The embedding is large and not stored.
            post["enrichment"] = json!(Enrichment { embedding: Vec::new(), category: None, ..enrichment });
            post["enrichment"]["category"] = category;
        }
    }
}

/// What was understood here, replaced by what the event says.
fn with_given(mut post: EnrichedPost, given: &Value) -> EnrichedPost {
    if let (Ok(mut ours), Some(parts)) = (serde_json::to_value(&post.enrichment), given["enrichment"].as_object()) {
        for (name, value) in parts.iter().filter(|(_, value)| !value.is_null()) {
            ours[name] = value.clone();
        }
        match serde_json::from_value(ours) {
            Ok(enrichment) => post.enrichment = enrichment,
            Err(error) => post.enrichment.issues.push(format!("the enrichment of the event can't be read: {error}")),
        }
    }
    if let Ok(place) = serde_json::from_value::<Place>(given["place"].clone()) {
        let from = serde_json::from_value(given["place"]["from"].clone()).unwrap_or(PlaceFrom::Text);
        post.place = Some((place, from));
    }
    post
}

fn letter(given: &Value, reason: String) -> DeadLetter {
    DeadLetter {
        id: 0,
        source: "step".into(),
        platform: given["platform"].as_str().unwrap_or_default().to_owned(),
        reason,
        payload: given.to_string(),
        payload_format: None,
        provenance: Some(Provenance::Push),
        occurred_at: clock().now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Category, Coordinates, PlaceKind};

    fn given() -> Value {
        json!({"id": "1", "platform": "shop", "text": "late again in Austin", "created_at": "2026-03-01T12:00:00Z"})
    }

    fn understood() -> EnrichedPost {
        let post = read(&given()).unwrap();
        let category = Some(Category { label: "ours".into(), confidence: 0.5 });
        EnrichedPost {
            offset: 0,
            enrichment: Enrichment { category, model: "ours 1".into(), ..Enrichment::default() },
            topics: vec!["late".into()],
            place: None,
            author_place: None,
            enriched_at: post.received_at,
            post,
        }
    }

    #[test]
    fn what_steps_add_comes_back_in_what_is_saved() {
        let mut post = given();
        add("analyse", &mut post, understood());
        assert_eq!((&post["enrichment"]["model"], &post["enrichment"]["category"]), (&json!("ours 1"), &Value::Null));
        add("classify", &mut post, understood());
        assert_eq!(post["enrichment"]["category"]["label"], "ours");
        assert_eq!(read(&post).unwrap().payload, read(&given()).unwrap().payload, "the payload is as it came");
        // A task of a state machine says otherwise.
        post["enrichment"]["category"] = json!({"label": "theirs", "confidence": 0.9});
        let austin = Place {
            name: "Austin".into(),
            country: "US".into(),
            region: None,
            region_code: None,
            coordinates: Coordinates { lat: 30.3, lon: -97.7 },
            kind: PlaceKind::City,
            confidence: 1.0,
        };
        post["place"] = json!(austin);
        let saved = with_given(understood(), &post);
        assert_eq!(saved.enrichment.category.unwrap().label, "theirs");
        assert_eq!(saved.place, Some((austin, PlaceFrom::Text)));
        assert_eq!(saved.topics, ["late"]);
    }

    #[test]
    fn what_cant_be_read_is_told_and_stops_nothing() {
        assert!(read(&json!("text")).unwrap_err().contains("object"));
        assert!(read(&json!({"id": "1"})).is_err());
        let mut post = given();
        post["enrichment"] = json!({"language": "en"});
        let saved = with_given(understood(), &post);
        assert_eq!(saved.enrichment.category.unwrap().label, "ours");
        assert!(saved.enrichment.issues[0].contains("can't be read"), "{:?}", saved.enrichment.issues);
    }
}

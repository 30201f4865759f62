//! Reads stored input again: posts of `raw` are enriched once more, dead letters are sent through their parser once more.

use crate::clock::clock;
use crate::config::Config;
use anyhow::{Context, Result};
use domain::{
    Appended, Category, DeadLetter, EnrichedPost, Enrichment, Post, PostId, PostQueue, Provenance, Record, Replayed,
    Sentiment, SentimentLabel, SourceId,
};
use lake::RawPost;
use pipeline::Understand;
use queue::Embedded;
use serde_json::json;
use sources::record::{Origin, Parsed};
use state::Correction;
use std::collections::HashMap;
use std::sync::Arc;

/// Posts of `raw` that were understood once more, and how many could not be.
pub struct Again {
    pub posts: Vec<EnrichedPost>,
    pub failed: usize,
}

/// Enriches stored posts once more. What people corrected stays as they said.
pub async fn understand_again(
    understand: &Arc<Understand>,
    labels: &HashMap<PostId, Correction>,
    stored: &[RawPost],
) -> Result<Again> {
    let posts: Vec<Post> = stored.iter().filter_map(|raw| post_from_raw(raw).ok()).collect();
    let (worker, now) = (Arc::clone(understand), clock().now());
    let answers = tokio::task::spawn_blocking(move || worker.posts(posts, now)).await?;
    let mut posts: Vec<EnrichedPost> = answers.into_iter().flatten().collect();
    for post in &mut posts {
        if let Some(label) = labels.get(&post.post.id) {
            relabel(&mut post.enrichment, label);
        }
    }
    Ok(Again { failed: stored.len() - posts.len(), posts })
}

/// What a person said stands before what the model said; its probabilities stay beside it.
fn relabel(enrichment: &mut Enrichment, correction: &Correction) {
    if let Some(label) = correction.sentiment {
        let sure = |of: SentimentLabel| if of == label { 1.0 } else { 0.0 };
        let (positive, negative) = (sure(SentimentLabel::Positive), sure(SentimentLabel::Negative));
        let (neutral, mixed) = (sure(SentimentLabel::Neutral), sure(SentimentLabel::Mixed));
        let unread = Sentiment { label, positive, negative, neutral, mixed };
        enrichment.sentiment = Some(Sentiment { label, ..enrichment.sentiment.unwrap_or(unread) });
    }
    if let Some(label) = &correction.category {
        enrichment.category = Some(Category { label: label.clone(), confidence: 1.0 });
    }
}

/// Sends a dead letter through the parser once more; the letter itself is left where it is.
///
/// What a push source may not bring now, it may not bring in this way either.
pub async fn replay(config: &Config, queue: &Embedded, letter: &DeadLetter) -> domain::Result<Replayed> {
    let origin = Origin {
        source: SourceId(letter.source.clone()),
        platform: letter.platform.clone(),
        // Letters of earlier versions do not say it.
        provenance: letter.provenance.unwrap_or(Provenance::File),
        received_at: clock().now(),
    };
    let mut parsed = Parsed::default();
    sources::formats::parse(letter.payload_format.as_deref(), letter.payload.as_bytes(), &origin, &mut parsed);
    if let Some(rejection) = parsed.rejections.into_iter().next() {
        return Ok(Replayed { accepted: 0, reason: Some(rejection.reason) });
    }
    if let Some(source) = letter.source.strip_prefix("push:") {
        let refused = config
            .sources
            .rights_of(source)
            .map_or_else(Some, |rights| parsed.records.iter().find_map(|record| rights.refusal(record)));
        if refused.is_some() {
            return Ok(Replayed { accepted: 0, reason: refused });
        }
    }
    let answers = queue.append(parsed.records).await?;
    let accepted = answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count() as u64;
    // The queue has seen the id before: whether its post was kept is not known, so the letter is not given up.
    let reason = match answers.iter().find(|answer| !matches!(answer, Appended::Stored(_))) {
        None => None,
        Some(Appended::Deleted) => Some("the post was deleted by its platform".to_owned()),
        Some(_) => {
            Some("a post with this id came in before; remove the letter if that one is the right one".to_owned())
        }
    };
    Ok(Replayed { accepted, reason })
}

/// Letters replayed at once: bounds memory, with the queue's own limit in bytes.
const LETTERS_PAGE: usize = 100;

/// Replays the letters with these ids (none: all); those that pass are taken out. Returns how many passed and failed.
pub async fn replay_dead_letters(config: &Config, queue: &Embedded, ids: &[u64]) -> Result<(u64, u64)> {
    let (mut passed, mut failed) = (0, 0);
    let mut count = |is_kept| if is_kept { passed += 1 } else { failed += 1 };
    for id in ids {
        let letter = queue.find_dead_letter(*id).await?;
        let letter = letter.with_context(|| format!("there is no dead letter {id}"))?;
        count(replay_one(config, queue, &letter).await?);
    }
    let mut before = if ids.is_empty() { u64::MAX } else { 0 };
    loop {
        let page = queue.dead_letters_before(before, LETTERS_PAGE).await?;
        let Some(last) = page.last() else { return Ok((passed, failed)) };
        before = last.id;
        for letter in &page {
            count(replay_one(config, queue, letter).await?);
        }
    }
}

/// Replays a letter and takes it out when it passes.
async fn replay_one(config: &Config, queue: &Embedded, letter: &DeadLetter) -> Result<bool> {
    if replay(config, queue, letter).await?.reason.is_some() {
        return Ok(false);
    }
    queue.remove_dead_letter(letter.id).await?;
    Ok(true)
}

/// The post of a payload in `raw`.
fn post_from_raw(raw: &RawPost) -> Result<Post> {
    let origin = Origin {
        source: SourceId(raw.source.clone()),
        platform: raw.platform.clone(),
        provenance: serde_json::from_value(json!(raw.provenance)).context("read the provenance")?,
        received_at: raw.received_at,
    };
    let mut parsed = Parsed::default();
    sources::formats::parse(raw.payload_format.as_deref(), raw.payload.as_bytes(), &origin, &mut parsed);
    let posts = parsed.records.into_iter().filter_map(|record| match record {
        Record::Post(post) => Some(*post),
        Record::Deletion(_) => None,
    });
    let found = posts.into_iter().find(|post| post.id.as_str() == raw.post_id);
    found.with_context(|| format!("the payload of {} can't be read any more", raw.post_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::WorkQueue;
    use std::time::Duration;

    #[tokio::test]
    async fn a_replayed_letter_keeps_its_format_and_how_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: folder.path().into(), ..Config::load(None, None).unwrap() };
        let queue = crate::wiring::open_queue(&config).unwrap();
        let letter = DeadLetter {
            id: 1,
            source: "news".into(),
            platform: "news".into(),
            reason: "no text".into(),
            payload: r#"{"id":"1","text":"words","created_at":"2026-03-01T12:00:00Z"}"#.into(),
            payload_format: Some("simple".into()),
            provenance: Some(Provenance::Poll),
            occurred_at: clock().now(),
        };
        assert_eq!(replay(&config, &queue, &letter).await.unwrap().accepted, 1);
        let lease = queue.lease(1, Duration::from_secs(60)).await.unwrap().unwrap();
        let Record::Post(post) = &lease.records[0].record else { panic!("a post") };
        assert_eq!((post.provenance, post.payload_format.as_deref()), (Provenance::Poll, Some("simple")));
        // A format is never guessed when it is known.
        let newer = DeadLetter { payload_format: Some("simple-9".into()), ..letter };
        let reason = replay(&config, &queue, &newer).await.unwrap().reason.unwrap();
        assert!(reason.contains("simple-9"), "{reason}");
    }
}

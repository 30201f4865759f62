//! Stored posts are enriched again with what people said of them, and dead letters are replayed.

use domain::topic::{Topic, TopicMatcher};
use domain::{
    DeadLetter, EnrichedPost, ManualClock, Origin, PayloadRecords, Post, PostId, PostQueue, PostTable, RawSelection,
    Record, SentimentLabel,
};
use pipeline::{Corrections, Replay, Reprocess, Reprocessed, Understand};
use places::Gazetteer;
use state::{Correction, Labels, MemoryState};
use std::sync::Arc;
use testkit::posts::{batch, enriched, noon};
use testkit::{FakeEnricher, MemoryLake, MemoryQueue};

/// The payloads of these tests are `native id|text`.
fn read(_: Option<&str>, payload: &str, origin: &Origin) -> PayloadRecords {
    let Some((id, text)) = payload.split_once('|') else {
        return PayloadRecords { rejections: vec!["no bar".into()], ..PayloadRecords::default() };
    };
    let mut post = Post::of_text(PostId::new(&origin.platform, id).unwrap(), text.into(), noon());
    post.payload = payload.into();
    PayloadRecords { records: vec![Record::Post(Box::new(post))], ..PayloadRecords::default() }
}

fn reprocess() -> Reprocess {
    let topic = Topic { name: "ice".into(), query: "ice".into(), created_at: noon() };
    let topics = TopicMatcher::new(vec![topic]).unwrap();
    let understand = Understand::new(Arc::new(FakeEnricher), Gazetteer::embedded().unwrap(), topics);
    Reprocess { understand: Arc::new(understand), read }
}

async fn stored() -> Arc<MemoryLake> {
    let lake = MemoryLake::default();
    let stored = |(number, text): (u64, &str)| {
        let mut post = EnrichedPost { offset: number, ..enriched(&number.to_string(), text) };
        post.post.payload = format!("{number}|{text}");
        post
    };
    let mut posts: Vec<EnrichedPost> = (1..).zip(["en ice", "de hallo", "damaged"]).map(stored).collect();
    posts[2].post.payload = "damaged".into();
    lake.commit(batch(posts)).await.unwrap();
    Arc::new(lake)
}

fn correction(sentiment: Option<SentimentLabel>) -> Correction {
    Correction {
        by: "ada".into(),
        at: noon(),
        sentiment,
        category: sentiment.map(|_| "praise".to_owned()),
        model_sentiment: None,
        model_category: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_selected_post_is_written_again_and_what_people_said_stays() {
    let (lake, state) = (stored().await, MemoryState::default());
    let post = PostId::parse("x:2").unwrap();
    Labels::new(&state).add(&post, correction(Some(SentimentLabel::Positive))).await.unwrap();
    let all = RawSelection::Days(vec![noon().date_naive()]);
    let again = reprocess().run(lake.as_ref(), &state, &all, noon(), |_| {}).await.unwrap();
    assert_eq!(again, Reprocessed { done: 2, failed: 1 });
    let posts = lake.posts();
    assert_eq!(posts[0].topics, ["ice"], "matched against the topics of today");
    assert_eq!(posts[1].enrichment.language.code, "de");
    assert_eq!(posts[1].enrichment.sentiment.as_ref().unwrap().label, SentimentLabel::Positive);
    assert_eq!(posts[1].enrichment.category.as_ref().unwrap().label, "praise");
    assert_eq!(posts[2].enrichment.model, "test 1", "what can't be read any more stays as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_is_written_once_and_its_withdrawal_brings_the_models_word_back() {
    let (lake, state) = (stored().await, Arc::new(MemoryState::default()));
    let clock = Arc::new(ManualClock::at(noon()));
    let corrections = Corrections { state: state.clone(), lake: lake.clone(), reprocess: reprocess(), clock };
    let (labels, post) = (Labels::new(state.as_ref()), PostId::parse("x:1").unwrap());
    let said = || lake.posts()[0].enrichment.sentiment.as_ref().map(|sentiment| sentiment.label);
    labels.add(&post, correction(Some(SentimentLabel::Negative))).await.unwrap();
    corrections.apply().await.unwrap();
    assert_eq!(said(), Some(SentimentLabel::Negative));
    assert!(labels.waiting().await.unwrap().is_empty());
    labels.add(&post, correction(None)).await.unwrap();
    corrections.apply().await.unwrap();
    assert_eq!(said(), None);
}

#[tokio::test]
async fn a_letter_that_passes_is_taken_out_and_the_others_stay() {
    let queue = MemoryQueue::default();
    let letter = |source: &str, payload: &str| DeadLetter {
        id: 0,
        source: source.into(),
        platform: "x".into(),
        reason: "no text".into(),
        payload: payload.into(),
        payload_format: None,
        provenance: None,
        occurred_at: noon(),
    };
    let letters = vec![letter("a", "1|hello"), letter("a", "still bad"), letter("foreign", "2|hello")];
    queue.dead_letter(letters).await.unwrap();
    let clock = ManualClock::at(noon());
    let refusal = |source: &str, records: &[Record]| {
        (source == "foreign" && !records.is_empty()).then(|| "may not push".to_owned())
    };
    let replay = Replay { queue: &queue, read, refusal: Box::new(refusal), clock: &clock };
    assert_eq!(replay.letters(&[]).await.unwrap(), (1, 2));
    let left: Vec<String> = queue.dead_letters(9).await.unwrap().into_iter().map(|letter| letter.payload).collect();
    assert_eq!(left, ["2|hello", "still bad"]);
    let again = replay.letter(&letter("a", "1|hello")).await.unwrap();
    assert!(again.reason.unwrap().contains("came in before"));
    assert!(replay.letters(&[77]).await.unwrap_err().to_string().contains("no dead letter 77"));
}

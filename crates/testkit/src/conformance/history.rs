//! The promises of [`WatchHistory`] and [`RuleHistory`].

use crate::MemoryLake;
use crate::posts::{noon, post};
use chrono::TimeDelta;
use domain::{
    Anomaly, Author, Category, Dimension, Driver, EnrichedBatch, EnrichedPost, Enrichment, Entity, EntityKind,
    IncidentScope, KeyPhrase, PostTable, RuleHistory, Sentiment, SentimentLabel, SeriesKey, Severity, Slice, TimeRange,
    Timestamp, WatchHistory, Windows,
};
use std::sync::Arc;

/// A store of posts that the watch and alert rules can be asked of.
pub trait History: PostTable + WatchHistory + RuleHistory {}
impl<T: PostTable + WatchHistory + RuleHistory> History for T {}

/// Time, author, text, whether it is negative, and the values of each dimension.
type PostOfEvidence = (Timestamp, String, String, bool, Vec<(Dimension, String)>);

const DIMENSIONS: [Dimension; 2] = [Dimension::Sentiment, Dimension::Platform];
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Runs every promise against a fresh store each.
pub async fn history<T: History>(make: impl AsyncFn() -> Arc<T>) {
    an_empty_store_has_answers(make().await.as_ref()).await;
    counts_are_those_of_the_posts(make().await.as_ref()).await;
    a_part_is_a_value_within_a_topic(make().await.as_ref()).await;
    an_incident_is_explained_by_its_posts_and_those_before(make().await.as_ref()).await;
    a_sample_stands_for_all_posts(make().await.as_ref()).await;
    rules_are_answered(make().await.as_ref()).await;
    anomalies_come_back_whole(make().await.as_ref()).await;
}

fn at(minutes: i64) -> Timestamp {
    noon() + TimeDelta::minutes(minutes)
}

fn range(from: i64, to: i64) -> TimeRange {
    TimeRange { from: at(from), to: at(to) }
}

/// A post, published `minutes` after noon.
fn enriched(number: u64, minutes: i64) -> EnrichedPost {
    let mut post = post(&number.to_string(), &format!("The 100% late Train of {number}"));
    (post.occurred_at, post.received_at) = (at(minutes), at(minutes) + TimeDelta::seconds(1));
    post.author = Some(Author { username: Some(format!("rider_{}", number % 5)), ..Author::default() });
    let label = if number.is_multiple_of(3) { SentimentLabel::Negative } else { SentimentLabel::Neutral };
    let entity = |text: &str, kind| Entity { text: text.into(), kind, confidence: 0.9, begin: 0, end: 3 };
    let enrichment = Enrichment {
        sentiment: Some(Sentiment { label, positive: 0.0, negative: 0.0, neutral: 1.0, mixed: 0.0 }),
        category: (!number.is_multiple_of(4))
            .then(|| Category { label: format!("category {}", number % 4), confidence: 0.9 }),
        entities: vec![
            entity("Berlin", EntityKind::Location),
            entity("#Late", EntityKind::Hashtag),
            entity("https://example.com", EntityKind::Link),
        ],
        key_phrases: vec![KeyPhrase { text: format!("Line {}", number % 2), confidence: 0.9, begin: 0, end: 3 }],
        fingerprint: (number.is_multiple_of(2)).then_some(7),
        model: "test".into(),
        ..Enrichment::default()
    };
    let topics: &[&str] = if number.is_multiple_of(2) { &["trains", "it's late"] } else { &["trains"] };
    EnrichedPost {
        offset: number,
        enriched_at: post.received_at + TimeDelta::seconds(1),
        post,
        enrichment,
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        place: None,
        author_place: None,
    }
}

async fn commit(store: &impl History, posts: Vec<EnrichedPost>) {
    let last_offset = posts.iter().map(|post| post.offset).max().unwrap_or(0);
    let (partition, posts) = ("posts".into(), Arc::new(posts));
    store
        .commit(EnrichedBatch { partition, after_offset: 0, last_offset, posts, deletions: Vec::new() })
        .await
        .expect("commit");
}

/// Posts of two days, one every seven minutes.
fn two_days() -> Vec<EnrichedPost> {
    (1..=400).map(|number| enriched(number, number as i64 * 7)).collect()
}

async fn an_empty_store_has_answers(store: &impl History) {
    assert_eq!(store.span().await.expect("span"), None);
    assert_eq!(store.mentions(&SeriesKey::all_posts(), range(0, 60)).await.expect("mentions"), 0);
    assert!(store.topic_counts(range(0, 60), 3600).await.expect("counts").is_empty());
    assert!(store.explained_ends().await.expect("ends").is_empty());
    assert_eq!(store.first_mention(None, "train", None).await.expect("first mention"), None);
    assert_eq!(store.last_received("test", at(0)).await.expect("last received"), None);
}

async fn counts_are_those_of_the_posts(store: &impl History) {
    let model = MemoryLake::default();
    let before = WatchHistory::version(store);
    commit(store, two_days()).await;
    commit(&model, two_days()).await;
    assert!(WatchHistory::version(store) > before);
    assert_eq!(store.span().await.expect("span"), Some((at(7), at(2_800))));
    for range in [range(0, 1_440), range(600, 1_260), range(0, 3_000), range(-100, 0)] {
        for interval_s in [900, 3600] {
            let counts = store.topic_counts(range, interval_s).await.expect("counts");
            assert_eq!(counts, model.topic_counts(range, interval_s).await.expect("counts"), "{range:?}");
            let counts = store.part_counts(range, interval_s, &DIMENSIONS).await.expect("counts");
            assert_eq!(counts, model.part_counts(range, interval_s, &DIMENSIONS).await.expect("counts"), "{range:?}");
            let posts = store.posts_by_interval(range, interval_s).await.expect("posts");
            assert_eq!(posts, model.posts_by_interval(range, interval_s).await.expect("posts"), "{range:?}");
        }
    }
}

async fn a_part_is_a_value_within_a_topic(store: &impl History) {
    commit(store, (1..=12).map(|number| enriched(number, number as i64)).collect()).await;
    let key =
        |topic: &str, dimension, value: &str| SeriesKey { topic: topic.into(), part: Some((dimension, value.into())) };
    let mentions = async |key: SeriesKey| store.mentions(&key, range(0, 60)).await.expect("mentions");
    assert_eq!(mentions(SeriesKey::all_posts()).await, 12);
    assert_eq!(mentions(SeriesKey::whole("it's late")).await, 6);
    assert_eq!(mentions(key("it's late", Dimension::Sentiment, "negative")).await, 2);
    assert_eq!(mentions(key("trains", Dimension::Category, "category 1")).await, 3);
    assert_eq!(mentions(SeriesKey::whole("ferries")).await, 0);
    let counts = store.part_counts(range(0, 60), 3600, &DIMENSIONS).await.expect("counts");
    assert_eq!(counts.get(&key("it's late", Dimension::Sentiment, "negative")), Some(&vec![(at(0), 2.0)]));
    let all_posts = |key: &&SeriesKey| key.topic == domain::ALL_POSTS && key.category().is_some();
    assert_eq!(counts.keys().find(all_posts), None, "categories belong to topics");
}

fn scope(posts_max: u32) -> IncidentScope {
    IncidentScope {
        series: SeriesKey::whole("trains"),
        range: range(2_400, 2_700),
        baseline: TimeDelta::minutes(1_200),
        posts_max,
        baseline_posts_max: posts_max,
        examples_max: 10,
    }
}

async fn an_incident_is_explained_by_its_posts_and_those_before(store: &impl History) {
    let model = MemoryLake::default();
    commit(store, two_days()).await;
    commit(&model, two_days()).await;
    let (evidence, expected) =
        (store.evidence(&scope(1_000)).await.expect("evidence"), model.evidence(&scope(1_000)).await);
    let expected = expected.expect("evidence");
    assert_eq!(evidence.weight, 1.0);
    // In the order of their times, each with its values.
    let sorted = |evidence: &domain::Evidence| {
        let mut posts: Vec<PostOfEvidence> = Vec::new();
        for post in &evidence.posts {
            posts.push((post.occurred_at, post.author.clone(), post.message.clone(), post.is_negative, Vec::new()));
        }
        for (dimension, values) in &evidence.values {
            values.iter().for_each(|(post, value)| posts[*post as usize].4.push((*dimension, value.clone())));
        }
        posts.sort();
        posts
    };
    assert_eq!(sorted(&evidence), sorted(&expected));
    assert_eq!(evidence.examples.len(), 10);
    let is_within = |post: &domain::PostInWindow| {
        let number = post.post_id.strip_prefix("x:").and_then(|id| id.parse::<i64>().ok());
        number.is_some_and(|number| (2_400..2_700).contains(&(number * 7)))
    };
    assert!(evidence.examples.iter().all(|post| is_within(post) && post.text.contains("late Train")));
}

async fn a_sample_stands_for_all_posts(store: &impl History) {
    let posts: Vec<EnrichedPost> = (1..=2_000).map(|number| enriched(number, number as i64)).collect();
    commit(store, posts).await;
    let wide = IncidentScope { range: range(1_000, 2_001), baseline: TimeDelta::minutes(999), ..scope(100) };
    let evidence = store.evidence(&wide).await.expect("evidence");
    let of_incident = evidence.posts.iter().filter(|post| post.occurred_at >= at(1_000)).count() as f64;
    let stands_for = of_incident * evidence.weight;
    assert!((500.0..=2_000.0).contains(&stands_for), "{of_incident} posts of weight {}", evidence.weight);
    assert!(evidence.posts.len() >= evidence.values[&Dimension::Phrase].len(), "terms are those of the sample");
}

async fn rules_are_answered(store: &impl History) {
    commit(store, two_days()).await;
    let windows = Windows { from: at(0), length: HOUR, count: 3 };
    let counts = store.window_counts(Some("it's late"), windows).await.expect("windows");
    let mentions: Vec<u64> = counts.iter().map(|count| count.mentions).collect();
    assert_eq!(mentions, [4, 4, 4]);
    assert_eq!(counts[0].negative, 1);
    let first = async |topic, phrase, since| store.first_mention(topic, phrase, since).await.expect("first mention");
    assert_eq!(first(None, "late TRAIN", None).await, Some(at(7)));
    assert_eq!(first(Some("it's late"), "late train", None).await, Some(at(14)));
    assert_eq!(first(None, "100%", None).await, Some(at(7)));
    assert_eq!(first(None, "1_0%", None).await, None, "wildcards are plain text");
    assert_eq!(first(None, "train", Some(at(70))).await, Some(at(70)), "enriched since then");
    let received = async |source, since| store.last_received(source, since).await.expect("last received");
    assert_eq!(received("test", at(0)).await, Some(at(2_800) + TimeDelta::seconds(1)));
    assert_eq!(received("test", at(2_801)).await, None);
    assert_eq!(received("o'ther", at(0)).await, None);
    let seconds = store.received("test", range(0, 20)).await.expect("received");
    assert_eq!(seconds, [at(7) + TimeDelta::seconds(1), at(14) + TimeDelta::seconds(1)]);
}

fn anomaly(id: &str, topic: &str, onset: Timestamp) -> Anomaly {
    let driver = Driver {
        dimension: Dimension::Phrase,
        value: "lost bag".into(),
        observed: 40.0,
        expected: 2.5,
        contribution: 0.6,
        new: true,
    };
    Anomaly {
        id: id.into(),
        topic: topic.into(),
        category: None,
        slice: Some(Slice { dimension: Dimension::Sentiment, value: "negative".into() }),
        interval_s: 900,
        onset,
        end: None,
        observed: 60.0,
        expected: 12.0,
        lower: 5.0,
        upper: 20.0,
        score: 0.9,
        severity: Severity::High,
        sentence: "Mentions of *trains* are 5 times the usual.".into(),
        drivers: vec![driver],
        examples: Vec::new(),
        detected_at: onset + HOUR,
    }
}

async fn anomalies_come_back_whole(store: &impl History) {
    let over = Anomaly { end: Some(at(45)), ..anomaly("a", "trains", at(0)) };
    let unexplained = Anomaly { end: Some(at(45)), drivers: Vec::new(), ..anomaly("b", "it's late", at(15)) };
    let open = anomaly("c", "trains", at(30));
    store.put_anomalies(vec![open.clone(), unexplained.clone(), over.clone()]).await.expect("put");
    let ask = async |topic, range| RuleHistory::anomalies(store, topic, range).await.expect("anomalies");
    assert_eq!(ask(None, range(0, 60)).await, [over.clone(), unexplained.clone(), open.clone()]);
    assert_eq!(ask(Some("it's late"), range(0, 60)).await, [unexplained]);
    assert_eq!(ask(None, range(15, 30)).await.len(), 1);
    let ends = store.explained_ends().await.expect("ends");
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [("a".to_owned(), at(45))]);
}

//! The promises of [`Analytics`] and of the writing side, [`PostTable`], that belongs to it.

use crate::MemoryLake;
use crate::posts::{batch, enriched, noon};
use crate::random::{self, Random};
use chrono::TimeDelta;
use domain::analytics::{
    AlertsQuery, Analytics, AnomaliesQuery, BreakdownQuery, CountriesQuery, FoundPost, PlacesQuery, PostQuery,
    PostsQuery, RecentTextsQuery, SeriesQuery, StoredPost, TopicVolumesQuery, TotalsQuery,
};
use domain::{
    Alert, AlertState, Anomaly, Dimension, EnrichedBatch, EnrichedPost, PostId, PostTable, Selection, Severity, Slice,
    TimeRange, Timestamp,
};
use futures::TryStreamExt as _;
use std::fmt::Debug;

/// Runs every promise against a fresh lake each.
pub async fn lake<L: Analytics + PostTable>(make: impl AsyncFn() -> L) {
    an_empty_lake_has_no_answers(make().await).await;
    a_batch_counts_once(make().await).await;
    the_version_grows_with_every_change(make().await).await;
    a_rewritten_post_is_found_as_it_is_now(make().await).await;
    pages_leave_no_post_out_and_show_none_twice(make().await).await;
    a_post_is_found_by_its_id(make().await).await;
    anomalies_and_alerts_come_back_whole(make().await).await;
    an_export_holds_every_selected_post(make().await).await;
    let (filled, fake) = (make().await, MemoryLake::default());
    commit(&filled, (1..=400).map(random::post).collect()).await;
    commit(&fake, (1..=400).map(random::post).collect()).await;
    says_the_same(&filled, &fake, 1, 6).await;
}

async fn commit<L: PostTable>(lake: &L, posts: Vec<EnrichedPost>) {
    lake.commit(batch(posts)).await.expect("commit");
}

/// From `from` to `to` hours after noon.
fn hours(from: i64, to: i64) -> TimeRange {
    TimeRange { from: noon() + TimeDelta::hours(from), to: noon() + TimeDelta::hours(to) }
}

fn all() -> Selection {
    Selection::all(hours(-1000, 1000))
}

/// A post so many hours after noon.
fn post(number: u64, hour: i64) -> EnrichedPost {
    let mut post = enriched(&number.to_string(), &format!("text of {number}"));
    post.offset = number;
    post.post.occurred_at = noon() + TimeDelta::hours(hour);
    post
}

async fn mentions<L: Analytics>(lake: &L) -> u64 {
    let query = TotalsQuery { selection: all(), since: noon() };
    let totals = lake.totals(&query).await.expect("totals");
    totals.before.counts.mentions + totals.since.counts.mentions
}

async fn an_empty_lake_has_no_answers<L: Analytics>(lake: L) {
    assert_eq!(mentions(&lake).await, 0);
    assert_eq!(lake.newest_at().await.expect("newest"), None);
    let page = PostsQuery { selection: all(), after: None, group_copies: false, limit: 10 };
    assert!(lake.posts(&page).await.expect("posts").posts.is_empty());
    let query = PostQuery { id: post(1, 0).post.id, at: None };
    assert_eq!(lake.post(&query).await.expect("post"), None);
    let (selection, origin) = (all(), noon());
    for by in Dimension::ALL {
        let query = SeriesQuery { selection: selection.clone(), by, origin, step_s: 3_600 };
        let is_answered = lake.series(&query).await.is_ok();
        assert_eq!(is_answered, SeriesQuery::DIMENSIONS.contains(&by), "a series by {by}");
    }
}

async fn a_batch_counts_once<L: Analytics + PostTable>(lake: L) {
    commit(&lake, vec![post(1, 0), post(2, 1)]).await;
    commit(&lake, vec![post(1, 0), post(2, 1)]).await;
    commit(&lake, vec![post(2, 1), post(3, 2)]).await;
    assert_eq!(mentions(&lake).await, 3);
    assert_eq!(lake.committed(&"posts".into()).await.expect("committed"), Some(3));
    let deletions = vec![post(1, 0).post.id];
    let batch = EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset: 4,
        posts: std::sync::Arc::default(),
        deletions,
    };
    lake.commit(batch).await.expect("commit of a deletion");
    assert_eq!(mentions(&lake).await, 2, "a deleted post does not count");
}

async fn the_version_grows_with_every_change<L: Analytics + PostTable>(lake: L) {
    let mut before = lake.version();
    for number in 1..=3 {
        commit(&lake, vec![post(number, 0)]).await;
        assert!(lake.version() > before, "after commit {number}");
        before = lake.version();
    }
    lake.put_anomalies(vec![anomaly("a", 0)]).await.expect("put");
    assert!(lake.version() > before, "after an anomaly");
}

async fn a_rewritten_post_is_found_as_it_is_now<L: Analytics + PostTable>(lake: L) {
    commit(&lake, vec![post(1, 0), post(2, 0)]).await;
    lake.rewrite(vec![EnrichedPost { topics: vec!["storm".into()], ..post(1, 0) }]).await.expect("rewrite");
    let query = BreakdownQuery { selection: all(), by: Dimension::Topic, limit: 5 };
    let topics = lake.breakdown(&query).await.expect("breakdown");
    assert_eq!((topics.len(), topics[0].value.as_str(), topics[0].counts.mentions), (1, "storm", 1));
    assert_eq!(mentions(&lake).await, 2);
}

async fn pages_leave_no_post_out_and_show_none_twice<L: Analytics + PostTable>(lake: L) {
    // Many of one instant: the cursor tells them apart by their ids.
    let posts: Vec<EnrichedPost> = (1..=25).map(|number| post(number, i64::from(number > 12))).collect();
    commit(&lake, posts.clone()).await;
    let mut query = PostsQuery { selection: all(), after: None, group_copies: false, limit: 4 };
    let mut shown: Vec<(Timestamp, PostId)> = Vec::new();
    loop {
        let page = lake.posts(&query).await.expect("a page");
        assert!(page.posts.len() == 4 || page.next.is_none(), "only the last page is shorter");
        shown.extend(page.posts.into_iter().map(|found| (found.post.occurred_at, found.post.id)));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let mut expected: Vec<(Timestamp, PostId)> =
        posts.into_iter().map(|post| (post.post.occurred_at, post.post.id)).collect();
    expected.sort();
    expected.reverse();
    assert_eq!(shown, expected);
}

async fn a_post_is_found_by_its_id<L: Analytics + PostTable>(lake: L) {
    let mut copies: Vec<EnrichedPost> = [0, 70, 80].into_iter().zip(1..).map(|(hour, nth)| post(nth, hour)).collect();
    copies.iter_mut().for_each(|post| post.enrichment.fingerprint = Some(7));
    let whole = random::post(9);
    commit(&lake, copies.iter().cloned().chain([whole.clone()]).collect()).await;
    for at in [None, Some(whole.post.occurred_at)] {
        let query = PostQuery { id: whole.post.id.clone(), at };
        let found = lake.post(&query).await.expect("post").expect("it is there");
        assert_eq!(found.post, FoundPost::from(&whole));
        assert_eq!(sorted(found.key_phrases), sorted(whole.enrichment.key_phrases.clone()));
        assert_eq!(found.payload.as_deref(), Some(whole.post.payload.as_str()));
        assert_eq!(found.provenance.as_deref(), Some("stream"));
    }
    let elsewhere = PostQuery { id: whole.post.id, at: Some(noon() - TimeDelta::days(9)) };
    assert_eq!(lake.post(&elsewhere).await.expect("post"), None, "it was published at another time");
    let query = PostQuery { id: copies[0].post.id.clone(), at: None };
    let found = lake.post(&query).await.expect("post").expect("it is there");
    let ids: Vec<&PostId> = found.copies.iter().map(|copy| &copy.id).collect();
    assert_eq!(ids, [&copies[1].post.id], "within three days");
}

fn anomaly(id: &str, hour: i64) -> Anomaly {
    Anomaly {
        id: id.into(),
        topic: "storm".into(),
        category: None,
        slice: Some(Slice { dimension: Dimension::Country, value: "DE".into() }),
        interval_s: 900,
        onset: noon() + TimeDelta::hours(hour),
        end: None,
        observed: 40.0,
        expected: 4.0,
        lower: 1.0,
        upper: 9.5,
        score: 0.97,
        severity: Severity::High,
        sentence: "storm: 40 (expected 4)".into(),
        drivers: Vec::new(),
        examples: Vec::new(),
        detected_at: noon() + TimeDelta::hours(hour + 1),
    }
}

fn alert(id: &str, state: AlertState, hour: i64) -> Alert {
    let opened_at = noon() + TimeDelta::hours(hour);
    Alert {
        id: id.into(),
        rule: "storms".into(),
        topic: Some("storm".into()),
        state,
        opened_at,
        updated_at: opened_at,
        resolved_at: None,
        severity: Severity::High,
        title: "storm".into(),
        anomalies: vec![anomaly("b", 2), anomaly("a", 1)],
        notified: vec![("log".into(), opened_at)],
    }
}

async fn anomalies_and_alerts_come_back_whole<L: Analytics + PostTable>(lake: L) {
    let calm = Anomaly { topic: "calm".into(), category: Some("price".into()), slice: None, ..anomaly("c", 3) };
    lake.put_anomalies(vec![anomaly("a", 1), anomaly("b", 2), calm.clone()]).await.expect("put");
    let within = |range, topics: &[&str], limit| AnomaliesQuery::Within {
        range,
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        categories: Vec::new(),
        limit,
    };
    let found = async |query| lake.anomalies(&query).await.expect("anomalies");
    assert_eq!(found(within(hours(0, 9), &[], 2)).await, [calm, anomaly("b", 2)], "the newest first");
    assert_eq!(found(within(hours(0, 2), &["storm"], 9)).await, [anomaly("a", 1)], "the end is exclusive");
    assert_eq!(found(AnomaliesQuery::Ids(vec!["a".into(), "absent".into()])).await, [anomaly("a", 1)]);
    let (open, resolved) = (alert("1", AlertState::Open, 1), alert("2", AlertState::Resolved, 2));
    lake.put_alerts(vec![open.clone(), resolved.clone()]).await.expect("put");
    let query = |range, state| AlertsQuery { range, topics: vec!["storm".into()], state, limit: 9 };
    let found = async |query: AlertsQuery| lake.alerts(&query).await.expect("alerts");
    assert_eq!(found(query(hours(0, 9), None)).await, [resolved, open.clone()], "the newest first");
    assert_eq!(found(query(hours(8, 9), None)).await, std::slice::from_ref(&open), "an open one whatever its time");
    assert_eq!(found(query(hours(0, 9), Some(AlertState::Open))).await, [open]);
    assert!(found(AlertsQuery { topics: vec!["calm".into()], ..query(hours(0, 9), None) }).await.is_empty());
}

async fn an_export_holds_every_selected_post<L: Analytics + PostTable>(lake: L) {
    let posts: Vec<EnrichedPost> = (1..=9).map(|number| post(number, number as i64 * 10)).collect();
    commit(&lake, posts.clone()).await;
    let pieces = lake.export(&Selection::all(hours(15, 65))).await.expect("export");
    let exported: Vec<StoredPost> = pieces.try_concat().await.expect("every piece");
    let expected: Vec<StoredPost> = posts[1..6].iter().rev().map(StoredPost::from).collect();
    assert_eq!(exported, expected);
}

/// Two lakes with the same posts of [`random::post`] give the same answers to random questions.
pub async fn says_the_same(one: &impl Analytics, other: &impl Analytics, seed: u64, rounds: u64) {
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let selection = match round % 5 {
            4 => random::text_search(&mut random),
            _ => random::selection(&mut random),
        };
        counts_are_the_same(one, other, &selection, &mut random).await;
        if round % 2 == 0 {
            posts_are_the_same(one, other, &selection, &mut random).await;
        }
    }
    same("newest", one.newest_at().await, other.newest_at().await);
}

#[track_caller]
fn same<T: PartialEq + Debug>(question: impl Debug, one: domain::Result<T>, other: domain::Result<T>) {
    let (one, other) = (one.expect("an answer"), other.expect("an answer"));
    assert_eq!(one, other, "{question:?}");
}

fn sorted<T: Debug>(mut answer: Vec<T>) -> Vec<T> {
    answer.sort_by_key(|item| format!("{item:?}"));
    answer
}

async fn counts_are_the_same(one: &impl Analytics, other: &impl Analytics, meant: &Selection, random: &mut Random) {
    let selection = meant.clone();
    let query = TotalsQuery { since: meant.range.from + meant.range.length() / 2, selection };
    same(&query, one.totals(&query).await, other.totals(&query).await);
    let by = SeriesQuery::DIMENSIONS[random.below(6) as usize];
    let origin = noon() - TimeDelta::hours(1);
    let query = SeriesQuery { selection: meant.clone(), by, origin, step_s: 3_600 };
    same(&query, one.series(&query).await.map(sorted), other.series(&query).await.map(sorted));
    for by in Dimension::ALL {
        let limit = 1 + random.below(6) as usize;
        let query = BreakdownQuery { selection: meant.clone(), by, limit };
        same(&query, one.breakdown(&query).await, other.breakdown(&query).await);
    }
    let query = CountriesQuery { selection: meant.clone() };
    same(&query, one.countries(&query).await.map(sorted), other.countries(&query).await.map(sorted));
    let query = PlacesQuery { selection: meant.clone(), limit: 10 };
    same(&query, one.places(&query).await, other.places(&query).await);
    let query = TopicVolumesQuery { to: meant.range.to };
    same(query, one.topic_volumes(&query).await.map(sorted), other.topic_volumes(&query).await.map(sorted));
}

async fn posts_are_the_same(one: &impl Analytics, other: &impl Analytics, meant: &Selection, random: &mut Random) {
    for group_copies in [false, true] {
        let limit = 1 + random.below(40) as usize;
        let mut query = PostsQuery { selection: meant.clone(), after: None, group_copies, limit };
        for _ in 0..2 {
            let page = one.posts(&query).await.expect("a page");
            same(&query, Ok(page.clone()), other.posts(&query).await);
            query.after = page.next;
        }
    }
    let query = RecentTextsQuery { range: meant.range, limit: 20 };
    same(query, one.recent_texts(&query).await, other.recent_texts(&query).await);
}

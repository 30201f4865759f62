//! What the repositories promise beyond the store: checks, limits, and that concurrent writers lose nothing.

use domain::{CategoryDefinition, ErrorKind, PostId, StateStore, Topic};
use serde_json::json;
use state::{Categories, Correction, Cursor, Labels, MemoryState, Named, SaveError, Topics};
use std::collections::HashSet;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn the_state_in_memory_keeps_the_promises() {
    testkit::conformance::state(async || Arc::new(MemoryState::default()) as Arc<dyn StateStore>).await;
}

fn topic(name: &str, query: &str, year: i32) -> Topic {
    Topic { name: name.into(), query: query.into(), created_at: format!("{year}-01-01T00:00:00Z").parse().unwrap() }
}

#[tokio::test]
async fn what_is_saved_is_trimmed_and_checked_and_keeps_when_it_was_made() {
    let store = MemoryState::default();
    let topics = Topics::new(&store);
    topics.save(topic(" storm ", " snow ", 2025)).await.unwrap();
    topics.save(topic("storm", "ice", 2026)).await.unwrap();
    assert_eq!(topics.list().await.unwrap(), [topic("storm", "ice", 2025)]);
    for (name, query, field) in [(" ", "a", "name"), ("a\tb", "a", "name"), ("b", "(", "query"), ("b", " ", "query")] {
        let error = topics.save(topic(name, query, 2026)).await.unwrap_err();
        assert!(matches!(&error, SaveError::Invalid(fault) if fault.field == field), "{name:?} {query:?}: {error}");
    }
    // A query's length is counted in characters, whatever they take in bytes.
    topics.save(topic("long", &"東".repeat(4_096), 2026)).await.unwrap();
    assert!(!topics.save_new(topic("long", "other", 2026)).await.unwrap());
    assert!(topics.delete(" storm ").await.unwrap() && !topics.delete("storm").await.unwrap());
}

#[tokio::test]
async fn no_topic_takes_the_name_of_all_posts_and_one_that_has_it_stays() {
    let store = MemoryState::default();
    let topics = Topics::new(&store);
    let fault = topics.save(topic(domain::ALL_POSTS, "a", 2026)).await.unwrap_err();
    assert!(fault.to_string().contains("the name of all posts"), "{fault}");
    let stored = topic(domain::ALL_POSTS, "a", 2025);
    store.put("topic", domain::ALL_POSTS, json!(stored)).await.unwrap();
    assert_eq!(topics.list().await.unwrap(), [stored]);
    assert!(topics.delete(domain::ALL_POSTS).await.unwrap());
}

#[tokio::test]
async fn a_document_that_cant_be_read_is_replaced_and_their_number_is_limited() {
    let store = MemoryState::default();
    let topics = Topics::new(&store);
    store.put("topic", "bad", json!("of a later version")).await.unwrap();
    assert_eq!(topics.list().await.unwrap_err().kind(), ErrorKind::Stop);
    assert!(topics.list_readable().await.unwrap().is_empty());
    topics.save(topic("bad", "a", 2026)).await.unwrap();
    for n in 1..Topic::COUNT_MAX {
        topics.save(topic(&format!("t{n}"), "a", 2026)).await.unwrap();
    }
    assert!(matches!(topics.save(topic("one more", "a", 2026)).await, Err(SaveError::Full { .. })));
    topics.save(topic("bad", "b", 2026)).await.unwrap();
}

fn correction(n: usize) -> Correction {
    Correction {
        by: format!("user{n}"),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        sentiment: None,
        category: Some(" delay ".into()),
        model_sentiment: Some(format!("as {n} read it")),
        model_category: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_corrections_at_once_none_is_lost() {
    let store = Arc::new(MemoryState::default());
    let post = PostId::parse("x:1").unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, post) = (store.clone(), post.clone());
            tokio::spawn(async move { Labels::new(store.as_ref()).add(&post, correction(n)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let labels = Labels::new(store.as_ref());
    let history = labels.history("x:1").await.unwrap();
    let who: HashSet<_> = history.iter().map(|correction| correction.by.as_str()).collect();
    assert_eq!((history.len(), who.len()), (8, 8));
    assert!(history.iter().all(|correction| correction.model_sentiment == history[0].model_sentiment));
    assert_eq!(labels.waiting().await.unwrap().len(), 8);
    assert_eq!(labels.current().await.unwrap()[&post].category.as_deref(), Some("delay"));
    assert_eq!(labels.forget(&HashSet::from(["x:1".to_owned()])).await.unwrap(), 1);
    assert!(labels.current().await.unwrap().is_empty() && labels.waiting().await.unwrap().is_empty());
}

#[tokio::test]
async fn categories_are_checked_together() {
    let store = MemoryState::default();
    let categories = Categories::new(&store);
    let named =
        |name: &str| CategoryDefinition { name: name.into(), description: "what it is".into(), examples: Vec::new() };
    assert!(matches!(categories.save(vec![named("a")]).await, Err(SaveError::Invalid(_))));
    categories.save(vec![named(" a "), named("b")]).await.unwrap();
    assert_eq!(categories.saved().await.unwrap()[0].name, "a");
    categories.save(Vec::new()).await.unwrap();
    assert!(categories.saved().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cursor_that_another_process_moved_is_not_moved_back() {
    let store = Arc::new(MemoryState::default());
    let mut one = Cursor::<u64>::load(store.clone(), "x:x").await.unwrap();
    let mut other = Cursor::<u64>::load(store.clone(), "x:x").await.unwrap();
    for value in [1, 2] {
        one.value = value;
        one.save().await.unwrap();
    }
    other.value = 1;
    assert_eq!(other.save().await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(Cursor::<u64>::load(store.clone(), "x:x").await.unwrap().value, 2);
    // Of another form: it begins anew.
    store.put("cursor", "x:x", json!({"since": 7})).await.unwrap();
    let mut anew = Cursor::<u64>::load(store.clone(), "x:x").await.unwrap();
    assert_eq!(anew.value, 0);
    anew.value = 3;
    anew.save().await.unwrap();
    assert_eq!(store.get("cursor", "x:x").await.unwrap(), Some(json!(3)));
}

#[tokio::test]
async fn a_category_has_no_control_characters() {
    let store = MemoryState::default();
    let labels = Labels::new(&store);
    let post = PostId::parse("x:1".to_owned()).unwrap();
    let bad = Correction { category: Some("a\u{1b}[2Jb".into()), ..correction(1) };
    assert!(matches!(labels.add(&post, bad).await, Err(SaveError::Invalid(fault)) if fault.field == "category"));
    assert!(labels.history(post.as_str()).await.unwrap().is_empty());
}

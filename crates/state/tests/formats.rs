//! Stored documents stay readable and are written as they were: kinds, keys and JSON of every released version.

use domain::{AlertRule, CategoryDefinition, PostId, SentimentLabel, StateStore, Topic};
use serde_json::{Value, json};
use state::{Categories, Correction, Cursor, Labels, MemoryState, Named, NamedDocuments, SavedQuery};
use std::sync::Arc;

/// Reads a document as it is stored, saves it again, and finds it unchanged.
async fn comes_back<T: Named>(key: &str, document: Value) {
    let store = MemoryState::default();
    store.put(T::KIND, key, document.clone()).await.unwrap();
    let documents = NamedDocuments::<T>::new(&store);
    let read = documents.list().await.unwrap().remove(0);
    assert_eq!(read.name(), key);
    documents.save(read).await.unwrap();
    assert_eq!(store.get(T::KIND, key).await.unwrap(), Some(document));
}

#[tokio::test]
async fn named_documents_keep_their_form() {
    assert_eq!([Topic::KIND, AlertRule::KIND, SavedQuery::KIND], ["topic", "rule", "query"]);
    let topic = json!({"name": "storm", "query": "snow* OR ice", "created_at": "2026-01-02T03:04:05.000006Z"});
    comes_back::<Topic>("storm", topic).await;
    let rule = json!({
        "name": "many", "topic": "storm", "condition": {"when": "threshold", "mentions_min": 3, "window_s": 60},
        "channels": ["log"], "cooldown_s": 60, "quiet_hours": null, "enabled": true
    });
    comes_back::<AlertRule>("many", rule).await;
    let query = json!({
        "name": "all", "sql": "SELECT 1", "saved_by": "admin", "saved_at": "2026-01-02T03:04:05Z"
    });
    comes_back::<SavedQuery>("all", query).await;
}

#[tokio::test]
async fn labels_keep_their_form() {
    let store = MemoryState::default();
    let first = json!({
        "by": "ada", "at": "2026-01-02T03:04:05Z", "sentiment": "negative", "category": null,
        "model_sentiment": "neutral", "model_category": "other"
    });
    store.put("label", "x:1", json!([first])).await.unwrap();
    store.put("label_waiting", "x:1#1", json!("x:1")).await.unwrap();
    // Before the model's own words were kept.
    let old = json!([{"by": "ada", "at": "2026-01-02T03:04:05Z", "sentiment": null, "category": "delay"}]);
    store.put("label", "x:2", old).await.unwrap();
    let labels = Labels::new(&store);
    let post = PostId::parse("x:1").unwrap();
    let current = labels.current().await.unwrap();
    assert_eq!(current[&post].sentiment, Some(SentimentLabel::Negative));
    assert_eq!(current[&PostId::parse("x:2").unwrap()].category.as_deref(), Some("delay"));
    let withdrawn = Correction {
        by: "bob".into(),
        at: "2026-01-03T00:00:00Z".parse().unwrap(),
        sentiment: None,
        category: None,
        model_sentiment: None,
        model_category: None,
    };
    labels.add(&post, withdrawn).await.unwrap();
    let second = json!({
        "by": "bob", "at": "2026-01-03T00:00:00Z", "sentiment": null, "category": null,
        "model_sentiment": "neutral", "model_category": "other"
    });
    assert_eq!(store.get("label", "x:1").await.unwrap(), Some(json!([first, second])));
    let waiting = labels.waiting().await.unwrap();
    assert_eq!(waiting, [("x:1#1".to_owned(), post.clone()), ("x:1#2".to_owned(), post.clone())]);
    assert_eq!(store.get("label_waiting", "x:1#2").await.unwrap(), Some(json!("x:1")));
}

#[tokio::test]
async fn categories_and_cursors_keep_their_form() {
    let store = Arc::new(MemoryState::default());
    let saved = json!([{"name": "late", "description": "delayed", "examples": ["two hours late"]},
        {"name": "lost", "description": "", "examples": []}]);
    store.put("category_set", "default", saved.clone()).await.unwrap();
    let categories = Categories::new(store.as_ref());
    let read: Vec<CategoryDefinition> = categories.saved().await.unwrap();
    assert_eq!(read[0].examples, ["two hours late"]);
    categories.save(read).await.unwrap();
    assert_eq!(store.get("category_set", "default").await.unwrap(), Some(saved));

    store.put("cursor", "sample", json!([1, 2])).await.unwrap();
    let mut cursor = Cursor::<Vec<u64>>::load(store.clone(), "sample").await.unwrap();
    assert_eq!(cursor.value(), Some(&vec![1, 2]));
    cursor.save(vec![3]).await.unwrap();
    assert_eq!(store.get("cursor", "sample").await.unwrap(), Some(json!([3])));
}

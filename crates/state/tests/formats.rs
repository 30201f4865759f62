//! Stored documents stay readable and are written as they were: kinds, keys and JSON of every released version.

use domain::{AlertRule, CategoryDefinition, PostId, SentimentLabel, StateStore, Topic};
use serde_json::{Value, json};
use state::{
    BlockedAuthors, Categories, Correction, Cursor, Deletions, Kind, Labels, MemoryState, Named, NamedDocuments,
    SavedQuery, SavedSource, edit_copies,
};
use std::sync::Arc;

/// Reads a document as it is stored, saves it again, and finds it unchanged.
async fn comes_back<T: Named>(key: &str, document: Value) {
    let store = MemoryState::default();
    store.put(&T::KIND.name(), key, document.clone()).await.unwrap();
    let documents = NamedDocuments::<T>::new(&store);
    let read = documents.list().await.unwrap().remove(0);
    assert_eq!(read.name(), key);
    documents.save(read).await.unwrap();
    assert_eq!(store.get(&T::KIND.name(), key).await.unwrap(), Some(document));
}

#[tokio::test]
async fn named_documents_keep_their_form() {
    let kinds = [Topic::KIND, AlertRule::KIND, SavedQuery::KIND, SavedSource::KIND];
    assert_eq!(kinds.map(|kind| kind.to_string()), ["topic", "rule", "query", "source"]);
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
    let source = json!({
        "name": "news", "kind": "feed", "enabled": true, "settings": {"urls": ["https://example.org/feed.xml"]},
        "secrets": {"token": "00"}, "saved_by": "admin", "saved_at": "2026-01-02T03:04:05Z"
    });
    comes_back::<SavedSource>("news", source).await;
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
    assert_eq!(cursor.value, [1, 2]);
    cursor.value = vec![3];
    cursor.save().await.unwrap();
    assert_eq!(store.get("cursor", "sample").await.unwrap(), Some(json!([3])));
}

#[test]
fn kinds_keep_their_names() {
    let names = [
        (Kind::Alert, "alert"),
        (Kind::AlertDone, "alert_done"),
        (Kind::Audit("2026-03-02".parse().unwrap()), "audit-20260302"),
        (Kind::BlockedAuthor, "blocked_author"),
        (Kind::CategorySet, "category_set"),
        (Kind::ChannelTrouble, "channel_trouble"),
        (Kind::Cursor, "cursor"),
        (Kind::Deletion, "deletion"),
        (Kind::Device, "device"),
        (Kind::Exclusive, "exclusive"),
        (Kind::Label, "label"),
        (Kind::LabelWaiting, "label_waiting"),
        (Kind::Notification, "notification"),
        (Kind::NotificationDone, "notification_done"),
        (Kind::Query, "query"),
        (Kind::Rule, "rule"),
        (Kind::RuleState, "rule_state"),
        (Kind::Session, "session"),
        (Kind::Token, "token"),
        (Kind::Topic, "topic"),
        (Kind::User, "user"),
    ];
    for (kind, name) in names {
        assert_eq!(kind.name(), name);
    }
}

#[tokio::test]
async fn blocked_authors_and_deletions_keep_their_form() {
    let store = MemoryState::default();
    let blocked = json!({"author": "ada", "platform": "x", "since": "2026-01-02T03:04:05Z"});
    BlockedAuthors::new(&store).add(" @Ada", Some("x"), "2026-01-02T03:04:05Z".parse().unwrap()).await.unwrap();
    assert_eq!(store.get("blocked_author", "x:ada").await.unwrap(), Some(blocked));
    assert!(BlockedAuthors::new(&store).remove("@X:ada").await.unwrap());

    let deletions = Deletions::new(&store);
    store.put("deletion", "a", json!({"at": "2026-01-02T03:04:05Z", "posts": ["x:1"]})).await.unwrap();
    store.put("deletion", "damaged", json!(7)).await.unwrap();
    let noted = deletions.list().await.unwrap().remove(0);
    deletions.cleared(noted).await.unwrap();
    let once = json!({"at": "2026-01-02T03:04:05Z", "posts": ["x:1"], "authors": [], "cleared_once": true});
    assert_eq!(store.get("deletion", "a").await.unwrap(), Some(once));
    deletions.cleared(deletions.list().await.unwrap().remove(0)).await.unwrap();
    assert!(deletions.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_copy_of_a_post_is_edited_also_where_it_cant_be_read() {
    let store = MemoryState::default();
    for kind in ["alert", "alert_done", "notification_done", "notification_unreadable"] {
        store.put(kind, "a", json!({"words": "old"})).await.unwrap();
    }
    store.put("topic", "a", json!({"words": "old"})).await.unwrap();
    let edit = |document: &mut Value| document["words"] = json!("new");
    assert_eq!(edit_copies(&store, edit).await.unwrap(), 4);
    assert_eq!(edit_copies(&store, edit).await.unwrap(), 0);
    assert_eq!(store.get("topic", "a").await.unwrap(), Some(json!({"words": "old"})));
}

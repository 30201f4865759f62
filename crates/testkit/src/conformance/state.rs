//! The promises of [`StateStore`].

use domain::{StateStore, Swap};
use serde_json::json;
use std::sync::Arc;

/// Runs every promise against a fresh store each.
pub async fn state(make: impl AsyncFn() -> Arc<dyn StateStore>) {
    a_document_comes_back_whole(make().await).await;
    put_replaces_and_put_new_does_not(make().await).await;
    kinds_are_apart_and_listed_by_key(make().await).await;
    what_is_not_there_is_none(make().await).await;
    one_of_many_wins_put_new(make().await).await;
    a_swap_applies_whole_or_not_at_all(make().await).await;
    of_writers_at_once_none_overwrites_another(make().await).await;
}

async fn a_document_comes_back_whole(store: Arc<dyn StateStore>) {
    let value = json!({"text": "Größe 東京 😡 \"'; --", "n": -1.5, "list": [null, true, {"a": 18_446_744_073_709_551_615_u64}]});
    let key = "key with spaces, \u{1f600}, 'quotes' and \"more\"/..%";
    store.put("cursor", key, value.clone()).await.expect("put");
    assert_eq!(store.get("cursor", key).await.expect("get"), Some(value));
}

async fn put_replaces_and_put_new_does_not(store: Arc<dyn StateStore>) {
    assert!(store.put_new("topic", "a", json!(1)).await.expect("put_new"), "new");
    assert!(!store.put_new("topic", "a", json!(2)).await.expect("put_new"), "there already");
    assert_eq!(store.get("topic", "a").await.expect("get"), Some(json!(1)));
    store.put("topic", "a", json!(3)).await.expect("put");
    assert_eq!(store.get("topic", "a").await.expect("get"), Some(json!(3)));
    assert!(store.delete("topic", "a").await.expect("delete"));
    assert!(store.put_new("topic", "a", json!(4)).await.expect("put_new"), "new again after its deletion");
}

async fn kinds_are_apart_and_listed_by_key(store: Arc<dyn StateStore>) {
    for (kind, key) in [("topic", "b"), ("topic", "a"), ("user", "a"), ("topic", "c")] {
        store.put(kind, key, json!(format!("{kind}/{key}"))).await.expect("put");
    }
    let listed = store.list("topic").await.expect("list");
    let expected = ["a", "b", "c"].map(|key| (key.to_owned(), json!(format!("topic/{key}"))));
    assert_eq!(listed, expected);
    assert!(store.delete("topic", "a").await.expect("delete"));
    assert_eq!(store.get("user", "a").await.expect("get"), Some(json!("user/a")), "another kind's key stays");
    assert_eq!(store.list("topic").await.expect("list").len(), 2);
}

async fn what_is_not_there_is_none(store: Arc<dyn StateStore>) {
    assert_eq!(store.get("topic", "none").await.expect("get"), None);
    assert!(!store.delete("topic", "none").await.expect("delete"));
    assert!(store.list("topic").await.expect("list").is_empty());
    store.put("topic", "null", json!(null)).await.expect("put");
    assert_eq!(store.get("topic", "null").await.expect("get"), Some(json!(null)), "a null document is a document");
}

async fn one_of_many_wins_put_new(store: Arc<dyn StateStore>) {
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.put_new("session", "one", json!(n)).await.expect("put_new") })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.expect("no panic"));
    }
    assert_eq!(winners, 1);
}

async fn a_swap_applies_whole_or_not_at_all(store: Arc<dyn StateStore>) {
    store.put("user", "a", json!({"role": "admin"})).await.expect("put");
    let old = Some(json!({"role": "admin"}));
    let outdated = vec![
        Swap::new("user", "b", None, Some(json!(1))),
        Swap::new("user", "a", Some(json!({"role": "viewer"})), None),
    ];
    assert!(!store.swap(outdated).await.expect("swap"), "a is not what was expected");
    assert_eq!(store.get("user", "b").await.expect("get"), None, "nothing of an outdated swap stays");
    let current = vec![
        Swap::new("user", "b", None, Some(json!(1))),
        Swap::new("user", "a", old.clone(), old.clone()),
        Swap::new("session", "none", None, None),
    ];
    assert!(store.swap(current).await.expect("swap"));
    assert_eq!(store.get("user", "b").await.expect("get"), Some(json!(1)));
    assert_eq!(store.get("user", "a").await.expect("get"), old, "only checked");
    assert!(store.swap(vec![Swap::new("user", "a", old, None)]).await.expect("swap"));
    assert_eq!(store.get("user", "a").await.expect("get"), None, "deleted");
}

async fn of_writers_at_once_none_overwrites_another(store: Arc<dyn StateStore>) {
    store.put("counter", "n", json!(0)).await.expect("put");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let read = store.get("counter", "n").await.expect("get").expect("is there");
                    let next = json!(read.as_u64().expect("a number") + 1);
                    if store.swap(vec![Swap::new("counter", "n", Some(read), Some(next))]).await.expect("swap") {
                        return;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("join");
    }
    assert_eq!(store.get("counter", "n").await.expect("get"), Some(json!(8)));
}

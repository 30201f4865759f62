//! Sources that people add.

use super::client;
use serde_json::json;

#[tokio::test]
async fn an_admin_adds_tries_and_removes_sources() {
    let client = client().await;
    let admin = client.admin().await;
    let feed = json!({ "kind": "feed", "enabled": true, "settings": { "urls": ["https://example.org/feed"] } });
    assert_eq!(client.write(&admin, "PUT", "/api/added-sources/news", feed.clone()).await.status, 204);
    assert_eq!(client.house.called.lock().unwrap().last().unwrap(), "admin saves the source news");
    let answer = client.write(&admin, "POST", "/api/source-trials", json!({ "name": "news", "source": feed })).await;
    assert_eq!(answer.json()["summary"], "news answers");
    let wrong = client.write(&admin, "PUT", "/api/added-sources/news", json!({ "kind": "fed", "enabled": true })).await;
    wrong.refused(400, Some("kind"));
    assert_eq!(client.write(&admin, "DELETE", "/api/added-sources/news", json!(null)).await.status, 204);
    client.write(&admin, "DELETE", "/api/added-sources/other", json!(null)).await.refused(404, None);
}

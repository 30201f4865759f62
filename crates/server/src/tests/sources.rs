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

#[tokio::test]
async fn a_dropped_file_is_taken_as_it_is_within_its_limit() {
    let client = client().await;
    let admin = client.admin().await;
    let token = json!({ "name": "t", "scope": { "for": "api", "role": "analyst" } });
    let issued = client.write(&admin, "POST", "/api/tokens", token).await.json();
    let bearer = format!("Bearer {}", issued["secret"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let path = "/api/imports?name=a%20b.csv&platform=shop&columns=text%3DReview";
    let taken = client.send("POST", path, &headers, "id,Review\n".to_owned()).await;
    assert_eq!(taken.status, 202);
    let import = taken.json();
    assert_eq!((import["name"].clone(), import["state"].clone()), (json!("a b.csv"), json!("waiting")));
    assert_eq!(import["lines"], json!(["shop", "text=Review", "id,Review\n"]));
    client.send("POST", path, &headers, "x".repeat(4_001)).await.refused(413, None);
    client.send("POST", path, &headers, String::new()).await.refused(400, Some("file"));
    client.send("POST", "/api/imports?name=", &headers, "x".to_owned()).await.refused(400, Some("name"));
    assert_eq!(client.send("GET", "/api/imports", &headers, String::new()).await.json(), json!([]));
}

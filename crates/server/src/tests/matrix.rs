//! Every operation of the OpenAPI document against everyone who may ask. A new operation fails here until it says who may
//! call it.

use super::{Client, client};
use axum::body::Body;
use serde_json::{Value, json};
use state::Role;

/// The least that one must be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    Nothing,
    Viewer,
    Analyst,
    Admin,
    /// A push token, and nothing else.
    Push,
    /// The signature of a platform: who one is does not matter.
    Signature,
}

fn needs(operation: &str) -> Option<Needs> {
    let needs = match operation {
        "POST /api/session" | "DELETE /api/session" | "GET /api/session/ways" => Needs::Nothing,
        "GET /api/session/provider" | "GET /api/session/provider/callback" => Needs::Nothing,
        "POST /api/session/link" => Needs::Nothing,
        "GET /api/session" | "POST /api/session/password" => Needs::Viewer,
        "GET /api/sessions" | "DELETE /api/sessions/{id}" => Needs::Viewer,
        "GET /api/overview" | "GET /api/series" | "GET /api/breakdown" | "GET /api/map" => Needs::Viewer,
        "GET /api/posts" | "GET /api/post" | "GET /api/posts/export" | "GET /api/live" => Needs::Viewer,
        "GET /api/labels" | "GET /api/anomalies" | "GET /api/alerts" | "GET /api/rules" => Needs::Viewer,
        "GET /api/topics" | "GET /api/categories" | "GET /api/sql/tables" | "GET /api/queries" => Needs::Viewer,
        "GET /api/system" | "GET /api/sources" | "GET /api/source-kinds" | "GET /api/backfills" => Needs::Viewer,
        "GET /api/added-sources" | "POST /api/source-trials" => Needs::Admin,
        "PUT /api/added-sources/{name}" | "DELETE /api/added-sources/{name}" => Needs::Admin,
        "POST /api/labels" | "POST /api/alerts/acknowledge" | "POST /api/alerts/silence" => Needs::Analyst,
        "PUT /api/rules/{name}" | "DELETE /api/rules/{name}" | "POST /api/rules/back-test" => Needs::Analyst,
        "PUT /api/topics/{name}" | "DELETE /api/topics/{name}" | "POST /api/topics/check" => Needs::Analyst,
        "GET /api/imports" | "POST /api/imports" => Needs::Analyst,
        "PUT /api/categories" | "POST /api/sql" => Needs::Analyst,
        "PUT /api/queries/{name}" | "DELETE /api/queries/{name}" => Needs::Analyst,
        "GET /api/users" | "POST /api/users" | "PATCH /api/users/{name}" | "DELETE /api/users/{name}" => Needs::Admin,
        "GET /api/tokens" | "POST /api/tokens" | "DELETE /api/tokens/{id}" => Needs::Admin,
        "GET /api/audit" | "POST /api/forget" => Needs::Admin,
        "GET /api/dead-letters" | "DELETE /api/dead-letters" | "POST /api/dead-letters/replay" => Needs::Admin,
        "POST /v1/posts" => Needs::Push,
        "POST /v1/push/{source}" => Needs::Signature,
        _ => return None,
    };
    Some(needs)
}

/// Who asks: a name, the header that says so, and what he is.
struct Caller {
    name: &'static str,
    header: Option<(&'static str, String)>,
    is: Needs,
}

async fn callers(client: &Client) -> Vec<Caller> {
    let admin = client.admin().await;
    let mut callers = vec![Caller { name: "nobody", header: None, is: Needs::Nothing }];
    for (name, role, is) in [
        ("viewer", Role::Viewer, Needs::Viewer),
        ("analyst", Role::Analyst, Needs::Analyst),
        ("admin", Role::Admin, Needs::Admin),
    ] {
        let scope = json!({ "for": "api", "role": role });
        callers.push(Caller { name, header: Some(token(client, &admin, name, scope).await), is });
    }
    for (name, source) in [("push token", "push:reviews"), ("another source's token", "push:news")] {
        let scope = json!({ "for": "push", "source": source });
        callers.push(Caller { name, header: Some(token(client, &admin, source, scope).await), is: Needs::Push });
    }
    callers
}

async fn token(client: &Client, admin: &str, name: &str, scope: Value) -> (&'static str, String) {
    let body = json!({ "name": name, "scope": scope });
    let issued = client.write(admin, "POST", "/api/tokens", body).await.json();
    ("authorization", format!("Bearer {}", issued["secret"].as_str().unwrap()))
}

/// The status that refuses, or none when he is let in (and then told what is wrong with the empty call).
fn refusal(needs: Needs, is: Needs) -> Option<u16> {
    match (needs, is) {
        (Needs::Signature, _) => Some(401),
        (Needs::Nothing, _) | (Needs::Push, Needs::Push) => None,
        (_, Needs::Nothing) => Some(401),
        (Needs::Push, _) | (_, Needs::Push) => Some(403),
        (Needs::Viewer, _) | (Needs::Analyst, Needs::Analyst | Needs::Admin) | (Needs::Admin, Needs::Admin) => None,
        _ => Some(403),
    }
}

#[tokio::test]
async fn every_operation_lets_in_whom_it_is_for_and_nobody_else() {
    let client = client().await;
    let callers = callers(&client).await;
    let document: Value = serde_json::from_str(&crate::document().to_json().unwrap()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let operation = format!("{} {path}", method.to_uppercase());
            let needs =
                needs(&operation).unwrap_or_else(|| panic!("{operation} is new: say in `needs` who may call it"));
            for caller in &callers {
                let headers: Vec<(&str, &str)> =
                    caller.header.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let url = path.replace("{name}", "x").replace("{id}", "x").replace("{source}", "desk");
                let status = client.send_for_status(&method.to_uppercase(), &url, &headers, Body::empty()).await;
                match refusal(needs, caller.is) {
                    Some(refused) => assert_eq!(status, refused, "{} {operation}", caller.name),
                    None if needs == Needs::Nothing => assert!(status < 500, "{} {operation}: {status}", caller.name),
                    None => assert!(status != 401 && status != 403, "{} {operation}: {status}", caller.name),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 250, "{tried}");
}

#[tokio::test]
async fn a_push_token_speaks_for_its_own_source() {
    let client = client().await;
    let admin = client.admin().await;
    for source in ["push:reviews", "push:news"] {
        let (name, value) = token(&client, &admin, source, json!({ "for": "push", "source": source })).await;
        let pushed = client.send("POST", "/v1/posts", &[(name, &value)], "[]").await.json();
        assert_eq!(pushed["items"][0]["reason"], format!("2 bytes of {source}"));
    }
}

#[tokio::test]
async fn a_platform_proves_itself_and_firehose_gets_the_answer_it_asks_for() {
    let client = client().await;
    let call = async |source: &str, headers: &[(&str, &str)], body: &str| {
        client.send("POST", &format!("/v1/push/{source}"), headers, body.to_owned()).await
    };
    let taken = call("desk", &[("x-proof", "good")], "{}").await;
    assert_eq!((taken.status.as_u16(), taken.json()["items"][0]["reason"].clone()), (200, json!("2 bytes of desk")));
    for (source, proof) in [("desk", "bad"), ("other", "good")] {
        assert_eq!(call(source, &[("x-proof", proof)], "{}").await.status.as_u16(), 401, "{source}");
    }
    assert_eq!(call("desk", &[("x-proof", "good")], &"x".repeat(1_001)).await.status.as_u16(), 413);
    let id = ("x-amz-firehose-request-id", "ed4acda5-034f-9f42-bba1-f29aea6d7d8f");
    let answered = call("desk", &[("x-proof", "good"), id], "{}").await;
    let json = answered.json();
    assert_eq!((answered.status.as_u16(), json["requestId"].clone()), (200, json!(id.1)));
    assert!(json["timestamp"].is_i64() && json.get("errorMessage").is_none(), "{json}");
    let refused = call("desk", &[id], "{}").await;
    let json = refused.json();
    assert_eq!((refused.status.as_u16(), json["requestId"].clone()), (401, json!(id.1)));
    assert_eq!(json["errorMessage"], "not signed");
    let full = call("desk", &[("x-proof", "good"), id], "full").await;
    assert_eq!(full.status.as_u16(), 429, "Firehose tries again");
}

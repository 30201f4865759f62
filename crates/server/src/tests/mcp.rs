//! MCP: both generations of the protocol, and that a tool reads what its caller may read.

use super::{Answer, Client, client, post};
use axum::http::StatusCode;
use serde_json::{Value, json};
use state::Role;

const VERSION: &str = "2026-07-28";

async fn call(client: &Client, cookie: &str, headers: &[(&str, &str)], message: Value) -> Answer {
    let own = [("cookie", cookie), ("origin", "http://localhost:8080"), ("content-type", "application/json")];
    client.send("POST", "/mcp", &[&own, headers].concat(), message.to_string()).await
}

/// A request with a handshake's envelope.
async fn ask(client: &Client, cookie: &str, method: &str, params: Value) -> Answer {
    call(client, cookie, &[], json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await
}

#[tokio::test]
async fn a_client_with_a_handshake_reads_posts() {
    let client = client().await;
    let viewer = client.user(Role::Viewer).await;
    client.store(vec![post("x:1", 1), post("x:2", 2), post("x:3", 40)]).await;
    let started = ask(&client, &viewer, "initialize", json!({ "protocolVersion": "2025-06-18" })).await.json();
    assert_eq!(started["result"]["protocolVersion"], "2025-06-18");
    let unknown = ask(&client, &viewer, "initialize", json!({ "protocolVersion": "1999-01-01" })).await.json();
    assert_eq!(unknown["result"]["protocolVersion"], "2025-11-25");
    let done = call(&client, &viewer, &[], json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    assert_eq!(done.status, StatusCode::ACCEPTED);
    let listed = ask(&client, &viewer, "tools/list", json!({})).await.json();
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 8);
    for tool in tools {
        let schema = &tool["inputSchema"];
        assert!(schema["type"] == "object" && tool["description"].as_str().unwrap().len() > 20, "{tool}");
        let bare = ["list_topics"].contains(&tool["name"].as_str().unwrap());
        assert_eq!(schema["properties"].as_object().unwrap().is_empty(), bare, "{tool}");
    }
    let arguments = json!({ "platform": ["x"], "limit": 10 });
    let found =
        ask(&client, &viewer, "tools/call", json!({ "name": "search_posts", "arguments": arguments })).await.json();
    let posts = found["result"]["structuredContent"]["posts"].as_array().unwrap();
    assert_eq!(posts.iter().map(|post| &post["post_id"]).collect::<Vec<_>>(), ["x:1", "x:2"]);
    let text: Value = serde_json::from_str(found["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, found["result"]["structuredContent"]);
}

#[tokio::test]
async fn a_client_without_a_handshake_names_its_version_in_each_request() {
    let client = client().await;
    let viewer = client.user(Role::Viewer).await;
    let message = |method: &str, version: &str| {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} });
        json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": { "_meta": meta, "name": "list_topics" } })
    };
    let headers =
        |method, version| [("mcp-protocol-version", version), ("mcp-method", method), ("mcp-name", "list_topics")];
    let found = call(&client, &viewer, &headers("server/discover", VERSION), message("server/discover", VERSION)).await;
    let found = found.json();
    assert_eq!((&found["id"], &found["result"]["supportedVersions"]), (&json!("a"), &json!([VERSION])));
    assert_eq!(found["result"]["resultType"], "complete");
    let called = call(&client, &viewer, &headers("tools/call", VERSION), message("tools/call", VERSION)).await.json();
    assert_eq!(called["result"]["structuredContent"], json!({ "items": [] }), "{called}");
    for (method, version, sent, status, code) in [
        ("tools/call", VERSION, headers("tools/list", VERSION), 400, -32020),
        ("tools/call", VERSION, headers("tools/call", "2025-11-25"), 400, -32020),
        ("tools/list", "2099-01-01", headers("tools/list", "2099-01-01"), 400, -32022),
        ("initialize", VERSION, headers("initialize", VERSION), 404, -32601),
    ] {
        let refused = call(&client, &viewer, &sent, message(method, version)).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (status, &json!(code)), "{method}");
    }
    let mut other = message("tools/call", VERSION);
    other["params"]["name"] = json!("get_post");
    let refused = call(&client, &viewer, &headers("tools/call", VERSION), other).await;
    assert_eq!(refused.json()["error"]["code"], -32020, "the header names another tool than the body");
}

#[tokio::test]
async fn a_stranger_gets_nothing_and_mistakes_are_explained() {
    let client = client().await;
    let stranger = client.send("POST", "/mcp", &[("content-type", "application/json")], "{}").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    let viewer = client.user(Role::Viewer).await;
    assert_eq!(client.get(&viewer, "/mcp").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let elsewhere =
        [("cookie", viewer.as_str()), ("origin", "http://evil.example"), ("content-type", "application/json")];
    client.send("POST", "/mcp", &elsewhere, "{}").await.refused(403, None);
    let tool = |arguments: Value| json!({ "name": "search_posts", "arguments": arguments });
    for (arguments, words) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "colour": "red" }), "colour"),
        (json!({ "topic": { "a": 1 } }), "topic"),
        (json!({ "from": "yesterday" }), "from"),
        (json!(["late"]), "object"),
    ] {
        let answer = ask(&client, &viewer, "tools/call", tool(arguments)).await.json();
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(answer["result"]["isError"] == true && text.contains(words), "{answer}");
    }
    for (message, code) in [
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "drop_table" } }), -32602),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/list" }), -32601),
        (json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }), -32600),
        (json!({ "jsonrpc": "2.0", "id": [1], "method": "ping" }), -32600),
        (json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]), -32600),
    ] {
        let answer = call(&client, &viewer, &[], message.clone()).await;
        assert_eq!(answer.json()["error"]["code"], code, "{message}");
    }
}

//! Sign-in with an identity provider.

use super::{Answer, Client, NOW, client_with};
use crate::{Config, RoleGroups};
use axum::http::{StatusCode, header};
use state::{AuditEntry, AuditLog};

const PAGE: &str = "/api/session/provider";

async fn client() -> Client {
    let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let groups = RoleGroups { admins: groups(&["board"]), analysts: groups(&["staff"]), viewers: groups(&["guests"]) };
    client_with(Config { groups, ..Config::default() }).await
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.headers[header::LOCATION].to_str().unwrap()
}

/// The state of an attempt, as the fake provider's page was given it, and the attempt's cookie.
async fn begin(client: &Client) -> (String, String) {
    let begun = client.send("GET", PAGE, &[], "").await;
    let cookie = begun.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    let state = location(&begun).strip_prefix("https://id.example.org/?state=").unwrap().to_owned();
    (state, begun.cookie())
}

async fn come_back(client: &Client, code: &str, state: &str, cookie: &str) -> Answer {
    client.send("GET", &format!("{PAGE}/callback?code={code}&state={state}"), &[("cookie", cookie)], "").await
}

#[tokio::test]
async fn a_person_signs_in_with_the_role_of_the_groups() {
    let client = client().await;
    assert_eq!(client.send("GET", "/api/session/ways", &[], "").await.json()["provider"], "Example");
    let (state, cookie) = begin(&client).await;
    let back = come_back(&client, "good", &state, &cookie).await;
    assert_eq!(location(&back), "/");
    let session = back.cookie();
    let me = client.send("GET", "/api/session", &[("cookie", session.as_str())], "").await.json();
    assert_eq!((me["name"].as_str(), me["role"].as_str()), (Some("ada@example.org"), Some("analyst")));
    let set: Vec<&str> = back.headers.get_all(header::SET_COOKIE).iter().map(|c| c.to_str().unwrap()).collect();
    assert!(set[0].contains("SameSite=Strict") && set[1].starts_with("overheard_sign_in=;"), "{set:?}");
    let page = AuditLog::new(client.state.clone()).page(None, 10, 365, NOW.parse().unwrap()).await.unwrap();
    let is_hers = |entry: &AuditEntry| entry.action == "sign in" && entry.who.as_deref() == Some("ada@example.org");
    assert!(page.entries.iter().any(is_hers));
}

#[tokio::test]
async fn an_attempt_belongs_to_one_browser() {
    let client = client().await;
    let ((state, cookie), (_, other)) = (begin(&client).await, begin(&client).await);
    for (state, cookie) in [(state.as_str(), other.as_str()), (state.as_str(), ""), ("x", cookie.as_str()), ("", "")] {
        let back = come_back(&client, "good", state, cookie).await;
        assert_eq!(location(&back), "/?sign-in=refused");
        assert!(back.headers.get(header::SET_COOKIE).is_none());
    }
    let twice = client.send("GET", &format!("{PAGE}/callback?code=a&code=b"), &[], "").await;
    twice.refused(400, Some("query"));
    let denied = client.send("GET", &format!("{PAGE}/callback?error=access_denied&state={state}"), &[], "").await;
    assert_eq!(location(&denied), "/?sign-in=refused");
}

#[tokio::test]
async fn what_goes_wrong_is_told_on_the_sign_in_page() {
    let client = client().await;
    for (code, told) in [("bad", "refused"), ("down", "unavailable"), ("stranger", "no-role"), ("admin", "name")] {
        let (state, cookie) = begin(&client).await;
        let back = come_back(&client, code, &state, &cookie).await;
        assert_eq!(location(&back), format!("/?sign-in={told}"), "{code}");
    }
}

//! The server as a client sees it: who is let in, what is refused and how, and what it asks the lake.

mod access;
mod fakes;
mod limits;
mod link;
mod matrix;
mod mcp;
mod provider;
mod sources;
mod tls;

use crate::{Config, Ports, Server};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::Duration;
use domain::{EnrichedPost, ManualClock, PostId, PostTable, Sentiment, SentimentLabel, StateStore, Timestamp};
use fakes::{House, Letters};
use serde_json::{Value, json};
use state::{Accounts, MemoryState, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use testkit::MemoryLake;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const NOW: &str = "2026-11-23T07:00:00Z";

struct Client {
    router: Router,
    state: Arc<dyn StateStore>,
    lake: Arc<MemoryLake>,
    letters: Arc<Letters>,
    house: Arc<House>,
    clock: Arc<ManualClock>,
    password: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    #[track_caller]
    fn refused(&self, status: u16, field: Option<&str>) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.json()["field"].as_str(), field, "{}", self.text);
    }

    fn cookie(&self) -> String {
        let cookie = self.headers[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

async fn client() -> Client {
    client_with(Config::default()).await
}

async fn client_with(config: Config) -> Client {
    let now: Timestamp = NOW.parse().unwrap();
    let state: Arc<dyn StateStore> = Arc::<MemoryState>::default();
    let accounts = Accounts::new(state.clone());
    let password = accounts.add_first_admin(None, false, now).await.unwrap().unwrap();
    assert_eq!(accounts.add_first_admin(None, false, now).await.unwrap(), None, "only the first start makes an admin");
    let (lake, letters, house) = (Arc::<MemoryLake>::default(), Arc::<Letters>::default(), Arc::<House>::default());
    let clock = Arc::new(ManualClock::at(now));
    let server = Server {
        config: Config { body_max_bytes: 2000, push_max_bytes: 4000, import_max_bytes: 4000, ..config },
        analytics: lake.clone(),
        state: state.clone(),
        queue: letters.clone(),
        ports: Ports {
            system: house.clone(),
            push: house.clone(),
            alerts: house.clone(),
            sql: house.clone(),
            posts: house.clone(),
            sources: house.clone(),
            identity: Some(house.clone()),
            imports: house.clone(),
        },
        live: broadcast::channel(16).0,
        clock: clock.clone(),
    };
    let router = server.router(CancellationToken::new());
    Client { router, state, lake, letters, house, clock, password }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(body).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5000))));
    request
}

/// A post that was published so many hours before now.
fn post(id: &str, hours_ago: i64) -> EnrichedPost {
    let mut enriched = testkit::posts::enriched("1", "late again");
    enriched.post.id = PostId::parse(id).unwrap();
    enriched.post.platform = enriched.post.id.platform().to_owned();
    enriched.post.occurred_at = NOW.parse::<Timestamp>().unwrap() - Duration::hours(hours_ago);
    enriched
}

fn feeling(label: SentimentLabel) -> Option<Sentiment> {
    Some(Sentiment { label, positive: 0.1, negative: 0.7, neutral: 0.1, mixed: 0.1 })
}

impl Client {
    fn accounts(&self) -> Accounts {
        Accounts::new(self.state.clone())
    }

    /// Puts posts into the lake, where none is yet.
    async fn store(&self, mut posts: Vec<EnrichedPost>) {
        posts.iter_mut().zip(1..).for_each(|(post, offset)| post.offset = offset);
        self.lake.commit(testkit::posts::batch(posts)).await.unwrap();
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let request = request(method, path, headers, body.into());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// The status alone, for answers without an end (live streams).
    async fn send_for_status(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> u16 {
        let request = request(method, path, headers, body);
        self.router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    async fn get(&self, cookie: &str, path: &str) -> Answer {
        self.send("GET", path, &[("cookie", cookie)], Body::empty()).await
    }

    async fn write(&self, cookie: &str, method: &str, path: &str, body: Value) -> Answer {
        let headers = [("cookie", cookie), ("origin", "http://localhost:8080"), ("content-type", "application/json")];
        self.send(method, path, &headers, body.to_string()).await
    }

    async fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.write("", "POST", "/api/session", json!({ "name": name, "password": password })).await
    }

    async fn admin(&self) -> String {
        self.sign_in("admin", &self.password).await.cookie()
    }

    /// Cookie of a new user with the role.
    async fn user(&self, role: Role) -> String {
        let admin = self.admin().await;
        let name = serde_json::to_value(role).unwrap().as_str().unwrap().to_owned();
        let user = json!({ "name": name, "password": "a long password", "role": role });
        assert_eq!(self.write(&admin, "POST", "/api/users", user).await.status, StatusCode::CREATED);
        self.sign_in(&name, "a long password").await.cookie()
    }
}

#[tokio::test]
async fn nothing_of_the_api_answers_a_stranger() {
    let client = client().await;
    let document: Value = serde_json::from_str(&crate::document().to_json().unwrap()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let signs_in = path.starts_with("/api/session/provider")
                || ["/api/session/ways", "/api/session/link"].contains(&path.as_str());
            if signs_in || (path == "/api/session" && method != "get") {
                continue;
            }
            let path = path.replace("{name}", "x").replace("{id}", "x");
            let answer = client.send(&method.to_uppercase(), &path, &[], Body::empty()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text);
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
    assert_eq!(client.lake.asked(), 0);
}

#[tokio::test]
async fn a_person_signs_in_and_out() {
    let client = client().await;
    client.sign_in("admin", "wrong password!").await.refused(401, None);
    let answer = client.sign_in("admin", &client.password).await;
    assert_eq!(answer.json(), json!({ "name": "admin", "role": "admin", "must_change_password": false }));
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = answer.cookie();
    assert_eq!(client.get(&cookie, "/api/session").await.status, StatusCode::OK);
    assert_eq!(client.write(&cookie, "DELETE", "/api/session", Value::Null).await.status, StatusCode::NO_CONTENT);
    client.get(&cookie, "/api/session").await.refused(401, None);
}

#[tokio::test]
async fn a_session_ends_by_time_and_by_a_new_password() {
    let client = client().await;
    let (first, second) = (client.admin().await, client.admin().await);
    let body = json!({ "current": client.password, "password": "another long one" });
    assert_eq!(client.write(&first, "POST", "/api/session/password", body).await.status, StatusCode::NO_CONTENT);
    client.get(&second, "/api/session").await.refused(401, None);
    let third = client.sign_in("admin", "another long one").await.cookie();
    client.clock.set("2026-12-01T07:00:00Z".parse().unwrap());
    client.get(&third, "/api/session").await.refused(401, None);
}

#[tokio::test]
async fn roles_bound_what_one_may_do() {
    let client = client().await;
    let viewer = client.user(Role::Viewer).await;
    assert_eq!(client.get(&viewer, "/api/overview").await.status, StatusCode::OK);
    let statement = json!({ "sql": "SELECT 1" });
    client.write(&viewer, "POST", "/api/sql", statement.clone()).await.refused(403, None);
    client.write(&viewer, "PUT", "/api/topics/a", json!({ "query": "a" })).await.refused(403, None);
    client.get(&viewer, "/api/users").await.refused(403, None);
    let analyst = client.user(Role::Analyst).await;
    assert_eq!(client.write(&analyst, "POST", "/api/sql", statement).await.status, StatusCode::OK);
    client.get(&analyst, "/api/dead-letters").await.refused(403, None);
    client.write(&analyst, "POST", "/api/forget", json!({ "author": "someone" })).await.refused(403, None);
}

#[tokio::test]
async fn a_write_from_elsewhere_is_refused() {
    let client = client().await;
    let admin = client.admin().await;
    let body = json!({ "query": "a" }).to_string();
    let json_type = ("content-type", "application/json");
    for origin in ["http://evil.example", "http://localhost:9999", "null"] {
        let headers = [("cookie", admin.as_str()), ("origin", origin), json_type];
        client.send("PUT", "/api/topics/a", &headers, body.clone()).await.refused(403, None);
    }
    let headers = [("cookie", admin.as_str()), json_type];
    client.send("PUT", "/api/topics/a", &headers, body).await.refused(403, None);
    assert!(client.state.list("topic").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let client = client().await;
    let admin = client.admin().await;
    client.get(&admin, "/api/overview?sentiment=angry").await.refused(400, Some("sentiment"));
    client.get(&admin, "/api/overview?colour=red").await.refused(400, Some("colour"));
    client.get(&admin, "/api/overview?by=topic").await.refused(400, Some("by"));
    client.get(&admin, "/api/posts?sort=oldest").await.refused(400, Some("sort"));
    client.get(&admin, "/api/series?granularity=5").await.refused(400, Some("granularity"));
    client.get(&admin, "/api/breakdown?by=mood").await.refused(400, Some("by"));
    client.get(&admin, "/api/posts?limit=lots").await.refused(400, Some("limit"));
    client.get(&admin, "/api/posts?cursor=x").await.refused(400, Some("cursor"));
    client.get(&admin, "/api/post?id=x:1&at=%2B262142-12-31T23:59:59Z").await.refused(400, Some("at"));
    client.write(&admin, "POST", "/api/sql", json!({ "sql": "DROP TABLE raw" })).await.refused(400, Some("sql"));
    client.write(&admin, "POST", "/api/sql", json!({ "sql": 7 })).await.refused(400, Some("sql"));
    let rows = json!({ "sql": "SELECT 1", "rows_max": 0 });
    client.write(&admin, "POST", "/api/sql", rows).await.refused(400, Some("rows_max"));
    client.get(&admin, "/api/dead-letters?limit=0").await.refused(400, Some("limit"));
    for id in [0, u64::MAX] {
        client.write(&admin, "DELETE", "/api/dead-letters", json!({ "id": id })).await.refused(400, Some("id"));
    }
    client.write(&admin, "POST", "/api/sql", json!({ "sql": "x".repeat(3000) })).await.refused(413, None);
    let rule = json!({ "topic": null, "condition": { "when": "threshold", "mentions_min": 0, "window_s": 60 },
        "channels": [], "cooldown_s": 0, "quiet_hours": null, "enabled": true });
    client.write(&admin, "PUT", "/api/rules/r", rule.clone()).await.refused(400, Some("condition.mentions_min"));
    let with = |field: &str, value: Value| {
        let mut rule = rule.clone();
        rule["condition"]["mentions_min"] = json!(1);
        rule[field] = value;
        rule
    };
    client
        .write(&admin, "PUT", "/api/rules/r", with("channels", json!(["nowhere"])))
        .await
        .refused(400, Some("channels"));
    client
        .write(&admin, "PUT", "/api/rules/r", with("quiet_hours", json!("22-7")))
        .await
        .refused(400, Some("quiet_hours"));
    let good = client.write(&admin, "PUT", "/api/rules/r", with("channels", json!(["log"]))).await;
    assert_eq!(good.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_alert_is_shown_as_it_stands_though_the_lake_is_behind() {
    let client = client().await;
    let now: Timestamp = NOW.parse().unwrap();
    let stored = domain::Alert {
        id: "a1".into(),
        rule: "storms".into(),
        topic: None,
        state: domain::AlertState::Open,
        opened_at: now,
        updated_at: now,
        resolved_at: None,
        severity: domain::Severity::High,
        title: "up".into(),
        anomalies: Vec::new(),
        notified: Vec::new(),
    };
    client.lake.put_alerts(vec![stored.clone()]).await.unwrap();
    let alert = domain::Alert { state: domain::AlertState::Acknowledged, ..stored };
    let lost = domain::Undelivered { channel: "pager".into(), at: now, reason: "receiver answered 410 Gone".into() };
    client.house.alerts_now.lock().unwrap().push(domain::AlertNow { alert, undelivered: vec![lost] });
    let admin = client.admin().await;
    let shown = client.get(&admin, "/api/alerts").await.json();
    assert_eq!((&shown[0]["state"], &shown[0]["undelivered"][0]["channel"]), (&json!("acknowledged"), &json!("pager")));
    assert_eq!(client.get(&admin, "/api/alerts?state=open").await.json(), json!([]), "not open any more");
    let acknowledged = client.get(&admin, "/api/alerts?state=acknowledged").await.json();
    assert_eq!(acknowledged[0]["alert_id"], json!("a1"), "the lake still holds it as open");
}

#[tokio::test]
async fn numbers_stand_beside_those_of_the_stretch_before() {
    let client = client().await;
    let of_topic = |id: String, hours_ago, label| {
        let mut post = post(&id, hours_ago);
        post.topics = vec!["O'Hare".into()];
        post.post.reach = None;
        post.enrichment.sentiment = label;
        post
    };
    use SentimentLabel::{Negative, Neutral, Positive};
    let current =
        [[Negative; 6].as_slice(), &[Positive, Neutral]].concat().into_iter().map(feeling).chain([None, None]);
    let current = current.zip(0..).map(|(label, nth)| of_topic(format!("x:new{nth}"), 1, label));
    let previous = (0..5).map(|nth| of_topic(format!("x:old{nth}"), 30, feeling(Positive)));
    client.store(current.chain(previous).chain([post("x:other", 1)]).collect()).await;
    let admin = client.admin().await;
    let answer = client.get(&admin, "/api/overview?topic=O%27Hare").await.json();
    assert_eq!(answer["totals"]["mentions"], 10);
    assert_eq!(answer["totals"]["share_negative"], 0.75);
    assert_eq!((&answer["previous"]["reach"], &answer["previous"]["share_negative"]), (&json!(0), &json!(0.0)));
    assert_eq!((&answer["totals"]["authors"], &answer["previous"]["mentions"]), (&json!(1), &json!(5)));
    assert_eq!(answer["newest_at"], "2026-11-23T06:00:00Z");
}

#[tokio::test]
async fn the_same_question_is_asked_once_for_each_version_of_the_lake() {
    let client = client().await;
    let admin = client.admin().await;
    let path = "/api/breakdown?by=category&from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z";
    let asked = || client.lake.asked();
    client.get(&admin, path).await;
    client.get(&admin, path).await;
    assert_eq!(asked(), 1);
    client.store(vec![post("x:1", 1)]).await;
    client.get(&admin, path).await;
    assert_eq!(asked(), 1, "an answer may be a second old");
    client.clock.set("2026-11-23T07:00:02Z".parse().unwrap());
    client.get(&admin, path).await;
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn a_correction_is_kept_with_its_history_and_shown_on_the_post() {
    let client = client().await;
    let admin = client.admin().await;
    let mut late = post("x:1", 1);
    late.post.text = "<b>late</b>".into();
    late.enrichment.sentiment = feeling(SentimentLabel::Positive);
    client.store(vec![late]).await;
    client
        .write(&admin, "POST", "/api/labels", json!({ "post_id": "x 1", "sentiment": "negative" }))
        .await
        .refused(400, Some("post_id"));
    let far = json!({ "post_id": "x:1", "at": "+262142-12-31T23:59:59Z", "sentiment": "negative" });
    client.write(&admin, "POST", "/api/labels", far).await.refused(400, Some("at"));
    client.write(&admin, "POST", "/api/labels", json!({ "post_id": "x:1", "sentiment": "negative" })).await;
    let history = client.write(&admin, "POST", "/api/labels", json!({ "post_id": "x:1", "category": "delay" })).await;
    assert_eq!(history.json().as_array().unwrap().len(), 2);
    let posts = client.get(&admin, "/api/posts").await.json();
    assert_eq!(posts["posts"][0]["correction"]["category"], "delay");
    assert_eq!(posts["posts"][0]["sentiment"], "positive", "what the model said stays");
    assert_eq!(posts["posts"][0]["text"], "<b>late</b>");
    let labels = client.get(&admin, "/api/labels").await.json();
    assert_eq!(labels[0]["correction"]["by"], "admin");
}

#[tokio::test]
async fn a_token_does_what_it_is_for_and_nothing_after_it_is_revoked() {
    let client = client().await;
    let admin = client.admin().await;
    let push = json!({ "name": "reviews", "scope": { "for": "push", "source": "push:reviews" } });
    let issued = client.write(&admin, "POST", "/api/tokens", push).await.json();
    let secret = format!("Bearer {}", issued["secret"].as_str().unwrap());
    let headers = [("authorization", secret.as_str())];
    let pushed = client.send("POST", "/v1/posts", &headers, "[]").await.json();
    assert_eq!(pushed["items"][0]["reason"], "2 bytes of push:reviews");
    let full = client.send("POST", "/v1/posts", &headers, "full").await;
    full.refused(429, None);
    assert_eq!(full.headers[header::RETRY_AFTER], "7");
    let full = client.send("POST", "/v1/posts", &headers, "letters full").await;
    full.refused(429, None);
    assert!(full.text.contains("dead letters"), "{}", full.text);
    client.send("POST", "/v1/posts", &headers, "x".repeat(5000)).await.refused(413, None);
    client.send("GET", "/api/overview", &headers, Body::empty()).await.refused(403, None);
    let listed = client.get(&admin, "/api/tokens").await;
    assert!(!listed.text.contains(issued["secret"].as_str().unwrap()));
    let path = format!("/api/tokens/{}", issued["token"]["id"].as_str().unwrap());
    assert_eq!(client.write(&admin, "DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    client.send("POST", "/v1/posts", &headers, "[]").await.refused(401, None);
}

#[tokio::test]
async fn a_dead_letter_leaves_only_when_its_replay_worked() {
    let client = client().await;
    let admin = client.admin().await;
    let letter = |id, payload: &str| domain::DeadLetter {
        id,
        source: "push:a".into(),
        platform: "a".into(),
        reason: "no text".into(),
        payload: payload.into(),
        payload_format: None,
        provenance: None,
        occurred_at: NOW.parse().unwrap(),
    };
    client.letters.0.lock().unwrap().extend([letter(1, "bad"), letter(2, "good")]);
    let replay = |id: u64| client.write(&admin, "POST", "/api/dead-letters/replay", json!({ "id": id }));
    assert_eq!(replay(1).await.json()["reason"], "still bad");
    assert_eq!(replay(2).await.json(), json!({ "accepted": 1 }));
    replay(2).await.refused(404, None);
    let left = client.get(&admin, "/api/dead-letters").await.json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &json!(1)));
}

#[tokio::test]
async fn the_last_admin_stays() {
    let client = client().await;
    let admin = client.admin().await;
    client.write(&admin, "DELETE", "/api/users/admin", Value::Null).await.refused(409, Some("name"));
    client.write(&admin, "PATCH", "/api/users/admin", json!({ "role": "viewer" })).await.refused(409, Some("role"));
}

#[tokio::test]
async fn every_answer_carries_an_id_of_our_own() {
    let client = client().await;
    let mut ids = Vec::new();
    for path in ["/healthz", "/api/overview", "/nowhere"] {
        let answer = client.send("GET", path, &[("x-request-id", "forged")], Body::empty()).await;
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(id.len() == 32 && !ids.contains(&id), "{path}: {id}");
        ids.push(id);
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_posts_from_becoming_markup() {
    let client = client().await;
    for path in ["/", "/api/overview", "/healthz", "/metrics", "/openapi.json"] {
        let answer = client.send("GET", path, &[], Body::empty()).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    assert_eq!(client.send("GET", "/metrics", &[], Body::empty()).await.text, "overheard_posts_total 7\n");
    assert_eq!(client.send("GET", "/readyz", &[], Body::empty()).await.status, StatusCode::OK);
}

/// The document is what the dashboard's types are made from; a change of it is meant or it is a mistake.
#[test]
fn golden_open_api_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let document = crate::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let agreed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(document == agreed, "openapi.json differs; UPDATE_GOLDEN=1 cargo test -p server writes it anew");
}

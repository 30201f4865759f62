//! Sign-in, accounts, tokens, sessions and the audit log, with an attacker on the other side.

use super::{Client, NOW, client, client_with};
use crate::Config;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use futures::future::join_all;
use serde_json::{Value, json};
use state::{AuditLog, Role};
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceExt;

impl Client {
    async fn sign_in_from(&self, address: [u8; 4], cookies: &str, name: &str, password: &str) -> super::Answer {
        let body = json!({ "name": name, "password": password }).to_string();
        let mut request = Request::builder()
            .method("POST")
            .uri("/api/session")
            .header("host", "localhost:8080")
            .header("origin", "http://localhost:8080")
            .header("content-type", "application/json")
            .header("cookie", cookies)
            .body(Body::from(body))
            .unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 5000))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        super::Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn token(&self, cookie: &str, body: Value) -> Value {
        let answer = self.write(cookie, "POST", "/api/tokens", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()
    }

    async fn with_token(&self, issued: &Value, method: &str, path: &str) -> StatusCode {
        let secret = format!("Bearer {}", issued["secret"].as_str().unwrap());
        self.send(method, path, &[("authorization", secret.as_str())], "[]").await.status
    }

    /// A second admin of that name, signed in.
    async fn second_admin(&self, name: &str) -> String {
        let user = json!({ "name": name, "password": "a long password", "role": "admin" });
        assert_eq!(self.write(&self.admin().await, "POST", "/api/users", user).await.status, StatusCode::CREATED);
        self.sign_in(name, "a long password").await.cookie()
    }
}

/// The named cookies that an answer sets, as a browser sends them.
fn cookies(answer: &super::Answer) -> String {
    let all = answer.headers.get_all(header::SET_COOKIE).into_iter();
    all.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn of_many_guesses_at_once_few_are_judged_and_the_right_person_still_gets_in() {
    let client = client().await;
    let device = cookies(&client.sign_in("admin", &client.password).await);
    let guesses = (0..200).map(|_| client.sign_in_from([10, 0, 0, 9], "", "admin", "wrong password!"));
    let answers = join_all(guesses).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status.as_u16() == status).count();
    assert_eq!((of(401), of(429)), (5, 195));
    assert_eq!(answers.iter().find(|answer| answer.status == 429).unwrap().headers[header::RETRY_AFTER], "5");
    let elsewhere = client.sign_in_from([10, 0, 0, 8], "", "admin", &client.password).await;
    assert_eq!(elsewhere.status, StatusCode::OK, "another network is another count");
    let same_network = client.sign_in_from([10, 0, 0, 9], "", "admin", &client.password).await;
    assert_eq!(same_network.status, StatusCode::TOO_MANY_REQUESTS);
    let known = client.sign_in_from([10, 0, 0, 9], &device, "admin", &client.password).await;
    assert_eq!(known.status, StatusCode::OK, "a known device is no stranger");
    let other_name = client.sign_in_from([10, 0, 0, 9], &device, "grace", "wrong password!").await;
    assert_eq!(other_name.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn names_are_bounded_and_ones_own_password_is_guessed_slowly_as_well() {
    let client = client().await;
    client.sign_in(&"x".repeat(257), "wrong password!").await.refused(400, Some("name"));
    let admin = client.admin().await;
    let body = json!({ "current": "a wrong password", "password": "another long one" });
    let tries = (0..20).map(|_| client.write(&admin, "POST", "/api/session/password", body.clone()));
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 400).count(), 5);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 15);
}

#[tokio::test]
async fn a_proxy_that_is_trusted_says_who_asks_and_nobody_else_does() {
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    for (config, judged) in [(Config::default(), 20), (Config { trusted_proxies, ..Config::default() }, 30)] {
        let client = client_with(config).await;
        let mut count = 0;
        for n in 0..30 {
            let address = format!("203.0.113.{n}");
            let headers = [("x-forwarded-for", address.as_str()), ("content-type", "application/json")];
            let body = json!({ "name": format!("user{n}"), "password": "wrong password!" }).to_string();
            count += usize::from(client.send("POST", "/api/session", &headers, body).await.status == 401);
        }
        assert_eq!(count, judged);
    }
}

#[tokio::test]
async fn two_admins_can_not_remove_or_demote_each_other_at_once() {
    for round in 0..4 {
        let client = client().await;
        let (first, second) = (client.admin().await, client.second_admin("grace").await);
        let lower = json!({ "role": "viewer" });
        let (one, two) = match round % 2 {
            0 => tokio::join!(
                client.write(&first, "PATCH", "/api/users/grace", lower.clone()),
                client.write(&second, "PATCH", "/api/users/admin", lower.clone())
            ),
            _ => tokio::join!(
                client.write(&first, "DELETE", "/api/users/grace", Value::Null),
                client.write(&second, "PATCH", "/api/users/admin", lower.clone())
            ),
        };
        let users = client.accounts().accounts().await.unwrap();
        let admins = users.iter().filter(|user| user.role == Role::Admin).count();
        assert_eq!(admins, 1, "{} {}", one.text, two.text);
    }
}

#[tokio::test]
async fn a_removed_user_does_not_come_back_by_a_change_that_was_under_way() {
    let client = client().await;
    let grace = client.second_admin("grace").await;
    let admin = client.admin().await;
    let body = json!({ "current": "a long password", "password": "another long one" });
    let change = client.write(&grace, "POST", "/api/session/password", body);
    let by_admin = client.write(&admin, "PATCH", "/api/users/grace", json!({ "password": "a third long one" }));
    let removal = async {
        // The two changes are hashing by now.
        tokio::time::sleep(Duration::from_millis(5)).await;
        client.write(&admin, "DELETE", "/api/users/grace", Value::Null).await
    };
    let (_, _, removed) = tokio::join!(change, by_admin, removal);
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let left: Vec<String> = client.accounts().accounts().await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(left, ["admin"]);
    client.get(&grace, "/api/session").await.refused(401, None);
}

#[tokio::test]
async fn a_password_change_keeps_a_role_that_was_changed_meanwhile() {
    let client = client().await;
    let (grace, admin) = (client.second_admin("grace").await, client.admin().await);
    let body = json!({ "current": "a long password", "password": "another long one" });
    let (changed, lowered) = tokio::join!(
        client.write(&grace, "POST", "/api/session/password", body),
        client.write(&admin, "PATCH", "/api/users/grace", json!({ "role": "viewer" }))
    );
    assert_eq!((changed.status.as_u16(), lowered.status.as_u16()), (204, 204));
    let users = client.accounts().accounts().await.unwrap();
    assert_eq!(users.iter().find(|user| user.name == "grace").unwrap().role, Role::Viewer);
    assert_eq!(client.sign_in("grace", "another long one").await.status, StatusCode::OK);
}

#[tokio::test]
async fn behind_https_cookies_are_bound_to_it_and_other_names_are_not_answered() {
    let public_origin = Some("https://overheard.example.org".to_owned());
    let client = client_with(Config { public_origin, ..Config::default() }).await;
    let headers = [
        ("host", "overheard.example.org"),
        ("origin", "https://overheard.example.org"),
        ("content-type", "application/json"),
    ];
    let body = json!({ "name": "admin", "password": client.password }).to_string();
    let answer = client.send("POST", "/api/session", &headers[1..], body).await;
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("__Host-overheard_session=") && set.ends_with("; Secure"), "{set}");
    assert_eq!(answer.headers[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
    let cookie = answer.cookie();
    assert_eq!(client.get(&cookie, "/api/session").await.status, StatusCode::OK);
    client.get(&cookie.replace("__Host-", ""), "/api/session").await.refused(401, None);
    for (path, status) in [("/metrics", 421), ("/readyz", 421), ("/", 421), ("/api/session", 421), ("/healthz", 200)] {
        let mut request = Request::get(path).header("host", "rebound.example").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5000))));
        let answer = client.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_first_password_opens_nothing_until_it_is_changed() {
    let client = client().await;
    let password = client.accounts().reset_password("admin").await.unwrap().unwrap();
    client.sign_in("admin", &client.password).await.refused(401, None);
    let answer = client.sign_in("admin", &password).await;
    assert_eq!(answer.json()["must_change_password"], true);
    let cookie = answer.cookie();
    client.get(&cookie, "/api/users").await.refused(403, None);
    client.get(&cookie, "/api/overview").await.refused(403, None);
    let same = json!({ "current": password, "password": password });
    client.write(&cookie, "POST", "/api/session/password", same).await.refused(400, Some("password"));
    let other = json!({ "current": password, "password": "another long one" });
    let changed = client.write(&cookie, "POST", "/api/session/password", other).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT);
    assert_eq!(client.get(&cookie, "/api/session").await.json()["must_change_password"], false);
    assert_eq!(client.get(&cookie, "/api/users").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_worth_no_more_than_its_maker_and_ends_with_him() {
    let client = client().await;
    let (grace, admin) = (client.second_admin("grace").await, client.admin().await);
    let api = |role: &str| json!({ "name": "bot", "scope": { "for": "api", "role": role } });
    let token = client.token(&grace, api("admin")).await;
    let push = client.token(&grace, json!({ "name": "p", "scope": { "for": "push", "source": "shop" } })).await;
    let child = {
        let secret = format!("Bearer {}", token["secret"].as_str().unwrap());
        let headers = [("authorization", secret.as_str()), ("content-type", "application/json")];
        client.send("POST", "/api/tokens", &headers, api("viewer").to_string()).await.json()
    };
    assert_eq!(child["token"]["created_by"], "grace", "what a token makes is its maker's");
    assert_eq!(client.with_token(&token, "GET", "/api/users").await, StatusCode::OK);
    client.write(&admin, "PATCH", "/api/users/grace", json!({ "role": "viewer" })).await;
    assert_eq!(client.with_token(&token, "GET", "/api/users").await, StatusCode::FORBIDDEN);
    assert_eq!(client.with_token(&token, "GET", "/api/session").await, StatusCode::OK);
    assert_eq!(client.with_token(&push, "POST", "/v1/posts").await, StatusCode::OK);
    client.write(&admin, "DELETE", "/api/users/grace", Value::Null).await;
    for (issued, path) in [(&token, "/api/session"), (&child, "/api/session"), (&push, "/v1/posts")] {
        let method = if path == "/v1/posts" { "POST" } else { "GET" };
        assert_eq!(client.with_token(issued, method, path).await, StatusCode::UNAUTHORIZED);
    }
    client.second_admin("grace").await;
    assert_eq!(client.with_token(&token, "GET", "/api/session").await, StatusCode::UNAUTHORIZED, "nor with a namesake");
}

#[tokio::test]
async fn a_token_ends_when_it_was_meant_to_and_tells_when_it_was_used() {
    let client = client().await;
    let admin = client.admin().await;
    let mut order = json!({ "name": "bot", "scope": { "for": "api", "role": "viewer" }, "expires_in_days": 0 });
    client.write(&admin, "POST", "/api/tokens", order.clone()).await.refused(400, Some("expires_in_days"));
    order["expires_in_days"] = json!(2);
    let token = client.token(&admin, order).await;
    assert_eq!(client.with_token(&token, "GET", "/api/session").await, StatusCode::OK);
    let listed = client.get(&admin, "/api/tokens").await.json();
    assert_eq!((&listed[0]["used_at"], &listed[0]["expires_at"]), (&json!(NOW), &json!("2026-11-25T07:00:00Z")));
    client.clock.set("2026-11-25T07:00:00Z".parse().unwrap());
    assert_eq!(client.with_token(&token, "GET", "/api/session").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_of_the_configuration_are_those_that_stand_there_now() {
    let client = client().await;
    let now = NOW.parse().unwrap();
    let pair = |source: &str, secret: &str| (source.to_owned(), secret.to_owned());
    let pushes = async |secret: &str| {
        let header = format!("Bearer {secret}");
        client.send("POST", "/v1/posts", &[("authorization", header.as_str())], "[]").await.status.as_u16()
    };
    client.accounts().set_push_tokens(&[pair("a", "one"), pair("b", "two")], now).await.unwrap();
    assert_eq!((pushes("one").await, pushes("two").await), (200, 200));
    client.accounts().set_push_tokens(&[pair("a", "changed")], now).await.unwrap();
    assert_eq!((pushes("one").await, pushes("two").await, pushes("changed").await), (401, 401, 200));
    client.accounts().set_push_tokens(&[pair("c", "changed")], now).await.unwrap();
    let admin = client.admin().await;
    let listed = client.get(&admin, "/api/tokens").await.json();
    assert_eq!(listed[0]["scope"], json!({ "for": "push", "source": "c" }));
    client
        .write(
            &admin,
            "POST",
            "/api/users",
            json!({ "name": "configuration", "password": "a long password",
        "role": "viewer" }),
        )
        .await
        .refused(400, Some("name"));
}

#[tokio::test]
async fn a_token_pushes_only_as_a_source_that_is_known() {
    let client = client().await;
    let admin = client.admin().await;
    let order = |source: &str| json!({ "name": "t", "scope": { "for": "push", "source": source } });
    client.write(&admin, "POST", "/api/tokens", order("taken")).await.refused(400, Some("scope.source"));
    let known = client.token(&admin, order("shop")).await;
    client.house.unconfigured.lock().unwrap().push("shop".into());
    assert_eq!(client.with_token(&known, "POST", "/v1/posts").await, StatusCode::FORBIDDEN, "its source was removed");
    client.house.unconfigured.lock().unwrap().push("own".into());
    let own = client.token(&admin, order("own")).await;
    assert_eq!(
        client.with_token(&own, "POST", "/v1/posts").await,
        StatusCode::OK,
        "it was made for a source of its own"
    );
}

#[tokio::test]
async fn a_live_stream_ends_with_the_right_to_read_it() {
    for end in ["sign out", "demoted token", "revoked", "removed"] {
        let client = client().await;
        let admin = client.admin().await;
        let grace = client.second_admin("grace").await;
        let order = json!({ "name": "bot", "scope": { "for": "api", "role": "viewer" } });
        let token = client.token(&grace, order).await;
        let secret = format!("Bearer {}", token["secret"].as_str().unwrap());
        let by_session = end == "sign out";
        let (name, value) = if by_session { ("cookie", grace.as_str()) } else { ("authorization", secret.as_str()) };
        let request = Request::get("/api/live").header("host", "localhost").header(name, value);
        let answer = client.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut stream = answer.into_body().into_data_stream();
        let reading = tokio::spawn(async move { while stream.next().await.is_some() {} });
        tokio::task::yield_now().await;
        let path = format!("/api/tokens/{}", token["token"]["id"].as_str().unwrap());
        match end {
            "sign out" => client.write(&grace, "DELETE", "/api/session", Value::Null).await,
            "revoked" => client.write(&admin, "DELETE", &path, Value::Null).await,
            "removed" => client.write(&admin, "DELETE", "/api/users/grace", Value::Null).await,
            _ => {
                client.write(&admin, "PATCH", "/api/users/grace", json!({ "role": "viewer" })).await;
                assert!(!reading.is_finished(), "a viewer may still read");
                client.write(&admin, "DELETE", &path, Value::Null).await
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reading).await.expect("the stream goes on").unwrap();
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended_ones_own_or_as_admin_everybodys() {
    let client = client().await;
    let (viewer, admin) = (client.user(Role::Viewer).await, client.admin().await);
    let other = client.sign_in("viewer", "a long password").await.cookie();
    let own = client.get(&viewer, "/api/sessions").await.json();
    let own = own.as_array().unwrap();
    assert_eq!(own.iter().map(|session| &session["user"]).collect::<Vec<_>>(), ["viewer", "viewer"]);
    assert_eq!(own.iter().filter(|session| session["is_this"] == true).count(), 1);
    assert_eq!((&own[0]["address"], &own[0]["created_at"]), (&json!("127.0.0.1"), &json!(NOW)));
    let all = client.get(&admin, "/api/sessions").await.json();
    let of_admin = all.as_array().unwrap().iter().find(|session| session["is_this"] == true).unwrap();
    let path = |session: &Value| format!("/api/sessions/{}", session["id"].as_str().unwrap());
    client.write(&viewer, "DELETE", &path(of_admin), Value::Null).await.refused(404, None);
    let second = own.iter().find(|session| session["is_this"] == false).unwrap();
    assert_eq!(client.write(&viewer, "DELETE", &path(second), Value::Null).await.status, StatusCode::NO_CONTENT);
    client.get(&other, "/api/session").await.refused(401, None);
    let first = own.iter().find(|session| session["is_this"] == true).unwrap();
    assert_eq!(client.write(&admin, "DELETE", &path(first), Value::Null).await.status, StatusCode::NO_CONTENT);
    client.get(&viewer, "/api/session").await.refused(401, None);
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_from_where_and_never_what_was_in_it() {
    let client = client().await;
    let admin = client.admin().await;
    client.sign_in("admin", "a secret guess!").await.refused(401, None);
    client.sign_in("my password by mistake", "a secret guess!").await.refused(401, None);
    client.user(Role::Viewer).await;
    client.write(&admin, "PATCH", "/api/users/viewer", json!({ "role": "analyst" })).await;
    client.write(&admin, "PUT", "/api/topics/a%20storm", json!({ "query": "secretword" })).await;
    client.write(&admin, "POST", "/api/sql", json!({ "sql": "SELECT 'secretword'" })).await;
    let viewer = client.sign_in("viewer", "a long password").await.cookie();
    client.write(&viewer, "DELETE", "/api/users/admin", Value::Null).await.refused(403, None);
    client.write("", "DELETE", "/api/users/admin", Value::Null).await.refused(401, None);
    let page = client.get(&admin, "/api/audit?limit=500").await;
    assert!(!["secret", "by mistake", "a long password"].iter().any(|word| page.text.contains(word)), "{}", page.text);
    let entries = page.json()["entries"].as_array().unwrap().clone();
    let told: Vec<String> = entries
        .iter()
        .map(|entry| {
            let word = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", word("who"), word("action"), word("subject"), word("outcome"))
        })
        .collect();
    for expected in [
        "- sign in admin refused",
        "- sign in an unknown name refused",
        "admin sign in - done",
        "admin POST /api/users viewer as viewer done",
        "admin PATCH /api/users/{name} viewer becomes analyst done",
        "admin PUT /api/topics/{name} a storm done",
        "admin POST /api/sql - done",
        "viewer DELETE /api/users/{name} admin refused",
    ] {
        assert_eq!(told.iter().filter(|entry| *entry == expected).count().min(1), 1, "{expected}: {told:#?}");
    }
    assert_eq!(told.iter().filter(|entry| entry.starts_with("- DELETE")).count(), 0, "a stranger fills no log");
    assert_eq!(entries[0]["address"], "127.0.0.1");
    client.get(&viewer, "/api/audit").await.refused(403, None);
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page_and_forgets_after_its_days() {
    let client = client().await;
    let log = AuditLog::new(client.state.clone());
    for (at, subject) in [("2026-11-20", "a"), ("2026-11-21", "b"), ("2026-11-21", "c"), ("2026-11-23", "d")] {
        let at = format!("{at}T06:00:00Z").parse().unwrap();
        log.add_command("users role", subject, at).await.unwrap();
    }
    let now = NOW.parse().unwrap();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = log.page(before.as_deref(), 1, 365, now).await.unwrap();
        seen.extend(page.entries.into_iter().filter_map(|entry| entry.subject));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let (first, rest) = seen.split_first().unwrap();
    let mut same_moment = rest[..2].to_vec();
    same_moment.sort();
    assert_eq!((first.as_str(), same_moment, rest[2].as_str()), ("d", vec!["b".into(), "c".into()], "a"));
    log.expire(2, now).await.unwrap();
    let left = log.page(None, 10, 365, now).await.unwrap().entries;
    assert_eq!(left.len(), 3, "{left:?}");
}

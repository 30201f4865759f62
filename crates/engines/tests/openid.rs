//! Sign-in against a stand-in for an identity provider.

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::{ErrorKind, Identity, IdentityProvider as _, SignInAttempt, SystemClock};
use engines::{OpenId, OpenIdSettings};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use url::Url;

/// What the stand-in says instead of what is right.
#[derive(Default)]
struct Provider {
    address: String,
    challenge: Mutex<String>,
    claims: Mutex<Value>,
    description: Mutex<Value>,
    user: Mutex<Value>,
}

async fn describe(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let mut described = json!({
        "issuer": provider.address,
        "authorization_endpoint": format!("{}/authorize?tenant=1", provider.address),
        "token_endpoint": format!("{}/token", provider.address),
        "userinfo_endpoint": format!("{}/user", provider.address),
    });
    merge(&mut described, &provider.description.lock().unwrap());
    Json(described)
}

async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let client = format!("Basic {}", STANDARD.encode("over%26heard:s+cret"));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let is_right = headers["authorization"] == client.as_str()
        && form["grant_type"] == "authorization_code"
        && form["code"] == "good"
        && challenge == *provider.challenge.lock().unwrap();
    if !is_right {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})));
    }
    let mut claims = json!({
        "iss": provider.address, "sub": "42", "aud": "over&heard", "exp": 4_000_000_000_u64, "nonce": "n",
        "email": "ada@example.org", "email_verified": true,
    });
    merge(&mut claims, &provider.claims.lock().unwrap());
    let id_token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    (StatusCode::OK, Json(json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token})))
}

async fn user(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Json<Value> {
    assert_eq!(headers["authorization"], "Bearer at");
    let mut user = json!({"sub": "42", "email": "eve@example.org", "groups": ["staff", "admins"]});
    merge(&mut user, &provider.user.lock().unwrap());
    Json(user)
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}

async fn stand_in() -> (Arc<Provider>, OpenId) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let provider = Arc::new(Provider { address: address.clone(), ..Provider::default() });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(describe))
        .route("/token", post(token))
        .route("/user", get(user))
        .with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (provider, OpenId::new(settings(&address), Arc::new(SystemClock)).unwrap())
}

fn settings(issuer: &str) -> OpenIdSettings {
    OpenIdSettings {
        name: "Example".into(),
        issuer: issuer.parse().unwrap(),
        client_id: "over&heard".into(),
        client_secret: SecretString::from("s cret"),
        scopes: vec!["email".into()],
        name_claim: "email".into(),
        groups_claim: "groups".into(),
    }
}

fn attempt() -> SignInAttempt {
    SignInAttempt {
        state: "s".into(),
        nonce: "n".into(),
        verifier: "v".repeat(43),
        callback: "https://overheard.example.org/api/session/provider/callback".into(),
    }
}

/// Goes to the provider's page as a browser does.
async fn visit(provider: &Provider, client: &OpenId) -> HashMap<String, String> {
    let page: Url = client.page(&attempt()).await.unwrap().parse().unwrap();
    let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
    *provider.challenge.lock().unwrap() = asked["code_challenge"].clone();
    asked
}

#[tokio::test]
async fn a_person_is_known_by_the_providers_words() {
    let (provider, client) = stand_in().await;
    let asked = visit(&provider, &client).await;
    for (name, value) in [
        ("tenant", "1"),
        ("response_type", "code"),
        ("client_id", "over&heard"),
        ("scope", "openid email"),
        ("state", "s"),
        ("nonce", "n"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", attempt().callback.as_str()),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    let found = client.identity("good", &attempt()).await.unwrap();
    let subject = format!("{} 42", provider.address);
    let groups = vec!["staff".to_owned(), "admins".into()];
    // The ID token's claim stands before that of the user info.
    assert_eq!(found, Identity { subject, name: "ada@example.org".into(), groups });
}

#[tokio::test]
async fn what_is_not_for_this_attempt_is_refused() {
    let (provider, client) = stand_in().await;
    visit(&provider, &client).await;
    for (claims, why) in [
        (json!({"iss": "https://evil.example.org"}), "another provider"),
        (json!({"aud": "other"}), "another client"),
        (json!({"aud": ["over&heard", "other"], "azp": "other"}), "another client"),
        (json!({"exp": 1_000}), "expired"),
        (json!({"nonce": "m"}), "another attempt"),
        (json!({"sub": ""}), "another person"),
        (json!({"email": ""}), "says no \"email\""),
        (json!({"email_verified": false}), "not verified"),
    ] {
        *provider.claims.lock().unwrap() = claims.clone();
        let refused = client.identity("good", &attempt()).await.unwrap_err();
        assert!(refused.kind() == ErrorKind::Reject && refused.to_string().contains(why), "{claims}: {refused}");
    }
    *provider.claims.lock().unwrap() = Value::Null;
    *provider.user.lock().unwrap() = json!({"sub": "43"});
    assert!(client.identity("good", &attempt()).await.unwrap_err().to_string().contains("another person"));
    *provider.user.lock().unwrap() = Value::Null;
    let used = client.identity("used", &attempt()).await.unwrap_err();
    assert!(used.kind() == ErrorKind::Reject && used.to_string().contains("invalid_grant"), "{used}");
    let other = SignInAttempt { verifier: "w".repeat(43), ..attempt() };
    assert!(client.identity("good", &other).await.is_err(), "a code is of one attempt");
}

#[tokio::test]
async fn addresses_need_tls_and_the_right_issuer() {
    let (provider, client) = stand_in().await;
    *provider.description.lock().unwrap() = json!({"token_endpoint": "http://id.example.org/token"});
    assert!(client.page(&attempt()).await.unwrap_err().to_string().contains("https://"));
    *provider.description.lock().unwrap() = json!({"issuer": "https://id.example.org"});
    assert!(client.page(&attempt()).await.unwrap_err().to_string().contains("describes another provider"));
    assert!(OpenId::new(settings("http://id.example.org"), Arc::new(SystemClock)).is_err());
    let nobody = OpenId::new(settings("http://127.0.0.1:9"), Arc::new(SystemClock)).unwrap();
    assert_eq!(nobody.page(&attempt()).await.unwrap_err().kind(), ErrorKind::Retry);
}

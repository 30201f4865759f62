//! Sources that are added, changed, paused and removed while the program runs.

use super::*;
use crate::config::Config;
use axum::Router;
use axum::routing::get;
use domain::{PostQueue as _, SourceError, SourceOrder, SourceSettings as _};
use serde_json::json;
use std::path::Path;

const FEED: &str = r#"<rss version="2.0"><channel><title>News</title>
    <item><guid>urn:a:1</guid><title>Late again, eva@mail.example</title></item><item><guid>urn:a:2</guid><title>On time</title></item>
    </channel></rss>"#;

/// A web server with a feed.
async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/feed", get(async || FEED));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn connectors(data: &Path, toml: &str) -> Arc<Connectors> {
    let file = data.join("overheard.toml");
    std::fs::write(&file, toml).unwrap();
    let config = Config::load(Some(&file), Some(&data.join("data"))).unwrap();
    let queue = crate::wiring::open_queue(&config).unwrap();
    Connectors::new(&config, queue, watch::channel(Vec::new()).0)
}

fn feed(url: &str, enabled: bool) -> SourceOrder {
    SourceOrder {
        kind: "feed".into(),
        enabled,
        settings: [("urls".to_owned(), json!([format!("{url}/feed")]))].into(),
        secrets: BTreeMap::new(),
    }
}

async fn until(what: &str, connectors: &Connectors, wanted: impl AsyncFn(&[SourceStatus]) -> bool) {
    for _ in 0..400 {
        if wanted(&connectors.statuses(clock().now())).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain until {what}: {:?}", connectors.statuses(clock().now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_runs_as_it_is_saved() {
    let (url, folder) = (serve().await, tempfile::tempdir().unwrap());
    let connectors = connectors(folder.path(), "");
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(connectors.clone().run(shutdown.clone()));
    connectors.save("news", feed(&url, true), "ada").await.unwrap();
    let queue = connectors.queue.clone();
    until("its posts are in the queue", &connectors, async |_| queue.depth().await.unwrap().appended == 2).await;
    assert_eq!(connectors.added().await.unwrap()[0].saved_by, "ada");
    let is =
        |wanted: &'static str| async move |all: &[SourceStatus]| all.first().is_some_and(|one| one.state == wanted);
    until("it is connected", &connectors, is("connected")).await;
    connectors.save("news", feed(&url, false), "ada").await.unwrap();
    until("it is paused", &connectors, is("paused")).await;
    connectors.save("news", feed(&url, true), "ada").await.unwrap();
    until("it runs again", &connectors, is("connected")).await;
    assert_eq!(queue.depth().await.unwrap().appended, 2, "its cursor stayed");
    assert!(connectors.remove("news").await.unwrap() && !connectors.remove("news").await.unwrap());
    until("it is gone", &connectors, async |all| all.is_empty()).await;
    assert!(connectors.is_removed("news") && !connectors.is_removed("other"));
    connectors.save("news", feed(&url, true), "ada").await.unwrap();
    until("it is there again", &connectors, is("connected")).await;
    assert!(!connectors.is_removed("news"));
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_shows_posts_and_keeps_nothing() {
    let (url, folder) = (serve().await, tempfile::tempdir().unwrap());
    let connectors = connectors(folder.path(), "");
    let trial = connectors.try_out("", feed(&url, true)).await.unwrap();
    let texts: Vec<&str> = trial.posts.iter().map(|post| post.text.as_str()).collect();
    assert!(trial.ok && texts == ["On time", "Late again, eva@mail.example"], "{trial:?}");
    let trial = connectors.try_out("", feed(&format!("{url}/no"), true)).await.unwrap();
    assert!(!trial.ok && trial.summary.contains("404") && trial.advice.is_some(), "{trial:?}");
    assert_eq!(connectors.queue.depth().await.unwrap().appended, 0);
    assert!(connectors.added().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sealed_and_goes_to_its_server_alone() {
    let (url, folder) = ("https://a.example", tempfile::tempdir().unwrap());
    let connectors = connectors(folder.path(), "");
    let order = |url: &str, secret: Option<&str>| SourceOrder {
        kind: "mastodon".into(),
        enabled: true,
        settings: [("url".to_owned(), json!(url)), ("tags".to_owned(), json!(["a"]))].into(),
        secrets: secret.map(|secret| ("token".to_owned(), secret.to_owned())).into_iter().collect(),
    };
    connectors.save("m", order(url, Some("s3cret")), "ada").await.unwrap();
    let saved = async || SavedSources::new(connectors.queue.as_ref()).get("m").await.unwrap().unwrap();
    assert!(!format!("{:?}", saved().await).contains("s3cret"));
    assert_eq!(connectors.added().await.unwrap()[0].secrets, ["token"]);
    connectors.save("m", order(url, None), "ada").await.unwrap();
    assert_eq!(saved().await.secrets.len(), 1, "what is left out stays");
    connectors.save("m", order("https://elsewhere.example", None), "ada").await.unwrap();
    assert!(saved().await.secrets.is_empty(), "another server is another source");
    connectors.save("m", order(url, Some("s3cret")), "ada").await.unwrap();
    connectors.save("m", order(url, Some("")), "ada").await.unwrap();
    assert!(saved().await.secrets.is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let configured = "[[sources]]\nkind = \"bluesky\"\nname = \"sky\"\n";
    let connectors = connectors(folder.path(), configured);
    let field = async |name: &str, order: SourceOrder| match connectors.save(name, order, "ada").await {
        Err(SourceError::Invalid(fault)) => fault.field.into_owned(),
        other => panic!("{other:?}"),
    };
    let good = || feed("https://example.org", true);
    assert_eq!(field("a b", good()).await, "name");
    assert_eq!(field("sky", good()).await, "name");
    assert_eq!(field("a", SourceOrder { kind: "fed".into(), ..good() }).await, "kind");
    assert_eq!(field("a", SourceOrder { settings: BTreeMap::new(), ..good() }).await, "settings");
    let names_variable = [("token_env".to_owned(), json!("HOME"))].into();
    assert_eq!(field("a", SourceOrder { settings: names_variable, ..good() }).await, "settings.token_env");
    let secrets = [("token".to_owned(), "x".to_owned())].into();
    assert_eq!(field("a", SourceOrder { secrets, ..good() }).await, "secrets.token");
}

#[tokio::test]
async fn discussions_of_github_take_the_token_that_was_typed_in() {
    let folder = tempfile::tempdir().unwrap();
    let connectors = connectors(folder.path(), "");
    let order = |token: &str| SourceOrder {
        kind: "github".into(),
        enabled: true,
        settings: [("repositories".to_owned(), json!(["o/r"])), ("discussions".to_owned(), json!(true))].into(),
        secrets: [("token".to_owned(), token.to_owned())].into(),
    };
    connectors.save("issues", order("secret"), "ada").await.unwrap();
    let saved = SavedSources::new(connectors.queue.as_ref()).get("issues").await.unwrap().unwrap();
    connectors.connector(&saved).map(drop).unwrap();
    let missing = connectors.try_out("", order("")).await;
    assert!(matches!(missing, Err(SourceError::Invalid(fault)) if fault.message.contains("needs a token")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redacted_never_reaches_the_queue() {
    let (url, folder) = (serve().await, tempfile::tempdir().unwrap());
    let connectors = connectors(folder.path(), "");
    let mut order = feed(&url, true);
    order.settings.insert("redact".into(), json!(["mail"]));
    let wrong = connectors.save("news", order.clone(), "ada").await;
    assert!(matches!(wrong, Err(SourceError::Invalid(fault)) if fault.field == "settings.redact"));
    order.settings.insert("redact".into(), json!(["email"]));
    connectors.save("news", order, "ada").await.unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(connectors.clone().run(shutdown.clone()));
    let queue = connectors.queue.clone();
    until("its posts are in the queue", &connectors, async |_| queue.depth().await.unwrap().appended == 2).await;
    let lease = domain::WorkQueue::lease(queue.as_ref(), 10, Duration::from_secs(60)).await.unwrap().unwrap();
    let stored = format!("{:?}", lease.records);
    assert!(stored.contains("[email]") && !stored.contains("eva@"), "{stored}");
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

//! The connector of Mastodon against an instance in small.

mod support;

use domain::{Clock, SystemClock};
use futures::future::BoxFuture;
use secrecy::SecretString;
use sources::kit::status::{SharedStatus, State};
use sources::mastodon::{Mastodon, MastodonConfig};
use sources::{Connector, Context};
use state::MemoryState;
use std::sync::Arc;
use std::time::Duration;
use support::{SECRET, impatient, run, suite};
use testkit::MemoryQueue;
use testkit::conformance::{StandIn, Start};
use testkit::mastodon_server::MastodonServer;
use tokio_util::sync::CancellationToken;

fn config(url: &str) -> MastodonConfig {
    MastodonConfig { tags: vec!["trains".into()], ..MastodonConfig::new(url.parse().unwrap()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite() {
    let stand_in = || -> BoxFuture<'static, Box<dyn StandIn>> {
        Box::pin(async { Box::new(MastodonServer::start(5, SECRET).await.unwrap()) as Box<dyn StandIn> })
    };
    suite(stand_in, |start: Start| {
        let usual = MastodonConfig { token: Some(SecretString::from(SECRET)), ..config(&start.url) };
        let config = match start.is_patient {
            true => usual,
            false => MastodonConfig {
                interval: Duration::from_millis(20),
                request_timeout: Duration::from_millis(500),
                backoff: impatient(),
                stream_backoff: impatient(),
                ..usual
            },
        };
        Box::pin(run(Box::new(Mastodon::new(config).unwrap()), start))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_of_many_pages_is_read_to_its_end() {
    let server = MastodonServer::start(3, SECRET).await.unwrap();
    let (queue, state): (Arc<MemoryQueue>, Arc<MemoryState>) = Default::default();
    let start = || {
        let shutdown = CancellationToken::new();
        let url = format!("http://{}", server.address());
        let config = MastodonConfig { interval: Duration::from_millis(20), ..config(&url) };
        let (queue, state) = (queue.clone(), state.clone());
        let start = Start { url, queue, state, shutdown: shutdown.clone(), is_patient: false };
        (tokio::spawn(run(Box::new(Mastodon::new(config).unwrap()), start)), shutdown)
    };
    for expected in [3, 203] {
        let (task, shutdown) = start();
        let all = async {
            while queue.posts().len() < expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
        shutdown.cancel();
        task.await.unwrap().unwrap();
        (0..200).for_each(|_| server.publish());
    }
    assert_eq!(queue.posts().len(), 203, "without a token nothing is streamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_another_instance_delivers_late_is_read() {
    let public = |url: &str| MastodonConfig { tags: Vec::new(), public: true, ..config(url) };
    late_post_is_read(config).await;
    late_post_is_read(public).await;
}

async fn late_post_is_read(config: impl Fn(&str) -> MastodonConfig) {
    let server = MastodonServer::start(3, SECRET).await.unwrap();
    let (queue, state): (Arc<MemoryQueue>, Arc<MemoryState>) = Default::default();
    let (url, shutdown) = (format!("http://{}", server.address()), CancellationToken::new());
    let config = MastodonConfig { interval: Duration::from_millis(20), ..config(&url) };
    let start = Start { url, queue: queue.clone(), state, shutdown: shutdown.clone(), is_patient: false };
    let task = tokio::spawn(run(Box::new(Mastodon::new(config).unwrap()), start));
    let posts = async |expected: usize| {
        let all = async {
            while queue.posts().len() < expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    };
    posts(3).await;
    server.deliver_late();
    posts(4).await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
    assert!(queue.posts().iter().any(|post| post.id.native_id() == "https://late.example/1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_no_topic_wants_deletes_what_was_kept() {
    let server = MastodonServer::start(3, SECRET).await.unwrap();
    let (queue, state): (Arc<MemoryQueue>, Arc<MemoryState>) = Default::default();
    let (url, shutdown) = (format!("http://{}", server.address()), CancellationToken::new());
    let usual = MastodonConfig { tags: Vec::new(), public: true, ..config(&url) };
    let config = MastodonConfig { interval: Duration::from_millis(20), ..usual };
    let start = Start { url, queue: queue.clone(), state, shutdown: shutdown.clone(), is_patient: false };
    let task = tokio::spawn(run(Box::new(Mastodon::new(config).unwrap()), start));
    let until = async |posts: usize, deletions: usize| {
        let is_deletion = |record: &domain::Record| matches!(record, domain::Record::Deletion(_));
        let waiting = async {
            while queue.posts().len() < posts
                || queue.records().iter().filter(|one| is_deletion(one)).count() < deletions
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    };
    until(3, 0).await;
    server.rewrite(0, "<p>of no concern</p>");
    // Without words.
    server.rewrite(1, "");
    until(3, 2).await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(queue.posts().len(), 3, "no version was added");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_is_told() {
    let server = MastodonServer::start(3, SECRET).await.unwrap();
    let (queue, state): (Arc<MemoryQueue>, Arc<MemoryState>) = Default::default();
    let shutdown = CancellationToken::new();
    let token = Some(SecretString::from("another token"));
    let config = MastodonConfig { token, ..config(&format!("http://{}", server.address())) };
    let status = SharedStatus::default();
    let context = Context {
        source: domain::SourceId("tested".into()),
        queue: queue.clone(),
        state,
        clock: Arc::new(SystemClock),
        topics: tokio::sync::watch::channel(Vec::new()).1,
        status: status.clone(),
    };
    let task = tokio::spawn(Box::new(Mastodon::new(config).unwrap()).run(context, shutdown.clone()));
    let told = async {
        while !status.get(SystemClock.now()).last_error.is_some_and(|error| error.contains("stream of #trains")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    assert_eq!(status.get(SystemClock.now()).state, State::Connected, "the timeline is polled");
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_would_come() {
    let server = MastodonServer::start(3, SECRET).await.unwrap();
    let check = Mastodon::new(config(&format!("http://{}", server.address()))).unwrap().check(&SystemClock).await;
    assert!(check.ok && check.summary.contains("3 posts") && check.summary.contains("without a token"), "{check:?}");
    let nowhere = Mastodon::new(config("http://127.0.0.1:9")).unwrap().check(&SystemClock).await;
    assert!(!nowhere.ok && nowhere.advice.unwrap().contains("network"));
}

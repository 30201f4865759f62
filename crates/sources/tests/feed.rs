//! The connector of feeds against servers as they are: conditional requests, compression, moves, feeds that are gone, and
//! one broken feed beside a good one.

mod support;

use domain::{Clock, PostQueue, Provenance, SourceId, StateStore, SystemClock};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::BoxFuture;
use sources::feed::{FeedConfig, Feeds};
use sources::kit::backoff::BackoffPolicy;
use sources::kit::status::{SharedStatus, State, Status};
use sources::{Connector, Context};
use state::MemoryState;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{impatient, run, suite};
use testkit::MemoryQueue;
use testkit::conformance::{StandIn, Start};
use testkit::feed_server::FeedServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Running {
    queue: Arc<MemoryQueue>,
    state: Arc<MemoryState>,
    status: SharedStatus,
    shutdown: CancellationToken,
    task: JoinHandle<domain::Result<()>>,
}

impl Running {
    fn start(urls: &[String]) -> Self {
        Self::with_state(urls, Arc::default())
    }

    fn with_state(urls: &[String], state: Arc<MemoryState>) -> Self {
        let waits = Duration::from_millis(20);
        let backoff = BackoffPolicy { network_step: waits, http_first: waits, ..BackoffPolicy::for_polling() };
        Self::of(FeedConfig { interval: waits, backoff, ..FeedConfig::new(urls, "news").unwrap() }, state)
    }

    fn of(config: FeedConfig, state: Arc<MemoryState>) -> Self {
        let queue: Arc<MemoryQueue> = Arc::default();
        let (shutdown, status) = (CancellationToken::new(), SharedStatus::default());
        let context = Context {
            source: SourceId("feeds".into()),
            queue: queue.clone(),
            state: state.clone(),
            clock: Arc::new(SystemClock),
            topics: watch::channel(Vec::new()).1,
            status: status.clone(),
        };
        let task = tokio::spawn(Box::new(Feeds::new(config).unwrap()).run(context, shutdown.clone()));
        Self { queue, state, status, shutdown, task }
    }

    fn status(&self) -> Status {
        self.status.get(SystemClock.now())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("in vain until {what}"));
}

const FEED: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><id>urn:f</id>
    <updated>2026-11-01T10:00:00Z</updated><entry><id>urn:e:1</id><title>Late</title><link href="https://a.example/1"/>
    <updated>2026-11-01T10:00:00Z</updated><summary>The train.</summary></entry></feed>"#;

/// A server that gives one answer to each path, and the paths that were asked for.
async fn serve(answers: Vec<(&'static str, Vec<u8>)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let paths = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4_096];
            let length = client.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let answer = answers.iter().find(|(known, _)| *known == path).map(|(_, answer)| answer.as_slice());
            paths.lock().unwrap().push(path);
            client.write_all(answer.unwrap_or(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")).await.unwrap();
            drop(client.shutdown().await);
        }
    });
    (url, asked)
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Some\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_asked_only_for_what_changed() {
    let server = FeedServer::start(3).await.unwrap();
    let running = Running::start(&[format!("http://{}/feed.xml", server.address())]);
    until("the server had nothing new", async || server.unchanged() >= 2).await;
    assert_eq!(running.queue.posts().len(), 3);
    server.publish();
    until("the new entry is there", async || running.queue.posts().len() == 4).await;
    assert_eq!(running.status().posts_read, 4, "what is known is not read again");
    let post = running.queue.posts().remove(0);
    assert_eq!(post.text, "Entry 0\n\nWords of entry 0.");
    assert_eq!(post.url.as_deref(), Some("https://example.org/0"));
    assert_eq!((post.provenance, post.language_hint.as_deref()), (Provenance::Poll, Some("en")));
    assert_eq!(post.occurred_at.to_rfc3339(), "2026-11-01T10:00:00+00:00");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_feeds_are_read_and_moves_for_good_remembered() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(FEED.as_bytes()).unwrap();
    let compressed = answer(200, "content-encoding: gzip\r\n", &gzip.finish().unwrap());
    let moved = answer(301, "location: /new\r\n", b"");
    let (url, asked) = serve(vec![("/old", moved), ("/new", compressed)]).await;
    let running = Running::start(&[format!("{url}/old")]);
    until("it is asked at its new address", async || asked.lock().unwrap().iter().filter(|p| *p == "/new").count() > 2)
        .await;
    assert_eq!(asked.lock().unwrap().iter().filter(|path| *path == "/old").count(), 1);
    assert_eq!(running.queue.posts().len(), 1);
    let key = format!("feed:feeds:{url}/old");
    let memory = running.state.get("cursor", &key).await.unwrap().unwrap();
    assert_eq!(memory["moved_to"], format!("{url}/new"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_moves_brings_no_post_twice() {
    // An id that is unique within its feed only.
    let feed = answer(200, "", FEED.replace("urn:e:1", "1").as_bytes());
    let (url, asked) = serve(vec![("/old", answer(301, "location: /new\r\n", b"")), ("/new", feed)]).await;
    let running = Running::start(&[format!("{url}/old")]);
    until("it is asked at its new address", async || asked.lock().unwrap().iter().filter(|p| *p == "/new").count() > 2)
        .await;
    assert_eq!(running.queue.posts().len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_page_leads_to_the_feed_that_it_names() {
    let head = br#"<html><head><link rel="alternate" type="application/rss+xml" href="/feed"></head></html>"#;
    let (url, asked) = serve(vec![("/", answer(200, "", head)), ("/feed", answer(200, "", FEED.as_bytes()))]).await;
    let feeds = Feeds::new(FeedConfig::new(&[format!("{url}/")], "news").unwrap()).unwrap();
    assert!(feeds.check(&SystemClock).await.ok);
    let running = Running::start(&[format!("{url}/")]);
    until("the feed is asked", async || asked.lock().unwrap().iter().filter(|p| *p == "/feed").count() > 3).await;
    assert_eq!(running.queue.posts().len(), 1);
    assert_eq!(asked.lock().unwrap().iter().filter(|path| *path == "/").count(), 2, "the page is asked once by each");
    running.stop().await;
    let page = br#"<html><link rel="alternate" type="application/rss+xml" href="/"></html>"#;
    let (url, _) = serve(vec![("/", answer(200, "", page))]).await;
    let check = Feeds::new(FeedConfig::new(&[format!("{url}/")], "news").unwrap()).unwrap().check(&SystemClock).await;
    assert!(!check.ok && check.summary.contains("not a feed"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_what_is_no_feed_is_not_remembered() {
    let moved = answer(301, "location: /login\r\n", b"");
    let page = answer(200, "", b"<html><body>sign in to this network</body></html>");
    let (url, asked) = serve(vec![("/feed", moved), ("/login", page)]).await;
    let running = Running::start(&[format!("{url}/feed")]);
    until("its own address is asked again", async || {
        asked.lock().unwrap().iter().filter(|p| *p == "/feed").count() > 1
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_gone_is_told_and_left_alone() {
    let (url, asked) = serve(vec![("/gone", answer(410, "", b"")), ("/good", answer(200, "", FEED.as_bytes()))]).await;
    let running = Running::start(&[format!("{url}/gone"), format!("{url}/good")]);
    until("the good one was asked often", async || asked.lock().unwrap().iter().filter(|p| *p == "/good").count() > 3)
        .await;
    assert_eq!(asked.lock().unwrap().iter().filter(|path| *path == "/gone").count(), 1);
    let status = running.status();
    assert_eq!(status.state, State::Connected, "one feed answers");
    let error = status.last_error.unwrap();
    assert!(error.contains("/gone") && error.contains("410"), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_feed_that_is_wrong() {
    let page = answer(200, "", b"<html><body>a page about the feed</body></html>");
    let file = answer(302, "location: file:///etc/passwd\r\n", b"");
    let good = answer(200, "", FEED.as_bytes());
    let pages = vec![("/page", page), ("/good", good), ("/empty", answer(200, "", b"")), ("/file", file)];
    let (url, _) = serve(pages).await;
    let check = async |path: &str| {
        let config = FeedConfig::new(&[format!("{url}{path}")], "news").unwrap();
        Feeds::new(config).unwrap().check(&SystemClock).await
    };
    let good = check("/good").await;
    assert!(good.ok && good.summary.contains("1 entries"), "{good:?}");
    let reasons = [
        ("/page", "it is a web page, and names no feed"),
        ("/nowhere", "404"),
        ("/empty", "the answer is empty"),
        ("/file", "leads to an address of file:"),
    ];
    for (path, reason) in reasons {
        let bad = check(path).await;
        assert!(!bad.ok && bad.summary.contains(path) && bad.advice.is_some(), "{bad:?}");
        assert!(bad.summary.contains(reason), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite() {
    let stand_in = || -> BoxFuture<'static, Box<dyn StandIn>> {
        Box::pin(async { Box::new(FeedServer::start(5).await.unwrap()) as Box<dyn StandIn> })
    };
    suite(stand_in, |start: Start| {
        let config = FeedConfig::new(&[format!("{}/feed.xml", start.url)], "news").unwrap();
        let config = match start.is_patient {
            true => config,
            false => FeedConfig {
                interval: Duration::from_millis(20),
                request_timeout: Duration::from_millis(500),
                backoff: impatient(),
                ..config
            },
        };
        Box::pin(run(Box::new(Feeds::new(config).unwrap()), start))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_into_the_own_network_is_not_followed() {
    let (inside, asked) = serve(vec![("/feed.xml", answer(200, "", FEED.as_bytes()))]).await;
    // The configured server itself may be on this machine; where it leads may not.
    let moved = answer(302, &format!("location: {inside}/feed.xml\r\n"), b"");
    let (outside, _) = serve(vec![("/feed.xml", moved)]).await;
    let running = Running::start(&[format!("{outside}/feed.xml")]);
    until("it is told", async || running.status().last_error.is_some()).await;
    let error = running.status().last_error.unwrap();
    assert!(error.contains("not a public address") && error.contains("configure it"), "{error}");
    assert!(asked.lock().unwrap().is_empty() && running.queue.posts().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_text_is_a_note_and_no_dead_letter() {
    let picture = FEED.replace("The train.", "&lt;img src='a.png'/&gt;").replace("Late", "");
    let (url, _) = serve(vec![("/feed", answer(200, "", picture.as_bytes()))]).await;
    let running = Running::start(&[format!("{url}/feed")]);
    until("it is told", async || !running.status().notes.is_empty()).await;
    let notes = running.status().notes;
    assert!(notes[0].ends_with("/feed: 1 entry without text was left out"), "{notes:?}");
    assert!(running.queue.posts().is_empty() && running.queue.dead_letters(10).await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_new_address_is_dead_is_asked_at_its_own_again() {
    let (url, asked) = serve(vec![("/feed", answer(200, "", FEED.as_bytes()))]).await;
    let (own, state) = (format!("{url}/feed"), Arc::new(MemoryState::default()));
    // Nobody listens there.
    let seen = serde_json::json!({ "moved_to": "https://127.0.0.1/feed" });
    state.put("cursor", &format!("feed:feeds:{own}"), seen).await.unwrap();
    let running = Running::with_state(&[own], state);
    until("it is asked at its own address", async || !asked.lock().unwrap().is_empty()).await;
    until("the entry is there", async || running.queue.posts().len() == 1).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_lasts_waits_as_long_as_an_answer() {
    let (url, asked) = serve(vec![("/loop", answer(302, "location: /loop\r\n", b""))]).await;
    let waits = Duration::from_millis(1);
    let backoff = BackoffPolicy { network_step: waits, http_first: waits, ..BackoffPolicy::for_polling() };
    let config = FeedConfig { backoff, ..FeedConfig::new(&[format!("{url}/loop")], "news").unwrap() };
    let running = Running::of(config, Arc::default());
    until("it is told", async || running.status().last_error.is_some()).await;
    let status = running.status();
    assert!(status.last_error.unwrap().contains("redirects more than"));
    assert_eq!(status.state, State::Waiting { seconds: 900.0 });
    assert_eq!(asked.lock().unwrap().len(), 6);
    running.stop().await;
}

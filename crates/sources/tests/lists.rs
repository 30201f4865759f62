//! The connectors that read lists page by page, each against its platform in small.

mod support;

use domain::{PostQueue, StateStore};
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::json;
use sources::Connector;
use sources::kit::listing::Pace;
use state::MemoryState;
use std::sync::Arc;
use std::time::Duration;
use support::{SECRET, impatient, run, suite};
use testkit::MemoryQueue;
use testkit::conformance::{StandIn, Start};
use testkit::list_servers::appstore::APPSTORE;
use testkit::list_servers::discourse::{BROKEN_DISCOURSE, CLOSED_DISCOURSE, DISCOURSE};
use testkit::list_servers::github::{GITHUB, GITHUB_DISCUSSIONS};
use testkit::list_servers::googleplay::GOOGLEPLAY;
use testkit::list_servers::hackernews::HACKERNEWS;
use testkit::list_servers::stackexchange::STACKEXCHANGE;
use testkit::list_servers::youtube::{USED_UP_YOUTUBE, YOUTUBE};
use testkit::list_servers::{ListServer, Protocol};
use tokio_util::sync::CancellationToken;

/// The pace that the suite asks for, of a connector that reads lists.
fn pace(start: &Start) -> Pace {
    let usual = Pace::every(900, 60).unwrap();
    match start.is_patient {
        true => usual,
        false => Pace {
            interval: Duration::from_millis(20),
            request_timeout: Duration::from_millis(500),
            backoff: impatient(),
            recheck: Duration::from_millis(20),
        },
    }
}

type Make = fn(&str, Pace) -> Box<dyn Connector>;

async fn passes_the_suite(protocol: Protocol, make: Make) {
    let stand_in = move || -> BoxFuture<'static, Box<dyn StandIn>> {
        Box::pin(async move { Box::new(ListServer::start(protocol, 5).await.unwrap()) as Box<dyn StandIn> })
    };
    suite(stand_in, move |start: Start| Box::pin(run(make(&start.url, pace(&start)), start))).await;
}

/// A connector that runs until it is stopped.
struct Running {
    queue: Arc<MemoryQueue>,
    state: Arc<MemoryState>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<domain::Result<()>>,
}

impl Running {
    fn start(server: &ListServer, make: Make) -> Self {
        Self::go_on(server, make, Arc::default(), Arc::default())
    }

    fn go_on(server: &ListServer, make: Make, queue: Arc<MemoryQueue>, state: Arc<MemoryState>) -> Self {
        let shutdown = CancellationToken::new();
        let start = Start {
            url: server.url(),
            queue: queue.clone() as Arc<dyn PostQueue>,
            state: state.clone() as Arc<dyn StateStore>,
            shutdown: shutdown.clone(),
            is_patient: false,
        };
        let connector = make(&start.url, pace(&start));
        Self { queue, state, shutdown, task: tokio::spawn(run(connector, start)) }
    }

    async fn brings(&self, posts: usize) {
        let all = async {
            while self.queue.posts().len() < posts {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(60), all).await;
        came.unwrap_or_else(|_| panic!("{} of {posts} posts came", self.queue.posts().len()));
    }

    async fn stop(self) -> (Arc<MemoryQueue>, Arc<MemoryState>) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        (self.queue, self.state)
    }
}

/// After a break, all pages back to the last known post are read.
async fn a_break_leaves_no_gap(protocol: Protocol, make: Make) {
    let server = ListServer::start(protocol, 3).await.unwrap();
    let running = Running::start(&server, make);
    running.brings(3).await;
    let (queue, state) = running.stop().await;
    server.publish(250);
    let running = Running::go_on(&server, make, queue, state);
    running.brings(253).await;
    let (queue, _) = running.stop().await;
    assert_eq!(queue.posts().len(), 253);
}

fn hackernews(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings: sources::hackernews::Settings = serde_json::from_value(json!({"url": url})).unwrap();
    settings.connector_at(pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hackernews_passes_the_suite() {
    passes_the_suite(HACKERNEWS, hackernews).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hackernews_is_read_back_to_the_last_known_item() {
    a_break_leaves_no_gap(HACKERNEWS, hackernews).await;
}

fn discourse(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings: sources::discourse::Settings = serde_json::from_value(json!({"url": url})).unwrap();
    settings.connector_at(None, pace).unwrap()
}

fn closed_discourse(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings: sources::discourse::Settings = serde_json::from_value(json!({"url": url})).unwrap();
    settings.connector_at(Some(&SecretString::from(SECRET)), pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn discourse_passes_the_suite() {
    passes_the_suite(DISCOURSE, discourse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_forum_passes_the_suite() {
    passes_the_suite(CLOSED_DISCOURSE, closed_discourse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discourse_is_read_back_to_the_last_known_post() {
    a_break_leaves_no_gap(DISCOURSE, discourse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_closed_forum_says_what_is_missing() {
    let server = ListServer::start(CLOSED_DISCOURSE, 3).await.unwrap();
    let check = async |make: Make| make(&server.url(), Pace::every(900, 60).unwrap()).check(&domain::SystemClock).await;
    let (refused, let_in) = (check(discourse).await, check(closed_discourse).await);
    assert!(!refused.ok && refused.advice.as_deref().is_some_and(|advice| advice.contains("token_env")), "{refused:?}");
    assert!(let_in.ok && let_in.summary.contains("3 posts"), "{let_in:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_cannot_be_read_is_set_aside_once() {
    let server = ListServer::start(BROKEN_DISCOURSE, 4).await.unwrap();
    let running = Running::start(&server, discourse);
    running.brings(4).await;
    let polls = server.requests().len();
    while server.requests().len() < polls + 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (queue, _) = running.stop().await;
    let letters = queue.dead_letters_before(u64::MAX, 10).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(
        letters[0].reason.contains("unexpected item") && letters[0].payload_format.as_deref() == Some("discourse-1")
    );
    assert_eq!(queue.records().len(), 4, "none of the others counts as deleted");
}

fn github(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings = json!({"url": url, "repositories": ["octo/trains"]});
    let settings: sources::github::Settings = serde_json::from_value(settings).unwrap();
    settings.connector_at(Some(&SecretString::from(SECRET)), pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn github_passes_the_suite() {
    passes_the_suite(GITHUB, github).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_is_read_back_to_the_last_known_item() {
    a_break_leaves_no_gap(GITHUB, github).await;
}

fn github_discussions(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings =
        json!({"url": url, "repositories": ["octo/trains"], "discussions": true, "token_env": "GITHUB_TOKEN"});
    let settings: sources::github::Settings = serde_json::from_value(settings).unwrap();
    settings.connector_at(Some(&SecretString::from(SECRET)), pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn github_discussions_pass_the_suite() {
    passes_the_suite(GITHUB_DISCUSSIONS, github_discussions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_discussions_are_read_back_to_the_last_known_one() {
    a_break_leaves_no_gap(GITHUB_DISCUSSIONS, github_discussions).await;
}

fn stackexchange(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings: sources::stackexchange::Settings =
        serde_json::from_value(json!({"url": url, "tags": ["trains"]})).unwrap();
    settings.connector_at(Some(SecretString::from(SECRET)), pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stackexchange_passes_the_suite() {
    passes_the_suite(STACKEXCHANGE, stackexchange).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stackexchange_is_read_back_to_the_last_known_question() {
    a_break_leaves_no_gap(STACKEXCHANGE, stackexchange).await;
}

fn youtube_with(url: &str, pace: Pace, units: u64) -> Box<dyn Connector> {
    let settings = json!({"url": url, "searches": ["trains"], "units_per_day": units});
    let settings: sources::youtube::Settings = serde_json::from_value(settings).unwrap();
    settings.connector_at(&SecretString::from(SECRET), pace).unwrap()
}

fn youtube(url: &str, pace: Pace) -> Box<dyn Connector> {
    youtube_with(url, pace, 10_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn youtube_passes_the_suite() {
    passes_the_suite(YOUTUBE, youtube).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn youtube_is_read_back_to_the_last_known_comment() {
    a_break_leaves_no_gap(YOUTUBE, youtube).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_days_units_are_spent_on_youtube() {
    let server = ListServer::start(YOUTUBE, 3).await.unwrap();
    let running = Running::start(&server, |url, pace| youtube_with(url, pace, 110));
    running.brings(3).await;
    let asked = async |requests: usize| {
        while server.requests().len() < requests {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // A search for 100 units, and ten requests for one each.
    tokio::time::timeout(Duration::from_secs(60), asked(11)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.requests().len(), 11);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_others_used_up_is_waited_for() {
    let server = ListServer::start(USED_UP_YOUTUBE, 3).await.unwrap();
    let running = Running::start(&server, |url, pace| youtube_with(url, pace, 1_000));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.requests().len(), 1);
    running.stop().await;
}

fn appstore(url: &str, pace: Pace) -> Box<dyn Connector> {
    let settings: sources::appstore::Settings = serde_json::from_value(json!({"url": url, "apps": ["id123"]})).unwrap();
    settings.connector_at(pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn appstore_passes_the_suite() {
    passes_the_suite(APPSTORE, appstore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn appstore_reads_all_pages_that_apple_shows() {
    let server = ListServer::start(APPSTORE, 120).await.unwrap();
    let running = Running::start(&server, appstore);
    running.brings(120).await;
    server.publish(1);
    running.brings(121).await;
    running.stop().await;
}

fn googleplay(url: &str, pace: Pace) -> Box<dyn Connector> {
    let key = include_str!("fixtures/service-account-test-key.b64");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n");
    let key = json!({"client_email": "a@b.example", "private_key": pem, "token_uri": format!("{url}/token")});
    let settings = json!({"url": url, "packages": ["com.example.trains"]});
    let settings: sources::googleplay::Settings = serde_json::from_value(settings).unwrap();
    settings.connector_at(&SecretString::from(key.to_string()), pace).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn googleplay_passes_the_suite() {
    passes_the_suite(GOOGLEPLAY, googleplay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn googleplay_is_read_to_the_end() {
    a_break_leaves_no_gap(GOOGLEPLAY, googleplay).await;
}

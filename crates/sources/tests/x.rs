//! The connector of X against the simulator: posts arrive exactly once whatever goes wrong, the rules follow the topics,
//! and refusals are told in words.

mod support;

use chrono::TimeDelta;
use domain::{Clock, PostQueue, Provenance, SourceId, StateStore, SystemClock, Topic};
use futures::future::BoxFuture;
use secrecy::SecretString;
use sources::kit::backoff::BackoffPolicy;
use sources::kit::status::{SharedStatus, State, Status};
use sources::x::{X, XConfig};
use sources::{Connector, Context};
use state::MemoryState;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::{SECRET, impatient, run, suite};
use testkit::conformance::{StandIn, Start};
use testkit::x_simulator::{Faults, Limits, SimulatedPost, read_posts};
use testkit::{MemoryQueue, SimulatorConfig, XSimulator};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);

fn config(simulator: &XSimulator) -> XConfig {
    XConfig {
        base_url: simulator.url(),
        backoff: impatient(),
        gap_delay: Duration::from_millis(20),
        ..XConfig::new(SecretString::from("simulator-token"))
    }
}

fn topic(name: &str, query: &str) -> Topic {
    Topic { name: name.into(), query: query.into(), created_at: testkit::posts::noon() }
}

/// Posts about deltas and unions, a second apart.
fn posts(count: u64) -> Vec<SimulatedPost> {
    (0..count)
        .map(|n| SimulatedPost {
            id: (1_900_000_000_000_000_000 + n * 4_194_304_000).to_string(),
            text: format!("{} number {n} 😡 é", if n % 2 == 0 { "Delta" } else { "United" }),
            created_at: format!("2025-03-12T10:{:02}:{:02}.000Z", n / 60 % 60, n % 60),
            username: format!("user{}", n % 7),
            location: None,
            lat_lon: None,
            language: Some("en".into()),
            replaces: vec![],
        })
        .collect()
}

struct Running {
    queue: Arc<MemoryQueue>,
    state: Arc<MemoryState>,
    status: SharedStatus,
    topics: watch::Sender<Vec<Topic>>,
    shutdown: CancellationToken,
    task: JoinHandle<domain::Result<()>>,
}

impl Running {
    fn start(config: XConfig, topics: Vec<Topic>) -> Self {
        Self::start_with(config, topics, Arc::default(), Arc::default())
    }

    fn start_with(config: XConfig, topics: Vec<Topic>, queue: Arc<MemoryQueue>, state: Arc<MemoryState>) -> Self {
        let (topics, listening) = watch::channel(topics);
        let context = Context {
            source: SourceId("x".into()),
            queue: queue.clone(),
            state: state.clone(),
            clock: Arc::new(SystemClock),
            topics: listening,
            status: SharedStatus::default(),
        };
        let status = context.status.clone();
        let shutdown = CancellationToken::new();
        let connector = Box::new(X::new(config).unwrap());
        let task = tokio::spawn(connector.run(context, shutdown.clone()));
        Self { queue, state, status, topics, shutdown, task }
    }

    async fn stop(self) -> (Arc<MemoryQueue>, Arc<MemoryState>) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        (self.queue, self.state)
    }

    fn status(&self) -> Status {
        self.status.get(SystemClock.now())
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

fn ids(queue: &MemoryQueue) -> Vec<String> {
    queue.posts().into_iter().map(|post| post.id.native_id().to_owned()).collect()
}

async fn serve(simulator: SimulatorConfig, posts: Vec<SimulatedPost>, topics: Vec<Topic>) {
    let simulator = XSimulator::start(simulator, posts).await.unwrap();
    let expected: HashSet<String> = simulator.post_ids().into_iter().collect();
    // Short, because one of the faults is silence; long enough for a machine that is busy.
    let config = XConfig { keep_alive_timeout: Duration::from_secs(2), ..config(&simulator) };
    let running = Running::start(config, topics);
    let missing = || &expected - &HashSet::from_iter(ids(&running.queue));
    let all = async {
        while running.queue.posts().len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, all).await;
    assert!(arrived.is_ok(), "lost: {:?}, {:?}, {:?}", missing(), simulator.seen(), running.status());
    until("the gaps are filled", || !running.status().filling_gap).await;
    let status = running.status.clone();
    let (queue, state) = running.stop().await;
    let status = status.get(testkit::posts::noon());
    let arrived = ids(&queue);
    let seen = simulator.seen();
    assert_eq!(arrived.len(), expected.len(), "nothing twice");
    assert_eq!(arrived.into_iter().collect::<HashSet<_>>(), expected, "nothing lost, nothing else");
    let met = |count: &AtomicU64| count.load(Ordering::Relaxed) > 0;
    assert!(met(&seen.rate_limited) && met(&seen.searches), "{seen:?}");
    // On a machine that is very busy the search brings most posts; these faults are the stream's.
    if seen.delivered.load(Ordering::Relaxed) > 2_500 {
        let faults = [&seen.disconnects, &seen.duplicated, &seen.unknown_messages, &seen.edits];
        assert!(faults.into_iter().all(met), "{seen:?}");
    }
    let posts = queue.posts();
    let replacing = posts.iter().filter(|post| !post.replaces.is_empty()).count();
    assert_eq!(replacing, simulator.replaced_ids().len(), "every edit names what it replaces");
    assert!(posts.iter().any(|post| post.provenance == Provenance::Search), "gaps are known by their provenance");
    assert_eq!(status.posts_billed, expected.len() as u64, "each post is paid once");
    assert!((status.cost_usd.unwrap() - expected.len() as f64 * 0.005).abs() < 1e-6);
    assert!(status.posts_read >= status.posts_billed, "repeats are read, not paid");
    assert_eq!(queue.depth().await.unwrap().dead_letters, 0, "lines cut off are no posts, and no dead letters");
    let cursor = state.get("cursor", "x:x").await.unwrap().unwrap();
    assert_eq!(cursor["posts_billed"], expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_arrive_exactly_once_whatever_goes_wrong() {
    let simulator = SimulatorConfig {
        posts_per_second: 2_000.0,
        keep_alive: Duration::from_millis(50),
        limits: Limits {
            stream: 10_000,
            read_rules: 10_000,
            change_rules: 10_000,
            search: 100_000,
            ..Limits::default()
        },
        faults: Faults { broken_line_share: 0.002, disconnect_share: 0.001, silent_after: Some(500), ..Faults::all(7) },
        ..SimulatorConfig::default()
    };
    serve(simulator, posts(3_000), vec![topic("airlines", "delta OR united")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_airline_posts_arrive_exactly_once_with_all_faults_on() {
    let data = std::env::var("OVERHEARD_DATA")
        .unwrap_or_else(|_| format!("{}/../../../shared/data", env!("CARGO_MANIFEST_DIR")));
    let path = Path::new(&data).join("airline/tweets.jsonl");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let posts = read_posts(&path).unwrap();
    assert_eq!(posts.len(), 14_485);
    let simulator = SimulatorConfig {
        posts_per_second: 3_000.0,
        keep_alive: Duration::from_millis(50),
        limits: Limits {
            stream: 10_000,
            read_rules: 10_000,
            change_rules: 10_000,
            search: 100_000,
            ..Limits::default()
        },
        faults: Faults::all(3),
        ..SimulatorConfig::default()
    };
    let query = "united OR southwestair OR jetblue OR americanair OR usairways OR virginamerica OR delta OR deltaassist OR ninadavuluri OR shannonwoodward";
    serve(simulator, posts, vec![topic("airlines", query)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_follow_the_topics_and_others_rules_stay() {
    let simulator = XSimulator::start(SimulatorConfig::default(), vec![]).await.unwrap();
    let http = reqwest::Client::new();
    let add = http.post(format!("{}/2/tweets/search/stream/rules", simulator.url()));
    let body = r#"{"add":[{"value":"cats","tag":"somebody's"}]}"#;
    add.bearer_auth("simulator-token").body(body).send().await.unwrap().error_for_status().unwrap();
    let rules = || {
        let mut rules: Vec<(String, String)> =
            simulator.rules().into_iter().map(|(value, tag)| (value, tag.unwrap_or_default())).collect();
        rules.sort();
        rules
    };
    let pair = |value: &str, tag: &str| (value.to_owned(), tag.to_owned());
    let running =
        Running::start(config(&simulator), vec![topic("airlines", "delta AND late"), topic("all", "lang:en")]);
    until("connected", || running.status().state == State::Connected).await;
    assert_eq!(rules(), [pair("cats", "somebody's"), pair("delta late", "overheard:airlines")]);
    assert!(running.status().topics_left_out["all"].contains("lang:en"));
    assert!(simulator.seen().dry_runs.load(Ordering::Relaxed) > 0, "tried first");
    running.topics.send_replace(vec![
        topic("renamed", "delta AND late"),
        topic("new", "jetblue -ad"),
        topic("bad", "delta united -("),
    ]);
    let expected =
        [pair("cats", "somebody's"), pair("delta late", "overheard:renamed"), pair("jetblue -ad", "overheard:new")];
    until("the rules changed", || rules() == expected).await;
    until("the status says so", || running.status().topics_left_out.contains_key("bad")).await;
    assert_eq!(simulator.seen().connections.load(Ordering::Relaxed), 1, "no reconnection for a change of rules");
    running.topics.send_replace(vec![]);
    until("our rules are gone", || rules() == [pair("cats", "somebody's")]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was_and_fills_what_it_missed() {
    let simulator = SimulatorConfig {
        posts_per_second: 1_000.0,
        limits: Limits { search: 10_000, ..Limits::default() },
        ..SimulatorConfig::default()
    };
    let simulator = XSimulator::start(simulator, posts(600)).await.unwrap();
    let topics = vec![topic("airlines", "delta OR united")];
    let running = Running::start(config(&simulator), topics.clone());
    until("some posts are there", || running.queue.posts().len() >= 100).await;
    let (queue, state) = running.stop().await;
    assert!(queue.posts().len() < 600, "stopped before the end");
    until("the rest is published without us", || simulator.finished()).await;
    let running = Running::start_with(config(&simulator), topics, queue, state);
    until("the rest is searched for", || running.queue.posts().len() >= 600).await;
    assert!(running.status().posts_from_gaps > 0);
    let (queue, _) = running.stop().await;
    assert_eq!(ids(&queue).into_iter().collect::<HashSet<_>>().len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_take_effect() {
    let faults = Faults { deletion_share: 1.0, ..Faults::default() };
    let simulator = SimulatorConfig { posts_per_second: 1_000.0, faults, ..SimulatorConfig::default() };
    let simulator = XSimulator::start(simulator, posts(20)).await.unwrap();
    let running = Running::start(config(&simulator), vec![topic("airlines", "delta OR united")]);
    until("posts and deletions are there", || running.queue.records().len() >= 40).await;
    let (queue, _) = running.stop().await;
    assert_eq!(queue.posts().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_in_words_whether_x_lets_us_in() {
    let open = XSimulator::start(SimulatorConfig::default(), vec![]).await.unwrap();
    let closed =
        XSimulator::start(SimulatorConfig { not_enrolled: true, ..SimulatorConfig::default() }, vec![]).await.unwrap();
    let busy = Limits { read_rules: 0, ..Limits::default() };
    let busy = XSimulator::start(SimulatorConfig { limits: busy, ..SimulatorConfig::default() }, vec![]).await.unwrap();
    let wrong = XConfig { bearer_token: SecretString::from("wrong"), ..config(&open) };
    let nowhere = XConfig { base_url: "http://127.0.0.1:9".into(), ..config(&open) };
    let table = [
        (config(&open), true, "lets us in", ""),
        (wrong, false, "does not accept the bearer token", "developer console"),
        (config(&closed), false, "client-not-enrolled", "plan"),
        (config(&busy), false, "slow down", "wait"),
        (nowhere, false, "can't be reached", "network"),
    ];
    for (config, ok, summary, advice) in table {
        let check = X::new(config).unwrap().check(&SystemClock).await;
        assert_eq!(check.ok, ok, "{check:?}");
        assert!(check.summary.contains(summary), "{check:?}");
        assert!(check.advice.unwrap_or_default().contains(advice));
    }
    let bad = XConfig { base_url: "api.x.com".into(), ..config(&open) };
    assert!(X::new(bad).err().unwrap().to_string().contains("https://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_tried_again_and_told() {
    let simulator = SimulatorConfig { not_enrolled: true, ..SimulatorConfig::default() };
    let simulator = XSimulator::start(simulator, vec![]).await.unwrap();
    let running = Running::start(config(&simulator), vec![topic("a", "delta")]);
    until("it waits", || matches!(running.status().state, State::Waiting { .. })).await;
    assert!(running.status().last_error.unwrap().contains("client-not-enrolled"));
    assert!(running.status().connected_since.is_none());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_accepted_and_closed_is_not_opened_again_at_once() {
    let faults = Faults { closed_at_once: true, ..Faults::default() };
    let simulator = XSimulator::start(SimulatorConfig { faults, ..SimulatorConfig::default() }, vec![]).await.unwrap();
    let hour = Duration::from_secs(3_600);
    let backoff =
        BackoffPolicy { network_step: hour, network_max: hour, healthy_after: hour, ..config(&simulator).backoff };
    let running = Running::start(XConfig { backoff, ..config(&simulator) }, vec![topic("a", "delta")]);
    until("it waits", || running.status().state == State::Waiting { seconds: 3_600.0 }).await;
    assert_eq!(simulator.seen().connections.load(Ordering::Relaxed), 1);
    running.stop().await;
}

#[test]
fn the_token_is_never_shown() {
    let config = XConfig::new(SecretString::from("very-secret-token"));
    assert!(!format!("{config:?}").contains("very-secret"));
}

/// The simulator of X as the suite wants it.
struct XStandIn(XSimulator);

impl StandIn for XStandIn {
    fn address(&self) -> String {
        self.0.url().trim_start_matches("http://").to_owned()
    }

    fn offered(&self) -> BTreeSet<String> {
        self.0.post_ids().into_iter().map(|id| format!("x:{id}")).collect()
    }

    /// Its edits come by themselves.
    fn edit(&self) -> Option<String> {
        self.0.replaced_ids().first().map(|id| format!("x:{id}"))
    }

    /// Its deletions come to all posts or none: they have a test of their own.
    fn delete(&self) -> Option<String> {
        None
    }
}

/// A post of now: X's ids hold the time, and a gap before the first post begins at the first start.
fn post_of_x(number: u64) -> SimulatedPost {
    let now = SystemClock.now() + TimeDelta::milliseconds(i64::try_from(number).unwrap());
    let since_x_began = u64::try_from(now.timestamp_millis()).unwrap() - 1_288_834_974_657;
    SimulatedPost {
        id: (since_x_began << 22).to_string(),
        text: format!("post {number}"),
        created_at: now.to_rfc3339(),
        username: "someone".into(),
        location: None,
        lat_lon: None,
        language: None,
        replaces: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite() {
    let stand_in = || -> BoxFuture<'static, Box<dyn StandIn>> {
        Box::pin(async {
            let many = 100_000;
            let limits =
                Limits { stream: many, read_rules: many, change_rules: many, search: many, ..Limits::default() };
            let config = SimulatorConfig {
                token: SECRET.into(),
                posts_per_second: 400.0,
                keep_alive: Duration::from_millis(50),
                limits,
                faults: Faults { edit_share: 0.3, ..Faults::default() },
                ..SimulatorConfig::default()
            };
            let posts = (0..20).map(post_of_x).collect();
            Box::new(XStandIn(XSimulator::start(config, posts).await.unwrap())) as Box<dyn StandIn>
        })
    };
    suite(stand_in, |start: Start| {
        let usual = XConfig { base_url: start.url.clone(), ..XConfig::new(SecretString::from(SECRET)) };
        let config = match start.is_patient {
            true => usual,
            false => XConfig {
                backoff: impatient(),
                gap_delay: Duration::from_millis(20),
                keep_alive_timeout: Duration::from_secs(2),
                request_timeout: Duration::from_millis(500),
                ..usual
            },
        };
        Box::pin(run(Box::new(X::new(config).unwrap()), start))
    })
    .await;
}

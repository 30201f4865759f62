//! The outbox with several processes and channels at work: nothing twice, nothing held up by others, nothing lost quietly.

use alerts::{AlertBook, Config, Delivery, Facts, Outbox, Policy, Service, WindowFacts};
use async_trait::async_trait;
use domain::{
    AlertRule, AlertState, Clock, Condition, Error, Health, ManualClock, Notification, Notifier, Result, StateStore,
    Timestamp,
};
use state::MemoryState;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A channel that takes each notification only when the test lets it.
struct Channel {
    name: &'static str,
    got: Mutex<Vec<String>>,
    /// Notifications that may pass.
    gate: Semaphore,
    /// What it answers in place of taking them.
    answer: Mutex<Option<fn() -> Error>>,
}

impl Channel {
    fn new(name: &'static str, open: usize) -> Arc<Self> {
        let gate = Semaphore::new(open);
        Arc::new(Self { name, got: Mutex::default(), gate, answer: Mutex::default() })
    }

    fn answers(&self, answer: Option<fn() -> Error>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

#[async_trait]
impl Notifier for Channel {
    fn channel(&self) -> &str {
        self.name
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        self.gate.acquire().await.unwrap().forget();
        if let Some(answer) = *self.answer.lock().unwrap() {
            return Err(answer());
        }
        self.got.lock().unwrap().push(notification.id.clone());
        Ok(())
    }
}

const OPEN: usize = 1_000;

fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn rule(channels: &[&str]) -> AlertRule {
    AlertRule {
        name: "many".into(),
        topic: None,
        condition: Condition::Threshold { mentions_min: 100, window_s: 3600 },
        channels: channels.iter().map(|&name| name.into()).collect(),
        cooldown_s: 0,
        quiet_hours: None,
        enabled: true,
    }
}

fn facts(mentions: u64) -> Vec<Facts> {
    let window = WindowFacts { window_s: 3600, mentions, ..WindowFacts::default() };
    vec![Facts { windows: vec![window], ..Facts::default() }]
}

/// A notification of an alert of its own.
fn notification(id: &str, channel: &str) -> Notification {
    let mut alert = alerts::words::sample(&rule(&[]), noon());
    alert.id = format!("alert of {id}");
    Notification { id: id.into(), channel: channel.into(), kind: "opened".into(), alert }
}

struct Process {
    store: Arc<dyn StateStore>,
    time: Arc<ManualClock>,
    clock: Arc<dyn Clock>,
}

impl Process {
    fn new() -> Self {
        let time = Arc::new(ManualClock::at(noon()));
        Self { store: Arc::new(MemoryState::default()), clock: time.clone(), time }
    }

    fn after(&self, seconds: i64) {
        self.time.set(noon() + chrono::TimeDelta::seconds(seconds));
    }

    fn book(&self) -> AlertBook {
        AlertBook::new(self.store.clone(), Policy::default())
    }

    fn outbox(&self) -> Outbox {
        self.book().outbox().clone()
    }

    async fn queue(&self, ids: &[&str], channel: &str) {
        for id in ids {
            assert!(self.outbox().queue(notification(id, channel), noon(), noon()).await.unwrap());
        }
    }

    async fn work(&self, channels: &[&Arc<Channel>]) -> Vec<alerts::Entry> {
        let channels: Vec<Arc<dyn Notifier>> = channels.iter().map(|&c| c.clone() as Arc<dyn Notifier>).collect();
        let settled = self.outbox().work(&channels, &self.clock).await.unwrap();
        self.book().note_settled(&settled, self.clock.now()).await.unwrap();
        settled
    }

    fn service(&self, channels: &[&Arc<Channel>]) -> Service {
        let channels = channels.iter().map(|&c| c.clone() as Arc<dyn Notifier>).collect();
        let config = Config { poll: Duration::from_millis(5), digest: None };
        Service::new(config, self.book(), channels, self.clock.clone(), None, Arc::new(Health::default()))
    }
}

async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited too long");
}

#[tokio::test]
async fn processes_on_one_store_never_deliver_one_notification_twice() {
    let process = Process::new();
    process.queue(&["a", "b", "c", "d"], "desk").await;
    let desk = Channel::new("desk", 0);
    let shutdown = CancellationToken::new();
    let running: Vec<_> = (0..3).map(|_| tokio::spawn(process.service(&[&desk]).run(shutdown.clone()))).collect();
    // Several processes are in the middle of a slow delivery while the others look at the outbox again and again.
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        desk.gate.add_permits(1);
    }
    until(|| desk.got().len() >= 4).await;
    shutdown.cancel();
    for service in running {
        service.await.unwrap().unwrap();
    }
    let mut got = desk.got();
    got.sort();
    assert_eq!(got, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_claim_of_a_dead_process_runs_out() {
    let process = Process::new();
    process.queue(&["a"], "desk").await;
    let stuck = Channel::new("desk", 0);
    let dying = tokio::spawn(process.service(&[&stuck]).run(CancellationToken::new()));
    let (outbox, claimed) =
        (process.outbox(), async |outbox: &Outbox| outbox.entries().await.unwrap()[0].claim.is_some());
    while !claimed(&outbox).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dying.abort();
    drop(dying.await);
    let desk = Channel::new("desk", OPEN);
    assert!(process.work(&[&desk]).await.is_empty(), "the claim holds");
    process.after(200);
    assert_eq!(process.work(&[&desk]).await.len(), 1);
}

#[tokio::test]
async fn a_channel_that_hangs_delays_no_other() {
    let process = Process::new();
    process.queue(&["h1", "h2"], "hanging").await;
    process.queue(&["p1", "p2"], "pager").await;
    let (hanging, pager) = (Channel::new("hanging", 0), Channel::new("pager", OPEN));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(process.service(&[&hanging, &pager]).run(shutdown.clone()));
    until(|| pager.got().len() == 2).await;
    // Also what comes while the other still hangs.
    process.queue(&["p3"], "pager").await;
    until(|| pager.got() == ["p1", "p2", "p3"]).await;
    assert!(hanging.got().is_empty());
    shutdown.cancel();
    hanging.gate.add_permits(OPEN);
    running.await.unwrap().unwrap();
    assert_eq!(hanging.got(), ["h1"], "the delivery under way is finished, no other is begun");
}

#[tokio::test]
async fn a_test_delivers_nothing_but_itself() {
    let process = Process::new();
    process.queue(&["waiting"], "desk").await;
    let desk = Channel::new("desk", OPEN);
    let notifiers: Vec<Arc<dyn Notifier>> = vec![desk.clone()];
    let sent = process.book().send_test(&rule(&["desk", "unknown"]), &notifiers, &process.clock).await.unwrap();
    assert_eq!(sent.iter().filter(|entry| entry.delivery == Delivery::Delivered).count(), 1);
    let unknown = sent.iter().find(|entry| entry.notification.channel == "unknown").unwrap();
    assert_eq!(unknown.error.as_deref(), Some("channel unknown is not configured"));
    assert_eq!(desk.got().len(), 1);
    assert!(desk.got()[0].starts_with("test-"));
}

#[tokio::test]
async fn the_wait_that_a_channel_asks_for_holds_for_all_its_notifications() {
    let process = Process::new();
    process.queue(&["a", "b"], "desk").await;
    let desk = Channel::new("desk", OPEN);
    desk.answers(Some(|| Error::retry("limited").after(Some(Duration::from_secs(600)))));
    process.work(&[&desk]).await;
    desk.answers(None);
    process.after(599);
    assert!(process.work(&[&desk]).await.is_empty());
    process.after(600);
    process.work(&[&desk]).await;
    assert_eq!(desk.got(), ["a", "b"]);
}

#[tokio::test]
async fn an_end_is_not_told_before_its_beginning() {
    let process = Process::new();
    let desk = Channel::new("desk", OPEN);
    desk.answers(Some(|| Error::retry("down")));
    let (rule, book) = (rule(&["desk"]), process.book());
    book.observe(std::slice::from_ref(&rule), &facts(200), noon()).await.unwrap();
    for seconds in [0, 60, 120, 180, 240, 500] {
        process.after(seconds);
        process.work(&[&desk]).await;
    }
    desk.answers(None);
    process.after(4 * 3600);
    book.observe(std::slice::from_ref(&rule), &[], process.clock.now()).await.unwrap();
    process.work(&[&desk]).await;
    let told: Vec<String> = desk.got().iter().map(|id| id.rsplit(':').next().unwrap().to_owned()).collect();
    assert_eq!(told, ["opened", "resolved"]);
}

#[tokio::test]
async fn what_is_not_delivered_is_told() {
    let process = Process::new();
    let desk = Channel::new("desk", OPEN);
    let (rule, book) = (rule(&["desk"]), process.book());
    desk.answers(Some(|| Error::reject("receiver answered 410 Gone")));
    let refused = book.observe(std::slice::from_ref(&rule), &facts(200), noon()).await.unwrap();
    process.work(&[&desk]).await;
    desk.answers(Some(|| Error::retry("down")));
    process.queue(&["old"], "desk").await;
    process.work(&[&desk]).await;
    process.after(24 * 3600 + 1);
    process.work(&[&desk]).await;

    let stored = book.alert(&refused[0].id).await.unwrap().unwrap();
    assert_eq!(stored.undelivered[0].reason, "receiver answered 410 Gone");
    let entries = process.outbox().entries().await.unwrap();
    let old = entries.iter().find(|entry| entry.notification.id == "old").unwrap();
    assert_eq!((old.delivery, old.error.as_deref()), (Delivery::Expired, Some("not delivered within 24 hours; down")));
    let troubles = alerts::troubles(process.store.as_ref()).await.unwrap();
    let sentence = troubles[0].sentence();
    assert!(sentence.contains("has been failing since 2026-03-02 12:00 UTC and did not deliver 2"), "{sentence}");
    // Nothing waits for the channel any more, and a week later nobody need know.
    book.sweep(process.clock.now()).await.unwrap();
    let left = alerts::troubles(process.store.as_ref()).await.unwrap();
    assert_eq!((left[0].failing_since, left[0].lost), (None, 2));
    book.sweep(process.clock.now() + chrono::TimeDelta::days(7)).await.unwrap();
    assert!(alerts::troubles(process.store.as_ref()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_acknowledgement_made_while_rules_are_judged_survives() {
    /// Acknowledges the alert at the moment at which the judging writes it.
    struct Hasty {
        inner: MemoryState,
        act: Mutex<Option<String>>,
    }
    #[async_trait]
    impl StateStore for Hasty {
        async fn get(&self, kind: &str, key: &str) -> Result<Option<serde_json::Value>> {
            self.inner.get(kind, key).await
        }
        async fn put(&self, kind: &str, key: &str, value: serde_json::Value) -> Result<()> {
            self.inner.put(kind, key, value).await
        }
        async fn swap(&self, changes: Vec<domain::Swap>) -> Result<bool> {
            let id = self.act.lock().unwrap().take();
            if let Some(id) = id {
                let mut document = self.inner.get("alert", &id).await?.unwrap();
                document["state"] = "acknowledged".into();
                document["acknowledged_by"] = "ada".into();
                self.inner.put("alert", &id, document).await?;
            }
            self.inner.swap(changes).await
        }
        async fn delete(&self, kind: &str, key: &str) -> Result<bool> {
            self.inner.delete(kind, key).await
        }
        async fn list(&self, kind: &str) -> Result<Vec<(String, serde_json::Value)>> {
            self.inner.list(kind).await
        }
    }
    let store = Arc::new(Hasty { inner: MemoryState::default(), act: Mutex::default() });
    let (book, rule) = (AlertBook::new(store.clone(), Policy::default()), rule(&["desk"]));
    let opened = book.observe(std::slice::from_ref(&rule), &facts(200), noon()).await.unwrap();
    *store.act.lock().unwrap() = Some(opened[0].id.clone());
    let later = noon() + chrono::TimeDelta::minutes(1);
    book.observe(std::slice::from_ref(&rule), &facts(300), later).await.unwrap();
    let stored = book.alert(&opened[0].id).await.unwrap().unwrap();
    assert_eq!((stored.alert.state, stored.acknowledged_by.as_deref()), (AlertState::Acknowledged, Some("ada")));
    assert_eq!(stored.fired_at, later, "the judging is kept as well");
}

#[tokio::test]
async fn a_document_that_cant_be_read_stops_nothing() {
    let process = Process::new();
    process.store.put("notification", "bad", serde_json::json!({"delivery": "teleported"})).await.unwrap();
    process.store.put("alert", "bad", serde_json::json!([1])).await.unwrap();
    process.queue(&["good"], "desk").await;
    let desk = Channel::new("desk", OPEN);
    process.work(&[&desk]).await;
    process.book().observe(&[rule(&["desk"])], &facts(200), noon()).await.unwrap();
    assert_eq!(desk.got(), ["good"]);
    for kind in ["notification_unreadable", "alert_unreadable"] {
        assert_eq!(process.store.list(kind).await.unwrap().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn what_is_over_leaves_the_lists_that_are_read_all_the_time_and_is_forgotten_in_the_end() {
    let process = Process::new();
    let (lake, desk) = (testkit::MemoryLake::default(), Channel::new("desk", OPEN));
    let (rule, book) = (rule(&["desk"]), process.book());
    book.observe(std::slice::from_ref(&rule), &facts(200), noon()).await.unwrap();
    book.write(&lake, noon()).await.unwrap();
    process.work(&[&desk]).await;
    process.after(4 * 3600);
    book.observe(std::slice::from_ref(&rule), &[], process.clock.now()).await.unwrap();
    process.work(&[&desk]).await;
    book.write(&lake, process.clock.now()).await.unwrap();
    let count = async |kind: &str| process.store.list(kind).await.unwrap().len();
    assert_eq!((count("alert").await, count("notification").await), (0, 0));
    assert_eq!((count("alert_done").await, count("notification_done").await), (1, 2));
    book.sweep(noon() + chrono::TimeDelta::days(91)).await.unwrap();
    assert_eq!((count("alert_done").await, count("notification_done").await), (0, 0));
}

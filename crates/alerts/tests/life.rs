//! The life of alerts over a store in memory: told once, grouped, held back, retried, never lost.

use alerts::{AlertBook, Delivery, Digest, Facts, Letterhead, Policy, SourceFacts, WindowFacts, notifiers};
use domain::{
    AddressPolicy, AlertRule, AlertState, Anomaly, Clock, Condition, Driver, ErrorKind, ManualClock, Notification,
    Notifier, Severity, StateStore, Timestamp,
};
use state::MemoryState;
use std::sync::Arc;
use testkit::FakeNotifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rule(condition: Condition) -> AlertRule {
    AlertRule {
        name: "storms".into(),
        topic: None,
        condition,
        channels: vec!["desk".into()],
        cooldown_s: 0,
        quiet_hours: None,
        enabled: true,
    }
}

fn on_anomaly() -> AlertRule {
    rule(Condition::Anomaly { severity_min: Severity::Medium })
}

fn anomaly(id: &str, topic: &str, onset: &str, severity: Severity) -> Anomaly {
    Anomaly {
        id: id.into(),
        topic: topic.into(),
        category: None,
        slice: None,
        interval_s: 3600,
        onset: at(onset),
        end: None,
        observed: 412.0,
        expected: 66.0,
        lower: 30.0,
        upper: 110.0,
        score: 0.8,
        severity,
        sentence: format!("mentions of {topic} are up"),
        drivers: Vec::new(),
        examples: Vec::new(),
        detected_at: at(onset),
    }
}

fn facts(anomalies: Vec<Anomaly>) -> Vec<Facts> {
    vec![Facts { topic: anomalies.first().map(|a| a.topic.clone()), anomalies, ..Facts::default() }]
}

struct House {
    store: Arc<dyn StateStore>,
    receiver: Arc<FakeNotifier>,
}

impl House {
    fn new() -> Self {
        Self { store: Arc::new(MemoryState::default()), receiver: Arc::new(FakeNotifier::new("desk")) }
    }

    /// A book as after a restart: nothing but the store carries over.
    fn book(&self) -> AlertBook {
        AlertBook::new(self.store.clone(), Policy::default())
    }

    async fn work(&self, now: &str) -> usize {
        let notifiers: Vec<Arc<dyn Notifier>> = vec![self.receiver.clone()];
        let (book, clock) = (self.book(), clock(now));
        let settled = book.outbox().work(&notifiers, &clock).await.unwrap();
        book.note_settled(&settled, at(now)).await.unwrap();
        settled.iter().filter(|entry| entry.delivery == Delivery::Delivered).count()
    }

    fn kinds(&self) -> Vec<String> {
        self.receiver.got().iter().map(|n| n.kind.clone()).collect()
    }
}

fn clock(now: &str) -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(at(now)))
}

const NOON: &str = "2026-03-02T12:00:00Z";
const LATER: &str = "2026-03-02T12:20:00Z";

#[tokio::test]
async fn one_onset_is_told_once_also_across_restarts() {
    let house = House::new();
    let seen = facts(vec![anomaly("n1", "late flight", NOON, Severity::High)]);
    for _ in 0..3 {
        house.book().observe(&[on_anomaly()], &seen, at(LATER)).await.unwrap();
        house.work(LATER).await;
    }
    assert_eq!(house.kinds(), ["opened"]);
    let alerts = house.book().alerts().await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].alert.notified.len(), 1);
}

#[tokio::test]
async fn an_explanation_that_comes_late_gives_the_alert_its_title() {
    let house = House::new();
    let plain = anomaly("n1", "late flight", NOON, Severity::High);
    let grown_plain = Anomaly { sentence: "mentions of late flight are up further".into(), ..plain.clone() };
    for (seen, now) in [(plain.clone(), LATER), (grown_plain, "2026-03-02T12:20:30Z")] {
        house.book().observe(&[on_anomaly()], &facts(vec![seen]), at(now)).await.unwrap();
        house.work(now).await;
    }
    let driver = Driver {
        dimension: domain::Dimension::Phrase,
        value: "snow".into(),
        observed: 300.0,
        expected: 2.0,
        contribution: 0.8,
        new: false,
    };
    let sentence = "mentions of late flight are up: snow".to_owned();
    let explained = Anomaly { sentence: sentence.clone(), drivers: vec![driver], ..plain };
    let grown = Anomaly { sentence: "mentions of late flight are up more".into(), ..explained.clone() };
    for (seen, now) in [(explained, "2026-03-02T12:21:00Z"), (grown, "2026-03-02T12:22:00Z")] {
        house.book().observe(&[on_anomaly()], &facts(vec![seen]), at(now)).await.unwrap();
        assert_eq!(house.book().alerts().await.unwrap()[0].alert.title, sentence);
        house.work(now).await;
    }
    assert_eq!(house.kinds(), ["opened"], "a title that changes is told to no one again");
}

#[tokio::test]
async fn a_lost_alert_document_does_not_repeat_the_notification() {
    let house = House::new();
    let seen = facts(vec![anomaly("n1", "late flight", NOON, Severity::High)]);
    let changed = house.book().observe(&[on_anomaly()], &seen, at(LATER)).await.unwrap();
    house.work(LATER).await;
    // As if the process had died between queueing and saving the alert.
    house.store.delete("alert", &changed[0].id).await.unwrap();
    house.book().observe(&[on_anomaly()], &seen, at(LATER)).await.unwrap();
    house.work(LATER).await;
    assert_eq!(house.kinds(), ["opened"]);
}

#[tokio::test]
async fn one_incident_over_several_series_is_one_alert() {
    let house = House::new();
    let first = facts(vec![anomaly("n1", "late flight", NOON, Severity::Medium)]);
    let second = facts(vec![anomaly("n2", "lost bag", "2026-03-02T12:30:00Z", Severity::Medium)]);
    house.book().observe(&[on_anomaly()], &first, at(LATER)).await.unwrap();
    house.book().observe(&[on_anomaly()], &second, at("2026-03-02T12:40:00Z")).await.unwrap();
    house.work("2026-03-02T12:40:00Z").await;
    let alerts = house.book().alerts().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].alert.anomalies.len()), (1, 2));
    assert_eq!(house.kinds(), ["opened"]);
}

#[tokio::test]
async fn a_rise_in_severity_is_told_unless_someone_has_acknowledged() {
    for (acknowledged, told) in [(false, vec!["opened", "updated"]), (true, vec!["opened"])] {
        let house = House::new();
        let before = facts(vec![anomaly("n1", "late flight", NOON, Severity::Medium)]);
        let changed = house.book().observe(&[on_anomaly()], &before, at(LATER)).await.unwrap();
        house.work(LATER).await;
        if acknowledged {
            house.book().acknowledge(&changed[0].id, "ada", at(LATER)).await.unwrap().unwrap();
        }
        let after = facts(vec![anomaly("n1", "late flight", NOON, Severity::Critical)]);
        house.book().observe(&[on_anomaly()], &after, at(LATER)).await.unwrap();
        house.work(LATER).await;
        assert_eq!(house.kinds(), told);
    }
}

#[tokio::test]
async fn the_end_resolves_and_tells() {
    let house = House::new();
    let mut one = anomaly("n1", "late flight", NOON, Severity::High);
    house.book().observe(&[on_anomaly()], &facts(vec![one.clone()]), at(LATER)).await.unwrap();
    one.end = Some(at("2026-03-02T15:00:00Z"));
    house.book().observe(&[on_anomaly()], &facts(vec![one]), at("2026-03-02T15:00:00Z")).await.unwrap();
    house.work("2026-03-02T15:00:00Z").await;
    let alerts = house.book().alerts().await.unwrap();
    assert_eq!(alerts[0].alert.state, AlertState::Resolved);
    let mut kinds = house.kinds();
    kinds.sort();
    assert_eq!(kinds, ["opened", "resolved"]);
}

#[tokio::test]
async fn a_channel_that_is_down_loses_nothing() {
    let house = House::new();
    house.receiver.fails(Some(ErrorKind::Retry));
    let seen = facts(vec![anomaly("n1", "late flight", NOON, Severity::High)]);
    house.book().observe(&[on_anomaly()], &seen, at(NOON)).await.unwrap();
    assert_eq!(house.work(NOON).await, 0);
    house.receiver.fails(None);
    assert_eq!(house.work("2026-03-02T12:00:10Z").await, 0, "tried again before the back-off ended");
    assert_eq!(house.work("2026-03-02T12:00:15Z").await, 1);
    assert_eq!(house.kinds(), ["opened"]);
}

#[tokio::test]
async fn a_refusal_for_good_is_kept_with_its_reason() {
    let house = House::new();
    house.receiver.fails(Some(ErrorKind::Reject));
    let seen = facts(vec![anomaly("n1", "late flight", NOON, Severity::High)]);
    house.book().observe(&[on_anomaly()], &seen, at(NOON)).await.unwrap();
    house.work(NOON).await;
    let entries = house.book().outbox().entries().await.unwrap();
    assert_eq!((entries[0].delivery, entries[0].error.as_deref()), (Delivery::Refused, Some("the channel fails")));
}

#[tokio::test]
async fn quiet_hours_hold_back_all_but_critical_alerts() {
    let night = "2026-03-02T23:00:00Z";
    for (severity, at_night) in [(Severity::High, 0), (Severity::Critical, 1)] {
        let house = House::new();
        let rule = AlertRule { quiet_hours: Some("22:00-07:00 Europe/Berlin".into()), ..on_anomaly() };
        let seen = facts(vec![anomaly("n1", "late flight", night, severity)]);
        house.book().observe(&[rule], &seen, at(night)).await.unwrap();
        assert_eq!(house.work(night).await, at_night);
        house.work("2026-03-03T06:00:00Z").await;
        assert_eq!(house.kinds(), ["opened"]);
    }
}

#[tokio::test]
async fn within_the_cooldown_an_alert_opens_without_a_message() {
    let house = House::new();
    let rule = AlertRule { cooldown_s: 6 * 3600, ..on_anomaly() };
    let mut one = anomaly("n1", "late flight", NOON, Severity::High);
    one.end = Some(at(LATER));
    house.book().observe(std::slice::from_ref(&rule), &facts(vec![one]), at(LATER)).await.unwrap();
    let next = facts(vec![anomaly("n2", "late flight", "2026-03-02T17:00:00Z", Severity::High)]);
    house.book().observe(&[rule], &next, at("2026-03-02T17:00:00Z")).await.unwrap();
    house.work("2026-03-02T17:00:00Z").await;
    assert_eq!(house.book().alerts().await.unwrap().len(), 2);
    assert_eq!(house.kinds().iter().filter(|kind| *kind == "opened").count(), 1);
}

#[tokio::test]
async fn a_silence_ends_by_itself_and_a_resolved_alert_stays_so() {
    let house = House::new();
    let seen = facts(vec![anomaly("n1", "late flight", NOON, Severity::High)]);
    let id = house.book().observe(&[on_anomaly()], &seen, at(NOON)).await.unwrap()[0].id.clone();
    house.book().silence(&id, at(LATER), at(NOON)).await.unwrap().unwrap();
    house.book().observe(&[on_anomaly()], &[], at(LATER)).await.unwrap();
    assert_eq!(house.book().alerts().await.unwrap()[0].alert.state, AlertState::Open);
    house.book().resolve(&id, at(LATER)).await.unwrap().unwrap();
    house.book().observe(&[on_anomaly()], &seen, at(LATER)).await.unwrap();
    assert_eq!(house.book().alerts().await.unwrap()[0].alert.state, AlertState::Resolved);
    assert!(house.book().acknowledge("no such", "ada", at(LATER)).await.unwrap().is_none());
}

#[tokio::test]
async fn plain_rules_fire_on_their_facts() {
    let now = at(NOON);
    let window = WindowFacts { window_s: 3600, mentions: 120, mentions_before: 40, negative: 90 };
    let facts = Facts {
        windows: vec![window],
        first_mentions: vec![("Recall".into(), now)],
        sources: vec![SourceFacts { source: "x".into(), last_received_at: at("2026-03-02T11:00:00Z") }],
        ..Facts::default()
    };
    let fires = |condition| alerts::evaluate(&rule(condition), &facts, now).map(|finding| finding.title);
    let (window_s, mentions_min) = (3600, 50);
    assert_eq!(
        fires(Condition::Threshold { mentions_min: 100, window_s }).as_deref(),
        Some("120 mentions of all topics within 60 min")
    );
    assert_eq!(fires(Condition::Threshold { mentions_min: 121, window_s }), None);
    assert!(
        fires(Condition::Change { percent_min: 200.0, window_s, mentions_min }).is_some_and(|t| t.contains("up 200 %"))
    );
    assert!(fires(Condition::NegativeShare { share_min: 0.75, window_s, mentions_min }).is_some());
    assert_eq!(fires(Condition::NegativeShare { share_min: 0.76, window_s, mentions_min }), None);
    assert!(fires(Condition::FirstMention { phrase: "recall".into() }).is_some());
    assert!(fires(Condition::Silence { source: "x".into(), silent_s: 3600 }).is_some());
    assert_eq!(fires(Condition::Silence { source: "x".into(), silent_s: 3601 }), None);
}

#[tokio::test]
async fn the_digest_comes_once_a_day() {
    let house = House::new();
    let seen = facts(vec![anomaly("n1", "late flight", NOON, Severity::Medium)]);
    house.book().observe(&[on_anomaly()], &seen, at(LATER)).await.unwrap();
    let digest = Digest {
        channels: vec!["desk".into()],
        at: chrono::NaiveTime::from_hms_opt(8, 0, 0).unwrap(),
        zone: chrono_tz::Europe::Berlin,
    };
    assert!(!digest.queue_when_due(&house.book(), at("2026-03-03T06:59:00Z")).await.unwrap());
    assert!(digest.queue_when_due(&house.book(), at("2026-03-03T07:00:00Z")).await.unwrap());
    assert!(!digest.queue_when_due(&house.book(), at("2026-03-03T07:05:00Z")).await.unwrap());
}

/// Answers one request with a status and gives back what came.
async fn one_request(status: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut got, mut buffer) = (Vec::new(), [0_u8; 4096]);
        loop {
            let n = socket.read(&mut buffer).await.unwrap();
            got.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&got);
            let length = text
                .lines()
                .find_map(|l| l.to_lowercase().strip_prefix("content-length: ").and_then(|v| v.parse::<usize>().ok()));
            if let (Some(head), Some(length)) = (text.find("\r\n\r\n"), length)
                && got.len() >= head + 4 + length
            {
                break;
            }
        }
        socket
            .write_all(
                format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").as_bytes(),
            )
            .await
            .unwrap();
        String::from_utf8(got).unwrap()
    });
    (format!("http://127.0.0.1:{port}/hook"), served)
}

async fn sample() -> Notification {
    let house = House::new();
    let notifiers: Vec<Arc<dyn Notifier>> = vec![house.receiver.clone()];
    house.book().send_test(&on_anomaly(), &notifiers, &clock(NOON)).await.unwrap().remove(0).notification
}

#[tokio::test]
async fn a_webhook_is_signed_and_its_answer_decides() {
    for (status, kind) in [
        ("200 OK", None),
        ("302 Found", Some(ErrorKind::Reject)),
        ("410 Gone", Some(ErrorKind::Reject)),
        ("429 Too Many Requests", Some(ErrorKind::Retry)),
        ("503 Service Unavailable", Some(ErrorKind::Retry)),
    ] {
        let (url, served) = one_request(status).await;
        let clock = Arc::new(ManualClock::at(at(NOON)));
        let webhook = notifiers::Webhook::new(
            "desk",
            &url,
            "secret".into(),
            Letterhead::default(),
            AddressPolicy { internal: true },
            clock,
        )
        .unwrap();
        let result = webhook.notify(&sample().await).await;
        assert_eq!(result.err().map(|e| e.kind()), kind, "{status}");
        let request = served.await.unwrap();
        assert!(request.contains("x-overheard-timestamp: 1772452800"), "{request}");
        assert!(request.contains("x-overheard-signature: sha256="), "{request}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_called() {
    let client = alerts::client(AddressPolicy::default()).unwrap();
    // The name passes no check of the address itself: the resolver has to stop it.
    let error = client.get("http://localhost:9/").send().await.unwrap_err();
    let causes: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source()).map(|e| e.to_string()).collect();
    assert!(causes.iter().any(|cause| cause.contains("may not be called")), "{causes:?}");
}

#[tokio::test]
async fn slack_teams_and_sns_speak_to_their_receivers() {
    let internal = AddressPolicy { internal: true };
    let (url, served) = one_request("200 OK").await;
    notifiers::Slack::new("desk", url.into(), Letterhead::default(), internal)
        .unwrap()
        .notify(&sample().await)
        .await
        .unwrap();
    assert!(served.await.unwrap().contains("\"blocks\""));
    let (url, served) = one_request("202 Accepted").await;
    notifiers::Teams::new("desk", url.into(), Letterhead::default(), internal)
        .unwrap()
        .notify(&sample().await)
        .await
        .unwrap();
    assert!(served.await.unwrap().contains("AdaptiveCard"));
    let (url, served) = one_request("200 OK").await;
    let endpoint = url.replace("/hook", "/");
    let settings = aws::Settings {
        credentials: Some(aws::Credentials::fixed("AKID", &"secret".into(), None)),
        endpoint,
        ..aws::Settings::default()
    };
    let clock = Arc::new(ManualClock::at(at(NOON)));
    let arn = "arn:aws:sns:eu-central-1:1:desk";
    let sns = notifiers::Sns::new("desk", arn, &settings, Letterhead::default(), internal, clock).unwrap();
    sns.notify(&sample().await).await.unwrap();
    let request = served.await.unwrap();
    assert!(
        request.contains("Action=Publish") && request.contains("/20260302/eu-central-1/sns/aws4_request"),
        "{request}"
    );
}

//! Calls of platforms, with payloads as their documentation shows them: what is kept of each, and that a call that is
//! forged, changed, late or without proof is refused.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{TimeZone, Utc};
use domain::{ManualClock, Post, PostQueue, Provenance, Record, SourceId};
use serde_json::{Value, json};
use sources::PushSource;
use sources::formats::parse;
use sources::push::{Error, Headers, Preset, Rights, Status, Webhook};
use sources::record::{ColumnMapping, Origin, Parsed};
use std::sync::Arc;
use testkit::MemoryQueue;

const SECRET: &str = "dGhpcyBpcyBhIHNlY3JldA==";

struct Desk {
    queue: Arc<MemoryQueue>,
    webhook: Webhook,
}

fn desk(preset: Preset, columns: &str) -> Desk {
    let queue = Arc::new(MemoryQueue::default());
    let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap());
    let source = PushSource::new(queue.clone(), Arc::new(clock), Rights::of(preset.name()));
    let mapping = ColumnMapping::parse(columns).unwrap();
    Desk { queue, webhook: Webhook { source, preset, secret: SECRET.to_owned().into(), mapping } }
}

impl Desk {
    async fn call(&self, headers: &[(&str, String)], body: &[u8]) -> Result<Vec<Status>, Error> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (headers, source) = (Headers(&headers), SourceId("push:desk".into()));
        self.webhook.check(headers)?;
        let outcomes = self.webhook.accept(headers, body, &source).await?;
        Ok(outcomes.into_iter().map(|outcome| outcome.status).collect())
    }

    /// The posts as `id author: text`.
    fn shown(&self) -> Vec<String> {
        let name = |post: &Post| {
            let author = post.author.clone().unwrap_or_default();
            author.username.or(author.id).unwrap_or_default()
        };
        self.queue.posts().iter().map(|post| format!("{} {}: {}", post.id, name(post), post.text)).collect()
    }

    /// What is kept is enough to read each post again.
    fn can_read_again(&self) {
        for post in self.queue.posts() {
            let origin = Origin {
                source: post.source.clone(),
                platform: post.platform.clone(),
                provenance: Provenance::Push,
                received_at: post.received_at,
            };
            let mut parsed = Parsed::default();
            parse(post.payload_format.as_deref(), post.payload.as_bytes(), &origin, &mut parsed);
            assert_eq!(parsed.records, [Record::Post(Box::new(post))]);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(algorithm: hmac::Algorithm, secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), &parts.concat()).as_ref().to_vec()
}

/// The headers with which the platform would send this body.
fn signed(preset: Preset, secret: &str, body: &[u8], at: &str) -> Vec<(&'static str, String)> {
    let sha256 = |parts: &[&[u8]]| sign(hmac::HMAC_SHA256, secret, parts);
    match preset {
        Preset::Zendesk => vec![
            ("x-zendesk-webhook-signature", STANDARD.encode(sha256(&[at.as_bytes(), body]))),
            ("x-zendesk-webhook-signature-timestamp", at.to_owned()),
        ],
        Preset::Intercom => {
            let signature = sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, &[body]);
            vec![("x-hub-signature", format!("sha1={}", hex(&signature)))]
        }
        Preset::Typeform => vec![("typeform-signature", format!("sha256={}", STANDARD.encode(sha256(&[body]))))],
        Preset::Discourse => vec![("x-discourse-event-signature", format!("sha256={}", hex(&sha256(&[body]))))],
        Preset::Github => vec![("x-hub-signature-256", format!("sha256={}", hex(&sha256(&[body]))))],
        Preset::Firehose => vec![("x-amz-firehose-access-key", secret.to_owned())],
        Preset::Trustpilot => {
            vec![("authorization", format!("Basic {}", STANDARD.encode(format!("overheard:{secret}"))))]
        }
        Preset::Json => vec![("authorization", format!("Bearer {secret}"))],
    }
}

const NOW: &str = "2026-11-01T11:58:00Z";

async fn send(desk: &Desk, more: &[(&'static str, &str)], body: &Value) -> Vec<Status> {
    let body = body.to_string();
    let mut headers = signed(desk.webhook.preset, SECRET, body.as_bytes(), NOW);
    headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    desk.call(&headers, body.as_bytes()).await.unwrap()
}

const PRESETS: [Preset; 8] = [
    Preset::Zendesk,
    Preset::Intercom,
    Preset::Typeform,
    Preset::Trustpilot,
    Preset::Discourse,
    Preset::Github,
    Preset::Firehose,
    Preset::Json,
];

#[tokio::test]
async fn a_call_without_proof_is_refused_and_nothing_is_kept() {
    for preset in PRESETS {
        let desk = desk(preset, "");
        let body = b"{\"id\":\"1\"}";
        let refused = async |headers: &[(&'static str, String)]| match desk.call(headers, body).await {
            Err(Error::Unproven(reason)) => reason,
            other => panic!("{preset:?}: {other:?}"),
        };
        refused(&[]).await;
        refused(&signed(preset, "another secret", body, NOW)).await;
        refused(&signed(preset, "", body, NOW)).await;
        let signs_body = !matches!(preset, Preset::Firehose | Preset::Trustpilot | Preset::Json);
        if signs_body {
            refused(&signed(preset, SECRET, b"{\"id\":\"2\"}", NOW)).await;
            let broken = signed(preset, SECRET, body, NOW).into_iter().map(|(name, _)| (name, "sha256=zz".into()));
            refused(&broken.collect::<Vec<_>>()).await;
        }
        assert!(desk.queue.posts().is_empty() && desk.queue.dead_letters(1).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_call_that_was_signed_long_ago_is_refused() {
    let desk = desk(Preset::Zendesk, "");
    for at in ["2026-11-01T11:54:59Z", "2026-11-01T12:05:01Z", "2025-11-01T12:00:00Z", "never"] {
        let headers = signed(Preset::Zendesk, SECRET, b"{}", at);
        assert!(matches!(desk.call(&headers, b"{}").await, Err(Error::Unproven(_))), "{at}");
    }
    let mut moved = signed(Preset::Zendesk, SECRET, b"{}", "2026-11-01T10:00:00Z");
    moved[1].1 = NOW.to_owned();
    assert!(matches!(desk.call(&moved, b"{}").await, Err(Error::Unproven(_))), "the time is signed");
}

#[tokio::test]
async fn zendesk_brings_what_customers_write() {
    let desk = desk(Preset::Zendesk, "");
    let event = |kind: &str, more: Value| {
        json!({"account_id": 22129848, "id": "2b24ef10-19d9-4740-93cf-8f98ec4776c0", "time": "2026-11-01T10:00:01Z",
            "zendesk_event_version": "2022-11-06", "subject": "zen:ticket:5158", "type": format!("zen:event-type:{kind}"),
            "detail": {"id": "5158", "subject": "Broken lid", "description": "It does not close", "requester_id": "8447388090494",
                "created_at": "2026-11-01T10:00:00Z", "status": "OPEN", "tags": ["a"]}, "event": more})
    };
    let comment = |id: &str, staff: bool, public: bool| {
        json!({"comment": {"id": id, "body": "Still broken", "is_public": public,
            "author": {"id": "8447388090494", "is_staff": staff, "name": "Eva"}}})
    };
    assert_eq!(send(&desk, &[], &event("ticket.created", json!({}))).await, [Status::Stored]);
    let asked = event("ticket.comment_added", comment("99", false, true));
    assert_eq!(send(&desk, &[], &asked).await, [Status::Stored]);
    assert_eq!(send(&desk, &[], &asked).await, [Status::Duplicate], "sent again");
    for nothing in [
        event("ticket.comment_added", comment("100", true, true)),
        event("ticket.comment_added", comment("101", false, false)),
        event("ticket.status_changed", json!({"current": "SOLVED"})),
    ] {
        assert_eq!(send(&desk, &[], &nothing).await, []);
    }
    let trigger = json!({"id": "7", "text": "From a trigger", "created_at": "2026-11-01T10:00:00Z"});
    assert_eq!(send(&desk, &[], &trigger).await, [Status::Stored]);
    assert_eq!(
        desk.shown(),
        [
            "zendesk:ticket-5158 8447388090494: Broken lid\n\nIt does not close",
            "zendesk:ticket-5158-99 8447388090494: Still broken",
            "zendesk:7 : From a trigger"
        ]
    );
    desk.can_read_again();
}

#[tokio::test]
async fn intercom_and_typeform_bring_words_alone() {
    let inter = desk(Preset::Intercom, "");
    let event = |topic: &str, item: Value| {
        json!({"type": "notification_event", "topic": topic, "id": "notif_1", "created_at": 1793527200, "app_id": "a",
            "data": {"type": "notification_event_data", "item": item}})
    };
    let author = json!({"type": "user", "id": "6310", "name": "Eva", "email": "eva@x.example"});
    let conversation = json!({"type": "conversation", "id": "1911", "created_at": 1793527200,
        "source": {"type": "conversation", "id": "403918", "body": "<p>Where is my parcel?</p>", "author": author},
        "conversation_parts": {"conversation_parts": [{"type": "conversation_part", "id": "17", "part_type": "comment",
            "body": "<p>Thanks &amp; bye</p>", "created_at": 1793527260, "author": author}]}});
    assert_eq!(send(&inter, &[], &event("conversation.user.created", conversation.clone())).await, [Status::Stored]);
    assert_eq!(send(&inter, &[], &event("conversation.user.replied", conversation.clone())).await, [Status::Stored]);
    assert_eq!(send(&inter, &[], &event("conversation.admin.replied", conversation)).await, []);
    assert_eq!(send(&inter, &[], &event("ping", json!({"type": "ping"}))).await, []);
    assert_eq!(
        inter.shown(),
        ["intercom:1911-403918 6310: Where is my parcel?", "intercom:1911-17 6310: Thanks & bye"]
    );
    inter.can_read_again();

    let forms = desk(Preset::Typeform, "");
    let response = json!({"event_id": "LtWXD3crgy", "event_type": "form_response", "form_response": {"form_id": "lT4Z3j",
        "token": "a3a12ec67a1365927098a606107fac15", "submitted_at": "2026-11-01T10:00:00Z", "definition": {"id": "lT4Z3j"},
        "answers": [{"type": "text", "text": "Slow at noon", "field": {"id": "1", "type": "long_text"}},
            {"type": "choice", "choice": {"label": "London"}, "field": {"id": "2"}},
            {"type": "email", "email": "eva@x.example", "field": {"id": "3"}},
            {"type": "text", "text": "Nice staff", "field": {"id": "4"}}]}});
    assert_eq!(send(&forms, &[], &response).await, [Status::Stored]);
    assert_eq!(forms.shown(), ["typeform:a3a12ec67a1365927098a606107fac15 : Slow at noon\n\nNice staff"]);
    forms.can_read_again();
}

#[tokio::test]
async fn trustpilot_brings_reviews_changes_and_deletions() {
    let desk = desk(Preset::Trustpilot, "");
    let event = |name: &str, text: &str| {
        json!({"eventName": name, "version": "1", "eventData": {"id": "53bffd360000640002975387", "language": "en",
            "title": "Great service", "text": text, "stars": 5, "createdAt": "2026-11-01T09:34:44.000Z",
            "consumer": {"id": "53bffc3900006400017e5db8", "name": "Eva"}}})
    };
    let body = json!({"events": [event("service-review-created", "Nothing other than excellent.")]});
    assert_eq!(send(&desk, &[], &body).await, [Status::Stored]);
    assert_eq!(
        desk.shown(),
        ["trustpilot:53bffd360000640002975387 Eva: Great service\n\nNothing other than excellent."]
    );
    let edit = json!({"events": [event("service-review-updated", "Not so good after all.")]});
    assert_eq!(send(&desk, &[], &edit).await, [Status::Stored]);
    assert_eq!(send(&desk, &[], &body).await, [Status::Duplicate], "the first version does not come back");
    assert_eq!(send(&desk, &[], &edit).await, [Status::Duplicate]);
    let gone =
        json!({"events": [{"eventName": "service-review-deleted", "eventData": {"id": "53bffd360000640002975388"}}]});
    assert_eq!(send(&desk, &[], &gone).await, [Status::Stored]);
    desk.can_read_again();
}

#[tokio::test]
async fn discourse_and_github_have_the_ids_of_their_sources_and_follow_edits() {
    let forum = desk(Preset::Discourse, "");
    let post = |version: u64, cooked: &str| {
        json!({"post": {"id": 7, "username": "bo", "user_id": 3, "created_at": "2026-11-01T10:00:00.000Z", "cooked": cooked,
            "post_number": 1, "topic_id": 12, "topic_slug": "trains", "topic_title": "Trains", "version": version}})
    };
    let of = |event| [("x-discourse-event", event), ("x-discourse-instance", "https://forum.example")];
    assert_eq!(send(&forum, &of("post_created"), &post(1, "<p>Late</p>")).await, [Status::Stored]);
    assert_eq!(send(&forum, &of("post_edited"), &post(2, "<p>Late &amp; full</p>")).await, [Status::Stored]);
    assert_eq!(send(&forum, &of("post_created"), &post(1, "<p>Late</p>")).await, [Status::Duplicate], "replayed");
    assert_eq!(send(&forum, &of("post_destroyed"), &post(2, "")).await, [Status::Stored]);
    assert_eq!(send(&forum, &of("topic_created"), &json!({"topic": {}})).await, []);
    assert_eq!(
        forum.shown(),
        [
            "discourse:forum.example/7 bo@forum.example: Trains\n\nLate",
            "discourse:forum.example/7#v2 bo@forum.example: Trains\n\nLate & full"
        ]
    );
    forum.can_read_again();

    let hub = desk(Preset::Github, "");
    let issue = |action: &str, body: &str, changes: Value| {
        json!({"action": action, "changes": changes, "repository": {"full_name": "o/r"}, "issue": {"node_id": "I_1",
            "number": 1, "title": "Late", "body": body, "html_url": "https://github.com/o/r/issues/1",
            "user": {"login": "bo", "id": 7}, "created_at": "2026-11-01T10:00:00Z"}})
    };
    let issues = [("x-github-event", "issues")];
    assert_eq!(send(&hub, &[("x-github-event", "ping")], &json!({"zen": "Design for failure."})).await, []);
    assert_eq!(send(&hub, &issues, &issue("opened", "one", json!({}))).await, [Status::Stored]);
    assert_eq!(send(&hub, &issues, &issue("labeled", "one", json!({}))).await, []);
    let edit = issue("edited", "two", json!({"body": {"from": "one"}}));
    assert_eq!(send(&hub, &issues, &edit).await, [Status::Stored]);
    assert_eq!(
        send(&hub, &issues, &issue("edited", "three", json!({"body": {"from": "two"}}))).await,
        [Status::Stored]
    );
    assert_eq!(send(&hub, &issues, &edit).await, [Status::Duplicate], "an old edit does not come back");
    assert_eq!(hub.shown().last().unwrap().split(' ').skip(1).collect::<Vec<_>>().join(" "), "bo: Late\n\nthree");
    let comment =
        json!({"action": "created", "issue": {"pull_request": {}}, "comment": {"node_id": "C", "body": "+1"}});
    assert_eq!(send(&hub, &[("x-github-event", "issue_comment")], &comment).await, [], "of a pull request");
    let deleted = issue("deleted", "three", json!({}));
    assert_eq!(send(&hub, &issues, &deleted).await, [Status::Stored, Status::Stored]);
    hub.can_read_again();
}

#[tokio::test]
async fn firehose_brings_records_of_several_posts() {
    let desk = desk(Preset::Firehose, "");
    let line = |id: &str| json!({"id": id, "text": "late", "created_at": "2026-11-01T10:00:00Z"}).to_string();
    let records = json!({"requestId": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f", "timestamp": 1793527200000_u64, "records": [
        {"data": STANDARD.encode(format!("{}\n{}\n", line("1"), line("2")))},
        {"data": STANDARD.encode(line("3"))}, {"data": "!"}]});
    assert_eq!(send(&desk, &[], &records).await, [Status::Stored, Status::Stored, Status::Stored, Status::Rejected]);
    assert_eq!(send(&desk, &[], &records).await[..3], [Status::Duplicate; 3], "Firehose sends again what failed");
    let many: Vec<Value> = (0..3_000).map(|n| json!({"data": STANDARD.encode(line(&format!("m{n}")))})).collect();
    assert_eq!(send(&desk, &[], &json!({"requestId": "r", "timestamp": 1, "records": many})).await.len(), 3_000);
    let wrong = desk.call(&signed(Preset::Firehose, SECRET, b"", NOW), b"{\"records\":5}").await;
    assert!(matches!(wrong, Err(Error::Malformed(_))), "{wrong:?}");
}

#[tokio::test]
async fn any_json_is_read_by_a_mapping() {
    let desk = desk(Preset::Json, "id=key,text=answer.words[0],created_at=when,username=by.name");
    let item = |key: u64| json!({"key": key, "answer": {"words": ["late", "x"]}, "when": "2026-11-01T10:00:00Z", "by": {"name": "eva"}});
    assert_eq!(send(&desk, &[], &json!([item(1), item(2)])).await, [Status::Stored, Status::Stored]);
    assert_eq!(send(&desk, &[], &item(3)).await, [Status::Stored]);
    assert_eq!(desk.shown()[0], "json:1 eva: late");
    desk.can_read_again();
}

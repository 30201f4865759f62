//! Hard cases of both kinds: what must go, and what must stay.

use super::*;
use domain::{DeadLetter, ManualClock, PostId, PostQueue, Record, SourceId};
use std::sync::Arc;
use testkit::MemoryQueue;

fn shown(text: &str) -> String {
    redact(text, &ALL).unwrap_or_else(|| text.to_owned())
}

#[test]
fn addresses_and_numbers_go() {
    let table = [
        ("mail me at eva.k+shop@mail.example.co.uk, please", "mail me at [email], please"),
        ("<bo@firma.de>;(a-b@c.io).", "<[email]>;([email])."),
        ("größe@bücher.example zwei@x.de", "[email] [email]"),
        ("card 4111 1111 1111 1111 was charged", "card [card] was charged"),
        ("5500-0000-0000-0004 and 378282246310005", "[card] and [card]"),
        ("amex 3782 822463 10005.", "amex [card]."),
        ("call +49 30 1234567 or +1 (555) 123-4567!", "call [phone] or [phone]!"),
        ("(555) 123-4567", "[phone]"),
        ("555-123-4567, 555.123.4567", "[phone], [phone]"),
        ("1-800-555-0199", "[phone]"),
        ("Handy 0171 1234567, Büro 030/12345678", "Handy [phone], Büro [phone]"),
        ("020 7946 0958 / 01 42 68 53 00", "[phone] / [phone]"),
        ("my phone is 5551234567", "my phone is [phone]"),
        ("0049 30 1234567", "[phone]"),
        ("in 2026 555-123-4567 2 times", "in 2026 [phone] 2 times"),
    ];
    for (text, wanted) in table {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn orders_prices_dates_and_ids_stay() {
    let table = [
        "order 0123-4567890 has not come",
        "Bestellnummer 0171 1234567",
        "order #555-123-4567",
        "order 4111111111111112 (not a card: wrong check digit)",
        "tracking 1Z999AA10123456784 and 00340434161094042557",
        "post 1893050000000000001",
        "2026-11-28 14:30, 28.11.2026, 11/28/2026",
        "call me on 2026-11-28",
        "it cost 1,299.00 or 1.299,00 € for 1000000 people",
        "12345678901234567890",
        "192.168.100.200 port 8480",
        "ISBN 978-3-16-148410-0",
        "version 1.2.3-4567, 10-20-3000",
        "@jo@social.example wrote to @eva, 5@6",
        "a@b is no address, nor is x@localhost or @",
        "5+12345678 = 12345683",
        "from 1990 to 2000, 100 000 000 people, 555 12 3",
        "4111 1111 1111 111",
    ];
    for text in table {
        assert_eq!(redact(text, &ALL), None, "{text}");
    }
    assert_eq!(redact("eva@x.de", &[Redact::Phone]), None, "only what is asked for");
}

#[test]
fn of_a_payload_the_texts_change_and_the_ids_stay() {
    let payload = r#"{"id":"4111111111111111","text":"4111111111111111 or eva@x.de","n":4111111111111111,"user":{"email":"eva@x.de","phone":"+49 30 1234567"},"created_at":"2026-11-28"}"#;
    let redacted: Value = serde_json::from_str(&redact_payload(payload, &ALL).unwrap()).unwrap();
    assert_eq!(redacted["id"], "4111111111111111");
    assert_eq!(redacted["text"], "[card] or [email]");
    assert_eq!(redacted["user"], serde_json::json!({"email": "[email]", "phone": "[phone]"}));
    assert_eq!(redacted["n"], 4_111_111_111_111_111_u64, "a number is no text");
    assert!(!redact_payload(r#"{"a":"eva\u0040x.de"}"#, &ALL).unwrap().contains("x.de"));
    assert_eq!(redact_payload(r#"{"a":"plain"}"#, &ALL), None);
    assert_eq!(redact_payload("not json eva@x.de", &ALL).as_deref(), Some("not json [email]"));
}

#[tokio::test]
async fn nothing_behind_the_queue_has_them() {
    let inner = Arc::new(MemoryQueue::default());
    let queue = RedactedQueue::before(inner.clone(), &ALL);
    let at = domain::Clock::now(&ManualClock::at(domain::Timestamp::UNIX_EPOCH));
    let mut post = Post::of_text(PostId::new("desk", "1").unwrap(), "I am eva@x.de".into(), at);
    post.payload = r#"{"text":"I am eva@x.de"}"#.into();
    post.author =
        Some(domain::Author { username: Some("eva@x.de".into()), id: Some("7".into()), ..Default::default() });
    queue.append(vec![Record::Post(Box::new(post))]).await.unwrap();
    let letter = DeadLetter {
        id: 0,
        source: "desk".into(),
        platform: "desk".into(),
        reason: "bad field eva@x.de".into(),
        payload: r#"{"a":"+49 30 1234567"}"#.into(),
        payload_format: None,
        provenance: None,
        occurred_at: at,
    };
    queue.dead_letter(vec![letter]).await.unwrap();
    let stored = inner.posts().remove(0);
    assert_eq!((stored.text.as_str(), stored.payload.as_str()), ("I am [email]", r#"{"text":"I am [email]"}"#));
    assert_eq!((stored.author.clone().unwrap().username, stored.source), (None, SourceId("desk".into())));
    let letters = inner.dead_letters(1).await.unwrap();
    assert_eq!((letters[0].reason.as_str(), letters[0].payload.as_str()), ("bad field [email]", r#"{"a":"[phone]"}"#));
}

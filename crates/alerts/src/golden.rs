//! Every template against its golden file under `golden/`; `make golden` writes them anew, then read the diff.

use crate::notifiers;
use crate::words::{Letterhead, Template, render, sample};
use domain::{AlertRule, Condition, Notification, Severity};

fn notification(kind: &str) -> Notification {
    let rule = AlertRule {
        name: "storms".into(),
        topic: Some("late flight".into()),
        condition: Condition::Anomaly { severity_min: Severity::Medium },
        channels: vec!["desk".into()],
        cooldown_s: 0,
        quiet_hours: None,
        enabled: true,
    };
    let mut alert = sample(&rule, "2015-02-22T22:00:00Z".parse().unwrap());
    alert.anomalies[0].examples[0].text = "<!channel> [free](http://evil.example) *win*\nnow & forever".into();
    Notification { id: "a1:desk:opened".into(), channel: "desk".into(), kind: kind.into(), alert }
}

fn check(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs; `make golden` writes it");
}

fn letterhead() -> Letterhead {
    Letterhead { dashboard: Some("https://overheard.example".into()), ..Letterhead::default() }
}

#[test]
fn every_template_gives_its_golden_text() {
    let letterhead = letterhead();
    for kind in ["opened", "updated", "resolved", "digest", "test"] {
        let notification = notification(kind);
        check(&format!("{kind}.text.txt"), &render(Template::Text, &notification, &letterhead).unwrap());
        check(&format!("{kind}.short.txt"), &render(Template::Short, &notification, &letterhead).unwrap());
    }
    let notification = notification("opened");
    check("opened.email.html", &render(Template::Html, &notification, &letterhead).unwrap());
    check("opened.slack.txt", &render(Template::Slack, &notification, &letterhead).unwrap());
}

#[test]
fn every_channel_gives_its_golden_payload() {
    let letterhead = letterhead();
    let notification = notification("opened");
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    check("opened.slack.json", &pretty(&notifiers::slack::message(&notification, &letterhead).unwrap()));
    check("opened.teams.json", &pretty(&notifiers::teams::message(&notification, &letterhead)));
    let body: serde_json::Value =
        serde_json::from_str(&notifiers::webhook::body(&notification, &letterhead).unwrap()).unwrap();
    check("opened.webhook.json", &pretty(&body));
    check("opened.email.subject.txt", &(notifiers::email::subject(&notification) + "\n"));
}

#[test]
fn words_of_strangers_carry_no_markup() {
    let notification = notification("opened");
    let slack = notifiers::slack::message(&notification, &Letterhead::default()).unwrap().to_string();
    assert!(!slack.contains("<!channel>"), "{slack}");
    let html = render(Template::Html, &notification, &Letterhead::default()).unwrap();
    assert!(!html.contains("<!channel>"), "{html}");
    let teams = notifiers::teams::message(&notification, &Letterhead::default()).to_string();
    assert!(!teams.contains("[free](http"), "{teams}");
}

#[test]
fn an_address_can_not_leave_its_link() {
    let mut notification = notification("opened");
    notification.alert.anomalies[0].examples[0].url = Some("https://a.example/x|y> <!here>)[z](b".into());
    let slack = notifiers::slack::message(&notification, &Letterhead::default()).unwrap().to_string();
    assert!(slack.contains("<https://a.example/x%7Cy%3E%20%3C!here%3E%29%5Bz%5D%28b|open>"), "{slack}");
    let teams = notifiers::teams::message(&notification, &Letterhead::default()).to_string();
    assert!(teams.contains("[open](https://a.example/x%7Cy%3E%20%3C!here%3E%29%5Bz%5D%28b)"), "{teams}");
}

#[test]
fn a_subject_says_what_happened_and_is_cut_within_no_name() {
    let subject = |title: &str| {
        let mut notification = notification("opened");
        notification.alert.title = title.into();
        notifiers::email::subject(&notification)
    };
    for (title, words) in [
        (
            "Mentions of *Delta (airline)* are 110× the usual: 166 instead of 1.5 on Thursday night (22:00–23:30 EST). Part of the increase is about *snow*.",
            "Mentions of Delta (airline) are 110× the usual",
        ),
        (
            "Mentions of *late flight: negative* are 3× the usual: 90 instead of 30 on Friday (00:00–24:00 UTC).",
            "Mentions of late flight: negative are 3× the usual",
        ),
        ("No mentions of *tea*: 0 instead of 66 on Friday (00:00–24:00 UTC).", "No mentions of tea"),
        (
            "Overheard itself: *watch* has been failing for 3 minutes: the lake can't be read.",
            "Overheard itself: watch has been failing for 3 minutes",
        ),
        ("120 mentions of Delta: baggage within 90 min", "120 mentions of Delta: baggage within 90 min"),
    ] {
        assert_eq!(subject(title), format!("[New] {words}"));
    }
}

#[test]
fn the_time_is_told_by_the_houses_clock() {
    let alert = &notification("opened").alert;
    let told = |zone: chrono_tz::Tz| Letterhead { zone, ..letterhead() }.since(alert);
    assert_eq!(told(chrono_tz::UTC), "2015-02-22 22:00 UTC");
    assert_eq!(told(chrono_tz::America::New_York), "2015-02-22 17:00 EST");
}

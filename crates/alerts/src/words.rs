//! The words that people read, one template per kind of channel. Texts of posts are strangers' words: they are cut to a
//! line, and escaped for the channel, so that a post can neither call a whole Slack channel nor add a link to a mail.

use crate::error::Error;
use crate::life::alert_id;
use chrono_tz::Tz;
use domain::{
    Alert, AlertRule, AlertState, Anomaly, Dimension, Driver, ExamplePost, Notification, Severity, Timestamp,
    driver_name,
};
use minijinja::{AutoEscape, Environment, Value, context};
use std::sync::LazyLock;
use url::form_urlencoded;

/// Longest line of a post's text, characters.
const LINE_MAX: usize = 240;

/// The kinds of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// Log, plain mail, SNS.
    Text,
    /// Mail.
    Html,
    /// Slack's markup.
    Slack,
    /// One line.
    Short,
}

impl Template {
    const ALL: [Self; 4] = [Self::Text, Self::Html, Self::Slack, Self::Short];

    /// Its name, whose ending says how it is escaped, and its source.
    fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text.txt", include_str!("templates/text.txt.j2")),
            Self::Html => ("email.html", include_str!("templates/email.html.j2")),
            Self::Slack => ("slack.txt", include_str!("templates/slack.txt.j2")),
            Self::Short => ("sms.txt", include_str!("templates/sms.txt.j2")),
        }
    }
}

/// What every message carries beside its alert.
#[derive(Debug, Clone, Default)]
pub struct Letterhead {
    /// Address by which people reach the dashboard, without a slash at its end; none: messages have no link.
    pub dashboard: Option<String>,
    /// Whose clock tells the time.
    pub zone: Tz,
}

impl Letterhead {
    /// The page that tells the alert's gravest anomaly in full; that of a test or a digest would be none, or one of many.
    pub(crate) fn link(&self, notification: &Notification) -> Option<String> {
        let page = format!("{}/alerts", self.dashboard.as_deref()?);
        let query = |anomaly: &Anomaly| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            format!("{page}?{}", query.append_pair("anomaly", &anomaly.id).finish())
        };
        let anomaly = gravest(&notification.alert);
        let told = anomaly.filter(|_| !matches!(notification.kind.as_str(), "test" | "digest"));
        Some(told.map_or(page.clone(), query))
    }

    /// When it began: the first onset, else the opening.
    pub(crate) fn since(&self, alert: &Alert) -> String {
        let since = alert.anomalies.iter().map(|a| a.onset).min().unwrap_or(alert.opened_at);
        since.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment
        .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    for (name, source) in Template::ALL.map(Template::file) {
        environment.add_template(name, source).expect("templates are compiled in and tested");
    }
    environment.add_filter("plain", |text: String| text.replace('*', ""));
    environment
        .add_filter("html", |text: String| Value::from_safe_string(emphasised(&escape_html(&text), "<b>", "</b>")));
    environment.add_filter("slack", |text: String| escape_slack(&text));
    environment.add_filter("slack_literal", |text: String| escape_slack(&text.replace(['*', '_', '~', '`'], " ")));
    environment.add_filter("line", |text: String| line(&text));
    environment.add_filter("count", count);
    environment.add_filter("percent", |share: f64| format!("{:.0} %", share * 100.0));
    environment.add_filter("words", |name: String| name.replace('_', " "));
    environment.add_filter("web", |url: String| web(&url));
    environment.add_filter("link", |url: String| link(&url));
    environment
}

/// The text of a notification for a kind of channel.
pub fn render(template: Template, notification: &Notification, letterhead: &Letterhead) -> Result<String, Error> {
    let alert = &notification.alert;
    let (drivers, examples) = reasons(alert);
    let drivers: Vec<Value> = drivers.iter().map(driver_value).collect();
    let examples: Vec<Value> = examples.iter().map(example_value).collect();
    let others = alert.anomalies.iter().filter(|a| a.sentence != alert.title && notification.kind != "digest");
    let more: Vec<Value> = others.take(5).map(|a| context! { sentence => a.sentence.as_str() }).collect();
    let text = ENVIRONMENT.get_template(template.file().0)?.render(context! {
        kind_words => kind_words(notification),
        title => alert.title.as_str(),
        more,
        drivers,
        examples,
        rule => alert.rule.as_str(),
        topic => alert.topic.as_deref(),
        severity => alert.severity.as_str(),
        since => letterhead.since(alert),
        link => letterhead.link(notification),
    })?;
    Ok(text)
}

/// `New`, `Worse`, `Over`, `Test`, `Daily digest`.
pub fn kind_words(notification: &Notification) -> &'static str {
    match notification.kind.as_str() {
        "updated" => "Worse",
        "resolved" => "Over",
        "test" => "Test, nothing happened",
        "digest" => "Daily digest",
        _ => "New",
    }
}

pub(crate) fn gravest(alert: &Alert) -> Option<&Anomaly> {
    alert.anomalies.iter().max_by(|a, b| a.score.total_cmp(&b.score))
}

/// The gravest anomaly's drivers and examples.
fn reasons(alert: &Alert) -> (Vec<Driver>, Vec<ExamplePost>) {
    gravest(alert).map_or_else(Default::default, |a| {
        (a.drivers.iter().take(6).cloned().collect(), a.examples.iter().take(3).cloned().collect())
    })
}

fn driver_value(driver: &Driver) -> Value {
    context! {
        dimension => driver_name(driver.dimension),
        value => driver.value.as_str(),
        observed => driver.observed,
        expected => driver.expected,
        contribution => driver.contribution,
        new => driver.new,
    }
}

fn example_value(post: &ExamplePost) -> Value {
    context! { text => post.text.as_str(), url => post.url.as_deref(), copies => post.copies }
}

/// A made-up alert for `alerts test`: every part of a message shows.
pub fn sample(rule: &AlertRule, now: Timestamp) -> Alert {
    let topic = rule.topic.clone().unwrap_or_else(|| "all topics".into());
    let sentence = format!(
        "Mentions of *{topic}* are 6.2× the usual: 412 instead of 66 this hour. Most of the increase is about *snow*, *DFW* and *rebook*; 81% are negative."
    );
    let driver = |dimension, value: &str, observed: f64, expected: f64, contribution: f64| Driver {
        dimension,
        value: value.into(),
        observed,
        expected,
        contribution,
        new: expected == 0.0,
    };
    let anomaly = Anomaly {
        id: alert_id("sample", Some(&topic), now),
        topic: topic.clone(),
        category: None,
        slice: None,
        interval_s: 3600,
        onset: now,
        end: None,
        observed: 412.0,
        expected: 66.0,
        lower: 31.0,
        upper: 118.0,
        score: 0.83,
        severity: Severity::High,
        sentence: sentence.clone(),
        drivers: vec![
            driver(Dimension::Phrase, "snow", 160.0, 4.0, 0.45),
            driver(Dimension::Entity, "DFW", 92.0, 0.0, 0.27),
            driver(Dimension::Category, "cancelled flight", 210.0, 18.0, 0.55),
        ],
        examples: vec![ExamplePost {
            post_id: "sample:1".into(),
            text: "This is a sample post: three hours on hold & still <nobody> answers".into(),
            url: Some("https://example.org/posts/1".into()),
            sentiment: Some("negative".into()),
            copies: 3,
        }],
        detected_at: now,
    };
    Alert {
        id: anomaly.id.clone(),
        rule: rule.name.clone(),
        topic: rule.topic.clone(),
        state: AlertState::Open,
        opened_at: now,
        updated_at: now,
        resolved_at: None,
        severity: Severity::High,
        title: sentence,
        anomalies: vec![anomaly],
        notified: Vec::new(),
    }
}

/// `*word*` into the given marks; a lone star stays.
pub(crate) fn emphasised(text: &str, open: &str, close: &str) -> String {
    let stars = text.matches('*').count();
    let (mut out, mut inside) = (String::with_capacity(text.len() + 16), false);
    for (index, part) in text.split('*').enumerate() {
        if index > 0 {
            let last_odd = index == stars && stars % 2 == 1;
            out.push_str(if last_odd {
                "*"
            } else if inside {
                close
            } else {
                open
            });
            inside = !inside;
        }
        out.push_str(part);
    }
    out
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(crate) fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One line, cut at a character, white space and control characters folded.
pub(crate) fn line(text: &str) -> String {
    let text = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match text.char_indices().nth(LINE_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// Web addresses only: a `javascript:` link of a post goes nowhere.
fn web(url: &str) -> String {
    if url.starts_with("https://") || url.starts_with("http://") { url.to_owned() } else { "about:blank".to_owned() }
}

/// A web address within the markup of Slack or Teams: nothing in it can end the link early.
pub(crate) fn link(url: &str) -> String {
    let mut safe = String::with_capacity(url.len());
    for letter in web(url).chars() {
        match letter {
            '<' | '>' | '|' | '(' | ')' | '[' | ']' | '"' | '\\' | '\0'..=' ' => {
                safe.push_str(&format!("%{:02X}", u32::from(letter)));
            }
            _ => safe.push(letter),
        }
    }
    safe
}

/// 12.4 k, 412, 3.5.
fn count(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => format!("{:.1} k", v / 1000.0),
        v if v >= 10.0 || v.fract() == 0.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

//! Every channel keeps the promises of the port, against receivers that take, are busy, refuse, or are gone.

use alerts::Letterhead;
use alerts::notifiers::{Email, Encryption, Log, Slack, Smtp, Sns, Sqs, Teams, Webhook};
use domain::{AddressPolicy, Clock, ManualClock, Notifier};
use std::sync::Arc;
use testkit::conformance::{Receiver, http_receiver, notifier, smtp_receiver};

const INTERNAL: AddressPolicy = AddressPolicy { internal: true };

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(testkit::posts::noon()))
}

#[tokio::test]
async fn the_log_keeps_the_promises() {
    notifier(&[Receiver::Takes], async |_| Arc::new(Log::new("desk")) as Arc<dyn Notifier>).await;
}

#[tokio::test]
async fn a_webhook_keeps_the_promises() {
    notifier(&Receiver::ALL, async |receiver| {
        let url = http_receiver(receiver).await;
        let webhook = Webhook::new("desk", &url, "secret".into(), Letterhead::default(), INTERNAL, clock());
        Arc::new(webhook.unwrap()) as Arc<dyn Notifier>
    })
    .await;
}

#[tokio::test]
async fn slack_keeps_the_promises() {
    notifier(&Receiver::ALL, async |receiver| {
        let url = http_receiver(receiver).await.into();
        Arc::new(Slack::new("desk", url, Letterhead::default(), INTERNAL).unwrap()) as Arc<dyn Notifier>
    })
    .await;
}

#[tokio::test]
async fn teams_keeps_the_promises() {
    notifier(&Receiver::ALL, async |receiver| {
        let url = http_receiver(receiver).await.into();
        Arc::new(Teams::new("desk", url, Letterhead::default(), INTERNAL).unwrap()) as Arc<dyn Notifier>
    })
    .await;
}

#[tokio::test]
async fn sns_keeps_the_promises() {
    notifier(&Receiver::ALL, async |receiver| {
        let endpoint = http_receiver(receiver).await;
        let settings = aws::Settings {
            credentials: Some(aws::Credentials::fixed("AKID", &"secret".into(), None)),
            endpoint,
            ..aws::Settings::default()
        };
        let arn = "arn:aws:sns:eu-central-1:1:desk";
        let sns = Sns::new("desk", arn, &settings, Letterhead::default(), INTERNAL, clock());
        Arc::new(sns.unwrap()) as Arc<dyn Notifier>
    })
    .await;
}

#[tokio::test]
async fn sqs_keeps_the_promises() {
    notifier(&Receiver::ALL, async |receiver| {
        let url = http_receiver(receiver).await;
        let settings = aws::Settings {
            region: "eu-central-1".into(),
            credentials: Some(aws::Credentials::fixed("AKID", &"secret".into(), None)),
            ..aws::Settings::default()
        };
        let sqs = Sqs::new("desk", &url, &settings, Letterhead::default(), INTERNAL, clock());
        Arc::new(sqs.unwrap()) as Arc<dyn Notifier>
    })
    .await;
}

#[tokio::test]
async fn email_keeps_the_promises() {
    notifier(&Receiver::ALL, async |receiver| {
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port: Some(smtp_receiver(receiver).await),
            encryption: Encryption::None,
            username: None,
            password: None,
            from: "Overheard <alerts@example.org>".into(),
        };
        let to = ["desk@example.org".to_owned()];
        Arc::new(Email::new("desk", &smtp, &to, Letterhead::default()).unwrap()) as Arc<dyn Notifier>
    })
    .await;
}

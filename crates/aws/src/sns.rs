//! Amazon SNS: one topic.

use crate::client::{Client, Settings};
use crate::failure::Failure;
use crate::operation::{PUBLISH, Service};
use crate::sqs::Place;
use domain::{Clock, Error, Result};
use std::sync::Arc;

/// Of the API.
const VERSION: &str = "2010-03-31";

/// A topic.
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The region is read from the topic's name.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(arn: &str, settings: &Settings, http: reqwest::Client, clock: Arc<dyn Clock>) -> Result<Self> {
        let region = arn.split(':').nth(3).filter(|region| !region.is_empty());
        let region = region.ok_or_else(|| {
            Error::stop(format!(
                "{arn:?} is not the name of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:desk"
            ))
        })?;
        let settings = Settings { region: region.to_owned(), ..settings.clone() };
        Ok(Self { client: Client::new(Service::Sns, &settings, http, clock)?.with_one_attempt(), arn: arn.to_owned() })
    }

    /// Whether messages have an order.
    pub fn is_fifo(&self) -> bool {
        self.arn.ends_with(".fifo")
    }

    pub async fn publish(&self, subject: &str, message: &str, place: Option<Place<'_>>) -> Result<(), Failure> {
        self.client.call(PUBLISH, "", self.form(subject, message, place)).await.map(drop)
    }

    fn form(&self, subject: &str, message: &str, place: Option<Place<'_>>) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", PUBLISH.name).append_pair("Version", VERSION);
        form.append_pair("TopicArn", &self.arn).append_pair("Subject", subject).append_pair("Message", message);
        if let Some(Place { group, id }) = place {
            form.append_pair("MessageGroupId", group).append_pair("MessageDeduplicationId", id);
        }
        form.finish()
    }
}

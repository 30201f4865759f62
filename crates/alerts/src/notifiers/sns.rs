//! Amazon SNS: one signed POST (`Publish`, Signature Version 4), without the SDK, which would double the build.

use super::{deliver, hex};
use crate::address::AddressPolicy;
use crate::error::Error;
use crate::words::{Template, render};
use async_trait::async_trait;
use domain::{Clock, Notification, Notifier, Result, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use url::Url;

/// Keys of an AWS account.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
}

/// One SNS topic.
pub struct Sns {
    channel: String,
    topic_arn: String,
    region: String,
    endpoint: Url,
    credentials: AwsCredentials,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Sns {
    /// The region is read from the topic's name; `endpoint` replaces AWS's own (tests, private endpoints).
    pub fn new(
        channel: impl Into<String>,
        topic_arn: &str,
        endpoint: Option<&str>,
        credentials: AwsCredentials,
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let region = topic_arn
            .split(':')
            .nth(3)
            .filter(|r| !r.is_empty())
            .ok_or_else(|| Error::Address(topic_arn.to_owned()))?;
        let endpoint = endpoint.map_or_else(|| format!("https://sns.{region}.amazonaws.com/"), str::to_owned);
        Ok(Self {
            channel: channel.into(),
            region: region.to_owned(),
            endpoint: policy.check(&endpoint)?,
            topic_arn: topic_arn.to_owned(),
            credentials,
            client: policy.client()?,
            clock,
        })
    }

    fn request(&self, notification: &Notification, now: Timestamp) -> Result<reqwest::RequestBuilder> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "Publish")
            .append_pair("Version", "2010-03-31")
            .append_pair("TopicArn", &self.topic_arn)
            .append_pair("Subject", &subject(notification))
            .append_pair("Message", &render(Template::Text, notification, None)?);
        if self.topic_arn.ends_with(".fifo") {
            form.append_pair("MessageGroupId", "overheard")
                .append_pair("MessageDeduplicationId", &hex(&Sha256::digest(&notification.id)));
        }
        let body = form.finish();
        let host = match (self.endpoint.host_str(), self.endpoint.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let date = now.format("%Y%m%dT%H%M%SZ").to_string();
        let authorization = authorization(&self.credentials, &self.region, "sns", &host, &date, &body);
        let mut request = self
            .client
            .post(self.endpoint.clone())
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-date", date)
            .header("authorization", authorization)
            .body(body);
        if let Some(token) = &self.credentials.session_token {
            request = request.header("x-amz-security-token", token.expose_secret());
        }
        Ok(request)
    }
}

const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// SNS takes 100 ASCII characters.
fn subject(notification: &Notification) -> String {
    super::email::subject(notification)
        .replace('×', "x")
        .replace('–', "-")
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(100)
        .collect()
}

/// The `Authorization` header of Signature Version 4 for a POST to `/`.
fn authorization(keys: &AwsCredentials, region: &str, service: &str, host: &str, date: &str, body: &str) -> String {
    let token = keys.session_token.as_ref().map(|token| token.expose_secret());
    let (token_line, token_name) =
        token.map_or((String::new(), ""), |token| (format!("x-amz-security-token:{token}\n"), ";x-amz-security-token"));
    let signed = format!("content-type;host;x-amz-date{token_name}");
    let canonical = format!(
        "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n{token_line}\n{signed}\n{}",
        hex(&Sha256::digest(body))
    );
    signed_by(keys, region, service, date, &signed, &canonical)
}

/// Signs a canonical request: its digest under a key derived from day, region and service.
fn signed_by(keys: &AwsCredentials, region: &str, service: &str, date: &str, signed: &str, canonical: &str) -> String {
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{}", keys.secret_access_key.expose_secret()).into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={}",
        keys.access_key_id,
        hex(&mac(&key, &text))
    )
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[async_trait]
impl Notifier for Sns {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        deliver(self.request(notification, self.clock.now())?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of AWS's manual: listing the users of an account.
    #[test]
    fn the_published_example_gets_its_published_signature() {
        let keys = AwsCredentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        };
        let signed = "content-type;host;x-amz-date";
        let canonical = format!(
            "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:{CONTENT_TYPE}\nhost:iam.amazonaws.com\n\
             x-amz-date:20150830T123600Z\n\n{signed}\n{}",
            hex(&Sha256::digest(""))
        );
        let header = signed_by(&keys, "us-east-1", "iam", "20150830T123600Z", signed, &canonical);
        assert_eq!(
            header,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }
}

//! One signed call, tried again as AWS's own clients do (three attempts, growing waits), with the clock's error corrected
//! from what the service says.

use crate::credentials::Credentials;
use crate::failure::{Class, Failure};
use crate::operation::{Operation, Protocol, Service};
use crate::profile::Profile;
use crate::signature::{self, Target};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use domain::{Clock, Error, Result};
use reqwest::header::{DATE, HeaderMap};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use url::Url;

/// Attempts of one call.
const ATTEMPTS: u32 = 3;
/// The longest wait before the second attempt; it doubles with each.
const WAIT: Duration = Duration::from_millis(200);
/// Clocks that differ by less are not the cause of a refused signature, in seconds: AWS allows five minutes.
const SKEW_MIN_S: i64 = 240;

/// How services are reached. An empty word: as the environment says, else AWS's own.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub region: String,
    /// Replaces the service's own address (tests, private endpoints).
    pub endpoint: String,
    /// None: calls are not signed.
    pub credentials: Option<Credentials>,
}

/// One service in one region.
pub struct Client {
    service: Service,
    region: String,
    endpoint: Url,
    credentials: Option<Credentials>,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    attempts: u32,
    /// What the service's clock is ahead of ours.
    skew_s: AtomicI64,
}

impl Client {
    /// `http` brings timeouts and says which addresses may be called.
    ///
    /// # Errors
    /// Kind `Stop` when there is no region, or the endpoint is no web address.
    pub fn new(service: Service, settings: &Settings, http: reqwest::Client, clock: Arc<dyn Clock>) -> Result<Self> {
        let region = region(&settings.region).ok_or_else(|| {
            Error::stop(format!("{}: no AWS region is configured; set the region or AWS_REGION", service.name()))
        })?;
        let endpoint = endpoint(service, &region, &settings.endpoint);
        let url = endpoint.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let unfit = || Error::stop(format!("{}: {endpoint:?} is no web address (https://...)", service.name()));
        Ok(Self {
            service,
            region,
            endpoint: url.ok_or_else(unfit)?,
            credentials: settings.credentials.clone(),
            http,
            clock,
            attempts: ATTEMPTS,
            skew_s: AtomicI64::new(0),
        })
    }

    /// The same, for a caller that tries again by itself.
    pub(crate) fn with_one_attempt(self) -> Self {
        Self { attempts: 1, ..self }
    }

    /// Calls an operation with JSON.
    pub(crate) async fn json(&self, operation: Operation, body: &Value) -> Result<Value, Failure> {
        let answer = self.call(operation, "", body.to_string()).await?;
        match answer.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&answer).map_err(|error| Failure::unreadable(operation, error)),
        }
    }

    /// Calls an operation with a body as its protocol wants it; `path` (and query) is for REST.
    pub(crate) async fn call(&self, operation: Operation, path: &str, body: String) -> Result<Bytes, Failure> {
        let body = Bytes::from(body);
        let (mut attempt, mut is_corrected) = (1, false);
        loop {
            let failure = match self.attempt(operation, path, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure.class == Class::Skewed && !is_corrected && self.skew_s.load(Ordering::Relaxed) != 0 {
                is_corrected = true;
                continue;
            }
            if attempt >= self.attempts || !failure.is_worth_another() {
                return Err(failure);
            }
            tracing::debug!(%failure, attempt, "trying again");
            tokio::time::sleep(self.wait(attempt)).await;
            attempt += 1;
        }
    }

    /// Between nothing and the longest wait, so that many clients don't come back at once.
    fn wait(&self, attempt: u32) -> Duration {
        let part = f64::from(self.clock.now().timestamp_subsec_micros() % 1_000) / 1_000.0;
        (WAIT * 2_u32.pow(attempt - 1)).mul_f64(0.25 + 0.75 * part)
    }

    async fn attempt(&self, operation: Operation, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let unanswered = |error| Failure::unanswered(operation, error);
        let url = self.url(path).map_err(|error| Failure::unreadable(operation, error))?;
        let mut post = self.http.post(url.clone()).body(body.clone());
        for (name, value) in self.headers(operation, url, &body).await? {
            post = post.header(name, value);
        }
        let response = post.send().await.map_err(unanswered)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = response.bytes().await.map_err(unanswered)?;
        if status.is_success() {
            return Ok(answer);
        }
        let failure = Failure::of_answer(operation, status, &headers, &answer);
        match failure.class {
            Class::Skewed if !self.learn_skew(&headers) => Err(Failure { class: Class::Denied, ..failure }),
            _ => Err(failure),
        }
    }

    fn url(&self, path: &str) -> Result<Url, url::ParseError> {
        if path.is_empty() { Ok(self.endpoint.clone()) } else { self.endpoint.join(path) }
    }

    /// The headers of the protocol, signed where there are credentials.
    async fn headers(
        &self,
        operation: Operation,
        url: Url,
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let target = match self.service.protocol() {
            Protocol::Json { prefix, .. } => Some(format!("{prefix}.{}", operation.name)),
            Protocol::Query | Protocol::Rest => None,
        };
        let content_type = match self.service.protocol() {
            Protocol::Json { content_type, .. } => content_type,
            Protocol::Query => "application/x-www-form-urlencoded; charset=utf-8",
            Protocol::Rest => "application/json",
        };
        let mut given = vec![("content-type", content_type.to_owned())];
        given.extend(target.map(|target| ("x-amz-target", target)));
        let Some(credentials) = &self.credentials else { return Ok(given) };
        let keys = credentials.keys().await.map_err(|error| Failure::no_credentials(operation, error))?;
        let now = self.clock.now() + TimeDelta::seconds(self.skew_s.load(Ordering::Relaxed));
        let target = Target { service: self.service.signed_as(), region: self.region.clone(), url };
        Ok(signature::headers(&keys, &target, given, body, now))
    }

    /// Learns from the service's clock how ours is off. False: the clocks agree.
    fn learn_skew(&self, headers: &HeaderMap) -> bool {
        let date = headers.get(DATE).and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        let skew_s = date.map_or(0, |date| (date.to_utc() - self.clock.now()).num_seconds());
        let is_new = (skew_s - self.skew_s.load(Ordering::Relaxed)).abs() >= SKEW_MIN_S;
        if is_new {
            tracing::warn!(skew_s, "the clock of this machine differs from that of AWS; signatures are corrected");
            self.skew_s.store(skew_s, Ordering::Relaxed);
        }
        is_new
    }
}

/// The region: as configured, else as the environment or its profile says.
fn region(configured: &str) -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok();
    let named = [Some(configured.to_owned()), variable("AWS_REGION"), variable("AWS_DEFAULT_REGION")];
    named.into_iter().flatten().find(|region| !region.is_empty()).or_else(Profile::region)
}

/// The address: as configured, else as the environment says, else AWS's own.
fn endpoint(service: Service, region: &str, configured: &str) -> String {
    let own = || {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{region}.{suffix}/", service.host())
    };
    let configured = Some(configured.to_owned()).filter(|endpoint| !endpoint.is_empty());
    configured.or_else(|| endpoint_of_environment(service.variable())).unwrap_or_else(own)
}

/// The address that the environment gives to a service (`AWS_ENDPOINT_URL_SQS`), or to all.
pub fn endpoint_of_environment(service: &str) -> Option<String> {
    let of_service = format!("AWS_ENDPOINT_URL_{service}");
    let named = [of_service.as_str(), "AWS_ENDPOINT_URL"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.into_iter().find(|endpoint| !endpoint.is_empty())
}

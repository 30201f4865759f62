//! A platform's API that answers with JSON.

use super::failure::Failure;
use super::http::{Fetcher, Validators, web_address};
use crate::error::{Error, Result};
use domain::Timestamp;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::{Url, form_urlencoded};

/// An API with what is sent along with each request.
pub(crate) struct Api {
    fetcher: Fetcher,
    base: Url,
}

/// An address from the settings.
pub(crate) fn address(url: &str, example: &str) -> Result<Url> {
    web_address(url).ok_or_else(|| Error::Setting(format!("invalid url {url:?} (expected e.g. {example})")))
}

/// A header with a secret.
pub(crate) fn secret_header(headers: &mut HeaderMap, name: &'static str, secret: &SecretString) -> Result<()> {
    let mut value = secret
        .expose_secret()
        .trim()
        .parse::<reqwest::header::HeaderValue>()
        .map_err(|_| Error::Setting(format!("the secret for {name} holds characters that no secret has")))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

impl Api {
    /// `headers` go to no other server.
    pub(crate) fn new(base: Url, headers: HeaderMap, timeout: Duration) -> Result<Self> {
        Ok(Self { fetcher: Fetcher::with_headers(timeout, headers)?, base })
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// The base address, with a path and a query.
    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The answer of a path.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<T, Failure> {
        let answer = self.get_if_changed(path, query, &Validators::default(), now).await?;
        let nothing = || Failure::Http { status: 304, message: "an answer without a body".into(), retry_at: None };
        answer.map(|(answer, _)| answer).ok_or_else(nothing)
    }

    /// The same, if it changed since the answer with these validators.
    pub(crate) async fn get_if_changed<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Option<(T, Validators)>, Failure> {
        let answer = self.fetcher.get(&self.url(path, query), &self.base, validators, now).await?;
        let Some(body) = answer.body else { return Ok(None) };
        Ok(Some((self.read(&body)?, answer.validators)))
    }

    /// The answer to JSON that is sent.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        url: &Url,
        json: &serde_json::Value,
        now: Timestamp,
    ) -> Result<T, Failure> {
        self.read(&self.fetcher.post(url, "application/json", json.to_string(), now).await?)
    }

    /// The answer to a form that is sent.
    pub(crate) async fn post_form<T: DeserializeOwned>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<T, Failure> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.read(&self.fetcher.post(url, "application/x-www-form-urlencoded", body, now).await?)
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| Failure::Http {
            status: 200,
            message: format!("the answer of {} can't be read: {error}", self.host()),
            retry_at: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_base() {
        let api = |base: &str| Api::new(base.parse().unwrap(), HeaderMap::new(), Duration::from_secs(1)).unwrap();
        let url = |base: &str| api(base).url("/a/b.json", &[("q", "x y"), ("n", "1")]).to_string();
        assert_eq!(url("https://a.example"), "https://a.example/a/b.json?q=x+y&n=1");
        assert_eq!(url("https://a.example/forum/?x=1"), "https://a.example/forum/a/b.json?q=x+y&n=1");
    }
}

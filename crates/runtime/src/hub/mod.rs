//! Downloads a classifier from a model hub that speaks Hugging Face's protocol: `{endpoint}/{id}/resolve/{revision}/{file}`.
//! HEAD tells a file's size, its SHA-256 (`x-linked-etag` of large files) and the commit of the revision
//! (`x-repo-commit`), so that all files are of one commit; GET leads to the bytes, which may lie with another host.
//!
//! A file is put under its name only when it is whole and its checksum is right. No file may be larger than the hub says,
//! nor than its kind is: an endpoint may send what it likes. What arrived of a file with a checksum is
//! kept beside it (`.part`) and gone on with, by `Range`, after a break or at the next try. The token goes to the hub
//! alone, never to where it leads.

mod place;
mod repository;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail};
use nlp::encoder;
use repository::Repository;
use reqwest::header::{HeaderMap, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Tries for a file, redirects of one request.
const TRIES: u32 = 5;
const REDIRECTS_MAX: usize = 10;

/// Told of a file's bytes so far, and of all its bytes (0: not known).
pub type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// A hub, with the token that is sent to it.
pub(crate) struct Hub {
    endpoint: Url,
    client: Client,
    token: Option<SecretString>,
    /// Before the second try; doubled for each further one.
    pause: Duration,
    pub(crate) progress: Progress,
}

/// What the hub says of a file before it is downloaded.
struct Told {
    size: Option<u64>,
    sha256: Option<String>,
    commit: Option<String>,
}

/// Why a try failed: whether another one may do better.
enum Failure {
    Broken(anyhow::Error),
    Final(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Hub {
    pub(crate) fn at(endpoint: &str, token: Option<SecretString>) -> Result<Self> {
        // Redirects are followed here, for their headers and for the token; bytes must come as they are stored.
        let client = Client::builder()
            .user_agent(concat!("overheard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .redirect(Policy::none())
            .no_gzip()
            .build()?;
        let endpoint = Url::parse(endpoint.trim_end_matches('/'))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
            .with_context(|| format!("the hub {endpoint:?} is no address like https://huggingface.co"))?;
        if token.is_some() && endpoint.scheme() == "http" && !is_loopback(&endpoint) {
            bail!("HF_TOKEN would go to {endpoint} for anyone on the way to read: use https://, or unset HF_TOKEN");
        }
        Ok(Self { endpoint, client, token, pause: Duration::from_secs(1), progress: Arc::new(|_, _, _| {}) })
    }

    /// Downloads the model `id` into `folder`.
    async fn download(&self, id: &str, revision: &str, folder: &Path) -> Result<()> {
        let Some(told) = self.told(id, revision, "config.json").await? else {
            bail!(
                "{} holds no config.json: the name is wrong, or transformers could not load it either",
                self.page(id)
            );
        };
        fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
        // Whatever is pushed to the repository meanwhile, the files fit each other.
        let repository = Repository { hub: self, id, revision: told.commit.as_deref().unwrap_or(revision), folder };
        repository.file("config.json").await?;
        encoder::check(folder).with_context(|| format!("{id} can't be used"))?;
        repository.tokenizer().await?;
        encoder::check_tokenizer(folder).with_context(|| format!("{id} can't be used"))?;
        repository.weights().await
    }

    /// The model's page, for people.
    fn page(&self, id: &str) -> String {
        format!("{}/{id}", self.endpoint.as_str().trim_end_matches('/'))
    }

    fn address(&self, id: &str, revision: &str, file: &str) -> Result<Url> {
        let revision = revision.replace('/', "%2F");
        Url::parse(&format!("{}/resolve/{revision}/{file}", self.page(id))).context("make an address")
    }

    /// One request, without following where it leads. The token is for the hub itself.
    async fn send(&self, method: Method, address: Url, begin: u64) -> reqwest::Result<Response> {
        let mut request = self.client.request(method, address.clone());
        if let Some(token) = self.token.as_ref().filter(|_| address.origin() == self.endpoint.origin()) {
            request = request.bearer_auth(token.expose_secret());
        }
        if begin > 0 {
            request = request.header(RANGE, format!("bytes={begin}-"));
        }
        request.send().await
    }

    /// What the hub says of a file; none when the model has none of that name.
    async fn told(&self, id: &str, revision: &str, file: &str) -> Result<Option<Told>> {
        let mut address = self.address(id, revision, file)?;
        let mut told = Told { size: None, sha256: None, commit: None };
        for _ in 0..REDIRECTS_MAX {
            let answer = self.ask(&address).await?;
            let (status, headers) = (answer.status(), answer.headers());
            let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            if status.is_client_error() {
                return match (status, text("x-error-code").as_deref()) {
                    (StatusCode::NOT_FOUND, None | Some("EntryNotFound")) => Ok(None),
                    (_, code) => bail!("{}", self.refusal(id, revision, status, code)),
                };
            }
            told.commit = told.commit.or_else(|| text("x-repo-commit"));
            told.sha256 = told.sha256.or_else(|| checksum(headers));
            let linked = text("x-linked-size").or_else(|| text("content-length").filter(|_| status.is_success()));
            told.size = told.size.or_else(|| linked?.parse().ok());
            let next = next_address(&address, &answer)?;
            match next.filter(|next| next.origin() == self.endpoint.origin()) {
                Some(next) => address = next,
                None if status.is_success() || status.is_redirection() => return Ok(Some(told)),
                None => bail!("{address} answered {status}; try again later"),
            }
        }
        bail!("{address} leads in a circle")
    }

    /// HEAD, tried again while the hub can't be reached or has troubles of its own.
    async fn ask(&self, address: &Url) -> Result<Response> {
        let mut tries = 1;
        loop {
            let answer = self.send(Method::HEAD, address.clone(), 0).await;
            let passing = match &answer {
                Ok(answer) => answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS,
                Err(_) => true,
            };
            if !passing || tries == TRIES {
                return answer.with_context(|| format!("ask {address}: is the network there?"));
            }
            self.rest(tries).await;
            tries += 1;
        }
    }

    async fn rest(&self, tries: u32) {
        tokio::time::sleep(self.pause * 2u32.pow(tries - 1)).await;
    }

    /// Why the hub does not give a model, and what to do about it.
    fn refusal(&self, id: &str, revision: &str, status: StatusCode, code: Option<&str>) -> String {
        let page = self.page(id);
        let tokens = self.endpoint.join("/settings/tokens").map_or_else(|_| String::new(), |url| url.to_string());
        match (code, status, self.token.is_some()) {
            (Some("RevisionNotFound"), ..) => format!("{id} has no revision {revision:?}: see {page}/tree/main"),
            (Some("GatedRepo"), _, false) => {
                format!("{id} is gated: accept its terms at {page}, make a token at {tokens} and set HF_TOKEN to it")
            }
            (Some("GatedRepo"), _, true) | (_, StatusCode::FORBIDDEN, true) => {
                format!("the account of HF_TOKEN may not read {id}: ask for access at {page}")
            }
            (code, StatusCode::UNAUTHORIZED, true) if code != Some("RepoNotFound") => {
                format!("HF_TOKEN is not accepted (wrong, or expired): make another at {tokens}, or unset it")
            }
            (_, StatusCode::TOO_MANY_REQUESTS, _) => {
                format!("{page} is asked too often from here ({status}); try again later, or set HF_TOKEN")
            }
            (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, false) => format!(
                "there is no model {id} at {page}, or it is private: check the name; for a private one make a token at \
                 {tokens} and set HF_TOKEN to it"
            ),
            (_, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, true) => {
                format!("there is no model {id} at {page}, or the account of HF_TOKEN may not see it: check the name")
            }
            _ => format!("{page} answered {status}"),
        }
    }

    /// The bytes of a file from `begin` on, wherever they lie.
    async fn bytes(&self, mut address: Url, begin: u64) -> Result<Response, Failure> {
        for _ in 0..REDIRECTS_MAX {
            let shown = format!("download {}", without_query(&address));
            let answer = self.send(Method::GET, address.clone(), begin).await;
            let answer = answer
                .map_err(|error| Failure::Broken(anyhow::Error::new(error.without_url()).context(shown.clone())))?;
            if let Some(next) = next_address(&address, &answer)? {
                address = next;
                continue;
            }
            let status = answer.status();
            return match status {
                _ if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE => Ok(answer),
                _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    Err(Failure::Broken(anyhow::anyhow!("{shown}: {status}")))
                }
                _ => Err(Failure::Final(anyhow::anyhow!("{shown}: {status}"))),
            };
        }
        Err(Failure::Final(anyhow::anyhow!("{} leads in a circle", without_query(&address))))
    }
}

/// Whether an address is of this machine.
fn is_loopback(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where an answer leads, if it leads on.
fn next_address(address: &Url, answer: &Response) -> Result<Option<Url>> {
    if !answer.status().is_redirection() {
        return Ok(None);
    }
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.with_context(|| format!("{} leads nowhere", without_query(address)))?;
    address.join(location).map(Some).with_context(|| format!("{} leads nowhere", without_query(address)))
}

/// For people: queries of storage addresses hold signatures.
fn without_query(address: &Url) -> String {
    let mut shown = address.clone();
    shown.set_query(None);
    shown.to_string()
}

/// The SHA-256 that the hub names, if it names one: an entity tag of 64 hexadecimal digits.
fn checksum(headers: &HeaderMap) -> Option<String> {
    ["x-linked-etag", "etag"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase())
        .find(|tag| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

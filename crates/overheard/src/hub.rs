//! Downloads a classifier from a model hub that speaks Hugging Face's protocol: `{endpoint}/{id}/resolve/{revision}/{file}`.
//! HEAD tells a file's size, its SHA-256 (`x-linked-etag` of large files) and the commit of the revision
//! (`x-repo-commit`), so that all files are of one commit; GET leads to the bytes, which may lie with another host.
//!
//! A file is put under its name only when it is whole and its checksum is right. What arrived of a file with a checksum is
//! kept beside it (`.part`) and gone on with, by `Range`, after a break or at the next try. The token goes to the hub
//! alone, never to where it leads.

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use nlp::encoder::{self, CONTAINERS};
use reqwest::header::{HeaderMap, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tokenizers in the order of preference; one must be there.
const TOKENIZERS: [&str; 4] = ["tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model"];
/// Taken along where they are.
const OPTIONAL: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "merges.txt"];
/// Tries for a file, redirects of one request.
const TRIES: u32 = 5;
const REDIRECTS_MAX: usize = 10;
/// Left free on the disk, bytes.
const SPARE: u64 = 500 << 20;

/// A hub, and who asks.
pub(crate) struct Hub {
    endpoint: Url,
    client: Client,
    token: Option<SecretString>,
    /// Before the second try; doubled for each further one.
    pause: Duration,
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
        Ok(Self { endpoint, client, token, pause: Duration::from_secs(1) })
    }

    /// Downloads the model `id` into `folder`.
    pub(crate) async fn download(&self, id: &str, revision: &str, folder: &Path) -> Result<()> {
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

/// A model on a hub, at one commit, and the folder that it is brought to.
struct Repository<'a> {
    hub: &'a Hub,
    id: &'a str,
    revision: &'a str,
    folder: &'a Path,
}

impl Repository<'_> {
    /// The first form of weights that there is, with all its files.
    async fn weights(&self) -> Result<()> {
        for container in CONTAINERS {
            if !self.file(container).await? {
                continue;
            }
            for shard in encoder::shards(&self.folder.join(container))? {
                let shard = Path::new(container).with_file_name(shard).to_string_lossy().into_owned();
                if !self.file(&shard).await? {
                    bail!("{container} of {} names {shard}, which is not there: the repository is not whole", self.id);
                }
            }
            return Ok(());
        }
        bail!(
            "{} holds none of {}: weights of other frameworks can't be read; see {}/tree/main for what it holds",
            self.id,
            CONTAINERS.join(", "),
            self.hub.page(self.id)
        )
    }

    async fn tokenizer(&self) -> Result<()> {
        let mut found = false;
        for file in TOKENIZERS {
            found = found || self.file(file).await?;
        }
        if !found {
            bail!("{} holds no tokenizer that can be read ({})", self.id, TOKENIZERS.join(", "));
        }
        for file in OPTIONAL {
            self.file(file).await?;
        }
        Ok(())
    }

    /// Downloads one file, unless it is there already; false when the model has none of that name.
    async fn file(&self, file: &str) -> Result<bool> {
        let path = self.folder.join(file);
        let Some(told) = self.hub.told(self.id, self.revision, file).await? else {
            // One that an earlier version of the model had would be taken for this one's.
            if path.exists() {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
            return Ok(false);
        };
        if let Some(expected) = &told.sha256
            && path.is_file()
            && digest(&path)? == *expected
        {
            return Ok(true);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make the folder {}", parent.display()))?;
        }
        let part = PathBuf::from(format!("{}.part", path.display()));
        let mut tries = 1;
        loop {
            match self.attempt(file, &told, &part).await {
                Ok(()) => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Broken(error)) if tries == TRIES => {
                    return Err(
                        error.context(format!("{file} broke off {TRIES} times; the same command goes on with it"))
                    );
                }
                Err(Failure::Broken(_)) => self.hub.rest(tries).await,
            }
            tries += 1;
        }
        fs::rename(&part, &path).with_context(|| format!("write {}", path.display()))?;
        Ok(true)
    }

    /// One try: the rest of the file, and whether the whole is right.
    async fn attempt(&self, file: &str, told: &Told, part: &Path) -> Result<(), Failure> {
        // Without a checksum nobody could tell whether two parts fit.
        let kept = fs::metadata(part).map_or(0, |found| found.len());
        let begin = if told.sha256.is_some() && told.size.is_none_or(|size| kept <= size) { kept } else { 0 };
        if told.size != Some(begin) || begin == 0 {
            self.enough_room(told.size.unwrap_or(0).saturating_sub(begin))?;
            self.rest_of(file, told, part, begin).await?;
        }
        let length = fs::metadata(part)?.len();
        if let Some(size) = told.size.filter(|size| *size != length) {
            return Err(Failure::Broken(anyhow::anyhow!("{file} has {length} bytes of {size}")));
        }
        let Some(expected) = &told.sha256 else { return Ok(()) };
        let found = digest(part)?;
        if found == *expected {
            return Ok(());
        }
        fs::remove_file(part)?;
        let error = anyhow::anyhow!("{file} arrived damaged (SHA-256 {found}, the hub says {expected}); try again");
        // A part of an older version is no fault of the line.
        Err(if begin > 0 { Failure::Broken(error) } else { Failure::Final(error) })
    }

    async fn rest_of(&self, file: &str, told: &Told, part: &Path, begin: u64) -> Result<(), Failure> {
        let mut answer = self.hub.bytes(self.hub.address(self.id, self.revision, file)?, begin).await?;
        let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT && begins_at(answer.headers(), begin);
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE
            || (answer.status() == StatusCode::PARTIAL_CONTENT && !goes_on)
        {
            fs::remove_file(part)?;
            return Err(Failure::Broken(anyhow::anyhow!("{file}: the hub does not go on where it broke off")));
        }
        let mut out = match goes_on {
            true => OpenOptions::new().append(true).open(part),
            false => File::create(part),
        }
        .with_context(|| format!("write {}", part.display()))?;
        let bar = ProgressBar::new(told.size.unwrap_or(0))
            .with_prefix(file.to_owned())
            .with_position(if goes_on { begin } else { 0 })
            .with_style(ProgressStyle::with_template("{prefix:34} {bar:30} {bytes}/{total_bytes} {eta}")?);
        loop {
            match answer.chunk().await {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    out.write_all(&bytes).with_context(|| format!("write {}", part.display()))?;
                    bar.inc(bytes.len() as u64);
                }
                Err(error) => {
                    bar.abandon();
                    return Err(Failure::Broken(
                        anyhow::Error::new(error.without_url()).context(format!("download {file}")),
                    ));
                }
            }
        }
        bar.finish_and_clear();
        Ok(out.sync_all()?)
    }

    fn enough_room(&self, needed: u64) -> Result<()> {
        let free = fs4::available_space(self.folder).context("ask for free space")?;
        if free < needed.saturating_add(SPARE) {
            let [needed, free] = [needed, free].map(|bytes| bytes as f64 / 1e9);
            bail!("{} needs {needed:.1} GB more, and {} has {free:.1} GB free", self.id, self.folder.display());
        }
        Ok(())
    }
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

/// Whether an answer of a part is the part that was asked for.
fn begins_at(headers: &HeaderMap, begin: u64) -> bool {
    let range = headers.get("content-range").and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()) == Some(begin)
}

fn digest(path: &Path) -> Result<String> {
    let read = || format!("read {}", path.display());
    let (mut file, mut digest) = (File::open(path).with_context(read)?, Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).with_context(read)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The SHA-256 that the hub names, if it names one: an entity tag of 64 hexadecimal digits.
fn checksum(headers: &HeaderMap) -> Option<String> {
    ["x-linked-etag", "etag"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase())
        .find(|tag| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::extract::State;
    use axum::http;
    use axum::response::IntoResponse;
    use futures::stream::{self, StreamExt};
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// A hub on loopback with one model, `team/model`; large files lie with another host, as they do on the real one.
    #[derive(Default)]
    struct Library {
        files: HashMap<String, Vec<u8>>,
        /// Where large files lie.
        store: String,
        /// Token that is asked for.
        token: Option<&'static str>,
        /// Answers of large files that break off after 1,000 bytes.
        breaks: Mutex<u32>,
        /// Digest that is named instead of the right one.
        digest: Option<String>,
        /// Requests: host, method, file, range, token.
        log: Mutex<Vec<String>>,
    }

    impl Library {
        /// Everything of some folders of the engine's own fixtures.
        fn of(folders: &[&str]) -> Self {
            let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nlp/tests/parity");
            let mut library = Self::default();
            for folder in folders {
                library.add(&parity.join(folder), "");
            }
            library
        }

        fn add(&mut self, folder: &Path, prefix: &str) {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                if entry.path().is_dir() {
                    self.add(&entry.path(), &format!("{name}/"));
                } else {
                    self.files.insert(name, fs::read(entry.path()).unwrap());
                }
            }
        }

        fn without(mut self, name: &str) -> Self {
            self.files.remove(name).unwrap();
            self
        }

        /// Starts both hosts.
        async fn open(mut self) -> (Arc<Self>, Hub) {
            let mut bound = Vec::new();
            for _ in 0..2 {
                bound.push(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
            }
            let address = |at: usize| format!("http://{}", bound[at].local_addr().unwrap());
            self.store = address(1);
            let endpoint = address(0);
            let library = Arc::new(self);
            let hub = Router::new().fallback(answer).with_state(Arc::clone(&library));
            let store = Router::new().fallback(stored).with_state(Arc::clone(&library));
            for (listener, app) in bound.into_iter().zip([hub, store]) {
                tokio::spawn(async move { axum::serve(listener, app).await });
            }
            let token = library.token.map(|token| SecretString::from(token.to_owned()));
            (library, Hub { pause: Duration::from_millis(1), ..Hub::at(&endpoint, token).unwrap() })
        }

        fn note(&self, host: &str, method: &http::Method, file: &str, headers: &http::HeaderMap) {
            let text = |name: &str| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
            self.log.lock().unwrap().push(format!(
                "{host} {method} {file} {} {}",
                text("range"),
                text("authorization")
            ));
        }

        fn asked(&self, beginning: &str) -> Vec<String> {
            self.log.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).cloned().collect()
        }
    }

    fn is_large(file: &str) -> bool {
        [".safetensors", ".bin", ".onnx", ".model"].iter().any(|end| file.ends_with(end))
    }

    async fn answer(
        State(library): State<Arc<Library>>,
        method: http::Method,
        uri: http::Uri,
        headers: http::HeaderMap,
    ) -> http::Response<Body> {
        let refuse = |status: u16, code: &'static str| {
            (http::StatusCode::from_u16(status).unwrap(), [("x-error-code", code)]).into_response()
        };
        let Some(rest) = uri.path().strip_prefix("/team/model/resolve/") else { return refuse(401, "RepoNotFound") };
        let (revision, file) = rest.split_once('/').unwrap();
        library.note("hub", &method, file, &headers);
        if !["main", COMMIT].contains(&revision) {
            return refuse(404, "RevisionNotFound");
        }
        let given = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        if library.token.is_some() && given != library.token.map(|token| format!("Bearer {token}")) {
            return refuse(401, "GatedRepo");
        }
        let Some(bytes) = library.files.get(file) else { return refuse(404, "EntryNotFound") };
        if !is_large(file) {
            return ([("x-repo-commit", COMMIT), ("etag", "\"6a91\"")], bytes.clone()).into_response();
        }
        let tag = library.digest.clone().unwrap_or_else(|| sha256(bytes));
        let headers = [
            ("x-repo-commit", COMMIT.to_owned()),
            ("x-linked-etag", format!("\"{tag}\"")),
            ("x-linked-size", bytes.len().to_string()),
            ("location", format!("{}/{file}?signature=secret", library.store)),
        ];
        (http::StatusCode::FOUND, headers).into_response()
    }

    async fn stored(
        State(library): State<Arc<Library>>,
        method: http::Method,
        uri: http::Uri,
        headers: http::HeaderMap,
    ) -> http::Response<Body> {
        let file = uri.path().trim_start_matches('/');
        library.note("store", &method, file, &headers);
        let bytes = &library.files[file];
        let range =
            headers.get("range").and_then(|range| range.to_str().unwrap().strip_prefix("bytes=")?.strip_suffix('-'));
        let begin: usize = range.map_or(0, |begin| begin.parse().unwrap());
        let part = bytes[begin..].to_vec();
        let answer = http::Response::builder()
            .status(if range.is_some() { 206 } else { 200 })
            .header("content-length", part.len())
            .header("content-range", format!("bytes {begin}-{}/{}", bytes.len() - 1, bytes.len()));
        let mut breaks = library.breaks.lock().unwrap();
        if *breaks == 0 {
            return answer.body(Body::from(part)).unwrap();
        }
        *breaks -= 1;
        let begun = stream::once(std::future::ready(Ok(part[..1000].to_vec())));
        let broken = stream::once(async {
            // What was sent must be under way before the line breaks.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("the line broke"))
        });
        answer.body(Body::from_stream(begun.chain(broken))).unwrap()
    }

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    async fn fetch(hub: &Hub, folder: &Path) -> Result<()> {
        hub.download("team/model", "main", folder).await
    }

    #[tokio::test]
    async fn a_model_in_any_form_is_downloaded_and_loads() {
        for folders in [
            &["xlm-roberta"][..],
            &["xlm-roberta-tokens", "containers/xlm-roberta-tokens.shards"],
            &["bert-tokens", "containers/bert-tokens.zip"],
            &["roberta", "containers/roberta.former"],
            &["modernbert-tokens", "containers/modernbert-tokens.zip-shards"],
            &["distilbert", "containers/distilbert.onnx"],
        ] {
            let mut library = Library::of(folders);
            if folders.len() > 1 {
                library = library.without("model.safetensors");
            }
            let (library, hub) = library.open().await;
            let folder = tempfile::tempdir().unwrap();
            fetch(&hub, folder.path()).await.unwrap();
            nlp::classifier::Classifier::load(folder.path(), encoder::Options::default()).unwrap();
            let heads = library.asked("hub HEAD");
            assert!(heads.len() > 4, "{heads:?}");
        }
    }

    #[tokio::test]
    async fn the_token_goes_to_the_hub_alone_and_all_files_are_of_one_commit() {
        let (library, hub) = Library { token: Some("hf_secret"), ..Library::of(&["xlm-roberta"]) }.open().await;
        let folder = tempfile::tempdir().unwrap();
        fetch(&hub, folder.path()).await.unwrap();
        let (hub, store) = (library.asked("hub"), library.asked("store"));
        assert!(hub.iter().all(|line| line.ends_with("Bearer hf_secret")), "{hub:?}");
        assert!(store.len() == 2 && store.iter().all(|line| line.ends_with(" -")), "{store:?}");
        let nobody = Hub { pause: Duration::from_millis(1), ..Hub::at("http://127.0.0.1:1", None).unwrap() };
        let again = fetch(&nobody, folder.path()).await;
        assert!(format!("{:#}", again.unwrap_err()).contains("is the network there?"));
    }

    #[tokio::test]
    async fn a_broken_download_goes_on_where_it_broke_off() {
        let (library, hub) = Library { breaks: Mutex::new(3), ..Library::of(&["bert"]) }.open().await;
        let folder = tempfile::tempdir().unwrap();
        fetch(&hub, folder.path()).await.unwrap();
        let asked = library.asked("store GET model.safetensors");
        let ranges: Vec<&str> = asked.iter().filter_map(|line| line.split(' ').nth(3)).collect();
        assert_eq!(ranges, ["-", "bytes=1000-", "bytes=2000-", "bytes=3000-"]);
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        assert!(read("model.safetensors") == library.files["model.safetensors"]);
        assert!(!folder.path().join("model.safetensors.part").exists());
        // What is there and right is not downloaded again.
        fetch(&hub, folder.path()).await.unwrap();
        assert_eq!(library.asked("store GET model.safetensors").len(), 4);
    }

    #[tokio::test]
    async fn what_an_earlier_try_left_is_used_where_it_fits() {
        for (kept, ranges) in [(vec![], 0), (vec![7; 5000], 1), (vec![7; 10 << 20], 0)] {
            let (library, hub) = Library::of(&["xlm-roberta"]).open().await;
            let folder = tempfile::tempdir().unwrap();
            let whole = &library.files["model.safetensors"];
            let kept = if kept.is_empty() { whole.clone() } else { kept };
            fs::write(folder.path().join("model.safetensors.part"), &kept).unwrap();
            fetch(&hub, folder.path()).await.unwrap();
            assert!(fs::read(folder.path().join("model.safetensors")).unwrap() == *whole);
            let asked = library.asked("store GET model.safetensors bytes=");
            assert_eq!(asked.len(), ranges, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_file_of_an_earlier_version_does_not_stay() {
        let library = Library::of(&["bert-tokens", "containers/bert-tokens.zip"]).without("model.safetensors");
        let (_, hub) = library.open().await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.safetensors"), "of another version").unwrap();
        fetch(&hub, folder.path()).await.unwrap();
        assert!(!folder.path().join("model.safetensors").exists());
        nlp::classifier::Classifier::load(folder.path(), encoder::Options::default()).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_and_not_left_behind() {
        let library = Library { digest: Some(sha256(b"something else")), ..Library::of(&["bert"]) };
        let (_, hub) = library.open().await;
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(&hub, folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        assert!(!folder.path().join("model.safetensors").exists());
        assert!(!folder.path().join("model.safetensors.part").exists());
    }

    #[tokio::test]
    async fn what_can_not_be_had_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (gated, hub) = Library { token: Some("hf_secret"), ..Library::of(&["bert"]) }.open().await;
        let ask = async |token: Option<&str>, id: &str, revision: &str| {
            let token = token.map(|token| SecretString::from(token.to_owned()));
            let hub = Hub::at(hub.endpoint.as_str(), token).unwrap();
            format!("{:#}", hub.download(id, revision, folder.path()).await.unwrap_err())
        };
        for (error, words) in [
            (ask(None, "team/model", "main").await, "accept its terms at"),
            (ask(Some("hf_other"), "team/model", "main").await, "the account of HF_TOKEN may not read"),
            (ask(None, "team/other", "main").await, "there is no model team/other"),
            (ask(Some("hf_secret"), "team/other", "main").await, "or the account of HF_TOKEN may not see it"),
            (ask(Some("hf_secret"), "team/model", "v9").await, "has no revision \"v9\""),
        ] {
            assert!(error.contains(words) && error.contains("127.0.0.1"), "{error}");
            assert!(!error.contains("hf_"), "{error}");
        }
        assert!(gated.asked("store").is_empty());
        assert!(Hub::at("huggingface.co", None).is_err());
    }

    #[tokio::test]
    async fn a_model_that_could_not_be_used_is_refused_before_its_weights_are_downloaded() {
        for (file, text, words) in [
            ("config.json", r#"{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}"#, "model type \"gpt2\""),
            ("tokenizer_config.json", r#"{"tokenizer_class": "BertweetTokenizer"}"#, "class BertweetTokenizer"),
        ] {
            let mut library = Library::of(&["bert"]);
            library.files.insert(file.into(), text.into());
            let (library, hub) = library.open().await;
            let error = fetch(&hub, tempfile::tempdir().unwrap().path()).await.unwrap_err();
            assert!(format!("{error:#}").contains(words), "{error:#}");
            assert!(library.asked("store").is_empty());
        }
        for (missing, words) in
            [("model.safetensors", "weights of other frameworks"), ("vocab.txt", "holds no tokenizer")]
        {
            let (_, hub) = Library::of(&["bert"]).without(missing).open().await;
            let error = fetch(&hub, tempfile::tempdir().unwrap().path()).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

//! Downloads from a hub on loopback that speaks the protocol: every form of weights, breaks, refusals.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http;
use axum::response::IntoResponse;
use futures::stream::{self, StreamExt};
use sha2::{Digest, Sha256};
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
    /// Size that is named of large files instead of the right one.
    size: Option<usize>,
    /// No size is named of small files.
    untold: bool,
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
        self.log.lock().unwrap().push(format!("{host} {method} {file} {} {}", text("range"), text("authorization")));
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
    if !is_large(file) && library.untold {
        let bytes = bytes.clone();
        let body = Body::from_stream(stream::once(std::future::ready(Ok::<_, std::io::Error>(bytes))));
        return ([("x-repo-commit", COMMIT)], body).into_response();
    }
    if !is_large(file) {
        return ([("x-repo-commit", COMMIT), ("etag", "\"6a91\"")], bytes.clone()).into_response();
    }
    let tag = library.digest.clone().unwrap_or_else(|| sha256(bytes));
    let headers = [
        ("x-repo-commit", COMMIT.to_owned()),
        ("x-linked-etag", format!("\"{tag}\"")),
        ("x-linked-size", library.size.unwrap_or(bytes.len()).to_string()),
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
async fn a_file_larger_than_it_is_said_to_be_is_refused_and_not_left_behind() {
    let (_, hub) = Library { size: Some(1000), ..Library::of(&["bert"]) }.open().await;
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&hub, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("goes on behind 1000 bytes"), "{error}");
    assert!(!folder.path().join("model.safetensors.part").exists());
    let (_, hub) = Library { size: Some(1 << 50), ..Library::of(&["bert"]) }.open().await;
    let error = fetch(&hub, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("more than any model"), "{error}");
}

#[tokio::test]
async fn a_file_without_a_size_is_bounded_all_the_same() {
    let (_, hub) = Library { untold: true, ..Library::of(&["bert"]) }.open().await;
    fetch(&hub, tempfile::tempdir().unwrap().path()).await.unwrap();
    let mut library = Library { untold: true, ..Library::of(&["bert"]) };
    library.files.insert("config.json".into(), vec![b' '; (64 << 20) + 1]);
    let (_, hub) = library.open().await;
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&hub, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("config.json goes on behind"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_one_only_when_it_can_be_used() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("team--model");
    let classifies =
        |folder: &Path| Ok(nlp::classifier::Classifier::load(folder, encoder::Options::default()).map(drop)?);
    let (library, hub) = Library::of(&["bert"]).open().await;
    hub.bring("team/model", "main", &folder, classifies).await.unwrap();
    assert_eq!(library.asked("store GET model.safetensors").len(), 1);
    let weights = || fs::read(folder.join("model.safetensors")).unwrap();
    let before = weights();
    // Another model's weights do not fit the configuration.
    let mut other = Library::of(&["bert"]);
    other.files.insert("model.safetensors".into(), Library::of(&["distilbert"]).files["model.safetensors"].clone());
    let (_, hub) = other.open().await;
    let error = hub.bring("team/model", "main", &folder, classifies).await.unwrap_err();
    assert!(error.to_string().contains("can't be used"), "{error}");
    assert!(weights() == before);
    // One that is whole does, with the files that did not change taken from the old one.
    let mut new = Library::of(&["bert"]);
    let mut config: serde_json::Value = serde_json::from_slice(&new.files["config.json"]).unwrap();
    config["_name"] = serde_json::json!("newer");
    new.files.insert("config.json".into(), config.to_string().into());
    let (new, hub) = new.open().await;
    hub.bring("team/model", "main", &folder, classifies).await.unwrap();
    assert!(new.asked("store GET").is_empty());
    assert!(fs::read_to_string(folder.join("config.json")).unwrap().contains("newer"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing stays beside it");
}

#[test]
fn a_token_goes_over_http_to_this_machine_alone() {
    let at = |endpoint: &str| Hub::at(endpoint, Some(SecretString::from("hf_secret".to_owned())));
    for endpoint in ["https://hub.example", "http://127.0.0.1:8080", "http://[::1]:80", "http://localhost"] {
        assert!(at(endpoint).is_ok(), "{endpoint}");
    }
    for endpoint in ["http://hub.example", "http://10.0.0.1", "http://localhost.example"] {
        let error = at(endpoint).err().unwrap().to_string();
        assert!(error.contains("HF_TOKEN") && !error.contains("hf_secret"), "{error}");
        assert!(Hub::at(endpoint, None).is_ok());
    }
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
    for (missing, words) in [("model.safetensors", "weights of other frameworks"), ("vocab.txt", "holds no tokenizer")]
    {
        let (_, hub) = Library::of(&["bert"]).without(missing).open().await;
        let error = fetch(&hub, tempfile::tempdir().unwrap().path()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

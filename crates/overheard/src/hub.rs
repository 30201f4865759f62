//! Downloads a classifier from a model hub that speaks Hugging Face's protocol: `GET {endpoint}/{id}/resolve/{revision}/
//! {file}`. Large files carry their SHA-256 in the header `x-linked-etag` (or `etag`), which is checked; a file is put
//! under its name only when it is whole, so that a broken download is begun anew.

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// What a classifier consists of: the first group must be there, of the others each what there is, and one tokenizer.
const NEEDED: [&str; 1] = ["config.json"];
const WEIGHTS: [&str; 1] = ["model.safetensors"];
const TOKENIZERS: [&str; 3] = ["tokenizer.json", "vocab.txt", "vocab.json"];
const OPTIONAL: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "merges.txt"];

/// A hub and one model on it.
pub(crate) struct Hub {
    endpoint: String,
    client: Client,
}

impl Hub {
    pub(crate) fn at(endpoint: &str) -> Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("overheard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self { endpoint: endpoint.trim_end_matches('/').to_owned(), client })
    }

    /// Downloads the model `id` into `folder`.
    pub(crate) async fn download(&self, id: &str, revision: &str, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
        for file in NEEDED {
            if !self.file(id, revision, file, folder).await? {
                bail!("there is no model {id:?} (revision {revision}) at {}", self.endpoint);
            }
        }
        let mut weights = false;
        for file in WEIGHTS {
            weights |= self.file(id, revision, file, folder).await?;
        }
        if !weights {
            bail!("{id} holds no model.safetensors; models of other forms (PyTorch .bin, ONNX) can't be read");
        }
        let mut tokenizer = false;
        for file in TOKENIZERS {
            tokenizer = tokenizer || self.file(id, revision, file, folder).await?;
        }
        if !tokenizer {
            bail!("{id} holds no tokenizer that can be read (tokenizer.json, vocab.txt or vocab.json)");
        }
        for file in OPTIONAL {
            self.file(id, revision, file, folder).await?;
        }
        Ok(())
    }

    /// Downloads one file; false when the model has none of that name.
    async fn file(&self, id: &str, revision: &str, file: &str, folder: &Path) -> Result<bool> {
        let address = format!("{}/{id}/resolve/{revision}/{file}", self.endpoint);
        let mut answer = self.client.get(&address).send().await.with_context(|| format!("ask {address}"))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            bail!("{} refuses {id}: the name is wrong, or the model is private or gated", self.endpoint);
        }
        answer = answer.error_for_status().with_context(|| format!("download {address}"))?;
        let expected = checksum(answer.headers());
        let bar = ProgressBar::new(answer.content_length().unwrap_or(0))
            .with_prefix(file.to_owned())
            .with_style(ProgressStyle::with_template("{prefix:22} {bar:30} {bytes}/{total_bytes} {eta}")?);
        let part = folder.join(format!("{file}.part"));
        let mut out = File::create(&part).with_context(|| format!("write {}", part.display()))?;
        let mut digest = Sha256::new();
        while let Some(bytes) = answer.chunk().await.with_context(|| format!("download {address}"))? {
            digest.update(&bytes);
            out.write_all(&bytes).with_context(|| format!("write {}", part.display()))?;
            bar.inc(bytes.len() as u64);
        }
        bar.finish_and_clear();
        out.sync_all()?;
        let found = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            std::fs::remove_file(&part)?;
            bail!("{file} arrived damaged (SHA-256 {found}, the hub says {expected}); try again");
        }
        std::fs::rename(&part, folder.join(file))?;
        Ok(true)
    }
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
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::get;

    const WEIGHTS: &[u8] = b"not really weights";

    /// A hub on loopback with one model, whose weights carry the tag given.
    async fn hub(tag: String) -> String {
        let weights = move || {
            let tag = tag.clone();
            async move { ([("x-linked-etag", format!("\"{tag}\""))], WEIGHTS).into_response() }
        };
        let app = Router::new()
            .route("/team/model/resolve/main/config.json", get(|| async { "{}" }))
            .route("/team/model/resolve/main/model.safetensors", get(weights))
            .route("/team/model/resolve/main/vocab.txt", get(|| async { "[PAD]\n" }))
            .fallback(|| async { StatusCode::NOT_FOUND });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    fn digest(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[tokio::test]
    async fn a_model_is_downloaded_whole_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = hub(digest(WEIGHTS)).await;
        Hub::at(&endpoint).unwrap().download("team/model", "main", folder.path()).await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("model.safetensors")).unwrap(), WEIGHTS);
        assert!(folder.path().join("vocab.txt").exists() && !folder.path().join("merges.txt").exists());
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_and_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = hub(digest(b"something else")).await;
        let error = Hub::at(&endpoint).unwrap().download("team/model", "main", folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        assert!(!folder.path().join("model.safetensors").exists());
        assert!(!folder.path().join("model.safetensors.part").exists());
    }

    #[tokio::test]
    async fn an_unknown_model_says_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = hub(String::new()).await;
        let error = Hub::at(&endpoint).unwrap().download("team/other", "main", folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("team/other") && error.to_string().contains("127.0.0.1"), "{error}");
    }
}

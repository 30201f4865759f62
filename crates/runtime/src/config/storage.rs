//! Settings of the queue and the lake.

use super::bounds::within;
use super::words::word;
use crate::secrets;
use anyhow::{Context, Result, bail};
use brokers::{nats, sqs};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder in the data folder for copies of a bucket's files.
pub(crate) const LAKE_CACHE: &str = "lake-cache";
/// Days for which ids are known beyond the lake's retention.
const SEEN_SPARE_DAYS: u32 = 7;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Posts that may wait on disk.
    pub waiting_max: u64,
    /// Bytes of posts that may wait on disk.
    pub waiting_bytes_max: u64,
    /// Dead letters that are kept.
    pub dead_letters_max: u64,
    /// Bytes of dead letters that are kept.
    pub dead_letters_bytes_max: u64,
    /// Where workers take posts from.
    #[serde(deserialize_with = "word")]
    pub engine: QueueEngine,
    /// Partitions of the queue; each is worked on by one worker at a time.
    pub partitions: u16,
    pub nats: NatsConfig,
    pub sqs: SqsConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueEngine {
    /// From the database in the data folder: all processes run on one machine.
    Embedded,
    Nats,
    Sqs,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// Addresses of the servers of one cluster: nats://host:4222 or tls://host:4222.
    pub servers: Vec<String>,
    /// Name of the stream and first word of its subjects.
    pub stream: String,
    pub user: String,
    /// Environment variable, or file, that holds the password of `user`.
    pub password_env: String,
    pub password_file: String,
    /// Environment variable, or file, that holds a token.
    pub token_env: String,
    pub token_file: String,
    /// Certificates to trust, in PEM; empty: those of the system.
    pub ca_file: String,
    /// Copies of a new stream in the cluster.
    pub replicas: u8,
    /// Bytes of a new stream.
    pub bytes_max: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqsConfig {
    /// AWS region of the queues; empty: AWS_REGION.
    pub region: String,
    /// Address of the FIFO queue of batches.
    pub queue_url: String,
    /// Address of the FIFO queue by which workers send dead letters to the listener.
    pub letters_url: String,
    /// Environment variables with the access key; AWS_SESSION_TOKEN is used where it is set. Not set: the standard chain.
    pub access_key_env: String,
    pub secret_env: String,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// Address of a bucket for the small documents; empty: `overheard.db` in the data folder.
    pub url: String,
    /// How old a document may be that is read there.
    pub refresh_ms: u64,
    /// Environment variable, or file, with the key of secrets that people type in; empty: `secrets.key` in the data folder.
    pub secrets_key_env: String,
    pub secrets_key_file: String,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LakeConfig {
    /// Address of a bucket; empty: the folder `lake` of the data folder.
    pub url: String,
    /// Address of the bucket's service; empty: the provider's own.
    pub endpoint: String,
    /// Region of the bucket.
    pub region: String,
    /// Environment variables, or files, that hold the access key and its secret; empty: the provider's usual chain.
    pub access_key_env: String,
    pub access_key_file: String,
    pub secret_env: String,
    pub secret_file: String,
    /// Allow requests without TLS to an endpoint on another machine.
    pub allow_http: bool,
    /// Seconds that one request to the bucket may take.
    pub request_timeout_s: u64,
    /// Folder for copies of data files; empty: `lake-cache` in the data folder.
    pub cache_folder: String,
    /// Disk for these copies.
    pub cache_mb: u64,
    /// Days that posts are kept; 0: for ever.
    pub retention_days: u32,
    /// Memory of the columns that dashboards are counted in.
    pub counts_memory_mb: usize,
    /// Memory of all queries together.
    pub query_memory_mb: usize,
    /// Disk for what does not fit into it.
    pub query_spill_mb: u64,
    /// Folder for that; empty: in the lake.
    pub spill_folder: String,
    /// Largest answer of one query.
    pub answer_mb: usize,
    /// Largest data file that a compaction makes.
    pub file_mb: u64,
    /// Files of about the same size in one day that are made into one.
    pub compaction_files: usize,
    /// Seconds after which a day without new rows is compacted to as few files as possible.
    pub settled_after_s: u64,
    /// Commits between two checkpoints of a table's log.
    pub checkpoint_commits: u64,
    /// Seconds that replaced files are kept for those who still read them.
    pub replaced_kept_s: u64,
    /// How old a view of other processes' commits may be.
    pub refresh_ms: u64,
}

impl QueueConfig {
    /// Checks what types can't express.
    pub(super) fn check(&self) -> Result<()> {
        let most = 1 << 50;
        within(
            "queue",
            &[
                ("waiting_max", self.waiting_max, 1, most),
                ("waiting_bytes_max", self.waiting_bytes_max, 1 << 20, most),
                ("dead_letters_max", self.dead_letters_max, 1, most),
                ("dead_letters_bytes_max", self.dead_letters_bytes_max, 1 << 20, most),
                ("partitions", self.partitions.into(), 1, queue::PARTITIONS_MAX.into()),
            ],
        )?;
        self.nats.check()
    }

    /// The queue's own settings. An id is known for longer than the lake keeps its post, or the post would be stored twice.
    pub fn settings(&self, retention_days: u32) -> queue::Config {
        queue::Config {
            waiting_max: self.waiting_max,
            waiting_bytes_max: self.waiting_bytes_max,
            dead_letters_max: self.dead_letters_max,
            dead_letters_bytes_max: self.dead_letters_bytes_max,
            partitions: self.partitions,
            // What is at a broker is on loan until the lake has it.
            leases_max: match self.engine {
                QueueEngine::Embedded => queue::Config::default().leases_max,
                QueueEngine::Nats | QueueEngine::Sqs => usize::MAX,
            },
            seen_days: (retention_days > 0).then_some(retention_days.saturating_add(SEEN_SPARE_DAYS)),
            ..queue::Config::default()
        }
    }
}

impl NatsConfig {
    fn check(&self) -> Result<()> {
        within(
            "queue.nats",
            &[("replicas", self.replicas.into(), 1, 5), ("bytes_max", self.bytes_max, 1 << 20, 1 << 50)],
        )?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.stream.is_empty() || !self.stream.chars().all(is_name) {
            bail!("queue.nats.stream = {:?} must be letters, digits, '-' and '_'", self.stream);
        }
        self.addresses().map(drop)
    }

    fn addresses(&self) -> Result<Vec<url::Url>> {
        let address = |text: &String| {
            let url: Option<url::Url> = text.parse().ok();
            let url = url.filter(|url| ["nats", "tls"].contains(&url.scheme()) && url.host_str().is_some());
            let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
            url.with_context(|| {
                format!(
                    "queue.nats.servers: {text:?} is not an address such as nats://host:4222 or tls://host:4222 (user and \
                     password have settings of their own)"
                )
            })
        };
        self.servers.iter().map(address).collect()
    }

    /// The connection's own settings.
    pub fn settings(&self, partitions: u16, lease: Duration) -> Result<nats::Settings> {
        let secret = |name, variable: &str, file: &str| {
            let is_set = !(variable.is_empty() && file.is_empty());
            is_set.then(|| secrets::read(variable, file)).transpose().with_context(|| format!("queue.nats.{name}"))
        };
        Ok(nats::Settings {
            servers: self.addresses()?,
            sign_in: nats::SignIn {
                user: (!self.user.is_empty()).then(|| self.user.clone()),
                password: secret("password_env", &self.password_env, &self.password_file)?,
                token: secret("token_env", &self.token_env, &self.token_file)?,
                ca_file: (!self.ca_file.is_empty()).then(|| PathBuf::from(&self.ca_file)),
            },
            stream: self.stream.clone(),
            partitions,
            lease,
            replicas: self.replicas,
            bytes_max: self.bytes_max,
        })
    }
}

impl SqsConfig {
    /// The connection's own settings.
    pub fn settings(&self, lease: Duration) -> Result<sqs::Settings> {
        let address = |name: &str, text: &str| {
            let url: Option<url::Url> = text.parse().ok();
            url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.path().ends_with(".fifo")).with_context(
                || {
                    format!(
                        "queue.sqs.{name} = {text:?} is not the address of a FIFO queue, such as \
                     https://sqs.eu-central-1.amazonaws.com/123456789012/overheard.fifo"
                    )
                },
            )
        };
        Ok(sqs::Settings {
            aws: aws::Settings {
                region: self.region.clone(),
                endpoint: String::new(),
                credentials: Some(secrets::aws_credentials(&self.access_key_env, &self.secret_env)?),
            },
            queue: address("queue_url", &self.queue_url)?,
            letters: address("letters_url", &self.letters_url)?,
            lease,
        })
    }
}

impl StateConfig {
    /// Checks what types can't express.
    pub(super) fn check(&self) -> Result<()> {
        check_url("state.url", &self.url, "the data folder")?;
        within("state", &[("refresh_ms", self.refresh_ms, 0, 60_000)])
    }
}

/// An address is empty or names a bucket.
fn check_url(name: &str, url: &str, instead: &str) -> Result<()> {
    if !url.is_empty() && !["s3://", "gs://", "az://"].iter().any(|scheme| url.starts_with(scheme)) {
        bail!(
            "{name} = {url:?} must be empty ({instead}) or s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
        );
    }
    Ok(())
}

impl LakeConfig {
    /// Checks what types can't express.
    pub(super) fn check(&self) -> Result<()> {
        check_url("lake.url", &self.url, "the folder `lake` of the data folder")?;
        let million = 1_000_000;
        within(
            "lake",
            &[
                ("request_timeout_s", self.request_timeout_s, 1, 600),
                ("cache_mb", self.cache_mb, 64, million * 100),
                ("counts_memory_mb", self.counts_memory_mb as u64, 0, million),
                ("query_memory_mb", self.query_memory_mb as u64, 64, million),
                ("query_spill_mb", self.query_spill_mb, 1, million),
                ("answer_mb", self.answer_mb as u64, 1, 4_096),
                ("file_mb", self.file_mb, 1, 1_024),
                ("compaction_files", self.compaction_files as u64, 2, 1_000),
                ("settled_after_s", self.settled_after_s, 60, 86_400),
                ("checkpoint_commits", self.checkpoint_commits, 5, 1_000),
                ("replaced_kept_s", self.replaced_kept_s, 60, 604_800),
                ("refresh_ms", self.refresh_ms, 100, 600_000),
            ],
        )
    }

    /// How the bucket is reached; none: the lake is in the data folder.
    pub fn bucket(&self, data: &Path) -> Result<Option<lake::BucketConfig>> {
        self.bucket_at(&self.url, data)
    }

    /// The same for another address.
    pub fn bucket_at(&self, url: &str, data: &Path) -> Result<Option<lake::BucketConfig>> {
        if url.is_empty() {
            return Ok(None);
        }
        let secret = |variable: &str, file: &str| match variable.is_empty() && file.is_empty() {
            true => Ok(String::new()),
            false => secrets::read(variable, file).map(|secret| secret.expose_secret().to_owned()),
        };
        let cache = match self.cache_folder.is_empty() {
            true => data.join(LAKE_CACHE),
            false => PathBuf::from(&self.cache_folder),
        };
        Ok(Some(lake::BucketConfig {
            url: url.to_owned(),
            endpoint: self.endpoint_of(url),
            region: self.region.clone(),
            access_key: secret(&self.access_key_env, &self.access_key_file).context("lake.access_key_env")?,
            secret: secret(&self.secret_env, &self.secret_file).context("lake.secret_env")?,
            allow_http: self.allow_http,
            timeout: Duration::from_secs(self.request_timeout_s),
            cache,
            cache_bytes_max: self.cache_mb << 20,
        }))
    }

    /// The address of the bucket's service: as configured, for S3 else as the environment says; empty: the provider's own.
    pub fn endpoint_of(&self, url: &str) -> String {
        let of_environment = || url.starts_with("s3://").then(|| aws::endpoint_of_environment("S3")).flatten();
        Some(self.endpoint.clone()).filter(|endpoint| !endpoint.is_empty()).or_else(of_environment).unwrap_or_default()
    }

    /// The lake's own settings.
    pub fn settings(&self) -> lake::Config {
        lake::Config {
            retention_days: (self.retention_days > 0).then_some(self.retention_days),
            counts_bytes_max: self.counts_memory_mb << 20,
            query_memory_bytes: self.query_memory_mb << 20,
            query_spill_bytes: self.query_spill_mb << 20,
            spill_folder: (!self.spill_folder.is_empty()).then(|| PathBuf::from(&self.spill_folder)),
            answer_bytes_max: self.answer_mb << 20,
            file_bytes_max: self.file_mb << 20,
            compaction_files_min: self.compaction_files,
            settled_after: Duration::from_secs(self.settled_after_s),
            checkpoint_commits: self.checkpoint_commits,
            readers_grace: Duration::from_secs(self.replaced_kept_s),
            refresh: Duration::from_millis(self.refresh_ms),
            ..lake::Config::default()
        }
    }
}

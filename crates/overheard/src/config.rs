//! Settings: `config/default.toml` < file < environment < flags, read once and checked into typed values. Unknown keys
//! are errors that name the key.

use crate::limits::LimitsConfig;
use crate::secrets;
use anyhow::{Context, Result, bail};
use domain::{Dimension, WATCHED_DIMENSIONS};
use nlp::Task;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sources::push::Rights;
use std::path::{Path, PathBuf};

/// The defaults, commented: what `overheard config print --default` shows.
pub(crate) const DEFAULT_TOML: &str = include_str!("../../../config/default.toml");

/// All settings.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The one folder of the installation.
    pub data: PathBuf,
    /// IANA name, for words to people.
    pub time_zone: String,
    pub server: ServerConfig,
    pub queue: QueueConfig,
    pub understand: UnderstandConfig,
    pub places: PlacesConfig,
    pub translation: TranslationConfig,
    pub lake: LakeConfig,
    pub watch: WatchConfig,
    pub alerts: AlertsConfig,
    pub sources: SourcesConfig,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerConfig {
    /// Address and port to listen on.
    pub bind: String,
    /// Address by which people reach the dashboard; empty: http:// and `bind`.
    pub public_url: String,
    /// Environment variable with the token that reads `/metrics`; empty: anybody does.
    pub metrics_token_env: String,
    /// Platforms of whose posts an export holds the id and what was understood only.
    pub export_ids_only: Vec<String>,
    pub limits: LimitsConfig,
    /// Other origins whose pages may write with a session.
    pub origins: Vec<String>,
    /// Other names that the server answers to.
    pub allowed_hosts: Vec<String>,
    /// Addresses and networks of proxies that are believed about who asks.
    pub trusted_proxies: Vec<String>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Environment variable with the first admin's password.
    pub admin_password_env: String,
    /// File with the first admin's password.
    pub admin_password_file: String,
    /// Days that the audit log is kept.
    pub audit_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedHeader {
    XForwardedFor,
    Forwarded,
}

impl ServerConfig {
    /// The dashboard's address, without a slash at its end.
    pub(crate) fn address(&self) -> String {
        match self.public_url.trim_end_matches('/') {
            "" => format!("http://{}", self.bind),
            public => public.to_owned(),
        }
    }

    /// What the server is told of all this.
    pub(crate) fn settings(&self) -> Result<server::Config> {
        let networks =
            self.trusted_proxies.iter().map(|text| text.parse::<server::auth::Network>().map_err(anyhow::Error::msg));
        let origin = |url: &String| origin(url).with_context(|| format!("{url:?} is no web address"));
        Ok(server::Config {
            bind: self.bind.parse().context("read server.bind")?,
            public_origin: (!self.public_url.is_empty())
                .then(|| origin(&self.public_url))
                .transpose()
                .context("read server.public_url")?,
            origins: self.origins.iter().map(origin).collect::<Result<_>>().context("read server.origins")?,
            allowed_hosts: self.allowed_hosts.clone(),
            trusted_proxies: networks.collect::<Result<_>>().context("read server.trusted_proxies")?,
            forwarded_header: match self.forwarded_header {
                ForwardedHeader::XForwardedFor => server::auth::ForwardedHeader::XForwardedFor,
                ForwardedHeader::Forwarded => server::auth::ForwardedHeader::Forwarded,
            },
            audit_days: self.audit_days,
            ..server::Config::default()
        })
    }
}

/// Scheme, host and port of a web address, as browsers write an origin.
fn origin(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let origin = url.origin();
    (matches!(url.scheme(), "http" | "https") && origin.is_tuple()).then(|| origin.ascii_serialization())
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueConfig {
    /// Posts that may wait on disk.
    pub waiting_max: u64,
    /// Dead letters that are kept.
    pub dead_letters_max: u64,
    /// Bytes of dead letters that are kept.
    pub dead_letters_bytes_max: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnderstandConfig {
    pub enabled: bool,
    pub model: String,
    pub threads: usize,
    pub categories: String,
    /// Hugging Face classifiers in place of the shipped model: the name of one that was added, or a folder.
    pub sentiment_model: String,
    pub entity_model: String,
    pub category_model: String,
    /// A category of `category_model` below this is `other`, 0 to 1.
    pub category_confidence_min: f32,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlacesConfig {
    pub engine: PlacesEngine,
    /// AWS region of the service.
    pub region: String,
    /// Environment variable, or file, that holds the API key.
    pub key_env: String,
    pub key_file: String,
    /// Replaces AWS's own address.
    pub endpoint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlacesEngine {
    Embedded,
    AmazonLocation,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TranslationConfig {
    pub engine: TranslationEngine,
    /// LibreTranslate: address of the server. Amazon Translate: replaces AWS's own address.
    pub endpoint: String,
    /// LibreTranslate: environment variable, or file, that holds the API key, where the server wants one.
    pub key_env: String,
    pub key_file: String,
    /// AWS region of Amazon Translate.
    pub region: String,
    /// Amazon Translate: environment variables that hold the access key.
    pub access_key_env: String,
    pub secret_env: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TranslationEngine {
    None,
    #[serde(rename = "libretranslate")]
    LibreTranslate,
    AmazonTranslate,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LakeConfig {
    pub retention_days: u32,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchConfig {
    pub enabled: bool,
    pub intervals_s: Vec<u32>,
    /// `sentiment`, `platform`, `language`, `country`.
    pub dimensions: Vec<String>,
    pub false_alarms_per_week: f64,
    pub lateness_s: u64,
    /// Intervals that ended less long ago are judged again when posts come late, seconds.
    pub late_s: u32,
    /// While the queue is behind, intervals wait for it at most so long, seconds.
    pub backlog_wait_s: u64,
    /// An anomaly is told at the latest after so long, explained or not, seconds.
    pub explain_within_s: u64,
    /// Most values of one dimension watched in one topic.
    pub parts_max: usize,
}

impl WatchConfig {
    /// The dimensions of the names, each once.
    pub(crate) fn dimensions(&self) -> Result<Vec<Dimension>> {
        let mut dimensions = Vec::new();
        for name in &self.dimensions {
            if name == Dimension::Category.name() {
                bail!("watch.dimensions: categories are always watched; leave category out")
            }
            match WATCHED_DIMENSIONS.into_iter().find(|dimension| dimension.name() == name) {
                Some(dimension) if dimensions.contains(&dimension) => {}
                Some(dimension) => dimensions.push(dimension),
                None => bail!("watch.dimensions: {name:?} is none of sentiment, platform, language, country"),
            }
        }
        Ok(dimensions)
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertsConfig {
    pub allow_internal: bool,
    /// A notification that its channel does not take within this is given up.
    pub deliver_within_hours: u32,
    pub keep_days: u32,
    pub digest: DigestConfig,
    #[serde(default)]
    pub channels: Vec<ChannelConfig>,
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelKind {
    Webhook,
    Slack,
    Teams,
    Email,
    Sns,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelConfig {
    pub name: String,
    pub kind: ChannelKind,
    /// Address, where it is no secret; email: name of the mail server.
    #[serde(default)]
    pub url: String,
    /// Environment variable that holds the address.
    #[serde(default)]
    pub url_env: String,
    /// Environment variable that holds the secret. Webhook: the signing key. Email: the SMTP password. SNS: the secret
    /// access key [default: AWS_SECRET_ACCESS_KEY].
    #[serde(default)]
    pub secret_env: String,
    /// SNS: name of the topic; its region is read from it.
    #[serde(default)]
    pub topic_arn: String,
    /// SNS: environment variable that holds the access key's id.
    #[serde(default = "aws_access_key_id")]
    pub access_key_env: String,
    /// Email: `tls` (from the first byte), `starttls`, or `none` (a server on this machine).
    #[serde(default = "tls")]
    pub encryption: String,
    /// Email; none: the usual port of the encryption.
    #[serde(default)]
    pub port: Option<u16>,
    /// Email only.
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub to: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    pub name: String,
    #[serde(default)]
    pub topic: Option<String>,
    /// Fires on an anomaly of at least this severity: `low`, `medium`, `high` or `critical`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub severity_min: Option<domain::Severity>,
    /// Any other condition, in place of `severity_min`: `{ when = "threshold", mentions_min = 100, window_s = 3600 }`;
    /// also `change`, `negative_share`, `first_mention` and `silence`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub condition: Option<domain::Condition>,
    pub channels: Vec<String>,
    #[serde(default = "an_hour")]
    pub cooldown_s: u64,
    #[serde(default)]
    pub quiet_hours: Option<String>,
}

fn an_hour() -> u64 {
    3600
}

fn tls() -> String {
    "tls".into()
}

fn aws_access_key_id() -> String {
    "AWS_ACCESS_KEY_ID".into()
}

/// One message a day with the alerts of the day before.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DigestConfig {
    /// Channels that get it; none: no digest.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Time of day by the clock of `time_zone`, `08:00`.
    pub at: String,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourcesConfig {
    pub x: XConfig,
    #[serde(default)]
    pub push: Vec<PushConfig>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct XConfig {
    pub enabled: bool,
    pub token_env: String,
    pub token_file: String,
    pub base_url: String,
    pub cost_per_post: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushConfig {
    pub name: String,
    pub platform: String,
    pub token_env: String,
    /// Other platforms whose posts this source may bring.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Whether it may delete and replace posts; left out: on platforms that no other source brings.
    #[serde(default)]
    pub deletes: Option<bool>,
}

impl SourcesConfig {
    /// What a push source may do; `None`: none of this name is configured.
    pub(crate) fn push_rights(&self, name: &str) -> Option<Rights> {
        let source = self.push.iter().find(|source| source.name == name)?;
        let mut own = source.all_platforms();
        own.retain(|platform| self.brings(platform, name));
        let keep = match source.deletes {
            None => own.into_iter().map(str::to_owned).collect(),
            Some(true) => Vec::new(),
            Some(false) => source.all_platforms().into_iter().map(str::to_owned).collect(),
        };
        Some(Rights { platform: source.platform.clone(), platforms: source.platforms.clone(), keep })
    }

    /// Whether a configured source besides the push source `name` brings posts of this platform.
    pub(crate) fn brings(&self, platform: &str, name: &str) -> bool {
        let others = self.push.iter().filter(|source| source.name != name);
        (platform == "x" && self.x.enabled) || others.flat_map(PushConfig::all_platforms).any(|other| other == platform)
    }
}

impl PushConfig {
    fn all_platforms(&self) -> Vec<&str> {
        std::iter::once(self.platform.as_str()).chain(self.platforms.iter().map(String::as_str)).collect()
    }
}

impl Config {
    /// Reads all layers. `data` is the flag of the same name.
    pub(crate) fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Self> {
        let mut layers =
            config::Config::builder().add_source(config::File::from_str(DEFAULT_TOML, config::FileFormat::Toml));
        if let Some(file) = file {
            if !file.is_file() {
                bail!(
                    "there is no configuration file {}; `overheard config print --default` shows one",
                    file.display()
                );
            }
            layers = layers.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        layers = layers.add_source(
            config::Environment::with_prefix("OVERHEARD").prefix_separator("__").separator("__").try_parsing(true),
        );
        if let Some(data) = data {
            layers = layers.set_override("data", data.to_string_lossy().as_ref())?;
        }
        let config: Self =
            layers.build().context("read configuration")?.try_deserialize().context("check configuration")?;
        config.check()?;
        Ok(config)
    }

    /// What types can't say.
    fn check(&self) -> Result<()> {
        self.server.bind.parse::<std::net::SocketAddr>().with_context(|| {
            format!("server.bind = {:?} is not an address with a port, like 127.0.0.1:8480", self.server.bind)
        })?;
        let public_url = &self.server.public_url;
        if !(public_url.is_empty() || public_url.starts_with("https://") || public_url.starts_with("http://")) {
            bail!(
                "server.public_url = {:?} is no web address, like https://overheard.example.org",
                self.server.public_url
            );
        }
        self.server.limits.check()?;
        self.server.settings()?;
        if self.server.audit_days == 0 {
            bail!("server.audit_days must be at least 1");
        }
        self.time_zone.parse::<chrono_tz::Tz>().map_err(|_| {
            anyhow::anyhow!("time_zone = {:?} is no IANA time zone, like Europe/Berlin", self.time_zone)
        })?;
        if self.watch.intervals_s.iter().any(|s| *s < 60 || 86_400 % s != 0) {
            bail!("watch.intervals_s: each interval is at least 60 and divides a day (86,400) evenly");
        }
        self.watch.dimensions()?;
        if self.watch.false_alarms_per_week.is_nan() || self.watch.false_alarms_per_week <= 0.0 {
            bail!("watch.false_alarms_per_week must be more than 0; a small one, like 0.1, alarms seldom");
        }
        if !(0.0..=1.0).contains(&self.understand.category_confidence_min) {
            bail!("understand.category_confidence_min must be 0 to 1");
        }
        if self.translation.engine == TranslationEngine::LibreTranslate && self.translation.endpoint.is_empty() {
            bail!("translation.engine = \"libretranslate\" needs translation.endpoint, like http://127.0.0.1:5000");
        }
        self.alerts.check()
    }

    /// Where `overheard models add` puts classifiers.
    pub(crate) fn added_models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// The folder of a classifier that was added under that name.
    pub(crate) fn added_model(&self, name: &str) -> PathBuf {
        self.added_models().join(name.replace('/', "--"))
    }

    /// The folder of the classifier that does a task in place of the shipped model, if one does.
    pub(crate) fn classifier(&self, task: Task) -> Result<Option<PathBuf>> {
        let u = &self.understand;
        let name = match task {
            Task::Sentiment => &u.sentiment_model,
            Task::Entities => &u.entity_model,
            Task::Category => &u.category_model,
        };
        if name.is_empty() {
            return Ok(None);
        }
        let found = [PathBuf::from(name), self.added_model(name)].into_iter().find(|folder| folder.is_dir());
        found.map(Some).with_context(|| {
            format!(
                "{} = {name:?} is neither a folder nor a model that was added: `overheard models add {name}` brings it, \
                 `overheard models list` shows what is there",
                classifier_setting(task)
            )
        })
    }

    /// The configuration's JSON Schema.
    pub(crate) fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// The setting that gives a task to a classifier.
pub(crate) fn classifier_setting(task: Task) -> &'static str {
    match task {
        Task::Sentiment => "understand.sentiment_model",
        Task::Entities => "understand.entity_model",
        Task::Category => "understand.category_model",
    }
}

impl AlertsConfig {
    /// The configured channels, and the log, which is always there.
    pub(crate) fn channel_names(&self) -> Vec<String> {
        self.channels.iter().map(|channel| channel.name.clone()).chain(["log".to_owned()]).collect()
    }

    fn check(&self) -> Result<()> {
        let channels = self.channel_names();
        if let Some(channel) = self.digest.channels.iter().find(|named| !channels.contains(named)) {
            bail!("alerts.digest.channels names {channel:?}, which is not configured");
        }
        if !(1..=720).contains(&self.deliver_within_hours) {
            bail!("alerts.deliver_within_hours must be 1 to 720");
        }
        if self.keep_days < 31 {
            bail!("alerts.keep_days must be at least 31: longer than a cooldown");
        }
        for rule in &self.rules {
            if rule.severity_min.is_some() == rule.condition.is_some() {
                bail!("alerts.rules: rule {:?} needs either severity_min or a condition", rule.name);
            }
            if let Err(fault) = crate::alerting::configured(rule).check(&channels) {
                bail!("alerts.rules: rule {:?}: {fault}", rule.name);
            }
        }
        Ok(())
    }
}

impl XConfig {
    /// The bearer token from the environment or the file.
    pub(crate) fn token(&self) -> Result<SecretString> {
        secrets::read(&self.token_env, &self.token_file)
            .with_context(|| format!("sources.x: put the bearer token into the environment variable {} or name a file in sources.x.token_file", self.token_env))
    }
}

/// Name of the shipped model's folder.
const SHIPPED_MODEL: &str = "overheard-small";

/// The folder `models` that comes with the program: beside it, or in the checkout it was built in.
pub(crate) fn models_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let near = program.ancestors().skip(1).take(4);
    near.flat_map(|folder| [folder.join("models"), folder.join("share/overheard/models")])
        .find(|models| models.join("lid.176.ftz").is_file())
}

/// The folder of the language model: as configured, else the shipped one.
pub(crate) fn model_folder(configured: &str) -> Option<PathBuf> {
    if !configured.is_empty() {
        return Some(PathBuf::from(configured));
    }
    models_folder().map(|models| models.join(SHIPPED_MODEL)).filter(|folder| folder.join("config.json").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file), None)
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::load(None, None).unwrap().server.bind, "127.0.0.1:8480");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = format!("{:#}", load("[server]\nbnid = \"127.0.0.1:1\"\n").unwrap_err());
        assert!(error.contains("bnid"), "{error}");
    }

    #[test]
    fn values_are_checked_in_words() {
        for (text, word) in [
            ("[server]\nbind = \"localhost\"", "server.bind"),
            ("[server]\npublic_url = \"overheard.example.org\"", "server.public_url"),
            ("[server.limits]\nsql_timeout_s = 0", "server.limits.sql_timeout_s = 0 must be 1 to 3600"),
            ("[server.limits]\nbodies_mb = 8", "server.limits.bodies_mb"),
            ("[server]\norigins = [\"overheard.example.org\"]", "server.origins"),
            ("[server]\ntrusted_proxies = [\"10.0.0.0/99\"]", "server.trusted_proxies"),
            ("[server]\naudit_days = 0", "server.audit_days"),
            ("[translation]\nengine = \"libretranslate\"", "translation.endpoint"),
            ("time_zone = \"Mars\"", "time_zone"),
            ("[watch]\nintervals_s = [7]", "intervals_s"),
            ("[watch]\ndimensions = [\"mood\"]", "\"mood\" is none of sentiment"),
            ("[watch]\ndimensions = [\"category\"]", "always watched"),
            ("[[alerts.rules]]\nname=\"r\"\nseverity_min=\"high\"\nchannels=[\"nowhere\"]", "nowhere"),
            (
                "[[alerts.rules]]\nname=\"r\"\nchannels=[]\n\
                 condition={when=\"threshold\",mentions_min=1,window_s=9000000000000000000}",
                "condition.window_s",
            ),
            ("[alerts]\nkeep_days = 1", "keep_days"),
        ] {
            let error = format!("{:#}", load(text).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_push_source_keeps_what_others_bring_too() {
        let config = load(
            "[sources.x]\nenabled = true\n\
             [[sources.push]]\nname = \"a\"\nplatform = \"reviews\"\ntoken_env = \"A\"\nplatforms = [\"x\"]\n\
             [[sources.push]]\nname = \"b\"\nplatform = \"news\"\ntoken_env = \"B\"\nplatforms = [\"reviews\"]\n\
             [[sources.push]]\nname = \"c\"\nplatform = \"news\"\ntoken_env = \"C\"\ndeletes = true\n\
             [[sources.push]]\nname = \"d\"\nplatform = \"d\"\ntoken_env = \"D\"\ndeletes = false\n",
        );
        let sources = config.unwrap().sources;
        let keep = |name| sources.push_rights(name).unwrap().keep;
        assert_eq!(keep("a"), ["reviews", "x"]);
        assert_eq!(keep("b"), ["news", "reviews"]);
        assert_eq!((keep("c"), keep("d")), (vec![], vec!["d".to_owned()]));
        assert!(sources.push_rights("e").is_none());
    }

    #[test]
    fn the_schema_knows_every_section() {
        let schema = Config::schema();
        for section in ["server", "queue", "understand", "places", "translation", "lake", "watch", "alerts", "sources"]
        {
            assert!(schema["properties"].get(section).is_some(), "{section}");
        }
    }
}

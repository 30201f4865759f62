//! Settings: `config/default.toml` < file < environment < flags, read once and checked into typed values. Unknown keys
//! are errors that name the key.

mod alerts;
mod aws;
mod bounds;
mod environment;
mod limits;
mod numbers;
mod server;
mod sources;
mod storage;
mod streams;
mod understand;
mod watch;
mod words;

pub use alerts::{AlertsConfig, ChannelConfig, ChannelKind, DigestConfig, Encryption, RuleConfig};
pub use aws::{AwsEnginesConfig, ClassifierTask, UnderstandEngine};
pub use limits::LimitsConfig;
pub use server::{ForwardedHeader, ServerConfig};
pub(crate) use sources::redaction;
pub use sources::{PushConfig, SourceConfig, SourcesConfig};
pub(crate) use storage::LAKE_CACHE;
pub use storage::{LakeConfig, NatsConfig, QueueConfig, QueueEngine, SqsConfig, StateConfig};
pub use streams::{StreamConfig, StreamContent, StreamKind};
pub use understand::{
    PlacesConfig, PlacesEngine, TranslationConfig, TranslationEngine, UnderstandConfig, classifier_setting,
    language_file, model_folder,
};
pub use watch::WatchConfig;

use crate::secrets;
use anyhow::{Context, Result, anyhow, bail};
use nlp::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The defaults, commented: what `overheard config print --default` shows.
pub const DEFAULT_TOML: &str = include_str!("../../../../config/default.toml");

/// All settings.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The one folder of the installation.
    pub data: PathBuf,
    /// With less free space on its disk, in MB, Overheard reports itself unhealthy.
    pub free_space_min_mb: u64,
    /// IANA name, for words to people.
    pub time_zone: String,
    pub server: ServerConfig,
    pub queue: QueueConfig,
    pub state: StateConfig,
    pub understand: UnderstandConfig,
    pub places: PlacesConfig,
    pub translation: TranslationConfig,
    pub lake: LakeConfig,
    pub watch: WatchConfig,
    /// Streams that get copies of posts.
    #[serde(default)]
    pub streams: Vec<StreamConfig>,
    pub alerts: AlertsConfig,
    #[serde(default)]
    pub sources: SourcesConfig,
}

impl Config {
    /// Reads all layers. `data` is the flag of the same name.
    pub fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Self> {
        Self::load_with(file, data, settings_of(std::env::vars_os())?)
    }

    /// The same with the variables of this environment. A list is written with commas between its items.
    fn load_with(file: Option<&Path>, data: Option<&Path>, mut environment: HashMap<String, String>) -> Result<Self> {
        let mut layers = texts(file, environment.remove(environment::TEXT))?;
        // Sources are a list, which names of variables can't address: they are set below.
        let (of_sources, environment): (HashMap<_, _>, HashMap<_, _>) =
            environment.into_iter().partition(|(name, _)| name.starts_with(sources::ENVIRONMENT));
        let is_list = list_settings();
        let (lists, environment): (HashMap<_, _>, HashMap<_, _>) =
            environment.into_iter().partition(|(name, _)| is_list.contains(&setting_of(name)));
        layers = layers.add_source(
            config::Environment::with_prefix("OVERHEARD")
                .prefix_separator("__")
                .separator("__")
                .try_parsing(true)
                .source(Some(environment)),
        );
        for (name, text) in lists {
            let items: Vec<String> =
                text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect();
            layers = layers.set_override(setting_of(&name), items)?;
        }
        if let Some(data) = data {
            let data = data.to_str().with_context(|| format!("--data {}: the path must be UTF-8", data.display()))?;
            layers = layers.set_override("data", data)?;
        }
        let mut config: Self = checked(layers.build().context("read configuration")?)?
            .try_deserialize()
            .map_err(|error| anyhow!(dotted(&error.to_string())))
            .context("check configuration")?;
        config.sources.apply(of_sources.into_iter())?;
        config.check()?;
        Ok(config)
    }

    /// Checks what types can't express.
    fn check(&self) -> Result<()> {
        if self.data.as_os_str().is_empty() {
            bail!("data is empty: name the folder of the installation, like \"overheard-data\"");
        }
        // Up to a petabyte.
        if self.free_space_min_mb > 1_000_000_000 {
            bail!("free_space_min_mb = {} must be 0 to 1000000000", self.free_space_min_mb);
        }
        self.server.check()?;
        self.queue.check()?;
        self.state.check()?;
        self.lake.check()?;
        if self.server.limits.export_timeout_s > self.lake.replaced_kept_s {
            bail!(
                "server.limits.export_timeout_s must be at most lake.replaced_kept_s: an export reads replaced files"
            );
        }
        self.time_zone()?;
        self.watch.check()?;
        self.understand.check()?;
        self.places.check()?;
        self.translation.check()?;
        self.alerts.check()?;
        self.streams.iter().try_for_each(StreamConfig::check)?;
        self.sources.check()
    }

    /// What should be looked at in a configuration that is valid.
    pub fn notices(&self) -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        self.sources.notices().into_iter().chain(environment::unread(self, names)).collect()
    }

    /// The time zone of texts for people.
    pub fn time_zone(&self) -> Result<chrono_tz::Tz> {
        self.time_zone.parse().map_err(|_| {
            anyhow::anyhow!("time_zone = {:?} is not an IANA time zone, like Europe/Berlin", self.time_zone)
        })
    }

    /// Where `overheard models add` puts classifiers.
    pub fn added_models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// The folder of a classifier that was added under that name.
    pub fn added_model(&self, name: &str) -> PathBuf {
        self.added_models().join(name.replace('/', "--"))
    }

    /// The folder of the classifier that does a task in place of the shipped model, if one does.
    pub fn classifier(&self, task: Task) -> Result<Option<PathBuf>> {
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
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        secrets::add_to_schema(&mut schema);
        schema
    }
}

/// The layers that are texts: the defaults, the file, and the text of a variable.
fn texts(
    file: Option<&Path>,
    variable: Option<String>,
) -> Result<config::ConfigBuilder<config::builder::DefaultState>> {
    let toml = |text: &str| config::File::from_str(text, config::FileFormat::Toml);
    let mut layers = config::Config::builder().add_source(toml(DEFAULT_TOML));
    if let Some(file) = file {
        if !file.is_file() {
            bail!("there is no configuration file {}; `overheard config print --default` shows one", file.display());
        }
        layers = layers.add_source(config::File::from(file).format(config::FileFormat::Toml));
    }
    if let Some(text) = variable {
        text.parse::<toml::Table>().with_context(|| format!("{} is not TOML", environment::TEXT))?;
        layers = layers.add_source(toml(&text));
    }
    Ok(layers)
}

/// The layers, once their numbers are numbers, with secrets at AWS named as variables are.
fn checked(layers: config::Config) -> Result<config::Config> {
    let mut values: serde_json::Value = layers.clone().try_deserialize().context("read configuration")?;
    numbers::check(&values)?;
    match secrets::name_all(&mut values) {
        true => {
            // As a text: `Config::try_from` loses empty lists.
            let text = toml::to_string(&values).context("read configuration")?;
            let layer = config::File::from_str(&text, config::FileFormat::Toml);
            config::Config::builder().add_source(layer).build().context("read configuration")
        }
        false => Ok(layers),
    }
}

/// The setting that an environment variable names: `OVERHEARD__SERVER__BIND` is `server.bind`.
fn setting_of(variable: &str) -> String {
    variable.trim_start_matches("OVERHEARD__").to_lowercase().replace("__", ".")
}

/// The crate `config` names a key of a list's item without the dot: `rules[0]name`.
fn dotted(message: &str) -> String {
    let mut parts = message.split_inclusive(']').peekable();
    let mut dotted = String::new();
    while let Some(part) = parts.next() {
        dotted.push_str(part);
        let is_index = part.strip_suffix(']').is_some_and(|part| part.ends_with(|c: char| c.is_ascii_digit()));
        if is_index && parts.peek().is_some_and(|next| next.starts_with(|c: char| c.is_ascii_alphabetic())) {
            dotted.push('.');
        }
    }
    dotted
}

/// The environment variable of a setting.
fn variable_of(setting: &str) -> String {
    format!("OVERHEARD__{}", setting.to_uppercase().replace('.', "__"))
}

/// The settings of [`DEFAULT_TOML`] that are lists of values.
fn list_settings() -> Vec<String> {
    settings().into_iter().filter(|(_, value)| value.is_array()).map(|(name, _)| name).collect()
}

/// Every setting of [`DEFAULT_TOML`] with its default.
fn settings() -> Vec<(String, toml::Value)> {
    let defaults: toml::Table = DEFAULT_TOML.parse().unwrap_or_default();
    let (mut settings, mut sections) = (Vec::new(), vec![(String::new(), defaults)]);
    while let Some((prefix, section)) = sections.pop() {
        for (key, value) in section {
            match value {
                toml::Value::Table(section) => sections.push((format!("{prefix}{key}."), section)),
                value => settings.push((format!("{prefix}{key}"), value)),
            }
        }
    }
    settings
}

/// The variables that set something. Others may hold any bytes.
fn settings_of(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<HashMap<String, String>> {
    let ours = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with("OVERHEARD__") || name == environment::TEXT);
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => bail!("the value of the environment variable {name} must be UTF-8"),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn of_variables_with_any_bytes_only_ours_are_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let any = || OsString::from_vec(vec![0xff, b'x']);
        let ours = (OsString::from("OVERHEARD__SERVER__BIND"), OsString::from("127.0.0.1:1"));
        let read = settings_of([("LS_COLORS".into(), any()), (any(), any()), ours.clone()].into_iter()).unwrap();
        assert_eq!(read.len(), 1);
        let refused = settings_of([("OVERHEARD__DATA".into(), any()), ours].into_iter()).unwrap_err().to_string();
        assert!(refused.contains("OVERHEARD__DATA must be UTF-8"), "{refused}");
    }

    #[test]
    fn a_secret_at_aws_changes_nothing_else() {
        let config = load("[[sources]]\nkind = \"x\"\nname = \"x\"\ntoken_ssm = \"/overheard/x\"\n").unwrap();
        assert!(config.server.openid.admins.is_empty() && config.server.openid.viewers == ["*"]);
        assert_eq!(config.sources.connectors.len(), 1);
    }

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
            ("[lake]\nreplaced_kept_s = 900", "lake.replaced_kept_s"),
            ("[understand]\nbatch_max = 0", "understand.batch_max = 0 must be 1 to"),
            ("[places]\ncalls_at_once = 0", "places.calls_at_once"),
            ("[server]\norigins = [\"overheard.example.org\"]", "server.origins"),
            ("[server]\ntrusted_proxies = [\"10.0.0.0/99\"]", "server.trusted_proxies"),
            ("[server]\naudit_days = 0", "server.audit_days"),
            ("[server.tls]\ncertificate = \"a.pem\"", "server.tls: set both"),
            ("[translation]\nengine = \"libretranslate\"", "translation.endpoint"),
            ("time_zone = \"Mars\"", "time_zone"),
            ("[watch]\nintervals_s = [7]", "intervals_s"),
            ("[watch]\nintervals_s = []", "watch.intervals_s is empty"),
            ("[watch]\nintervals_s = [60, 60]", "watch.intervals_s names 60 twice"),
            ("[watch]\nfalse_alarms_per_week = 1e308", "watch.false_alarms_per_week"),
            ("[watch]\nfalse_alarms_per_week = 1e-308", "watch.false_alarms_per_week"),
            ("[server]\nallowed_hosts = [\"*\"]", "server.allowed_hosts: \"*\" is not the name of a host"),
            ("[server]\nallowed_hosts = [\"\"]", "server.allowed_hosts"),
            ("[server]\nallowed_hosts = [\"https://a.example\"]", "server.allowed_hosts"),
            ("[server]\nexport_ids_only = [\"*\"]", "server.export_ids_only: \"*\" is not the name of a platform"),
            ("data = \"\"", "data is empty"),
            ("[watch]\ndimensions = [\"mood\"]", "\"mood\" is none of sentiment"),
            ("[watch]\ndimensions = [\"category\"]", "always watched"),
            ("[[alerts.rules]]\nname=\"r\"\nseverity_min=\"high\"\nchannels=[\"nowhere\"]", "nowhere"),
            (
                "[[alerts.rules]]\nname=\"r\"\nchannels=[]\n\
                 condition={when=\"threshold\",mentions_min=1,window_s=9000000000000000000}",
                "condition.window_s",
            ),
            ("[alerts]\nkeep_days = 1", "keep_days"),
            ("[alerts.digest]\nat = \"25:99\"", "alerts.digest.at"),
            ("[watch]\nlateness_s = 100_000", "watch.lateness_s = 100000 must be 0 to 86400"),
            ("[watch]\nfalse_alarms_per_week = inf", "watch.false_alarms_per_week"),
            ("[queue]\nengine = \"kafka\"", "`embedded`, `nats`, `sqs`"),
            ("[queue]\npartitions = 0", "queue.partitions = 0 must be 1 to 1024"),
            ("[queue.nats]\nservers = [\"localhost\"]", "nats://host:4222"),
            ("[queue.nats]\nservers = [\"nats://me:secret@host\"]", "settings of their own"),
            ("[queue.nats]\nstream = \"a.b\"", "queue.nats.stream"),
            ("free_space_min_mb = 99_999_999_999_999", "free_space_min_mb"),
            (
                "[[alerts.channels]]\nname=\"m\"\nkind=\"email\"\nencryption=\"ssl\"",
                "unknown variant `ssl`, expected one of `tls`, `starttls`, `none`",
            ),
            ("[[alerts.channels]]\nname=\"m\"\nkind=\"slak\"", "`slack`"),
            ("[[alerts.rules]]\nname=\"r\"\nseverity_min=\"hihg\"\nchannels=[]", "`critical`"),
            ("[[alerts.rules]]\nname=\"r\"\nseverity_min=\"hihg\"\nchannels=[]", "`alerts.rules[0].severity_min`"),
            ("[places]\nengine = \"geonames\"", "`embedded` or `amazon-location`"),
            ("[translation]\nengine = \"deepl\"", "`none`, `libretranslate`, `amazon-translate`"),
            ("[server]\nforwarded_header = \"x-real-ip\"", "`x-forwarded-for` or `forwarded`"),
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
    fn every_setting_can_come_from_the_environment() {
        let in_words = |value: &toml::Value| match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                items.iter().map(|item| item.to_string().replace('"', "")).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        let all: HashMap<String, String> =
            settings().iter().map(|(name, value)| (variable_of(name), in_words(value))).collect();
        assert!(all.len() > 80, "only {} settings", all.len());
        let config = Config::load_with(None, None, all).unwrap();
        let defaults = Config::load(None, None).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), serde_json::to_value(&defaults).unwrap());
    }

    #[test]
    fn secrets_at_aws_are_named_in_place_of_variables() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.toml");
        let text = "[server]\nmetrics_token_ssm = \"/metrics\"\n\
                    [[sources]]\nkind = \"x\"\nname = \"x\"\ntoken_ssm = \"/overheard/x\"\n\
                    [[sources]]\nkind = \"push\"\nname = \"shop\"\nplatform = \"shop\"\ntoken_secret = \"s#push\"\n\
                    [[sources]]\nkind = \"github\"\nname = \"code\"\nrepositories = [\"a/b\"]\n";
        std::fs::write(&file, text).unwrap();
        let environment =
            [("OVERHEARD__SOURCES__CODE__TOKEN_SECRET", "code"), ("OVERHEARD__SOURCES__SHOP__TOKEN_SSM", "/s")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = Config::load_with(Some(&file), None, environment).unwrap();
        assert_eq!(config.server.metrics_token_env, "ssm:/metrics");
        let of = |name: &str| {
            let source = config.sources.connectors.iter().find(|source| source.name == name).unwrap();
            source.settings["token_env"].as_str().unwrap().to_owned()
        };
        assert_eq!((of("x"), of("code")), ("ssm:/overheard/x".into(), "secret:code".into()));
        assert_eq!(config.sources.push[0].token_env, "ssm:/s", "the environment stands before the file");
        let error = load("[server]\nbind_ssm = \"x\"\n").unwrap_err();
        assert!(format!("{error:#}").contains("bind_env"), "{error:#}");
        let schema = Config::schema().to_string();
        assert!(schema.contains("metrics_token_ssm") && schema.contains("token_secret"));
    }

    #[test]
    fn a_list_of_the_environment_has_commas() {
        let of = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        let load = |environment| Config::load_with(None, None, environment);
        assert_eq!(load(of("OVERHEARD__WATCH__INTERVALS_S", "300")).unwrap().watch.intervals_s, [300]);
        let origins = load(of("OVERHEARD__SERVER__ORIGINS", "https://a.example, https://b.example")).unwrap();
        assert_eq!(origins.server.origins, ["https://a.example", "https://b.example"]);
        let error = load(of("OVERHEARD__LAKE__FILE_MB", "0")).unwrap_err();
        assert_eq!(error.to_string(), "lake.file_mb = 0 must be 1 to 1024");
        assert!(load(of("OVERHEARD__LAKE__FILE_MBS", "1")).is_err(), "an unknown setting");
    }

    #[test]
    fn a_variable_holds_a_whole_file() {
        let of = |text: &str| HashMap::from([(environment::TEXT.to_owned(), text.to_owned())]);
        let mut both = of(
            "[watch]\nlate_s = 1000\n[[sources]]\nkind = \"push\"\nname = \"a\"\nplatform = \"a\"\ntoken_env = \"T\"",
        );
        both.insert("OVERHEARD__WATCH__LATENESS_S".into(), "5".into());
        let config = Config::load_with(None, None, both).unwrap();
        assert_eq!((config.watch.late_s, config.watch.lateness_s, config.sources.push.len()), (1000, 5, 1));
        let error = Config::load_with(None, None, of("[watch")).unwrap_err();
        assert_eq!(error.to_string(), "OVERHEARD_CONFIG_TOML is not TOML");
        assert!(Config::load_with(None, None, of("[watch]\nlate = 1")).is_err(), "an unknown setting");
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

//! Opens the parts of an installation as configured: queue, lake, language model, places, translation, connectors, SQL
//! workers. Services and commands take what they need.

use crate::alerting;
use crate::clock::clock;
use crate::config::{
    self, Config, PlacesEngine, QueueEngine, StreamConfig, StreamContent, StreamKind, TranslationConfig,
    TranslationEngine, UnderstandEngine,
};
use crate::secrets;
use anyhow::{Context, Result, bail};
use brokers::Worker;
use brokers::nats::{self, Nats};
use brokers::sqs::{self, Sqs};
use domain::topic::TopicMatcher;
use domain::{
    Broker, Enricher, Geocoder, IdentityProvider, PostQueue, PostSink, Record, StateStore, SystemClock, Topic,
    Translator, WorkQueue,
};
use engines::{AmazonLocation, AwsStream, Comprehend, Content, OpenId, SageMaker, Translation};
use lake::{BucketDocuments, Lake, Location, WorkerConfig};
use nlp::Task;
use nlp::categories::CategorySet;
use pipeline::{Replay, Reprocess, Understand};
use places::Gazetteer;
use queue::Embedded;
use serde_json::json;
use state::{BlockedAuthors, Categories, Topics};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Makes a folder that other users of this machine can't read. One that is there already keeps its rights.
fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("make the folder {}", folder.display()))
}

/// Lies in the data folder while a restore into it is under way.
pub const RESTORE_MARKER: &str = "restore-unfinished";

/// The queue and the small documents: one file, one opening.
pub fn open_queue(config: &Config) -> Result<Arc<Embedded>> {
    if config.data.join(RESTORE_MARKER).exists() {
        bail!(
            "a restore into {} was not finished: run `overheard restore` again, or empty the folder",
            config.data.display()
        );
    }
    make_folder(&config.data)?;
    let settings = config.queue.settings(config.lake.retention_days);
    let file = config.data.join("overheard.db");
    let queue = Embedded::open(&file, settings, clock()).with_context(|| format!("open {}", file.display()))?;
    Ok(Arc::new(match shared_documents(config)? {
        Some(documents) => queue.with_shared_documents(Arc::new(documents)),
        None => queue,
    }))
}

/// The small documents, if machines share them in a bucket.
pub fn shared_documents(config: &Config) -> Result<Option<BucketDocuments>> {
    let Some(bucket) = config.lake.bucket_at(&config.state.url, &config.data)? else { return Ok(None) };
    let location = Location::bucket(&bucket).context("state.url")?;
    Ok(Some(BucketDocuments::new(&location, Duration::from_millis(config.state.refresh_ms))?))
}

/// The same for commands that read or change an installation: none is created where there is none.
pub fn open_existing_queue(config: &Config) -> Result<Arc<Embedded>> {
    let is_local = config.state.url.is_empty();
    if is_local && !config.data.join("overheard.db").exists() && !config.data.join(RESTORE_MARKER).exists() {
        bail!(
            "no installation in {}; create one with `overheard up` (or try `overheard demo`), or pass its folder with --data",
            config.data.display()
        );
    }
    open_queue(config)
}

/// The connection to NATS.
pub fn nats(config: &Config) -> Result<Nats> {
    let settings = config.queue.nats.settings(config.queue.partitions, lease(config));
    Ok(Nats::new(settings.context("queue.engine = \"nats\"")?))
}

/// The connection to SQS.
pub fn sqs(config: &Config) -> Result<Sqs> {
    let settings = config.queue.sqs.settings(lease(config)).context("queue.engine = \"sqs\"")?;
    Ok(Sqs::new(settings, clock())?)
}

fn lease(config: &Config) -> Duration {
    Duration::from_secs(config.understand.lease_s)
}

/// The listener's side of the broker, where posts go through one.
pub fn broker(config: &Config) -> Result<Option<Arc<dyn Broker>>> {
    Ok(match config.queue.engine {
        QueueEngine::Embedded => None,
        QueueEngine::Nats => Some(Arc::new(nats(config)?)),
        QueueEngine::Sqs => Some(Arc::new(sqs(config)?)),
    })
}

/// The provider that people sign in with besides passwords.
pub fn identity_provider(config: &Config) -> Result<Option<Arc<dyn IdentityProvider>>> {
    let Some(settings) = config.server.openid.settings()? else { return Ok(None) };
    Ok(Some(Arc::new(OpenId::new(settings, clock()).context("server.openid")?)))
}

/// Where workers take posts from: the broker, or the queue itself.
pub fn work_queue(config: &Config, queue: &Arc<Embedded>) -> Result<Arc<dyn WorkQueue>> {
    Ok(match config.queue.engine {
        QueueEngine::Embedded => queue.clone(),
        QueueEngine::Nats => Arc::new(Worker::new(nats(config)?, lease(config), nats::MESSAGE_MAX)),
        QueueEngine::Sqs => Arc::new(Worker::new(sqs(config)?, lease(config), sqs::MESSAGE_MAX)),
    })
}

/// Where the lake is.
pub fn lake_location(config: &Config) -> Result<Location> {
    Ok(match config.lake.bucket(&config.data)? {
        Some(bucket) => Location::bucket(&bucket).context("lake.url")?,
        None => Location::folder(config.data.join("lake")),
    })
}

/// The lake, to write and to read. Whoever carries posts into it uses [`crate::agreement::open_lake`].
pub async fn open_lake(config: &Config, queue: &Embedded) -> Result<Arc<Lake>> {
    let location = lake_location(config)?;
    location.as_folder().map_or(Ok(()), make_folder)?;
    let partitions = config.queue.partitions;
    let settings = lake::Config { partition: queue.identity(), partitions, ..config.lake.settings() };
    let opened = Lake::open(location.clone(), settings, clock()).await;
    Ok(Arc::new(opened.with_context(|| format!("open the lake {location}"))?))
}

/// The lake as another process writes it.
pub async fn open_lake_read_only(config: &Config) -> Result<Arc<Lake>> {
    let location = lake_location(config)?;
    if location.as_folder().is_some() && !location.holds_a_lake().await? {
        bail!(
            "no posts in {} yet; run `overheard demo`, `overheard import FILE` or `overheard up` first (with several \
             processes on one folder, start the role understand first)",
            config.data.display()
        );
    }
    let opened = Lake::open_read_only(location.clone(), config.lake.settings(), clock()).await;
    Ok(Arc::new(opened.with_context(|| format!("open the lake {location}"))?))
}

/// The lake for a process that doesn't write posts to it. One that only listens needs none, so on a first start it makes an
/// empty one; a queue that has delivered posts must find theirs.
pub async fn open_lake_for(config: &Config, queue: &Embedded, serves: bool) -> Result<Arc<Lake>> {
    let is_acked = queue.standing().await?.iter().any(|partition| partition.acked_offset > 0);
    let is_first = !is_acked && !lake_location(config)?.holds_a_lake().await?;
    if is_first && !serves { open_lake(config, queue).await } else { open_lake_read_only(config).await }
}

/// The saved topics, by name.
pub async fn topics(state: &dyn StateStore) -> Result<Vec<Topic>> {
    Ok(Topics::new(state).list().await?)
}

/// The language engine as configured, with these categories.
pub fn language(config: &Config, categories: Option<CategorySet>) -> Result<nlp::Understanding> {
    let u = &config.understand;
    let mut settings = nlp::Config::default();
    if u.threads > 0 {
        settings.threads = u.threads;
    }
    settings.language_model = config::language_file(&u.model).ok();
    if u.enabled {
        settings.model_dir = Some(config::model_folder(&u.model).context(
            "the shipped language model was not found beside the program: name its folder in understand.model, \
             or keep posts without understanding them with understand.enabled = false",
        )?);
        settings.categories = categories;
        settings.category_confidence_min = u.category_confidence_min;
        settings.sentiment_model = config.classifier(Task::Sentiment)?;
        settings.entity_model = config.classifier(Task::Entities)?;
        settings.category_model = config.classifier(Task::Category)?;
    }
    nlp::Understanding::load(&settings).context("load the language model")
}

/// The user's own categories, if he named a file.
pub fn categories(config: &Config) -> Result<Option<CategorySet>> {
    let file = &config.understand.categories;
    if file.is_empty() {
        return Ok(None);
    }
    CategorySet::read(Path::new(file)).map(Some).with_context(|| format!("read the categories {file}"))
}

/// The categories in use: those saved on the page; while none are, those of the file. What is too unsure is `other`
/// below the file's threshold in either case.
pub async fn category_set(config: &Config, state: &dyn StateStore) -> Result<Option<CategorySet>> {
    let of_file = categories(config)?;
    let saved = Categories::new(state).saved().await?;
    if saved.is_empty() {
        return Ok(of_file);
    }
    let mut set: CategorySet = serde_json::from_value(json!({"category": saved})).context("read the categories")?;
    if let Some(file) = of_file {
        set.other_below = file.other_below;
    }
    set.checked().map(Some).context("read the categories")
}

/// The understanding stage with its engines.
pub fn stage(config: &Config, language: Arc<nlp::Understanding>, topics: Vec<Topic>) -> Result<Arc<Understand>> {
    let (matcher, problems) = TopicMatcher::of_readable(topics)?;
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
    let gazetteer = Gazetteer::embedded().context("read the gazetteer")?;
    let stage = Understand::new(enricher(config, language)?, gazetteer, matcher);
    let stage = match geocoder(config)? {
        Some(geocoder) => stage.with_geocoder(geocoder),
        None => stage,
    };
    Ok(Arc::new(match translator(config)? {
        Some(translator) => stage.with_translator(translator),
        None => stage,
    }))
}

/// The language engine, with the engines of Amazon over it that are configured.
pub fn enricher(config: &Config, language: Arc<nlp::Understanding>) -> Result<Arc<dyn Enricher>> {
    let (u, mut enricher): (_, Arc<dyn Enricher>) = (&config.understand, language);
    if !u.enabled {
        return Ok(enricher);
    }
    if u.engine == UnderstandEngine::Comprehend {
        let settings = u.aws.settings().context("understand.engine = \"comprehend\"")?;
        enricher = Arc::new(Comprehend::new(enricher, &settings, clock(), &u.aws.limits())?);
    }
    if let Some(endpoint) = u.aws.sagemaker(u.category_confidence_min) {
        let settings = u.aws.settings().context("understand.aws.sagemaker_endpoint")?;
        enricher = Arc::new(SageMaker::new(enricher, &endpoint, &settings, clock(), &u.aws.limits())?);
    }
    Ok(enricher)
}

/// The streams that get copies of posts.
pub fn streams(config: &Config) -> Result<Vec<Arc<dyn PostSink>>> {
    let stream = |stream: &StreamConfig| -> Result<Arc<dyn PostSink>> {
        let content = match stream.content {
            StreamContent::Raw => Content::Raw,
            StreamContent::Understood => Content::Understood,
        };
        let make = match stream.kind {
            StreamKind::Firehose => AwsStream::firehose,
            StreamKind::Kinesis => AwsStream::kinesis,
        };
        let settings = stream.settings().with_context(|| format!("stream {:?}", stream.name))?;
        Ok(Arc::new(make(&stream.name, content, &settings, clock(), &Translation::limits())?))
    };
    config.streams.iter().map(stream).collect()
}

/// The engine for translation, where one is named.
pub fn translator(config: &Config) -> Result<Option<Arc<dyn Translator>>> {
    let TranslationConfig { engine, endpoint, key_env, key_file, region, access_key_env, secret_env, .. } =
        &config.translation;
    let limits = config.translation.limits();
    Ok(match engine {
        TranslationEngine::None => None,
        TranslationEngine::LibreTranslate => {
            let wanted = !(key_env.is_empty() && key_file.is_empty());
            let key = wanted.then(|| secrets::read(key_env, key_file)).transpose();
            let key = key.context("translation.engine = \"libretranslate\"")?;
            Some(Arc::new(Translation::libretranslate(endpoint, key, &limits)?))
        }
        TranslationEngine::AmazonTranslate => {
            let credentials = secrets::aws_credentials(access_key_env, secret_env)
                .context("translation.engine = \"amazon-translate\"")?;
            let settings =
                aws::Settings { region: region.clone(), endpoint: endpoint.clone(), credentials: Some(credentials) };
            Some(Arc::new(Translation::amazon(&settings, clock(), &limits)?))
        }
    })
}

/// The engine for places, where it is not the embedded one.
pub fn geocoder(config: &Config) -> Result<Option<Arc<dyn Geocoder>>> {
    let places = &config.places;
    if places.engine == PlacesEngine::Embedded {
        return Ok(None);
    }
    let told = || "places.engine = \"amazon-location\"";
    let has_key = !(places.key_env.is_empty() && places.key_file.is_empty());
    let key = has_key.then(|| secrets::read(&places.key_env, &places.key_file)).transpose().with_context(told)?;
    let credentials = (!has_key).then(|| secrets::aws_credentials("", "")).transpose().with_context(told)?;
    let settings = aws::Settings { region: places.region.clone(), endpoint: places.endpoint.clone(), credentials };
    Ok(Some(Arc::new(AmazonLocation::new(&settings, key, clock(), &places.limits())?)))
}

/// The understanding stage with the topics and categories that are saved.
pub async fn understand(config: &Config, state: &dyn StateStore) -> Result<Arc<Understand>> {
    let language = language(config, category_set(config, state).await?)?;
    let stage = stage(config, Arc::new(language), topics(state).await?)?;
    stage.set_blocked(BlockedAuthors::new(state).keys().await?);
    Ok(stage)
}

/// What enriches stored posts again.
pub fn reprocess(understand: Arc<Understand>) -> Reprocess {
    Reprocess { understand, read: sources::formats::read_stored }
}

/// What replays dead letters. What a push source may not bring now, it may not bring in this way either.
pub fn replay<'a>(config: &'a Config, queue: &'a dyn PostQueue) -> Replay<'a> {
    let refusal = move |source: &str, records: &[Record]| {
        let rights = config.sources.rights_of(source.strip_prefix("push:")?);
        rights.map_or_else(Some, |rights| records.iter().find_map(|record| rights.refusal(record)))
    };
    Replay { queue, read: sources::formats::read_stored, refusal: Box::new(refusal), clock: &SystemClock }
}

/// Why `up` would not start with a valid configuration: secrets that are not set in this environment, and parts that can't
/// be set up.
pub fn refusals(config: &Config) -> Vec<String> {
    let sources = config.sources.connectors.iter().filter(|source| source.enabled);
    let sources = sources.map(|source| source.connector().map(drop));
    let parts = [
        config.sources.push_tokens().map(drop),
        config.sources.push.iter().try_for_each(|source| source.secret().map(drop)),
        config.server.metrics_token().map(drop),
        broker(config).map(drop),
        lake_location(config).map(drop),
        geocoder(config).map(drop),
        translator(config).map(drop),
        streams(config).map(drop),
        categories(config).map(drop),
        alerting::notifiers(config).map(drop),
    ];
    let mut refusals: Vec<String> = Vec::new();
    for error in sources.chain(parts).filter_map(Result::err) {
        let refusal = format!("{error:#}");
        if !refusals.contains(&refusal) {
            refusals.push(refusal);
        }
    }
    refusals
}

/// The processes that answer people's SQL: this program, started as `overheard sql-worker`.
pub fn sql_workers(config: &Config) -> Result<WorkerConfig> {
    let limits = &config.server.limits;
    // The running program itself, also when its file was replaced since.
    let running = PathBuf::from("/proc/self/exe");
    let program = if running.exists() { running } else { std::env::current_exe().context("find this program")? };
    Ok(WorkerConfig {
        program,
        arguments: vec!["sql-worker".into()],
        lake: lake_location(config)?,
        at_once: limits.sql_at_once,
        memory_bytes: limits.sql_memory_mb << 20,
        spill_bytes: limits.sql_spill_mb << 20,
        answer_bytes_max: limits.sql_answer_mb << 20,
        idle: Duration::from_secs(limits.sql_idle_s),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{DeadLetter, Provenance};

    #[tokio::test]
    async fn what_up_refuses_is_told_by_the_check() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.toml");
        let toml = "[[sources]]\nkind = \"x\"\nname = \"x\"\ntoken_env = \"NO_SUCH_TOKEN\"\n\
                    [[sources]]\nkind = \"push\"\nname = \"shop\"\nplatform = \"shop\"\ntoken_env = \"NO_SHOP_TOKEN\"\n\
                    [[alerts.channels]]\nname = \"team\"\nkind = \"slack\"\nurl_env = \"NO_SLACK_URL\"\n";
        std::fs::write(&file, toml).unwrap();
        let refusals = refusals(&Config::load(Some(&file), None).unwrap());
        assert_eq!(refusals.len(), 3, "{refusals:?}");
        for (refusal, name) in refusals.iter().zip(["NO_SUCH_TOKEN", "NO_SHOP_TOKEN", "NO_SLACK_URL"]) {
            assert!(refusal.contains(name), "{refusal}");
        }
        assert_eq!(super::refusals(&Config::load(None, None).unwrap()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_replayed_letter_keeps_its_format_and_how_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: folder.path().into(), ..Config::load(None, None).unwrap() };
        let queue = open_queue(&config).unwrap();
        let replay = replay(&config, queue.as_ref());
        let letter = DeadLetter {
            id: 1,
            source: "news".into(),
            platform: "news".into(),
            reason: "no text".into(),
            payload: r#"{"id":"1","text":"words","created_at":"2026-03-01T12:00:00Z"}"#.into(),
            payload_format: Some("simple".into()),
            provenance: Some(Provenance::Poll),
            occurred_at: clock().now(),
        };
        assert_eq!(replay.letter(&letter).await.unwrap().accepted, 1);
        let lease = queue.lease(1, Duration::from_secs(60)).await.unwrap().unwrap();
        let Record::Post(post) = &lease.records[0].record else { panic!("a post") };
        assert_eq!((post.provenance, post.payload_format.as_deref()), (Provenance::Poll, Some("simple")));
        // A format is never guessed when it is known.
        let newer = DeadLetter { payload_format: Some("simple-9".into()), ..letter.clone() };
        let reason = replay.letter(&newer).await.unwrap().reason.unwrap();
        assert!(reason.contains("simple-9"), "{reason}");
        // What a push source may not bring now, it may not bring by a letter.
        let pushed = DeadLetter { source: "push:x".into(), ..letter };
        assert!(replay.letter(&pushed).await.unwrap().reason.unwrap().contains("another source"));
    }
}

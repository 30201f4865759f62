//! The wiring: opens the rooms as the settings say. Each function opens one; commands take what they need.

use crate::config::{self, Config, PlacesEngine, TranslationConfig, TranslationEngine};
use crate::secrets;
use anyhow::{Context, Result, bail};
use domain::topic::TopicMatcher;
use domain::{
    Appended, Category, Clock, DeadLetter, EnrichedPost, Enrichment, Geocoder, Post, PostId, PostQueue, Provenance,
    Record, Sentiment, SentimentLabel, SourceId, StateStore, SystemClock, Topic, Translator,
};
use engines::{AmazonLocation, AmazonLocationConfig, Translation};
use lake::Lake;
use nlp::Task;
use nlp::categories::CategorySet;
use pipeline::Understand;
use places::Gazetteer;
use queue::Embedded;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use server::Replayed;
use sources::Connector;
use sources::push::Rights;
use sources::record::{Origin, Parsed};
use sources::x::{X, XConfig};
use state::{Categories, Correction, Topics};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The clock of the running program.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Makes a folder that other users of this machine can't read. One that is there already keeps its rights.
fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("make the folder {}", folder.display()))
}

/// Lies in the data folder while a restore into it is under way.
pub(crate) const RESTORE_MARKER: &str = "restore-unfinished";
/// Days for which ids are known beyond the lake's retention.
const SEEN_SPARE_DAYS: u32 = 7;

/// The queue and the small documents: one file, one opening.
pub(crate) fn open_queue(config: &Config) -> Result<Arc<Embedded>> {
    if config.data.join(RESTORE_MARKER).exists() {
        bail!(
            "a restore into {} was not finished: run `overheard restore` again, or empty the folder",
            config.data.display()
        );
    }
    make_folder(&config.data)?;
    let settings = queue::Config {
        waiting_max: config.queue.waiting_max,
        dead_letters_max: config.queue.dead_letters_max,
        dead_letters_bytes_max: config.queue.dead_letters_bytes_max,
        // An id that is forgotten while its post is in the lake would let the post in twice.
        seen_days: (config.lake.retention_days > 0)
            .then_some(config.lake.retention_days.saturating_add(SEEN_SPARE_DAYS)),
        ..queue::Config::default()
    };
    let file = config.data.join("overheard.db");
    let queue = Embedded::open(&file, settings, clock()).with_context(|| format!("open {}", file.display()))?;
    Ok(Arc::new(queue))
}

pub(crate) fn lake_settings(config: &Config) -> lake::Config {
    let days = config.lake.retention_days;
    lake::Config { retention_days: (days > 0).then_some(days), ..lake::Config::default() }
}

/// The lake, to write and to read. Whoever carries posts into it uses [`crate::agreement::open_lake`].
pub(crate) async fn open_lake(config: &Config, queue: &Embedded) -> Result<Arc<Lake>> {
    let folder = config.data.join("lake");
    make_folder(&folder)?;
    let settings = lake::Config { partition: queue.identity(), ..lake_settings(config) };
    let opened = Lake::open(&folder.to_string_lossy(), settings, clock()).await;
    Ok(Arc::new(opened.with_context(|| format!("open the lake {}", folder.display()))?))
}

/// The lake as another process writes it.
pub(crate) async fn open_lake_read_only(config: &Config) -> Result<Arc<Lake>> {
    let folder = config.data.join("lake");
    if !folder.exists() {
        anyhow::bail!(
            "there is no lake in {}; bring posts in first: overheard demo, overheard import FILE or overheard up",
            config.data.display()
        );
    }
    let opened = Lake::open_read_only(&folder.to_string_lossy(), lake_settings(config), clock()).await;
    Ok(Arc::new(opened.with_context(|| format!("open the lake {}", folder.display()))?))
}

/// The saved topics, by name.
pub(crate) async fn topics(state: &dyn StateStore) -> Result<Vec<Topic>> {
    Ok(Topics::new(state).list().await?)
}

/// The language engine as configured, with these categories.
pub(crate) fn language(config: &Config, categories: Option<CategorySet>) -> Result<nlp::Understanding> {
    let u = &config.understand;
    let mut settings = nlp::Config::default();
    if u.threads > 0 {
        settings.threads = u.threads;
    }
    settings.language_model = config::models_folder().map(|models| models.join("lid.176.ftz"));
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
pub(crate) fn categories(config: &Config) -> Result<Option<CategorySet>> {
    let file = &config.understand.categories;
    if file.is_empty() {
        return Ok(None);
    }
    CategorySet::read(Path::new(file)).map(Some).with_context(|| format!("read the categories {file}"))
}

/// The categories in use: those saved on the page; while none are, those of the file. What is too unsure is `other`
/// below the file's threshold in either case.
pub(crate) async fn category_set(config: &Config, state: &dyn StateStore) -> Result<Option<CategorySet>> {
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
pub(crate) fn stage(config: &Config, language: Arc<nlp::Understanding>, topics: Vec<Topic>) -> Result<Arc<Understand>> {
    let (matcher, problems) = TopicMatcher::of_readable(topics)?;
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
    let gazetteer = Gazetteer::embedded().context("read the gazetteer")?;
    let stage = Understand::new(language, gazetteer, matcher);
    let stage = match geocoder(config)? {
        Some(geocoder) => stage.with_geocoder(geocoder),
        None => stage,
    };
    Ok(Arc::new(match translator(config)? {
        Some(translator) => stage.with_translator(translator),
        None => stage,
    }))
}

/// The engine for translation, where one is named.
pub(crate) fn translator(config: &Config) -> Result<Option<Arc<dyn Translator>>> {
    let TranslationConfig { engine, endpoint, key_env, key_file, region, access_key_env, secret_env } =
        &config.translation;
    let limits = Translation::limits();
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
            let endpoint = (!endpoint.is_empty()).then_some(endpoint.as_str());
            Some(Arc::new(Translation::amazon(region, endpoint, credentials, clock(), &limits)?))
        }
    })
}

/// The engine for places, where it is not the embedded one.
pub(crate) fn geocoder(config: &Config) -> Result<Option<Arc<dyn Geocoder>>> {
    let places = &config.places;
    if places.engine == PlacesEngine::Embedded {
        return Ok(None);
    }
    let key = secrets::read(&places.key_env, &places.key_file).context("places.engine = \"amazon-location\"")?;
    let mut settings = AmazonLocationConfig::new(&places.region, key);
    if !places.endpoint.is_empty() {
        settings.endpoint.clone_from(&places.endpoint);
    }
    Ok(Some(Arc::new(AmazonLocation::new(&settings)?)))
}

/// The understanding stage with the topics and categories that are saved.
pub(crate) async fn understand(config: &Config, state: &dyn StateStore) -> Result<Arc<Understand>> {
    let language = language(config, category_set(config, state).await?)?;
    let stage = stage(config, Arc::new(language), topics(state).await?)?;
    stage.set_blocked(crate::forget::blocked::all(state).await?);
    Ok(stage)
}

/// Posts of `raw` that were understood once more, and how many could not be.
pub(crate) struct Again {
    pub(crate) posts: Vec<EnrichedPost>,
    pub(crate) failed: usize,
}

/// Understands rows ([`RAW_COLUMNS`]) of `raw` once more. What people corrected stays as they said.
pub(crate) async fn understand_again(
    understand: &Arc<Understand>,
    labels: &HashMap<PostId, Correction>,
    rows: &[Vec<Value>],
) -> Result<Again> {
    let posts: Vec<Post> = rows.iter().filter_map(|row| post_from_raw(row).ok()).collect();
    let (worker, now) = (Arc::clone(understand), clock().now());
    let answers = tokio::task::spawn_blocking(move || worker.posts(posts, now)).await?;
    let mut posts: Vec<EnrichedPost> = answers.into_iter().flatten().collect();
    for post in &mut posts {
        if let Some(label) = labels.get(&post.post.id) {
            relabel(&mut post.enrichment, label);
        }
    }
    Ok(Again { failed: rows.len() - posts.len(), posts })
}

/// What a person said stands before what the model said; its probabilities stay beside it.
fn relabel(enrichment: &mut Enrichment, correction: &Correction) {
    if let Some(label) = correction.sentiment {
        let sure = |of: SentimentLabel| if of == label { 1.0 } else { 0.0 };
        let (positive, negative) = (sure(SentimentLabel::Positive), sure(SentimentLabel::Negative));
        let (neutral, mixed) = (sure(SentimentLabel::Neutral), sure(SentimentLabel::Mixed));
        let unread = Sentiment { label, positive, negative, neutral, mixed };
        enrichment.sentiment = Some(Sentiment { label, ..enrichment.sentiment.unwrap_or(unread) });
    }
    if let Some(label) = &correction.category {
        enrichment.category = Some(Category { label: label.clone(), confidence: 1.0 });
    }
}

/// Sends a dead letter through the parser once more; the letter itself is left where it is.
///
/// What a push source may not bring now, it may not bring in this way either.
pub(crate) async fn replay(config: &Config, queue: &Embedded, letter: &DeadLetter) -> domain::Result<Replayed> {
    let origin = Origin {
        source: SourceId(letter.source.clone()),
        platform: letter.platform.clone(),
        // Letters of earlier versions do not say it.
        provenance: letter.provenance.unwrap_or(Provenance::File),
        received_at: clock().now(),
    };
    let mut parsed = Parsed::default();
    sources::formats::parse(letter.payload_format.as_deref(), letter.payload.as_bytes(), &origin, &mut parsed);
    if let Some(rejection) = parsed.rejections.into_iter().next() {
        return Ok(Replayed { accepted: 0, reason: Some(rejection.reason) });
    }
    if let Some(source) = letter.source.strip_prefix("push:") {
        let refused = push_rights(config, source)
            .map_or_else(Some, |rights| parsed.records.iter().find_map(|record| rights.refusal(record)));
        if refused.is_some() {
            return Ok(Replayed { accepted: 0, reason: refused });
        }
    }
    let answers = queue.append(parsed.records).await?;
    let accepted = answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count() as u64;
    // The queue has seen the id before: whether its post was kept is not known, so the letter is not given up.
    let reason = match answers.iter().find(|answer| !matches!(answer, Appended::Stored(_))) {
        None => None,
        Some(Appended::Deleted) => Some("the post was deleted by its platform".to_owned()),
        Some(_) => {
            Some("a post with this id came in before; remove the letter if that one is the right one".to_owned())
        }
    };
    Ok(Replayed { accepted, reason })
}

/// Letters replayed at once: bounds memory, with the queue's own limit in bytes.
const LETTERS_PAGE: usize = 100;

/// Replays the letters with these ids (none: all); those that pass are taken out. Returns how many passed and failed.
pub(crate) async fn replay_dead_letters(config: &Config, queue: &Embedded, ids: &[u64]) -> Result<(u64, u64)> {
    let (mut passed, mut failed) = (0, 0);
    let mut count = |is_kept| if is_kept { passed += 1 } else { failed += 1 };
    for id in ids {
        let letter = queue.find_dead_letter(*id).await?;
        let letter = letter.with_context(|| format!("there is no dead letter {id}"))?;
        count(replay_one(config, queue, &letter).await?);
    }
    let mut before = if ids.is_empty() { u64::MAX } else { 0 };
    loop {
        let page = queue.dead_letters_before(before, LETTERS_PAGE).await?;
        let Some(last) = page.last() else { return Ok((passed, failed)) };
        before = last.id;
        for letter in &page {
            count(replay_one(config, queue, letter).await?);
        }
    }
}

/// Replays a letter and takes it out when it passes.
async fn replay_one(config: &Config, queue: &Embedded, letter: &DeadLetter) -> Result<bool> {
    if replay(config, queue, letter).await?.reason.is_some() {
        return Ok(false);
    }
    queue.remove_dead_letter(letter.id).await?;
    Ok(true)
}

/// What [`understand_again`] reads.
pub(crate) const RAW_COLUMNS: &str = "post_id, source, platform, provenance, received_at, payload, payload_format";

/// The post of a row ([`RAW_COLUMNS`]) of `raw`.
fn post_from_raw(row: &[Value]) -> Result<Post> {
    let field = |index: usize| row.get(index).and_then(Value::as_str).context("read a row of raw");
    let origin = Origin {
        source: SourceId(field(1)?.to_owned()),
        platform: field(2)?.to_owned(),
        provenance: serde_json::from_value(json!(field(3)?)).context("read the provenance")?,
        received_at: pipeline::moment(field(4)?)?,
    };
    let mut parsed = Parsed::default();
    let format = row.get(6).and_then(Value::as_str);
    sources::formats::parse(format, field(5)?.as_bytes(), &origin, &mut parsed);
    let wanted = field(0)?;
    let posts = parsed.records.into_iter().filter_map(|record| match record {
        Record::Post(post) => Some(*post),
        Record::Deletion(_) => None,
    });
    let found = posts.into_iter().find(|post| post.id.as_str() == wanted);
    found.with_context(|| format!("the payload of {wanted} can't be read any more"))
}

fn x_config(config: &Config) -> Result<XConfig> {
    let x = &config.sources.x;
    Ok(XConfig {
        base_url: x.base_url.trim_end_matches('/').to_owned(),
        cost_per_post_usd: x.cost_per_post,
        ..XConfig::new(x.token()?)
    })
}

/// The connector of X.
pub(crate) fn x_source(config: &Config) -> Result<X> {
    X::new(x_config(config)?).context("set up the source x")
}

/// Whether X would let us in, in words.
pub(crate) async fn check_x(config: &Config) -> Result<String> {
    let check = x_source(config)?.check(clock().as_ref()).await;
    match check.ok {
        true => Ok(check.summary),
        false => anyhow::bail!("{} ({})", check.summary, check.advice.unwrap_or_default()),
    }
}

/// The first admin's password, where the settings name a place for it.
pub(crate) fn first_admin_password(config: &Config) -> Result<Option<String>> {
    let (variable, file) = (&config.server.admin_password_env, &config.server.admin_password_file);
    let named = !(variable.is_empty() && file.is_empty());
    let password = named.then(|| secrets::read(variable, file)).transpose();
    let password = password.context("server.admin_password_env and server.admin_password_file: set one of them")?;
    Ok(password.map(|password| password.expose_secret().to_owned()))
}

/// What a push source may do. One that is not configured brings its own platform, named as itself, unless another
/// source has that name for its platform; the error says so.
pub(crate) fn push_rights(config: &Config, source: &str) -> std::result::Result<Rights, String> {
    if let Some(rights) = config.sources.push_rights(source) {
        return Ok(rights);
    }
    match source == "x" || config.sources.brings(source, source) {
        true => Err(format!("{source:?} is the platform of another source: configure this source in [[sources.push]]")),
        false => Ok(Rights::of(source)),
    }
}

/// Lets the configured push sources in with their tokens, and those that are configured no longer out.
pub(crate) async fn push_tokens(config: &Config, state: &Arc<dyn StateStore>) -> Result<()> {
    let mut secrets: Vec<(String, String)> = Vec::new();
    for source in &config.sources.push {
        let token = secrets::read(&source.token_env, "")
            .with_context(|| format!("sources.push {:?}: set {}", source.name, source.token_env))?;
        let token = token.expose_secret().to_owned();
        if let Some((other, _)) = secrets.iter().find(|(_, secret)| *secret == token) {
            anyhow::bail!("sources.push {:?} and {other:?} have the same token; give each its own", source.name);
        }
        secrets.push((source.name.clone(), token));
    }
    Ok(server::auth::set_push_tokens(state, &secrets, clock().now()).await?)
}

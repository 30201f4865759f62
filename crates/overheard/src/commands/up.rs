//! `overheard up`: the whole house, or the parts named by `--role`, as services under one supervisor.

use crate::Global;
use crate::agreement;
use crate::alerting;
use crate::commands::demo::Feed;
use crate::config::{Config, model_folder};
use crate::follow;
use crate::forget;
use crate::house;
use crate::limits;
use crate::operations::House;
use crate::output::say;
use crate::supervisor::Supervisor;
use anyhow::Result;
use clap::ValueEnum;
use domain::{Health, SourceId, StateStore};
use pipeline::{Carry, CarryConfig, Watch, WatchConfig};
use queue::Embedded;
use sources::Connector;
use sources::kit::status::SharedStatus;
use state::Topics;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Run everything in one process: listen, understand, detect (and alert), serve the dashboard.
///
/// The first start makes the data folder and an administrator, whose password is printed once. Nothing is called on the
/// network but what you configured. Stop with Ctrl-C: what is under way is finished.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Run only these parts (repeat or separate by commas), several processes on one folder.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE")]
    role: Vec<Role>,
    /// Open the dashboard in a browser.
    #[arg(long)]
    open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Hold the connections to the sources and fill the queue.
    Listen,
    /// Carry posts from the queue through the language model into the lake.
    Understand,
    /// Watch the volume of mentions and alert.
    Detect,
    /// HTTP API, dashboard, push.
    Serve,
}

/// The parts that this process plays.
#[derive(Debug, Clone)]
pub(crate) struct Roles(Vec<Role>);

impl Roles {
    pub(crate) fn all() -> Self {
        Self(Role::value_variants().to_vec())
    }

    fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    fn names(&self) -> Vec<String> {
        let name = |role: &Role| role.to_possible_value().map(|value| value.get_name().to_owned());
        self.0.iter().filter_map(name).collect()
    }
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    let roles = if args.role.is_empty() { Roles::all() } else { Roles(args.role) };
    let queue = house::open_queue(&config)?;
    run_house(config, roles, queue, None, args.open).await
}

/// Committed batches that a slow listener may lag behind before it misses some.
const LIVE_BATCHES: usize = 64;

/// Starts the services of the roles and runs until a signal.
pub(crate) async fn run_house(
    config: Config,
    roles: Roles,
    queue: Arc<Embedded>,
    feed: Option<Feed>,
    open: bool,
) -> Result<ExitCode> {
    let state: Arc<dyn StateStore> = queue.clone();
    let writes = roles.has(Role::Understand) || roles.has(Role::Detect);
    let lake = match roles.has(Role::Understand) {
        true => agreement::open_lake(&config, &queue).await?,
        false if writes => house::open_lake(&config, &queue).await?,
        false => house::open_lake_read_only(&config).await?,
    };
    let (committed, _) = broadcast::channel(LIVE_BATCHES);
    let topics = house::topics(state.as_ref()).await?;
    let language = match roles.has(Role::Understand) {
        true => Some(Arc::new(house::language(&config, house::category_set(&config, state.as_ref()).await?)?)),
        false => None,
    };
    let understand = language.clone().map(|language| house::stage(&config, language, topics.clone())).transpose()?;
    let book = alerting::book(&config, state.clone());
    let model = understand.as_ref().filter(|_| config.understand.enabled).map(|stage| stage.model().to_owned());
    let health = Arc::new(Health::default());
    lake.report_to(health.clone());
    let house = House::new(&config, roles.names(), queue.clone(), lake.clone(), model, book.clone(), health.clone())?;
    let (topics_changed, topics) = watch::channel(topics);

    let mut supervisor = Supervisor::default();
    // The password of a demo guards posts of our own making.
    let must_change_password = feed.is_none();
    if let Some(feed) = feed {
        supervisor.start("sample", |shutdown| feed.run(shutdown));
    }
    if roles.has(Role::Listen) && config.sources.x.enabled {
        let connector = Box::new(house::x_source(&config)?);
        let context = sources::Context {
            source: SourceId("x".into()),
            queue: queue.clone(),
            state: state.clone(),
            clock: house::clock(),
            topics: topics.clone(),
            status: SharedStatus::default(),
        };
        house.show_x(context.status.clone());
        supervisor.start("source x", |shutdown| connector.run(context, shutdown));
    }
    if let Some(understand) = understand {
        let carry = Carry {
            config: CarryConfig::default(),
            queue: queue.clone(),
            understand: understand.clone(),
            lake: Arc::new(forget::NotedTable { lake: lake.clone(), state: state.clone() }),
            clock: house::clock(),
            committed: committed.clone(),
            health: health.clone(),
        };
        supervisor.start("understand", |shutdown| carry.run(shutdown));
        let (blocked, stage) = (state.clone(), understand.clone());
        supervisor.start("blocked authors", |shutdown| forget::blocked::follow(blocked, stage, shutdown));
        let (stage, corrected, topics) = (understand.clone(), lake.clone(), topics.clone());
        supervisor.start("topic matching", |shutdown| follow::apply_topics(understand, topics, shutdown));
        let labels = state.clone();
        supervisor.start("corrections", |shutdown| follow::corrections(labels, corrected, stage, shutdown));
        let (deleting, deleted, told) = (queue.clone(), lake.clone(), health.clone());
        supervisor.start("deletion", |shutdown| forget::run(deleting, deleted, told, shutdown));
        let (lake, queue, health) = (lake.clone(), queue.clone(), health.clone());
        supervisor.start("lake upkeep", |shutdown| keep_up(lake, health, shutdown));
        supervisor.start("queue upkeep", |shutdown| keep_queue(queue, shutdown));
    }
    if let Some(language) = language.filter(|_| config.understand.enabled) {
        let (config, state) = (config.clone(), state.clone());
        supervisor.start("categories", |shutdown| follow::categories(config, language, state, shutdown));
    }
    if roles.has(Role::Detect) {
        let judge = alerting::Judge::new(&config, book.clone(), state.clone(), lake.clone(), health.clone());
        if config.watch.enabled {
            let watch = Watch {
                config: watch_config(&config)?,
                history: lake.clone(),
                lake: lake.clone(),
                clock: house::clock(),
                listener: judge.clone(),
                queue: queue.clone(),
                health: health.clone(),
            };
            supervisor.start("watch", |shutdown| watch.run(shutdown));
        }
        supervisor.start("alert rules", |shutdown| judge.run(shutdown));
        let service = alerting::outbox(&config, &book, lake.clone(), health.clone())?;
        supervisor.start("alerts", |shutdown| service.run(shutdown));
    }
    if roles.has(Role::Serve) {
        first_admin(&config, &state, must_change_password).await?;
        serve(&config, &mut supervisor, &house, &queue, &lake, &committed).await?;
    }
    let followed = state.clone();
    supervisor.start("topics", |shutdown| follow::topics(followed, topics_changed, shutdown));
    let (failing, told) = (queue.clone(), health.clone());
    supervisor.start("queue", |shutdown| watch_queue(failing, told, shutdown));
    greet(&config, &roles, state.as_ref()).await?;
    if open {
        open_browser(&config.server.bind);
    }
    supervisor.run().await?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// On a first start: makes the admin and shows the password, unless the settings name it.
async fn first_admin(config: &Config, state: &Arc<dyn StateStore>, must_change: bool) -> Result<()> {
    if !server::auth::users(state).await?.is_empty() {
        return Ok(());
    }
    let given = house::first_admin_password(config)?;
    let now = house::clock().now();
    if let Some(password) = server::auth::create_first_admin(state, given, must_change, now).await? {
        let changed = if must_change { ", and changed at the first sign-in" } else { "" };
        say("")?;
        say("  First start. Sign in with:")?;
        say(format_args!("    user      admin\n    password  {password}"))?;
        say(format_args!("  It is shown only this once{changed}."))?;
    }
    Ok(())
}

async fn serve(
    config: &Config,
    supervisor: &mut Supervisor,
    house: &Arc<House>,
    queue: &Arc<Embedded>,
    lake: &Arc<lake::Lake>,
    committed: &broadcast::Sender<pipeline::Committed>,
) -> Result<()> {
    let state: Arc<dyn StateStore> = queue.clone();
    house::push_tokens(config, &state).await?;
    lake.warm_up();
    let (live, _) = broadcast::channel(LIVE_BATCHES);
    let server = server::Server {
        config: limits::server(config)?,
        analytics: lake.clone(),
        state,
        queue: queue.clone(),
        operations: house.clone(),
        live: live.clone(),
        clock: house::clock(),
    };
    let metrics = house.clone();
    supervisor.start("metrics upkeep", |shutdown| metrics.keep_metrics(shutdown));
    let mut batches = committed.subscribe();
    let house = house.clone();
    supervisor.start("live", |shutdown| async move {
        loop {
            tokio::select! {
                batch = batches.recv() => match batch {
                    Ok(batch) => {
                        house.observe(&batch);
                        // Nobody looking at the page is fine.
                        drop(live.send(batch.posts));
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => { shutdown.cancelled().await; return Ok(()) }
                },
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    });
    supervisor.start("server", |shutdown| server.run(shutdown));
    let (audit, days) = (server::audit::AuditLog::new(queue.clone()), config.server.audit_days);
    supervisor.start("audit log", move |shutdown| forget_old_entries(audit, days, shutdown));
    Ok(())
}

fn watch_config(config: &Config) -> Result<WatchConfig> {
    Ok(WatchConfig {
        intervals_s: config.watch.intervals_s.clone(),
        lateness: Duration::from_secs(config.watch.lateness_s),
        false_alarms_per_week: config.watch.false_alarms_per_week,
        dimensions: config.watch.dimensions()?,
        parts_max: config.watch.parts_max,
        explain_within: Duration::from_secs(config.watch.explain_within_s),
        late: chrono::TimeDelta::seconds(config.watch.late_s.into()),
        backlog_wait: Duration::from_secs(config.watch.backlog_wait_s),
        time_zone: config.time_zone.parse().map_err(|_| anyhow::anyhow!("time_zone is no IANA time zone"))?,
        ..WatchConfig::default()
    })
}

/// Ends, and with it the process, once the queue takes no more writes: a restart checks the file and goes on.
async fn watch_queue(queue: Arc<Embedded>, health: Arc<Health>, shutdown: CancellationToken) -> domain::Result<()> {
    tokio::select! {
        reason = queue.failed() => {
            health.failed("queue", &reason, house::clock().now());
            Err(domain::Error::stop(format!("the queue takes no more writes: {reason}")))
        }
        () = shutdown.cancelled() => Ok(()),
    }
}

/// Forgets ids that are beyond the retention, once a day.
async fn keep_queue(queue: Arc<Embedded>, shutdown: CancellationToken) -> domain::Result<()> {
    loop {
        match queue.maintain().await {
            Ok(0) => {}
            Ok(ids) => info!(ids, "ids of posts beyond the retention forgotten"),
            Err(error) => warn!(%error, "old ids could not be forgotten; trying again later"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(86_400)) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Compaction, retention and vacuum, every five minutes.
async fn keep_up(lake: Arc<lake::Lake>, health: Arc<Health>, shutdown: CancellationToken) -> domain::Result<()> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(300)) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        match lake.maintain(house::clock().now()).await {
            Ok(_) => health.recovered("lake upkeep"),
            Err(error) => {
                health.failed("lake upkeep", &error, house::clock().now());
                warn!(%error, "the lake could not be tidied; trying again later");
            }
        }
    }
}

/// The audit log's retention, at the start and once a day.
async fn forget_old_entries(
    audit: server::audit::AuditLog,
    days: u32,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    loop {
        if let Err(error) = audit.expire(days, house::clock().now()).await {
            warn!(%error, "old entries of the audit log could not be removed; trying again in a day");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(24 * 3600)) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Says where to look and what to do next.
async fn greet(config: &Config, roles: &Roles, state: &dyn StateStore) -> Result<()> {
    say("")?;
    say(format_args!("  data      {}", config.data.display()))?;
    if roles.has(Role::Serve) {
        say(format_args!("  dashboard http://{}", config.server.bind))?;
    }
    let model = if config.understand.enabled { model_folder(&config.understand.model) } else { None };
    match model {
        Some(folder) => say(format_args!("  model     {}", folder.display()))?,
        None => say("  model     off: posts are kept and counted without being understood")?,
    }
    if Topics::new(state).list().await?.is_empty() {
        say("  next      say what to listen for:   overheard topics add NAME 'QUERY'")?;
        say("            bring posts in:           overheard import FILE, POST /v1/posts, or sources.x")?;
    }
    say("  stop      Ctrl-C (what is under way is finished)\n")?;
    let bind = config.server.settings()?.bind.ip();
    if roles.has(Role::Serve) && !bind.to_canonical().is_loopback() {
        warn!(%bind, "the dashboard can be reached from other machines without TLS; put a proxy with TLS in front of it");
    }
    Ok(())
}

/// Opens the page where there is a desktop; elsewhere the address was printed.
fn open_browser(bind: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = std::process::Command::new(opener)
        .arg(format!("http://{bind}"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    if opened.is_err() {
        info!("no browser was found to open; the address is printed above");
    }
}

//! `overheard doctor`: checks everything that an installation depends on, and says how to fix what fails.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::Result;
use domain::{Clock, Enricher, Error, PlaceHints, PostQueue, SystemClock, Untranslated};
use lake::TableName;
use runtime::Config;
use runtime::admin::LETTERS_FULL;
use runtime::config::{QueueEngine, SourceConfig, language_file};
use runtime::{alerting, models, secrets, wiring};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check the installation and its environment, and report how to fix problems
///
/// Checks configuration, credentials, disk, clock, model, queue, lake, alert rules and sources. Exit
/// code 3 if a check fails.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard doctor
  overheard doctor --config my.toml --format json"#
)]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// The result of one check: a summary, or what is wrong and how to fix it.
type Finding = std::result::Result<String, String>;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let mut findings: Vec<(&str, Finding)> = Vec::new();
    let config = global.load();
    findings.push((
        "configuration",
        match &config {
            Ok(config) => Ok(format!("valid; data folder {}", config.data.display())),
            Err(error) => Err(format!("{error:#}")),
        },
    ));
    if let Ok(config) = &config {
        findings.extend(config.notices().into_iter().map(|notice| ("configuration", Ok(notice))));
        findings.push(("clock", clock()));
        findings.push(("disk", disk(config)));
        findings.push(("model", model(config)));
        findings.push(("language", language(config)));
        findings.extend(added_models(config).into_iter().map(|finding| ("model added", finding)));
        findings.push(("categories", categories(config)));
        findings.push(("places", places(config)));
        findings.push(("translation", translation(config)));
        findings.push(("queue", queue(config).await));
        findings.extend(broker(config).await.map(|finding| ("broker", finding)));
        findings.extend(rules(config).await.into_iter().map(|finding| ("alert rule", finding)));
        findings.push(("lake", lake(config).await));
        findings.push(("server", server(config)));
        findings.extend(sources(config).await);
    }
    let wrong = findings.iter().filter(|(_, finding)| finding.is_err()).count();
    let rows: Vec<[&str; 3]> = findings
        .iter()
        .map(|(name, finding)| match finding {
            Ok(words) => ["ok", name, words],
            Err(words) => ["fail", name, words],
        })
        .collect();
    if args.format == Format::Table {
        // Lines, not a table: advice is never cut.
        rows.iter().try_for_each(|[state, check, words]| say(format_args!("{state:<5} {check:<14} {words}")))?;
    } else {
        let rows = rows.into_iter().map(|row| row.map(|cell| json!(cell)).to_vec()).collect();
        output::print(&output::rows(&["state", "check", "words"], rows), args.format)?;
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn clock() -> Finding {
    let now = SystemClock.now();
    // The year this program was written: a clock before it was never set.
    if now.timestamp() < 1_790_000_000 {
        return Err(format!("the clock says {now}; set it (timedatectl set-ntp true), or event times will be wrong"));
    }
    Ok(format!("{}", now.format("%Y-%m-%d %H:%M:%S UTC")))
}

fn disk(config: &Config) -> Finding {
    let existing = config.data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let probe = existing.join(".overheard-doctor");
    std::fs::write(&probe, b"probe").and_then(|()| std::fs::remove_file(&probe)).map_err(|error| {
        format!("{} is not writable: {error}; choose another folder with --data", existing.display())
    })?;
    let free = fs4::available_space(existing).map_err(|error| error.to_string())?;
    let words = format!("{:.1} GB free in {}", free as f64 / 1e9, existing.display());
    let free_min_mb = config.free_space_min_mb;
    if free / 1_000_000 < free_min_mb {
        return Err(format!(
            "{words}, less than free_space_min_mb ({free_min_mb} MB); free some space or lower the setting"
        ));
    }
    Ok(words)
}

fn model(config: &Config) -> Finding {
    if !config.understand.enabled {
        return Ok("off (understand.enabled = false): posts are stored without language analysis".into());
    }
    match wiring::language(config, None) {
        Ok(language) => Ok(language.model().to_owned()),
        Err(error) => Err(format!("{error:#}")),
    }
}

fn language(config: &Config) -> Finding {
    let file = language_file(&config.understand.model).map_err(|error| error.to_string())?;
    Ok(file.display().to_string())
}

/// Each classifier that was added, loaded and tried.
fn added_models(config: &Config) -> Vec<Finding> {
    let look = |(name, folder): (String, PathBuf)| match models::try_out(&folder) {
        Ok(tried) => {
            let tasks: Vec<&str> = tried.tasks.iter().map(|task| task.as_str()).collect();
            Ok(format!("{name}: usable for {}", tasks.join(", ")))
        }
        Err(error) => Err(format!(
            "{name}: {error:#}; run `overheard models add {name}` again, or `overheard models remove {name}`"
        )),
    };
    models::added(config).into_iter().map(look).collect()
}

fn categories(config: &Config) -> Finding {
    if config.understand.categories.is_empty() {
        return Ok("no category file (understand.categories)".into());
    }
    std::fs::metadata(&config.understand.categories)
        .map(|_| config.understand.categories.clone())
        .map_err(|error| format!("{}: {error}", config.understand.categories))
}

/// An engine on the network is asked once.
fn places(config: &Config) -> Finding {
    ::places::Gazetteer::embedded().map_err(|error| error.to_string())?;
    let Some(engine) = wiring::geocoder(config).map_err(|error| format!("{error:#}"))? else {
        return Ok("gazetteer loaded".into());
    };
    let found = engine.locate("Berlin", &PlaceHints::default()).map_err(|error| error.to_string())?;
    Ok(format!(
        "the service answers: Berlin is in {}",
        found.first().map_or("an unknown country", |place| &place.country)
    ))
}

fn translation(config: &Config) -> Finding {
    let Some(engine) = wiring::translator(config).map_err(|error| format!("{error:#}"))? else {
        return Ok("off (translation.engine): text_en is set for English posts only".into());
    };
    let answer = engine.translate(&[Untranslated { text: "Guten Morgen", language: "de" }]).pop();
    let english = answer.unwrap_or_else(|| Err(Error::retry("no response"))).map_err(|error| error.to_string())?;
    Ok(format!("the service answers: \"Guten Morgen\" is {english:?}"))
}

async fn queue(config: &Config) -> Finding {
    if !config.data.join("overheard.db").exists() {
        return Ok("not created yet; `overheard up` creates it".into());
    }
    let queue = wiring::open_queue(config).map_err(|error| format!("{error:#}"))?;
    let depth = queue.depth().await.map_err(|error| error.to_string())?;
    let words = format!("{} waiting, {} dead letters", depth.waiting, depth.dead_letters);
    if depth.dead_letters_full {
        return Err(format!("{words}: {LETTERS_FULL}"));
    }
    if depth.waiting > config.queue.waiting_max / 10 * 9 {
        return Err(format!("{words}: nearly full; start `overheard up` if it is not running"));
    }
    Ok(words)
}

/// The rules that can't be judged.
async fn rules(config: &Config) -> Vec<Finding> {
    if !config.data.join("overheard.db").exists() {
        return Vec::new();
    }
    let Ok(queue) = wiring::open_queue(config) else { return Vec::new() };
    match alerting::rule_problems(config, queue).await {
        Ok(problems) => {
            let problems: BTreeMap<_, _> = problems.into_iter().collect();
            problems.into_iter().map(|(name, problem)| Err(format!("{name:?} {problem}"))).collect()
        }
        Err(error) => vec![Err(error.to_string())],
    }
}

async fn lake(config: &Config) -> Finding {
    let location = wiring::lake_location(config).map_err(|error| format!("{error:#}"))?;
    location.probe().await.map_err(|error| error.to_string())?;
    if !location.holds_a_lake().await.map_err(|error| error.to_string())? {
        return Ok(format!("not created yet in {location}; `overheard up` creates it"));
    }
    let lake = wiring::open_lake_read_only(config).await.map_err(|error| format!("{error:#}"))?;
    lake.check_sizes().await.map_err(|error| error.to_string())?;
    let count = lake.count_rows(TableName::Sentiment).await.map_err(|error| error.to_string())?;
    Ok(format!("{count} posts; no data file is missing (`overheard check` verifies their content)"))
}

/// The broker, where posts go through one.
async fn broker(config: &Config) -> Option<Finding> {
    match config.queue.engine {
        QueueEngine::Embedded => None,
        QueueEngine::Nats => Some(nats(config).await),
        QueueEngine::Sqs => Some(sqs(config).await),
    }
}

/// Makes the stream where it is missing.
async fn nats(config: &Config) -> Finding {
    let nats = wiring::nats(config).map_err(|error| format!("{error:#}"))?;
    let found = nats.make().await.map_err(|error| format!("{error}; check queue.nats"))?;
    let made = if found.was_made { "created" } else { "exists" };
    let warning = if found.replicas < 3 {
        "; set `sync_interval: always` in the jetstream block of nats-server or use three replicas, or a power failure \
         loses recently acknowledged messages (the listener sends them again)"
    } else {
        ""
    };
    let stream = &config.queue.nats.stream;
    Ok(format!("NATS stream {stream} {made}: {} waiting batches, {} bytes{warning}", found.messages, found.bytes))
}

async fn sqs(config: &Config) -> Finding {
    let sqs = wiring::sqs(config).map_err(|error| format!("{error:#}"))?;
    let waiting = sqs.check().await.map_err(|error| format!("{error}; check queue.sqs"))?;
    Ok(format!("SQS: about {waiting} waiting batches"))
}

fn server(config: &Config) -> Finding {
    match std::net::TcpListener::bind(&config.server.bind) {
        Ok(_) => Ok(format!("{} is free", config.server.bind)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(format!(
            "{} is in use, by `overheard up` or another program; if the latter, change server.bind",
            config.server.bind
        )),
        Err(error) => Err(format!("cannot listen on {}: {error}; change server.bind", config.server.bind)),
    }
}

/// Each source.
async fn sources(config: &Config) -> Vec<(&'static str, Finding)> {
    let mut findings: Vec<(&str, Finding)> = Vec::new();
    for configured in &config.sources.connectors {
        findings.push(("source", source(configured).await));
    }
    for push in &config.sources.push {
        let token = secrets::read(&push.token_env, "");
        let found = token.map(|_| format!("{}: token is set", push.name));
        findings.push(("source push", found.map_err(|error| format!("{}: {error:#}", push.name))));
    }
    findings
}

/// Asks the source's platform whether it accepts the configuration.
async fn source(source: &SourceConfig) -> Finding {
    let name = &source.name;
    if !source.enabled {
        return Ok(format!("{name}: off (enabled = false)"));
    }
    let connector = source.connector().map_err(|error| format!("{error:#}"))?;
    let check = connector.check(&SystemClock).await;
    match check.ok {
        true => Ok(format!("{name}: {}", check.summary)),
        false => Err(format!("{name}: {} ({})", check.summary, check.advice.unwrap_or_default())),
    }
}

//! Services that take over what people edit while the program runs, on the page or in another process: topics, categories
//! and blocked authors. Each looks at its documents every other second; nothing is lost by a restart.

use crate::config::Config;
use crate::wiring;
use anyhow::Result;
use domain::topic::TopicMatcher;
use domain::{StateStore, Topic};
use pipeline::Understand;
use state::{BlockedAuthors, Categories};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Waits; false: it is time to stop.
async fn wait(time: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = shutdown.cancelled() => false,
    }
}

/// Sees topics that were added, changed or removed.
pub(crate) async fn topics(
    state: Arc<dyn StateStore>,
    changed: watch::Sender<Vec<Topic>>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    while wait(LOOK_EVERY, &shutdown).await {
        match wiring::topics(state.as_ref()).await {
            Ok(topics) => {
                changed.send_if_modified(|known| {
                    let differs = *known != topics;
                    *known = topics;
                    differs
                });
            }
            Err(error) => warn!(error = format!("{error:#}"), "topics can't be read; the former ones stay"),
        }
    }
    Ok(())
}

/// From now on posts are matched against the topics as they are.
pub(crate) async fn apply_topics(
    understand: Arc<Understand>,
    mut topics: watch::Receiver<Vec<Topic>>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    loop {
        tokio::select! {
            changed = topics.changed() => if changed.is_err() {
                shutdown.cancelled().await;
            },
            () = shutdown.cancelled() => return Ok(()),
        }
        let now = topics.borrow_and_update().clone();
        let count = now.len();
        match TopicMatcher::of_readable(now) {
            Ok((matcher, problems)) => {
                problems.iter().for_each(|problem| warn!("{problem}"));
                understand.set_topics(matcher);
                info!(topics = count, "topics taken over");
            }
            Err(error) => warn!(%error, "a topic can't be read; the former ones stay"),
        }
    }
}

/// From now on posts are told apart by the categories as they are saved; `language` was loaded with them as they were
/// at the start.
pub(crate) async fn categories(
    config: Config,
    language: Arc<nlp::Understanding>,
    state: Arc<dyn StateStore>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    let mut known = Categories::new(state.as_ref()).saved().await?;
    while wait(LOOK_EVERY, &shutdown).await {
        let saved = match Categories::new(state.as_ref()).saved().await {
            Ok(saved) if saved != known => saved,
            Ok(_) => continue,
            Err(error) => {
                warn!(%error, "categories can't be read; the former ones stay");
                continue;
            }
        };
        match apply_categories(&config, &language, state.as_ref()).await {
            Ok(()) => info!(categories = saved.len(), "categories taken over"),
            Err(error) => warn!(error = format!("{error:#}"), "categories can't be used; the former ones stay"),
        }
        known = saved;
    }
    Ok(())
}

async fn apply_categories(config: &Config, language: &Arc<nlp::Understanding>, state: &dyn StateStore) -> Result<()> {
    let set = wiring::category_set(config, state).await?;
    let language = Arc::clone(language);
    // Examples are read by the model and a head is trained: seconds.
    Ok(tokio::task::spawn_blocking(move || language.set_categories(set.as_ref())).await??)
}

/// From now on posts of those authors are left out who are blocked.
pub(crate) async fn blocked_authors(
    state: Arc<dyn StateStore>,
    understand: Arc<Understand>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    let mut known = HashSet::new();
    loop {
        match BlockedAuthors::new(state.as_ref()).keys().await {
            Ok(blocked) if blocked != known => {
                info!(authors = blocked.len(), "blocked authors taken over");
                understand.set_blocked(blocked.clone());
                known = blocked;
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "blocked authors can't be read; the former ones stay"),
        }
        if !wait(LOOK_EVERY, &shutdown).await {
            return Ok(());
        }
    }
}

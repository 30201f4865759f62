//! Services that take over what people edit while the house runs, on this page or in another process: topics, categories
//! and corrections. Each looks at the small documents every other second; nothing is lost by a restart.

use crate::config::Config;
use crate::reprocess;
use crate::wiring;
use anyhow::Result;
use domain::topic::TopicMatcher;
use domain::{PostTable, StateStore, Topic};
use lake::{Lake, RawSelection};
use pipeline::Understand;
use state::{BlockedAuthors, Categories, Labels};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A person waits to see his correction in the counts.
const CORRECT_EVERY: Duration = Duration::from_millis(500);
/// Corrections written at once: one new file a day and table.
const CORRECTIONS_MAX: usize = 500;

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

/// Writes the rows of corrected posts anew, so that every count tells what people said.
pub(crate) async fn corrections(
    state: Arc<dyn StateStore>,
    lake: Arc<Lake>,
    understand: Arc<Understand>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    while wait(CORRECT_EVERY, &shutdown).await {
        if let Err(error) = correct(state.as_ref(), &lake, &understand).await {
            warn!(error = format!("{error:#}"), "corrections are not in the lake yet; trying again");
        }
    }
    Ok(())
}

async fn correct(state: &dyn StateStore, lake: &Lake, understand: &Arc<Understand>) -> Result<()> {
    let labels = Labels::new(state);
    let mut waiting = labels.waiting().await?;
    if waiting.is_empty() {
        return Ok(());
    }
    waiting.truncate(CORRECTIONS_MAX);
    let ids = waiting.iter().map(|(_, post_id)| post_id.clone()).collect();
    let stored = lake.raw_posts(&RawSelection::Ids(ids), "", CORRECTIONS_MAX).await?;
    let again = reprocess::understand_again(understand, &labels.current().await?, &stored).await?;
    if again.failed > 0 {
        warn!(posts = again.failed, "corrected posts can't be read any more; their rows stay as they are");
    }
    let count = again.posts.len();
    lake.rewrite(again.posts).await?;
    for (entry, _) in &waiting {
        labels.written(entry).await?;
    }
    info!(posts = count, "corrections written into the lake");
    Ok(())
}

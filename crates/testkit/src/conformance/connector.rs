//! What every connector must do, whatever its platform: nothing lost and nothing twice when it is cut off between any two
//! steps, when the platform fails in every way it can, and when the queue is full; edits and deletions followed; a stop
//! within a second; no secret where people can read it.

use crate::faulty_proxy::{FaultyProxy, Trouble};
use crate::steps::Steps;
use domain::{PostQueue, Record, StateStore};
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// A stop takes at most a second; a busy machine gets more, but far less than any wait of a connector.
const STOP_MAX: Duration = Duration::from_secs(8);
/// Cuts between steps that are tried, at most.
const CUTS_MAX: u64 = 40;

/// A platform in small, with posts to bring.
pub trait StandIn: Send + Sync {
    /// Where it listens, as `127.0.0.1:80`.
    fn address(&self) -> String;
    /// Ids of the posts that it offers, as `platform:native_id`. Called once the connector had time to read them.
    fn offered(&self) -> BTreeSet<String>;
    /// Edits a post. Returns the id of the version that is replaced; `None`: the platform has no edits.
    fn edit(&self) -> Option<String>;
    /// Deletes a post. Returns its id; `None`: the platform does not tell of deletions.
    fn delete(&self) -> Option<String>;
}

/// What a connector is started with.
pub struct Start {
    /// Base URL of the platform.
    pub url: String,
    pub queue: Arc<dyn PostQueue>,
    pub state: Arc<dyn StateStore>,
    pub shutdown: CancellationToken,
    /// Waits as long as with the real platform; else its waits are a few milliseconds.
    pub is_patient: bool,
}

/// A connector under test.
pub struct Subject<'a> {
    /// Makes a fresh platform that offers a few posts.
    pub stand_in: &'a (dyn Fn() -> BoxFuture<'static, Box<dyn StandIn>> + Sync),
    /// Starts the connector; ends when it ends.
    pub start: &'a (dyn Fn(Start) -> BoxFuture<'static, domain::Result<()>> + Sync),
    /// Texts that must not show in dead letters or in the state.
    pub secrets: &'a [&'a str],
}

/// Runs the suite.
pub async fn connector(subject: Subject<'_>) {
    posts_arrive_once(&subject).await;
    nothing_is_lost_when_it_is_cut_off(&subject).await;
    for trouble in Trouble::ALL {
        trouble_passes(&subject, trouble).await;
    }
    a_full_queue_is_waited_for(&subject).await;
    edits_and_deletions_are_followed(&subject).await;
    it_stops_at_once(&subject).await;
}

/// A run of the connector.
struct Run {
    shutdown: CancellationToken,
    task: JoinHandle<domain::Result<()>>,
}

impl Run {
    fn start(subject: &Subject<'_>, url: &str, steps: &Arc<Steps>, is_patient: bool) -> Self {
        let shutdown = CancellationToken::new();
        let start = Start {
            url: url.to_owned(),
            queue: steps.clone(),
            state: steps.clone(),
            shutdown: shutdown.clone(),
            is_patient,
        };
        Self { shutdown, task: tokio::spawn((subject.start)(start)) }
    }

    async fn stop(self, when: &str) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(STOP_MAX, self.task).await;
        let ended = ended.unwrap_or_else(|_| panic!("the connector does not stop {when}"));
        ended.expect("the connector does not panic").expect("a stop is no error");
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// Waits until all that the platform offers is in the queue, and checks that nothing is twice or besides.
async fn all_arrive(stand_in: &dyn StandIn, steps: &Steps, when: &str) {
    until(&format!("all posts are there {when}"), || stand_in.offered().is_subset(&steps.post_ids())).await;
    assert_eq!(steps.post_ids(), stand_in.offered(), "nothing else {when}");
    assert_eq!(steps.posts().len(), stand_in.offered().len(), "nothing twice {when}");
}

async fn posts_arrive_once(subject: &Subject<'_>) {
    let (stand_in, steps) = ((subject.stand_in)().await, Steps::endless());
    let url = format!("http://{}", stand_in.address());
    let run = Run::start(subject, &url, &steps, false);
    all_arrive(&*stand_in, &steps, "at first").await;
    run.stop("while it runs").await;
    let again = Run::start(subject, &url, &steps, false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    again.stop("after a restart").await;
    all_arrive(&*stand_in, &steps, "after a restart").await;
    let posts = steps.posts();
    assert!(posts.iter().all(|post| post.payload_format.is_some()), "payloads name their format");
    assert!(posts.iter().all(|post| post.occurred_at <= post.received_at + chrono::TimeDelta::days(1)));
}

/// The process dies before and after each append and each write of the cursor.
async fn nothing_is_lost_when_it_is_cut_off(subject: &Subject<'_>) {
    for cut in 0..CUTS_MAX {
        let (stand_in, steps) = ((subject.stand_in)().await, Steps::cut_after(cut));
        let url = format!("http://{}", stand_in.address());
        let run = Run::start(subject, &url, &steps, false);
        let when = format!("when it is cut off after {cut} steps");
        until(&format!("it goes on {when}"), || steps.is_cut() || stand_in.offered().is_subset(&steps.post_ids()))
            .await;
        let was_cut = steps.is_cut();
        run.task.abort();
        drop(run.task.await);
        steps.mend();
        let again = Run::start(subject, &url, &steps, false);
        all_arrive(&*stand_in, &steps, &when).await;
        again.stop(&when).await;
        if !was_cut {
            return;
        }
    }
}

async fn trouble_passes(subject: &Subject<'_>, trouble: Trouble) {
    let (stand_in, steps) = ((subject.stand_in)().await, Steps::endless());
    let proxy = FaultyProxy::start(stand_in.address()).await.expect("a proxy starts");
    proxy.set(Some(trouble));
    let run = Run::start(subject, &proxy.url(), &steps, false);
    until(&format!("it tries again after {trouble:?}"), || proxy.hits() >= 2).await;
    assert!(!run.task.is_finished(), "it does not end by {trouble:?}");
    proxy.set(None);
    all_arrive(&*stand_in, &steps, &format!("after {trouble:?}")).await;
    run.stop(&format!("after {trouble:?}")).await;
    for secret in subject.secrets {
        let shown = steps.everything_written();
        assert!(!shown.contains(secret), "a secret is written down after {trouble:?}");
    }
}

async fn a_full_queue_is_waited_for(subject: &Subject<'_>) {
    let (stand_in, steps) = ((subject.stand_in)().await, Steps::endless());
    steps.set_full(true);
    let run = Run::start(subject, &format!("http://{}", stand_in.address()), &steps, false);
    until("the queue refuses", || steps.refused() >= 2).await;
    steps.set_full(false);
    all_arrive(&*stand_in, &steps, "after the queue was full").await;
    steps.set_full(true);
    run.stop("while the queue is full").await;
}

async fn edits_and_deletions_are_followed(subject: &Subject<'_>) {
    let (stand_in, steps) = ((subject.stand_in)().await, Steps::endless());
    let run = Run::start(subject, &format!("http://{}", stand_in.address()), &steps, false);
    all_arrive(&*stand_in, &steps, "before edits").await;
    if let Some(replaced) = stand_in.edit() {
        let replaces = |post: &domain::Post| post.replaces.iter().any(|id| id.as_str() == replaced);
        until("the edit is there", || steps.posts().iter().any(replaces)).await;
    }
    if let Some(deleted) = stand_in.delete() {
        let deletes = |record: &Record| matches!(record, Record::Deletion(deletion) if deletion.id.as_str() == deleted);
        until("the deletion is there", || steps.records().iter().any(deletes)).await;
    }
    run.stop("after edits").await;
}

/// With the waits that it has in life.
async fn it_stops_at_once(subject: &Subject<'_>) {
    for trouble in [None, Some(Trouble::Silence), Some(Trouble::Drip), Some(Trouble::Status(503))] {
        let (stand_in, steps) = ((subject.stand_in)().await, Steps::endless());
        let proxy = FaultyProxy::start(stand_in.address()).await.expect("a proxy starts");
        proxy.set(trouble);
        let run = Run::start(subject, &proxy.url(), &steps, true);
        match trouble {
            None => all_arrive(&*stand_in, &steps, "before a stop").await,
            Some(_) => until("it has asked", || proxy.hits() >= 1).await,
        }
        run.stop(&format!("with {trouble:?}")).await;
    }
}

//! Reads the first posts of a source into memory, to show what it would bring.

use async_trait::async_trait;
use domain::{
    Appended, DeadLetter, Post, PostQueue, QueueDepth, Record, Result, SamplePost, SourceId, SourceTrial, Topic,
};
use sources::kit::status::SharedStatus;
use sources::{Check, Connector, Context};
use state::MemoryState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Posts that are shown.
const SAMPLES_MAX: usize = 5;
/// How long they are waited for.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a connector may take to stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Asks whether the platform lets the source in, and reads posts if `reads`.
pub(super) async fn try_out(connector: Box<dyn Connector>, topics: Vec<Topic>, reads: bool) -> SourceTrial {
    let clock = crate::clock();
    let Check { ok, summary, advice } = connector.check(clock.as_ref()).await;
    if !ok || !reads {
        return SourceTrial { ok, summary, advice, posts: Vec::new() };
    }
    let samples = Arc::new(Samples::default());
    let (topics, receiver) = watch::channel(topics);
    let context = Context {
        source: SourceId("trial".into()),
        queue: samples.clone(),
        state: Arc::new(MemoryState::default()),
        clock,
        topics: receiver,
        status: SharedStatus::default(),
    };
    let mut reading = tokio::spawn(connector.run(context, samples.enough.clone()));
    tokio::select! {
        () = tokio::time::sleep(WAIT_MAX) => {}
        () = samples.enough.cancelled() => {}
        _ = &mut reading => {}
    }
    samples.enough.cancel();
    if !reading.is_finished() && tokio::time::timeout(STOP_MAX, &mut reading).await.is_err() {
        reading.abort();
    }
    drop(topics);
    samples.report(summary)
}

/// A queue that takes the first posts and throws everything else away.
#[derive(Default)]
struct Samples {
    posts: Mutex<Vec<SamplePost>>,
    rejected: Mutex<Option<String>>,
    enough: CancellationToken,
}

impl Samples {
    fn report(&self, summary: String) -> SourceTrial {
        let posts = std::mem::take(&mut *self.posts.lock().unwrap_or_else(PoisonError::into_inner));
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner).take();
        let advice = match rejected {
            Some(reason) => Some(format!("something that came could not be read: {reason}")),
            None if posts.is_empty() => Some(format!(
                "no post came within {} s that your topics want; it can still be added",
                WAIT_MAX.as_secs()
            )),
            None => None,
        };
        SourceTrial { ok: true, summary, advice, posts }
    }
}

fn sample(post: Post) -> SamplePost {
    SamplePost {
        post_id: post.id.to_string(),
        author: post.author.and_then(|author| author.username),
        url: post.url,
        occurred_at: post.occurred_at,
        text: post.text,
    }
}

#[async_trait]
impl PostQueue for Samples {
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>> {
        let count = records.len() as u64;
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if let Record::Post(post) = record
                && posts.len() < SAMPLES_MAX
            {
                posts.push(sample(*post));
            }
        }
        if posts.len() == SAMPLES_MAX {
            self.enough.cancel();
        }
        Ok((0..count).map(Appended::Stored).collect())
    }
    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> Result<()> {
        let first = letters.into_iter().next().map(|letter| letter.reason);
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        *rejected = rejected.take().or(first);
        Ok(())
    }

    async fn dead_letters_before(&self, _before: u64, _limit: usize) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    async fn find_dead_letter(&self, _id: u64) -> Result<Option<DeadLetter>> {
        Ok(None)
    }

    async fn remove_dead_letter(&self, _id: u64) -> Result<Option<DeadLetter>> {
        Ok(None)
    }

    async fn depth(&self) -> Result<QueueDepth> {
        Ok(QueueDepth::default())
    }
}

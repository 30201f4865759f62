//! How a service on the network is asked. The ports of the house are synchronous and the network is not: one thread of its
//! own holds the client. A batch of questions is asked side by side; answers are remembered, because the same lines come
//! again and each call costs money or time. After a failure the service is left alone for a while, so that an outage
//! delays no post.

use crate::kept::Kept;
use domain::{Error, ErrorKind, Result};
use futures::StreamExt;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Batches that wait for the thread; more make their callers wait.
const WAITING_MAX: usize = 16;

/// How hard a service may be asked.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For one call.
    pub timeout: Duration,
    /// How long the service is left alone after a failure.
    pub rest: Duration,
    /// Answers that are remembered.
    pub kept_max: usize,
    /// Calls under way at once.
    pub calls_max: usize,
}

/// A service that answers questions.
pub(crate) trait Service: Send + Sync + 'static {
    /// Most questions of one call.
    const QUESTIONS_MAX: usize = 1;
    /// Equal questions have equal answers; those that follow on each other are asked in one call.
    type Question: Clone + Debug + Eq + Ord + Hash + Send + 'static;
    type Answer: Clone + Send + 'static;

    /// As people call it.
    fn name(&self) -> &'static str;

    /// One answer a question, in order. Kind `Reject`: this question is refused, which says nothing about the service.
    /// `Retry`: the service fails.
    async fn call(&self, questions: &[Self::Question]) -> Vec<Result<Self::Answer>>;
}

type Answered<S> = (<S as Service>::Question, Result<<S as Service>::Answer>);

struct Batch<S: Service> {
    questions: Vec<S::Question>,
    answer: std::sync::mpsc::Sender<Vec<Answered<S>>>,
}

/// A service with its thread and its memory. Shared freely between threads.
pub(crate) struct Asking<S: Service> {
    name: &'static str,
    batches: mpsc::Sender<Batch<S>>,
    kept: Mutex<Kept<S::Question, S::Answer>>,
    /// Until when the service is left alone, and why.
    resting: Mutex<Option<(Instant, String)>>,
    rest: Duration,
}

/// A server that is there takes a connection within this.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A client for the service's calls; redirects are not followed.
pub(crate) fn client(limits: &Limits) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(limits.timeout)
        .connect_timeout(CONNECT_MAX.min(limits.timeout))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::caused(ErrorKind::Stop, "make a client", error))
}

impl<S: Service> Asking<S> {
    /// Starts the thread; calls nothing yet.
    pub(crate) fn start(service: S, limits: &Limits) -> Result<Self> {
        let name = service.name();
        let stop = |error: std::io::Error| Error::stop(format!("start a thread for {name}: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(stop)?;
        let (batches, waiting) = mpsc::channel(WAITING_MAX);
        let calls_max = limits.calls_max.max(1);
        std::thread::Builder::new()
            .name(name.replace(' ', "-"))
            .spawn(move || runtime.block_on(serve(service, waiting, calls_max)))
            .map_err(stop)?;
        Ok(Self {
            name,
            batches,
            kept: Mutex::new(Kept::new(limits.kept_max)),
            resting: Mutex::default(),
            rest: limits.rest,
        })
    }

    /// One question's answer.
    pub(crate) fn ask(&self, question: S::Question) -> Result<S::Answer> {
        let unanswered = || Err(Error::retry(format!("{} gave no answer", self.name)));
        self.ask_all(vec![question]).into_values().next().unwrap_or_else(unanswered)
    }

    /// Each question's answer, from memory, else from the service.
    pub(crate) fn ask_all(&self, mut questions: Vec<S::Question>) -> HashMap<S::Question, Result<S::Answer>> {
        questions.sort_unstable();
        questions.dedup();
        let mut answers = HashMap::with_capacity(questions.len());
        let mut unknown = Vec::new();
        for question in questions {
            match lock(&self.kept).get(&question) {
                Some(answer) => drop(answers.insert(question, Ok(answer))),
                None => unknown.push(question),
            }
        }
        if unknown.is_empty() {
            return answers;
        }
        let failure = match self.fetch(unknown.clone()) {
            Ok(answered) => {
                answers.extend(answered);
                answers.values().find_map(|answer| answer.as_ref().err().filter(|error| fails(error))).map(words)
            }
            Err(error) => Some(words(&error)),
        };
        if let Some(failure) = failure {
            // What was not asked any more.
            for question in unknown {
                answers.entry(question).or_insert_with(|| Err(Error::retry(failure.clone())));
            }
        }
        answers
    }

    /// Asks the service and remembers what it said. After a failure the rest of the batch is not asked.
    fn fetch(&self, questions: Vec<S::Question>) -> Result<Vec<Answered<S>>> {
        if let Some((until, why)) = lock(&self.resting).as_ref()
            && Instant::now() < *until
        {
            return Err(Error::retry(why.clone()));
        }
        let answered = self.send(questions)?;
        for (question, answer) in &answered {
            match answer {
                Ok(answer) => lock(&self.kept).put(question.clone(), answer.clone()),
                Err(error) if fails(error) => {
                    tracing::warn!(%error, rest_s = self.rest.as_secs(), "{} is left alone for a while", self.name);
                    *lock(&self.resting) = Some((Instant::now() + self.rest, words(error)));
                }
                Err(_) => {}
            }
        }
        Ok(answered)
    }

    /// Through the thread, and back.
    fn send(&self, questions: Vec<S::Question>) -> Result<Vec<Answered<S>>> {
        let (answer, answered) = std::sync::mpsc::channel();
        let gone = || Error::retry(format!("the thread of {} has ended", self.name));
        let mut batch = Batch { questions, answer };
        loop {
            // The caller's thread may belong to a runtime, where the channel's own blocking call would panic.
            match self.batches.try_send(batch) {
                Ok(()) => return answered.recv().map_err(|_| gone()),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(gone()),
                Err(mpsc::error::TrySendError::Full(back)) => batch = back,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn serve<S: Service>(service: S, mut waiting: mpsc::Receiver<Batch<S>>, calls_max: usize) {
    while let Some(batch) = waiting.recv().await {
        let mut calls = futures::stream::iter(batch.questions.chunks(S::QUESTIONS_MAX))
            .map(|questions| async { questions.iter().cloned().zip(service.call(questions).await) })
            .buffer_unordered(calls_max);
        let mut answers = Vec::new();
        while let Some(answered) = calls.next().await {
            let before = answers.len();
            answers.extend(answered);
            if answers[before..].iter().any(|(_, answer): &Answered<S>| answer.as_ref().is_err_and(fails)) {
                break;
            }
        }
        drop(calls);
        // Whoever asked may have stopped waiting.
        drop(batch.answer.send(answers));
    }
}

/// Whether it is the service that fails, and not one question that it refuses.
fn fails(error: &Error) -> bool {
    error.kind() == ErrorKind::Retry
}

fn words(error: &Error) -> String {
    error.to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

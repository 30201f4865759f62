//! The one thread that writes. Writes that wait together share one transaction and one fsync (group commit): the
//! answer to each goes out only after that fsync. Relies on SQLite's transactions: a group is on disk whole or not at
//! all, so a failed group is answered with the error and nothing of it stays. Each write of a group has a savepoint of
//! its own: one that SQLite refuses for what its caller brought is undone alone.

use crate::error::{Error, Result, is_callers_own, passes_by_itself};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

/// Writes that wait while one group is on its way to the disk; more than that make their callers wait.
const WAITING_WRITES_MAX: usize = 64;
/// A group is closed at about so many rows, which bounds how long the first of them waits for its answer.
const GROUP_ROWS_MAX: usize = 8_192;

/// Tells the caller how the group ended.
type Finish = Box<dyn FnOnce(std::result::Result<(), &Failure>) + Send>;
/// Without a transaction (the group failed before) it only gives back how to tell its caller.
type Apply = Box<dyn FnOnce(Option<&Transaction<'_>>) -> (rusqlite::Result<()>, Finish) + Send>;

/// One write, with about how many rows it touches.
struct Job {
    rows: usize,
    apply: Apply,
}

/// Why a write, or the group that it was in, failed.
struct Failure {
    text: String,
    code: Option<rusqlite::ffi::Error>,
    is_callers_own: bool,
}

impl Failure {
    fn of(source: &rusqlite::Error) -> Self {
        let code = match source {
            rusqlite::Error::SqliteFailure(code, _) => Some(*code),
            _ => None,
        };
        Self { text: source.to_string(), code, is_callers_own: is_callers_own(source) }
    }

    fn error(&self) -> Error {
        if self.is_callers_own {
            return Error::Refused(self.text.clone());
        }
        let code = self.code.unwrap_or_else(|| rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR));
        let source = rusqlite::Error::SqliteFailure(code, Some(self.text.clone()));
        Error::Sqlite { doing: "write to the queue", source }
    }
}

/// Hands writes to the thread.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Why nothing more is written, once that is so.
    poison: watch::Receiver<Option<String>>,
}

impl Writer {
    /// Starts the thread on its own connection.
    pub(crate) fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_WRITES_MAX);
        let (poisoned, poison) = watch::channel(None);
        let thread = std::thread::Builder::new()
            .name("queue-writer".into())
            .spawn(move || write_groups(connection, waiting, &poisoned))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), poison })
    }

    /// Runs `write` within the next group's transaction; returns when that transaction is on disk.
    pub(crate) async fn write<T, F>(&self, rows: usize, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.refuse_when_poisoned()?;
        let (answer, answered) = oneshot::channel::<Result<T>>();
        let apply: Apply = Box::new(move |transaction| {
            let (applied, value) = match transaction.map(write) {
                Some(Ok(value)) => (Ok(()), Some(value)),
                Some(Err(error)) => (Err(error), None),
                None => (Ok(()), None),
            };
            let finish: Finish = Box::new(move |ended| {
                let result = match (ended, value) {
                    (Ok(()), Some(value)) => Ok(value),
                    (Err(failure), _) => Err(failure.error()),
                    (Ok(()), None) => Err(Error::Closed),
                };
                // The caller may have stopped waiting; what he asked for is on disk all the same.
                drop(answer.send(result));
            });
            (applied, finish)
        });
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(Job { rows, apply }).await.map_err(|_| self.gone())?;
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Waits until nothing more can be written; says why.
    pub(crate) async fn failed(&self) -> String {
        let mut poison = self.poison.clone();
        let reason = poison.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| "the queue's writer ended".into())
    }

    fn refuse_when_poisoned(&self) -> Result<()> {
        match self.poison.borrow().as_ref() {
            Some(reason) => Err(Error::Poisoned(reason.clone())),
            None => Ok(()),
        }
    }

    fn gone(&self) -> Error {
        self.refuse_when_poisoned().err().unwrap_or(Error::Closed)
    }
}

impl Drop for Writer {
    /// Waits for the writes under way, so that the file is closed when the queue is.
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("queue writer panicked");
        }
    }
}

fn write_groups(mut connection: Connection, mut waiting: mpsc::Receiver<Job>, poison: &watch::Sender<Option<String>>) {
    let mut neighbours = Neighbours::default();
    while let Some(first) = waiting.blocking_recv() {
        let group = gather(first, &mut waiting);
        let began = Instant::now();
        if let Some(failure) = write_group(&mut connection, group) {
            // Dropping the receiver fails everyone who waits; the reason is there before.
            error!(reason = %failure, "queue write failed; no more writes are taken");
            drop(poison.send(Some(failure)));
            return;
        }
        metrics::histogram!("overheard_queue_commit_seconds").record(began.elapsed().as_secs_f64());
        neighbours.make_room(&connection);
    }
}

fn gather(first: Job, waiting: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut rows = first.rows;
    let mut group = vec![first];
    while rows < GROUP_ROWS_MAX {
        let Ok(job) = waiting.try_recv() else { break };
        rows += job.rows;
        group.push(job);
    }
    group
}

/// Writes one group and tells everyone in it. Returns the reason when the file can't be trusted any more.
fn write_group(connection: &mut Connection, group: Vec<Job>) -> Option<String> {
    let mut finishes = Vec::with_capacity(group.len());
    let mut jobs = group.into_iter();
    let outcome = (|| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in jobs.by_ref() {
            write_one(&transaction, job, &mut finishes)?;
        }
        transaction.commit()
    })();
    finishes.extend(jobs.map(|job| (job.apply)(None).1));
    let Err(source) = outcome else {
        finishes.into_iter().for_each(|finish| finish(Ok(())));
        return None;
    };
    let failure = Failure { is_callers_own: false, ..Failure::of(&source) };
    finishes.into_iter().for_each(|finish| finish(Err(&failure)));
    if passes_by_itself(&source) {
        warn!(reason = %failure.text, "queue write put off");
        return None;
    }
    Some(failure.text)
}

/// Runs one write in a savepoint. A mistake of its caller's undoes and fails this write alone.
fn write_one(transaction: &Transaction<'_>, job: Job, finishes: &mut Vec<Finish>) -> rusqlite::Result<()> {
    let run = |sql: &str| transaction.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT one_write")?;
    let (applied, finish) = (job.apply)(Some(transaction));
    match applied {
        Err(error) if is_callers_own(&error) => {
            let undone = run("ROLLBACK TO one_write");
            finish(Err(&Failure::of(&error)));
            undone?;
        }
        applied => {
            finishes.push(finish);
            applied?;
        }
    }
    run("RELEASE one_write")
}

/// Leaves the lock free for a moment when another process writes too: SQLite's lock is not fair, and a busy importer
/// would starve the acks of a running service. Costs nothing while we are alone.
#[derive(Default)]
struct Neighbours {
    data_version: i64,
    seen_at: Option<Instant>,
}

impl Neighbours {
    /// How long another process' last write makes us polite.
    const REMEMBERED: Duration = Duration::from_secs(2);
    /// Longer than the interval at which a waiting writer tries again.
    const PAUSE: Duration = Duration::from_millis(2);

    fn make_room(&mut self, connection: &Connection) {
        // The number changes only when another connection has written.
        let found = connection.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap_or(0);
        if self.data_version != 0 && found != self.data_version {
            self.seen_at = Some(Instant::now());
        }
        self.data_version = found;
        if self.seen_at.is_some_and(|at| at.elapsed() < Self::REMEMBERED) {
            std::thread::sleep(Self::PAUSE);
        }
    }
}

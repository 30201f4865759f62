//! SQL of people in processes of their own. The database engine can't bound what one function allocates (`repeat`), how
//! deep an expression nests, or how long it computes without giving way; the operating system can. A worker is this
//! program once more, with limits on its memory set by itself before it reads the first statement; its owner ends it
//! when the statement's time is over or nobody waits for the answer any more. What happens to a worker is told to the
//! person whose statement it was, and to nobody else.
//!
//! Workers stay for the next statement: opening a large lake takes longer than most answers.
//!
//! The protocol, over the worker's standard input and output, JSON with one value a line: `Setup` in, `Reply` out once the
//! lake is open; then for each `Request` one `Reply`, of which `Answer` is followed by the rows, a JSON array of
//! `bytes` bytes.

mod child;

pub use child::run_sql_worker;

use crate::location::Location;
use crate::statement::too_slow;
use crate::storage::Settings;
use async_trait::async_trait;
use domain::{Column, Error, QueryLimits, Result, SqlAnswer, SqlRunner};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// Limits of the workers.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The program and its arguments that run [`run_sql_worker`].
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Where the lake is.
    pub lake: Location,
    /// Statements that are answered at one time, each by a worker of its own.
    pub at_once: usize,
    /// Memory that one worker may take, in bytes.
    pub memory_bytes: u64,
    /// Disk that one worker may use for what doesn't fit its memory, in bytes.
    pub spill_bytes: u64,
    /// Largest answer, in bytes of its rows as JSON.
    pub answer_bytes_max: usize,
    /// A worker that is asked nothing for so long is ended.
    pub idle: Duration,
}

#[derive(Serialize, Deserialize)]
struct Setup {
    lake: Settings,
    memory_bytes: u64,
    spill: PathBuf,
    spill_bytes: u64,
    answer_bytes_max: usize,
}

#[derive(Serialize, Deserialize)]
struct Request {
    sql: String,
    rows_max: usize,
}

#[derive(Serialize, Deserialize)]
enum Reply {
    /// The lake is open.
    Ready,
    /// `bytes` of rows follow. `last`, here and below: the worker has grown and ends now.
    Answer { columns: Vec<Column>, truncated: bool, bytes: usize, last: bool },
    /// The statement is at fault.
    Refused { message: String, last: bool },
    /// The worker is at fault.
    Failed(String),
}

/// The longest first line of a reply: the names of columns.
const HEAD_BYTES_MAX: u64 = 4 << 20;
/// A worker that does not come up in this time is given up.
const START_MAX: Duration = Duration::from_secs(60);
/// Of the environment a worker gets only these: it needs no secret.
const ENVIRONMENT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "TMPDIR"];
/// And for a lake in a bucket those by which the provider's credentials are found. No statement can read them.
const BUCKET_ENVIRONMENT: [&str; 5] = ["AWS_", "GOOGLE_", "AZURE_", "SSL_CERT_", "HOME"];

/// The workers of one lake.
pub struct SqlWorkers {
    config: WorkerConfig,
    places: Semaphore,
    idle: Arc<Mutex<Vec<(Instant, Worker)>>>,
    started: AtomicU64,
}

#[async_trait]
impl SqlRunner for SqlWorkers {
    async fn sql(&self, sql: &str, limits: QueryLimits) -> Result<SqlAnswer> {
        let place = timeout(limits.timeout, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Error::retry("too many statements are running; try again in a moment"));
        };
        let mut worker = match self.take_idle() {
            Some(worker) => worker,
            None => self.start().await?,
        };
        let request = Request { sql: sql.to_owned(), rows_max: limits.rows_max };
        let reply = match timeout(limits.timeout, worker.exchange(&request, self.config.answer_bytes_max)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => return Err(self.ended(worker).await),
            Err(_) => return Err(too_slow(limits.timeout)),
        };
        match reply {
            (Reply::Answer { columns, truncated, last, .. }, rows) => {
                if !last {
                    self.keep(worker);
                }
                Ok(SqlAnswer { columns, rows, truncated })
            }
            (Reply::Refused { message, last }, _) => {
                if !last {
                    self.keep(worker);
                }
                Err(Error::reject(message))
            }
            (Reply::Failed(message), _) => Err(Error::retry(message)),
            (Reply::Ready, _) => Err(Error::retry("the SQL worker answered out of turn")),
        }
    }
}

impl SqlWorkers {
    /// Starts none yet: the first statement does.
    pub fn new(config: WorkerConfig) -> Self {
        let places = Semaphore::new(config.at_once.max(1));
        Self { config, places, idle: Arc::default(), started: AtomicU64::new(0) }
    }

    fn take_idle(&self) -> Option<Worker> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, mut worker)) = idle.pop() {
            if worker.is_alive() {
                return Some(worker);
            }
        }
        None
    }

    fn keep(&self, worker: Worker) {
        let (idle, after) = (Arc::clone(&self.idle), self.config.idle);
        idle.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), worker));
        tokio::spawn(async move {
            sleep(after).await;
            idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|(since, _)| since.elapsed() < after);
        });
    }

    async fn start(&self) -> Result<Worker> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            remove_left_over(&self.config.lake.scratch());
        }
        let spill = self.config.lake.scratch().join(format!("{SPILL_PREFIX}{number}"));
        let failed = |error: io::Error| Error::retry(format!("the SQL worker can't be started: {error}"));
        let mut worker = Worker::spawn(&self.config, spill.clone()).map_err(failed)?;
        let Some(lake) = self.config.lake.settings() else {
            return Err(Error::stop("the SQL worker can't be told where the lake is"));
        };
        let setup = Setup {
            lake,
            memory_bytes: self.config.memory_bytes,
            spill,
            spill_bytes: self.config.spill_bytes,
            answer_bytes_max: self.config.answer_bytes_max,
        };
        match timeout(START_MAX, worker.exchange(&setup, 0)).await {
            Ok(Ok((Reply::Ready, _))) => Ok(worker),
            Ok(Ok((Reply::Failed(message), _))) => Err(Error::retry(message)),
            Ok(Ok((Reply::Answer { .. } | Reply::Refused { .. }, _))) => {
                Err(Error::retry("the SQL worker answered out of turn"))
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// What is told when a statement ended its worker.
    async fn ended(&self, mut worker: Worker) -> Error {
        let status = match &mut worker.child {
            Some(child) => timeout(Duration::from_secs(1), child.wait()).await.ok().and_then(io::Result::ok),
            None => None,
        };
        tracing::warn!(status = status.map(|status| status.to_string()), "a statement ended its SQL worker");
        metrics::counter!("overheard_sql_workers_ended_total").increment(1);
        Error::reject(format!(
            "the statement was stopped: it needs more memory than one may take ({} MB) or nests too deeply; narrow the time \
             range, group by fewer values, or write it with fewer terms",
            self.config.memory_bytes >> 20
        ))
    }
}

/// One running worker. Dropping it ends the process, whatever it does, and removes its spilled data.
struct Worker {
    child: Option<Child>,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    spill: PathBuf,
}

impl Worker {
    fn spawn(config: &WorkerConfig, spill: PathBuf) -> io::Result<Self> {
        let is_kept = |name: &str| {
            let of_bucket = || BUCKET_ENVIRONMENT.iter().any(|prefix| name.starts_with(prefix));
            ENVIRONMENT.contains(&name) || (config.lake.is_bucket() && of_bucket())
        };
        let kept = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
        let mut child = Command::new(&config.program)
            .args(&config.arguments)
            .env_clear()
            .envs(kept)
            // Each arena of the allocator reserves memory that the limit counts.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // How it ends is told by `ended`.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self { child: Some(child), stdin, stdout: BufReader::new(stdout), spill })
    }

    fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Sends a line; reads the reply and the rows that follow it.
    async fn exchange(&mut self, message: &impl Serialize, bytes_max: usize) -> io::Result<(Reply, Vec<u8>)> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await?;
        let mut head = Vec::new();
        (&mut self.stdout).take(HEAD_BYTES_MAX).read_until(b'\n', &mut head).await?;
        let reply = serde_json::from_slice(&head)?;
        let mut rows = Vec::new();
        if let Reply::Answer { bytes, .. } = &reply {
            if *bytes > bytes_max {
                return Err(io::ErrorKind::InvalidData.into());
            }
            rows.resize(*bytes, 0);
            self.stdout.read_exact(&mut rows).await?;
        }
        Ok((reply, rows))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let (child, spill) = (self.child.take(), std::mem::take(&mut self.spill));
        let Some(mut child) = child else { return };
        // Outside a runtime `kill_on_drop` does the killing, and the next start the removal.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // It may have ended by itself; it may have spilled nothing.
                drop(child.kill().await);
                drop(tokio::fs::remove_dir_all(spill).await);
            });
        }
    }
}

const SPILL_PREFIX: &str = "sql-";

/// Removes what workers of an earlier process left when it was killed.
fn remove_left_over(spilled: &Path) {
    for entry in std::fs::read_dir(spilled).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SPILL_PREFIX)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, folder = %entry.path().display(), "spilled data of an earlier SQL worker stays");
        }
    }
}

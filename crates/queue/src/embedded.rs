//! The queue in one file: its opening, and the listener's calls, each a short walk to the writer's thread or to a reader's
//! connection.

use crate::append::{self, PreparedLetter, Room};
use crate::consumer::Consumer;
use crate::error::{Doing, Error};
use crate::partitions::{self, PARTITIONS_MAX};
use crate::progress::Progress;
use crate::record;
use crate::schema;
use crate::writer::Writer;
use async_trait::async_trait;
use domain::{Appended, Clock, DeadLetter, PartitionId, PostId, PostQueue, QueueDepth, Record, Result, StateStore};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::sync::Notify;

/// Limits of the queue.
#[derive(Debug, Clone)]
pub struct Config {
    /// Records that may wait on disk; more than an hour of 200 posts/s.
    pub waiting_max: u64,
    /// Bytes of records that may wait on disk.
    pub waiting_bytes_max: u64,
    /// Dead letters that are kept, and their bytes; sources wait, or are refused, beyond.
    pub dead_letters_max: u64,
    pub dead_letters_bytes_max: u64,
    /// Bytes of records in one lease, or of letters in one page, so that large posts don't fill the memory; at least one record is lent.
    pub lease_bytes_max: usize,
    /// Leases that may be out at once.
    pub leases_max: usize,
    /// How often `wait` looks for what another process appended.
    pub poll: Duration,
    /// Partitions of a new queue; one that exists can get more while nothing waits in it.
    pub partitions: u16,
    /// Days after a post's event for which its id is remembered; None: for ever (about 40 bytes each). No shorter than
    /// the retention of the lake, or a repeat would be counted twice.
    pub seen_days: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            waiting_max: 1_000_000,
            waiting_bytes_max: 4 << 30,
            dead_letters_max: 100_000,
            dead_letters_bytes_max: 1 << 30,
            lease_bytes_max: 32 << 20,
            leases_max: 4,
            poll: Duration::from_millis(200),
            partitions: 1,
            seen_days: None,
        }
    }
}

/// The queue and the document store in one SQLite file.
pub struct Embedded {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    writer: Writer,
    pub(crate) path: PathBuf,
    pub(crate) partitions: RwLock<Arc<[PartitionId]>>,
    /// Two readers, so that a large lease never holds up the look-up of a session.
    records: Arc<Mutex<Connection>>,
    documents: Arc<Mutex<Connection>>,
    /// Where the documents are instead, if several machines share them.
    pub(crate) shared_documents: Option<Arc<dyn StateStore>>,
    pub(crate) consumer: tokio::sync::Mutex<Consumer>,
    pub(crate) appended: Notify,
}

impl Embedded {
    /// Keeps the documents in this store, and none in the queue's file.
    #[must_use]
    pub fn with_shared_documents(mut self, store: Arc<dyn StateStore>) -> Self {
        self.shared_documents = Some(store);
        self
    }

    /// Opens the queue's file, and makes it when it isn't there.
    pub fn open(path: impl AsRef<Path>, config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let path = path.as_ref();
        let count = config.partitions.clamp(1, PARTITIONS_MAX);
        let connection = schema::open_writer(path, count)?;
        let (records, documents) = (schema::open_reader(path)?, schema::open_reader(path)?);
        let identity = schema::identity(&records).doing("read the queue's identity")?;
        let started = Writer::start(connection);
        let writer = started.map_err(|source| Error::Open { path: path.to_path_buf(), source })?;
        let mut lock_name = path.as_os_str().to_owned();
        lock_name.push(".consumer");
        Ok(Self {
            config,
            clock,
            writer,
            path: path.to_path_buf(),
            partitions: RwLock::new(partitions::names(&identity, count).into()),
            records: Arc::new(Mutex::new(records)),
            documents: Arc::new(Mutex::new(documents)),
            shared_documents: None,
            consumer: tokio::sync::Mutex::new(Consumer::new(lock_name.into())),
            appended: Notify::new(),
        })
    }

    /// Forgets ids older than [`Config::seen_days`]; returns how many. Reads the whole table of ids: once a day is enough.
    /// Days are counted back from the newest event that is known, or from today where that is earlier, so that a clock
    /// that runs years ahead makes nothing be forgotten.
    pub async fn maintain(&self) -> Result<usize, Error> {
        let Some(days) = self.config.seen_days else { return Ok(0) };
        let newest: Option<i64> = self
            .read_records(|connection| connection.query_row("SELECT max(event_day) FROM seen", [], |row| row.get(0)))
            .await?;
        let Some(newest) = newest else { return Ok(0) };
        let day = newest.min(self.clock.now().timestamp().div_euclid(86_400)) - i64::from(days);
        let (mut forgotten, count) = (0, self.partitions().len() as u16);
        for slice in 0..append::SLICES {
            let forget = self.writer.write(1, move |t| append::forget_seen(t, slice, day, count));
            forgotten += forget.await?;
        }
        Ok(forgotten)
    }

    /// Waits until nothing more can be written to the file; says why. The process must end then.
    pub async fn failed(&self) -> String {
        self.writer.failed().await
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    pub(crate) async fn read_documents<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        read_on(&self.documents, read).await
    }

    pub(crate) async fn read_records<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        read_on(&self.records, read).await
    }

    fn letters_room(&self) -> Room {
        Room { records_max: self.config.dead_letters_max, bytes_max: self.config.dead_letters_bytes_max }
    }

    pub(crate) async fn keep_letters(&self, letters: Vec<DeadLetter>, room: Option<Room>) -> Result<(), Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let preparing = tokio::task::spawn_blocking(move || {
            letters.iter().map(PreparedLetter::new).collect::<serde_json::Result<Vec<_>>>()
        });
        let letters = preparing.await.map_err(|_| Error::Closed)?.doing("write a dead letter as JSON")?;
        let write = self.writer.write(letters.len(), move |t| append::keep_letters(t, &letters, room));
        match write.await? {
            Ok(kept) => metrics::counter!("overheard_queue_dead_letters_total").increment(kept as u64),
            Err(Progress { letters, letter_bytes, .. }) => {
                return Err(Error::LettersFull { letters, letter_bytes });
            }
        }
        Ok(())
    }
}

/// Reads on a connection away from the async threads.
async fn read_on<T, F>(connection: &Arc<Mutex<Connection>>, read: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let connection = Arc::clone(connection);
    let task = tokio::task::spawn_blocking(move || {
        let connection = connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        read(&connection).doing("read from the queue")
    });
    task.await.unwrap_or(Err(Error::Closed))
}

#[async_trait]
impl PostQueue for Embedded {
    #[tracing::instrument(level = "warn", skip_all, fields(records = records.len()))]
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let preparing =
            tokio::task::spawn_blocking(move || records.iter().map(record::prepare).collect::<Result<Vec<_>, Error>>());
        let prepared = preparing.await.unwrap_or(Err(Error::Closed))?;
        let room = Room { records_max: self.config.waiting_max, bytes_max: self.config.waiting_bytes_max };
        let now_ms = self.clock.now().timestamp_millis();
        let count = self.partitions().len() as u16;
        let write = self.writer.write(prepared.len(), move |t| append::append(t, &prepared, count, room, now_ms));
        let answers = match write.await? {
            Ok(answers) => answers,
            Err(Progress { waiting, waiting_bytes, .. }) => return Err(Error::Full { waiting, waiting_bytes }.into()),
        };
        let stored = answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count();
        metrics::counter!("overheard_queue_appended_records_total").increment(stored as u64);
        metrics::counter!("overheard_queue_duplicate_records_total").increment((answers.len() - stored) as u64);
        if stored > 0 {
            self.appended.notify_waiters();
        }
        Ok(answers)
    }

    async fn has(&self, ids: Vec<PostId>) -> Result<Vec<bool>> {
        let read = self.read_records(move |connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM seen WHERE post_key = ?")?;
            ids.iter().map(|id| statement.exists(params![record::post_key(id)])).collect()
        });
        Ok(read.await?)
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> Result<()> {
        Ok(self.keep_letters(letters, Some(self.letters_room())).await?)
    }

    async fn dead_letters_before(&self, before: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let bytes_max = self.config.lease_bytes_max;
        let read = self.read_records(move |connection| {
            let sql = "SELECT id, body FROM dead_letters WHERE id < ? ORDER BY id DESC LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![before, limit])?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let body: String = row.get(1)?;
                bytes += body.len();
                if bytes > bytes_max && !found.is_empty() {
                    break;
                }
                found.push(append::letter(row.get(0)?, &body));
            }
            Ok(found)
        });
        Ok(read.await?)
    }

    async fn find_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        let Ok(key) = i64::try_from(id) else { return Ok(None) };
        let read = self.read_records(move |connection| {
            let sql = "SELECT body FROM dead_letters WHERE id = ?";
            connection.prepare_cached(sql)?.query_row(params![key], |row| row.get::<_, String>(0)).optional()
        });
        Ok(read.await?.map(|body| append::letter(id, &body)))
    }

    async fn remove_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        // No letter has an id beyond SQLite's numbers.
        let Ok(key) = i64::try_from(id) else { return Ok(None) };
        let body = self.writer.write(1, move |transaction| append::take_letter(transaction, key)).await?;
        Ok(body.map(|body| append::letter(id, &body)))
    }

    async fn depth(&self) -> Result<QueueDepth> {
        let in_flight = self.consumer.lock().await.in_flight();
        let count = self.partitions().len() as u16;
        let (progress, oldest) = self
            .read_records(move |connection| Ok((Progress::read(connection)?, partitions::oldest(connection, count)?)))
            .await?;
        let now_ms = self.clock.now().timestamp_millis();
        Ok(QueueDepth {
            waiting: progress.waiting.saturating_sub(in_flight),
            in_flight,
            dead_letters: progress.letters,
            dead_letters_full: self.letters_room().is_full(progress.letters, progress.letter_bytes),
            appended: progress.appended,
            duplicates: progress.duplicates,
            oldest_ms: oldest.map_or(0, |at| u64::try_from(now_ms.saturating_sub(at)).unwrap_or(0)),
        })
    }
}

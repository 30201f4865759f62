//! Files that people drop on the page: one is read at a time, and removed afterwards. What is known of them is kept while
//! the process runs; a file that a restart interrupts is dropped again, and nothing comes in twice.

use crate::clock::clock;
use domain::{Fault, FileImport, FileImports, ImportOrder, ImportState, PostQueue, SourceId};
use sources::file::{FileConfig, FileSource, Progress, Report};
use sources::record::{ColumnMapping, check_platform};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Imports that are shown.
const SHOWN_MAX: usize = 20;
/// Most bytes of a file once unpacked: a few packed bytes can stand for any number.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;
const NAME_MAX_CHARS: usize = 200;

/// The files of an installation.
pub struct RunningImports {
    queue: Arc<dyn PostQueue>,
    folder: PathBuf,
    shown: Arc<Mutex<VecDeque<FileImport>>>,
    /// One file is read at a time.
    slot: Arc<Semaphore>,
}

impl RunningImports {
    /// `data`: the folder of the installation. What an earlier process left there is removed.
    pub fn new(data: &Path, queue: Arc<dyn PostQueue>) -> Self {
        let folder = data.join("imports");
        drop(std::fs::remove_dir_all(&folder));
        Self { queue, folder, shown: Arc::default(), slot: Arc::new(Semaphore::new(1)) }
    }
}

/// The last part of a name, without what would disturb a page or a log.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|letter| !letter.is_control()).take(NAME_MAX_CHARS).collect()
}

impl FileImports for RunningImports {
    fn place(&self, order: &ImportOrder) -> Result<PathBuf, Fault> {
        ColumnMapping::parse(&order.columns).map_err(|error| Fault::new("columns", error.to_string()))?;
        if !order.platform.is_empty() {
            check_platform(&order.platform).map_err(|fault| Fault::new("platform", fault))?;
        }
        if plain_name(&order.name).trim().is_empty() {
            return Err(Fault::new("name", "Say the name of the file."));
        }
        let failed = |error| Fault::new("file", format!("The file can't be kept: {error}."));
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        Ok(self.folder.join(Uuid::new_v4().simple().to_string()))
    }

    fn start(&self, order: ImportOrder, place: &Path) -> FileImport {
        let id = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = plain_name(&order.name);
        let import = FileImport {
            id: id.clone(),
            name: name.clone(),
            who: order.who,
            at: clock().now(),
            state: ImportState::Waiting,
            bytes: 0,
            bytes_total: std::fs::metadata(place).map_or(0, |file| file.len()),
            posts: 0,
            lines: Vec::new(),
        };
        lock(&self.shown).push_front(import.clone());
        lock(&self.shown).truncate(SHOWN_MAX);
        let config = FileConfig {
            platform: order.platform,
            // Checked before the file was taken in.
            columns: ColumnMapping::parse(&order.columns).unwrap_or_default(),
            source: SourceId(format!("file:{name}")),
            bytes_max: Some(UNPACKED_BYTES_MAX),
            ..FileConfig::named(place.to_owned(), &name)
        };
        let (source, shown) = (FileSource::new(config, self.queue.clone(), clock()), self.shown.clone());
        tokio::spawn(read(source, Show { shown, id }, self.slot.clone(), place.to_owned()));
        import
    }

    fn imports(&self) -> Vec<FileImport> {
        lock(&self.shown).iter().cloned().collect()
    }
}

fn lock(shown: &Mutex<VecDeque<FileImport>>) -> MutexGuard<'_, VecDeque<FileImport>> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is shown of one import.
struct Show {
    shown: Arc<Mutex<VecDeque<FileImport>>>,
    id: String,
}

impl Show {
    fn change(&self, change: impl FnOnce(&mut FileImport)) {
        if let Some(import) = lock(&self.shown).iter_mut().find(|import| import.id == self.id) {
            change(import);
        }
    }

    fn progress(&self, progress: &Progress) {
        self.change(|import| {
            import.state = ImportState::Reading;
            (import.bytes, import.posts) = (progress.bytes, progress.summary.read);
            if let Some(recognised) = progress.recognised.clone().filter(|line| !import.lines.contains(line)) {
                import.lines.push(recognised);
            }
        });
    }

    fn end(&self, read: sources::Result<Report>) {
        self.change(|import| match read {
            Ok(report) => {
                import.lines.extend(report.lines());
                import.state = ImportState::Done;
            }
            Err(error) => {
                import.lines.push(error.to_string());
                import.state = ImportState::Failed;
            }
        });
    }
}

async fn read(source: FileSource, show: Show, slot: Arc<Semaphore>, place: PathBuf) {
    let _one_at_a_time = slot.acquire().await;
    let ended = source.run(|progress| show.progress(progress), CancellationToken::new()).await;
    drop(std::fs::remove_file(&place));
    show.end(ended);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::wiring;
    use std::time::Duration;

    #[tokio::test]
    async fn a_dropped_file_is_read_told_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("imports")).unwrap();
        std::fs::write(folder.path().join("imports/left"), "over").unwrap();
        let config = Config { data: folder.path().into(), ..Config::load(None, None).unwrap() };
        let imports = RunningImports::new(folder.path(), wiring::open_queue(&config).unwrap());
        assert!(!folder.path().join("imports/left").exists(), "left by an earlier process");
        let order = |name: &str, columns: &str| ImportOrder {
            name: name.into(),
            platform: "shop".into(),
            columns: columns.into(),
            who: "ada".into(),
        };
        assert_eq!(imports.place(&order("a.csv", "mood=x")).unwrap_err().field, "columns");
        assert_eq!(imports.place(&order(" ", "")).unwrap_err().field, "name");
        let bad = ImportOrder { platform: "No Such".into(), ..order("a.csv", "") };
        assert_eq!(imports.place(&bad).unwrap_err().field, "platform");
        for (name, text) in
            [("../x/a\nb.csv", "id,created_at,text,mood\n1,2026-03-17T10:00:00Z,Fine,glad\n"), ("b.pdf", "%PDF")]
        {
            let order = order(name, "");
            let place = imports.place(&order).unwrap();
            std::fs::write(&place, text).unwrap();
            imports.start(order, &place);
        }
        let ended = || imports.imports().iter().all(|one| matches!(one.state, ImportState::Done | ImportState::Failed));
        for _ in 0..500 {
            if ended() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let all = imports.imports();
        assert_eq!((all[1].name.as_str(), all[1].state, all[1].posts), ("ab.csv", ImportState::Done, 1));
        let lines = all[1].lines.join("\n");
        for part in ["ab.csv: CSV, 4 columns", "1 read: 1 new", "mood (1)"] {
            assert!(lines.contains(part), "{lines}");
        }
        assert_eq!(
            (all[0].state, all[0].lines.as_slice()),
            (ImportState::Failed, &["b.pdf is a PDF: it can't be read".to_owned()][..])
        );
        assert_eq!(std::fs::read_dir(folder.path().join("imports")).unwrap().count(), 0);
    }
}

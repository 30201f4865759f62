//! Copies of a bucket's data files on the local disk. Data files never change, so a copy stays right; the copies that were
//! used longest ago are removed when the folder is full. A file that is open while it is removed can still be read.

use crate::error::{Error, Result};
use crate::store::{make_folder, write_durably};
use bytes::Bytes;
use domain::{Clock as _, SystemClock};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Share of the limit that is kept when copies are removed, in percent.
const KEPT_PERCENT: u64 = 80;

/// The folder of the copies.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    used: AtomicU64,
}

/// A copy.
struct Copy {
    used_at: SystemTime,
    bytes: u64,
    path: PathBuf,
}

impl Cache {
    pub(crate) fn open(folder: PathBuf, bytes_max: u64) -> Result<Self> {
        make_folder(&folder)?;
        let cache = Self { folder, bytes_max, used: AtomicU64::new(0) };
        cache.make_room();
        Ok(cache)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether there is a copy, which counts as used now.
    pub(crate) fn has(&self, name: &str) -> bool {
        let file = OpenOptions::new().append(true).open(self.path(name));
        // A copy whose time can't be changed is only removed earlier.
        file.map(|file| drop(file.set_modified(SystemClock.now().into()))).is_ok()
    }

    pub(crate) fn read(&self, name: &str) -> std::io::Result<File> {
        File::open(self.path(name))
    }

    /// A new, empty file. It is read again through the handle: the copy may be removed meanwhile.
    pub(crate) fn create(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        path.parent().map_or(Ok(()), make_folder)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        file.map_err(Error::disk("create", path))
    }

    pub(crate) fn put(&self, name: &str, content: &Bytes) -> Result<()> {
        let path = self.path(name);
        write_durably(&path, std::iter::once(content), true).map_err(Error::disk("write", path))?;
        self.added(content.len() as u64);
        Ok(())
    }

    /// Counts a new copy.
    pub(crate) fn added(&self, bytes: u64) {
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > self.bytes_max {
            self.make_room();
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        drop(std::fs::remove_file(self.path(name)));
    }

    /// Removes the copies in a folder that are none of these and that nobody used for so long.
    pub(crate) fn tidy(&self, folder: &str, wanted: &HashSet<String>, unused_for: Duration) {
        let now = SystemTime::from(SystemClock.now());
        let mut copies = Vec::new();
        find_copies(&self.path(folder), &mut copies);
        for copy in copies {
            let name = copy.path.strip_prefix(&self.folder).map(|name| name.to_string_lossy().into_owned());
            let is_wanted = name.is_ok_and(|name| wanted.contains(&name));
            if !is_wanted && now.duration_since(copy.used_at).is_ok_and(|unused| unused >= unused_for) {
                drop(std::fs::remove_file(&copy.path));
            }
        }
    }

    /// Removes what was used longest ago, where there is more than the limit.
    fn make_room(&self) {
        let mut copies = Vec::new();
        find_copies(&self.folder, &mut copies);
        let mut used = copies.iter().map(|copy| copy.bytes).sum::<u64>();
        if used > self.bytes_max {
            copies.sort_by_key(|copy| copy.used_at);
            for copy in copies {
                if used <= self.bytes_max / 100 * KEPT_PERCENT {
                    break;
                }
                if std::fs::remove_file(&copy.path).is_ok() {
                    used -= copy.bytes;
                }
            }
        }
        self.used.store(used, Ordering::Relaxed);
    }
}

fn find_copies(folder: &Path, found: &mut Vec<Copy>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            find_copies(&entry.path(), found);
        } else if let Ok(used_at) = metadata.modified() {
            found.push(Copy { used_at, bytes: metadata.len(), path: entry.path() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().into(), 1_000).unwrap();
        let content = Bytes::from(vec![0; 300]);
        for (name, age_s) in [("raw/a", 30), ("raw/b", 20), ("raw/c", 10)] {
            cache.put(name, &content).unwrap();
            let file = OpenOptions::new().append(true).open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::from(SystemClock.now()) - Duration::from_secs(age_s)).unwrap();
        }
        assert!(cache.has("raw/a"), "used now");
        let open = cache.read("raw/b").unwrap();
        cache.put("raw/d", &content).unwrap();
        let left = ["raw/a", "raw/b", "raw/c", "raw/d"].map(|name| cache.has(name));
        assert_eq!(left, [true, false, false, true]);
        assert_eq!(open.metadata().unwrap().len(), 300, "an open copy can still be read");
        cache.tidy("raw", &HashSet::from(["raw/a".to_owned()]), Duration::from_secs(3_600));
        assert!(cache.has("raw/d"), "used just now");
        cache.tidy("raw", &HashSet::from(["raw/a".to_owned()]), Duration::ZERO);
        assert!(cache.has("raw/a") && !cache.has("raw/d"), "nobody wants it any more");
        cache.put("raw/d", &content).unwrap();
        drop(cache);
        let smaller = Cache::open(folder.path().into(), 300).unwrap();
        assert!(!smaller.has("raw/a") && !smaller.has("raw/d"), "an opening makes room too");
    }
}

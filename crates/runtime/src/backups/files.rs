//! Files of a backup: copies with checksums, on disk before they count.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

/// Bytes read and written at once.
const CHUNK: usize = 1 << 20;

/// Copies what is read and puts the copy on disk; returns its size and checksum.
pub(super) fn copy(mut source: impl Read, to: &Path) -> std::io::Result<(u64, String)> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder)?;
    let unfinished = to.with_extension("unfinished");
    let mut target = create(&unfinished)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = source.read(&mut buffer)?;
        if bytes == 0 {
            break;
        }
        hash.update(&buffer[..bytes]);
        target.write_all(&buffer[..bytes])?;
        size += bytes as u64;
    }
    target.sync_all()?;
    std::fs::rename(&unfinished, to)?;
    File::open(folder)?.sync_all()?;
    Ok((size, hex(&hash.finalize())))
}

/// The size and the checksum of a file.
pub(super) fn checksum(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = file.read(&mut buffer)?;
        if bytes == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(&buffer[..bytes]);
        size += bytes as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that only its owner may read: the database holds sessions and tokens.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("sync {}", folder.display()))
}

/// All files below a folder, relative to it.
pub(super) fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.extend(path.strip_prefix(folder).map(Path::to_path_buf)),
            }
        }
    }
    Ok(found)
}

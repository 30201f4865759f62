//! The files of one model on a hub: which are needed, in the order of preference, and each brought whole into a folder.

use super::{Failure, Hub, TRIES, Told};
use anyhow::{Context, Result, bail};
use nlp::encoder::{self, CONTAINERS};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Tokenizers in the order of preference; one must be there.
const TOKENIZERS: [&str; 4] = ["tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model"];
/// Taken along where they are.
const OPTIONAL: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "merges.txt"];
/// Left free on the disk, bytes.
const SPARE: u64 = 500 << 20;
/// Bytes of a file at most: of descriptions, more than is read of any, and of weights, those of the largest of these
/// families (3.5 GB) several times over.
const DESCRIPTION_MAX: u64 = 64 << 20;
const WEIGHTS_MAX: u64 = 16 << 30;

/// A model on a hub, at one commit, and the folder that it is brought to.
pub(super) struct Repository<'a> {
    pub(super) hub: &'a Hub,
    pub(super) id: &'a str,
    pub(super) revision: &'a str,
    pub(super) folder: &'a Path,
}

impl Repository<'_> {
    /// The first form of weights that there is, with all its files.
    pub(super) async fn weights(&self) -> Result<()> {
        for container in CONTAINERS {
            if !self.file(container).await? {
                continue;
            }
            for shard in encoder::shards(&self.folder.join(container))? {
                let shard = Path::new(container).with_file_name(shard).to_string_lossy().into_owned();
                if !self.file(&shard).await? {
                    bail!("{container} of {} names {shard}, which is not there: the repository is not whole", self.id);
                }
            }
            return Ok(());
        }
        bail!(
            "{} holds none of {}: weights of other frameworks can't be read; see {}/tree/main for what it holds",
            self.id,
            CONTAINERS.join(", "),
            self.hub.page(self.id)
        )
    }

    pub(super) async fn tokenizer(&self) -> Result<()> {
        let mut found = false;
        for file in TOKENIZERS {
            found = found || self.file(file).await?;
        }
        if !found {
            bail!("{} holds no tokenizer that can be read ({})", self.id, TOKENIZERS.join(", "));
        }
        for file in OPTIONAL {
            self.file(file).await?;
        }
        Ok(())
    }

    /// Downloads one file, unless it is there already; false when the model has none of that name.
    pub(super) async fn file(&self, file: &str) -> Result<bool> {
        let path = self.folder.join(file);
        let Some(told) = self.hub.told(self.id, self.revision, file).await? else {
            // One that an earlier version of the model had would be taken for this one's.
            if path.exists() {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
            return Ok(false);
        };
        let most = if is_weights(file) { WEIGHTS_MAX } else { DESCRIPTION_MAX };
        if let Some(size) = told.size.filter(|size| *size > most) {
            bail!("{file} of {} has {size} bytes, more than any model that can be read ({most})", self.id);
        }
        if let Some(expected) = &told.sha256
            && path.is_file()
            && digest(&path)? == *expected
        {
            return Ok(true);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make the folder {}", parent.display()))?;
        }
        let part = PathBuf::from(format!("{}.part", path.display()));
        let mut tries = 1;
        loop {
            match self.attempt(file, &told, &part).await {
                Ok(()) => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Broken(error)) if tries == TRIES => {
                    return Err(
                        error.context(format!("{file} broke off {TRIES} times; the same command goes on with it"))
                    );
                }
                Err(Failure::Broken(_)) => self.hub.rest(tries).await,
            }
            tries += 1;
        }
        fs::rename(&part, &path).with_context(|| format!("write {}", path.display()))?;
        Ok(true)
    }

    /// One try: the rest of the file, and whether the whole is right.
    async fn attempt(&self, file: &str, told: &Told, part: &Path) -> Result<(), Failure> {
        // Without a checksum nobody could tell whether two parts fit.
        let kept = fs::metadata(part).map_or(0, |found| found.len());
        let begin = if told.sha256.is_some() && told.size.is_none_or(|size| kept <= size) { kept } else { 0 };
        if told.size != Some(begin) || begin == 0 {
            self.enough_room(told.size.unwrap_or(0).saturating_sub(begin))?;
            self.rest_of(file, told, part, begin).await?;
        }
        let length = fs::metadata(part)?.len();
        if let Some(size) = told.size.filter(|size| *size != length) {
            return Err(Failure::Broken(anyhow::anyhow!("{file} has {length} bytes of {size}")));
        }
        let Some(expected) = &told.sha256 else { return Ok(()) };
        let found = digest(part)?;
        if found == *expected {
            return Ok(());
        }
        fs::remove_file(part)?;
        let error = anyhow::anyhow!("{file} arrived damaged (SHA-256 {found}, the hub says {expected}); try again");
        // A part of an older version is no fault of the line.
        Err(if begin > 0 { Failure::Broken(error) } else { Failure::Final(error) })
    }

    async fn rest_of(&self, file: &str, told: &Told, part: &Path, begin: u64) -> Result<(), Failure> {
        let mut answer = self.hub.bytes(self.hub.address(self.id, self.revision, file)?, begin).await?;
        let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT && begins_at(answer.headers(), begin);
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE
            || (answer.status() == StatusCode::PARTIAL_CONTENT && !goes_on)
        {
            fs::remove_file(part)?;
            return Err(Failure::Broken(anyhow::anyhow!("{file}: the hub does not go on where it broke off")));
        }
        let most = told.size.unwrap_or(if is_weights(file) { WEIGHTS_MAX } else { DESCRIPTION_MAX });
        let mut length = if goes_on { begin } else { 0 };
        let mut out = match goes_on {
            true => OpenOptions::new().append(true).open(part),
            false => File::create(part),
        }
        .with_context(|| format!("write {}", part.display()))?;
        loop {
            match answer.chunk().await {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    if told.size.is_none() && length >> 26 != (length + bytes.len() as u64) >> 26 {
                        self.enough_room(0)?;
                    }
                    length += bytes.len() as u64;
                    if length > most {
                        fs::remove_file(part)?;
                        return Err(Failure::Final(anyhow::anyhow!(
                            "{file} goes on behind {most} bytes; it is refused"
                        )));
                    }
                    out.write_all(&bytes).with_context(|| format!("write {}", part.display()))?;
                    (self.hub.progress)(file, length, told.size.unwrap_or(0));
                }
                Err(error) => {
                    return Err(Failure::Broken(
                        anyhow::Error::new(error.without_url()).context(format!("download {file}")),
                    ));
                }
            }
        }
        Ok(out.sync_all()?)
    }

    fn enough_room(&self, needed: u64) -> Result<()> {
        let free = fs4::available_space(self.folder).context("ask for free space")?;
        if free < needed.saturating_add(SPARE) {
            let [needed, free] = [needed, free].map(|bytes| bytes as f64 / 1e9);
            bail!("{} needs {needed:.1} GB more, and {} has {free:.1} GB free", self.id, self.folder.display());
        }
        Ok(())
    }
}

/// Whether a file holds numbers; others describe them.
fn is_weights(file: &str) -> bool {
    let described = [".json", ".txt", "sentencepiece.bpe.model"].iter().any(|end| file.ends_with(end));
    !described
}

/// Whether an answer of a part is the part that was asked for.
fn begins_at(headers: &HeaderMap, begin: u64) -> bool {
    let range = headers.get("content-range").and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()) == Some(begin)
}

fn digest(path: &Path) -> Result<String> {
    let read = || format!("read {}", path.display());
    let (mut file, mut digest) = (File::open(path).with_context(read)?, Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).with_context(read)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

//! Seals secrets that people type in (AES-256-GCM). The key lies in a file of the data folder, apart from the documents:
//! a copy of the database, or a backup, holds no secret that can be read.

use anyhow::{Context, Result, bail};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use secrecy::SecretString;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

const FILE: &str = "secrets.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The key's file; the key is made when the first secret is sealed.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    file: PathBuf,
}

impl Vault {
    pub(crate) fn new(data: &Path) -> Self {
        Self { file: data.join(FILE) }
    }

    /// Seals a secret for one place alone: what is sealed for one does not open at another.
    pub(crate) fn seal(&self, place: &str, secret: &str) -> Result<String> {
        self.make_key()?;
        let mut bytes = secret.as_bytes().to_vec();
        let Ok(nonce) = self.key()?.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut bytes) else {
            bail!("the secret can't be sealed");
        };
        Ok(hex(nonce.as_ref()) + &hex(&bytes))
    }

    /// Opens what was sealed for the place.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<SecretString> {
        let key = self.key()?;
        let changed = || format!("a secret can't be opened with {}: type it in again", self.file.display());
        let mut bytes = of_hex(sealed).filter(|bytes| bytes.len() > NONCE_BYTES).with_context(changed)?;
        let mut secret = bytes.split_off(NONCE_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok().with_context(changed)?;
        let opened = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut secret).ok().with_context(changed)?;
        Ok(SecretString::from(std::str::from_utf8(opened).with_context(changed)?.to_owned()))
    }

    fn key(&self) -> Result<RandomizedNonceKey> {
        let file = self.file.display();
        let bytes = std::fs::read(&self.file)
            .with_context(|| format!("read {file}, the key of the sources' secrets; without it type them in again"))?;
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok().with_context(|| format!("{file} is not a key"))
    }

    /// Makes a key where there is none. Of two processes one makes it.
    fn make_key(&self) -> Result<()> {
        if self.file.exists() {
            return Ok(());
        }
        let mut key = [0; KEY_BYTES];
        if aws_lc_rs::rand::fill(&mut key).is_err() {
            bail!("the system has no random numbers");
        }
        // Whole or not at all: a key that is half written would lock every secret up.
        let whole = self.file.with_extension(format!("key.{}", std::process::id()));
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&whole)?;
            file.write_all(&key)?;
            file.sync_all()?;
            match std::fs::hard_link(&whole, &self.file) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            }
        };
        let written = write();
        drop(std::fs::remove_file(&whole));
        written.with_context(|| format!("write {}", self.file.display()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn a_secret_opens_at_its_place_with_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(folder.path());
        let sealed = vault.seal("news/token", "s3cret ünd").unwrap();
        assert!(!sealed.contains("s3cret") && sealed != vault.seal("news/token", "s3cret ünd").unwrap());
        assert_eq!(vault.open("news/token", &sealed).unwrap().expose_secret(), "s3cret ünd");
        for (place, sealed) in [("other/token", sealed.as_str()), ("news/token", &sealed[2..]), ("news/token", "zz")] {
            assert!(vault.open(place, sealed).unwrap_err().to_string().contains("type it in again"));
        }
        let other = Vault::new(&folder.path().join("x"));
        assert!(other.open("news/token", &sealed).unwrap_err().to_string().contains("secrets.key"));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Vault::new(folder.path()).seal("a", "b").unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}

//! Seals secrets that people type in (AES-256-GCM). The key is apart from the documents, so a copy of the database, or a
//! backup, holds no secret that can be read. It is a file of the data folder, or what the settings name: machines that
//! share documents need the same key.

use crate::config::Config;
use crate::secrets;
use anyhow::{Context, Result, bail};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret as _, SecretString};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

const FILE: &str = "secrets.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Where the key is.
#[derive(Debug, Clone)]
pub(crate) enum Vault {
    /// A file, made when the first secret is sealed.
    Made(PathBuf),
    /// An environment variable, or a file that an operator made.
    Given { variable: String, file: String },
    /// Nowhere: machines share documents and have no key in common.
    Missing,
}

impl Vault {
    pub(crate) fn new(config: &Config) -> Self {
        let (variable, file) = (&config.state.secrets_key_env, &config.state.secrets_key_file);
        match (variable.is_empty() && file.is_empty(), config.state.url.is_empty()) {
            (false, _) => Self::Given { variable: variable.clone(), file: file.clone() },
            (true, true) => Self::Made(config.data.join(FILE)),
            (true, false) => Self::Missing,
        }
    }

    /// Seals a secret for one place alone: what is sealed for one does not open at another.
    pub(crate) fn seal(&self, place: &str, secret: &str) -> Result<String> {
        if let Self::Made(file) = self {
            make_key(file)?;
        }
        let mut bytes = secret.as_bytes().to_vec();
        let Ok(nonce) = self.key()?.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut bytes) else {
            bail!("the secret can't be sealed");
        };
        Ok(hex(nonce.as_ref()) + &hex(&bytes))
    }

    /// Opens what was sealed for the place.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<SecretString> {
        let key = self.key()?;
        let changed = || "a secret was sealed with another key: type it in again";
        let mut bytes = of_hex(sealed).filter(|bytes| bytes.len() > NONCE_BYTES).with_context(changed)?;
        let mut secret = bytes.split_off(NONCE_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok().with_context(changed)?;
        let opened = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut secret).ok().with_context(changed)?;
        Ok(SecretString::from(std::str::from_utf8(opened).with_context(changed)?.to_owned()))
    }

    fn key(&self) -> Result<RandomizedNonceKey> {
        let (bytes, name) = match self {
            Self::Made(file) => {
                let name = file.display().to_string();
                let bytes = std::fs::read(file).with_context(|| {
                    format!("read {name}, the key of the sources' secrets; without it type them in again")
                })?;
                (bytes, name)
            }
            Self::Given { variable, file } => {
                let name = format!("the key of state.secrets_key_env and state.secrets_key_file ({variable}{file})");
                let text = secrets::read(variable, file).with_context(|| name.clone())?;
                (of_hex(text.expose_secret()).unwrap_or_default(), name)
            }
            Self::Missing => bail!(
                "set state.secrets_key_env or state.secrets_key_file: machines that share documents need one key for \
                 secrets (`openssl rand -hex 32` makes one)"
            ),
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok();
        key.with_context(|| format!("{name} is not a key of 32 bytes (64 hexadecimal digits in a setting)"))
    }
}

/// Makes a key where there is none. Of two processes one makes it.
fn make_key(to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    let mut key = [0; KEY_BYTES];
    if aws_lc_rs::rand::fill(&mut key).is_err() {
        bail!("the system has no random numbers");
    }
    // Whole or not at all: a key that is half written would lock every secret up.
    let whole = to.with_extension(format!("key.{}", std::process::id()));
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&whole)?;
        file.write_all(&key)?;
        file.sync_all()?;
        match std::fs::hard_link(&whole, to) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    };
    let written = write();
    drop(std::fs::remove_file(&whole));
    written.with_context(|| format!("write {}", to.display()))
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

    fn made(folder: &Path) -> Vault {
        Vault::Made(folder.join(FILE))
    }

    fn given(file: &Path) -> Vault {
        Vault::Given { variable: String::new(), file: file.display().to_string() }
    }

    #[test]
    fn machines_with_the_same_key_open_each_others_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "5f".repeat(KEY_BYTES) + "\n").unwrap();
        let sealed = given(&key).seal("news/token", "s3cret").unwrap();
        assert_eq!(given(&key).open("news/token", &sealed).unwrap().expose_secret(), "s3cret");
        std::fs::write(&key, "5f").unwrap();
        assert!(given(&key).seal("a", "b").unwrap_err().to_string().contains("64 hexadecimal digits"));
        assert!(Vault::Missing.seal("a", "b").unwrap_err().to_string().contains("state.secrets_key_env"));
    }

    #[test]
    fn a_secret_opens_at_its_place_with_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = made(folder.path());
        let sealed = vault.seal("news/token", "s3cret ünd").unwrap();
        assert!(!sealed.contains("s3cret") && sealed != vault.seal("news/token", "s3cret ünd").unwrap());
        assert_eq!(vault.open("news/token", &sealed).unwrap().expose_secret(), "s3cret ünd");
        for (place, sealed) in [("other/token", sealed.as_str()), ("news/token", &sealed[2..]), ("news/token", "zz")] {
            assert!(vault.open(place, sealed).unwrap_err().to_string().contains("type it in again"));
        }
        let other = made(&folder.path().join("x"));
        assert!(other.open("news/token", &sealed).unwrap_err().to_string().contains("secrets.key"));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        made(folder.path()).seal("a", "b").unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}

//! HTTPS by a certificate and its key in files. They are read again when they change, so that a renewal needs no restart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The files, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, followed by those that lead to a known authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The certificate in use.
pub(crate) struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    looked_at: Instant,
    changed: Changed,
}

/// When the two files were changed last, as far as it is known.
type Changed = [Option<SystemTime>; 2];

impl TlsFiles {
    fn changed(&self) -> Changed {
        [&self.certificate, &self.key].map(|file| file.metadata().and_then(|file| file.modified()).ok())
    }

    /// Reads both files; the error names the one that is wrong.
    fn read(&self) -> Result<TlsAcceptor, String> {
        let wrong = |what: &str, file: &PathBuf, error: &dyn std::fmt::Display| {
            format!("{what} {}: {error} (expected PEM)", file.display())
        };
        let read = CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = read.map_err(|error| wrong("server.tls.certificate", &self.certificate, &error))?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| wrong("server.tls.key", &self.key, &error))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| format!("server.tls: {error}; the key must be that of the first certificate"))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Tls {
    pub(crate) fn open(files: TlsFiles) -> Result<Self, String> {
        let (changed, acceptor) = (files.changed(), files.read()?);
        Ok(Self { files, current: Mutex::new(Current { acceptor, looked_at: Instant::now(), changed }) })
    }

    /// What accepts a connection that opens now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked_at.elapsed() >= LOOK_EVERY {
            current.looked_at = Instant::now();
            self.read_again(&mut current);
        }
        current.acceptor.clone()
    }

    fn read_again(&self, current: &mut Current) {
        let changed = self.files.changed();
        if changed == current.changed {
            return;
        }
        match self.files.read() {
            Ok(acceptor) => {
                tracing::info!("the certificate was changed and is in use");
                (current.acceptor, current.changed) = (acceptor, changed);
            }
            // One file may have been replaced and the other not yet.
            Err(error) => tracing::warn!(error, "the changed certificate can't be used; keeping the one before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &std::path::Path, certificate: &str, key: &str) -> TlsFiles {
        let files = TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    const CERTIFICATE: &str = include_str!("tests/tls/certificate.pem");
    const KEY: &str = include_str!("tests/tls/key.pem");

    #[test]
    fn what_is_wrong_with_the_files_is_named() {
        let folder = std::env::temp_dir().join(format!("overheard-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(Tls::open(files(&folder, CERTIFICATE, KEY)).is_ok());
        for (certificate, key, word) in [
            ("", KEY, "server.tls"),
            (CERTIFICATE, "", "server.tls.key"),
            (include_str!("tests/tls/other.pem"), KEY, "the key must be that of"),
        ] {
            let error = Tls::open(files(&folder, certificate, key)).err().unwrap();
            assert!(error.contains(word), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

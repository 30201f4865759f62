//! HTTPS by certificate files, as a client of TLS sees it.

use super::client_with;
use crate::tls::Tls;
use crate::{Config, TlsFiles};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/tls").join(name)
}

/// A client that trusts this certificate alone.
fn connector(certificate: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file(certificate)).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_makes_it_https() {
    let files = TlsFiles { certificate: file("certificate.pem"), key: file("key.pem") };
    let config = Config { tls: Some(files.clone()), ..Config::default() };
    let router = client_with(config.clone()).await.router;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let (tls, stopped) = (Tls::open(files).unwrap(), shutdown.clone());
    let serving =
        tokio::spawn(async move { crate::listen::serve(listener, router, &config, Some(tls), stopped).await });
    let name = || ServerName::try_from("localhost").unwrap();
    let connect =
        async |certificate| connector(certificate).connect(name(), TcpStream::connect(address).await.unwrap()).await;
    assert!(connect("other.pem").await.is_err(), "a certificate that the client does not know");
    let mut stream = connect("certificate.pem").await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("strict-transport-security"), "{answer}");
    // A client that speaks plain HTTP is not answered.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    drop(plain.read_to_end(&mut said).await);
    assert!(!String::from_utf8_lossy(&said).contains("200"));
    shutdown.cancel();
    serving.await.unwrap();
}

//! A nats-server of its own for each test.

use brokers::Worker;
use brokers::nats::{MESSAGE_MAX, Nats, Settings, SignIn};
use domain::WorkQueue;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A running server. Stopped, and its files removed, when it is dropped.
pub(crate) struct Server {
    program: PathBuf,
    folder: TempDir,
    pub(crate) port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

/// Where `make setup-test` puts it, or where the path finds it.
fn program() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/schemathesis/bin/nats-server");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    if installed.exists() { Some(installed) } else { found.find(|program| program.exists()) }
}

impl Server {
    /// Starts a server with these arguments; `None`, with a message, where there is no nats-server.
    pub(crate) async fn start(arguments: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: there is no nats-server; `make setup-test` installs one");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { program, folder: tempfile::tempdir().unwrap(), port, arguments, child: None };
        server.run().await;
        Some(server)
    }

    /// Starts it (again), on the files that are there, and waits until it listens.
    pub(crate) async fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(self.folder.path());
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nats-server does not listen on port {}", self.port);
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Removes what it had stored.
    pub(crate) fn lose_everything(&self) {
        std::fs::remove_dir_all(self.folder.path().join("jetstream")).unwrap();
    }

    pub(crate) fn settings(&self, stream: &str, partitions: u16, lease: Duration) -> Settings {
        Settings {
            servers: vec![format!("nats://127.0.0.1:{}", self.port).parse().unwrap()],
            sign_in: SignIn::default(),
            stream: stream.into(),
            partitions,
            lease,
            replicas: 1,
            bytes_max: 16 << 20,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn worker(settings: &Settings) -> Arc<dyn WorkQueue> {
    Arc::new(Worker::new(Nats::new(settings.clone()), settings.lease, MESSAGE_MAX))
}

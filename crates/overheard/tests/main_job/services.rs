//! Servers that tests start on free ports of loopback, as processes that end with the test: NATS, and a stand-in for S3.
//! `make setup-test` installs them.

use crate::program::plain;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is so; a minute at most.
pub(crate) fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A running program; killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command whose output nobody reads.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Starts a command whose messages go to a file.
    pub(crate) fn start_logged(command: &mut Command, log: &Path) -> Self {
        Self(command.stdout(Stdio::null()).stderr(std::fs::File::create(log).unwrap()).spawn().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A NATS server whose streams outlive it.
pub(crate) struct Nats {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    server: Process,
}

impl Nats {
    /// None: it is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/schemathesis/bin/nats-server");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
        let program = if installed.exists() { Some(installed) } else { found.find(|program| program.exists()) };
        let Some(program) = program else {
            eprintln!("skipped: there is no nats-server; `make setup-test` installs one");
            return None;
        };
        let (folder, port) = (folder.join("nats"), free_port());
        let server = Self::server(&program, &folder, port);
        Some(Self { program, folder, port, server })
    }

    fn server(program: &Path, folder: &Path, port: u16) -> Process {
        let mut command = Command::new(program);
        command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(folder);
        let server = Process::start(&mut command);
        wait_for("the NATS server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    pub(crate) fn kill_and_start(&mut self) {
        self.server.kill();
        self.server = Self::server(&self.program, &self.folder, self.port);
    }

    /// The settings of a process that uses this broker.
    pub(crate) fn settings<'a>(&self, command: &'a mut Command, partitions: u16) -> &'a mut Command {
        command
            .env("OVERHEARD__QUEUE__ENGINE", "nats")
            .env("OVERHEARD__QUEUE__PARTITIONS", partitions.to_string())
            // The server reserves what a stream may hold.
            .env("OVERHEARD__QUEUE__NATS__BYTES_MAX", "200000000")
            .env("OVERHEARD__QUEUE__NATS__SERVERS", format!("nats://127.0.0.1:{}", self.port))
    }
}

/// A stand-in for S3 with one bucket, `posts`, on a port of its own.
pub(crate) struct Bucket {
    address: String,
    _server: Process,
}

impl Bucket {
    /// None: it is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ministack/bin/ministack");
        let program = std::env::var_os("OVERHEARD_MINISTACK").map_or(installed, PathBuf::from);
        if !program.exists() {
            eprintln!("skipped: {} is not there; `make setup-test` installs it", program.display());
            return None;
        }
        let port = free_port();
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", "s3")
            .env("IOT_MTLS_ENABLED", "false")
            .env("SFTP_ENABLED", "false");
        let bucket = Self { address: format!("127.0.0.1:{port}"), _server: Process::start(&mut command) };
        wait_for("the stand-in for S3", || bucket.make());
        Some(bucket)
    }

    fn make(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return false };
        let request = "PUT /posts HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// A command whose lake is in the bucket.
    pub(crate) fn command(&self, data: &Path, prefix: &str) -> Command {
        let mut command = plain(data);
        command
            .env("OVERHEARD__LAKE__URL", format!("s3://posts/{prefix}"))
            .env("OVERHEARD__LAKE__ENDPOINT", format!("http://{}", self.address))
            .env("OVERHEARD__LAKE__REGION", "us-east-1")
            .env("OVERHEARD__LAKE__ACCESS_KEY_ENV", "TEST_ACCESS_KEY")
            .env("OVERHEARD__LAKE__SECRET_ENV", "TEST_SECRET")
            .env("TEST_ACCESS_KEY", "test")
            .env("TEST_SECRET", "testtesttest");
        command
    }
}

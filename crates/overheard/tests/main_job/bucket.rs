//! The lake in a bucket of a stand-in for S3 (`make setup-test` installs it): imports killed at random moments, SQL,
//! reprocessing, a check, a backup restored into another prefix.

use crate::program::{counts_with, plain, posts_file, run, succeed, text};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const POSTS: usize = 3_000;

/// The stand-in, on a port of its own; ended when dropped.
struct StandIn {
    child: Child,
    address: String,
}

impl StandIn {
    /// None: it is not installed.
    fn start(folder: &Path) -> Option<Self> {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ministack/bin/ministack");
        let program = std::env::var_os("OVERHEARD_MINISTACK").map_or(installed, PathBuf::from);
        if !program.exists() {
            eprintln!("skipped: {} is not there; `make setup-test` installs it", program.display());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .current_dir(folder)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", "s3")
            .env("IOT_MTLS_ENABLED", "false")
            .env("SFTP_ENABLED", "false")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stand_in = Self { child, address: format!("127.0.0.1:{port}") };
        let began = Instant::now();
        while !stand_in.make_bucket() {
            assert!(began.elapsed() < Duration::from_secs(60), "the stand-in doesn't start");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(stand_in)
    }

    fn make_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return false };
        let request = "PUT /posts HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// A command whose lake is in the bucket.
    fn command(&self, data: &Path, prefix: &str) -> Command {
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

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_lake_in_a_bucket_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bucket) = StandIn::start(folder.path()) else { return };
    let (data, file) = (folder.path().join("data"), posts_file(folder.path(), POSTS));
    let command = |arguments: &[&str]| {
        let mut command = bucket.command(&data, "team/lake");
        command.args(arguments);
        command
    };
    for moment in [300, 700, 1_100, 1_500, 2_000] {
        let mut import = command(&["import"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        import.kill().unwrap();
        import.wait().unwrap();
    }
    succeed(command(&["import"]).arg(&file));
    let all = (POSTS as u64, POSTS as u64, POSTS as u64, POSTS as u64);
    let counts = |data: &Path, prefix: &str| counts_with(|| bucket.command(data, prefix));
    assert_eq!(counts(&data, "team/lake"), all);
    assert!(!data.join("lake").exists(), "nothing of the lake is kept in the data folder but copies");

    succeed(&mut command(&["reprocess", "--since", "2026-01-01"]));
    assert_eq!(counts(&data, "team/lake"), all);
    succeed(&mut command(&["check"]));
    let refused = run(&mut command(&["repair", "--dry-run"]));
    assert!(text(&refused.stderr).contains("not offered for a lake in a bucket"), "{}", text(&refused.stderr));
    let doctor = text(&run(&mut command(&["doctor"])).stdout);
    assert!(doctor.lines().any(|line| line.starts_with("ok") && line.contains("3000 posts")), "{doctor}");

    let (backup, restored) = (folder.path().join("backup"), folder.path().join("restored"));
    succeed(command(&["backup"]).arg(&backup));
    succeed(bucket.command(&restored, "copy").arg("restore").arg(&backup));
    succeed(bucket.command(&restored, "copy").arg("import").arg(&file));
    assert_eq!(counts(&restored, "copy"), all);
}

#[test]
fn a_bucket_that_cannot_be_reached_is_told_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut import = plain(&folder.path().join("data"));
    import.env("OVERHEARD__LAKE__URL", "s3://posts/lake").env("OVERHEARD__LAKE__ENDPOINT", "http://minio.example.org");
    let refused = run(import.arg("import").arg(posts_file(folder.path(), 1)));
    assert!(text(&refused.stderr).contains("lake.allow_http"), "{}", text(&refused.stderr));
    let mut import = plain(&folder.path().join("data"));
    let refused = run(import.env("OVERHEARD__LAKE__URL", "ftp://posts/lake").args(["topics", "list"]));
    assert!(text(&refused.stderr).contains("s3://bucket/prefix"), "{}", text(&refused.stderr));
}

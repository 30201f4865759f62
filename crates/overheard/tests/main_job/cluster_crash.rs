//! A listener, three workers and a broker, as processes: whoever of them is killed, or stands still for longer than its
//! lease, nothing is lost and nothing is doubled.

use crate::program::{plain, posts_file, succeed};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const WORKERS: usize = 3;
const LEASE_S: u64 = 3;
const POSTS_A_ROUND: usize = 600;

/// Set by `make chaos`; the test takes minutes.
fn kills() -> Option<usize> {
    std::env::var("OVERHEARD_KILLS").ok()?.parse().ok()
}

/// Where `make setup-test` puts it, or where the path finds it.
fn nats_server() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/schemathesis/bin/nats-server");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    if installed.exists() { Some(installed) } else { found.find(|program| program.exists()) }
}

struct Cluster {
    nats: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    listener: Option<Child>,
    workers: [Option<Child>; WORKERS],
    broker: Option<Child>,
}

impl Cluster {
    fn start(nats: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { nats, folder, port, listener: None, workers: [None, None, None], broker: None };
        cluster.broker = Some(cluster.start_broker());
        cluster.listener = Some(cluster.start_role("listen"));
        while !cluster.folder.path().join("data/lake/sentiment/_delta_log").is_dir() {
            std::thread::sleep(Duration::from_millis(20));
        }
        for worker in 0..WORKERS {
            cluster.workers[worker] = Some(cluster.start_role("understand"));
        }
        cluster
    }

    fn command(&self) -> Command {
        let mut command = plain(&self.folder.path().join("data"));
        command
            .env("OVERHEARD__QUEUE__ENGINE", "nats")
            .env("OVERHEARD__QUEUE__PARTITIONS", "6")
            .env("OVERHEARD__QUEUE__NATS__SERVERS", format!("nats://127.0.0.1:{}", self.port))
            .env("OVERHEARD__UNDERSTAND__LEASE_S", LEASE_S.to_string())
            .env("OVERHEARD__UNDERSTAND__RETRY_MAX_S", "1");
        command
    }

    fn start_role(&self, role: &str) -> Child {
        let name = format!("{role}-{}", std::time::UNIX_EPOCH.elapsed().unwrap().as_millis());
        let log = std::fs::File::create(self.folder.path().join(name)).unwrap();
        self.command().args(["up", "--role", role]).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn start_broker(&self) -> Child {
        let mut command = Command::new(&self.nats);
        command.args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]);
        command.arg(self.folder.path().join("nats")).stdout(Stdio::null()).stderr(Stdio::null());
        let broker = command.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        broker
    }

    /// Something happens to one of them.
    fn harm(&mut self, round: usize) {
        let worker = round / 5 % WORKERS;
        match round % 5 {
            0 => {
                kill(&mut self.listener);
                self.listener = Some(self.start_role("listen"));
            }
            1 | 2 => {
                kill(&mut self.workers[worker]);
                self.workers[worker] = Some(self.start_role("understand"));
            }
            3 => {
                let id = self.workers[worker].as_ref().unwrap().id();
                signal("STOP", id);
                std::thread::sleep(Duration::from_secs(LEASE_S + 1));
                signal("CONT", id);
            }
            _ => {
                kill(&mut self.broker);
                self.broker = Some(self.start_broker());
            }
        }
    }

    /// Rows and distinct posts of a table.
    fn count(&self, table: &str) -> (u64, u64) {
        let query = format!("SELECT count(*) AS n, count(DISTINCT post_id) AS ids FROM {table}");
        let answer = succeed(self.command().args(["sql", &query, "--format", "jsonl"]));
        let row: Value = serde_json::from_str(answer.trim()).unwrap();
        (row["n"].as_u64().unwrap(), row["ids"].as_u64().unwrap())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        kill(&mut self.listener);
        self.workers.iter_mut().for_each(kill);
        kill(&mut self.broker);
    }
}

fn kill(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn signal(name: &str, id: u32) {
    assert!(Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap().success());
}

#[test]
fn whoever_of_a_cluster_is_killed_or_stands_still_nothing_is_lost_and_nothing_doubled() {
    let Some(kills) = kills() else {
        eprintln!("skipped: `make chaos` runs it");
        return;
    };
    let Some(nats) = nats_server() else {
        eprintln!("skipped: there is no nats-server; `make setup-test` installs one");
        return;
    };
    let mut cluster = Cluster::start(nats);
    let posts = kills * POSTS_A_ROUND;
    let file = posts_file(cluster.folder.path(), posts);
    let lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    for (round, part) in lines.chunks(POSTS_A_ROUND).enumerate() {
        let slice = cluster.folder.path().join(format!("{round}.jsonl"));
        std::fs::write(&slice, part.join("\n")).unwrap();
        let mut import = cluster.command();
        let import = import.arg("import").arg(&slice).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        std::thread::sleep(Duration::from_millis(200 + (round as u64 * 7_919) % 1_100));
        cluster.harm(round);
        kill(&mut import.ok());
    }
    succeed(cluster.command().arg("import").arg(&file));
    let all = posts as u64;
    for table in ["raw", "sentiment"] {
        assert_eq!(cluster.count(table), (all, all), "{table}");
    }
}

//! Roles on machines that share no folder: the lake and the small documents are in a bucket, posts go through a broker.

use crate::program::{counts_with, posts_file, succeed};
use crate::services::{Bucket, Nats, Process, free_port, wait_for};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const POSTS: usize = 2_000;

struct Cluster<'a> {
    folder: &'a Path,
    bucket: Bucket,
    nats: Nats,
}

impl Cluster<'_> {
    /// A command on a machine of its own, which serves its health pages at a port.
    fn on(&self, machine: &str, health: u16) -> Command {
        let mut command = self.bucket.command(&self.folder.join(machine), "team");
        self.nats
            .settings(&mut command, 4)
            .env("OVERHEARD__STATE__URL", "s3://posts/team")
            .env("OVERHEARD__LAKE__REFRESH_MS", "500")
            .env("OVERHEARD__UNDERSTAND__LEASE_S", "3")
            .env("OVERHEARD__SERVER__BIND", format!("127.0.0.1:{health}"))
            .env("OVERHEARD__SERVER__HEALTH_BIND", format!("127.0.0.1:{health}"));
        command
    }

    fn start(&self, machine: &str, role: &str) -> (u16, Process) {
        let health = free_port();
        let log = self.folder.join(format!("{machine}.log"));
        (health, Process::start_logged(self.on(machine, health).args(["up", "--role", role]), &log))
    }

    fn run(&self, machine: &str, arguments: &[&str]) -> String {
        succeed(self.on(machine, free_port()).args(arguments))
    }
}

/// The answer of a health page, with its headers; empty while there is none.
fn page(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        drop(stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)));
    }
    answer
}

fn is_ready(port: u16) -> bool {
    page(port, "/readyz").starts_with("HTTP/1.1 200")
}

/// The lines of a process's log about detection with these words.
fn said(folder: &Path, machine: &str, words: &str) -> usize {
    let log = std::fs::read_to_string(folder.join(format!("{machine}.log"))).unwrap_or_default();
    log.lines().filter(|line| line.contains(words) && line.contains("watch")).count()
}

#[test]
fn a_process_that_stands_still_is_replaced_and_gives_way() {
    const BEGINS: &str = "this process does the work";
    let folder = tempfile::tempdir().unwrap();
    let Some(nats) = Nats::start(folder.path()) else { return };
    let Some(bucket) = Bucket::start(folder.path()) else { return };
    let cluster = Cluster { folder: folder.path(), bucket, nats };
    let (_, first) = cluster.start("a", "listen,detect");
    wait_for("the first to detect", || said(folder.path(), "a", BEGINS) == 1);
    let (_, _second) = cluster.start("b", "detect");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(said(folder.path(), "b", BEGINS), 0, "one at a time");
    first.signal("STOP");
    let began = Instant::now();
    wait_for("the second to detect", || said(folder.path(), "b", BEGINS) == 1);
    eprintln!("taken over after {} s", began.elapsed().as_secs());
    first.signal("CONT");
    wait_for("the first to give way", || said(folder.path(), "a", "this one stops it") == 1);
    assert_eq!(said(folder.path(), "a", BEGINS), 1);
}

#[test]
fn machines_that_share_a_bucket_and_a_broker_work_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nats) = Nats::start(folder.path()) else { return };
    let Some(bucket) = Bucket::start(folder.path()) else { return };
    let cluster = Cluster { folder: folder.path(), bucket, nats };
    let (listener, _listener) = cluster.start("a", "listen");
    wait_for("the listener", || is_ready(listener));
    let (first, mut killed) = cluster.start("b", "understand");
    let (second, _worker) = cluster.start("c", "understand");
    let (page_at, _server) = cluster.start("d", "detect,serve");
    for port in [first, second, page_at] {
        wait_for("a role", || is_ready(port));
    }
    cluster.run("d", &["topics", "add", "trains", "train*"]);
    assert!(cluster.run("a", &["topics", "list"]).contains("trains"), "documents are shared");

    let file = posts_file(folder.path(), POSTS);
    let _import = Process::start(cluster.on("a", free_port()).arg("import").arg(&file));
    wait_for("a commit", || {
        let commits = page(first, "/metrics") + &page(second, "/metrics");
        commits.lines().any(|line| line.starts_with("overheard_committed_posts_total ") && !line.ends_with(" 0"))
    });
    killed.kill();
    cluster.run("a", &["import", file.to_str().unwrap()]);
    let all = POSTS as u64;
    assert_eq!(counts_with(|| cluster.on("d", free_port())), (all, all, all, all));
    wait_for("a topic made on one machine to be matched on another", || {
        let post =
            format!(r#"{{"id":"late-{}","text":"trains again","created_at":"2026-03-01T00:00:00Z"}}"#, free_port());
        std::fs::write(&file, post).unwrap();
        cluster.run("a", &["import", file.to_str().unwrap()]);
        let query = "SELECT count(*) AS n FROM posts WHERE array_has(topics, 'trains') AND post_id LIKE '%late-%'";
        !cluster.run("d", &["sql", query, "--format", "jsonl"]).contains(r#""n":0"#)
    });
    let backup = folder.path().join("backup");
    cluster.run("a", &["backup", backup.to_str().unwrap()]);
    let restored = || {
        let mut command = cluster.bucket.command(&folder.path().join("e"), "copy");
        command.env("OVERHEARD__STATE__URL", "s3://posts/copy").env("OVERHEARD__QUEUE__PARTITIONS", "4");
        command
    };
    succeed(restored().arg("restore").arg(&backup));
    assert!(succeed(restored().args(["topics", "list"])).contains("trains"), "a backup holds the shared documents");
    assert!(counts_with(restored).0 > all);
    assert!(page(second, "/api/overview").starts_with("HTTP/1.1 404"), "a worker serves its health and nothing else");
}

//! A listener, three workers and a broker, as processes: whoever of them is killed, or stands still for longer than its
//! lease, nothing is lost and nothing is doubled. `make chaos` sets the number of kills.

use crate::program::{counts_with, plain, posts_file};
use crate::services::{Nats, Process, wait_for};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WORKERS: usize = 3;
const LEASE_S: u64 = 3;
const POSTS_A_ROUND: usize = 600;
const KILLS: usize = 10;
/// How long the last import may take, from the last kill to the last post in the lake.
const LAST: Duration = Duration::from_secs(180);

struct Cluster {
    folder: tempfile::TempDir,
    nats: Nats,
    listener: Process,
    workers: Vec<Process>,
}

impl Cluster {
    /// None: there is no broker.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let nats = Nats::start(folder.path())?;
        let start = |role| start_role(&nats, &folder, role);
        let listener = start("listen");
        wait_for("the lake", || folder.path().join("data/lake/sentiment/_delta_log").is_dir());
        let workers = (0..WORKERS).map(|_| start("understand")).collect();
        Some(Self { listener, workers, folder, nats })
    }

    fn start_role(&self, role: &str) -> Process {
        start_role(&self.nats, &self.folder, role)
    }

    fn command(&self) -> Command {
        command(&self.nats, &self.folder)
    }

    /// Something happens to one of them.
    fn harm(&mut self, round: usize) {
        let worker = round / 5 % WORKERS;
        match round % 5 {
            0 => {
                self.listener.kill();
                self.listener = self.start_role("listen");
            }
            1 | 2 => {
                self.workers[worker].kill();
                self.workers[worker] = self.start_role("understand");
            }
            3 => {
                self.workers[worker].signal("STOP");
                std::thread::sleep(Duration::from_secs(LEASE_S + 1));
                self.workers[worker].signal("CONT");
            }
            _ => self.nats.kill_and_start(),
        }
    }
}

fn command(nats: &Nats, folder: &tempfile::TempDir) -> Command {
    let mut command = plain(&folder.path().join("data"));
    nats.settings(&mut command, 6)
        .env("OVERHEARD__UNDERSTAND__LEASE_S", LEASE_S.to_string())
        .env("OVERHEARD__UNDERSTAND__RETRY_MAX_S", "1");
    command
}

/// Its messages are kept in a file of the folder, for who looks into a failure.
fn start_role(nats: &Nats, folder: &tempfile::TempDir, role: &str) -> Process {
    let log = folder.path().join(format!("{role}-{}", std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()));
    Process::start_logged(command(nats, folder).args(["up", "--role", role]), &log)
}

#[test]
fn whoever_of_a_cluster_is_killed_or_stands_still_nothing_is_lost_and_nothing_doubled() {
    let kills = std::env::var("OVERHEARD_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let Some(mut cluster) = Cluster::start() else { return };
    let posts = kills * POSTS_A_ROUND;
    let file = posts_file(cluster.folder.path(), posts);
    let lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    for (round, part) in lines.chunks(POSTS_A_ROUND).enumerate() {
        let slice = cluster.folder.path().join(format!("{round}.jsonl"));
        std::fs::write(&slice, part.join("\n")).unwrap();
        let mut import = Process::start(cluster.command().arg("import").arg(&slice));
        std::thread::sleep(Duration::from_millis(200 + (round as u64 * 7_919) % 1_100));
        cluster.harm(round);
        import.kill();
    }
    let mut import = cluster.command();
    let mut import = import.arg("import").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = import.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > LAST {
            import.kill().unwrap();
            let folder = cluster.folder.keep();
            panic!("posts still wait for the lake; the logs are in {}", folder.display());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(status.success());
    let all = posts as u64;
    assert_eq!(counts_with(|| cluster.command()), (all, all, all, all));
}

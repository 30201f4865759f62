//! The power is cut: what is on the device at that moment is all that there is afterwards. A child process appends,
//! commits, acknowledges and tidies up on a file system of its own; at chosen and at random moments the image below it is
//! copied, as a device would keep it, and started on. `kill -9` can't show this: there the kernel still writes.
//!
//! Needs root, `mkfs.ext4` and loop devices, and says so where it can't run. More cuts with `OVERHEARD_POWER_CUTS`.

use domain::{
    Clock, EnrichedBatch, EnrichedPost, Enrichment, Lease, PostQueue, PostTable, Provenance, QueryLimits, Record,
    SourceId, SystemClock, WorkQueue,
};
use lake::Lake;
use queue::Embedded;
use serde_json::json;
use sources::record::{Origin, Parsed};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Names the folder that the child works in.
const CHILD: &str = "OVERHEARD_POWER_CUT_CHILD";
const BATCH: u64 = 5;
const CUTS_PER_DISK: usize = 20;
const WAIT: Duration = Duration::from_secs(120);

fn settings() -> lake::Config {
    lake::Config {
        // Everything that happens in days happens in seconds.
        checkpoint_commits: 3,
        readers_grace: Duration::ZERO,
        compaction_files_min: 2,
        counts_bytes_max: 0,
        ..lake::Config::default()
    }
}

async fn open(folder: &Path) -> (Lake, Embedded) {
    let clock = Arc::new(SystemClock);
    let queue = Embedded::open(folder.join("overheard.db"), queue::Config::default(), clock.clone()).unwrap();
    (Lake::open(folder.join("lake").to_str().unwrap(), settings(), clock).await.unwrap(), queue)
}

fn record(number: u64) -> Record {
    let day = 1 + number % 3;
    let text = format!("post {number} {}", "about a train that is late ".repeat(8));
    let post = json!({"id": format!("{number:06}"), "text": text, "created_at": format!("2026-03-{day:02}T10:00:00Z")});
    let origin = Origin {
        source: SourceId("test".into()),
        platform: "test".into(),
        provenance: Provenance::File,
        received_at: SystemClock.now(),
    };
    let mut parsed = Parsed::default();
    sources::formats::parse_any(post.to_string().as_bytes(), &origin, &mut parsed);
    parsed.records.remove(0)
}

/// Commits and acks what is on loan.
async fn carry(lake: &Lake, queue: &Embedded, lease: Lease) {
    let last_offset = lease.records.last().unwrap().offset;
    let posts = lease.records.into_iter().filter_map(|leased| match leased.record {
        Record::Post(post) => Some(EnrichedPost {
            offset: leased.offset,
            post: *post,
            enrichment: Enrichment::default(),
            topics: vec!["trains".into()],
            place: None,
            author_place: None,
            enriched_at: SystemClock.now(),
        }),
        Record::Deletion(_) => None,
    });
    let posts = Arc::new(posts.collect());
    let batch = EnrichedBatch {
        partition: lease.partition,
        after_offset: lease.after_offset,
        last_offset,
        posts,
        deletions: Vec::new(),
    };
    lake.commit(batch).await.unwrap();
    queue.ack(lease.id).await.unwrap();
}

/// The process under which the power is cut; a test by name only.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let say = |event: &str, number: u64| writeln!(std::io::stdout().lock(), "\n> {event} {number}").unwrap();
    let (lake, queue) = open(Path::new(&folder)).await;
    say("opened", 0);
    for step in 0.. {
        let numbers = step * BATCH + 1..=(step + 1) * BATCH;
        queue.append(numbers.clone().map(record).collect()).await.unwrap();
        say("appended", *numbers.end());
        let lease = queue.lease(100, Duration::from_secs(600)).await.unwrap().unwrap();
        carry(&lake, &queue, lease).await;
        say("acked", *numbers.end());
        if step % 4 == 3 {
            say("maintaining", step);
            // Later by the clock that decides what has settled and what may go.
            lake.maintain(SystemClock.now() + chrono::TimeDelta::hours(1 + step as i64)).await.unwrap();
            say("maintained", step);
        }
    }
}

/// What the child said so far.
#[derive(Debug, Clone, Default)]
struct Said {
    /// Posts up to here were answered.
    appended: u64,
    events: Vec<String>,
}

/// A file system in a file, mounted, and a place for copies of it.
struct Disk {
    folder: tempfile::TempDir,
    child: Option<Child>,
    said: Arc<Mutex<Said>>,
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {}: {words}", args.join(" "))) }
}

impl Disk {
    fn make() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = Self { folder, child: None, said: Arc::default() };
        let image = disk.path("image");
        std::fs::File::create(&image).and_then(|file| file.set_len(96 << 20)).map_err(|error| error.to_string())?;
        for mount in ["live", "after"] {
            std::fs::create_dir(disk.path(mount)).map_err(|error| error.to_string())?;
        }
        run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()])?;
        run("mount", &["-o", "loop", image.to_str().unwrap(), disk.path("live").to_str().unwrap()])?;
        Ok(disk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["power_cut::child", "--exact", "--nocapture"])
            .env(CHILD, self.path("live/data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = Arc::clone(&self.said);
        std::thread::spawn(move || {
            for line in lines {
                let Some((event, number)) = line.strip_prefix("> ").and_then(|line| line.split_once(' ')) else {
                    continue;
                };
                let mut said = said.lock().unwrap();
                if event == "appended" {
                    said.appended = number.parse().unwrap();
                }
                said.events.push(event.to_owned());
            }
        });
        self.child = Some(child);
    }

    /// Waits for an event that is not said yet.
    fn wait_for(&mut self, event: &str) {
        let (before, began) = (self.said.lock().unwrap().events.len(), std::time::Instant::now());
        let from = if event == "opened" { 0 } else { before };
        while !self.said.lock().unwrap().events[from..].iter().any(|said| said == event) {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < WAIT, "the child is gone or stuck: {:?}", self.said);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal(&self, signal: &str) {
        run("kill", &[signal, &self.child.as_ref().unwrap().id().to_string()]).unwrap();
    }

    /// Writes that the device has finished: a copy during which there are none is one moment's.
    fn writes(&self) -> String {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let live = self.path("live");
        let device = mounts.lines().find(|line| line.split(' ').nth(1) == live.to_str()).unwrap();
        let name = device.split(' ').next().unwrap().trim_start_matches("/dev/").to_owned();
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        stat.split_whitespace().nth(4).unwrap().to_owned()
    }

    /// Cuts: gives what had been promised, with the device as it was mounted under `after`.
    fn cut(&self) -> u64 {
        self.signal("-STOP");
        std::thread::sleep(Duration::from_millis(10));
        let (image, copy) = (self.path("image"), self.path("copy"));
        loop {
            let before = self.writes();
            run("cp", &["--sparse=always", image.to_str().unwrap(), copy.to_str().unwrap()]).unwrap();
            if self.writes() == before {
                break;
            }
        }
        run("mount", &["-o", "loop", copy.to_str().unwrap(), self.path("after").to_str().unwrap()]).unwrap();
        self.said.lock().unwrap().appended
    }

    fn go_on(&self) {
        run("umount", &[self.path("after").to_str().unwrap()]).unwrap();
        self.signal("-CONT");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
        for mount in ["after", "live"] {
            drop(run("umount", &[self.path(mount).to_str().unwrap()]));
        }
    }
}

/// The lake opens, and every post that was answered is in it or still waits; carried on, each is there once.
async fn verify(folder: &Path, promised: u64, moment: &str) {
    let (lake, queue) = open(folder).await;
    while let Some(lease) = queue.lease(1_000, Duration::from_secs(600)).await.unwrap() {
        carry(&lake, &queue, lease).await;
    }
    for table in ["raw", "sentiment"] {
        let column = if table == "raw" { "payload" } else { "text" };
        let sql = format!(
            "SELECT count(DISTINCT post_id) FILTER (WHERE post_id <= 'test:{promised:06}'), \
             count(*) - count(DISTINCT post_id), sum(length({column})) FROM {table}"
        );
        let rows = lake.query(&sql, QueryLimits::default()).await.unwrap().rows;
        assert_eq!(rows[0][..2], [json!(promised), json!(0)], "{table} after a cut {moment}: kept, doubled");
    }
    lake.maintain(SystemClock.now()).await.unwrap();
}

/// When to cut: after what was said, and how much later, ms.
fn moments(seed: u64) -> Vec<(&'static str, u64)> {
    let mut moments = vec![("opened", 0), ("acked", 0), ("acked", 500), ("maintaining", 30), ("maintained", 0)];
    moments.extend([("maintained", 1_500), ("acked", 10), ("maintaining", 150), ("maintaining", 5)]);
    let mut random = seed;
    let rotation = ["appended", "maintaining", "acked", "maintained"].into_iter().cycle();
    for event in rotation.take(CUTS_PER_DISK - moments.len()) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        moments.push((event, (random >> 33) % 400));
    }
    moments
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_power_cut() {
    let cuts = std::env::var("OVERHEARD_POWER_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS_PER_DISK);
    let mut done = 0;
    for round in 0.. {
        let mut disk = match Disk::make() {
            Ok(disk) => disk,
            Err(reason) => {
                eprintln!(
                    "skipped: the power can't be cut here (root, mkfs.ext4 and loop devices are needed): {reason}"
                );
                return;
            }
        };
        disk.start();
        for (event, later) in moments(round + 1) {
            disk.wait_for(event);
            std::thread::sleep(Duration::from_millis(later));
            let promised = disk.cut();
            verify(&disk.path("after/data"), promised, &format!("{later} ms after {event}, round {round}")).await;
            disk.go_on();
            done += 1;
            if done == cuts {
                eprintln!("{done} power cuts, nothing lost");
                return;
            }
        }
    }
}

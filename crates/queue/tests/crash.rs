//! The process is killed (`kill -9`) at arbitrary moments while it appends, leases and acks; after each restart nothing
//! that was acknowledged is lost and nothing is there twice. The test runs itself as the process to kill.
//!
//! The child prints what it was promised: `+ 17` once post 17's append was answered, `? 17` before the ack of its lease,
//! `- 17` after it. Between `?` and `-` either is right.

mod support;

use domain::{Appended, PostQueue, SystemClock, WorkQueue};
use queue::{Config, Embedded};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::{drain, id, post};

/// How often the child is killed. More with `OVERHEARD_KILLS`.
fn kills() -> u64 {
    std::env::var("OVERHEARD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

const BATCH: u64 = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("child") => child(Path::new(&arguments[2]), arguments[3].parse().unwrap()),
        // Test runners ask for the names of the tests.
        Some("--list") => println!("nothing_is_lost_or_doubled_when_the_process_is_killed: test"),
        _ => nothing_is_lost_or_doubled_when_the_process_is_killed(),
    }
}

fn open(folder: &Path) -> Embedded {
    Embedded::open(folder.join("overheard.db"), Config::default(), Arc::new(SystemClock)).unwrap()
}

#[tokio::main]
async fn child(folder: &Path, first: u64) {
    let queue = Arc::new(open(folder));
    let consumer = Arc::clone(&queue);
    tokio::spawn(async move {
        loop {
            let Some(lease) = consumer.lease(5, Duration::from_secs(600)).await.unwrap() else {
                consumer.wait(Duration::from_millis(50)).await;
                continue;
            };
            let ids: Vec<_> = lease.records.iter().map(|leased| leased.record.post_id().clone()).collect();
            say('?', ids.iter().map(|id| id.native_id()));
            consumer.ack(lease.id).await.unwrap();
            say('-', ids.iter().map(|id| id.native_id()));
        }
    });
    for batch in 0.. {
        let numbers = first + batch * BATCH..first + (batch + 1) * BATCH;
        queue.append(numbers.clone().map(post).collect()).await.unwrap();
        say('+', numbers.map(|number| number.to_string()));
    }
}

fn say<S: AsRef<str>>(what: char, ids: impl Iterator<Item = S>) {
    let lines: String = ids.map(|id| format!("{what} {}\n", id.as_ref())).collect();
    std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
}

/// What the parent knows of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    Appended,
    Acking,
    Acked,
}

#[tokio::main]
async fn nothing_is_lost_or_doubled_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut promises: HashMap<u64, Promise> = HashMap::new();
    for round in 0..kills() {
        let first = 1_000_000 * (round + 1);
        // A prime step visits early and late moments alike: right after the start, and deep in the work.
        run_and_kill(folder.path(), first, (round * 137) % 701, &mut promises);
    }
    let queue = open(folder.path());
    let waiting = drain(&queue, 100).await;
    let distinct: BTreeSet<_> = waiting.iter().collect();
    assert_eq!(distinct.len(), waiting.len(), "a post waits twice");
    assert!(promises.len() > 100, "the children did nothing worth killing them for");
    for (number, promise) in &promises {
        let waits = distinct.contains(&id(*number));
        match promise {
            Promise::Appended => assert!(waits, "post {number} was acknowledged and is lost"),
            Promise::Acked => assert!(!waits, "post {number} was acked and is lent again"),
            Promise::Acking => {}
        }
        assert_eq!(queue.append(vec![post(*number)]).await.unwrap(), [Appended::Duplicate], "post {number}");
    }
    println!("test nothing_is_lost_or_doubled_when_the_process_is_killed ... ok ({} posts)", promises.len());
}

/// Lets a child work until it has printed so many lines, kills it, and takes in the rest of what it said.
fn run_and_kill(folder: &Path, first: u64, lines: u64, promises: &mut HashMap<u64, Promise>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", folder.to_str().unwrap(), &first.to_string()]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut killed = false;
    for (count, line) in output.lines().map_while(Result::ok).enumerate() {
        if let Some((what, number)) = line.split_once(' ').and_then(|(what, n)| Some((what, n.parse().ok()?))) {
            let promise = match what {
                "+" => Promise::Appended,
                "?" => Promise::Acking,
                _ => Promise::Acked,
            };
            // The consumer may speak before the producer does; an ack says more than an append.
            let known = promises.entry(number).or_insert(promise);
            if promise != Promise::Appended {
                *known = promise;
            }
        }
        if count as u64 >= lines && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
}

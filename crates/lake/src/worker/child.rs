//! The worker's own side: sets its limits, opens the lake for reading, answers one statement after the other.

use super::{Reply, Request, Setup};
use crate::config::Config;
use crate::lake::Lake;
use crate::location::Location;
use crate::statement::read_only;
use domain::{ErrorKind, Result, SystemClock};
use serde::Serialize;
use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Deep expressions are planned and computed by recursion.
const STACK_BYTES: usize = 8 << 20;
/// Threads that read files. The Delta library waits in one of them for others: with few, six tables that are looked up
/// at the same time wait for ever.
const READERS_MAX: usize = 64;
/// So many of them are usual; what more they take is taken from the statement.
const READERS: usize = 12;
/// Threads that compute.
const COMPUTERS_MAX: usize = 4;
/// A worker that holds more than this share of its memory after a statement makes room for a new one.
const GROWN_SHARE: u64 = 2;
/// Columns and a little more go before the rows.
const COLUMNS_MAX: usize = 4_096;

/// Runs a worker until its owner closes its standard input.
pub fn run_sql_worker() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let setup: Setup = serde_json::from_str(&line)?;
    let computers = std::thread::available_parallelism().map_or(1, usize::from).min(COMPUTERS_MAX);
    // Stacks count as memory of the process, though little of them is ever touched.
    let stacks = ((computers + READERS) * STACK_BYTES) as u64;
    limit_process(setup.memory_bytes + stacks)?;
    let requests = read_requests()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(computers)
        .max_blocking_threads(READERS_MAX)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let lake = match runtime.block_on(open(&setup)) {
        Ok(lake) => Arc::new(lake),
        Err(error) => return send(&Reply::Failed(error.to_string()), &[]),
    };
    send(&Reply::Ready, &[])?;
    for request in requests {
        let (lake, bytes_max) = (Arc::clone(&lake), setup.answer_bytes_max);
        let answer = runtime.spawn(async move { answer(&lake, request, bytes_max).await });
        let (mut reply, rows) = match runtime.block_on(answer) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::Reject | ErrorKind::TooCostly) => {
                (refused(error.to_string()), Vec::new())
            }
            Ok(Err(error)) => (Reply::Failed(error.to_string()), Vec::new()),
            Err(_) => (refused("the statement makes the query engine fail; write it another way".into()), Vec::new()),
        };
        let grown = resident_bytes().is_some_and(|bytes| bytes > setup.memory_bytes / GROWN_SHARE);
        if let Reply::Answer { last, .. } | Reply::Refused { last, .. } = &mut reply {
            *last = grown;
        }
        send(&reply, &rows)?;
        if grown {
            break;
        }
    }
    // What a statement left running is not waited for.
    std::process::exit(0);
}

fn refused(message: String) -> Reply {
    Reply::Refused { message, last: false }
}

/// The requests, read by a thread of its own: when the owner is gone the worker ends, whatever it computes.
fn read_requests() -> io::Result<Receiver<Request>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new().name("requests".into()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Some(request) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
            if sender.send(request).is_err() {
                break;
            }
        }
        std::process::exit(0);
    })?;
    Ok(receiver)
}

async fn open(setup: &Setup) -> crate::Result<Lake> {
    let config = Config {
        // The rest is for what the query engine does not count: batches on their way, answers.
        query_memory_bytes: usize::try_from(setup.memory_bytes / 2).unwrap_or(usize::MAX),
        query_spill_bytes: setup.spill_bytes,
        spill_folder: Some(setup.spill.clone()),
        counts_bytes_max: 0,
        ..Config::default()
    };
    let lake = Location::opened(setup.lake.clone())?;
    Lake::open_read_only(lake, config, Arc::new(SystemClock)).await
}

/// Answers one statement; the rows as JSON.
async fn answer(lake: &Lake, request: Request, bytes_max: usize) -> Result<(Reply, Vec<u8>)> {
    let hidden = |error| lake.engine.root.hide_in(error);
    let mut running = lake.start(read_only(&request.sql)?).await.map_err(hidden)?;
    if running.columns.len() > COLUMNS_MAX {
        return Err(domain::Error::reject(format!("an answer has at most {COLUMNS_MAX} columns; name those you need")));
    }
    let (mut rows, mut count, mut truncated) = (vec![b'['], 0, false);
    'rows: while let Some(batch) = running.next().await.map_err(hidden)? {
        for row in 0..batch.rows {
            let whole = rows.len();
            if count > 0 {
                rows.push(b',');
            }
            // Writing to memory fails for values that are no JSON only, and these are.
            let written = count < request.rows_max && serde_json::to_writer(&mut rows, &batch.row(row)).is_ok();
            if !written || rows.len() >= bytes_max {
                rows.truncate(whole);
                truncated = true;
                break 'rows;
            }
            count += 1;
        }
    }
    rows.push(b']');
    Ok((Reply::Answer { columns: running.columns, truncated, bytes: rows.len(), last: false }, rows))
}

fn send(reply: &impl Serialize, rows: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    out.write_all(rows)?;
    out.flush()
}

/// Bounds what this process can do to the machine: memory, no core files, little claim on processors, and the first to
/// go when the machine itself runs out of memory.
fn limit_process(data_bytes: u64) -> io::Result<()> {
    set_limit(libc::RLIMIT_DATA, data_bytes)?;
    set_limit(libc::RLIMIT_CORE, 0)?;
    #[expect(unsafe_code, reason = "a system call without arguments in memory")]
    // SAFETY: takes and returns a number.
    let niceness = unsafe { libc::nice(10) };
    tracing::debug!(niceness, data_bytes, "SQL worker limited");
    // Only Linux has it, and not every container allows it.
    drop(std::fs::write("/proc/self/oom_score_adj", "1000"));
    Ok(())
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

fn set_limit(resource: Resource, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    #[expect(unsafe_code, reason = "a system call that std has no words for")]
    // SAFETY: reads the structure, which lives until the call returns.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Memory that this process holds, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

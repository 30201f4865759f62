//! The stream itself: posts as they are published, blank lines in between, and the faults.

use super::Shared;
use super::payload::SimulatedPost;
use axum::body::{Body, Bytes};
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often posts are published: in small groups, as they come in life.
const TICK: Duration = Duration::from_millis(10);
/// Posts change places only with what was written about the same time: X's order is rough by seconds, not by hours,
/// however fast the time of the posts goes by here.
const SWAPPED_MAX_MS: u64 = 10_000;
const DISCONNECT: &str = r#"{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"This stream has been disconnected upstream for operational reasons.","type":"https://api.twitter.com/2/problems/operational-disconnect"}]}"#;

type Sender = mpsc::Sender<Result<Bytes, io::Error>>;

/// Lets time go on from the first connection on.
pub(super) async fn publish(shared: Arc<Shared>) {
    let mut started = shared.started.subscribe();
    if started.wait_for(|started| *started).await.is_err() {
        return;
    }
    let begin = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        let due = (begin.elapsed().as_secs_f64() * shared.config.posts_per_second) as usize;
        let due = due.min(shared.posts.len());
        shared.published.send_replace(due);
        if due == shared.posts.len() {
            return;
        }
    }
}

/// The body of an answer: runs until the client goes or a fault ends it.
pub(super) fn body(shared: Arc<Shared>) -> Body {
    let (sender, receiver) = mpsc::channel(64);
    // Before the client hears that the stream runs: what it searches for from then on joins what the stream brings.
    let place = shared.published.subscribe();
    let next = *place.borrow();
    // Only now may time begin: a post published before this place was taken would pass the first listener by.
    shared.started.send_replace(true);
    tokio::spawn(async move {
        if serve(&shared, &sender, place, next).await == End::Broken {
            // An error in the body makes the server cut the connection in the middle of a chunk.
            let _gone = sender.send(Err(io::Error::other("cut off"))).await;
        }
        drop(sender);
        tokio::time::sleep(shared.config.faults.stale_connection).await;
        shared.connected.store(false, Ordering::SeqCst);
    });
    Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    }))
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The client is gone, or the stream ended as it should.
    Clean,
    /// In the middle of a line.
    Broken,
}

/// What became of one post on one connection.
enum Delivery {
    NoRule,
    Sent,
    Over(End),
}

/// Sends what is published from the place `next` on.
async fn serve(shared: &Shared, sender: &Sender, mut published: watch::Receiver<usize>, mut next: usize) -> End {
    let mut silent_since = Instant::now();
    if shared.config.faults.closed_at_once {
        send(sender, "\r\n".into()).await;
        return End::Clean;
    }
    loop {
        let until = *published.borrow_and_update();
        while next < until {
            let order = if next + 1 < until
                && shared.posts[next + 1].milliseconds_after(&shared.posts[next]) <= SWAPPED_MAX_MS
                && fault(shared, |faults| faults.swap_share)
            {
                vec![next + 1, next]
            } else {
                vec![next]
            };
            next += order.len();
            for place in order {
                match deliver(shared, sender, &shared.posts[place]).await {
                    Delivery::Over(end) => return end,
                    Delivery::Sent => silent_since = Instant::now(),
                    Delivery::NoRule => {}
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep_until(silent_since + shared.config.keep_alive) => {
                if !send(sender, "\r\n".into()).await {
                    return End::Clean;
                }
                silent_since = Instant::now();
            }
            // The sender of this channel lives as long as the simulator.
            _changed = published.changed() => {}
            () = sender.closed() => return End::Clean,
        }
    }
}

fn fault(shared: &Shared, share: impl Fn(&super::Faults) -> f64) -> bool {
    shared.dice().falls(share(&shared.config.faults))
}

fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}

async fn send(sender: &Sender, line: String) -> bool {
    sender.send(Ok(Bytes::from(line))).await.is_ok()
}

/// Sends one post with its faults.
async fn deliver(shared: &Shared, sender: &Sender, post: &SimulatedPost) -> Delivery {
    let rules = shared.rules().matching(post);
    if rules.is_empty() {
        return Delivery::NoRule;
    }
    let faults = &shared.config.faults;
    let line = json!({"data": post.data(), "includes": {"users": [post.user()]}, "matching_rules": rules}).to_string();
    if fault(shared, |faults| faults.unknown_share) {
        count(&shared.seen.unknown_messages);
        let line = r#"{"system":{"kind":"reshuffle","load":0.7},"version":"9"}"#;
        send(sender, format!("{line}\r\n")).await;
    }
    if fault(shared, |faults| faults.broken_line_share) {
        count(&shared.seen.broken_lines);
        count(&shared.seen.disconnects);
        let mut cut = shared.dice().below(line.len());
        while !line.is_char_boundary(cut) {
            cut -= 1;
        }
        send(sender, line[..cut].to_owned()).await;
        return Delivery::Over(End::Broken);
    }
    if fault(shared, |faults| faults.drip_share) {
        for piece in line.as_bytes().chunks(line.len() / 5 + 1) {
            // Cut anywhere, also inside a character.
            let _gone = sender.send(Ok(Bytes::copy_from_slice(piece))).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        send(sender, "\r\n".into()).await;
    } else if !send(sender, format!("{line}\r\n")).await {
        return Delivery::Over(End::Clean);
    }
    let delivered = count(&shared.seen.delivered) + 1;
    count_edit(shared, post);
    if fault(shared, |faults| faults.duplicate_share) {
        count(&shared.seen.duplicated);
        send(sender, format!("{line}\r\n")).await;
    }
    if fault(shared, |faults| faults.deletion_share) {
        count(&shared.seen.deletions);
        let notice =
            json!({"data": {"delete": {"tweet": {"id": post.id, "author_id": "1"}, "event_at": post.created_at}}});
        send(sender, format!("{notice}\r\n")).await;
    }
    if fault(shared, |faults| faults.operational_disconnect_share) {
        count(&shared.seen.disconnects);
        send(sender, format!("{DISCONNECT}\r\n")).await;
        return Delivery::Over(End::Clean);
    }
    if faults.silent_after == Some(delivered) {
        count(&shared.seen.disconnects);
        // Not a sound until the client gives up.
        sender.closed().await;
        return Delivery::Over(End::Clean);
    }
    if fault(shared, |faults| faults.disconnect_share) {
        count(&shared.seen.disconnects);
        return Delivery::Over(End::Clean);
    }
    Delivery::Sent
}

fn count_edit(shared: &Shared, post: &SimulatedPost) {
    if !post.replaces.is_empty() {
        count(&shared.seen.edits);
    }
}

//! The queue over a real nats-server: the promises of its port, a server that is killed or loses everything, and a worker
//! that stands still for longer than its lease.

use crate::listener::Listener;
use crate::nats_server::{Server, worker};
use brokers::nats::{Nats, Settings, SignIn};
use domain::{EnrichedBatch, EnrichedPost, Enrichment, Lease, PostQueue, PostTable, Record, WorkQueue};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::conformance::{self, Sides};
use testkit::{MemoryLake, posts};
use tokio::task::JoinHandle;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(60);

fn listen(settings: &Settings, lake: Arc<MemoryLake>, lost_after: Duration) -> Listener {
    Listener::start(Arc::new(Nats::new(settings.clone())), settings.partitions, lake, lost_after)
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_keeps_the_promises_of_a_work_queue() {
    let Some(server) = Server::start(&[]).await else { return };
    let (streams, listeners) = (AtomicU32::new(0), std::sync::Mutex::new(Vec::new()));
    for partitions in [1, 4] {
        conformance::work(async |lease| {
            let stream = format!("test-{}", streams.fetch_add(1, Ordering::SeqCst));
            let settings = server.settings(&stream, partitions, lease);
            Nats::new(settings.clone()).make().await.unwrap();
            let listener = listen(&settings, Arc::new(MemoryLake::default()), HOUR);
            let queue = listener.queue.clone();
            listeners.lock().unwrap().push(listener);
            Sides { listener: queue, workers: [worker(&settings), worker(&settings)], lease }
        })
        .await;
    }
}

/// A worker's part, without the language model.
async fn store(queue: &dyn WorkQueue, lake: &MemoryLake, lease: Lease) -> bool {
    let covered = lake.committed(&lease.partition).await.unwrap().unwrap_or(0);
    if covered < lease.after_offset {
        assert!(queue.refuse(lease.id).await.unwrap());
        return false;
    }
    let last_offset = lease.records.last().unwrap().offset;
    let enriched = lease.records.into_iter().filter_map(|leased| match leased.record {
        Record::Deletion(_) => None,
        Record::Post(post) => Some(EnrichedPost {
            offset: leased.offset,
            post: *post,
            enrichment: Enrichment::default(),
            topics: Vec::new(),
            place: None,
            author_place: None,
            enriched_at: posts::noon(),
        }),
    });
    let batch = EnrichedBatch {
        partition: lease.partition,
        after_offset: lease.after_offset,
        last_offset,
        posts: Arc::new(enriched.collect()),
        deletions: Vec::new(),
    };
    lake.commit(batch).await.unwrap();
    queue.ack(lease.id).await.is_ok_and(|is_acked| is_acked)
}

fn work(queue: Arc<dyn WorkQueue>, lake: Arc<MemoryLake>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            match queue.lease(100, HOUR).await {
                Ok(Some(lease)) => drop(store(queue.as_ref(), &lake, lease).await),
                Ok(None) => queue.wait(Duration::from_millis(50)).await,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
}

async fn append(listener: &Listener, numbers: std::ops::Range<u32>) {
    listener.queue.append(numbers.map(|n| posts::record(&n.to_string())).collect()).await.unwrap();
}

/// Waits until the listener knows that the lake has everything, and looks at that.
async fn assert_all_stored_once(listener: &Listener, lake: &MemoryLake, count: usize) {
    let stored = async {
        loop {
            let depth = listener.queue.depth().await.unwrap();
            if depth.waiting + depth.in_flight == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stored).await.expect("everything is stored");
    assert_eq!(lake.posts().len(), count);
    assert_eq!(lake.written_twice(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_server_is_killed() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let settings = server.settings("killed", 4, Duration::from_secs(2));
    let lake = Arc::new(MemoryLake::default());
    let listener = listen(&settings, lake.clone(), Duration::from_secs(3));
    let workers = [0, 1, 2].map(|_| work(worker(&settings), lake.clone()));
    for round in 0..6 {
        append(&listener, round * 300..(round + 1) * 300).await;
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 30)).await;
        server.kill();
        if round % 3 == 2 {
            server.lose_everything();
        }
        append(&listener, 10_000 + round * 10..10_000 + (round + 1) * 10).await;
        server.run().await;
    }
    assert_all_stored_once(&listener, &lake, 6 * 310).await;
    workers.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stood_still_for_longer_than_its_lease_does_no_harm() {
    let Some(server) = Server::start(&[]).await else { return };
    let settings = server.settings("still", 1, Duration::from_secs(1));
    let lake = Arc::new(MemoryLake::default());
    let listener = listen(&settings, lake.clone(), HOUR);
    append(&listener, 0..10).await;
    let still = worker(&settings);
    let held = loop {
        match still.lease(100, HOUR).await.unwrap() {
            Some(lease) => break lease,
            None => still.wait(Duration::from_millis(50)).await,
        }
    };
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let other = work(worker(&settings), lake.clone());
    append(&listener, 10..60).await;
    assert_all_stored_once(&listener, &lake, 60).await;
    assert!(!still.extend(held.id, HOUR).await.unwrap(), "it is another's now");
    assert!(!store(still.as_ref(), &lake, held).await, "its ack takes nothing");
    append(&listener, 60..70).await;
    assert_all_stored_once(&listener, &lake, 70).await;
    other.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_says_why() {
    let Some(server) = Server::start(&["--user", "overheard", "--pass", "secret"]).await else { return };
    let mut settings = server.settings("refused", 1, HOUR);
    let error = Nats::new(settings.clone()).make().await.unwrap_err().to_string();
    assert!(error.contains("Authorization Violation"), "{error}");
    settings.sign_in =
        SignIn { user: Some("overheard".into()), password: Some("secret".to_owned().into()), ..SignIn::default() };
    let found = Nats::new(settings.clone()).make().await.unwrap();
    assert!(found.was_made && found.messages == 0, "{found:?}");
    assert!(!Nats::new(settings.clone()).make().await.unwrap().was_made, "the second time it is there");
    settings.servers = vec!["nats://127.0.0.1:1".parse().unwrap()];
    let error = Nats::new(settings).make().await.unwrap_err().to_string();
    assert!(error.contains("can't connect"), "{error}");
}

//! Posts per second with 1, 2, 4 and 8 workers over a NATS server, with a stand-in for the language model that waits 4 ms a
//! post and a lake in memory whose commits take 100 ms, as on object storage: what the way of the posts adds to that.
//!
//!     nats-server -js & cargo run -p brokers -p overheard --example broker_scaling -- nats://127.0.0.1:4222

use async_trait::async_trait;
use brokers::Worker;
use brokers::nats::{MESSAGE_MAX, Nats, Settings, SignIn};
use domain::topic::TopicMatcher;
use domain::{
    Alert, Anomaly, Broker, EnrichedBatch, EnrichedPost, Enricher, Enrichment, PartitionId, Post, PostQueue, PostTable,
    Result, SystemClock,
};
use pipeline::{Carry, CarryConfig, Forward, ForwardConfig, Understand};
use places::Gazetteer;
use queue::{Config, Embedded};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{MemoryLake, posts};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

const POSTS_A_WORKER: usize = 2_000;
const POST: Duration = Duration::from_millis(4);
const COMMIT: Duration = Duration::from_millis(100);

struct StandIn;

impl Enricher for StandIn {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        std::thread::sleep(POST * posts.len() as u32);
        posts.iter().map(|_| Ok(Enrichment::default())).collect()
    }

    fn model(&self) -> &str {
        "stand-in"
    }
}

struct SlowLake(MemoryLake);

#[async_trait]
impl PostTable for SlowLake {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        tokio::time::sleep(COMMIT).await;
        self.0.commit(batch).await
    }
    async fn committed(&self, partition: &PartitionId) -> Result<Option<u64>> {
        self.0.committed(partition).await
    }
    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        self.0.rewrite(posts).await
    }
    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()> {
        self.0.put_anomalies(anomalies).await
    }
    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()> {
        self.0.put_alerts(alerts).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "nats://127.0.0.1:4222".into());
    let mut one = 0.0;
    for workers in [1, 2, 4, 8] {
        let speed = measure(&server, workers).await?;
        if workers == 1 {
            one = speed;
        }
        println!("{workers} workers: {speed:.0} posts/s, {:.2} times one", speed / one);
    }
    Ok(())
}

async fn measure(server: &str, workers: usize) -> Result<f64> {
    let settings = Settings {
        servers: vec![server.parse().unwrap()],
        sign_in: SignIn::default(),
        stream: format!("scaling-{}", uuid::Uuid::new_v4().simple()),
        partitions: 2 * workers as u16,
        lease: Duration::from_secs(60),
        replicas: 1,
        bytes_max: 1 << 30,
    };
    let folder = tempfile::tempdir().unwrap();
    let config = Config { partitions: settings.partitions, leases_max: usize::MAX, ..Config::default() };
    let queue = Arc::new(Embedded::open(folder.path().join("overheard.db"), config, Arc::new(SystemClock))?);
    let lake = Arc::new(SlowLake(MemoryLake::default()));
    let shutdown = CancellationToken::new();
    let broker: Arc<dyn Broker> = Arc::new(Nats::new(settings.clone()));
    let forward = Forward {
        config: ForwardConfig { batch_max: 250, confirm_every: Duration::from_millis(200), ..ForwardConfig::default() },
        queue: queue.clone(),
        broker,
        lake: lake.clone(),
        clock: Arc::new(SystemClock),
        health: Arc::default(),
    };
    let count = POSTS_A_WORKER * workers;
    queue.append((0..count).map(|n| posts::record(&n.to_string())).collect()).await?;
    tokio::spawn(forward.run(shutdown.clone()));
    for _ in 0..workers {
        let understand = Understand::new(Arc::new(StandIn), Gazetteer::embedded()?, TopicMatcher::new(Vec::new())?);
        let carry = Carry {
            config: CarryConfig::default(),
            queue: Arc::new(Worker::new(Nats::new(settings.clone()), settings.lease, MESSAGE_MAX)),
            understand: Arc::new(understand),
            lake: lake.clone(),
            clock: Arc::new(SystemClock),
            committed: broadcast::channel(1).0,
            health: Arc::default(),
        };
        tokio::spawn(carry.run(shutdown.clone()));
    }
    let began = Instant::now();
    while lake.0.posts().len() < count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let speed = count as f64 / began.elapsed().as_secs_f64();
    shutdown.cancel();
    Ok(speed)
}

//! The promises of the queue's port over SQS.

use crate::listener::Listener;
use aws::Credentials;
use brokers::Worker;
use brokers::sqs::{MESSAGE_MAX, Settings, Sqs};
use domain::SystemClock;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::MemoryLake;
use testkit::conformance::{self, Sides};

struct Ministack {
    child: Child,
    port: u16,
}

impl Drop for Ministack {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Ministack {
    async fn start() -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ministack/bin/ministack");
        if !program.exists() {
            eprintln!("skipped: there is no ministack; `make setup-test` installs it");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self { child, port };
        for _ in 0..1_500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(running);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("ministack does not listen on port {port}");
    }

    async fn make_queue(&self, name: &str, is_fifo: bool) -> String {
        let attributes = if is_fifo { serde_json::json!({"FifoQueue": "true"}) } else { serde_json::json!({}) };
        let request = serde_json::json!({"QueueName": name, "Attributes": attributes}).to_string();
        let post = reqwest::Client::new().post(format!("http://127.0.0.1:{}/", self.port));
        let post = post.header("content-type", "application/x-amz-json-1.0");
        let answer = post.header("x-amz-target", "AmazonSQS.CreateQueue").body(request).send().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        answer["QueueUrl"].as_str().unwrap().to_owned()
    }

    async fn settings(&self, name: &str, lease: Duration) -> Settings {
        let queue = self.make_queue(&format!("{name}.fifo"), true).await;
        let letters = self.make_queue(&format!("{name}-letters.fifo"), true).await;
        Settings {
            aws: aws::Settings {
                region: "us-east-1".into(),
                credentials: Some(Credentials::fixed("test", &"test".into(), None)),
                ..aws::Settings::default()
            },
            queue: queue.parse().unwrap(),
            letters: letters.parse().unwrap(),
            lease,
        }
    }
}

fn sqs(settings: &Settings) -> Sqs {
    Sqs::new(settings.clone(), Arc::new(SystemClock)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_keeps_the_promises_of_a_work_queue() {
    let Some(server) = Ministack::start().await else { return };
    let (names, listeners) = (AtomicU32::new(0), std::sync::Mutex::new(Vec::new()));
    for partitions in [1, 4] {
        conformance::work(async |lease| {
            // SQS counts in seconds.
            let lease = lease.max(Duration::from_secs(2));
            let name = format!("test-{}", names.fetch_add(1, Ordering::SeqCst));
            let settings = server.settings(&name, lease).await;
            let lake = Arc::new(MemoryLake::default());
            let listener = Listener::start(Arc::new(sqs(&settings)), partitions, lake, Duration::from_secs(3_600));
            let queue = listener.queue.clone();
            listeners.lock().unwrap().push(listener);
            let worker = || Arc::new(Worker::new(sqs(&settings), lease, MESSAGE_MAX));
            Sides { listener: queue, workers: [worker(), worker()], lease }
        })
        .await;
    }
}

#[tokio::test]
async fn a_queue_that_is_missing_or_of_the_wrong_kind_is_told() {
    let Some(server) = Ministack::start().await else { return };
    let mut settings = server.settings("told", Duration::from_secs(60)).await;
    assert_eq!(sqs(&settings).check().await.unwrap(), 0);
    settings.letters = server.make_queue("standard", false).await.parse().unwrap();
    let error = sqs(&settings).check().await.unwrap_err().to_string();
    assert!(error.contains("is not a FIFO queue"), "{error}");
    settings.letters = format!("{}-missing.fifo", settings.queue).parse().unwrap();
    let error = sqs(&settings).check().await.unwrap_err().to_string();
    assert!(error.contains("Amazon SQS GetQueueAttributes answered 400"), "{error}");
}

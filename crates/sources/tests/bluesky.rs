//! The connector of Bluesky against a Jetstream in small.

mod support;

use futures::future::BoxFuture;
use sources::bluesky::{Bluesky, BlueskyConfig};
use std::time::Duration;
use support::{impatient, run, suite};
use testkit::bluesky_server::BlueskyServer;
use testkit::conformance::{StandIn, Start};

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite() {
    let stand_in = || -> BoxFuture<'static, Box<dyn StandIn>> {
        Box::pin(async { Box::new(BlueskyServer::start(5).await.unwrap()) as Box<dyn StandIn> })
    };
    suite(stand_in, |start: Start| {
        let url = format!("{}/subscribe", start.url.replace("http://", "ws://"));
        let usual = BlueskyConfig::new(url.parse().unwrap(), None);
        let config = match start.is_patient {
            true => usual,
            false => BlueskyConfig { request_timeout: Duration::from_millis(500), backoff: impatient(), ..usual },
        };
        Box::pin(run(Box::new(Bluesky::new(config).unwrap()), start))
    })
    .await;
}

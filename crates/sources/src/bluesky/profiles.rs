//! Names and followers of authors, which the events do not tell: looked up for posts that are kept, and remembered.
//! Best effort: a post without them is kept all the same.

use super::payload::Profile;
use crate::kit::http::{Fetcher, Validators};
use chrono::TimeDelta;
use domain::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use url::Url;

/// Authors in one request.
const AT_ONCE: usize = 25;
/// Authors that are remembered; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 50_000;

/// After a failure nothing is looked up for so long: the posts of the stream wait for each try.
const REST: TimeDelta = TimeDelta::minutes(1);

/// The look-up.
pub(super) struct Profiles {
    fetcher: Fetcher,
    /// Base URL of the API; `None`: nothing is looked up.
    api: Option<Url>,
    known: HashMap<String, Option<Profile>>,
    failed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    profiles: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    did: String,
    #[serde(flatten)]
    profile: Profile,
}

impl Profiles {
    pub(super) fn new(fetcher: Fetcher, api: Option<Url>) -> Self {
        Self { fetcher, api, known: HashMap::new(), failed_at: None }
    }

    /// Looks up those that are not known yet.
    pub(super) async fn look_up(&mut self, dids: impl Iterator<Item = &str>, now: Timestamp) {
        let Some(api) = &self.api else { return };
        if self.failed_at.is_some_and(|at| (now - at).abs() < REST) {
            return;
        }
        if self.known.len() > REMEMBERED_MAX {
            self.known.clear();
        }
        let mut missing: Vec<&str> = dids.filter(|did| !self.known.contains_key(*did)).collect();
        missing.sort_unstable();
        missing.dedup();
        for some in missing.chunks(AT_ONCE) {
            let mut url = api.clone();
            url.set_path("/xrpc/app.bsky.actor.getProfiles");
            url.query_pairs_mut().extend_pairs(some.iter().map(|did| ("actors", did)));
            let answer = match self.fetcher.get(&url, api, &Validators::default(), now).await {
                Ok(answer) => answer.body.and_then(|body| serde_json::from_slice::<Answer>(&body).ok()),
                Err(failure) => {
                    tracing::debug!(error = failure.message(), "authors of Bluesky can't be looked up");
                    self.failed_at = Some(now);
                    return;
                }
            };
            // Those that are not in the answer are gone, and are not asked for again.
            self.known.extend(some.iter().map(|did| ((*did).to_owned(), None)));
            let found = answer.map(|answer| answer.profiles).unwrap_or_default();
            self.known.extend(found.into_iter().map(|found| (found.did, Some(found.profile))));
        }
    }

    pub(super) fn get(&self, did: &str) -> Option<Profile> {
        self.known.get(did).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_api_that_fails_is_left_alone_for_a_while() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let api = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(client);
            }
        });
        let mut profiles = Profiles::new(Fetcher::new(Duration::from_secs(5)).unwrap(), Some(api));
        let mut times = Vec::new();
        for passed in [TimeDelta::zero(), REST / 2, REST] {
            profiles.look_up(std::iter::once("did:plc:a"), Timestamp::UNIX_EPOCH + passed).await;
            times.push(asked.load(Ordering::SeqCst));
        }
        assert!(times[0] > 0 && times[1] == times[0] && times[2] > times[1], "{times:?}");
        assert_eq!(profiles.get("did:plc:a"), None);
    }
}

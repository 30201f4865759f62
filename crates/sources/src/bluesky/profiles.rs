//! Names and followers of authors, which the events do not tell: looked up for posts that are kept, and remembered.
//! Best effort: a post without them is kept all the same.

use super::payload::Profile;
use crate::kit::http::{Fetcher, Validators};
use domain::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use url::Url;

/// Authors in one request.
const AT_ONCE: usize = 25;
/// Authors that are remembered; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 50_000;

/// The look-up.
pub(super) struct Profiles {
    fetcher: Fetcher,
    /// Base URL of the API; `None`: nothing is looked up.
    api: Option<Url>,
    known: HashMap<String, Option<Profile>>,
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
        Self { fetcher, api, known: HashMap::new() }
    }

    /// Looks up those that are not known yet.
    pub(super) async fn look_up(&mut self, dids: impl Iterator<Item = &str>, now: Timestamp) {
        let Some(api) = &self.api else { return };
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
            let answer = match self.fetcher.get(&url, &Validators::default(), now).await {
                Ok(answer) => answer.body.and_then(|body| serde_json::from_slice::<Answer>(&body).ok()),
                Err(failure) => {
                    tracing::debug!(error = failure.message(), "authors of Bluesky can't be looked up");
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

//! A source that a platform calls in its own form. Nothing of a call is read before its proof was found good.

use super::presets::{Call as Body, Preset};
use super::proof::Headers;
use super::{Call, Error, Outcome, POSTS_MAX, PushSource};
use crate::record::{ColumnMapping, Origin};
use domain::{Provenance, SourceId};
use secrecy::{ExposeSecret as _, SecretString};

/// Most bytes of a call of a platform that signs the body, which is read before its signature can be checked.
const SIGNED_MAX_BYTES: usize = 2 << 20;

/// The connector.
pub struct Webhook {
    pub source: PushSource,
    pub preset: Preset,
    pub secret: SecretString,
    /// Which path of the JSON is which field, for presets that leave it open.
    pub mapping: ColumnMapping,
}

impl Webhook {
    /// Refuses what can be refused by its headers. Returns the most bytes that the body may have.
    pub fn check(&self, headers: Headers<'_>) -> Result<usize, Error> {
        let (proof, now) = (self.preset.proof(), self.source.clock.now());
        proof.check_headers(headers, self.secret.expose_secret(), now).map_err(Error::Unproven)?;
        let holds_secret = matches!(self.preset, Preset::Firehose | Preset::Json | Preset::Trustpilot);
        Ok(if holds_secret { super::BODY_MAX_BYTES } else { SIGNED_MAX_BYTES })
    }

    /// Stores the posts of a call; the answer comes once they are on disk, one outcome a post. What the platform sends
    /// again is known by its ids.
    pub async fn accept(&self, headers: Headers<'_>, body: &[u8], source: &SourceId) -> Result<Vec<Outcome>, Error> {
        let now = self.source.clock.now();
        let proof = self.preset.proof();
        proof.check(headers, body, self.secret.expose_secret(), now).map_err(Error::Unproven)?;
        let origin = Origin {
            source: source.clone(),
            platform: self.source.rights.platform.clone(),
            provenance: Provenance::Push,
            received_at: now,
        };
        let parsed = self.preset.parse(&Body { headers, body }, &self.mapping, &origin).map_err(Error::Malformed)?;
        let mut call = Call { parsed, ..Call::default() };
        call.sort(0, body, 0, &self.source.rights);
        // A delivery of Firehose has as many records as fit into its bytes.
        if self.preset != Preset::Firehose && call.outcomes.len() > POSTS_MAX {
            return Err(Error::TooLarge(format!("more than {POSTS_MAX} posts in one call")));
        }
        self.source.settle(call, self.preset.format(), &origin).await
    }
}

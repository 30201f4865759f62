//! The trouble that the simulator makes: shares and rates of each kind, thrown by a seeded dice, so that a run can be
//! repeated.

use std::time::Duration;

/// Shares are probabilities for each post, 0 to 1.
#[derive(Debug, Clone)]
pub struct Faults {
    pub seed: u64,
    /// The connection breaks in the middle of the post's line.
    pub broken_line_share: f64,
    /// The connection ends between two lines.
    pub disconnect_share: f64,
    /// `operational-disconnect` in the stream, then the end.
    pub operational_disconnect_share: f64,
    /// The post comes twice.
    pub duplicate_share: f64,
    /// The line comes in small pieces.
    pub drip_share: f64,
    /// A message of a kind that no document names stands before the post.
    pub unknown_share: f64,
    /// The post changes places with the next, where that was written within seconds of it.
    pub swap_share: f64,
    /// The post was written first with a slip of the pen and then edited: two posts with one history.
    pub edit_share: f64,
    /// A notice of deletion of the post follows it.
    pub deletion_share: f64,
    /// How long the end of a connection is not noticed: a new one is refused with `TooManyConnections`.
    pub stale_connection: Duration,
    /// The first requests for the stream are refused by rate.
    pub rate_limited_first: u32,
    /// The first requests for the stream meet an error 503.
    pub unavailable_first: u32,
    /// The stream falls silent for good after so many posts, without a blank line (once).
    pub silent_after: Option<u64>,
    /// Every connection is accepted, says that it lives, and is closed.
    pub closed_at_once: bool,
}

impl Default for Faults {
    /// No trouble at all.
    fn default() -> Self {
        Self {
            seed: 1,
            broken_line_share: 0.0,
            disconnect_share: 0.0,
            operational_disconnect_share: 0.0,
            duplicate_share: 0.0,
            drip_share: 0.0,
            unknown_share: 0.0,
            swap_share: 0.0,
            edit_share: 0.0,
            deletion_share: 0.0,
            stale_connection: Duration::ZERO,
            rate_limited_first: 0,
            unavailable_first: 0,
            silent_after: None,
            closed_at_once: false,
        }
    }
}

impl Faults {
    /// Everything at once, often enough that a run over some thousand posts meets each kind several times. Deletions
    /// are left to the caller, because they change what must arrive.
    pub fn all(seed: u64) -> Self {
        Self {
            seed,
            broken_line_share: 0.0005,
            disconnect_share: 0.0003,
            operational_disconnect_share: 0.0003,
            duplicate_share: 0.03,
            drip_share: 0.01,
            unknown_share: 0.005,
            swap_share: 0.05,
            edit_share: 0.01,
            deletion_share: 0.0,
            stale_connection: Duration::from_millis(30),
            rate_limited_first: 1,
            unavailable_first: 1,
            silent_after: Some(2_000),
            closed_at_once: false,
        }
    }
}

/// SplitMix64: small, seeded, good enough to throw faults with.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True with this probability.
    pub(crate) fn falls(&mut self, share: f64) -> bool {
        share > 0.0 && (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= share
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }
}

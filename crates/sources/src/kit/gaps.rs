//! Stretches of which posts may be missing: they open when a connection breaks, end when it is there again, and are
//! filled by a search where the platform has one. In memory; the cursor keeps the earliest beginning, so after a crash
//! all gaps are one.

use std::time::{Duration, Instant};

/// Gaps that wait for their search; more are joined with the newest of them. The first does not wait for the others,
/// whose newest posts become known to the search later.
const WAITING_MAX: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no connection.
    Open,
    /// The connection is there again since this moment.
    Ended(Instant),
    /// Being filled, and ended at this moment.
    Filling(Instant),
}

/// From an id to the moment at which the connection was there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    since_id: u64,
    state: State,
}

/// The gaps of one source, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Vec<Gap>);

/// What there is to fill.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextGap {
    /// The gap since this id.
    Since(u64),
    /// A gap has ended, but the search does not know its newest posts yet.
    In(Duration),
    None,
}

impl Gaps {
    /// With one open gap, if there is one.
    pub(crate) fn open_since(since_id: Option<u64>) -> Self {
        Self(since_id.map(|since_id| Gap { since_id, state: State::Open }).into_iter().collect())
    }

    /// The earliest beginning.
    pub(crate) fn since_id(&self) -> Option<u64> {
        self.0.iter().map(|gap| gap.since_id).min()
    }

    /// The connection broke. A gap that is open already stays as it is.
    pub(crate) fn open(&mut self, since_id: u64) {
        if !self.0.iter().any(|gap| gap.state == State::Open) {
            self.0.push(Gap { since_id, state: State::Open });
        }
    }

    /// The connection is there again.
    pub(crate) fn end(&mut self, at: Instant) {
        let Some(open) = self.0.iter().position(|gap| gap.state == State::Open) else { return };
        let mut gap = self.0.remove(open);
        gap.state = State::Ended(at);
        let waits = |gap: &Gap| matches!(gap.state, State::Ended(_));
        if self.0.iter().filter(|gap| waits(gap)).count() >= WAITING_MAX
            && let Some(newest) = self.0.iter().rposition(waits)
        {
            gap.since_id = gap.since_id.min(self.0.remove(newest).since_id);
        }
        self.0.push(gap);
    }

    /// Takes the first gap that ended at least `delay` ago.
    pub(crate) fn take(&mut self, delay: Duration, now: Instant) -> NextGap {
        for gap in &mut self.0 {
            let State::Ended(at) = gap.state else { continue };
            let waited = now.saturating_duration_since(at);
            if waited < delay {
                return NextGap::In(delay - waited);
            }
            gap.state = State::Filling(at);
            return NextGap::Since(gap.since_id);
        }
        NextGap::None
    }

    /// The gap that was taken is filled.
    pub(crate) fn filled(&mut self) {
        self.0.retain(|gap| !matches!(gap.state, State::Filling(_)));
    }

    /// The gap that was taken could not be filled to its end.
    pub(crate) fn give_back(&mut self) {
        for gap in &mut self.0 {
            if let State::Filling(at) = gap.state {
                gap.state = State::Ended(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_gap_waits_for_the_search_and_can_be_given_back() {
        let now = Instant::now();
        let mut gaps = Gaps::open_since(Some(7));
        assert_eq!(gaps.take(Duration::ZERO, now), NextGap::None, "there is no connection yet");
        gaps.open(9);
        gaps.end(now);
        assert_eq!(gaps.take(HOUR, now + HOUR / 4), NextGap::In(HOUR - HOUR / 4));
        assert_eq!(gaps.take(HOUR, now + HOUR), NextGap::Since(7), "an open gap stays as it is");
        gaps.give_back();
        assert_eq!(gaps.take(HOUR, now + HOUR), NextGap::Since(7));
        gaps.filled();
        assert_eq!((gaps.take(HOUR, now + HOUR), gaps.since_id()), (NextGap::None, None));
    }

    #[test]
    fn further_gaps_are_joined_and_do_not_hold_the_first_up() {
        let (mut gaps, began) = (Gaps::default(), Instant::now());
        for minute in 0..=60 {
            gaps.open(u64::from(minute));
            gaps.end(began + HOUR / 60 * minute);
        }
        assert_eq!(gaps.take(HOUR, began + HOUR), NextGap::Since(0));
        gaps.filled();
        assert_eq!(gaps.take(HOUR, began + HOUR), NextGap::In(HOUR), "the others are one, as old as the last");
        assert_eq!(gaps.since_id(), Some(1));
    }
}

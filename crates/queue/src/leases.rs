//! Which ranges of keys ([`crate::partitions`]) are on loan: plain data, no disk, no clock. Times are durations since an arbitrary start
//! ([`domain::Clock::elapsed`]), so that a step of the time of day ends no loan.

use std::ops::Range;
use std::time::Duration;

/// One range on loan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Loan {
    id: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    records: u64,
    ends_at: Duration,
}

/// Keys that are free to lend: those after `after` and before `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) after: u64,
    pub(crate) before: u64,
}

/// The loans that are out, in order of their keys; no two overlap.
#[derive(Debug, Default)]
pub(crate) struct Loans {
    out: Vec<Loan>,
    id_last: u64,
}

impl Loans {
    /// Forgets the loans that have run out.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.out.retain(|loan| loan.ends_at > now);
    }

    pub(crate) fn count(&self) -> usize {
        self.out.len()
    }

    /// Records on loan.
    pub(crate) fn in_flight(&self) -> u64 {
        self.out.iter().map(|loan| loan.records).sum()
    }

    /// What is free in a partition, in order: before, between and after its loans. A loan never reaches across another.
    pub(crate) fn gaps(&self, partition: Range<u64>) -> Vec<Gap> {
        let mut after = partition.start;
        let mut gaps = Vec::new();
        for loan in self.out.iter().filter(|loan| partition.contains(&loan.first)) {
            gaps.push(Gap { after, before: loan.first });
            after = loan.last;
        }
        gaps.push(Gap { after, before: partition.end });
        gaps
    }

    /// Lends a range of a gap; returns the loan's id.
    pub(crate) fn lend(&mut self, first: u64, last: u64, records: u64, ends_at: Duration) -> u64 {
        self.id_last += 1;
        let at = self.out.partition_point(|loan| loan.last < first);
        self.out.insert(at, Loan { id: self.id_last, first, last, records, ends_at });
        self.id_last
    }

    pub(crate) fn find(&self, id: u64) -> Option<Loan> {
        self.out.iter().find(|loan| loan.id == id).copied()
    }

    /// Moves the end of a loan; false when it is not out.
    pub(crate) fn extend(&mut self, id: u64, ends_at: Duration) -> bool {
        let found = self.out.iter_mut().find(|loan| loan.id == id);
        found.map(|loan| loan.ends_at = ends_at).is_some()
    }

    /// The loan is done, or given back.
    pub(crate) fn end(&mut self, id: u64) {
        self.out.retain(|loan| loan.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Range<u64> = 0..1_000;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_loan_that_runs_out_leaves_a_gap_between_the_others() {
        let mut loans = Loans::default();
        loans.lend(1, 10, 10, at(100));
        let second = loans.lend(11, 20, 9, at(50));
        loans.lend(21, 30, 10, at(100));
        assert_eq!(loans.gaps(ALL)[2], Gap { after: 20, before: 21 });
        loans.expire(at(50));
        let free = [Gap { after: 0, before: 1 }, Gap { after: 10, before: 21 }, Gap { after: 30, before: 1_000 }];
        assert_eq!(loans.gaps(ALL), free);
        assert_eq!(loans.find(second), None);
        assert!(!loans.extend(second, at(300)), "what ran out can't be held any more");
        let again = loans.lend(11, 15, 5, at(200));
        assert_eq!(loans.gaps(ALL)[1..3], [Gap { after: 10, before: 11 }, Gap { after: 15, before: 21 }]);
        assert_eq!(loans.gaps(1_000..2_000), [Gap { after: 1_000, before: 2_000 }], "another partition");
        assert_eq!((loans.count(), loans.in_flight()), (3, 25));
        assert!(loans.extend(again, at(300)));
        loans.expire(at(250));
        assert_eq!(loans.count(), 1);
        loans.end(again);
        assert_eq!(loans.count(), 0);
    }
}

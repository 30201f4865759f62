//! Which ranges of offsets are on loan: plain data, no disk, no clock.

use crate::error::{Error, Result};
use domain::{Offset, Timestamp};

/// One range on loan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Loan {
    id: u64,
    pub(crate) first: Offset,
    pub(crate) last: Offset,
    records: u64,
    ends_at: Timestamp,
}

/// Offsets that are free to lend: those after `after` and before `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) after: Offset,
    pub(crate) before: Offset,
}

/// The loans that are out, in order of offset; no two overlap.
#[derive(Debug, Default)]
pub(crate) struct Loans {
    out: Vec<Loan>,
    id_last: u64,
}

impl Loans {
    /// Forgets the loans that have run out.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.out.retain(|loan| loan.ends_at > now);
    }

    pub(crate) fn count(&self) -> usize {
        self.out.len()
    }

    /// Records on loan.
    pub(crate) fn in_flight(&self) -> u64 {
        self.out.iter().map(|loan| loan.records).sum()
    }

    /// What is free, in order: before, between and after the loans. A loan never reaches across another.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut after = 0;
        let mut gaps = Vec::with_capacity(self.out.len() + 1);
        for loan in &self.out {
            gaps.push(Gap { after, before: loan.first });
            after = loan.last;
        }
        gaps.push(Gap { after, before: Offset::MAX });
        gaps
    }

    /// Lends a range of a gap; returns the loan's id.
    pub(crate) fn lend(&mut self, first: Offset, last: Offset, records: u64, ends_at: Timestamp) -> u64 {
        self.id_last += 1;
        let at = self.out.partition_point(|loan| loan.last < first);
        self.out.insert(at, Loan { id: self.id_last, first, last, records, ends_at });
        self.id_last
    }

    pub(crate) fn find(&self, id: u64) -> Result<Loan> {
        self.out.iter().find(|loan| loan.id == id).copied().ok_or(Error::NotOut(id))
    }

    /// The loan is done, or given back.
    pub(crate) fn end(&mut self, id: u64) -> Result<()> {
        self.find(id)?;
        self.out.retain(|loan| loan.id != id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_loan_that_runs_out_leaves_a_gap_between_the_others() {
        let mut loans = Loans::default();
        loans.lend(1, 10, 10, at(100));
        let second = loans.lend(11, 20, 9, at(50));
        loans.lend(21, 30, 10, at(100));
        assert_eq!(loans.gaps()[2], Gap { after: 20, before: 21 });
        loans.expire(at(50));
        let free = [Gap { after: 0, before: 1 }, Gap { after: 10, before: 21 }, Gap { after: 30, before: Offset::MAX }];
        assert_eq!(loans.gaps(), free);
        assert!(matches!(loans.find(second), Err(Error::NotOut(_))));
        let again = loans.lend(11, 15, 5, at(200));
        assert_eq!(loans.gaps()[1..3], [Gap { after: 10, before: 11 }, Gap { after: 15, before: 21 }]);
        assert_eq!((loans.count(), loans.in_flight()), (3, 25));
        loans.end(again).unwrap();
        assert!(loans.end(again).is_err());
    }
}

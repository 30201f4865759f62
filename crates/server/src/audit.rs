//! What an entry of the audit log (`state::AuditLog`) says beyond the request itself: who asked, and what it was done to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is found out of a request while it is answered: its part of the audit log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    who: Option<String>,
    subject: Option<String>,
}

impl Trail {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asked and what it was done to, as far as that was found.
    pub(crate) fn take(&self) -> (Option<String>, Option<String>) {
        let mut found = self.found();
        (found.who.take(), found.subject.take())
    }

    pub(crate) fn is_of(&self, who: &str) {
        self.found().who = Some(who.to_owned());
    }

    /// What it was done to, where the path doesn't say it.
    pub(crate) fn about(&self, subject: impl Into<String>) {
        self.found().subject = Some(subject.into());
    }
}

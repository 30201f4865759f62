//! Who may lend, and what is on loan.

use crate::error::Error;
use crate::leases::Loans;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;

/// The right to lend, and what is on loan.
pub(crate) struct Consumer {
    path: PathBuf,
    lock: Option<File>,
    pub(crate) loans: Loans,
    /// The partition whose turn it is.
    pub(crate) next: u16,
}

impl Consumer {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, lock: None, loans: Loans::default(), next: 0 }
    }

    /// Takes the lock when it is free; false while another process lends.
    pub(crate) fn owns_the_queue(&mut self) -> Result<bool, Error> {
        if self.lock.is_some() {
            return Ok(true);
        }
        let failed = |source| Error::Open { path: self.path.clone(), source };
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(std::fs::TryLockError::WouldBlock) => return Ok(false),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        Ok(true)
    }

    /// Records on loan.
    pub(crate) fn in_flight(&self) -> u64 {
        self.loans.in_flight()
    }

    /// Whether any process lends.
    pub(crate) fn is_owned(&self) -> Result<bool, Error> {
        let failed = |source| Error::Open { path: self.path.clone(), source };
        if self.lock.is_some() {
            return Ok(true);
        }
        let file = match OpenOptions::new().read(true).open(&self.path) {
            Ok(file) => file,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(failed(source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(std::fs::TryLockError::WouldBlock) => Ok(true),
            Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

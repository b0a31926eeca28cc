//! The lease: the kernel lock that the worker's lineage holds for life.
//!
//! The lock is `flock` on one open file description of the file [`file::LEASE`]. The launcher takes it before the spawn,
//! the worker inherits it, and the kernel frees it with its last holder. It is never unlocked, only closed, and
//! programs and children never inherit it. Only its holder may touch the control socket's path, the generation and the
//! ledger.
//!
//! On disk the file is called `instance`. That name is part of the format of the state directory: launchers of every
//! version have to lock the same file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tenure_sys::lock::{self, FileLock, LockWait, TryLock};

use crate::deadline::Stage;
use crate::store::paths::{StateDir, file};

/// The lease of a scope, held by this process and by those that share the description.
#[derive(Debug)]
pub struct Lease(FileLock);

/// What an attempt to take the lease gave.
#[derive(Debug)]
pub enum TryLease {
    /// The lease: nobody else held it.
    Free(Lease),
    /// A process of the lineage lives and holds it.
    Busy,
}

/// The lease file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("lock the lease file")]
pub struct LeaseError(#[source] pub io::Error);

impl Lease {
    /// Takes the lease if it is free.
    pub fn try_take(state: &StateDir) -> Result<TryLease, LeaseError> {
        loop {
            let file = state.dir().open_lock(file::LEASE).map_err(LeaseError)?;
            match lock::try_lock(file).map_err(LeaseError)? {
                TryLock::Busy(_) => return Ok(TryLease::Busy),
                TryLock::Taken(lock) => {
                    if let Some(lease) = Self::at_path(state, lock)? {
                        return Ok(TryLease::Free(lease));
                    }
                }
            }
        }
    }

    /// Takes the lease. Waits in the kernel for the end of its last holder, as long as the stage allows.
    pub fn take_within(state: &StateDir, stage: Stage) -> Result<TryLease, LeaseError> {
        loop {
            let file = state.dir().open_lock(file::LEASE).map_err(LeaseError)?;
            match lock::lock_within(file, stage.remaining()).map_err(LeaseError)? {
                LockWait::TimedOut => return Ok(TryLease::Busy),
                LockWait::Taken(lock) => {
                    if let Some(lease) = Self::at_path(state, lock)? {
                        return Ok(TryLease::Free(lease));
                    }
                }
            }
        }
    }

    /// The lock as a lease, if the file at the path is the one that was locked. A lock on another file guards nothing.
    fn at_path(state: &StateDir, lock: FileLock) -> Result<Option<Self>, LeaseError> {
        let same = lock::same_file(lock.file(), state.dir(), file::LEASE).map_err(LeaseError)?;
        Ok(same.then_some(Self(lock)))
    }

    /// Adopts the lease that a launcher took and handed over.
    #[must_use]
    pub fn from_inherited(descriptor: OwnedFd) -> Self {
        Self(FileLock::from_inherited(descriptor))
    }

    /// Whether the lease file at the path is still the one that is locked.
    pub fn is_at_path(&self, state: &StateDir) -> Result<bool, LeaseError> {
        lock::same_file(self.0.file(), state.dir(), file::LEASE).map_err(LeaseError)
    }
}

impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

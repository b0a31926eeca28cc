//! Taking the lock that the tree of a program is to hold.
//!
//! A lock that is held says that something of another program lives. A process that has closed the lock that it
//! inherited is found before, by other evidence (`orphans`).

use std::fs::File;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::spec::KILL_GRACE;
use tenure_core::store::paths::{StateDir, file};
use tenure_sys::discard::best_effort;
use tenure_sys::lock::{self, FileLock, LockWait, TryLock};

use super::error::{ProgramError, failed};

/// Beside whom a program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Beside nobody: nothing of any other program lives.
    Alone,
    /// Beside the program of a worker whose place is being taken.
    Beside,
    /// Where this host's last one was, whose lock this is.
    Again(&'static str),
}

/// The lock for a start, and its name. `grace` is what a program gets to end politely, and so what its shim may take
/// where the host of another one has died.
pub(super) fn take(
    state: &StateDir,
    slot: Slot,
    grace: Duration,
) -> Result<(&'static str, FileLock), ProgramError> {
    match slot {
        Slot::Alone => {
            let limit = Deadline::start(grace.saturating_add(KILL_GRACE));
            let lock = wait_for(state, file::PROGRAM, &limit)?;
            // Only one that is there can be held, and it is made where it is needed first.
            if state.dir().exists(file::PROGRAM_2).map_err(failed("look for a second lock"))? {
                wait_for(state, file::PROGRAM_2, &limit)?;
            }
            Ok((file::PROGRAM, lock))
        }
        Slot::Beside => take_either(state, grace),
        // A moment's patience: a process that was just being made, in a check of the same host, holds a copy until it
        // becomes its own program.
        Slot::Again(name) => wait_for(state, name, &Deadline::start(KILL_GRACE)).map(|lock| (name, lock)),
    }
}

/// The first that is free. Where both are busy, one is held by the program that serves and goes on to, the other by one
/// whose host has failed and whose shim is ending it; nothing tells which is which, so both are waited for.
fn take_either(state: &StateDir, grace: Duration) -> Result<(&'static str, FileLock), ProgramError> {
    for name in file::PROGRAMS {
        match lock::try_lock(open(state, name)?).map_err(failed("take its lock"))? {
            TryLock::Taken(lock) if is_named(state, name, &lock)? => return Ok((name, lock)),
            TryLock::Taken(_) | TryLock::Busy(_) => {}
        }
    }
    let (winner, won) = mpsc::channel();
    let limit = grace.saturating_add(KILL_GRACE);
    for name in file::PROGRAMS {
        let (file, winner) = (open(state, name)?, winner.clone());
        let wait = move || {
            // The one that comes second is closed at once, with nobody left to take it.
            best_effort(winner.send((name, lock::lock_within(file, limit))));
        };
        let started = thread::Builder::new().name("tenure-tree-lock".to_owned()).spawn(wait);
        started.map_err(failed("wait for its lock"))?;
    }
    drop(winner);
    for (name, waited) in won {
        match waited.map_err(failed("take its lock"))? {
            LockWait::Taken(lock) if is_named(state, name, &lock)? => return Ok((name, lock)),
            LockWait::Taken(_) | LockWait::TimedOut => {}
        }
    }
    let mut holders = Vec::new();
    for name in file::PROGRAMS {
        holders.append(&mut lock::holders(&open(state, name)?));
    }
    Err(ProgramError::Predecessor { holders })
}

fn wait_for(state: &StateDir, name: &str, limit: &Deadline) -> Result<FileLock, ProgramError> {
    loop {
        match lock::lock_within(open(state, name)?, limit.remaining()).map_err(failed("take its lock"))? {
            LockWait::TimedOut => {
                return Err(ProgramError::Predecessor { holders: lock::holders(&open(state, name)?) });
            }
            LockWait::Taken(lock) if is_named(state, name, &lock)? => return Ok(lock),
            LockWait::Taken(_) => {}
        }
    }
}

fn open(state: &StateDir, name: &str) -> Result<File, ProgramError> {
    state.dir().open_lock(name).map_err(failed("open its lock"))
}

/// A lock on a file that the name does not lead to any more guards nothing.
fn is_named(state: &StateDir, name: &str, lock: &FileLock) -> Result<bool, ProgramError> {
    lock::same_file(lock.file(), state.dir(), name).map_err(failed("verify its lock"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn state() -> (TempDir, StateDir) {
        let root = tempfile::tempdir().expect("a directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).expect("ours");
        let state = StateDir::at(root.path(), &"memory".parse().expect("a scope")).expect("private");
        (root, state)
    }

    fn taken(state: &StateDir, slot: Slot) -> (&'static str, FileLock) {
        take(state, slot, NONE).expect("a free lock")
    }

    #[test]
    fn one_that_is_alone_takes_the_first_lock_and_makes_no_second_one() {
        let (_root, state) = state();
        assert_eq!(taken(&state, Slot::Alone).0, file::PROGRAM);
        assert!(!state.dir().exists(file::PROGRAM_2).expect("a look"));
    }

    #[test]
    fn one_that_is_alone_waits_for_either_of_the_others() {
        let (_root, state) = state();
        let first = taken(&state, Slot::Alone);
        let second = taken(&state, Slot::Beside);
        assert_eq!(second.0, file::PROGRAM_2);
        drop(first);
        assert!(matches!(take(&state, Slot::Alone, NONE), Err(ProgramError::Predecessor { .. })));
        drop(second);
        taken(&state, Slot::Alone);
    }

    #[test]
    fn one_beside_another_takes_whichever_becomes_free() {
        let (_root, state) = state();
        let first = taken(&state, Slot::Beside);
        let second = taken(&state, Slot::Beside);
        assert_eq!((first.0, second.0), (file::PROGRAM, file::PROGRAM_2));
        drop(first);
        assert_eq!(taken(&state, Slot::Beside).0, file::PROGRAM);
        let third = taken(&state, Slot::Beside);
        assert!(matches!(take(&state, Slot::Beside, NONE), Err(ProgramError::Predecessor { .. })));
        drop((second, third));
    }

    #[test]
    fn a_program_that_starts_again_minds_its_own_lock_and_not_the_other() {
        let (_root, state) = state();
        let first = taken(&state, Slot::Alone);
        let second = taken(&state, Slot::Beside);
        drop(first);
        assert_eq!(taken(&state, Slot::Again(file::PROGRAM)).0, file::PROGRAM);
        let held = take(&state, Slot::Again(second.0), NONE);
        assert!(matches!(held, Err(ProgramError::Predecessor { .. })));
    }
}

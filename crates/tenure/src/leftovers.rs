//! Ending what a former program left, and proving that it is gone, before anything new is bound.
//!
//! Three sources, in this order: the locks of programs, of which a whole tree inherits one (its shim ends the tree by itself
//! when the host dies, so it gets the time to do that politely); the identities in the ledger, each verified; and the cookie in
//! the environment of every process of ours. What cannot be verified is not signalled. What survives is named.

use std::io::ErrorKind;
use std::time::Duration;

use tenure_sys::lock::{self, LockWait};
use tenure_sys::process::{self, Delivery, ProcessHandle, Signal, Verified};
use tenure_sys::tree;

use crate::deadline::{Deadline, Stage};
use crate::gate::Gate;
use crate::lease::Lease;
use crate::ledger::{Ledger, ProgramRecord};
use crate::paths::{StateDir, file};
use crate::scope;
use crate::spec::KILL_GRACE;

/// How long processes that escaped their shim may take to end after SIGTERM.
const POLITE: Duration = Duration::from_secs(1);

/// Sweeps after which something that keeps forking is reported instead of hunted.
const ROUNDS: usize = 16;

/// Something of a former program that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// Something of a former program still lives, or may.
#[derive(Debug, thiserror::Error)]
pub enum LeftoverError {
    /// A process did not end.
    #[error("end what the previous program left: pid {pid} ({command}) does not end")]
    Survivor {
        /// Its pid.
        pid: u32,
        /// Its command line.
        command: String,
    },
    /// The lock of the previous program is held by a process that cannot be found.
    #[error("end what the previous program left: something of it still holds its lock{}", named(.holders))]
    Unseen {
        /// Pids that may hold it, from `/proc/locks`.
        holders: Vec<u32>,
    },
    /// The lock file cannot be used.
    #[error("lock the program file")]
    Lock(#[source] std::io::Error),
}

fn named(holders: &[u32]) -> String {
    match holders {
        [] => String::new(),
        pids => format!(
            " (locked first by pid {})",
            pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Ends everything of the scope's former program and proves it. `patience` is how long its own shim may take.
pub fn clear(
    gate: &Gate<'_>,
    _lease: &Lease,
    ledger: &Ledger,
    patience: Duration,
) -> Result<Vec<Ended>, LeftoverError> {
    let state = gate.state();
    let mut ended = Vec::new();
    // A shim that somebody stopped can end its tree only when it goes on.
    for handle in recorded(ledger) {
        drop(handle.signal(Signal::Cont));
    }
    if !is_free_within(state, patience)? {
        for handle in recorded(ledger) {
            ended.push(end(&handle)?);
        }
    }
    let prefixes = marks(state, ledger);
    for prefix in &prefixes {
        ended.append(&mut sweep(prefix)?);
    }
    if is_free_within(state, KILL_GRACE)? {
        Ok(ended)
    } else {
        Err(survivor(state, &prefixes, &file::PROGRAMS))
    }
}

/// Ends what a program's shim left when it was ended by somebody else, and proves it by `lock`, which that tree holds.
/// Only for the host of that program, which holds the lease; without its shim the tree has nobody to end it politely.
/// Another program that lives beside it is not touched.
pub fn clear_program(
    state: &StateDir,
    program: &ProgramRecord,
    lock: &'static str,
) -> Result<Vec<Ended>, LeftoverError> {
    let mut ended = Vec::new();
    for handle in program.identity.iter().filter_map(verified) {
        ended.push(end(&handle)?);
    }
    ended.append(&mut sweep(&program.cookie)?);
    if one_is_free_within(state, lock, KILL_GRACE)? {
        Ok(ended)
    } else {
        Err(survivor(state, std::slice::from_ref(&program.cookie), &[lock]))
    }
}

/// How the cookies begin of whoever may be ended for this directory. Nobody for a record from another pid namespace: the
/// processes that carry its cookie are another container's.
pub(crate) fn marks(state: &StateDir, ledger: &Ledger) -> Vec<String> {
    let marks = if ledger.is_foreign() { Vec::new() } else { state.marks() };
    marks.iter().map(|scope_id| scope::cookie_prefix(scope_id)).collect()
}

/// Ends what a worker of the same lineage left when it died: all that carries its program's `cookie`. Its shim ends it
/// politely, and has `patience` for that; a shim that somebody stopped goes on for it. Only for whoever holds the lease.
pub fn clear_cookie(cookie: &str, patience: Duration) -> Result<Vec<Ended>, LeftoverError> {
    let budget = Deadline::start(patience);
    let marked = tree::with_cookie(cookie);
    for found in &marked {
        drop(found.handle.signal(Signal::Cont));
    }
    for found in marked {
        // What takes longer is ended by the sweep.
        drop(found.handle.wait_ended(Some(budget.remaining())));
    }
    sweep(cookie)
}

/// Ends all that carries a cookie with this prefix, until nothing does: politely first, and within a second. For whoever
/// knows that nothing of that mark is wanted any more, and that nobody starts more of it.
pub fn sweep(prefix: &str) -> Result<Vec<Ended>, LeftoverError> {
    let mut ended = Vec::new();
    for _ in 0..ROUNDS {
        let marked = tree::with_cookie(prefix);
        if marked.is_empty() {
            break;
        }
        ended.append(&mut end_all(&marked.into_iter().map(|found| found.handle).collect::<Vec<_>>())?);
    }
    Ok(ended)
}

/// Whether nothing holds a lock of a program, or stops to in time.
pub fn is_free_within(state: &StateDir, patience: Duration) -> Result<bool, LeftoverError> {
    let limit = Deadline::start(patience);
    for name in file::PROGRAMS {
        if !one_is_free_within(state, name, limit.remaining())? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn one_is_free_within(state: &StateDir, name: &str, patience: Duration) -> Result<bool, LeftoverError> {
    if !state.dir().exists(name).map_err(LeftoverError::Lock)? {
        return Ok(true);
    }
    let file = state.dir().open_lock(name).map_err(LeftoverError::Lock)?;
    match lock::lock_within(file, patience).map_err(LeftoverError::Lock)? {
        LockWait::Taken(_) => Ok(true),
        LockWait::TimedOut => Ok(false),
    }
}

fn survivor(state: &StateDir, prefixes: &[String], locks: &[&str]) -> LeftoverError {
    if let Some(found) = prefixes.iter().flat_map(|prefix| tree::with_cookie(prefix)).next() {
        return LeftoverError::Survivor { pid: found.handle.pid(), command: found.command };
    }
    let mut holders = Vec::new();
    for name in locks {
        match state.dir().open_read(name) {
            Ok(file) => holders.append(&mut lock::holders(&file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return LeftoverError::Lock(error),
        }
    }
    LeftoverError::Unseen { holders }
}

/// The recorded processes of the former program that live and are verified, parent first.
fn recorded(ledger: &Ledger) -> Vec<ProcessHandle> {
    let program = ledger.program.iter().flat_map(|program| [&program.shim, &program.identity]);
    program.flatten().filter_map(verified).collect()
}

fn verified(identity: &tenure_sys::identity::Identity) -> Option<ProcessHandle> {
    match process::verify(identity) {
        Verified::Same(handle) => Some(handle),
        Verified::Gone(_) | Verified::Unverifiable(_) => None,
    }
}

fn end(handle: &ProcessHandle) -> Result<Ended, LeftoverError> {
    let ended = name(handle);
    let survives = |_| LeftoverError::Survivor { pid: ended.pid, command: ended.command.clone() };
    let gone = match handle.signal(Signal::Kill).map_err(survives)? {
        Delivery::AlreadyGone => true,
        Delivery::Sent => handle.wait_ended(Some(KILL_GRACE)).map_err(survives)?,
    };
    if gone { Ok(ended) } else { Err(LeftoverError::Survivor { pid: ended.pid, command: ended.command }) }
}

/// Asks all, waits for all with one budget, then kills what is left.
fn end_all(handles: &[ProcessHandle]) -> Result<Vec<Ended>, LeftoverError> {
    let names: Vec<Ended> = handles.iter().map(name).collect();
    for handle in handles {
        // A failed signal is seen below: the process is then killed, or named as the survivor.
        drop(handle.signal(Signal::Term));
    }
    let budget = Deadline::start(POLITE);
    for (handle, named) in handles.iter().zip(&names) {
        let survives = |_| LeftoverError::Survivor { pid: named.pid, command: named.command.clone() };
        let gone = handle.wait_ended(Some(budget.remaining())).map_err(survives)?;
        if !gone {
            end(handle)?;
        }
    }
    Ok(names)
}

fn name(handle: &ProcessHandle) -> Ended {
    let pid = handle.pid();
    Ended { pid, command: process::command_line(pid).unwrap_or_default() }
}

/// The time that a stage leaves for the shim, at most `patience`.
#[must_use]
pub fn patience(stage: Stage, patience: Duration) -> Duration {
    stage.remaining().min(patience)
}

//! Ending what a former program left, and proving that it is gone, before anything new is bound.
//!
//! A shim that still lives ends the tree by itself, and gets the time to do that politely. Processes without a shim get
//! what the spec promises the program: its stop signal, its grace, then SIGKILL. The room `evidence` decides which
//! processes belong to the program. A process that cannot be verified is not signalled. An error names the survivors.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::lock::{self, LockWait};
use tenure_sys::process::{self, Delivery, ProcessHandle, Signal};
use tenure_sys::tree;

use crate::deadline::{Deadline, Stage};
use crate::record::ledger::{Ledger, ProgramRecord};
use crate::spec::{KILL_GRACE, StopPolicy, scope};
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::{StateDir, file};

use evidence::{Former, add};

mod evidence;

/// How long processes that escaped their shim may take to end after they were asked, where their program has had its
/// grace before or none is known.
const POLITE: Duration = Duration::from_secs(1);

/// How often the processes are looked for again. A tree that still forks after that is reported as a survivor.
const ROUNDS: usize = 16;

/// Something of a former program that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedOrphan {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// It did not end in time and was killed.
    pub killed: bool,
}

impl EndedOrphan {
    /// Its description in an event.
    #[must_use]
    pub fn told(&self) -> String {
        let how = if self.killed { " (killed: it did not end in time)" } else { "" };
        format!("{}{how}", self.command)
    }
}

/// Something of a former program still lives, or may.
#[derive(Debug, thiserror::Error)]
pub enum OrphanError {
    /// A process did not end.
    #[error("end what the previous program left: pid {pid} ({command}) does not end{}", belonging(*.owner, *.pid))]
    Survivor {
        /// Its pid.
        pid: u32,
        /// Its command line.
        command: String,
        /// Whose it is, where it is another user's, who may not be signalled.
        owner: Option<u32>,
    },
    /// The lock of the previous program is held, and nobody who holds it can be told to belong to it.
    #[error("end what the previous program left: something of it still holds its lock{}", named(.holders, .lock))]
    Unseen {
        /// Pids that are seen to hold it.
        holders: Vec<u32>,
        /// The lock file.
        lock: PathBuf,
    },
    /// The lock of the previous program is held, and its record is of another pid namespace.
    #[error(
        "end what the previous program left: something of it still holds its lock {} in another pid namespace, \
         where its pid is {pid}", lock.display()
    )]
    Foreign {
        /// A pid on record, as that namespace counts.
        pid: u32,
        /// The lock file.
        lock: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("lock the program file")]
    Lock(#[source] std::io::Error),
}

fn belonging(owner: Option<u32>, pid: u32) -> String {
    owner.map_or_else(String::new, |uid| {
        format!(": it belongs to user {uid}, and this user may not end it; `sudo kill -9 {pid}` does")
    })
}

/// Names only processes that are seen to hold the lock now: the kernel's table has the pid of whoever locked it first.
fn named(holders: &[u32], lock: &Path) -> String {
    if holders.is_empty() {
        let (directory, name) = (lock.parent().unwrap_or(lock), lock.file_name().unwrap_or_default());
        let search = search(directory, &name.to_string_lossy());
        return format!(", and this user may not look into it; `{search}` finds it");
    }
    let pids: Vec<String> = holders.iter().map(u32::to_string).collect();
    format!(" (pid {})", pids.join(", "))
}

/// The command with which root finds the processes that have a file open whose name matches `pattern`. The directory is
/// resolved, because the kernel shows a descriptor's path without links, and escaped, because `find` expects a pattern.
#[must_use]
pub fn search(directory: &Path, pattern: &str) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let mut escaped = String::new();
    for one in directory.display().to_string().chars() {
        match one {
            '*' | '?' | '[' | ']' | '\\' => escaped.extend(['\\', one]),
            '\'' => escaped.push_str(r"'\''"),
            plain => escaped.push(plain),
        }
    }
    format!("sudo find /proc/[0-9]*/fd -lname '{escaped}/{pattern}'")
}

/// Ends everything of the scope's former program and proves it. `patience` is how long its own shim may take, or the
/// program itself where that shim is gone.
pub fn clear(
    gate: &Gate<'_>,
    _lease: &Lease,
    ledger: &Ledger,
    patience: Duration,
) -> Result<Vec<EndedOrphan>, OrphanError> {
    let state = gate.state();
    let cookie_prefixes = cookie_prefixes(state, ledger);
    let former = Former {
        state,
        cookie_prefixes: &cookie_prefixes,
        record: ledger.program.as_ref(),
        locks: &file::PROGRAMS,
    };
    if ledger.is_foreign() {
        return await_foreign(&former, ledger, patience);
    }
    end_former(&former, patience)
}

/// Ends the one program of `record` and proves it; another program beside it is not touched. For the holder of the
/// lease: a host whose program has lost its shim, or a worker whose predecessor or successor is dead.
pub fn clear_program(
    state: &StateDir,
    record: &ProgramRecord,
    patience: Duration,
) -> Result<Vec<EndedOrphan>, OrphanError> {
    let lock = file::PROGRAMS.into_iter().find(|name| record.lock.as_deref() == Some(*name));
    let locks: Vec<&'static str> = lock.into_iter().collect();
    let cookie_prefixes = [record.cookie.clone()];
    end_former(
        &Former { state, cookie_prefixes: &cookie_prefixes, record: Some(record), locks: &locks },
        patience,
    )
}

/// The prefixes of the cookies of processes that may be ended for this directory. The list is empty where the record is
/// of another pid namespace, because processes with its cookie belong to another container;
/// `StateDir::with_cookie_here` then finds those of this namespace.
pub(crate) fn cookie_prefixes(state: &StateDir, ledger: &Ledger) -> Vec<String> {
    if ledger.is_foreign() {
        return Vec::new();
    }
    let mut prefixes: Vec<String> =
        state.cookie_scopes().iter().map(|scope_id| scope::cookie_prefix(scope_id)).collect();
    // An older tenure that starts a program here gives it a cookie by the path, which is in this directory's ledger.
    let by_path = scope::cookie_prefix(&state.by_path());
    let says_so = ledger.program.as_ref().is_some_and(|program| program.cookie.starts_with(&by_path));
    if says_so && !prefixes.contains(&by_path) {
        prefixes.push(by_path);
    }
    prefixes
}

/// Waits for the locks of a program of another pid namespace, whose shim may still end its tree. Neither its recorded
/// processes nor the lock holders are touched, because they cannot be verified from here. Processes of this
/// namespace that carry a cookie of this directory are ended: an earlier worker left them, which the record no longer
/// names.
fn await_foreign(
    former: &Former<'_>,
    ledger: &Ledger,
    patience: Duration,
) -> Result<Vec<EndedOrphan>, OrphanError> {
    let mut end = Sweep { policy: StopPolicy::default(), ended: Vec::new() };
    let mut here = former.state.with_cookie_here();
    for _ in 0..ROUNDS {
        if here.is_empty() {
            break;
        }
        end.end_all(&here, POLITE)?;
        here = former.state.with_cookie_here();
    }
    match prove(former, here.first(), patience.max(KILL_GRACE)) {
        Ok(()) => Ok(end.ended),
        Err(OrphanError::Unseen { holders, lock }) if holders.is_empty() => {
            let pid =
                ledger.named().find(|identity| identity.is_foreign()).map_or(0, |identity| identity.pid);
            Err(OrphanError::Foreign { pid, lock })
        }
        Err(error) => Err(error),
    }
}

/// Somebody who belongs to a former program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// Whose it is, where it is another user's, who may not be signalled.
    pub owner: Option<u32>,
}

/// Who belongs to the scope's former program; for messages only.
pub fn find(state: &StateDir, ledger: &Ledger) -> Result<Vec<Orphan>, OrphanError> {
    let found = if ledger.is_foreign() {
        state.with_cookie_here()
    } else {
        let cookie_prefixes = cookie_prefixes(state, ledger);
        let former = Former {
            state,
            cookie_prefixes: &cookie_prefixes,
            record: ledger.program.as_ref(),
            locks: &file::PROGRAMS,
        };
        let mut found = former.shims().map_err(OrphanError::Lock)?;
        add(&mut found, former.all(&[]).map_err(OrphanError::Lock)?);
        found
    };
    let left = |handle: &ProcessHandle| {
        let (pid, command) = name(handle);
        Orphan { pid, command, owner: owner_beyond(pid) }
    };
    Ok(found.iter().map(left).collect())
}

fn end_former(former: &Former<'_>, patience: Duration) -> Result<Vec<EndedOrphan>, OrphanError> {
    let budget = Deadline::start(patience);
    let shims = former.shims().map_err(OrphanError::Lock)?;
    // The descendants of a shim can be found only while the shim lives.
    let mut known = former.all(&shims).map_err(OrphanError::Lock)?;
    for shim in &shims {
        // A shim that was stopped by a signal can end its tree only after CONT.
        best_effort(shim.signal(Signal::Cont));
    }
    for shim in &shims {
        // A shim that takes longer is killed below.
        best_effort(shim.wait_ended(Some(budget.remaining())));
    }
    let late = shims.iter().any(|shim| !shim.has_ended());
    let policy = former.record.and_then(|record| record.stop.clone()).unwrap_or_default();
    let mut end = Sweep { policy, ended: Vec::new() };
    add(&mut known, former.all(&shims).map_err(OrphanError::Lock)?);
    let asked = if late { Deadline::start(Duration::ZERO) } else { end.ask_program(former, &budget)? };
    // Most descendants end together with the program, and are not reported as leftovers.
    for _ in 0..ROUNDS {
        known.retain(|handle| !handle.has_ended());
        if known.is_empty() {
            break;
        }
        let polite = if late { Duration::ZERO } else { asked.remaining().max(POLITE) };
        end.end_all(&known, polite)?;
        known = former.all(&shims).map_err(OrphanError::Lock)?;
    }
    // A shim is killed after its descendants, because they can be found only while it lives.
    for shim in shims.iter().filter(|shim| !shim.has_ended()) {
        end.kill(shim)?;
    }
    prove(former, known.first(), KILL_GRACE)?;
    Ok(end.ended)
}

/// Fails unless nobody is found and the program's locks are free within `patience`.
fn prove(former: &Former<'_>, found: Option<&ProcessHandle>, patience: Duration) -> Result<(), OrphanError> {
    if let Some(handle) = found.filter(|handle| !handle.has_ended()) {
        return Err(survivor(handle));
    }
    let limit = Deadline::start(patience);
    for name in former.locks {
        if !one_is_free_within(former.state, name, limit.remaining())?
            && !former.is_anothers(name).map_err(OrphanError::Lock)?
        {
            let holders = former.holders(name).map_err(OrphanError::Lock)?;
            return Err(OrphanError::Unseen { holders, lock: former.state.path().join(name) });
        }
    }
    Ok(())
}

/// Ends all processes that carry a cookie with this prefix: each gets a polite signal, and after a second SIGKILL. The
/// caller must know that none of them is wanted, and that nobody starts more of them.
pub fn sweep(prefix: &str) -> Result<Vec<EndedOrphan>, OrphanError> {
    let mut end = Sweep { policy: StopPolicy::default(), ended: Vec::new() };
    for _ in 0..ROUNDS {
        let carriers: Vec<ProcessHandle> =
            tree::with_cookie(prefix).into_iter().map(|found| found.handle).collect();
        if carriers.is_empty() {
            return Ok(end.ended);
        }
        end.end_all(&carriers, POLITE)?;
    }
    match tree::with_cookie(prefix).first() {
        None => Ok(end.ended),
        Some(found) => Err(survivor(&found.handle)),
    }
}

fn one_is_free_within(state: &StateDir, name: &str, patience: Duration) -> Result<bool, OrphanError> {
    let file = match state.dir().open_read(name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(OrphanError::Lock(error)),
    };
    match lock::lock_within(file, patience).map_err(OrphanError::Lock)? {
        LockWait::Taken(_) => Ok(true),
        LockWait::TimedOut => Ok(false),
    }
}

fn survivor(handle: &ProcessHandle) -> OrphanError {
    let pid = handle.pid();
    let owner = owner_beyond(pid);
    OrphanError::Survivor { pid, command: process::command_line(pid).unwrap_or_default(), owner }
}

/// The owner of a process, if it is another user whose processes this user may not signal.
fn owner_beyond(pid: u32) -> Option<u32> {
    let ours = tenure_sys::user::effective_uid();
    process::uid_of(pid).filter(|uid| ours != 0 && *uid != ours)
}

/// An end that goes on, and whom it has ended.
struct Sweep {
    policy: StopPolicy,
    ended: Vec<EndedOrphan>,
}

impl Sweep {
    /// Ends a program that lost its shim, with its stop signal and its grace. Returns what is left of the grace, for
    /// the rest of its tree.
    fn ask_program(&mut self, former: &Former<'_>, budget: &Deadline) -> Result<Deadline, OrphanError> {
        let grace = Deadline::start(self.policy.grace.duration().min(budget.remaining()));
        let Some(program) = former.program() else { return Ok(Deadline::start(Duration::ZERO)) };
        self.end_all(std::slice::from_ref(&program), grace.remaining())?;
        Ok(grace)
    }

    /// Signals all politely, waits for all within one budget, then kills the rest.
    fn end_all(&mut self, handles: &[ProcessHandle], polite: Duration) -> Result<(), OrphanError> {
        let named: Vec<(u32, String)> = handles.iter().map(name).collect();
        if !polite.is_zero() {
            for handle in handles {
                signal_politely(handle, self.policy.signal);
            }
        }
        let budget = Deadline::start(polite);
        for (handle, (pid, command)) in handles.iter().zip(named) {
            let gone = handle.wait_ended(Some(budget.remaining())).map_err(|_| survivor(handle))?;
            if !gone {
                kill(handle)?;
            }
            self.ended.push(EndedOrphan { pid, command, killed: !gone });
        }
        Ok(())
    }

    fn kill(&mut self, handle: &ProcessHandle) -> Result<(), OrphanError> {
        let (pid, command) = name(handle);
        kill(handle)?;
        self.ended.push(EndedOrphan { pid, command, killed: true });
        Ok(())
    }
}

/// Sends a program's stop signal, or TERM where the process ignores that signal: what a shell starts in the background
/// ignores interrupts. CONT follows, so that a stopped process can react. If the signal fails, the caller sees that the
/// process does not end, and kills it or names it as the survivor.
pub fn signal_politely(handle: &ProcessHandle, signal: Signal) {
    let signal = if process::ignores(handle.pid(), signal) { Signal::Term } else { signal };
    best_effort(handle.signal(signal));
    best_effort(handle.signal(Signal::Cont));
}

fn kill(handle: &ProcessHandle) -> Result<(), OrphanError> {
    let gone = match handle.signal(Signal::Kill).map_err(|_| survivor(handle))? {
        Delivery::AlreadyGone => true,
        Delivery::Sent => handle.wait_ended(Some(KILL_GRACE)).map_err(|_| survivor(handle))?,
    };
    if gone { Ok(()) } else { Err(survivor(handle)) }
}

fn name(handle: &ProcessHandle) -> (u32, String) {
    let pid = handle.pid();
    (pid, process::command_line(pid).unwrap_or_default())
}

/// The time that a stage leaves for the shim, at most `patience`.
#[must_use]
pub fn patience(stage: Stage, patience: Duration) -> Duration {
    stage.remaining().min(patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_searched_for_as_it_is_and_not_as_a_pattern() {
        let told = search(Path::new("/no/such [one]*/it's"), "program");
        assert_eq!(told, r"sudo find /proc/[0-9]*/fd -lname '/no/such \[one\]\*/it'\''s/program'");
    }
}

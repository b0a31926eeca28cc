//! The gate: the kernel lock under which a launcher changes something.
//!
//! `&Gate` is the witness that all that starts, stops or removes demands. The lock is `flock` on the file `gate`, which
//! is never deleted; it excludes other launchers of the same user and host (flock is local: a home on NFS has a
//! directory for each host). The holder writes who it is into the file, so that a stopped holder can be named; the lock
//! alone decides.
//!
//! Every hold is bounded by a watchdog on its own thread. When the bound passes it gives the lock back (`LOCK_UN`
//! through a duplicate descriptor) and [`Gate::confirm`] refuses from then on. That is safe because nothing done under
//! the gate relies on it alone: socket path, generation and ledger belong to the lease.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::lock::{self, FileLock, LockWait, TryLock};
use tenure_sys::process::{self, RunState, Verified};

use crate::deadline::{Moment, Stage};
use crate::fault::{self, Point};
use crate::store::paths::{StateDir, file};

/// How long a hold may last: the longest legitimate one waits for a worker's start (its own `start_timeout`, which is
/// added) and for the retirement of an old one; a minute covers the rest on a machine under heavy load.
const HOLD_BOUND: Duration = Duration::from_mins(1);

/// The witness that this process holds the gate of a scope.
#[derive(Debug)]
pub struct Gate<'state> {
    state: &'state StateDir,
    lost: Arc<AtomicBool>,
    /// Another process has it as well, and goes on under it when this one is gone.
    entrusted: AtomicBool,
    /// Dropping it ends the watchdog's wait.
    _watch: mpsc::Sender<()>,
    lock: FileLock,
}

/// The gate cannot be entered, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Another process holds it for longer than the budget.
    #[error("{}", kept_out(.holder))]
    Held {
        /// Who, and in what state.
        holder: Holder,
    },
    /// The lock file cannot be opened or locked.
    #[error("lock the gate file")]
    Io(#[source] io::Error),
    /// The bound of a hold has passed.
    #[error("go on under the gate: it was held for longer than its bound and given back")]
    Lost,
}

/// Who holds the gate, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its pid, where the record could be verified.
    pub pid: Option<u32>,
    /// Its command line.
    pub command: String,
    /// Whether it is stopped or traced: then it will not go on by itself.
    pub suspended: bool,
    /// What it does, where it is a new worker that boots to take the place of one that is there.
    pub upgrade: Option<Upgrade>,
    /// For how long it has held the gate, where that is known.
    pub held_for: Option<Duration>,
}

/// What a new worker does that holds the gate while it boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Its version.
    pub to: Version,
    /// Whether the one whose place it takes serves meanwhile.
    pub beside: bool,
}

/// What a holder writes into the gate's file about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who it is.
    pub identity: Identity,
    /// Its command line.
    pub command: String,
    /// Since when it holds the gate.
    pub since: Moment,
    /// What it does, where it is a new worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
}

impl<'state> Gate<'state> {
    /// Enters the gate, waiting in the kernel's queue for as long as the stage allows.
    pub fn enter(state: &'state StateDir, stage: Stage) -> Result<Self, GateError> {
        Self::enter_bounded(state, stage, HOLD_BOUND)
    }

    /// Enters the gate for a hold of `extra` beyond the usual one, for a start that may take long.
    pub fn enter_for(state: &'state StateDir, stage: Stage, extra: Duration) -> Result<Self, GateError> {
        Self::enter_bounded(state, stage, HOLD_BOUND.saturating_add(extra))
    }

    fn enter_bounded(state: &'state StateDir, stage: Stage, bound: Duration) -> Result<Self, GateError> {
        let open = || state.dir().open_lock(file::GATE).map_err(GateError::Io);
        let lock = loop {
            let lock = match lock::try_lock(open()?).map_err(GateError::Io)? {
                TryLock::Taken(lock) => lock,
                TryLock::Busy(file) => {
                    match lock::lock_within(file, stage.remaining()).map_err(GateError::Io)? {
                        LockWait::Taken(lock) => lock,
                        LockWait::TimedOut => return Err(GateError::Held { holder: holder(state) }),
                    }
                }
            };
            // The file at the path must be the one that was locked, or two launchers hold two gates.
            if lock::same_file(lock.file(), state.dir(), file::GATE).map_err(GateError::Io)? {
                break lock;
            }
        };
        // Whoever had the gate meanwhile may have given the directory another identity.
        state.look_again();
        // For people only: on a disk that is full or read-only the holder stays nameless, and a worker can still be
        // stopped.
        best_effort(sign(lock.file(), None));
        let gate = Self::watched(state, lock, bound)?;
        fault::reach(Point::GateEntered);
        Ok(gate)
    }

    fn watched(state: &'state StateDir, lock: FileLock, bound: Duration) -> Result<Self, GateError> {
        let lost = Arc::new(AtomicBool::new(false));
        let (watch, ended) = mpsc::channel::<()>();
        let duplicate = lock.file().try_clone().map_err(GateError::Io)?;
        let flag = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("gate-watchdog".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                if ended.recv_timeout(bound) == Err(mpsc::RecvTimeoutError::Timeout) {
                    flag.store(true, Ordering::SeqCst);
                    best_effort(duplicate.unlock());
                }
            })
            .map_err(GateError::Io)?;
        Ok(Self { state, lost, entrusted: AtomicBool::new(false), _watch: watch, lock })
    }

    /// Confirms that the gate is still held; to be asked before each act.
    pub fn confirm(&self) -> Result<(), GateError> {
        if self.lost.load(Ordering::SeqCst) { Err(GateError::Lost) } else { Ok(()) }
    }

    /// The scope's state directory.
    #[must_use]
    pub fn state(&self) -> &'state StateDir {
        self.state
    }

    /// The lock, for a successor that is to hold the gate as well: it goes on when this process is gone. Until
    /// [`Gate::is_ours_again`] is said, the end of this hold leaves the gate to it.
    pub(crate) fn entrust(&self) -> BorrowedFd<'_> {
        self.entrusted.store(true, Ordering::SeqCst);
        self.lock.as_fd()
    }

    /// The successor does not need the gate any more: it is active, or gone.
    pub(crate) fn is_ours_again(&self) {
        self.entrusted.store(false, Ordering::SeqCst);
    }
}

/// A gate that a launcher has entrusted to the worker that it started. Dropping it closes this process's share.
#[derive(Debug)]
pub struct Entrusted {
    _lock: File,
}

impl Entrusted {
    /// Takes the inherited lock, and signs it: from now on this process is the one to be named.
    #[must_use]
    pub fn from_inherited(descriptor: OwnedFd, upgrade: Upgrade) -> Self {
        let lock = File::from(descriptor);
        // For people only, as in a launcher.
        best_effort(sign(&lock, Some(upgrade)));
        Self { _lock: lock }
    }
}

impl Drop for Gate<'_> {
    /// Gives the lock back at once, unless a successor goes on under it: the watchdog's duplicate must not keep it for
    /// the moment that its thread needs to end.
    fn drop(&mut self) {
        if !self.entrusted.load(Ordering::SeqCst) {
            best_effort(self.lock.file().unlock());
        }
    }
}

fn sign(mut file: &File, upgrade: Option<Upgrade>) -> io::Result<()> {
    let identity = Identity::current()?;
    let command = process::command_line(identity.pid).unwrap_or_default();
    let record = serde_json::to_vec(&Signature { identity, command, since: Moment::now(), upgrade })?;
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(&record)
}

/// A holder whose signature cannot be verified, by the kernel's list of locks.
fn unsigned(state: &StateDir) -> Holder {
    let holders = state.dir().open_read(file::GATE).map(|file| lock::holders(&file)).unwrap_or_default();
    let pid = holders.into_iter().find(|pid| *pid != std::process::id());
    let command =
        pid.and_then(process::command_line).unwrap_or_else(|| "a process that left no name".to_owned());
    let suspended = pid.and_then(process::state_of) == Some(RunState::Stopped);
    Holder { pid, command, suspended, upgrade: None, held_for: None }
}

/// The last signature, as it stands in the file: not verified, and only meaningful while somebody holds the gate.
#[must_use]
pub fn signature(state: &StateDir) -> Option<Signature> {
    let mut text = String::new();
    state.dir().open_read(file::GATE).ok()?.take(64 * 1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Who signed the gate last. Only meaningful while somebody holds it.
#[must_use]
pub fn holder(state: &StateDir) -> Holder {
    let unknown = unsigned(state);
    let Some(record) = signature(state) else {
        return unknown;
    };
    match process::verify(&record.identity) {
        Verified::Same(handle) => {
            let stopped =
                matches!(process::state_of(handle.pid()), Some(RunState::Stopped | RunState::Traced));
            Holder {
                pid: Some(handle.pid()),
                command: record.command,
                suspended: stopped,
                upgrade: record.upgrade,
                held_for: Some(record.since.until(&Moment::now())),
            }
        }
        Verified::Gone(_) | Verified::Unverifiable(_) => unknown,
    }
}

/// Why nobody else may act: somebody does, or an upgrade goes on.
fn kept_out(holder: &Holder) -> String {
    let Some(Upgrade { to, beside }) = holder.upgrade.as_ref().filter(|_| !holder.suspended) else {
        return format!("enter the gate: {holder} holds it");
    };
    let pid = holder.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let so_far = holder.held_for.map(|time| format!(", for {} ms so far", time.as_millis()));
    let meanwhile = if *beside { "; the version before serves meanwhile" } else { "" };
    format!(
        "act while an upgrade is under way: version {to}{pid} boots{}{meanwhile}",
        so_far.unwrap_or_default()
    )
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid} ({})", self.command)?,
            None => write!(f, "{}", self.command)?,
        }
        if self.suspended { f.write_str(", which is stopped,") } else { Ok(()) }
    }
}

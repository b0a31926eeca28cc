//! The gate: the kernel lock under which a launcher changes something.
//!
//! What a launcher starts, ends or removes needs `&Gate` as a witness: `start::start`, `stop_and_prove::retire` and
//! `end_wedged`, `orphans::clear`. A STOP request needs none, because the worker itself carries it out; nor does the
//! holder of the lease, for its own program and sockets.
//!
//! The lock is `flock` on the file `gate`, which is never deleted; it excludes other launchers of the same user and host
//! (flock is local: a home on NFS has a directory for each host). The holder writes into the file who it is, so that a
//! stopped holder can be named; but only the lock decides.
//!
//! A watchdog on its own thread bounds every hold. When the time is over, it unlocks the gate (`LOCK_UN` through a
//! duplicate descriptor), and [`Gate::confirm`] refuses from then on. That is safe because nothing done under the gate
//! relies on it alone: socket path, generation and ledger belong to the lease.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::lock::{self, FileLock, LockWait, TryLock};
use tenure_sys::process::{self, RunState, Verified};

use crate::deadline::{Moment, Stage};
use crate::fault::{self, Point};
use crate::store::paths::{StateDir, file};

/// Longest hold. The longest legitimate hold waits for a worker's start (its `start_timeout` is added) and for the end
/// of an old worker; a minute covers the rest on a machine under heavy load.
const HOLD_BOUND: Duration = Duration::from_mins(1);

/// The witness that this process holds the gate of a scope.
#[derive(Debug)]
pub struct Gate<'state> {
    state: &'state StateDir,
    lost: Arc<AtomicBool>,
    /// A successor holds the gate as well, and keeps it when this process is gone.
    entrusted: AtomicBool,
    /// Dropping it ends the watchdog's wait.
    _watch: mpsc::Sender<()>,
    lock: FileLock,
}

/// The gate cannot be entered, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Another process has held it for the whole budget.
    #[error("{}", kept_out(.holder))]
    Held {
        /// The holder.
        holder: Holder,
    },
    /// The lock file cannot be opened or locked.
    #[error("lock the gate file")]
    Io(#[source] io::Error),
    /// The time of the hold is over.
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
    /// Whether it is stopped or traced, and so does not go on by itself.
    pub suspended: bool,
    /// The upgrade, where the holder is a new worker that boots to take another worker's place.
    pub upgrade: Option<Upgrade>,
    /// For how long it has held the gate, where that is known.
    pub held_for: Option<Duration>,
}

/// The upgrade for which a new worker holds the gate while it boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Its version.
    pub to: Version,
    /// Whether the worker whose place it takes serves meanwhile.
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
    /// The upgrade, where the holder is a new worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
}

impl<'state> Gate<'state> {
    /// Enters the gate. Waits in the kernel's queue for as long as the stage allows.
    pub fn enter(state: &'state StateDir, stage: Stage) -> Result<Self, GateError> {
        Self::enter_bounded(state, stage, HOLD_BOUND)
    }

    /// Enters the gate for a hold that may last `extra` longer, for a start that may take long.
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
        // The holder before may have given the directory another identity.
        state.forget_origin();
        // The signature is for people only. On a full or read-only disk the holder stays without a name, and a worker
        // can still be stopped.
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

    /// Confirms that the gate is still held. Callers ask before each act.
    pub fn confirm(&self) -> Result<(), GateError> {
        if self.lost.load(Ordering::SeqCst) { Err(GateError::Lost) } else { Ok(()) }
    }

    /// The scope's state directory.
    #[must_use]
    pub fn state(&self) -> &'state StateDir {
        self.state
    }

    /// The lock, for a successor that is to hold the gate as well and keeps it when this process is gone. Until
    /// [`Gate::take_back`], the end of this hold leaves the gate to the successor.
    pub(crate) fn entrust(&self) -> BorrowedFd<'_> {
        self.entrusted.store(true, Ordering::SeqCst);
        self.lock.as_fd()
    }

    /// Ends what [`Gate::entrust`] began: the successor is active or gone, and needs the gate no more.
    pub(crate) fn take_back(&self) {
        self.entrusted.store(false, Ordering::SeqCst);
    }
}

/// A successor's share of its launcher's gate. Dropping it closes the share.
#[derive(Debug)]
pub struct Entrusted {
    _lock: File,
}

impl Entrusted {
    /// Takes the inherited lock and signs it: from now on this process is named as the holder.
    #[must_use]
    pub fn from_inherited(descriptor: OwnedFd, upgrade: Upgrade) -> Self {
        let lock = File::from(descriptor);
        // For people only, as in a launcher.
        best_effort(sign(&lock, Some(upgrade)));
        Self { _lock: lock }
    }
}

impl Drop for Gate<'_> {
    /// Unlocks the gate, unless a successor keeps it. Closing the file is not enough: the watchdog's duplicate would
    /// hold the lock until its thread has ended.
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

/// The holder by the kernel's list of locks, where the signature cannot be verified.
fn unsigned(state: &StateDir) -> Holder {
    let holders = state.dir().open_read(file::GATE).map(|file| lock::holders(&file)).unwrap_or_default();
    let pid = holders.into_iter().find(|pid| *pid != std::process::id());
    let command =
        pid.and_then(process::command_line).unwrap_or_else(|| "a process that left no name".to_owned());
    let suspended = pid.and_then(process::state_of) == Some(RunState::Stopped);
    Holder { pid, command, suspended, upgrade: None, held_for: None }
}

/// The last signature in the file: not verified, and only meaningful while somebody holds the gate.
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

/// The text of [`GateError::Held`]: a launcher holds the gate, or an upgrade is under way.
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

//! What a diagnosis is made from: everything that was seen, each part a value or the reason why there is none.
//!
//! Data only; `look` gathers it, the checks judge it. What could not be read is a fact of its own, and never counts as
//! absent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_core::deadline::Moment;
use tenure_core::policy::decide::Observation;
use tenure_core::protocol::wire::Hello;
use tenure_core::record::directory_id::DirectoryOrigin;
use tenure_core::record::ledger::{HostRecord, Ledger};
use tenure_core::spec::Address;
use tenure_core::spec::scope::Scope;
use tenure_core::store::gate::Signature;
use tenure_sys::census::{Census, SeenProcess};
use tenure_sys::dir::Blocker;
use tenure_sys::filesystem::FileSystem;
use tenure_sys::identity::Identity;
use tenure_sys::kernel::{Features, WatchLimits};
use tenure_sys::process::RunState;
use tenure_sys::socket::ListeningSocket;

mod member;
mod record;

pub use member::{Member, Now};
pub use record::{RecordFacts, RecordFault, WantedFacts};

/// A part of the facts.
pub type Gathered<T> = Result<T, Unread>;

/// Why a part of the facts is missing, as a fragment that reads after "could not".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unread(pub String);

impl Unread {
    /// Could not do `what` because of `why`.
    pub(crate) fn of(what: &str, why: &dyn std::fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

/// Everything that was seen.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Of this machine, user and caller.
    pub machine: MachineFacts,
    /// Of each worker that was asked about.
    pub workers: Vec<WorkerFacts>,
    /// What one pass over all processes found; empty where nothing needed one.
    pub census: Census,
}

/// What holds for every worker here.
#[derive(Debug, Clone)]
pub struct MachineFacts {
    /// Effective user.
    pub user: u32,
    /// When the facts were gathered.
    pub now: Moment,
    /// The same by the wall clock, in seconds since the Unix epoch.
    pub wall_s: u64,
    /// Who gathered them: boot, pid namespace, handle inode.
    pub identity: Gathered<Identity>,
    /// The directory of this host, below the root of all state.
    pub host: Gathered<DirectoryFacts>,
    /// The root, in which the directories of all hosts and workers lie, and the directory of the records of trusted
    /// files. Others may look into the root: it counts as private where nobody else can change what is in it.
    pub roots: Vec<DirectoryFacts>,
    /// Names of the workers that have state here.
    pub listed: Gathered<usize>,
    /// Whether this installation has a name of its own.
    pub machine_id: bool,
    /// Release of the kernel.
    pub kernel: String,
    /// Which parts of an identity this kernel offers.
    pub features: Features,
    /// Bounds on watches of files.
    pub watch_limits: Gathered<WatchLimits>,
    /// Whether one more process may watch files now.
    pub watch: Gathered<()>,
    /// Soft and hard limit of open descriptors.
    pub descriptors: (u64, u64),
    /// Variables of the environment that begin with `TENURE_`.
    pub variables: Vec<(String, String)>,
    /// Where the executable that `TENURE_HOST` names is, where it names one.
    pub named_host: Option<Gathered<PathBuf>>,
    /// What is wrong with the configuration, as the caller has found it.
    pub configuration: Vec<String>,
}

/// A directory by its path, and whether it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// Its path.
    pub path: PathBuf,
    /// Where the path leads, if it is a link that is followed: that of the root.
    pub leads: Option<PathBuf>,
    /// Whether it can be used.
    pub access: Access,
    /// The file system that it is on, or would be made on.
    pub file_system: Gathered<FileSystem>,
}

/// Whether a directory can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It is ours alone.
    Private {
        /// Whether files can be made in it.
        writable: bool,
    },
    /// There is none yet.
    Absent,
    /// Others may look into it or change it.
    TooOpen {
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    NotOwned {
        /// Whose it is.
        owner: u32,
    },
    /// Something else stands there, or above it.
    NotDirectory(Blocker),
    /// It may not be opened.
    Denied {
        /// Its permission bits and owner, where they can be seen: a mode that locks its owner out can be mended.
        seen: Option<(u32, u32)>,
        /// What the kernel said.
        why: String,
    },
    /// Anything else.
    Unusable {
        /// What the kernel said.
        why: String,
    },
}

/// One worker: what stands in its scope.
#[derive(Debug, Clone)]
pub struct WorkerFacts {
    /// Its scope.
    pub scope: Scope,
    /// The name that the caller has for it.
    pub display_name: String,
    /// What follows a command that is typed for it: its name, and the flags that lead to it.
    pub arguments: String,
    /// Its directory.
    pub directory: DirectoryFacts,
    /// What is in it; `None` where there is none, or where it cannot be trusted.
    pub state: Option<ScopeFacts>,
    /// The workers that it depends on, as they are named, and whether each runs.
    pub dependencies: Vec<(String, bool)>,
}

/// What is in the directory of a scope.
#[derive(Debug, Clone)]
pub struct ScopeFacts {
    /// The scope's id by the path, as in HELLO.
    pub id: String,
    /// The scope ids whose cookies are those of this directory.
    pub cookie_scopes: Vec<String>,
    /// What the directory's own record says.
    pub origin: DirectoryOrigin,
    /// A worker that was verified here sees other mounts than whoever gathered this.
    pub other_mounts: bool,
    /// Who holds the gate; `None` when it is free.
    pub gate: Gathered<Option<GateHolder>>,
    /// Whether somebody holds the lease.
    pub lease: Gathered<bool>,
    /// Where the program of a worker that boots listens; `None` where no program boots, or that cannot be seen.
    pub listens: Option<Vec<SocketAddr>>,
    /// The lease's file, for finding who has it open, where somebody holds it.
    pub lease_file: Option<(u64, u64)>,
    /// Whether the lock of a program's tree is held.
    pub program_lock: Gathered<bool>,
    /// Orphans: processes of a recorded program, or holders of its lock, while nobody holds the lease. The evidence is
    /// that of the next start.
    pub orphans: Vec<SeenProcess>,
    /// Orphans of another user, which this user may not end, and whose they are.
    pub orphans_of_others: Vec<(SeenProcess, u32)>,
    /// What the control socket answered.
    pub answer: Observation,
    /// How long that took.
    pub answered_in: Duration,
    /// Whether there is a control socket at the path.
    pub socket: Gathered<bool>,
    /// The record of who the worker is.
    pub ledger: RecordFacts<Ledger>,
    /// The record of what is wanted.
    pub desired: RecordFacts<WantedFacts>,
    /// The processes that the ledger names as holders of the lease, each verified.
    pub lineage: Vec<Member>,
    /// The shim and the program that the ledger names, each verified.
    pub programs: Vec<Member>,
    /// The code that keeps, or kept, the worker.
    pub host: Option<HostCode>,
    /// The numbers of the worker that answers and of its program, as far as each was verified from here.
    pub own: Vec<u32>,
    /// Why what that worker has open cannot be told from here: it lives in another namespace, or the kernel does not
    /// let us look. `None` also where nobody answers.
    pub out_of_sight: Option<String>,
    /// What the living worker has inherited that differs from what the caller has, a line each.
    pub inherited: Vec<String>,
    /// Addresses that the worker serves on, or would be started on.
    pub ports: Vec<Port>,
    /// What stands in the place of a file, a socket or a directory of the scope, and is of another kind.
    pub obstacles: Vec<Obstacle>,
    /// Names in the directory that only a write in progress should have.
    pub temporaries: Vec<String>,
    /// Bytes of all log files, and how many may be there at most; `None` without any.
    pub logs: Gathered<Option<LogBytes>>,
    /// Where the living worker writes its own log, if not to the file of that name.
    pub moved_log: Option<PathBuf>,
    /// Last change of a record by the wall clock, in seconds since the Unix epoch.
    pub written_s: u64,
}

/// Who holds the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateHolder {
    /// The one who signed it, verified.
    Signed {
        /// Its signature.
        by: Signature,
        /// What the scheduler says about it.
        run: Option<RunState>,
    },
    /// A holder without a signature, or with that of another process.
    Unsigned {
        /// The gate's file, for finding who has it open.
        file: (u64, u64),
    },
}

/// The code that keeps a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCode {
    /// As it was recorded.
    pub record: HostRecord,
    /// Whether its executable is there.
    pub there: bool,
    /// What the living worker runs, by the kernel; a deleted file ends with ` (deleted)`.
    pub runs: Option<PathBuf>,
}

/// An address of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The listener's name.
    pub name: String,
    /// The address.
    pub address: Address,
    /// Who listens there, by the kernel's table.
    pub sockets: Vec<ListeningSocket>,
    /// Whether a process of the worker itself was found to have one of them open.
    pub is_ours: bool,
}

/// Something of another kind, where a file, socket or directory of ours should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Its place below the scope's directory.
    pub name: String,
    /// What it is, in words.
    pub kind: &'static str,
    /// What should be there, in words.
    pub wanted: &'static str,
    /// Whether nothing can be started as long as it is there.
    pub stops: bool,
}

/// The size of a scope's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBytes {
    /// All files together.
    pub all: u64,
    /// What they may have together, by the settings of the worker.
    pub bound: u64,
}

impl DirectoryFacts {
    /// The directory itself, behind a link that leads to it.
    #[must_use]
    pub fn real(&self) -> &Path {
        self.leads.as_deref().unwrap_or(&self.path)
    }
}

impl ScopeFacts {
    /// Whether something that is not ours stands at that name. A check of its own tells that, and the others leave it
    /// out.
    #[must_use]
    pub fn is_blocked(&self, name: &str) -> bool {
        self.obstacles.iter().any(|obstacle| obstacle.name == name)
    }

    /// The worker's account, where it gave one.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        answered(&self.answer)
    }

    /// Whether nobody holds the lease, by the lock itself.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.lease == Ok(false)
    }

    /// Whether a launcher is at work: what is half done then is no finding.
    #[must_use]
    pub fn is_in_motion(&self) -> bool {
        !matches!(self.gate, Ok(None))
    }
}

/// The account that was answered, if it was.
pub(crate) fn answered(answer: &Observation) -> Option<&Hello> {
    if let Observation::Answered(hello) = answer { Some(hello) } else { None }
}

/// A line about a process that was seen.
pub(crate) fn line_of(seen: &SeenProcess) -> String {
    format!("pid {} ({})", seen.pid, seen.command)
}

//! Where a scope's state is, and the verified handle of its directory.
//!
//! The path depends on user id, home, machine id, name and key; never on a variable that differs between two sessions
//! of one user (`TMPDIR`, `XDG_*`). Where that directory is missing, a directory of this machine under a former machine
//! id is searched. `TENURE_STATE_DIR` is the only override of the root, read at each call. Every file below is reached
//! through the handle of a directory that was checked to be ours and closed to others.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tenure_sys::dir::{self, Dir, DirError, exposed};
use tenure_sys::process::{self, ProcessHandle, Verified};
use tenure_sys::user::{self, HomeError};
use tenure_sys::{identity, lock, tree};

use crate::record::directory_id::{DirectoryId, DirectoryOrigin, DirectoryPlace};
use crate::record::ledger::Ledger;
use crate::spec::scope::{self, Scope};

/// Variable that names the root of all state.
pub const ROOT_VARIABLE: &str = "TENURE_STATE_DIR";

/// Names of the files in a scope's directory.
pub mod file {
    /// Lock of transitions.
    pub const GATE: &str = "gate";
    /// The lease: lock of the worker's lineage. It has nothing to do with `Hello::instance`, which is a random id.
    pub const LEASE: &str = "instance";
    /// Lock of a wrapped program's tree; where two programs live, of one of them.
    pub const PROGRAM: &str = "program";
    /// The other lock of that kind, for a program that starts while a living one holds the first.
    pub const PROGRAM_2: &str = "program.2";
    /// Every lock that a program's tree can hold. A held lock proves that something lives. A free lock proves nothing:
    /// a program may close what it has inherited.
    pub const PROGRAMS: [&str; 2] = [PROGRAM, PROGRAM_2];
    /// Offers and failures.
    pub const DESIRED: &str = "desired.json";
    /// Who the worker is.
    pub const LEDGER: &str = "ledger.json";
    /// Who the directory itself is.
    pub const IDENTITY: &str = "identity.json";
    /// What commands have told of versions.
    pub const VERSION: &str = "version.json";
    /// Lock under which a command is asked for the version.
    pub const VERSION_LOCK: &str = "version.lock";
    /// Control socket.
    pub const CONTROL: &str = "control.sock";
    /// Paths of local sockets that workers made elsewhere.
    pub const SOCKETS: &str = "sockets.json";
    /// Events, one JSON object a line.
    pub const EVENTS: &str = "events.jsonl";
    /// Directory of logs.
    pub const LOGS: &str = "logs";
    /// Output of the worker and its host, without the program's own.
    pub const BOOT_LOG: &str = "worker.log";
    /// Output of the program.
    pub const OUTPUT_LOG: &str = "output.log";
    /// Diagnostics for people; nothing in `tenure` reads it.
    pub const PID: &str = "worker.pid";
}

/// The state directory of one scope.
#[derive(Debug)]
pub struct StateDir {
    dir: Dir,
    scope: Scope,
    /// The origin of the directory, once it was asked for: the fast path does not ask. The lock is against other
    /// threads of this process only.
    origin: Mutex<Option<DirectoryOrigin>>,
}

/// Largest identity record that is read.
const LONGEST_IDENTITY: u64 = 64 * 1024;

/// Largest ledger that is read to find out whose a directory is.
const LONGEST_LEDGER: u64 = 4 * 1024 * 1024;

/// The state directory cannot be found or used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// The home directory is not known.
    #[error(
        "find the home directory for the state directory; set {ROOT_VARIABLE} to a directory of your own"
    )]
    Home(#[source] HomeError),
    /// The override is not absolute.
    #[error("use {ROOT_VARIABLE}={path:?}: it must be an absolute path")]
    Relative {
        /// Its value.
        path: PathBuf,
    },
    /// A build with fault points runs without the override.
    #[error(
        "run a build with fault points without {ROOT_VARIABLE}: it must not touch the real state directory"
    )]
    Tripwire,
    /// The machine id, on which the path depends, cannot be read now.
    #[error("read the machine id")]
    Machine(#[source] io::Error),
    /// The directory cannot be opened, made or trusted.
    #[error("use the state directory")]
    Directory(#[source] DirError),
}

/// The root of all state: the override, else `~/.local/state/tenure` of the effective user.
pub fn state_root() -> Result<PathBuf, PathsError> {
    match std::env::var_os(ROOT_VARIABLE).filter(|value| !value.is_empty()) {
        Some(value) => {
            let path = PathBuf::from(value);
            if path.is_absolute() { Ok(path) } else { Err(PathsError::Relative { path }) }
        }
        None if cfg!(any(test, feature = "fault-points")) => Err(PathsError::Tripwire),
        None => {
            let home = user::home_of(user::effective_uid()).map_err(PathsError::Home)?;
            Ok(home.join(".local/state/tenure"))
        }
    }
}

/// The directory of this host below `root`: in a home that two machines share, each has its own. The path has a digest
/// of the machine id, which machine-id(5) asks not to expose.
pub fn host_directory(root: &Path) -> Result<PathBuf, PathsError> {
    let name = match machine_id(root).map_err(PathsError::Machine)? {
        Some(id) => scope::digest(id.as_bytes()),
        None => "nohost".to_owned(),
    };
    Ok(root.join(name))
}

/// The machine id for the state below `root`; `None` where the machine has none. A build for tests takes it from the
/// file `machine-id` beside the root, where that exists, so that a test can stand for another machine.
pub fn machine_id(root: &Path) -> io::Result<Option<String>> {
    let beside = root.with_file_name("machine-id");
    if cfg!(any(test, feature = "fault-points")) && beside.exists() {
        return user::machine_id_in(&beside);
    }
    user::machine_id()
}

/// The root of all state; refused where another user could replace one of our directories.
fn root_of_ours() -> Result<PathBuf, PathsError> {
    let root = state_root()?;
    exposed::refuse_movable(&root).map_err(PathsError::Directory)?;
    Ok(root)
}

impl StateDir {
    /// Opens the directory of `scope`; `None` when it does not exist, which means that nothing ever ran there.
    pub fn open(scope: &Scope) -> Result<Option<Self>, PathsError> {
        let root = root_of_ours()?;
        let host = Dir::open_private(&host_directory(&root)?);
        match host.and_then(|host| host.open_child(scope.to_string())) {
            Ok(dir) => {
                let own = Self::of(dir, scope);
                let other = if own.is_idle() { elsewhere(&root, scope) } else { None };
                Ok(Some(other.unwrap_or(own)))
            }
            Err(DirError::Absent { .. }) => Ok(elsewhere(&root, scope)),
            Err(error) => Err(PathsError::Directory(error)),
        }
    }

    /// Opens the directory of `scope`, or makes it with mode 0700.
    pub fn create(scope: &Scope) -> Result<Self, PathsError> {
        if let Some(found) = Self::open(scope)? {
            return Ok(found);
        }
        let host = host_directory(&root_of_ours()?)?;
        let dir = Dir::create_private(&host)
            .and_then(|host| host.child_private(scope.to_string()))
            .map_err(PathsError::Directory)?;
        Ok(Self::of(dir, scope))
    }

    /// Opens a state directory by its path, as a worker does with the path from its handshake.
    pub fn at(path: &Path, scope: &Scope) -> Result<Self, PathsError> {
        Dir::open_private(path).map(|dir| Self::of(dir, scope)).map_err(PathsError::Directory)
    }

    fn of(dir: Dir, scope: &Scope) -> Self {
        Self { dir, scope: scope.clone(), origin: Mutex::new(None) }
    }

    /// The verified handle.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Whether somebody holds this lock. The look takes a shared lock during the call, so that two looks do not disturb
    /// each other; it makes no file.
    pub fn is_locked(&self, name: &str) -> io::Result<bool> {
        match self.dir.open_read(name) {
            Ok(file) => lock::is_locked(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the lease is certainly free.
    fn is_idle(&self) -> bool {
        matches!(self.is_locked(file::LEASE), Ok(false))
    }

    /// Its path, for people and for a worker's handshake.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The scope of the directory.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The scope's id by the path: HELLO is compared with it, without a look at any file.
    #[must_use]
    pub fn by_path(&self) -> String {
        self.scope.id(self.dir.path())
    }

    /// The scope id in the cookies of processes that are started here: by the directory's own id, or by the path where
    /// it has none.
    #[must_use]
    pub fn id(&self) -> String {
        self.own_id().unwrap_or_else(|| self.by_path())
    }

    /// The scope id by the directory's own id, where it has one.
    #[must_use]
    pub fn own_id(&self) -> Option<String> {
        self.origin().record().map(|id| id.scope_id(&self.scope.to_string()))
    }

    /// The scope ids whose cookies belong to this directory.
    #[must_use]
    pub fn cookie_scopes(&self) -> Vec<String> {
        self.origin().cookie_scopes(&self.scope.to_string(), &self.by_path())
    }

    /// What the directory's identity record says; read once.
    #[must_use]
    pub fn origin(&self) -> DirectoryOrigin {
        let mut known = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| self.read_origin()).clone()
    }

    /// Living processes that have a cookie of this directory, in the pid namespace of the caller.
    pub(crate) fn with_cookie_here(&self) -> Vec<ProcessHandle> {
        let prefixes = self.cookie_scopes().into_iter().map(|scope_id| scope::cookie_prefix(&scope_id));
        let carriers = prefixes.flat_map(|prefix| tree::with_cookie(&prefix)).map(|carrier| carrier.handle);
        carriers.filter(|handle| identity::counts_here(handle.pid()) && !handle.has_ended()).collect()
    }

    /// The ledger, where it can be read.
    fn ledger(&self) -> Option<Ledger> {
        let bytes = self.dir.read(file::LEDGER, LONGEST_LEDGER).ok().flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Whether nothing of a worker is on record but a generation, as [`crate::store::clearing`] leaves it.
    fn is_cleared(&self) -> bool {
        matches!(self.dir.exists(file::DESIRED), Ok(false))
            && self.ledger().is_some_and(|ledger| ledger.is_cleared())
            && self.is_idle()
    }

    /// Whether a process of this directory lives: one that its ledger names, or one with its cookie. Only where the
    /// identity record is of this boot.
    fn has_process(&self) -> bool {
        let recorded = || {
            let ledger = self.ledger()?;
            Some(ledger.named().any(|identity| matches!(process::verify(identity), Verified::Same(_))))
        };
        matches!(self.origin(), DirectoryOrigin::Own(_))
            && (recorded().unwrap_or(false) || !self.with_cookie_here().is_empty())
    }

    /// Forgets the origin, so that it is read anew: for whoever has entered the gate, under which the record is
    /// written.
    pub fn forget_origin(&self) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where the directory is; `None` where that cannot be read.
    pub(crate) fn place(&self) -> Option<DirectoryPlace> {
        let found = dir::fstat(self.dir.as_fd()).ok()?;
        Some(DirectoryPlace { boot: identity::boot_id().ok()?, dev: found.dev, ino: found.ino })
    }

    /// Takes over the identity record that was just written.
    pub(crate) fn set_own_id(&self, id: DirectoryId) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(DirectoryOrigin::Own(id));
    }

    /// Reads the identity record, also where others could have changed it: a living worker uses its id, and
    /// `doctor --fix` replaces it once no worker lives. A record that cannot be read counts as missing, because the
    /// cookies of its id cannot be known.
    fn read_origin(&self) -> DirectoryOrigin {
        let bytes = self.dir.read_unbelieved(file::IDENTITY, LONGEST_IDENTITY).ok().flatten();
        let found = bytes.and_then(|bytes| serde_json::from_slice::<DirectoryId>(&bytes).ok());
        let used = self.dir.exists(file::LEDGER).unwrap_or(false);
        match self.place() {
            Some(here) => DirectoryOrigin::of(found, &here, used),
            None => DirectoryOrigin::Unnamed { used },
        }
    }
}

#[cfg(test)]
impl StateDir {
    /// A new state directory of the scope `memory`, which is removed with the first of the pair.
    pub(crate) fn temporary() -> (tempfile::TempDir, Self) {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let root = tempfile::Builder::new().permissions(private).tempdir().expect("a temporary directory");
        let state = Self::at(root.path(), &"memory".parse().expect("a scope")).expect("a private directory");
        (root, state)
    }
}

/// The directory of a scope below the name of another host, where one of its processes lives here: the machine id was
/// changed, made or removed meanwhile. Asked only where nobody serves below today's name. A home that several machines
/// or containers share has their directories too: a directory is ours only by a record of this boot and a process that
/// is verified here.
fn elsewhere(root: &Path, scope: &Scope) -> Option<StateDir> {
    let lives = |host: PathBuf| {
        let state = StateDir::at(&host.join(scope.to_string()), scope).ok()?;
        state.has_process().then_some(state)
    };
    other_hosts(root).into_iter().find_map(lives)
}

fn other_hosts(root: &Path) -> Vec<PathBuf> {
    let Ok(today) = host_directory(root) else { return Vec::new() };
    let is_host = |name: &str| {
        name == "nohost" || name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut hosts: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_host))
        .map(|entry| entry.path())
        .filter(|path| *path != today)
        .collect();
    hosts.sort();
    hosts
}

/// Where the state of a scope is, or would be; for people.
pub fn directory(scope: &Scope) -> Result<PathBuf, PathsError> {
    let root = state_root()?;
    let today = host_directory(&root)?.join(scope.to_string());
    match StateDir::open(scope) {
        Ok(Some(state)) => Ok(state.path().to_owned()),
        Ok(None) | Err(_) => Ok(today),
    }
}

/// Every scope that has a state directory on this host, sorted. Other entries are passed over, and so are directories
/// that were cleared.
pub fn scopes() -> Result<Vec<Scope>, PathsError> {
    let root = root_of_ours()?;
    let mut scopes = match Dir::open_private(&host_directory(&root)?) {
        Ok(host) => scopes_in(&host).map_err(|source| {
            PathsError::Directory(DirError::Other { path: host.path().to_owned(), source })
        })?,
        Err(DirError::Absent { .. }) => Vec::new(),
        Err(error) => return Err(PathsError::Directory(error)),
    };
    for host in other_hosts(&root) {
        // A directory that cannot be read counts as another host's.
        let found = Dir::open_private(&host).map(|host| scopes_in(&host).unwrap_or_default());
        let mut found = found.unwrap_or_default();
        found.retain(|scope| {
            let state = StateDir::at(&host.join(scope.to_string()), scope);
            !scopes.contains(scope) && state.is_ok_and(|state| state.has_process())
        });
        scopes.append(&mut found);
    }
    scopes.sort();
    Ok(scopes)
}

fn scopes_in(host: &Dir) -> io::Result<Vec<Scope>> {
    let names: Vec<OsString> = host.names()?;
    let scopes = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    let is_cleared = |scope: &Scope| {
        let found = host.open_child(scope.to_string());
        found.is_ok_and(|dir| StateDir::of(dir, scope).is_cleared())
    };
    Ok(scopes.filter(|scope| !is_cleared(scope)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_build_never_falls_back_to_the_real_state_directory() {
        if std::env::var_os(ROOT_VARIABLE).is_none() {
            assert!(matches!(state_root(), Err(PathsError::Tripwire)));
        }
    }

    #[test]
    fn the_host_directory_does_not_show_the_machine_id() {
        let path = host_directory(Path::new("/r")).expect("it can be read");
        if let Some(id) = user::machine_id().expect("it can be read") {
            assert!(!path.to_string_lossy().contains(&id));
        } else {
            assert_eq!(path, Path::new("/r/nohost"));
        }
    }
}

//! Where a scope's state is, and the verified handle of its directory.
//!
//! Named by user id, home, machine id, name and key; never by a variable that differs between two sessions of one user
//! (`TMPDIR`, `XDG_*`). Where that directory is missing, one that the machine had under another id is looked for.
//! `TENURE_STATE_DIR` is the one explicit override of the root, read at call time. Every file below is reached through
//! the handle of a directory that was checked to be ours and closed to others.

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
    /// Lock of the worker's lineage: the lease.
    pub const INSTANCE: &str = "instance";
    /// Lock of a wrapped program's tree; where two of them live, of either.
    pub const PROGRAM: &str = "program";
    /// The other lock of that kind, for a program that starts while one that lives holds the first.
    pub const PROGRAM_2: &str = "program.2";
    /// Every lock that a program's tree can hold. Held: something lives. Free proves nothing: a program may close what
    /// it has inherited.
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
    /// Events, one JSON object a line.
    pub const EVENTS: &str = "events.jsonl";
    /// Directory of logs.
    pub const LOGS: &str = "logs";
    /// What the worker and its host say before and outside the program's own output.
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
    /// What the directory's own record says, once somebody asked: the fast path does not. Guards against nothing but
    /// two threads of this process.
    origin: Mutex<Option<DirectoryOrigin>>,
}

/// Largest record of an identity that is read.
const LONGEST_IDENTITY: u64 = 64 * 1024;

/// Largest ledger that is read to see whose a directory is.
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
    /// The name of this machine, and with it the directory, cannot be read now.
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

/// The directory of this host below `root`: a home that two machines share has one for each. The machine id itself is
/// not shown, as machine-id(5) asks.
pub fn host_directory(root: &Path) -> Result<PathBuf, PathsError> {
    let name = match machine_id(root).map_err(PathsError::Machine)? {
        Some(id) => scope::digest(id.as_bytes()),
        None => "nohost".to_owned(),
    };
    Ok(root.join(name))
}

/// The lasting name of the machine that has its state below `root`. A build for tests takes it from the file
/// `machine-id` beside the root, where there is one: a machine need not have any, and a test may be on another one.
pub fn machine_id(root: &Path) -> io::Result<Option<String>> {
    let beside = root.with_file_name("machine-id");
    if cfg!(any(test, feature = "fault-points")) && beside.exists() {
        return user::machine_id_in(&beside);
    }
    user::machine_id()
}

/// The root of all state, where nobody else can put another directory in the place of one of ours.
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

    /// Opens the directory of `scope`, made with mode 0700 where it is missing.
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

    /// Opens a state directory by its path, as a worker does with the one that it was given.
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

    /// Whether somebody holds this lock, by a shared lock for the length of the call: who looks does not disturb who
    /// else looks, and makes no file.
    pub fn is_locked(&self, name: &str) -> io::Result<bool> {
        match self.dir.open_read(name) {
            Ok(file) => lock::is_locked(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether certainly nobody holds the lease.
    fn is_idle(&self) -> bool {
        matches!(self.is_locked(file::INSTANCE), Ok(false))
    }

    /// Its path, for people and for a worker's handshake.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The scope that it belongs to.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The scope's id by the path: what HELLO is compared with, without a look at any file.
    #[must_use]
    pub fn by_path(&self) -> String {
        self.scope.id(self.dir.path())
    }

    /// The scope's own id: what marks processes that are started here. That by the path where the directory has none.
    #[must_use]
    pub fn id(&self) -> String {
        self.own_id().unwrap_or_else(|| self.by_path())
    }

    /// The scope's id by the record of its directory, where there is one.
    #[must_use]
    pub fn own_id(&self) -> Option<String> {
        self.origin().record().map(|id| id.scope_id(&self.scope.to_string()))
    }

    /// The scope ids whose cookies belong to this directory: those that may be looked for.
    #[must_use]
    pub fn marks(&self) -> Vec<String> {
        self.origin().marks(&self.scope.to_string(), &self.by_path())
    }

    /// What the directory's own record says; read once.
    #[must_use]
    pub fn origin(&self) -> DirectoryOrigin {
        let mut known = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| self.read_origin()).clone()
    }

    /// What carries the mark of this directory and counts in the pid namespace of the caller.
    pub(crate) fn marked_here(&self) -> Vec<ProcessHandle> {
        let prefixes = self.marks().into_iter().map(|scope_id| scope::cookie_prefix(&scope_id));
        let marked = prefixes.flat_map(|prefix| tree::with_cookie(&prefix)).map(|marked| marked.handle);
        marked.filter(|handle| identity::counts_here(handle.pid()) && !handle.has_ended()).collect()
    }

    /// Whether somebody of this directory lives, its worker or what one has left: verified by its record of this boot,
    /// or by the mark. Looks only.
    fn has_somebody(&self) -> bool {
        let recorded = || {
            let bytes = self.dir.read(file::LEDGER, LONGEST_LEDGER).ok().flatten()?;
            let ledger: Ledger = serde_json::from_slice(&bytes).ok()?;
            Some(ledger.named().any(|identity| matches!(process::verify(identity), Verified::Same(_))))
        };
        matches!(self.origin(), DirectoryOrigin::Own(_))
            && (recorded().unwrap_or(false) || !self.marked_here().is_empty())
    }

    /// Forgets what the directory's own record said: it is written under the gate, and is read anew there.
    pub fn look_again(&self) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where the directory is; `None` where the kernel does not tell.
    pub(crate) fn place(&self) -> Option<DirectoryPlace> {
        let found = dir::fstat(self.dir.as_fd()).ok()?;
        Some(DirectoryPlace { boot: identity::boot_id().ok()?, dev: found.dev, ino: found.ino })
    }

    /// Takes over what was just written as the directory's own record.
    pub(crate) fn is_named(&self, id: DirectoryId) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(DirectoryOrigin::Own(id));
    }

    /// The id on record, also where others could have changed it: a worker that lives has it, and `doctor --fix`
    /// replaces it once none does. An id that cannot be read counts as none, for it cannot be told what carries it.
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

/// The directory of a scope of which somebody lives below the name of another host: the machine's id was changed, made
/// or removed under it. Asked only where nobody serves below today's name. A home that several machines or containers
/// share has other hosts' directories too: only the record of this boot, and a process that is verified here, tell one
/// that is ours.
fn elsewhere(root: &Path, scope: &Scope) -> Option<StateDir> {
    let lives = |host: PathBuf| {
        let state = StateDir::at(&host.join(scope.to_string()), scope).ok()?;
        state.has_somebody().then_some(state)
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

/// Where the state of a scope is, or would be: for people.
pub fn directory(scope: &Scope) -> Result<PathBuf, PathsError> {
    let root = state_root()?;
    let today = host_directory(&root)?.join(scope.to_string());
    match StateDir::open(scope) {
        Ok(Some(state)) => Ok(state.path().to_owned()),
        Ok(None) | Err(_) => Ok(today),
    }
}

/// Every scope that has a state directory on this host, sorted. Entries that are no scope are passed over.
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
        // What cannot be read there is another host's, as far as can be told.
        let found = Dir::open_private(&host).map(|host| scopes_in(&host).unwrap_or_default());
        let mut found = found.unwrap_or_default();
        found.retain(|scope| {
            let state = StateDir::at(&host.join(scope.to_string()), scope);
            !scopes.contains(scope) && state.is_ok_and(|state| state.has_somebody())
        });
        scopes.append(&mut found);
    }
    scopes.sort();
    Ok(scopes)
}

fn scopes_in(host: &Dir) -> io::Result<Vec<Scope>> {
    let names: Vec<OsString> = host.names()?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
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

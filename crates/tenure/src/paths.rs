//! Where a scope's state is, and the verified handle of its directory.
//!
//! A pure function of user id, home, machine id, name and key; never of a variable that differs between two sessions of
//! one user (`TMPDIR`, `XDG_*`). `TENURE_STATE_DIR` is the one explicit override of the root, read at call time. Every
//! file below is reached through the handle of a directory that was checked to be ours and closed to others.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tenure_sys::dir::{Dir, DirError};
use tenure_sys::user::{self, HomeError};

use crate::scope::{self, Scope};

/// Variable that names the root of all state.
pub const ROOT_VARIABLE: &str = "TENURE_STATE_DIR";

/// Names of the files in a scope's directory.
pub mod file {
    /// Lock of transitions.
    pub const GATE: &str = "gate";
    /// Lock of the worker's lineage: the lease.
    pub const INSTANCE: &str = "instance";
    /// Lock of a wrapped program's tree.
    pub const PROGRAM: &str = "program";
    /// Lock of the tree of a second program, while one takes the place of another and both live.
    pub const PROGRAM_2: &str = "program.2";
    /// Every lock that a program's tree can hold. Nothing of a program lives where all of them are free.
    pub const PROGRAMS: [&str; 2] = [PROGRAM, PROGRAM_2];
    /// Offers and failures.
    pub const DESIRED: &str = "desired.json";
    /// Who the worker is.
    pub const LEDGER: &str = "ledger.json";
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
    id: String,
}

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

/// The directory of this host below `root`: a home that two machines share has one for each. The machine id itself is not
/// shown, as machine-id(5) asks.
#[must_use]
pub fn host_directory(root: &Path) -> PathBuf {
    match user::machine_id() {
        Some(id) => root.join(scope::digest(id.as_bytes())),
        None => root.join("nohost"),
    }
}

impl StateDir {
    /// Opens the directory of `scope`; `None` when it does not exist, which means that nothing ever ran there.
    pub fn open(scope: &Scope) -> Result<Option<Self>, PathsError> {
        let path = host_directory(&state_root()?).join(scope.to_string());
        match Dir::open_private(&path) {
            Ok(dir) => Ok(Some(Self::of(dir, scope))),
            Err(DirError::Absent { .. }) => Ok(None),
            Err(error) => Err(PathsError::Directory(error)),
        }
    }

    /// Opens the directory of `scope`, made with mode 0700 where it is missing.
    pub fn create(scope: &Scope) -> Result<Self, PathsError> {
        let host = host_directory(&state_root()?);
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
        let id = scope.id(dir.path());
        Self { dir, scope: scope.clone(), id }
    }

    /// The verified handle.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Its path, for people and for a worker's brief.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The scope that it belongs to.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The scope's id: what a worker of ours answers with.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Every scope that has a state directory on this host, sorted. Entries that are no scope are passed over.
pub fn scopes() -> Result<Vec<Scope>, PathsError> {
    let host = match Dir::open_private(&host_directory(&state_root()?)) {
        Ok(dir) => dir,
        Err(DirError::Absent { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(PathsError::Directory(error)),
    };
    let names: Vec<OsString> = host
        .names()
        .map_err(|source| PathsError::Directory(DirError::Other { path: host.path().to_owned(), source }))?;
    let mut scopes: Vec<Scope> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    scopes.sort();
    Ok(scopes)
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
        let path = host_directory(Path::new("/r"));
        if let Some(id) = user::machine_id() {
            assert!(!path.to_string_lossy().contains(&id));
        } else {
            assert_eq!(path, Path::new("/r/nohost"));
        }
    }
}

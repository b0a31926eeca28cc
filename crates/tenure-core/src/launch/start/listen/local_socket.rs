//! Local sockets that a worker serves on: where they are, and what may be in their way.
//!
//! A description names a path, or leaves it to the scope's own directory. What stands at a path is removed only if it is
//! a socket of our user on which nobody listens, and if the path is on record as this scope's
//! ([`crate::store::sockets`]). Everything else is named in the error and left alone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tenure_sys::dir::DirError;
use tenure_sys::socket::{self, DeadSocket, PATH_LIMIT, SocketPlace, Standing};

use crate::spec::scope;
use crate::spec::{Address, Listen, ListenMode, Spec};
use crate::store::paths::StateDir;
use crate::store::sockets;

use super::error::{ListenError, taken};

/// Length of each accept queue: what nginx and Go use at most; the kernel caps it at `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// Where a listener is: a relative path begins at the worker's directory, and an empty one is a socket in the scope's
/// directory, which is `directory`.
#[must_use]
pub fn address(directory: &Path, spec: &Spec, listen: &Listen) -> Address {
    match &listen.address {
        Address::Tcp(_) => listen.address.clone(),
        Address::Unix(_) => {
            let own = || directory.join(format!("listen.{}.sock", listen.name));
            Address::Unix(listen.named_path(&spec.cwd).unwrap_or_else(own))
        }
    }
}

/// Refuses paths at which something stands that is not this scope's, and puts the others on record. For the holder of
/// gate and lease.
pub(super) fn claim(state: &StateDir, spec: &Spec) -> Result<(), ListenError> {
    for WantedPath { name, path, .. } in paths(state, spec) {
        look(state, name, &open(name, &path)?)?;
    }
    record(state, spec)
}

/// Refuses paths that a worker of this scope never had, at which something stands, and puts all on record. On the others
/// the incumbent and its program still listen. For the holder of the gate.
pub(super) fn claim_for_successor(
    state: &StateDir,
    spec: &Spec,
    handed: &[(String, OwnedFd)],
) -> Result<(), ListenError> {
    for WantedPath { name, path, .. } in paths(state, spec) {
        if !sockets::is_ours(state, &path) && position_of(handed, name, &path).is_none() {
            look(state, name, &open(name, &path)?)?;
        }
    }
    record(state, spec)
}

fn record(state: &StateDir, spec: &Spec) -> Result<(), ListenError> {
    for WantedPath { name, path, is_program } in paths(state, spec) {
        if is_program && path.as_os_str().len() > PATH_LIMIT {
            return Err(ListenError::TooLong { name: name.to_owned(), path });
        }
        sockets::add(state, &path).map_err(ListenError::Record)?;
    }
    Ok(())
}

/// A path at which something of this worker will listen.
struct WantedPath<'spec> {
    /// The listener's name.
    name: &'spec str,
    path: PathBuf,
    /// The program binds it, and not `tenure`.
    is_program: bool,
}

/// The paths of the listeners, and those to which proxied listeners lead.
fn paths<'spec>(state: &StateDir, spec: &'spec Spec) -> Vec<WantedPath<'spec>> {
    let wanted = |name, address, is_program| match address {
        Address::Unix(path) => Some(WantedPath { name, path, is_program }),
        Address::Tcp(_) => None,
    };
    let of = |listen: &'spec Listen| {
        let name = listen.name.as_str();
        let own = address(state.path(), spec, listen);
        let behind = listen.to.as_ref().and_then(|to| to.fixed(&spec.cwd));
        let behind = behind.and_then(|to| wanted(name, to, true));
        [wanted(name, own, listen.mode == ListenMode::SelfBound), behind].into_iter().flatten()
    };
    spec.listen.iter().flat_map(of).collect()
}

/// Binds a path, mode 0600. A socket that a former worker of this scope left is replaced in one step.
pub(super) fn bind(state: &StateDir, name: &str, path: &Path) -> Result<OwnedFd, ListenError> {
    let place = open(name, path)?;
    let bound = match look(state, name, &place)? {
        None => place.bind(BACKLOG),
        Some(dead) => place.replace(dead, &temporary(state, path), BACKLOG),
    };
    bound.map(OwnedFd::from).map_err(|source| failed(name, path, source))
}

/// Removes what a former program of this scope left at the path, so that the next one can bind it.
pub(super) fn make_room(state: &StateDir, name: &str, path: &Path) -> Result<(), ListenError> {
    let place = open(name, path)?;
    let Some(dead) = look(state, name, &place)? else { return Ok(()) };
    place.remove(dead).map_err(|source| failed(name, path, source))
}

/// Which of the sockets that were handed over is the one to which the path leads. Where the kernel does not tell, the
/// name decides.
pub(super) fn position_of(handed: &[(String, OwnedFd)], name: &str, path: &Path) -> Option<usize> {
    let is_local = |fd: &OwnedFd| fd.try_clone().is_ok_and(|fd| UnixListener::from(fd).local_addr().is_ok());
    handed.iter().position(|(known, fd)| {
        is_local(fd) && socket::leads_to(path, fd.as_fd()).unwrap_or_else(|| known == name)
    })
}

fn open(name: &str, path: &Path) -> Result<SocketPlace, ListenError> {
    SocketPlace::open(path).map_err(|source| {
        let (name, path) = (name.to_owned(), path.to_owned());
        match source {
            DirError::TooOpen { path: directory, mode } => {
                ListenError::OpenToOthers { name, path, directory, mode }
            }
            DirError::Absent { path: directory } => ListenError::NoDirectory { name, path, directory },
            source @ (DirError::NotOwned { .. }
            | DirError::NotDirectory(_)
            | DirError::ReadOnly { .. }
            | DirError::NoSpace { .. }
            | DirError::Denied { .. }
            | DirError::Other { .. }) => ListenError::Directory { name, path, source },
        }
    })
}

/// The dead socket of this scope that stands at the place; `None` where nothing does.
fn look(state: &StateDir, name: &str, place: &SocketPlace) -> Result<Option<DeadSocket>, ListenError> {
    let path = place.path();
    let stands = |what: String| ListenError::Stands { name: name.to_owned(), path: path.clone(), what };
    match place.standing().map_err(|source| failed(name, &path, source))? {
        Standing::Nothing => Ok(None),
        Standing::Dead(dead) if sockets::is_ours(state, &path) => Ok(Some(dead)),
        Standing::Dead(_) => {
            Err(stands("a socket on which nobody listens, and which this worker did not make,".to_owned()))
        }
        Standing::Taken(owner) => Err(taken(name, Address::Unix(path), Some(owner))),
        Standing::Foreign { kind, uid } => Err(stands(format!("{kind} of uid {uid}"))),
    }
}

/// The name of a new socket until it takes the place of a dead one: the same in every start of the scope, which finds
/// what an interrupted one left. Its length does not depend on that of the socket's own name, which may be as long as
/// a name can be.
fn temporary(state: &StateDir, path: &Path) -> String {
    let whole = [state.id().as_bytes(), b"/", path.as_os_str().as_bytes()].concat();
    format!(".tenure.{}.sock", scope::digest(&whole))
}

fn failed(name: &str, path: &Path, source: io::Error) -> ListenError {
    ListenError::Bind { name: name.to_owned(), address: Address::Unix(path.to_owned()), source }
}

//! Whose a listening socket is.

use std::path::Path;

use tenure_core::spec::Address;
use tenure_sys::socket::{SocketPlace, Standing};
use tenure_sys::{process, socket, tree};

/// Whose a listening socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// Somebody of the tree holds it.
    Ours,
    /// It is gone.
    Nobody,
    /// No process that can be looked at holds it, and its user, this one, is also the program's. A program hands it from
    /// one process to another, or somebody else whose files are hidden has it: the next question tells.
    Unseen(u32),
    /// Only others hold it; this is one of them.
    Stranger(String),
}

/// Asks the kernel whether a descendant of `root`, or `root` itself, holds what listens on `address`.
///
/// A program may keep the kernel from showing its open files (ssh-agent does). Then the user decides, as for proxied
/// connections.
pub(super) fn of(address: &Address, root: u32) -> Owner {
    let mut holders = match address {
        Address::Tcp(address) => socket::listener_pids(*address),
        Address::Unix(path) => socket::listener_pids_at(path),
        _ => return Owner::Nobody,
    };
    if holders.iter().any(|pid| descends(*pid, root) == Some(true)) {
        return Owner::Ours;
    }
    let (told, user) = match address {
        Address::Tcp(address) => (None, socket::owner_of_tcp(*address).map(|owner| owner.uid)),
        Address::Unix(path) => listener_at(path),
        _ => return Owner::Nobody,
    };
    let Some(user) = user else { return Owner::Nobody };
    holders.extend(told);
    let kinds: Vec<Option<bool>> = holders.iter().map(|pid| descends(*pid, root)).collect();
    if kinds.contains(&Some(true)) {
        return Owner::Ours;
    }
    if kinds.contains(&None) {
        return Owner::Unseen(user);
    }
    match holders.first() {
        Some(pid) => Owner::Stranger(shown(*pid)),
        None => of_hidden(user, root),
    }
}

/// Whether a process is `root` or descends from it; `None` if it, or a process between them, ended meanwhile. From a
/// process upwards, because a list of descendants misses one that gets another parent while the list is made.
fn descends(pid: u32, root: u32) -> Option<bool> {
    let mut at = pid;
    while at != root {
        at = match process::parent_of(at)? {
            0 => return Some(false),
            parent => parent,
        };
    }
    Some(true)
}

/// Whose a socket of `user` is that no process is seen to hold.
fn of_hidden(user: u32, root: u32) -> Owner {
    let family = tree::descendants_of(root);
    let members = || family.iter().chain([&root]).filter(|pid| process::uid_of(**pid) == Some(user));
    if members().any(|pid| process::is_hidden(*pid)) {
        return Owner::Ours;
    }
    match members().next() {
        Some(_) => Owner::Unseen(user),
        None => Owner::Stranger(format!("a process of uid {user}")),
    }
}

/// Whose is what listens at a path. Where the kernel does not list the socket, as for one of another network namespace,
/// a connection tells who listens.
fn listener_at(path: &Path) -> (Option<u32>, Option<u32>) {
    if let Some(socket) = socket::listening_at(path).first() {
        return (None, Some(socket.uid));
    }
    match SocketPlace::open(path).map_or(Ok(Standing::Nothing), |at| at.standing()) {
        Ok(Standing::Taken(owner)) => (owner.pid, Some(owner.uid)),
        _ => (None, None),
    }
}

fn shown(pid: u32) -> String {
    format!("pid {pid} ({})", process::command_line(pid).unwrap_or_default())
}

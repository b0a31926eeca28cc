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
    /// Only others hold it; this is one of them.
    Stranger(String),
}

/// Asks the kernel whether a descendant of `root`, or `root` itself, holds what listens on `address`.
pub(super) fn of(address: &Address, root: u32) -> Owner {
    let address = match address {
        Address::Tcp(address) => *address,
        Address::Unix(path) => return of_path(path, root),
        _ => return Owner::Nobody,
    };
    let holders = socket::listener_pids(address);
    let family = tree::descendants_of(root);
    if holders.iter().any(|pid| *pid == root || family.contains(pid)) {
        return Owner::Ours;
    }
    match (holders.first(), socket::owner_of_tcp(address)) {
        (_, None) => Owner::Nobody,
        (Some(pid), Some(_)) => Owner::Stranger(shown(*pid)),
        (None, Some(owner)) => Owner::Stranger(format!("a process of uid {}", owner.uid)),
    }
}

/// The same for a path. Where the kernel does not list the socket, as for one of another network namespace, a connection
/// tells who listens.
fn of_path(path: &Path, root: u32) -> Owner {
    let mut holders = socket::listener_pids_at(path);
    let mut uid = socket::listening_at(path).first().map(|socket| socket.uid);
    if uid.is_none()
        && let Ok(Standing::Taken(owner)) =
            SocketPlace::open(path).map_or(Ok(Standing::Nothing), |at| at.standing())
    {
        holders.extend(owner.pid);
        uid = Some(owner.uid);
    }
    let family = tree::descendants_of(root);
    if holders.iter().any(|pid| *pid == root || family.contains(pid)) {
        return Owner::Ours;
    }
    match (holders.first(), uid) {
        (_, None) => Owner::Nobody,
        (Some(pid), Some(_)) => Owner::Stranger(shown(*pid)),
        (None, Some(uid)) => Owner::Stranger(format!("a process of uid {uid}")),
    }
}

fn shown(pid: u32) -> String {
    format!("pid {pid} ({})", process::command_line(pid).unwrap_or_default())
}

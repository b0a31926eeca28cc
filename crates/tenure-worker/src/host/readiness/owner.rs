//! Whose a listening socket is.

use std::net::SocketAddr;

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
pub(super) fn of(address: SocketAddr, root: u32) -> Owner {
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

fn shown(pid: u32) -> String {
    format!("pid {pid} ({})", process::command_line(pid).unwrap_or_default())
}

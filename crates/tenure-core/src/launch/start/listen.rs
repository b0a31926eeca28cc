//! Binding what a worker serves on, before the worker exists: late callers wait in the kernel's queue, nobody polls.
//!
//! Only the holder of the lease may bind. The control socket is bound under a temporary name, listens, and is then
//! renamed over its path, so that the path always leads to a listener. TCP listeners with port 0 take the port of the
//! last time where it is free. A port that the program binds itself is only tested, by a connect: a test by bind would
//! make the program's own bind fail.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::socket;

use crate::fault::{self, Point};
use crate::protocol::wire::Endpoint;
use crate::record::ledger::Ledger;
use crate::spec::{ListenMode, Spec};
use crate::store::lease::Lease;
use crate::store::paths::{StateDir, file};

/// Length of each accept queue: what nginx and Go use at most; the kernel caps it at `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// How long a connect to a port that should be free may take; on loopback a refusal is immediate.
const LOOK: Duration = Duration::from_millis(500);

/// Sockets bound for a worker.
#[derive(Debug)]
pub struct Bound {
    /// The control socket.
    pub control: OwnedFd,
    /// The spec's inherited listeners, in the order of the spec.
    pub listeners: Vec<OwnedFd>,
    /// All endpoints, those that the program binds itself included.
    pub endpoints: Vec<Endpoint>,
}

/// A socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The control socket cannot be bound.
    #[error("bind the control socket")]
    Control(#[source] io::Error),
    /// A port is taken.
    #[error("listen on {address} for {name:?}: {owner} listens there")]
    Taken {
        /// The listener's name.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Who holds it, as far as the kernel tells.
        owner: String,
    },
    /// A port cannot be bound.
    #[error("listen on {address} for {name:?}")]
    Tcp {
        /// The listener's name.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    /// Whether the spec's address is the cause, rather than that this process or the machine has no more descriptors or
    /// memory: `ENFILE`, `EMFILE`, `ENOMEM`, `EAGAIN`, `ENOBUFS`.
    #[must_use]
    pub fn is_of_the_spec(&self) -> bool {
        match self {
            Self::Taken { .. } => true,
            Self::Tcp { source, .. } => !matches!(source.raw_os_error(), Some(11 | 12 | 23 | 24 | 105)),
            Self::Control(_) => false,
        }
    }
}

/// Binds everything that `spec` wants. The control socket comes last: it is what makes callers wait.
pub fn bind(state: &StateDir, lease: &Lease, spec: &Spec, ledger: &Ledger) -> Result<Bound, ListenError> {
    let mut listeners = Vec::new();
    let mut endpoints = Vec::new();
    for wanted in &spec.listen {
        let tcp = match wanted.mode {
            ListenMode::SelfBound => expect_free(&wanted.name, wanted.tcp)?,
            ListenMode::Inherit | ListenMode::Proxy => {
                let listener = bind_tcp(&wanted.name, wanted.tcp, ledger.last_address(&wanted.name))?;
                let failed =
                    |source| ListenError::Tcp { name: wanted.name.clone(), address: wanted.tcp, source };
                let address = listener.local_addr().map_err(failed)?;
                listeners.push(listener.into());
                address
            }
        };
        endpoints.push(Endpoint { name: wanted.name.clone(), tcp });
    }
    let control = bind_control(state, lease, ledger.generation).map_err(ListenError::Control)?;
    Ok(Bound { control, listeners, endpoints })
}

/// Binds what a successor serves on. A listener that the incumbent handed over is used where name and address agree;
/// the others are new sockets. A port of 0 agrees with any port of the same address. A port that the program binds
/// itself is only named, because the old program still has it.
pub fn bind_for_successor(
    spec: &Spec,
    mut handed: Vec<(String, OwnedFd)>,
) -> Result<SuccessorListeners, ListenError> {
    let mut bound = SuccessorListeners { listeners: Vec::new(), endpoints: Vec::new() };
    for wanted in &spec.listen {
        let name = wanted.name.clone();
        let failed = |source| ListenError::Tcp { name: name.clone(), address: wanted.tcp, source };
        if wanted.mode == ListenMode::SelfBound {
            bound.endpoints.push(Endpoint { name, tcp: wanted.tcp });
            continue;
        }
        let agrees = |fd: &OwnedFd| {
            address_of(fd).is_some_and(|address| {
                address.ip() == wanted.tcp.ip() && [0, address.port()].contains(&wanted.tcp.port())
            })
        };
        // Under another name, the same address is the same socket.
        let named = handed.iter().position(|(known, fd)| *known == name && agrees(fd));
        let place = named.or_else(|| handed.iter().position(|(_, fd)| address_of(fd) == Some(wanted.tcp)));
        let listener = match place.map(|place| TcpListener::from(handed.swap_remove(place).1)) {
            Some(listener) => listener,
            None => bind_tcp(&wanted.name, wanted.tcp, None)?,
        };
        bound.endpoints.push(Endpoint { name: name.clone(), tcp: listener.local_addr().map_err(failed)? });
        bound.listeners.push((name, listener.into()));
    }
    Ok(bound)
}

fn address_of(listener: &OwnedFd) -> Option<SocketAddr> {
    TcpListener::from(listener.try_clone().ok()?).local_addr().ok()
}

/// What a successor serves on.
#[derive(Debug)]
pub struct SuccessorListeners {
    /// The listeners by name, in the order of the spec.
    pub listeners: Vec<(String, OwnedFd)>,
    /// All endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// The lease is the permission: only its holder may touch the path.
fn bind_control(state: &StateDir, _lease: &Lease, generation: u64) -> io::Result<OwnedFd> {
    // What stands there and is no socket is not ours: the error names it, and it stays.
    state.dir().refuse_no_socket(file::CONTROL)?;
    let temporary = format!("control.{generation}.{}", tenure_sys::random::hex(4)?);
    let listener = socket::bind_unix(state.dir(), &temporary, BACKLOG)?;
    fault::reach(Point::SocketBound);
    if let Err(error) = state.dir().rename(&temporary, file::CONTROL) {
        best_effort(state.dir().remove(&temporary));
        return Err(error);
    }
    fault::reach(Point::SocketRenamed);
    Ok(listener.into())
}

fn bind_tcp(name: &str, wanted: SocketAddr, last: Option<SocketAddr>) -> Result<TcpListener, ListenError> {
    if wanted.port() == 0
        && let Some(again) = last.filter(|last| last.ip() == wanted.ip() && last.port() != 0)
        && let Ok(listener) = socket::bind_tcp(again, BACKLOG)
    {
        return Ok(listener);
    }
    socket::bind_tcp(wanted, BACKLOG).map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            taken(name, wanted)
        } else {
            ListenError::Tcp { name: name.to_owned(), address: wanted, source }
        }
    })
}

/// Returns `address` if nobody listens there, as a connect shows. The error names who listens.
pub fn expect_free(name: &str, address: SocketAddr) -> Result<SocketAddr, ListenError> {
    match socket::connect_tcp(address, LOOK) {
        Ok(_) => Err(taken(name, address)),
        Err(_) => Ok(address),
    }
}

fn taken(name: &str, address: SocketAddr) -> ListenError {
    let owner = socket::owner_of_tcp(address).map_or_else(
        || "a process that cannot be seen".to_owned(),
        |owner| match (owner.pid, owner.command) {
            (Some(pid), command) => format!("pid {pid} ({})", command.unwrap_or_default()),
            (None, _) => format!("a process of uid {}", owner.uid),
        },
    );
    ListenError::Taken { name: name.to_owned(), address, owner }
}

impl Bound {
    /// The descriptors in the order in which a worker expects them after the channel and the lease.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.control.as_fd()).chain(self.listeners.iter().map(AsFd::as_fd))
    }
}

/// Removes what launchers and workers left under temporary names when they died between write and rename. Only for the
/// holder of gate and lease: nobody else writes here.
pub fn sweep_temporaries(state: &StateDir, _lease: &Lease) {
    let names = state.dir().names().unwrap_or_default();
    for name in names.iter().filter_map(|name| name.to_str()).filter(|name| is_temporary(name)) {
        best_effort(state.dir().remove(name));
    }
}

/// Whether a name in a state directory is one that stands only while something is written or bound.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    let record = name.strip_prefix('.').is_some_and(|rest| rest.rsplit('.').next() == Some("tmp"));
    // Only names of this form are made here. What a person has moved aside has another name, and stays.
    let socket = name.strip_prefix("control.").and_then(|rest| rest.split_once('.'));
    let is_ours = |(generation, random): (&str, &str)| {
        let digits = |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| is(&byte));
        digits(generation, u8::is_ascii_digit) && digits(random, u8::is_ascii_hexdigit)
    };
    record || socket.is_some_and(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_made_here_are_swept() {
        for ours in ["control.3.ab12cd34", ".ledger.json.1.ab.tmp"] {
            assert!(is_temporary(ours), "{ours}");
        }
        for other in
            ["control.sock", "control.sock.aside", "control.sock.old", "control.", "control.3.", "gate"]
        {
            assert!(!is_temporary(other), "{other}");
        }
    }
}

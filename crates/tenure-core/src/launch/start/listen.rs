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
use tenure_sys::socket::{self, ListeningSocket};

use crate::fault::{self, Point};
use crate::protocol::wire::Endpoint;
use crate::record::ledger::Ledger;
use crate::spec::{Address, ListenMode, Spec};
use crate::store::lease::Lease;
use crate::store::paths::{StateDir, file};
use crate::store::sockets;

mod error;
pub mod local_socket;

pub use error::ListenError;
pub use local_socket::BACKLOG;

use error::taken;

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

/// Binds everything that `spec` wants. The control socket comes last: it is what makes callers wait.
pub fn bind(state: &StateDir, lease: &Lease, spec: &Spec, ledger: &Ledger) -> Result<Bound, ListenError> {
    let mut listeners = Vec::new();
    let mut endpoints = Vec::new();
    local_socket::claim(state, spec)?;
    for wanted in &spec.listen {
        let name = wanted.name.as_str();
        let binds_itself = wanted.mode == ListenMode::SelfBound;
        let address = match local_socket::address(state.path(), spec, wanted) {
            address if binds_itself => expect_free(state, name, address)?,
            Address::Unix(path) => {
                listeners.push(local_socket::bind(state, name, &path)?);
                Address::Unix(path)
            }
            Address::Tcp(tcp) => {
                let last = ledger.last_address(name).and_then(Address::tcp);
                let (listener, address) = bind_tcp(name, tcp, last)?;
                listeners.push(listener);
                address
            }
        };
        endpoints.push(Endpoint::at(name, address));
    }
    let control = bind_control(state, lease, ledger.generation).map_err(ListenError::Control)?;
    Ok(Bound { control, listeners, endpoints })
}

/// Binds what a successor serves on. A listener that the incumbent handed over is used where name and address agree;
/// the others are new sockets. A port of 0 agrees with any port of the same address, and a path with the socket to which
/// it leads now. What the program binds itself is only named, because the old program still has it.
pub fn bind_for_successor(
    state: &StateDir,
    spec: &Spec,
    mut handed: Vec<(String, OwnedFd)>,
) -> Result<SuccessorListeners, ListenError> {
    let mut bound = SuccessorListeners { listeners: Vec::new(), endpoints: Vec::new() };
    local_socket::claim_for_successor(state, spec, &handed)?;
    for wanted in &spec.listen {
        let name = wanted.name.clone();
        let address = local_socket::address(state.path(), spec, wanted);
        if wanted.mode == ListenMode::SelfBound {
            bound.endpoints.push(Endpoint::at(name, address));
            continue;
        }
        let taken_over = position_of(&handed, &name, &address).map(|place| handed.swap_remove(place).1);
        let (listener, address) = match (taken_over, address) {
            (Some(listener), Address::Unix(path)) => (listener, Address::Unix(path)),
            (None, Address::Unix(path)) => (local_socket::bind(state, &name, &path)?, Address::Unix(path)),
            (Some(listener), Address::Tcp(tcp)) => named(&name, tcp, TcpListener::from(listener))?,
            (None, Address::Tcp(tcp)) => bind_tcp(&name, tcp, None)?,
        };
        bound.endpoints.push(Endpoint::at(name.clone(), address));
        bound.listeners.push((name, listener));
    }
    Ok(bound)
}

/// Which of the sockets that were handed over is the listener `name` at this address.
fn position_of(handed: &[(String, OwnedFd)], name: &str, address: &Address) -> Option<usize> {
    let wanted = match address {
        Address::Unix(path) => return local_socket::position_of(handed, name, path),
        Address::Tcp(wanted) => wanted,
    };
    let agrees = |fd: &OwnedFd| {
        address_of(fd).is_some_and(|address| {
            address.ip() == wanted.ip() && [0, address.port()].contains(&wanted.port())
        })
    };
    // Under another name, the same address is the same socket.
    let named = handed.iter().position(|(known, fd)| known == name && agrees(fd));
    named.or_else(|| handed.iter().position(|(_, fd)| address_of(fd) == Some(*wanted)))
}

/// A listener as a descriptor, and where it listens.
fn named(name: &str, wanted: SocketAddr, listener: TcpListener) -> Result<(OwnedFd, Address), ListenError> {
    let failed = |source| ListenError::Bind { name: name.to_owned(), address: wanted.into(), source };
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener.into(), Address::Tcp(address)))
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

fn bind_tcp(
    name: &str,
    wanted: SocketAddr,
    last: Option<SocketAddr>,
) -> Result<(OwnedFd, Address), ListenError> {
    if wanted.port() == 0
        && let Some(again) = last.filter(|last| last.ip() == wanted.ip() && last.port() != 0)
        && let Ok(listener) = socket::bind_tcp(again, BACKLOG)
    {
        return named(name, wanted, listener);
    }
    let listener = socket::bind_tcp(wanted, BACKLOG).map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            taken(name, wanted.into(), socket::owner_of_tcp(wanted))
        } else {
            ListenError::Bind { name: name.to_owned(), address: wanted.into(), source }
        }
    })?;
    named(name, wanted, listener)
}

/// Returns `address` if nobody listens there, as a connect shows. The error names who listens. At a path, what a former
/// program of the scope left is removed.
pub fn expect_free(state: &StateDir, name: &str, address: Address) -> Result<Address, ListenError> {
    match &address {
        Address::Tcp(tcp) if socket::connect_tcp(*tcp, LOOK).is_ok() => {
            Err(taken(name, address.clone(), socket::owner_of_tcp(*tcp)))
        }
        Address::Tcp(_) => Ok(address),
        Address::Unix(path) => local_socket::make_room(state, name, path).map(|()| address),
    }
}

/// The sockets that listen at an address, by the tables of the kernel: nobody is connected to.
#[must_use]
pub fn listening(address: &Address) -> Vec<ListeningSocket> {
    match address {
        Address::Tcp(address) => socket::listening_sockets(*address),
        Address::Unix(path) => socket::listening_at(path),
    }
}

impl Bound {
    /// The descriptors in the order in which a worker expects them after the channel and the lease.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.control.as_fd()).chain(self.listeners.iter().map(AsFd::as_fd))
    }
}

/// Removes what launchers and workers left under temporary names when they died between write and rename, and the dead
/// sockets of programs that were told where to listen. Only for the holder of gate and lease: nobody else writes here.
pub fn sweep_temporaries(state: &StateDir, _lease: &Lease) {
    sockets::remove_dead_private(state);
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

//! Sockets that stand in for the listeners of a program that is only looked at, and what it is told about them.
//!
//! Another program serves on the real sockets while a preflight runs. A preflight that accepts on them would take its
//! clients away, so it gets sockets of the same families on the same descriptors, which listen where nobody connects:
//! on a port of loopback that nobody is told, or at a path that is removed at once. The variables tell the real
//! addresses: those that the program will serve on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use tenure_core::launch::start::listen::local_socket;
use tenure_core::protocol::wire::Endpoint;
use tenure_core::record::ledger::Ledger;
use tenure_core::spec::{Address, Listen, ListenMode, Spec};
use tenure_core::store::paths::StateDir;
use tenure_sys::{random, socket};

use super::relay;

/// Length of their accept queues: nobody connects.
const BACKLOG: i32 = 1;

/// What a program to be looked at gets in the place of its listeners.
#[derive(Default)]
pub(super) struct StandIns {
    /// In the place of the inherited listeners, from descriptor 3 on.
    pub(super) listeners: Vec<OwnedFd>,
    /// The names of those.
    pub(super) names: Vec<String>,
    /// Every address that the program is told.
    pub(super) endpoints: Vec<Endpoint>,
    /// What tells it where to listen behind proxied listeners.
    pub(super) variables: Vec<(String, String)>,
}

impl StandIns {
    /// Opens them for the program of `spec`. `ledger` is the record of the worker that serves, whose ports stay.
    pub(super) fn open(spec: &Spec, state: &StateDir, ledger: &Ledger) -> io::Result<Self> {
        let mut open = Self::default();
        for listen in &spec.listen {
            let mut address = known_address(spec, state, ledger, listen);
            if listen.mode == ListenMode::Inherit {
                let (listener, own) = stand_in(state, &address)?;
                open.listeners.push(listener);
                open.names.push(listen.name.clone());
                // A port that the kernel is to choose is not known yet: the socket's own is as good as any.
                if let (Address::Tcp(wanted), Some(own)) = (&mut address, own)
                    && wanted.port() == 0
                {
                    wanted.set_port(own.port());
                }
            }
            open.endpoints.push(Endpoint::at(&*listen.name, address));
        }
        let proxied = spec.listen.iter().filter(|listen| listen.mode == ListenMode::Proxy);
        let wanted: Vec<_> = proxied.filter_map(|one| Some((one.name.clone(), one.to.clone()?))).collect();
        open.variables = relay::choose(&wanted, &spec.cwd, state.path())?.variables;
        Ok(open)
    }
}

/// Where a listener will be. The port that the worker before chose stays, as it does in a takeover.
fn known_address(spec: &Spec, state: &StateDir, ledger: &Ledger, listen: &Listen) -> Address {
    let address = local_socket::address(state.path(), spec, listen);
    let last = ledger.last_address(&listen.name).and_then(Address::tcp);
    match (address, last) {
        (Address::Tcp(wanted), Some(last)) if wanted.port() == 0 && wanted.ip() == last.ip() => last.into(),
        (address, _) => address,
    }
}

/// A socket of the family of `address`, and where it listens.
fn stand_in(state: &StateDir, address: &Address) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    if let Some(wanted) = address.tcp() {
        let loopback: IpAddr =
            if wanted.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let listener: TcpListener = socket::bind_tcp(SocketAddr::new(loopback, 0), BACKLOG)?;
        let own = listener.local_addr()?;
        return Ok((listener.into(), Some(own)));
    }
    // One that is left by a host that dies here goes with the other temporary names at the next start.
    let name = format!(".preflight.{}.tmp", random::hex(8)?);
    let listener = socket::bind_unix(state.dir(), &name, BACKLOG)?;
    state.dir().remove(&name)?;
    Ok((listener.into(), None))
}

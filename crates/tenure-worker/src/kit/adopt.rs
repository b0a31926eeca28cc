//! Taking over what a launcher has prepared: descriptors, handshake, directory, lease, sockets.
//!
//! Nothing is written here. Everything that was inherited is checked before it is relied upon: the lease must be the
//! file at its path, and a listener's address is asked of the kernel and not of the handshake.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};

use tenure_core::launch::start::handshake::{
    DESCRIPTORS_PID_VARIABLE, DESCRIPTORS_VARIABLE, Handshake, descriptor,
};
use tenure_core::launch::start::listen::{BACKLOG, local_socket};
use tenure_core::protocol::wire::Endpoint;
use tenure_core::spec::{Address, ListenMode};
use tenure_core::store::gate::{Entrusted, Upgrade};
use tenure_core::store::lease::Lease;
use tenure_core::store::paths::{PathsError, StateDir};
use tenure_core::store::records::RecordError;
use tenure_sys::{fdset, pipe, socket};

use crate::ownership::Ownership;
use crate::ownership::channel::{Channel, ChannelError};
use crate::takeover::TakeoverError;
use crate::takeover::successor::StandbyPhase;

/// What was adopted.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) ownership: Ownership,
    pub(crate) place: StartingPoint,
}

/// Where a worker begins.
#[derive(Debug)]
pub(crate) enum StartingPoint {
    /// Alone: lease and sockets are its own.
    Alone {
        /// The control socket, listening.
        control: OwnedFd,
        /// The spec's listeners by name.
        listeners: Vec<(String, OwnedFd)>,
        /// Where it will serve.
        endpoints: Vec<Endpoint>,
    },
    /// Beside a worker that serves: all that it has is the gate.
    Beside(StandbyPhase),
}

/// A worker cannot adopt what its launcher prepared; the process should exit, which frees everything.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The environment says that a launcher started this process, but not how many descriptors it passed.
    #[error("read {DESCRIPTORS_VARIABLE}={text:?} as a number of descriptors from 3 up")]
    Descriptors {
        /// Its value.
        text: String,
    },
    /// A descriptor is missing or not what it should be.
    #[error("adopt {what}")]
    Descriptor {
        /// Which one.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no handshake.
    #[error("adopt from the launcher")]
    Channel(#[source] ChannelError),
    /// The state directory cannot be used.
    #[error("adopt the state directory")]
    State(#[source] PathsError),
    /// The lease that the launcher passed is not the file at its path.
    #[error("adopt the lease: the file at its path is another one")]
    LeaseReplaced,
    /// One of the worker's own threads cannot be started.
    #[error("start the thread {name:?}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The worker cannot record itself in the place of a launcher that has died.
    #[error("record the worker")]
    Record(#[source] RecordError),
    /// Another worker serves, and this one cannot take its place.
    #[error("take the place of the worker that serves")]
    Takeover(#[source] TakeoverError),
}

/// How many descriptors the launcher passed. `None` when no launcher started this process: also where it is a child of
/// a worker, and has inherited that one's environment.
pub(crate) fn passed_descriptors() -> Result<Option<usize>, AdoptError> {
    let Some(text) = std::env::var_os(DESCRIPTORS_VARIABLE) else { return Ok(None) };
    let own = std::env::var(DESCRIPTORS_PID_VARIABLE).ok();
    if own.is_some_and(|pid| pid.parse() != Ok(std::process::id())) {
        return Ok(None);
    }
    let text = text.to_string_lossy().into_owned();
    match text.parse() {
        Ok(count) if count >= descriptor::OF_SUCCESSOR => Ok(Some(count)),
        Ok(_) | Err(_) => Err(AdoptError::Descriptors { text }),
    }
}

/// Adopts `count` descriptors and what they lead to.
pub(crate) fn take(count: usize) -> Result<Adopted, AdoptError> {
    let fds = fdset::take_inherited(count).map_err(broken("what the launcher passed"))?;
    let mut fds = fds.into_iter();
    let mut next = |what: &str| fds.next().ok_or_else(|| broken(what)(io::ErrorKind::NotFound.into()));
    let (channel, second) = (next("the channel")?, next("what the launcher passed")?);
    let (channel, handshake) = Channel::open(channel).map_err(AdoptError::Channel)?;
    let state = StateDir::at(&handshake.state_dir, &handshake.scope).map_err(AdoptError::State)?;
    if let Some(terms) = handshake.succeeds.clone() {
        let upgrade = Upgrade { to: handshake.spec.version.clone(), beside: handshake.spec.overlap };
        let gate = Entrusted::from_inherited(second, upgrade);
        let place = StartingPoint::Beside(StandbyPhase { gate, terms });
        return Ok(Adopted { ownership: Ownership::standby(state, channel, handshake), place });
    }
    let (lease, control) = (Lease::from_inherited(second), next("the control socket")?);
    if !lease.is_at_path(&state).map_err(|error| broken("the lease")(error.0))? {
        return Err(AdoptError::LeaseReplaced);
    }
    // From now on the kernel names this process, and no longer the launcher, to those who connect.
    socket::relisten(control.as_fd(), BACKLOG).map_err(broken("the control socket"))?;
    pipe::set_nonblocking(control.as_fd(), true).map_err(broken("the control socket"))?;
    let listeners: Vec<(String, OwnedFd)> = handshake.listeners.iter().cloned().zip(fds).collect();
    let endpoints = endpoints(&handshake, &listeners)?;
    let ownership = Ownership::own(state, channel, handshake, lease).map_err(broken("the control socket"))?;
    Ok(Adopted { ownership, place: StartingPoint::Alone { control, listeners, endpoints } })
}

/// Where the worker serves, in the order of the spec. A listener that the handshake promises and that was not handed
/// over is an error here and not later.
fn endpoints(handshake: &Handshake, listeners: &[(String, OwnedFd)]) -> Result<Vec<Endpoint>, AdoptError> {
    let mut endpoints = Vec::new();
    for wanted in &handshake.spec.listen {
        let mut address = local_socket::address(&handshake.state_dir, &handshake.spec, wanted);
        if wanted.mode != ListenMode::SelfBound {
            let found = listeners.iter().find(|(name, _)| *name == wanted.name);
            let found = found.ok_or_else(|| io::ErrorKind::NotFound.into());
            let bound = found.and_then(|(_, fd)| bound_to(fd, address));
            address = bound.map_err(broken(&format!("the listener {:?}", wanted.name)))?;
        }
        endpoints.push(Endpoint::at(&wanted.name, address));
    }
    Ok(endpoints)
}

/// Where a listener that was handed over listens. For TCP the kernel tells the port. For a path, the kernel names this
/// process, and no longer the launcher, to those who connect from now on.
fn bound_to(listener: &OwnedFd, wanted: Address) -> io::Result<Address> {
    if wanted.unix().is_some() {
        return socket::relisten(listener.as_fd(), BACKLOG).map(|()| wanted);
    }
    TcpListener::from(listener.try_clone()?).local_addr().map(Address::Tcp)
}

pub(crate) fn broken(what: &str) -> impl FnOnce(io::Error) -> AdoptError + use<> {
    let what = what.to_owned();
    move |source| AdoptError::Descriptor { what, source }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_core::spec::Listen;

    use super::*;

    fn handshake(listen: Listen) -> Handshake {
        let mut handshake = (*crate::ownership::tests::fixture().ownership.handshake).clone();
        handshake.listeners = vec![listen.name.clone()];
        handshake.spec.listen = vec![listen];
        handshake
    }

    fn listen(mode: ListenMode) -> Listen {
        let mut listen = Listen::inherit("http", "127.0.0.1:0".parse().expect("an address"));
        listen.mode = mode;
        listen
    }

    #[test]
    fn the_address_of_an_inherited_listener_is_the_kernels() {
        let listener = socket::bind_tcp("127.0.0.1:0".parse().expect("an address"), 1).expect("binds");
        let address = listener.local_addr().expect("bound");
        let fds = vec![("http".to_owned(), OwnedFd::from(listener))];
        let found = endpoints(&handshake(listen(ListenMode::Inherit)), &fds).expect("there");
        assert_eq!(found, [Endpoint::new("http", address)]);
        // The look did not close it.
        socket::connect_tcp(address, Duration::from_secs(1)).expect("it listens");
    }

    #[test]
    fn a_listener_that_was_not_handed_over_is_named() {
        let error = endpoints(&handshake(listen(ListenMode::Inherit)), &[]).expect_err("missing");
        assert_eq!(error.to_string(), "adopt the listener \"http\"");
    }
}

//! What a host needs for every start of its program, gathered once.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use tenure_core::Version;
use tenure_core::launch::start::listen::{self, ListenError, local_socket};
use tenure_core::os_text;
use tenure_core::protocol::wire::{Asker, Endpoint};
use tenure_core::spec::{Listen, ListenMode, Ready, Spec, Upstream, scope};
use tenure_core::store::logs::LogPositions;
use tenure_core::store::paths::{PathsError, StateDir};
use tenure_sys::discard::best_effort;
use tenure_sys::pipe;

use crate::host::program::ProgramPlan;
use crate::host::readiness::{
    self, CheckTarget, CheckedProgram, ProgramCheck, ReadinessError, ReadinessKind,
};
use crate::kit::worker::Worker;
use crate::status::Status;

use super::diagnosis::Listener;
use super::last_good::LastGood;
use super::not_ready::Question;
use super::relay::ProxiedListeners;
use super::variables::{self, FIRST_DESCRIPTOR, Surroundings};

/// What each start needs. Only the generation ([`Self::renumber`]) and the addresses of proxied listeners
/// ([`Self::prepare_addresses`]) change between two starts, and the cookie and the variables with them.
pub(super) struct Resources {
    pub(super) state: StateDir,
    pub(super) spec: Spec,
    pub(super) status: Status,
    pub(super) generation: u64,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) plan: ProgramPlan,
    pub(super) relay: ProxiedListeners,
    pub(super) readiness: Box<dyn ReadinessKind>,
    /// What is asked for its health.
    pub(super) health: Option<Box<dyn ReadinessKind>>,
    pub(super) own: Asker,
}

/// A host cannot begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResourceError {
    /// Its directory cannot be opened again.
    #[error("begin to host the program")]
    State(#[source] PathsError),
    /// Its readiness cannot be found out.
    #[error(transparent)]
    Readiness(ReadinessError),
    /// A descriptor cannot be opened.
    #[error("open {what}")]
    Io {
        /// What it is for.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A start has no address to listen on.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    /// Another process listens there.
    #[error(transparent)]
    Listen(ListenError),
    /// No port or path is free for it.
    #[error("find a free address for the program")]
    Port(#[source] io::Error),
}

pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> ResourceError {
    move |source| ResourceError::Io { what, source }
}

impl Resources {
    /// Takes what the worker has for its program, and opens the rest.
    pub(super) fn gather(worker: &mut Worker) -> Result<Self, ResourceError> {
        let handshake = worker.handshake().clone();
        let spec = handshake.spec;
        let state = StateDir::at(&handshake.state_dir, &handshake.scope).map_err(ResourceError::State)?;
        let own = StateDir::at(&handshake.state_dir, &handshake.scope).map_err(ResourceError::State)?;
        let relay =
            ProxiedListeners::gather(&spec, (worker.status(), own), |name| worker.take_listener(name));
        let relay = relay.map_err(failed("its proxied listeners"))?;
        let mut names = handshake.listeners;
        names.retain(|name| !relay.keeps(name));
        let listeners = names.iter().filter_map(|name| worker.take_listener(name)).collect();
        let open = |ready: &Ready| {
            readiness::open(ready, &state, handshake.generation).map_err(ResourceError::Readiness)
        };
        let readiness = open(&spec.readiness())?;
        let health = spec.health.as_ref().map(|health| open(&health.check)).transpose()?;
        let cookie = scope::program_cookie(&state.id(), handshake.generation);
        let surroundings = Surroundings {
            cookie: &cookie,
            generation: handshake.generation,
            endpoints: worker.endpoints(),
            listeners: &names,
            readiness: Some(readiness.as_ref()),
        };
        let variables = variables::variables(own_variables(), &surroundings);
        let plan = ProgramPlan {
            command: spec.command.clone(),
            before: spec.before_start.clone(),
            stdin: spec.stdin,
            cwd: spec.cwd.clone(),
            variables,
            cookie,
            umask: tenure_core::umask(&spec),
            nofile: handshake.nofile,
            forking: spec.forking.clone(),
            stop: spec.stop.clone(),
            reload: spec.reload,
            ready_pipe: readiness.wants_pipe(),
        };
        Ok(Self {
            status: worker.status(),
            generation: handshake.generation,
            endpoints: worker.endpoints().to_vec(),
            own: tenure_core::asker(),
            state,
            spec,
            listeners,
            plan,
            relay,
            readiness,
            health,
        })
    }

    /// What this check needs to know of the program whose tree is below `shim`.
    pub(super) fn checked(&self, shim: u32, check: &Ready) -> CheckedProgram<'_> {
        CheckedProgram {
            target: self.target(shim, check),
            cwd: &self.plan.cwd,
            variables: &self.plan.variables,
            umask: self.plan.umask,
            nofile: self.plan.nofile,
        }
    }

    /// Passes on the version that the program states. A text that is no version is noted in the worker's log.
    pub(super) fn tell_version(&self, said: &str) {
        match Version::with_order(said) {
            Ok(version) => self.status.set_app_version(Some(version)),
            Err(error) => {
                best_effort(writeln!(io::stderr(), "tenure: failed to {error}: the program told it"));
            }
        }
    }

    /// What the next start belongs to: a worker that took its scope back has another generation.
    pub(super) fn renumber(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.plan.cookie = scope::program_cookie(&self.state.id(), generation);
            variables::set_generation(&mut self.plan.variables, generation, &self.plan.cookie);
        }
    }

    /// What the next start is made of, as it is now.
    pub(super) fn made(&self) -> LastGood {
        LastGood::of(&self.spec, self.path(), self.status.hello().content)
    }

    /// What of `made` has changed since.
    pub(super) fn changed(&self, made: &LastGood) -> Option<String> {
        made.changed(&self.spec, self.path())
    }

    fn path(&self) -> Option<&str> {
        variables::value(&self.plan.variables, "PATH")
    }

    /// Gives the listeners of the program back the mode in which they were bound: accepts wait. The mode belongs to the
    /// socket and not to a descriptor of it, so a proxy, or a program before this one, may have changed it for all. Not
    /// while another program serves from the same sockets.
    pub(super) fn make_listeners_blocking(&self) {
        for listener in &self.listeners {
            best_effort(pipe::set_nonblocking(listener.as_fd(), false));
        }
    }

    /// Prepares the addresses of the next start: those that the program binds itself must be free, and for proxied
    /// listeners a port is chosen that the program is told.
    pub(super) fn prepare_addresses(&mut self) -> Result<(), AddressError> {
        let own = self.spec.listen.iter().filter(|listen| listen.mode == ListenMode::SelfBound);
        let directory = self.state.path();
        let own =
            own.map(|listen| (listen.name.as_str(), local_socket::address(directory, &self.spec, listen)));
        for (name, address) in own.chain(self.relay.fixed()) {
            listen::expect_free(&self.state, name, address).map_err(AddressError::Listen)?;
        }
        for (name, value) in self.relay.choose().map_err(AddressError::Port)? {
            variables::set_variable(&mut self.plan.variables, name, value);
        }
        Ok(())
    }

    fn target(&self, shim: u32, check: &Ready) -> Option<CheckTarget> {
        let listen = self.spec.asked_listener(check)?;
        let tree = (listen.mode != ListenMode::Inherit).then_some(shim);
        Some(CheckTarget { address: self.listener(listen)?.wanted, tree })
    }

    /// What is asked of the program below `shim`, whose output begins at these positions of the logs.
    pub(super) fn question(
        &self,
        (shim, logs_begin): (u32, LogPositions),
        ready: &Ready,
        check: Option<&dyn ProgramCheck>,
    ) -> Question {
        let (target, missing) = if let Some(check) = check {
            (check.target(), None)
        } else {
            let (target, missing) = self.readiness.awaited();
            (target, Some(missing))
        };
        let is_asked = matches!(ready, Ready::Http(_) | Ready::Tcp(_));
        let asked = self.spec.asked_listener(ready).filter(|_| is_asked);
        let listeners: Vec<Listener> = self.spec.listen.iter().filter_map(|one| self.listener(one)).collect();
        Question {
            shim,
            ready: ready.clone(),
            target,
            missing,
            asked: asked.and_then(|asked| listeners.iter().position(|one| one.name == asked.name)),
            listeners,
            command: self.plan.command.clone(),
            stdin: self.spec.stdin,
            cwd: self.plan.cwd.clone(),
            log: (self.state.path().to_owned(), self.state.scope().clone(), logs_begin),
        }
    }

    /// A listener as it is for the present start.
    fn listener(&self, listen: &Listen) -> Option<Listener> {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.name == listen.name)?;
        let address = endpoint.address.clone();
        let is_proxied = listen.mode == ListenMode::Proxy;
        let inherited = self.spec.listen.iter().filter(|one| one.mode == ListenMode::Inherit);
        let place = inherited.into_iter().position(|one| one.name == listen.name);
        Some(Listener {
            name: listen.name.clone(),
            mode: listen.mode,
            wanted: if is_proxied { self.relay.upstream(&listen.name)? } else { address.clone() },
            address,
            variable: listen.to.as_ref().and_then(Upstream::variable).map(str::to_owned),
            descriptor: place.map(|place| place + FIRST_DESCRIPTOR),
        })
    }
}

/// The launcher built this environment by the spec's policy.
pub(super) fn own_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (os_text::text(&name), os_text::text(&value)))
}

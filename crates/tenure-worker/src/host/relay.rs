//! The program's side of its proxied listeners: where it listens in private, and when clients are let through.
//!
//! - Clients are let through from readiness on. While the program is to end, or has ended, they wait in the kernel's
//!   queue: nobody is refused.
//! - A program that refuses a client is asked until it listens again. An answer counts only if it comes from the
//!   program's own tree.
//! - A worker without proxied listeners has no proxy.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tenure_core::asker;
use tenure_core::deadline::Deadline;
use tenure_core::policy::idle::Use;
use tenure_core::spec::{Address, ListenMode, Spec, Upstream};
use tenure_core::store::event::{self, Event, What};
use tenure_core::store::paths::StateDir;
use tenure_core::store::sockets;
use tenure_proxy::{DrainRemainder, Proxy, ProxyListener};
use tenure_sys::{process, socket, tree};

use crate::host::readiness::{CheckResult, CheckTarget, Inquiry, ProgramCheck, TcpConnection};
use crate::status::Status;

/// Name of the check that says whether the program takes its clients.
const PROXY: &str = "proxy";

/// The proxied listeners of a worker.
pub(super) struct ProxiedListeners {
    wanted: Vec<(String, Upstream)>,
    /// The program's directory, where relative paths begin.
    cwd: PathBuf,
    /// The scope's directory, where paths are chosen.
    directory: PathBuf,
    /// Where the program listens in this start.
    upstreams: Vec<(String, Address)>,
    /// None without proxied listeners.
    shared: Option<Arc<SharedRelay>>,
}

/// What the host shares with the inquiries that open the proxy again once the program listens.
struct SharedRelay {
    proxy: Proxy,
    status: Status,
    state: StateDir,
    /// Questions to a program that refused, by listener.
    asked: Mutex<HashMap<String, Inquiry>>,
}

/// One opening: the program's addresses, and the tree to which a listening socket has to belong.
#[derive(Clone)]
struct Opening {
    upstreams: Vec<(String, Address)>,
    tree: u32,
}

/// Where a program is to listen behind its proxied listeners.
pub(super) struct Chosen {
    /// What tells it.
    pub(super) variables: Vec<(String, String)>,
    upstreams: Vec<(String, Address)>,
}

/// Chooses what the upstreams of these listeners leave open: free ports, and paths in `directory`.
pub(super) fn choose(wanted: &[(String, Upstream)], cwd: &Path, directory: &Path) -> io::Result<Chosen> {
    let (mut held, mut variables, mut upstreams) = (Vec::new(), Vec::new(), Vec::new());
    for (name, to) in wanted {
        let (address, told) = match to {
            Upstream::Port(_) => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let address = listener.local_addr()?;
                held.push(listener);
                (Address::Tcp(address), address.port().to_string())
            }
            Upstream::Path(_) => {
                let address = Address::Unix(sockets::private_path(directory)?);
                let told = address.text();
                (address, told)
            }
            Upstream::Address(_) | Upstream::Socket(_) | _ => {
                let address = to.fixed(cwd).ok_or(io::ErrorKind::Unsupported)?;
                (address, String::new())
            }
        };
        variables.extend(to.variable().map(|name| (name.to_owned(), told)));
        upstreams.push((name.clone(), address));
    }
    Ok(Chosen { variables, upstreams })
}

impl ProxiedListeners {
    /// Gets the proxied listeners of `listen` by their names from `take`. No client is let through yet.
    pub(super) fn gather(
        spec: &Spec,
        (status, state): (Status, StateDir),
        mut take: impl FnMut(&str) -> Option<OwnedFd>,
    ) -> io::Result<Self> {
        let (mut wanted, mut listeners) = (Vec::new(), Vec::new());
        let directory = state.path().to_owned();
        for listen in spec.listen.iter().filter(|listen| listen.mode == ListenMode::Proxy) {
            let fd = take(&listen.name).ok_or(io::ErrorKind::NotFound)?;
            let to = listen.to.clone().ok_or(io::ErrorKind::InvalidInput)?;
            let listener = match &listen.address {
                Address::Unix(_) => ProxyListener::from(UnixListener::from(fd)),
                Address::Tcp(_) | _ => ProxyListener::from(TcpListener::from(fd)),
            };
            listeners.push((listen.name.clone(), listener));
            wanted.push((listen.name.clone(), to));
        }
        let shared = if listeners.is_empty() {
            None
        } else {
            let proxy = Proxy::start(listeners)?;
            let shared = Arc::new(SharedRelay { proxy, status, state, asked: Mutex::default() });
            shared.tell_uses();
            Some(shared)
        };
        Ok(Self { wanted, cwd: spec.cwd.clone(), directory, upstreams: Vec::new(), shared })
    }

    /// Whether this listener is kept here and not given to the program.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.wanted.iter().any(|(wanted, _)| wanted == name)
    }

    /// Chooses where the program of the next start is to listen, and returns the variables that tell it.
    ///
    /// The kernel names free ports. Each is held until all are chosen, so that no two are the same, and then closed,
    /// because a program opens its port itself. Until the program binds its port, another process may take it. That is
    /// unlikely: it is a matter of milliseconds, and the kernel goes through many thousand ports before it names one
    /// again. It costs one start: the program cannot bind, or the readiness check finds a stranger, and the next start
    /// gets another port.
    pub(super) fn choose(&mut self) -> io::Result<Vec<(String, String)>> {
        self.clear_chosen();
        let Chosen { variables, upstreams } = choose(&self.wanted, &self.cwd, &self.directory)?;
        self.upstreams = upstreams;
        Ok(variables)
    }

    /// Removes the socket that the program of the last start left at a path that was chosen for it.
    fn clear_chosen(&self) {
        for (name, _) in self.wanted.iter().filter(|(_, to)| matches!(to, Upstream::Path(_))) {
            if let Some(Address::Unix(path)) = self.upstream(name) {
                sockets::remove_dead_at(&path);
            }
        }
    }

    /// Where the program of this start listens for what comes in by the listener `name`.
    pub(super) fn upstream(&self, name: &str) -> Option<Address> {
        self.upstreams.iter().find(|(known, _)| known == name).map(|(_, address)| address.clone())
    }

    /// A port that was chosen for the program of this start, and that only somebody outside of `tree` has.
    pub(super) fn taken(&self, tree: Option<u32>) -> Option<SocketAddr> {
        let chosen = self.wanted.iter().filter(|(_, to)| to.variable().is_some());
        let taken = |address: &SocketAddr| {
            let family = |root| tree::descendants_of(root).into_iter().chain([root]).collect::<Vec<u32>>();
            let family = tree.map(family).unwrap_or_default();
            let ours = socket::listener_pids(*address).iter().any(|pid| family.contains(pid));
            // A connection from this port also keeps the program from binding it.
            let free = TcpListener::bind(address);
            !ours && free.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
        };
        chosen.filter_map(|(name, _)| self.upstream(name)?.tcp()).find(taken)
    }

    /// The private addresses that the spec names, for a look whether they are free.
    pub(super) fn fixed(&self) -> impl Iterator<Item = (&str, Address)> {
        self.wanted.iter().filter_map(|(name, to)| Some((name.as_str(), to.fixed(&self.cwd)?)))
    }

    /// The program, below `tree`, is ready: lets clients through.
    pub(super) fn open(&self, tree: u32) {
        if let Some(shared) = &self.shared {
            SharedRelay::open(shared, Opening { upstreams: self.upstreams.clone(), tree });
        }
    }

    /// From its return on, no new client is let through. Connections that are under way go on for as long as the
    /// program does.
    pub(super) fn pause(&self) {
        let Some(shared) = &self.shared else { return };
        shared.proxy.pause();
        let asked = std::mem::take(&mut *shared.asked());
        // Dropping the inquiries waits for their threads, one of which may have opened the proxy meanwhile.
        drop(asked);
        if shared.proxy.is_open() {
            shared.proxy.pause();
        }
        shared.status.forget_check(PROXY);
    }

    /// Pauses, and waits for at most `limit` until the connections under way are over. Returns what is left of them;
    /// these end with the program.
    pub(super) fn quiesce(&self, limit: &Deadline) -> DrainRemainder {
        self.pause();
        self.shared.as_ref().map_or(DrainRemainder { open: 0 }, |shared| shared.proxy.drain(limit))
    }
}

/// Whether a process of the program runs as `user`: one that gives up its rights is still the program.
fn is_of_tree(tree: u32, user: u32) -> bool {
    let family = tree::descendants_of(tree);
    family.into_iter().chain([tree]).any(|pid| process::uid_of(pid) == Some(user))
}

impl SharedRelay {
    fn asked(&self) -> MutexGuard<'_, HashMap<String, Inquiry>> {
        // Poisoning is ignored: no code panics under this lock, and one inquiry more or less does no harm.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of clients that came and went; those that are connected are told by the kernel.
    fn tell_uses(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        self.status.add_use(Arc::new(move || {
            let last = weak.upgrade().and_then(|shared| shared.proxy.last_use());
            last.map_or(Use::None, Use::Until)
        }));
    }

    fn open(shared: &Arc<Self>, opening: Opening) {
        let weak = Arc::downgrade(shared);
        let upstreams = opening.upstreams.clone();
        let tree = opening.tree;
        let is_ours = move |user| is_of_tree(tree, user);
        shared.proxy.open(upstreams, is_ours, move |name| {
            if let Some(shared) = weak.upgrade() {
                shared.ask_again(&weak, name, &opening);
            }
        });
    }

    /// The program refused a client, or another process took its port: asks until the program listens, and then lets
    /// clients through again.
    fn ask_again(&self, weak: &Weak<Self>, name: &str, opening: &Opening) {
        let Some((_, address)) = opening.upstreams.iter().find(|(known, _)| known == name) else { return };
        self.status.check(PROXY, false, format!("clients wait: the program does not listen on {address}"));
        let check = TcpConnection(CheckTarget { address: address.clone(), tree: Some(opening.tree) });
        let target = check.target();
        let (weak, opening) = (Weak::clone(weak), opening.clone());
        let mut reported = None;
        let asked = Inquiry::until_passed(Box::new(check), move |result| {
            let Some(shared) = weak.upgrade() else { return };
            match result {
                CheckResult::Passed | CheckResult::Degraded(_) => {
                    shared.status.forget_check(PROXY);
                    Self::open(&shared, opening.clone());
                }
                // The program may come back, and the stranger leave.
                CheckResult::Hopeless(answer) if reported.as_ref() != Some(&answer) => {
                    let why = format!("clients wait: {target} {answer}");
                    shared.status.check(PROXY, false, why.as_str());
                    let generation = shared.status.hello().generation;
                    event::note(&shared.state, &Event::now(What::Unhealthy, generation, &asker(), why));
                    reported = Some(answer);
                }
                CheckResult::Hopeless(_) => {}
                CheckResult::Failed(answer) => {
                    shared.status.check(PROXY, false, format!("clients wait: {target} {answer}"));
                }
            }
        });
        match asked {
            // The inquiry that this one replaces has ended, or the proxy would not have asked again.
            Ok(inquiry) => drop(self.asked().insert(name.to_owned(), inquiry)),
            Err(error) => {
                self.status.check(PROXY, false, format!("clients wait: it cannot be asked: {error}"));
            }
        }
    }
}

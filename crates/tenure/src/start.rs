//! Starting a worker under the gate, with its lease in hand, and waiting until it serves or has failed.
//!
//! The order matters and each step names what it leaves for whoever comes next if this process dies there: generation
//! (durable), sockets, brief, spawn, identity (durable), go. Until the identity is recorded this launcher ends what it
//! started; after that the worker's own `start_timeout` does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::spawn::{self, Launch, SpawnError, Stream};
use tenure_sys::{limits, socket};

use crate::brief::{Brief, GO, HANDOVER_PID_VARIABLE, HANDOVER_VARIABLE};
use crate::deadline::{Deadline, Moment, TimedOut};
use crate::event::{self, Event, What};
use crate::fault::{self, Point};
use crate::gate::{Gate, GateError};
use crate::lease::Lease;
use crate::ledger::{HostRecord, Ledger};
use crate::leftovers::{self, LeftoverError};
use crate::listen::{self, Bound, ListenError};
use crate::logs;
use crate::order::Order;
use crate::paths::{self, StateDir};
use crate::program::{self, NoProgram};
use crate::readiness::{self, Outcome};
use crate::records::{self, RecordError};
use crate::scope::{self, COOKIE_VARIABLE};
use crate::spec::{KILL_GRACE, Kind, Spec};

/// A worker cannot be started; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The gate was lost.
    #[error("start the worker")]
    Gate(#[source] GateError),
    /// Something of a former program lives.
    #[error("start the worker")]
    Leftover(#[source] LeftoverError),
    /// A record cannot be read or written.
    #[error("start the worker")]
    Record(#[source] RecordError),
    /// A socket cannot be bound.
    #[error("start the worker")]
    Listen(#[source] ListenError),
    /// The program or the host is not there.
    #[error("start the worker")]
    Program(#[source] NoProgram),
    /// The process cannot be spawned.
    #[error("start the worker")]
    Spawn(#[source] SpawnError),
    /// The brief cannot be handed over, or a log cannot be opened.
    #[error("start the worker: {what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The budget was spent before anything was spawned.
    #[error("start the worker")]
    TimedOut(#[source] TimedOut),
}

impl StartError {
    /// Whether it is this spec that cannot be started here and now, rather than this launcher or its state directory.
    #[must_use]
    pub fn is_of_the_spec(&self) -> bool {
        match self {
            Self::Listen(ListenError::Control(_))
            | Self::Spawn(SpawnError::Descriptors { .. } | SpawnError::Fork(_) | SpawnError::Other(_))
            | Self::Gate(_)
            | Self::Leftover(_)
            | Self::Record(_)
            | Self::Io { .. }
            | Self::TimedOut(_) => false,
            // ENFILE, EMFILE: the launcher's own lack, which must not keep others from starting the worker.
            Self::Listen(ListenError::Tcp { source, .. }) => !matches!(source.raw_os_error(), Some(23 | 24)),
            Self::Listen(ListenError::Taken { .. })
            | Self::Program(_)
            | Self::Spawn(
                SpawnError::NotFound { .. }
                | SpawnError::NotExecutable { .. }
                | SpawnError::BadDirectory { .. }
                | SpawnError::Exec { .. },
            ) => true,
        }
    }
}

/// Starts a worker of `spec` (the target, which need not be the order's own) and waits for its outcome.
pub(crate) fn start(
    gate: &Gate<'_>,
    lease: Lease,
    spec: &Spec,
    order: &Order,
    budget: &Deadline,
) -> Result<Outcome, StartError> {
    gate.confirm().map_err(StartError::Gate)?;
    fault::reach(Point::LeaseTaken);
    let state = gate.state();
    let ledger = records::read_ledger(state).map_err(StartError::Record)?;
    clear_leftovers(gate, &lease, &ledger, spec, budget)?;

    let environment = environment(spec);
    let executable = executable(spec, order, &environment, ledger.host.as_ref())?;
    let booting_until = Moment::now().plus(spec.start_timeout.duration());
    let mut ledger = ledger.next_generation(spec, booting_until.clone(), order.asker());
    records::write_ledger(state, &ledger).map_err(StartError::Record)?;
    fault::reach(Point::GenerationRecorded);

    listen::sweep_temporaries(state, &lease);
    let bound = listen::bind(state, &lease, spec, &ledger).map_err(StartError::Listen)?;
    note_moves(state, &ledger, &bound, order);
    let brief = Brief {
        state_dir: state.path().to_owned(),
        scope: state.scope().clone(),
        generation: ledger.generation,
        spec: spec.clone(),
        started_by: order.asker(),
        booting_until,
        listeners: inherited_names(spec),
        nofile: limits::nofile().0,
    };
    let mark = logs::mark(state);
    let (channel, worker) = spawn_worker(state, &lease, &bound, &brief, Seat { executable, environment })?;
    fault::reach(Point::WorkerSpawned);

    ledger.lineage = vec![worker.identity().clone()];
    ledger.endpoints.clone_from(&bound.endpoints);
    ledger.host = Some(host_record(&worker, spec.kind));
    if let Err(error) = records::update_ledger(state, &ledger) {
        end_unrecorded(&worker);
        return Err(StartError::Record(error));
    }
    fault::reach(Point::WorkerRecorded);
    let released = socket::send(channel.as_fd(), GO, &[]);
    drop((lease, bound));
    // A worker that is gone already cannot take its go: what follows finds that out and says how it ended.
    drop(released);
    fault::reach(Point::WorkerReleased);
    let spawned = Event::now(What::Spawned, ledger.generation, &order.asker(), "the scope had no worker");
    event::note(state, &spawned.version(&spec.version).pid(worker.pid()));
    Ok(readiness::await_report(&readiness::Boot { state, channel, worker, spec, mark }, budget))
}

fn clear_leftovers(
    gate: &Gate<'_>,
    lease: &Lease,
    ledger: &Ledger,
    spec: &Spec,
    budget: &Deadline,
) -> Result<(), StartError> {
    let stage = budget.stage("previous program").map_err(StartError::TimedOut)?;
    let patience = leftovers::patience(stage, ledger.end_budget(spec.end_budget()) + KILL_GRACE);
    let ended = leftovers::clear(gate, lease, ledger, patience).map_err(StartError::Leftover)?;
    for leftover in ended {
        let by = crate::order::asker();
        let event = Event::now(What::LeftoverEnded, ledger.generation, &by, leftover.command);
        event::note(gate.state(), &event.pid(leftover.pid));
    }
    Ok(())
}

/// A port of 0 takes the port of the last time; where somebody else has it now, clients must look again.
fn note_moves(state: &StateDir, ledger: &Ledger, bound: &Bound, order: &Order) {
    for endpoint in &bound.endpoints {
        if let Some(last) = ledger.last_address(&endpoint.name).filter(|last| *last != endpoint.tcp) {
            let why = format!("{}: {last} is now {}", endpoint.name, endpoint.tcp);
            event::note(state, &Event::now(What::EndpointChanged, ledger.generation, &order.asker(), why));
        }
    }
}

/// What the worker process is made from.
struct Seat {
    executable: PathBuf,
    environment: BTreeMap<String, String>,
}

fn spawn_worker(
    state: &StateDir,
    lease: &Lease,
    bound: &Bound,
    brief: &Brief,
    seat: Seat,
) -> Result<(OwnedFd, ProcessHandle), StartError> {
    let io = |what| move |source| StartError::Io { what, source };
    let (ours, theirs) = socket::pair().map_err(io("open its channel"))?;
    let bytes = serde_json::to_vec(brief).map_err(|error| io("write its brief")(error.into()))?;
    socket::send(ours.as_fd(), &bytes, &[]).map_err(io("hand over its brief"))?;
    let log = logs::open_boot_log(state).map_err(io("open its log"))?;

    let fds: Vec<BorrowedFd<'_>> =
        [theirs.as_fd(), lease.as_fd()].into_iter().chain(bound.descriptors()).collect();
    let mut environment = seat.environment;
    environment.insert(HANDOVER_VARIABLE.to_owned(), fds.len().to_string());
    environment.insert(COOKIE_VARIABLE.to_owned(), scope::worker_cookie(state.id(), brief.generation));
    let environment: Vec<(OsString, OsString)> =
        environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let args = arguments(brief);
    let launch = Launch {
        program: &seat.executable,
        arg0: None,
        args: &args,
        env: &environment,
        cwd: &brief.spec.cwd,
        stdin: Stream::Null,
        stdout: Stream::Fd(log.as_fd()),
        stderr: Stream::Fd(log.as_fd()),
        fds: &fds,
        umask: Some(0o077),
        session: true,
        nofile: None,
        pid_env: Some(HANDOVER_PID_VARIABLE),
    };
    let worker = spawn::detached(&launch).map_err(StartError::Spawn)?;
    Ok((ours, worker))
}

/// A program's worker is the host; an embedded worker is its own command.
fn arguments(brief: &Brief) -> Vec<OsString> {
    match brief.spec.kind {
        Kind::Program => vec!["host".into(), brief.scope.to_string().into()],
        Kind::Embedded => brief.spec.command.iter().skip(1).map(OsString::from).collect(),
    }
}

fn inherited_names(spec: &Spec) -> Vec<String> {
    let bound = spec.listen.iter().filter(|listen| listen.mode != crate::spec::ListenMode::SelfBound);
    bound.map(|listen| listen.name.clone()).collect()
}

/// What the worker gets of this launcher's variables, and the root of state where that was overridden: commands inside the
/// worker must find the same scopes.
fn environment(spec: &Spec) -> BTreeMap<String, String> {
    let mut built = spec.env.build(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    for name in [paths::ROOT_VARIABLE].into_iter().chain(fault::variable()) {
        if let Ok(value) = std::env::var(name) {
            built.insert(name.to_owned(), value);
        }
    }
    built
}

fn executable(
    spec: &Spec,
    order: &Order,
    environment: &BTreeMap<String, String>,
    recorded: Option<&HostRecord>,
) -> Result<PathBuf, StartError> {
    let path = environment.get("PATH").map(String::as_str);
    let command = spec.command.first().map_or("", String::as_str);
    let program = program::resolve(command, &spec.cwd, path).map_err(StartError::Program)?;
    match spec.kind {
        Kind::Embedded => Ok(program),
        Kind::Program => host(order, recorded).map_err(StartError::Program),
    }
}

/// Whether everything that a start needs on disk is there: asked before anything is stopped to make room.
pub(crate) fn check(spec: &Spec, order: &Order) -> Result<(), StartError> {
    executable(spec, order, &environment(spec), None).map(drop)
}

/// The executable that hosts programs: the one that kept the last worker where that is newer than this code and still
/// there, so that no older launcher takes the host back; else named by the order, by the environment, or found in PATH.
fn host(order: &Order, recorded: Option<&HostRecord>) -> Result<PathBuf, NoProgram> {
    let root = Path::new("/");
    let newer =
        recorded.filter(|host| host.is_newer_host()).map(|host| program::resolve(&host.exe, root, None));
    if let Some(Ok(newer)) = newer {
        return Ok(newer);
    }
    if let Some(host) = &order.host {
        return Ok(host.clone());
    }
    match std::env::var(program::HOST_VARIABLE) {
        Ok(named) if !named.is_empty() => program::resolve(&named, root, None),
        Ok(_) | Err(_) => program::resolve("tenure", root, std::env::var("PATH").ok().as_deref()),
    }
}

/// Whether the program of `spec` is there, by this launcher's own PATH.
#[must_use]
pub fn can_run(spec: &Spec) -> bool {
    let path = spec.env.set.get("PATH").cloned().or_else(|| std::env::var("PATH").ok());
    let command = spec.command.first().map_or("", String::as_str);
    spec.cwd.is_dir() && program::resolve(command, &spec.cwd, path.as_deref()).is_ok()
}

fn host_record(worker: &ProcessHandle, kind: Kind) -> HostRecord {
    let exe = tenure_sys::process::executable_of(worker.pid());
    HostRecord {
        exe: exe.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hosts: kind == Kind::Program,
    }
}

/// Ends a worker that no record names yet: nobody else could.
fn end_unrecorded(worker: &ProcessHandle) {
    if worker.signal(Signal::Kill).is_ok() {
        drop(worker.wait_ended(Some(KILL_GRACE)));
    }
}

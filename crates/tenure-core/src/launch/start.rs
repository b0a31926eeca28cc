//! Starting a worker under the gate, with its lease in hand, and waiting until it serves or has failed.
//!
//! The order matters, because this process may die after each step and the next launcher must find its way: generation
//! (written durably), sockets, handshake, spawn, identity (written whole; decision 15 says why not durably), GO. Until
//! the identity is recorded, this launcher ends what it started; after that the worker's own `start_timeout` does.
//!
//! The rooms below are its parts: `limits` before anything is changed, `listen` for the sockets, `recipe` for the
//! process, `handshake` for what passes between the two, `readiness` for the wait.

use std::os::fd::{AsFd, BorrowedFd};

use tenure_sys::discard::best_effort;
use tenure_sys::limits::usual_nofile;
use tenure_sys::socket;
use tenure_sys::spawn::SpawnError;

use crate::deadline::{Deadline, Moment, TimedOut};
use crate::fault::{self, Point};
use crate::launch::end::orphans::{self, OrphanError};
use crate::launch::request::Request;
use crate::protocol::boot_stage::BootStage;
use crate::record::ledger::Ledger;
use crate::spec::{KILL_GRACE, Spec};
use crate::store::directory_id::ensure_directory_id;
use crate::store::event::{self, Event, What};
use crate::store::gate::{Gate, GateError};
use crate::store::lease::Lease;
use crate::store::logs;
use crate::store::paths::StateDir;
use crate::store::records::{self, RecordError};

pub mod env_file;
pub mod handshake;
pub mod limits;
pub mod listen;
pub mod readiness;
pub mod recipe;

use handshake::{GO, Handshake};
use listen::{Bound, ListenError};
use readiness::StartOutcome;
use recipe::{RecipeError, SpawnRecipe};

/// A worker cannot be started; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The gate was lost.
    #[error("start the worker")]
    Gate(#[source] GateError),
    /// Something of a former program lives.
    #[error("start the worker")]
    Orphan(#[source] OrphanError),
    /// A record cannot be read or written.
    #[error("start the worker")]
    Record(#[source] RecordError),
    /// A socket cannot be bound.
    #[error("start the worker")]
    Listen(#[source] ListenError),
    /// The worker process cannot be made.
    #[error("start the worker")]
    Recipe(#[source] RecipeError),
    /// The budget was spent before anything was spawned.
    #[error("start the worker")]
    TimedOut(#[source] TimedOut),
}

impl StartError {
    /// Whether it is this spec that cannot be started here and now, rather than this launcher or its state directory.
    #[must_use]
    pub fn is_of_the_spec(&self) -> bool {
        match self {
            // The launcher's own lack must not keep others from starting the worker.
            Self::Listen(error) => error.is_of_the_spec(),
            Self::Recipe(
                RecipeError::Io { .. }
                | RecipeError::Spawn(
                    SpawnError::Descriptors { .. } | SpawnError::Fork(_) | SpawnError::Other(_),
                ),
            )
            | Self::Gate(_)
            | Self::Orphan(_)
            | Self::Record(_)
            | Self::TimedOut(_) => false,
            Self::Recipe(
                RecipeError::Program(_)
                | RecipeError::EnvFile(_)
                | RecipeError::Spawn(
                    SpawnError::NotFound { .. }
                    | SpawnError::NotExecutable { .. }
                    | SpawnError::BadDirectory { .. }
                    | SpawnError::Exec { .. },
                ),
            ) => true,
        }
    }
}

/// Starts a worker of `spec` (the target, which need not be the request's own) and waits for its outcome.
pub(crate) fn start(
    gate: &Gate<'_>,
    lease: Lease,
    spec: &Spec,
    request: &Request,
    budget: &Deadline,
) -> Result<StartOutcome, StartError> {
    gate.confirm().map_err(StartError::Gate)?;
    fault::reach(Point::LeaseTaken);
    let state = gate.state();
    ensure_directory_id(gate, &lease).map_err(StartError::Record)?;
    let ledger = records::read_ledger(state).map_err(StartError::Record)?;
    clear_orphans(gate, &lease, &ledger, spec, budget)?;

    let recipe = SpawnRecipe::of(spec, request, ledger.host.as_ref()).map_err(StartError::Recipe)?;
    let booting_until = Moment::now().plus(spec.start_timeout.duration());
    gate.confirm().map_err(StartError::Gate)?;
    // The next generation erases the facts that workers left in the ledger: they are counted before, also those that
    // came after this launcher entered the gate.
    records::count(state).map_err(StartError::Record)?;
    let whose = records::read_desired(state).map_err(StartError::Record)?.identity_of(spec);
    let mut ledger = ledger.next_generation(spec, booting_until.clone(), request.asker());
    records::write_ledger(state, &ledger).map_err(StartError::Record)?;
    fault::reach(Point::GenerationRecorded);

    listen::sweep_temporaries(state, &lease);
    let bound = listen::bind(state, &lease, spec, &ledger).map_err(StartError::Listen)?;
    note_moves(state, &ledger, &bound, request);
    let handshake = Handshake {
        state_dir: state.path().to_owned(),
        scope: state.scope().clone(),
        generation: ledger.generation,
        spec: spec.clone(),
        started_by: request.asker(),
        booting_until,
        listeners: recipe::listener_names(spec),
        nofile: usual_nofile(),
        whose: Some(whose),
        succeeds: None,
    };
    let logs_begin = logs::positions(state);
    let given: Vec<BorrowedFd<'_>> = [lease.as_fd()].into_iter().chain(bound.descriptors()).collect();
    let (channel, worker) = recipe.spawn(state, &handshake, &given).map_err(StartError::Recipe)?;
    fault::reach(Point::WorkerSpawned);

    ledger.lineage = vec![worker.identity().clone()];
    ledger.endpoints.clone_from(&bound.endpoints);
    ledger.host = Some(recipe::host_record(&worker, spec.kind));
    if let Err(error) = records::update_ledger(state, &ledger) {
        recipe::end_unrecorded(&worker);
        return Err(StartError::Record(error));
    }
    fault::reach(Point::WorkerRecorded);
    let released = socket::send(channel.as_fd(), GO, &[]);
    drop(given);
    drop((lease, bound));
    // A worker that is gone already cannot receive GO; `await_report` finds that out and says how it ended.
    best_effort(released);
    fault::reach(Point::WorkerReleased);
    let spawned = Event::now(What::Spawned, ledger.generation, &request.asker(), "the scope had no worker");
    event::note(state, &spawned.version(&spec.version).pid(worker.pid()));
    let limit = spec.start_timeout.duration();
    let boot = readiness::Boot { state, channel, worker, limit, logs_begin };
    Ok(readiness::await_report(&boot, budget)
        .unwrap_or_else(|declined| readiness::failed(&boot, BootStage::Died, declined.why, None)))
}

fn clear_orphans(
    gate: &Gate<'_>,
    lease: &Lease,
    ledger: &Ledger,
    spec: &Spec,
    budget: &Deadline,
) -> Result<(), StartError> {
    let stage = budget.stage("previous program").map_err(StartError::TimedOut)?;
    let patience = orphans::patience(stage, ledger.end_budget(spec.end_budget()) + KILL_GRACE);
    let ended = orphans::clear(gate, lease, ledger, patience).map_err(StartError::Orphan)?;
    note_unverified(gate, ledger);
    for orphan in ended {
        let by = crate::launch::request::asker();
        let event = Event::now(What::LeftoverEnded, ledger.generation, &by, orphan.told());
        event::note(gate.state(), &event.pid(orphan.pid));
    }
    Ok(())
}

/// Records that a process of another pid namespace was not verified. Its locks are free, and nothing more can be found
/// out about it from here.
fn note_unverified(gate: &Gate<'_>, ledger: &Ledger) {
    if let Some(foreign) = ledger.named().find(|identity| identity.is_foreign()) {
        let why = "it is recorded in another pid namespace: its locks are free, \
            and whether it is gone cannot be verified";
        let event = Event::now(What::Unverified, ledger.generation, &crate::launch::request::asker(), why);
        event::note(gate.state(), &event.pid(foreign.pid));
    }
}

/// Records each endpoint that has moved. A listener on port 0 gets its last port again; if another process has that
/// port now, clients must look up the new one.
fn note_moves(state: &StateDir, ledger: &Ledger, bound: &Bound, request: &Request) {
    for endpoint in &bound.endpoints {
        if let Some(last) = ledger.last_address(&endpoint.name).filter(|last| **last != endpoint.address) {
            let why = format!("{}: {last} is now {}", endpoint.name, endpoint.address);
            event::note(state, &Event::now(What::EndpointChanged, ledger.generation, &request.asker(), why));
        }
    }
}

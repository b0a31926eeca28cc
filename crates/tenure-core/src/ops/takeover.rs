//! A takeover, the requester's part: from the spawn of the successor to its proof.
//!
//! The requester holds the gate, starts the successor and entrusts the gate to it. From then on the requester may die:
//! incumbent and successor do the rest between them ([`crate::protocol::wire`], PREPARE and what follows). If the
//! successor fails, the incumbent goes on. An incumbent that does not hand over is not touched here: the outcome
//! `TakeoverOutcome::Declined` tells the story to end it first.

use std::os::fd::AsFd;
use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::limits;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{self, ProcessHandle, RunState, Signal, Verified};

use crate::deadline::{Deadline, Moment, millis, monotonic};
use crate::error::{Error, ErrorKind, stage};
use crate::fault::{self, Point};
use crate::launch::ask::client;
use crate::launch::request::{self, Request};
use crate::launch::start::StartError;
use crate::launch::start::handshake::{Handshake, Succession};
use crate::launch::start::listen::local_socket;
use crate::launch::start::readiness::{self, Boot, BootFailure, Declined, StartOutcome};
use crate::launch::start::recipe::{self, SpawnRecipe};
use crate::ops::acquire::GatedCall;
use crate::ops::offers;
use crate::protocol::boot_stage::BootStage;
use crate::protocol::wire::{AppState, Hello, Role};
use crate::record::ledger::Ledger;
use crate::spec::amount::Span;
use crate::spec::app::AppId;
use crate::spec::{KILL_GRACE, Kind, Listen, ListenMode, Spec, USUAL_BAKE};
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::paths::StateDir;
use crate::store::{logs, records};

/// Which successor is wanted, and why.
#[derive(Debug, Clone)]
pub(crate) struct SuccessorRequest<'call> {
    /// What it is started from.
    pub(crate) spec: &'call Spec,
    /// The reason, for events and logs.
    pub(crate) why: String,
    /// Where the spec names no probation, the successor gets the usual one. A restart sets this for another version or
    /// build, which has not served before. `ensure` sets it always: it replaces a worker only by one that differs.
    pub(crate) is_upgrade: bool,
    /// The call waits for the end of the probation as well.
    pub(crate) awaits_probation: bool,
    /// If the successor is not ready when the budget ends, it is ended, because it is of no use to the call then.
    pub(crate) ends_if_late: bool,
}

/// What came of a takeover.
#[derive(Debug)]
pub(crate) enum TakeoverOutcome {
    /// A successor was to be started, and this became of it. Where it did not become ready, the incumbent goes on.
    Attempted(Result<StartOutcome, StartError>),
    /// The incumbent does not make room, for this reason: it is to be ended first.
    Declined(String),
    /// The incumbent has ended meanwhile: look again.
    IncumbentGone,
}

/// Starts a successor of the worker that answered `hello`, and waits until it serves; where the request says so, until
/// its probation is over too.
pub(crate) fn request_takeover(
    call: GatedCall<'_>,
    hello: &Hello,
    successor: &SuccessorRequest<'_>,
) -> Result<TakeoverOutcome, Error> {
    let GatedCall { gate, request, .. } = call;
    refuse_other_pid_namespace(hello)?;
    refuse_other_network(hello, request)?;
    let whose = records::read_desired(gate.state())?.identity_of(successor.spec);
    let declined = declines(hello, request)
        .or_else(|| strangers_state(hello, successor.spec, &whose))
        .or_else(|| address_stays_bound(gate.state(), hello, successor.spec));
    if let Some(why) = declined {
        return Ok(TakeoverOutcome::Declined(why));
    }
    let ledger = records::read_ledger(gate.state())?;
    if !await_predecessors(call, &ledger, hello)? {
        return Ok(TakeoverOutcome::IncumbentGone);
    }
    gate.confirm()?;
    // The next generation erases the facts that workers left in the ledger, and so does the next failure: they are
    // counted before.
    records::count(gate.state())?;
    offers::confirm_trust(gate, successor.spec)
        .map_err(|error| error.adding(&format!("version {} goes on serving", hello.version)))?;
    let replacing = Event::now(What::Replacing, hello.generation, &request.asker(), successor.why.as_str());
    event::note(gate.state(), &replacing.version(&hello.version).pid(hello.identity.pid));
    Ok(match start_successor(call, &ledger, successor, (succession(successor, request, hello), &whose)) {
        Ok(Ok(outcome)) => TakeoverOutcome::Attempted(Ok(outcome)),
        Ok(Err(Declined { why })) => TakeoverOutcome::Declined(why),
        Err(error) => TakeoverOutcome::Attempted(Err(error)),
    })
}

/// Refuses a takeover from a worker in another pid namespace. Such a worker can be asked to end, but it can be neither
/// verified nor forced from here.
fn refuse_other_pid_namespace(hello: &Hello) -> Result<(), Error> {
    if !hello.identity.is_foreign() {
        return Ok(());
    }
    let message = format!(
        "take the place of the worker: {} counts in another pid namespace, such as that of a container, \
        and cannot be verified from here; it goes on",
        hello.identity
    );
    Err(Error::of(ErrorKind::Denied, message).at(stage::PID_NAMESPACE))
}

/// Refuses a takeover from a worker in another network namespace, unless a person forces it. A worker that is started
/// from here serves in the caller's network, which the clients of the present worker may not reach.
fn refuse_other_network(hello: &Hello, request: &Request) -> Result<(), Error> {
    let Verified::Same(worker) = process::verify(&hello.identity) else { return Ok(()) };
    if request.force || process::shares_network(&worker) != Some(false) {
        return Ok(());
    }
    let message = format!(
        "take the place of the worker: {} serves in another network namespace, and a worker that is started \
        from here would serve in this one; it goes on",
        hello.identity
    );
    Err(Error::of(ErrorKind::Denied, message).at(stage::NETWORK_NAMESPACE))
}

/// Why no successor can take over from the worker, by the worker's own answer; `None` where one can.
fn declines(hello: &Hello, request: &Request) -> Option<String> {
    let stalled = hello
        .app
        .stalled_for_ms
        .is_some_and(|ms| u128::from(ms) >= request.spec.stall_timeout.duration().as_millis());
    if request.force {
        Some("that was asked for".to_owned())
    } else if !hello.hands_over {
        Some("it does not hand over".to_owned())
    } else if hello.role != Role::Active || hello.app.state == AppState::Failed || stalled {
        Some("it does not serve".to_owned())
    } else {
        None
    }
}

/// Why a worker hands nothing over to an embedded successor of another app, which would get its state. A program gets
/// listeners only, and if it fails, the worker goes on.
fn strangers_state(hello: &Hello, spec: &Spec, whose: &AppId) -> Option<String> {
    let theirs = hello.whose.as_ref().filter(|_| spec.kind == Kind::Embedded)?;
    let is_same_program = hello.spec.identity == spec.identity_digest();
    whose.is_stranger(theirs, is_same_program).then(|| format!("it is the worker of {theirs}"))
}

/// Why the worker's addresses cannot be handed over, if one would go from a program to its host or from a host to its
/// program: an address is free for the other of the two only when its owner is gone.
fn address_stays_bound(state: &StateDir, hello: &Hello, spec: &Spec) -> Option<String> {
    let own = |listen: &Listen| listen.mode == ListenMode::SelfBound;
    // For a port of 0 the kernel has chosen a port, which the endpoints name; paths are whole there.
    let bound = |old: &Listen| {
        let endpoint = hello.endpoints.iter().find(|endpoint| endpoint.name == old.name);
        endpoint.map_or_else(|| old.address.clone(), |endpoint| endpoint.address.clone())
    };
    let changes = |old: &&Listen| {
        let bound = bound(old);
        let taken =
            |new: &Listen| local_socket::address(state.path(), spec, new) == bound && own(new) != own(old);
        spec.listen.iter().any(taken)
    };
    let held = hello.spec.listen.iter().find(changes)?;
    let who = if own(held) { "its program" } else { "its host" };
    Some(format!("{who} has {} until it is gone", bound(held)))
}

/// What the successor is told about its takeover.
fn succession(successor: &SuccessorRequest<'_>, request: &Request, hello: &Hello) -> Succession {
    let spec = successor.spec;
    let usual = if successor.is_upgrade { USUAL_BAKE.duration() } else { Duration::ZERO };
    Succession {
        incumbent: hello.identity.clone(),
        overlap: spec.overlap || request.overlap,
        bake: spec.bake.unwrap_or(Span::millis(millis(usual))),
        // With the same version that says that it is another one, the incumbent is no better to go back to.
        strict: hello.version != spec.version || *hello.effective_version() == hello.version,
    }
}

/// Waits until the workers before the incumbent have ended, because at most two generations may live. Each has
/// announced its end, and its watchdog enforces that. `false` means: the incumbent has ended first, and the worker
/// before it may have taken the scope back.
fn await_predecessors(call: GatedCall<'_>, ledger: &Ledger, hello: &Hello) -> Result<bool, Error> {
    let GatedCall { gate, request, budget } = call;
    let silence = request.wedged_after;
    let Verified::Same(incumbent) = process::verify(&hello.identity) else { return Ok(false) };
    let began = monotonic();
    for identity in ledger.lineage.iter().filter(|identity| **identity != hello.identity) {
        let Verified::Same(predecessor) = process::verify(identity) else { continue };
        while !predecessor.has_ended() {
            let limit = budget.remaining().min(silence);
            let mut ends = [
                Interest::new(predecessor.as_fd(), Readiness::Read),
                Interest::new(incumbent.as_fd(), Readiness::Read),
            ];
            // Only a lack of memory ends the wait early; then the loop waits again.
            best_effort(poll::wait(&mut ends, Some(limit)));
            if ends[1].ready() {
                return Ok(false);
            }
            if monotonic().saturating_sub(began) >= silence {
                end_if_stopped(gate, &predecessor, ledger.generation);
            }
            if budget.remaining().is_zero() {
                return Err(not_gone(&predecessor));
            }
        }
    }
    Ok(true)
}

/// Kills a predecessor that was stopped by a signal and has been silent for `wedged_after`: it would block every later
/// takeover. A predecessor under a debugger is left alone.
fn end_if_stopped(gate: &Gate<'_>, predecessor: &ProcessHandle, generation: u64) {
    let pid = predecessor.pid();
    if process::state_of(pid) == Some(RunState::Stopped) && process::tracer_of(pid).is_none() {
        // If the signal fails, the wait goes on and its timeout names the process.
        best_effort(predecessor.signal(Signal::Kill));
        let why = "it had made room, and stood still";
        let event = Event::now(What::EndedWedged, generation, &request::asker(), why);
        event::note(gate.state(), &event.pid(pid));
    }
}

fn not_gone(predecessor: &ProcessHandle) -> Error {
    let pid = predecessor.pid();
    let is_stopped = process::state_of(pid) == Some(RunState::Stopped);
    let suffix = if is_stopped { " and is stopped" } else { "" };
    let message =
        format!("take over: pid {pid}, which made room for the present worker, is not gone yet{suffix}");
    Error::of(ErrorKind::TimedOut, message).at("end of the worker before")
}

/// Spawns the successor, entrusts the gate to it, and waits for what it reports.
fn start_successor(
    call: GatedCall<'_>,
    ledger: &Ledger,
    successor: &SuccessorRequest<'_>,
    (succession, whose): (Succession, &AppId),
) -> Result<Result<StartOutcome, Declined>, StartError> {
    let GatedCall { gate, request, budget } = call;
    let (state, spec) = (gate.state(), successor.spec);
    let recipe = SpawnRecipe::of(spec, request, ledger.host.as_ref()).map_err(StartError::Recipe)?;
    let (overlap, bake) = (succession.overlap, succession.bake.duration());
    // Its own boot, the incumbent's end, and with `overlap` the probation before it.
    let limit = spec
        .start_timeout
        .duration()
        .saturating_add(ledger.end_budget(spec.end_budget()))
        .saturating_add(if overlap { bake } else { Duration::ZERO });
    let handshake = Handshake {
        state_dir: state.path().to_owned(),
        scope: state.scope().clone(),
        generation: ledger.generation.saturating_add(1),
        spec: spec.clone(),
        started_by: request.asker(),
        booting_until: Moment::now().plus(limit),
        listeners: recipe::listener_names(spec),
        nofile: limits::usual_nofile(),
        whose: Some(whose.clone()),
        succeeds: Some(succession),
    };
    let logs_begin = logs::positions(state);
    let (channel, worker) =
        recipe.spawn(state, &handshake, &[gate.entrust().as_fd()]).map_err(StartError::Recipe)?;
    fault::reach(Point::SuccessorSpawned);
    let why = format!("to take the place of generation {}", ledger.generation);
    let spawned = Event::now(What::Spawned, handshake.generation, &request.asker(), why);
    event::note(state, &spawned.version(&spec.version).pid(worker.pid()));

    let boot = Boot { state, channel, worker, limit, logs_begin };
    let reported = match readiness::await_report(&boot, budget) {
        Ok(StartOutcome::StillBooting) if successor.ends_if_late => {
            Ok(StartOutcome::Failed(end_late_successor(&boot)))
        }
        reported => reported,
    };
    match &reported {
        // The successor goes on without this call, and keeps the gate.
        Ok(StartOutcome::StillBooting) => {}
        Ok(StartOutcome::Ready(_) | StartOutcome::OnProbation(_) | StartOutcome::Failed(_)) | Err(_) => {
            gate.take_back();
        }
    }
    Ok(match reported {
        Ok(StartOutcome::Failed(failure)) => Ok(StartOutcome::Failed(attributed(&boot, failure, budget))),
        // With `overlap` the probation came before the report, and is over.
        Ok(StartOutcome::Ready(hello)) if !overlap && !bake.is_zero() => {
            if successor.awaits_probation {
                let boot = Boot { logs_begin: logs::positions(state), ..boot };
                let probation = SuccessorOnProbation { generation: handshake.generation, spec, bake };
                Ok(await_probation(&boot, hello, &probation, budget))
            } else {
                Ok(StartOutcome::OnProbation(hello))
            }
        }
        reported => reported,
    })
}

/// The probation of a successor that is ready.
struct SuccessorOnProbation<'call> {
    generation: u64,
    spec: &'call Spec,
    bake: Duration,
}

/// Waits until the successor says that its probation is over, as it learns from the incumbent.
fn await_probation(
    boot: &Boot<'_>,
    ready: Box<Hello>,
    probation: &SuccessorOnProbation<'_>,
    budget: &Deadline,
) -> StartOutcome {
    let bake = probation.bake;
    let is_successor = |hello: &Hello| hello.identity == ready.identity && !hello.is_leaving();
    while let Ok(stage) = budget.stage("probation") {
        match readiness::await_probation_over(boot.state, stage) {
            Ok(hello) if is_successor(&hello) && hello.probation.is_none() => {
                // A worker of an older tenure says nothing of its probation.
                let rest = if ready.probation.is_some() { Duration::ZERO } else { bake };
                if ends_within(&boot.worker, rest.min(budget.remaining())) {
                    break;
                }
                let passed = !budget.remaining().is_zero();
                let hello = Box::new(hello);
                return if passed { StartOutcome::Ready(hello) } else { StartOutcome::OnProbation(hello) };
            }
            // The stage is over, the successor is leaving, or it cannot be asked: whether it ends decides.
            Ok(_) | Err(_) if ends_within(&boot.worker, bake.min(budget.remaining())) => break,
            Ok(_) | Err(_) => {}
        }
    }
    if boot.worker.has_ended() {
        StartOutcome::Failed(failed_on_probation(boot, probation, budget))
    } else {
        StartOutcome::OnProbation(ready)
    }
}

fn ends_within(worker: &ProcessHandle, limit: Duration) -> bool {
    worker.wait_ended(Some(limit)).unwrap_or(false)
}

/// Ends the probation of a worker for no fault of its own: the worker ends, and the incumbent takes the scope back.
/// Returns once the worker has ended. `false` means: its probation was over already or it could not be asked, so it
/// goes on, or ends for another reason.
pub(crate) fn send_back(call: GatedCall<'_>, hello: &Hello, why: &str) -> Result<bool, Error> {
    let GatedCall { gate, request, budget } = call;
    let Verified::Same(worker) = process::verify(&hello.identity) else { return Ok(false) };
    gate.confirm()?;
    let stage = budget.stage("ask")?.at_most(request.first_answer);
    let patience = records::read_ledger(gate.state())?.end_budget(request.spec.end_budget());
    let asked = client::connect(gate.state(), stage)
        .and_then(|mut connection| connection.send_back(why, patience, &request.asker(), stage));
    if asked.is_err() {
        return Ok(false);
    }
    Ok(ends_within(&worker, budget.remaining()))
}

/// Kills a successor that is not ready in time, by the handle from its spawn; the incumbent goes on.
fn end_late_successor(boot: &Boot<'_>) -> BootFailure {
    if boot.worker.signal(Signal::Kill).is_ok() {
        best_effort(boot.worker.wait_ended(Some(KILL_GRACE)));
    }
    BootFailure {
        stage: BootStage::Stopped,
        message: "it was not ready when the time of the call was over, and was ended".to_owned(),
        last_words: logs::tail_since(boot.state, boot.logs_begin),
        not_ready: None,
        pid: boot.worker.pid(),
    }
}

/// The failure of a successor, with its cause. A successor that died without a report has failed by itself only where
/// the incumbent goes on: otherwise somebody ended both.
fn attributed(boot: &Boot<'_>, failure: BootFailure, budget: &Deadline) -> BootFailure {
    if failure.stage != BootStage::Died || readiness::standing(boot.state, budget).is_some() {
        return failure;
    }
    let message = "it ended, and the worker before it as well".to_owned();
    BootFailure { stage: BootStage::Vanished, message, ..failure }
}

/// The failure of a successor that was ready and has ended. It has failed by itself if the incumbent took the scope
/// back or recorded a rollback, or if its exit code says so: the incumbent may have been unable to go on. A successor
/// that exited with 0 was asked to end.
fn failed_on_probation(
    boot: &Boot<'_>,
    probation: &SuccessorOnProbation<'_>,
    budget: &Deadline,
) -> BootFailure {
    let SuccessorOnProbation { generation, spec, bake } = *probation;
    let taken_back =
        readiness::standing(boot.state, budget).is_some_and(|hello| hello.generation > generation);
    let exit = readiness::exit_of(&boot.worker);
    let recorded = records::read_ledger(boot.state).ok().and_then(|ledger| ledger.rolled_back);
    let rollback = recorded.filter(|failed| failed.version == spec.version && failed.spec == spec.digest());
    let failed =
        taken_back || rollback.is_some() || exit.is_some_and(|exit| exit.code.is_some_and(|code| code != 0));
    let how = rollback.map(|failed| failed.why).or_else(|| exit.map(|exit| format!("it ended with {exit}")));
    let how = how.unwrap_or_else(|| "it ended".to_owned());
    let (stage, message) = if failed {
        let bake = Span::millis(millis(bake));
        (
            BootStage::from("bake"),
            format!("it was ready, and failed within the {bake} of its probation: {how}"),
        )
    } else if exit.is_some_and(|exit| exit.success()) {
        (BootStage::Stopped, "it was ready, and was asked to end within its probation".to_owned())
    } else {
        (BootStage::Vanished, format!("it was ready, and {how}, and the worker before it as well"))
    };
    let last_words = logs::tail_since(boot.state, boot.logs_begin);
    BootFailure { stage, message, last_words, not_ready: None, pid: boot.worker.pid() }
}

//! A new worker in the place of one that serves: the requester's part, from the spawn of the successor to its proof.
//!
//! The requester holds the gate, starts the successor and entrusts the gate to it; what passes between the two workers
//! is theirs ([`crate::protocol::wire`], PREPARE and what follows). It may die from then on. A successor that fails
//! leaves the worker that stood, which goes on; only one that does not hand over has to be ended by somebody else, who
//! is told so.

use std::os::fd::AsFd;
use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::limits;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{self, ProcessHandle, RunState, Signal, Verified};

use crate::deadline::{Deadline, Moment, millis, monotonic};
use crate::error::{Error, ErrorKind};
use crate::fault::{self, Point};
use crate::launch::client;
use crate::launch::handshake::{Handshake, Succession};
use crate::launch::readiness::{self, Boot, BootFailure, DIED, Declined, STOPPED, StartOutcome, VANISHED};
use crate::launch::recipe::{self, SpawnRecipe};
use crate::launch::request::Request;
use crate::launch::start::StartError;
use crate::ops::candidates;
use crate::protocol::wire::{AppState, Hello, Role};
use crate::record::ledger::Ledger;
use crate::spec::amount::Span;
use crate::spec::{KILL_GRACE, Listen, ListenMode, Spec, USUAL_BAKE};
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::{logs, records};

/// The stage of what failed because the worker counts in another pid namespace.
const FOREIGN: &str = "pid namespace";
/// The stage of what failed because the worker serves in another network.
const NETWORK: &str = "network namespace";

/// Why a successor is wanted.
#[derive(Debug, Clone)]
pub(crate) struct TakeoverReason {
    /// For events and logs.
    pub(crate) why: String,
    /// Another version, or another build: what runs then has not served before.
    pub(crate) upgrade: bool,
    /// The probation is waited for as well: the answer is about a worker that has passed it.
    pub(crate) proves: bool,
    /// A successor that is late for the call is of no use to it, and is ended with its budget.
    pub(crate) abandons: bool,
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) enum TakeoverAttempt {
    /// A successor was started, and this became of it. Where it did not become ready, the worker that stood goes on.
    Made(Result<StartOutcome, StartError>),
    /// The worker does not make room: it is to be ended first.
    Declined(String),
    /// The worker that was seen has ended meanwhile: look again.
    Gone,
}

/// Starts a worker of `spec` that takes the place of the one that answered `hello`, and waits until it serves; where
/// the reason says so, until its probation is over too.
pub(crate) fn attempt(
    gate: &Gate<'_>,
    hello: &Hello,
    (spec, reason): (&Spec, TakeoverReason),
    request: &Request,
    budget: &Deadline,
) -> Result<TakeoverAttempt, Error> {
    may_be_verified(hello)?;
    shares_network(hello, request)?;
    if let Some(why) = declines(hello, request).or_else(|| port_is_its_own(hello, spec)) {
        return Ok(TakeoverAttempt::Declined(why));
    }
    let ledger = records::read_ledger(gate.state())?;
    if !await_predecessors(gate, (&ledger, hello), request.wedged_after, budget)? {
        return Ok(TakeoverAttempt::Gone);
    }
    candidates::confirm_trust(gate, spec)
        .map_err(|error| error.adding(&format!("version {} goes on serving", hello.version)))?;
    gate.confirm()?;
    let replacing = Event::now(What::Replacing, hello.generation, &request.asker(), reason.why.as_str());
    event::note(gate.state(), &replacing.version(&hello.version).pid(hello.identity.pid));
    let succession = terms(spec, request, hello, &reason);
    Ok(match succeed(gate, (&ledger, &reason), (spec, succession), request, budget) {
        Ok(Ok(outcome)) => TakeoverAttempt::Made(Ok(outcome)),
        Ok(Err(Declined { why })) => TakeoverAttempt::Declined(why),
        Err(error) => TakeoverAttempt::Made(Err(error)),
    })
}

/// A worker that counts in another pid namespace can be asked to end, and neither verified nor ended from here. So
/// nobody takes its place from here: that is said at once, and the worker goes on.
fn may_be_verified(hello: &Hello) -> Result<(), Error> {
    if !hello.identity.is_foreign() {
        return Ok(());
    }
    let message = format!(
        "take the place of the worker: {} counts in another pid namespace, such as that of a container, and cannot be verified from here; it goes on",
        hello.identity
    );
    Err(Error::of(ErrorKind::Denied, message).at(FOREIGN))
}

/// A worker that is started from here serves in the network of this caller, where the clients of the one that stands
/// need not be, nor anything that it asks. So a caller in another network takes nobody's place, unless a person
/// insists.
fn shares_network(hello: &Hello, request: &Request) -> Result<(), Error> {
    let Verified::Same(worker) = process::verify(&hello.identity) else { return Ok(()) };
    if request.force || process::shares_network(&worker) != Some(false) {
        return Ok(());
    }
    let message = format!(
        "take the place of the worker: {} serves in another network namespace, and a worker that is started from here would serve in this one; it goes on",
        hello.identity
    );
    Err(Error::of(ErrorKind::Denied, message).at(NETWORK))
}

/// Why a worker cannot be taken over from, as far as its own account tells.
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

/// A port changes hands between a program and its host only when the one that has it is gone.
fn port_is_its_own(hello: &Hello, spec: &Spec) -> Option<String> {
    let own = |listen: &Listen| listen.mode == ListenMode::SelfBound;
    // A port of 0 was given one by the kernel, which the endpoints tell.
    let bound = |old: &Listen| {
        let endpoint = hello.endpoints.iter().find(|endpoint| endpoint.name == old.name);
        endpoint.map_or(old.tcp, |endpoint| endpoint.tcp)
    };
    let changes = |old: &&Listen| spec.listen.iter().any(|new| new.tcp == bound(old) && own(new) != own(old));
    let held = hello.spec.listen.iter().find(changes)?;
    let who = if own(held) { "its program" } else { "its host" };
    Some(format!("{who} has {} until it is gone", bound(held)))
}

fn terms(spec: &Spec, request: &Request, hello: &Hello, reason: &TakeoverReason) -> Succession {
    let usual = if reason.upgrade { USUAL_BAKE.duration() } else { Duration::ZERO };
    Succession {
        incumbent: hello.identity.clone(),
        overlap: spec.overlap || request.overlap,
        bake: spec.bake.unwrap_or(Span::millis(millis(usual))),
        // A worker that says itself that it is another version is no better, and is not gone back to.
        strict: hello.version != spec.version || *hello.effective_version() == hello.version,
    }
}

/// At most two generations live: who made room for the present worker is waited for. It has announced its end, and its
/// watchdog sees to it. `false`: the present worker has ended first, and the one before it may have taken the scope
/// back.
fn await_predecessors(
    gate: &Gate<'_>,
    (ledger, hello): (&Ledger, &Hello),
    silence: Duration,
    budget: &Deadline,
) -> Result<bool, Error> {
    let Verified::Same(worker) = process::verify(&hello.identity) else { return Ok(false) };
    let began = monotonic();
    for before in ledger.lineage.iter().filter(|identity| **identity != hello.identity) {
        let Verified::Same(before) = process::verify(before) else { continue };
        while !before.has_ended() {
            let left = budget.remaining().min(silence);
            let mut ends = [
                Interest::new(before.as_fd(), Readiness::Read),
                Interest::new(worker.as_fd(), Readiness::Read),
            ];
            // Only a lack of memory ends the wait early; it is begun again.
            best_effort(poll::wait(&mut ends, Some(left)));
            if ends[1].ready() {
                return Ok(false);
            }
            if monotonic().saturating_sub(began) >= silence {
                end_if_stopped(gate, &before, ledger.generation);
            }
            if budget.remaining().is_zero() {
                return Err(not_gone(&before));
            }
        }
    }
    Ok(true)
}

/// A predecessor that is stopped by a signal would hold up every later takeover, so it is killed once it has had as
/// long as any silent worker. One under a debugger is left alone.
fn end_if_stopped(gate: &Gate<'_>, before: &ProcessHandle, generation: u64) {
    let pid = before.pid();
    if process::state_of(pid) == Some(RunState::Stopped) && process::tracer_of(pid).is_none() {
        // A failure is told by the wait that goes on.
        best_effort(before.signal(Signal::Kill));
        let why = "it had made room, and stood still";
        let event = Event::now(What::EndedWedged, generation, &crate::launch::request::asker(), why);
        event::note(gate.state(), &event.pid(pid));
    }
}

fn not_gone(before: &ProcessHandle) -> Error {
    let pid = before.pid();
    let stopped = process::state_of(pid) == Some(RunState::Stopped);
    let stands = if stopped { " and is stopped" } else { "" };
    let message =
        format!("take over: pid {pid}, which made room for the present worker, is not gone yet{stands}");
    Error::of(ErrorKind::TimedOut, message).at("end of the worker before")
}

fn succeed(
    gate: &Gate<'_>,
    (ledger, reason): (&Ledger, &TakeoverReason),
    (spec, succession): (&Spec, Succession),
    request: &Request,
    budget: &Deadline,
) -> Result<Result<StartOutcome, Declined>, StartError> {
    let state = gate.state();
    let recipe = SpawnRecipe::of(spec, request, ledger.host.as_ref()).map_err(StartError::Recipe)?;
    let (overlap, bake) = (succession.overlap, succession.bake.duration());
    // The time of its boot, of the room that is made for it, and of a probation that comes before that.
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
        succeeds: Some(succession),
    };
    let mark = logs::mark(state);
    let (channel, worker) =
        recipe.spawn(state, &handshake, &[gate.entrust().as_fd()]).map_err(StartError::Recipe)?;
    fault::reach(Point::SuccessorSpawned);
    let why = format!("to take the place of generation {}", ledger.generation);
    let spawned = Event::now(What::Spawned, handshake.generation, &request.asker(), why);
    event::note(state, &spawned.version(&spec.version).pid(worker.pid()));

    let boot = Boot { state, channel, worker, limit, mark };
    let outcome = match readiness::await_report(&boot, budget) {
        Ok(StartOutcome::StillBooting) if reason.abandons => Ok(StartOutcome::Failed(abandoned(&boot))),
        other => other,
    };
    match &outcome {
        // It goes on without us, under the gate.
        Ok(StartOutcome::StillBooting) => {}
        Ok(StartOutcome::Ready(_) | StartOutcome::OnProbation(_) | StartOutcome::Failed(_)) | Err(_) => {
            gate.take_back();
        }
    }
    if let Ok(StartOutcome::Failed(failure)) = outcome {
        return Ok(Ok(StartOutcome::Failed(attributed(&boot, failure, budget))));
    }
    Ok(match outcome {
        // With both programs beside each other the probation is over by now.
        Ok(StartOutcome::Ready(hello)) if !overlap && !bake.is_zero() => Ok(if reason.proves {
            let boot = Boot { mark: logs::mark(state), ..boot };
            passes(&boot, hello, (handshake.generation, spec, bake), budget)
        } else {
            StartOutcome::OnProbation(hello)
        }),
        outcome => outcome,
    })
}

/// Waits for the end of the probation, by the worker's own word: it hears from the one before it.
fn passes(
    boot: &Boot<'_>,
    ready: Box<Hello>,
    (generation, spec, bake): (u64, &Spec, Duration),
    budget: &Deadline,
) -> StartOutcome {
    let ours = |hello: &Hello| hello.identity == ready.identity && !hello.is_leaving();
    while let Ok(stage) = budget.stage("probation") {
        match readiness::await_proved(boot.state, stage) {
            Ok(hello) if ours(&hello) && hello.probation.is_none() => {
                // A worker of an older build tells of no probation.
                let rest = if ready.probation.is_some() { Duration::ZERO } else { bake };
                if ends_within(&boot.worker, rest.min(budget.remaining())) {
                    break;
                }
                let passed = !budget.remaining().is_zero();
                let hello = Box::new(hello);
                return if passed { StartOutcome::Ready(hello) } else { StartOutcome::OnProbation(hello) };
            }
            // Its time or ours is over, it leaves, or it cannot be asked: its end tells.
            Ok(_) | Err(_) if ends_within(&boot.worker, bake.min(budget.remaining())) => break,
            Ok(_) | Err(_) => {}
        }
    }
    if boot.worker.has_ended() {
        StartOutcome::Failed(failed_in_bake(boot, (generation, spec, bake), budget))
    } else {
        StartOutcome::OnProbation(ready)
    }
}

fn ends_within(worker: &ProcessHandle, limit: Duration) -> bool {
    worker.wait_ended(Some(limit)).unwrap_or(false)
}

/// Sends a worker on probation back: it ends, and the one before it takes the scope back without anything having
/// failed. Returns once the worker has ended; `false` where it was not to be sent back any more, and goes on or ends
/// otherwise.
pub(crate) fn send_back(
    gate: &Gate<'_>,
    hello: &Hello,
    (why, request): (&str, &Request),
    budget: &Deadline,
) -> Result<bool, Error> {
    let Verified::Same(worker) = process::verify(&hello.identity) else { return Ok(false) };
    gate.confirm()?;
    let stage = budget.stage("ask")?.at_most(request.first_answer);
    let patience = records::read_ledger(gate.state())?.end_budget(request.spec.end_budget());
    let asked = client::connect(gate.state(), stage)
        .and_then(|mut connection| connection.send_back(why, patience, &request.asker(), stage));
    // It passed a moment ago, or cannot be asked: whoever wanted it looks again.
    if asked.is_err() {
        return Ok(false);
    }
    Ok(ends_within(&worker, budget.remaining()))
}

/// Ends a successor that is late: by the handle that its spawn has given, and the worker before it goes on.
fn abandoned(boot: &Boot<'_>) -> BootFailure {
    if boot.worker.signal(Signal::Kill).is_ok() {
        best_effort(boot.worker.wait_ended(Some(KILL_GRACE)));
    }
    BootFailure {
        stage: STOPPED.to_owned(),
        message: "it was not ready when the time of the call was over, and was ended".to_owned(),
        last_words: logs::tail_since(boot.state, boot.mark),
        pid: boot.worker.pid(),
    }
}

/// One that died without a word counts as a failure of what was started only where the worker before it goes on:
/// otherwise somebody ended both.
fn attributed(boot: &Boot<'_>, failure: BootFailure, budget: &Deadline) -> BootFailure {
    if failure.stage != DIED || readiness::standing(boot.state, budget).is_some() {
        return failure;
    }
    let message = "it ended, and the worker before it as well".to_owned();
    BootFailure { stage: VANISHED.to_owned(), message, ..failure }
}

/// A worker that was ready and is gone. It has failed where the one before it took the scope back, or put on record
/// that it failed, or where it ended as one that fails: that one may not have been able to go on. One that ended in
/// order was asked to.
fn failed_in_bake(
    boot: &Boot<'_>,
    (generation, spec, bake): (u64, &Spec, Duration),
    budget: &Deadline,
) -> BootFailure {
    let taken_back =
        readiness::standing(boot.state, budget).is_some_and(|hello| hello.generation > generation);
    let exit = readiness::exit_of(&boot.worker);
    let recorded = records::read_ledger(boot.state).ok().and_then(|ledger| ledger.rolled_back);
    let why = recorded.filter(|failed| failed.version == spec.version && failed.spec == spec.digest());
    let failed =
        taken_back || why.is_some() || exit.is_some_and(|exit| exit.code.is_some_and(|code| code != 0));
    let how = why.map(|failed| failed.why).or_else(|| exit.map(|exit| format!("it ended with {exit}")));
    let how = how.unwrap_or_else(|| "it ended".to_owned());
    let (stage, message) = if failed {
        let bake = Span::millis(millis(bake));
        ("bake", format!("it was ready, and failed within the {bake} of its probation: {how}"))
    } else if exit.is_some_and(|exit| exit.success()) {
        (STOPPED, "it was ready, and was asked to end within its probation".to_owned())
    } else {
        (VANISHED, format!("it was ready, and {how}, and the worker before it as well"))
    };
    let last_words = logs::tail_since(boot.state, boot.mark);
    BootFailure { stage: stage.to_owned(), message, last_words, pid: boot.worker.pid() }
}

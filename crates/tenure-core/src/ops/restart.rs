//! `restart`: replaces the worker by a new one, and proves the new one over a new connection.
//!
//! ```text
//! gate ▶ check what can fail ▶ record the offer ▶ probe ──▶ take over ──────────────────────▶ prove
//!                                                   │           └ declined or silent ┐          ▲
//!                                                   └ nobody answers ────────────────┴▶ stop, start
//! ```
//!
//! After a stop the listeners' ports are bound again. `pin` uses the same steps (`replace_and_prove`).

use std::time::Duration;

use crate::spec::version::Version;

use crate::deadline::{Deadline, Stage, monotonic};
use crate::error::{Error, ErrorKind};
use crate::launch::ask::probe::{self, FIRST_ANSWER};
use crate::launch::end::stop_and_prove::{self, LONGEST_DRAIN, Purpose, Retired};
use crate::launch::request::{self, Request};
use crate::launch::start::limits;
use crate::launch::start::readiness::{self, BootFailure, StartOutcome};
use crate::launch::start::{self, StartError};
use crate::ops::acquire::GatedCall;
use crate::ops::dependencies::{Dependencies, Family};
use crate::ops::ensure;
use crate::ops::offers;
use crate::ops::offers::DisplacedApp;
use crate::ops::takeover::{self, SuccessorRequest, TakeoverOutcome};
use crate::policy::decide::Observation;
use crate::protocol::boot_stage::BootStage;
use crate::protocol::wire::{AppState, Hello};
use crate::spec::Spec;
use crate::spec::origin::Origin;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::paths::StateDir;
use crate::store::records;

mod choice;

use choice::Choice;

/// The proof of a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restarted {
    /// The worker before the restart, where one answered.
    pub old: Option<Box<Hello>>,
    /// The new worker, by its own answer on a new connection.
    pub new: Box<Hello>,
    /// How the new worker replaced the old one.
    pub manner: Manner,
    /// The offers that were forgotten, because nothing describes them any more.
    pub forgotten: Vec<Version>,
    /// The app that had the name until this restart.
    pub displaced: Option<DisplacedApp>,
    /// The version that was started where it is not the requested one, and what describes it.
    pub instead: Option<(Version, Origin)>,
}

/// How a new worker replaced the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manner {
    /// It took over the listeners while the old one served: each new connection was accepted or waited, and none was
    /// refused.
    TakenOver,
    /// The old one was proved gone before the new one was started.
    StoppedFirst {
        /// Why there was no takeover, to be read after "stopped first:"; `None` where the request was to stop it first.
        why: Option<String>,
    },
    /// There was no worker, and no process that held its lease.
    NoneRan,
}

impl Manner {
    /// One word for programs, which never changes.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::TakenOver => "taken-over",
            Self::StoppedFirst { .. } => "stopped-first",
            Self::NoneRan => "none-ran",
        }
    }

    /// Why the old worker was stopped first, where there is a reason to tell.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::StoppedFirst { why } => why.as_deref(),
            Self::TakenOver | Self::NoneRan => None,
        }
    }

    /// An old worker that was silent, stopped or without its socket was ended first.
    fn ended_unheard() -> Self {
        Self::StoppedFirst { why: Some("it does not answer".to_owned()) }
    }
}

/// Replaces the worker of a scope by a new one of the target version, started from today's spec, and proves it: a new
/// connection sees a higher generation, the target's version, and an app that is ready. Where no worker ran, one is
/// started. The request's spec is recorded as an offer once nothing is known to speak against the start: a refused call
/// leaves no offer. Higher offers that nothing describes any more are forgotten. If a higher offer is still described,
/// that version is started, and the answer names it. Where the name was kept for another app that has no name of its
/// own, this person's word gives it to the request's, and the offers of the other app are forgotten. The workers that
/// the new one depends on are ensured before the old one is asked to make room.
///
/// # Errors
/// [`ErrorKind::RestartUnproved`] with the last answer seen when the new worker cannot be proved; otherwise as
/// [`ensure`](crate::ops::ensure::ensure).
///
/// # Examples
/// ```no_run
/// // Not run here: a restart starts a worker, which needs the command `tenure` as its host.
/// use tenure::{Request, Spec};
///
/// let spec = Spec::of_command(vec!["/usr/bin/redis-server".into()], "/tmp".into());
/// let restarted = tenure::restart(&Request::new("cache".parse()?, spec)?)?;
/// println!("generation {}, {}", restarted.new.generation, restarted.manner.word());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn restart(request: &Request) -> Result<Restarted, Error> {
    let budget = Deadline::start(request.budget);
    let state = StateDir::create(&request.scope)?;
    if request::is_inside(&state) {
        let message = format!("restart {}: this process is part of that worker", request.scope);
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    limits::check()?;
    let mut dependencies = Dependencies::of(request, &Family::default(), ensure::ensure_dependency);
    let (gate, choice) = loop {
        let gate = Gate::enter_for(&state, budget.stage("gate")?, request.gate_time())?;
        let choice = Choice::under(&gate, request)?;
        let Some(lacking) = dependencies.lacking(&choice.target, &choice.desired) else {
            break (gate, choice);
        };
        drop(gate);
        dependencies.ensure(lacking, &budget).map_err(|error| error.adding("nothing was stopped"))?;
    };
    let Choice { desired, displaced, undescribed, target } = choice;
    offers::keep(&gate, &desired, request)?;
    let strangers = displaced.as_ref().map_or(&[][..], |displaced| &displaced.versions);
    note_forgotten(&state, request, &undescribed, "nothing describes it any more");
    note_forgotten(&state, request, strangers, "a person gave the name to another app");
    let call = GatedCall { gate: &gate, request, budget: &budget };
    let old = answering(&state, &budget)?;
    let replacement = Replacement { target: &target, old, why: "restart", ends_if_late: false };
    let restarted = replace_and_prove(call, replacement)?;
    let described = desired.offers.into_iter().find(|offer| offer.spec.version == target.version);
    let instead = described.filter(|offer| offer.spec.version != request.spec.version);
    let instead = instead.map(|offer| (offer.spec.version, offer.origin));
    Ok(Restarted { forgotten: undescribed, displaced, instead, ..restarted })
}

fn note_forgotten(state: &StateDir, request: &Request, versions: &[Version], why: &str) {
    for version in versions {
        event::note(state, &Event::now(What::Forgotten, 0, &request.asker(), why).version(version));
    }
}

/// The worker that answers, if one does.
pub(crate) fn answering(state: &StateDir, budget: &Deadline) -> Result<Option<Box<Hello>>, Error> {
    Ok(observed(state, budget.stage("probe")?.at_most(FIRST_ANSWER)))
}

fn observed(state: &StateDir, stage: Stage) -> Option<Box<Hello>> {
    match probe::observe(state, stage) {
        Observation::Answered(hello) => Some(hello),
        Observation::Nobody | Observation::Silent | Observation::Denied(_) | Observation::Foreign(_) => None,
    }
}

/// One worker is to be replaced by another.
pub(crate) struct Replacement<'call> {
    /// What the new worker is started from.
    pub(crate) target: &'call Spec,
    /// The worker that is to be replaced, where one answered.
    pub(crate) old: Option<Box<Hello>>,
    /// The reason, for events and logs.
    pub(crate) why: &'static str,
    /// A successor that is not ready when the call's budget ends is killed, instead of left booting.
    pub(crate) ends_if_late: bool,
}

/// Replaces whatever worker there is, and proves the new one. A worker that can make room goes on if its successor
/// fails.
pub(crate) fn replace_and_prove(
    call: GatedCall<'_>,
    replacement: Replacement<'_>,
) -> Result<Restarted, Error> {
    let GatedCall { gate, request, budget } = call;
    let state = gate.state();
    let Replacement { target, why, .. } = replacement;
    let old_generation = replacement.old.as_ref().map_or(0, |hello| hello.generation);
    let floor = old_generation.max(records::read_ledger(state)?.generation);
    let TakeoverTried { old, outcome, silent_for } = try_takeover(call, replacement)?;
    let stop_and_start = |silent_for| stop_and_start(call, target, &StopFirst { why, silent_for });
    let (started, manner) = match outcome {
        Some(TakeoverOutcome::Attempted(Ok(StartOutcome::Failed(failure)))) if is_silent(call, &failure) => {
            (stop_and_start(request.wedged_after)?.started, Manner::ended_unheard())
        }
        Some(TakeoverOutcome::Attempted(started)) => (started, Manner::TakenOver),
        Some(TakeoverOutcome::Declined(why)) => {
            let why = (!request.force).then_some(why);
            (stop_and_start(silent_for)?.started, Manner::StoppedFirst { why })
        }
        // Nobody answered, and yet a process may hold the lease.
        Some(TakeoverOutcome::IncumbentGone) | None => {
            let StoppedAndStarted { started, has_ended_worker } = stop_and_start(silent_for)?;
            (started, if has_ended_worker { Manner::ended_unheard() } else { Manner::NoneRan })
        }
    };
    if let Some(failure) = offers::record_start(gate, target, started)? {
        let is_late = failure.kind() == ErrorKind::TimedOut;
        let outcome = if is_late { "is not ready yet, and goes on" } else { "did not start" };
        let now = format!("the new worker {outcome}; {}", present_worker(state, budget));
        return Err(unproved(&now, old.as_deref(), Some(failure)));
    }
    let proved = match budget.stage("proof") {
        // A new worker that is silent for longer than `wedged_after` is wedged, and no proof.
        Ok(stage) => {
            prove(state, floor, old.as_deref(), &target.version, stage.at_most(request.wedged_after))
        }
        Err(timed_out) => Err(timed_out.to_string()),
    };
    let new = proved.map_err(|why| unproved(&why, old.as_deref(), None))?;
    Ok(Restarted { old, new, manner, forgotten: Vec::new(), displaced: None, instead: None })
}

/// What came of a takeover, where there was a worker to take over from.
struct TakeoverTried {
    /// The worker that answered.
    old: Option<Box<Hello>>,
    outcome: Option<TakeoverOutcome>,
    /// For how long nobody answered.
    silent_for: Duration,
}

/// Takes over from the worker, if one answers. If it ends meanwhile, this looks again: the worker may have made room
/// for another, or one before it may have taken its scope back. A busy worker is given `wedged_after` to answer,
/// because ending it would cut its clients off.
fn try_takeover(call: GatedCall<'_>, replacement: Replacement<'_>) -> Result<TakeoverTried, Error> {
    let GatedCall { gate, request, budget } = call;
    let Replacement { target, mut old, why, ends_if_late } = replacement;
    let began = monotonic();
    if old.is_none() {
        old = observed(gate.state(), budget.stage("silent worker")?.at_most(request.wedged_after));
    }
    let silent_for = monotonic().saturating_sub(began);
    while let Some(hello) = &old {
        let is_upgrade = hello.version != target.version || hello.source_changed;
        let successor = SuccessorRequest {
            spec: target,
            why: why.to_owned(),
            is_upgrade,
            awaits_probation: true,
            ends_if_late,
        };
        match takeover::request_takeover(call, hello, &successor)? {
            TakeoverOutcome::IncumbentGone => old = answering(gate.state(), budget)?,
            outcome @ (TakeoverOutcome::Attempted(_) | TakeoverOutcome::Declined(_)) => {
                return Ok(TakeoverTried { old, outcome: Some(outcome), silent_for: Duration::ZERO });
            }
        }
    }
    Ok(TakeoverTried { old: None, outcome: None, silent_for })
}

/// Whether a takeover failed because the incumbent is silent to everybody, as one that is stopped or hangs. Such a
/// worker is stopped first.
fn is_silent(call: GatedCall<'_>, failure: &BootFailure) -> bool {
    let limit = call.request.wedged_after;
    let seen = |stage: Stage| probe::observe(call.gate.state(), stage.at_most(limit));
    failure.stage == BootStage::Unheard
        && call.budget.stage("probe").is_ok_and(|stage| seen(stage) == Observation::Silent)
}

/// Why a worker is stopped before another is started.
pub(crate) struct StopFirst {
    /// The reason, for events and logs.
    pub(crate) why: &'static str,
    /// For how long the worker has been silent already, which counts towards `wedged_after`.
    pub(crate) silent_for: Duration,
}

/// What came of [`stop_and_start`].
pub(crate) struct StoppedAndStarted {
    pub(crate) started: Result<StartOutcome, StartError>,
    /// There was a process to end.
    pub(crate) has_ended_worker: bool,
}

/// Starts the target once whatever holds the lease is proved gone. Fails where the target is no longer trusted by then.
pub(crate) fn stop_and_start(
    call: GatedCall<'_>,
    target: &Spec,
    stop: &StopFirst,
) -> Result<StoppedAndStarted, Error> {
    let GatedCall { gate, request, budget } = call;
    let retired = retire_old(call, stop)?;
    offers::confirm_trust(gate, target).map_err(|error| error.adding("no worker runs now"))?;
    let started = start::start(gate, retired.lease, target, request, budget);
    Ok(StoppedAndStarted { started, has_ended_worker: retired.pid.is_some() })
}

/// Ends whatever holds the lease, by verified handles, and takes the lease.
fn retire_old(call: GatedCall<'_>, stop: &StopFirst) -> Result<Retired, Error> {
    let GatedCall { gate, request, budget } = call;
    let ledger = records::read_ledger(gate.state())?;
    let shortest = request.first_answer.min(request.wedged_after);
    let purpose = Purpose {
        reason: stop.why.to_owned(),
        by: request.asker(),
        patience: LONGEST_DRAIN,
        silence: request.wedged_after.saturating_sub(stop.silent_for).max(shortest),
    };
    let retired = stop_and_prove::retire(gate, &ledger, &purpose, budget.stage("retire")?)?;
    if let Some(pid) = retired.pid {
        let stopped = Event::now(What::Stopped, ledger.generation, &purpose.by, stop.why);
        event::note(gate.state(), &stopped.pid(pid));
    }
    Ok(retired)
}

/// Proves the new worker: a new connection sees another process of a generation above `floor`, the target's version,
/// and an app that is ready.
pub(crate) fn prove(
    state: &StateDir,
    floor: u64,
    old: Option<&Hello>,
    target: &Version,
    stage: Stage,
) -> Result<Box<Hello>, String> {
    match probe::observe(state, stage) {
        Observation::Answered(hello) => {
            // An incumbent that took its scope back has a higher generation as well.
            let is_old = old.is_some_and(|old| old.identity == hello.identity);
            let is_target = hello.generation > floor && !is_old && hello.effective_version() == target;
            if !is_target || hello.app.state != AppState::Ready {
                Err(describe(&hello))
            } else if hello.probation.is_some() {
                Err(format!("{}, on probation", describe(&hello)))
            } else {
                Ok(hello)
            }
        }
        Observation::Nobody => Err("nobody answers".to_owned()),
        Observation::Silent => Err("the new worker is silent".to_owned()),
        Observation::Denied(why) | Observation::Foreign(why) => Err(why),
    }
}

/// The worker that answers once a failed replacement has settled, in words.
fn present_worker(state: &StateDir, budget: &Deadline) -> String {
    match readiness::standing(state, budget) {
        Some(hello) => format!("now: {}", describe(&hello)),
        None => "now: no worker answers".to_owned(),
    }
}

fn describe(hello: &Hello) -> String {
    let Hello { generation, version, identity, app, .. } = hello;
    let says = app.version.as_ref().filter(|says| *says != version);
    let says = says.map(|says| format!(" (says that it is {says})")).unwrap_or_default();
    format!("generation {generation}, version {version}{says}, {identity}, {:?}", app.state)
}

fn unproved(now: &str, old: Option<&Hello>, cause: Option<Error>) -> Error {
    let old = old.map_or_else(
        || "no worker answered before".to_owned(),
        |hello| format!("before: {}", describe(hello)),
    );
    Error::restart_unproved(format!("prove the restart: {now}; {old}"), cause)
}

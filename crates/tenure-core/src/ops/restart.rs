//! `restart`: a new worker in the place of the old one, proved over a new connection.
//!
//! The new worker takes over from the old one where that can make room, and is started once the old one is proved gone
//! where it cannot; the listeners' ports are taken again then. Either way a connection made anew is the proof.

use std::time::Duration;

use semver::Version;

use crate::deadline::{Deadline, Moment, Stage, monotonic};
use crate::error::{Error, ErrorKind};
use crate::launch::probe::{self, FIRST_ANSWER};
use crate::launch::readiness::{self, BootFailure, StartOutcome, UNHEARD};
use crate::launch::request::{self, Request};
use crate::launch::start::{self, StartError};
use crate::launch::stop_and_prove::{self, LONGEST_DRAIN, Purpose};
use crate::launch::{limits, recipe};
use crate::ops::takeover::{self, TakeoverAttempt, TakeoverReason};
use crate::ops::{candidates, choice};
use crate::policy::decide::Observation;
use crate::protocol::wire::{AppState, Hello};
use crate::record::desired::StartTarget;
use crate::spec::Spec;
use crate::spec::origin::Origin;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::StateDir;
use crate::store::records;

/// The proof of a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restarted {
    /// The worker that stood before, where one did.
    pub old: Option<Box<Hello>>,
    /// The worker that stands now, by its own answer on a new connection.
    pub new: Box<Hello>,
    /// How the one came in the place of the other.
    pub manner: Manner,
    /// The offers that were forgotten, because nothing describes them any more.
    pub forgotten: Vec<Version>,
    /// The version that was started where it is not the one of the order, and who describes it.
    pub instead: Option<(Version, Origin)>,
}

/// How a new worker came in the place of the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manner {
    /// It took the listeners over while the old one served: a connection made anew was accepted or waited, and none was
    /// refused.
    TakenOver,
    /// The old one was proved gone before the new one was started.
    StoppedFirst {
        /// Why it was not taken over, to be read after "stopped first:"; none where nothing but this was asked for.
        why: Option<String>,
    },
    /// No worker stood, nor a process that kept its place.
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

    /// One that is silent, stopped or without its socket was ended first.
    fn unheard() -> Self {
        Self::StoppedFirst { why: Some("it does not answer".to_owned()) }
    }
}

/// Replaces the worker of a scope by a new one of the target version, started from today's spec, and proves it: a new
/// connection sees a higher generation, the target's version, and an app that is ready. Where no worker ran, one is
/// started. What the order offers is recorded first. An order means what is described now: higher offers that nothing
/// describes any more are forgotten; below a higher one that is still described, that one is started, and the answer
/// says so.
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
    let gate = Gate::enter_for(&state, budget.stage("gate")?, request.gate_time())?;
    let mut desired = candidates::with_offer(&gate, request)?;
    if let Some(down) = &desired.down {
        return Err(choice::held_down(down));
    }
    // A person asked: what failed a moment ago is tried again now.
    desired.begin_anew(desired.hold.clone().as_ref().unwrap_or(&request.spec.version), &Moment::now());
    let forgotten = candidates::forget_undescribed(&mut desired, request);
    if let Some(refusal) = candidates::refusal(&desired) {
        return Err(refusal.adding("nothing was stopped"));
    }
    let (choice, _) = candidates::to_choose_from(&desired, Some(&request.spec.version));
    let target = target(&choice.target(&Moment::now(), &recipe::can_run), &request.spec)?;
    // What can be known to fail is said before anything is stopped.
    if request.overlap && !request.force {
        may_overlap(&target)?;
    }
    recipe::check(&target, request)?;
    candidates::keep(&gate, &desired, request)?;
    for version in &forgotten {
        event::note(&state, &forgot(version, request, "nothing describes it any more"));
    }
    let old = before(&state, &budget)?;
    let cause = ReplacementReason { why: "restart", abandons: false };
    let restarted = put(&gate, &target, request, (old, cause), &budget)?;
    let described = desired.offers.into_iter().find(|offer| offer.spec.version == target.version);
    let instead = described.filter(|offer| offer.spec.version != request.spec.version);
    Ok(Restarted { forgotten, instead: instead.map(|offer| (offer.spec.version, offer.origin)), ..restarted })
}

/// The event of an offer that was taken back.
pub(crate) fn forgot(version: &Version, request: &Request, why: &str) -> Event {
    Event::now(What::Forgotten, 0, &request.asker(), why).version(version)
}

/// Why one worker is put in the place of another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplacementReason {
    /// For events and logs.
    pub(crate) why: &'static str,
    /// A new worker that is not ready when the call's budget ends is killed, instead of left booting.
    pub(crate) abandons: bool,
}

/// Puts a worker of `target` in the place of whatever stands, and proves it. One that makes room goes on where its
/// successor fails.
pub(crate) fn put(
    gate: &Gate<'_>,
    target: &Spec,
    request: &Request,
    (old, cause): (Option<Box<Hello>>, ReplacementReason),
    budget: &Deadline,
) -> Result<Restarted, Error> {
    let state = gate.state();
    let floor = old.as_ref().map_or(0, |hello| hello.generation).max(records::read_ledger(state)?.generation);
    let Tried { old, attempt, silent } = attempt(gate, target, request, (old, cause), budget)?;
    let start = |silent| start_after(gate, target, request, (cause.why, silent), budget);
    let (started, manner) = match attempt {
        Some(TakeoverAttempt::Made(Ok(StartOutcome::Failed(failure))))
            if is_silent(&failure, state, request, budget) =>
        {
            (start(request.wedged_after)?.0, Manner::unheard())
        }
        Some(TakeoverAttempt::Made(started)) => (started, Manner::TakenOver),
        Some(TakeoverAttempt::Declined(why)) => {
            let why = (!request.force).then_some(why);
            (start(silent)?.0, Manner::StoppedFirst { why })
        }
        // Nobody answered. That says not that nobody was there.
        Some(TakeoverAttempt::Gone) | None => {
            let (started, ended) = start(silent)?;
            (started, if ended { Manner::unheard() } else { Manner::NoneRan })
        }
    };
    if let Some(failure) = candidates::record_start(gate, target, started)? {
        let came = if failure.kind() == ErrorKind::TimedOut {
            "is not ready yet, and goes on"
        } else {
            "did not start"
        };
        let now = format!("the new worker {came}; {}", stands(state, budget));
        return Err(unproved(&now, old.as_deref(), Some(failure)));
    }
    let proved = match budget.stage("proof") {
        // One that is silent for longer than this is wedged, and no proof.
        Ok(stage) => {
            prove(state, (floor, old.as_deref()), &target.version, stage.at_most(request.wedged_after))
        }
        Err(spent) => Err(spent.to_string()),
    };
    let new = proved.map_err(|why| unproved(&why, old.as_deref(), None))?;
    Ok(Restarted { old, new, manner, forgotten: Vec::new(), instead: None })
}

/// Starts the target once whatever stands is proved gone, where it is still trusted then; tells whether there was
/// anybody to end. What stands has been silent for so long already.
pub(crate) fn start_after(
    gate: &Gate<'_>,
    target: &Spec,
    request: &Request,
    (reason, silent): (&str, Duration),
    budget: &Deadline,
) -> Result<(Result<StartOutcome, StartError>, bool), Error> {
    let (lease, ended) = retire_old(gate, request, (reason, silent), budget)?;
    candidates::confirm_trust(gate, target).map_err(|error| error.adding("no worker runs now"))?;
    Ok((start::start(gate, lease, target, request, budget), ended))
}

/// What came of a takeover, where there was anybody to take over from.
struct Tried {
    /// Who answered.
    old: Option<Box<Hello>>,
    attempt: Option<TakeoverAttempt>,
    /// For how long nothing was heard, where nobody answered.
    silent: Duration,
}

/// Takes over from the worker that stands, if one does; one that ended meanwhile is looked for again, for it may have
/// made room for another or taken its scope back. One that is busy is listened to for as long as it may be silent,
/// since its end costs its clients what they have begun.
fn attempt(
    gate: &Gate<'_>,
    target: &Spec,
    request: &Request,
    (mut old, cause): (Option<Box<Hello>>, ReplacementReason),
    budget: &Deadline,
) -> Result<Tried, Error> {
    let began = monotonic();
    if old.is_none() {
        old = observed(gate.state(), budget.stage("silent worker")?.at_most(request.wedged_after));
    }
    let silent = monotonic().saturating_sub(began);
    while let Some(hello) = &old {
        let upgrade = hello.version != target.version || hello.source_changed;
        let reason =
            TakeoverReason { why: cause.why.to_owned(), upgrade, proves: true, abandons: cause.abandons };
        match takeover::attempt(gate, hello, (target, reason), request, budget)? {
            TakeoverAttempt::Gone => old = before(gate.state(), budget)?,
            attempt @ (TakeoverAttempt::Made(_) | TakeoverAttempt::Declined(_)) => {
                return Ok(Tried { old, attempt: Some(attempt), silent: Duration::ZERO });
            }
        }
    }
    Ok(Tried { old: None, attempt: None, silent })
}

/// Whether a worker that its successor did not hear is silent to everybody: one that is stopped or hangs is retired,
/// which has its own time for that.
fn is_silent(failure: &BootFailure, state: &StateDir, request: &Request, budget: &Deadline) -> bool {
    let seen = |stage: Stage| probe::observe(state, stage.at_most(request.wedged_after));
    failure.stage == UNHEARD && budget.stage("probe").is_ok_and(|stage| seen(stage) == Observation::Silent)
}

/// What stands after a new worker has failed, once it has settled.
fn stands(state: &StateDir, budget: &Deadline) -> String {
    match readiness::standing(state, budget) {
        Some(hello) => format!("now: {}", describe(&hello)),
        None => "now: no worker answers".to_owned(),
    }
}

fn target(target: &StartTarget, spec: &Spec) -> Result<Spec, Error> {
    match target {
        StartTarget::Offer { spec, .. } => Ok((**spec).clone()),
        StartTarget::Suppressed { failure, .. } => {
            Err(Error::of(ErrorKind::SpawnSuppressed, format!("restart the worker: {}", failure.error)))
        }
        StartTarget::Missing { program } => {
            let message = format!(
                "restart the worker: {} in {}; nothing was stopped",
                choice::without(spec, program),
                spec.cwd.display()
            );
            Err(Error::of(ErrorKind::SpawnFailed, message).at("program"))
        }
    }
}

/// Whether the worker that is to start can be started beside the old one: it need not be the one of the order.
fn may_overlap(target: &Spec) -> Result<(), Error> {
    target.may_overlap().map_err(|bad| {
        let message = format!("restart the worker: `{}` {}; nothing was stopped", bad.key, bad.why);
        Error::of(ErrorKind::SpawnFailed, message).at("overlap")
    })
}

pub(crate) fn before(state: &StateDir, budget: &Deadline) -> Result<Option<Box<Hello>>, Error> {
    Ok(observed(state, budget.stage("probe")?.at_most(FIRST_ANSWER)))
}

fn observed(state: &StateDir, stage: Stage) -> Option<Box<Hello>> {
    match probe::observe(state, stage) {
        Observation::Answered(hello) => Some(hello),
        Observation::Nobody | Observation::Silent | Observation::Denied(_) | Observation::Foreign(_) => None,
    }
}

/// Ends what stands, by verified handles, and takes its lease; tells whether there was anybody to end.
fn retire_old(
    gate: &Gate<'_>,
    request: &Request,
    (reason, silent): (&str, Duration),
    budget: &Deadline,
) -> Result<(Lease, bool), Error> {
    let ledger = records::read_ledger(gate.state())?;
    let purpose = Purpose {
        reason: reason.to_owned(),
        by: request.asker(),
        patience: LONGEST_DRAIN,
        silence: request
            .wedged_after
            .saturating_sub(silent)
            .max(request.first_answer.min(request.wedged_after)),
    };
    let retired = stop_and_prove::retire(gate, &ledger, &purpose, budget.stage("retire")?)?;
    if let Some(pid) = retired.pid {
        let stopped = Event::now(What::Stopped, ledger.generation, &purpose.by, reason);
        event::note(gate.state(), &stopped.pid(pid));
    }
    Ok((retired.lease, retired.pid.is_some()))
}

/// Proof = a new connection that sees another process of a higher generation, the target's version, and an app that is
/// ready.
pub(crate) fn prove(
    state: &StateDir,
    (floor, old): (u64, Option<&Hello>),
    target: &Version,
    stage: Stage,
) -> Result<Box<Hello>, String> {
    match probe::observe(state, stage) {
        Observation::Answered(hello) => {
            // A worker that took its scope back has a higher generation too, and is the old one.
            let is_old = old.is_some_and(|old| old.identity == hello.identity);
            let newer = hello.generation > floor && !is_old && hello.effective_version() == target;
            if !newer || hello.app.state != AppState::Ready {
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

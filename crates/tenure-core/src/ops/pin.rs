//! `pin` and `unpin`: a person holds one version, which is the only way to a downgrade, and releases it.
//!
//! ```text
//! gate ▶ find the offer ▶ look ──▶ a worker of the version ─────────────────────────▶ record the pin
//!                           ├────▶ send the worker back to its incumbent ─┐            ▲
//!                           ├────▶ replace the worker ────────────────────┴▶ prove ────┤
//!                           ├────▶ nobody: the next start is of the version ───────────┘
//!                           └────▶ it does not start: start what would run without the pin
//! ```
//!
//! A pin is a version that some launcher has offered, with the spec of that offer. It is recorded only once a worker of
//! it is proved. If the worker does not start, the record stays as it was (an earlier pin still holds), and what would
//! run without this pin is started again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spec::version::Version;

use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind, stage};
use crate::fault::{self, Point};
use crate::launch::ask::probe::{self, FIRST_ANSWER};
use crate::launch::end::stop_and_prove::LONGEST_DRAIN;
use crate::launch::request::{self, DEFAULT_BUDGET, FindDependency, Request};
use crate::launch::start::limits;
use crate::launch::start::readiness;
use crate::launch::start::recipe;
use crate::ops::acquire::GatedCall;
use crate::ops::dependencies::{Dependencies, Family, Lacking};
use crate::ops::ensure;
use crate::ops::restart::{self, Manner, Replacement, Restarted, StopFirst};
use crate::ops::{offers, takeover};
use crate::policy::decide::Observation;
use crate::protocol::wire::{AppState, Hello};
use crate::record::desired::{Desired, Target};
use crate::spec::scope::Scope;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::lease::{Lease, TryLease};
use crate::store::paths::StateDir;
use crate::store::records;

/// A request to pin a version.
///
/// ```
/// use std::time::Duration;
///
/// let mut options = tenure::PinOptions::new("cache".parse()?, "1.4.0".parse()?);
/// options.budget = Duration::from_secs(20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PinOptions {
    /// Whose worker.
    pub scope: Scope,
    /// The version; a launcher must have offered it.
    pub version: Version,
    /// The longest time that the call may take.
    pub budget: Duration,
    /// The `tenure` executable that hosts programs, as for [`Request::host`].
    pub host: Option<PathBuf>,
    /// What the names in [`Spec::depends`](crate::spec::Spec::depends) stand for, as for [`Request::find_dependency`].
    pub find_dependency: Option<FindDependency>,
}

impl PinOptions {
    /// Pins `version` of the worker of `scope`, within the usual budget.
    #[must_use]
    pub fn new(scope: Scope, version: Version) -> Self {
        Self { scope, version, budget: DEFAULT_BUDGET, host: None, find_dependency: None }
    }
}

/// A version is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pinned {
    /// The version.
    pub version: Version,
    /// The version that was pinned before, where one was.
    pub before: Option<Version>,
    /// What that did to the worker.
    pub applied: Applied,
}

/// What a pin did to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// A worker of the version ran already.
    Stood(Box<Hello>),
    /// The worker was replaced, and the new one proved.
    Replaced(Box<Restarted>),
    /// No worker runs; the next one will be of that version.
    Later,
}

/// A version is no longer pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpinned {
    /// The version that was pinned, where one was.
    pub before: Option<Version>,
    /// The version that would be started now.
    pub target: Option<Version>,
    /// The worker that runs; it stays until a launcher asks for a newer version, or a person restarts it.
    pub stands: Option<Box<Hello>>,
}

/// Pins a version: whatever is offered, nothing else is started. A worker of another version is replaced at once, and
/// the new one is proved as a restart is.
///
/// # Errors
/// [`ErrorKind::UnknownVersion`] with the versions that are known; [`ErrorKind::SpawnFailed`] when its program is gone,
/// before anything is stopped; [`ErrorKind::RestartUnproved`] when it does not start: the record stays as it was then,
/// and what would run without this pin is started again; otherwise as [`restart`](crate::ops::restart::restart).
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use tenure::{ErrorKind, PinOptions, Version};
///
/// let error = tenure::pin(&PinOptions::new("cache".parse()?, Version::new(1, 4, 0))).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownVersion, "nobody has offered it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pin(options: &PinOptions) -> Result<Pinned, Error> {
    if options.version.is_build() {
        return Err(no_pin_of_build(&options.version));
    }
    let budget = Deadline::start(options.budget);
    let Some(state) = StateDir::open(&options.scope)? else {
        return Err(unknown(stage::PIN, &options.version, &options.scope, &Desired::default()));
    };
    if request::is_inside(&state) {
        let message = format!("pin {}: this process is part of that worker", options.scope);
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    limits::check()?;
    let first = request_for(options, &records::read_desired(&state)?)?;
    let mut dependencies = Dependencies::of(&first, &Family::default(), ensure::ensure_dependency);
    let (gate, mut desired, request, applied) = loop {
        let gate = Gate::enter_for(&state, budget.stage("gate")?, first.gate_time())?;
        let desired = records::counted(&state)?;
        let request = request_for(options, &desired)?;
        // The next generation replaces the ledger, so the failures in it are recorded before.
        offers::keep(&gate, &desired, &request)?;
        let lacking = dependencies.lacking(&request.spec, &desired);
        match apply(GatedCall { gate: &gate, request: &request, budget: &budget }, lacking)? {
            PinStep::Applied(applied) => break (gate, desired, request, applied),
            PinStep::Lacks(lacking) => {
                drop(gate);
                dependencies.ensure(lacking, &budget).map_err(|error| error.adding("nothing was stopped"))?;
            }
        }
    };
    fault::reach(Point::PinProved);
    // The start may have changed the tally: it is read again.
    gate.confirm()?;
    let failures = records::counted(&state)?.failures;
    let before = desired.pin.replace(options.version.clone());
    records::write_desired(&state, &Desired { failures, ..desired })?;
    let event = Event::now(What::Pinned, 0, &request.asker(), format!("to {}", options.version));
    event::note(&state, &event.version(&options.version));
    Ok(Pinned { version: options.version.clone(), before, applied })
}

/// Releases the pinned version. The worker stays as it is, until a launcher asks for a newer version or a person
/// restarts it. A scope without a pin is success.
///
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// let unpinned = tenure::unpin(&"cache".parse()?, std::time::Duration::from_secs(5))?;
/// assert_eq!(unpinned.before, None, "nothing was pinned");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unpin(scope: &Scope, budget: Duration) -> Result<Unpinned, Error> {
    let budget = Deadline::start(budget);
    let Some(state) = StateDir::open(scope)? else {
        return Ok(Unpinned { before: None, target: None, stands: None });
    };
    let gate = Gate::enter(&state, budget.stage("gate")?)?;
    let mut desired = records::counted(&state)?;
    let before = desired.pin.take();
    if let Some(version) = &before {
        gate.confirm()?;
        records::write_desired(&state, &desired)?;
        let event = Event::now(What::Unpinned, 0, &request::asker(), format!("from {version}"));
        event::note(&state, &event.version(version));
    }
    let target = offers::allowed(&desired).target_version(&Moment::now(), &recipe::can_run);
    // The pin is released by now, so a failed look is no failure of the call.
    let stands = restart::answering(&state, &budget).ok().flatten();
    Ok(Unpinned { before, target, stands })
}

/// The request for the pinned version, with the spec that was offered.
fn request_for(options: &PinOptions, desired: &Desired) -> Result<Request, Error> {
    let spec = desired
        .offered(&options.version)
        .ok_or_else(|| unknown(stage::PIN, &options.version, &options.scope, desired))?;
    if offers::allowed(desired).offered(&options.version).is_none() {
        return Err(untrusted(options, desired));
    }
    let request = Request::new(options.scope.clone(), spec.clone())
        .map_err(|bad| Error::of(ErrorKind::UnknownVersion, bad.to_string()))?
        .budget(options.budget);
    let request = match &options.host {
        Some(host) => request.host(host.clone()),
        None => request,
    };
    Ok(match &options.find_dependency {
        Some(find) => request.find_dependency(find.clone()),
        None => request,
    })
}

/// What came of an attempt to make the version run.
enum PinStep {
    Applied(Applied),
    /// These are to be ensured before a worker of it can be started.
    Lacks(Lacking),
}

/// Makes the version run, where any worker runs, and where nothing is `lacking` for it.
fn apply(call: GatedCall<'_>, lacking: Option<Lacking>) -> Result<PinStep, Error> {
    let GatedCall { gate, request, budget } = call;
    let spec = &request.spec;
    let old = match look(call)? {
        Observation::Answered(hello)
            if runs_version(&hello, &spec.version) && hello.app.state != AppState::Failed =>
        {
            return Ok(PinStep::Applied(Applied::Stood(hello)));
        }
        Observation::Answered(hello) => Some(hello),
        // Somebody may hold the lease without a socket: only a free lease proves that nothing runs.
        Observation::Nobody | Observation::Silent | Observation::Denied(_) | Observation::Foreign(_) => None,
    };
    if let Some(hello) = &old
        && let Some(restarted) = return_to_incumbent(call, hello)?
    {
        return Ok(PinStep::Applied(Applied::Replaced(Box::new(restarted))));
    }
    let old = if old.is_some() { restart::answering(gate.state(), budget)? } else { None };
    recipe::check(spec, request)?;
    if !recipe::can_run(spec) {
        let message = format!("pin {}: its directory {} is gone", spec.version, spec.cwd.display());
        return Err(Error::of(ErrorKind::SpawnFailed, message).at(stage::PROGRAM));
    }
    if old.is_none() && matches!(Lease::try_take(gate.state())?, TryLease::Free(_)) {
        return Ok(PinStep::Applied(Applied::Later));
    }
    if let Some(lacking) = lacking {
        return Ok(PinStep::Lacks(lacking));
    }
    // The pin counts only if its worker is proved within this call, so a late successor is ended.
    let replacement = Replacement { target: spec, old, why: "pin", ends_if_late: true };
    match restart::replace_and_prove(call, replacement) {
        Ok(restarted) => Ok(PinStep::Applied(Applied::Replaced(Box::new(restarted)))),
        Err(failure) => Err(start_unpinned(call, failure)),
    }
}

/// Looks at the worker. If it is of the version and boots or is on probation, this waits until that is over, because
/// the pin counts only then.
fn look(call: GatedCall<'_>) -> Result<Observation, Error> {
    let (state, budget, version) = (call.gate.state(), call.budget, &call.request.spec.version);
    let stage = budget.stage("probe under gate")?.at_most(FIRST_ANSWER);
    let seen = probe::observe(state, stage);
    let is_unsettled = |hello: &Hello| !hello.app.state.is_settled() || hello.probation.is_some();
    if !matches!(&seen, Observation::Answered(hello) if runs_version(hello, version) && is_unsettled(hello)) {
        return Ok(seen);
    }
    let stage = budget.stage("worker boot")?;
    match readiness::await_probation_over(state, stage) {
        // By now it may say that it is another version, or its incumbent may have taken the scope back.
        Ok(hello) if !hello.is_leaving() && !is_unsettled(&hello) => {
            Ok(Observation::Answered(Box::new(hello)))
        }
        // A worker that has not settled answers only when the stage is over.
        Ok(hello) if !hello.is_leaving() => Err(stage.timed_out().into()),
        Ok(_) | Err(_) if stage.remaining().is_zero() => Err(stage.timed_out().into()),
        Ok(_) | Err(_) => {
            let message =
                format!("pin {version}: its worker ended before it had proved itself; no pin was changed");
            Err(Error::of(ErrorKind::SpawnFailed, message))
        }
    }
}

/// Whether the worker was started as `version`, says nothing else, and is not draining.
fn runs_version(hello: &Hello, version: &Version) -> bool {
    hello.version == *version && *hello.effective_version() == *version && !hello.draining
}

/// Sends a worker on probation back, where its incumbent is of the pinned version: the incumbent takes the scope back
/// at once, and is proved. `None` means: the incumbent is of another version, or did not come back.
fn return_to_incumbent(call: GatedCall<'_>, hello: &Hello) -> Result<Option<Restarted>, Error> {
    let GatedCall { gate, request, budget } = call;
    let version = &request.spec.version;
    if hello.probation.as_ref().is_none_or(|probation| probation.before != *version) {
        return Ok(None);
    }
    if !takeover::send_back(call, hello, &format!("a person pins {version}"))? {
        return Ok(None);
    }
    let Some(returned) = readiness::standing(gate.state(), budget) else { return Ok(None) };
    let stage = budget.stage("proof")?.at_most(request.wedged_after);
    let proved = restart::prove(gate.state(), hello.generation, Some(hello), version, stage);
    let (old, new) = (Some(Box::new(hello.clone())), proved.unwrap_or(Box::new(returned)));
    let serves = runs_version(&new, version) && new.app.state == AppState::Ready;
    Ok(serves.then(|| Restarted {
        old,
        new,
        manner: Manner::TakenOver,
        forgotten: Vec::new(),
        displaced: None,
        instead: None,
    }))
}

/// After a pin that failed: starts again what would run without it, and adds the result to `failure`. The pin's budget
/// may be spent, so this has a budget of its own.
fn start_unpinned(call: GatedCall<'_>, failure: Error) -> Error {
    let GatedCall { gate, request, .. } = call;
    // The record is read again: a version that has failed by now, this one or another, is passed over.
    let desired = match records::counted(gate.state()) {
        Ok(desired) => desired,
        Err(error) => {
            return failure.adding(&format!("nothing is pinned, and nothing runs: failed to {error}"));
        }
    };
    let pinned = match &desired.pin {
        Some(version) => format!("{version} stays pinned"),
        None => "nothing is pinned".to_owned(),
    };
    let (startable, _) = offers::startable(&desired, Some(&request.spec.version));
    let Target::Offer { spec, .. } = startable.target(&Moment::now(), &recipe::can_run) else {
        return failure.adding(&format!("{pinned}, and nothing else could be started"));
    };
    let version = &spec.version;
    // A worker that had made room has taken its scope back.
    let wait = Deadline::start(spec.start_timeout.duration());
    let standing = readiness::standing(gate.state(), &wait);
    if let Some(hello) = standing.filter(|hello| hello.version != request.spec.version) {
        return failure.adding(&format!("{pinned}, and version {} goes on serving", hello.version));
    }
    if *version == request.spec.version {
        return failure.adding(&format!("{pinned}; {version} is what runs without the pin too"));
    }
    let start = || {
        let budget = Deadline::start(spec.start_timeout.duration().saturating_add(LONGEST_DRAIN));
        let stop = StopFirst { why: "a pin that failed", silent_for: Duration::ZERO };
        let started = restart::stop_and_start(GatedCall { budget: &budget, ..call }, &spec, &stop)?.started;
        offers::record_start(gate, &spec, started)?.map_or(Ok(()), Err)
    };
    match start() {
        Ok(()) => failure.adding(&format!("{pinned}, and version {version} was started again")),
        Err(error) => {
            failure.adding(&format!("{pinned}, and version {version} did not start again: failed to {error}"))
        }
    }
}

/// The error for the pin of a build: the next build that is offered takes its place on record.
fn no_pin_of_build(build: &Version) -> Error {
    let message = format!("pin build {build}: a pin holds a version, and a build has no order");
    Error::unknown_version(stage::PIN, message, Vec::new())
}

fn untrusted(options: &PinOptions, desired: &Desired) -> Error {
    let offer = desired.offers.iter().find(|offer| offer.spec.version == options.version);
    let path = offer.and_then(|offer| offer.origin.path()).unwrap_or(Path::new("its file"));
    let is_there = offer.is_some_and(|offer| offers::is_content_there(&offer.origin));
    let message = format!(
        "pin {}: it was offered by {}, and that content is not trusted any more; nothing was stopped",
        options.version,
        path.display()
    );
    Error::untrusted(message, path).at(if is_there { "trust" } else { stage::OTHER_CONTENT })
}

/// The error for a version that no launcher has offered.
pub(crate) fn unknown(doing: &'static str, version: &Version, scope: &Scope, desired: &Desired) -> Error {
    let known: Vec<Version> = desired.offers.iter().map(|offer| offer.spec.version.clone()).collect();
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let message = format!("find version {version}: no launcher has offered it to {scope}; known: {names}");
    Error::unknown_version(doing, message, known)
}

//! `pin` and `unpin`: a person holds one version, the only downgrade there is, and releases it.
//!
//! A pin is a version that some launcher has offered, with the spec that it offered. It counts once a worker of it
//! stands: if it does not start, the record stays as it was (an earlier pin still holds) and what would run without
//! this pin is started again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use semver::Version;

use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind};
use crate::fault::{self, Point};
use crate::launch::probe::{self, FIRST_ANSWER};
use crate::launch::request::{self, DEFAULT_BUDGET, Request};
use crate::launch::stop_and_prove::LONGEST_DRAIN;
use crate::launch::{limits, readiness, recipe};
use crate::ops::restart::{self, Manner, ReplacementReason, Restarted};
use crate::ops::{candidates, takeover};
use crate::policy::decide::Observation;
use crate::protocol::wire::{AppState, Hello};
use crate::record::desired::{Desired, StartTarget};
use crate::spec::scope::Scope;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::lease::{Lease, TryLease};
use crate::store::paths::StateDir;
use crate::store::records;

/// A request to hold a version.
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
    /// The version; one that was offered.
    pub version: Version,
    /// The longest time that the call may take.
    pub budget: Duration,
    /// The `tenure` executable that hosts programs, as for [`Request::host`].
    pub host: Option<PathBuf>,
}

impl PinOptions {
    /// Holds `version` of the worker of `scope`, within the usual budget.
    #[must_use]
    pub fn new(scope: Scope, version: Version) -> Self {
        Self { scope, version, budget: DEFAULT_BUDGET, host: None }
    }
}

/// A version is held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pinned {
    /// The version.
    pub version: Version,
    /// The version that was held before, where one was.
    pub before: Option<Version>,
    /// What that did to the worker.
    pub applied: Applied,
}

/// What a pin did to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// A worker of the version stood already.
    Stood(Box<Hello>),
    /// It was replaced, and the new one proved.
    Replaced(Box<Restarted>),
    /// None runs; the next one will be of that version.
    Later,
}

/// A version is no longer held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpinned {
    /// The version that was held, where one was.
    pub before: Option<Version>,
    /// The version that would be started now.
    pub target: Option<Version>,
    /// The worker that stands; it stays until a launcher asks for a newer version, or a person restarts it.
    pub stands: Option<Box<Hello>>,
}

/// Holds a version: whatever is offered, nothing else is started. A worker of another version is replaced at once, and
/// the new one is proved as a restart is.
///
/// # Errors
/// [`ErrorKind::UnknownVersion`] with those that are known; [`ErrorKind::SpawnFailed`] when its program is gone, before
/// anything is stopped; [`ErrorKind::RestartUnproved`] when it does not start: the record stays as it was then, and
/// what would run without this pin is started again; otherwise as [`restart`](crate::ops::restart::restart).
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
pub fn pin(request: &PinOptions) -> Result<Pinned, Error> {
    let budget = Deadline::start(request.budget);
    let Some(state) = StateDir::open(&request.scope)? else {
        return Err(unknown("pin", &request.version, &request.scope, &Desired::default()));
    };
    if request::is_inside(&state) {
        let message = format!("pin {}: this process is part of that worker", request.scope);
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    limits::check()?;
    let to = wanted(request, &records::read_desired(&state)?)?;
    let gate = Gate::enter_for(&state, budget.stage("gate")?, to.gate_time())?;
    let mut desired = candidates::counted(&gate)?;
    let to = wanted(request, &desired)?;
    // What workers left in the ledger goes with the next generation.
    candidates::keep(&gate, &desired, &to)?;

    let applied = apply(&gate, &to, &budget)?;
    fault::reach(Point::PinProved);
    // The start may have changed the tally: it is read again.
    gate.confirm()?;
    let failures = candidates::counted(&gate)?.failures;
    let before = desired.hold.replace(request.version.clone());
    records::write_desired(&state, &Desired { failures, ..desired })?;
    let event = Event::now(What::Pinned, 0, &to.asker(), format!("to {}", request.version));
    event::note(&state, &event.version(&request.version));
    Ok(Pinned { version: request.version.clone(), before, applied })
}

/// Releases the held version. The worker stays as it is: what replaces it is a launcher that asks for a newer version,
/// or a restart. Nothing held is success.
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
    let mut desired = candidates::counted(&gate)?;
    let before = desired.hold.take();
    if let Some(version) = &before {
        gate.confirm()?;
        records::write_desired(&state, &desired)?;
        let event = Event::now(What::Unpinned, 0, &request::asker(), format!("from {version}"));
        event::note(&state, &event.version(version));
    }
    let target = candidates::allowed(&desired).target_version(&Moment::now(), &recipe::can_run);
    // It is written: what cannot be seen now makes no failure of it.
    let stands = restart::before(&state, &budget).ok().flatten();
    Ok(Unpinned { before, target, stands })
}

/// The order for the version, as it was offered.
fn wanted(request: &PinOptions, desired: &Desired) -> Result<Request, Error> {
    let spec = desired
        .offered(&request.version)
        .ok_or_else(|| unknown("pin", &request.version, &request.scope, desired))?;
    if candidates::allowed(desired).offered(&request.version).is_none() {
        return Err(untrusted(request, desired));
    }
    let to = Request::new(request.scope.clone(), spec.clone())
        .map_err(|bad| Error::of(ErrorKind::UnknownVersion, bad.to_string()))?
        .budget(request.budget);
    Ok(match &request.host {
        Some(host) => to.host(host.clone()),
        None => to,
    })
}

fn apply(gate: &Gate<'_>, to: &Request, budget: &Deadline) -> Result<Applied, Error> {
    let old = match look(gate, to, budget)? {
        Observation::Answered(hello) if is_wanted(&hello, to) && hello.app.state != AppState::Failed => {
            return Ok(Applied::Stood(hello));
        }
        Observation::Answered(hello) => Some(hello),
        // Somebody may hold the lease without a socket: only a free one says that nothing runs.
        Observation::Nobody | Observation::Silent | Observation::Denied(_) | Observation::Foreign(_) => None,
    };
    if let Some(hello) = &old
        && let Some(back) = go_back(gate, hello, to, budget)?
    {
        return Ok(Applied::Replaced(Box::new(back)));
    }
    let old = if old.is_some() { restart::before(gate.state(), budget)? } else { None };
    recipe::check(&to.spec, to)?;
    if !recipe::can_run(&to.spec) {
        let message = format!("pin {}: its directory {} is gone", to.spec.version, to.spec.cwd.display());
        return Err(Error::of(ErrorKind::SpawnFailed, message).at("program"));
    }
    if old.is_none() && matches!(Lease::try_take(gate.state())?, TryLease::Free(_)) {
        return Ok(Applied::Later);
    }
    // It counts once its version stands, and not later.
    let cause = ReplacementReason { why: "pin", abandons: true };
    match restart::put(gate, &to.spec, to, (old.clone(), cause), budget) {
        Ok(restarted) => Ok(Applied::Replaced(Box::new(restarted))),
        Err(failure) => Err(put_back(gate, to, failure)),
    }
}

/// The version is the one from which the worker that stands took over, and it can still come back: it does so at once,
/// and is proved. `None`: that is not so, or not any more.
fn go_back(
    gate: &Gate<'_>,
    hello: &Hello,
    to: &Request,
    budget: &Deadline,
) -> Result<Option<Restarted>, Error> {
    let version = &to.spec.version;
    if hello.probation.as_ref().is_none_or(|probation| probation.before != *version) {
        return Ok(None);
    }
    let why = format!("a person pins {version}");
    if !takeover::send_back(gate, hello, (&why, to), budget)? {
        return Ok(None);
    }
    let Some(back) = readiness::standing(gate.state(), budget) else { return Ok(None) };
    let stage = budget.stage("proof")?.at_most(to.wedged_after);
    let proved = restart::prove(gate.state(), (hello.generation, Some(hello)), version, stage);
    let (old, new) = (Some(Box::new(hello.clone())), proved.unwrap_or(Box::new(back)));
    let is_it = is_wanted(&new, to) && new.app.state == AppState::Ready;
    Ok(is_it.then(|| Restarted { old, new, manner: Manner::TakenOver, forgotten: Vec::new(), instead: None }))
}

/// What stands. A worker of the version that still boots, or is on probation, is waited for: it counts once it stands.
fn look(gate: &Gate<'_>, to: &Request, budget: &Deadline) -> Result<Observation, Error> {
    let stage = budget.stage("probe under gate")?.at_most(FIRST_ANSWER);
    let seen = probe::observe(gate.state(), stage);
    let boots = |hello: &Hello| !hello.app.state.is_settled() || hello.probation.is_some();
    if !matches!(&seen, Observation::Answered(hello) if is_wanted(hello, to) && boots(hello)) {
        return Ok(seen);
    }
    let version = &to.spec.version;
    let stage = budget.stage("worker boot")?;
    match readiness::await_proved(gate.state(), stage) {
        // It may say only now that it is another version, or have made room for the one before it.
        Ok(hello) if !hello.is_leaving() && !boots(&hello) => Ok(Observation::Answered(Box::new(hello))),
        // It answers before it has settled only when our time is over.
        Ok(hello) if !hello.is_leaving() => Err(stage.timed_out().into()),
        Ok(_) | Err(_) if stage.remaining().is_zero() => Err(stage.timed_out().into()),
        Ok(_) | Err(_) => {
            let message =
                format!("pin {version}: its worker ended before it had proved itself; no pin was changed");
            Err(Error::of(ErrorKind::SpawnFailed, message))
        }
    }
}

/// Started as the version, and saying nothing else.
fn is_wanted(hello: &Hello, to: &Request) -> bool {
    hello.version == to.spec.version && *hello.effective_version() == to.spec.version && !hello.draining
}

/// Starts again what would run without the pin. It has its own time: the pin's may be spent.
fn put_back(gate: &Gate<'_>, to: &Request, failure: Error) -> Error {
    // The record as it is now: the version that has just failed is passed over.
    let desired = match records::read_desired(gate.state()) {
        Ok(desired) => desired,
        Err(error) => {
            return failure.adding(&format!("nothing is held, and nothing runs: failed to {error}"));
        }
    };
    let held = match &desired.hold {
        Some(version) => format!("{version} stays held"),
        None => "nothing is held".to_owned(),
    };
    let (choice, _) = candidates::to_choose_from(&desired, Some(&to.spec.version));
    let StartTarget::Offer { spec, .. } = choice.target(&Moment::now(), &recipe::can_run) else {
        return failure.adding(&format!("{held}, and nothing else could be started"));
    };
    let version = &spec.version;
    // One that made room has taken its place back.
    let own = Deadline::start(spec.start_timeout.duration());
    if let Some(hello) =
        readiness::standing(gate.state(), &own).filter(|hello| hello.version != to.spec.version)
    {
        return failure.adding(&format!("{held}, and version {} goes on serving", hello.version));
    }
    if *version == to.spec.version {
        return failure.adding(&format!("{held}; {version} is what runs without the pin too"));
    }
    let again = || {
        let budget = Deadline::start(spec.start_timeout.duration().saturating_add(LONGEST_DRAIN));
        let (started, _) =
            restart::start_after(gate, &spec, to, ("a pin that failed", Duration::ZERO), &budget)?;
        candidates::record_start(gate, &spec, started)?.map_or(Ok(()), Err)
    };
    match again() {
        Ok(()) => failure.adding(&format!("{held}, and version {version} was started again")),
        Err(error) => {
            failure.adding(&format!("{held}, and version {version} did not start again: failed to {error}"))
        }
    }
}

fn untrusted(request: &PinOptions, desired: &Desired) -> Error {
    let offer = desired.offers.iter().find(|offer| offer.spec.version == request.version);
    let path = offer.and_then(|offer| offer.origin.path()).unwrap_or(Path::new("its file"));
    let is_there = offer.is_some_and(|offer| candidates::is_content_there(&offer.origin));
    let message = format!(
        "pin {}: it was offered by {}, and that content is not trusted any more; nothing was stopped",
        request.version,
        path.display()
    );
    Error::untrusted(message, path).at(if is_there { "trust" } else { "other content" })
}

pub(crate) fn unknown(doing: &'static str, version: &Version, scope: &Scope, desired: &Desired) -> Error {
    let known: Vec<Version> = desired.offers.iter().map(|offer| offer.spec.version.clone()).collect();
    let told: Vec<String> = known.iter().map(ToString::to_string).collect();
    let told = if told.is_empty() { "none".to_owned() } else { told.join(", ") };
    let message = format!("find version {version}: no launcher has offered it to {scope}; known: {told}");
    Error::unknown_version(doing, message, known)
}

//! `ensure`: exactly one healthy worker of the right version, from any number of launchers.
//!
//! The story only: look, wait or enter the gate, look again, judge, act, answer. Each step is a room of its own; the
//! memory of one call is [`Errand`], and every wait is cut from one budget.

use std::time::Duration;

use crate::deadline::{Deadline, Moment};
use crate::desired::{Desired, Failure, Target};
use crate::errand::{Act, Errand, How};
use crate::error::{Error, ErrorKind};
use crate::gate::Gate;
use crate::judge::{Aim, Fault, Usable, Verdict, Want, Warning, judge};
use crate::lease::Lease;
use crate::offers;
use crate::order::{self, Order};
use crate::paths::StateDir;
use crate::probe::{self, Observation};
use crate::readiness::{self, Outcome};
use crate::spec::Spec;
use crate::start;
use crate::vacate::Room;
use crate::wire::{AppState, Endpoint, Hello};

/// What a call of [`ensure`] ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// A worker serves.
    Serving(How, Box<Usable>),
    /// The budget ended while a worker was still booting; it goes on. Not an error.
    Warming(Option<Box<Hello>>),
    /// No worker serves, and starting one was not allowed.
    Down,
}

impl Ensured {
    /// The worker's own account, where there is one.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        match self {
            Self::Serving(_, usable) => Some(&usable.hello),
            Self::Warming(hello) => hello.as_deref(),
            Self::Down => None,
        }
    }

    /// Where the worker serves; empty unless it does.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        match self {
            Self::Serving(_, usable) => &usable.hello.endpoints,
            Self::Warming(_) | Self::Down => &[],
        }
    }
}

/// Returns when exactly one healthy worker of at least the wanted version serves; starts it if need be.
///
/// Any number of concurrent calls, from any number of processes, make one worker. A worker that is up costs one
/// connection and one answer: no lock is taken and nothing is written. The call ends within the order's budget (plus the
/// time in which the kernel ends a process) with an answer or a typed error. It never ends a healthy worker except one that
/// is older than the highest version offered, never downgrades, and never touches a process that it cannot verify.
///
/// # Errors
/// [`ErrorKind::SpawnFailed`], [`ErrorKind::SpawnSuppressed`], [`ErrorKind::SpecConflict`], [`ErrorKind::ClientTooOld`],
/// [`ErrorKind::Recursion`], [`ErrorKind::Denied`], [`ErrorKind::NotOurs`], [`ErrorKind::Wedged`],
/// [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`], [`ErrorKind::Survivor`], [`ErrorKind::StillUnusable`],
/// [`ErrorKind::StateUnusable`], [`ErrorKind::RecordUnusable`].
pub fn ensure(order: &Order) -> Result<Ensured, Error> {
    let budget = Deadline::start(order.budget);
    let want = Want::of(&order.spec);
    let mut call = Call { order, want, budget, errand: Errand::default(), failure: None };

    // Fast path: nothing is written and no lock is taken.
    if let Some(state) = StateDir::open(&order.scope)? {
        refuse_inside(&state)?;
        if let Some(ensured) = call.look(&state)? {
            return Ok(ensured);
        }
    }
    if !order.may_spawn() {
        return Ok(Ensured::Down);
    }

    // Slow path: one launcher at a time acts for this scope, on a fresh look; the others wait in the kernel.
    let state = StateDir::create(&order.scope)?;
    refuse_inside(&state)?;
    loop {
        if let Some(ensured) = call.act(&state)? {
            return Ok(ensured);
        }
        if let Some(ensured) = call.look(&state)? {
            return Ok(ensured);
        }
    }
}

/// One call: what is wanted, what is left of its budget, what it has done.
struct Call<'order> {
    order: &'order Order,
    want: Want,
    budget: Deadline,
    errand: Errand,
    failure: Option<Error>,
}

impl Call<'_> {
    /// Looks without a lock: a worker that serves is used, one that boots is waited for.
    fn look(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        loop {
            let seen = probe::observe(state, self.budget.stage("probe")?.at_most(self.order.first_answer));
            match judge(&self.want, &Aim::Unknown, &seen) {
                Verdict::Use(usable) => return Ok(Some(self.serving(Verdict::Use(usable)))),
                Verdict::Await(hello) if self.order.may_spawn() => {
                    self.errand.step(Verdict::Await(hello.clone()));
                    if let Some(warming) = self.await_settled(state, hello) {
                        return Ok(Some(warming));
                    }
                }
                Verdict::Await(hello) => return Ok(Some(Ensured::Warming(Some(hello)))),
                Verdict::Refuse(refusal) => return Err(refusal.into()),
                Verdict::AwaitEnd(_) | Verdict::TryLease | Verdict::Suspect | Verdict::Replace(..) => {
                    return Ok(None);
                }
            }
        }
    }

    /// Under the gate: looks again, and does what the fresh look asks for. `None` means: look again.
    fn act(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        let gate = Gate::enter_for(state, self.budget.stage("gate")?, self.order.gate_time())?;
        let desired = offers::with_offer(&gate, &self.order.spec)?;
        let target =
            desired.target(&Moment::now(), &|spec| start::can_run(spec) && !self.has_failed(&desired, spec));
        let seen =
            probe::observe(state, self.budget.stage("probe under gate")?.at_most(self.order.first_answer));
        let act = self.errand.step(judge(&self.want, &aim(&target, self.failure.as_ref()), &seen));
        if !matches!(act, Act::Refuse(_)) {
            offers::keep(&gate, &desired)?;
        }
        let room = Room { gate: &gate, order: self.order, budget: &self.budget };
        let lease = match act {
            Act::Answer(how, usable) => {
                return Ok(Some(Ensured::Serving(how, explained(usable, why_skipped(&target)))));
            }
            Act::Await(_) => return Ok(None),
            Act::Refuse(refusal) => return Err(refusal.into()),
            Act::GiveUp(hello, fault) => return Err(still_unusable(&hello, &fault)),
            Act::Start | Act::AwaitEnd(_) => {
                self.startable(&target)?;
                room.take()?
            }
            Act::Suspect => room.unmask(|| self.startable(&target).map(drop))?,
            Act::Replace(hello, fault) => {
                self.startable(&target)?;
                let lease = room.replace(&hello, why(&fault))?;
                self.errand.retired();
                Some(lease)
            }
        };
        match lease {
            Some(lease) => self.start(&gate, lease, self.startable(&target)?),
            None => Ok(None),
        }
    }

    /// Whether this call has seen this very offer fail: it is not tried again in the same call, quarantine or not.
    fn has_failed(&self, desired: &Desired, spec: &Spec) -> bool {
        !self.errand.may_start(&spec.version) && desired.failure(spec).is_some()
    }

    /// The spec that may be started now, or why none may: asked before anything is stopped to make room.
    fn startable<'target>(&self, target: &'target Target) -> Result<&'target Spec, Error> {
        match (target, &self.failure) {
            (Target::Offer { spec, .. }, _) if self.errand.may_start(&spec.version) => {
                start::check(spec, self.order)?;
                Ok(spec)
            }
            (_, Some(failure)) => Err(failure.clone()),
            (Target::Suppressed { failure, wait }, None) => Err(suppressed(failure, *wait)),
            (Target::Missing { program }, None) => Err(missing(&self.order.spec, program)),
            (Target::Offer { .. }, None) => Err(Error::of(ErrorKind::Bug, "choose what to start")),
        }
    }

    /// Starts the target and answers, or remembers how it failed and looks again for another offer.
    fn start(&mut self, gate: &Gate<'_>, lease: Lease, spec: &Spec) -> Result<Option<Ensured>, Error> {
        let started = start::start(gate, lease, spec, self.order, &self.budget);
        if let Ok(Outcome::StillBooting) = started {
            return Ok(Some(Ensured::Warming(None)));
        }
        let ready = match &started {
            Ok(Outcome::Ready(hello)) => Some(Observation::Answered(hello.clone())),
            Ok(Outcome::StillBooting | Outcome::Failed(_)) | Err(_) => None,
        };
        if let Some(failure) = offers::settle(gate, spec, started)? {
            self.errand.start_failed(&spec.version);
            self.failure = Some(failure);
        }
        let Some(ready) = ready else { return Ok(None) };
        self.errand.started();
        let verdict = judge(&self.want, &Aim::Version(spec.version.clone()), &ready);
        Ok(matches!(verdict, Verdict::Use(_)).then(|| self.serving(verdict)))
    }

    /// Waits for a worker that has said that it boots; `None` means: look again. A budget that ends meanwhile is no error,
    /// wherever in the wait it ends.
    fn await_settled(&self, state: &StateDir, booting: Box<Hello>) -> Option<Ensured> {
        let warming = |hello| Some(Ensured::Warming(Some(hello)));
        let Ok(stage) = self.budget.stage("worker boot") else { return warming(booting) };
        match readiness::await_settled(state, stage) {
            Ok(hello) if is_settled(&hello) => None,
            // It answers before it has settled only when our time is over.
            Ok(hello) => warming(Box::new(hello)),
            Err(_) if self.budget.remaining().is_zero() => warming(booting),
            // It died, or was replaced: the next look tells.
            Err(_) => None,
        }
    }

    fn serving(&mut self, verdict: Verdict) -> Ensured {
        match self.errand.step(verdict) {
            Act::Answer(how, usable) => {
                let why = self.failure.as_ref().map(Error::cause_of_start);
                Ensured::Serving(how, explained(usable, why))
            }
            Act::Await(hello) | Act::AwaitEnd(hello) | Act::Replace(hello, _) | Act::GiveUp(hello, _) => {
                Ensured::Warming(Some(hello))
            }
            Act::Start | Act::Suspect | Act::Refuse(_) => Ensured::Warming(None),
        }
    }
}

fn refuse_inside(state: &StateDir) -> Result<(), Error> {
    if order::is_inside(state) {
        let message = format!("ensure {}: this process is part of that worker", state.scope());
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    Ok(())
}

fn aim(target: &Target, failure: Option<&Error>) -> Aim {
    match target {
        Target::Missing { .. } | Target::Suppressed { .. } if let Some(failure) = failure => {
            Aim::Nothing(failure.cause_of_start().to_owned())
        }
        Target::Offer { spec, .. } => Aim::Version(spec.version.clone()),
        Target::Suppressed { failure, .. } => Aim::Nothing(failure.error.clone()),
        Target::Missing { program } => Aim::Nothing(format!("its program {program:?} is gone")),
    }
}

fn why_skipped(target: &Target) -> Option<&str> {
    match target {
        Target::Offer { skipped, .. } => skipped.as_ref().map(|failure| failure.error.as_str()),
        Target::Suppressed { .. } | Target::Missing { .. } => None,
    }
}

/// The same worker, where the warning that the offer does not run says how it failed.
fn explained(mut usable: Box<Usable>, failure: Option<&str>) -> Box<Usable> {
    for warning in &mut usable.warnings {
        if let (Warning::OfferNotRunning { why, .. }, Some(failure)) = (warning, failure) {
            failure.clone_into(why);
        }
    }
    usable
}

fn suppressed(failure: &Failure, wait: Duration) -> Error {
    let times = if failure.count == 1 { "once".to_owned() } else { format!("{} times", failure.count) };
    let message = format!("start the worker: it failed a moment ago, {times}: {}", failure.error);
    Error::of(ErrorKind::SpawnSuppressed, message).at("suppression").after(wait)
}

fn missing(spec: &Spec, program: &str) -> Error {
    let what = if spec.cwd.is_dir() {
        format!("there is no program {program:?}")
    } else {
        format!("there is no directory {}", spec.cwd.display())
    };
    Error::of(ErrorKind::SpawnFailed, format!("start the worker: {what}")).at("program")
}

fn is_settled(hello: &Hello) -> bool {
    !matches!(hello.app.state, AppState::Booting | AppState::BackOff)
}

fn why(fault: &Fault) -> String {
    match fault {
        Fault::Older { target } => format!("it is older than {target}"),
        Fault::Failed { reason } => format!("its app has failed: {reason}"),
        Fault::Stalled { for_ms } => format!("its app has not answered for {for_ms} ms"),
    }
}

fn still_unusable(hello: &Hello, fault: &Fault) -> Error {
    let (version, pid) = (&hello.version, hello.identity.pid);
    let message = format!(
        "get a usable worker: after one replacement, pid {pid} (version {version}) stands and {}",
        why(fault)
    );
    Error::of(ErrorKind::StillUnusable, message)
}

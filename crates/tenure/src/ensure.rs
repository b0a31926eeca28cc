//! `ensure`: exactly one healthy worker of the right version, from any number of launchers.
//!
//! The story only: look, wait or enter the gate, look again, judge, act, answer. Each step is a room of its own; the
//! memory of one call is [`Errand`], and every wait is cut from one budget.

use crate::deadline::{Deadline, Moment};
use crate::desired::{Desired, Target};
use crate::errand::{Act, Errand, How};
use crate::error::{Error, ErrorKind};
use crate::event::{self, Event, What};
use crate::gate::Gate;
use crate::judge::{Aim, Fault, Suspicion, Usable, Verdict, Want, judge, suspect};
use crate::lease::{Lease, TryLease};
use crate::offers;
use crate::order::{self, Order};
use crate::paths::{StateDir, file};
use crate::probe::{self, Observation};
use crate::readiness::{self, BootFailure, Outcome};
use crate::records;
use crate::retire::{self, LONGEST_DRAIN, Purpose, Retired};
use crate::spec::Spec;
use crate::start;
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
    failure: Option<BootFailure>,
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
        let mut desired = offers::with_offer(&gate, &self.order.spec)?;
        let target = desired.target(&Moment::now(), &start::can_run);
        let seen =
            probe::observe(state, self.budget.stage("probe under gate")?.at_most(self.order.first_answer));
        let act = self.errand.step(judge(&self.want, &aim(&target), &seen));
        if !matches!(act, Act::Refuse(_)) {
            offers::keep(&gate, &desired)?;
        }
        let lease = match act {
            Act::Answer(how, usable) => return Ok(Some(Ensured::Serving(how, usable))),
            Act::Await(_) => return Ok(None),
            Act::Refuse(refusal) => return Err(refusal.into()),
            Act::GiveUp(hello, fault) => return Err(still_unusable(&hello, &fault)),
            Act::Start | Act::AwaitEnd(_) => {
                self.startable(&target)?;
                self.take_lease(&gate)?
            }
            Act::Suspect => self.unmask(&gate, &target)?,
            Act::Replace(hello, fault) => {
                self.startable(&target)?;
                Some(self.replace(&gate, &hello, &fault)?)
            }
        };
        match lease {
            Some(lease) => self.start(&gate, lease, self.startable(&target)?, &mut desired),
            None => Ok(None),
        }
    }

    /// The spec that may be started now, or why none may.
    fn startable<'target>(&self, target: &'target Target) -> Result<&'target Spec, Error> {
        match (target, &self.failure) {
            (Target::Offer { spec, .. }, _) if self.errand.may_start(&spec.version) => Ok(spec),
            (_, Some(failure)) => Err(Error::boot_failed(failure)),
            (Target::Suppressed { failure, wait }, None) => Err(Error::of(
                ErrorKind::SpawnSuppressed,
                format!(
                    "start the worker: it failed a moment ago ({} times): {}",
                    failure.count, failure.error
                ),
            )
            .after(*wait)),
            (Target::Missing { program }, None) => Err(missing(&self.order.spec, program)),
            (Target::Offer { .. }, None) => Err(Error::of(ErrorKind::Bug, "choose what to start")),
        }
    }

    /// The lease, or `None` when somebody else got there first. A busy lease without a listener is being torn down: the
    /// kernel wakes us when its last holder is gone, and a holder that outstays every drain is wedged.
    fn take_lease(&self, gate: &Gate<'_>) -> Result<Option<Lease>, Error> {
        if let TryLease::Free(lease) = Lease::try_take(gate.state())? {
            self.note_found_dead(gate)?;
            return Ok(Some(lease));
        }
        let patience = self.order.wedged_after.saturating_add(self.order.spec.end_budget());
        let stage = self.budget.stage("lease")?.at_most(patience);
        match Lease::take_within(gate.state(), stage)? {
            TryLease::Free(lease) => Ok(Some(lease)),
            TryLease::Busy => {
                self.budget.stage("lease")?;
                self.end_wedged(gate).map(Some)
            }
        }
    }

    /// Waits for a silent holder to answer, as long as it may be silent; past that it is wedged and ended.
    fn unmask(&self, gate: &Gate<'_>, target: &Target) -> Result<Option<Lease>, Error> {
        let began = crate::deadline::monotonic();
        loop {
            let lease = Lease::try_take(gate.state())?;
            let ledger = records::read_ledger(gate.state())?;
            let booting_for =
                ledger.booting_until.map_or_else(Default::default, |until| until.ahead_of(&Moment::now()));
            let silent_for = crate::deadline::monotonic().saturating_sub(began);
            let busy = matches!(lease, TryLease::Busy);
            match (suspect(busy, silent_for, booting_for, self.order.wedged_after), lease) {
                (Suspicion::NoWorker, TryLease::Free(lease)) => return Ok(Some(lease)),
                (Suspicion::Wedged, _) => {
                    self.startable(target)?;
                    return self.end_wedged(gate).map(Some);
                }
                (Suspicion::Wait(limit), _) => {
                    let stage = self.budget.stage("silent worker")?.at_most(limit);
                    if probe::observe(gate.state(), stage) != Observation::Silent {
                        return Ok(None);
                    }
                }
                (Suspicion::NoWorker, TryLease::Busy) => return Ok(None),
            }
        }
    }

    fn end_wedged(&self, gate: &Gate<'_>) -> Result<Lease, Error> {
        gate.confirm()?;
        let ledger = records::read_ledger(gate.state())?;
        let retired = retire::end_wedged(gate, &ledger)?;
        self.note(gate, What::EndedWedged, &retired, "it did not answer");
        Ok(retired.lease)
    }

    /// Retires the standing worker to make room for the target.
    fn replace(&mut self, gate: &Gate<'_>, hello: &Hello, fault: &Fault) -> Result<Lease, Error> {
        gate.confirm()?;
        let why = why(fault);
        event::note(
            gate.state(),
            &Event::now(What::Replacing, hello.generation, &self.order.asker(), why.as_str())
                .version(&hello.version)
                .pid(hello.identity.pid),
        );
        let ledger = records::read_ledger(gate.state())?;
        let purpose = Purpose { reason: why, by: self.order.asker(), patience: LONGEST_DRAIN };
        let retired = retire::retire(gate, &ledger, &purpose, self.budget.stage("retire")?)?;
        self.errand.retired();
        self.note(gate, What::Stopped, &retired, "it made room");
        Ok(retired.lease)
    }

    /// Starts the target and answers, or remembers how it failed and looks again for another offer.
    fn start(
        &mut self,
        gate: &Gate<'_>,
        lease: Lease,
        spec: &Spec,
        desired: &mut Desired,
    ) -> Result<Option<Ensured>, Error> {
        match start::start(gate, lease, spec, self.order, &self.budget)? {
            Outcome::Ready(hello) => {
                self.errand.started();
                offers::succeeded(gate, desired, spec)?;
                let aim = Aim::Version(spec.version.clone());
                let verdict = judge(&self.want, &aim, &Observation::Answered(hello));
                Ok(matches!(verdict, Verdict::Use(_)).then(|| self.serving(verdict)))
            }
            Outcome::StillBooting => Ok(Some(Ensured::Warming(None))),
            Outcome::Failed(failure) => {
                let event = Event::now(What::StartFailed, 0, &self.order.asker(), failure.message.as_str());
                event::note(gate.state(), &event.version(&spec.version).pid(failure.pid));
                if failure.is_its_own() {
                    offers::failed(gate, desired, spec, &failure.message)?;
                }
                self.errand.start_failed(&spec.version);
                self.failure = Some(failure);
                Ok(None)
            }
        }
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
            Act::Answer(how, usable) => Ensured::Serving(how, usable),
            Act::Await(hello) | Act::AwaitEnd(hello) | Act::Replace(hello, _) | Act::GiveUp(hello, _) => {
                Ensured::Warming(Some(hello))
            }
            Act::Start | Act::Suspect | Act::Refuse(_) => Ensured::Warming(None),
        }
    }

    /// A worker that ends in order removes its socket: one that stands without a lease belongs to a worker that died.
    fn note_found_dead(&self, gate: &Gate<'_>) -> Result<(), Error> {
        if gate.state().dir().exists(file::CONTROL).unwrap_or(false) {
            let ledger = records::read_ledger(gate.state())?;
            let why = "its socket stands and nobody holds its lease";
            let mut event = Event::now(What::FoundDead, ledger.generation, &self.order.asker(), why);
            event.version.clone_from(&ledger.version);
            event.pid = ledger.lineage.first().map(|identity| identity.pid);
            event::note(gate.state(), &event);
        }
        Ok(())
    }

    fn note(&self, gate: &Gate<'_>, what: What, retired: &Retired, why: &str) {
        let why = format!("{why} ({:?})", retired.ending);
        let mut event = Event::now(what, 0, &self.order.asker(), why);
        event.pid = retired.pid;
        event::note(gate.state(), &event);
    }
}

fn refuse_inside(state: &StateDir) -> Result<(), Error> {
    if order::is_inside(state) {
        let message = format!("ensure {}: this process is part of that worker", state.scope());
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    Ok(())
}

fn aim(target: &Target) -> Aim {
    match target {
        Target::Offer { spec, .. } => Aim::Version(spec.version.clone()),
        Target::Suppressed { failure, .. } => Aim::Nothing(failure.error.clone()),
        Target::Missing { program } => Aim::Nothing(format!("its program {program:?} is gone")),
    }
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

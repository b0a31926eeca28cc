//! `ensure`: exactly one healthy worker of the right version, from any number of launchers.
//!
//! The story only: look, wait or enter the gate, look again, judge, act, answer. Each step is a room of its own; the
//! memory of one call is [`Errand`], and every wait is cut from one budget.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::launch::limits;
use crate::launch::probe;
use crate::launch::readiness::{self, Outcome, UNHEARD, VANISHED};
use crate::launch::request::{self, Order};
use crate::launch::start::{self, StartError};
use crate::ops::acquire::Room;
use crate::ops::candidates;
use crate::ops::choice::{self, Plan};
use crate::ops::takeover::{self, Attempt, Reason};
use crate::policy::attempt::{Act, Errand, How};
use crate::policy::decide::Observation;
use crate::policy::decide::{Aim, Fault, Usable, Verdict, Want, judge};
use crate::protocol::wire::{AppState, Endpoint, Hello};
use crate::spec::Spec;
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::StateDir;

/// What a call of [`ensure`] ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// A worker serves.
    Serving(How, Box<Usable>),
    /// The budget ended while a worker was still booting, or while one of a lower version than the wanted one was on
    /// probation, from which nobody can take over; it goes on. Not an error.
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
/// A worker that takes the place of another is answered with as soon as it serves: its probation goes on between the two,
/// and if it fails, the one before it serves again and the next call is told.
///
/// Any number of concurrent calls, from any number of processes, make one worker. A worker that is up costs one
/// connection and one answer: no lock is taken and nothing is written. One that is older than the offer and is to stay (a
/// person pinned it, or the offered version does not run) costs one more read of the record, still without a lock. The call
/// ends within the order's budget (plus the time in which the kernel ends a process) with an answer or a typed error. It ends
/// no healthy worker except one that is older than the target, or whose build has changed; it never downgrades, and never
/// signals a process that it cannot verify.
///
/// # Errors
/// [`ErrorKind::SpawnFailed`], [`ErrorKind::SpawnSuppressed`], [`ErrorKind::SpecConflict`], [`ErrorKind::ClientTooOld`],
/// [`ErrorKind::VersionDisagrees`], [`ErrorKind::HeldDown`], [`ErrorKind::Untrusted`], [`ErrorKind::LimitTooLow`],
/// [`ErrorKind::RecordTooNew`], [`ErrorKind::Recursion`], [`ErrorKind::Denied`], [`ErrorKind::NotOurs`], [`ErrorKind::Wedged`],
/// [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`], [`ErrorKind::Survivor`], [`ErrorKind::StillUnusable`],
/// [`ErrorKind::StateUnusable`], [`ErrorKind::RecordUnusable`].
pub fn ensure(order: &Order) -> Result<Ensured, Error> {
    let budget = Deadline::start(order.budget);
    let want = Want::of(&order.spec);
    let errand = Errand::default();
    let mut call = Call { order, want, budget, errand, failure: None, kept_from: None, unheard: false };

    // Fast path: nothing is written and no lock is taken.
    if let Some(state) = StateDir::open(&order.scope)? {
        refuse_inside(&state)?;
        // What is held down is released under the gate, whatever stands.
        let releases = order.start && candidates::is_down(&state);
        if !releases {
            match call.look(&state) {
                Ok(Some(ensured)) => return Ok(ensured),
                Ok(None) => {}
                Err(spent) if spent.kind() == ErrorKind::TimedOut => return call.out_of_time(spent),
                Err(error) => return Err(error),
            }
        }
    }
    if !order.may_spawn() {
        return Ok(Ensured::Down);
    }

    limits::check()?;

    // Slow path: one launcher at a time acts for this scope, on a fresh look; the others wait in the kernel.
    let state = StateDir::create(&order.scope)?;
    refuse_inside(&state)?;
    loop {
        let ensured = call.act(&state).and_then(|acted| match acted {
            Some(ensured) => Ok(Some(ensured)),
            None => call.look(&state),
        });
        match ensured {
            Ok(Some(ensured)) => return Ok(ensured),
            Ok(None) => {}
            Err(spent) if spent.kind() == ErrorKind::TimedOut => return call.out_of_time(spent),
            Err(error) => return Err(error),
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
    /// A worker whose probation this call has waited for.
    kept_from: Option<Box<Hello>>,
    /// A takeover of this call has lost sight of its incumbent.
    unheard: bool,
}

impl Call<'_> {
    /// Looks without a lock: a worker that serves is used, one that boots is waited for.
    fn look(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        loop {
            let seen = probe::observe(state, self.budget.stage("probe")?.at_most(self.order.first_answer));
            let mut verdict = judge(&self.want, &Aim::Unknown, &seen);
            if let Verdict::Replace(_, Fault::Older { .. }) = verdict {
                verdict = self.judge_by_record(state, &seen);
            }
            // Its place is to be had when the probation is over, and the gate is for others meanwhile.
            if let Verdict::Replace(hello, _) = &verdict
                && hello.probation.is_some()
            {
                verdict = Verdict::Await(hello.clone());
            }
            match verdict {
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

    /// Whether an older worker is to stay, by a record in which this very offer stands already. Whoever replaces the record
    /// replaces it whole, so that one read is as good as a look under the gate; what is to be changed is changed there.
    fn judge_by_record(&self, state: &StateDir, seen: &Observation) -> Verdict {
        let Some(desired) = candidates::known(state, self.order) else {
            return judge(&self.want, &Aim::Unknown, seen);
        };
        let plan = Plan::of(&desired, &self.errand, &self.order.spec.version);
        let verdict = judge(&self.want, &plan.aim(seen, self.failure.as_ref(), &self.budget), seen);
        if let Verdict::Use(usable) = verdict { Verdict::Use(plan.explained(usable)) } else { verdict }
    }

    /// Under the gate: looks again, and does what the fresh look asks for. `None` means: look again.
    fn act(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        let gate = Gate::enter_for(state, self.budget.stage("gate")?, self.order.gate_time())?;
        let desired = candidates::with_offer(&gate, self.order)?;
        let plan = Plan::of(&desired, &self.errand, &self.order.spec.version);
        let seen =
            probe::observe(state, self.budget.stage("probe under gate")?.at_most(self.order.first_answer));
        let aim = plan.aim(&seen, self.failure.as_ref(), &self.budget);
        let act = self.errand.step(judge(&self.want, &aim, &seen));
        if !matches!(act, Act::Refuse(_)) {
            candidates::keep(&gate, &desired, self.order)?;
        }
        let room = Room { gate: &gate, order: self.order, budget: &self.budget };
        let lease = match act {
            Act::Answer(how, usable) => return Ok(Some(Ensured::Serving(how, plan.explained(usable)))),
            Act::Await(_) => return Ok(None),
            Act::Refuse(refusal) => return Err(refusal.into()),
            Act::GiveUp(hello, fault) => return Err(still_unusable(&hello, &fault)),
            Act::Start | Act::AwaitEnd(_) => {
                self.startable(&plan)?;
                room.take()?
            }
            Act::Suspect => room.unmask(|| self.startable(&plan).map(drop))?,
            Act::Replace(hello, fault) => return self.replace(&gate, &hello, &fault, &plan),
        };
        match lease {
            Some(lease) => self.start(&gate, lease, &plan),
            None => Ok(None),
        }
    }

    /// Puts the target in the place of the worker that stands: it takes over where that one can make room, and is started
    /// once that one is proved gone where it cannot.
    fn replace(
        &mut self,
        gate: &Gate<'_>,
        hello: &Hello,
        fault: &Fault,
        plan: &Plan,
    ) -> Result<Option<Ensured>, Error> {
        let spec = self.startable(plan)?;
        candidates::note_disagreement(gate, hello, fault, (spec, self.order))?;
        let reason = Reason { why: why(fault), upgrade: true, proves: false, abandons: false };
        match takeover::attempt(gate, hello, (spec, reason), self.order, &self.budget)? {
            // Both are gone, and nobody has said why: whoever wants a worker looks what stands.
            Attempt::Made(Ok(Outcome::Failed(failure))) if failure.stage == VANISHED => Ok(None),
            // One that is silent to everybody is found out by the next look; one that answers goes on, and is asked once more.
            Attempt::Made(Ok(Outcome::Failed(failure))) if failure.stage == UNHEARD && !self.unheard => {
                self.unheard = true;
                Ok(None)
            }
            Attempt::Made(started) => {
                if let Ok(Outcome::Ready(_) | Outcome::OnProbation(_)) = started {
                    self.errand.retired();
                }
                self.settle(gate, spec, started, plan)
            }
            Attempt::Gone => Ok(None),
            Attempt::Declined(_) => {
                let room = Room { gate, order: self.order, budget: &self.budget };
                let lease = room.replace(hello, why(fault))?;
                self.errand.retired();
                self.start(gate, lease, plan)
            }
        }
    }

    /// The spec that may be started now, or why none may: asked before anything is stopped to make room.
    fn startable<'plan>(&self, plan: &'plan Plan) -> Result<&'plan Spec, Error> {
        plan.startable(self.order, &self.errand, self.failure.as_ref())
    }

    /// Starts the target and answers, or remembers how it failed and looks again for another offer.
    fn start(&mut self, gate: &Gate<'_>, lease: Lease, plan: &Plan) -> Result<Option<Ensured>, Error> {
        let spec = self.startable(plan)?;
        candidates::confirm_trust(gate, spec)?;
        let started = start::start(gate, lease, spec, self.order, &self.budget);
        self.settle(gate, spec, started, plan)
    }

    /// Puts on record how a start of `spec` went; `None` means: look again. Nothing is looked up anew: what was started is
    /// what it is, whatever has become of its files since.
    fn settle(
        &mut self,
        gate: &Gate<'_>,
        spec: &Spec,
        started: Result<Outcome, StartError>,
        plan: &Plan,
    ) -> Result<Option<Ensured>, Error> {
        if let Ok(Outcome::StillBooting) = started {
            return Ok(Some(Ensured::Warming(None)));
        }
        let ready = match &started {
            Ok(Outcome::Ready(hello) | Outcome::OnProbation(hello)) => {
                Some(Observation::Answered(hello.clone()))
            }
            Ok(Outcome::StillBooting | Outcome::Failed(_)) | Err(_) => None,
        };
        if let Some(failure) = candidates::settle(gate, spec, started)? {
            self.errand.start_failed(&spec.version);
            self.failure = Some(failure);
        }
        let Some(ready) = ready else { return Ok(None) };
        self.errand.started();
        let verdict = judge(&self.want, &plan.aim_started(spec), &ready);
        Ok(matches!(verdict, Verdict::Use(_)).then(|| self.serving(verdict)))
    }

    /// Waits for a worker that has said that it boots; `None` means: look again. A budget that ends meanwhile is no error,
    /// wherever in the wait it ends.
    fn await_settled(&mut self, state: &StateDir, booting: Box<Hello>) -> Option<Ensured> {
        let warming = |hello| Some(Ensured::Warming(Some(hello)));
        let proves = booting.probation.is_some();
        if proves {
            self.kept_from = Some(booting.clone());
        }
        let Ok(stage) = self.budget.stage("worker boot") else { return warming(booting) };
        let waited = if proves {
            readiness::await_proved(state, stage)
        } else {
            readiness::await_settled(state, stage)
        };
        match waited {
            Ok(hello) if is_settled(&hello) && !(proves && hello.probation.is_some()) => None,
            // Somebody stops it, or it made room: the next look tells.
            Ok(hello) if hello.is_leaving() => None,
            // It answers before it has settled only when our time is over.
            Ok(hello) => warming(Box::new(hello)),
            Err(_) if self.budget.remaining().is_zero() => warming(booting),
            // It died, or was replaced: the next look tells.
            Err(_) => None,
        }
    }

    /// Whoever was kept from its turn by a probation has met a worker that serves, and no trouble.
    fn out_of_time(self, spent: Error) -> Result<Ensured, Error> {
        self.kept_from.map(|hello| Ensured::Warming(Some(hello))).ok_or(spent)
    }

    fn serving(&mut self, verdict: Verdict) -> Ensured {
        match self.errand.step(verdict) {
            Act::Answer(how, usable) => {
                let why = self.failure.as_ref().map(Error::cause_of_start);
                Ensured::Serving(how, choice::explained(usable, why))
            }
            Act::Await(hello) | Act::AwaitEnd(hello) | Act::Replace(hello, _) | Act::GiveUp(hello, _) => {
                Ensured::Warming(Some(hello))
            }
            Act::Start | Act::Suspect | Act::Refuse(_) => Ensured::Warming(None),
        }
    }
}

fn refuse_inside(state: &StateDir) -> Result<(), Error> {
    if request::is_inside(state) {
        let message = format!("ensure {}: this process is part of that worker", state.scope());
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    Ok(())
}

fn is_settled(hello: &Hello) -> bool {
    !matches!(hello.app.state, AppState::Booting | AppState::BackOff)
}

fn why(fault: &Fault) -> String {
    match fault {
        Fault::Older { target } => format!("it is older than {target}"),
        Fault::Disagrees { target, says } => format!("it was started as {target} and says that it is {says}"),
        Fault::SourceChanged => "the files of its build have changed".to_owned(),
        Fault::Failed { reason } => format!("its app has failed: {reason}"),
        Fault::Stalled { for_ms } => format!("its app has not answered for {for_ms} ms"),
    }
}

fn still_unusable(hello: &Hello, fault: &Fault) -> Error {
    if let Fault::Disagrees { target, says } = fault {
        let message = format!(
            "get version {target}: the worker that was started as {target} says that it is {says}; the next call starts it once more"
        );
        return Error::of(ErrorKind::VersionDisagrees, message);
    }
    let (version, pid) = (&hello.version, hello.identity.pid);
    let message = format!(
        "get a usable worker: after one replacement, pid {pid} (version {version}) stands and {}",
        why(fault)
    );
    Error::of(ErrorKind::StillUnusable, message)
}

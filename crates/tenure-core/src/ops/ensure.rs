//! `ensure`: exactly one healthy worker of the right version, from any number of launchers.
//!
//! The story only; each step is a room of its own. The memory of one call is [`Attempt`], and every wait is cut from
//! one budget.
//!
//! ```text
//! look without a lock ──▶ a usable worker ───────────────▶ answer
//!        │    ▲   ▲
//!        │    │   └────── one that boots: wait ◀────┐
//!        ▼    │                                     │
//! enter the gate ▶ look again ▶ decide ──▶ wait, outside the gate
//!        ▲                        │
//!        │                        ├──▶ take the lease ▶ start ──▶ answer
//!        │                        └──▶ put a successor in its place ▶ answer
//!        └── the start failed: another offer, if there is one
//! ```

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::launch::readiness::{self, StartOutcome, UNHEARD, VANISHED};
use crate::launch::request::{self, Request};
use crate::launch::start::{self, StartError};
use crate::launch::{limits, probe};
use crate::ops::acquire::Acquisition;
use crate::ops::candidates;
use crate::ops::choice::{self, LaunchChoice};
use crate::ops::takeover::{self, TakeoverAttempt, TakeoverReason};
use crate::policy::attempt::{Attempt, How, NextStep};
use crate::policy::decide::{
    Criteria, Decision, Observation, ReplaceReason, Usable, decide, decide_without_gate,
};
use crate::protocol::wire::{Endpoint, Hello};
use crate::spec::Spec;
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::StateDir;

/// What a call of [`ensure`] ended with.
///
/// ```
/// fn address(ensured: &tenure::Ensured) -> Option<std::net::SocketAddr> {
///     ensured.endpoints().first().map(|endpoint| endpoint.tcp)
/// }
/// assert_eq!(address(&tenure::Ensured::Down), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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
/// A worker that takes the place of another is answered with as soon as it serves: its probation goes on between the
/// two, and if it fails, the one before it serves again and the next call is told.
///
/// Any number of concurrent calls, from any number of processes, make one worker. A worker that is up costs one
/// connection and one answer: no lock is taken and nothing is written. One that is older than the offer and is to stay
/// (a person pinned it, or the offered version does not run) costs one more read of the record, still without a lock.
/// The call ends within the order's budget (plus the time in which the kernel ends a process) with an answer or a typed
/// error. It ends no healthy worker except one that is older than the target, or whose build has changed; it never
/// downgrades, and never signals a process that it cannot verify.
///
/// # Errors
/// [`ErrorKind::SpawnFailed`], [`ErrorKind::SpawnSuppressed`], [`ErrorKind::SpecConflict`],
/// [`ErrorKind::ClientTooOld`], [`ErrorKind::VersionDisagrees`], [`ErrorKind::HeldDown`], [`ErrorKind::Untrusted`],
/// [`ErrorKind::LimitTooLow`], [`ErrorKind::RecordTooNew`], [`ErrorKind::Recursion`], [`ErrorKind::Denied`],
/// [`ErrorKind::NotOurs`], [`ErrorKind::Wedged`], [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`],
/// [`ErrorKind::Survivor`], [`ErrorKind::StillUnusable`], [`ErrorKind::StateUnusable`], [`ErrorKind::RecordUnusable`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use tenure::{Ensured, Request, Spec};
///
/// let spec = Spec::of_command(vec!["/bin/sleep".into(), "1000".into()], "/tmp".into());
/// let request = Request::new("nap".parse()?, spec)?.no_spawn(true);
/// assert_eq!(tenure::ensure(&request)?, Ensured::Down);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ensure(request: &Request) -> Result<Ensured, Error> {
    let budget = Deadline::start(request.budget);
    let criteria = Criteria::of(&request.spec);
    let attempt = Attempt::default();
    let mut call =
        EnsureCall { request, criteria, budget, attempt, failure: None, kept_from: None, unheard: false };

    // Fast path: nothing is written and no lock is taken.
    if let Some(state) = StateDir::open(&request.scope)? {
        refuse_inside(&state)?;
        // What is held down is released under the gate, whatever stands.
        let releases = request.start && candidates::is_down(&state);
        if !releases {
            match call.look(&state) {
                Ok(Some(ensured)) => return Ok(ensured),
                Ok(None) => {}
                Err(spent) if spent.kind() == ErrorKind::TimedOut => return call.out_of_time(spent),
                Err(error) => return Err(error),
            }
        }
    }
    if !request.may_spawn() {
        return Ok(Ensured::Down);
    }

    limits::check()?;

    // Slow path: one launcher at a time acts for this scope, on a fresh look; the others wait in the kernel.
    let state = StateDir::create(&request.scope)?;
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
struct EnsureCall<'request> {
    request: &'request Request,
    criteria: Criteria,
    budget: Deadline,
    attempt: Attempt,
    failure: Option<Error>,
    /// A worker whose probation this call has waited for.
    kept_from: Option<Box<Hello>>,
    /// A takeover of this call has lost sight of its incumbent.
    unheard: bool,
}

impl EnsureCall<'_> {
    /// Looks without a lock: a worker that serves is used, one that boots is waited for.
    fn look(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        loop {
            let seen = probe::observe(state, self.budget.stage("probe")?.at_most(self.request.first_answer));
            let mut choice = None;
            let decision = decide_without_gate(&self.criteria, &seen, || {
                let choice = choice.insert(self.choice_by_record(state)?);
                Some(choice.known_target(&seen, self.failure.as_ref(), &self.budget))
            });
            match decision {
                Decision::Use(usable) => {
                    let usable = match &choice {
                        Some(choice) => choice.explained(usable),
                        None => usable,
                    };
                    return Ok(Some(self.serving(Decision::Use(usable))));
                }
                Decision::Await(hello) if self.request.may_spawn() => {
                    self.attempt.step(Decision::Await(hello.clone()));
                    if let Some(warming) = self.await_settled(state, hello) {
                        return Ok(Some(warming));
                    }
                }
                Decision::Await(hello) => return Ok(Some(Ensured::Warming(Some(hello)))),
                Decision::Refuse(refusal) => return Err(refusal.into()),
                Decision::AwaitEnd(_) | Decision::TryLease | Decision::Suspect | Decision::Replace(..) => {
                    return Ok(None);
                }
            }
        }
    }

    /// What this call would start, by a record in which this very offer stands already. Whoever replaces the record
    /// replaces it whole, so that one read is as good as a look under the gate; what is to be changed is changed there.
    fn choice_by_record(&self, state: &StateDir) -> Option<LaunchChoice> {
        let desired = candidates::known(state, self.request)?;
        Some(LaunchChoice::of(&desired, &self.attempt, &self.request.spec.version))
    }

    /// Under the gate: looks again, and does what the fresh look asks for. `None` means: look again.
    fn act(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        let gate = Gate::enter_for(state, self.budget.stage("gate")?, self.request.gate_time())?;
        let desired = candidates::with_offer(&gate, self.request)?;
        let choice = LaunchChoice::of(&desired, &self.attempt, &self.request.spec.version);
        let seen =
            probe::observe(state, self.budget.stage("probe under gate")?.at_most(self.request.first_answer));
        let known_target = choice.known_target(&seen, self.failure.as_ref(), &self.budget);
        let act = self.attempt.step(decide(&self.criteria, &known_target, &seen));
        if !matches!(act, NextStep::Refuse(_)) {
            candidates::keep(&gate, &desired, self.request)?;
        }
        let room = Acquisition { gate: &gate, request: self.request, budget: &self.budget };
        let lease = match act {
            NextStep::Answer(how, usable) => {
                return Ok(Some(Ensured::Serving(how, choice.explained(usable))));
            }
            NextStep::Await(_) => return Ok(None),
            NextStep::Refuse(refusal) => return Err(refusal.into()),
            NextStep::GiveUp(hello, fault) => return Err(still_unusable(&hello, &fault)),
            NextStep::Start | NextStep::AwaitEnd(_) => {
                self.startable(&choice)?;
                room.take()?
            }
            NextStep::Suspect => room.unmask(|| self.startable(&choice).map(drop))?,
            NextStep::Replace(hello, fault) => return self.replace(&gate, &hello, &fault, &choice),
        };
        match lease {
            Some(lease) => self.start(&gate, lease, &choice),
            None => Ok(None),
        }
    }

    /// Puts the target in the place of the worker that stands: it takes over where that one can make room, and is
    /// started once that one is proved gone where it cannot.
    fn replace(
        &mut self,
        gate: &Gate<'_>,
        hello: &Hello,
        fault: &ReplaceReason,
        choice: &LaunchChoice,
    ) -> Result<Option<Ensured>, Error> {
        let spec = self.startable(choice)?;
        candidates::note_disagreement(gate, hello, fault, (spec, self.request))?;
        let reason = TakeoverReason { why: why(fault), upgrade: true, proves: false, abandons: false };
        match takeover::attempt(gate, hello, (spec, reason), self.request, &self.budget)? {
            // Both are gone, and nobody has said why: whoever wants a worker looks what stands.
            TakeoverAttempt::Made(Ok(StartOutcome::Failed(failure))) if failure.stage == VANISHED => Ok(None),
            // One that is silent to everybody is found out by the next look; one that answers goes on, and is asked
            // once more.
            TakeoverAttempt::Made(Ok(StartOutcome::Failed(failure)))
                if failure.stage == UNHEARD && !self.unheard =>
            {
                self.unheard = true;
                Ok(None)
            }
            TakeoverAttempt::Made(started) => {
                if let Ok(StartOutcome::Ready(_) | StartOutcome::OnProbation(_)) = started {
                    self.attempt.retired();
                }
                self.record_start(gate, spec, started, choice)
            }
            TakeoverAttempt::Gone => Ok(None),
            TakeoverAttempt::Declined(_) => {
                let room = Acquisition { gate, request: self.request, budget: &self.budget };
                let lease = room.replace(hello, why(fault))?;
                self.attempt.retired();
                self.start(gate, lease, choice)
            }
        }
    }

    /// The spec that may be started now, or why none may: asked before anything is stopped to make room.
    fn startable<'choice>(&self, choice: &'choice LaunchChoice) -> Result<&'choice Spec, Error> {
        choice.startable(self.request, self.failure.as_ref())
    }

    /// Starts the target and answers, or remembers how it failed and looks again for another offer.
    fn start(
        &mut self,
        gate: &Gate<'_>,
        lease: Lease,
        choice: &LaunchChoice,
    ) -> Result<Option<Ensured>, Error> {
        let spec = self.startable(choice)?;
        candidates::confirm_trust(gate, spec)?;
        let started = start::start(gate, lease, spec, self.request, &self.budget);
        self.record_start(gate, spec, started, choice)
    }

    /// Puts on record how a start of `spec` went; `None` means: look again. Nothing is looked up anew: what was started
    /// is what it is, whatever has become of its files since.
    fn record_start(
        &mut self,
        gate: &Gate<'_>,
        spec: &Spec,
        started: Result<StartOutcome, StartError>,
        choice: &LaunchChoice,
    ) -> Result<Option<Ensured>, Error> {
        if let Ok(StartOutcome::StillBooting) = started {
            return Ok(Some(Ensured::Warming(None)));
        }
        let ready = match &started {
            Ok(StartOutcome::Ready(hello) | StartOutcome::OnProbation(hello)) => {
                Some(Observation::Answered(hello.clone()))
            }
            Ok(StartOutcome::StillBooting | StartOutcome::Failed(_)) | Err(_) => None,
        };
        if let Some(failure) = candidates::record_start(gate, spec, started)? {
            self.attempt.start_failed(&spec.version);
            self.failure = Some(failure);
        }
        let Some(ready) = ready else { return Ok(None) };
        self.attempt.started();
        let decision = decide(&self.criteria, &choice.aim_started(spec), &ready);
        Ok(matches!(decision, Decision::Use(_)).then(|| self.serving(decision)))
    }

    /// Waits for a worker that has said that it boots; `None` means: look again. A budget that ends meanwhile is no
    /// error, wherever in the wait it ends.
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
            Ok(hello) if hello.app.state.is_settled() && !(proves && hello.probation.is_some()) => None,
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

    fn serving(&mut self, decision: Decision) -> Ensured {
        match self.attempt.step(decision) {
            NextStep::Answer(how, usable) => {
                let why = self.failure.as_ref().map(Error::cause_of_start);
                Ensured::Serving(how, choice::explained(usable, why))
            }
            NextStep::Await(hello)
            | NextStep::AwaitEnd(hello)
            | NextStep::Replace(hello, _)
            | NextStep::GiveUp(hello, _) => Ensured::Warming(Some(hello)),
            NextStep::Start | NextStep::Suspect | NextStep::Refuse(_) => Ensured::Warming(None),
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

fn why(fault: &ReplaceReason) -> String {
    match fault {
        ReplaceReason::Older { target } => format!("it is older than {target}"),
        ReplaceReason::Disagrees { target, says } => {
            format!("it was started as {target} and says that it is {says}")
        }
        ReplaceReason::SourceChanged => "the files of its build have changed".to_owned(),
        ReplaceReason::Failed { reason } => format!("its app has failed: {reason}"),
        ReplaceReason::Stalled { for_ms } => format!("its app has not answered for {for_ms} ms"),
    }
}

fn still_unusable(hello: &Hello, fault: &ReplaceReason) -> Error {
    if let ReplaceReason::Disagrees { target, says } = fault {
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

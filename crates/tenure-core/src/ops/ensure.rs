//! `ensure`: exactly one healthy worker of the right version, from any number of launchers.
//!
//! This room is the story only; each step is a room of its own. [`Attempt`] remembers what the call has done, and every
//! wait takes its time from the call's one budget.
//!
//! ```text
//! look without a lock ──▶ a usable worker ───────────────▶ answer
//!        │    ▲   ▲
//!        │    │   └── it boots: wait ◀──────────────┐
//!        ▼    │                                     │
//! enter the gate ▶ look again ▶ decide ──▶ leave the gate and wait
//!        ▲                        │
//!        │                        ├──▶ take the lease ▶ start ──▶ answer
//!        │                        ├──▶ replace the worker ──────▶ answer
//!        │                        └──▶ it depends on others: leave the gate, ensure them, look
//!        └── the start failed: try another offer, if there is one
//! ```

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::launch::ask::probe;
use crate::launch::request::{self, Request};
use crate::launch::start::limits;
use crate::launch::start::readiness::{self, StartOutcome};
use crate::launch::start::{self, StartError};
use crate::ops::acquire::GatedCall;
use crate::ops::dependencies::{Dependencies, Family, Lacking};
use crate::ops::offers;
use crate::ops::takeover::{self, SuccessorRequest, TakeoverOutcome};
use crate::ops::target::{self, CheckedTarget};
use crate::policy::attempt::{Attempt, How, NextStep};
use crate::policy::decide::{
    Criteria, Decision, Observation, ReplaceReason, Usable, decide, decide_without_gate,
};
use crate::protocol::boot_stage::BootStage;
use crate::protocol::wire::{Endpoint, Hello};
use crate::spec::Spec;
use crate::store::gate::Gate;
use crate::store::lease::Lease;
use crate::store::paths::StateDir;

mod words;

use words::{reason_text, still_unusable};

/// What a call of [`ensure`] ended with.
///
/// ```
/// fn address(ensured: &tenure::Ensured) -> Option<std::net::SocketAddr> {
///     ensured.endpoints().first()?.address.tcp()
/// }
/// assert_eq!(address(&tenure::Ensured::Down), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ensured {
    /// A worker serves.
    Serving(How, Box<Usable>),
    /// The budget ended while a worker was still booting, or while a worker of a lower version than the wanted one was
    /// on probation, during which no other takeover can begin. That worker goes on, and the answer is no error. A call
    /// that may start nothing does not wait, and gives this answer at once.
    Warming(Option<Box<Hello>>),
    /// The call may start nothing, and no worker serves that it may use: none runs, it is ending or silent, or it would
    /// have to be replaced, as one that is older than the wanted version.
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
/// A worker that takes over from another is the answer as soon as it serves. Its probation goes on after the call: if
/// it fails then, the former worker serves again, and the next call says so.
///
/// The workers that it depends on ([`Spec::depends`]) are ensured before it is started or takes over, from the same
/// budget and without its gate. A worker that is up is the answer, whatever became of them since.
///
/// Any number of concurrent calls, from any number of processes, make one worker. A worker that is up costs one
/// connection and one answer: no lock is taken and nothing is written. A worker that is older than the offer and is to
/// stay (a person pinned it, or the offered version does not run) costs one more read of the record, still without a
/// lock. The call ends within the request's budget (plus the time in which the kernel ends a process) with an answer or
/// a typed error. It ends no healthy worker except one that is older than the target, or whose build has changed; it
/// never downgrades, and never signals a process that it cannot verify.
///
/// # Errors
/// [`ErrorKind::SpawnFailed`], [`ErrorKind::SpawnSuppressed`], [`ErrorKind::DependencyFailed`],
/// [`ErrorKind::OtherApp`], [`ErrorKind::SpecConflict`],
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
    ensure_in(request, &Family::default())
}

/// Ensures a worker that another one depends on, as a part of the call for that one.
pub(crate) fn ensure_dependency(request: &Request, family: &Family) -> Result<(), Error> {
    match ensure_in(request, family)? {
        Ensured::Serving(..) => Ok(()),
        Ensured::Warming(_) => {
            Err(Error::of(ErrorKind::TimedOut, "wait for the worker's boot, which goes on").at("worker boot"))
        }
        Ensured::Down => {
            let message = "find a worker: no acceptable one runs, and starting one was not allowed";
            Err(Error::of(ErrorKind::DependencyFailed, message))
        }
    }
}

fn ensure_in(request: &Request, family: &Family) -> Result<Ensured, Error> {
    let mut call = EnsureCall {
        request,
        criteria: Criteria::of(&request.spec, &request.origin),
        budget: Deadline::start(request.budget),
        attempt: Attempt::default(),
        dependencies: Dependencies::of(request, family, ensure_dependency),
        lacking: None,
        failure: None,
        awaited_probation: None,
        has_lost_incumbent: false,
    };
    match call.run() {
        Err(error) if error.kind() == ErrorKind::TimedOut => call.out_of_time(error),
        result => result,
    }
}

/// One call: what is wanted, what is left of its budget, what it has done.
struct EnsureCall<'request> {
    request: &'request Request,
    criteria: Criteria,
    budget: Deadline,
    attempt: Attempt,
    dependencies: Dependencies<'request>,
    /// What is to be ensured before the worker can be started.
    lacking: Option<Lacking>,
    /// Why the last start of this call failed.
    failure: Option<Error>,
    /// A worker whose probation this call has waited for.
    awaited_probation: Option<Box<Hello>>,
    /// In a takeover of this call, the successor got no answer from the incumbent.
    has_lost_incumbent: bool,
}

impl EnsureCall<'_> {
    fn run(&mut self) -> Result<Ensured, Error> {
        // Fast path: nothing is written and no lock is taken.
        if let Some(state) = StateDir::open(&self.request.scope)? {
            refuse_inside(&state)?;
            // A worker that is held down is released under the gate only, even if one serves.
            let releases = self.request.start && offers::is_down(&state);
            if !releases && let Some(ensured) = self.look(&state)? {
                return Ok(ensured);
            }
        }
        if !self.request.may_spawn() {
            return Ok(Ensured::Down);
        }

        limits::check()?;

        // Slow path: one launcher at a time acts for this scope, on a fresh look; the others wait in the kernel.
        let state = StateDir::create(&self.request.scope)?;
        refuse_inside(&state)?;
        loop {
            if let Some(ensured) = self.act_under_gate(&state)? {
                return Ok(ensured);
            }
            if let Some(lacking) = self.lacking.take() {
                self.dependencies.ensure(lacking, &self.budget)?;
            }
            if let Some(ensured) = self.look(&state)? {
                return Ok(ensured);
            }
        }
    }

    /// Looks without a lock: uses a worker that serves, and waits for one that boots. `None` means: enter the gate.
    fn look(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        loop {
            let seen = probe::observe(state, self.budget.stage("probe")?.at_most(self.request.first_answer));
            let mut target = None;
            let decision = decide_without_gate(&self.criteria, &seen, || {
                let target = target.insert(self.target_by_record(state)?);
                Some(target.known(&seen, self.failure.as_ref(), &self.budget))
            });
            match decision {
                Decision::Use(usable) => {
                    let usable = match &target {
                        Some(target) => target.explained(usable),
                        None => usable,
                    };
                    return Ok(Some(self.serving(Decision::Use(usable))));
                }
                Decision::Await(hello) if self.request.may_spawn() => {
                    self.attempt.note_wait(&hello);
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

    /// What this call would start, by a record that holds this very offer already. The record is only ever replaced as
    /// a whole, so a read without the gate sees a consistent one; changes are made under the gate.
    fn target_by_record(&self, state: &StateDir) -> Option<CheckedTarget> {
        let desired = offers::known(state, self.request)?;
        Some(CheckedTarget::of(&desired, &self.attempt, self.request))
    }

    /// Waits until a worker has booted, or has ended its probation; `None` means: look again. A budget that ends during
    /// the wait is no error.
    fn await_settled(&mut self, state: &StateDir, booting: Box<Hello>) -> Option<Ensured> {
        let warming = |hello| Some(Ensured::Warming(Some(hello)));
        let is_on_probation = booting.probation.is_some();
        if is_on_probation {
            self.awaited_probation = Some(booting.clone());
        }
        let Ok(stage) = self.budget.stage("worker boot") else { return warming(booting) };
        let waited = if is_on_probation {
            readiness::await_probation_over(state, stage)
        } else {
            readiness::await_settled(state, stage)
        };
        match waited {
            Ok(hello) if hello.app.state.is_settled() && !(is_on_probation && hello.probation.is_some()) => {
                None
            }
            // The worker is being stopped, or made room: the next look finds out which.
            Ok(hello) if hello.is_leaving() => None,
            // A worker that has not settled answers only when the budget is over.
            Ok(hello) => warming(Box::new(hello)),
            Err(_) if self.budget.remaining().is_zero() => warming(booting),
            // The worker died or was replaced: the next look finds out which.
            Err(_) => None,
        }
    }

    /// Under the gate: looks again, and does what the fresh look asks for. `None` means: look again.
    fn act_under_gate(&mut self, state: &StateDir) -> Result<Option<Ensured>, Error> {
        let gate = Gate::enter_for(state, self.budget.stage("gate")?, self.request.gate_time())?;
        let seen =
            probe::observe(state, self.budget.stage("probe under gate")?.at_most(self.request.first_answer));
        let desired = offers::with_offer(&gate, self.request, &seen)?;
        let target = CheckedTarget::of(&desired, &self.attempt, self.request);
        let known = target.known(&seen, self.failure.as_ref(), &self.budget);
        let decision = decide(&self.criteria, Some(&known), &seen);
        if decision.may_start()
            && let Some(spec) = target.dependent(self.request)
            && let Some(lacking) = self.dependencies.lacking(spec, &desired)
        {
            self.lacking = Some(lacking);
            return Ok(None);
        }
        let step = self.attempt.step(decision);
        if !matches!(step, NextStep::Refuse(_)) {
            offers::keep(&gate, &desired, self.request)?;
        }
        let gated = self.gated(&gate);
        let lease = match step {
            NextStep::Answer(how, usable) => {
                return Ok(Some(Ensured::Serving(how, target.explained(usable))));
            }
            NextStep::Await(_) => return Ok(None),
            NextStep::Refuse(refusal) => return Err(refusal.into()),
            NextStep::GiveUp(hello, reason) => return Err(still_unusable(&hello, &reason)),
            NextStep::Start | NextStep::AwaitEnd(_) => {
                self.startable(&target)?;
                gated.take_unlistened()?
            }
            NextStep::Suspect => gated.take_from_silent(|| self.startable(&target).map(drop))?,
            NextStep::Replace(hello, reason) => return self.replace(&gate, &hello, &reason, &target),
        };
        match lease {
            Some(lease) => self.start(&gate, lease, &target),
            None => Ok(None),
        }
    }

    fn gated<'call>(&'call self, gate: &'call Gate<'call>) -> GatedCall<'call> {
        GatedCall { gate, request: self.request, budget: &self.budget }
    }

    /// The spec that may be started now, or why none may. Asked before a worker is stopped to make room.
    fn startable<'target>(&self, target: &'target CheckedTarget) -> Result<&'target Spec, Error> {
        target.startable(self.request, self.failure.as_ref())
    }

    /// Replaces the worker that answered `hello` by the target: by a takeover where that worker can make room, and
    /// otherwise by a start after the worker is proved gone. `None` means: look again.
    fn replace(
        &mut self,
        gate: &Gate<'_>,
        hello: &Hello,
        reason: &ReplaceReason,
        target: &CheckedTarget,
    ) -> Result<Option<Ensured>, Error> {
        let spec = self.startable(target)?;
        offers::note_disagreement(gate, hello, reason, spec, self.request)?;
        let successor = SuccessorRequest {
            spec,
            why: reason_text(reason),
            is_upgrade: true,
            awaits_probation: false,
            ends_if_late: false,
        };
        match takeover::request_takeover(self.gated(gate), hello, &successor)? {
            // Incumbent and successor are both gone without a reason on record.
            TakeoverOutcome::Attempted(Ok(StartOutcome::Failed(failure)))
                if failure.stage == BootStage::Vanished =>
            {
                Ok(None)
            }
            // The successor got no answer from the incumbent. If the incumbent is silent to us as well, the next look
            // finds that out; if it answers us, the takeover is tried once more.
            TakeoverOutcome::Attempted(Ok(StartOutcome::Failed(failure)))
                if failure.stage == BootStage::Unheard && !self.has_lost_incumbent =>
            {
                self.has_lost_incumbent = true;
                Ok(None)
            }
            TakeoverOutcome::Attempted(started) => {
                if let Ok(StartOutcome::Ready(_) | StartOutcome::OnProbation(_)) = started {
                    self.attempt.note_replaced();
                }
                self.conclude_start(gate, spec, started, target)
            }
            TakeoverOutcome::IncumbentGone => Ok(None),
            TakeoverOutcome::Declined(_) => {
                let lease = self.gated(gate).take_from_worker(hello, successor.why)?;
                self.attempt.note_replaced();
                self.start(gate, lease, target)
            }
        }
    }

    /// Starts the target under `lease`, and answers. `None` means: the start failed, look again.
    fn start(
        &mut self,
        gate: &Gate<'_>,
        lease: Lease,
        target: &CheckedTarget,
    ) -> Result<Option<Ensured>, Error> {
        let spec = self.startable(target)?;
        offers::confirm_trust(gate, spec)?;
        let started = start::start(gate, lease, spec, self.request, &self.budget);
        self.conclude_start(gate, spec, started, target)
    }

    /// Puts on record how a start of `spec` went, and answers; `None` means: look again. The decision is about the spec
    /// that was started, so the record and the build's files are not read again.
    fn conclude_start(
        &mut self,
        gate: &Gate<'_>,
        spec: &Spec,
        started: Result<StartOutcome, StartError>,
        target: &CheckedTarget,
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
        if let Some(failure) = offers::record_start(gate, spec, started)? {
            self.attempt.note_start_failed(&spec.version);
            self.failure = Some(failure);
        }
        let Some(ready) = ready else { return Ok(None) };
        self.attempt.note_started();
        let decision = decide(&self.criteria, Some(&target.started(spec)), &ready);
        Ok(matches!(decision, Decision::Use(_)).then(|| self.serving(decision)))
    }

    /// The answer when the budget is over. A call that has waited for a probation has met a worker that serves, so its
    /// timeout is no error.
    fn out_of_time(self, timed_out: Error) -> Result<Ensured, Error> {
        self.awaited_probation.map(|hello| Ensured::Warming(Some(hello))).ok_or(timed_out)
    }

    /// The answer for a worker that is used, with the reason for each warning.
    fn serving(&mut self, decision: Decision) -> Ensured {
        match self.attempt.step(decision) {
            NextStep::Answer(how, usable) => {
                let why = self.failure.as_ref().map(Error::cause_of_start);
                Ensured::Serving(how, target::explained(usable, why))
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

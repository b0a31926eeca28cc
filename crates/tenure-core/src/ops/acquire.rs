//! Acquiring the lease of a scope: from nobody, from a worker that ends, from a silent one, or from one that is to be
//! replaced.
//!
//! All of it happens under the gate. Each way waits where the kernel wakes it: on the lease, or on the worker's answer.
//! Before a process is forced to end, the scope is probed once more: another launcher may have started a healthy worker
//! meanwhile.

use tenure_sys::discard::best_effort;

use crate::deadline::{Deadline, Moment, monotonic, wall_millis};
use crate::error::Error;
use crate::launch::ask::client::Silence;
use crate::launch::ask::probe;
use crate::launch::end::stop_and_prove::{self, LONGEST_DRAIN, Purpose, Retired};
use crate::launch::request::Request;
use crate::policy::decide::{Suspicion, suspect};
use crate::protocol::wire::Hello;
use crate::record::ledger::Ledger;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::lease::{Lease, TryLease};
use crate::store::logs::{self, LogPositions};
use crate::store::paths::file;
use crate::store::records;

/// A call that is inside the gate of its scope.
#[derive(Clone, Copy)]
pub(crate) struct GatedCall<'call> {
    /// The gate that it holds.
    pub(crate) gate: &'call Gate<'call>,
    /// What it was asked for.
    pub(crate) request: &'call Request,
    /// How long it may take.
    pub(crate) budget: &'call Deadline,
}

impl GatedCall<'_> {
    /// Takes the lease where nobody listens; `None` means: look again. A lease that is held without a listener belongs
    /// to a worker that ends: the kernel wakes us when its last holder is gone. A holder that takes longer than every
    /// drain is wedged, and is ended.
    pub(crate) fn take_unlistened(&self) -> Result<Option<Lease>, Error> {
        let ledger = records::read_ledger(self.gate.state())?;
        if let TryLease::Free(lease) = Lease::try_take(self.gate.state())? {
            self.note_found_dead(&ledger);
            return Ok(Some(lease));
        }
        let end_budget = ledger.end_budget(self.request.spec.end_budget());
        let patience = self.request.wedged_after.saturating_add(end_budget);
        let stage = self.budget.stage("lease")?.at_most(patience);
        if let TryLease::Free(lease) = Lease::take_within(self.gate.state(), stage)? {
            return Ok(Some(lease));
        }
        let stage = self.budget.stage("lease")?.at_most(self.request.first_answer);
        // A worker that closes connections without an answer listens too, so the caller looks again.
        match probe::hello(self.gate.state(), stage) {
            Err(Silence::Absent | Silence::Refused) => self.end_wedged().map(Some),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Waits until a silent worker answers. After `wedged_after` of silence the worker is wedged: it is ended and its
    /// lease taken, unless `startable` says that nothing could be started in its place. `None` means: look again.
    ///
    /// A full connection queue is no silence while the worker's control thread runs: it may be answering others. Then
    /// the wait lasts as long as the caller has time, and the kernel lets us in when there is room.
    pub(crate) fn take_from_silent(
        &self,
        startable: impl Fn() -> Result<(), Error>,
    ) -> Result<Option<Lease>, Error> {
        let state = self.gate.state();
        let mut silent_since = monotonic();
        let mut last_run_time = stop_and_prove::run_time(&records::read_ledger(state)?);
        let mut last_silence = None;
        loop {
            let lease = Lease::try_take(state)?;
            let ledger = records::read_ledger(state)?;
            let booting_for = ledger.booting_for(&Moment::now());
            let silent_for = monotonic().saturating_sub(silent_since);
            let busy = matches!(lease, TryLease::Busy);
            match (suspect(busy, silent_for, booting_for, self.request.wedged_after), lease) {
                (Suspicion::NoWorker, TryLease::Free(lease)) => return Ok(Some(lease)),
                (Suspicion::Wedged, _) => {
                    let run_time = stop_and_prove::run_time(&ledger);
                    if matches!(last_silence, Some(Silence::Busy)) && run_time > last_run_time {
                        (silent_since, last_run_time) = (monotonic(), run_time);
                        continue;
                    }
                    startable()?;
                    return self.end_wedged().map(Some);
                }
                (Suspicion::Wait(limit), _) => {
                    let is_busy = matches!(last_silence, Some(Silence::Busy));
                    let stage = self.budget.stage(if is_busy { "busy worker" } else { "silent worker" })?;
                    match probe::hello(state, stage.at_most(limit)) {
                        Err(silence @ (Silence::Silent | Silence::Busy)) => last_silence = Some(silence),
                        Ok(_) | Err(_) => return Ok(None),
                    }
                }
                (Suspicion::NoWorker, TryLease::Busy) => return Ok(None),
            }
        }
    }

    fn end_wedged(&self) -> Result<Lease, Error> {
        let ledger = records::read_ledger(self.gate.state())?;
        let retired = stop_and_prove::end_wedged(self.gate, &ledger)?;
        self.note(What::EndedWedged, &retired, "it did not answer");
        Ok(retired.lease)
    }

    /// Ends the worker that answered `hello`, because of `why`, and takes its lease.
    pub(crate) fn take_from_worker(&self, hello: &Hello, why: String) -> Result<Lease, Error> {
        self.gate.confirm()?;
        let replacing = Event::now(What::Replacing, hello.generation, &self.request.asker(), why.as_str());
        event::note(self.gate.state(), &replacing.version(&hello.version).pid(hello.identity.pid));
        let ledger = records::read_ledger(self.gate.state())?;
        let (by, silence) = (self.request.asker(), self.request.wedged_after);
        let purpose = Purpose { reason: why, by, patience: LONGEST_DRAIN, silence };
        let retired = stop_and_prove::retire(self.gate, &ledger, &purpose, self.budget.stage("retire")?)?;
        self.note(What::Stopped, &retired, "it made room");
        Ok(retired.lease)
    }

    /// Records that the last worker died, where its socket is still there: a worker that ends in order removes its
    /// socket.
    fn note_found_dead(&self, ledger: &Ledger) {
        let state = self.gate.state();
        if state.dir().exists(file::CONTROL).unwrap_or(false) {
            let why = "its socket stands and nobody holds its lease";
            let mut event = Event::now(What::FoundDead, ledger.generation, &self.request.asker(), why);
            event.version.clone_from(&ledger.version);
            event.pid = ledger.lineage.first().map(|identity| identity.pid);
            event::note(state, &event);
            let mut known = ledger.clone();
            // The lease is ours: nobody else writes. A disk that is full loses the row, not the start.
            if known.found_dead(
                Moment::now(),
                wall_millis(),
                logs::tail_since(state, LogPositions::default()),
            ) {
                best_effort(records::update_ledger(state, &known));
            }
        }
    }

    fn note(&self, what: What, retired: &Retired, why: &str) {
        let why = format!("{why} ({:?})", retired.ending);
        let mut event = Event::now(what, 0, &self.request.asker(), why);
        event.pid = retired.pid;
        event::note(self.gate.state(), &event);
    }
}

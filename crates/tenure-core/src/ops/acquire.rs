//! Making room: the lease of a scope, from nobody, from a worker that ends, from one that is wedged, or from one that
//! must make room.
//!
//! Under the gate. Each way waits where the kernel wakes (the lease, the answer), and before anybody is forced the
//! scope is looked at once more: what stands now may be a healthy worker that somebody else has started.

use tenure_sys::discard::best_effort;

use crate::deadline::{Deadline, Moment, monotonic, wall_millis};
use crate::error::Error;
use crate::launch::client::Silence;
use crate::launch::probe;
use crate::launch::request::Request;
use crate::launch::stop_and_prove::{self, LONGEST_DRAIN, Purpose, Retired};
use crate::policy::decide::{Suspicion, suspect};
use crate::protocol::wire::Hello;
use crate::record::ledger::Ledger;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::lease::{Lease, TryLease};
use crate::store::logs::{self, Mark};
use crate::store::paths::file;
use crate::store::records;

/// One call's way to the lease of the gate's scope.
pub(crate) struct Acquisition<'call> {
    pub(crate) gate: &'call Gate<'call>,
    pub(crate) request: &'call Request,
    pub(crate) budget: &'call Deadline,
}

impl Acquisition<'_> {
    /// The lease where nobody listens, or `None`: look again. A busy lease without a listener is being torn down: the
    /// kernel wakes us when its last holder is gone, and a holder that outstays every drain is wedged.
    pub(crate) fn take(&self) -> Result<Option<Lease>, Error> {
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
        // One that closes connections without an answer listens all the same, and is looked at again.
        match probe::hello(self.gate.state(), stage) {
            Err(Silence::Absent | Silence::Refused) => self.end_wedged().map(Some),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Waits for a silent holder to answer, as long as it may be silent; past that it is wedged and ended, unless
    /// nothing could be started in its place. `None`: look again.
    ///
    /// A queue that is full all the time is no silence while the holder runs: it may be taking others. It is waited for
    /// as long as the caller has time, and the kernel lets us in when there is room.
    pub(crate) fn unmask(&self, startable: impl Fn() -> Result<(), Error>) -> Result<Option<Lease>, Error> {
        let state = self.gate.state();
        let mut began = monotonic();
        let mut ran = stop_and_prove::run_time(&records::read_ledger(state)?);
        let mut seen = None;
        loop {
            let lease = Lease::try_take(state)?;
            let ledger = records::read_ledger(state)?;
            let booting_for = ledger.booting_for(&Moment::now());
            let silent_for = monotonic().saturating_sub(began);
            let busy = matches!(lease, TryLease::Busy);
            match (suspect(busy, silent_for, booting_for, self.request.wedged_after), lease) {
                (Suspicion::NoWorker, TryLease::Free(lease)) => return Ok(Some(lease)),
                (Suspicion::Wedged, _) => {
                    let runs = stop_and_prove::run_time(&ledger);
                    if matches!(seen, Some(Silence::Busy)) && runs > ran {
                        (began, ran) = (monotonic(), runs);
                        continue;
                    }
                    startable()?;
                    return self.end_wedged().map(Some);
                }
                (Suspicion::Wait(limit), _) => {
                    let what =
                        if matches!(seen, Some(Silence::Busy)) { "busy worker" } else { "silent worker" };
                    match probe::hello(state, self.budget.stage(what)?.at_most(limit)) {
                        Err(silence @ (Silence::Silent | Silence::Busy)) => seen = Some(silence),
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

    /// Retires a worker that stands and must make room.
    pub(crate) fn replace(&self, hello: &Hello, why: String) -> Result<Lease, Error> {
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

    /// A worker that ends in order removes its socket: one that stands without a lease belongs to a worker that died.
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
            if known.found_dead(Moment::now(), wall_millis(), logs::tail_since(state, Mark::default())) {
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

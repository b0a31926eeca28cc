//! The incumbent's way back: a successor that failed is ended and proved gone, and the scope taken back from it.
//!
//! Nothing is written, answered or started here before the successor is gone, and its program ended as far as that can
//! be.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use tenure_core::deadline::millis;
use tenure_core::fault::{self, Point};
use tenure_core::launch::end::orphans::{self, OrphanError};
use tenure_core::launch::end::stop_and_prove::OVERRUN;
use tenure_core::launch::start::listen::BACKLOG;
use tenure_core::policy::lifecycle::EXIT_FAILED;
use tenure_core::policy::takeover::{Incumbent, IncumbentEvent, Then};
use tenure_core::protocol::ends::{self, UnaskedEnd, UnaskedEndKind};
use tenure_core::protocol::wire::{Answer, ControlRequest, Prepare};
use tenure_core::record::ledger::{Ledger, ProgramRecord, RolledBack};
use tenure_core::spec::{KILL_GRACE, scope};
use tenure_core::store::event::What;
use tenure_core::store::paths::file;
use tenure_core::store::records;
use tenure_core::{asker, causes};
use tenure_sys::discard::best_effort;
use tenure_sys::poll;
use tenure_sys::process::{self, Signal, Verified};
use tenure_sys::{exit, pipe, socket};

use crate::takeover::call::call;
use crate::takeover::context::{self, TakeoverContext};
use crate::takeover::hooks::Back;
use crate::takeover::incumbent::{IncumbentSide, TRACED_RECHECK};

impl IncumbentSide<'_> {
    /// Ends the successor by the handle that the kernel gave of the peer. A successor that said that it ends gets a
    /// moment for it. Returns only when it is gone: to go on while it may live would make two workers.
    pub(super) fn end_successor(&mut self, phase: Incumbent) -> IncumbentEvent {
        if phase == Incumbent::Ending(Then::Reclaim) && self.aborted {
            // A successor whose program failed on probation waits for this answer before it ends.
            best_effort(self.link.send(&Answer::goes_on("it takes its place back"), &[]));
        }
        let on_probation = self.aborted && self.terms.probation;
        let polite = match (self.sent_back || on_probation, self.aborted) {
            // It has served, and gets the time that any worker gets for its end and that of its program.
            (true, _) => self.context.ownership.handshake.spec.end_budget().saturating_add(OVERRUN),
            (false, true) => KILL_GRACE,
            (false, false) => Duration::ZERO,
        };
        let gone = self.successor.wait_ended(Some(polite)).unwrap_or(false);
        while !gone && !self.successor.has_ended() {
            // A process under a debugger is not killed: whoever debugs it will let it go.
            let traced = process::tracer_of(self.successor.pid()).is_some();
            if !traced {
                best_effort(self.successor.signal(Signal::Kill));
            }
            best_effort(self.successor.wait_ended(traced.then_some(TRACED_RECHECK)));
        }
        if phase != Incumbent::Ending(Then::Reclaim) {
            self.forget_successor(phase);
        } else if self.was_asked_to_end() {
            // Somebody asked the successor to end, and it had no time left for that.
            return IncumbentEvent::Aborted { ends: true };
        }
        IncumbentEvent::SuccessorGone
    }

    /// Ends the program of a successor that was never the worker, and strikes the successor out of the lineage.
    fn forget_successor(&self, phase: Incumbent) {
        let ownership = &self.context.ownership;
        // A process that cannot be ended keeps the lock of its tree, by which the next takeover finds it.
        let ledger = records::read_ledger(&ownership.state).unwrap_or_default();
        best_effort(self.clear_successors_program(&ledger, ownership.handshake.spec.end_budget()));
        let gone = self.successor.identity();
        let failed = (phase == Incumbent::Ending(Then::Serve)).then(|| self.failed()).flatten();
        best_effort(ownership.write_ledger(|ledger| {
            ledger.lineage.retain(|known| known != gone);
            ledger.rolled_back = failed.or(ledger.rolled_back.take());
        }));
    }

    /// Ends the program of a successor that is gone. It is found by its record, if the successor wrote one; otherwise
    /// by its cookie, and by the lock of a program's tree that this worker's own program does not hold.
    fn clear_successors_program(&self, ledger: &Ledger, patience: Duration) -> Result<(), OrphanError> {
        let ownership = &self.context.ownership;
        let cookie = scope::program_cookie(&ownership.state.id(), self.asked.generation);
        let (recorded, own_program): (Option<_>, Option<_>) = match &ledger.program {
            Some(program) if program.cookie == cookie => (Some(program.clone()), None),
            other => (None, other.as_ref()),
        };
        let mut program = recorded.unwrap_or_else(|| ProgramRecord::of_cookie(cookie));
        let own = self.program.as_ref().or(own_program).filter(|own| lives(own));
        let taken = own.and_then(|own| own.lock.as_deref());
        if program.lock.is_none() || program.lock.as_deref() == taken {
            program.lock = file::PROGRAMS.into_iter().find(|name| Some(*name) != taken).map(str::to_owned);
        }
        orphans::clear_program(&ownership.state, &program, patience).map(drop)
    }

    /// The record of the failed successor, for whoever chooses the next version to start. `None` where the version is
    /// not to blame.
    fn failed(&self) -> Option<RolledBack> {
        let Prepare { version, spec, .. } = self.asked.clone();
        let failed = RolledBack { version, spec, at: self.asked_at.clone(), why: self.why.clone() };
        (!self.blameless).then_some(failed)
    }

    /// Whether the last ABORT of a successor that is gone says that somebody asked the worker to end.
    fn was_asked_to_end(&mut self) -> bool {
        loop {
            match self.link.next::<ControlRequest>() {
                Ok(Some(ControlRequest::Abort(abort))) => return abort.ends,
                Ok(Some(_)) => {}
                Ok(None) => {
                    let more = poll::wait_readable([self.link.as_fd()], Some(Duration::ZERO));
                    if !matches!(more, Ok([true])) || self.link.fill().is_err() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    /// Takes back the generation, the ledger, the app's work and the control socket, in this order.
    pub(super) fn reclaim(&mut self) -> IncumbentEvent {
        fault::reach(Point::IncumbentReclaiming);
        match self.try_reclaim() {
            Ok(()) => IncumbentEvent::Reclaimed,
            Err(_) if self.context.status.is_stopping() => IncumbentEvent::StopAsked,
            Err(why) => {
                self.why = format!("{}; the worker before it does not go on: {why}", self.why);
                IncumbentEvent::NotReclaimed
            }
        }
    }

    fn try_reclaim(&mut self) -> Result<(), String> {
        let in_words =
            |error: &(dyn std::error::Error + 'static)| format!("failed to {}", causes::in_one_line(error));
        let TakeoverContext { ownership, status, .. } = self.context;
        let ledger = records::read_ledger(&ownership.state).map_err(|error| in_words(&error))?;
        let patience = ledger.end_budget(ownership.handshake.spec.end_budget());
        self.clear_successors_program(&ledger, patience).map_err(|error| in_words(&error))?;

        let own = status.hello();
        let failed = (!self.sent_back).then(|| self.failed()).flatten();
        let (above, program) = (self.asked.generation, self.program.take());
        let endpoints = self.context.endpoints();
        let generation = ownership.open_generation(|found, kept| Ledger {
            generation: found.generation.max(above).saturating_add(1),
            version: Some(own.version.clone()),
            lineage: vec![own.identity.clone()],
            program: kept.program.clone().or(program),
            booting_until: None,
            end_budget_ms: Some(millis(ownership.handshake.spec.end_budget())),
            host: Some(context::host_record(ownership.handshake.spec.kind)),
            endpoints: endpoints.clone(),
            started_by: Some(own.started_by.clone()),
            rolled_back: failed.clone().or(found.rolled_back.clone()),
            ..found
        });
        // The generation is used only once it is on record, so that no later worker gets the same number. Disk space
        // was reserved for the record, so a full disk does not make it fail.
        let generation = generation.map_err(|error| in_words(&error))?;
        status.set_activation(generation, endpoints);
        self.resume(generation)?;
        status.opens_again();
        status.set_takeover_role(None);
        // For people only, as at its start.
        best_effort(ownership.write_pid());
        self.answer_again().map_err(|error| format!("failed to listen again: {error}"))?;
        let why = format!("version {} (pid {}): {}", self.asked.version, self.successor.pid(), self.why);
        ownership.note(What::RolledBack, &asker(), why);
        Ok(())
    }

    /// Has the app serve again. With `overlap` it never stopped.
    fn resume(&mut self, generation: u64) -> Result<(), String> {
        if self.terms.overlap {
            return Ok(());
        }
        let again = self.context.duplicate().map_err(|error| error.to_string())?;
        let (packed, why) = (std::mem::take(&mut self.packed), self.why.clone());
        let back = Back { state: packed, generation, listeners: again.listeners, why };
        let limit = self.context.ownership.handshake.spec.end_budget().saturating_add(OVERRUN);
        call(self.context, limit, move |hooks| hooks.resume(back))
            .unwrap_or_else(|| Err("it does not answer".to_owned()))
    }

    /// Answers callers again; listening anew makes the kernel name this process to them as its peer.
    fn answer_again(&self) -> std::io::Result<()> {
        let control = self.kept.control.try_clone()?;
        socket::relisten(control.as_fd(), BACKLOG)?;
        pipe::set_nonblocking(control.as_fd(), true)?;
        self.context.ownership.control_listener.open(UnixListener::from(control));
        self.context.status.touch();
        Ok(())
    }

    /// Ends this process at once: it cannot serve, and the next launcher starts a new worker.
    pub(super) fn exit(&self) -> ! {
        // The ledger then tells the launcher of the successor why neither worker serves, and later ones that this
        // worker was not killed.
        let (failed, mut end) = (self.failed(), self.end());
        best_effort(self.context.ownership.write_ledger(|ledger| {
            ledger.rolled_back = failed.or(ledger.rolled_back.take());
            end.generation = ledger.generation;
            ends::push(&mut ledger.ends, end);
        }));
        self.context.ownership.note(What::RollbackFailed, &asker(), self.why.clone());
        exit::now(EXIT_FAILED)
    }

    /// The record of this worker's own end; the caller sets the generation.
    fn end(&self) -> UnaskedEnd {
        let spec = &self.context.ownership.handshake.spec;
        let why = format!("version {}: {}", self.asked.version, self.why);
        let mut end = UnaskedEnd::now(0, spec, UnaskedEndKind::RollbackFailed, why);
        end.pid = Some(std::process::id());
        end
    }
}

/// Whether a recorded program lives, or its shim.
fn lives(program: &ProgramRecord) -> bool {
    let mut known = program.shim.iter().chain(&program.identity);
    known.any(|identity| matches!(process::verify(identity), Verified::Same(_)))
}

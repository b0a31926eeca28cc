//! The successor's story: it stands by, asks, shares, commits, opens its generation and serves; a type for each phase.
//!
//! The table [`takeover::successor`] says which step may follow. A phase is left by value, so that nothing of it is
//! done twice. An incumbent that is lost is proved gone before anything is done alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::deadline::{Deadline, Stage, millis, monotonic};
use tenure_core::fault::{self, Point};
use tenure_core::launch::ask::client::{self, Silence};
use tenure_core::launch::end::stop_and_prove::OVERRUN;
use tenure_core::launch::start::handshake::Succession;
use tenure_core::launch::start::listen::{self, BACKLOG, SuccessorListeners};
use tenure_core::policy::takeover::{Successor, SuccessorAction, SuccessorEvent};
use tenure_core::protocol::wire::{Active, Answer, ControlRequest, Endpoint};
use tenure_core::record::ledger::Ledger;
use tenure_core::store::gate::Entrusted;
use tenure_core::store::lease::Lease;
use tenure_core::store::records;
use tenure_core::{Version, causes};
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::process::ProcessHandle;
use tenure_sys::{pipe, socket, thread};

use crate::ownership::Ownership;
use crate::takeover::context::{
    self, IncumbentAnswer, KeptDescriptors, NamedListeners, TakeoverContext, duplicates,
};
use crate::takeover::descriptor_link::{self, DescriptorLink};
use crate::takeover::error::{TakeoverError, UNEXPECTED_ANSWER, broken, given_up, no_answer};
use crate::takeover::orphans;
use crate::takeover::timings::Timings;

mod requests;

use requests::{ANSWER_LIMIT, REPORT_RESERVE, SuccessorSide, boot_left, step};

/// Nothing is shared yet.
#[derive(Debug)]
pub(crate) struct StandbyPhase {
    pub(crate) gate: Entrusted,
    pub(crate) terms: Succession,
}

/// Lease and listeners are shared; the incumbent serves.
#[derive(Debug)]
pub(crate) struct PreparedPhase {
    side: SuccessorSide,
    control: OwnedFd,
    pub(crate) bound: SuccessorListeners,
    within: Duration,
    /// What is on record of the incumbent, once this worker has taken its place.
    incumbent_ledger: Ledger,
    /// How long asking and sharing took.
    sharing: Duration,
}

/// The scope is this worker's, and its app does not serve yet.
#[derive(Debug)]
pub(crate) struct GrantedPhase {
    phase: Successor,
    /// Held until this worker serves.
    gate: Entrusted,
    terms: Succession,
    /// Open until the incumbent is gone: its end would tell the incumbent that this worker has failed.
    link: Arc<DescriptorLink>,
    incumbent: u32,
    /// The version of the incumbent.
    incumbent_version: Option<Version>,
    /// What the incumbent's app handed over.
    pub(crate) packed: Vec<u8>,
    timings: Timings,
}

impl StandbyPhase {
    /// Asks for what to serve on.
    pub(crate) fn prepare(
        self,
        ownership: &Ownership,
        own: &Identity,
    ) -> Result<PreparedPhase, TakeoverError> {
        fault::reach(Point::StandingBy);
        let began = monotonic();
        let mut phase = Successor::Standby;
        // The one step from here is to ask.
        let Some(SuccessorAction::Ask) = step(&mut phase, SuccessorEvent::Booted) else {
            return Err(given_up("it is in another phase"));
        };
        let answer = ANSWER_LIMIT.min(boot_left(ownership) / 2);
        let stage = Deadline::start(answer).stage("prepare").map_err(|error| no_answer(error.to_string()))?;
        let (link, incumbent) = self.reach_incumbent(ownership, stage)?;
        let mut side = SuccessorSide { phase, gate: self.gate, terms: self.terms, link, incumbent };
        if let Err(error) = side.ask(ownership, own) {
            return Err(side.lost(SuccessorEvent::Lost, causes::in_one_line(&error)));
        }

        let handed = match side.await_answer(stage.remaining(), "it does not answer") {
            Ok(Answer::Prepared(handed)) => handed,
            Ok(Answer::Refused { why, goes_on }) => return Err(side.refused(why, goes_on)),
            Ok(_) => return Err(side.give_up(UNEXPECTED_ANSWER.to_owned())),
            Err((SuccessorEvent::Failed, why)) => return Err(side.give_up(why)),
            Err((event, why)) => return Err(side.lost(event, why)),
        };
        let within = Duration::from_millis(handed.within_ms);
        let handed = side
            .descriptors(&handed, stage)
            .inspect_err(|error| drop(side.give_up(causes::in_one_line(error))));
        let (lease, KeptDescriptors { control, listeners }) = handed?;
        step(&mut side.phase, SuccessorEvent::Prepared);
        fault::reach(Point::SuccessorPrepared);
        let bound = share(ownership, lease, listeners);
        // ABORT is sent before the connection ends: an incumbent kills a successor that closes it without one.
        let bound = bound
            .inspect_err(|error| side.send_abort(causes::in_one_line(error), !error.is_of_the_version()))?;
        let sharing = monotonic().saturating_sub(began);
        Ok(PreparedPhase { side, control, bound, within, incumbent_ledger: Ledger::default(), sharing })
    }

    /// Connects to the worker that the launcher saw. Another worker that answers now was not to be replaced.
    fn reach_incumbent(
        &self,
        ownership: &Ownership,
        stage: Stage,
    ) -> Result<(DescriptorLink, ProcessHandle), TakeoverError> {
        let silent = |silence: Silence| no_answer(causes::in_one_line(&silence));
        let stream = client::connect(&ownership.state, stage).map_err(silent)?.into_stream();
        let incumbent = descriptor_link::peer(&stream, &self.terms.incumbent).map_err(given_up)?;
        if !incumbent.identity().same_process(&self.terms.incumbent) {
            return Err(no_answer(format!("pid {} stands there now", incumbent.pid())));
        }
        let link = DescriptorLink::new(stream).map_err(broken("the connection to the incumbent"))?;
        Ok((link, incumbent))
    }
}

/// Takes the lease, once it is verified, and what is to be served on.
fn share(
    ownership: &Ownership,
    lease: OwnedFd,
    listeners: NamedListeners,
) -> Result<SuccessorListeners, TakeoverError> {
    ownership.take(Lease::from_inherited(lease)).map_err(broken("the lease"))?;
    if !ownership.lease_is_at_path().map_err(broken("the lease"))? {
        return Err(given_up("the lease that was handed over is not the file at its path"));
    }
    listen::bind_for_successor(&ownership.state, &ownership.handshake.spec, listeners)
        .map_err(TakeoverError::Listen)
}

impl PreparedPhase {
    /// Readable when the incumbent has something to say, which before the commit can only be its end.
    pub(crate) fn incumbent(&self) -> BorrowedFd<'_> {
        self.side.link.as_fd()
    }

    /// Tells the incumbent that this worker ends, and whether its version is to blame.
    pub(crate) fn send_abort(&self, why: &str, blameless: bool) {
        self.side.send_abort(why.to_owned(), blameless);
    }

    pub(crate) fn terms(&self) -> &Succession {
        &self.side.terms
    }

    /// Has the incumbent stop serving, and takes the scope: the generation is recorded and callers are answered here
    /// when this returns. An incumbent that died meanwhile needs no asking.
    pub(crate) fn commit(
        mut self,
        context: &Arc<TakeoverContext>,
        own: &Identity,
    ) -> Result<GrantedPhase, TakeoverError> {
        let began = monotonic();
        let granted = match step(&mut self.side.phase, SuccessorEvent::Willing) {
            Some(SuccessorAction::Commit) => {
                let left = boot_left(&context.ownership).saturating_sub(REPORT_RESERVE);
                self.side.commit(self.within.saturating_add(OVERRUN).min(left))
            }
            _ => return Err(given_up("it is in another phase")),
        };
        let (event, packed) = match granted {
            Ok(packed) => (SuccessorEvent::Granted, packed),
            Err((SuccessorEvent::Lost, _)) => (self.side.prove(), Vec::new()),
            Err((SuccessorEvent::Refused, why)) => return Err(self.side.refused(why, false)),
            Err((SuccessorEvent::Kept, why)) => return Err(self.side.refused(why, true)),
            // Only the launcher ends an incumbent that is stopped or hangs: it knows `wedged_after`.
            Err((SuccessorEvent::Late, why)) => return Err(self.side.lost(SuccessorEvent::Late, why)),
            Err((event, why)) => {
                step(&mut self.side.phase, event);
                return Err(self.side.give_up(why));
            }
        };
        let Some(SuccessorAction::Open) = step(&mut self.side.phase, event) else {
            return Err(self.side.give_up("the connection to the incumbent ended, and it lives".to_owned()));
        };
        let room_made = monotonic();
        fault::reach(Point::SuccessorGranted);
        let incumbent_lives = event == SuccessorEvent::Granted;
        if let Err(error) = self.open(context, own, incumbent_lives) {
            drop(self.side.give_up(causes::in_one_line(&error)));
            if incumbent_lives {
                // The incumbent takes the scope back, so this worker must not remove its paths.
                context.ownership.leave_ledger();
            }
            return Err(error);
        }
        let opened = monotonic();
        let (room, recording) = (room_made.saturating_sub(began), opened.saturating_sub(room_made));
        let Self { side, sharing, incumbent_ledger, .. } = self;
        let timings = Timings { sharing, room, recording, opened };
        let SuccessorSide { phase, gate, terms, link, incumbent } = side;
        let (link, pid) = (Arc::new(link), incumbent.pid());
        if incumbent_lives {
            await_end_of(incumbent, Arc::clone(&link), context, incumbent_ledger.clone())
                .map_err(broken("the thread that waits for the incumbent's end"))?;
        }
        Ok(GrantedPhase {
            phase,
            gate,
            terms,
            link,
            incumbent: pid,
            incumbent_version: incumbent_ledger.version,
            packed,
            timings,
        })
    }

    /// Records the generation durably, then answers callers.
    fn open(
        &mut self,
        context: &TakeoverContext,
        own: &Identity,
        incumbent_lives: bool,
    ) -> Result<(), TakeoverError> {
        let ownership = &context.ownership;
        let handshake = &ownership.handshake;
        let incumbent_ledger = records::read_ledger(&ownership.state).map_err(TakeoverError::Record)?;
        if !incumbent_lives {
            orphans::clear(ownership, &incumbent_ledger).map_err(TakeoverError::Orphan)?;
        }
        if incumbent_ledger.generation >= handshake.generation {
            return Err(given_up(format!(
                "generation {} is on record, and this one is {}",
                incumbent_ledger.generation, handshake.generation
            )));
        }
        self.incumbent_ledger = incumbent_ledger;
        let incumbent = incumbent_lives.then(|| self.side.incumbent.identity().clone());
        let endpoints = self.bound.endpoints.clone();
        let opened = ownership.open_generation(|found, kept| Ledger {
            generation: handshake.generation,
            program: kept.program.clone(),
            lineage: [own.clone()].into_iter().chain(incumbent).collect(),
            endpoints: endpoints.clone(),
            host: Some(context::host_record(handshake.spec.kind)),
            ..found.next_generation(
                &handshake.spec,
                handshake.booting_until.clone(),
                handshake.started_by.clone(),
            )
        });
        let generation = opened.map_err(TakeoverError::Record)?;
        self.answer_callers(context, generation).map_err(broken("the control socket"))
    }

    fn answer_callers(&mut self, context: &TakeoverContext, generation: u64) -> io::Result<()> {
        socket::relisten(self.control.as_fd(), BACKLOG)?;
        for (_, listener) in &self.bound.listeners {
            socket::relisten(listener.as_fd(), BACKLOG)?;
        }
        pipe::set_nonblocking(self.control.as_fd(), true)?;
        let listeners = duplicates(&self.bound.listeners)?;
        let kept = KeptDescriptors { control: self.control.try_clone()?, listeners };
        let endpoints: Vec<Endpoint> = self.bound.endpoints.clone();
        context.keep(kept, endpoints.clone());
        context.ownership.control_listener.open(UnixListener::from(self.control.try_clone()?));
        context.status.set_activation(generation, endpoints);
        context.status.set_takeover_role(None);
        fault::reach(Point::SuccessorRecorded);
        Ok(())
    }
}

impl GrantedPhase {
    pub(crate) fn terms(&self) -> &Succession {
        &self.terms
    }

    /// Begins the probation, before anybody learns that this worker serves.
    pub(crate) fn begin_probation(&self, context: &TakeoverContext) {
        let lasts = probation_after_active(&self.terms);
        let incumbent_version = self.incumbent_version.clone();
        if let Some(incumbent_version) = incumbent_version.filter(|_| !lasts.is_zero()) {
            context.begin_probation(lasts, incumbent_version);
        }
    }

    /// Tells the incumbent that this worker serves, and gives the gate back. Returns a description of the takeover, for
    /// the event.
    pub(crate) fn activate(self) -> String {
        fault::reach(Point::SuccessorActive);
        let Self { mut phase, gate, terms, link, incumbent, timings, .. } = self;
        let probation = probation_after_active(&terms);
        if let Some(SuccessorAction::Tell) = step(&mut phase, SuccessorEvent::Ready) {
            // An incumbent that is gone needs no message.
            best_effort(link.send(&ControlRequest::Active(Active { bake_ms: millis(probation) }), &[]));
        }
        drop(gate);
        format!("from pid {incumbent}: {timings}")
    }
}

/// How long the probation takes from the activation on. With both programs beside each other it is over by then.
fn probation_after_active(terms: &Succession) -> Duration {
    if terms.overlap { Duration::ZERO } else { terms.bake.duration() }
}

/// Keeps the incumbent in the lineage until it is gone, on a thread of its own: until then nobody takes over from this
/// worker. What the incumbent could not end of its program is ended then.
fn await_end_of(
    incumbent: ProcessHandle,
    link: Arc<DescriptorLink>,
    context: &Arc<TakeoverContext>,
    incumbent_ledger: Ledger,
) -> io::Result<()> {
    let incumbent = Arc::new(incumbent);
    context.set_incumbent(Arc::clone(&link), Arc::clone(&incumbent));
    let context = Arc::clone(context);
    thread::start("tenure-predecessor", move || {
        if let Ok(link) = link.again() {
            descriptor_link::await_leave(&incumbent, link, || {
                context.incumbent_answered(IncumbentAnswer::ComesBack);
            });
            context.probation_over();
        }
        while !incumbent.has_ended() {
            best_effort(incumbent.wait_ended(None));
        }
        let gone = incumbent.identity();
        // A ledger that cannot be written names one process too many, which is then verified and found gone.
        best_effort(context.ownership.write_ledger(|ledger| ledger.lineage.retain(|known| known != gone)));
        context.incumbent_gone();
        // A process that cannot be ended keeps the lock of its tree, by which the next takeover finds it.
        best_effort(orphans::clear(&context.ownership, &incumbent_ledger));
    })
}

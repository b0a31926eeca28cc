//! The successor's story: stands by, asks, shares, commits, opens its generation, serves; a type for each phase.
//!
//! The table [`handoff::successor`] says which step may follow. A phase is left by value, so that nothing of it is done twice.
//! An incumbent that is lost is proved gone before anything is done alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::deadline::{Deadline, Moment, Stage, millis, monotonic};
use tenure_core::fault::{self, Point};
use tenure_core::launch::client::{self, Silence};
use tenure_core::launch::handshake::Succession;
use tenure_core::launch::listen::{self, BACKLOG, Taken};
use tenure_core::launch::stop_and_prove::OVERRUN;
use tenure_core::policy::handoff::{self, Successor, SuccessorAction, SuccessorEvent};
use tenure_core::protocol::wire::{
    Abort, Active, Answer, ControlRequest, Endpoint, Prepare, Prepared as Handed,
};
use tenure_core::record::ledger::Ledger;
use tenure_core::store::gate::Entrusted;
use tenure_core::store::lease::Lease;
use tenure_core::store::records;
use tenure_core::{Version, causes};
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::ProcessHandle;
use tenure_sys::{memory, pipe, socket, thread};

use crate::handoff::context::{self, HandoffContext, KeptDescriptors, NamedListeners, duplicates};
use crate::handoff::descriptor_link::{self, DescriptorLink, LinkError};
use crate::handoff::error::{ELSE, TakeoverError, broken, declined, given_up, unheard};
use crate::handoff::remains;
use crate::handoff::timings::Timings;
use crate::ownership::Ownership;

/// How long an incumbent may take to answer PREPARE, which costs it one write of its ledger.
const ANSWER: Duration = Duration::from_secs(5);

/// What is left of a boot when an incumbent has used up the rest.
const TELLING: Duration = Duration::from_secs(1);

/// How long the kernel may take from the end of a connection to the end of the process that held it.
const DYING: Duration = Duration::from_secs(1);

/// Asks the table; what it does not foresee here is a giving up.
fn step(state: &mut Successor, word: SuccessorEvent) -> Option<SuccessorAction> {
    let (next, step) = handoff::successor(*state, word);
    *state = next;
    step
}

/// Nothing is shared yet.
#[derive(Debug)]
pub(crate) struct StandbyPhase {
    pub(crate) gate: Entrusted,
    pub(crate) terms: Succession,
}

/// Lease and listeners are shared; the incumbent serves.
#[derive(Debug)]
pub(crate) struct PreparedPhase {
    tie: Tie,
    control: OwnedFd,
    pub(crate) taken: Taken,
    within: Duration,
    /// What is on record of the incumbent, once this worker has taken its place.
    before: Ledger,
    /// How long asking and sharing took.
    sharing: Duration,
}

/// The scope is this worker's, and its app does not serve yet.
#[derive(Debug)]
pub(crate) struct GrantedPhase {
    stand: Successor,
    /// Held until this worker serves.
    gate: Entrusted,
    terms: Succession,
    /// Open until the incumbent is gone: its end would tell the incumbent that this worker has failed.
    link: Arc<DescriptorLink>,
    incumbent: u32,
    /// The version of the incumbent.
    before: Option<Version>,
    /// What the incumbent's app handed over.
    pub(crate) state: Vec<u8>,
    took: Timings,
}

/// What binds a successor to its incumbent.
#[derive(Debug)]
struct Tie {
    stand: Successor,
    gate: Entrusted,
    terms: Succession,
    link: DescriptorLink,
    incumbent: ProcessHandle,
}

impl StandbyPhase {
    /// Asks for what to serve on.
    pub(crate) fn prepare(self, holding: &Ownership, own: &Identity) -> Result<PreparedPhase, TakeoverError> {
        fault::reach(Point::StandingBy);
        let began = monotonic();
        let mut stand = Successor::Standby;
        // The one step from here is to ask.
        let Some(SuccessorAction::Ask) = step(&mut stand, SuccessorEvent::Booted) else {
            return Err(given_up("it stands elsewhere"));
        };
        let answer = ANSWER.min(boot_left(holding) / 2);
        let stage = Deadline::start(answer).stage("prepare").map_err(|error| unheard(error.to_string()))?;
        let (link, incumbent) = self.reach_incumbent(holding, stage)?;
        let mut tie = Tie { stand, gate: self.gate, terms: self.terms, link, incumbent };
        if let Err(error) = tie.ask(holding, own) {
            return Err(tie.lost(SuccessorEvent::Lost, causes::in_one_line(&error)));
        }

        let handed = match tie.hear(stage.remaining()) {
            IncumbentReply::Answer(Answer::Prepared(handed)) => handed,
            IncumbentReply::Answer(Answer::Refused { why, goes_on }) => return Err(tie.refused(why, goes_on)),
            IncumbentReply::Answer(_) => return Err(tie.give_up(ELSE.to_owned())),
            IncumbentReply::Lost(why) => return Err(tie.lost(SuccessorEvent::Lost, why)),
            IncumbentReply::Late => {
                return Err(tie.lost(SuccessorEvent::Late, "it does not answer".to_owned()));
            }
            IncumbentReply::Broken(why) => return Err(tie.give_up(why)),
        };
        let within = Duration::from_millis(handed.within_ms);
        let handed = tie
            .descriptors(&handed, stage)
            .inspect_err(|error| drop(tie.give_up(causes::in_one_line(error))));
        let (lease, KeptDescriptors { control, listeners }) = handed?;
        step(&mut tie.stand, SuccessorEvent::Prepared);
        fault::reach(Point::SuccessorPrepared);
        let taken = share(holding, lease, listeners);
        // Told before the connection ends: an incumbent ends whoever leaves it without a word.
        let taken =
            taken.inspect_err(|error| tie.say(causes::in_one_line(error), !error.is_of_the_version()))?;
        let sharing = monotonic().saturating_sub(began);
        Ok(PreparedPhase { tie, control, taken, within, before: Ledger::default(), sharing })
    }

    /// The worker that the launcher saw, and no other: what stands meanwhile was not to be replaced.
    fn reach_incumbent(
        &self,
        holding: &Ownership,
        stage: Stage,
    ) -> Result<(DescriptorLink, ProcessHandle), TakeoverError> {
        let silent = |silence: Silence| unheard(causes::in_one_line(&silence));
        let stream = client::connect(&holding.state, stage).map_err(silent)?.into_stream();
        let incumbent = descriptor_link::peer(&stream, &self.terms.incumbent).map_err(given_up)?;
        if !incumbent.identity().same_process(&self.terms.incumbent) {
            return Err(unheard(format!("pid {} stands there now", incumbent.pid())));
        }
        let link = DescriptorLink::new(stream).map_err(broken("the connection to the incumbent"))?;
        Ok((link, incumbent))
    }
}

/// Takes the lease, once it is verified, and what is to be served on.
fn share(holding: &Ownership, lease: OwnedFd, listeners: NamedListeners) -> Result<Taken, TakeoverError> {
    holding.take(Lease::from_inherited(lease)).map_err(broken("the lease"))?;
    if !holding.lease_is_at_path().map_err(broken("the lease"))? {
        return Err(given_up("the lease that was handed over is not the file at its path"));
    }
    listen::take_over(&holding.brief.spec, listeners).map_err(TakeoverError::Listen)
}

impl PreparedPhase {
    /// Readable when the incumbent has something to say, which before the commit can only be its end.
    pub(crate) fn incumbent(&self) -> BorrowedFd<'_> {
        self.tie.link.as_fd()
    }

    /// Tells the incumbent that this worker ends, and whether its version is to blame.
    pub(crate) fn say(&self, why: &str, blameless: bool) {
        self.tie.say(why.to_owned(), blameless);
    }

    pub(crate) fn terms(&self) -> &Succession {
        &self.tie.terms
    }

    /// Has the incumbent stop serving, and takes the scope: the generation is recorded and callers are answered here when
    /// this returns. An incumbent that died meanwhile needs no asking.
    pub(crate) fn commit(
        mut self,
        lineage: &Arc<HandoffContext>,
        own: &Identity,
    ) -> Result<GrantedPhase, TakeoverError> {
        let began = monotonic();
        let word = match step(&mut self.tie.stand, SuccessorEvent::Willing) {
            Some(SuccessorAction::Commit) => {
                let left = boot_left(&lineage.holding).saturating_sub(TELLING);
                self.tie.commit(self.within.saturating_add(OVERRUN).min(left))
            }
            _ => return Err(given_up("it stands elsewhere")),
        };
        let (word, state) = match word {
            Ok(state) => (SuccessorEvent::Granted, state),
            Err((SuccessorEvent::Lost, _)) => (self.tie.prove(), Vec::new()),
            Err((SuccessorEvent::Refused, why)) => return Err(self.tie.refused(why, false)),
            Err((SuccessorEvent::Kept, why)) => return Err(self.tie.refused(why, true)),
            // One that is stopped, or hangs, is for the launcher to end: it knows how long that may be borne.
            Err((SuccessorEvent::Late, why)) => return Err(self.tie.lost(SuccessorEvent::Late, why)),
            Err((word, why)) => {
                step(&mut self.tie.stand, word);
                return Err(self.tie.give_up(why));
            }
        };
        let Some(SuccessorAction::Open) = step(&mut self.tie.stand, word) else {
            return Err(self.tie.give_up("the connection to the incumbent ended, and it lives".to_owned()));
        };
        let room_made = monotonic();
        fault::reach(Point::SuccessorGranted);
        let incumbent_lives = word == SuccessorEvent::Granted;
        if let Err(error) = self.open(lineage, own, incumbent_lives) {
            drop(self.tie.give_up(causes::in_one_line(&error)));
            if incumbent_lives {
                // It takes back whatever was opened here: nothing that leads to the scope is this worker's to remove.
                lineage.holding.leave_ledger();
            }
            return Err(error);
        }
        let opened = monotonic();
        let (room, recording) = (room_made.saturating_sub(began), opened.saturating_sub(room_made));
        let Self { tie, sharing, before, .. } = self;
        let took = Timings { sharing, room, recording, opened };
        let Tie { stand, gate, terms, link, incumbent } = tie;
        let (link, pid) = (Arc::new(link), incumbent.pid());
        if incumbent_lives {
            await_end_of(incumbent, Arc::clone(&link), lineage, before.clone())
                .map_err(broken("the thread that waits for the incumbent's end"))?;
        }
        Ok(GrantedPhase { stand, gate, terms, link, incumbent: pid, before: before.version, state, took })
    }

    /// The generation, durably; then the door.
    fn open(
        &mut self,
        lineage: &HandoffContext,
        own: &Identity,
        incumbent_lives: bool,
    ) -> Result<(), TakeoverError> {
        let holding = &lineage.holding;
        let brief = &holding.brief;
        let before = records::read_ledger(&holding.state).map_err(TakeoverError::Record)?;
        if !incumbent_lives {
            remains::clear(holding, &before).map_err(TakeoverError::Leftover)?;
        }
        if before.generation >= brief.generation {
            return Err(given_up(format!(
                "generation {} is on record, and this one is {}",
                before.generation, brief.generation
            )));
        }
        self.before = before;
        let incumbent = incumbent_lives.then(|| self.tie.incumbent.identity().clone());
        let endpoints = self.taken.endpoints.clone();
        let opened = holding.open_generation(|found, kept| Ledger {
            generation: brief.generation,
            program: kept.program.clone(),
            lineage: [own.clone()].into_iter().chain(incumbent).collect(),
            endpoints: endpoints.clone(),
            host: Some(context::host_record(brief.spec.kind)),
            ..found.next_generation(&brief.spec, brief.booting_until.clone(), brief.started_by.clone())
        });
        let generation = opened.map_err(TakeoverError::Record)?;
        self.answer_callers(lineage, generation).map_err(broken("the control socket"))
    }

    fn answer_callers(&mut self, lineage: &HandoffContext, generation: u64) -> io::Result<()> {
        socket::relisten(self.control.as_fd(), BACKLOG)?;
        pipe::set_nonblocking(self.control.as_fd(), true)?;
        let listeners = duplicates(&self.taken.listeners)?;
        let kept = KeptDescriptors { control: self.control.try_clone()?, listeners };
        let endpoints: Vec<Endpoint> = self.taken.endpoints.clone();
        lineage.keep(kept, endpoints.clone());
        lineage.holding.door.open(UnixListener::from(self.control.try_clone()?));
        lineage.status.set_activation(generation, endpoints);
        lineage.status.stand(None);
        fault::reach(Point::SuccessorRecorded);
        Ok(())
    }
}

impl GrantedPhase {
    pub(crate) fn terms(&self) -> &Succession {
        &self.terms
    }

    /// Before anybody hears that this worker serves: whether it is on probation.
    pub(crate) fn begin_probation(&self, lineage: &HandoffContext) {
        // With both programs beside each other the probation is over by now.
        let bake = if self.terms.overlap { Duration::ZERO } else { self.terms.bake.duration() };
        let before = self.before.clone();
        if let Some(before) = before.filter(|_| !bake.is_zero()) {
            lineage.begin_probation(bake, before);
        }
    }

    /// Tells the incumbent that this worker serves, and gives the gate back; what follows is the incumbent's end. What is to
    /// be told of it.
    pub(crate) fn activate(self) -> String {
        fault::reach(Point::SuccessorActive);
        let Self { mut stand, gate, terms, link, incumbent, took, .. } = self;
        // With both programs beside each other the probation is over by now.
        let bake = if terms.overlap { Duration::ZERO } else { terms.bake.duration() };
        if let Some(SuccessorAction::Tell) = step(&mut stand, SuccessorEvent::Ready) {
            // One that is gone needs no telling.
            best_effort(link.send(&ControlRequest::Active(Active { bake_ms: millis(bake) }), &[]));
        }
        drop(gate);
        format!("from pid {incumbent}: {took}")
    }
}

/// The incumbent stays in the lineage until it is dead; until then nobody takes over from this worker. What it could not end
/// of its program is ended then.
fn await_end_of(
    incumbent: ProcessHandle,
    link: Arc<DescriptorLink>,
    lineage: &Arc<HandoffContext>,
    before: Ledger,
) -> io::Result<()> {
    let incumbent = Arc::new(incumbent);
    lineage.follow(Arc::clone(&link), Arc::clone(&incumbent));
    let lineage = Arc::clone(lineage);
    thread::start("tenure-predecessor", move || {
        if let Ok(link) = link.again() {
            descriptor_link::await_leave(&incumbent, link);
            lineage.probation_over();
        }
        while !incumbent.has_ended() {
            best_effort(incumbent.wait_ended(None));
        }
        let gone = incumbent.identity();
        // A ledger that cannot be written names one process too many, which is then verified and found gone.
        best_effort(lineage.holding.write_ledger(|ledger| ledger.lineage.retain(|known| known != gone)));
        lineage.predecessor_gone();
        // What cannot be ended keeps its lock, which names it to the next takeover.
        best_effort(remains::clear(&lineage.holding, &before));
    })
}

/// What is left of the time for this worker's boot.
fn boot_left(holding: &Ownership) -> Duration {
    holding.brief.booting_until.ahead_of(&Moment::now())
}

/// What was heard of an incumbent.
enum IncumbentReply {
    Answer(Answer),
    Lost(String),
    Late,
    /// Something came that this worker cannot take: it has no descriptors left, for example.
    Broken(String),
}

impl IncumbentReply {
    fn of(error: &LinkError) -> Self {
        match error {
            LinkError::Ended => Self::Lost(causes::in_one_line(error)),
            LinkError::Io(_) | LinkError::Wire(_) | LinkError::Descriptors { .. } => {
                Self::Broken(causes::in_one_line(error))
            }
        }
    }
}

impl Tie {
    fn ask(&self, holding: &Ownership, own: &Identity) -> Result<(), LinkError> {
        let brief = &holding.brief;
        let within = boot_left(holding);
        let prepare = Prepare {
            generation: brief.generation,
            version: brief.spec.version.clone(),
            spec: brief.spec.digest(),
            identity: own.clone(),
            overlap: self.terms.overlap,
            within_ms: millis(within),
        };
        self.link.send(&ControlRequest::Prepare(Box::new(prepare)), &[])
    }

    /// The next answer within `limit`.
    fn hear(&mut self, limit: Duration) -> IncumbentReply {
        let until = Deadline::start(limit);
        loop {
            match self.link.next::<Answer>() {
                Ok(Some(answer)) => return IncumbentReply::Answer(answer),
                Ok(None) => {}
                Err(error) => return IncumbentReply::of(&error),
            }
            let mut interests = [Interest::new(self.link.as_fd(), Readiness::Read)];
            let left = until.remaining();
            best_effort(poll::wait(&mut interests, Some(left)));
            if interests[0].ready() {
                if let Err(error) = self.link.fill() {
                    return IncumbentReply::of(&error);
                }
            } else if until.remaining().is_zero() {
                return IncumbentReply::Late;
            }
        }
    }

    /// All descriptors that were announced, in their order.
    fn descriptors(
        &mut self,
        handed: &Handed,
        stage: Stage,
    ) -> Result<(OwnedFd, KeptDescriptors), TakeoverError> {
        let expected = handed.listeners.len() + 2;
        while self.link.count_fds() < expected {
            match self.hear(stage.remaining()) {
                IncumbentReply::Answer(Answer::Descriptors { .. }) => {}
                IncumbentReply::Answer(_) => return Err(given_up(ELSE)),
                IncumbentReply::Lost(why) => return Err(unheard(why)),
                IncumbentReply::Late => return Err(unheard("it does not hand over in time")),
                IncumbentReply::Broken(why) => return Err(given_up(why)),
            }
        }
        let mut fds = self.link.take_fds().into_iter();
        match (fds.next(), fds.next()) {
            (Some(lease), Some(control)) => {
                let listeners = handed.listeners.iter().cloned().zip(fds).collect();
                Ok((lease, KeptDescriptors { control, listeners }))
            }
            _ => Err(given_up("nothing was handed over")),
        }
    }

    /// COMMIT, and what the app hands over; or what came instead.
    fn commit(&mut self, limit: Duration) -> Result<Vec<u8>, (SuccessorEvent, String)> {
        if let Err(error) = self.link.send(&ControlRequest::Commit, &[]) {
            return Err((SuccessorEvent::Lost, causes::in_one_line(&error)));
        }
        let granted = match self.hear(limit) {
            IncumbentReply::Answer(Answer::Granted(granted)) => granted,
            IncumbentReply::Answer(Answer::Refused { why, goes_on: false }) => {
                return Err((SuccessorEvent::Refused, why));
            }
            IncumbentReply::Answer(Answer::Refused { why, goes_on: true }) => {
                return Err((SuccessorEvent::Kept, why));
            }
            IncumbentReply::Answer(_) => return Err((SuccessorEvent::Failed, ELSE.to_owned())),
            IncumbentReply::Lost(why) => return Err((SuccessorEvent::Lost, why)),
            IncumbentReply::Broken(why) => return Err((SuccessorEvent::Failed, why)),
            IncumbentReply::Late => {
                return Err((SuccessorEvent::Late, "the incumbent did not make room in time".to_owned()));
            }
        };
        if granted.state_bytes == 0 {
            return Ok(Vec::new());
        }
        let held = self.link.take_fds().into_iter().next();
        let state = held.ok_or_else(|| io::ErrorKind::NotFound.into());
        let state = state.and_then(|held| memory::read(held, granted.state_bytes));
        state.map_err(|error| (SuccessorEvent::Failed, format!("its state cannot be read: {error}")))
    }

    /// Whether the incumbent whose connection ended is gone: only then may anything be done alone.
    fn prove(&mut self) -> SuccessorEvent {
        step(&mut self.stand, SuccessorEvent::Lost);
        let gone = self.incumbent.wait_ended(Some(DYING)).unwrap_or(false);
        if gone { SuccessorEvent::IncumbentGone } else { SuccessorEvent::IncumbentLives }
    }

    /// The incumbent's own word: either it is to be ended by somebody else, or it goes on and this worker has come in vain.
    fn refused(&mut self, why: String, goes_on: bool) -> TakeoverError {
        let word = if goes_on { SuccessorEvent::Kept } else { SuccessorEvent::Refused };
        if step(&mut self.stand, word) == Some(SuccessorAction::Decline) {
            return declined(why);
        }
        self.give_up(format!("the worker that serves goes on: {why}"))
    }

    /// The incumbent is not heard any more, whoever of the two is to blame: it goes on, as far as this worker is concerned.
    fn lost(&mut self, word: SuccessorEvent, why: String) -> TakeoverError {
        step(&mut self.stand, word);
        drop(self.give_up(why.clone()));
        unheard(why)
    }

    /// Says that it gives up; the end of this process says it too.
    fn give_up(&self, why: String) -> TakeoverError {
        self.say(why.clone(), true);
        given_up(why)
    }

    fn say(&self, why: String, blameless: bool) {
        let abort = Abort { why, ends: false, back: false, blameless };
        best_effort(self.link.send(&ControlRequest::Abort(abort), &[]));
    }
}

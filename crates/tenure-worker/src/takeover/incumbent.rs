//! The incumbent's story: asked to prepare, it shares; asked to commit, it makes room; and it takes its scope back where
//! the successor fails before it is proved.
//!
//! One thread for one takeover, which waits for the successor's words, the successor's process, a stop and the time of the
//! phase at once. What follows what is the machine's to say ([`super::machine::incumbent`]); each deed here tells what came
//! of it. The ledger is written here until the grant, and again after a successor that failed is proved gone.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tenure::asker;
use tenure::deadline::{Deadline, Moment, millis};
use tenure::event::What;
use tenure::fault::{self, Point};
use tenure::ledger::{Ledger, ProgramRecord, RolledBack};
use tenure::leftovers::{self, LeftoverError};
use tenure::listen::BACKLOG;
use tenure::paths::file;
use tenure::records;
use tenure::retire::OVERRUN;
use tenure::scope;
use tenure::spec::KILL_GRACE;
use tenure::wire::{Answer, Granted, Prepare, Prepared, Request, Role};
use tenure_sys::poll::{self, Interest, Want};
use tenure_sys::process::{self, ProcessHandle, Signal};
use tenure_sys::{exit, memory, pipe, socket};

use crate::life::{EXIT_FAILED, Happening};
use crate::reason;
use crate::takeover::calling;
use crate::takeover::hand_over::Back;
use crate::takeover::lineage::{self, Kept, Lineage};
use crate::takeover::machine::{self, Deed, Heard, Incumbent, Terms, Then};
use crate::takeover::parcel::{self, Link, LinkError};
use crate::thread;

/// How often a successor is looked at that a debugger holds.
const TRACED: Duration = Duration::from_secs(1);
/// The longest that a successor may ask for: longer than any boot with its drain that is worth waiting for.
const LONGEST: Duration = Duration::from_hours(1);

/// Begins a takeover that was admitted, on a thread of its own.
pub(crate) fn start(lineage: &Arc<Lineage>, link: Link, prepare: Prepare) {
    let own = Arc::clone(lineage);
    let started = thread::start("tenure-incumbent", move || {
        if let Some(takeover) = Takeover::begin(&own, link, prepare) {
            takeover.run();
        }
        own.is_over();
    });
    if started.is_err() {
        // The link went with the thread: the successor is told by its end.
        lineage.is_over();
    }
}

/// One takeover, from the incumbent's side.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, which one word of the successor sets"
)]
struct Takeover<'lineage> {
    lineage: &'lineage Lineage,
    link: Link,
    successor: ProcessHandle,
    asked: Prepare,
    asked_at: Moment,
    terms: Terms,
    /// When the successor must be active; from then on, the end of its probation.
    until: Deadline,
    /// What is handed over, and taken back.
    kept: Kept,
    /// What the app has packed.
    state: Vec<u8>,
    /// The program that was recorded when the ledger was left to the successor.
    program: Option<ProgramRecord>,
    /// The successor said that it ends.
    aborted: bool,
    /// Somebody asked for this worker again: nothing has failed.
    sent_back: bool,
    /// The successor has passed its probation.
    passed: bool,
    /// Whatever failed, it was not the successor's version.
    blameless: bool,
    /// What went wrong, for people.
    why: String,
}

impl<'lineage> Takeover<'lineage> {
    fn begin(lineage: &'lineage Lineage, link: Link, asked: Prepare) -> Option<Self> {
        let refuse = |link: &Link, answer: Answer| drop(link.send(&answer, &[]));
        let successor = match parcel::peer(link.stream(), &asked.identity) {
            Ok(successor) => successor,
            Err(why) => {
                refuse(&link, Answer::goes_on(format!("it cannot verify who asks: {why}")));
                return None;
            }
        };
        if Some(asked.generation) != lineage.holding.generation().checked_add(1) {
            refuse(&link, Answer::goes_on("its generation is not the next"));
            return None;
        }
        let no_descriptors = |error| Answer::refused(format!("its descriptors cannot be had: {error}"));
        let kept = lineage.duplicate().map_err(|error| refuse(&link, no_descriptors(error))).ok()?;
        let no_room =
            |error| Answer::goes_on(format!("it has no room on its disk for its way back: {error}"));
        lineage.holding.keep_room().map_err(|error| refuse(&link, no_room(error))).ok()?;
        let terms = Terms { overlap: asked.overlap, bakes: false };
        let within = Duration::from_millis(asked.within_ms).min(LONGEST);
        let until = Deadline::start(within.saturating_add(OVERRUN));
        let (state, why, asked_at) = (Vec::new(), String::new(), Moment::now());
        let (program, aborted, blameless) = (None, false, false);
        Some(Self {
            lineage,
            link,
            successor,
            asked,
            asked_at,
            terms,
            until,
            kept,
            state,
            program,
            aborted,
            sent_back: false,
            passed: false,
            blameless,
            why,
        })
    }

    /// Hears, decides, acts, until it serves alone again or ends.
    fn run(mut self) {
        let mut state = Incumbent::Serving;
        let mut heard = Heard::Prepare;
        loop {
            let (next, deed) = machine::incumbent(state, heard, self.terms);
            state = next;
            heard = match deed {
                None if matches!(state, Incumbent::Serving | Incumbent::Leaving) => {
                    // What the program of one that came back needs on record may still need the room.
                    if heard != Heard::Reclaimed {
                        self.lineage.holding.free_room();
                    }
                    return;
                }
                None => self.listen(state),
                Some(Deed::Share) => self.share().unwrap_or_else(|| self.listen(state)),
                Some(Deed::Quiesce) => self.quiesce(),
                Some(Deed::Grant) => self.grant().unwrap_or_else(|| self.listen(state)),
                Some(Deed::EndSuccessor) => self.end_successor(state),
                Some(Deed::Reclaim) => self.reclaim(),
                Some(Deed::Leave) => return self.leave(),
                Some(Deed::Exit) => self.exit(),
            };
        }
    }

    /// Waits for whatever comes first: a word, the successor's end, a stop, the end of the phase.
    fn listen(&mut self, state: Incumbent) -> Heard {
        loop {
            match self.link.next::<Request>() {
                Ok(Some(Request::Commit)) => return Heard::Commit,
                Ok(Some(Request::Active(active))) => {
                    let bake = Duration::from_millis(active.bake_ms);
                    self.terms.bakes = !bake.is_zero();
                    self.until = Deadline::start(bake);
                    fault::reach(Point::IncumbentRelieved);
                    return Heard::Active;
                }
                Ok(Some(Request::Abort(abort))) => {
                    self.aborted = true;
                    self.sent_back = abort.back;
                    self.blameless = abort.blameless;
                    self.why = abort.why;
                    return Heard::Aborted { ends: abort.ends };
                }
                Ok(Some(
                    Request::Hello | Request::Wait { .. } | Request::Stop { .. } | Request::Prepare(_),
                )) => {}
                Ok(None) => {
                    if let Some(heard) = self.wait(state) {
                        return heard;
                    }
                }
                Err(error) => return self.lost(&error),
            }
        }
    }

    /// One wait; `None` when more of a word has arrived.
    fn wait(&mut self, state: Incumbent) -> Option<Heard> {
        let mut interests = [
            Interest::new(self.link.as_fd(), Want::Read),
            Interest::new(self.successor.as_fd(), Want::Read),
            Interest::new(self.lineage.status.stopping(), Want::Read),
        ];
        // Only a lack of memory ends the wait early; it is begun again.
        drop(poll::wait(&mut interests, Some(self.until.remaining())));
        let [word, ended, stopping] = interests.map(|interest| interest.ready());
        if word {
            return self.link.fill().err().map(|error| self.lost(&error));
        }
        if ended {
            self.say("it ended");
            return Some(Heard::SuccessorGone);
        }
        if stopping {
            return Some(Heard::StopAsked);
        }
        if !self.until.remaining().is_zero() {
            return None;
        }
        if state == Incumbent::Relieved {
            self.passed = true;
            return Some(Heard::BakeOver);
        }
        self.say("it was not active in time");
        Some(Heard::Lost)
    }

    fn lost(&mut self, error: &LinkError) -> Heard {
        match error {
            LinkError::Ended => self.say("it ended"),
            LinkError::Io(_) | LinkError::Wire(_) | LinkError::Descriptors { .. } => {
                let why = reason::of(error);
                self.say(&format!("failed to {why}"));
            }
        }
        Heard::Lost
    }

    fn say(&mut self, why: &str) {
        if self.why.is_empty() {
            why.clone_into(&mut self.why);
        }
    }

    /// Records the successor, so that whoever has to end this lineage knows of it, and hands over. `None`: all went well.
    fn share(&mut self) -> Option<Heard> {
        let holding = &self.lineage.holding;
        let successor = self.successor.identity().clone();
        let recorded = holding.write_ledger(|ledger| {
            ledger.lineage.retain(|known| *known != successor);
            ledger.lineage.push(successor);
        });
        fault::reach(Point::IncumbentPrepared);
        if let Err(error) = recorded {
            self.say(&format!("failed to {}", reason::of(&error)));
            return Some(Heard::Lost);
        }
        let Some(lease) = holding.lease() else { return Some(Heard::Lost) };
        let listeners = self.kept.listeners.iter().map(|(name, _)| name.clone()).collect();
        let fds: Vec<BorrowedFd<'_>> = [lease.as_fd(), self.kept.control.as_fd()]
            .into_iter()
            .chain(self.kept.listeners.iter().map(|(_, fd)| fd.as_fd()))
            .collect();
        let prepared = Prepared { listeners, within_ms: millis(holding.brief.spec.end_budget()) };
        let sent = self.link.send_all(&Answer::Prepared(prepared), &fds);
        sent.err().map(|error| self.lost(&error))
    }

    fn quiesce(&mut self) -> Heard {
        fault::reach(Point::IncumbentCommitted);
        let limit = self.lineage.holding.brief.spec.end_budget();
        self.lineage.status.makes_room(&self.lineage.holding.brief.spec);
        let until = Deadline::start(limit);
        let asked =
            calling::call(self.lineage, limit.saturating_add(OVERRUN), move |hooks| hooks.quiesce(until));
        if self.lineage.status.is_stopping() {
            self.say("the worker was asked to end");
            return Heard::StopAsked;
        }
        match asked {
            Some(Ok(state)) => {
                self.state = state;
                Heard::Quiesced
            }
            Some(Err(why)) => {
                let why = format!("its app does not make room: {why}");
                // The successor is not to blame, and ends by itself when it hears of it.
                self.aborted = self.link.send(&Answer::refused(why.clone()), &[]).is_ok();
                self.blameless = true;
                self.say(&why);
                Heard::NotQuiesced
            }
            None => {
                self.say("the app that was to make room did not answer");
                Heard::Stuck
            }
        }
    }

    /// Nobody is answered here any more, nothing is written: the scope is the successor's. `None`: it has been told.
    fn grant(&mut self) -> Option<Heard> {
        let Lineage { holding, status, .. } = self.lineage;
        self.program = records::read_ledger(&holding.state).ok().and_then(|ledger| ledger.program);
        status.stand(Some(Role::Committed));
        holding.door.close();
        status.touch();
        holding.leave_ledger();
        let sent = self.send_grant();
        fault::reach(Point::IncumbentGranted);
        sent.err().map(|error| self.lost(&error))
    }

    /// With what the app has packed.
    fn send_grant(&self) -> Result<(), LinkError> {
        if self.state.is_empty() {
            return self.link.send(&Answer::Granted(Granted::default()), &[]);
        }
        let held = memory::hold("tenure-state", &self.state).map_err(LinkError::Io)?;
        let state_bytes = u64::try_from(self.state.len()).unwrap_or(u64::MAX);
        self.link.send(&Answer::Granted(Granted { state_bytes }), &[held.as_fd()])
    }

    /// By the handle that the kernel gave of the peer; one that said that it ends gets a moment for it. Returns when it is
    /// gone and not before: to go on while it may live would make two of us.
    fn end_successor(&mut self, state: Incumbent) -> Heard {
        let polite = match (self.sent_back, self.aborted) {
            // It serves, and has what any worker has for its end.
            (true, _) => self.lineage.holding.brief.spec.end_budget().saturating_add(OVERRUN),
            (false, true) => KILL_GRACE,
            (false, false) => Duration::ZERO,
        };
        let gone = self.successor.wait_ended(Some(polite)).unwrap_or(false);
        while !gone && !self.successor.has_ended() {
            // Somebody who looks into it with a debugger will let it go; nobody tells when.
            let traced = process::tracer_of(self.successor.pid()).is_some();
            if !traced {
                drop(self.successor.signal(Signal::Kill));
            }
            drop(self.successor.wait_ended(traced.then_some(TRACED)));
        }
        if state != Incumbent::Ending(Then::Reclaim) {
            self.forget_successor(state);
        } else if self.last_words_are_of_a_stop() {
            // It was asked to end while this worker lost its patience with it.
            return Heard::Aborted { ends: true };
        }
        Heard::SuccessorGone
    }

    /// Nothing of a successor that was never the worker is left: its program, and its place in the lineage.
    fn forget_successor(&self, state: Incumbent) {
        let holding = &self.lineage.holding;
        // What cannot be ended keeps its lock, which names it to the next takeover.
        drop(self.clear_successors_program(&Ledger::default(), holding.brief.spec.end_budget()));
        let gone = self.successor.identity();
        let failed = (state == Incumbent::Ending(Then::Serve)).then(|| self.failed()).flatten();
        drop(holding.write_ledger(|ledger| {
            ledger.lineage.retain(|known| known != gone);
            ledger.rolled_back = failed.or(ledger.rolled_back.take());
        }));
    }

    /// Ends the program of a successor that is gone, by all that is known of it: what is on record, where the successor came
    /// to record it, or else its mark, and the lock that this worker's own program does not hold.
    fn clear_successors_program(&self, ledger: &Ledger, patience: Duration) -> Result<(), LeftoverError> {
        let holding = &self.lineage.holding;
        let cookie = scope::program_cookie(&holding.state.id(), self.asked.generation);
        let recorded = ledger.program.clone().filter(|program| program.cookie == cookie);
        let mut program = recorded.unwrap_or_else(|| ProgramRecord::of_cookie(cookie));
        let own = self.program.as_ref().and_then(|own| own.lock.as_deref());
        if own.is_some() && (program.lock.is_none() || program.lock.as_deref() == own) {
            let other = file::PROGRAMS.into_iter().find(|name| Some(*name) != own);
            program.lock = other.map(str::to_owned);
        }
        leftovers::clear_program(&holding.state, &program, patience).map(drop)
    }

    /// What is to be known of the successor that failed, by whoever chooses what to start next.
    /// None where it was not the version's fault.
    fn failed(&self) -> Option<RolledBack> {
        let Prepare { version, spec, .. } = self.asked.clone();
        let failed = RolledBack { version, spec, at: self.asked_at.clone(), why: self.why.clone() };
        (!self.blameless).then_some(failed)
    }

    /// Whether a successor that is gone has said, last of all, that somebody asked the worker to end.
    fn last_words_are_of_a_stop(&mut self) -> bool {
        loop {
            match self.link.next::<Request>() {
                Ok(Some(Request::Abort(abort))) => return abort.ends,
                Ok(Some(_)) => {}
                Ok(None) => {
                    let mut interests = [Interest::new(self.link.as_fd(), Want::Read)];
                    let ready = poll::wait(&mut interests, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0);
                    if !ready || self.link.fill().is_err() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    /// Takes back the generation, the ledger, the app's work and the control socket, in this order.
    fn reclaim(&mut self) -> Heard {
        fault::reach(Point::IncumbentReclaiming);
        match self.try_reclaim() {
            Ok(()) => Heard::Reclaimed,
            Err(_) if self.lineage.status.is_stopping() => Heard::StopAsked,
            Err(why) => {
                self.why = format!("{}; the worker before it does not go on: {why}", self.why);
                Heard::NotReclaimed
            }
        }
    }

    fn try_reclaim(&mut self) -> Result<(), String> {
        let told = |error: &dyn std::error::Error| format!("failed to {}", reason::of(error));
        let Lineage { holding, status, .. } = self.lineage;
        let ledger = records::read_ledger(&holding.state).map_err(|error| told(&error))?;
        let patience = ledger.end_budget(holding.brief.spec.end_budget());
        self.clear_successors_program(&ledger, patience).map_err(|error| told(&error))?;

        let own = status.hello();
        let failed = (!self.sent_back).then(|| self.failed()).flatten();
        let (above, program) = (self.asked.generation, self.program.take());
        let endpoints = self.lineage.endpoints();
        let generation = holding.open_generation(|found, kept| Ledger {
            generation: found.generation.max(above).saturating_add(1),
            version: Some(own.version.clone()),
            lineage: vec![own.identity.clone()],
            program: kept.program.clone().or(program),
            booting_until: None,
            end_budget_ms: Some(millis(holding.brief.spec.end_budget())),
            host: Some(lineage::host_record(holding.brief.spec.kind)),
            endpoints: endpoints.clone(),
            started_by: Some(own.started_by.clone()),
            rolled_back: failed.clone().or(found.rolled_back.clone()),
            ..found
        });
        // Told only once it is on record: a later worker must not get the same number. Room was kept for it, so that this
        // fails with a broken disk and not with a full one.
        let generation = generation.map_err(|error| told(&error))?;
        status.set_activation(generation, endpoints);
        self.resume(generation)?;
        status.opens_again();
        status.stand(None);
        // For people only, as at its start.
        drop(holding.write_pid());
        self.answer_again().map_err(|error| format!("failed to listen again: {error}"))?;
        let why = format!("version {} (pid {}): {}", self.asked.version, self.successor.pid(), self.why);
        holding.note(What::RolledBack, &asker(), why);
        Ok(())
    }

    /// An app that was never asked to make room has nothing to come back from.
    fn resume(&mut self, generation: u64) -> Result<(), String> {
        if self.terms.overlap {
            return Ok(());
        }
        let again = self.lineage.duplicate().map_err(|error| error.to_string())?;
        let (state, why) = (std::mem::take(&mut self.state), self.why.clone());
        let back = Back { state, generation, listeners: again.listeners, why };
        let limit = self.lineage.holding.brief.spec.end_budget().saturating_add(OVERRUN);
        calling::call(self.lineage, limit, move |hooks| hooks.resume(back))
            .unwrap_or_else(|| Err("it does not answer".to_owned()))
    }

    /// Callers are answered here again, and the kernel names this process to them.
    fn answer_again(&self) -> std::io::Result<()> {
        let control = self.kept.control.try_clone()?;
        socket::relisten(control.as_fd(), BACKLOG)?;
        pipe::set_nonblocking(control.as_fd(), true)?;
        self.lineage.holding.door.open(UnixListener::from(control));
        self.lineage.status.touch();
        Ok(())
    }

    fn leave(self) {
        fault::reach(Point::IncumbentLeaving);
        if self.passed {
            let within_ms = millis(self.lineage.holding.brief.spec.end_budget());
            // A successor that does not hear it finds this process gone.
            drop(self.link.send(&Answer::Stopping { within_ms }, &[]));
        }
        let Prepare { version, generation, .. } = &self.asked;
        let why =
            format!("version {version} took over (pid {}, generation {generation})", self.successor.pid());
        self.lineage.status.ask(Happening::StopAsked, why);
    }

    /// Neither serving nor able to: whoever comes next starts anew.
    fn exit(&self) -> ! {
        // Whoever waits for the successor is told why neither of them serves.
        let failed = self.failed();
        drop(
            self.lineage
                .holding
                .write_ledger(|ledger| ledger.rolled_back = failed.or(ledger.rolled_back.take())),
        );
        self.lineage.holding.note(What::RollbackFailed, &asker(), self.why.clone());
        exit::now(EXIT_FAILED)
    }
}

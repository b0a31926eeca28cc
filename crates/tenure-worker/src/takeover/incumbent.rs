//! The incumbent's story: at PREPARE it shares lease and listeners, at COMMIT it stops serving and grants the scope. If
//! the successor fails before its probation is over, the incumbent takes the scope back.
//!
//! One thread for one takeover, which waits at once for the successor's messages, the end of its process, a stop, and
//! the end of the phase's time. The table [`incumbent`](tenure_core::policy::takeover::incumbent) says which action
//! follows which event; each action here returns the event that came of it. What is handed over (`make_room`), and how
//! the scope is taken back (`reclaim`), are rooms of their own.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::causes;
use tenure_core::deadline::{Deadline, Moment, millis};
use tenure_core::fault::{self, Point};
use tenure_core::launch::end::stop_and_prove::OVERRUN;
use tenure_core::policy::lifecycle::LifecycleEvent;
use tenure_core::policy::takeover::{self, Incumbent, IncumbentAction, IncumbentEvent, Terms};
use tenure_core::protocol::wire::{Answer, ControlRequest, Prepare};
use tenure_core::record::ledger::ProgramRecord;
use tenure_sys::discard::best_effort;
use tenure_sys::poll;
use tenure_sys::process::ProcessHandle;
use tenure_sys::thread;

use crate::takeover::context::{KeptDescriptors, TakeoverContext, Turn};
use crate::takeover::descriptor_link::{self, DescriptorLink, LinkError};

mod make_room;
mod reclaim;

/// Time between two looks at a successor that a debugger holds: the kernel does not tell when the debugger lets go.
const TRACED_RECHECK: Duration = Duration::from_secs(1);
/// The longest that a successor may ask for: longer than any boot with its drain that is worth waiting for.
const LONGEST_TAKEOVER: Duration = Duration::from_hours(1);

/// How long a PREPARE waits for the end of the takeover before it: a quarter of the successor's time, and at most
/// [`LONGEST_WAIT`]. A successor that gets no answer for 5 s, or for half of its time, gives up and reports that this
/// worker does not answer.
fn wait_for_turn(prepare: &Prepare) -> Duration {
    LONGEST_WAIT.min(Duration::from_millis(prepare.within_ms) / 4)
}

/// The longest wait for the end of the takeover before.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Begins a takeover that was admitted, on a thread of its own.
pub(crate) fn start(context: &Arc<TakeoverContext>, link: DescriptorLink, turn: Turn, prepare: Prepare) {
    let own = Arc::clone(context);
    let started = thread::start("tenure-incumbent", move || {
        if turn == Turn::Next
            && let Err(refused) = own.await_turn(wait_for_turn(&prepare))
        {
            best_effort(link.send(&refused, &[]));
            return;
        }
        if let Some(side) = IncumbentSide::begin(&own, link, prepare) {
            side.run();
        }
        own.takeover_over();
    });
    if started.is_err() {
        // The link is closed with the thread that was not started, which tells the successor.
        context.not_begun(turn);
    }
}

/// One takeover, from the incumbent's side.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, which one frame of the successor sets"
)]
struct IncumbentSide<'context> {
    context: &'context TakeoverContext,
    link: DescriptorLink,
    successor: ProcessHandle,
    asked: Prepare,
    asked_at: Moment,
    terms: Terms,
    /// When the successor must be active; from then on, the end of its probation.
    until: Deadline,
    /// What is handed over, and taken back.
    kept: KeptDescriptors,
    /// What the app has packed.
    packed: Vec<u8>,
    /// The program that was recorded when the ledger was left to the successor.
    program: Option<ProgramRecord>,
    /// The successor has sent ABORT, or was refused, and ends by itself.
    aborted: bool,
    /// Somebody wants this worker to serve again: the successor has not failed.
    sent_back: bool,
    /// The successor has passed its probation.
    passed: bool,
    /// The failure is not the fault of the successor's version.
    blameless: bool,
    /// What went wrong, for people.
    why: String,
}

impl<'context> IncumbentSide<'context> {
    fn begin(context: &'context TakeoverContext, link: DescriptorLink, asked: Prepare) -> Option<Self> {
        let refuse = |link: &DescriptorLink, answer: Answer| best_effort(link.send(&answer, &[]));
        let successor = match descriptor_link::peer(link.stream(), &asked.identity) {
            Ok(successor) => successor,
            Err(why) => {
                refuse(&link, Answer::goes_on(format!("it cannot verify who asks: {why}")));
                return None;
            }
        };
        if Some(asked.generation) != context.ownership.generation().checked_add(1) {
            refuse(&link, Answer::goes_on("its generation is not the next"));
            return None;
        }
        let no_descriptors = |error| Answer::refused(format!("its descriptors cannot be had: {error}"));
        let kept = context.duplicate().map_err(|error| refuse(&link, no_descriptors(error))).ok()?;
        let no_space =
            |error| Answer::goes_on(format!("it has no room on its disk for its way back: {error}"));
        context.ownership.keep_disk_reserve().map_err(|error| refuse(&link, no_space(error))).ok()?;
        let terms = Terms { overlap: asked.overlap, probation: false };
        let within = Duration::from_millis(asked.within_ms).min(LONGEST_TAKEOVER);
        let until = Deadline::start(within.saturating_add(OVERRUN));
        Some(Self {
            context,
            link,
            successor,
            asked,
            asked_at: Moment::now(),
            terms,
            until,
            kept,
            packed: Vec::new(),
            program: None,
            aborted: false,
            sent_back: false,
            passed: false,
            blameless: false,
            why: String::new(),
        })
    }

    /// Passes events to the table and carries out its actions, until this worker serves alone again or ends.
    fn run(mut self) {
        let mut phase = Incumbent::Serving;
        let mut event = IncumbentEvent::Prepare;
        loop {
            let (next, action) = takeover::incumbent(phase, event, self.terms);
            phase = next;
            event = match action {
                None if matches!(phase, Incumbent::Serving | Incumbent::Leaving) => {
                    // A worker that goes on keeps its disk space, for later records of its program and of takeovers.
                    if phase == Incumbent::Leaving {
                        self.context.ownership.free_disk_reserve();
                    }
                    return;
                }
                None => self.next_event(phase),
                Some(IncumbentAction::Share) => self.share().unwrap_or_else(|| self.next_event(phase)),
                Some(IncumbentAction::Quiesce) => self.quiesce(),
                Some(IncumbentAction::Grant) => self.grant().unwrap_or_else(|| self.next_event(phase)),
                Some(IncumbentAction::EndSuccessor) => self.end_successor(phase),
                Some(IncumbentAction::Reclaim) => self.reclaim(),
                Some(IncumbentAction::Leave) => return self.leave(),
                Some(IncumbentAction::Exit) => self.exit(),
            };
        }
    }

    /// Waits for whatever comes first: a frame of the successor, its end, a stop, the end of the phase's time.
    fn next_event(&mut self, phase: Incumbent) -> IncumbentEvent {
        loop {
            match self.link.next::<ControlRequest>() {
                Ok(Some(ControlRequest::Commit)) => return IncumbentEvent::Commit,
                Ok(Some(ControlRequest::Active(active))) => {
                    let probation = Duration::from_millis(active.bake_ms);
                    self.terms.probation = !probation.is_zero();
                    self.until = Deadline::start(probation);
                    fault::reach(Point::IncumbentRelieved);
                    return IncumbentEvent::Active;
                }
                Ok(Some(ControlRequest::Abort(abort))) => {
                    self.aborted = true;
                    self.sent_back = abort.back;
                    self.blameless = abort.blameless;
                    self.why = abort.why;
                    return IncumbentEvent::Aborted { ends: abort.ends };
                }
                Ok(Some(
                    ControlRequest::Hello { .. }
                    | ControlRequest::Wait { .. }
                    | ControlRequest::Stop { .. }
                    | ControlRequest::Prepare(_),
                )) => {}
                Ok(None) => {
                    if let Some(event) = self.wait(phase) {
                        return event;
                    }
                }
                Err(error) => return self.lost(&error),
            }
        }
    }

    /// One wait; `None` when more of a frame has arrived.
    fn wait(&mut self, phase: Incumbent) -> Option<IncumbentEvent> {
        let fds = [self.link.as_fd(), self.successor.as_fd(), self.context.status.stopping()];
        // Only a lack of memory ends the wait early; it is begun again.
        let [frame, ended, stopping] =
            poll::wait_readable(fds, Some(self.until.remaining())).unwrap_or_default();
        if frame {
            return self.link.fill().err().map(|error| self.lost(&error));
        }
        if ended {
            self.note_why("it ended");
            return Some(IncumbentEvent::SuccessorGone);
        }
        if stopping {
            return Some(IncumbentEvent::StopAsked);
        }
        if !self.until.remaining().is_zero() {
            return None;
        }
        if phase == Incumbent::Relieved {
            self.passed = true;
            return Some(IncumbentEvent::ProbationOver);
        }
        self.note_why("it was not active in time");
        Some(IncumbentEvent::Lost)
    }

    fn lost(&mut self, error: &LinkError) -> IncumbentEvent {
        match error {
            LinkError::Ended => self.note_why("it ended"),
            LinkError::Io(_) | LinkError::Wire(_) | LinkError::Descriptors { .. } => {
                let why = causes::in_one_line(error);
                self.note_why(&format!("failed to {why}"));
            }
        }
        IncumbentEvent::Lost
    }

    /// Keeps the first reason: later failures follow from it.
    fn note_why(&mut self, why: &str) {
        if self.why.is_empty() {
            why.clone_into(&mut self.why);
        }
    }

    fn leave(self) {
        fault::reach(Point::IncumbentLeaving);
        if self.passed {
            let within_ms = millis(self.context.ownership.handshake.spec.end_budget());
            // A successor that does not read this message learns of the end of this process.
            best_effort(self.link.send(&Answer::Stopping { within_ms }, &[]));
        }
        let Prepare { version, generation, .. } = &self.asked;
        let why =
            format!("version {version} took over (pid {}, generation {generation})", self.successor.pid());
        self.context.status.ask(LifecycleEvent::StopAsked, why);
    }
}

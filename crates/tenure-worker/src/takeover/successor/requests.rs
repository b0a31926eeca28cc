//! What a successor asks of its incumbent, and what each answer means to the table.
//!
//! Each request is made once, and each answer leads to one event. When the connection to an incumbent ends, its process
//! is proved gone here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tenure_core::causes;
use tenure_core::deadline::{Deadline, Moment, Stage, millis};
use tenure_core::launch::start::handshake::Succession;
use tenure_core::policy::takeover::{self, Successor, SuccessorAction, SuccessorEvent};
use tenure_core::protocol::wire::{Abort, Answer, ControlRequest, Prepare, Prepared};
use tenure_core::store::gate::Entrusted;
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::memory;
use tenure_sys::poll;
use tenure_sys::process::ProcessHandle;

use crate::ownership::Ownership;
use crate::takeover::context::KeptDescriptors;
use crate::takeover::descriptor_link::{DescriptorLink, LinkError};
use crate::takeover::error::{TakeoverError, UNEXPECTED_ANSWER, declined, given_up, no_answer};

/// How long an incumbent may take to answer PREPARE, which costs it one write of its ledger.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What an incumbent cannot use up of a boot: the time in which this worker reports why it failed.
pub(super) const REPORT_RESERVE: Duration = Duration::from_secs(1);

/// How long the kernel may take from the end of a connection to the end of the process that held it.
pub(super) const EXIT_DELAY: Duration = Duration::from_secs(1);

/// Moves the phase on by the table. `None` where the table has no action: the takeover is given up then.
pub(super) fn step(phase: &mut Successor, event: SuccessorEvent) -> Option<SuccessorAction> {
    let (next, step) = takeover::successor(*phase, event);
    *phase = next;
    step
}

/// One takeover, from the successor's side.
#[derive(Debug)]
pub(super) struct SuccessorSide {
    pub(super) phase: Successor,
    pub(super) gate: Entrusted,
    pub(super) terms: Succession,
    pub(super) link: DescriptorLink,
    pub(super) incumbent: ProcessHandle,
}

/// What is left of the time for this worker's boot.
pub(super) fn boot_left(ownership: &Ownership) -> Duration {
    ownership.handshake.booting_until.ahead_of(&Moment::now())
}

/// What comes instead of an answer: the event that it is to the table, and the reason.
pub(super) type Failure = (SuccessorEvent, String);

/// A link that ended says that the incumbent is lost. Any other failure is this worker's own: it has no descriptors
/// left, for example.
fn failure(error: &LinkError) -> Failure {
    let event = match error {
        LinkError::Ended => SuccessorEvent::Lost,
        LinkError::Io(_) | LinkError::Wire(_) | LinkError::Descriptors { .. } => SuccessorEvent::Failed,
    };
    (event, causes::in_one_line(error))
}

impl SuccessorSide {
    /// PREPARE.
    pub(super) fn ask(&self, ownership: &Ownership, own: &Identity) -> Result<(), LinkError> {
        let handshake = &ownership.handshake;
        let within = boot_left(ownership);
        let prepare = Prepare {
            generation: handshake.generation,
            version: handshake.spec.version.clone(),
            spec: handshake.spec.digest(),
            identity: own.clone(),
            overlap: self.terms.overlap,
            within_ms: millis(within),
        };
        self.link.send(&ControlRequest::Prepare(Box::new(prepare)), &[])
    }

    /// The next answer within `limit`, after which `late` is the reason.
    pub(super) fn await_answer(&mut self, limit: Duration, late: &str) -> Result<Answer, Failure> {
        let until = Deadline::start(limit);
        loop {
            if let Some(answer) = self.link.next().map_err(|error| failure(&error))? {
                return Ok(answer);
            }
            let fds = [self.link.as_fd()];
            let [readable] = poll::wait_readable(fds, Some(until.remaining())).unwrap_or_default();
            if readable {
                self.link.fill().map_err(|error| failure(&error))?;
            } else if until.remaining().is_zero() {
                return Err((SuccessorEvent::Late, late.to_owned()));
            }
        }
    }

    /// All descriptors that were announced, in their order.
    pub(super) fn descriptors(
        &mut self,
        handed: &Prepared,
        stage: Stage,
    ) -> Result<(OwnedFd, KeptDescriptors), TakeoverError> {
        let expected = handed.listeners.len() + 2;
        while self.link.count_fds() < expected {
            match self.await_answer(stage.remaining(), "it does not hand over in time") {
                Ok(Answer::Descriptors { .. }) => {}
                Ok(_) => return Err(given_up(UNEXPECTED_ANSWER)),
                Err((SuccessorEvent::Failed, why)) => return Err(given_up(why)),
                Err((_, why)) => return Err(no_answer(why)),
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
    pub(super) fn commit(&mut self, limit: Duration) -> Result<Vec<u8>, Failure> {
        if let Err(error) = self.link.send(&ControlRequest::Commit, &[]) {
            return Err((SuccessorEvent::Lost, causes::in_one_line(&error)));
        }
        let granted = match self.await_answer(limit, "the incumbent did not make room in time") {
            Ok(Answer::Granted(granted)) => granted,
            Ok(Answer::Refused { why, goes_on: false }) => return Err((SuccessorEvent::Refused, why)),
            Ok(Answer::Refused { why, goes_on: true }) => return Err((SuccessorEvent::Kept, why)),
            Ok(_) => return Err((SuccessorEvent::Failed, UNEXPECTED_ANSWER.to_owned())),
            Err(failure) => return Err(failure),
        };
        if granted.state_bytes == 0 {
            return Ok(Vec::new());
        }
        let held = self.link.take_fds().into_iter().next();
        let packed = held.ok_or_else(|| io::ErrorKind::NotFound.into());
        let packed = packed.and_then(|held| memory::read(held, granted.state_bytes));
        packed.map_err(|error| (SuccessorEvent::Failed, format!("its state cannot be read: {error}")))
    }

    /// Finds out whether the incumbent whose connection ended is gone: only then may this worker act alone.
    pub(super) fn prove(&mut self) -> SuccessorEvent {
        step(&mut self.phase, SuccessorEvent::Lost);
        let gone = self.incumbent.wait_ended(Some(EXIT_DELAY)).unwrap_or(false);
        if gone { SuccessorEvent::IncumbentGone } else { SuccessorEvent::IncumbentLives }
    }

    /// The error of a refusal: the launcher is to end the incumbent, or, with `goes_on`, the incumbent serves on and
    /// this worker gives up.
    pub(super) fn refused(&mut self, why: String, goes_on: bool) -> TakeoverError {
        let event = if goes_on { SuccessorEvent::Kept } else { SuccessorEvent::Refused };
        if step(&mut self.phase, event) == Some(SuccessorAction::Decline) {
            return declined(why);
        }
        self.give_up(format!("the worker that serves goes on: {why}"))
    }

    /// The error of an incumbent that does not answer any more. This worker gives up and ends nobody, since the fault
    /// may be its own.
    pub(super) fn lost(&mut self, event: SuccessorEvent, why: String) -> TakeoverError {
        step(&mut self.phase, event);
        drop(self.give_up(why.clone()));
        no_answer(why)
    }

    /// Tells the incumbent that this worker gives up; the end of this process tells it too.
    pub(super) fn give_up(&self, why: String) -> TakeoverError {
        self.send_abort(why.clone(), true);
        given_up(why)
    }

    /// ABORT: this worker ends, and whether its version is to blame.
    pub(super) fn send_abort(&self, why: String, blameless: bool) {
        let abort = Abort { why, ends: false, back: false, blameless };
        best_effort(self.link.send(&ControlRequest::Abort(abort), &[]));
    }
}

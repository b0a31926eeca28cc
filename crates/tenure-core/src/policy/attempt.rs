//! The memory of one call. It turns decisions into the call's next step: at most one replacement, and no second start of
//! a version whose start has failed in this call. A start that ended through no fault of the version (the successor died
//! together with its incumbent, or got no answer from it) does not count as failed, so that version may be started again.
//!
//! Pure. `ensure` carries the steps out in the order in which it gets them; the model does the same with model
//! processes.

use crate::spec::version::Version;

use crate::policy::decide::{Decision, Refusal, ReplaceReason, Usable};
use crate::policy::warning::Warning;
use crate::protocol::wire::Hello;

/// What one call has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Attempt {
    waited: bool,
    started: bool,
    replaced: bool,
    failed: Vec<Version>,
}

/// How a serving worker came to be, for the answer of its launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum How {
    /// It ran before this call.
    Up,
    /// This call started it, or lost the race to start it.
    Started,
    /// This call put it in the place of another.
    Replaced,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Done.
    Answer(How, Box<Usable>),
    /// Leave the gate and wait until the worker has settled.
    Await(Box<Hello>),
    /// Wait for the lease of a worker that has announced its end, then start.
    AwaitEnd(Box<Hello>),
    /// Take the lease, then start.
    Start,
    /// Find out whether the silent process is wedged; if so, end it, then start.
    Suspect,
    /// Put the target in the worker's place: by a takeover, or after the worker is proved gone.
    Replace(Box<Hello>, ReplaceReason),
    /// The worker should be replaced, but this call has replaced one already.
    GiveUp(Box<Hello>, ReplaceReason),
    /// Nothing may be done.
    Refuse(Refusal),
}

impl Attempt {
    /// The next step for a decision.
    pub fn step(&mut self, decision: Decision) -> NextStep {
        match decision {
            Decision::Use(usable) => NextStep::Answer(self.how(), usable),
            Decision::Await(hello) => {
                self.note_wait(&hello);
                NextStep::Await(hello)
            }
            Decision::AwaitEnd(hello) => NextStep::AwaitEnd(hello),
            Decision::TryLease => NextStep::Start,
            Decision::Suspect => NextStep::Suspect,
            // At most one replacement a call. This worker serves; changes since are for the next call.
            Decision::Replace(hello, ReplaceReason::SourceChanged) if self.replaced => {
                let warnings = vec![Warning::SourceChangedAgain];
                NextStep::Answer(self.how(), Box::new(Usable { hello: *hello, warnings }))
            }
            // A worker that is still wrong is reported, not replaced again.
            Decision::Replace(hello, reason) if self.replaced => NextStep::GiveUp(hello, reason),
            Decision::Replace(hello, reason) => NextStep::Replace(hello, reason),
            Decision::Refuse(refusal) => NextStep::Refuse(refusal),
        }
    }

    /// Notes that the call waits for this worker. A worker on probation serves already: then the wait is for its place,
    /// and does not count as a start.
    pub fn note_wait(&mut self, hello: &Hello) {
        self.waited |= hello.probation.is_none();
    }

    /// Notes that a worker made room.
    pub fn note_replaced(&mut self) {
        self.replaced = true;
    }

    /// Notes that a start became ready.
    pub fn note_started(&mut self) {
        self.started = true;
    }

    /// Notes that the start of `version` failed.
    pub fn note_start_failed(&mut self, version: &Version) {
        self.failed.push(version.clone());
    }

    /// Whether this call may still try to start `version`: no start of it has failed in this call.
    #[must_use]
    pub fn may_start(&self, version: &Version) -> bool {
        !self.failed.contains(version)
    }

    /// How the worker that is used came to be.
    #[must_use]
    pub fn how(&self) -> How {
        match (self.replaced, self.started || self.waited) {
            (true, _) => How::Replaced,
            (false, true) => How::Started,
            (false, false) => How::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_the_race_to_start_counts_as_started() {
        let mut attempt = Attempt::default();
        assert_eq!(attempt.how(), How::Up);
        attempt.waited = true;
        assert_eq!(attempt.how(), How::Started);
        attempt.note_replaced();
        assert_eq!(attempt.how(), How::Replaced);
    }

    #[test]
    fn a_version_that_failed_is_not_started_again_in_the_call() {
        let mut attempt = Attempt::default();
        let version = Version::new(2, 0, 0);
        assert!(attempt.may_start(&version));
        attempt.note_start_failed(&version);
        assert!(!attempt.may_start(&version));
        assert!(attempt.may_start(&Version::new(1, 0, 0)));
    }
}

//! A program on probation, and who serves when it fails: the incumbent as long as it can come back, and this host by its
//! policy once the incumbent has left.
//!
//! ```text
//!   Probation ──── the incumbent leaves ────────────────▶ Serving
//!       │ the program fails: AskBack
//!       ▼
//!   Ending, then AskedBack ── the incumbent comes back ─▶ the host ends
//!       │ the incumbent has left, or does not answer
//!       ▼
//!   the restart policy decides, as while Serving
//! ```
//!
//! The incumbent alone decides whether it comes back, since two clocks never agree on the moment in which a probation is
//! over. A host that is not answered may start its program: an incumbent that comes back later ends this host first.

use std::time::Duration;

use crate::deadline::millis;
use crate::spec::amount::Span;

use super::{
    AfterEnd, Exit, HostOutcome, Phase, ProbationFailure, ProbationTerms, RestartCause, Supervisor,
    SupervisorAction, cause_of,
};

impl Supervisor {
    /// Whether a program that is ready for the first time is on probation.
    pub(super) fn begins_probation(&self) -> bool {
        let decided = matches!(self.probation, ProbationTerms::AfterReady(_)) && self.incumbent_left;
        self.probation.time().is_some() && !decided
    }

    /// Begins the probation. One after the readiness lasts until the incumbent leaves.
    pub(super) fn begin_probation(&mut self) -> Vec<SupervisorAction> {
        self.state = Phase::Probation { failures: 0 };
        match self.probation {
            ProbationTerms::None => Vec::new(),
            ProbationTerms::BeforeReady(time) => {
                vec![SupervisorAction::WatchHealth, SupervisorAction::Await(time)]
            }
            ProbationTerms::AfterReady(_) => {
                self.tell_ready().into_iter().chain([SupervisorAction::WatchHealth]).collect()
            }
        }
    }

    /// The program has passed its probation.
    pub(super) fn probation_over(&mut self, failures: u32) -> Vec<SupervisorAction> {
        self.state = Phase::Serving { failures };
        self.tell_ready()
    }

    pub(super) fn exited_on_probation(&mut self, exit: Exit) -> Vec<SupervisorAction> {
        let time = Span::millis(millis(self.probation.time().unwrap_or_default()));
        let message = format!("program ended with {exit} within its probation of {time}");
        self.failed_on_probation(cause_of(exit), message, Vec::new())
    }

    /// Ends a program that failed on probation. Callers are told to wait (`TellBackOff`), because the worker before it
    /// may serve again in a moment.
    pub(super) fn failed_on_probation(
        &mut self,
        cause: RestartCause,
        message: String,
        mut actions: Vec<SupervisorAction>,
    ) -> Vec<SupervisorAction> {
        actions.push(SupervisorAction::TellBackOff(message.clone()));
        match self.probation {
            // The incumbent serves, and goes on when this host has ended.
            ProbationTerms::None | ProbationTerms::BeforeReady(_) => self.fail("bake", message, actions),
            ProbationTerms::AfterReady(_) => {
                actions.push(SupervisorAction::AskBack(message.clone()));
                self.state = Phase::Ending(AfterEnd::AwaitIncumbent(ProbationFailure { cause, message }));
                actions
            }
        }
    }

    /// The incumbent cannot come back any more: whoever serves from now on is this host.
    pub(super) fn incumbent_left(&mut self, now: Duration) -> Vec<SupervisorAction> {
        self.incumbent_left = true;
        if let Phase::Probation { failures } = self.state
            && matches!(self.probation, ProbationTerms::AfterReady(_))
        {
            return self.probation_over(failures);
        }
        self.incumbent_silent(now)
    }

    /// The incumbent does not come back, as far as this host can tell: the restart policy decides about the program.
    pub(super) fn incumbent_silent(&mut self, now: Duration) -> Vec<SupervisorAction> {
        let Some(ProbationFailure { cause, message }) = self.asked_back() else { return Vec::new() };
        let is_gone = matches!(self.state, Phase::AskedBack(_));
        let actions = self.again(cause, message, Vec::new(), now);
        if is_gone { self.gone(actions) } else { actions }
    }

    /// The incumbent serves again once this host has ended.
    pub(super) fn incumbent_comes_back(&mut self) -> Vec<SupervisorAction> {
        let Some(ProbationFailure { message, .. }) = self.asked_back() else { return Vec::new() };
        let failed = HostOutcome::Failed { stage: "bake", message };
        if matches!(self.state, Phase::AskedBack(_)) {
            self.finish(failed)
        } else {
            self.end(failed, Vec::new())
        }
    }

    /// How the program failed, while the incumbent is asked to come back.
    fn asked_back(&self) -> Option<ProbationFailure> {
        match &self.state {
            Phase::Ending(AfterEnd::AwaitIncumbent(failure)) | Phase::AskedBack(failure) => {
                Some(failure.clone())
            }
            Phase::Booting
            | Phase::Again
            | Phase::Probation { .. }
            | Phase::Serving { .. }
            | Phase::Ending(_)
            | Phase::Waiting
            | Phase::RoomMade
            | Phase::Over => None,
        }
    }
}

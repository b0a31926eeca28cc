//! The life of a program under its host, as one table of state and event.
//!
//! Pure. A program is started again only after its whole tree is gone. Late events of an earlier start change nothing.
//! A program that fails before its first readiness is not restarted: its launcher waits, and gets the failure. The one
//! exception is a port that another process took first: the boot begins anew with another port, at most `PORTS` times.
//! On probation a program is not restarted either: the incumbent takes the place back, unless it has left already
//! (`probation`). While another worker has the place, no process of the program lives, and only that worker's end starts
//! it again.

use std::time::Duration;

use crate::deadline::millis;
use crate::spec::RestartPolicy;
use crate::spec::amount::Span;

use super::events::{Exit, HostOutcome, ProbationTerms, SupervisorAction, SupervisorEvent};
use super::restarts::{History, RestartCause, Ruling};

mod probation;

/// The state of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// Started for the first time; not ready.
    Booting,
    /// Started again; not ready.
    Again,
    /// Ready, on probation; `failures` health checks in a row have failed.
    Probation { failures: u32 },
    /// Ready; `failures` health checks in a row have failed.
    Serving { failures: u32 },
    /// Its tree is being ended, or ends by itself.
    Ending(AfterEnd),
    /// No process of it lives; it starts again after a wait.
    Waiting,
    /// It failed on probation, and no process of it lives; the incumbent has been asked to take its place back.
    AskedBack(ProbationFailure),
    /// No process of it lives; another worker has its place.
    RoomMade,
    /// Nothing more happens.
    Over,
}

/// What comes after the tree is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum AfterEnd {
    /// Start as if for the first time.
    Anew,
    Restart(Duration),
    /// Wait for the incumbent, which has been asked to take its place back.
    AwaitIncumbent(ProbationFailure),
    MakeRoom,
    Finish(HostOutcome),
}

/// The state machine of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Supervisor {
    state: Phase,
    policy: RestartPolicy,
    failures_allowed: u32,
    probation: ProbationTerms,
    /// The incumbent cannot take its place back any more.
    incumbent_left: bool,
    /// Readiness was reported to the launcher.
    ready_reported: bool,
    /// The program itself says that it is degraded.
    says_degraded: bool,
    /// How many ports of the first start another process took before the program could bind them.
    ports_lost: u32,
    history: History,
}

/// How a program failed on probation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ProbationFailure {
    cause: RestartCause,
    message: String,
}

/// The longest wait for the answer of an incumbent that was asked to come back. An incumbent that lives answers at once;
/// one of an older `tenure` does not answer, and ends this host within a second.
const INCUMBENT_ANSWER: Duration = Duration::from_secs(5);

/// Ports that a first start may lose. Another process that takes four in a row does so on purpose.
const PORTS: u32 = 4;

impl Supervisor {
    /// The machine of a host whose program was never started, and its first action. The program is restarted once
    /// `failures_allowed` health checks in a row have failed.
    #[must_use]
    pub fn begin(
        policy: RestartPolicy,
        failures_allowed: u32,
        probation: ProbationTerms,
    ) -> (Self, SupervisorAction) {
        let (state, history) = (Phase::Booting, History::default());
        (
            Self {
                state,
                policy,
                failures_allowed,
                probation,
                incumbent_left: false,
                ready_reported: false,
                says_degraded: false,
                ports_lost: 0,
                history,
            },
            SupervisorAction::Start,
        )
    }

    /// The actions for an event at `now`, a time that never goes back.
    pub fn step(&mut self, event: SupervisorEvent, now: Duration) -> Vec<SupervisorAction> {
        match event {
            SupervisorEvent::StopAsked => self.stop(),
            SupervisorEvent::MakeRoomAsked => self.make_room(),
            SupervisorEvent::ResumeAsked => self.resume(),
            SupervisorEvent::IncumbentLeft => self.incumbent_left(now),
            SupervisorEvent::IncumbentComesBack => self.incumbent_comes_back(),
            SupervisorEvent::Runs
            | SupervisorEvent::CannotRun(_)
            | SupervisorEvent::NoProgram(_)
            | SupervisorEvent::Ready
            | SupervisorEvent::NeverReady(_)
            | SupervisorEvent::PortTaken(_)
            | SupervisorEvent::Exited(_)
            | SupervisorEvent::TreeGone
            | SupervisorEvent::Passed
            | SupervisorEvent::PassedDegraded(_)
            | SupervisorEvent::Failed(_)
            | SupervisorEvent::WaitOver
            | SupervisorEvent::Denied(_) => self.go_on(event, now),
        }
    }

    fn stop(&mut self) -> Vec<SupervisorAction> {
        match self.state {
            Phase::Booting | Phase::Again | Phase::Probation { .. } | Phase::Serving { .. } => {
                self.end(HostOutcome::Stopped, vec![SupervisorAction::EndTree])
            }
            Phase::Ending(_) => self.end(HostOutcome::Stopped, Vec::new()),
            Phase::Waiting | Phase::AskedBack(_) | Phase::RoomMade => self.finish(HostOutcome::Stopped),
            Phase::Over => Vec::new(),
        }
    }

    fn make_room(&mut self) -> Vec<SupervisorAction> {
        match self.state {
            Phase::Booting | Phase::Again | Phase::Probation { .. } | Phase::Serving { .. } => {
                self.state = Phase::Ending(AfterEnd::MakeRoom);
                vec![SupervisorAction::EndTree]
            }
            Phase::Ending(AfterEnd::Anew | AfterEnd::Restart(_) | AfterEnd::AwaitIncumbent(_)) => {
                self.state = Phase::Ending(AfterEnd::MakeRoom);
                Vec::new()
            }
            Phase::Waiting | Phase::AskedBack(_) | Phase::RoomMade => {
                self.state = Phase::RoomMade;
                vec![SupervisorAction::TellRoomMade]
            }
            // A decided end is not taken back. The successor notices it by the end of this worker.
            Phase::Ending(AfterEnd::MakeRoom | AfterEnd::Finish(_)) | Phase::Over => Vec::new(),
        }
    }

    fn resume(&mut self) -> Vec<SupervisorAction> {
        match self.state {
            Phase::RoomMade => {
                self.state = Phase::Again;
                vec![SupervisorAction::Start, SupervisorAction::TellResumed]
            }
            Phase::Ending(AfterEnd::MakeRoom) => {
                self.state = Phase::Ending(AfterEnd::Restart(Duration::ZERO));
                vec![SupervisorAction::TellResumed]
            }
            // It had not stopped.
            Phase::Booting
            | Phase::Again
            | Phase::Probation { .. }
            | Phase::Serving { .. }
            | Phase::Waiting
            | Phase::AskedBack(_)
            | Phase::Ending(AfterEnd::Anew | AfterEnd::Restart(_) | AfterEnd::AwaitIncumbent(_)) => {
                vec![SupervisorAction::TellResumed]
            }
            Phase::Ending(AfterEnd::Finish(_)) | Phase::Over => Vec::new(),
        }
    }

    /// Events of the program and of time.
    fn go_on(&mut self, event: SupervisorEvent, now: Duration) -> Vec<SupervisorAction> {
        use Phase as P;
        use SupervisorEvent as E;

        match (&self.state, event) {
            (P::Booting, E::Runs) => vec![SupervisorAction::AskReady { bounded: false }],
            (P::Again, E::Runs) => vec![SupervisorAction::AskReady { bounded: true }],
            (P::Booting | P::Again, E::Ready) => self.ready(),
            (P::Booting, E::CannotRun(message) | E::NoProgram(message)) => {
                self.fail("program", message, Vec::new())
            }
            (P::Booting | P::Probation { .. } | P::Serving { .. }, E::NeverReady(message)) => {
                self.fail("readiness", message, vec![SupervisorAction::EndTree])
            }
            (P::Booting | P::Again | P::Probation { .. } | P::Serving { .. }, E::Denied(why)) => {
                self.fail("takeover", why, vec![SupervisorAction::EndTree])
            }
            (P::Booting, E::PortTaken(why)) if self.ports_lost < PORTS => self.begin_anew(why),
            (P::Booting, E::Exited(exit)) => self.fail("program", before_ready(exit), Vec::new()),
            (P::Booting, E::TreeGone) => {
                self.lost(|machine| machine.fail("program", before_ready(Exit::Lost), Vec::new()))
            }
            (P::Probation { .. }, E::Exited(exit)) => self.exited_on_probation(exit),
            (P::Probation { .. }, E::TreeGone) => {
                self.lost(|machine| machine.exited_on_probation(Exit::Lost))
            }
            (P::AskedBack(_), E::WaitOver) => self.incumbent_silent(now),
            (P::Probation { failures }, E::WaitOver) => self.probation_over(*failures),
            (P::Again, E::CannotRun(message)) => self.again(RestartCause::Failure, message, Vec::new(), now),
            (P::Again, E::NoProgram(message)) => self.give_up(message),
            (P::Again, E::NeverReady(message)) => {
                self.again(RestartCause::Failure, message, vec![SupervisorAction::EndTree], now)
            }
            (P::Again | P::Serving { .. }, E::Exited(exit)) => self.exited(exit, now),
            (P::Again | P::Serving { .. }, E::TreeGone) => {
                self.lost(|machine| machine.exited(Exit::Lost, now))
            }
            (P::Probation { .. } | P::Serving { .. }, E::Passed) => self.passed(),
            (P::Probation { .. } | P::Serving { .. }, E::PassedDegraded(why)) => self.passed_degraded(why),
            (P::Probation { failures } | P::Serving { failures }, E::Failed(why)) => {
                let failures = failures.saturating_add(1);
                self.health_failed(failures, why, now)
            }
            (P::Ending(_), E::TreeGone) => self.gone(Vec::new()),
            (P::Waiting, E::WaitOver) => {
                self.state = P::Again;
                vec![SupervisorAction::Start]
            }

            // Late events of an earlier start or check.
            (
                P::Booting
                | P::Again
                | P::Probation { .. }
                | P::Serving { .. }
                | P::Ending(_)
                | P::Waiting
                | P::AskedBack(_)
                | P::RoomMade
                | P::Over,
                _,
            ) => Vec::new(),
        }
    }

    /// Starts again with another port: it is nobody's fault that the first one was taken.
    fn begin_anew(&mut self, why: String) -> Vec<SupervisorAction> {
        self.ports_lost += 1;
        self.state = Phase::Ending(AfterEnd::Anew);
        vec![SupervisorAction::TellBackOff(why), SupervisorAction::EndTree]
    }

    /// The program serves: on probation, where it has just taken the place of another one.
    fn ready(&mut self) -> Vec<SupervisorAction> {
        self.says_degraded = false;
        if self.state != Phase::Booting || !self.begins_probation() {
            self.state = Phase::Serving { failures: 0 };
            let report =
                if self.ready_reported { vec![SupervisorAction::TellReadyAgain] } else { self.tell_ready() };
            return report.into_iter().chain([SupervisorAction::WatchHealth]).collect();
        }
        self.begin_probation()
    }

    /// Reports readiness, the first time only.
    fn tell_ready(&mut self) -> Vec<SupervisorAction> {
        if std::mem::replace(&mut self.ready_reported, true) {
            Vec::new()
        } else {
            vec![SupervisorAction::TellReady]
        }
    }

    fn passed(&mut self) -> Vec<SupervisorAction> {
        let (Phase::Probation { failures } | Phase::Serving { failures }) = &mut self.state else {
            return Vec::new();
        };
        let had_failed = std::mem::take(failures) > 0;
        let was_degraded = std::mem::take(&mut self.says_degraded);
        if had_failed || was_degraded { vec![SupervisorAction::TellRecovered] } else { Vec::new() }
    }

    /// The program lives, so nothing counts as a failure.
    fn passed_degraded(&mut self, why: String) -> Vec<SupervisorAction> {
        if let Phase::Probation { failures } | Phase::Serving { failures } = &mut self.state {
            *failures = 0;
        }
        self.says_degraded = true;
        vec![SupervisorAction::TellDegraded(why)]
    }

    fn end(&mut self, outcome: HostOutcome, actions: Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        self.state = Phase::Ending(AfterEnd::Finish(outcome));
        actions
    }

    fn fail(
        &mut self,
        stage: &'static str,
        message: String,
        actions: Vec<SupervisorAction>,
    ) -> Vec<SupervisorAction> {
        self.end(HostOutcome::Failed { stage, message }, actions)
    }

    /// Gives up without asking the policy, because a wait would not bring the program back.
    fn give_up(&mut self, why: String) -> Vec<SupervisorAction> {
        let act = SupervisorAction::TellFailed(why.clone());
        self.end(HostOutcome::GaveUp(why), vec![act])
    }

    fn exited(&mut self, exit: Exit, now: Duration) -> Vec<SupervisorAction> {
        self.again(cause_of(exit), format!("program ended with {exit}"), Vec::new(), now)
    }

    fn health_failed(&mut self, failures: u32, why: String, now: Duration) -> Vec<SupervisorAction> {
        let on_probation = matches!(self.state, Phase::Probation { .. });
        if failures < self.failures_allowed {
            self.state =
                if on_probation { Phase::Probation { failures } } else { Phase::Serving { failures } };
            return vec![SupervisorAction::TellDegraded(why)];
        }
        let message = format!("its health check failed {failures} times in a row: {why}");
        let actions = vec![SupervisorAction::NoteUnhealthy(message.clone()), SupervisorAction::EndTree];
        if on_probation {
            return self.failed_on_probation(RestartCause::Failure, message, actions);
        }
        self.again(RestartCause::Unhealthy, message, actions, now)
    }

    /// Asks the policy about a program that does not serve any more, and notes what follows the end of its tree.
    fn again(
        &mut self,
        cause: RestartCause,
        why: String,
        mut actions: Vec<SupervisorAction>,
        now: Duration,
    ) -> Vec<SupervisorAction> {
        let ruling = self.history.rule(&self.policy, cause, now);
        let (end, act) = match (ruling, cause) {
            (Ruling::Again(wait), _) => {
                let wait_shown = Span::millis(millis(wait));
                (
                    AfterEnd::Restart(wait),
                    SupervisorAction::TellBackOff(format!("{why}; starts again in {wait_shown}")),
                )
            }
            (Ruling::Unwanted, RestartCause::Unhealthy) => {
                // The policy does not restart it, and it may still answer some clients: it goes on, degraded.
                self.state = Phase::Serving { failures: self.failures_allowed.saturating_sub(1) };
                return vec![SupervisorAction::TellDegraded(why)];
            }
            (Ruling::Unwanted, RestartCause::Success) => {
                (AfterEnd::Finish(HostOutcome::Done(why.clone())), SupervisorAction::TellFailed(why))
            }
            (Ruling::Unwanted, RestartCause::Failure) => {
                (AfterEnd::Finish(HostOutcome::GaveUp(why.clone())), SupervisorAction::TellFailed(why))
            }
            (Ruling::Spent, _) => {
                let why =
                    format!("{why}; {} restarts within {} are spent", self.policy.limit, self.policy.window);
                (AfterEnd::Finish(HostOutcome::GaveUp(why.clone())), SupervisorAction::TellFailed(why))
            }
        };
        actions.push(act);
        self.state = Phase::Ending(end);
        actions
    }

    /// The tree is gone, and nobody has told of the program's end: that is `end`.
    fn lost(&mut self, end: impl FnOnce(&mut Self) -> Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        let actions = end(self);
        self.gone(actions)
    }

    /// Adds to `actions` what follows the end of the tree.
    fn gone(&mut self, mut actions: Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        match std::mem::replace(&mut self.state, Phase::Over) {
            Phase::Ending(AfterEnd::Anew) => {
                self.state = Phase::Booting;
                actions.push(SupervisorAction::Start);
            }
            Phase::Ending(AfterEnd::Restart(wait)) => {
                self.state = Phase::Waiting;
                actions.push(SupervisorAction::Await(wait));
            }
            Phase::Ending(AfterEnd::AwaitIncumbent(failure)) => {
                self.state = Phase::AskedBack(failure);
                actions.push(SupervisorAction::AwaitIncumbent(INCUMBENT_ANSWER));
            }
            Phase::Ending(AfterEnd::MakeRoom) => {
                self.state = Phase::RoomMade;
                actions.push(SupervisorAction::TellRoomMade);
            }
            Phase::Ending(AfterEnd::Finish(outcome)) => actions.push(SupervisorAction::Finish(outcome)),
            // Callers ask only in `Ending`.
            other @ (Phase::Booting
            | Phase::Again
            | Phase::Probation { .. }
            | Phase::Serving { .. }
            | Phase::Waiting
            | Phase::AskedBack(_)
            | Phase::RoomMade
            | Phase::Over) => self.state = other,
        }
        actions
    }

    fn finish(&mut self, outcome: HostOutcome) -> Vec<SupervisorAction> {
        self.state = Phase::Over;
        vec![SupervisorAction::Finish(outcome)]
    }
}

/// Whether this end of a program was a success, for the policy.
fn cause_of(exit: Exit) -> RestartCause {
    let success = matches!(exit, Exit::Status(status) if status.success());
    if success { RestartCause::Success } else { RestartCause::Failure }
}

fn before_ready(exit: Exit) -> String {
    format!("program ended with {exit} before it was ready")
}

#[cfg(test)]
mod tests;

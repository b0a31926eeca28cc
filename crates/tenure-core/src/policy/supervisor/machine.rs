//! The life of a program under its host, as one table of state and happening.
//!
//! Pure. A program is started again only after its whole tree is gone, and whoever stops listening to a start that is over
//! loses nothing: happenings that no longer matter change nothing. Before it was ready for the first time a program is not
//! restarted: its launcher waits and is told. On probation it is not restarted either: whoever gave it its place takes the
//! place back. While another worker has the place nothing of it lives, and only a word of that worker's end starts it again.

use std::time::Duration;

use crate::deadline::millis;
use crate::spec::RestartPolicy;
use crate::spec::amount::Span;

use super::events::{Exit, HostOutcome, ProbationTerms, SupervisorAction, SupervisorEvent};
use super::restarts::{History, RestartCause, Ruling};

/// Where the program stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// Started for the first time; not ready.
    Booting,
    /// Started again; not ready.
    Again,
    /// Ready, on probation; so many health checks have failed in a row.
    Trial { failures: u32 },
    /// Ready; so many health checks have failed in a row.
    Serving { failures: u32 },
    /// Its tree is being ended, or ends by itself.
    Ending(AfterEnd),
    /// Nothing of it lives; it starts again after a wait.
    Waiting,
    /// Nothing of it lives; another worker has its place.
    Yielded,
    /// Nothing more happens.
    Over,
}

/// What comes after the tree is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum AfterEnd {
    /// Start as if for the first time.
    Anew,
    Restart(Duration),
    Yield,
    Finish(HostOutcome),
}

/// The machine of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Supervisor {
    state: Phase,
    policy: RestartPolicy,
    failures_allowed: u32,
    probation: ProbationTerms,
    /// The launcher was told that the program is ready.
    told: bool,
    /// How many ports were chosen for the first start, and taken by somebody else before it had them.
    ports_lost: u32,
    history: History,
}

/// Ports that a first start may lose: whoever takes four in a row has an eye on them.
const PORTS: u32 = 4;

impl Supervisor {
    /// A host whose program was never started, and the first act. `failures_allowed` health checks in a row may fail
    /// before the program is restarted.
    #[must_use]
    pub fn begin(
        policy: RestartPolicy,
        failures_allowed: u32,
        probation: ProbationTerms,
    ) -> (Self, SupervisorAction) {
        let (state, history) = (Phase::Booting, History::default());
        let told = false;
        (
            Self { state, policy, failures_allowed, probation, told, ports_lost: 0, history },
            SupervisorAction::Start,
        )
    }

    /// What to do about a happening at `now`, a time that never goes back.
    pub fn step(&mut self, event: SupervisorEvent, now: Duration) -> Vec<SupervisorAction> {
        match event {
            SupervisorEvent::StopAsked => self.stop(),
            SupervisorEvent::YieldAsked => self.make_room(),
            SupervisorEvent::ResumeAsked => self.resume(),
            SupervisorEvent::Runs
            | SupervisorEvent::CannotRun(_)
            | SupervisorEvent::NoProgram(_)
            | SupervisorEvent::Ready
            | SupervisorEvent::NeverReady(_)
            | SupervisorEvent::PortTaken(_)
            | SupervisorEvent::Exited(_)
            | SupervisorEvent::TreeGone
            | SupervisorEvent::Passed
            | SupervisorEvent::Failed(_)
            | SupervisorEvent::WaitOver
            | SupervisorEvent::Denied(_) => self.go_on(event, now),
        }
    }

    fn stop(&mut self) -> Vec<SupervisorAction> {
        match self.state {
            Phase::Booting | Phase::Again | Phase::Trial { .. } | Phase::Serving { .. } => {
                self.end(HostOutcome::Stopped, vec![SupervisorAction::EndTree])
            }
            Phase::Ending(_) => self.end(HostOutcome::Stopped, Vec::new()),
            Phase::Waiting | Phase::Yielded => self.finish(HostOutcome::Stopped),
            Phase::Over => Vec::new(),
        }
    }

    fn make_room(&mut self) -> Vec<SupervisorAction> {
        match self.state {
            Phase::Booting | Phase::Again | Phase::Trial { .. } | Phase::Serving { .. } => {
                self.state = Phase::Ending(AfterEnd::Yield);
                vec![SupervisorAction::EndTree]
            }
            Phase::Ending(AfterEnd::Anew | AfterEnd::Restart(_)) => {
                self.state = Phase::Ending(AfterEnd::Yield);
                Vec::new()
            }
            Phase::Waiting | Phase::Yielded => {
                self.state = Phase::Yielded;
                vec![SupervisorAction::TellYielded]
            }
            // An end that was decided is not taken back; who asked hears of it with the end of this worker.
            Phase::Ending(AfterEnd::Yield | AfterEnd::Finish(_)) | Phase::Over => Vec::new(),
        }
    }

    fn resume(&mut self) -> Vec<SupervisorAction> {
        match self.state {
            Phase::Yielded => {
                self.state = Phase::Again;
                vec![SupervisorAction::Start, SupervisorAction::TellResumed]
            }
            Phase::Ending(AfterEnd::Yield) => {
                self.state = Phase::Ending(AfterEnd::Restart(Duration::ZERO));
                vec![SupervisorAction::TellResumed]
            }
            // It has never stopped.
            Phase::Booting
            | Phase::Again
            | Phase::Trial { .. }
            | Phase::Serving { .. }
            | Phase::Waiting
            | Phase::Ending(AfterEnd::Anew | AfterEnd::Restart(_)) => {
                vec![SupervisorAction::TellResumed]
            }
            Phase::Ending(AfterEnd::Finish(_)) | Phase::Over => Vec::new(),
        }
    }

    /// What the program does, or time.
    fn go_on(&mut self, event: SupervisorEvent, now: Duration) -> Vec<SupervisorAction> {
        use SupervisorEvent as H;
        match (&self.state, event) {
            (Phase::Booting, H::Runs) => vec![SupervisorAction::AskReady { bounded: false }],
            (Phase::Again, H::Runs) => vec![SupervisorAction::AskReady { bounded: true }],
            (Phase::Booting | Phase::Again, H::Ready) => self.ready(),
            (Phase::Booting, H::CannotRun(message) | H::NoProgram(message)) => {
                self.fail("program", message, Vec::new())
            }
            (Phase::Booting | Phase::Trial { .. } | Phase::Serving { .. }, H::NeverReady(message)) => {
                self.fail("readiness", message, vec![SupervisorAction::EndTree])
            }
            (Phase::Booting | Phase::Again | Phase::Trial { .. } | Phase::Serving { .. }, H::Denied(why)) => {
                self.fail("takeover", why, vec![SupervisorAction::EndTree])
            }
            (Phase::Booting, H::PortTaken(why)) if self.ports_lost < PORTS => self.begin_anew(why),
            (Phase::Booting, H::Exited(exit)) => self.fail("program", before_ready(exit), Vec::new()),
            (Phase::Booting, H::TreeGone) => {
                let acts = self.fail("program", before_ready(Exit::Lost), Vec::new());
                self.gone(acts)
            }
            (Phase::Trial { .. }, H::Exited(exit)) => self.exited_on_trial(exit),
            (Phase::Trial { .. }, H::TreeGone) => {
                let acts = self.exited_on_trial(Exit::Lost);
                self.gone(acts)
            }
            (Phase::Trial { failures }, H::WaitOver) => self.proved(*failures),
            (Phase::Again, H::CannotRun(message)) => {
                self.again(RestartCause::Failure, message, Vec::new(), now)
            }
            (Phase::Again, H::NoProgram(message)) => self.give_up(message),
            (Phase::Again, H::NeverReady(message)) => {
                self.again(RestartCause::Failure, message, vec![SupervisorAction::EndTree], now)
            }
            (Phase::Again | Phase::Serving { .. }, H::Exited(exit)) => self.exited(exit, now),
            (Phase::Again | Phase::Serving { .. }, H::TreeGone) => {
                let acts = self.exited(Exit::Lost, now);
                self.gone(acts)
            }
            (Phase::Trial { .. } | Phase::Serving { .. }, H::Passed) => self.passed(),
            (Phase::Trial { failures } | Phase::Serving { failures }, H::Failed(why)) => {
                let failures = failures.saturating_add(1);
                self.health_failed(failures, why, now)
            }
            (Phase::Ending(_), H::TreeGone) => self.gone(Vec::new()),
            (Phase::Waiting, H::WaitOver) => {
                self.state = Phase::Again;
                vec![SupervisorAction::Start]
            }

            // What a start that is over, or a check that was overtaken, still has to say.
            (
                Phase::Booting
                | Phase::Again
                | Phase::Trial { .. }
                | Phase::Serving { .. }
                | Phase::Ending(_)
                | Phase::Waiting
                | Phase::Yielded
                | Phase::Over,
                _,
            ) => Vec::new(),
        }
    }

    /// Its probation is over.
    fn proved(&mut self, failures: u32) -> Vec<SupervisorAction> {
        self.state = Phase::Serving { failures };
        self.tell_ready()
    }

    /// Another start gets another port; what became of this one was nobody's fault.
    fn begin_anew(&mut self, why: String) -> Vec<SupervisorAction> {
        self.ports_lost += 1;
        self.state = Phase::Ending(AfterEnd::Anew);
        vec![SupervisorAction::TellBackOff(why), SupervisorAction::EndTree]
    }

    /// The program serves: on probation, where it is its first time in the place of another one.
    fn ready(&mut self) -> Vec<SupervisorAction> {
        let Some(time) = self.probation.time().filter(|_| self.state == Phase::Booting) else {
            self.state = Phase::Serving { failures: 0 };
            let told = if self.told { vec![SupervisorAction::TellReadyAgain] } else { self.tell_ready() };
            return told.into_iter().chain([SupervisorAction::WatchHealth]).collect();
        };
        self.state = Phase::Trial { failures: 0 };
        let told = match self.probation {
            ProbationTerms::None | ProbationTerms::BeforeReady(_) => Vec::new(),
            ProbationTerms::AfterReady(_) => self.tell_ready(),
        };
        told.into_iter().chain([SupervisorAction::WatchHealth, SupervisorAction::Await(time)]).collect()
    }

    /// Once.
    fn tell_ready(&mut self) -> Vec<SupervisorAction> {
        if std::mem::replace(&mut self.told, true) { Vec::new() } else { vec![SupervisorAction::TellReady] }
    }

    fn passed(&mut self) -> Vec<SupervisorAction> {
        let (Phase::Trial { failures } | Phase::Serving { failures }) = &mut self.state else {
            return Vec::new();
        };
        if std::mem::take(failures) == 0 { Vec::new() } else { vec![SupervisorAction::TellRecovered] }
    }

    fn exited_on_trial(&mut self, exit: Exit) -> Vec<SupervisorAction> {
        let time = Span::millis(millis(self.probation.time().unwrap_or_default()));
        let message = format!("program ended with {exit} within its probation of {time}");
        self.unproved(message, Vec::new())
    }

    /// It serves no more, and the worker before it may serve again in a moment: worth waiting for, and no end.
    fn unproved(&mut self, message: String, mut acts: Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        acts.push(SupervisorAction::TellBackOff(message.clone()));
        self.fail("bake", message, acts)
    }

    fn end(&mut self, outcome: HostOutcome, acts: Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        self.state = Phase::Ending(AfterEnd::Finish(outcome));
        acts
    }

    fn fail(
        &mut self,
        stage: &'static str,
        message: String,
        acts: Vec<SupervisorAction>,
    ) -> Vec<SupervisorAction> {
        self.end(HostOutcome::Failed { stage, message }, acts)
    }

    /// The policy is not asked: a wait brings back no program.
    fn give_up(&mut self, why: String) -> Vec<SupervisorAction> {
        let act = SupervisorAction::TellFailed(why.clone());
        self.end(HostOutcome::GaveUp(why), vec![act])
    }

    fn exited(&mut self, exit: Exit, now: Duration) -> Vec<SupervisorAction> {
        let success = matches!(exit, Exit::Status(status) if status.success());
        let cause = if success { RestartCause::Success } else { RestartCause::Failure };
        self.again(cause, format!("program ended with {exit}"), Vec::new(), now)
    }

    fn health_failed(&mut self, failures: u32, why: String, now: Duration) -> Vec<SupervisorAction> {
        let on_trial = matches!(self.state, Phase::Trial { .. });
        if failures < self.failures_allowed {
            self.state = if on_trial { Phase::Trial { failures } } else { Phase::Serving { failures } };
            return vec![SupervisorAction::TellDegraded(why)];
        }
        let message = format!("its health check failed {failures} times in a row: {why}");
        let acts = vec![SupervisorAction::NoteUnhealthy(message.clone()), SupervisorAction::EndTree];
        if on_trial {
            return self.unproved(message, acts);
        }
        self.again(RestartCause::Unhealthy, message, acts, now)
    }

    /// Asks the policy about a program that does not serve any more, and notes what comes after its tree.
    fn again(
        &mut self,
        cause: RestartCause,
        why: String,
        mut acts: Vec<SupervisorAction>,
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
                // It still answers some, and nobody wants it restarted: say so and go on.
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
        acts.push(act);
        self.state = Phase::Ending(end);
        acts
    }

    /// What comes after a tree that is gone, behind `acts`.
    fn gone(&mut self, mut acts: Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        match std::mem::replace(&mut self.state, Phase::Over) {
            Phase::Ending(AfterEnd::Anew) => {
                self.state = Phase::Booting;
                acts.push(SupervisorAction::Start);
            }
            Phase::Ending(AfterEnd::Restart(wait)) => {
                self.state = Phase::Waiting;
                acts.push(SupervisorAction::Await(wait));
            }
            Phase::Ending(AfterEnd::Yield) => {
                self.state = Phase::Yielded;
                acts.push(SupervisorAction::TellYielded);
            }
            Phase::Ending(AfterEnd::Finish(outcome)) => acts.push(SupervisorAction::Finish(outcome)),
            // Nobody asks but of a tree whose end was noted.
            other @ (Phase::Booting
            | Phase::Again
            | Phase::Trial { .. }
            | Phase::Serving { .. }
            | Phase::Waiting
            | Phase::Yielded
            | Phase::Over) => self.state = other,
        }
        acts
    }

    fn finish(&mut self, outcome: HostOutcome) -> Vec<SupervisorAction> {
        self.state = Phase::Over;
        vec![SupervisorAction::Finish(outcome)]
    }
}

fn before_ready(exit: Exit) -> String {
    format!("program ended with {exit} before it was ready")
}

#[cfg(test)]
mod tests;

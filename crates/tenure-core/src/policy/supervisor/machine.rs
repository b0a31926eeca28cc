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

use super::policy::{Cause, History, Ruling};
use super::words::{Act, Exit, Happening, Outcome, Probation};

/// Where the program stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// Started for the first time; not ready.
    Booting,
    /// Started again; not ready.
    Again,
    /// Ready, on probation; so many health checks have failed in a row.
    Trial { failures: u32 },
    /// Ready; so many health checks have failed in a row.
    Serving { failures: u32 },
    /// Its tree is being ended, or ends by itself.
    Ending(End),
    /// Nothing of it lives; it starts again after a wait.
    Waiting,
    /// Nothing of it lives; another worker has its place.
    Yielded,
    /// Nothing more happens.
    Over,
}

/// What comes after the tree is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum End {
    /// Start as if for the first time.
    Anew,
    Restart(Duration),
    Yield,
    Finish(Outcome),
}

/// The machine of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    state: State,
    policy: RestartPolicy,
    failures_allowed: u32,
    probation: Probation,
    /// It was told that the program is ready.
    told: bool,
    /// How many ports were chosen for the first start, and taken by somebody else before it had them.
    ports_lost: u32,
    history: History,
}

/// Ports that a first start may lose: whoever takes four in a row has an eye on them.
const PORTS: u32 = 4;

impl Machine {
    /// A host whose program was never started, and the first act. `failures_allowed` health checks in a row may fail
    /// before the program is restarted.
    #[must_use]
    pub fn begin(policy: RestartPolicy, failures_allowed: u32, probation: Probation) -> (Self, Act) {
        let (state, history) = (State::Booting, History::default());
        let told = false;
        (Self { state, policy, failures_allowed, probation, told, ports_lost: 0, history }, Act::Start)
    }

    /// What to do about a happening at `now`, a time that never goes back.
    pub fn step(&mut self, happening: Happening, now: Duration) -> Vec<Act> {
        match happening {
            Happening::StopAsked => self.stop(),
            Happening::YieldAsked => self.make_room(),
            Happening::ResumeAsked => self.resume(),
            Happening::Runs
            | Happening::CannotRun(_)
            | Happening::NoProgram(_)
            | Happening::Ready
            | Happening::NeverReady(_)
            | Happening::PortTaken(_)
            | Happening::Exited(_)
            | Happening::TreeGone
            | Happening::Passed
            | Happening::Failed(_)
            | Happening::WaitOver
            | Happening::Denied(_) => self.go_on(happening, now),
        }
    }

    fn stop(&mut self) -> Vec<Act> {
        match self.state {
            State::Booting | State::Again | State::Trial { .. } | State::Serving { .. } => {
                self.end(Outcome::Stopped, vec![Act::EndTree])
            }
            State::Ending(_) => self.end(Outcome::Stopped, Vec::new()),
            State::Waiting | State::Yielded => self.finish(Outcome::Stopped),
            State::Over => Vec::new(),
        }
    }

    fn make_room(&mut self) -> Vec<Act> {
        match self.state {
            State::Booting | State::Again | State::Trial { .. } | State::Serving { .. } => {
                self.state = State::Ending(End::Yield);
                vec![Act::EndTree]
            }
            State::Ending(End::Anew | End::Restart(_)) => {
                self.state = State::Ending(End::Yield);
                Vec::new()
            }
            State::Waiting | State::Yielded => {
                self.state = State::Yielded;
                vec![Act::TellYielded]
            }
            // An end that was decided is not taken back; who asked hears of it with the end of this worker.
            State::Ending(End::Yield | End::Finish(_)) | State::Over => Vec::new(),
        }
    }

    fn resume(&mut self) -> Vec<Act> {
        match self.state {
            State::Yielded => {
                self.state = State::Again;
                vec![Act::Start, Act::TellResumed]
            }
            State::Ending(End::Yield) => {
                self.state = State::Ending(End::Restart(Duration::ZERO));
                vec![Act::TellResumed]
            }
            // It has never stopped.
            State::Booting
            | State::Again
            | State::Trial { .. }
            | State::Serving { .. }
            | State::Waiting
            | State::Ending(End::Anew | End::Restart(_)) => vec![Act::TellResumed],
            State::Ending(End::Finish(_)) | State::Over => Vec::new(),
        }
    }

    /// What the program does, or time.
    fn go_on(&mut self, happening: Happening, now: Duration) -> Vec<Act> {
        use Happening as H;
        match (&self.state, happening) {
            (State::Booting, H::Runs) => vec![Act::AskReady { bounded: false }],
            (State::Again, H::Runs) => vec![Act::AskReady { bounded: true }],
            (State::Booting | State::Again, H::Ready) => self.ready(),
            (State::Booting, H::CannotRun(message) | H::NoProgram(message)) => {
                self.fail("program", message, Vec::new())
            }
            (State::Booting | State::Trial { .. } | State::Serving { .. }, H::NeverReady(message)) => {
                self.fail("readiness", message, vec![Act::EndTree])
            }
            (State::Booting | State::Again | State::Trial { .. } | State::Serving { .. }, H::Denied(why)) => {
                self.fail("takeover", why, vec![Act::EndTree])
            }
            (State::Booting, H::PortTaken(why)) if self.ports_lost < PORTS => self.begin_anew(why),
            (State::Booting, H::Exited(exit)) => self.fail("program", before_ready(exit), Vec::new()),
            (State::Booting, H::TreeGone) => {
                let acts = self.fail("program", before_ready(Exit::Lost), Vec::new());
                self.gone(acts)
            }
            (State::Trial { .. }, H::Exited(exit)) => self.exited_on_trial(exit),
            (State::Trial { .. }, H::TreeGone) => {
                let acts = self.exited_on_trial(Exit::Lost);
                self.gone(acts)
            }
            (State::Trial { failures }, H::WaitOver) => self.proved(*failures),
            (State::Again, H::CannotRun(message)) => self.again(Cause::Failure, message, Vec::new(), now),
            (State::Again, H::NoProgram(message)) => self.give_up(message),
            (State::Again, H::NeverReady(message)) => {
                self.again(Cause::Failure, message, vec![Act::EndTree], now)
            }
            (State::Again | State::Serving { .. }, H::Exited(exit)) => self.exited(exit, now),
            (State::Again | State::Serving { .. }, H::TreeGone) => {
                let acts = self.exited(Exit::Lost, now);
                self.gone(acts)
            }
            (State::Trial { .. } | State::Serving { .. }, H::Passed) => self.passed(),
            (State::Trial { failures } | State::Serving { failures }, H::Failed(why)) => {
                let failures = failures.saturating_add(1);
                self.health_failed(failures, why, now)
            }
            (State::Ending(_), H::TreeGone) => self.gone(Vec::new()),
            (State::Waiting, H::WaitOver) => {
                self.state = State::Again;
                vec![Act::Start]
            }

            // What a start that is over, or a check that was overtaken, still has to say.
            (
                State::Booting
                | State::Again
                | State::Trial { .. }
                | State::Serving { .. }
                | State::Ending(_)
                | State::Waiting
                | State::Yielded
                | State::Over,
                _,
            ) => Vec::new(),
        }
    }

    /// Its probation is over.
    fn proved(&mut self, failures: u32) -> Vec<Act> {
        self.state = State::Serving { failures };
        self.tell_ready()
    }

    /// Another start gets another port; what became of this one was nobody's fault.
    fn begin_anew(&mut self, why: String) -> Vec<Act> {
        self.ports_lost += 1;
        self.state = State::Ending(End::Anew);
        vec![Act::TellBackOff(why), Act::EndTree]
    }

    /// The program serves: on probation, where it is its first time in the place of another one.
    fn ready(&mut self) -> Vec<Act> {
        let Some(time) = self.probation.time().filter(|_| self.state == State::Booting) else {
            self.state = State::Serving { failures: 0 };
            let told = if self.told { vec![Act::TellReadyAgain] } else { self.tell_ready() };
            return told.into_iter().chain([Act::WatchHealth]).collect();
        };
        self.state = State::Trial { failures: 0 };
        let told = match self.probation {
            Probation::None | Probation::BeforeReady(_) => Vec::new(),
            Probation::AfterReady(_) => self.tell_ready(),
        };
        told.into_iter().chain([Act::WatchHealth, Act::Await(time)]).collect()
    }

    /// Once.
    fn tell_ready(&mut self) -> Vec<Act> {
        if std::mem::replace(&mut self.told, true) { Vec::new() } else { vec![Act::TellReady] }
    }

    fn passed(&mut self) -> Vec<Act> {
        let (State::Trial { failures } | State::Serving { failures }) = &mut self.state else {
            return Vec::new();
        };
        if std::mem::take(failures) == 0 { Vec::new() } else { vec![Act::TellRecovered] }
    }

    fn exited_on_trial(&mut self, exit: Exit) -> Vec<Act> {
        let time = Span::millis(millis(self.probation.time().unwrap_or_default()));
        let message = format!("program ended with {exit} within its probation of {time}");
        self.unproved(message, Vec::new())
    }

    /// It serves no more, and the worker before it may serve again in a moment: worth waiting for, and no end.
    fn unproved(&mut self, message: String, mut acts: Vec<Act>) -> Vec<Act> {
        acts.push(Act::TellBackOff(message.clone()));
        self.fail("bake", message, acts)
    }

    fn end(&mut self, outcome: Outcome, acts: Vec<Act>) -> Vec<Act> {
        self.state = State::Ending(End::Finish(outcome));
        acts
    }

    fn fail(&mut self, stage: &'static str, message: String, acts: Vec<Act>) -> Vec<Act> {
        self.end(Outcome::Failed { stage, message }, acts)
    }

    /// The policy is not asked: a wait brings back no program.
    fn give_up(&mut self, why: String) -> Vec<Act> {
        let act = Act::TellFailed(why.clone());
        self.end(Outcome::GaveUp(why), vec![act])
    }

    fn exited(&mut self, exit: Exit, now: Duration) -> Vec<Act> {
        let success = matches!(exit, Exit::Status(status) if status.success());
        let cause = if success { Cause::Success } else { Cause::Failure };
        self.again(cause, format!("program ended with {exit}"), Vec::new(), now)
    }

    fn health_failed(&mut self, failures: u32, why: String, now: Duration) -> Vec<Act> {
        let on_trial = matches!(self.state, State::Trial { .. });
        if failures < self.failures_allowed {
            self.state = if on_trial { State::Trial { failures } } else { State::Serving { failures } };
            return vec![Act::TellDegraded(why)];
        }
        let message = format!("its health check failed {failures} times in a row: {why}");
        let acts = vec![Act::NoteUnhealthy(message.clone()), Act::EndTree];
        if on_trial {
            return self.unproved(message, acts);
        }
        self.again(Cause::Unhealthy, message, acts, now)
    }

    /// Asks the policy about a program that does not serve any more, and notes what comes after its tree.
    fn again(&mut self, cause: Cause, why: String, mut acts: Vec<Act>, now: Duration) -> Vec<Act> {
        let ruling = self.history.rule(&self.policy, cause, now);
        let (end, act) = match (ruling, cause) {
            (Ruling::Again(wait), _) => {
                let wait_shown = Span::millis(millis(wait));
                (End::Restart(wait), Act::TellBackOff(format!("{why}; starts again in {wait_shown}")))
            }
            (Ruling::Unwanted, Cause::Unhealthy) => {
                // It still answers some, and nobody wants it restarted: say so and go on.
                self.state = State::Serving { failures: self.failures_allowed.saturating_sub(1) };
                return vec![Act::TellDegraded(why)];
            }
            (Ruling::Unwanted, Cause::Success) => {
                (End::Finish(Outcome::Done(why.clone())), Act::TellFailed(why))
            }
            (Ruling::Unwanted, Cause::Failure) => {
                (End::Finish(Outcome::GaveUp(why.clone())), Act::TellFailed(why))
            }
            (Ruling::Spent, _) => {
                let why =
                    format!("{why}; {} restarts within {} are spent", self.policy.limit, self.policy.window);
                (End::Finish(Outcome::GaveUp(why.clone())), Act::TellFailed(why))
            }
        };
        acts.push(act);
        self.state = State::Ending(end);
        acts
    }

    /// What comes after a tree that is gone, behind `acts`.
    fn gone(&mut self, mut acts: Vec<Act>) -> Vec<Act> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ending(End::Anew) => {
                self.state = State::Booting;
                acts.push(Act::Start);
            }
            State::Ending(End::Restart(wait)) => {
                self.state = State::Waiting;
                acts.push(Act::Await(wait));
            }
            State::Ending(End::Yield) => {
                self.state = State::Yielded;
                acts.push(Act::TellYielded);
            }
            State::Ending(End::Finish(outcome)) => acts.push(Act::Finish(outcome)),
            // Nobody asks but of a tree whose end was noted.
            other @ (State::Booting
            | State::Again
            | State::Trial { .. }
            | State::Serving { .. }
            | State::Waiting
            | State::Yielded
            | State::Over) => self.state = other,
        }
        acts
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Act> {
        self.state = State::Over;
        vec![Act::Finish(outcome)]
    }
}

fn before_ready(exit: Exit) -> String {
    format!("program ended with {exit} before it was ready")
}

#[cfg(test)]
mod tests;

//! The life of a program under its host, as one table of state and happening.
//!
//! Pure. A program is started again only after its whole tree is gone, and whoever stops listening to a start that is over
//! loses nothing: happenings that no longer matter change nothing. Before it was ready for the first time a program is not
//! restarted: its launcher waits and is told.

use std::fmt;
use std::time::Duration;

use tenure::amount::Span;
use tenure::deadline::millis;
use tenure::spec::RestartPolicy;
use tenure_sys::process::ExitStatus;

use super::policy::{Cause, History, Ruling};

/// Where the program stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// Started for the first time; not ready.
    Booting,
    /// Started again; not ready.
    Again,
    /// Ready; so many health checks have failed in a row.
    Serving { failures: u32 },
    /// Its tree is being ended, or ends by itself.
    Ending(End),
    /// Nothing of it lives; it starts again after a wait.
    Waiting,
    /// Nothing more happens.
    Over,
}

/// What comes after the tree is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum End {
    Restart(Duration),
    Finish(Outcome),
}

/// What the host tells the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The program runs.
    Runs,
    /// It could not be started; the text says why.
    CannotRun(String),
    /// It is ready.
    Ready,
    /// It cannot become ready any more, or did not in time.
    NeverReady(String),
    /// It has ended. What it started may still live.
    Exited(Exit),
    /// Nothing of its tree lives.
    TreeGone,
    /// A health check passed.
    Passed,
    /// A health check failed.
    Failed(String),
    /// The wait before a restart is over.
    WaitOver,
    /// The worker was asked to end.
    StopAsked,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// As its parent tells.
    Status(ExitStatus),
    /// Its parent was lost, and with it the status.
    Lost,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Lost => f.write_str("an unknown status, because its shim was ended"),
        }
    }
}

/// What the host is to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// Start the program.
    Start,
    /// Find out whether it is ready. `bounded`: by the host's own clock; the first time the boot watchdog is the bound.
    AskReady {
        /// Whether the host must bound it.
        bounded: bool,
    },
    /// It is ready for the first time: tell the launcher. Begin to check its health.
    TellReady,
    /// It is ready again. Begin to check its health.
    TellReadyAgain,
    /// Its health check fails, and passes again after this.
    TellDegraded(String),
    /// Its health check passes again.
    TellRecovered,
    /// Its health check failed too often: an event.
    NoteUnhealthy(String),
    /// It will start again.
    TellBackOff(String),
    /// It will not start again.
    TellFailed(String),
    /// End its tree.
    EndTree,
    /// Tell when this much time has passed.
    Await(Duration),
    /// Leave, with this outcome. Nothing of the program lives.
    Finish(Outcome),
}

/// How a host ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was asked to.
    Stopped,
    /// The program ended with success, and the policy does not restart it then.
    Done(String),
    /// The program does not serve and will not be started again.
    GaveUp(String),
    /// The program never became ready.
    Failed {
        /// The named part of the boot.
        stage: &'static str,
        /// What went wrong.
        message: String,
    },
}

/// The machine of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    state: State,
    policy: RestartPolicy,
    failures_allowed: u32,
    history: History,
}

impl Machine {
    /// A host whose program was never started, and the first act. `failures_allowed` health checks in a row may fail
    /// before the program is restarted.
    #[must_use]
    pub fn begin(policy: RestartPolicy, failures_allowed: u32) -> (Self, Act) {
        let history = History::default();
        (Self { state: State::Booting, policy, failures_allowed, history }, Act::Start)
    }

    /// What to do about a happening at `now`, a time that never goes back.
    pub fn step(&mut self, happening: Happening, now: Duration) -> Vec<Act> {
        use Happening as H;
        match (&self.state, happening) {
            (State::Booting | State::Again | State::Serving { .. }, H::StopAsked) => {
                self.end(Outcome::Stopped, vec![Act::EndTree])
            }
            (State::Ending(_), H::StopAsked) => self.end(Outcome::Stopped, Vec::new()),
            (State::Waiting, H::StopAsked) => self.finish(Outcome::Stopped),

            (State::Booting, H::Runs) => vec![Act::AskReady { bounded: false }],
            (State::Again, H::Runs) => vec![Act::AskReady { bounded: true }],
            (State::Booting, H::Ready) => self.serve(Act::TellReady),
            (State::Again, H::Ready) => self.serve(Act::TellReadyAgain),
            (State::Booting, H::CannotRun(message)) => self.fail("program", message, Vec::new()),
            (State::Booting | State::Serving { .. }, H::NeverReady(message)) => {
                self.fail("readiness", message, vec![Act::EndTree])
            }
            (State::Booting, H::Exited(exit)) => self.fail("program", before_ready(exit), Vec::new()),
            (State::Booting, H::TreeGone) => self.gone_unasked(),
            (State::Again, H::CannotRun(message)) => self.again(Cause::Failure, message, Vec::new(), now),
            (State::Again, H::NeverReady(message)) => {
                self.again(Cause::Failure, message, vec![Act::EndTree], now)
            }
            (State::Again | State::Serving { .. }, H::Exited(exit)) => self.exited(exit, now),
            (State::Again | State::Serving { .. }, H::TreeGone) => {
                let mut acts = self.exited(Exit::Lost, now);
                acts.extend(self.gone());
                acts
            }
            (State::Serving { failures: 1.. }, H::Passed) => self.serve(Act::TellRecovered),
            (State::Serving { failures }, H::Failed(why)) => {
                let failures = failures.saturating_add(1);
                self.health_failed(failures, why, now)
            }
            (State::Ending(_), H::TreeGone) => self.gone(),
            (State::Waiting, H::WaitOver) => {
                self.state = State::Again;
                vec![Act::Start]
            }

            // What a start that is over, or a check that was overtaken, still has to say.
            (State::Booting | State::Again, H::Passed | H::Failed(_) | H::WaitOver)
            | (State::Serving { .. }, H::Runs | H::CannotRun(_) | H::Ready | H::Passed | H::WaitOver)
            | (State::Ending(_) | State::Waiting | State::Over, _) => Vec::new(),
        }
    }

    fn serve(&mut self, act: Act) -> Vec<Act> {
        self.state = State::Serving { failures: 0 };
        vec![act]
    }

    fn end(&mut self, outcome: Outcome, acts: Vec<Act>) -> Vec<Act> {
        self.state = State::Ending(End::Finish(outcome));
        acts
    }

    fn fail(&mut self, stage: &'static str, message: String, acts: Vec<Act>) -> Vec<Act> {
        self.end(Outcome::Failed { stage, message }, acts)
    }

    fn gone_unasked(&mut self) -> Vec<Act> {
        let mut acts = self.fail("program", before_ready(Exit::Lost), Vec::new());
        acts.extend(self.gone());
        acts
    }

    fn exited(&mut self, exit: Exit, now: Duration) -> Vec<Act> {
        let success = matches!(exit, Exit::Status(status) if status.success());
        let cause = if success { Cause::Success } else { Cause::Failure };
        self.again(cause, format!("program ended with {exit}"), Vec::new(), now)
    }

    fn health_failed(&mut self, failures: u32, why: String, now: Duration) -> Vec<Act> {
        if failures >= self.failures_allowed {
            let message = format!("its health check failed {failures} times in a row: {why}");
            let acts = vec![Act::NoteUnhealthy(message.clone()), Act::EndTree];
            return self.again(Cause::Unhealthy, message, acts, now);
        }
        self.state = State::Serving { failures };
        vec![Act::TellDegraded(why)]
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

    fn gone(&mut self) -> Vec<Act> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ending(End::Restart(wait)) => {
                self.state = State::Waiting;
                vec![Act::Await(wait)]
            }
            State::Ending(End::Finish(outcome)) => self.finish(outcome),
            other
            @ (State::Booting | State::Again | State::Serving { .. } | State::Waiting | State::Over) => {
                self.state = other;
                Vec::new()
            }
        }
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

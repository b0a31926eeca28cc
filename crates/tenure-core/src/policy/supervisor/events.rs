//! What a host and its machine say to each other. Pure data.

use std::fmt;
use std::time::Duration;

use tenure_sys::process::ExitStatus;

/// How a program proves itself that takes the place of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbationTerms {
    /// Not at all: it takes nobody's place.
    None,
    /// Ready for so long before that is told: the other one serves meanwhile.
    BeforeReady(Duration),
    /// So long after it was told.
    AfterReady(Duration),
}

impl ProbationTerms {
    /// How long; `None` where there is no time to fail in.
    pub(super) fn time(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::BeforeReady(time) | Self::AfterReady(time) => Some(time).filter(|time| !time.is_zero()),
        }
    }
}

/// What the host tells the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SupervisorEvent {
    /// The program runs.
    Runs,
    /// It could not be started; the text says why. Another try may do better.
    CannotRun(String),
    /// It could not be started, and cannot be until somebody changes what is on disk; the text says why.
    NoProgram(String),
    /// It is ready.
    Ready,
    /// It cannot become ready any more, or did not in time.
    NeverReady(String),
    /// Somebody else has the port that was chosen for it: told before what came of that.
    PortTaken(String),
    /// It has ended. What it started may still live.
    Exited(Exit),
    /// Nothing of its tree lives.
    TreeGone,
    /// A health check passed.
    Passed,
    /// A health check failed.
    Failed(String),
    /// The wait before a restart is over, or the probation.
    WaitOver,
    /// The worker may not take the place that its program is for; the text says why.
    Denied(String),
    /// Another worker takes the place.
    YieldAsked,
    /// The other worker has failed and is gone.
    ResumeAsked,
    /// The worker was asked to end.
    StopAsked,
}

impl SupervisorEvent {
    /// A start that failed: `lasting` where another try fails likewise until somebody changes what is on disk.
    #[must_use]
    pub fn not_started(why: String, lasting: bool) -> Self {
        if lasting { Self::NoProgram(why) } else { Self::CannotRun(why) }
    }
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
pub enum SupervisorAction {
    /// Start the program.
    Start,
    /// Find out whether it is ready. `bounded`: by the host's own clock; the first time the boot watchdog is the bound.
    AskReady {
        /// Whether the host must bound it.
        bounded: bool,
    },
    /// It is ready for the first time: tell the launcher.
    TellReady,
    /// It is ready again.
    TellReadyAgain,
    /// Begin to check its health.
    WatchHealth,
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
    /// Nothing of it lives: the other worker may go on.
    TellYielded,
    /// It serves, or starts again.
    TellResumed,
    /// End its tree.
    EndTree,
    /// Tell when this much time has passed.
    Await(Duration),
    /// Leave, with this outcome. Nothing of the program lives.
    Finish(HostOutcome),
}

/// How a host ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostOutcome {
    /// It was asked to.
    Stopped,
    /// The program ended with success, and the policy does not restart it then.
    Done(String),
    /// The program does not serve and will not be started again.
    GaveUp(String),
    /// The program never became ready, or failed on probation.
    Failed {
        /// The named part of the boot.
        stage: &'static str,
        /// What went wrong.
        message: String,
    },
}

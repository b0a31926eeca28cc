//! The events and actions that a host and its state machine exchange. Data only.

use std::fmt;
use std::time::Duration;

use tenure_sys::process::ExitStatus;

/// The probation of a program that takes the place of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbationTerms {
    /// None: it takes nobody's place.
    None,
    /// It must be ready for this long before readiness is reported; the other program serves meanwhile.
    BeforeReady(Duration),
    /// It lasts this long after readiness was reported.
    AfterReady(Duration),
}

impl ProbationTerms {
    /// How long it lasts; `None` where there is none.
    pub(super) fn time(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::BeforeReady(time) | Self::AfterReady(time) => Some(time).filter(|time| !time.is_zero()),
        }
    }
}

/// What happened to a program or its host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SupervisorEvent {
    /// The program runs.
    Runs,
    /// It could not be started, for this reason. Another try may succeed.
    CannotRun(String),
    /// It could not be started, for this reason, and cannot be until somebody changes what is on disk.
    NoProgram(String),
    /// It is ready.
    Ready,
    /// It cannot become ready any more, or did not become ready in time.
    NeverReady(String),
    /// Another process has the port that was chosen for it. Comes before the event that follows from this.
    PortTaken(String),
    /// It has ended. Processes that it started may still live.
    Exited(Exit),
    /// No process of its tree lives.
    TreeGone,
    /// A health check passed.
    Passed,
    /// A health check was answered by a program that lives and says that it does not serve as it should.
    PassedDegraded(String),
    /// A health check failed.
    Failed(String),
    /// The wait before a restart, or the probation, is over.
    WaitOver,
    /// The worker may not take the incumbent's place, for this reason.
    Denied(String),
    /// Another worker takes over: the program has to make room.
    MakeRoomAsked,
    /// The other worker has failed and is gone: the program has to serve again.
    ResumeAsked,
    /// The worker before this one has announced its end, or is gone: it cannot take its place back any more.
    IncumbentLeft,
    /// The worker before this one was told that the program failed on probation, and takes its place back.
    IncumbentComesBack,
    /// The worker was asked to end.
    StopAsked,
}

impl SupervisorEvent {
    /// A failed start. `lasting`: another try would fail too, until somebody changes what is on disk.
    #[must_use]
    pub fn not_started(why: String, lasting: bool) -> Self {
        if lasting { Self::NoProgram(why) } else { Self::CannotRun(why) }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// With this status, reported by its parent.
    Status(ExitStatus),
    /// Its parent ended first, so the status is not known.
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
    /// Find out whether it is ready.
    AskReady {
        /// Whether the host must bound the wait. For the first start the watchdog of the boot does.
        bounded: bool,
    },
    /// It is ready for the first time: tell the launcher.
    TellReady,
    /// It is ready again.
    TellReadyAgain,
    /// Begin to check its health.
    WatchHealth,
    /// Its health check fails: the worker is degraded.
    TellDegraded(String),
    /// Its health check passes again.
    TellRecovered,
    /// Its health check failed too often: write an event.
    NoteUnhealthy(String),
    /// It will start again.
    TellBackOff(String),
    /// It will not start again.
    TellFailed(String),
    /// No process of it lives: the other worker may go on.
    TellRoomMade,
    /// It serves, or starts again.
    TellResumed,
    /// End its tree.
    EndTree,
    /// Tell the incumbent that the program has failed on probation, for this reason. What the incumbent does comes back
    /// as [`SupervisorEvent::IncumbentLeft`] or [`SupervisorEvent::IncumbentComesBack`].
    AskBack(String),
    /// Report [`SupervisorEvent::WaitOver`] after this time, if the incumbent has not answered by then.
    AwaitIncumbent(Duration),
    /// Report [`SupervisorEvent::WaitOver`] after this time.
    Await(Duration),
    /// Leave, with this outcome. No process of the program lives.
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

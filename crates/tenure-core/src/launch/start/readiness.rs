//! Waiting for a worker that was just started: ready, failed, or still booting when the caller's budget ends.
//!
//! One poll waits for the worker's channel, its process and the deadline, so a worker that dies while it boots is
//! reported at once, with its exit and its last log lines. A booting worker is ended by `start_timeout`, never by a
//! caller's budget; only `pin` ends the successor that it started (see `takeover`).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{ExitStatus, ProcessHandle, Signal};
use tenure_sys::socket;

use crate::deadline::{Deadline, Stage, millis};
use crate::launch::ask::client::{self, Silence};
use crate::launch::ask::probe::FIRST_ANSWER;
use crate::launch::start::handshake::{LONGEST_MESSAGE, Report};
use crate::protocol::boot_stage::BootStage;
use crate::protocol::not_ready::NotReady;
use crate::protocol::wire::{Hello, Until};
use crate::spec::KILL_GRACE;
use crate::spec::amount::Span;
use crate::store::logs::{self, LogPositions};
use crate::store::paths::StateDir;

/// A worker that was started and has not reported yet.
#[derive(Debug)]
pub struct Boot<'start> {
    /// Its scope.
    pub state: &'start StateDir,
    /// Our end of its channel.
    pub channel: OwnedFd,
    /// The process.
    pub worker: ProcessHandle,
    /// How long it may take.
    pub limit: Duration,
    /// Where the logs ended before it started.
    pub logs_begin: LogPositions,
}

/// What became of a start.
#[derive(Debug)]
pub enum StartOutcome {
    /// It serves.
    Ready(Box<Hello>),
    /// It serves, and its incumbent can still take the scope back, so nothing is proved.
    OnProbation(Box<Hello>),
    /// The caller's budget ended first; the worker goes on booting.
    StillBooting,
    /// It failed, and is gone.
    Failed(BootFailure),
}

/// A successor was to take the place of a worker that does not hand over. The successor is gone, and nothing was
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// Why, as a lowercase fragment.
    pub why: String,
}

/// How a start failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFailure {
    /// At which part of the boot.
    pub stage: BootStage,
    /// What went wrong.
    pub message: String,
    /// The last lines of its log.
    pub last_words: Vec<String>,
    /// Why its program was not ready, where the worker told that.
    pub not_ready: Option<Box<NotReady>>,
    /// The process.
    pub pid: u32,
}

/// How long the parent of a dead worker (PID 1 or a subreaper) is given to reap it, for its exit status.
const REAPING: Duration = Duration::from_millis(100);

/// Slack beyond `start_timeout` for the worker's own watchdog to report before its launcher ends it.
const REPORT_SLACK: Duration = Duration::from_millis(500);

/// Waits for the outcome of a start. Only a successor declines.
pub fn await_report(boot: &Boot<'_>, budget: &Deadline) -> Result<StartOutcome, Declined> {
    let start = Deadline::start(boot.limit.saturating_add(REPORT_SLACK));
    loop {
        let left = start.remaining().min(budget.remaining());
        match next(boot, left) {
            // If this process was suspended meanwhile, somebody may have stopped the worker since its report.
            BootEvent::Report(Report::Ready { .. }) if boot.worker.has_ended() => {
                let message = "it served, and has ended since; the events tell why";
                return Ok(failed(boot, BootStage::Stopped, message.to_owned(), None));
            }
            BootEvent::Report(Report::Ready { hello }) => return Ok(StartOutcome::Ready(hello)),
            BootEvent::Report(Report::Declined { why }) => {
                end(boot);
                return Err(Declined { why });
            }
            BootEvent::Report(Report::Failed { stage, message, since, not_ready }) => {
                return Ok(with_reason(failed(boot, stage, message, since), not_ready));
            }
            BootEvent::Ended => return Ok(failed(boot, BootStage::Died, last_exit(&boot.worker), None)),
            BootEvent::Nothing if start.remaining().is_zero() => {
                let limit = Span::millis(millis(boot.limit));
                return Ok(failed(boot, "start".into(), format!("it was not ready within {limit}"), None));
            }
            BootEvent::Nothing if budget.remaining().is_zero() => return Ok(StartOutcome::StillBooting),
            BootEvent::Nothing => {}
        }
    }
}

enum BootEvent {
    Report(Report),
    Ended,
    Nothing,
}

fn next(boot: &Boot<'_>, left: Duration) -> BootEvent {
    let mut interests = [
        Interest::new(boot.channel.as_fd(), Readiness::Read),
        Interest::new(boot.worker.as_fd(), Readiness::Read),
    ];
    if poll::wait(&mut interests, Some(left)).is_err() {
        return BootEvent::Nothing;
    }
    let [channel, worker] = interests.map(|interest| interest.ready() || interest.hangup());
    if channel {
        let report = socket::recv_long(boot.channel.as_fd(), LONGEST_MESSAGE)
            .ok()
            .and_then(|received| serde_json::from_slice(&received).ok());
        return match report {
            Some(report) => BootEvent::Report(report),
            // The channel closes with the process, or a moment before it.
            None if boot.worker.wait_ended(Some(KILL_GRACE)).unwrap_or(false) => BootEvent::Ended,
            None => BootEvent::Report(Report::Failed {
                stage: BootStage::Died,
                message: "it closed its channel without a report".to_owned(),
                since: None,
                not_ready: None,
            }),
        };
    }
    if worker { BootEvent::Ended } else { BootEvent::Nothing }
}

/// Waits until a worker that has reported its end is gone, because the next start must find the lease free. Kills it
/// after `KILL_GRACE`.
fn end(boot: &Boot<'_>) {
    let leaves = boot.worker.wait_ended(Some(KILL_GRACE)).unwrap_or(false);
    if !leaves && boot.worker.signal(Signal::Kill).is_ok() {
        best_effort(boot.worker.wait_ended(Some(KILL_GRACE)));
    }
}

/// Ends what is left of a worker that failed to boot, and collects its last words.
pub(crate) fn failed(
    boot: &Boot<'_>,
    stage: BootStage,
    message: String,
    since: Option<LogPositions>,
) -> StartOutcome {
    end(boot);
    let last_words = logs::tail_since(boot.state, since.unwrap_or(boot.logs_begin));
    StartOutcome::Failed(BootFailure { stage, message, last_words, not_ready: None, pid: boot.worker.pid() })
}

/// The same failure, with what the worker told of its program.
fn with_reason(outcome: StartOutcome, not_ready: Option<Box<NotReady>>) -> StartOutcome {
    match outcome {
        StartOutcome::Failed(failure) => StartOutcome::Failed(BootFailure { not_ready, ..failure }),
        other @ (StartOutcome::Ready(_) | StartOutcome::OnProbation(_) | StartOutcome::StillBooting) => other,
    }
}

/// How a worker ended. The kernel reveals the exit of a process that is no child of ours once its parent has reaped it;
/// where PID 1 reaps late, the exit stays unknown.
pub(crate) fn exit_of(worker: &ProcessHandle) -> Option<ExitStatus> {
    best_effort(worker.wait_reaped(Some(REAPING)));
    worker.exit_of_stranger()
}

fn last_exit(worker: &ProcessHandle) -> String {
    match exit_of(worker) {
        Some(status) => format!("it ended with {status} before it was ready"),
        None => "it ended before it was ready".to_owned(),
    }
}

/// How long the worker that answers after a failure may take to settle before it is reported: a person waits for the
/// answer, and the failure is already known.
const SETTLING: Duration = Duration::from_secs(5);

/// The worker that answers after another one has failed; it is given a moment to settle. `None` means: nobody answers,
/// or the worker is leaving.
#[must_use]
pub(crate) fn standing(state: &StateDir, budget: &Deadline) -> Option<Hello> {
    let budget = Deadline::start(budget.remaining().min(SETTLING).max(FIRST_ANSWER));
    let stage = budget.stage("what stands").ok()?;
    await_settled(state, stage).ok().filter(|hello| !hello.is_leaving())
}

/// Waits until the worker that answers has settled, whoever started it. Needs no gate.
pub fn await_settled(state: &StateDir, stage: Stage) -> Result<Hello, Silence> {
    client::connect(state, stage)?.wait(Until::Settled, stage)
}

/// Waits until the worker that serves has passed its probation, or has ended. Needs no gate.
pub fn await_probation_over(state: &StateDir, stage: Stage) -> Result<Hello, Silence> {
    client::connect(state, stage)?.wait_proved(stage)
}

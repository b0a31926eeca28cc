//! What a host does: one arm for each action of the machine, carried out in the order in which the machine gives them.

use std::time::Duration;

use tenure_core::causes;
use tenure_core::deadline::Deadline;
use tenure_core::policy::supervisor::{SupervisorAction, SupervisorEvent};
use tenure_core::protocol::ends::{self, UnaskedEnd, UnaskedEndKind};
use tenure_core::protocol::wire::AppState;
use tenure_core::spec::KILL_GRACE;
use tenure_core::store::event::What;
use tenure_core::store::logs;
use tenure_sys::discard::best_effort;

use crate::host::output::{Output, OutputEvent, OutputListener};
use crate::host::program::{self, Slot};
use crate::host::readiness::{Answer, CheckResult, Inquiry, Pace};
use crate::mailbox::{Mailbox, MailboxSender};

use super::diagnosis::MainLack;
use super::not_ready::UnreadyProgram;
use super::resources::Resources;
use super::{Host, ProgramStart};

/// Name of the check that repeats while the program runs.
const HEALTH: &str = "health";

/// Name of the check that says whether output is written down.
const LOG: &str = "log";

/// How much longer than it should take a shim may take to end its tree, on a machine that is busy.
const SHIM_SLACK: Duration = Duration::from_secs(5);

impl Host {
    /// Carries out one action. What fails here is queued as the next event of the machine.
    pub(super) fn carry_out(&mut self, action: SupervisorAction) {
        match action {
            SupervisorAction::Start => self.begin(),
            SupervisorAction::AskReady { bounded } => self.ask_ready(bounded),
            SupervisorAction::TellReady => self.announce_ready(),
            SupervisorAction::TellReadyAgain => {
                self.alarm = None;
                self.is_ready();
                self.admit_clients();
                self.note_last_good();
                self.ending.ready();
                self.resources.status.set(AppState::Ready, None);
            }
            SupervisorAction::WatchHealth => self.watch_health(),
            SupervisorAction::TellDegraded(why) => self.resources.status.check(HEALTH, false, why),
            SupervisorAction::TellRecovered => self.resources.status.check(HEALTH, true, "it passes again"),
            SupervisorAction::NoteUnhealthy(why) => self.note(What::Unhealthy, &why),
            SupervisorAction::TellBackOff(why) => {
                self.resources.relay.pause();
                self.resources.status.forget_check(HEALTH);
                self.ending.again(&why);
                self.resources.status.set(AppState::BackOff, Some(why));
            }
            SupervisorAction::TellFailed(why) => {
                self.resources.relay.pause();
                self.note(What::ProgramExited, &why);
                self.resources.status.set(AppState::Failed, Some(why));
            }
            SupervisorAction::TellRoomMade => {
                self.alarm = None;
                // When this host starts a program again, the successor's program is gone.
                self.slot = Slot::Alone;
                self.requests.answer(Ok(()));
            }
            SupervisorAction::TellResumed => {
                self.requests.is_back();
                self.requests.answer(Ok(()));
            }
            SupervisorAction::EndTree => self.end_tree(),
            SupervisorAction::AskBack(why) => self.worker.ask_back(&why),
            SupervisorAction::AwaitIncumbent(wait) => {
                self.alarm = Some((Deadline::start(wait), SupervisorEvent::WaitOver));
            }
            SupervisorAction::Await(wait) => {
                if let Some(why) = self.ending.take_again() {
                    self.record_end(UnaskedEndKind::StartsAgain, why);
                }
                self.alarm = Some((Deadline::start(wait), SupervisorEvent::WaitOver));
            }
            // `Host::run` returns it.
            SupervisorAction::Finish(_) => {}
        }
    }

    /// Records an end that nobody asked for, once no process of the program lives and its last output is in the log. On
    /// a full disk the record is lost, and the check of the ledger says so.
    pub(super) fn record_end(&mut self, how: UnaskedEndKind, why: String) {
        let row = UnaskedEnd::now(self.worker.generation(), &self.resources.spec, how, why);
        let end = self.ending.complete(row, &self.resources.state);
        if how != UnaskedEndKind::StartsAgain {
            self.worker.note_end(end);
            return;
        }
        self.account.last_end = Some(Box::new(end.clone()));
        self.tell_account();
        best_effort(self.worker.ledger(|ledger| ends::push(&mut ledger.ends, end)));
    }

    /// Starts the program. A start that fails has left nothing, and counts as a program that ended at once.
    fn begin(&mut self) {
        let start = self.account.starts.saturating_add(1);
        // After a failed takeover the state already gives the reason for this start.
        if start > 1 && self.requests.room_by().is_none() {
            self.resources.status.set(AppState::Booting, Some(format!("start {start} of the program")));
        }
        self.unready = None;
        self.unready_end = None;
        self.not_ready = None;
        self.ending.begin(logs::positions(&self.resources.state));
        self.account.starts = start;
        self.tell_account();
        if start > 1 {
            // For the first start the watchdog of the boot bounds it.
            let limit = self.resources.spec.start_timeout;
            let no_end = !self.resources.spec.before_start.is_empty();
            let what = if no_end { "`before_start` did not end" } else { "program could not be started" };
            let late = SupervisorEvent::NeverReady(format!("{what} within {limit}"));
            self.alarm = Some((Deadline::start(limit.duration()), late));
        }
        match self.try_begin() {
            Ok(start) => self.start = Some(start),
            Err(event) => {
                self.pending.push_back(event);
                self.pending.push_back(SupervisorEvent::TreeGone);
            }
        }
    }

    /// Takes the place that the program is for, where it is not taken yet, and lets clients in.
    fn announce_ready(&mut self) {
        self.alarm = None;
        if let Err(why) = self.worker.expect_version() {
            self.pending.push_back(SupervisorEvent::Denied(why));
            return;
        }
        if let Err(error) = self.worker.commit() {
            self.pending.push_back(SupervisorEvent::Denied(fragment(&error)));
            return;
        }
        self.is_ready();
        self.admit_clients();
        self.note_last_good();
        self.ending.ready();
        // Fails only after a stop was asked for, which is the next event.
        best_effort(self.worker.ready_with_disk_reserve());
    }

    /// Notes what the program was made of, now that it serves.
    fn note_last_good(&mut self) {
        if let Some(start) = &self.start {
            self.last_good = Some(start.made.clone());
        }
    }

    fn try_begin(&mut self) -> Result<ProgramStart, SupervisorEvent> {
        let cannot = SupervisorEvent::CannotRun;
        self.resources.renumber(self.worker.generation());
        self.resources.prepare_addresses().map_err(|error| cannot(fragment(&error)))?;
        self.resources.readiness.begin();
        self.worker.begin_again();
        let mailbox =
            Mailbox::new().map_err(|error| cannot(format!("failed to open the start's mailbox: {error}")))?;
        let log =
            self.take_log().map_err(|error| cannot(format!("failed to open the program's log: {error}")))?;
        let made = self.resources.made();
        if self.slot != Slot::Beside {
            self.resources.make_listeners_blocking();
        }
        let Self { worker, resources: Resources { state, plan, listeners, .. }, .. } = self;
        let mut record = |record: &_| worker.ledger(|ledger| ledger.program = Some(Clone::clone(record)));
        let started = program::start(state, plan, listeners, self.slot, &mut record)
            .map_err(|error| SupervisorEvent::not_started(fragment(&error), error.is_lasting()))?;
        self.slot = Slot::Again(started.program.lock());
        let output = Output::begin(
            started.output,
            log,
            self.resources.readiness.line_search(),
            self.output_listener(mailbox.sender()),
        );
        let output = match output {
            Ok(output) => Some(output),
            Err(error) => {
                started.program.stop(Duration::ZERO);
                let why = format!("failed to start the reader of its output: {error}");
                self.pending.push_back(SupervisorEvent::CannotRun(why));
                None
            }
        };
        if let Some(pipe) = started.ready {
            self.resources.readiness.take_pipe(pipe);
        }
        let awaits_main = !self.resources.spec.forking.is_no();
        Ok(ProgramStart {
            program: started.program,
            made,
            mailbox,
            is_running: false,
            awaits_main,
            output,
            inquiry: None,
            end_limit: None,
        })
    }

    fn output_listener(&self, sender: MailboxSender<SupervisorEvent>) -> OutputListener {
        let status = self.resources.status.clone();
        Box::new(move |event| match event {
            OutputEvent::Matched => best_effort(sender.send(SupervisorEvent::Ready)),
            OutputEvent::Losing { lost, why } => {
                status.check(LOG, false, format!("output is lost ({lost} bytes so far): {why}"));
            }
            OutputEvent::WritingAgain { lost } => {
                status.check(LOG, true, format!("{lost} bytes of output were lost"));
            }
        })
    }

    /// Starts to ask whether the program is ready, unless the program reports that itself.
    fn ask_ready(&mut self, bounded: bool) {
        if bounded {
            let limit = self.resources.spec.start_timeout;
            let late = SupervisorEvent::NeverReady(format!("program was not ready within {limit}"));
            // What came before it in this start counts as well.
            let begun = self.alarm.take().map(|(deadline, _)| deadline);
            self.alarm = Some((begun.unwrap_or_else(|| Deadline::start(limit.duration())), late));
        }
        let Some(start) = &mut self.start else { return };
        let shim = start.program.shim();
        let ready = self.resources.spec.readiness();
        let check = self.resources.readiness.check(&self.resources.checked(shim, &ready));
        let question = self.resources.question((shim, self.ending.logs_begin()), &ready, check.as_deref());
        let first = start.program.record().identity.as_ref().map_or(0, |first| first.pid);
        let lack = start.awaits_main.then_some(MainLack::FirstRuns(first));
        let unready = UnreadyProgram::begin(self.resources.status.clone(), question, lack);
        self.unready = Some(unready.clone());
        if !start.awaits_main {
            self.await_up();
        }
        let (Some(start), Some(check)) = (&mut self.start, check) else { return };
        let sender = start.mailbox.sender();
        let asked = Inquiry::until_answered(check, move |result| match result {
            CheckResult::Passed | CheckResult::Degraded(_) => {
                best_effort(sender.send(SupervisorEvent::Ready));
            }
            CheckResult::Failed(answer) => unready.note(&answer),
            CheckResult::Hopeless(answer) => {
                unready.note(&answer);
                // What it was is told when the event is explained.
                best_effort(sender.send(SupervisorEvent::NeverReady(String::new())));
            }
        });
        match asked {
            Ok(inquiry) => start.inquiry = Some(inquiry),
            Err(error) => {
                let why = format!("failed to start its readiness check: {error}");
                self.pending.push_back(SupervisorEvent::NeverReady(why));
            }
        }
    }

    /// Waits until a program that only has to run has run for long enough.
    pub(super) fn await_up(&mut self) {
        if let Some(time) = self.resources.readiness.counts_after() {
            self.alarm = Some((Deadline::start(time), SupervisorEvent::Ready));
        }
    }

    /// Checks the program's health from now on, where the spec says how.
    fn watch_health(&mut self) {
        let (Some(start), Some(health)) = (&mut self.start, &self.resources.spec.health) else { return };
        let program = self.resources.checked(start.program.shim(), &health.check);
        let check = self.resources.health.as_ref().and_then(|kind| kind.check(&program));
        let Some(check) = check else { return };
        let target = check.target();
        let pace = Pace { interval: health.interval.duration(), timeout: health.timeout.duration() };
        let sender = start.mailbox.sender();
        let watched = Inquiry::repeated(check, pace, move |result| {
            let told = |answer: Answer| format!("{target} {answer}");
            best_effort(sender.send(match result {
                CheckResult::Passed => SupervisorEvent::Passed,
                CheckResult::Degraded(answer) => SupervisorEvent::PassedDegraded(told(answer)),
                CheckResult::Failed(answer) | CheckResult::Hopeless(answer) => {
                    SupervisorEvent::Failed(told(answer))
                }
            }));
        });
        match watched {
            Ok(inquiry) => start.inquiry = Some(inquiry),
            Err(error) => {
                let why = format!("it cannot be checked: {error}");
                self.resources.status.check(HEALTH, false, why);
            }
        }
    }

    /// Lets clients of proxied listeners through to the program from now on.
    fn admit_clients(&self) {
        if let Some(start) = &self.start {
            self.resources.relay.open(start.program.shim());
        }
    }

    /// Lets nobody through to the program any more and waits until what it has begun is over, for at most `limit`:
    /// before it is ended, or before it gives its place to another one. Returns how many clients are left.
    pub(super) fn quiesce(&self, limit: Duration) -> usize {
        self.resources.relay.quiesce(&Deadline::start(limit)).open
    }

    fn end_tree(&mut self) {
        match self.end_due() {
            Some(deadline) => {
                let own = self.resources.spec.stop.grace.duration() + KILL_GRACE;
                let spare = deadline.remaining().saturating_sub(own);
                self.quiesce(spare.min(self.resources.spec.drain_timeout.duration()));
            }
            // The program does not serve as it should: its open requests end with it.
            None => self.resources.relay.pause(),
        }
        let grace = self.grace();
        if let Some(start) = &mut self.start {
            start.inquiry = None;
            start.program.stop(grace);
            start.end_limit = Some(Deadline::start(grace + KILL_GRACE + SHIM_SLACK));
        }
    }

    /// When the program has to be gone, where somebody asked for that: to end the worker, or to make room for another
    /// one.
    fn end_due(&self) -> Option<Deadline> {
        self.worker.stop_request().map(|request| request.deadline).or(self.requests.room_by())
    }

    /// The grace of the spec, or what such a deadline leaves of it: the rest of the tree needs its time too, and a
    /// program that is to end within a second or two gets half of it.
    fn grace(&self) -> Duration {
        let grace = self.resources.spec.stop.grace.duration();
        match self.end_due() {
            Some(deadline) => {
                let left = deadline.remaining();
                grace.min(left.saturating_sub(KILL_GRACE).max(left / 2))
            }
            None => grace,
        }
    }
}

/// An error as a sentence's part.
fn fragment(error: &(dyn std::error::Error + 'static)) -> String {
    format!("failed to {}", causes::in_one_line(error))
}

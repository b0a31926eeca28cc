//! What happens to a host: one wait for all sources at once, and what each of them says as events of the machine.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use tenure_core::causes;
use tenure_core::deadline::Deadline;
use tenure_core::fault::{self, Point};
use tenure_core::policy::supervisor::{Exit, SupervisorEvent};
use tenure_core::protocol::wire::AppState;
use tenure_core::record::ledger::ProgramRecord;
use tenure_core::store::event::{self, Event, What};
use tenure_core::store::logs;
use tenure_core::store::paths::file;
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};

use crate::host::output::Output;
use crate::host::program::ShimReport;
use crate::host::readiness::ReadinessMessage;
use crate::host::shim::ShimEvent;

use super::Host;
use super::diagnosis::{MainLack, UnreadyEnd};
use super::hooks::TakeoverRequest;

/// What is waited for. The order is that in which events are passed on: a program's end before a check that it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EventSource {
    Stop,
    IncumbentLost,
    IncumbentAnswer,
    Takeover,
    Shim,
    Readiness,
    Mailbox,
}

impl Host {
    /// The pending events, or else what happens next, in order.
    pub(super) fn next_events(&mut self) -> Vec<SupervisorEvent> {
        if !self.pending.is_empty() {
            return self.pending.drain(..).collect();
        }
        let sources = self.wait();
        let mut events: Vec<SupervisorEvent> =
            sources.into_iter().flat_map(|source| self.events_from(source)).collect();
        if let Some((_, event)) = self.alarm.take_if(|(limit, _)| limit.remaining().is_zero()) {
            events.push(event);
        }
        if let Some(start) = &mut self.start
            && start.end_limit.take_if(|limit| limit.remaining().is_zero()).is_some()
        {
            // Its link closes then, and what it leaves of the tree is ended as after any loss of a shim.
            start.program.kill_shim();
        }
        events
    }

    fn wait(&self) -> Vec<EventSource> {
        let sources = self.sources();
        let mut interests: Vec<Interest<'_>> =
            sources.iter().map(|(_, fd)| Interest::new(*fd, Readiness::Read)).collect();
        let alarm = self.alarm.as_ref().map(|(limit, _)| limit.remaining());
        let end = self.start.as_ref().and_then(|start| start.end_limit.as_ref()).map(Deadline::remaining);
        let limit = alarm.into_iter().chain(end).min();
        // Only a lack of memory ends the wait early. Then no source is ready, and the wait is repeated.
        best_effort(poll::wait(&mut interests, limit));
        let ready = interests.iter().map(Interest::ready);
        sources.iter().zip(ready).filter(|(_, ready)| *ready).map(|((source, _), _)| *source).collect()
    }

    fn sources(&self) -> Vec<(EventSource, BorrowedFd<'_>)> {
        let mut sources = Vec::with_capacity(7);
        if !self.stop_seen {
            sources.push((EventSource::Stop, self.worker.stop_signal()));
        }
        sources.extend(self.worker.incumbent_lost().map(|lost| (EventSource::IncumbentLost, lost)));
        sources.push((EventSource::IncumbentAnswer, self.requests.incumbent()));
        sources.push((EventSource::Takeover, self.requests.as_fd()));
        let Some(start) = &self.start else { return sources };
        sources.push((EventSource::Shim, start.program.link()));
        // A program can tell that it is ready before its shim has told that it runs, or which process is its main one.
        // Its message waits until then.
        if start.is_running && !start.awaits_main {
            sources.extend(self.resources.readiness.as_fd().map(|fd| (EventSource::Readiness, fd)));
            sources.push((EventSource::Mailbox, start.mailbox.as_fd()));
        }
        sources
    }

    fn events_from(&mut self, source: EventSource) -> Vec<SupervisorEvent> {
        match source {
            EventSource::Stop => {
                self.stop_seen = true;
                vec![SupervisorEvent::StopAsked]
            }
            EventSource::IncumbentLost => self.take_scope().into_iter().collect(),
            EventSource::IncumbentAnswer => self.requests.incumbent_answers(),
            EventSource::Takeover => self.takeover_event().into_iter().collect(),
            EventSource::Shim => self.shim_events(),
            EventSource::Readiness => self.readiness_events(),
            EventSource::Mailbox => self.start.iter().flat_map(|start| start.mailbox.take()).collect(),
        }
    }

    /// The incumbent has ended, so nobody serves: takes the scope at once. Clients wait until the program has proved
    /// itself.
    fn take_scope(&mut self) -> Option<SupervisorEvent> {
        let error = self.worker.commit().err()?;
        Some(SupervisorEvent::Denied(format!("failed to {}", causes::in_one_line(&error))))
    }

    /// Another worker takes this one's place, or has failed to. Where the program's files have changed meanwhile,
    /// another program would be started in its name: then the request is refused, and the kit ends this worker.
    fn takeover_event(&mut self) -> Option<SupervisorEvent> {
        match self.requests.take()? {
            TakeoverRequest::MakeRoom(_) => Some(SupervisorEvent::MakeRoomAsked),
            // The program was never asked to end.
            TakeoverRequest::ComeBack(_) if self.requests.room_by().is_none() => {
                Some(SupervisorEvent::ResumeAsked)
            }
            TakeoverRequest::ComeBack(why) => {
                let changed = self.last_good.as_ref().and_then(|made| self.resources.changed(made));
                if let Some(changed) = changed {
                    let why = format!("its files have changed since it was started: {changed}");
                    self.requests.answer(Err(why));
                    return None;
                }
                let reason = format!("it starts again, because its successor failed: {why}");
                self.resources.status.set(AppState::Booting, Some(reason));
                Some(SupervisorEvent::ResumeAsked)
            }
        }
    }

    fn shim_events(&mut self) -> Vec<SupervisorEvent> {
        let Some(start) = &mut self.start else { return Vec::new() };
        match start.program.next_report() {
            ShimReport::Event(ShimEvent::Runs { .. }) => {
                start.is_running = true;
                let record = start.program.record().clone();
                self.record_running(&record);
                vec![SupervisorEvent::Runs]
            }
            ShimReport::Event(ShimEvent::Main { .. }) => {
                self.main_found();
                Vec::new()
            }
            ShimReport::Event(ShimEvent::NoMain { pid_file, left }) => {
                if let Some(unready) = &self.unready {
                    unready.note_main(Some(MainLack::Unknown { pid_file, left }));
                }
                Vec::new()
            }
            ShimReport::Event(ShimEvent::CannotRun { message, lasting }) => {
                vec![SupervisorEvent::not_started(format!("failed to {message}"), lasting)]
            }
            ShimReport::Event(ShimEvent::Kills { pid, command }) => {
                self.note_kill(pid, &command);
                Vec::new()
            }
            ShimReport::Event(ShimEvent::Exited { status, left }) => {
                if self.unready.is_some() {
                    self.unready_end = Some(UnreadyEnd { succeeded: status.success(), left });
                }
                vec![self.exited(Exit::Status(status))]
            }
            ShimReport::Gone => vec![self.gone()],
            ShimReport::Lost => {
                // Where the shim had reported the program's end before, nothing else was lost.
                let exited = self.account.identity.is_some().then(|| self.exited(Exit::Lost));
                self.end_orphans();
                exited.into_iter().chain([self.gone()]).collect()
            }
        }
    }

    /// Records the program before anything depends on it. Where the ledger cannot be written, the worker shows that;
    /// the program's shim is in it already, and its cookie finds the rest.
    fn record_running(&mut self, record: &ProgramRecord) {
        best_effort(self.worker.ledger(|ledger| ledger.program = Some(record.clone())));
        fault::reach(Point::ProgramRunning);
        self.account.identity.clone_from(&record.identity);
        self.tell_account();
        self.note(What::ProgramStarted, &record.command);
    }

    /// Records the main process of a program that forks. It is signalled, shown and verified from now on, and what the
    /// checks have found until now counts.
    fn main_found(&mut self) {
        let Some(start) = &mut self.start else { return };
        start.awaits_main = false;
        let record = start.program.record().clone();
        best_effort(self.worker.ledger(|ledger| ledger.program = Some(record.clone())));
        self.account.identity.clone_from(&record.identity);
        self.tell_account();
        self.note(What::MainProcess, &record.command);
        if let Some(unready) = &self.unready {
            unready.note_main(None);
            self.await_up();
        }
    }

    /// Writes into the events and into the program's log that a process did not end by itself.
    fn note_kill(&self, pid: u32, command: &str) {
        let grace = self.resources.spec.stop.grace;
        let why = format!("{command} did not end within its grace of {grace}");
        let event = Event::now(What::Killed, self.resources.generation, &self.resources.own, why.as_str());
        event::note(&self.resources.state, &event.version(&self.resources.spec.version).pid(pid));
        // On a full disk the line is lost; the event may still be written.
        let log = logs::directory(&self.resources.state).and_then(|logs| logs.open_append(file::OUTPUT_LOG));
        best_effort(log.and_then(|mut log| writeln!(log, "tenure: killed pid {pid}: {why}")));
    }

    fn exited(&mut self, exit: Exit) -> SupervisorEvent {
        self.note(What::ProgramExited, &format!("program ended with {exit}"));
        self.ending.ended(self.account.identity.take().map(|program| program.pid));
        self.account.last_exit = Some(exit.to_string());
        self.tell_account();
        SupervisorEvent::Exited(exit)
    }

    /// Ends the tree of a shim that somebody else has ended. What cannot be ended keeps its lock, which refuses the
    /// next start and names it.
    fn end_orphans(&self) {
        let Some(start) = &self.start else { return };
        match start.program.clear(&self.resources.state) {
            Ok(ended) => ended.iter().for_each(|left| self.note(What::LeftoverEnded, &left.told())),
            Err(error) => {
                self.note(What::ProgramExited, &format!("failed to {}", causes::in_one_line(&error)));
            }
        }
    }

    /// Ends this start: no process of it lives any more. Its last output is in the log before anybody learns of its
    /// end.
    fn gone(&mut self) -> SupervisorEvent {
        self.alarm = None;
        if let Some(mut start) = self.start.take() {
            start.inquiry = None;
            self.log = start.output.and_then(Output::end);
        }
        if let Some(unready) = self.unready.take() {
            // One that was ended because it was not ready has been explained before.
            if let Some(end) = self.unready_end.take().filter(|_| self.not_ready.is_none()) {
                self.not_ready = Some(unready.explain(Some(end)));
            }
            unready.end();
        }
        SupervisorEvent::TreeGone
    }

    fn readiness_events(&mut self) -> Vec<SupervisorEvent> {
        let mut events = Vec::new();
        for message in self.resources.readiness.read() {
            match message {
                ReadinessMessage::Ready => events.push(SupervisorEvent::Ready),
                // The version is set before readiness is announced, so that who learns of that sees the version.
                ReadinessMessage::Version(said) => self.resources.tell_version(&said),
                ReadinessMessage::Status(status) => self.resources.status.check("notify", true, status),
                ReadinessMessage::Silent => {
                    // Most often the program has ended, and its shim is about to report how.
                    let reason = "the program closed its readiness descriptor without a word";
                    self.resources.status.set(AppState::Booting, Some(reason.to_owned()));
                }
            }
        }
        events
    }

    /// Writes an event about the program. A full disk loses it.
    pub(super) fn note(&self, what: What, why: &str) {
        let event = Event::now(what, self.resources.generation, &self.resources.own, why);
        let event = event.version(&self.resources.spec.version);
        let event = match &self.account.identity {
            Some(program) => event.pid(program.pid),
            None => event,
        };
        event::note(&self.resources.state, &event);
    }
}

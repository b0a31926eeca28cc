//! The story of a host: the worker in the name of a program that knows nothing of `tenure`.
//!
//! ```text
//!   shim, readiness, checks, output, a takeover, stop, time     (`events`: one wait for all of them)
//!                      │ event
//!                      ▼
//!      policy::supervisor (what is to be done, and when)
//!                      │ actions, in their order
//!                      ▼
//!   start the shim, ask for readiness, end the tree, tell ...   (`actions`)
//! ```
//!
//! - The machine decides what is done and when. The host itself refuses one thing: to come back after a failed takeover
//!   in the name of files that have changed meanwhile (`events`).
//! - The shim reports whether the program lives. The kit's watchdog bounds the time for the end.
//! - The host ends only when no process of the program lives.

use std::collections::VecDeque;
use std::io::{self, Write};

use tenure_core::causes;
use tenure_core::deadline::{Deadline, Moment, monotonic};
use tenure_core::fault::{self, Point};
use tenure_core::policy::lifecycle::EXIT_FAILED;
use tenure_core::policy::supervisor::{
    HostOutcome, ProbationTerms, Supervisor, SupervisorAction, SupervisorEvent,
};
use tenure_core::protocol::boot_stage::BootStage;
use tenure_core::protocol::ends::UnaskedEndKind;
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::protocol::wire::ProgramStatus;
use tenure_core::spec::KILL_GRACE;
use tenure_core::store::event::What;
use tenure_sys::discard::best_effort;

use crate::host::output::{Output, OutputLog};
use crate::host::program::{Program, Slot};
use crate::host::readiness::Inquiry;
use crate::kit::worker::Worker;
use crate::kit::worker::standby::Standby;
use crate::mailbox::Mailbox;

mod actions;
mod command;
mod diagnosis;
mod end_record;
mod events;
mod hooks;
mod last_good;
mod not_ready;
mod output;
mod preflight;
pub mod program;
pub mod readiness;
mod relay;
pub(crate) mod resources;
pub mod shim;
mod stand_ins;
mod variables;

use diagnosis::UnreadyEnd;
use end_record::EndRecord;
use hooks::TakeoverRequests;
use last_good::LastGood;
use not_ready::UnreadyProgram;
use preflight::Preflight;
use resources::{ResourceError, Resources};

/// The stage of a failure of the program itself.
const PROGRAM: &str = "program";

/// Keeps the program of this worker's spec until it is over; returns the exit code for `main`.
///
/// Where another worker serves, that one goes on while the preflight runs, and with `overlap` until the program of this
/// one has proved itself beside it.
#[must_use]
pub fn run(standby: Standby) -> u8 {
    let terms = standby.terms().cloned();
    if terms.is_some()
        && let Err(why) = run_preflight(&standby)
    {
        return standby.fail("preflight", &why);
    }
    let overlap = terms.as_ref().is_some_and(|terms| terms.overlap);
    let taken = if overlap {
        standby.prepare().map_err(|error| causes::in_one_line(&error))
    } else {
        standby.take_over().map_err(|error| causes::in_one_line(&error))
    };
    let mut worker = match taken {
        Ok(worker) => worker,
        Err(why) => {
            // The launcher has the report; this line is for the worker's own log.
            best_effort(writeln!(io::stderr(), "tenure: failed to {why}"));
            return u8::try_from(EXIT_FAILED).unwrap_or(u8::MAX);
        }
    };
    let (resources, requests) = match gather(&mut worker) {
        Ok(gathered) => gathered,
        Err(error) => {
            let is_lack = causes::is_exhaustion(&error);
            let stage = if is_lack { BootStage::Lack } else { "host".into() };
            return worker.fail(stage, &format!("failed to {}", causes::in_one_line(&error)));
        }
    };
    worker.watch_incumbent(requests.incumbent_watch());
    worker.set_takeover_hooks(Box::new(requests.hooks()));
    let probation =
        terms.map_or(ProbationTerms::None, |terms| match (terms.overlap, terms.bake.duration()) {
            (true, bake) => ProbationTerms::BeforeReady(bake),
            (false, bake) => ProbationTerms::AfterReady(bake),
        });
    let spec = &worker.handshake().spec;
    let failures_allowed = spec.health.as_ref().map_or(1, |health| health.failures);
    let (machine, first) = Supervisor::begin(spec.restart.clone(), failures_allowed, probation);

    let slot = if overlap { Slot::Beside } else { Slot::Alone };
    let mut host = Host::new(worker, resources, requests, slot);
    host.carry_out(first);
    let outcome = host.run(machine);
    host.end(outcome)
}

/// Runs the preflight. It gets less than the time of the boot, so that its failure can still be reported.
fn run_preflight(standby: &Standby) -> Result<(), String> {
    let handshake = standby.handshake();
    let left = handshake.booting_until.ahead_of(&Moment::now());
    let limit = Deadline::start(left.saturating_sub(KILL_GRACE).max(left / 2));
    Preflight::of(handshake)?.map_or(Ok(()), |preflight| preflight.run(limit))
}

/// All that a host needs beside the worker, and the hooks by which a takeover reaches it.
fn gather(worker: &mut Worker) -> Result<(Resources, TakeoverRequests), ResourceError> {
    Ok((Resources::gather(worker)?, TakeoverRequests::new().map_err(resources::failed("its mailbox"))?))
}

/// A host, from its first start to its end.
struct Host {
    worker: Worker,
    resources: Resources,
    /// What a takeover asks of this host.
    requests: TakeoverRequests,
    /// Beside whose program the next start is.
    slot: Slot,
    /// What the last program that served was made of.
    last_good: Option<LastGood>,
    /// The start that is not over yet.
    start: Option<ProgramStart>,
    /// Events that are passed to the machine before the next wait.
    pending: VecDeque<SupervisorEvent>,
    /// The one timer, and the event that it brings: back-off, readiness and probation exclude each other.
    alarm: Option<(Deadline, SupervisorEvent)>,
    /// The output's log between two starts; during a start its reader has it.
    log: Option<OutputLog>,
    account: ProgramStatus,
    /// The stop was passed on to the machine.
    stop_seen: bool,
    /// What is known so far of the present start's end.
    ending: EndRecord,
    /// The program, until it is ready.
    unready: Option<UnreadyProgram>,
    /// How it ended before it was ready.
    unready_end: Option<UnreadyEnd>,
    /// Why the last start was not ready.
    not_ready: Option<NotReady>,
}

/// One start of the program, until nothing of it lives.
struct ProgramStart {
    program: Program,
    made: LastGood,
    /// What its checks and the reader of its output found. Messages that arrive after this start is over are dropped
    /// with it.
    mailbox: Mailbox<SupervisorEvent>,
    /// Whether its shim has reported that it runs; until then only the shim's messages are read.
    is_running: bool,
    /// Of a program that forks: whether its shim has not told yet which process is the main one. Until then nothing
    /// counts as ready.
    awaits_main: bool,
    output: Option<Output>,
    inquiry: Option<Inquiry>,
    /// When a shim that was asked to end the tree is ended itself: it is stopped, or hangs.
    end_limit: Option<Deadline>,
}

impl Host {
    fn new(worker: Worker, resources: Resources, requests: TakeoverRequests, slot: Slot) -> Self {
        Self {
            worker,
            resources,
            requests,
            slot,
            last_good: None,
            start: None,
            pending: VecDeque::new(),
            alarm: None,
            log: None,
            account: ProgramStatus::default(),
            stop_seen: false,
            ending: EndRecord::default(),
            unready: None,
            unready_end: None,
            not_ready: None,
        }
    }

    /// Passes events to the machine and carries out its actions, until the machine is at its end.
    fn run(&mut self, mut machine: Supervisor) -> HostOutcome {
        loop {
            let events = self.next_events().into_iter().flat_map(|event| self.with_port_taken(event));
            for event in events.collect::<Vec<SupervisorEvent>>() {
                let event = self.explained(event);
                for action in machine.step(event, monotonic()) {
                    if let SupervisorAction::Finish(outcome) = action {
                        return outcome;
                    }
                    self.carry_out(action);
                }
            }
        }
    }

    /// The event, and before it, where a start fails, that somebody else has the port that was chosen for it.
    fn with_port_taken(&self, event: SupervisorEvent) -> Vec<SupervisorEvent> {
        let fails = matches!(event, SupervisorEvent::Exited(_) | SupervisorEvent::NeverReady(_));
        let tree = self.start.as_ref().map(|start| start.program.shim());
        let taken = if fails { self.resources.relay.taken(tree) } else { None };
        let taken = taken.map(|address| {
            let why =
                format!("somebody else has {address}, which was chosen for the program; it gets another one");
            self.note(What::Unhealthy, &why);
            SupervisorEvent::PortTaken(why)
        });
        taken.into_iter().chain([event]).collect()
    }

    /// The same event. One that the program is not ready tells why, while its processes can still be looked at.
    fn explained(&mut self, event: SupervisorEvent) -> SupervisorEvent {
        let (SupervisorEvent::NeverReady(why), Some(unready)) = (&event, &self.unready) else { return event };
        let told = unready.explain(None);
        let line = told.line();
        let why = if why.is_empty() { line } else { format!("{why}: {line}") };
        self.not_ready = Some(told);
        SupervisorEvent::NeverReady(why)
    }

    /// The program is ready: nobody asks why it is not.
    fn is_ready(&mut self) {
        self.not_ready = None;
        if let Some(unready) = self.unready.take() {
            unready.end();
        }
    }

    /// Ends the worker, when nothing of the program lives: records how the program ended, and tells whoever still
    /// waits.
    fn end(mut self, outcome: HostOutcome) -> u8 {
        fault::reach(Point::ProgramEnded);
        match &outcome {
            HostOutcome::Done(why) => self.record_end(UnaskedEndKind::Done, why.clone()),
            HostOutcome::GaveUp(why) => self.record_end(UnaskedEndKind::GaveUp, why.clone()),
            HostOutcome::Stopped | HostOutcome::Failed { .. } => {}
        }
        let Self { worker, requests, not_ready, .. } = self;
        // A takeover that still waits for an answer gets none.
        drop(requests);
        match outcome {
            HostOutcome::Stopped | HostOutcome::Done(_) => worker.finish(),
            HostOutcome::GaveUp(message) => worker.fail(PROGRAM, &message),
            HostOutcome::Failed { stage, message } => {
                // The message of a program that has ended is made before its last output is read.
                let seen = not_ready.iter().filter(|_| stage == PROGRAM).flat_map(|told| &told.seen);
                let message = seen.fold(message, |message, seen| format!("{message}; {seen}"));
                worker.fail_unready(&stage.into(), &message, not_ready)
            }
        }
    }

    /// The log for the next start: the one that came back from the last, or a new one.
    fn take_log(&mut self) -> io::Result<OutputLog> {
        let log = match self.log.take() {
            Some(log) => log,
            None => OutputLog::new(&self.resources.state, &self.resources.spec.logs)?,
        };
        Ok(log.of_generation(self.resources.generation))
    }

    /// Updates the worker's status with what is known of the program.
    fn tell_account(&self) {
        self.resources.status.set_program(Some(self.account.clone()));
    }
}

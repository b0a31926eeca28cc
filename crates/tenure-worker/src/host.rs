//! The story of a host: the worker in the name of a program that knows nothing of `tenure`.
//!
//! What is done, and when, is the machine's ([`crate::supervisor`]); whether the program lives is the shim's to tell; how
//! long an end may take is the kit's watchdog's. This room carries acts out and turns what it hears into happenings. It
//! never waits for anything but all of its sources at once, and it leaves only when nothing of the program lives.

use std::collections::VecDeque;
use std::io;

use tenure::deadline::{Deadline, monotonic};
use tenure::fault::{self, Point};
use tenure::wire::ProgramStatus;

use crate::check::Inquiry;
use crate::output::{Output, OutputLog};
use crate::program::Program;
use crate::reason;
use crate::supervisor::{Act, Happening, Machine, Outcome};
use crate::worker::Worker;

mod acts;
mod hear;
mod means;
mod post;
mod ready;

use means::Means;
use ready::ReadyPipe;

/// Keeps the program of this worker's spec until it is over; returns the exit code for `main`.
#[must_use]
pub fn run(mut worker: Worker) -> u8 {
    let means = match Means::gather(&mut worker) {
        Ok(means) => means,
        Err(error) => return worker.fail("host", &format!("failed to {}", reason::of(&error))),
    };
    let spec = &worker.brief().spec;
    let failures_allowed = spec.health.as_ref().map_or(1, |health| health.failures);
    let (machine, first) = Machine::begin(spec.restart.clone(), failures_allowed);

    let mut host = Host::new(worker, means);
    host.carry_out(first);
    let outcome = host.keep(machine);
    host.leave(outcome)
}

/// A host, from its first start to its end.
struct Host {
    worker: Worker,
    means: Means,
    /// The start that is not over yet.
    run: Option<Run>,
    /// Which start that is; what an earlier one still says is dropped by it.
    start: u32,
    /// What the machine is to be told, before anything is waited for.
    pending: VecDeque<Happening>,
    /// What happens when a time is over. There is never more than one: back-off and readiness exclude each other.
    alarm: Option<(Deadline, Happening)>,
    /// The log between two starts; a start's reader has it meanwhile.
    log: Option<OutputLog>,
    account: ProgramStatus,
    stop_heard: bool,
}

/// One start of the program, until nothing of it lives.
struct Run {
    program: Program,
    /// It has been told to run; before that nobody else is listened to.
    runs: bool,
    output: Option<Output>,
    ready: Option<ReadyPipe>,
    inquiry: Option<Inquiry>,
}

impl Host {
    fn new(worker: Worker, means: Means) -> Self {
        Self {
            worker,
            means,
            run: None,
            start: 0,
            pending: VecDeque::new(),
            alarm: None,
            log: None,
            account: ProgramStatus { identity: None, starts: 0, last_exit: None },
            stop_heard: false,
        }
    }

    /// Hears, decides, acts, until the machine is at its end.
    fn keep(&mut self, mut machine: Machine) -> Outcome {
        loop {
            for happening in self.hear() {
                for act in machine.step(happening, monotonic()) {
                    if let Act::Finish(outcome) = act {
                        return outcome;
                    }
                    self.carry_out(act);
                }
            }
        }
    }

    /// Nothing of the program lives: says how it ended, to whoever still waits.
    fn leave(self, outcome: Outcome) -> u8 {
        fault::reach(Point::ProgramEnded);
        match outcome {
            Outcome::Stopped | Outcome::Done(_) => self.worker.finish(),
            Outcome::GaveUp(message) => self.worker.fail("program", &message),
            Outcome::Failed { stage, message } => self.worker.fail(stage, &message),
        }
    }

    /// The log for the next start: the one that came back from the last, or a new one.
    fn take_log(&mut self) -> io::Result<OutputLog> {
        match self.log.take() {
            Some(log) => Ok(log),
            None => OutputLog::new(&self.means.state, &self.means.spec.logs),
        }
    }

    /// Tells what is known of the program.
    fn tell_account(&self) {
        self.means.status.set_program(Some(self.account.clone()));
    }
}

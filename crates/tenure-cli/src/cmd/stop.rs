//! `tenure stop`: ends the worker, its program and their children, and proves it. Idempotent; never starts anything.

use clap::Args;
use serde::Serialize;
use tenure_core::{StopOptions, Stopped};
use tenure_sys::process::Signal;

use crate::answer::AnswerState;
use crate::args::WorkerArg;
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account;
use crate::output::failure::Failure;
use crate::output::render;

#[derive(Debug, Serialize)]
struct StopDocument<'a> {
    state: AnswerState,
    name: &'a str,
    key: Option<&'a str>,
    pid: Option<u32>,
    ending: &'static str,
    signal: Option<&'static str>,
    leftovers: Vec<Leftover<'a>>,
    held: bool,
    took_us: u64,
}

/// A process that the program had left behind, and that was ended as well.
#[derive(Debug, Serialize)]
struct Leftover<'a> {
    pid: u32,
    command: &'a str,
}

/// Stop a worker; return when it and its children are proved gone.
///
/// The worker is asked first. If it does not end within the time that it announced, it is killed, provided that its
/// identity can be verified. If nothing runs, the call succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure stop web         the next `tenure ensure web` starts it again
  tenure stop web --hold  only `tenure start web` starts it again

Exit codes:
  0  it is gone, or did not run
  1  something of it survived; it is named
  7  it is wedged, and its identity cannot be verified")]
pub(crate) struct Stop {
    #[command(flatten)]
    named: WorkerArg,
    /// Stay down: nothing starts it again but `tenure start`.
    #[arg(long)]
    hold: bool,
}

impl Run for Stop {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let ScopeTarget { scope, display_name, .. } = &target;
        let mut request = StopOptions::new(scope.clone(), "tenure stop");
        (request.budget, request.hold) = (call.budget()?, self.hold);
        let stopped = call.wait(&target, || tenure_core::stop(&request))?;
        let elapsed = call.elapsed();
        if call.screen.wants_json() {
            let (ending, signal) = ending(&stopped);
            let leftovers = stopped
                .leftovers
                .iter()
                .map(|one| Leftover { pid: one.pid, command: &one.command })
                .collect();
            call.document(&StopDocument {
                state: AnswerState::Stopped,
                name: scope.name(),
                key: scope.key(),
                pid: stopped.pid,
                ending,
                signal,
                leftovers,
                held: self.hold,
                took_us: account::micros(elapsed),
            })?;
            return Ok(AnswerState::Stopped.exit());
        }
        let elapsed = account::measured(elapsed);
        match (stopped.pid, ending(&stopped)) {
            (Some(pid), (_, Some(signal))) => {
                call.screen
                    .info(&format!("{display_name}: stopped, pid {pid} was ended by {signal} ({elapsed})"));
            }
            (Some(pid), _) => {
                call.screen.info(&format!("{display_name}: stopped, pid {pid} ended by itself ({elapsed})"));
            }
            (None, _) => call.screen.info(&format!("{display_name}: nothing was running")),
        }
        for left in &stopped.leftovers {
            let command = render::printable(&left.command);
            call.screen.info(&format!(
                "  also ended a process that its program had left behind: pid {} ({command})",
                left.pid
            ));
        }
        if self.hold {
            call.screen.info(&format!("  it stays down until {}", target.command("start", "")));
        }
        Ok(AnswerState::Stopped.exit())
    }
}

fn ending(stopped: &Stopped) -> (&'static str, Option<&'static str>) {
    (stopped.ending.word(), stopped.ending.signal().map(Signal::name))
}

//! `tenure stop`: the worker, its program and their children, proved gone. Idempotent; never starts anything.

use serde::Serialize;
use tenure_core::deadline::monotonic;
use tenure_core::launch::stop_and_prove::ProvedEnd;
use tenure_core::{StopOptions, Stopped};

use crate::answer::AnswerState;
use crate::args;
use crate::cmd::call::Call;
use crate::config::ScopeTarget;
use crate::output::account;
use crate::output::failure::Failure;
use crate::output::progress::Progress;
use crate::output::render::{self, SCHEMA};

#[derive(Debug, Serialize)]
struct StopDocument<'a> {
    schema_version: u32,
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

/// Something of the program that had to be ended besides the worker.
#[derive(Debug, Serialize)]
struct Leftover<'a> {
    pid: u32,
    command: &'a str,
}

/// Stops the worker and tells how it ended; the exit code.
pub(crate) fn run(call: &Call, words: &args::Stop) -> Result<u8, Failure> {
    let began = monotonic();
    let target = call.named(&words.named.name, &words.named.by)?;
    let waiting = Progress::of(call.screen, &target);
    let ScopeTarget { scope, called } = target;
    let (budget, hold) = (call.budget()?, words.hold);
    let request = StopOptions { scope, budget, reason: "tenure stop".to_owned(), hold };
    let stopped = tenure_core::stop(&request);
    drop(waiting);
    let scope = &request.scope;
    let stopped = stopped.map_err(|error| Call::failed(&error, &called))?;
    let took = monotonic().saturating_sub(began);
    if call.screen.wants_json() {
        let (ending, signal) = ending(&stopped);
        let leftovers =
            stopped.leftovers.iter().map(|one| Leftover { pid: one.pid, command: &one.command }).collect();
        render::document(&StopDocument {
            schema_version: SCHEMA,
            state: AnswerState::Stopped,
            name: scope.name(),
            key: scope.key(),
            pid: stopped.pid,
            ending,
            signal,
            leftovers,
            held: request.hold,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        })?;
        return Ok(AnswerState::Stopped.exit());
    }
    let took = account::took(took);
    match (stopped.pid, ending(&stopped)) {
        (Some(pid), (_, Some(signal))) => {
            call.screen.said(&format!("{called}: stopped, pid {pid} was ended by {signal} ({took})"));
        }
        (Some(pid), _) => call.screen.said(&format!("{called}: stopped, pid {pid} ended by itself ({took})")),
        (None, _) => call.screen.said(&format!("{called}: nothing was running")),
    }
    for left in &stopped.leftovers {
        let command = crate::output::render::printable(&left.command);
        call.screen.said(&format!("  also ended what its program had left: pid {} ({command})", left.pid));
    }
    if request.hold {
        call.screen.said(&format!("  it stays down until `tenure start {called}`"));
    }
    Ok(AnswerState::Stopped.exit())
}

fn ending(stopped: &Stopped) -> (&'static str, Option<&'static str>) {
    match stopped.ending {
        ProvedEnd::WasGone => ("was-gone", None),
        ProvedEnd::Asked => ("asked", None),
        ProvedEnd::Forced(signal) => ("forced", Some(signal.name())),
    }
}

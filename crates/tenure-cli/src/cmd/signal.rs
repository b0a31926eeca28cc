//! `tenure signal` and `tenure reload`: a signal to the program, without its pid.

use clap::Args;
use serde::Serialize;
use tenure_core::{Error, Scope, SignalOutcome};

use crate::answer::AnswerState;
use crate::args::{self, WorkerArg};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account;
use crate::output::failure::Failure;

#[derive(Debug, Serialize)]
struct SignalDocument<'a> {
    state: AnswerState,
    name: &'a str,
    key: Option<&'a str>,
    /// The program that got it.
    pid: Option<u32>,
    signal: Option<&'static str>,
    took_us: u64,
}

/// Send a signal to the worker's program.
///
/// The signal goes to the program itself (not to its children), or to a worker that is its own program. Nothing is
/// waited for. A program that ends of it is started again as its restart policy says; to end a worker, use stop.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure signal web HUP   many servers read their configuration again
  tenure signal web USR1  some servers reopen their logs

Exit codes:
  0  the kernel has delivered it
  3  no program runs
  4  the program cannot be verified from here")]
pub(crate) struct Signal {
    #[command(flatten)]
    named: WorkerArg,
    /// TERM, KILL, INT, HUP, QUIT, USR1, USR2, CONT, WINCH, TTIN, TTOU or STOP, with or without SIG.
    #[arg(value_name = "SIGNAL", value_parser = args::signal)]
    signal: tenure_sys::process::Signal,
}

/// Have the worker's program read its configuration again.
///
/// Sends the signal that the description names in `reload`. Whether the program has done it, only the program can tell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure reload web  where its description says reload = \"HUP\"

Exit codes:
  0  the kernel has delivered the signal
  3  no program runs
  4  the program cannot be verified from here
  6  the description has no `reload`
  7  the program is not ready")]
pub(crate) struct Reload {
    #[command(flatten)]
    named: WorkerArg,
}

impl Run for Signal {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let signal = self.signal;
        send(call, &self.named, |scope| tenure_core::signal(scope, signal))
    }
}

impl Run for Reload {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        send(call, &self.named, tenure_core::reload)
    }
}

fn send(
    call: &Call,
    named: &WorkerArg,
    work: impl FnOnce(&Scope) -> Result<SignalOutcome, Error>,
) -> Result<u8, Failure> {
    let target = call.named(&named.name, &named.by)?;
    let ScopeTarget { scope, display_name, .. } = &target;
    let (state, sent) = match call.wait(&target, || work(scope))? {
        SignalOutcome::Sent { pid, signal, .. } => (AnswerState::Signalled, Some((pid, signal))),
        SignalOutcome::NoReload => {
            let message =
                format!("reload {display_name}: the description that it was started from has no `reload`");
            let hint = format!(
                "{} sends one all the same; a description with `reload = \"HUP\"` counts from its next restart",
                target.command("signal", "HUP")
            );
            return Err(Failure::new(AnswerState::NotConfigured, message).hint(hint));
        }
        SignalOutcome::Booting => {
            let message =
                format!("reload {display_name}: its program is not ready, and may not know the signal yet");
            let hint = format!("`tenure ensure {display_name}` waits until it is ready");
            return Err(Failure::new(AnswerState::Booting, message).hint(hint));
        }
        SignalOutcome::Down | _ => (AnswerState::Down, None),
    };
    let elapsed = call.elapsed();
    if call.screen.wants_json() {
        call.document(&SignalDocument {
            state,
            name: scope.name(),
            key: scope.key(),
            pid: sent.map(|(pid, _)| pid),
            signal: sent.map(|(_, signal)| signal.name()),
            took_us: account::micros(elapsed),
        })?;
        return Ok(state.exit());
    }
    call.screen.info(&match sent {
        Some((pid, signal)) => {
            format!("{display_name}: {signal} was sent to pid {pid} ({})", account::measured(elapsed))
        }
        None => format!("{display_name}: no program runs"),
    });
    Ok(state.exit())
}

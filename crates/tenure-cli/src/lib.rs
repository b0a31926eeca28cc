//! The command `tenure`: reads the command line and the configuration, makes one call of the library, and prints the
//! answer.
//!
//! It adds no decisions: [`tenure_core`] and [`tenure_worker`] decide and act. Only `output/render` prints. A warm
//! `ensure` reads the configuration (and for a project's file the record of what is trusted), makes one connection to
//! the worker, and prints once.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;
use tenure_sys::discard::best_effort;

pub(crate) mod answer;
mod args;
mod cmd;
mod config;
mod output;

use cmd::CommandLine;
pub use cmd::demo::load;
use output::newer;
use output::render::Screen;

/// Every state that a call can end in, by its word in JSON, with its exit code: the answer table, for whoever has
/// something to say about each.
pub fn answer_table() -> impl Iterator<Item = (&'static str, u8)> {
    answer::AnswerState::ALL.into_iter().map(|state| (state.word(), state.exit()))
}

/// Runs the command with its arguments, the first of which is its own name, and returns its exit code.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    tenure_worker::init();
    withstand_limits();
    let args: Vec<OsString> = args.into_iter().collect();
    let line = match CommandLine::read(&args) {
        Ok(line) => line,
        Err(error) => return ExitCode::from(Screen::of_unread(&args).clap(&error, &args)),
    };
    let (call, command) = line.parts();
    let code = command.run(&call).unwrap_or_else(|mut failure| {
        newer::become_newer(&mut failure, &args);
        call.screen.failure_after(&failure, &call.warnings());
        failure.exit()
    });
    ExitCode::from(code)
}

/// Makes a write beyond the limit on file sizes an error that can be reported, where SIGXFSZ would end the process
/// without a message, and raises the soft limit as far as the hard one allows.
fn withstand_limits() {
    tenure_sys::signals::ignore_sigxfsz();
    // A limit that cannot be raised is reported by whoever runs into it.
    best_effort(tenure_sys::limits::raise_file_size());
}

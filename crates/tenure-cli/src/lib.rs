//! The command `tenure`: typed words, one library call, words and an exit code.
//!
//! It adds no decisions: what is done is said by [`tenure_core`] and [`tenure_worker`]; here are the words for it, the files in
//! which people describe workers, and the answers. Only one room prints. The way from `ensure` to the worker's answer
//! reads one file, makes one connection and writes once.

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

/// Runs the command with its arguments, the first of which is its own name, and returns its exit code.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    tenure_worker::init();
    withstand_limits();
    let args: Vec<OsString> = args.into_iter().collect();
    let line = match CommandLine::read(&args) {
        Ok(line) => line,
        Err(error) => return ExitCode::from(Screen::of_unread(&args).clap(&error)),
    };
    let (call, command) = line.parts();
    let code = command.run(&call).unwrap_or_else(|mut failure| {
        newer::become_newer(&mut failure, &args);
        call.screen.failure(&failure);
        failure.exit()
    });
    ExitCode::from(code)
}

/// A limit on the size of files is an error that can be told, instead of an end without a word; a soft one is not for us.
fn withstand_limits() {
    tenure_sys::signals::ignore_sigxfsz();
    // What cannot be raised is told where it is in the way.
    best_effort(tenure_sys::limits::raise_file_size());
}

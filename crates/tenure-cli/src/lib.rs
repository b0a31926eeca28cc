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

use args::Invocation;
use cmd::call::Call;
use cmd::{
    demo, doctor, ensure, events, forget, host, init, logs, man, pin, restart, settings, status, stop, trust,
    version,
};
use output::failure::Failure;
use output::newer;
use output::render::Screen;

/// Runs the command with its arguments, the first of which is its own name, and returns its exit code.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    tenure_worker::init();
    withstand_limits();
    let args: Vec<OsString> = args.into_iter().collect();
    let (common, words) = match args::read(&args) {
        Ok(read) => read,
        Err(error) => {
            return ExitCode::from(Screen::of_unread(&args).clap(&error));
        }
    };
    let call = Call::new(common);
    let code = enter(&call, &words).unwrap_or_else(|mut failure| {
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

fn enter(call: &Call, words: &Invocation) -> Result<u8, Failure> {
    match words {
        Invocation::Ensure(words) => ensure::run(call, words, false),
        Invocation::Start(words) => ensure::run(call, words, true),
        Invocation::Status(words) => status::run(call, words),
        Invocation::List => status::list(call),
        Invocation::Stop(words) => stop::run(call, words),
        Invocation::Restart(words) => restart::run(call, words),
        Invocation::Pin(words) => pin::pin(call, words),
        Invocation::Unpin(words) => pin::unpin(call, words),
        Invocation::Forget(words) => forget::run(call, words),
        Invocation::Logs(words) => logs::run(call, words),
        Invocation::Events(words) => events::run(call, words),
        Invocation::Doctor(words) => doctor::run(call, words),
        Invocation::Trust(words) => trust::run(call, words),
        Invocation::Config(words) => settings::run(call, words),
        Invocation::Init(words) => init::run(call, words),
        Invocation::Man(words) => man::run(call, words),
        Invocation::Completions(words) => version::completions(words),
        Invocation::Version => version::run(call),
        Invocation::Host => host::run(),
        Invocation::Demo => demo::run(call),
        Invocation::DemoWorker(words) => demo::worker::run(words),
    }
}

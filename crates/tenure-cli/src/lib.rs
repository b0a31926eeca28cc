//! The command `tenure`: typed words, one library call, words and an exit code.
//!
//! It adds no decisions: what is done is said by [`tenure`] and [`tenure_worker`]; here are the words for it, the files in
//! which people describe workers, and the answers. Only one room prints. The way from `ensure` to the worker's answer
//! reads one file, makes one connection and writes once.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

mod account;
mod answer;
mod call;
mod config;
mod demo;
mod ensure;
mod events;
mod failure;
mod follow;
mod hint;
mod host;
mod logs;
mod progress;
mod render;
mod restart;
mod status;
mod stop;
mod version;
mod words;

use call::Call;
use failure::Failure;
use render::Screen;
use words::Words;

/// Runs the command with its arguments, the first of which is its own name, and returns its exit code.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    tenure_worker::init();
    let args: Vec<OsString> = args.into_iter().collect();
    let (common, words) = match words::read(&args) {
        Ok(read) => read,
        Err(error) => {
            let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
            return ExitCode::from(Screen::of_unread(json).clap(&error));
        }
    };
    let call = Call::new(common);
    let code = enter(&call, &words).unwrap_or_else(|failure| {
        call.screen.failure(&failure);
        failure.exit()
    });
    ExitCode::from(code)
}

fn enter(call: &Call, words: &Words) -> Result<u8, Failure> {
    match words {
        Words::Ensure(words) => ensure::run(call, words),
        Words::Status(words) => status::run(call, words),
        Words::List => status::list(call),
        Words::Stop(words) => stop::run(call, words),
        Words::Restart(words) => restart::run(call, words),
        Words::Logs(words) => logs::run(call, words),
        Words::Events(words) => events::run(call, words),
        Words::Completions(words) => version::completions(words),
        Words::Version => version::run(call),
        Words::Host => host::run(),
        Words::Demo => demo::run(call),
        Words::DemoWorker(words) => demo::worker::run(words),
    }
}

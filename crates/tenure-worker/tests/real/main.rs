//! Embedded workers, hosts and shims as real processes, started by the launcher's library.
//!
//! This program is several things by its name or first argument: the runner of all cases, one case in a process and a state
//! root of its own, the app that embeds the kit, the host of a program, that program, its shim, and a writer of stores. It has
//! no harness, because a worker has to own its first thread: signals are blocked before any other is started.

#![expect(clippy::panic, reason = "a case that panics has failed")]

use std::process::ExitCode;

mod app;
mod cases;
mod hosted;
mod kit;
mod program;
mod proxied;
mod rows;
mod shims;
mod sources;
mod stores;

fn main() -> ExitCode {
    tenure_worker::init();
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("app") => app::run(&words[1..]),
        Some("host") => host(),
        Some("program") => program::run(&words[1..]),
        Some("store") => stores::run(&words[1..]),
        Some("case") => kit::run_case(&words[1..], &all()),
        Some(_) | None => kit::run_all(&words, &all()),
    }
}

const ROWS: &[kit::Case] = rows::ALL;

fn all() -> Vec<kit::Case> {
    [cases::ALL, shims::ALL, hosted::ALL, proxied::ALL, sources::ALL, stores::ALL, ROWS].concat()
}

/// What `tenure host` does.
fn host() -> ExitCode {
    match tenure_worker::Standby::adopt() {
        Ok(Some(standby)) => ExitCode::from(tenure_worker::host::run(standby)),
        Ok(None) | Err(_) => ExitCode::FAILURE,
    }
}

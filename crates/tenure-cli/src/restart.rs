//! `tenure restart`: one call of the library, and its proof told.

use serde::Serialize;
use tenure::Restarted;
use tenure::deadline::monotonic;
use tenure::wire::Hello;

use crate::account::{self, Identity};
use crate::answer::State;
use crate::call::Call;
use crate::config::Target;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::render::{self, SCHEMA};
use crate::words;

/// The document of a proved restart.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema_version: u32,
    state: State,
    #[serde(flatten)]
    worker: Identity<'a>,
    old: Option<Identity<'a>>,
    took_us: u64,
}

/// Restarts the worker and tells the proof; the exit code.
pub(crate) fn run(call: &Call, words: &words::Restart) -> Result<u8, Failure> {
    let began = monotonic();
    let wanted = call.wanted(&words.wanted, &words.command)?;
    let target = wanted.target.clone();
    let Target { scope, called } = &target;
    call.may_start(&format!("restart {called}"))?;
    let order = call.order(wanted)?;
    let waiting = Progress::of(call.screen, &target);
    let restarted = tenure::restart(&order);
    drop(waiting);
    let restarted = restarted.map_err(|error| Call::failed(&error, called))?;
    let took = monotonic().saturating_sub(began);
    let state = if restarted.old.is_some() { State::Replaced } else { State::Started };
    if call.screen.wants_json() {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let worker = Identity::of(scope, Some(&restarted.new));
        let old = restarted.old.as_deref().map(|old| Identity::of(scope, Some(old)));
        render::document(&Document { schema_version: SCHEMA, state, worker, old, took_us })?;
    } else {
        call.screen.said(&format!("{} ({})", proof(called, &restarted), account::took(took)));
    }
    Ok(state.exit())
}

fn proof(called: &str, Restarted { old, new }: &Restarted) -> String {
    let pid = |hello: &Hello| hello.identity.pid;
    let line = account::activation(new);
    match old {
        Some(old) => format!("{called}: restart verified, pid {} → {}, {line}", pid(old), pid(new)),
        None => format!("{called}: restart verified, pid {}, none was running: {line}", pid(new)),
    }
}

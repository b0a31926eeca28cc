//! `tenure forget`: one call of the library, told.

use serde::Serialize;
use tenure_core::deadline::monotonic;
use tenure_core::{Forgotten, Version};

use crate::answer::AnswerState;
use crate::args;
use crate::cmd::call::Call;
use crate::config::ScopeTarget;
use crate::output::account::{self, WorkerIdentity};
use crate::output::failure::Failure;
use crate::output::progress::Progress;
use crate::output::render::{self, SCHEMA};

#[derive(Debug, Serialize)]
struct ForgetDocument<'a> {
    schema_version: u32,
    state: AnswerState,
    /// The version that is not on offer any more.
    forgotten: &'a Version,
    /// The version that would be started now.
    target: Option<&'a Version>,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    took_us: u64,
}

/// Takes an offer back and tells what stands; the exit code.
pub(crate) fn run(call: &Call, words: &args::Pin) -> Result<u8, Failure> {
    let began = monotonic();
    let target = call.named(&words.named.name, &words.named.by)?;
    let ScopeTarget { scope, called } = &target;
    let waiting = Progress::of(call.screen, &target);
    let forgotten = tenure_core::forget(scope, &words.version, call.budget()?);
    drop(waiting);
    let Forgotten { target, stands } = forgotten.map_err(|error| Call::failed(&error, called))?;
    let took = monotonic().saturating_sub(began);
    if call.screen.wants_json() {
        render::document(&ForgetDocument {
            schema_version: SCHEMA,
            state: AnswerState::Forgotten,
            forgotten: &words.version,
            target: target.as_ref(),
            worker: WorkerIdentity::of(scope, stands.as_deref()),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        })?;
        return Ok(AnswerState::Forgotten.exit());
    }
    let next = match &target {
        Some(target) => format!("{target} is what would be started now"),
        None => "nothing that is on offer can be started now".to_owned(),
    };
    let version = &words.version;
    call.screen.said(&format!("{called}: {version} is forgotten; {next} ({})", account::took(took)));
    if stands.as_ref().is_some_and(|hello| hello.version == *version) {
        let more =
            if target.is_some() { format!("; `tenure restart {called}` replaces it") } else { String::new() };
        call.screen.said(&format!("  {version} goes on serving{more}"));
    }
    Ok(AnswerState::Forgotten.exit())
}

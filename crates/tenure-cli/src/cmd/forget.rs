//! `tenure forget`: one call of the library, told.

use clap::Args;
use serde::Serialize;
use tenure_core::deadline::monotonic;
use tenure_core::{Forgotten, Version};

use crate::answer::AnswerState;
use crate::args::{self, WorkerArg};
use crate::cmd::call::{Call, Run};
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

/// Take an offered version back.
///
/// The highest version on offer is what runs; this takes back one that was offered by mistake. It stops nothing, and a
/// caller that still offers the version offers it again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure forget web 11.0.0  it was a typing error

Exit codes:
  5  nobody offered that version, or it is pinned")]
pub(crate) struct Forget {
    #[command(flatten)]
    named: WorkerArg,
    /// The version: one that was offered before.
    #[arg(value_parser = args::version)]
    version: Version,
}

impl Run for Forget {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let began = monotonic();
        let target = call.named(&self.named.name, &self.named.by)?;
        let ScopeTarget { scope, called } = &target;
        let waiting = Progress::of(call.screen, &target);
        let forgotten = tenure_core::forget(scope, &self.version, call.budget()?);
        drop(waiting);
        let Forgotten { target, stands, .. } = forgotten.map_err(|error| Call::failed(&error, called))?;
        let took = monotonic().saturating_sub(began);
        if call.screen.wants_json() {
            render::document(&ForgetDocument {
                schema_version: SCHEMA,
                state: AnswerState::Forgotten,
                forgotten: &self.version,
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
        let version = &self.version;
        call.screen.said(&format!("{called}: {version} is forgotten; {next} ({})", account::took(took)));
        if stands.as_ref().is_some_and(|hello| hello.version == *version) {
            let more = if target.is_some() {
                format!("; `tenure restart {called}` replaces it")
            } else {
                String::new()
            };
            call.screen.said(&format!("  {version} goes on serving{more}"));
        }
        Ok(AnswerState::Forgotten.exit())
    }
}

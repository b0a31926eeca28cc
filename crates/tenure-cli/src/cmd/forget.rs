//! `tenure forget`.

use clap::Args;
use serde::Serialize;
use tenure_core::{Forgotten, Version};

use crate::answer::AnswerState;
use crate::args::{self, WorkerArg};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account::{self, WorkerIdentity};
use crate::output::failure::Failure;
use crate::output::render;

#[derive(Debug, Serialize)]
struct ForgetDocument<'a> {
    state: AnswerState,
    /// The version that is not on offer any more.
    forgotten: &'a Version,
    /// The version that would be started now.
    target: Option<&'a Version>,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    took_us: u64,
}

/// Withdraw a version that was offered.
///
/// The highest version on offer is what runs; this withdraws one that was offered by mistake. It stops nothing, and a
/// caller that still offers the version offers it again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure forget web 11.0.0  it was offered by mistake

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
        let target = call.named(&self.named.name, &self.named.by)?;
        let ScopeTarget { scope, display_name } = &target;
        let budget = call.budget()?;
        let Forgotten { target, stands, .. } =
            call.wait(&target, || tenure_core::forget(scope, &self.version, budget))?;
        let elapsed = call.elapsed();
        if call.screen.wants_json() {
            render::document(&ForgetDocument {
                state: AnswerState::Forgotten,
                forgotten: &self.version,
                target: target.as_ref(),
                worker: WorkerIdentity::of(scope, stands.as_deref()),
                took_us: account::micros(elapsed),
            })?;
            return Ok(AnswerState::Forgotten.exit());
        }
        let next = match &target {
            Some(target) => format!("{target} is what would be started now"),
            None => "nothing that is on offer can be started now".to_owned(),
        };
        let version = &self.version;
        call.screen.info(&format!(
            "{display_name}: {version} is forgotten; {next} ({})",
            account::measured(elapsed)
        ));
        if stands.as_ref().is_some_and(|hello| hello.version == *version) {
            let more = if target.is_some() {
                format!("; `tenure restart {display_name}` replaces it")
            } else {
                String::new()
            };
            call.screen.info(&format!("  {version} goes on serving{more}"));
        }
        Ok(AnswerState::Forgotten.exit())
    }
}

//! `tenure forget`.

use clap::Args;
use serde::Serialize;
use tenure_core::spec::app::AppId;
use tenure_core::{Forgotten, GivenUp, Version};

use crate::answer::AnswerState;
use crate::args::{self, WorkerArg};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account::{self, WorkerIdentity};
use crate::output::failure::Failure;
use crate::output::render::printable;

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

/// The document of a name that is given up.
#[derive(Debug, Serialize)]
struct GiveUpDocument<'a> {
    state: AnswerState,
    /// The app that had the name.
    whose: Option<&'a AppId>,
    /// Its versions, which are not on offer any more.
    forgotten: &'a [Version],
    /// Its version that was pinned, and is not any more.
    unpinned: Option<&'a Version>,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    took_us: u64,
}

/// Withdraw a version that was offered, or give the name up.
///
/// The highest version on offer is what runs; this withdraws one that was offered by mistake. It stops nothing, and a
/// caller that still offers the version offers it again. With --app the name is free: the app that asks next gets it, and
/// everything that the former app offered is forgotten.
#[derive(Debug, Args)]
#[command(
    override_usage = "tenure forget [OPTIONS] NAME VERSION\n       tenure forget [OPTIONS] NAME --app",
    after_help = "\
Examples:
  tenure forget web 11.0.0  it was offered by mistake
  tenure forget web --app   another app is to have the name

Exit codes:
  5  nobody offered that version, or it is pinned"
)]
pub(crate) struct Forget {
    #[command(flatten)]
    named: WorkerArg,
    /// The version: one that was offered before.
    #[arg(value_parser = args::version, required_unless_present = "app", conflicts_with = "app")]
    version: Option<Version>,
    /// Give the name up: forget the app that it is kept for, with all of its versions and a pin.
    #[arg(long)]
    app: bool,
}

impl Run for Forget {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        match &self.version {
            Some(version) => forget(call, &target, version),
            None => give_up(call, &target),
        }
    }
}

fn forget(call: &Call, target: &ScopeTarget, version: &Version) -> Result<u8, Failure> {
    let ScopeTarget { scope, display_name, .. } = target;
    let budget = call.budget()?;
    let Forgotten { target: best, stands, .. } =
        call.wait(target, || tenure_core::forget(scope, version, budget))?;
    let elapsed = call.elapsed();
    if call.screen.wants_json() {
        call.document(&ForgetDocument {
            state: AnswerState::Forgotten,
            forgotten: version,
            target: best.as_ref(),
            worker: WorkerIdentity::of(scope, stands.as_deref()),
            took_us: account::micros(elapsed),
        })?;
        return Ok(AnswerState::Forgotten.exit());
    }
    let next = match &best {
        Some(best) => format!("{best} is what would be started now"),
        None => "nothing that is on offer can be started now".to_owned(),
    };
    call.screen
        .info(&format!("{display_name}: {version} is forgotten; {next} ({})", account::measured(elapsed)));
    if stands.as_ref().is_some_and(|hello| hello.version == *version) {
        let more = if best.is_some() {
            format!("; {} replaces it", target.command("restart", ""))
        } else {
            String::new()
        };
        call.screen.info(&format!("  {version} goes on serving{more}"));
    }
    Ok(AnswerState::Forgotten.exit())
}

fn give_up(call: &Call, target: &ScopeTarget) -> Result<u8, Failure> {
    let ScopeTarget { scope, display_name, .. } = target;
    let budget = call.budget()?;
    let given_up = call.wait(target, || tenure_core::give_up(scope, budget))?;
    let elapsed = call.elapsed();
    let GivenUp { app, versions, unpinned, stands, .. } = &given_up;
    if call.screen.wants_json() {
        call.document(&GiveUpDocument {
            state: AnswerState::Forgotten,
            whose: app.as_ref(),
            forgotten: versions,
            unpinned: unpinned.as_ref(),
            worker: WorkerIdentity::of(scope, stands.as_deref()),
            took_us: account::micros(elapsed),
        })?;
        return Ok(AnswerState::Forgotten.exit());
    }
    let elapsed = account::measured(elapsed);
    let Some(app) = app else {
        call.screen.info(&format!("{display_name}: the name is not kept for any app ({elapsed})"));
        return Ok(AnswerState::Forgotten.exit());
    };
    let app = printable(&app.to_string());
    call.screen.info(&format!(
        "{display_name}: the name is not kept for {app} any more; the app that asks next gets it ({elapsed})"
    ));
    if !versions.is_empty() {
        let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
        call.screen.info(&format!("  forgotten: {}", versions.join(", ")));
    }
    if let Some(version) = unpinned {
        call.screen.info(&format!("  {version} is not pinned any more"));
    }
    if stands.is_some() {
        let stop = target.command("stop", "");
        call.screen.info(&format!("  its worker goes on serving until another app asks; {stop} ends it now"));
    }
    Ok(AnswerState::Forgotten.exit())
}

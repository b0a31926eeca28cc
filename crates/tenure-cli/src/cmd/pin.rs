//! `tenure pin` and `tenure unpin`.

use clap::Args;
use serde::Serialize;
use tenure_core::{Applied, PinOptions, Pinned, Unpinned, Version};

use crate::answer::AnswerState;
use crate::args::{self, WorkerArg};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account::{self, WorkerIdentity};
use crate::output::failure::Failure;

/// The document of both.
#[derive(Debug, Serialize)]
struct PinDocument<'a> {
    state: AnswerState,
    /// The version that is pinned now.
    pinned: Option<&'a Version>,
    /// The version that was held before.
    before: Option<&'a Version>,
    /// The version that would be started now.
    target: Option<&'a Version>,
    /// Whether the worker was replaced.
    replaced: bool,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    old: Option<WorkerIdentity<'a>>,
    took_us: u64,
}

/// Pin one version, whatever is offered; the only way to downgrade.
///
/// A pinned version runs whatever is offered, higher or lower; this is the only way to an older version. `tenure unpin`
/// releases it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure pin web 1.4.0  back to 1.4.0, and stay there
  tenure unpin web      release it

Exit codes:
  5  nobody ever offered that version; those offered are named")]
pub(crate) struct Pin {
    #[command(flatten)]
    named: WorkerArg,
    /// The version: one that was offered before.
    #[arg(value_parser = args::version)]
    version: Version,
}

impl Run for Pin {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let ScopeTarget { scope, display_name, .. } = &target;
        call.may_start(&format!("pin {display_name}"))?;
        let mut request = PinOptions::new(scope.clone(), self.version.clone());
        request.budget = call.budget()?;
        request.host = Call::host();
        request.find_dependency = Some(call.find_dependency());
        let pinned = call.wait(&target, || tenure_core::pin(&request));
        let Pinned { version, before, applied, .. } = pinned.map_err(|failed| self.named_in(failed))?;
        let elapsed = call.elapsed();
        if !call.screen.wants_json() {
            let what = outcome(&applied, &version);
            call.screen.info(&format!(
                "{display_name}: pinned to {version}; {what} ({})",
                account::measured(elapsed)
            ));
            call.screen.info(&format!("  {} releases it", target.command("unpin", "")));
            return Ok(AnswerState::Pinned.exit());
        }
        let (new, old) = match &applied {
            Applied::Stood(hello) => (Some(&**hello), None),
            Applied::Replaced(proof) => (Some(&*proof.new), proof.old.as_deref()),
            Applied::Later | _ => (None, None),
        };
        call.document(&PinDocument {
            state: AnswerState::Pinned,
            pinned: Some(&version),
            before: before.as_ref(),
            target: Some(&version),
            replaced: matches!(applied, Applied::Replaced(_)),
            worker: WorkerIdentity::of(scope, new),
            old: old.map(|old| WorkerIdentity::of(scope, Some(old))),
            took_us: account::micros(elapsed),
        })?;
        Ok(AnswerState::Pinned.exit())
    }
}

impl Pin {
    /// The failure whose remedy names the version, for which V stands in the row of the kind.
    fn named_in(&self, mut failed: Failure) -> Failure {
        let version = &self.version;
        if let Some(hint) = failed.body.hint.as_mut().filter(|_| failed.state == AnswerState::UnknownVersion)
        {
            let typed = hint.replace("--version V", &format!("--version {version}"));
            *hint = typed.replace("puts V on", &format!("puts {version} on"));
        }
        failed
    }
}

fn outcome(applied: &Applied, version: &Version) -> String {
    match applied {
        Applied::Stood(hello) => format!("{version} runs already, {}", account::activation(hello)),
        Applied::Later => "nothing runs, and that version is what will be started".to_owned(),
        Applied::Replaced(proof) => {
            let line = account::activation(&proof.new);
            let from = proof.old.as_ref().map(|old| format!("pid {} ({}) → ", old.identity.pid, old.version));
            format!("{}pid {}, {line}", from.unwrap_or_default(), proof.new.identity.pid)
        }
        _ => format!("{version} is applied"),
    }
}

/// Release the pinned version.
///
/// The worker stays as it is until a launcher asks for a newer version, or somebody restarts it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure unpin web  the highest version that is offered counts again")]
pub(crate) struct Unpin {
    #[command(flatten)]
    named: WorkerArg,
}

impl Run for Unpin {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let ScopeTarget { scope, display_name, .. } = &target;
        let budget = call.budget()?;
        let Unpinned { before, target: best, stands, .. } =
            call.wait(&target, || tenure_core::unpin(scope, budget))?;
        let elapsed = call.elapsed();
        if call.screen.wants_json() {
            call.document(&PinDocument {
                state: AnswerState::Unpinned,
                pinned: None,
                before: before.as_ref(),
                target: best.as_ref(),
                replaced: false,
                worker: WorkerIdentity::of(scope, stands.as_deref()),
                old: None,
                took_us: account::micros(elapsed),
            })?;
            return Ok(AnswerState::Unpinned.exit());
        }
        let what = before
            .map_or_else(|| "nothing was pinned".to_owned(), |version| format!("{version} is released"));
        call.screen.info(&format!("{display_name}: {what}"));
        if let (Some(stands), Some(best)) = (stands, best)
            && stands.version < best
        {
            call.screen.info(&format!(
                "  {} serves until a launcher asks for a newer one; {} starts {best} now",
                stands.version,
                target.command("restart", "")
            ));
        }
        Ok(AnswerState::Unpinned.exit())
    }
}

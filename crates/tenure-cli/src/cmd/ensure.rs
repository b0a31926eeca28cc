//! `tenure ensure` and `tenure start`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tenure_core::policy::decide::Usable;
use tenure_core::policy::warning::Warning;
use tenure_core::protocol::wire::Hello;
use tenure_core::{Ensured, How};

use crate::answer::AnswerState;
use crate::args::{WorkerSelection, words};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account::{self, WorkerIdentity};
use crate::output::failure::Failure;
use crate::output::render::{self, WarningBody};

/// Return when one healthy worker serves; start it if needed.
///
/// Any number of callers may do this at once; losing the race to start the worker is success. A worker of an older
/// version is replaced, one of a newer version stays. What stands after `--` is the program, which then needs no
/// configuration.
#[derive(Debug, Args)]
#[command(
    override_usage = "tenure ensure [OPTIONS] NAME [-- CMD…]",
    after_help = "\
Examples:
  tenure ensure web                            as tenure.toml describes it
  tenure ensure web -- python3 -m http.server  without configuration
  tenure ensure web --json --timeout 5s        for a program, for at most 5 s

Exit codes:
  0    it serves: it was up, was started, or took the place of another
  1    it could not be started, or failed a moment ago
  3    it is down and may not be started: --no-daemon, or `stop --hold`
  5    versions or descriptions disagree, or the name is kept for another app
  6    it is not configured, or its project is not trusted
  124  it is still booting, which goes on; ask again"
)]
pub(crate) struct Ensure {
    #[command(flatten)]
    pub(crate) wanted: WorkerSelection,
    /// Exit with 0 instead of 124 if the worker is still booting when the time is over.
    #[arg(long)]
    accept_warming: bool,
    /// Fail instead of warning: degraded (exit 7), other settings or an older version than offered (exit 5).
    #[arg(long)]
    strict: bool,
    /// The program, which then needs no configuration.
    #[arg(last = true, value_name = "CMD", value_parser = words())]
    pub(crate) command: Vec<String>,
}

/// Like `ensure`, also after `stop --hold`.
///
/// Does what `tenure ensure` does, and ends a `tenure stop --hold` first.
#[derive(Debug, Args)]
#[command(
    override_usage = "tenure start [OPTIONS] NAME [-- CMD…]",
    after_help = "\
Examples:
  tenure start web  up again after `tenure stop web --hold`

Exit codes:
  0    it serves: it was up, was started, or took the place of another
  1    it could not be started, or failed a moment ago
  3    it is down and may not be started: --no-daemon
  5    versions or descriptions disagree
  6    it is not configured, or its project is not trusted
  124  it is still booting, which goes on; ask again"
)]
pub(crate) struct Start {
    #[command(flatten)]
    ensure: Ensure,
}

impl Run for Ensure {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        ensure(call, self, false)
    }
}

impl Run for Start {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        ensure(call, &self.ensure, true)
    }
}

/// The document of an answer.
#[derive(Debug, Serialize)]
struct EnsureDocument<'a> {
    state: AnswerState,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    warnings: Vec<WarningBody>,
    took_us: u64,
}

/// Ensures the worker and prints the outcome. Returns the exit code.
fn ensure(call: &Call, typed: &Ensure, release: bool) -> Result<u8, Failure> {
    let wanted = call.wanted(&typed.wanted, &typed.command)?;
    let target = wanted.target.clone();
    let display_name = target.display_name.as_str();
    let request = call.request(wanted)?.start(release);
    let ensured = call.wait(&target, || tenure_core::ensure(&request))?;
    let elapsed = call.elapsed();
    match ensured {
        Ensured::Serving(how, usable) => {
            let mut warnings = usable.warnings.iter().filter(|warning| !warning.is_information());
            let refused = warnings.next().filter(|_| typed.strict);
            match refused {
                Some(warning) => Err(strict(&target, warning)),
                None => serving(call, &target, (how, &usable), elapsed),
            }
        }
        Ensured::Warming(hello) => {
            warming(call, &target, hello.as_deref(), elapsed)?;
            Ok(if typed.accept_warming { 0 } else { AnswerState::Warming.exit() })
        }
        Ensured::Down | _ => Err(Failure::new(
            AnswerState::Down,
            format!(
                "find a worker for {display_name}: no acceptable one runs, and starting one was not allowed"
            ),
        )
        .hint(format!(
            "{} without --no-daemon or TENURE_NO_SPAWN starts it",
            target.command(if release { "start" } else { "ensure" }, "")
        ))),
    }
}

fn serving(
    call: &Call,
    target: &ScopeTarget,
    (how, usable): (How, &Usable),
    elapsed: Duration,
) -> Result<u8, Failure> {
    let ScopeTarget { scope, display_name, .. } = target;
    let state = match how {
        How::Started => AnswerState::Started,
        How::Replaced => AnswerState::Replaced,
        How::Up | _ => AnswerState::Up,
    };
    if call.screen.wants_json() {
        let warnings = usable.warnings.iter().map(warning_body).collect();
        let worker = WorkerIdentity::of(scope, Some(&usable.hello));
        document(call, state, worker, warnings, elapsed)?;
        return Ok(state.exit());
    }
    let line = account::line(&usable.hello);
    call.screen.info(&format!("{display_name}: {}, {line} ({})", state.word(), account::measured(elapsed)));
    if call.screen.is_verbose() {
        call.screen.info(&format!("  started by {}", account::asker(&usable.hello.started_by)));
        call.screen.info(&format!("  kept by {}", usable.hello.worker_path));
    }
    for warning in &usable.warnings {
        let WarningBody { message, .. } = warning_body(warning);
        if warning.is_information() {
            call.screen.info(&format!("  {message}"));
            continue;
        }
        call.screen.warning(&format!("{display_name}: {message}{}", remedy(warning, target)));
    }
    Ok(state.exit())
}

fn warming(
    call: &Call,
    target: &ScopeTarget,
    hello: Option<&Hello>,
    elapsed: Duration,
) -> Result<(), Failure> {
    let ScopeTarget { scope, display_name, .. } = target;
    if call.screen.wants_json() {
        return document(call, AnswerState::Warming, WorkerIdentity::of(scope, hello), Vec::new(), elapsed);
    }
    let line = hello.map(|hello| format!(", {}", account::line(hello))).unwrap_or_default();
    let elapsed = account::measured(elapsed);
    let what = if hello.is_some_and(|hello| hello.probation.is_some()) {
        "it serves on probation; the wanted version is started after that"
    } else {
        "still booting"
    };
    call.screen.info(&format!("{display_name}: warming{line}: {what}, and continues after these {elapsed}"));
    call.screen.info(&format!(
        "  {} waits for it again, {} shows its output",
        target.command("ensure", ""),
        target.command("logs", "-f")
    ));
    Ok(())
}

fn document(
    call: &Call,
    state: AnswerState,
    worker: WorkerIdentity<'_>,
    warnings: Vec<WarningBody>,
    elapsed: Duration,
) -> Result<(), Failure> {
    let took_us = account::micros(elapsed);
    let warnings = call.warnings().into_iter().chain(warnings).collect();
    render::document(&EnsureDocument { state, worker, warnings, took_us })
}

fn warning_body(warning: &Warning) -> WarningBody {
    WarningBody { kind: warning.word(), message: warning.to_string() }
}

fn remedy(warning: &Warning, target: &ScopeTarget) -> String {
    let restart = || target.command("restart", "");
    match warning {
        Warning::Degraded { .. } | Warning::EndedBefore { .. } => {
            format!("; see {}", target.command("logs", ""))
        }
        Warning::Drift => format!("; {} applies them", restart()),
        Warning::OtherDescription { .. } => {
            format!("; raise `version` where it differs, or {} takes the one here", restart())
        }
        Warning::OfferNotRunning { .. } => format!("; repair it, then {}", restart()),
        Warning::BuildOffered { .. } => format!("; {} starts what is described now", restart()),
        Warning::Pinned { .. } => format!("; {} releases it", target.command("unpin", "")),
        Warning::SaysOther { .. } => "; make what it is started as and what it says agree".to_owned(),
        Warning::SourceChangedAgain => {
            format!("; the next {} applies them", target.command("ensure", ""))
        }
        Warning::SourceUnread { .. } => "; make them readable".to_owned(),
        Warning::OtherPlace { .. } | _ => String::new(),
    }
}

/// The failure that --strict makes of a warning.
fn strict(target: &ScopeTarget, warning: &Warning) -> Failure {
    let state = match warning {
        Warning::Degraded { .. } | Warning::EndedBefore { .. } => AnswerState::Unhealthy,
        Warning::Drift | Warning::OtherDescription { .. } => AnswerState::SpecConflict,
        Warning::OfferNotRunning { .. }
        | Warning::Pinned { .. }
        | Warning::SaysOther { .. }
        | Warning::BuildOffered { .. }
        | Warning::SourceChangedAgain
        | Warning::SourceUnread { .. }
        | Warning::OtherPlace { .. }
        | _ => AnswerState::VersionDisagrees,
    };
    let WarningBody { kind, message } = warning_body(warning);
    let mut failure = Failure::new(state, format!("accept the worker of {}: {message}", target.display_name));
    kind.clone_into(&mut failure.body.kind);
    failure.hint(format!("without --strict this is a warning{}", remedy(warning, target)))
}

//! `tenure status` and `tenure list`: the workers' own answers, and what the records add. Starts and changes nothing.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;
use tenure_core::deadline::Moment;
use tenure_core::ops::described::Offered;
use tenure_core::protocol::ends::UnaskedEnd;
use tenure_core::protocol::wire::{AppState, Hello, Probation};
use tenure_core::record::desired::{Desired, Offer};
use tenure_core::spec::app::AppId;
use tenure_core::{Error, Scope, Standing, Version, causes, os_text};

use crate::answer::AnswerState;
use crate::args::KeyOrFile;
use crate::cmd::call::{Call, Run};
use crate::config::{self, ScopeTarget};
use crate::output::account::{self, Details, WorkerIdentity};
use crate::output::failure::Failure;
use crate::output::offered::{self, OfferDocument};
use crate::output::recorded::Recorded;
use crate::output::render::{self, printable};
use crate::output::table::{Cell, columns};
use crate::output::whose;

mod hello_lines;

use hello_lines::{origin, program, worker};

const HEADER: Style = Style::new().bold();

/// The document of one worker.
#[derive(Debug, Serialize)]
struct One<'a> {
    #[serde(flatten)]
    row: WorkerLine<'a>,
    #[serde(flatten)]
    details: Option<Details<'a>>,
}

/// The document of several workers.
#[derive(Debug, Serialize)]
struct Many<'a> {
    workers: Vec<WorkerLine<'a>>,
}

/// A worker among several.
#[derive(Debug, Serialize)]
struct WorkerLine<'a> {
    state: AnswerState,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    /// The directory of its project, else the one that it runs in.
    directory: Option<String>,
    reason: Option<String>,
    /// If no worker serves: how the last one ended, unless it was asked to. Else the last end of its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_end: Option<&'a UnaskedEnd>,
    /// The probation of the worker, while the worker before it can still come back.
    probation: Option<&'a Probation>,
    /// Whose worker it is: of the worker that answers, else by the record.
    whose: Option<AppId>,
    /// What is on offer, lowest version first.
    offers: Vec<OfferDocument<'a>>,
    #[serde(flatten)]
    recorded: Recorded<'a>,
    record_error: Option<&'a str>,
}

/// A scope with what was observed there: the state of its worker, and its record.
struct SeenScope {
    target: ScopeTarget,
    standing: Result<Standing, Error>,
    /// None if no worker of the scope ever ran.
    record: Option<Desired>,
    /// For each offered version, whether a file still describes it and is trusted.
    offered: Vec<Offered>,
    /// Why the record cannot be read.
    unread: Option<String>,
    /// How the last worker ended, if none serves and nobody had asked it to end.
    ended: Option<UnaskedEnd>,
    /// Processes of its program still run although no worker serves.
    left: bool,
    now: Moment,
}

impl SeenScope {
    fn of(target: ScopeTarget) -> Self {
        let standing = tenure_core::status(&target.scope);
        Self::with(target, standing)
    }

    fn with(target: ScopeTarget, standing: Result<Standing, Error>) -> Self {
        let (record, unread) = record(&target.scope);
        let name = target.scope.name();
        let offered = record
            .as_ref()
            .map(|record| tenure_core::ops::described::offered(record, name, config::read_stated_version));
        let offered = offered.unwrap_or_default();
        let down = matches!(standing, Ok(Standing::Down));
        let ended = if down { tenure_core::last_end(&target.scope) } else { Ok(None) };
        // Without a ledger that can be read nothing is started.
        let unread = unread.or_else(|| ended.as_ref().err().map(|error| causes::in_one_line(error)));
        let ended = ended.ok().flatten();
        let left = down && tenure_core::is_program_left(&target.scope).unwrap_or(false);
        Self { target, standing, record, offered, unread, ended, left, now: Moment::now() }
    }

    fn state(&self) -> AnswerState {
        match &self.standing {
            Ok(standing) => account::state_of(standing),
            Err(error) => AnswerState::of_kind(error.kind()),
        }
    }

    fn hello(&self) -> Option<&Hello> {
        self.standing.as_ref().ok().and_then(Standing::hello)
    }

    fn reason(&self) -> Option<String> {
        match &self.standing {
            Ok(standing) => account::reason_of(standing)
                .or_else(|| self.ended.as_ref().map(|end| account::ended(end, &self.now))),
            Err(error) => Some(format!("failed to {error}")),
        }
    }

    /// The last end to show: of the worker if none serves, else of its program.
    fn last_end(&self) -> Option<&UnaskedEnd> {
        let program = self.hello().and_then(|hello| hello.program.as_ref());
        self.ended.as_ref().or_else(|| program.and_then(|program| program.last_end.as_deref()))
    }

    fn probation(&self) -> Option<&Probation> {
        self.hello().and_then(|hello| hello.probation.as_ref())
    }

    /// The version that a person pinned.
    fn pinned(&self) -> Option<&Version> {
        self.record.as_ref().and_then(|record| record.pin.as_ref())
    }

    /// The directory of the project that its key stands for; else the one that it runs in, or ran in last.
    fn directory(&self) -> Option<String> {
        let files = self.offered.iter().filter_map(|offer| offer.file.as_deref()?.parent());
        let is_own = |directory: &&Path| self.target.scope.key() == Some(&Scope::project_key(directory));
        let mut offers =
            self.record.iter().flat_map(|record| &record.offers).map(|offer| offer.spec.cwd.as_path());
        let runs_in = self.hello().map(|hello| hello.spec.cwd.as_path()).or_else(|| offers.next_back());
        let found = files.rev().find(is_own).or(runs_in)?;
        Some(os_text::text(found.as_os_str()))
    }

    /// Whether the record says how to start the worker.
    fn is_on_record(&self) -> bool {
        self.record.as_ref().is_some_and(|record| !record.offers.is_empty())
    }

    /// Whether every offer failed a moment ago, so that the next start is held back.
    fn is_suppressed(&self) -> bool {
        let Some(record) = self.record.as_ref().filter(|_| self.is_on_record()) else { return false };
        let fails =
            |offer: &Offer| record.failure(&offer.spec).is_some_and(|failure| failure.quarantined(&self.now));
        record.offers.iter().all(fails)
    }

    fn recorded(&self) -> Recorded<'_> {
        self.record.as_ref().map(|record| Recorded::of(record, &self.now)).unwrap_or_default()
    }

    fn row(&self) -> WorkerLine<'_> {
        WorkerLine {
            state: self.state(),
            worker: WorkerIdentity::of(&self.target.scope, self.hello()),
            directory: self.directory(),
            reason: self.reason(),
            last_end: self.last_end(),
            probation: self.probation(),
            whose: whose::of(self.hello(), self.record.as_ref()),
            offers: offered::documents(&self.offered),
            recorded: self.recorded(),
            record_error: self.unread.as_deref(),
        }
    }

    /// The word of its state in its colour. A degraded worker serves, and yet is shown in yellow.
    fn word(&self) -> Cell {
        let degraded = self.hello().is_some_and(|hello| hello.app.state == AppState::Degraded);
        let style = if degraded { AnsiColor::Yellow.on_default() } else { render::style(self.state()) };
        Cell::styled(self.state().word(), style)
    }

    /// All that a person should see at a glance, in a few words each.
    fn notes(&self) -> String {
        let hello = self.hello();
        let says = hello.and_then(account::says_other).map(|version| format!("app says {version}"));
        let source = hello.filter(|hello| hello.source_changed).map(|_| "source changed".to_owned());
        let unread = self.unread.as_ref().map(|_| "record unreadable".to_owned());
        let again =
            hello.and_then(|hello| hello.program.as_ref()).filter(|program| program.last_end.is_some());
        let again = again.map(|program| format!("program started {} times", program.starts));
        let probation = self.probation().map(|probation| format!("on probation, else {}", probation.before));
        let unread = unread.into_iter().chain(again);
        let doubts = probation.into_iter().chain(offered::notes(&self.offered, self.pinned()));
        let notes = self.recorded().notes().into_iter().chain(doubts).chain(says).chain(source).chain(unread);
        notes.chain(self.reason().map(|reason| printable(&reason))).collect::<Vec<_>>().join("; ")
    }
}

/// The record of a scope, or why it cannot be read: the state of the worker is shown all the same.
fn record(scope: &Scope) -> (Option<Desired>, Option<String>) {
    match tenure_core::recorded(scope) {
        Ok(record) => (record, None),
        Err(error) => (None, Some(causes::in_one_line(&error))),
    }
}

/// Show worker status; start nothing.
///
/// The status is the worker's own answer. Without NAME, the exit code is that of the first worker that does not serve.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure status             every worker that is configured here
  tenure status web -v      all that one worker reports of itself
  tenure status web --json  the same for a program

Exit codes:
  0  it serves
  3  it does not run
  4  the system does not permit to look
  6  a configuration cannot be read
  7  it is there and does not serve: booting, failed or wedged")]
pub(crate) struct Status {
    /// The worker's name, or NAME@KEY; without it, every worker that is configured here.
    name: Option<String>,
    #[command(flatten)]
    by: KeyOrFile,
}

impl Run for Status {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let Some(name) = &self.name else {
            let targets = call.all(&self.by)?;
            if targets.is_empty() {
                return Err(Failure::new(
                    AnswerState::NotConfigured,
                    "find a worker to show: none is configured here",
                )
                .hint(format!(
                    "{} asks for one, `tenure list` shows all that ever ran here",
                    call.command("status NAME")
                )));
            }
            let seen: Vec<SeenScope> = targets.into_iter().map(SeenScope::of).collect();
            print_all(call, &seen)?;
            return Ok(seen.iter().map(|seen| seen.state().exit()).find(|code| *code != 0).unwrap_or(0));
        };
        let seen = SeenScope::of(call.named(name, &self.by)?);
        if let Err(error) = &seen.standing {
            return Err(Call::failed(error, &seen.target));
        }
        print_one(call, &seen)?;
        Ok(seen.state().exit())
    }
}

/// List every worker that ever ran here, with its state.
///
/// The exit code is 0, whatever state the workers are in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure list         every worker of yours
  tenure list --json  for a program")]
pub(crate) struct List {}

impl Run for List {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let listed = tenure_core::list().map_err(|error| Call::failed_before(&error))?;
        let seen =
            listed.into_iter().map(|(scope, standing)| SeenScope::with(ScopeTarget::whole(scope), standing));
        let seen: Vec<SeenScope> = seen.collect();
        print_all(call, &seen)?;
        Ok(0)
    }
}

fn print_one(call: &Call, seen: &SeenScope) -> Result<(), Failure> {
    if call.screen.wants_json() {
        let details = seen.hello().map(Details::of);
        return call.document(&One { row: seen.row(), details });
    }
    if call.screen.is_quiet() { Ok(()) } else { call.screen.data(&lines(seen, call.screen.is_verbose())) }
}

/// One worker, a fact a line.
fn lines(seen: &SeenScope, verbose: bool) -> String {
    let target = &seen.target;
    let mut lines = Vec::new();
    if let Some(hello) = seen.hello() {
        worker(&mut lines, hello);
    }
    lines.extend(whose::lines((seen.hello(), seen.record.as_ref()), verbose, target));
    lines.extend(seen.reason().map(|reason| ("reason", printable(&reason))));
    if seen.record.is_none() && seen.unread.is_none() && seen.hello().is_none() {
        lines.push(("reason", "this worker never ran here".to_owned()));
    }
    if let Some(hello) = seen.hello() {
        program(&mut lines, hello, verbose);
    }
    lines.extend(seen.recorded().lines(target));
    let back = seen.probation().map(|probation| &probation.before);
    lines.extend(offered::lines(&seen.offered, (seen.pinned(), back), target));
    lines.extend(seen.unread.as_ref().map(|why| ("record", format!("unreadable: failed to {why}"))));
    if seen.hello().is_some_and(|hello| hello.source_changed) {
        lines.push((
            "source",
            format!("changed since it was started; {} looks again", target.command("ensure", "")),
        ));
    }
    if let Some(hello) = seen.hello().filter(|_| verbose) {
        origin(&mut lines, hello);
    }
    lines.extend(next(seen).map(|what| ("next", what)));
    let head = columns(&[[Cell::from(format!("{}:", target.display_name)), seen.word()]], None)
        .replacen("  ", " ", 1);
    let rows: Vec<[Cell; 2]> =
        lines.into_iter().map(|(label, what)| [format!("  {label}").into(), what.into()]).collect();
    head + &columns(&rows, None)
}

/// What to type if the worker does not serve.
fn next(seen: &SeenScope) -> Option<String> {
    let state = seen.state();
    let is_down = seen.record.as_ref().is_some_and(|record| record.down.is_some());
    let command = |verb, rest| seen.target.command(verb, rest);
    if state.exit() == 0 || is_down {
        None
    } else if seen.unread.is_some() {
        Some(format!("{} says what to do", command("doctor", "")))
    } else if seen.hello().is_some_and(|hello| hello.draining) {
        Some(format!("{} waits for its end and starts the next", command("ensure", "")))
    } else if seen.left {
        Some(format!("processes of its program still run; {} says what to do", command("doctor", "")))
    } else if state == AnswerState::Down && seen.is_suppressed() {
        Some(format!("repair the cause, then {} tries at once", command("restart", "")))
    } else if state == AnswerState::Down && !seen.is_on_record() {
        Some(seen.target.first_start())
    } else if state == AnswerState::Down {
        Some(format!("{} starts it", command("ensure", "")))
    } else if state == AnswerState::Booting {
        Some(format!("{} shows what it does", command("logs", "-f")))
    } else if state == AnswerState::Unhealthy {
        let (logs, restart) = (command("logs", ""), command("restart", ""));
        Some(format!("{logs} shows why, {restart} starts it anew"))
    } else {
        Some(format!("{} says what to do", command("doctor", "")))
    }
}

fn print_all(call: &Call, seen: &[SeenScope]) -> Result<(), Failure> {
    if call.screen.wants_json() {
        let workers = seen.iter().map(SeenScope::row).collect();
        return call.document(&Many { workers });
    }
    if call.screen.is_quiet() {
        return Ok(());
    }
    if seen.is_empty() {
        call.screen.info("no worker ever ran here; `tenure ensure NAME -- CMD…` starts one");
        return Ok(());
    }
    call.screen.data(&table(seen, render::width()))
}

/// One row for each worker. Where the terminal is too narrow for both, notes are shown and endpoints are not.
fn table(seen: &[SeenScope], width: Option<usize>) -> String {
    let whole = rows(seen, true);
    let too_wide = width.is_some_and(|width| {
        let plain = anstream::adapter::strip_str(&columns(&whole, None)).to_string();
        plain.lines().any(|line| line.chars().count() > width)
    });
    let anything_to_note = seen.iter().any(|seen| !seen.notes().is_empty());
    columns(&if too_wide && anything_to_note { rows(seen, false) } else { whole }, width)
}

fn rows(seen: &[SeenScope], with_endpoints: bool) -> Vec<[Cell; 9]> {
    let note = if seen.iter().any(|seen| !seen.notes().is_empty()) { "NOTE" } else { "" };
    let endpoints = if with_endpoints { "ENDPOINTS" } else { "" };
    // A name without a key says enough; a key is a digest, which does not.
    let with_directories = seen.iter().any(|seen| seen.target.scope.key().is_some());
    let directory = if with_directories { "DIRECTORY" } else { "" };
    let header = ["WORKER", "STATE", "VERSION", "PID", "GEN", "UP", endpoints, directory, note];
    let header = header.map(|head| if head.is_empty() { head.into() } else { Cell::styled(head, HEADER) });
    let row = |seen: &SeenScope| {
        let shown = |what: &dyn Fn(&Hello) -> String| {
            let shown = seen.hello().map(what).filter(|shown| !shown.is_empty());
            Cell::from(shown.unwrap_or_else(|| "-".to_owned()))
        };
        [
            seen.target.display_name.as_str().into(),
            seen.word(),
            shown(&|hello| account::version(hello).unwrap_or_default()),
            shown(&account::pid),
            shown(&|hello| hello.generation.to_string()),
            shown(&|hello| account::age(hello.uptime_ms)),
            if with_endpoints { shown(&account::endpoints) } else { "".into() },
            if with_directories { directory_of(seen).into() } else { "".into() },
            seen.notes().into(),
        ]
    };
    std::iter::once(header).chain(seen.iter().map(row)).collect()
}

fn directory_of(seen: &SeenScope) -> String {
    let keyed = seen.target.scope.key().and_then(|_| seen.directory());
    keyed.map_or_else(|| "-".to_owned(), |directory| printable(&directory))
}

#[cfg(test)]
mod tests;

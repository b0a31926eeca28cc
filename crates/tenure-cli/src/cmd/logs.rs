//! `tenure logs`: the last lines of a worker's output, those of a time or a boot, and what is added. Bounded unless it is
//! asked to follow.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use regex_lite::Regex;
use serde::Serialize;
use tenure_core::store::paths::{StateDir, file};
use tenure_core::store::records;
use tenure_core::{os_text, utc};
use tenure_sys::dir::{Dir, DirError};

use crate::answer::AnswerState;
use crate::args::{When, WorkerArg, count};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::failure::Failure;
use crate::output::render;

pub(crate) mod follow;
pub(crate) mod lines;
mod select;

use follow::{FollowError, Follower};
use lines::LinePiece;
use select::{Selected, Selection, Selector};

/// A line in JSON.
#[derive(Debug, Serialize)]
struct LogLine<'a> {
    log: &'a str,
    /// When it was read, in milliseconds since the Unix epoch, where that is known.
    at_ms: Option<u64>,
    /// The generation of the worker that read it.
    generation: Option<u64>,
    line: &'a str,
    /// The line is too long for one document, and the next one goes on with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

/// Bytes gathered before they are written, so that many lines cost one write.
const GATHERED: usize = 64 * 1024;

/// Lines that are shown where nothing says how many, or which.
const USUAL: usize = 100;

/// Show the output of a worker's program.
///
/// Without -n, the last 100 lines, or all that are asked for by --since, --until, --match and --boot. Times are UTC. An
/// embedded worker has no output but its own log, in which lines have no times.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure logs web -n 20                      the last 20 lines
  tenure logs web -f                         and what is written from now on
  tenure logs web --since 10m --match error  what went wrong lately
  tenure logs web --boot -1                  all that the worker before wrote
  tenure logs web --worker                   why it did not start

Exit codes:
  3  it never ran here")]
pub(crate) struct Logs {
    #[command(flatten)]
    named: WorkerArg,
    /// Keep printing new lines as they are written.
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// The last N lines.
    #[arg(short = 'n', long, value_name = "N", value_parser = count)]
    lines: Option<usize>,
    /// Lines from this time on: how long ago, such as 5m, or a time such as 2026-01-31T08:00Z.
    #[arg(long, value_name = "T")]
    since: Option<When>,
    /// Lines before this time.
    #[arg(long, value_name = "T")]
    until: Option<When>,
    /// Lines that match this regular expression.
    #[arg(long = "match", value_name = "REGEX", value_parser = pattern)]
    pattern: Option<Regex>,
    /// Lines of one generation of the worker: its number, current [default], or -1 for the one before.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "current", allow_hyphen_values = true)]
    boot: Option<Boot>,
    /// The worker's own log instead of its program's output.
    #[arg(long)]
    worker: bool,
    /// Show the bytes as the program wrote them, without times.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// One generation of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    /// The one of this number.
    Generation(u64),
    /// The present or last one, or one so many before it.
    Before(u64),
}

impl std::str::FromStr for Boot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let before = text.strip_prefix('-').and_then(|number| number.parse().ok());
        match (text, before) {
            ("current", _) => Ok(Self::Before(0)),
            (_, Some(before)) => Ok(Self::Before(before)),
            (_, None) => text
                .parse()
                .map(Self::Generation)
                .map_err(|_| "write a generation, such as 7; current; or -1 for the one before".to_owned()),
        }
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("write a regular expression, such as 'GET /.* 5..' ({error})"))
}

impl Run for Logs {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let display_name = target.display_name.as_str();
        let state = state(&target)?;
        let logs = directory(&state, &target)?;
        let wanted = self.selection(&state, &target)?;
        let own = self.worker || self.only_own(&state, &logs, &wanted);
        let name = if own { file::BOOT_LOG } else { file::OUTPUT_LOG };
        if own && wanted.needs_stamps() {
            return Err(no_times(&target, self.worker));
        }
        let failed = |error: FollowError| error.into_failure(&format!("the log {name} of {display_name}"));
        let mut follower = Follower::new(logs, name);
        let mut selector = Selector::new(&wanted);
        let mut out = Out { call, log: name, raw: self.raw, gathered: Vec::new() };
        let mut write = |piece: LinePiece<'_>| selector.select(piece).map_or(Ok(()), |line| out.write(&line));
        match self.lines {
            _ if wanted.is_all() => {
                follower.last_lines(self.lines.unwrap_or(USUAL), &mut write).map_err(failed)?;
            }
            None => follower.every_line(&mut [&mut write]).map_err(failed)?,
            Some(lines) => last_wanted(&mut follower, &wanted, lines, &mut out).map_err(failed)?,
        }
        out.flush()?;
        if !self.follow {
            return Ok(0);
        }
        let mut selector = Selector::new(&wanted);
        let ended = follower.follow(&mut |piece| match selector.select(piece) {
            Some(line) => out.write(&line).and_then(|()| out.flush()),
            None => Ok(()),
        });
        ended.map(|never| match never {}).map_err(failed)
    }
}

impl Logs {
    /// Whether there is nothing but the worker's own log: an embedded worker has no other. One that keeps a program may
    /// have none yet; its output is what is waited for.
    fn only_own(&self, state: &StateDir, logs: &Dir, wanted: &Selection) -> bool {
        let keeps_program = records::recorded_host(state).is_some_and(|host| host.hosts);
        let waits = keeps_program && (self.follow || wanted.needs_stamps());
        !waits && !logs.exists(file::OUTPUT_LOG).unwrap_or(false)
    }

    fn selection(&self, state: &StateDir, target: &ScopeTarget) -> Result<Selection, Failure> {
        let generation = match self.boot {
            None => None,
            Some(Boot::Generation(generation)) => Some(generation),
            Some(Boot::Before(before)) => {
                let ledger =
                    records::read_ledger(state).map_err(|error| Call::failed(&error.into(), target))?;
                Some(ledger.generation.saturating_sub(before))
            }
        };
        let moment = |when: Option<When>| when.map(When::at_ms);
        let (since, until, pattern) = (moment(self.since), moment(self.until), self.pattern.clone());
        Ok(Selection { since, until, generation, pattern })
    }
}

/// Writes the last `count` lines that are wanted: a first pass counts them, so that none has to be kept.
fn last_wanted(
    follower: &mut Follower,
    wanted: &Selection,
    count: usize,
    out: &mut Out<'_>,
) -> Result<(), FollowError> {
    let (found, mut seen) = (Cell::new(0_usize), 0_usize);
    let (mut counting, mut writing) = (Selector::new(wanted), Selector::new(wanted));
    let mut count_one = |piece: LinePiece<'_>| {
        let begins = counting.select(piece).is_some_and(|line| line.begins);
        found.set(found.get() + usize::from(begins));
        Ok(())
    };
    let mut write = |piece: LinePiece<'_>| {
        let Some(line) = writing.select(piece) else { return Ok(()) };
        seen += usize::from(line.begins);
        if seen > found.get().saturating_sub(count) { out.write(&line) } else { Ok(()) }
    };
    follower.every_line(&mut [&mut count_one, &mut write])
}

fn no_times(target: &ScopeTarget, asked: bool) -> Failure {
    let what =
        if asked { "the worker's own log" } else { "this worker has no output but its own log, which" };
    Failure::new(AnswerState::WrongUse, format!("choose lines by time or boot: {what} has none")).hint(
        format!("{} shows its last lines; --match chooses among them", target.command("logs", "--worker")),
    )
}

/// The directory of a scope's logs, which is there once a worker was started.
fn directory(state: &StateDir, target: &ScopeTarget) -> Result<Dir, Failure> {
    match state.dir().open_child(file::LOGS) {
        Ok(dir) => Ok(dir),
        Err(DirError::Absent { .. }) => Err(never_ran(target)),
        Err(error) => Err(Failure::because(AnswerState::StateUnusable, &error)),
    }
}

/// The state directory of a worker that ran at least once.
pub(crate) fn state(target: &ScopeTarget) -> Result<StateDir, Failure> {
    let state = StateDir::open(&target.scope).map_err(|error| Call::failed(&error.into(), target))?;
    state.ok_or_else(|| never_ran(target))
}

fn never_ran(target: &ScopeTarget) -> Failure {
    Failure::new(
        AnswerState::Down,
        format!("find the records of {}: no worker of that name ever ran here", target.display_name),
    )
    .hint(format!("`tenure list` shows those that did; {}", target.first_start()))
}

/// Writes lines to stdout, several at once.
struct Out<'call> {
    call: &'call Call,
    log: &'call str,
    /// Without times.
    raw: bool,
    gathered: Vec<u8>,
}

impl Out<'_> {
    fn write(&mut self, piece: &Selected<'_>) -> Result<(), Failure> {
        if self.call.screen.wants_json() {
            let line = &os_text::text(OsStr::from_bytes(piece.bytes));
            let (at_ms, generation) =
                (piece.stamp.map(|stamp| stamp.at_ms), piece.stamp.map(|stamp| stamp.generation));
            return render::line(&LogLine { log: self.log, at_ms, generation, line, continues: !piece.ends });
        }
        if let Some(stamp) = piece.stamp.filter(|_| !self.raw) {
            self.gathered.extend_from_slice(utc::text(stamp.at_ms).as_bytes());
            self.gathered.push(b' ');
        }
        self.gathered.extend_from_slice(piece.bytes);
        self.gathered.extend(piece.ends.then_some(b'\n'));
        if self.gathered.len() < GATHERED { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = render::bytes(&self.gathered);
        self.gathered.clear();
        written
    }
}

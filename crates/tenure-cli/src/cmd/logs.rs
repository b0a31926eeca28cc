//! `tenure logs`: the last lines of a worker's output, and what is added. Bounded unless it is asked to follow.

use clap::Args;
use serde::Serialize;
use tenure_core::store::paths::{StateDir, file};
use tenure_sys::dir::{Dir, DirError};

use crate::answer::AnswerState;
use crate::args::WorkerArg;
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::failure::Failure;
use crate::output::render;

pub(crate) mod follow;
pub(crate) mod lines;

use follow::{FollowError, Follower};
use lines::LinePiece;

/// A line in JSON.
#[derive(Debug, Serialize)]
struct LogLine<'a> {
    log: &'a str,
    line: &'a str,
    /// The line is too long for one document, and the next one goes on with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

/// Bytes gathered before they are written, so that many lines cost one write.
const GATHERED: usize = 64 * 1024;

/// Show the last lines of a worker's output.
///
/// Without -n, the last 100 lines of its program's output. An embedded worker has no output but its own log.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure logs web -n 20   the last 20 lines
  tenure logs web -f      and what is written from now on
  tenure logs web --boot  why it did not start

Exit codes:
  3  it never ran here")]
pub(crate) struct Logs {
    #[command(flatten)]
    named: WorkerArg,
    /// Keep printing new lines as they are written.
    #[arg(short, long)]
    follow: bool,
    /// The last N lines.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: usize,
    /// The worker's own log instead of its program's output.
    #[arg(long)]
    boot: bool,
}

impl Run for Logs {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let display_name = target.display_name.as_str();
        let logs = directory(&target)?;
        // An embedded worker has no output but its own.
        let own = self.boot || !logs.exists(file::OUTPUT_LOG).unwrap_or(false);
        let name = if own { file::BOOT_LOG } else { file::OUTPUT_LOG };
        let failed = |error: FollowError| error.into_failure(&format!("the log {name} of {display_name}"));
        let mut follower = Follower::new(logs, name);
        let mut out = Out { call, log: name, gathered: Vec::new() };
        follower.last_lines(self.lines, &mut |piece| out.write(piece)).map_err(failed)?;
        out.flush()?;
        if !self.follow {
            return Ok(0);
        }
        let ended = follower.follow(&mut |piece| out.write(piece).and_then(|()| out.flush()));
        ended.map(|never| match never {}).map_err(failed)
    }
}

/// The directory of a scope's logs, which is there once a worker was started.
fn directory(target: &ScopeTarget) -> Result<Dir, Failure> {
    let state = state(target)?;
    match state.dir().open_child(file::LOGS) {
        Ok(dir) => Ok(dir),
        Err(DirError::Absent { .. }) => Err(never_ran(&target.display_name)),
        Err(error) => Err(Failure::because(AnswerState::StateUnusable, &error)),
    }
}

/// The state directory of a worker that ran at least once.
pub(crate) fn state(ScopeTarget { scope, display_name }: &ScopeTarget) -> Result<StateDir, Failure> {
    let state = StateDir::open(scope).map_err(|error| Call::failed(&error.into(), display_name))?;
    state.ok_or_else(|| never_ran(display_name))
}

fn never_ran(display_name: &str) -> Failure {
    Failure::new(
        AnswerState::Down,
        format!("find the records of {display_name}: no worker of that name ever ran here"),
    )
    .hint(format!("`tenure list` shows those that did, `tenure ensure {display_name}` starts this one"))
}

/// Writes lines to stdout, several at once.
struct Out<'call> {
    call: &'call Call,
    log: &'call str,
    gathered: Vec<u8>,
}

impl Out<'_> {
    fn write(&mut self, piece: LinePiece<'_>) -> Result<(), Failure> {
        if self.call.screen.wants_json() {
            let line = &String::from_utf8_lossy(piece.bytes);
            return render::line(&LogLine { log: self.log, line, continues: !piece.ends });
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

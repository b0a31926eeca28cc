//! `tenure events`: who started, replaced and stopped a worker, when, on whose request, and why.
//!
//! Shows the record that every actor appends to; nothing is derived. Times are UTC, to the millisecond.

use clap::Args;
use tenure_core::store::event::{self, Event};
use tenure_core::store::paths::file;
use tenure_core::{Version, utc};
use tenure_sys::dir::Dir;

use crate::answer::{AnswerState, kebab};
use crate::args::{When, WorkerArg};
use crate::cmd::call::{Call, Run};
use crate::cmd::logs::follow::{FollowError, Follower};
use crate::cmd::logs::lines::LinePiece;
use crate::cmd::logs::state;
use crate::output::account;
use crate::output::failure::Failure;
use crate::output::render::{self, printable};

/// Show who started, replaced and stopped a worker, when, and why.
///
/// Times are UTC.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure events web --since 1h  what happened in the last hour
  tenure events web -f --json   for a program, one a line

Exit codes:
  3  it never ran here")]
pub(crate) struct Events {
    #[command(flatten)]
    named: WorkerArg,
    /// Keep printing new events as they happen.
    #[arg(short, long)]
    follow: bool,
    /// What happened from this time on: how long ago, such as 5m, or a time such as 2026-01-31T08:00Z.
    #[arg(long, value_name = "T")]
    since: Option<When>,
    /// What happened before this time.
    #[arg(long, value_name = "T", conflicts_with = "follow")]
    until: Option<When>,
}

impl Run for Events {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let state = state(&target)?;
        let failed =
            |error: FollowError| error.into_failure(&format!("the events of {}", target.display_name));
        let oldest = self.since.map_or(0, When::at_ms);
        let end = self.until.map_or(u64::MAX, When::at_ms);
        if !self.follow {
            let events = event::read_all(&state).map_err(|error| failed(error.into()))?;
            let mut recent = events.iter().filter(|event| (oldest..end).contains(&event.at_ms));
            return recent.try_for_each(|event| write(call, event)).map(|()| 0);
        }
        // Another handle of the same directory: the follower keeps its own.
        let dir = Dir::open_private(state.path())
            .map_err(|error| Failure::because(AnswerState::StateUnusable, &error))?;
        let mut follower = Follower::new(dir, file::EVENTS);
        let mut show = |line: LinePiece<'_>| match serde_json::from_slice::<Event>(line.bytes) {
            Ok(event) if event.at_ms >= oldest => write(call, &event),
            Ok(_) | Err(_) => Ok(()),
        };
        follower.last_lines(usize::MAX, &mut show).map_err(failed)?;
        follower.follow(&mut show).map(|never| match never {}).map_err(failed)
    }
}

fn write(call: &Call, event: &Event) -> Result<(), Failure> {
    if call.screen.wants_json() {
        return render::line(event);
    }
    render::text(&format!("{}\n", line(event)))
}

/// `2026-01-02T03:04:05.678Z  generation 4  spawned  pid 7  version 1.0.0: why, asked by pid 6 (tenure ensure memory)`
fn line(event: &Event) -> String {
    // A launcher that could not start anything has no generation to name.
    let generation = (event.generation > 0).then(|| format!("generation {}", event.generation));
    let pid = event.pid.map(|pid| format!("pid {pid}"));
    // A worker without a version has none to show.
    let version = event.version.as_ref().filter(|version| **version != Version::new(0, 0, 0));
    let version = version.map(|version| format!("version {version}"));
    let what = kebab(&format!("{:?}", event.what));
    let parts = [Some(utc::text(event.at_ms)), generation, Some(what), pid, version];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}, asked by {}", parts.join("  "), printable(&event.why), account::asker(&event.by))
}

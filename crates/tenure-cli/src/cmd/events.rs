//! `tenure events`: who started, replaced and stopped a worker, when, on whose request, and why.
//!
//! Shows the record that every actor appends to; nothing is derived. Times are UTC, to the millisecond.

use clap::Args;
use tenure_core::Version;
use tenure_core::deadline::{millis, wall_millis};
use tenure_core::spec::amount::Span;
use tenure_core::store::event::{self, Event};
use tenure_core::store::paths::file;
use tenure_sys::dir::Dir;

use crate::answer::{AnswerState, kebab};
use crate::args::WorkerArg;
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
    /// Only what happened within this time, such as 5m.
    #[arg(long, value_name = "T")]
    since: Option<Span>,
}

impl Run for Events {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let target = call.named(&self.named.name, &self.named.by)?;
        let state = state(&target)?;
        let failed =
            |error: FollowError| error.into_failure(&format!("the events of {}", target.display_name));
        let oldest = self.since.map_or(0, |since| wall_millis().saturating_sub(millis(since.duration())));
        if !self.follow {
            let events = event::read_all(&state).map_err(|error| failed(error.into()))?;
            let mut recent = events.iter().filter(|event| event.at_ms >= oldest);
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
    let parts = [Some(utc(event.at_ms)), generation, Some(what), pid, version];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}, asked by {}", parts.join("  "), printable(&event.why), account::asker(&event.by))
}

/// RFC 3339 in UTC. The calendar is that of Howard Hinnant's `civil_from_days`: days are counted in eras of 400 years
/// that begin with March, so that the leap day is the last of its year.
fn utc(ms: u64) -> String {
    const DAY: u64 = 86_400_000;
    let (days, rest) = (ms / DAY + 719_468, ms % DAY);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(utc(1_767_225_599_999), "2025-12-31T23:59:59.999Z");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}

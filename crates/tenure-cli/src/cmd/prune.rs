//! `tenure prune`: what workers have left whose project is gone. Shown first, and removed with `--yes`.

use std::path::Path;

use anstyle::Style;
use clap::Args;
use serde::Serialize;
use tenure_core::os_text::{self, PathText};
use tenure_core::{Error, Kept, LostProject, Version, utc};

use crate::answer::AnswerState;
use crate::cmd::call::{Call, Run};
use crate::output::account;
use crate::output::failure::Failure;
use crate::output::render::{self, printable};
use crate::output::table::{Cell, columns};

const HEADER: Style = Style::new().bold();

#[derive(Debug, Serialize)]
struct PruneDocument<'a> {
    state: AnswerState,
    /// The workers whose state was removed, or would be with `--yes`.
    workers: Vec<Row<'a>>,
    /// The workers whose state stays although their project was not found.
    kept: Vec<KeptRow<'a>>,
    /// Bytes of the state that was removed, or would be.
    bytes: u64,
    took_us: u64,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    key: Option<&'a str>,
    /// The project's directory.
    directory: Option<PathText<'a>>,
    version: Option<&'a Version>,
    bytes: u64,
    last_end: Option<End<'a>>,
}

#[derive(Debug, Serialize)]
struct KeptRow<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    /// A word for the reason.
    reason: &'a str,
    /// The reason.
    why: String,
}

/// An end, as events tell it.
#[derive(Debug, Serialize)]
struct End<'a> {
    at_ms: u64,
    why: &'a str,
}

/// What a look or a removal gave.
struct Found {
    going: Vec<LostProject>,
    kept: Vec<LostProject>,
    failed: Option<Error>,
}

/// Remove what workers left whose project is gone.
///
/// Shows what would be removed: logs, events and records of workers that a project's tenure.toml described, if the file
/// or its directory was removed and nothing of the worker runs. With --yes it is removed. What is pinned or held down,
/// and what is not proved gone, is kept, and the reason is shown. Workers that no project describes are not looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure prune        what would be removed, and what is kept
  tenure prune --yes  remove it

Exit codes:
  0  it is shown, or it is removed
  4  the state directory cannot be read or written")]
pub(crate) struct Prune {
    /// Remove what is shown without it.
    #[arg(long)]
    yes: bool,
}

impl Run for Prune {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let lost = tenure_core::lost_projects().map_err(|error| Call::failed_before(&error))?;
        let (going, kept) = lost.into_iter().partition(|lost| lost.kept.is_none());
        let mut found = Found { going, kept, failed: None };
        if self.yes {
            found = found.remove(call)?;
        }
        self.print(call, &found)?;
        match found.failed {
            Some(error) => Err(Call::failed_before(&error)),
            None => Ok(self.state().exit()),
        }
    }
}

impl Prune {
    fn state(&self) -> AnswerState {
        if self.yes { AnswerState::Pruned } else { AnswerState::Prunable }
    }

    fn print(&self, call: &Call, found: &Found) -> Result<(), Failure> {
        if call.screen.wants_json() {
            // A failure is the one document of its call.
            return if found.failed.is_some() {
                Ok(())
            } else {
                render::document(&self.document(call, found))
            };
        }
        if !call.screen.is_quiet() && !found.going.is_empty() {
            call.screen.data(&table(&found.going))?;
        }
        for lost in &found.kept {
            call.screen.info(&printable(&kept_line(lost)));
        }
        call.screen.info(&self.conclusion(found));
        Ok(())
    }

    fn document<'a>(&self, call: &Call, found: &'a Found) -> PruneDocument<'a> {
        PruneDocument {
            state: self.state(),
            workers: found.going.iter().map(Row::of).collect(),
            kept: found.kept.iter().filter_map(KeptRow::of).collect(),
            bytes: found.bytes(),
            took_us: account::micros(call.elapsed()),
        }
    }

    fn conclusion(&self, found: &Found) -> String {
        let count = match found.going.len() {
            0 => return "there is nothing to remove".to_owned(),
            1 => "1 worker".to_owned(),
            several => format!("{several} workers"),
        };
        let size = size(found.bytes());
        if self.yes {
            format!("removed what {count} left, {size}")
        } else {
            format!("`tenure prune --yes` removes what {count} left, {size}; nothing is removed yet")
        }
    }
}

impl Found {
    /// Removes what can be removed. A failure ends that; what was removed before it stays removed.
    fn remove(self, call: &Call) -> Result<Self, Failure> {
        let budget = call.budget()?;
        let mut done = Self { going: Vec::new(), kept: self.kept, failed: None };
        for lost in self.going {
            match tenure_core::prune(&lost.scope, budget.saturating_sub(call.elapsed())) {
                // Its project is back, or somebody else has removed it.
                Ok(None) => {}
                Ok(Some(lost)) if lost.kept.is_some() => done.kept.push(lost),
                Ok(Some(lost)) => done.going.push(lost),
                Err(error) => {
                    done.failed = Some(error);
                    break;
                }
            }
        }
        Ok(done)
    }

    fn bytes(&self) -> u64 {
        self.going.iter().map(|lost| lost.bytes).sum()
    }
}

impl<'a> Row<'a> {
    fn of(lost: &'a LostProject) -> Self {
        Self {
            name: lost.scope.name(),
            key: lost.scope.key(),
            directory: lost.file.as_deref().and_then(Path::parent).map(PathText),
            version: lost.version.as_ref(),
            bytes: lost.bytes,
            last_end: lost.last_end.as_ref().map(|end| End { at_ms: end.at_ms, why: &end.why }),
        }
    }
}

impl<'a> KeptRow<'a> {
    fn of(lost: &'a LostProject) -> Option<Self> {
        let kept = lost.kept.as_ref()?;
        Some(Self { row: Row::of(lost), reason: kept.word(), why: why(kept) })
    }
}

/// The reason in words.
fn why(kept: &Kept) -> String {
    match kept {
        Kept::Running(why) | Kept::Unproved(why) => why.clone(),
        Kept::GateHeld => "a launcher is at work there".to_owned(),
        Kept::Pinned(version) => format!("{version} is pinned"),
        Kept::HeldDown => "it is held down".to_owned(),
        Kept::OfferedOtherwise => "a call, or a file of the user, offered it too".to_owned(),
        Kept::Unreadable(why) => format!("failed to {why}"),
        _ => kept.word().to_owned(),
    }
}

/// What to type so that the next prune removes it, where something helps.
fn remedy(lost: &LostProject) -> Option<String> {
    let scope = &lost.scope;
    Some(match lost.kept.as_ref()? {
        Kept::Running(_) => format!("`tenure stop {scope}` ends it"),
        Kept::Pinned(_) => format!("`tenure unpin {scope}` releases it"),
        Kept::Unreadable(_) => format!("`tenure doctor {scope}` says what to do"),
        Kept::GateHeld | Kept::HeldDown | Kept::OfferedOtherwise | Kept::Unproved(_) | _ => return None,
    })
}

fn kept_line(lost: &LostProject) -> String {
    let whose = directory(lost).map(|directory| format!(" ({directory})")).unwrap_or_default();
    let remedy = remedy(lost).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let why = lost.kept.as_ref().map(why).unwrap_or_default();
    format!("kept: {}{whose}: {why}{remedy}", lost.scope)
}

fn directory(lost: &LostProject) -> Option<String> {
    Some(printable(&os_text::text(lost.file.as_deref()?.parent()?.as_os_str())))
}

fn table(lost: &[LostProject]) -> String {
    let header =
        ["WORKER", "DIRECTORY", "VERSION", "SIZE", "LAST END"].map(|head| Cell::styled(head, HEADER));
    let row = |lost: &LostProject| {
        let or_dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        [
            lost.scope.to_string().into(),
            or_dash(directory(lost)),
            or_dash(lost.version.as_ref().map(ToString::to_string)),
            size(lost.bytes).into(),
            or_dash(lost.last_end.as_ref().map(|end| moment(end.at_ms))),
        ]
    };
    let rows: Vec<[Cell; 5]> = std::iter::once(header).chain(lost.iter().map(row)).collect();
    columns(&rows, render::width())
}

/// A moment to the second.
fn moment(at_ms: u64) -> String {
    let text = utc::text(at_ms);
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// A size in the largest unit of which it has one.
fn size(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = units.into_iter().find(|(scale, _)| bytes >= *scale);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(scale, unit)| format!("{}.{} {unit}", bytes / scale, bytes % scale * 10 / scale),
    )
}

//! `prune`: removes what workers have left whose project is gone.
//!
//! A worker is a project's if every offer on record came from a project's file. It is removed if all of these files are
//! proved gone, nothing of it runs, and no person has pinned it or holds it down. The look is repeated under gate and
//! lease, so that nobody starts a worker in between; nobody is waited for, because a launcher at work shows that the
//! worker is wanted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::process::{self, Verified};

use crate::causes;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::ops::project::{self, ProjectStanding};
use crate::record::desired::Desired;
use crate::record::ledger::Ledger;
use crate::spec::origin::Origin;
use crate::spec::scope::Scope;
use crate::spec::version::Version;
use crate::store::clearing;
use crate::store::event::{self, Event, What};
use crate::store::gate::{Gate, GateError};
use crate::store::lease::{Lease, TryLease};
use crate::store::paths::{self, StateDir, file};
use crate::store::records::{self, RecordError};

/// A worker whose project is not found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostProject {
    /// Whose worker.
    pub scope: Scope,
    /// The project's file; `None` where the record cannot be read.
    pub file: Option<PathBuf>,
    /// The version that ran last, else the highest that was offered.
    pub version: Option<Version>,
    /// Bytes that its removal frees.
    pub bytes: u64,
    /// The last event that tells of an end.
    pub last_end: Option<Event>,
    /// Why it is kept; `None` where it can be removed, or was.
    pub kept: Option<Kept>,
}

/// Why a worker is kept whose project is not found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// Something of it runs, or may run.
    Running(String),
    /// A launcher is at work.
    GateHeld,
    /// A person pinned this version.
    Pinned(Version),
    /// A person stopped it for good.
    HeldDown,
    /// A call or a file of the user offers it too.
    OfferedOtherwise,
    /// The project is not proved gone.
    Unproved(String),
    /// Its records cannot be read.
    Unreadable(String),
}

/// Who holds gate and lease during a look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locks {
    /// Perhaps others.
    Asked,
    /// The caller.
    Ours,
}

impl Kept {
    /// Its word in documents.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::GateHeld => "gate-held",
            Self::Pinned(_) => "pinned",
            Self::HeldDown => "held-down",
            Self::OfferedOtherwise => "offered-otherwise",
            Self::Unproved(_) => "unproved",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// Every worker whose project is not found, by scope, and those whose records cannot be read. Changes nothing.
///
/// # Errors
/// [`ErrorKind::Denied`](crate::ErrorKind::Denied) and [`StateUnusable`](crate::ErrorKind::StateUnusable), of the state root.
pub fn lost_projects() -> Result<Vec<LostProject>, Error> {
    let seen = |scope: Scope| match StateDir::open(&scope) {
        Ok(state) => look(&state?, Locks::Asked),
        Err(error) => Some(LostProject::unreadable(scope, causes::in_one_line(&error))),
    };
    Ok(paths::scopes()?.into_iter().filter_map(seen).collect())
}

/// Removes what the worker of the scope has left, where a look under gate and lease finds its project gone and nothing
/// of it running. The answer says whether it was removed; `None`: the project is there again, or nothing is on record.
/// The scope's locks, identity and generation stay, and the next start begins anew in the same directory.
///
/// # Errors
/// [`StateUnusable`](crate::ErrorKind::StateUnusable), [`RecordUnusable`](crate::ErrorKind::RecordUnusable),
/// [`Denied`](crate::ErrorKind::Denied), [`TimedOut`](crate::ErrorKind::TimedOut). A part may have been removed by then;
/// the call can be repeated.
pub fn prune(scope: &Scope, budget: Duration) -> Result<Option<LostProject>, Error> {
    let budget = Deadline::start(budget);
    let Some(state) = StateDir::open(scope)? else { return Ok(None) };
    let before = match look(&state, Locks::Asked) {
        Some(lost) if lost.kept.is_none() => lost,
        other => return Ok(other),
    };
    let gate = match Gate::enter(&state, budget.stage("gate")?.at_most(Duration::ZERO)) {
        Ok(gate) => gate,
        Err(GateError::Held { .. }) => return Ok(Some(before.kept(Kept::GateHeld))),
        Err(error) => return Err(error.into()),
    };
    let TryLease::Free(lease) = Lease::try_take(&state)? else {
        return Ok(Some(before.kept(Kept::Running("a process holds its lease".to_owned()))));
    };
    let Some(lost) = look(&state, Locks::Ours) else { return Ok(None) };
    if lost.kept.is_none() {
        gate.confirm()?;
        clearing::clear(&gate, &lease)?;
    }
    Ok(Some(lost))
}

impl LostProject {
    fn unreadable(scope: Scope, why: String) -> Self {
        let kept = Some(Kept::Unreadable(why));
        Self { scope, file: None, version: None, bytes: 0, last_end: None, kept }
    }

    fn kept(self, why: Kept) -> Self {
        Self { kept: Some(why), ..self }
    }
}

/// The worker of this directory, where it is a project's and the project is not found.
fn look(state: &StateDir, locks: Locks) -> Option<LostProject> {
    let unreadable = |error: &RecordError| {
        Some(LostProject::unreadable(state.scope().clone(), causes::in_one_line(error)))
    };
    let desired = match records::read_desired(state) {
        Ok(desired) => desired,
        Err(error) => return unreadable(&error),
    };
    let files = project_files(&desired);
    let standings: Vec<ProjectStanding> = files.iter().map(|file| project::standing(file)).collect();
    if files.is_empty() || standings.contains(&ProjectStanding::There) {
        return None;
    }
    let ledger = match records::read_ledger(state) {
        Ok(ledger) => ledger,
        Err(error) => return unreadable(&error),
    };
    let unproved = standings.into_iter().find_map(|standing| match standing {
        ProjectStanding::Unproved(why) => Some(Kept::Unproved(why)),
        ProjectStanding::There | ProjectStanding::Gone => None,
    });
    let kept = running(state, &ledger, locks).or_else(|| by_a_person(&desired)).or(unproved);
    let offered = desired.offers.last().map(|offer| offer.spec.version.clone());
    Some(LostProject {
        scope: state.scope().clone(),
        file: files.last().map(|file| (*file).to_owned()),
        version: ledger.version.or(offered),
        bytes: clearing::size(state),
        last_end: last_end(state),
        kept,
    })
}

/// The projects' files that offers came from.
fn project_files(desired: &Desired) -> Vec<&Path> {
    let of_project = |origin: &Origin| matches!(origin, Origin::Project { .. });
    let origins = desired.offers.iter().map(|offer| &offer.origin);
    origins.filter(|origin| of_project(origin)).filter_map(Origin::path).collect()
}

/// What a person has decided about it.
fn by_a_person(desired: &Desired) -> Option<Kept> {
    let is_projects = |origin: &Origin| matches!(origin, Origin::Project { .. });
    if let Some(version) = &desired.pin {
        return Some(Kept::Pinned(version.clone()));
    }
    if desired.down.is_some() {
        return Some(Kept::HeldDown);
    }
    let all = desired.offers.iter().all(|offer| is_projects(&offer.origin));
    (!all).then_some(Kept::OfferedOtherwise)
}

/// What runs of it, or may run.
fn running(state: &StateDir, ledger: &Ledger, locks: Locks) -> Option<Kept> {
    let runs = |why: &str| Some(Kept::Running(why.to_owned()));
    let mut held = file::PROGRAMS.map(|name| (name, "a process of its program lives")).to_vec();
    if locks == Locks::Asked {
        held.push((file::LEASE, "its worker runs"));
    }
    held.reverse();
    for (name, why) in held {
        match state.is_locked(name) {
            Ok(false) => {}
            Ok(true) => return runs(why),
            Err(error) => return Some(Kept::Unreadable(format!("look at the lock {name:?}: {error}"))),
        }
    }
    if locks == Locks::Asked && state.is_locked(file::GATE).unwrap_or(true) {
        return Some(Kept::GateHeld);
    }
    if ledger.is_foreign() {
        return runs("it was started in another container, and cannot be looked at from here");
    }
    for identity in ledger.named() {
        match process::verify(identity) {
            Verified::Gone(_) => {}
            Verified::Same(_) => return Some(Kept::Running(format!("{identity} of its record lives"))),
            Verified::Unverifiable(why) => {
                return Some(Kept::Running(format!("{identity} of its record cannot be verified ({why})")));
            }
        }
    }
    let carrier = state.with_cookie_here().into_iter().next();
    carrier.map(|handle| Kept::Running(format!("pid {} was started by it and lives", handle.pid())))
}

fn last_end(state: &StateDir) -> Option<Event> {
    let is_end = |event: &Event| {
        matches!(
            event.what,
            What::Stopped
                | What::EndedWedged
                | What::FoundDead
                | What::Draining
                | What::Idle
                | What::StartFailed
        )
    };
    event::read_all(state).ok()?.into_iter().rev().find(is_end)
}

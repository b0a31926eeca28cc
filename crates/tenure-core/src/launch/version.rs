//! The version that a configuration states: read as it stands, or asked of a command, once for all launchers.
//!
//! A command costs tens of milliseconds, and a hook may call fifty times a minute, so its answer is kept in the scope's
//! directory ([`resolve`]). While it holds, a call reads one file, looks at the files that the answer depends on, and
//! neither takes a lock nor starts anything. Otherwise one launcher at a time asks, and the others find its answer. A
//! failure is never kept. Nothing here compares versions.

use std::time::Duration;

use crate::spec::version::Version;
use tenure_sys::dir::DirError;
use tenure_sys::lock::{self, FileLock, LockWait};

use crate::deadline::{self, Stage};
use crate::launch::start::recipe;
use crate::spec::Spec;
use crate::spec::scope::Scope;
use crate::store::paths::{PathsError, StateDir, file};

mod answer;
mod cache;
mod error;
mod run;
mod stated;

pub use crate::spec::version::NoVersion;
pub use answer::Unclear;
pub use error::VersionError;
pub use stated::{StatedVersion, VersionCommand, VersionPattern, parse};

use cache::{Evidence, Question};
use run::Run;

/// Longest time for one run: an interpreter that reads a manifest needs a tenth of a second on a slow machine, and a
/// command that takes longer than this waits for something that a hook cannot give.
const LONGEST_RUN: Duration = Duration::from_secs(10);

/// The version that a command tells.
///
/// An answer that is known and still holds is returned without a lock and without starting anything. The command gets
/// what the worker of `spec` gets: its directory, its umask, no input, and the environment that is built from this
/// process's own: a variable that the policy does not pass, such as the `GIT_DIR` of a hook, changes nothing. Where a
/// variable that passes has another value, the command is asked anew. The call takes no longer than the stage, and the
/// command no longer than 10 s of it. Where the scope's directory cannot be written, each call runs the command.
pub fn resolve(
    asked: &VersionCommand,
    spec: &Spec,
    scope: &Scope,
    stage: Stage,
) -> Result<Version, VersionError> {
    let variables = spec.env.build_here();
    let question = Question::of(asked, &spec.cwd, &variables)?;
    let state = StateDir::open(scope).map_err(VersionError::Cache)?;
    if let Some(version) = state.as_ref().and_then(|state| cache::find(state, &question)) {
        return Ok(version);
    }
    let run = Run { question: &question, variables: &variables, umask: recipe::umask(spec) };
    match state.map_or_else(|| place(scope), |state| Ok(Some(state)))? {
        Some(state) => ask_in_turn(&state, run, stage),
        None => ask(run, stage),
    }
}

/// The version that a command has told before, if that still holds. Reads only, and starts nothing.
#[must_use]
pub fn cached(asked: &VersionCommand, spec: &Spec, scope: &Scope) -> Option<Version> {
    let question = Question::of(asked, &spec.cwd, &spec.env.build_here()).ok()?;
    cache::find(&StateDir::open(scope).ok()??, &question)
}

/// The scope's directory, made where it is missing; `None` where nothing can be written.
fn place(scope: &Scope) -> Result<Option<StateDir>, VersionError> {
    match StateDir::create(scope) {
        Ok(state) => Ok(Some(state)),
        Err(PathsError::Directory(
            DirError::ReadOnly { .. } | DirError::NoSpace { .. } | DirError::Denied { .. },
        )) => Ok(None),
        Err(error) => Err(VersionError::Cache(error)),
    }
}

/// Asks when it is this launcher's turn, unless the answer is known by then.
fn ask_in_turn(state: &StateDir, run: Run<'_>, stage: Stage) -> Result<Version, VersionError> {
    let question = run.question;
    let Some(turn) = take_turn(state, question, stage)? else { return ask(run, stage) };
    if let Some(version) = cache::find(state, question) {
        return Ok(version);
    }
    // Taken before the command reads the files: a file that changes from now on differs from this.
    let (before, begin) = (Evidence::of(question), deadline::wall_millis());
    let version = ask(run, stage)?;
    if let Some(evidence) = before
        && Evidence::of(question).as_ref() == Some(&evidence)
        && evidence.shows_changes(begin, deadline::wall_millis())
    {
        cache::keep(state, question, evidence, &version);
    }
    drop(turn);
    Ok(version)
}

/// The lock under which one launcher of a scope runs the command. It only saves the others a run of their own. `None`
/// where the lock file cannot be opened; then the command runs without the lock.
fn take_turn(state: &StateDir, question: &Question, stage: Stage) -> Result<Option<FileLock>, VersionError> {
    let open = || state.dir().open_lock(file::VERSION_LOCK);
    loop {
        let Ok(opened) = open() else { return Ok(None) };
        match lock::lock_within(opened, stage.remaining()) {
            Ok(LockWait::Taken(lock)) => {
                // A lock file that was removed meanwhile keeps nobody waiting, so the present one is locked.
                if lock::same_file(lock.file(), state.dir(), file::VERSION_LOCK).unwrap_or(true) {
                    return Ok(Some(lock));
                }
            }
            Ok(LockWait::TimedOut) => {
                let holders = open().map(|file| lock::holders(&file)).unwrap_or_default();
                return Err(VersionError::Busy { command: question.shown(), holders });
            }
            Err(_) => return Ok(None),
        }
    }
}

fn ask(run: Run<'_>, stage: Stage) -> Result<Version, VersionError> {
    let [output, errors] = run::run(run, stage.at_most(LONGEST_RUN))?;
    let question = run.question;
    answer::version_in(&question.asked(), &output, &errors)
        .map_err(|source| VersionError::Unclear { command: question.shown(), source })
}

#[cfg(test)]
mod tests;

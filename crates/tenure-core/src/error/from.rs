//! Turns the error of each room into the public error, with its kind and stage.

use std::error::Error as StdError;
use std::sync::Arc;

use tenure_sys::dir::DirError;
use tenure_sys::spawn::SpawnError;

use super::stage;
use super::{CauseText, Error, ErrorKind, os_error};
use crate::deadline::TimedOut;
use crate::launch::end::orphans::OrphanError;
use crate::launch::end::stop_and_prove::RetireError;
use crate::launch::start::StartError;
use crate::launch::start::limits::Unfit;
use crate::launch::start::listen::ListenError;
use crate::launch::start::recipe::RecipeError;
use crate::policy::decide::Refusal;
use crate::store::clearing::ClearingError;
use crate::store::gate::GateError;
use crate::store::lease::LeaseError;
use crate::store::paths::PathsError;
use crate::store::records::RecordError;

/// "Too many open files" of asm-generic/errno-base.h, the same on every architecture of Linux.
const EMFILE: i32 = 24;

impl From<TimedOut> for Error {
    fn from(error: TimedOut) -> Self {
        Self::of(ErrorKind::TimedOut, error.to_string()).at(error.stage)
    }
}

impl From<PathsError> for Error {
    fn from(error: PathsError) -> Self {
        let kind = match &error {
            PathsError::Directory(DirError::Denied { .. }) => ErrorKind::Denied,
            PathsError::Home(_)
            | PathsError::Relative { .. }
            | PathsError::Machine(_)
            | PathsError::Tripwire
            | PathsError::Directory(_) => ErrorKind::StateUnusable,
        };
        let has_root = matches!(&error, PathsError::Directory(_) | PathsError::Machine(_));
        let error = Self::because(kind, error);
        if has_root { error } else { error.at(stage::ROOT) }
    }
}

impl From<GateError> for Error {
    fn from(error: GateError) -> Self {
        let kind = match &error {
            GateError::Held { .. } => ErrorKind::GateHeld,
            GateError::Io(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                ErrorKind::Denied
            }
            GateError::Io(_) => ErrorKind::StateUnusable,
            GateError::Lost => ErrorKind::TimedOut,
        };
        let is_upgrade =
            matches!(&error, GateError::Held { holder } if holder.upgrade.is_some() && !holder.suspended);
        Self::because(kind, error).at(if is_upgrade { stage::UPGRADE } else { "gate" })
    }
}

impl From<Unfit> for Error {
    fn from(error: Unfit) -> Self {
        Self::because(ErrorKind::LimitTooLow, error).at("limits")
    }
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Self {
        Self::because(ErrorKind::StateUnusable, error).at("lease")
    }
}

impl From<ClearingError> for Error {
    fn from(error: ClearingError) -> Self {
        match error {
            ClearingError::Record(error) => error.into(),
            ClearingError::Remove { .. } => Self::because(ErrorKind::StateUnusable, error),
        }
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        let (kind, newer) = match &error {
            RecordError::TooNew { newer, .. } => (ErrorKind::RecordTooNew, newer.clone()),
            RecordError::Read { .. }
            | RecordError::Exposed { .. }
            | RecordError::Exhausted { .. }
            | RecordError::Damaged { .. }
            | RecordError::Write { .. } => (ErrorKind::RecordUnusable, None),
        };
        let mut error = Self::because(kind, error).at("records");
        error.0.newer = newer;
        error
    }
}

impl From<OrphanError> for Error {
    fn from(error: OrphanError) -> Self {
        let stage = match &error {
            OrphanError::Foreign { .. } => stage::PID_NAMESPACE,
            OrphanError::Survivor { .. } | OrphanError::Unseen { .. } | OrphanError::Lock(_) => {
                "previous program"
            }
        };
        Self::because(ErrorKind::Survivor, error).at(stage)
    }
}

impl From<RetireError> for Error {
    fn from(error: RetireError) -> Self {
        let kind = match &error {
            RetireError::Unverifiable { .. } | RetireError::Traced { .. } => ErrorKind::Wedged,
            RetireError::Survivor { .. } => ErrorKind::Survivor,
            RetireError::Signal { .. } => ErrorKind::Denied,
            RetireError::TimedOut(_) | RetireError::Gate(_) => ErrorKind::TimedOut,
            RetireError::Lease(_) => ErrorKind::StateUnusable,
        };
        Self::because(kind, error).at("retire")
    }
}

impl From<StartError> for Error {
    /// The outer fragment says what was being done; the inner room says what went wrong and gives the kind.
    fn from(error: StartError) -> Self {
        match error {
            StartError::Gate(source) => source.into(),
            StartError::Orphan(source) => source.into(),
            StartError::Record(source) | StartError::Listen(ListenError::Record(source)) => source.into(),
            StartError::TimedOut(source) => source.into(),
            StartError::Listen(source) => {
                let stage = if source.is_of_the_path() { stage::LISTEN_PATH } else { stage::LISTEN };
                Self::spawn_failed(&source, stage)
            }
            StartError::Recipe(source) => source.into(),
        }
    }
}

impl From<RecipeError> for Error {
    fn from(error: RecipeError) -> Self {
        match &error {
            RecipeError::Program(source) => Self::spawn_failed(source, stage::PROGRAM),
            RecipeError::EnvFile(source) => Self::spawn_failed(source, "environment"),
            RecipeError::Spawn(source @ SpawnError::Descriptors { .. }) => {
                let mut error = Self::spawn_failed(source, "spawn");
                error.0.os_error = Some(EMFILE);
                error
            }
            RecipeError::Spawn(source) => Self::spawn_failed(source, "spawn"),
            RecipeError::Io { .. } => Self::spawn_failed(&error, "spawn"),
        }
    }
}

impl Error {
    /// The error of an inner room as the error of a start, with its causes.
    fn spawn_failed(source: &(dyn StdError + 'static), stage: &'static str) -> Self {
        let mut error =
            Self::of(ErrorKind::SpawnFailed, format!("start the worker: failed to {source}")).at(stage);
        error.0.source = source.source().map(|cause| Arc::new(CauseText::of(cause)) as _);
        error.0.os_error = os_error(source);
        error.blocked_by(source)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => Self::of(ErrorKind::Denied, format!("talk to the worker: {why}")),
            Refusal::Foreign(why) => Self::of(ErrorKind::NotOurs, format!("trust the control socket: {why}")),
            Refusal::ClientTooOld { worker, needs } => Self::of(
                ErrorKind::ClientTooOld,
                format!(
                    "use worker {worker}: it speaks protocol {} to {} and this launcher does not",
                    needs.min, needs.max
                ),
            ),
            Refusal::VersionDisagrees { target, says } => Self::of(
                ErrorKind::VersionDisagrees,
                format!(
                    "get version {target}: the worker that was started as {target} says that it is {says}, \
                    and said so again when it was started once more; it is not replaced for that again"
                ),
            ),
            Refusal::OtherApp { theirs, ours, must_give_up } => {
                let message = format!("use this name for {ours}: it is kept for {}", theirs.with_place());
                let stage = if must_give_up { "app" } else { stage::NAMELESS_APP };
                return Self::of(ErrorKind::OtherApp, message).at(stage);
            }
            Refusal::SpecConflict { running, wanted } => Self::of(
                ErrorKind::SpecConflict,
                format!(
                    "use the running worker: the same version runs `{}` in {}, and `{}` in {} is wanted{}",
                    running.command.join(" "),
                    running.cwd.display(),
                    wanted.command.join(" "),
                    wanted.cwd.display(),
                    if running.listen == wanted.listen { "" } else { ", with other listeners" }
                ),
            ),
        }
        .at("judge")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_error_is_found_below_every_cause() {
        let full = std::io::Error::from_raw_os_error(28);
        let record = RecordError::Write { path: "ledger.json".into(), source: full };
        let error = Error::from(StartError::Record(record));
        assert_eq!((error.kind(), error.os_error()), (ErrorKind::RecordUnusable, Some(28)));
        let error = Error::from(StartError::Recipe(RecipeError::Spawn(SpawnError::Descriptors {
            soft: 16,
            hard: 16,
        })));
        assert_eq!((error.kind(), error.os_error()), (ErrorKind::SpawnFailed, Some(EMFILE)));
        assert_eq!(Error::of(ErrorKind::Bug, "x").os_error(), None);
    }
}

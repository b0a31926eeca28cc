//! The one error of the public stories: opaque, with a kind, whose fault it is, the stage, and its causes.
//!
//! Rooms raise small enums of their own; here they are given a kind. Nothing is printed here: the command line adds the
//! remedy.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use semver::Version;
use tenure_sys::dir::{DirError, in_the_way};
use tenure_sys::spawn::SpawnError;

use crate::deadline::TimedOut;
use crate::launch::limits::Unfit;
use crate::launch::orphans::OrphanError;
use crate::launch::readiness::BootFailure;
use crate::launch::recipe::RecipeError;
use crate::launch::start::StartError;
use crate::launch::stop_and_prove::RetireError;
use crate::policy::decide::Refusal;
use crate::store::gate::GateError;
use crate::store::lease::LeaseError;
use crate::store::paths::{self, PathsError};
use crate::store::records::RecordError;

mod kind;

pub use kind::{Blame, ErrorKind};

/// "Too many open files" of asm-generic/errno-base.h, the same on every architecture of Linux.
const EMFILE: i32 = 24;

/// A story did not end well. `Display` reads after "failed to …"; the causes are in [`StdError::source`].
///
/// ```
/// use tenure::{Error, ErrorKind};
///
/// fn told(error: &Error) -> String {
///     match error.kind() {
///         ErrorKind::GateHeld => "somebody else is at it, try again".to_owned(),
///         _ if error.is_retryable() => format!("failed to {error}; another try may help"),
///         _ => format!("failed to {error}"),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Error(Box<ErrorInner>);

#[derive(Debug, Clone)]
struct ErrorInner {
    kind: ErrorKind,
    stage: Option<String>,
    message: String,
    last_words: Vec<String>,
    retry_after: Option<Duration>,
    os_error: Option<i32>,
    newer: Option<PathBuf>,
    untrusted: Option<PathBuf>,
    known: Vec<Version>,
    in_the_way: Option<PathBuf>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The named stage in which it happened, where there is one.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// The last lines that a failed worker wrote, oldest first.
    #[must_use]
    pub fn last_words(&self) -> &[String] {
        &self.0.last_words
    }

    /// How long to wait before the next try has a chance, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The number of the system's error at the bottom of the causes, where there is one: it often tells the remedy.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        self.0.os_error
    }

    /// The newer `tenure` that wrote the record, where it is [`ErrorKind::RecordTooNew`] and that one is still there: the
    /// same call of it would have an answer.
    #[must_use]
    pub fn newer_tenure(&self) -> Option<&Path> {
        self.0.newer.as_deref()
    }

    /// The project's file that nobody trusts any more, where it is [`ErrorKind::Untrusted`].
    #[must_use]
    pub fn untrusted_file(&self) -> Option<&Path> {
        self.0.untrusted.as_deref()
    }

    /// What stands below the state directory where a file, socket or directory of ours should be: whoever knows what it is
    /// moves it away.
    #[must_use]
    pub fn in_the_way(&self) -> Option<&Path> {
        self.0.in_the_way.as_deref()
    }

    /// The versions that are on record, where it is [`ErrorKind::UnknownVersion`].
    #[must_use]
    pub fn known_versions(&self) -> &[Version] {
        &self.0.known
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::SpawnSuppressed | ErrorKind::GateHeld | ErrorKind::TimedOut)
    }

    /// Whose move it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self.0.kind {
            ErrorKind::ClientTooOld
            | ErrorKind::RecordTooNew
            | ErrorKind::SpecConflict
            | ErrorKind::UnknownVersion
            | ErrorKind::VersionPinned
            | ErrorKind::Untrusted
            | ErrorKind::HeldDown
            | ErrorKind::Recursion => Blame::Caller,
            ErrorKind::VersionDisagrees
            | ErrorKind::SpawnFailed
            | ErrorKind::SpawnSuppressed
            | ErrorKind::Wedged
            | ErrorKind::Survivor
            | ErrorKind::StillUnusable
            | ErrorKind::RestartUnproved => Blame::Worker,
            ErrorKind::Denied
            | ErrorKind::StateUnusable
            | ErrorKind::RecordUnusable
            | ErrorKind::NotOurs
            | ErrorKind::LimitTooLow
            | ErrorKind::GateHeld
            | ErrorKind::TimedOut => Blame::Environment,
            ErrorKind::Bug => Blame::Bug,
        }
    }

    pub(crate) fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorInner {
            kind,
            stage: None,
            message: message.into(),
            last_words: Vec::new(),
            retry_after: None,
            os_error: None,
            newer: None,
            untrusted: None,
            known: Vec::new(),
            in_the_way: None,
            source: None,
        }))
    }

    pub(crate) fn at(mut self, stage: impl Into<String>) -> Self {
        self.0.stage = Some(stage.into());
        self
    }

    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    pub(crate) fn untrusted(message: impl Into<String>, file: &Path) -> Self {
        let mut error = Self::of(ErrorKind::Untrusted, message);
        error.0.untrusted = Some(file.to_owned());
        error
    }

    /// What was to be done with a version that is not among those that are known.
    pub(crate) fn unknown_version(doing: &'static str, message: String, known: Vec<Version>) -> Self {
        let mut error = Self::of(ErrorKind::UnknownVersion, message).at(doing);
        error.0.known = known;
        error
    }

    fn because(kind: ErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        let mut error = Self::of(kind, source.to_string());
        // The message is the room's own fragment, so the chain goes on below it: nothing is said twice.
        error.0.source = source.source().map(|cause| Arc::new(CauseText::of(cause)) as _);
        error.0.os_error = os_error(&source);
        error.blocked_by(&source)
    }

    /// The same, where something stands in the way: that is the state directory's matter, whoever has run into it.
    fn blocked_by(mut self, source: &(dyn StdError + 'static)) -> Self {
        let found = in_the_way(source).filter(|path| {
            // Nobody is told to move the root itself, or what it lies in.
            paths::state_root().is_ok_and(|root| *path != root && path.starts_with(root))
        });
        self.0.in_the_way = found.map(Path::to_owned);
        if found.is_some() && matches!(self.0.kind, ErrorKind::SpawnFailed | ErrorKind::Survivor) {
            self.0.kind = ErrorKind::StateUnusable;
        }
        self
    }

    pub(crate) fn boot_failed(failure: &BootFailure) -> Self {
        let mut error = Self::of(ErrorKind::SpawnFailed, format!("start the worker: {}", failure.message));
        error.0.last_words.clone_from(&failure.last_words);
        error.at(failure.stage.clone())
    }

    /// The message of a failed start without what every such message begins with: it is told after other words.
    pub(crate) fn cause_of_start(&self) -> &str {
        self.0.message.strip_prefix("start the worker: ").unwrap_or(&self.0.message)
    }

    /// The same, saying what stands now.
    pub(crate) fn adding(mut self, what: &str) -> Self {
        self.0.message = format!("{}; {what}", self.0.message);
        self
    }

    pub(crate) fn restart_unproved(message: impl Into<String>, cause: Option<Error>) -> Self {
        let mut error = Self::of(ErrorKind::RestartUnproved, message);
        if let Some(cause) = cause {
            error.0.last_words.clone_from(&cause.0.last_words);
            error.0.stage.clone_from(&cause.0.stage);
            error.0.source = Some(Arc::new(cause));
        }
        error
    }
}

/// The number of the system's error that lies deepest below `error`.
fn os_error(error: &(dyn StdError + 'static)) -> Option<i32> {
    let own = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    error.source().and_then(os_error).or(own)
}

/// The text of a cause and of what lies below it, kept past the borrow of the original.
#[derive(Debug)]
struct CauseText {
    text: String,
    below: Option<Box<CauseText>>,
}

impl CauseText {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        Self { text: error.to_string(), below: error.source().map(|below| Box::new(Self::of(below))) }
    }
}

impl fmt::Display for CauseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for CauseText {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.below.as_deref().map(|below| below as _)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

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
        Self::because(kind, error)
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
        Self::because(kind, error).at(if is_upgrade { "upgrade" } else { "gate" })
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
            OrphanError::Foreign { .. } => "pid namespace",
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
            StartError::Leftover(source) => source.into(),
            StartError::Record(source) => source.into(),
            StartError::TimedOut(source) => source.into(),
            StartError::Listen(source) => Self::spawn_failed(&source, "listen"),
            StartError::Recipe(source) => source.into(),
        }
    }
}

impl From<RecipeError> for Error {
    fn from(error: RecipeError) -> Self {
        match &error {
            RecipeError::Program(source) => Self::spawn_failed(source, "program"),
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
    /// The inner room's error as that of a start, with its own causes.
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
                    "get version {target}: the worker that was started as {target} says that it is {says}, and said so again when it was started once more; it is left in peace"
                ),
            ),
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
    fn all_kinds_are_listed_in_their_order() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{kind:?}");
        }
        assert_eq!(ErrorKind::ALL.last(), Some(&ErrorKind::Bug), "the last one closes the list");
    }

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

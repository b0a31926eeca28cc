//! The one public error: opaque, with a kind, a blame, a stage, and its causes.
//!
//! Rooms raise small enums of their own; `from` gives each a kind, and `kind` says what holds for all failures of a
//! kind. Nothing is printed here.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::spec::version::Version;
use tenure_sys::dir::in_the_way;

use crate::launch::start::readiness::BootFailure;
use crate::protocol::not_ready::NotReady;
use crate::spec::scope::Scope;
use crate::store::paths;

mod from;
mod kind;
pub mod stage;

pub use kind::{Blame, ErrorKind, ErrorRow};

/// Why a call failed. `Display` reads after "failed to …"; the causes are in [`StdError::source`].
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
    not_ready: Option<Box<NotReady>>,
    retry_after: Option<Duration>,
    os_error: Option<i32>,
    newer: Option<PathBuf>,
    untrusted: Option<PathBuf>,
    known: Vec<Version>,
    in_the_way: Option<PathBuf>,
    dependency: Option<Scope>,
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

    /// Why the program of a worker that failed to start was not ready, where the worker told that. Its remedy is the one
    /// thing to change.
    #[must_use]
    pub fn not_ready(&self) -> Option<&NotReady> {
        self.0.not_ready.as_deref()
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

    /// The executable of the newer `tenure` that wrote the record, where the kind is [`ErrorKind::RecordTooNew`] and
    /// the file is still there: the same call of that executable would have an answer.
    #[must_use]
    pub fn newer_tenure(&self) -> Option<&Path> {
        self.0.newer.as_deref()
    }

    /// The project's file that is no longer trusted, where the kind is [`ErrorKind::Untrusted`].
    #[must_use]
    pub fn untrusted_file(&self) -> Option<&Path> {
        self.0.untrusted.as_deref()
    }

    /// The path below the state directory where something else stands in the place of a file, socket or directory of
    /// `tenure`. A person who knows what stands there can move it away.
    #[must_use]
    pub fn in_the_way(&self) -> Option<&Path> {
        self.0.in_the_way.as_deref()
    }

    /// The versions that are on record, where the kind is [`ErrorKind::UnknownVersion`].
    #[must_use]
    pub fn known_versions(&self) -> &[Version] {
        &self.0.known
    }

    /// The worker that failed, where another one that depends on it was asked for. Its own error is the innermost
    /// [`Error`] among the [sources](StdError::source).
    #[must_use]
    pub fn dependency(&self) -> Option<&Scope> {
        self.0.dependency.as_ref()
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let cause = self.0.source.as_deref().and_then(|source| source.downcast_ref::<Self>());
        match cause {
            Some(cause) if self.0.kind == ErrorKind::DependencyFailed => cause.is_retryable(),
            Some(_) | None => ErrorRow::of(self.0.kind).retryable,
        }
    }

    /// Whose move it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        ErrorRow::of(self.0.kind).blame
    }

    pub(crate) fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorInner {
            kind,
            stage: None,
            message: message.into(),
            last_words: Vec::new(),
            not_ready: None,
            retry_after: None,
            os_error: None,
            newer: None,
            untrusted: None,
            known: Vec::new(),
            in_the_way: None,
            dependency: None,
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

    /// The error for a version that is not on record; `doing` is the stage.
    pub(crate) fn unknown_version(doing: &'static str, message: String, known: Vec<Version>) -> Self {
        let mut error = Self::of(ErrorKind::UnknownVersion, message).at(doing);
        error.0.known = known;
        error
    }

    fn because(kind: ErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        let mut error = Self::of(kind, source.to_string());
        // The message is the room's own text, so the sources begin below it, and nothing is said twice.
        error.0.source = source.source().map(|cause| Arc::new(CauseText::of(cause)) as _);
        error.0.os_error = os_error(&source);
        error.blocked_by(&source)
    }

    /// The same error, with the path that is in the way, if one is. A failed start or a survivor is then a matter of
    /// the state directory, whatever call has met it.
    fn blocked_by(mut self, source: &(dyn StdError + 'static)) -> Self {
        let found = in_the_way(source).filter(|path| {
            // Nobody should move the root itself, or a directory above it.
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
        error.0.not_ready.clone_from(&failure.not_ready);
        error.at(failure.stage.as_str())
    }

    /// The same error, with the last lines of an earlier start that failed, and why its program was not ready.
    pub(crate) fn repeating(mut self, last_words: &[String], not_ready: Option<&NotReady>) -> Self {
        self.0.last_words = last_words.to_vec();
        self.0.not_ready = not_ready.cloned().map(Box::new);
        self
    }

    /// The message of a failed start without the beginning that every such message has, to be put after other words.
    pub(crate) fn cause_of_start(&self) -> &str {
        self.0.message.strip_prefix("start the worker: ").unwrap_or(&self.0.message)
    }

    /// The same error, with `what` added to its message.
    pub(crate) fn adding(mut self, what: &str) -> Self {
        self.0.message = format!("{}; {what}", self.0.message);
        self
    }

    /// The error of a worker whose dependency `scope` failed with `cause`. A dependency that needs more time makes the
    /// whole call need more time.
    pub(crate) fn dependency_failed(message: String, scope: &Scope, cause: Self) -> Self {
        let is_late = cause.0.kind == ErrorKind::TimedOut;
        let kind = if is_late { ErrorKind::TimedOut } else { ErrorKind::DependencyFailed };
        let mut error = Self::of(kind, message);
        error.0.last_words.clone_from(&cause.0.last_words);
        error.0.not_ready.clone_from(&cause.0.not_ready);
        error.0.stage.clone_from(&cause.0.stage);
        error.0.retry_after = cause.0.retry_after;
        error.0.dependency = Some(cause.0.dependency.clone().unwrap_or_else(|| scope.clone()));
        error.0.source = Some(Arc::new(cause));
        error
    }

    /// The error of a worker one of whose dependencies cannot be found.
    pub(crate) fn dependency_unfound(
        message: String,
        cause: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let mut error = Self::of(ErrorKind::DependencyFailed, message).at(stage::FIND_DEPENDENCY);
        error.0.source = cause.map(Arc::from);
        error
    }

    pub(crate) fn restart_unproved(message: impl Into<String>, cause: Option<Error>) -> Self {
        let mut error = Self::of(ErrorKind::RestartUnproved, message);
        if let Some(cause) = cause {
            error.0.last_words.clone_from(&cause.0.last_words);
            error.0.not_ready.clone_from(&cause.0.not_ready);
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

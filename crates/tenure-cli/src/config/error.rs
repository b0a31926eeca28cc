//! Why a worker's description cannot be used or found, and the remedy.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::Serialize;
use tenure_core::deadline::TimedOut;
use tenure_core::launch::version::VersionError;
use tenure_core::os_text::shell::word;
use tenure_core::spec::scope::BadName;
use tenure_core::store::paths::PathsError;
use tenure_sys::dir::DirError;

use crate::answer::AnswerState;

/// Variable that names another directory for the user's files.
pub(crate) const USER_VARIABLE: &str = "TENURE_CONFIG_DIR";

/// Where such a description stands.
pub(crate) const STDIN_PLACE: &str = "the description on stdin";

/// What to do about a description on stdin.
const STDIN: &str = "correct the JSON on stdin: its keys are those of a worker's table, which `tenure config schema` describes";

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct SourcePlace {
    /// The file, or words for what is none.
    #[serde(serialize_with = "tenure_core::os_text::path::serialize")]
    pub(crate) path: PathBuf,
    /// The line in it, from 1, where it is known.
    pub(crate) line: Option<usize>,
}

impl SourcePlace {
    /// A whole file, or what has no lines.
    pub(crate) fn whole(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), line: None }
    }
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// What is wanted cannot be told. `Display` reads after "failed to …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file or directory is there and cannot be read, or was named and is not there.
    #[error("read the configuration {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The working directory was removed under the caller.
    #[error("start from the current directory, which was removed")]
    DirectoryGone,
    /// The working directory cannot be found.
    #[error("find the directory to start from")]
    Directory(#[source] io::Error),
    /// The description on stdin cannot be read.
    #[error("read the description from stdin")]
    Stdin(#[source] io::Error),
    /// A value cannot be understood.
    #[error("understand {place}: {message}")]
    Text { place: SourcePlace, message: String },
    /// A key is not known.
    #[error("understand {place}: there is no key `{key}`{}", meant(suggestion.as_deref()))]
    UnknownKey { place: SourcePlace, key: String, suggestion: Option<Cow<'static, str>> },
    /// A variable has a value that cannot be understood.
    #[error("understand the variable {name}: {message}")]
    Variable { name: &'static str, message: String },
    /// A name is defined twice.
    #[error("choose between two workers {name:?}: {one} and {other} both define it")]
    Redefined {
        name: String,
        /// The definition that counts.
        one: SourcePlace,
        /// The definition that is not allowed.
        other: SourcePlace,
    },
    /// No file defines the name.
    #[error("find the worker {name:?}{}{}", among(known), meant(suggestion.as_deref()))]
    NotConfigured { name: String, known: Vec<String>, suggestion: Option<String>, looked: Vec<String> },
    /// A name in `depends` leads to no worker.
    #[error(
        "understand {place}: worker {dependent:?} depends on {name:?}, and no worker of that name is described{}",
        meant(suggestion.as_deref())
    )]
    NoDependency {
        place: Box<SourcePlace>,
        dependent: String,
        name: String,
        suggestion: Option<String>,
        looked: Vec<String>,
    },
    /// Workers wait for each other.
    #[error("order the workers that depend on each other: {cycle} ({})", listed(places))]
    DependencyCycle {
        /// Where each of them says so.
        places: Vec<SourcePlace>,
        cycle: String,
    },
    /// No file defines the name, and the record of its scope cannot be read.
    #[error("{source}")]
    Record {
        name: String,
        #[source]
        source: tenure_core::Error,
    },
    /// A project's file may not start anything yet.
    #[error(
        "use the worker {name:?} of {}: {}", path.display(),
        if *changed { "the file has changed since it was trusted" } else { "the file is not trusted" }
    )]
    Untrusted {
        name: String,
        path: PathBuf,
        /// Whether other content of the file was trusted before.
        changed: bool,
    },
    /// The record of trusted projects cannot be read.
    #[error("read which projects are trusted")]
    Trust(#[source] DirError),
    /// The state root cannot be found.
    #[error("read which projects are trusted")]
    Root(#[source] PathsError),
    /// The command that prints the version failed.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// No time is left to run the command that prints the version.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The name is not valid.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The name and --key give two different keys.
    #[error("choose the worker: {name:?} names a key already, and --key {key:?} is a different one")]
    TwoKeys { name: String, key: String },
}

fn meant(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn listed(places: &[SourcePlace]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn among(known: &[String]) -> String {
    if known.is_empty() {
        ": no worker is configured here".to_owned()
    } else {
        format!(" among those that are configured: {}", known.join(", "))
    }
}

impl ConfigError {
    pub(crate) fn state(&self) -> AnswerState {
        match self {
            Self::Name(_) | Self::TwoKeys { .. } | Self::Directory(_) | Self::DirectoryGone => {
                AnswerState::WrongUse
            }
            Self::NotConfigured { .. } => AnswerState::NotConfigured,
            Self::Untrusted { .. } => AnswerState::Untrusted,
            Self::Record { source, .. } => AnswerState::of_kind(source.kind()),
            Self::Trust(_) | Self::Root(_) => AnswerState::StateUnusable,
            Self::Version(_) => AnswerState::SpawnFailed,
            Self::TimedOut(_) => AnswerState::TimedOut,
            Self::Read { .. }
            | Self::Stdin(_)
            | Self::Text { .. }
            | Self::UnknownKey { .. }
            | Self::Variable { .. }
            | Self::NoDependency { .. }
            | Self::DependencyCycle { .. }
            | Self::Redefined { .. } => AnswerState::BadConfig,
        }
    }

    /// What to type or to change.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::NotConfigured { name, looked, .. } => {
                let start = format!("`tenure ensure {name} -- CMD…` starts a program under that name");
                format!("{start}, without a configuration; looked at {}", looked.join(", "))
            }
            Self::Record { name, source } => {
                tenure_core::ErrorRow::of(source.kind()).hint.replace("NAME", name)
            }
            Self::NoDependency { name, looked, .. } => {
                format!("correct `depends`, or describe `[worker.{name}]` as well; looked at {}", looked.join(", "))
            }
            Self::DependencyCycle { .. } => {
                "remove a name from one of these `depends`: which of them runs without the other?".to_owned()
            }
            Self::Redefined { .. } => "rename one of them, or give the file with --config".to_owned(),
            Self::Untrusted { path, .. } => trust_remedy(path),
            Self::Root(PathsError::Relative { .. } | PathsError::Home(_)) => {
                "name a directory of your own by its whole path in TENURE_STATE_DIR".to_owned()
            }
            Self::Trust(_) | Self::Root(_) => {
                "make the directory yours and private (`tenure doctor --fix`), or name another one in TENURE_STATE_DIR"
                    .to_owned()
            }
            Self::Name(_) | Self::TwoKeys { .. } => {
                "`tenure list` shows the workers that ran here, as NAME or NAME@KEY".to_owned()
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
                "name a regular file; a description from a pipe or another program is given as JSON with --spec -".to_owned()
            }
            Self::Read { .. } | Self::Directory(_) => {
                "check that it exists and that you may read it".to_owned()
            }
            Self::DirectoryGone => {
                "`cd` to a directory that exists, or name one by its whole path with -C DIR".to_owned()
            }
            Self::Variable { name: USER_VARIABLE, .. } => {
                format!("name an absolute path in {USER_VARIABLE}, or unset it")
            }
            Self::Variable { name, .. } => format!("correct {name}, or unset it"),
            Self::Version(error) if let Some(key) = error.write() => {
                format!("write `{key}`; or name the version with --version V")
            }
            Self::Version(_) => {
                "run the command of `version` in the worker's `cwd` to see why it fails; --version V does without it".to_owned()
            }
            Self::TimedOut(_) => {
                "give it more time with --timeout, or name the version with --version V".to_owned()
            }
            Self::Stdin(_) => STDIN.to_owned(),
            Self::Text { place, .. } | Self::UnknownKey { place, .. }
                if place.path == Path::new(STDIN_PLACE) =>
            {
                STDIN.to_owned()
            }
            Self::Text { .. } | Self::UnknownKey { .. } => {
                "correct the file; a running worker can be reached without it as NAME@KEY, which `tenure list` shows"
                    .to_owned()
            }
        }
    }
}

/// What lets a project's file start something. It works from any directory.
pub(crate) fn trust_remedy(file: &Path) -> String {
    let directory = word(file.parent().unwrap_or(Path::new("/")));
    format!("`tenure trust {directory}` shows what the file would start, and allows it")
}

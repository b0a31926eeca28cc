//! What is wrong with a description, or with the way to it, and the remedy.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use tenure::scope::BadName;
use tenure::spec::BadSpec;

use crate::answer::State;
use crate::failure::Failure;

/// What is wanted cannot be told. `Display` reads after "failed to …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file or directory is there and cannot be read, or was named and is not there.
    #[error("read the configuration {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The working directory cannot be found.
    #[error("find the directory to start from")]
    Directory(#[source] io::Error),
    /// The description on stdin cannot be read.
    #[error("read the description from stdin")]
    Stdin(#[source] io::Error),
    /// Something is not understood.
    #[error("understand {place}: {message}")]
    Text {
        /// File and line.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A key is not known.
    #[error("understand {place}: there is no key `{key}`{}", meant(suggestion.as_deref()))]
    UnknownKey {
        /// File and line.
        place: String,
        /// The whole key.
        key: String,
        /// What was probably meant.
        suggestion: Option<Cow<'static, str>>,
    },
    /// A name is defined twice.
    #[error("choose between two workers {name:?}: {} and {} both define it", one.display(), other.display())]
    Redefined {
        /// The name.
        name: String,
        /// The file that has the say.
        one: PathBuf,
        /// The file that may not redefine it.
        other: PathBuf,
    },
    /// No file defines the name.
    #[error("find the worker {name:?}{}{}", among(known), meant(suggestion.as_deref()))]
    NotConfigured {
        /// The name.
        name: String,
        /// The names that are defined.
        known: Vec<String>,
        /// What was probably meant.
        suggestion: Option<String>,
        /// Where was looked.
        looked: Vec<String>,
    },
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Two keys.
    #[error("tell the worker apart: {name:?} has a key, and --key {key:?} is another one")]
    TwoKeys {
        /// Name and key.
        name: String,
        /// The other key.
        key: String,
    },
}

fn meant(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn among(known: &[String]) -> String {
    if known.is_empty() {
        ": no worker is configured here".to_owned()
    } else {
        format!(" among those that are configured: {}", known.join(", "))
    }
}

/// A description that contradicts itself.
pub(crate) fn contradiction(place: &str, name: &str, BadSpec { key, why }: &BadSpec) -> ConfigError {
    ConfigError::Text { place: place.to_owned(), message: format!("worker {name:?}: `{key}` {why}") }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let state = match &error {
            ConfigError::Name(_) | ConfigError::TwoKeys { .. } | ConfigError::Directory(_) => State::WrongUse,
            ConfigError::NotConfigured { .. } => State::NotConfigured,
            ConfigError::Read { .. }
            | ConfigError::Stdin(_)
            | ConfigError::Text { .. }
            | ConfigError::UnknownKey { .. }
            | ConfigError::Redefined { .. } => State::BadConfig,
        };
        let hint = match &error {
            ConfigError::NotConfigured { name, looked, .. } => {
                let start = format!("`tenure ensure {name} -- CMD…` starts a program under that name");
                format!("{start}, without a configuration; looked at {}", looked.join(", "))
            }
            ConfigError::Redefined { .. } => "rename one of them, or give the file with --config".to_owned(),
            ConfigError::Name(_) | ConfigError::TwoKeys { .. } => {
                "`tenure list` shows the workers that ran here, as NAME or NAME@KEY".to_owned()
            }
            ConfigError::Read { .. } | ConfigError::Directory(_) => {
                "check that it exists and that you may read it".to_owned()
            }
            ConfigError::Stdin(_) | ConfigError::Text { .. } | ConfigError::UnknownKey { .. } => {
                "correct it; a worker that runs is reached without it as NAME@KEY, which `tenure list` shows"
                    .to_owned()
            }
        };
        Self::because(state, &error).hint(hint)
    }
}

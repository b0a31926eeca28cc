//! Why a command did not tell a version.

use std::time::Duration;

use tenure_sys::process::ExitStatus;
use tenure_sys::spawn::SpawnError;

use crate::spec::program::NoProgram;
use crate::store::paths::PathsError;

use super::answer::Unclear;

/// A command that was to tell the version did not. Never remembered: the next call asks again.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The list of words is empty.
    #[error("ask a command for the version: it names no program")]
    NoCommand,
    /// Its program is not there.
    #[error("ask {command:?} for the version")]
    NotFound {
        /// The command.
        command: String,
        /// What is missing.
        #[source]
        source: NoProgram,
    },
    /// It could not be started.
    #[error("ask {command:?} for the version")]
    Start {
        /// The command.
        command: String,
        /// Why not.
        #[source]
        source: SpawnError,
    },
    /// It ended with something else than 0.
    #[error("ask {command:?} for the version: it ended with {status}{}", shown(.last_words))]
    Exit {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        last_words: Vec<String>,
    },
    /// It did not end in time, and was ended.
    #[error("ask {command:?} for the version: it did not end within {within:.1?}{}", shown(.last_words))]
    TimedOut {
        /// The command.
        command: String,
        /// The time that it had.
        within: Duration,
        /// The last lines of its standard error.
        last_words: Vec<String>,
    },
    /// It wrote more than an answer can be; where it had not ended yet, it was ended.
    #[error("ask {command:?} for the version: it wrote more than {most} bytes to its standard output")]
    TooMuch {
        /// The command.
        command: String,
        /// How much it may write there.
        most: usize,
    },
    /// No version can be taken from its answer.
    #[error("ask {command:?} for the version")]
    Unclear {
        /// The command.
        command: String,
        /// Its answer, and what to write.
        #[source]
        source: Unclear,
    },
    /// Another process was asking the same, for longer than this call may take.
    #[error("ask {command:?} for the version: another process{} was asking before, and still is", named(.holders))]
    Busy {
        /// The command.
        command: String,
        /// Who asks, where that is visible.
        holders: Vec<u32>,
    },
    /// Its output cannot be read, or its end cannot be waited for.
    #[error("read what {command:?} says about the version")]
    Io {
        /// The command.
        command: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The directory in which answers are kept is not to be trusted.
    #[error("look for a version that is known already")]
    Cache(#[source] PathsError),
}

impl VersionError {
    /// The key of the configuration that would make the answer clear, where that can be told.
    #[must_use]
    pub fn write(&self) -> Option<&str> {
        match self {
            Self::Unclear { source, .. } => source.write.as_deref(),
            Self::NoCommand
            | Self::NotFound { .. }
            | Self::Start { .. }
            | Self::Exit { .. }
            | Self::TimedOut { .. }
            | Self::TooMuch { .. }
            | Self::Busy { .. }
            | Self::Io { .. }
            | Self::Cache(_) => None,
        }
    }
}

fn shown(words: &[String]) -> String {
    if words.is_empty() { String::new() } else { format!(", after it had said {:?}", words.join("\n")) }
}

fn named(pids: &[u32]) -> String {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    if pids.is_empty() { String::new() } else { format!(" (pid {})", pids.join(", ")) }
}

//! Where an offer comes from: the call itself, or a file.
//!
//! The origin is kept with the offer. Whether the offer may be started, and whether a file still describes it, is asked
//! when it is to be started: perhaps much later, and by another launcher.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::spec::version::Version;

/// What an offer was read from.
///
/// ```
/// use tenure::Origin;
///
/// let origin = Origin::File { path: "/etc/tenure/web.toml".into() };
/// assert!(origin.path().is_some() && Origin::Call.path().is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// The call itself named what to start.
    #[default]
    Call,
    /// A file of the user or of the system, or one that the call named: it needs no trust.
    File {
        /// The file.
        #[serde(with = "crate::os_text::path")]
        path: PathBuf,
    },
    /// A project's file, which starts nothing that a person has not trusted.
    Project {
        /// The file.
        #[serde(with = "crate::os_text::path")]
        path: PathBuf,
        /// [`scope::fingerprint`](crate::spec::scope::fingerprint) of the content that was trusted when this was
        /// offered.
        sha256: String,
    },
}

impl Origin {
    /// The file, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Call => None,
            Self::File { path } | Self::Project { path, .. } => Some(path),
        }
    }

    /// Whether records leave it out.
    pub(crate) fn is_call(&self) -> bool {
        *self == Self::Call
    }
}

/// What a file now says about the version of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatedNow {
    /// This version.
    Version(Version),
    /// The file describes the worker, and the version comes from a command or another file.
    Elsewhere,
    /// The file does not describe the worker, or is gone.
    Nothing,
}

/// Reads what a file says about the worker of this name. The caller knows the format of its files.
pub type ReadStated = fn(&Path, &str) -> StatedNow;

impl StatedNow {
    /// Whether the file still describes an offer of `version`.
    #[must_use]
    pub fn describes(&self, version: &Version) -> bool {
        match self {
            Self::Version(stated) => stated == version && !stated.is_other_build(version),
            // A command run again here could be one that nobody has looked at, and would take time under the gate.
            Self::Elsewhere => true,
            Self::Nothing => false,
        }
    }
}

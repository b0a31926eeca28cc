//! Where an offer comes from: the words of a call, or a file.
//!
//! Kept with the offer, because whether it may be started, and whether somebody still means it, is asked when it is to
//! be started, which may be long after and by somebody else.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
        path: PathBuf,
    },
    /// A project's file, which starts nothing that a person has not trusted.
    Project {
        /// The file.
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

    /// For records: the origin that is left out.
    pub(crate) fn is_call(&self) -> bool {
        *self == Self::Call
    }
}

/// What a file says now of the version of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatedNow {
    /// This version.
    Version(semver::Version),
    /// It describes the worker, and a command or another file tells the version.
    Elsewhere,
    /// It does not describe the worker, or it is gone.
    Nothing,
}

/// Reads what a file says of the worker of a name. How files are written is the caller's to know.
pub type ReadStated = fn(&Path, &str) -> StatedNow;

impl StatedNow {
    /// Whether an offer of `version` is still described by the file that says this.
    #[must_use]
    pub fn describes(&self, version: &semver::Version) -> bool {
        match self {
            Self::Version(stated) => stated == version,
            // Asking a command again here could run what nobody looked at, and would take its time under the gate.
            Self::Elsewhere => true,
            Self::Nothing => false,
        }
    }
}

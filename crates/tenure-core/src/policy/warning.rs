//! Warnings about a worker that is used all the same, and what they say in words.

use std::fmt;
use std::path::PathBuf;

use crate::spec::version::Version;

/// A warning about a worker that is used all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// It serves, but a check fails.
    Degraded {
        /// What it says about it.
        reason: String,
    },
    /// Its settings (not its command) differ from the spec of this call.
    Drift,
    /// It runs from another installation of the app, which differs in its paths alone. No reason to refuse it.
    OtherPlace {
        /// The directory that it runs in.
        cwd: PathBuf,
    },
    /// It runs from another installation of the app, which describes it in another way.
    OtherDescription {
        /// What differs, in words.
        part: &'static str,
        /// The directory that it runs in.
        cwd: PathBuf,
    },
    /// It is older than the offered version, which does not run.
    OfferNotRunning {
        /// The version offered.
        offered: Version,
        /// Why the offered version does not run.
        why: String,
    },
    /// It is older than the offered version, because a person pinned its version.
    Pinned {
        /// The version offered.
        offered: Version,
        /// The version that is pinned.
        pinned: Version,
    },
    /// It says that it is another version than the one that it was started as.
    SaysOther {
        /// The version that it was started as.
        started_as: Version,
        /// The version that it says it is.
        says: Version,
    },
    /// The call offers a build, and the worker runs something else. A build has no order, so nothing is replaced by it.
    BuildOffered {
        /// The build offered.
        offered: Version,
        /// What the worker was started as.
        running: Version,
    },
    /// Its program has ended and was started again since it was ready.
    EndedBefore {
        /// How often it was started again.
        restarts: u32,
        /// How it ended the last time.
        last: String,
    },
    /// The files of its build have changed again since this very call started it.
    SourceChangedAgain,
    /// The files of its build may have changed, but they cannot be read.
    SourceUnread {
        /// Why.
        why: String,
    },
}

impl Warning {
    /// One word for programs, which never changes.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Degraded { .. } => "degraded",
            Self::Drift => "drift",
            Self::OtherPlace { .. } => "other-place",
            Self::OtherDescription { .. } => "other-description",
            Self::OfferNotRunning { .. } => "offer-not-running",
            Self::Pinned { .. } => "held",
            Self::SaysOther { .. } => "says-other",
            Self::BuildOffered { .. } => "build-offered",
            Self::EndedBefore { .. } => "ended-before",
            Self::SourceChangedAgain => "source-changed-again",
            Self::SourceUnread { .. } => "source-unread",
        }
    }
}

impl Warning {
    /// Whether it only informs: nothing is wrong, and nothing has to be done.
    #[must_use]
    pub fn is_information(&self) -> bool {
        matches!(self, Self::OtherPlace { .. })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Degraded { reason } => write!(f, "it serves, degraded: {reason}"),
            Self::Drift => f.write_str("it runs with other settings than are described now"),
            Self::OtherPlace { cwd } => {
                write!(f, "it runs from another installation of the app, in {}", cwd.display())
            }
            Self::OtherDescription { part, cwd } => {
                let cwd = cwd.display();
                write!(
                    f,
                    "it runs from another installation of the app, in {cwd}, with other {part} than are wanted here"
                )
            }
            Self::OfferNotRunning { offered, why } => {
                write!(f, "an older version serves, because {offered} does not run: {why}")
            }
            Self::Pinned { offered, pinned } => {
                write!(f, "an older version serves than {offered}, because {pinned} is pinned")
            }
            Self::SaysOther { started_as, says } => {
                write!(f, "it was started as {started_as} and says that it is {says}")
            }
            Self::BuildOffered { offered, running } if running.is_build() => {
                write!(
                    f,
                    "it runs build {running}, and build {offered} is offered; builds have no order, so it stays"
                )
            }
            Self::BuildOffered { offered, running } => {
                write!(
                    f,
                    "it runs version {running}, and build {offered} is offered; a build has no order, and is below \
                     every version, so it stays"
                )
            }
            Self::EndedBefore { restarts: 1, last } => {
                write!(f, "its program was started again once; the last time it {last}")
            }
            Self::EndedBefore { restarts, last } => {
                write!(f, "its program was started again {restarts} times; the last time it {last}")
            }
            Self::SourceChangedAgain => {
                f.write_str("the files of its build have changed again since it was started")
            }
            Self::SourceUnread { why } => {
                write!(f, "the files of its build may have changed, and cannot be read: failed to {why}")
            }
        }
    }
}

//! What a warning about a worker says, in words.

use std::fmt;

use crate::policy::decide::Warning;

impl Warning {
    /// One word for programs, which never changes.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Degraded { .. } => "degraded",
            Self::Drift => "drift",
            Self::OfferNotRunning { .. } => "offer-not-running",
            Self::Pinned { .. } => "held",
            Self::SaysOther { .. } => "says-other",
            Self::EndedBefore { .. } => "ended-before",
            Self::SourceChangedAgain => "source-changed-again",
            Self::SourceUnread { .. } => "source-unread",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Degraded { reason } => write!(f, "it serves, degraded: {reason}"),
            Self::Drift => f.write_str("it runs with other settings than are described now"),
            Self::OfferNotRunning { offered, why } => {
                write!(f, "an older version serves, because {offered} does not run: {why}")
            }
            Self::Pinned { offered, pinned } => {
                write!(f, "an older version serves than {offered}, because {pinned} is pinned")
            }
            Self::SaysOther { started_as, says } => {
                write!(f, "it was started as {started_as} and says that it is {says}")
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

//! The two records of a scope as they were read: the value, or why it cannot be used.

use std::path::PathBuf;

use tenure_core::Version;
use tenure_core::deadline::Moment;
use tenure_core::record::desired::{Desired, Target};

/// A record on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFacts<T> {
    /// There is none yet.
    Absent,
    /// It was read.
    Good(T),
    /// It cannot be used.
    Bad(RecordFault),
}

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFault {
    /// It is no record.
    Damaged {
        /// Where it stops making sense.
        why: String,
        /// It still shows that a person pinned or stopped something in it.
        holds: bool,
    },
    /// A newer `tenure` wrote it.
    TooNew {
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// Its generation cannot be followed by another.
    Exhausted,
    /// The file cannot be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

impl<T> RecordFacts<T> {
    /// The record, where it was read.
    #[must_use]
    pub fn good(&self) -> Option<&T> {
        match self {
            Self::Good(record) => Some(record),
            Self::Absent | Self::Bad(_) => None,
        }
    }

    /// Why it cannot be used, where it cannot.
    #[must_use]
    pub fn fault(&self) -> Option<&RecordFault> {
        match self {
            Self::Bad(fault) => Some(fault),
            Self::Absent | Self::Good(_) => None,
        }
    }
}

/// What is wanted, and which of it could be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFacts {
    /// The record.
    pub record: Desired,
    /// Versions whose directory or program is not there, and what is missing.
    pub gone: Vec<(Version, String)>,
    /// Versions that a project's file offered whose content nobody trusts any more, and the file.
    pub untrusted: Vec<(Version, PathBuf)>,
    /// Versions that nobody describes any more though they come before all that somebody does, and the file that
    /// offered them.
    pub undescribed: Vec<(Version, PathBuf)>,
    /// Versions that are not started instead of a higher one that failed, because this file is not what was offered any
    /// more.
    pub overwritten: Vec<(Version, PathBuf)>,
}

impl WantedFacts {
    /// What a launcher would start now.
    #[must_use]
    pub fn target(&self, now: &Moment) -> Target {
        let mut allowed = self.record.clone();
        let left_out: Vec<&Version> =
            self.untrusted.iter().chain(&self.overwritten).map(|(version, _)| version).collect();
        allowed.offers.retain(|offer| !left_out.contains(&&offer.spec.version));
        allowed.target(now, &|spec| !self.gone.iter().any(|(version, _)| *version == spec.version))
    }
}

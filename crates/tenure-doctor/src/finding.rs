//! What a diagnosis says: how bad it is, what was found, on what evidence, and what to do about it.
//!
//! Data only. A finding is told to people and programs alike; nothing in `tenure` decides on one.

use std::fmt;
use std::path::PathBuf;

use tenure_core::spec::scope::Scope;

/// How much a finding matters. The order is that of a list for people: the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A worker cannot be started, reached or ended as it should be: a person has to act.
    Error,
    /// It works, but not as wanted, or it will not work for long.
    Warning,
    /// Good to know: it explains what is seen and asks for nothing.
    Note,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check: a row of the reference of findings.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is the matter, in a line.
    pub what: String,
    /// What was seen that says so, a line each.
    pub evidence: Vec<String>,
    /// What to type or to change.
    pub remedy: String,
    /// What can be done about it without a person, where that is safe.
    pub fix: Option<Fix>,
}

/// What a check says; which check it was is added by the walk over all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symptom {
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) remedy: String,
    pub(crate) fix: Option<Fix>,
}

impl Symptom {
    pub(crate) fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self { severity, what: what.into(), evidence: Vec::new(), remedy: String::new(), fix: None }
    }

    pub(crate) fn error(what: impl Into<String>) -> Self {
        Self::new(Severity::Error, what)
    }

    pub(crate) fn warning(what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what)
    }

    pub(crate) fn note(what: impl Into<String>) -> Self {
        Self::new(Severity::Note, what)
    }

    /// The same, with a line of evidence.
    pub(crate) fn saw(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// The same, with more lines of evidence.
    pub(crate) fn saw_all(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }

    /// The same, with what to do.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// The same, with what can be done about it without a person.
    pub(crate) fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    pub(crate) fn of(self, check: &'static str) -> Finding {
        let Self { severity, what, evidence, remedy, fix } = self;
        Finding { check, severity, what, evidence, remedy, fix }
    }
}

/// A remedy that is safe without a person: it ends no healthy or unknown process, starts nothing, deletes no record and
/// releases nothing that a person holds. Each looks once more, under the locks, before it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Close a directory of the caller to others.
    MakePrivate {
        /// The directory.
        path: PathBuf,
    },
    /// Remove sockets and half-written files that a dead worker or launcher left.
    RemoveStale {
        /// Whose.
        scope: Scope,
    },
    /// Give a damaged record another name, so that a new one can be begun.
    MoveAside {
        /// Whose.
        scope: Scope,
        /// The record's file.
        record: &'static str,
    },
    /// End what is left of a generation whose worker is gone.
    EndLeftovers {
        /// Whose.
        scope: Scope,
    },
}

impl fmt::Display for Fix {
    /// What it does, as a sentence without its subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakePrivate { path } => write!(f, "make {} private (mode 0700)", path.display()),
            Self::RemoveStale { scope } => {
                write!(f, "remove what a dead worker of {scope} left at its sockets")
            }
            Self::MoveAside { scope, record } => write!(f, "move the damaged {record} of {scope} aside"),
            Self::EndLeftovers { scope } => write!(f, "end what a dead worker of {scope} left running"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first() {
        let mut all = [Severity::Note, Severity::Error, Severity::Warning];
        all.sort();
        assert_eq!(all.map(Severity::word), ["error", "warning", "note"]);
    }
}

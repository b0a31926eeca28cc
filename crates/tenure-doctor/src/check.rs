//! What a check is: a name, the part that it looks at, and a pure function from facts to what it found.
//!
//! No check reads a file, asks a process or looks at a clock: whatever it needs is a fact.

use std::time::Duration;

use tenure_core::spec::scope;
use tenure_sys::census::{Census, SeenProcess};

use crate::facts::{Access, DirectoryFacts, Facts, MachineFacts, ScopeFacts, WorkerFacts, line_of};
use crate::finding::{Finding, Symptom};

/// One thing to look for.
#[derive(Debug, Clone, Copy)]
pub struct DoctorCheck {
    /// Its name: a row of the reference of findings.
    pub id: &'static str,
    /// The part that it looks at, in the words of the list "checked".
    pub part: &'static str,
    pub(crate) look: Look,
}

/// What a check looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    /// The machine.
    Machine(fn(&MachineFacts) -> Option<Symptom>),
    /// A directory: that of the host, and that of each worker.
    Directory(fn(&DirectoryFacts, u32) -> Option<Symptom>),
    /// What stands in the scope of a worker.
    Worker(fn(&Case<'_>) -> Option<Symptom>),
    /// The same, for a check that may find several of one kind.
    Each(fn(&Case<'_>) -> Vec<Symptom>),
}

/// The facts for a check of one worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'facts> {
    pub(crate) machine: &'facts MachineFacts,
    pub(crate) census: &'facts Census,
    pub(crate) worker: &'facts WorkerFacts,
    pub(crate) state: &'facts ScopeFacts,
}

impl Case<'_> {
    /// What to type, in backquotes: `tenure WORD NAME`.
    pub(crate) fn type_in(&self, word: &str) -> String {
        self.type_in_with(word, "")
    }

    /// The same with more behind the name.
    pub(crate) fn type_in_with(&self, word: &str, rest: &str) -> String {
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        format!("`tenure {word} {}{rest}`", self.worker.arguments)
    }

    /// All processes that carry a cookie of this scope.
    pub(crate) fn with_cookie(&self) -> impl Iterator<Item = &SeenProcess> {
        let prefixes: Vec<String> =
            self.state.cookie_scopes.iter().map(|scope_id| scope::cookie_prefix(scope_id)).collect();
        self.census
            .cookies
            .iter()
            .filter(move |(cookie, _)| prefixes.iter().any(|prefix| cookie.starts_with(prefix)))
            .map(|(_, seen)| seen)
    }

    /// A line for each process that has this locked file open.
    pub(crate) fn holders(&self, file: (u64, u64)) -> Vec<String> {
        let holders = self.census.locks.iter().filter(|(held, _)| *held == file);
        let mut lines: Vec<String> =
            holders.map(|(_, seen)| format!("{} has it open", line_of(seen))).collect();
        if lines.is_empty() {
            lines.push("no process that can be seen from here has it open".to_owned());
        }
        lines
    }
}

impl DoctorCheck {
    /// What it finds about the machine.
    pub(crate) fn of_machine(&self, facts: &Facts) -> Vec<Finding> {
        let machine = &facts.machine;
        let found: Vec<Symptom> = match self.look {
            Look::Machine(look) => look(machine).into_iter().collect(),
            Look::Directory(look) => {
                let host = machine.host.as_ref().ok().filter(|host| !is_hidden(host, &machine.roots));
                let roots = machine.roots.iter().filter(|root| {
                    !matches!(root.access, Access::Private { .. } | Access::Absent)
                        && !is_hidden(root, &machine.roots)
                });
                roots.chain(host).filter_map(|directory| look(directory, machine.user)).collect()
            }
            Look::Worker(_) | Look::Each(_) => Vec::new(),
        };
        found.into_iter().map(|symptom| symptom.of(self.id)).collect()
    }

    /// What it finds about a worker.
    pub(crate) fn of_worker(&self, facts: &Facts, worker: &WorkerFacts) -> Vec<Finding> {
        let Facts { machine, census, .. } = facts;
        let case = worker.state.as_ref().map(|state| Case { machine, census, worker, state });
        let found: Vec<Symptom> = match (self.look, &case) {
            (Look::Directory(_), _) if worker.is_hidden_by(machine) => Vec::new(),
            (Look::Directory(look), _) => look(&worker.directory, machine.user).into_iter().collect(),
            (Look::Worker(look), Some(case)) => look(case).into_iter().collect(),
            (Look::Each(look), Some(case)) => look(case),
            (Look::Machine(_), _) | (Look::Worker(_) | Look::Each(_), None) => Vec::new(),
        };
        found.into_iter().map(|symptom| symptom.of(self.id)).collect()
    }

    /// Whether it says something about the machine.
    pub(crate) fn is_of_machine(&self) -> bool {
        matches!(self.look, Look::Machine(_) | Look::Directory(_))
    }

    /// Whether it says something about a worker.
    pub(crate) fn is_of_worker(&self) -> bool {
        !matches!(self.look, Look::Machine(_))
    }
}

impl WorkerFacts {
    /// Whether its directory cannot be looked at because one above it is closed; that one is told instead.
    pub(crate) fn is_hidden_by(&self, machine: &MachineFacts) -> bool {
        is_hidden(&self.directory, machine.roots.iter().chain(&machine.host))
    }
}

fn is_hidden<'above>(
    directory: &DirectoryFacts,
    above: impl IntoIterator<Item = &'above DirectoryFacts>,
) -> bool {
    let is_above =
        |other: &DirectoryFacts| directory.path != other.path && directory.path.starts_with(&other.path);
    matches!(directory.access, Access::Denied { seen: None, .. })
        && above.into_iter().any(|other| is_above(other) && matches!(other.access, Access::Denied { .. }))
}

/// A span as people read it: `850 ms`, `12 s`, `4 min`, `3 h`.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Bytes as people read them.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_unit_that_a_person_would_choose() {
        assert_eq!(
            [850, 12_000, 240_000, 10_800_000].map(|ms| span(Duration::from_millis(ms))),
            ["850 ms", "12 s", "4 min", "3 h"]
        );
        assert_eq!([9, 12_000, 5_000_000, 20_000_000_000].map(bytes), ["9 B", "12 kB", "5 MB", "20 GB"]);
    }
}

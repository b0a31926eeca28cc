//! `doctor`: what is the matter, by what evidence, and what to do about it. Looks at everything once, and changes
//! nothing.
//!
//! Three steps, each in a room of its own: [`look`] gathers the facts, the checks judge them and are pure, and
//! [`apply`] mends what is safe, one finding at a time, when a person has asked for that. It works whatever the worker
//! does: serving, absent, stopped, with a directory that cannot be read or a record that is damaged or too new.

use tenure_core::spec::scope::Scope;
use tenure_core::store::paths;

mod check;
pub(crate) mod checks;
mod facts;
mod finding;
pub(crate) mod look;
mod remedy;

pub use check::DoctorCheck;
pub use checks::all as checks;
pub use facts::{
    Access, DirectoryFacts, Facts, GateHolder, Gathered, HostCode, LogBytes, MachineFacts, Member, Now, Port,
    RecordFacts, RecordFault, ScopeFacts, Unread, WantedFacts, WorkerFacts,
};
pub use finding::{Finding, Fix, Severity};
pub use look::{Subject, look};
pub use remedy::{FixError, apply};

/// What all checks found about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The worker; `None` for the machine.
    pub scope: Option<Scope>,
    /// The name that the caller has for it; empty for the machine.
    pub display_name: String,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The parts that were looked at.
    pub checked: Vec<&'static str>,
}

/// Judges the facts: the machine first, then each worker.
#[must_use]
pub fn diagnose(facts: &Facts) -> Vec<Diagnosis> {
    let machine = Diagnosis {
        scope: None,
        display_name: String::new(),
        findings: sorted(checks().flat_map(|check| check.of_machine(facts)).collect()),
        checked: parts(checks().filter(|check| check.is_of_machine())),
    };
    let workers = facts.workers.iter().map(|worker| {
        // Without a directory that can be opened nothing in it was looked at.
        let seen = |check: &&'static DoctorCheck| {
            let can_be = worker.state.is_some() || check.is_of_machine();
            check.is_of_worker() && can_be && !worker.is_hidden_by(&facts.machine)
        };
        Diagnosis {
            scope: Some(worker.scope.clone()),
            display_name: worker.display_name.clone(),
            findings: sorted(checks().flat_map(|check| check.of_worker(facts, worker)).collect()),
            checked: parts(checks().filter(seen)),
        }
    });
    std::iter::once(machine).chain(workers).collect()
}

/// Every scope that has state on this host; none where that cannot be told, which the facts of the machine then say.
#[must_use]
pub fn scopes() -> Vec<Scope> {
    paths::scopes().unwrap_or_default()
}

/// The worst first; of one weight, as the checks stand.
fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn parts(checks: impl Iterator<Item = &'static DoctorCheck>) -> Vec<&'static str> {
    let mut parts = Vec::new();
    for check in checks {
        if !parts.contains(&check.part) {
            parts.push(check.part);
        }
    }
    parts
}

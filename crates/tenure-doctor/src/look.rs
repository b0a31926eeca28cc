//! Gathers the facts, once: reads, connects, tries locks, and changes nothing.
//!
//! What is cheap is read for every worker first; only then, and only if a check needs it, one pass goes over all
//! processes, for all workers together. What cannot be read becomes a fact of its own.

use tenure_core::Standing;
use tenure_core::spec::origin::ReadStated;
use tenure_core::spec::scope::Scope;
use tenure_core::store::paths::{self, StateDir};
use tenure_sys::census::Questions;

use crate::facts::{Access, DirectoryFacts, Facts, MachineFacts, Unread, WorkerFacts};

pub(crate) mod directory;
pub(crate) mod machine;
pub(crate) mod obstacles;
pub(crate) mod ports;
pub(crate) mod scope;
pub(crate) mod visibility;

/// A worker to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its scope.
    pub scope: Scope,
    /// The name that the caller has for it.
    pub display_name: String,
    /// What follows a command that is typed for it: its name, and the flags that lead to it.
    pub arguments: String,
    /// The workers that it depends on, as they are named, and which they are.
    pub dependencies: Vec<(String, Scope)>,
}

/// Gathers the facts of these workers and of the machine. `configuration` is what the caller has found wrong with the
/// files that describe workers, and `read` reads one of them again.
#[must_use]
pub fn look(subjects: Vec<Subject>, configuration: Vec<String>, read: ReadStated) -> Facts {
    let machine = machine::machine(configuration);
    let mut questions = Questions::default();
    let workers =
        subjects.into_iter().map(|subject| worker(subject, &machine, &mut questions, read)).collect();
    let census = questions.ask();
    Facts { machine, workers, census }
}

fn worker(
    subject: Subject,
    machine: &MachineFacts,
    questions: &mut Questions,
    read: ReadStated,
) -> WorkerFacts {
    let Subject { scope, display_name, arguments, dependencies } = subject;
    let directory = match paths::directory(&scope) {
        Ok(path) => directory::inspect(&path),
        Err(error) => DirectoryFacts {
            path: scope.to_string().into(),
            leads: None,
            access: Access::Unusable { why: error.to_string() },
            file_system: Err(Unread(error.to_string())),
        },
    };
    let is_private = matches!(directory.access, Access::Private { .. });
    let state = if is_private { StateDir::open(&scope).ok().flatten() } else { None };
    let state = state.map(|state| scope::state(&state, &machine.now, questions, read));
    let stands = |scope: &Scope| !matches!(tenure_core::status(scope), Ok(Standing::Down));
    let dependencies = dependencies.into_iter().map(|(name, scope)| (name, stands(&scope))).collect();
    WorkerFacts { scope, display_name, arguments, directory, state, dependencies }
}

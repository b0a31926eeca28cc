//! Ensuring the workers that a worker depends on, before it is started.
//!
//! A story finds out under its gate what it would start. If that depends on other workers, the story leaves the gate,
//! ensures them here, and enters again: no gate is held while another worker boots. What the story then starts is looked
//! at once more under the gate, so nothing is started whose dependencies this call has not ensured.
//!
//! Each dependency is ensured as if somebody asked for it, within what is left of the call's one budget, and those
//! without an order between them at the same time. One that is up costs one answer, and its own dependencies are not
//! looked at. What several workers depend on is ensured once a call, and a failure of it is one failure. A cycle is
//! refused by whoever would close it, so nobody waits for itself.
//!
//! Started for dependencies of dependencies, the calls of one call form a family: they share who waits for whom, and
//! what has come of each.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::{io, panic};

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::launch::request::{DependencyQuery, Request};
use crate::record::desired::Desired;
use crate::spec::Spec;
use crate::spec::origin::Origin;
use crate::spec::scope::Scope;

/// How one dependency is ensured, as a part of the family.
pub(crate) type EnsureOne = fn(&Request, &Family) -> Result<(), Error>;

/// The dependencies of one call: those it has ensured, and how it ensures more.
pub(crate) struct Dependencies<'call> {
    request: &'call Request,
    family: Family,
    ensure_one: EnsureOne,
    ensured: Vec<Lacking>,
}

/// What a spec depends on, and where its names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lacking {
    depends: Vec<String>,
    origin: Origin,
}

impl<'call> Dependencies<'call> {
    /// The dependencies of a call that makes this request.
    pub(crate) fn of(request: &'call Request, family: &Family, ensure_one: EnsureOne) -> Self {
        Self { request, family: family.clone(), ensure_one, ensured: Vec::new() }
    }

    /// What is to be ensured before `spec` is started, if this call has not done it.
    pub(crate) fn lacking(&self, spec: &Spec, desired: &Desired) -> Option<Lacking> {
        if spec.depends.is_empty() {
            return None;
        }
        let offer = desired.offers.iter().find(|offer| offer.spec.is_identical(spec));
        let origin = offer.map_or(&self.request.origin, |offer| &offer.origin).clone();
        let lacking = Lacking { depends: spec.depends.clone(), origin };
        (!self.ensured.contains(&lacking)).then_some(lacking)
    }

    /// Ensures them. The names are all found before anything is started. Those that do not fail go on when another one
    /// fails; the error is that of the first in their order.
    pub(crate) fn ensure(&mut self, lacking: Lacking, budget: &Deadline) -> Result<(), Error> {
        let mut found = Vec::with_capacity(lacking.depends.len());
        for name in &lacking.depends {
            found.push(Dependency { name, request: self.find(name, &lacking.origin, budget)? });
        }
        let scopes = found.iter().map(|dependency| dependency.request.scope());
        self.family.await_all(self.request.scope(), scopes)?;
        let outcomes = self.ensure_together(&found, budget);
        outcomes.into_iter().collect::<Result<(), Error>>()?;
        self.ensured.push(lacking);
        Ok(())
    }

    /// Ensures each in a thread of its own. One alone, and one for which there is no thread, is ensured by this thread.
    fn ensure_together(&self, found: &[Dependency<'_>], budget: &Deadline) -> Vec<Result<(), Error>> {
        if let [only] = found {
            return vec![self.ensure_found(only, budget)];
        }
        thread::scope(|scope| {
            let begin = |dependency| {
                let ensure = move || self.ensure_found(dependency, budget);
                let thread = thread::Builder::new().name("dependency".to_owned());
                (dependency, thread.spawn_scoped(scope, ensure))
            };
            let begun: Vec<_> = found.iter().map(begin).collect();
            let end = |(dependency, thread): (_, io::Result<ScopedJoinHandle<'_, _>>)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic)),
                Err(_) => self.ensure_found(dependency, budget),
            };
            begun.into_iter().map(end).collect()
        })
    }

    fn find(&self, name: &str, origin: &Origin, budget: &Deadline) -> Result<Request, Error> {
        let dependent = self.request.scope();
        let message = || format!("find {name}, which {} depends on", dependent.name());
        let Some(find) = &self.request.find_dependency else {
            let message = format!("{}: the call does not say what that name stands for", message());
            return Err(Error::dependency_unfound(message, None));
        };
        let query = DependencyQuery { name, dependent, origin, budget: budget.remaining() };
        let mut found =
            find.find(&query).map_err(|cause| Error::dependency_unfound(message(), Some(cause)))?;
        if found.find_dependency.is_none() {
            found.find_dependency = Some(find.clone());
        }
        if found.host.is_none() {
            found.host.clone_from(&self.request.host);
        }
        Ok(found)
    }

    fn ensure_found(&self, dependency: &Dependency<'_>, budget: &Deadline) -> Result<(), Error> {
        let request = dependency.request.clone().budget(budget.remaining());
        let outcome = self.family.once(request.scope(), || (self.ensure_one)(&request, &self.family));
        outcome.map_err(|cause| {
            let (name, dependent) = (dependency.name, self.request.scope().name());
            Error::dependency_failed(
                format!("ensure {name}, which {dependent} depends on"),
                request.scope(),
                cause,
            )
        })
    }
}

/// A dependency that was found.
struct Dependency<'call> {
    name: &'call str,
    request: Request,
}

/// One call, with the calls that it makes for dependencies.
#[derive(Clone, Default)]
pub(crate) struct Family(Arc<FamilyState>);

#[derive(Default)]
struct FamilyState {
    /// Guards what the threads of one call know of each other. It is held for no wait but that of `changed`.
    known: Mutex<Known>,
    /// A dependency has an outcome.
    changed: Condvar,
}

#[derive(Default)]
struct Known {
    /// Who waits for whom.
    waits: Vec<(Scope, Scope)>,
    /// What came of each dependency; `None` while it is being ensured.
    outcomes: BTreeMap<Scope, Option<Result<(), Error>>>,
}

impl Family {
    /// Notes that `dependent` waits for all of these. Refuses what would make it wait for itself: from then on no wait
    /// for an outcome can last for ever.
    fn await_all<'scope>(
        &self,
        dependent: &Scope,
        dependencies: impl Iterator<Item = &'scope Scope>,
    ) -> Result<(), Error> {
        let mut known = self.known();
        for dependency in dependencies {
            if let Some(path) = known.path(dependency, dependent) {
                let names = [dependent].into_iter().chain(&path).map(ToString::to_string);
                let cycle = names.collect::<Vec<_>>().join(" -> ");
                let message = format!("order the workers, because {dependent} depends on itself: {cycle}");
                return Err(Error::dependency_unfound(message, None));
            }
            known.waits.push((dependent.clone(), dependency.clone()));
        }
        Ok(())
    }

    /// The outcome of a dependency: the first caller ensures it, the others wait for that.
    fn once(&self, scope: &Scope, ensure: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let mut known = self.known();
        while let Some(outcome) = known.outcomes.get(scope) {
            if let Some(outcome) = outcome {
                return outcome.clone();
            }
            known = self.0.changed.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
        known.outcomes.insert(scope.clone(), None);
        drop(known);
        let mut pending = Pending { family: self, scope, outcome: None };
        pending.outcome.insert(ensure()).clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome that others wait for. They get one even where this thread panics.
struct Pending<'call> {
    family: &'call Family,
    scope: &'call Scope,
    outcome: Option<Result<(), Error>>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let panicked =
            || Err(Error::of(ErrorKind::Bug, format!("ensure {}: its thread panicked", self.scope)));
        let outcome = self.outcome.take().unwrap_or_else(panicked);
        self.family.known().outcomes.insert(self.scope.clone(), Some(outcome));
        self.family.0.changed.notify_all();
    }
}

impl Known {
    /// How `from` waits for `to`, from the one to the other, if it does.
    fn path(&self, from: &Scope, to: &Scope) -> Option<Vec<Scope>> {
        if from == to {
            return Some(vec![from.clone()]);
        }
        // There is no cycle yet, so this ends.
        let next = self.waits.iter().filter(|(waiting, _)| waiting == from);
        let mut rest = next.filter_map(|(_, awaited)| self.path(awaited, to));
        rest.next().map(|rest| [vec![from.clone()], rest].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str) -> Scope {
        name.parse().expect("a name")
    }

    fn awaits(family: &Family, dependent: &str, dependencies: &[&str]) -> Result<(), Error> {
        let dependencies: Vec<Scope> = dependencies.iter().map(|name| scope(name)).collect();
        family.await_all(&scope(dependent), dependencies.iter())
    }

    #[test]
    fn whoever_would_close_a_cycle_is_refused_and_the_cycle_is_named() {
        let family = Family::default();
        awaits(&family, "app", &["api", "db"]).expect("no cycle");
        awaits(&family, "api", &["db"]).expect("a diamond is no cycle");
        awaits(&family, "db", &["disk"]).expect("no cycle");
        let refused = awaits(&family, "disk", &["api"]).expect_err("disk would wait for itself").to_string();
        assert!(refused.ends_with("disk depends on itself: disk -> api -> db -> disk"), "{refused}");
        let own = awaits(&family, "lone", &["lone"]).expect_err("itself").to_string();
        assert!(own.ends_with("lone -> lone"), "{own}");
    }

    #[test]
    fn what_several_wait_for_is_ensured_once_and_fails_once() {
        let family = Family::default();
        let failed = || Err(Error::of(ErrorKind::SpawnFailed, "start the worker: no"));
        assert!(family.once(&scope("db"), failed).is_err());
        let again = family.once(&scope("db"), || Ok(())).expect_err("the first outcome");
        assert_eq!(again.kind(), ErrorKind::SpawnFailed);
        assert!(family.once(&scope("cache"), || Ok(())).is_ok());
    }

    #[test]
    fn a_thread_that_panics_leaves_an_outcome() {
        let family = Family::default();
        let (other, db) = (family.clone(), scope("db"));
        let ended = thread::spawn(move || other.once(&scope("db"), || panic!("on purpose"))).join();
        assert!(ended.is_err(), "it panicked");
        assert_eq!(family.once(&db, || Ok(())).expect_err("told").kind(), ErrorKind::Bug);
    }

    #[test]
    fn a_dependency_that_needs_more_time_makes_the_call_need_more_time() {
        let of = |kind| {
            let cause = Error::of(kind, "start the worker: no");
            let inner = Error::dependency_failed("ensure db".into(), &scope("db"), cause);
            Error::dependency_failed("ensure api".into(), &scope("api"), inner)
        };
        let failed = of(ErrorKind::SpawnFailed);
        assert_eq!(failed.kind(), ErrorKind::DependencyFailed);
        assert_eq!(failed.dependency(), Some(&scope("db")), "the one that failed, not the one between");
        assert!(!failed.is_retryable() && of(ErrorKind::GateHeld).is_retryable());
        assert_eq!(of(ErrorKind::TimedOut).kind(), ErrorKind::TimedOut);
    }
}

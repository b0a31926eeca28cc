//! The target of one call: the choice by the record, without the versions that this call has seen fail.
//!
//! Pure. Callers pass the record without the offers that nobody trusts, and without those that `Desired::as_offered`
//! leaves out: offers below the highest runnable one whose program files have changed.

use semver::Version;

use crate::deadline::Moment;
use crate::policy::attempt::Attempt;
use crate::policy::decide::{Goal, KnownTarget};
use crate::record::desired::{Desired, StartTarget};
use crate::spec::Spec;

/// The target of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetChoice {
    /// The choice by the record.
    pub target: StartTarget,
    pinned: bool,
    /// This call has tried to start the target, and does not try again.
    spent: bool,
    tried: Vec<Version>,
}

impl TargetChoice {
    /// Chooses for a call with this memory. A version that the call has seen fail is not chosen, even if its quarantine
    /// is over.
    #[must_use]
    pub fn of(allowed: &Desired, attempt: &Attempt, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> Self {
        let has_failed = |spec: &Spec| !attempt.may_start(&spec.version) && allowed.failure(spec).is_some();
        let target = allowed.target(now, &|spec| can_run(spec) && !has_failed(spec));
        let (spent, tried) = match &target {
            StartTarget::Offer { spec, .. } => {
                (!attempt.may_start(&spec.version), allowed.observed_for(spec))
            }
            StartTarget::Suppressed { .. } | StartTarget::Missing { .. } => (false, Vec::new()),
        };
        Self { target, pinned: allowed.pin.is_some(), spent, tried }
    }

    /// The target for [`decide`](crate::policy::decide::decide). `failure` is why an earlier start of this call failed,
    /// or why nothing may be started. `changed`: the files of the worker that was seen have changed. `content` is the
    /// digest of these files now.
    #[must_use]
    pub fn known(
        &self,
        failure: Option<&str>,
        changed: bool,
        content: Option<Result<String, String>>,
    ) -> KnownTarget {
        let goal = match (&self.target, failure) {
            (StartTarget::Offer { retry: Some(failure), .. }, _)
            | (StartTarget::Suppressed { failure, .. }, None) => Goal::Nothing(failure.error.clone()),
            // A start that failed through no fault of the version leaves the worker that serves, unless its files have
            // changed.
            (StartTarget::Offer { .. }, Some(failure)) if self.spent && !changed => {
                Goal::Nothing(failure.to_owned())
            }
            (StartTarget::Offer { spec, .. }, _) => Goal::Start(spec.version.clone()),
            (StartTarget::Suppressed { .. } | StartTarget::Missing { .. }, Some(failure)) => {
                Goal::Nothing(failure.to_owned())
            }
            (StartTarget::Missing { program }, None) => {
                Goal::Nothing(format!("its program {program:?} is gone"))
            }
        };
        KnownTarget { goal, pinned: self.pinned, tried: self.tried.clone(), content }
    }

    /// The target for `decide` after this call has started a worker from `spec`.
    #[must_use]
    pub fn started(&self, spec: &Spec) -> KnownTarget {
        KnownTarget {
            goal: Goal::Start(spec.version.clone()),
            pinned: self.pinned,
            tried: Vec::new(),
            content: None,
        }
    }

    /// The spec that this call may start, if there is one.
    #[must_use]
    pub fn startable(&self) -> Option<&Spec> {
        match &self.target {
            StartTarget::Offer { spec, .. } if !self.spent => Some(spec),
            StartTarget::Offer { .. } | StartTarget::Suppressed { .. } | StartTarget::Missing { .. } => None,
        }
    }
}

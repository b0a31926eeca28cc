//! The target of one call: the target by the record, without the versions that this call has seen fail.
//!
//! Four types have a target, each for one question:
//!
//! - [`Target`] (`record/desired`): which offer is to run by the record;
//! - [`CallTarget`] (here): the same for one call;
//! - `CheckedTarget` (`ops/target`): whether that call may start it, after a look at trust, files and `stop --hold`;
//! - [`KnownTarget`] (`policy/decide`): what a decision about a worker compares with it.
//!
//! Pure. Callers pass the record without the offers that nobody trusts, and without those that `Desired::as_offered`
//! leaves out: offers below the highest runnable one whose program files have changed.

use crate::spec::version::Version;

use crate::deadline::Moment;
use crate::policy::attempt::Attempt;
use crate::policy::decide::KnownTarget;
use crate::record::desired::{Desired, Target};
use crate::spec::Spec;
use crate::spec::app::AppStanding;

/// The target of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTarget {
    /// The target by the record.
    pub by_record: Target,
    app: AppStanding,
    pinned: bool,
    /// This call has tried to start the target, and does not try again.
    spent: bool,
    tried: Vec<Version>,
}

impl CallTarget {
    /// Chooses for a call with this memory. A version that the call has seen fail is not chosen, even if its quarantine
    /// is over. `app` says whether the name may be used by the launcher's app.
    #[must_use]
    pub fn of(
        allowed: &Desired,
        app: AppStanding,
        attempt: &Attempt,
        now: &Moment,
        can_run: &dyn Fn(&Spec) -> bool,
    ) -> Self {
        let has_failed = |spec: &Spec| !attempt.may_start(&spec.version) && allowed.failure(spec).is_some();
        let by_record = allowed.target(now, &|spec| can_run(spec) && !has_failed(spec));
        let (spent, tried) = match &by_record {
            Target::Offer { spec, .. } => (!attempt.may_start(&spec.version), allowed.observed_for(spec)),
            Target::Suppressed { .. } | Target::Missing { .. } => (false, Vec::new()),
        };
        Self { by_record, app, pinned: allowed.pin.is_some(), spent, tried }
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
        let version = match (&self.by_record, failure) {
            (Target::Offer { retry: Some(failure), .. }, _) | (Target::Suppressed { failure, .. }, None) => {
                Err(failure.error.clone())
            }
            // A start that failed through no fault of the version leaves the worker that serves, unless its files have
            // changed.
            (Target::Offer { .. }, Some(failure)) if self.spent && !changed => Err(failure.to_owned()),
            (Target::Offer { spec, .. }, _) => Ok(spec.version.clone()),
            (Target::Suppressed { .. } | Target::Missing { .. }, Some(failure)) => Err(failure.to_owned()),
            (Target::Missing { program }, None) => Err(format!("its program {program:?} is gone")),
        };
        let (app, tried) = (self.app.clone(), self.tried.clone());
        KnownTarget { version, pinned: self.pinned, app, tried, content }
    }

    /// The target for `decide` after this call has started a worker from `spec`.
    #[must_use]
    pub fn started(&self, spec: &Spec) -> KnownTarget {
        KnownTarget {
            version: Ok(spec.version.clone()),
            pinned: self.pinned,
            app: self.app.clone(),
            tried: Vec::new(),
            content: None,
        }
    }

    /// The spec that this call may start, if there is one.
    #[must_use]
    pub fn startable(&self) -> Option<&Spec> {
        match &self.by_record {
            _ if matches!(self.app, AppStanding::Taken(_)) => None,
            Target::Offer { spec, .. } if !self.spent => Some(spec),
            Target::Offer { .. } | Target::Suppressed { .. } | Target::Missing { .. } => None,
        }
    }
}

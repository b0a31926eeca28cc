//! One call of `ensure`: the look without a lock, and what is done under the gate.

use tenure_core::Spec;
use tenure_core::policy::attempt::{Attempt, NextStep};
use tenure_core::policy::decide::{Criteria, Decision, KnownTarget, Observation, ReplaceReason, decide};
use tenure_core::policy::tally;
use tenure_core::record::desired::{Desired, Target};
use tenure_core::spec::app::{AppId, AppStanding};
use tenure_core::spec::origin::Origin;

use super::{Rule, VERSIONS, World};

/// One call of `ensure`.
struct Call<'spec> {
    spec: &'spec Spec,
    from: &'spec Origin,
    criteria: Criteria,
    attempt: Attempt,
    has_failed: bool,
}

impl World {
    pub(super) fn ensure(&mut self, spec: &Spec, from: &Origin) {
        if !matches!(self.standing(&self.record, (spec, from)), AppStanding::Taken(_)) {
            self.epoch.versions.insert(spec.version.clone());
        }
        let criteria = Criteria::of(spec, from);
        let mut call = Call { spec, from, criteria, attempt: Attempt::default(), has_failed: false };
        for _ in 0..4 * VERSIONS {
            if self.looks_well(&mut call) || self.act(&mut call) {
                return;
            }
        }
        self.broken.push(format!("a call of {} does not end", spec.version));
    }

    /// Whether the name may be used by who asks.
    fn standing(&self, record: &Desired, (spec, from): (&Spec, &Origin)) -> AppStanding {
        if self.rule == Rule::AppIgnored { AppStanding::Free } else { record.standing(spec, from) }
    }

    /// The look without a lock, with the second one by the record; whether it ends the call.
    fn looks_well(&mut self, call: &mut Call<'_>) -> bool {
        let seen = self.observe();
        let mut decision = self.decide(call, None, &seen);
        let is_known = self.record.offers.iter().any(|offer| offer.spec == *call.spec)
            || matches!(self.standing(&self.record, (call.spec, call.from)), AppStanding::Taken(_));
        let needs_record = matches!(
            decision,
            Decision::Replace(_, ReplaceReason::Older { .. } | ReplaceReason::OtherApp { .. })
        );
        if is_known && needs_record {
            let (_, known) = self.plan(call, &self.record);
            decision = self.decide(call, Some(&known), &seen);
        }
        matches!(decision, Decision::Use(_) | Decision::Refuse(_))
    }

    /// What is done under the gate; whether it ends the call.
    fn act(&mut self, call: &mut Call<'_>) -> bool {
        let mut record = self.record.clone();
        tally::count(&self.ledger, &mut record, &self.moment());
        if !record.offers.iter().any(|offer| offer.spec == *call.spec) {
            if self.rule == Rule::AppIgnored {
                record.app = Some(AppId::of(call.spec, call.from));
            }
            record.offer_from(call.spec, call.from, &self.moment());
        }
        let (target, known) = self.plan(call, &record);
        let seen = self.observe();
        let act = call.attempt.step(self.decide(call, Some(&known), &seen));
        if !matches!(act, NextStep::Refuse(_)) {
            self.record = record;
        }
        let startable = match target {
            Target::Offer { spec, .. } if call.attempt.may_start(&spec.version) => Some(spec),
            Target::Offer { .. } | Target::Suppressed { .. } | Target::Missing { .. } => None,
        };
        let own = (self.rule == Rule::OwnVersion).then(|| Box::new(call.spec.clone()));
        let startable = startable.map(|spec| own.unwrap_or(spec));
        match (act, startable) {
            (NextStep::Answer(..) | NextStep::Refuse(_) | NextStep::GiveUp(..), _)
            | (NextStep::Start, None) => true,
            (NextStep::Await(_) | NextStep::AwaitEnd(_) | NextStep::Suspect, _) => {
                self.broken.push("a worker that neither boots nor drains is waited for".into());
                true
            }
            (NextStep::Replace(hello, fault), None) => {
                // Another app's worker is of no use, nor is one that has failed.
                let is_useless =
                    matches!(fault, ReplaceReason::Failed { .. } | ReplaceReason::OtherApp { .. });
                let of_use = !is_useless && !call.has_failed;
                if of_use {
                    self.broken.push(format!("{} serves, and a caller is turned away", hello.version));
                }
                true
            }
            (NextStep::Start, Some(spec)) => self.start(call, &spec),
            (NextStep::Replace(_, fault), Some(spec)) => {
                self.replace(&fault, &spec);
                call.attempt.note_replaced();
                self.start(call, &spec)
            }
        }
    }

    /// As `plan.rs` makes it.
    fn plan(&self, call: &Call<'_>, record: &Desired) -> (Target, KnownTarget) {
        let has_failed =
            |spec: &Spec| !call.attempt.may_start(&spec.version) && record.failure(spec).is_some();
        let allowed = self.allowed(record);
        let target = allowed.target(&self.moment(), &|spec| self.can_run(spec) && !has_failed(spec));
        let (version, tried) = match &target {
            Target::Offer { retry: Some(failure), .. } => (Err(failure.error.clone()), Vec::new()),
            Target::Offer { spec, .. } => (Ok(spec.version.clone()), allowed.observed_for(spec)),
            Target::Suppressed { .. } | Target::Missing { .. } => (Err(String::new()), Vec::new()),
        };
        let touched = self.worker.as_ref().is_some_and(|worker| worker.touched);
        let app = self.standing(record, (call.spec, call.from));
        let content = touched.then(|| Ok(self.content.to_string()));
        (target, KnownTarget { version, pinned: record.pin.is_some(), app, tried, content })
    }

    fn decide(&self, call: &Call<'_>, known: Option<&KnownTarget>, seen: &Observation) -> Decision {
        let Observation::Answered(hello) = seen else { return decide(&call.criteria, known, seen) };
        if self.rule != Rule::StrictEquality {
            return decide(&call.criteria, known, seen);
        }
        if hello.version == call.spec.version {
            decide(&call.criteria, None, seen)
        } else {
            let target = call.spec.version.clone();
            Decision::Replace(hello.clone(), ReplaceReason::Older { target })
        }
    }

    /// A worker makes room for `successor`. What must never be the reason is told here.
    fn replace(&mut self, fault: &ReplaceReason, successor: &Spec) {
        let Some(old) = self.worker.take() else { return };
        // Its own word counts downward: a worker that says it is older than what it was started as is that old.
        let started_as = &old.spec.version;
        let (from, to) =
            (old.says.as_ref().unwrap_or(started_as).min(started_as).clone(), &successor.version);
        let healthy = !old.failed;
        let is_given_up = matches!(fault, ReplaceReason::OtherApp { .. });
        if old.spec.app != successor.app && !is_given_up {
            self.broken.push(format!("{to} of another app takes the place of {from}"));
        }
        self.before = Some((old, self.moment()));
        if healthy && *to < from && !is_given_up {
            self.broken.push(format!("{to} takes the place of a healthy {from} ({fault:?})"));
        }
        let key = (to.major(), successor.digest());
        if healthy && !is_given_up && self.quarantined.get(&key).is_some_and(|until| *until > self.now) {
            self.broken.push(format!("a healthy {from} makes room for {to}, which failed a moment ago"));
        }
        match fault {
            ReplaceReason::SourceChanged => self.epoch.rebuilt += 1,
            ReplaceReason::Disagrees { says, .. } => {
                self.record.disagreed(successor, says);
                self.epoch.replaced += 1;
                self.epoch.faults += 1;
                if !self.disagreed.insert((successor.digest(), says.clone())) {
                    self.broken.push(format!("{to} is started a third time to say that it is {says}"));
                }
            }
            ReplaceReason::Older { .. }
            | ReplaceReason::OtherApp { .. }
            | ReplaceReason::Failed { .. }
            | ReplaceReason::Stalled { .. } => self.epoch.replaced += 1,
        }
    }

    /// Starts a worker; whether that ends the call.
    fn start(&mut self, call: &mut Call<'_>, spec: &Spec) -> bool {
        if !self.boots(spec) {
            call.has_failed = true;
            call.attempt.note_start_failed(&spec.version);
            return false;
        }
        call.attempt.note_started();
        let seen = self.observe();
        let pinned = self.record.pin.is_some();
        let app = self.standing(&self.record, (call.spec, call.from));
        let known = KnownTarget { pinned, app, ..KnownTarget::of(Ok(spec.version.clone())) };
        matches!(decide(&call.criteria, Some(&known), &seen), Decision::Use(_))
    }
}

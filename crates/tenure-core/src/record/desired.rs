//! What has been offered, what a person holds, and which offers failed: the durable memory from which the target is
//! chosen.
//!
//! Pure. Written by the gate holder only; how it reaches the disk is [`crate::store::records`]. The policy converges:
//! between two words of a person, with k versions offered and f faults there are at most k - 1 + f replacements,
//! because a worker is only replaced by a higher target and the target falls only when a failure takes an offer out.

use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::deadline::Moment;
use crate::protocol::wire::Asker;
use crate::spec::Spec;
use crate::spec::made::ProgramFiles;
use crate::spec::origin::Origin;

/// Format version of the record. A reader of 1 would overlook what a person holds, and one of 2 would start what nobody
/// trusts any more.
pub const SCHEMA: u32 = 3;

/// Offers kept: enough for every version that still has a launcher somewhere, few enough to read at a glance.
const KEPT_OFFERS: usize = 8;

/// Wait after the first failed start. The wait doubles with each further one.
const FIRST_SUPPRESSION: Duration = Duration::from_secs(2);

/// Longest time for which a failed start suppresses the next try when nothing else can run.
const LONGEST_SUPPRESSION: Duration = Duration::from_secs(30);

/// First and longest time for which a version that failed to boot stays out while another offer can serve: replacing a
/// healthy worker to try it again costs more than waiting.
const FIRST_QUARANTINE: Duration = Duration::from_secs(30);
const LONGEST_QUARANTINE: Duration = Duration::from_hours(1);

/// Failures kept: two specs of each version on offer.
const KEPT_FAILURES: usize = 2 * KEPT_OFFERS;

/// Disagreements kept: far more than versions are offered at one time.
const KEPT_DISAGREEMENTS: usize = 16;

/// The record `desired.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// [`SCHEMA`] of the writer.
    pub schema_version: u32,
    /// What launchers offered, highest version last.
    pub offers: Vec<Offer>,
    /// Offers whose last start failed.
    pub failures: Vec<FailureTally>,
    /// The version that a person pinned: nothing else is started until it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Version>,
    /// A person stopped the worker for good: nothing is started until a person starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Down>,
    /// Targets that were started once more because they said that they were another version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disagreements: Vec<Disagreement>,
}

/// A stop that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Who stopped it.
    pub by: Asker,
    /// When.
    pub at: Moment,
}

/// What a worker was started as, and what it said it was. Each pair is tried once more and then left in peace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The version that was to run.
    pub target: Version,
    /// [`Spec::digest`] of the spec that it was to run from: a spec that was changed in anything is a new chance, and
    /// two installations that offer one version do not take turns.
    pub spec: String,
    /// The version that its own answer named.
    pub observed: Version,
}

/// A version that a launcher offered, with the spec that starts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The spec; its version is the offer's version.
    pub spec: Spec,
    /// Since when this spec is on offer: what is on record of an earlier time is not held against it.
    pub at: Moment,
    /// What it was read from. An offer from before this was recorded counts as one of a call.
    #[serde(default, skip_serializing_if = "Origin::is_call")]
    pub origin: Origin,
    /// What it was made of when somebody last offered it. An offer from before this was recorded counts as unchanged.
    #[serde(default, skip_serializing_if = "ProgramFiles::is_unknown")]
    pub made: ProgramFiles,
}

/// The death tally of one (version, spec).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureTally {
    /// Version that failed.
    pub version: Version,
    /// [`Spec::digest`] of the spec that failed: a spec that was changed in anything starts with a clean slate.
    pub spec: String,
    /// Failures since the last success.
    pub count: u32,
    /// When it last failed.
    pub at: Moment,
    /// The last error, told to everybody who is turned away.
    pub error: String,
}

/// What a launcher should start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartTarget {
    /// This offer. `skipped` is a higher one that is in quarantine.
    Offer {
        /// The spec to start.
        spec: Box<Spec>,
        /// The highest offer that was passed over, and why.
        skipped: Option<FailureTally>,
        /// It failed, and only the short wait after that is over: it is started where nobody serves, because nothing
        /// else can run, and no healthy worker makes room for it.
        retry: Option<FailureTally>,
    },
    /// Every offer failed a moment ago.
    Suppressed {
        /// The failure of the highest offer: its wait decides.
        failure: FailureTally,
        /// Time until it is.
        wait: Duration,
    },
    /// No offer's program is there.
    Missing {
        /// The program of the highest offer.
        program: String,
    },
}

impl Default for Desired {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA,
            offers: Vec::new(),
            failures: Vec::new(),
            hold: None,
            down: None,
            disagreements: Vec::new(),
        }
    }
}

impl Desired {
    /// Records an offer of a call. The same version with another spec replaces the offer; failures of the earlier spec
    /// stay on record and do not count against the new one. The version that a person holds is not among those that
    /// make room.
    pub fn offer(&mut self, spec: &Spec, now: &Moment) {
        self.offer_from(spec, &Origin::Call, now);
    }

    /// The same for an offer of a file.
    pub fn offer_from(&mut self, spec: &Spec, origin: &Origin, now: &Moment) {
        let known = self.offers.iter().find(|offer| offer.spec == *spec);
        let at = known.map_or_else(|| now.clone(), |offer| offer.at.clone());
        self.offers.retain(|offer| offer.spec.version != spec.version);
        self.offers.push(Offer {
            spec: spec.clone(),
            at,
            origin: origin.clone(),
            made: ProgramFiles::default(),
        });
        self.offers.sort_by(|a, b| a.spec.version.cmp(&b.spec.version));
        if self.offers.len() > KEPT_OFFERS {
            let held = |offer: &Offer| Some(&offer.spec.version) == self.hold.as_ref();
            let lowest = self.offers.iter().position(|offer| !held(offer));
            self.offers.remove(lowest.unwrap_or(0));
        }
        self.forget_the_unknown();
    }

    /// Takes an offer back, with all that is known against it; whether there was one.
    pub fn forget(&mut self, version: &Version) -> bool {
        let before = self.offers.len();
        self.offers.retain(|offer| offer.spec.version != *version);
        self.forget_the_unknown();
        self.offers.len() < before
    }

    /// Takes back every offer above `version` that is not described any more, also one that could not be started now:
    /// it would come back as soon as it can. Highest first: the order in which they would have been started. What is
    /// described stands, also where it is higher: a stale copy does not downgrade others. Under a hold nothing is taken
    /// back.
    pub fn forget_undescribed(
        &mut self,
        version: &Version,
        described: &dyn Fn(&Offer) -> bool,
    ) -> Vec<Version> {
        if self.hold.is_some() {
            return Vec::new();
        }
        let above = self.offers.iter().rev().filter(|offer| offer.spec.version > *version);
        let forgotten: Vec<Version> =
            above.filter(|offer| !described(offer)).map(|offer| offer.spec.version.clone()).collect();
        for version in &forgotten {
            self.forget(version);
        }
        forgotten
    }

    /// A person asks for this version: nothing that is known against it is held against it, and it is an offer of this
    /// moment, so that what was counted is not counted again. Where nothing is known there is nothing to write.
    pub fn begin_anew(&mut self, version: &Version, now: &Moment) {
        if self.failures.iter().all(|failure| failure.version != *version) {
            return;
        }
        self.succeeded(version);
        for offer in self.offers.iter_mut().filter(|offer| offer.spec.version == *version) {
            offer.at = now.clone();
        }
    }

    fn forget_the_unknown(&mut self) {
        let known = |version: &Version| self.offers.iter().any(|offer| offer.spec.version == *version);
        self.failures.retain(|failure| known(&failure.version));
        self.disagreements.retain(|pair| known(&pair.target));
    }

    /// The record as far as it may be started now: without the offers whose origin is not allowed. The target is chosen
    /// from this and never from the whole.
    #[must_use]
    pub fn allowed(&self, allows: &dyn Fn(&Origin) -> bool) -> Self {
        let mut allowed = self.clone();
        allowed.offers.retain(|offer| allows(&offer.origin));
        allowed
    }

    /// Notes what the offer of `version` is made of.
    pub fn made_of(&mut self, version: &Version, made: ProgramFiles) {
        if let Some(offer) = self.offers.iter_mut().find(|offer| offer.spec.version == *version) {
            offer.made = made;
        }
    }

    /// The record as far as it may be fallen back to: without the offers that are not what was offered any more and lie
    /// below one that can run. What would come up under their number is most often the very thing that failed, or a
    /// mixture. What a person holds is started as he says. The second of the two are those that were left out.
    #[must_use]
    pub fn as_offered(
        &self,
        can_run: &dyn Fn(&Spec) -> bool,
        is_other: &dyn Fn(&Offer) -> bool,
    ) -> (Self, Vec<Offer>) {
        let highest = self.offers.iter().rev().find(|offer| can_run(&offer.spec));
        let Some(highest) = highest.filter(|_| self.hold.is_none()) else {
            return (self.clone(), Vec::new());
        };
        let below = |offer: &&Offer| offer.spec.version < highest.spec.version;
        let left_out: Vec<Offer> =
            self.offers.iter().filter(below).filter(|offer| is_other(offer)).cloned().collect();
        let mut rest = self.clone();
        rest.offers.retain(|offer| left_out.iter().all(|out| out.spec.version != offer.spec.version));
        (rest, left_out)
    }

    /// The offer of `version`, where there is one.
    #[must_use]
    pub fn offered(&self, version: &Version) -> Option<&Spec> {
        self.offers.iter().map(|offer| &offer.spec).find(|spec| spec.version == *version)
    }

    /// The held version, whatever became of it; else the highest offer that is neither in quarantine nor without its
    /// program.
    #[must_use]
    pub fn target(&self, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> StartTarget {
        let mut skipped = None;
        let allowed = |offer: &&Offer| self.hold.as_ref().is_none_or(|held| *held == offer.spec.version);
        let allowed: Vec<&Offer> = self.offers.iter().rev().filter(allowed).collect();
        let runnable: Vec<&Offer> = allowed.iter().copied().filter(|offer| can_run(&offer.spec)).collect();
        let Some(highest) = runnable.first() else {
            let program = allowed.first().and_then(|offer| offer.spec.command.first());
            return StartTarget::Missing { program: program.cloned().unwrap_or_default() };
        };
        for offer in &runnable {
            match self.failure(&offer.spec).filter(|failure| failure.quarantined(now)) {
                Some(failure) => skipped = skipped.or(Some(failure.clone())),
                None => {
                    return StartTarget::Offer { spec: Box::new(offer.spec.clone()), skipped, retry: None };
                }
            }
        }
        // Nothing can run: the short suppression decides, not the long quarantine.
        match skipped.map(|failure| (failure.suppressed_for(now), failure)) {
            Some((wait, failure)) if !wait.is_zero() => StartTarget::Suppressed { failure, wait },
            retry => StartTarget::Offer {
                spec: Box::new(highest.spec.clone()),
                skipped: None,
                retry: retry.map(|(_, failure)| failure),
            },
        }
    }

    /// The version of the target, where there is one: what an older worker is replaced by.
    #[must_use]
    pub fn target_version(&self, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> Option<Version> {
        match self.target(now, can_run) {
            StartTarget::Offer { spec, .. } => Some(spec.version),
            StartTarget::Suppressed { .. } | StartTarget::Missing { .. } => None,
        }
    }

    /// Adds a failed start to the tally. Each spec of a version has its own: two installations that offer one version,
    /// and both fail, do not clear each other's.
    pub fn failed(&mut self, spec: &Spec, error: &str, now: &Moment) {
        let digest = spec.digest();
        let count = self.failure(spec).map_or(0, |failure| failure.count);
        self.failures.retain(|failure| failure.version != spec.version || failure.spec != digest);
        self.failures.push(FailureTally {
            version: spec.version.clone(),
            spec: digest,
            count: count.saturating_add(1),
            at: now.clone(),
            error: error.to_owned(),
        });
        if self.failures.len() > KEPT_FAILURES {
            self.failures.remove(0);
        }
    }

    /// Adds to the tally what is known to have failed so many times in a row by now.
    pub fn failed_at_least(&mut self, spec: &Spec, error: &str, now: &Moment, times: u32) {
        self.failed(spec, error, now);
        if let Some(failure) = self.failures.last_mut() {
            failure.count = failure.count.max(times);
        }
    }

    /// Clears the tally of a version: it became ready and is on no probation.
    pub fn succeeded(&mut self, version: &Version) {
        self.failures.retain(|failure| failure.version != *version);
    }

    /// Clears the tally of a version that has passed its probation, as far as it is older than that. Of another boot
    /// nobody can tell what was first, and what failed then keeps nothing out now.
    pub fn proved(&mut self, version: &Version, at: &Moment, now: &Moment) {
        if at.boot == now.boot {
            self.failures.retain(|failure| failure.version != *version || failure.at.is_after(at));
        }
    }

    /// Notes that `target` is started once more because it said that it was `observed`.
    pub fn disagreed(&mut self, target: &Spec, observed: &Version) {
        let (spec, version) = (target.digest(), target.version.clone());
        let pair = Disagreement { target: version, spec, observed: observed.clone() };
        self.disagreements.retain(|known| *known != pair);
        self.disagreements.push(pair);
        if self.disagreements.len() > KEPT_DISAGREEMENTS {
            self.disagreements.remove(0);
        }
    }

    /// What workers that were started as `target` said that they were, as far as that was tried once more.
    #[must_use]
    pub fn observed_for(&self, target: &Spec) -> Vec<Version> {
        let digest = target.digest();
        let pairs =
            self.disagreements.iter().filter(|pair| pair.target == target.version && pair.spec == digest);
        pairs.map(|pair| pair.observed.clone()).collect()
    }

    /// The tally of this spec, where it has failed.
    #[must_use]
    pub fn failure(&self, spec: &Spec) -> Option<&FailureTally> {
        let digest = spec.digest();
        self.failures.iter().find(|failure| failure.version == spec.version && failure.spec == digest)
    }
}

impl FailureTally {
    /// Whether this offer stays out while another one can run.
    #[must_use]
    pub fn quarantined(&self, now: &Moment) -> bool {
        !self.quarantined_for(now).is_zero()
    }

    /// For how long this offer stays out while another one can run.
    #[must_use]
    pub fn quarantined_for(&self, now: &Moment) -> Duration {
        self.left(FIRST_QUARANTINE, LONGEST_QUARANTINE, now)
    }

    /// For how long the next try is suppressed when nothing else can run.
    #[must_use]
    pub fn suppressed_for(&self, now: &Moment) -> Duration {
        self.left(FIRST_SUPPRESSION, LONGEST_SUPPRESSION, now)
    }

    /// What is left of a wait that began with the failure. A failure that lies ahead was written by the clock of
    /// another time namespace, and keeps nobody waiting: what it says here could be days.
    fn left(&self, first: Duration, longest: Duration, now: &Moment) -> Duration {
        if self.at.is_after(now) {
            return Duration::ZERO;
        }
        let doublings = self.count.saturating_sub(1).min(16);
        self.at.plus(first.saturating_mul(1 << doublings).min(longest)).ahead_of(now)
    }
}

#[cfg(test)]
mod tests;

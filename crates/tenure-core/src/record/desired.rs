//! Which versions launchers have offered, which one a person holds, and which failed: the durable record from which the
//! target is chosen.
//!
//! Pure. Only the gate holder writes it, by [`crate::store::records`]. The policy converges: between two commands of a
//! person about versions, with k versions offered and f faults, there are at most k - 1 + f replacements. For a worker
//! is replaced only by a higher target, and the target falls only when a failure takes an offer out.

use std::time::Duration;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};

use crate::deadline::Moment;
use crate::protocol::ends;
use crate::protocol::not_ready::NotReady;
use crate::protocol::wire::Asker;
use crate::spec::Spec;
use crate::spec::app::AppId;
use crate::spec::made::ProgramFiles;
use crate::spec::origin::Origin;

mod app;

/// Newest format version of the record. A reader of format 1 would overlook a pin, and a reader of format 2 would start
/// what nobody trusts any more. A reader of format 3 knows semantic versions only.
pub const SCHEMA: u32 = 4;

/// Format version of a record with semantic versions only.
pub(super) const SEMANTIC: u32 = 3;

/// Offers kept: enough for every version that still has a launcher somewhere, few enough to read at a glance.
const KEPT_OFFERS: usize = 8;

/// Wait after the first failed start. It doubles with each further failure.
const FIRST_SUPPRESSION: Duration = Duration::from_secs(2);

/// Longest time for which a failed start suppresses the next try when nothing else can run.
const LONGEST_SUPPRESSION: Duration = Duration::from_secs(30);

/// First and longest time for which a failed version is not tried while another offer can serve: replacing a healthy
/// worker to try it again costs more than waiting.
const FIRST_QUARANTINE: Duration = Duration::from_secs(30);
const LONGEST_QUARANTINE: Duration = Duration::from_hours(1);

/// Failures kept: two specs of each version on offer.
const KEPT_FAILURES: usize = 2 * KEPT_OFFERS;

/// Disagreements kept: far more than versions are offered at one time.
const KEPT_DISAGREEMENTS: usize = 16;

/// The record `desired.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The format that it was written in.
    pub schema_version: u32,
    /// What launchers offered, highest version last.
    pub offers: Vec<Offer>,
    /// Offers whose last start failed.
    pub failures: Vec<FailureTally>,
    /// The version that a person pinned: no other is started until the pin is released.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "hold")]
    pub pin: Option<Version>,
    /// A person stopped the worker for good: nothing is started until a person starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Down>,
    /// Whose worker it is: the app of the first offer. A record of before has none, and belongs to its highest offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Targets that were started once more because their worker said that it was another version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disagreements: Vec<Disagreement>,
}

/// A stop that lasts until a person starts the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Who stopped it.
    pub by: Asker,
    /// When.
    pub at: Moment,
}

/// The version that a worker was started as, and the version that it said it was. Each pair is tried once more, and
/// then no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The version that was to run.
    pub target: Version,
    /// [`Spec::digest`] of the spec that it was to run from. A changed spec is tried anew, and two installations that
    /// offer one version are counted apart.
    pub spec: String,
    /// The version that its own answer named.
    pub observed: Version,
}

/// A version that a launcher offered, with the spec that starts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The spec; its version is the offer's version.
    pub spec: Spec,
    /// Since when this spec is on offer. Earlier failures do not count against it.
    pub at: Moment,
    /// What it was read from. An offer of an older record counts as one of a call.
    #[serde(default, skip_serializing_if = "Origin::is_call")]
    pub origin: Origin,
    /// The files of its program when it was last offered. An offer of an older record counts as unchanged.
    #[serde(default, skip_serializing_if = "ProgramFiles::is_unknown")]
    pub made: ProgramFiles,
}

/// The failures of one version with one spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureTally {
    /// Version that failed.
    pub version: Version,
    /// [`Spec::digest`] of the spec that failed. A changed spec has no failures.
    pub spec: String,
    /// Failures since the last success.
    pub count: u32,
    /// When it last failed.
    pub at: Moment,
    /// The last error, which every caller gets while nothing can be started.
    pub error: String,
    /// The last lines of its log, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
    /// Why its program was not ready, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<Box<NotReady>>,
}

/// The target: what is to be started now by the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This offer.
    Offer {
        /// The spec to start.
        spec: Box<Spec>,
        /// The highest offer that is in quarantine, and so was passed over.
        skipped: Option<FailureTally>,
        /// Its last failure, where it is still in quarantine and only the short wait is over. It is started where
        /// nobody serves, because nothing else can run; no healthy worker makes room for it.
        retry: Option<FailureTally>,
    },
    /// Every offer has just failed.
    Suppressed {
        /// The failure of the highest offer, whose wait decides.
        failure: FailureTally,
        /// Time until the next try.
        wait: Duration,
    },
    /// No offer has a program that exists.
    Missing {
        /// The program of the highest offer.
        program: String,
    },
}

impl Default for Desired {
    fn default() -> Self {
        Self {
            schema_version: SEMANTIC,
            offers: Vec::new(),
            failures: Vec::new(),
            pin: None,
            down: None,
            app: None,
            disagreements: Vec::new(),
        }
    }
}

impl Desired {
    /// Records an offer of a call. It replaces an offer of the same version with another spec; failures of the earlier
    /// spec stay on record and do not count against the new one. Of too many offers the lowest is dropped, but not the
    /// version that a person pinned. An offer of another app than the recorded one changes nothing.
    pub fn offer(&mut self, spec: &Spec, now: &Moment) {
        self.offer_from(spec, &Origin::Call, now);
    }

    /// Records an offer of a file, likewise.
    pub fn offer_from(&mut self, spec: &Spec, origin: &Origin, now: &Moment) {
        if !self.claim(spec, origin) {
            return;
        }
        let known = self.offers.iter().find(|offer| offer.spec.is_identical(spec));
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
            let pinned = |offer: &Offer| Some(&offer.spec.version) == self.pin.as_ref();
            let lowest = self.offers.iter().position(|offer| !pinned(offer));
            self.offers.remove(lowest.unwrap_or(0));
        }
        self.forget_the_unknown();
    }

    /// Removes an offer and its failures. `false`: there was no such offer.
    pub fn forget(&mut self, version: &Version) -> bool {
        let before = self.offers.len();
        self.offers.retain(|offer| offer.spec.version != *version);
        self.forget_the_unknown();
        self.offers.len() < before
    }

    /// Removes every offer above `version` that no file describes any more, and returns the versions, highest first. An
    /// offer that could not be started now is removed too, because it could be started later. An offer that is still
    /// described stays, so that a stale copy does not downgrade others. While a version is pinned, nothing is removed.
    pub fn forget_undescribed(
        &mut self,
        version: &Version,
        described: &dyn Fn(&Offer) -> bool,
    ) -> Vec<Version> {
        if self.pin.is_some() {
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

    /// Clears the failures of a version that a person asks for. It becomes an offer of this moment, so that failures
    /// which were counted are not counted again. Without failures nothing changes, and nothing has to be written.
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

    /// The record without the offers whose origin is not allowed. The target is chosen from this record and never from
    /// the whole one.
    #[must_use]
    pub fn allowed(&self, allows: &dyn Fn(&Origin) -> bool) -> Self {
        let mut allowed = self.clone();
        allowed.offers.retain(|offer| allows(&offer.origin));
        allowed
    }

    /// Notes the files of the program that is offered as `version`.
    pub fn set_program_files(&mut self, version: &Version, made: ProgramFiles) {
        if let Some(offer) = self.offers.iter_mut().find(|offer| offer.spec.version == *version) {
            offer.made = made;
        }
    }

    /// The record without the offers whose files have changed and that lie below an offer that can run; and the offers
    /// that were left out. A fallback to one of these would most often start the very program that has failed, or a
    /// mixture of two versions. A version that a person pinned is not left out.
    #[must_use]
    pub fn as_offered(
        &self,
        can_run: &dyn Fn(&Spec) -> bool,
        is_other: &dyn Fn(&Offer) -> bool,
    ) -> (Self, Vec<Offer>) {
        let highest = self.offers.iter().rev().find(|offer| can_run(&offer.spec));
        let Some(highest) = highest.filter(|_| self.pin.is_none()) else {
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

    /// The offer to start now: of the pinned version only, where a person pinned one; else the highest offer that is
    /// not in quarantine and whose program exists.
    #[must_use]
    pub fn target(&self, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> Target {
        let mut skipped = None;
        let allowed = |offer: &&Offer| self.pin.as_ref().is_none_or(|pinned| *pinned == offer.spec.version);
        let allowed: Vec<&Offer> = self.offers.iter().rev().filter(allowed).collect();
        let runnable: Vec<&Offer> = allowed.iter().copied().filter(|offer| can_run(&offer.spec)).collect();
        let Some(highest) = runnable.first() else {
            let program = allowed.first().and_then(|offer| offer.spec.command.first());
            return Target::Missing { program: program.cloned().unwrap_or_default() };
        };
        for offer in &runnable {
            match self.failure(&offer.spec).filter(|failure| failure.quarantined(now)) {
                Some(failure) => skipped = skipped.or(Some(failure.clone())),
                None => {
                    return Target::Offer { spec: Box::new(offer.spec.clone()), skipped, retry: None };
                }
            }
        }
        // Nothing can run: the short suppression decides, not the long quarantine.
        match skipped.map(|failure| (failure.suppressed_for(now), failure)) {
            Some((wait, failure)) if !wait.is_zero() => Target::Suppressed { failure, wait },
            retry => Target::Offer {
                spec: Box::new(highest.spec.clone()),
                skipped: None,
                retry: retry.map(|(_, failure)| failure),
            },
        }
    }

    /// The version of the target, where there is one: an older worker is replaced by it.
    #[must_use]
    pub fn target_version(&self, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> Option<Version> {
        match self.target(now, can_run) {
            Target::Offer { spec, .. } => Some(spec.version),
            Target::Suppressed { .. } | Target::Missing { .. } => None,
        }
    }

    /// Adds a failed start to the tally. Each spec of a version has its own, so that two installations which offer one
    /// version and both fail do not clear each other's tally.
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
            last_words: Vec::new(),
            not_ready: None,
        });
        if self.failures.len() > KEPT_FAILURES {
            self.failures.remove(0);
        }
    }

    /// Adds to the last failure of `spec` what its log and its host told, cut to what a record keeps.
    pub fn explain_failure(&mut self, spec: &Spec, last_words: &[String], not_ready: Option<&NotReady>) {
        let digest = spec.digest();
        let of_spec = |failure: &&mut FailureTally| failure.version == spec.version && failure.spec == digest;
        if let Some(failure) = self.failures.iter_mut().rev().find(of_spec) {
            failure.last_words = last_words.to_vec();
            ends::keep_last(&mut failure.last_words);
            failure.not_ready = not_ready.map(|told| Box::new(told.clone().bounded()));
        }
    }

    /// Adds a failure to the tally, and raises the count to at least `times`.
    pub fn failed_at_least(&mut self, spec: &Spec, error: &str, now: &Moment, times: u32) {
        self.failed(spec, error, now);
        if let Some(failure) = self.failures.last_mut() {
            failure.count = failure.count.max(times);
        }
    }

    /// Clears the tally of a version that became ready and is not on probation.
    pub fn succeeded(&mut self, version: &Version) {
        self.failures.retain(|failure| failure.version != *version);
    }

    /// Clears the failures of a version that are older than the end of its probation. Moments of another boot cannot be
    /// compared; and failures of an earlier boot keep no version out.
    pub fn proved(&mut self, version: &Version, at: &Moment, now: &Moment) {
        if at.boot == now.boot {
            self.failures.retain(|failure| failure.version != *version || failure.at.is_after(at));
        }
    }

    /// Notes that `target` is started once more because its worker said that it was `observed`.
    pub fn disagreed(&mut self, target: &Spec, observed: &Version) {
        let (spec, version) = (target.digest(), target.version.clone());
        let pair = Disagreement { target: version, spec, observed: observed.clone() };
        self.disagreements.retain(|known| *known != pair);
        self.disagreements.push(pair);
        if self.disagreements.len() > KEPT_DISAGREEMENTS {
            self.disagreements.remove(0);
        }
    }

    /// The versions that workers of `target` said they were, each of which was tried once more.
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
    /// Whether this offer is not tried while another one can run.
    #[must_use]
    pub fn quarantined(&self, now: &Moment) -> bool {
        !self.quarantined_for(now).is_zero()
    }

    /// For how long this offer is not tried while another one can run.
    #[must_use]
    pub fn quarantined_for(&self, now: &Moment) -> Duration {
        self.left(FIRST_QUARANTINE, LONGEST_QUARANTINE, now)
    }

    /// For how long this offer is not tried when nothing else can run.
    #[must_use]
    pub fn suppressed_for(&self, now: &Moment) -> Duration {
        self.left(FIRST_SUPPRESSION, LONGEST_SUPPRESSION, now)
    }

    /// The rest of a wait that began with the failure. A failure that lies ahead was written by the clock of another
    /// time namespace: it could mean days here, so nobody waits for it.
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

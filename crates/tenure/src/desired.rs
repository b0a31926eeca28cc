//! What has been offered, and which offers failed: the durable memory from which the target is chosen.
//!
//! Pure. Written by the gate holder only; how it reaches the disk is [`crate::records`]. The policy converges: with k
//! versions offered and f faults there are at most k - 1 + f replacements, because a worker is only replaced by a higher
//! target and the target falls only when a failure takes an offer out.

use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::deadline::Moment;
use crate::spec::Spec;

/// Format version of the record.
pub const SCHEMA: u32 = 1;

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

/// The record `desired.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// [`SCHEMA`] of the writer.
    pub schema_version: u32,
    /// What launchers offered, highest version last.
    pub offers: Vec<Offer>,
    /// Offers whose last start failed.
    pub failures: Vec<Failure>,
}

/// A version that a launcher offered, with the spec that starts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The spec; its version is the offer's version.
    pub spec: Spec,
    /// When it was last offered.
    pub at: Moment,
}

/// The death tally of one (version, spec).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
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
pub enum Target {
    /// This offer. `skipped` is a higher one that is in quarantine.
    Offer {
        /// The spec to start.
        spec: Box<Spec>,
        /// The highest offer that was passed over, and why.
        skipped: Option<Failure>,
    },
    /// Every offer failed a moment ago.
    Suppressed {
        /// The failure that will be over first.
        failure: Failure,
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
        Self { schema_version: SCHEMA, offers: Vec::new(), failures: Vec::new() }
    }
}

impl Desired {
    /// Records an offer. The same version offered with another command, directory or listeners replaces the offer.
    pub fn offer(&mut self, spec: &Spec, now: &Moment) {
        self.offers.retain(|offer| offer.spec.version != spec.version);
        self.offers.push(Offer { spec: spec.clone(), at: now.clone() });
        self.offers.sort_by(|a, b| a.spec.version.cmp(&b.spec.version));
        if self.offers.len() > KEPT_OFFERS {
            self.offers.remove(0);
        }
        let known = |failure: &Failure| self.offers.iter().any(|offer| offer.spec.version == failure.version);
        self.failures.retain(known);
    }

    /// The highest offer that is neither in quarantine nor without its program.
    #[must_use]
    pub fn target(&self, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> Target {
        let mut skipped = None;
        let runnable: Vec<&Offer> = self.offers.iter().rev().filter(|offer| can_run(&offer.spec)).collect();
        let Some(highest) = runnable.first() else {
            let program = self.offers.last().and_then(|offer| offer.spec.command.first());
            return Target::Missing { program: program.cloned().unwrap_or_default() };
        };
        for offer in &runnable {
            match self.failure(&offer.spec).filter(|failure| failure.quarantined(now)) {
                Some(failure) => skipped = skipped.or(Some(failure.clone())),
                None => return Target::Offer { spec: Box::new(offer.spec.clone()), skipped },
            }
        }
        // Nothing can run: the short suppression decides, not the long quarantine.
        match skipped.map(|failure| (failure.suppressed_for(now), failure)) {
            Some((wait, failure)) if !wait.is_zero() => Target::Suppressed { failure, wait },
            Some(_) | None => Target::Offer { spec: Box::new(highest.spec.clone()), skipped: None },
        }
    }

    /// The version of the target, where there is one: what an older worker is replaced by.
    #[must_use]
    pub fn target_version(&self, now: &Moment, can_run: &dyn Fn(&Spec) -> bool) -> Option<Version> {
        match self.target(now, can_run) {
            Target::Offer { spec, .. } => Some(spec.version),
            Target::Suppressed { .. } | Target::Missing { .. } => None,
        }
    }

    /// Adds a failed start to the tally.
    pub fn failed(&mut self, spec: &Spec, error: &str, now: &Moment) {
        let digest = spec.digest();
        let count = self.failure(spec).map_or(0, |failure| failure.count);
        self.failures.retain(|failure| failure.version != spec.version);
        self.failures.push(Failure {
            version: spec.version.clone(),
            spec: digest,
            count: count.saturating_add(1),
            at: now.clone(),
            error: error.to_owned(),
        });
    }

    /// Clears the tally after a start that became ready.
    pub fn succeeded(&mut self, version: &Version) {
        self.failures.retain(|failure| failure.version != *version);
    }

    /// The tally of this spec, where it has failed.
    #[must_use]
    pub fn failure(&self, spec: &Spec) -> Option<&Failure> {
        let digest = spec.digest();
        self.failures.iter().find(|failure| failure.version == spec.version && failure.spec == digest)
    }
}

impl Failure {
    /// Whether this offer stays out while another one can run.
    #[must_use]
    pub fn quarantined(&self, now: &Moment) -> bool {
        self.ends(FIRST_QUARANTINE, LONGEST_QUARANTINE).is_after(now)
    }

    /// For how long the next try is suppressed when nothing else can run.
    #[must_use]
    pub fn suppressed_for(&self, now: &Moment) -> Duration {
        self.ends(FIRST_SUPPRESSION, LONGEST_SUPPRESSION).ahead_of(now)
    }

    fn ends(&self, first: Duration, longest: Duration) -> Moment {
        let doublings = self.count.saturating_sub(1).min(16);
        self.at.plus(first.saturating_mul(1 << doublings).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(version: u64) -> Spec {
        let mut spec = Spec::of_command(vec![format!("/bin/v{version}")], "/".into());
        spec.version = Version::new(version, 0, 0);
        spec
    }

    fn now(ms: u64) -> Moment {
        Moment { boot: "b".into(), ms }
    }

    fn offered(versions: &[u64]) -> Desired {
        let mut desired = Desired::default();
        for &version in versions {
            desired.offer(&spec(version), &now(0));
        }
        desired
    }

    fn target(desired: &Desired, at: u64) -> Target {
        desired.target(&now(at), &|_| true)
    }

    fn version_of(target: &Target) -> Option<u64> {
        match target {
            Target::Offer { spec, .. } => Some(spec.version.major),
            Target::Suppressed { .. } | Target::Missing { .. } => None,
        }
    }

    #[test]
    fn the_target_is_the_highest_offer_whatever_the_order() {
        assert_eq!(version_of(&target(&offered(&[2, 3, 1]), 0)), Some(3));
    }

    #[test]
    fn a_version_that_fails_to_boot_is_passed_over_and_named() {
        let mut desired = offered(&[1, 2]);
        desired.failed(&spec(2), "exit status 3", &now(0));
        let Target::Offer { spec: chosen, skipped } = target(&desired, 1) else { panic!("offer expected") };
        assert_eq!(chosen.version.major, 1);
        assert_eq!(skipped.expect("skipped").error, "exit status 3");
        assert_eq!(version_of(&target(&desired, 30_001)), Some(2), "quarantine ends");
    }

    #[test]
    fn a_lone_failure_suppresses_for_thirty_seconds_at_most() {
        let mut desired = offered(&[1]);
        for count in 0..20 {
            desired.failed(&spec(1), "boom", &now(count));
        }
        let Target::Suppressed { failure, wait } = target(&desired, 19) else {
            panic!("suppressed expected")
        };
        assert_eq!((failure.count, wait), (20, Duration::from_secs(30)));
        assert_eq!(version_of(&target(&desired, 30_020)), Some(1));
    }

    #[test]
    fn a_changed_spec_clears_the_tally() {
        let mut desired = offered(&[1]);
        desired.failed(&spec(1), "boom", &now(0));
        let mut changed = spec(1);
        changed.command.push("--fixed".into());
        desired.offer(&changed, &now(1));
        assert_eq!(version_of(&target(&desired, 1)), Some(1));
    }

    #[test]
    fn records_of_another_boot_suppress_nothing() {
        let mut desired = offered(&[1]);
        desired.failed(&spec(1), "boom", &Moment { boot: "old".into(), ms: u64::MAX });
        assert_eq!(version_of(&target(&desired, 1)), Some(1));
    }

    #[test]
    fn an_offer_whose_program_is_gone_is_never_the_target() {
        let desired = offered(&[1, 2]);
        let only = |version| move |spec: &Spec| spec.version.major == version;
        assert_eq!(desired.target_version(&now(0), &only(1)), Some(Version::new(1, 0, 0)));
        assert_eq!(desired.target(&now(0), &|_| false), Target::Missing { program: "/bin/v2".into() });
    }

    #[test]
    fn the_last_eight_offers_are_kept() {
        let desired = offered(&(1..=12).collect::<Vec<_>>());
        assert_eq!(desired.offers.len(), 8);
        assert_eq!(desired.offers[0].spec.version.major, 5);
    }
}

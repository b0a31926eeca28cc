//! What is on record, as the shipped values: `desired.json`, and the facts that workers leave in `ledger.json`.
//!
//! Time is abstract. Every record is read at the same moment, and the moments in it are set so that the real arithmetic
//! gives the intended answer. A tick is as long as the first quarantine. Of several moments of one version only the
//! order is kept.

use std::time::Duration;

use tenure_core::policy::attempt::Attempt;
use tenure_core::policy::facts::Version;
use tenure_core::policy::facts::{
    AppId, AppStanding, Asker, Desired, Down, FailureTally, Ledger, Moment, Origin, Proved, RolledBack,
};
use tenure_core::policy::tally;
use tenure_core::policy::target::CallTarget;

use crate::real::{Level, ModelCallTarget, ModelTarget, Versions, level_of, origin, spec, version};

/// What happens to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    /// A launcher offers this version.
    Offer(Level),
    /// Its start failed.
    Fail(Level),
    /// Its start became ready, with no probation before it.
    Succeed(Level),
    /// A person asks for it.
    BeginAnew(Level),
    /// The short wait after its failure is over.
    SuppressionEnds(Level),
    /// The long wait after its failure is over.
    QuarantineEnds(Level),
    /// Time passes for all versions, as long as the first quarantine.
    Tick,
    /// A person pins it.
    Pin(Level),
    /// A person releases the pin.
    Unpin,
    /// A person stops the worker for good.
    Down,
    /// A person starts the worker again.
    Up,
    /// This version is tried once more, because its worker said that it was another version.
    Disagree(Level),
    /// An incumbent records in the ledger that its successor of this version failed.
    RollBack(Level),
    /// A worker of this version records in the ledger that it has passed its probation.
    Prove(Level),
    /// The gate holder counts what the ledger says.
    Count,
    /// The same, but a failure is overlooked.
    CountProofs,
    /// A generation is opened, and begins with an empty ledger.
    Open,
}

const SECOND: u64 = 1_000;

/// As long as the first quarantine of a version that failed.
const TICK: u64 = 30 * SECOND;

/// Failures beyond this number count as this number.
const MOST_FAILURES: u32 = 3;

/// The moment at which every record is read.
const NOW: u64 = 1_000_000 * SECOND;

fn at(ms: u64) -> Moment {
    Moment::of("model", ms)
}

/// The record `desired.json`, and the facts for it in `ledger.json`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) desired: Desired,
    ledger: Ledger,
}

impl Records {
    /// Makes the real change, and then sets the moments so that the records are again read at the same moment.
    pub(crate) fn changed(&self, versions: &Versions, change: Change) -> Self {
        let Self { mut desired, mut ledger } = self.clone();
        // Later than every moment on record, and past when the record is read.
        let stamp = at(NOW - 1);
        match change {
            // As `offers::with_offer` does: an offer that is on record is not recorded again.
            Change::Offer(level) => {
                if desired.offered(&version(level)).is_none() {
                    if versions.ignores_apps {
                        desired.app = Some(AppId::of(&spec(level), &origin(level)));
                    }
                    desired.offer_from(&spec(level), &origin(level), &stamp);
                }
            }
            Change::Fail(level) => desired.failed(&spec(level), "it ended before it was ready", &stamp),
            Change::Succeed(level) => desired.succeeded(&version(level)),
            Change::BeginAnew(level) => desired.begin_anew(&version(level), &stamp),
            Change::SuppressionEnds(level) => {
                age(&mut desired, level, |failure| failure.suppressed_for(&at(NOW)));
            }
            Change::QuarantineEnds(level) => {
                age(&mut desired, level, |failure| failure.quarantined_for(&at(NOW)));
            }
            Change::Tick => {
                moments(&mut desired, &mut ledger).for_each(|(_, moment)| moment.ms -= TICK);
                desired.offers.iter_mut().for_each(|offer| offer.at.ms -= TICK);
            }
            Change::Pin(level) => desired.pin = Some(version(level)),
            Change::Unpin => desired.pin = None,
            Change::Down => {
                desired.down.get_or_insert_with(|| Down { by: Asker::default(), at: at(NOW) });
            }
            Change::Up => desired.down = None,
            Change::Disagree(level) => {
                let says = versions.says(level).expect("only a version that says another one disagrees");
                desired.disagreed(&spec(level), &version(says));
            }
            Change::RollBack(level) => {
                let (version, spec, why) = (version(level), spec(level).digest(), "it failed".to_owned());
                ledger.rolled_back = Some(RolledBack { version, spec, at: stamp, why });
            }
            Change::Prove(level) => ledger.proved = Some(Proved { version: version(level), at: stamp }),
            Change::Count | Change::CountProofs => {
                ledger.rolled_back = ledger.rolled_back.filter(|_| change == Change::Count);
                tally::count(&ledger, &mut desired, &at(NOW));
                // To count it again would change nothing.
                ledger = Ledger::default();
            }
            Change::Open => ledger = Ledger::default(),
        }
        for failure in &mut desired.failures {
            failure.count = failure.count.min(if versions.counts { MOST_FAILURES } else { 1 });
        }
        desired.failures.sort_by(|a, b| a.version.cmp(&b.version));
        (0..versions.levels).for_each(|level| tidy(&mut desired, &mut ledger, level));
        Self { desired, ledger }
    }

    /// Whether the name is kept for an app, and a launcher of this version is of another one.
    pub(crate) fn is_taken(&self, level: Level) -> bool {
        matches!(self.desired.standing(&spec(level), &origin(level)), AppStanding::Taken(_))
    }

    /// The target of a call with this memory, by a launcher of this version. The versions in `revoked` (bits) are not
    /// trusted any more.
    pub(crate) fn target(&self, asks: Level, attempt: &Attempt, revoked: u8) -> ModelCallTarget {
        let trusts =
            |kept: &Origin| (0..8).any(|level| revoked & (1 << level) == 0 && origin(level) == *kept);
        let allowed = self.desired.allowed(&trusts);
        let app = self.desired.standing(&spec(asks), &origin(asks));
        let choice = CallTarget::of(&allowed, app, attempt, &at(NOW), &|_| true);
        let has_failed = (0..8).any(|level| !attempt.may_start(&version(level)));
        let failure = has_failed.then_some("an earlier start of this call failed");
        let target = ModelTarget::of(&choice.known(failure, false, None));
        ModelCallTarget { target, startable: choice.startable().map(|spec| level_of(&spec.version)) }
    }

    /// How often a version has failed since it last passed a probation.
    pub(crate) fn failures(&self, level: Level) -> u8 {
        let failure = self.desired.failure(&spec(level));
        failure.map_or(0, |failure| u8::try_from(failure.count).unwrap_or(u8::MAX))
    }

    /// Whether a version is in quarantine.
    pub(crate) fn keeps_out(&self, level: Level) -> bool {
        self.desired.failure(&spec(level)).is_some_and(|failure| failure.quarantined(&at(NOW)))
    }
}

fn age(desired: &mut Desired, level: Level, left: impl Fn(&FailureTally) -> Duration) {
    for failure in desired.failures.iter_mut().filter(|failure| failure.version == version(level)) {
        failure.at.ms -= u64::try_from(left(failure).as_millis()).unwrap_or(0);
    }
}

/// The moments of failures and passed probations, each with its version.
fn moments<'known>(
    desired: &'known mut Desired,
    ledger: &'known mut Ledger,
) -> impl Iterator<Item = (Version, &'known mut Moment)> {
    let failures = desired.failures.iter_mut().map(|one| (one.version.clone(), &mut one.at));
    let rolled_back = ledger.rolled_back.iter_mut().map(|one| (one.version.clone(), &mut one.at));
    let proved = ledger.proved.iter_mut().map(|one| (one.version.clone(), &mut one.at));
    failures.chain(rolled_back).chain(proved)
}

/// Keeps only the order and the whole seconds of the moments of one version, so that equal situations become equal
/// records.
fn tidy(desired: &mut Desired, ledger: &mut Ledger, level: Level) {
    let of = |moment: &(Version, &mut Moment)| moment.0 == version(level);
    let mut known: Vec<u64> = moments(desired, ledger).filter(of).map(|(_, moment)| moment.ms).collect();
    known.sort_unstable();
    known.dedup();
    let seconds = |ms: u64| (NOW - ms) / SECOND;
    let tidied = |ms: u64| {
        let later = known.iter().filter(|other| **other > ms && seconds(**other) == seconds(ms)).count();
        // Leaves room for a moment after all of these.
        NOW - seconds(ms) * SECOND - 2 - u64::try_from(later).unwrap_or(0)
    };
    for (_, moment) in moments(desired, ledger).filter(of) {
        moment.ms = tidied(moment.ms);
    }
    for offer in desired.offers.iter_mut().filter(|offer| offer.spec.version == version(level)) {
        let before = known.iter().rev().find(|ms| **ms < offer.at.ms);
        offer.at.ms = match (before, known.first()) {
            (Some(before), _) => tidied(*before) + 1,
            (None, Some(first)) => tidied(*first),
            (None, None) => NOW - 2,
        };
    }
}

/// The version that a person holds.
pub(crate) fn pinned(desired: &Desired) -> Option<Level> {
    desired.pin.as_ref().map(level_of)
}

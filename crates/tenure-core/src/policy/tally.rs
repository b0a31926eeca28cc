//! Counts what became of workers whose launchers were gone or had their answer already. Whoever holds the gate next
//! does it.
//!
//! Pure. Workers leave these facts in the ledger until the next generation opens. So they are read several times and
//! must be counted once. A failure counts if nobody has counted it, if it is later than the last proof of its version,
//! and if the spec was on offer by then. A person who asks for a version anew makes it an offer of that moment.

use crate::spec::version::Version;

use crate::deadline::Moment;
use crate::protocol::ends;
use crate::record::desired::{Desired, Offer};
use crate::record::ledger::Ledger;

/// Counts what the ledger says about its generation.
pub fn count(ledger: &Ledger, desired: &mut Desired, now: &Moment) {
    if let Some(proved) = &ledger.proved {
        desired.proved(&proved.version, &proved.at, now);
    }
    count_rollback(ledger, desired, now);
    count_end(ledger, desired, now);
}

/// Counts a failed successor, which the worker that took its scope back has recorded.
fn count_rollback(ledger: &Ledger, desired: &mut Desired, now: &Moment) {
    let Some(failed) = &ledger.rolled_back else { return };
    let is_it = |offer: &&Offer| offer.spec.version == failed.version && offer.spec.digest() == failed.spec;
    let offer =
        desired.offers.iter().find(is_it).filter(|offer| is_news(ledger, desired, offer, &failed.at, now));
    if let Some(spec) = offer.map(|offer| offer.spec.clone()) {
        desired.failed(&spec, &failed.why, &failed.at);
    }
}

/// Counts a worker that gave up, or that ended soon after it was ready several times, as a failed start. Otherwise each
/// call would begin the same loop anew.
fn count_end(ledger: &Ledger, desired: &mut Desired, now: &Moment) {
    let times = ends::failed_starts(&ledger.ends, ledger.generation);
    let Some(end) = ledger.last_end().filter(|_| times > 0) else { return };
    let is_it = |offer: &&Offer| end.spec.as_ref() == Some(&offer.spec.digest());
    let offer = desired.offers.iter().rev().find(is_it);
    let offer = offer.filter(|offer| is_news(ledger, desired, offer, &end.at, now));
    if let Some(spec) = offer.map(|offer| offer.spec.clone()) {
        desired.failed_at_least(&spec, &end.line(), &end.at, times);
    }
}

/// Whether what happened to an offer at that time is to be counted.
fn is_news(ledger: &Ledger, desired: &Desired, offer: &Offer, at: &Moment, now: &Moment) -> bool {
    let known = desired.failure(&offer.spec).map(|failure| &failure.at);
    let proved = |version: &Version| ledger.proved.as_ref().filter(|proved| proved.version == *version);
    let proved = proved(&offer.spec.version).map(|proved| &proved.at);
    let after = |other: Option<&Moment>| other.is_none_or(|other| at.is_later(other, now));
    after(known) && after(proved) && !offer.at.is_later(at, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ends::{UnaskedEnd, UnaskedEndKind};
    use crate::record::ledger::{Proved, RolledBack};
    use crate::spec::Spec;

    fn at(ms: u64) -> Moment {
        Moment { boot: "b".into(), ms }
    }

    fn spec() -> Spec {
        let mut spec = Spec::of_command(vec!["/bin/true".to_owned()], "/".into());
        spec.version = Version::new(9, 0, 0);
        spec
    }

    /// Version 9 is on offer since then.
    fn offered(since: &Moment) -> Desired {
        let mut desired = Desired::default();
        desired.offer(&spec(), since);
        desired
    }

    fn rolled_back(at: &Moment) -> Ledger {
        let (spec, at) = (spec(), at.clone());
        let failed = RolledBack {
            version: spec.version.clone(),
            spec: spec.digest(),
            at,
            why: "exit status 3".to_owned(),
        };
        Ledger { rolled_back: Some(failed), ..Ledger::default() }
    }

    /// Its program gave up, after it had been started again once.
    fn gave_up(at: &Moment) -> Ledger {
        let end = |how| UnaskedEnd {
            at: at.clone(),
            at_ms: 0,
            generation: 4,
            version: Some(spec().version),
            spec: Some(spec().digest()),
            pid: None,
            how,
            why: "exit status 3".to_owned(),
            served_ms: Some(10),
            last_words: Vec::new(),
        };
        let ends = vec![end(UnaskedEndKind::StartsAgain), end(UnaskedEndKind::GaveUp)];
        Ledger { generation: 4, ends, ..Ledger::default() }
    }

    /// How often version 9 failed, by the record.
    fn times(desired: &Desired) -> u32 {
        desired.failure(&spec()).map_or(0, |failure| failure.count)
    }

    const BOTH: [fn(&Moment) -> Ledger; 2] = [rolled_back, gave_up];

    #[test]
    fn what_is_counted_is_not_counted_again() {
        for ledger in BOTH.map(|of| of(&at(2))) {
            let mut desired = offered(&at(1));
            for now in 3..6 {
                count(&ledger, &mut desired, &at(now));
            }
            // Who offers the same meanwhile does not make it new.
            desired.offer(&spec(), &at(7));
            count(&ledger, &mut desired, &at(8));
            assert_eq!(times(&desired), 1);
        }
    }

    #[test]
    fn what_failed_before_a_version_was_forgotten_and_offered_again_is_not_counted() {
        for ledger in BOTH.map(|of| of(&at(2))) {
            let mut desired = offered(&at(1));
            count(&ledger, &mut desired, &at(3));
            desired.forget(&spec().version);
            count(&ledger, &mut desired, &at(3));
            desired.offer(&spec(), &at(4));
            count(&ledger, &mut desired, &at(5));
            assert_eq!(times(&desired), 0, "a clean slate");
        }
    }

    #[test]
    fn what_failed_before_a_person_began_anew_is_not_counted_again() {
        for ledger in BOTH.map(|of| of(&at(2))) {
            let mut desired = offered(&at(1));
            count(&ledger, &mut desired, &at(3));
            desired.begin_anew(&spec().version, &at(4));
            // A restart that came to nothing for no fault of the version opens no generation.
            count(&ledger, &mut desired, &at(5));
            assert_eq!(times(&desired), 0);
        }
        let mut desired = offered(&at(1));
        desired.begin_anew(&spec().version, &at(4));
        count(&rolled_back(&at(6)), &mut desired, &at(7));
        assert_eq!(times(&desired), 1, "what fails from then on counts");
    }

    #[test]
    fn what_failed_before_its_version_was_proved_is_not_counted_again() {
        for ledger in BOTH.map(|of| of(&at(2))) {
            let mut desired = offered(&at(1));
            count(&ledger, &mut desired, &at(3));
            let proved = Some(Proved { version: spec().version, at: at(4) });
            let ledger = Ledger { proved, ..ledger };
            for now in 5..7 {
                count(&ledger, &mut desired, &at(now));
                assert_eq!(times(&desired), 0);
            }
        }
        let mut desired = offered(&at(1));
        let proved = Some(Proved { version: spec().version, at: at(2) });
        count(&Ledger { proved, ..rolled_back(&at(3)) }, &mut desired, &at(4));
        assert_eq!(times(&desired), 1, "what failed after the proof counts");
    }

    #[test]
    fn what_failed_in_this_boot_counts_beside_what_failed_in_another_one() {
        let before = |ms| Moment { boot: "a".into(), ms };
        for of in BOTH {
            let mut desired = offered(&before(1));
            desired.failed(&spec(), "it broke", &before(1_000));
            count(&of(&at(2)), &mut desired, &at(3));
            count(&of(&at(2)), &mut desired, &at(4));
            assert_eq!(times(&desired), 2);
            // And what stands in a ledger from before is no news to an offer of this boot.
            let mut desired = offered(&at(1));
            count(&of(&before(2)), &mut desired, &at(3));
            assert_eq!(times(&desired), 0);
        }
    }
}

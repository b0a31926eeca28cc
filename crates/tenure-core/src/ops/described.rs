//! Whether each offer on record may be started, and whether its file still describes it.
//!
//! For answers to people and for the doctor; a call that starts something asks `offers`. This room reads each file
//! that offers came from once, and runs nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::spec::version::Version;

use crate::launch::start::recipe;
use crate::ops::offers;
use crate::record::desired::{Desired, Offer};
use crate::spec::origin::{ReadStated, StatedNow};

/// An offer of a record, and whether it may be started and is still described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The version.
    pub version: Version,
    /// The file that it was read from; `None` where the call itself named it.
    pub file: Option<PathBuf>,
    /// Whether it may be started: what a project's file offered may not, once that content is not trusted any more.
    pub trusted: bool,
    /// Whether it is still meant: its file states this version, or, without a file, its program exists.
    pub described: bool,
}

/// The offers of the record of the worker of that name, lowest version first. `read` reads the files that they came
/// from.
#[must_use]
pub fn offered<'record>(record: &'record Desired, name: &str, read: ReadStated) -> Vec<Offered> {
    let allowed = offers::allowed(record);
    let mut files: BTreeMap<&Path, StatedNow> = BTreeMap::new();
    let of = |offer: &'record Offer| {
        let Offer { spec, origin, .. } = offer;
        let version = &spec.version;
        let path = origin.path();
        let described = match path {
            Some(path) => files.entry(path).or_insert_with(|| read(path, name)).describes(version),
            None => recipe::can_run(spec),
        };
        let trusted = allowed.offered(version).is_some();
        Offered { version: version.clone(), file: path.map(Path::to_owned), trusted, described }
    };
    record.offers.iter().map(of).collect()
}

/// The offers that a person should know of, among those that are not trusted or not described: under a pin the pinned
/// one, and otherwise each that is higher than every good offer. Lower ones are what each upgrade leaves behind.
pub fn doubtful<'all>(
    offered: &'all [Offered],
    pinned: Option<&'all Version>,
) -> impl Iterator<Item = &'all Offered> {
    let is_good = |offer: &&Offered| offer.trusted && offer.described;
    let highest = offered.iter().filter(is_good).map(|offer| &offer.version).max();
    let counts = move |offer: &&Offered| {
        pinned.map_or_else(
            || highest.is_none_or(|highest| offer.version > *highest),
            |pinned| offer.version == *pinned,
        )
    };
    offered.iter().filter(move |offer| !is_good(offer)).filter(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(major: u64, trusted: bool, described: bool) -> Offered {
        Offered { version: Version::new(major, 0, 0), file: None, trusted, described }
    }

    fn told(offered: &[Offered], pinned: Option<u64>) -> Vec<u64> {
        let pinned = pinned.map(|major| Version::new(major, 0, 0));
        doubtful(offered, pinned.as_ref()).map(|offer| offer.version.major()).collect()
    }

    #[test]
    fn what_an_upgrade_leaves_below_is_no_news() {
        let offered = [offer(1, true, false), offer(2, false, true), offer(3, true, true)];
        assert!(told(&offered, None).is_empty());
    }

    #[test]
    fn what_lies_above_all_that_stands_is_told() {
        let offered =
            [offer(1, false, true), offer(2, true, true), offer(3, false, true), offer(4, true, false)];
        assert_eq!(told(&offered, None), [3, 4]);
        assert_eq!(told(&[offer(1, true, false)], None), [1], "where nothing stands, all of it");
    }

    #[test]
    fn under_a_pin_only_the_pinned_one_counts() {
        let offered = [offer(1, true, false), offer(2, true, true), offer(3, false, true)];
        assert_eq!(told(&offered, Some(1)), [1]);
        assert!(told(&offered, Some(2)).is_empty());
    }
}

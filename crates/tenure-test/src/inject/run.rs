//! Many faults: every call of a road in turn, as far as the road is long, but none that was struck before.

use std::collections::{BTreeMap, BTreeSet};

use crate::inject::fault::{Course, Fault, Kind};

/// Which of the calls of a road are struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first, from 1.
    pub first: usize,
    /// Every how many-th after it.
    pub step: usize,
    /// The last, whether the road is longer or not.
    pub last: usize,
}

/// What was tried already.
#[derive(Debug, Clone, Default)]
pub struct Known {
    tried: BTreeSet<Fault>,
    /// From this number on, a run has no such call.
    ends: BTreeMap<(Course, Kind), usize>,
}

impl Known {
    /// Adds a fault that was armed, and whether it struck.
    pub fn add(&mut self, fault: &Fault, struck: bool) {
        self.tried.insert(fault.clone());
        if !struck {
            let end = self.ends.entry((fault.course, fault.kind.clone())).or_insert(fault.nth);
            *end = fault.nth.min(*end);
        }
    }

    fn is_beyond(&self, fault: &Fault) -> bool {
        self.ends.get(&(fault.course, fault.kind.clone())).is_some_and(|end| *end <= fault.nth)
    }
}

/// Strikes the calls of one kind on one road that are not known yet: until a fault finds no call any more, or `pace` ends.
/// `strike` injects a fault and tells whether it struck.
pub fn row<E>(
    (course, kind): (Course, &Kind),
    pace: Pace,
    known: &mut Known,
    mut strike: impl FnMut(Fault) -> Result<bool, E>,
) -> Result<(), E> {
    for nth in (pace.first..=pace.last).step_by(pace.step.max(1)) {
        let fault = Fault { course, kind: kind.clone(), nth };
        if known.is_beyond(&fault) {
            break;
        }
        if !known.tried.contains(&fault) {
            let struck = strike(fault.clone())?;
            known.add(&fault, struck);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which calls of a road of five are struck.
    fn struck(known: &mut Known, (first, step, last): (usize, usize, usize)) -> Vec<usize> {
        let (course, kind) = ("host cold".parse().expect("a course"), "kill:write".parse().expect("a kind"));
        let mut numbers = Vec::new();
        let strike = |fault: Fault| {
            numbers.push(fault.nth);
            Ok::<_, ()>(fault.nth <= 5)
        };
        row((course, &kind), Pace { first, step, last }, known, strike).expect("a row");
        numbers
    }

    #[test]
    fn a_run_that_goes_on_strikes_what_was_not_struck_before() {
        let mut known = Known::default();
        assert_eq!(struck(&mut known, (1, 2, 3)), [1, 3]);
        assert_eq!(struck(&mut known, (1, 1, 4)), [2, 4]);
        assert_eq!(struck(&mut known, (1, 3, 100)), [7], "1 and 4 are known, 7 finds no call");
        assert_eq!(struck(&mut known, (1, 1, 100)), [5, 6]);
        assert_eq!(struck(&mut known, (1, 1, 100)), [0; 0], "the end is known");
    }
}

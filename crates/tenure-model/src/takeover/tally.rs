//! What is on record against versions: the tally of `desired.json`, and what workers leave in the ledger for it.
//!
//! Time is counted in ticks: a version that has failed `n` times is in quarantine for `n` of them. Beside the record stands
//! what is true, so that a rule that forgets too much is found out.

/// Versions.
const LEVELS: usize = 4;

/// The longest quarantine; more failures than this are not told apart.
const MOST: u8 = 3;

/// What is known against one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Known {
    /// Failures since it was proved.
    pub(super) count: u8,
    /// Ticks until it may be tried again.
    pub(super) wait: u8,
}

impl Known {
    fn failed(&mut self, aged: u8) {
        self.count = (self.count + 1).min(MOST);
        self.wait = self.count.saturating_sub(aged);
    }

    fn tick(&mut self) {
        self.wait = self.wait.saturating_sub(1);
    }
}

/// All versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    /// `failures` of `desired.json`.
    known: [Known; LEVELS],
    /// `rolled_back` of the ledger, while nobody has counted it: the version, and ticks since it was written.
    rolled_back: Option<(u8, u8)>,
    /// `proved` of the ledger, likewise.
    proved: Option<u8>,
    /// What is true: failures in a probation.
    truth: [Known; LEVELS],
}

impl Tally {
    /// Whether a version is in quarantine, by what is counted.
    pub(super) fn keeps_out(&self, level: u8) -> bool {
        self.known[usize::from(level)].wait > 0
    }

    /// Whether any is.
    pub(super) fn keeps_any_out(&self) -> bool {
        self.known.iter().any(|known| known.wait > 0)
    }

    /// Whether it would be, if every failure in a probation was counted.
    pub(super) fn should_keep_out(&self, level: u8) -> bool {
        self.truth[usize::from(level)].wait > 0
    }

    /// Failures of a version that are counted.
    pub(super) fn failures(&self, level: u8) -> u8 {
        self.known[usize::from(level)].count
    }

    /// A launcher counts what it was told itself; the worker before that one may have put the same on record.
    pub(super) fn failed(&mut self, level: u8) {
        self.known[usize::from(level)].failed(0);
        self.rolled_back = self.rolled_back.filter(|(recorded, _)| *recorded != level);
    }

    /// A launcher clears the tally of a version.
    pub(super) fn clear(&mut self, level: u8) {
        self.known[usize::from(level)] = Known::default();
    }

    /// Nothing is held against a version any more: it has no probation before it.
    pub(super) fn succeeded(&mut self, level: u8) {
        self.clear(level);
        self.truth[usize::from(level)] = Known::default();
    }

    /// The worker that goes on puts on record that its successor failed; `served` is whether that was on probation.
    pub(super) fn roll_back(&mut self, level: u8, served: bool) {
        self.rolled_back = Some((level, 0));
        if served {
            self.truth[usize::from(level)].failed(0);
        }
    }

    /// The worker itself has passed, and puts that on record where it can. Where nothing is known against it that changes
    /// nothing.
    pub(super) fn prove(&mut self, level: u8, records: bool) {
        self.truth[usize::from(level)] = Known::default();
        if records && self.known[usize::from(level)] != Known::default() {
            self.proved = Some(level);
        }
    }

    /// Who enters the gate counts what workers have left in the ledger.
    pub(super) fn count(&mut self, counts_failures: bool) {
        if let Some(level) = self.proved.take() {
            self.clear(level);
        }
        if let Some((level, aged)) = self.rolled_back.take()
            && counts_failures
        {
            self.known[usize::from(level)].failed(aged);
        }
    }

    /// Whether time makes a difference.
    pub(super) fn ages(&self) -> bool {
        let waits = |known: &Known| known.wait > 0;
        self.known.iter().any(waits) || self.truth.iter().any(waits) || self.rolled_back.is_some()
    }

    /// Time passes.
    pub(super) fn tick(&mut self) {
        self.known.iter_mut().chain(&mut self.truth).for_each(Known::tick);
        self.rolled_back = self.rolled_back.map(|(level, aged)| (level, (aged + 1).min(MOST)));
    }
}

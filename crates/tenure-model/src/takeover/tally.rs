//! The true failures of versions in their probation. Launchers use the shipped record; a rule that forgets a failure
//! shows as a difference between the two.
//!
//! Time is counted in ticks: a version that has failed `n` times must not be chosen before `n` of them have passed. The
//! shipped quarantine is at least as long.

/// Most versions.
const LEVELS: usize = 4;

/// Failures beyond this number count as this number.
const MOST: u8 = 3;

/// The true failures of one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Truth {
    /// Failures since it last passed a probation.
    count: u8,
    /// Ticks until it may be tried again.
    wait: u8,
}

/// The true failures of all versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally([Truth; LEVELS]);

impl Tally {
    /// Whether a version should be in quarantine.
    pub(super) fn keeps_out(self, level: u8) -> bool {
        self.0[usize::from(level)].wait > 0
    }

    /// It failed in its probation.
    pub(super) fn failed(&mut self, level: u8) {
        let truth = &mut self.0[usize::from(level)];
        truth.count = (truth.count + 1).min(MOST);
        truth.wait = truth.count;
    }

    /// Clears its failures: it has passed its probation, or a person asks for it.
    pub(super) fn clear(&mut self, level: u8) {
        self.0[usize::from(level)] = Truth::default();
    }

    /// Whether the passing of time changes anything.
    pub(super) fn ages(self) -> bool {
        self.0.iter().any(|truth| truth.wait > 0)
    }

    /// Time passes.
    pub(super) fn tick(&mut self) {
        for truth in &mut self.0 {
            truth.wait = truth.wait.saturating_sub(1);
        }
    }
}

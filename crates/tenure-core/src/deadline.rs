//! One budget, cut into named stages; the only clock of the product.
//!
//! Refuses to be a timer: nothing here waits. Rooms take a [`Stage`] and hand its remaining time to the kernel call
//! that blocks. Monotonic time measures budgets; [`Moment`] (boot id + time since boot) is what records carry, so that
//! a step of the wall clock moves nothing. Wall time appears in events only, for people.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tenure_sys::{clock, identity};

/// The budget of one call, running since [`Deadline::start`].
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    budget: Duration,
    ends: Duration,
}

/// A named part of a budget. Its name appears in the message when it runs out.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    name: &'static str,
    budget: Duration,
    ends: Duration,
}

/// The budget ended in a named stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("finish within {budget:?}: time ran out at stage \"{stage}\"")]
pub struct TimedOut {
    /// The stage that was running.
    pub stage: &'static str,
    /// The whole budget of the call.
    pub budget: Duration,
}

impl Deadline {
    /// Starts the clock on `budget`.
    #[must_use]
    pub fn start(budget: Duration) -> Self {
        Self { budget, ends: clock::monotonic().saturating_add(budget) }
    }

    /// Opens the stage `name`; an error when the budget is already spent.
    pub fn stage(&self, name: &'static str) -> Result<Stage, TimedOut> {
        let stage = Stage { name, budget: self.budget, ends: self.ends };
        if stage.remaining().is_zero() { Err(stage.timed_out()) } else { Ok(stage) }
    }

    /// What is left of the budget; zero when it is spent.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_sub(clock::monotonic())
    }
}

impl Stage {
    /// What is left; zero when it has run out.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_sub(clock::monotonic())
    }

    /// The same stage, ending after `limit` at the latest.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self { ends: self.ends.min(clock::monotonic().saturating_add(limit)), ..self }
    }

    /// The error that says that this stage used up the budget.
    #[must_use]
    pub fn timed_out(&self) -> TimedOut {
        TimedOut { stage: self.name, budget: self.budget }
    }

    /// The stage's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A point in time that a record may carry: it means nothing after a reboot and does not move with the wall clock.
///
/// ```
/// use std::time::Duration;
/// use tenure::Moment;
///
/// let now = Moment::now();
/// assert!(now.plus(Duration::from_secs(1)).is_after(&now));
/// assert!(!Moment::of("another boot", u64::MAX).is_after(&now), "nobody can tell");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Moment {
    /// Kernel boot id.
    pub boot: String,
    /// Milliseconds since that boot, suspend included (`CLOCK_BOOTTIME`).
    pub ms: u64,
}

impl Moment {
    /// Now, on this boot. The boot id is empty where the kernel does not tell it.
    #[must_use]
    pub fn now() -> Self {
        Self { boot: identity::boot_id().unwrap_or_default(), ms: millis(clock::boottime()) }
    }

    /// The moment `ms` milliseconds after the boot whose kernel id is `boot`.
    #[must_use]
    pub fn of(boot: impl Into<String>, ms: u64) -> Self {
        Self { boot: boot.into(), ms }
    }

    /// This moment plus `span`.
    #[must_use]
    pub fn plus(&self, span: Duration) -> Self {
        Self { boot: self.boot.clone(), ms: self.ms.saturating_add(millis(span)) }
    }

    /// Whether this moment still lies ahead of `now`; one of another boot never does.
    #[must_use]
    pub fn is_after(&self, now: &Self) -> bool {
        self.boot == now.boot && self.ms > now.ms
    }

    /// Whether this moment came after `other`. Of two boots the present one is the later; of two former ones nobody can
    /// tell.
    #[must_use]
    pub fn is_later(&self, other: &Self, now: &Self) -> bool {
        if self.boot == other.boot { self.ms > other.ms } else { self.boot == now.boot }
    }

    /// How long ago this moment was at `now`; zero where it is of another boot.
    #[must_use]
    pub fn until(&self, now: &Self) -> Duration {
        if self.boot == now.boot {
            Duration::from_millis(now.ms.saturating_sub(self.ms))
        } else {
            Duration::ZERO
        }
    }

    /// How far this moment lies ahead of `now`; zero when it has passed or belongs to another boot.
    #[must_use]
    pub fn ahead_of(&self, now: &Self) -> Duration {
        if self.is_after(now) { Duration::from_millis(self.ms - now.ms) } else { Duration::ZERO }
    }
}

/// Wall-clock time in milliseconds since the Unix epoch, for events that people read. Never decides anything.
#[must_use]
pub fn wall_millis() -> u64 {
    millis(clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Time that runs without steps, for measuring how long something took.
#[must_use]
pub fn monotonic() -> Duration {
    clock::monotonic()
}

/// Whole milliseconds of `span`, saturating.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: &str, ms: u64) -> Moment {
        Moment { boot: boot.to_owned(), ms }
    }

    #[test]
    fn a_spent_budget_names_the_stage() {
        let error = Deadline::start(Duration::ZERO).stage("gate").expect_err("spent");
        assert_eq!(error.to_string(), "finish within 0ns: time ran out at stage \"gate\"");
    }

    #[test]
    fn a_stage_never_outlives_its_budget() {
        let stage = Deadline::start(Duration::from_secs(1)).stage("probe").expect("fresh");
        assert!(stage.at_most(Duration::from_mins(1)).remaining() <= Duration::from_secs(1));
        assert!(stage.at_most(Duration::ZERO).remaining().is_zero());
    }

    #[test]
    fn a_moment_of_another_boot_has_passed() {
        assert!(!at("a", 10).is_after(&at("b", 5)));
        assert!(at("a", 10).is_after(&at("a", 5)));
        assert_eq!(at("a", 10).ahead_of(&at("a", 4)), Duration::from_millis(6));
    }

    #[test]
    fn what_happened_in_this_boot_came_after_all_of_another_one() {
        let now = at("b", 100);
        assert!(at("b", 5).is_later(&at("a", 10), &now) && !at("a", 10).is_later(&at("b", 5), &now));
        assert!(at("b", 6).is_later(&at("b", 5), &now) && !at("b", 5).is_later(&at("b", 5), &now));
        assert!(!at("a", 10).is_later(&at("c", 5), &now), "nobody can tell");
    }
}

//! The three clocks of the machine, read and nothing more.
//!
//! Budgets and stages belong to the callers. Inside this crate a bounded wait keeps its end as a `WaitLimit`, so that
//! after an interrupting signal it goes on with the time that is left.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Time since the machine was started, sleep included (`CLOCK_BOOTTIME`).
///
/// Comparable between processes of one boot; meaningless after the next one.
#[must_use]
pub fn boottime() -> Duration {
    read(ClockId::Boottime)
}

/// Time that only moves forward and stands still while the machine sleeps (`CLOCK_MONOTONIC`).
#[must_use]
pub fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// The time of day, for what people read; it may jump in either direction.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that the rest of the project is told to use"
)]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The end of a bounded wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitLimit(Option<Duration>);

impl WaitLimit {
    /// Fixes the end; `None`, or a length that no clock can hold, means for ever.
    pub(crate) fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| monotonic().checked_add(limit)))
    }

    /// The time left: `None` means for ever, zero that the wait is over.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_sub(monotonic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_beyond_the_clock_is_for_ever() {
        assert_eq!(WaitLimit::after(Some(Duration::MAX)).left(), None);
        assert_eq!(WaitLimit::after(None).left(), None);
    }

    #[test]
    fn an_end_in_the_past_leaves_nothing() {
        assert_eq!(WaitLimit::after(Some(Duration::ZERO)).left(), Some(Duration::ZERO));
    }

    #[test]
    fn boottime_is_never_behind_monotonic() {
        let monotonic = monotonic();
        assert!(boottime() >= monotonic);
    }
}

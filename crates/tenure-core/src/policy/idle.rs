//! When a worker that nobody uses ends: one deadline, and what counts at it.
//!
//! Pure: no clock, no I/O. A use only stores a time. At the deadline every kind of use is asked, each only if those
//! before it do not decide already; the deadline moves, or the worker ends. Nothing is asked in between, so a worker
//! that is used is woken once in its `idle_timeout`.
//!
//! ```text
//!   ready ──▶ due = now + timeout ──at due──▶ asked: is it used? ──no──▶ it ends
//!                   ▲                             │
//!                   └── the last use + timeout ───┘ yes
//! ```

use std::time::Duration;

/// What one kind of use says at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// There was none, as far as this kind can tell.
    None,
    /// The last one ended at this time.
    Until(Duration),
    /// It goes on, or cannot be told: what is not known does not end a worker.
    Now,
}

/// The deadline of a worker that ends without use. Times are of a clock that never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleClock {
    timeout: Duration,
    last_use: Duration,
    /// None until the worker serves.
    due: Option<Duration>,
}

impl IdleClock {
    /// The clock of a worker that does not serve yet: it has no deadline.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, last_use: Duration::ZERO, due: None }
    }

    /// The worker serves, from `now` on; what was called before changes nothing more.
    pub fn serves(&mut self, now: Duration) {
        if self.due.is_none() {
            self.used(now);
            self.due = Some(self.last_use.saturating_add(self.timeout));
        }
    }

    /// The worker was used at `now`.
    pub fn used(&mut self, now: Duration) {
        self.last_use = self.last_use.max(now);
    }

    /// When the kinds of use are to be asked; `None` where there is no deadline.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether the worker is to end at `now`. Moves the deadline where it is not. `uses` are asked in their order, only
    /// at the deadline, and no further once one of them decides.
    pub fn is_over(&mut self, now: Duration, uses: impl IntoIterator<Item = Use>) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        let mut uses = uses.into_iter();
        while self.ends_at() <= now {
            match uses.next() {
                None => return true,
                Some(Use::None) => {}
                Some(Use::Until(time)) => self.used(time.min(now)),
                Some(Use::Now) => self.used(now),
            }
        }
        self.due = Some(self.ends_at());
        false
    }

    fn ends_at(&self) -> Duration {
        self.last_use.saturating_add(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn serving() -> IdleClock {
        let mut clock = IdleClock::new(TIMEOUT);
        clock.serves(at(100));
        clock
    }

    #[test]
    fn a_worker_that_does_not_serve_yet_has_no_deadline() {
        let mut clock = IdleClock::new(TIMEOUT);
        clock.used(at(5));
        assert_eq!(clock.due(), None);
        assert!(!clock.is_over(at(1000), []));
        clock.serves(at(1000));
        clock.serves(at(2000));
        assert_eq!(clock.due(), Some(at(1030)));
    }

    #[test]
    fn without_use_it_ends_at_its_deadline_and_not_before() {
        let mut clock = serving();
        assert!(!clock.is_over(at(129), []));
        assert!(clock.is_over(at(130), [Use::None, Use::Until(at(99))]));
    }

    #[test]
    fn a_use_that_is_known_moves_the_deadline_and_nothing_is_asked() {
        let mut clock = serving();
        clock.used(at(120));
        assert_eq!(clock.due(), Some(at(130)), "a use only stores a time");
        let unasked = std::iter::from_fn(|| unreachable!("it is not asked"));
        assert!(!clock.is_over(at(130), unasked));
        assert_eq!(clock.due(), Some(at(150)));
    }

    #[test]
    fn a_use_that_goes_on_gives_it_the_whole_time_and_ends_the_questions() {
        let mut clock = serving();
        let uses = [Use::None, Use::Now].into_iter().chain(std::iter::from_fn(|| unreachable!("decided")));
        assert!(!clock.is_over(at(131), uses));
        assert_eq!(clock.due(), Some(at(161)));
        assert!(!clock.is_over(at(161), [Use::Until(at(150))]));
        assert_eq!(clock.due(), Some(at(180)));
    }

    proptest! {
        /// It ends only where its whole time is over since the last use that it was told of.
        #[test]
        fn it_never_ends_within_its_time_after_a_use(
            used in proptest::collection::vec(100..400u64, 0..20),
            looks in proptest::collection::vec(100..500u64, 0..40),
        ) {
            let mut clock = serving();
            let mut steps: Vec<(u64, bool)> = used.into_iter().map(|time| (time, true)).collect();
            steps.extend(looks.into_iter().map(|time| (time, false)));
            steps.sort_unstable();
            let mut last = 100;
            for (time, is_use) in steps {
                if is_use {
                    clock.used(at(time));
                    last = time;
                } else if clock.is_over(at(time), []) {
                    prop_assert!(time >= last + 30);
                    break;
                } else {
                    prop_assert!(clock.due() > Some(at(time)) || time < last + 30);
                }
            }
        }
    }
}

//! Whether, and after which wait, a program that ended starts again.
//!
//! Pure. Two memories decide: the restarts within the policy's window (more than `limit` and the host gives up), and
//! the streak of restarts that followed each other closely (the wait doubles with each). A program that ran through the
//! window and the longest wait has recovered: its next wait is the shortest again.

use std::time::Duration;

use crate::spec::{RestartOn, RestartPolicy};

/// Why a program might have to start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestartCause {
    /// It ended by itself, with exit status 0.
    Success,
    /// It ended with another exit status or by a signal, or could not be started again.
    Failure,
    /// It runs, and its health check failed often enough.
    Unhealthy,
}

/// What the policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// Start it again after this wait.
    Again(Duration),
    /// The policy does not restart for this cause.
    Unwanted,
    /// The limit of restarts is spent.
    Spent,
}

/// The restarts so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct History {
    recent: Vec<Duration>,
    streak: u32,
}

impl History {
    /// Decides about a cause at `now`, a time that never goes back, and remembers a restart that it grants.
    pub fn rule(&mut self, policy: &RestartPolicy, cause: RestartCause, now: Duration) -> Ruling {
        if !wanted(policy.on, cause) {
            return Ruling::Unwanted;
        }
        let quiet = policy.window.duration().saturating_add(policy.backoff.longest().duration());
        if self.recent.last().is_none_or(|last| now.saturating_sub(*last) >= quiet) {
            self.streak = 0;
        }
        let window = policy.window.duration();
        self.recent.retain(|restart| now.saturating_sub(*restart) < quiet);
        let counted = self.recent.iter().filter(|restart| now.saturating_sub(**restart) < window).count();
        if counted >= usize::try_from(policy.limit).unwrap_or(usize::MAX) {
            return Ruling::Spent;
        }
        let wait = wait(policy, self.streak);
        self.streak = self.streak.saturating_add(1);
        self.recent.push(now);
        Ruling::Again(wait)
    }
}

fn wanted(on: RestartOn, cause: RestartCause) -> bool {
    match (on, cause) {
        (RestartOn::Always, _) | (RestartOn::Failure, RestartCause::Failure | RestartCause::Unhealthy) => {
            true
        }
        (RestartOn::Failure, RestartCause::Success) | (RestartOn::Never, _) => false,
    }
}

fn wait(policy: &RestartPolicy, streak: u32) -> Duration {
    let factor = 2_u32.checked_pow(streak).unwrap_or(u32::MAX);
    policy.backoff.first().duration().saturating_mul(factor).min(policy.backoff.longest().duration())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Backoff;
    use crate::spec::amount::Span;

    fn policy(on: RestartOn, limit: u32) -> RestartPolicy {
        let backoff = Backoff::new(Span::millis(250), Span::secs(2));
        RestartPolicy { on, backoff, limit, window: Span::secs(60) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_cause_is_restarted_where_the_policy_wants_it() {
        for (on, cause, restarts) in [
            (RestartOn::Failure, RestartCause::Failure, true),
            (RestartOn::Failure, RestartCause::Unhealthy, true),
            (RestartOn::Failure, RestartCause::Success, false),
            (RestartOn::Always, RestartCause::Success, true),
            (RestartOn::Always, RestartCause::Failure, true),
            (RestartOn::Never, RestartCause::Failure, false),
            (RestartOn::Never, RestartCause::Unhealthy, false),
        ] {
            let ruling = History::default().rule(&policy(on, 5), cause, at(0));
            assert_eq!(matches!(ruling, Ruling::Again(_)), restarts, "{on:?} {cause:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (policy, mut history) = (policy(RestartOn::Failure, 9), History::default());
        let waits: Vec<u64> = (0..5)
            .map(|second| match history.rule(&policy, RestartCause::Failure, at(second)) {
                Ruling::Again(wait) => u64::try_from(wait.as_millis()).expect("short"),
                Ruling::Unwanted | Ruling::Spent => 0,
            })
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 2000]);
    }

    #[test]
    fn the_limit_counts_what_lies_within_the_window() {
        let (policy, mut history) = (policy(RestartOn::Failure, 2), History::default());
        let mut rule = |second| history.rule(&policy, RestartCause::Failure, at(second));
        assert!(matches!(rule(0), Ruling::Again(_)));
        assert!(matches!(rule(30), Ruling::Again(_)));
        assert_eq!(rule(59), Ruling::Spent);
        assert!(matches!(rule(60), Ruling::Again(_)), "the first one has left the window");
    }

    #[test]
    fn a_program_that_ran_long_enough_waits_the_shortest_time_again() {
        let (policy, mut history) = (policy(RestartOn::Failure, 9), History::default());
        for second in 0..4 {
            history.rule(&policy, RestartCause::Failure, at(second));
        }
        assert_eq!(
            history.rule(&policy, RestartCause::Failure, at(3 + 62)),
            Ruling::Again(Duration::from_millis(250))
        );
    }

    #[test]
    fn a_limit_of_zero_never_restarts() {
        let ruling = History::default().rule(&policy(RestartOn::Always, 0), RestartCause::Failure, at(0));
        assert_eq!(ruling, Ruling::Spent);
    }

    #[test]
    fn history_does_not_grow_without_bound() {
        let (policy, mut history) = (policy(RestartOn::Always, u32::MAX), History::default());
        for second in 0..1000 {
            history.rule(&policy, RestartCause::Failure, at(second));
        }
        assert!(history.recent.len() <= 62, "{}", history.recent.len());
    }
}

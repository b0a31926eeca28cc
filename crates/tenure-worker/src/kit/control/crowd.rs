//! Which peer is disconnected when a newcomer finds no place.
//!
//! Pure. A newcomer is never left in the kernel's queue, since its caller cannot tell that from a worker that is stuck.
//! The peer is closed that loses least: first an idle one, then one that has sent half a request or does not read its
//! answers, then one with a WAIT, which can connect and wait again. A peer that has just connected, or has just been
//! answered, is about to send a request and comes last.

use std::time::Duration;

/// How long an idle peer counts as about to ask. A launcher sends its next request in one write after it has connected,
/// or after the answer before, so it needs far less; a silent peer cannot keep its place by this for long.
const ABOUT_TO_ASK: Duration = Duration::from_secs(1);

/// What closing a peer costs. The lowest is closed first: of peers in one state, the one that was silent for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    state: CrowdState,
    still_since: Duration,
}

/// What goes on on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CrowdState {
    /// Nothing.
    Idle,
    /// Half a request, or answers that are not read.
    Stuck,
    /// A WAIT.
    Waiting,
    /// It has just connected, or been answered.
    Fresh,
}

impl Cost {
    /// The cost of a peer that is in this state since `still_since`.
    pub(super) fn of(state: CrowdState, still_since: Duration, now: Duration) -> Self {
        let is_fresh = now.saturating_sub(still_since) < ABOUT_TO_ASK;
        let state = if state == CrowdState::Idle && is_fresh { CrowdState::Fresh } else { state };
        Self { state, still_since }
    }
}

/// The places of the `count` peers who are closed for newcomers, in ascending order.
pub(super) fn closed_for_newcomers(costs: &[Cost], count: usize) -> Vec<usize> {
    let count = count.min(costs.len());
    let mut places: Vec<usize> = (0..costs.len()).collect();
    if let 1.. = count
        && count < places.len()
    {
        places.select_nth_unstable_by_key(count - 1, |place| costs[*place]);
    }
    places.truncate(count);
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn cost(state: CrowdState, seconds_ago: u64) -> Cost {
        Cost::of(state, NOW.saturating_sub(Duration::from_secs(seconds_ago)), NOW)
    }

    #[test]
    fn the_idle_go_first_then_the_stuck_then_those_who_wait_and_those_about_to_ask_last() {
        let costs = [
            cost(CrowdState::Idle, 0),
            cost(CrowdState::Waiting, 50),
            cost(CrowdState::Stuck, 60),
            cost(CrowdState::Idle, 2),
            cost(CrowdState::Stuck, 5),
        ];
        assert_eq!(closed_for_newcomers(&costs, 1), [3]);
        assert_eq!(closed_for_newcomers(&costs, 2), [2, 3]);
        assert_eq!(closed_for_newcomers(&costs, 4), [1, 2, 3, 4]);
        assert_eq!(closed_for_newcomers(&costs, 9), [0, 1, 2, 3, 4]);
        assert!(closed_for_newcomers(&costs, 0).is_empty() && closed_for_newcomers(&[], 1).is_empty());
    }

    #[test]
    fn among_equals_the_one_that_was_still_for_longest_goes_first() {
        let costs =
            [cost(CrowdState::Waiting, 3), cost(CrowdState::Waiting, 9), cost(CrowdState::Waiting, 6)];
        assert_eq!(closed_for_newcomers(&costs, 1), [1]);
        assert_eq!(closed_for_newcomers(&costs, 2), [1, 2]);
    }

    #[test]
    fn who_says_nothing_for_long_is_not_about_to_ask() {
        assert_eq!(closed_for_newcomers(&[cost(CrowdState::Waiting, 9), cost(CrowdState::Idle, 2)], 1), [1]);
    }
}

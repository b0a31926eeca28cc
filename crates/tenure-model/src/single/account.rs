//! Compares the answers that callers get with the state, and notes each violation in the state.
//!
//! It changes nothing else. [`crate::single::invariant`] has the property that each violation breaks.

use tenure_core::policy::lifecycle::LifecycleState;

use crate::scenario::{Rules, Task};
use crate::single::state::{Launcher, Outcome, Pc, State};

/// A call ends with `outcome`, before it lets go of its locks.
pub(super) fn settle(rules: &Rules, s: &mut State, me: u8, outcome: Outcome) {
    let level = s.launcher(me).level;
    let pins = rules.has(Task::Pin);
    let is_answer = if outcome == Outcome::Older {
        // Only a pin makes a call accept an older version than one that can start.
        pins
    } else {
        // A version to be pinned may be unknown, because nobody has offered it yet. A stranger is refused.
        let is_stranger = outcome == Outcome::Refused && rules.policy.is_taken(s.desired, level);
        outcome == Outcome::Unknown || is_stranger || !outcome.is_error()
    };
    let owed = rules.owes_answers() && rules.is_sound(level);
    s.unsound |= !is_answer && owed && is_undisturbed(rules, s);
    check_persons_answer(rules, s, me, outcome);
}

/// Whether nothing has gone wrong but what a call must cope with: slow answers, time, and ends without use.
fn is_undisturbed(rules: &Rules, s: &State) -> bool {
    let mut left = s.left;
    (left.slow, left.ticks, left.idles) = (rules.limits.slow, rules.limits.ticks, rules.limits.idles);
    left == rules.limits
}

/// Compares the answer that a person gets with the state.
fn check_persons_answer(rules: &Rules, s: &mut State, me: u8, outcome: Outcome) {
    let Launcher { task, copy, .. } = *s.launcher(me);
    match (task, outcome) {
        (Task::Pin, Outcome::PinFailed) if is_undisturbed(rules, s) => {
            let serves =
                s.workers.iter().find(|worker| worker.is(LifecycleState::Active)).map(|worker| worker.level);
            let pinned = rules.policy.facts(s.desired).pinned;
            let changed = pinned != rules.policy.facts(copy).pinned;
            s.pin_left_damage |=
                changed || serves.is_none() || pinned.is_some_and(|pinned| serves != Some(pinned));
        }
        // Unless a person has started it again meanwhile.
        (Task::Down, Outcome::Stopped) => s.downed = rules.policy.facts(s.desired).down,
        (Task::Start, Outcome::Serving(_) | Outcome::Joined | Outcome::Older) => {
            let again = |one: &Launcher| one.task == Task::Down && !one.is_over() && one.pc != Pc::Idle;
            let down = |record| rules.policy.facts(record).down;
            // Both when the call began and now.
            s.start_ignored |= down(copy) && down(s.desired) && !s.launchers.iter().any(again);
        }
        _ => {}
    }
}

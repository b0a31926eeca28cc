//! Checks what callers were told against what is true, and notes each violation in the state.
//!
//! Changes nothing else in the state. Which property a violation breaks is in [`crate::single::invariant`].

use tenure_core::policy::lifecycle::LifecycleState;

use crate::scenario::{Rules, Task};
use crate::single::state::{Launcher, Outcome, Pc, State};

/// A call ends with `outcome`, and still holds what it held.
pub(super) fn settle(rules: &Rules, s: &mut State, me: u8, outcome: Outcome) {
    let level = s.launcher(me).level;
    let pins = rules.has(Task::Pin);
    let is_answer = if outcome == Outcome::Older {
        // Without a pin, the version of whoever can start is never passed over.
        pins
    } else {
        // A version may be unknown: nobody has offered it yet.
        outcome == Outcome::Unknown || !outcome.is_error()
    };
    let owed = rules.owes_answers() && rules.is_sound(level);
    s.unsound |= !is_answer && owed && is_undisturbed(rules, s);
    check_persons_answer(rules, s, me, outcome);
}

/// Whether all that has happened is what a call must cope with: slow answers, and time.
fn is_undisturbed(rules: &Rules, s: &State) -> bool {
    let mut left = s.left;
    (left.slow, left.ticks) = (rules.limits.slow, rules.limits.ticks);
    left == rules.limits
}

/// What a person was told, held against what is.
fn check_persons_answer(rules: &Rules, s: &mut State, me: u8, outcome: Outcome) {
    let Launcher { task, copy, .. } = *s.launcher(me);
    match (task, outcome) {
        (Task::Pin, Outcome::PinFailed) if is_undisturbed(rules, s) => {
            let serves =
                s.workers.iter().find(|worker| worker.is(LifecycleState::Active)).map(|worker| worker.level);
            let held = rules.policy.facts(s.desired).held;
            let holds = held != rules.policy.facts(copy).held;
            s.pin_left_damage |= holds || serves.is_none() || held.is_some_and(|held| serves != Some(held));
        }
        // Unless a person has started it again meanwhile.
        (Task::Down, Outcome::Stopped) => s.downed = rules.policy.facts(s.desired).down,
        (Task::Start, Outcome::Serving(_) | Outcome::Joined | Outcome::Older) => {
            let again = |one: &Launcher| one.task == Task::Down && !one.is_over() && one.pc != Pc::Idle;
            let down = |record| rules.policy.facts(record).down;
            // As it stood when the call began, and as it stands now.
            s.start_ignored |= down(copy) && down(s.desired) && !s.launchers.iter().any(again);
        }
        _ => {}
    }
}

//! The end of `restart` and `pin`: a new connection must show the worker that was started. A pin is then recorded; if
//! there is no proof, it starts the version that would run without the pin.

use crate::kernel::Sight;
use crate::mutation::Mutation;
use crate::policy::AttemptEvent;
use crate::scenario::{Limits, Rules, Task};
use crate::takeover::call::{finish, remember};
use crate::takeover::process::{Launcher, Outcome, Pc, Worker};
use crate::takeover::state::State;

/// Ends a call that may start nothing now, or that cannot record a failure.
pub(super) fn fail(rules: &Rules, s: &mut State, me: u8) {
    let is_pin = s.launcher(me).task == Task::Pin;
    finish(rules, s, me, if is_pin { Outcome::PinFailed } else { Outcome::SpawnFailed });
}

/// Makes a new connection, and looks whether it shows the worker that was started.
pub(super) fn verify(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { generation, target, .. } = *s.launcher(me);
    let proved = |seen: &Worker| {
        let exact = seen.generation == generation;
        let any = rules.breaks(Mutation::AnyHigherGeneration) && seen.generation > generation;
        seen.level == target && (exact || any)
    };
    match s.see() {
        Sight::Worker(slot) if proved(s.at(slot)) => verified(rules, s, me),
        Sight::Worker(_) | Sight::Silent | Sight::Nobody => unproved(rules, s, me),
    }
}

/// The call claims its proof.
pub(super) fn verified(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { task, generation, target, .. } = *s.launcher(me);
    let shown = match s.see() {
        Sight::Worker(slot) => s.at(slot).generation == generation && s.at(slot).level == target,
        Sight::Silent | Sight::Nobody => false,
    };
    s.unproved |= !shown;
    if task == Task::Pin {
        proved(rules, s, me);
    } else {
        finish(rules, s, me, Outcome::Verified);
    }
}

/// The call has no proof.
pub(super) fn unproved(rules: &Rules, s: &mut State, me: u8) {
    if s.launcher(me).task == Task::Pin {
        failed(rules, s, me);
    } else {
        finish(rules, s, me, Outcome::Unproved);
    }
}

/// The worker that was started is proved: the version to be pinned, or the one that was started again.
fn proved(rules: &Rules, s: &mut State, me: u8) {
    if is_putting_back(rules, s, me) {
        finish_failed(rules, s, me);
    } else {
        s.launcher(me).pc = Pc::Pin;
    }
}

/// The worker that was started does not serve.
fn failed(rules: &Rules, s: &mut State, me: u8) {
    if is_putting_back(rules, s, me) {
        finish_failed(rules, s, me);
    } else {
        let level = s.launcher(me).level;
        remember(rules, s, me, AttemptEvent::StartFailed(level));
        s.launcher(me).pc = Pc::PutBack;
    }
}

fn is_putting_back(rules: &Rules, s: &State, me: u8) -> bool {
    rules.policy.failed(s.launchers[usize::from(me)].memory) != 0
}

/// Ends a failed pin, and notes if it has left damage.
pub(super) fn finish_failed(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { pinned: before, .. } = *s.launcher(me);
    let pinned = rules.policy.facts(s.record).pinned;
    let serves = s.living().find(|(_, worker)| worker.accepts).map(|(_, worker)| worker.level);
    if (Limits { ticks: rules.limits.ticks, ..s.left }) == rules.limits {
        s.pin_left_damage |=
            pinned != before || serves.is_none() || pinned.is_some_and(|pinned| serves != Some(pinned));
    }
    finish(rules, s, me, Outcome::PinFailed);
}

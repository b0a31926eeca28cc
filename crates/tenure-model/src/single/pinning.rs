//! `pin` and `unpin`, under the gate.
//!
//! A pin ends the old worker and starts a new one as a restart does. This room has the rest of a pin: whether anything
//! has to be done, the proof, the record, which is written last, and what is started again if the version does not
//! start.

use tenure_core::policy::lifecycle::LifecycleState;

use crate::kernel::{NOBODY, Sight};
use crate::mutation::Mutation;
use crate::policy::AttemptEvent;
use crate::real::{Looks, Seen};
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::single::launcher::{self, LookQuality};
use crate::single::state::{Launcher, News, Outcome, Pc, State, Why};

/// The next step of a pin or unpin under the gate.
pub(super) fn step(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    match (s.launcher(me).pc, s.launcher(me).task) {
        (Pc::Settling(slot), _) => settled(rules, s, me, slot),
        (Pc::Pin, _) => hold(rules, s, me),
        (_, Task::Unpin) => unpin(rules, s, me),
        (_, _) => pin(rules, s, me, quality),
    }
}

fn pin(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    if !launcher::is_known(rules, s, me) {
        launcher::finish(rules, s, me, Outcome::Unknown);
        return;
    }
    let level = s.launcher(me).level;
    s.launcher(me).copy = s.desired;
    begin_epoch(s);
    if rules.breaks(Mutation::EarlyPin) {
        s.desired = rules.policy.change(s.desired, Change::Pin(level));
    }
    // A worker that says that it is another version is not of the version to be pinned.
    let is_wanted = |stands| stands == level && rules.policy.says(stands).is_none();
    match (launcher::observe(s, quality), s.see()) {
        (Seen::Worker(stands, Looks::Booting), Sight::Worker(slot)) if stands == level => {
            s.launcher(me).pc = Pc::Settling(slot);
        }
        (Seen::Worker(stands, Looks::Ready | Looks::Stalled), _) if is_wanted(stands) => {
            s.launcher(me).pc = Pc::Pin;
        }
        (Seen::Nobody | Seen::Silent, _) if s.lease == 0 => s.launcher(me).pc = Pc::Pin,
        (Seen::Worker(..) | Seen::Nobody | Seen::Silent, _) => {
            s.launcher(me).target = level;
            s.launcher(me).pc = Pc::Retire(Why::Restart);
        }
    }
}

/// The worker that was waited for has settled, or is gone.
fn settled(rules: &Rules, s: &mut State, me: u8, slot: u8) {
    let level = s.launcher(me).level;
    if slot == NOBODY || s.worker(slot).state != LifecycleState::Active {
        launcher::finish(rules, s, me, Outcome::SpawnFailed);
    } else if rules.policy.says(level).is_none() {
        s.launcher(me).pc = Pc::Pin;
    } else {
        s.launcher(me).target = level;
        s.launcher(me).pc = Pc::Retire(Why::Restart);
    }
}

fn unpin(rules: &Rules, s: &mut State, me: u8) {
    if s.launcher(me).lost {
        launcher::finish(rules, s, me, Outcome::GateLost);
        return;
    }
    begin_epoch(s);
    s.desired = rules.policy.change(s.desired, Change::Unpin);
    launcher::finish(rules, s, me, Outcome::Unpinned);
}

/// A person's command about versions: from now on replacements and downgrades are counted anew.
fn begin_epoch(s: &mut State) {
    (s.pinned, s.replaced, s.served) = (NOBODY, 0, 0);
}

/// The worker that was started is ready, and recorded: the pinned version, or the one that was started again.
pub(super) fn started(rules: &Rules, s: &mut State, me: u8) {
    if is_putting_back(rules, s, me) {
        launcher::finish(rules, s, me, Outcome::PinFailed);
    } else if is_proved(rules, s, me) {
        s.launcher(me).pc = Pc::Pin;
    } else {
        put_back(rules, s, me);
    }
}

/// The worker that was started did not become ready.
pub(super) fn failed(rules: &Rules, s: &mut State, me: u8) {
    if is_putting_back(rules, s, me) {
        launcher::finish(rules, s, me, Outcome::PinFailed);
    } else {
        put_back(rules, s, me);
    }
}

fn is_putting_back(rules: &Rules, s: &State, me: u8) -> bool {
    rules.policy.failed(s.launchers[usize::from(me)].memory) != 0
}

/// Whether a new connection sees the version, ready.
fn is_proved(rules: &Rules, s: &State, me: u8) -> bool {
    let level = s.launchers[usize::from(me)].level;
    match s.see() {
        Sight::Worker(slot) => {
            let worker = &s.workers[usize::from(slot)];
            let stands = rules.policy.says(worker.level).unwrap_or(worker.level);
            worker.state == LifecycleState::Active && !worker.hangs && stands == level
        }
        Sight::Nobody | Sight::Silent => false,
    }
}

/// Starts the version that would run without the pin, in the place of the worker that the pin has started.
fn put_back(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    launcher::remember(rules, s, me, AttemptEvent::StartFailed(level));
    let launcher = s.launcher(me);
    (launcher.lease, launcher.socket, launcher.news) = (0, 0, News::None);
    s.settle();
    let target = rules.policy.target(s.desired, level, 0, 0).startable;
    match target.filter(|target| *target != level && !rules.breaks(Mutation::NothingPutBack)) {
        Some(target) => {
            s.launcher(me).target = target;
            s.launcher(me).pc = Pc::Retire(Why::Restart);
        }
        None => launcher::finish(rules, s, me, Outcome::PinFailed),
    }
}

/// Records the pin, which is its last step; or the stop of a `stop --hold`.
fn hold(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { task, level, lost, .. } = *s.launcher(me);
    if task == Task::Down {
        s.desired = rules.policy.change(s.desired, Change::Down);
        launcher::finish(rules, s, me, Outcome::Stopped);
        return;
    }
    if lost {
        launcher::finish(rules, s, me, Outcome::GateLost);
        return;
    }
    s.desired = rules.policy.change(s.desired, Change::Pin(level));
    s.pinned = level;
    launcher::finish(rules, s, me, Outcome::Pinned);
}

//! A worker's own steps, each through the shipped life machine.
//!
//! The kit's threads are one here: what an event orders is carried out at once. Only a drain takes steps of its own: it
//! ends the program first and then the process. The watchdog is separate, because it acts where nothing else of the
//! process does.

use tenure_core::policy::lifecycle::{self, EXIT_ENDED, LifecycleEvent, LifecycleExecutor, LifecycleState};

use crate::kernel::NOBODY;
use crate::mutation::Mutation;
use crate::scenario::Rules;
use crate::single::state::{News, State};

/// Whether the worker in `slot` has something to do by itself.
pub(super) fn may_go_on(s: &State, slot: u8) -> bool {
    let worker = &s.workers[usize::from(slot)];
    if !worker.present || worker.suspended {
        return false;
    }
    match worker.state {
        LifecycleState::Booting if !worker.adopted => worker.go || worker.parent == NOBODY,
        LifecycleState::Booting | LifecycleState::Draining => !worker.hangs,
        LifecycleState::Active => false,
        LifecycleState::Ended => true,
    }
}

/// Its next step.
pub(super) fn go_on(rules: &Rules, s: &mut State, slot: u8) {
    let worker = *s.worker(slot);
    match worker.state {
        LifecycleState::Booting if !worker.adopted => {
            s.worker(slot).adopted = true;
            // Its launcher is gone: whether it was recorded is not known, so it records itself.
            if !worker.go {
                s.lineage = slot;
            }
        }
        LifecycleState::Booting => boot(rules, s, slot),
        LifecycleState::Draining if worker.program => s.worker(slot).program = false,
        LifecycleState::Draining => happen(s, slot, LifecycleEvent::Drained),
        LifecycleState::Active => {}
        LifecycleState::Ended if rules.breaks(Mutation::LateUnlink) && worker.lease != 0 => {
            s.worker(slot).lease = 0;
            s.settle();
        }
        LifecycleState::Ended => {
            if rules.breaks(Mutation::LateUnlink) {
                s.path = 0;
            }
            s.bury(slot, if worker.stopped { News::Stopped } else { News::Failed });
        }
    }
}

fn boot(rules: &Rules, s: &mut State, slot: u8) {
    let worker = *s.worker(slot);
    if rules.fails & (1 << worker.level) != 0 {
        s.replaced -= 1;
        happen(s, slot, LifecycleEvent::AppFailed);
    } else if rules.wraps && !worker.program {
        if s.program_is_locked() && !rules.breaks(Mutation::ProgramLockIgnored) {
            happen(s, slot, LifecycleEvent::AppFailed);
        } else {
            (s.worker(slot).program, s.worker(slot).lock_closed) = (true, false);
        }
    } else {
        happen(s, slot, LifecycleEvent::AppReady);
    }
}

/// The deadline whose watchdog would end the worker now.
pub(super) fn deadline(rules: &Rules, s: &State, slot: u8) -> Option<LifecycleEvent> {
    let worker = &s.workers[usize::from(slot)];
    let runs = worker.present && !worker.suspended && !rules.breaks(Mutation::NoWatchdog);
    let launcher_stands_still = !worker.adopted
        && !worker.go
        && worker.parent != NOBODY
        && s.launchers[usize::from(worker.parent)].suspended;
    if !runs || !(worker.hangs || launcher_stands_still) {
        return None;
    }
    match worker.state {
        LifecycleState::Booting => Some(LifecycleEvent::BootDeadline),
        LifecycleState::Active => Some(LifecycleEvent::Stalled),
        LifecycleState::Draining => Some(LifecycleEvent::DrainDeadline),
        LifecycleState::Ended => None,
    }
}

/// Something happens to it; what follows is ordered by the shipped machine.
pub(super) fn happen(s: &mut State, slot: u8, event: LifecycleEvent) {
    let (next, orders) = lifecycle::step(s.worker(slot).state, event);
    s.worker(slot).state = next;
    orders.carry_out(&mut Process { s, slot });
}

/// The process of a worker, as far as its life can order something of it.
struct Process<'state> {
    s: &'state mut State,
    slot: u8,
}

impl LifecycleExecutor for Process<'_> {
    fn report_ready(&mut self) {
        serve(self.s, self.slot);
    }

    fn close_listener(&mut self) {
        self.s.worker(self.slot).socket = 0;
        self.s.settle();
    }

    // A drain takes steps of its own, and so do what comes after it and the launcher that hears of a failure: it
    // waits for the end of the process. The path leads nowhere once the listener is closed.
    fn drain(&mut self) {}

    fn leave_scope(&mut self) {}

    fn report_failed(&mut self) {}

    /// The kernel has something to do before the process is gone, and with it all that it holds.
    fn exit(&mut self, code: i32) {
        let worker = self.s.worker(self.slot);
        (worker.stopped, worker.hangs) = (code == EXIT_ENDED, false);
    }
}

fn serve(s: &mut State, slot: u8) {
    s.served |= 1 << s.worker(slot).level;
    s.booting = false;
    let parent = std::mem::replace(&mut s.worker(slot).parent, NOBODY);
    if parent != NOBODY {
        s.launcher(parent).news = News::Ready;
    }
}

/// A launcher's signal ends it. Harm is done where it would have answered, or ended by itself in time.
pub(super) fn kill(s: &mut State, slot: u8) {
    let worker = *s.worker(slot);
    s.harmed |= !worker.was_suspended && !worker.hangs;
    s.bury(slot, News::Failed);
}

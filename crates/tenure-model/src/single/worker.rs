//! A worker's own steps, each through the shipped state machine of its life.
//!
//! The kit's threads are one here: the orders of an event are carried out at once. Only a drain takes steps of its own:
//! it ends the program first, and then the process. The watchdog is separate, because it acts where no other thread of
//! the process does.

use tenure_core::policy::lifecycle::{self, EXIT_ENDED, LifecycleEvent, LifecycleExecutor, LifecycleState};

use crate::kernel::NOBODY;
use crate::mutation::Mutation;
use crate::scenario::Rules;
use crate::single::state::{News, State};

/// Whether the worker in `slot` can take a step by itself.
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
            // Its launcher is gone, and may not have recorded it, so it records itself.
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

/// The deadline by which the watchdog would end the worker now.
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

/// Applies an event to the worker; the shipped state machine gives the orders.
pub(super) fn happen(s: &mut State, slot: u8, event: LifecycleEvent) {
    let (next, orders) = lifecycle::step(s.worker(slot).state, event);
    s.worker(slot).state = next;
    orders.carry_out(&mut Process { s, slot });
}

/// The process of a worker, as the executor of its orders.
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

    // These three do nothing here. A drain takes steps of its own; a path to a closed listener leads nowhere; and the
    // launcher learns of a failure when the process has ended.
    fn drain(&mut self) {}

    fn leave_scope(&mut self) {}

    fn report_failed(&mut self) {}

    /// The process holds its locks until its next step, as the kernel needs time for an exit.
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

/// A launcher kills the worker. It is harm if the worker would have answered, or ended in time.
pub(super) fn kill(s: &mut State, slot: u8) {
    let worker = *s.worker(slot);
    s.harmed |= !worker.was_suspended && !worker.hangs;
    s.bury(slot, News::Failed);
}

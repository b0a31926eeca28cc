//! A worker's own steps, each through the shipped life machine.
//!
//! The kit's threads are one here: what a happening brings is done at once, except that a drain ends the program first and
//! then the process. The watchdog is apart, because it acts where nothing else of the process does.

use tenure_core::policy::lifecycle::{self, Life, LifecycleAction, LifecycleEvent};

use crate::scenario::{Mutation, Rules};
use crate::state::{NOBODY, News, State};

/// Whether the worker in `slot` has something to do by itself.
pub(super) fn may_go_on(s: &State, slot: u8) -> bool {
    let worker = &s.workers[usize::from(slot)];
    if !worker.present || worker.suspended {
        return false;
    }
    match worker.life {
        Life::Booting if !worker.adopted => worker.go || worker.parent == NOBODY,
        Life::Booting | Life::Draining => !worker.ails,
        Life::Active => false,
        Life::Ended => true,
    }
}

/// Its next step.
pub(super) fn go_on(rules: &Rules, s: &mut State, slot: u8) {
    let worker = *s.worker(slot);
    match worker.life {
        Life::Booting if !worker.adopted => {
            s.worker(slot).adopted = true;
            // Its launcher is gone: whether it was recorded is not known, so it records itself.
            if !worker.go {
                s.lineage = slot;
            }
        }
        Life::Booting => boot(rules, s, slot),
        Life::Draining if worker.program => s.worker(slot).program = false,
        Life::Draining => happen(s, slot, LifecycleEvent::Drained),
        Life::Active => {}
        Life::Ended if rules.breaks(Mutation::LateUnlink) && worker.lease != 0 => {
            s.worker(slot).lease = 0;
            s.settle();
        }
        Life::Ended => {
            if rules.breaks(Mutation::LateUnlink) {
                s.path = 0;
            }
            s.bury(slot, if worker.stopped { News::Stopped } else { News::Failed });
        }
    }
}

fn boot(rules: &Rules, s: &mut State, slot: u8) {
    let worker = *s.worker(slot);
    if rules.scenario.fails & (1 << worker.level) != 0 {
        s.replaced -= 1;
        happen(s, slot, LifecycleEvent::AppFailed);
    } else if rules.scenario.wraps && !worker.program {
        if s.program_is_locked() && !rules.breaks(Mutation::ProgramLockIgnored) {
            happen(s, slot, LifecycleEvent::AppFailed);
        } else {
            (s.worker(slot).program, s.worker(slot).shed) = (true, false);
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
    if !runs || !(worker.ails || launcher_stands_still) {
        return None;
    }
    match worker.life {
        Life::Booting => Some(LifecycleEvent::BootDeadline),
        Life::Active => Some(LifecycleEvent::Stalled),
        Life::Draining => Some(LifecycleEvent::DrainDeadline),
        Life::Ended => None,
    }
}

/// Something happens to it; the deeds are the shipped machine's.
pub(super) fn happen(s: &mut State, slot: u8, happening: LifecycleEvent) {
    let (next, deeds) = lifecycle::step(s.worker(slot).life, happening);
    s.worker(slot).life = next;
    for deed in deeds {
        match deed {
            LifecycleAction::ReportReady => serve(s, slot),
            LifecycleAction::CloseListener => {
                s.worker(slot).socket = 0;
                s.settle();
            }
            // A failure is heard with the end of the process, and a drain takes steps of its own.
            LifecycleAction::ReportFailed | LifecycleAction::Drain => {}
            // The kernel has something to do before the process is gone, and with it all that it holds.
            LifecycleAction::Exit { .. } => {
                s.worker(slot).socket = 0;
                s.worker(slot).stopped = happening == LifecycleEvent::Drained;
                s.worker(slot).ails = false;
                s.settle();
            }
        }
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
    s.harmed |= !worker.stained && !worker.ails;
    s.bury(slot, News::Failed);
}

//! A worker that nobody uses: its deadline comes, the callers who have asked by then are answered, and it ends if there
//! was none.
//!
//! A caller who is answered uses the worker, and takes its end back as long as the control socket is open. The thread
//! that answers is also the one that closes, so there is no step between its last answer and the close.

use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleState};

use crate::kernel::Sight;
use crate::mutation::Mutation;
use crate::scenario::Rules;
use crate::single::state::State;
use crate::single::worker;

/// The time of the worker in `slot` is over without a use.
pub(super) fn time_is_over(s: &mut State, slot: u8) {
    s.left.idles -= 1;
    let worker = s.worker(slot);
    (worker.unused, worker.told) = (true, false);
}

/// Whether that may happen now.
pub(super) fn may_be_unused(s: &State, slot: u8) -> bool {
    let worker = &s.workers[usize::from(slot)];
    s.left.idles > 0 && worker.is(LifecycleState::Active) && !worker.unused && !worker.suspended
}

/// Whether the worker is about to end.
pub(super) fn may_end(s: &State, slot: u8) -> bool {
    let worker = &s.workers[usize::from(slot)];
    worker.is(LifecycleState::Active) && worker.unused && !worker.suspended && !worker.hangs
}

/// It closes its control socket and announces its end.
pub(super) fn end(s: &mut State, slot: u8) {
    s.misled |= s.worker(slot).told;
    worker::happen(s, slot, LifecycleEvent::Idle);
}

/// A caller who uses the worker at the path is answered.
pub(super) fn answer(rules: &Rules, s: &mut State) {
    let Sight::Worker(slot) = s.see() else { return };
    let worker = s.worker(slot);
    worker.told |= worker.unused;
    if !rules.breaks(Mutation::ClosedLast) {
        (worker.unused, worker.told) = (false, false);
    }
}

//! Puts a new worker in the place of one that serves: starts the successor and handles its result. If the present
//! worker declines, it is ended and the same target is started, under one hold of the gate.

use tenure_core::policy::takeover::Successor;

use crate::kernel::Sight;
use crate::mutation::Mutation;
use crate::policy::{AttemptEvent, Question};
use crate::real::{Choice, Looks, ModelTarget, Seen};
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::takeover::call::{self, finish, look_again, remember};
use crate::takeover::process::{Kin, Launcher, News, Origin, Outcome, Pc, Phase, Why, Worker};
use crate::takeover::proof::{fail, unproved, verified};
use crate::takeover::state::State;

/// Starts a successor of the worker in `slot`, once that worker's own predecessor is gone.
pub(super) fn attempt(rules: &Rules, s: &mut State, me: u8, slot: u8) {
    let Launcher { task, target, .. } = *s.launcher(me);
    let serves = !matches!(s.at(slot).phase, Phase::Booting | Phase::Empty);
    if rules.stays || !serves {
        return s.launcher(me).pc = Pc::Ask(Why::Replace);
    }
    if s.at(slot).is_followed() && !rules.breaks(Mutation::OverlappingBegun) {
        return s.launcher(me).pc = Pc::AwaitAlone(slot);
    }
    if !call::count_before_start(rules, s) || !call::is_trusted(rules, s, target) {
        return fail(rules, s, me);
    }
    let Some(free) = call::free(s) else { return };
    s.starts(target);
    let generation = s.ledger + 1;
    let origin = match task {
        Task::Restart => Origin::Restart,
        Task::Pin => Origin::Pin,
        Task::Ensure | Task::Start | Task::Stop | Task::Down | Task::Unpin => Origin::Replacement,
    };
    *s.worker(free) = Worker {
        phase: Phase::Successor(Successor::Standby),
        level: target,
        generation,
        predecessor: Kin::Alive(slot),
        origin,
        gate: true,
        parent: me,
        ..Worker::NONE
    };
    let launcher = s.launcher(me);
    (launcher.generation, launcher.news) = (generation, News::None);
    launcher.pc = Pc::AwaitTakeover(free);
}

/// Handles the result of a start: records it, and acts on it.
pub(super) fn settle(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { pc, news, .. } = *s.launcher(me);
    let takeover = matches!(pc, Pc::AwaitTakeover(_));
    let failed = match news {
        News::Failed => true,
        // A worker that died without a report has failed only if the worker before it goes on.
        News::Gone => !takeover || s.living().count() > 0,
        News::None | News::Ready | News::Ended | News::Declined | News::Unheard | News::Kept => false,
    };
    if failed && !count_failure(rules, s, me) {
        return fail(rules, s, me);
    }
    match (s.launcher(me).task, news) {
        (_, News::Ready) => ready(rules, s, me, takeover),
        // A worker that declines is ended first.
        (_, News::Declined) => {
            let healthy = |worker: &Worker| worker.serves_alone() && !worker.declines;
            s.harmed |= matches!(s.see(), Sight::Worker(slot) if healthy(s.at(slot)));
            s.launcher(me).pc = Pc::Ask(Why::Replace);
        }
        // Finds out first whether the incumbent is silent to this launcher too.
        (Task::Restart | Task::Pin, News::Unheard) => {
            let launcher = s.launcher(me);
            (launcher.unheard, launcher.pc) = (true, Pc::Silent);
        }
        (Task::Restart | Task::Pin, _) => unproved(rules, s, me),
        // The reason why both are gone is not known.
        (_, News::Gone) if !failed => look_again(s, me),
        (_, News::Unheard) if !s.launcher(me).unheard => {
            s.launcher(me).unheard = true;
            look_again(s, me);
        }
        (_, _) => {
            remember(rules, s, me, AttemptEvent::StartFailed(s.launchers[usize::from(me)].target));
            look_again(s, me);
        }
    }
}

/// Counts a failed start. `false`: the record cannot be written.
fn count_failure(rules: &Rules, s: &mut State, me: u8) -> bool {
    let Launcher { target, generation, .. } = *s.launcher(me);
    // The failure in the ledger is left for the next gate holder to count.
    if s.full {
        return false;
    }
    s.change(rules, Change::Fail(target));
    for worker in s.workers.iter_mut().filter(|worker| worker.successor_generation == generation) {
        worker.uncounted_failure = worker.uncounted_failure.filter(|(level, _)| *level != target);
    }
    true
}

/// The worker that it started serves.
fn ready(rules: &Rules, s: &mut State, me: u8, takeover: bool) {
    let Launcher { task, level: criteria, target, pc, .. } = *s.launcher(me);
    let on_probation = takeover && rules.terms.probation;
    // On probation the worker itself records later that it has passed. A tally that cannot be cleared now is cleared by
    // the next success.
    if !s.full && (!on_probation || rules.breaks(Mutation::ClearedAtReady)) {
        s.change(rules, Change::Succeed(target));
    }
    if !on_probation {
        s.tally.clear(target);
    }
    match (task, pc) {
        (Task::Restart, _) if rules.breaks(Mutation::ReportBelieved) => verified(rules, s, me),
        (Task::Restart | Task::Pin, Pc::AwaitTakeover(slot)) if on_probation => {
            // The worker may have died after it was ready, and the slot may have another one by now.
            let gone = s.at(slot).generation != s.launcher(me).generation;
            let launcher = s.launcher(me);
            launcher.news = if gone { News::Gone } else { News::None };
            launcher.pc = Pc::Bake(slot);
        }
        (Task::Restart | Task::Pin, _) => s.launcher(me).pc = Pc::Verify,
        (_, _) => {
            if takeover {
                remember(rules, s, me, AttemptEvent::Retired);
            }
            remember(rules, s, me, AttemptEvent::Started);
            let looks = if on_probation { Looks::OnProbation } else { Looks::Ready };
            let (target, seen) = (ModelTarget::start(target), Seen::Worker(target, looks));
            let memory = s.launcher(me).memory;
            if let Choice::Answer(_) = rules.policy.choose(Question { criteria, target, seen, memory }).0 {
                finish(rules, s, me, Outcome::Serving);
            } else {
                look_again(s, me);
            }
        }
    }
}

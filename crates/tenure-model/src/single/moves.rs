//! Everything that can happen next: the processes' own steps, and what is done to them.
//!
//! The two lists are separate, because a state is at rest when no process has a step of its own, whatever could still
//! be done to the processes.

use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleState};

use crate::kernel::{NOBODY, Sight, numbers};
use crate::mutation::Mutation;
use crate::real::Level;
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::single::launcher::{self, LookQuality};
use crate::single::state::{LAUNCHERS, News, Outcome, Pc, SLOTS, State, Why};
use crate::single::{pinning, retiring, starting, unused, worker};

/// One thing that happens. Numbers are launchers, or slots of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// The launcher goes on.
    Go(u8, LookQuality),
    /// The launcher has waited as long as it may for an event that will not come.
    WaitedLong(u8),
    /// The launcher's budget ends, because it waits for a stopped process.
    Expires(u8),
    /// The worker goes on.
    Work(u8),
    /// The worker's watchdog ends it.
    Watchdog(u8, LifecycleEvent),
    /// The shim of a dead worker ends the rest of its program.
    ShimEnds(u8),
    /// A busy lease is taken over.
    Steal(u8),
    /// A launcher is killed.
    KillLauncher(u8),
    /// A worker is killed.
    KillWorker(u8),
    /// A launcher is stopped, or goes on.
    StopLauncher(u8, bool),
    /// A worker is stopped, or goes on.
    StopWorker(u8, bool),
    /// A boot or drain hangs, or an app stalls.
    Hangs(u8),
    /// An active app fails for good.
    Fail(u8),
    /// The time of an active worker is over without a use.
    Unused(u8),
    /// A worker that nobody uses ends.
    EndsUnused(u8),
    /// A launcher's budget ends while it waits for an event that may still come.
    Budget(u8),
    /// The time of the launcher's hold of the gate is over.
    Overrun(u8),
    /// A program closes the lock that it inherited.
    Shed(u8),
    /// Time passes for a failed version.
    Tick(Level, bool),
}

/// The processes' own steps.
pub(super) fn own(rules: &Rules, s: &State, out: &mut Vec<Move>) {
    for me in numbers(LAUNCHERS) {
        let launcher = &s.launchers[usize::from(me)];
        if !launcher.is_over() && !launcher.suspended {
            launch(rules, s, me, out);
        }
    }
    for slot in numbers(SLOTS) {
        if worker::may_go_on(s, slot) {
            out.push(Move::Work(slot));
        }
        if unused::may_end(s, slot) {
            out.push(Move::EndsUnused(slot));
        }
        if let Some(event) = worker::deadline(rules, s, slot) {
            out.push(Move::Watchdog(slot, event));
        }
        let worker = &s.workers[usize::from(slot)];
        if worker.program && !worker.present {
            out.push(Move::ShimEnds(slot));
        }
    }
}

fn launch(rules: &Rules, s: &State, me: u8, out: &mut Vec<Move>) {
    let launcher = &s.launchers[usize::from(me)];
    let go = Move::Go(me, LookQuality::Clear);
    let if_free = |free: bool, stuck: bool| match (free, stuck) {
        (true, _) => Some(go),
        (false, true) => Some(Move::WaitedLong(me)),
        (false, false) => None,
    };
    let next = match launcher.pc {
        Pc::Idle
        | Pc::Read(_)
        | Pc::Pin
        | Pc::ProbeSilent
        | Pc::Force(_)
        | Pc::Prove(_)
        | Pc::Opened
        | Pc::Spawned(_)
        | Pc::Settling(NOBODY)
        | Pc::Recorded(_) => Some(go),
        Pc::Look | Pc::Gated | Pc::Retire(_) => {
            other_looks(rules, s, me, out);
            Some(go)
        }
        Pc::AwaitSettled(slot) | Pc::Settling(slot) => {
            let worker = &s.workers[usize::from(slot)];
            if worker.suspended {
                Some(Move::Expires(me))
            } else {
                (worker.state != LifecycleState::Booting).then_some(go)
            }
        }
        Pc::WantGate if s.gate == NOBODY => Some(go),
        Pc::WantGate => s.launchers[usize::from(s.gate)].suspended.then_some(Move::Expires(me)),
        Pc::TakeLease | Pc::Asked(_) | Pc::Leaving(_) => {
            let steals = rules.breaks(Mutation::BreakableLease) && launcher.pc == Pc::TakeLease;
            if s.lease != 0 && steals {
                out.push(Move::Steal(me));
            }
            let own_patience = rules.breaks(Mutation::OwnPatience) && launcher.pc == Pc::TakeLease;
            if_free(s.lease == 0, s.lease_is_stuck() || own_patience)
        }
        Pc::StillSilent | Pc::Silent(_) => {
            if s.see() == Sight::Silent && rules.breaks(Mutation::BreakableLease) {
                out.push(Move::Steal(me));
            }
            if_free(s.see() != Sight::Silent, silent_one_is_stopped(s))
        }
        Pc::Clear => if_free(is_cleared(rules, s), true),
        Pc::Bound => starting::free(s).map(|_| go),
        Pc::AwaitReport(slot) => if_free(launcher.news != News::None, boots_for_ever(rules, s, slot)),
        Pc::Done(_) | Pc::Dead => None,
    };
    out.extend(next);
}

/// Whether no process of a former program is found: by all evidence, not by the lock alone.
fn is_cleared(rules: &Rules, s: &State) -> bool {
    if rules.breaks(Mutation::FreeLockProves) {
        return !s.program_is_locked();
    }
    !s.program_lives() || rules.breaks(Mutation::ProgramLockIgnored)
}

/// The other results that a look may have.
fn other_looks(rules: &Rules, s: &State, me: u8, out: &mut Vec<Move>) {
    let retires = matches!(s.launchers[usize::from(me)].pc, Pc::Retire(_));
    if s.left.slow > 0 && matches!(s.see(), Sight::Worker(_)) {
        out.push(Move::Go(me, LookQuality::Slow));
    }
    if !retires && s.see() == Sight::Nobody && launcher::draining(s).is_some() {
        out.push(Move::Go(me, LookQuality::Late));
    }
    debug_assert!(rules.limits.slow >= s.left.slow, "nothing comes back");
}

/// Whether the silent process at the path is stopped.
fn silent_one_is_stopped(s: &State) -> bool {
    s.workers.iter().any(|worker| worker.present && worker.socket == s.path && worker.suspended)
        || s.launchers.iter().any(|launcher| launcher.socket == s.path && launcher.suspended)
}

/// Whether a started worker will never report by itself, so that its launcher's own deadline ends the wait.
fn boots_for_ever(rules: &Rules, s: &State, slot: u8) -> bool {
    let worker = &s.workers[usize::from(slot)];
    worker.suspended || (worker.hangs && rules.breaks(Mutation::NoWatchdog))
}

/// What may be done to the processes.
pub(super) fn foreign(rules: &Rules, s: &State, out: &mut Vec<Move>) {
    for me in numbers(LAUNCHERS) {
        let launcher = &s.launchers[usize::from(me)];
        if launcher.is_over() {
            continue;
        }
        if s.left.crashes > 0 && launcher.pc != Pc::Idle {
            out.push(Move::KillLauncher(me));
        }
        if launcher.suspended && s.left.resumes > 0 {
            out.push(Move::StopLauncher(me, false));
        }
        if s.gate == me && !launcher.suspended {
            if s.left.stops > 0 {
                out.push(Move::StopLauncher(me, true));
            }
            if s.left.overruns > 0 {
                out.push(Move::Overrun(me));
            }
        }
        let waits = matches!(
            launcher.pc,
            Pc::AwaitSettled(_)
                | Pc::Settling(_)
                | Pc::WantGate
                | Pc::TakeLease
                | Pc::StillSilent
                | Pc::Asked(_)
                | Pc::Leaving(_)
                | Pc::Silent(_)
                | Pc::AwaitReport(_)
        );
        if s.left.budgets > 0 && waits && !launcher.suspended && launcher.news == News::None {
            out.push(Move::Budget(me));
        }
    }
    for slot in numbers(SLOTS) {
        let worker = &s.workers[usize::from(slot)];
        if worker.present {
            afflict(s, slot, out);
        }
        if unused::may_be_unused(s, slot) {
            out.push(Move::Unused(slot));
        }
        if s.left.sheds > 0 && worker.program && !worker.lock_closed {
            out.push(Move::Shed(slot));
        }
    }
    if s.left.ticks > 0 {
        for level in 0..rules.levels() {
            for quarantine in [false, true] {
                if rules.policy.change(s.desired, tick(level, quarantine)) != s.desired {
                    out.push(Move::Tick(level, quarantine));
                }
            }
        }
    }
}

fn afflict(s: &State, slot: u8, out: &mut Vec<Move>) {
    let worker = &s.workers[usize::from(slot)];
    if s.left.crashes > 0 {
        out.push(Move::KillWorker(slot));
    }
    if worker.suspended {
        if s.left.resumes > 0 {
            out.push(Move::StopWorker(slot, false));
        }
        return;
    }
    if s.left.stops > 0 {
        out.push(Move::StopWorker(slot, true));
    }
    if s.left.ailments > 0 && !worker.hangs && worker.state != LifecycleState::Ended {
        out.push(Move::Hangs(slot));
        if worker.state == LifecycleState::Active {
            out.push(Move::Fail(slot));
        }
    }
}

fn tick(level: Level, quarantine: bool) -> Change {
    if quarantine { Change::QuarantineEnds(level) } else { Change::SuppressionEnds(level) }
}

/// The state after a move.
pub(super) fn apply(rules: &Rules, s: &mut State, what: Move) {
    match what {
        Move::Go(me, quality) => {
            s.left.slow -= u8::from(quality == LookQuality::Slow);
            go(rules, s, me, quality);
        }
        Move::WaitedLong(me) => waited_long(rules, s, me),
        Move::Expires(me) => expire(rules, s, me, true),
        Move::Budget(me) => {
            s.left.budgets -= 1;
            expire(rules, s, me, false);
        }
        Move::Work(slot) => worker::go_on(rules, s, slot),
        Move::Watchdog(slot, event) => worker::happen(s, slot, event),
        Move::ShimEnds(slot) => s.worker(slot).program = false,
        Move::Steal(me) => launcher::take(rules, s, me),
        Move::KillLauncher(me) => {
            s.left.crashes -= 1;
            launcher::die(s, me);
        }
        Move::KillWorker(slot) => {
            s.left.crashes -= 1;
            s.bury(slot, News::Failed);
        }
        Move::StopLauncher(me, stops) => {
            spend(s, stops);
            s.launcher(me).suspended = stops;
        }
        Move::StopWorker(slot, stops) => {
            spend(s, stops);
            s.worker(slot).suspended = stops;
            s.worker(slot).was_suspended = true;
        }
        Move::Hangs(slot) => {
            s.left.ailments -= 1;
            s.worker(slot).hangs = true;
        }
        Move::Fail(slot) => {
            s.left.ailments -= 1;
            s.worker(slot).program = false;
            worker::happen(s, slot, LifecycleEvent::AppFailed);
        }
        Move::Unused(slot) => unused::time_is_over(s, slot),
        Move::EndsUnused(slot) => unused::end(s, slot),
        Move::Overrun(me) => {
            s.left.overruns -= 1;
            s.gate = NOBODY;
            s.launcher(me).lost = true;
        }
        Move::Shed(slot) => {
            s.left.sheds -= 1;
            s.worker(slot).lock_closed = true;
        }
        Move::Tick(level, quarantine) => {
            s.left.ticks -= 1;
            s.desired = rules.policy.change(s.desired, tick(level, quarantine));
        }
    }
}

fn spend(s: &mut State, stops: bool) {
    if stops {
        s.left.stops -= 1;
    } else {
        s.left.resumes -= 1;
    }
}

fn go(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    let words = matches!(s.launcher(me).task, Task::Pin | Task::Unpin);
    match s.launcher(me).pc {
        Pc::Settling(_) | Pc::Pin => pinning::step(rules, s, me, quality),
        Pc::Gated if words => pinning::step(rules, s, me, quality),
        Pc::Retire(_) | Pc::Asked(_) | Pc::Leaving(_) | Pc::Silent(_) | Pc::Force(_) | Pc::Prove(_) => {
            retiring::step(rules, s, me, quality);
        }
        Pc::Clear | Pc::Opened | Pc::Bound | Pc::Spawned(_) | Pc::Recorded(_) | Pc::AwaitReport(_) => {
            starting::step(rules, s, me);
        }
        Pc::Idle
        | Pc::Look
        | Pc::AwaitSettled(_)
        | Pc::WantGate
        | Pc::Gated
        | Pc::TakeLease
        | Pc::ProbeSilent
        | Pc::StillSilent
        | Pc::Read(_)
        | Pc::Done(_)
        | Pc::Dead => launcher::step(rules, s, me, quality),
    }
}

/// A launcher has waited long for one event, and its budget is not over.
fn waited_long(rules: &Rules, s: &mut State, me: u8) {
    let pc = s.launcher(me).pc;
    match pc {
        // A worker answers by now, so the lease is not that of a worker that ends.
        Pc::TakeLease if s.see() != Sight::Nobody && !rules.breaks(Mutation::NoSecondLook) => {
            launcher::look_again(s, me);
        }
        Pc::Leaving(why) if s.see() != Sight::Nobody && !rules.breaks(Mutation::NoSecondLook) => {
            s.launcher(me).pc = Pc::Retire(why);
        }
        Pc::TakeLease => s.launcher(me).pc = Pc::Force(Why::Wedged),
        Pc::Asked(why) | Pc::Leaving(why) | Pc::Silent(why) => s.launcher(me).pc = Pc::Force(why),
        Pc::StillSilent => launcher::probe_silent(rules, s, me, true),
        Pc::AwaitReport(slot) => starting::give_up(s, slot),
        Pc::Clear => {
            for worker in s.workers.iter_mut().filter(|worker| !worker.present) {
                worker.program = false;
            }
        }
        Pc::Idle
        | Pc::Look
        | Pc::AwaitSettled(_)
        | Pc::WantGate
        | Pc::Gated
        | Pc::ProbeSilent
        | Pc::Retire(_)
        | Pc::Force(_)
        | Pc::Prove(_)
        | Pc::Opened
        | Pc::Bound
        | Pc::Spawned(_)
        | Pc::Recorded(_)
        | Pc::Read(_)
        | Pc::Settling(_)
        | Pc::Pin
        | Pc::Done(_)
        | Pc::Dead => {}
    }
}

fn expire(rules: &Rules, s: &mut State, me: u8, for_a_stopped_one: bool) {
    let pc = s.launcher(me).pc;
    if let Pc::Asked(why) = pc
        && rules.breaks(Mutation::BudgetForces)
    {
        s.launcher(me).pc = Pc::Force(why);
        return;
    }
    let outcome = match (pc, for_a_stopped_one) {
        (Pc::WantGate, true) => Outcome::GateHeld,
        (Pc::AwaitSettled(_) | Pc::AwaitReport(_), _) => Outcome::Warming,
        (_, _) => Outcome::TimedOut,
    };
    launcher::finish(rules, s, me, outcome);
}

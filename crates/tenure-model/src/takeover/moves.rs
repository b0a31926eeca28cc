//! Everything that can happen next: the processes' own steps, and what is done to them.

use tenure_core::policy::takeover::{Incumbent, IncumbentEvent, Successor, SuccessorEvent};

use crate::kernel::numbers;
use crate::mutation::Mutation;
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::takeover::process::{Kin, Message, News, Pc, Phase, Todo, Worker};
use crate::takeover::state::{SLOTS, State};
use crate::takeover::{call, incumbent, launcher, successor};

/// One thing that happens. Numbers are launchers, or slots of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// The launcher goes on.
    Go(u8),
    /// The launcher's budget ends, because it waits for a stopped process.
    Expires(u8),
    /// The launcher kills a worker that is stopped or hangs.
    Forces(u8),
    /// The worker takes its next step.
    Acts(u8, Todo),
    /// A worker that was started in an empty scope serves.
    Boots(u8),
    /// The incumbent reads a message of its successor.
    Reads(u8),
    /// The incumbent notices something.
    Hears(u8, IncumbentEvent),
    /// The successor notices something.
    Learns(u8, SuccessorEvent),
    /// The successor's program serves beside the incumbent's.
    Joins(u8),
    /// The successor notices that its incumbent is gone, and that it is alone.
    Settles(u8),
    /// The watchdog of a worker ends a phase that hangs.
    Watchdog(u8),
    /// The incumbent still writes the ledger.
    Writes(u8),
    /// A launcher is killed.
    KillLauncher(u8),
    /// A worker is killed.
    KillWorker(u8),
    /// A worker is stopped.
    Stop(u8),
    /// A stopped worker goes on.
    Continue(u8),
    /// The worker's wait for the other side ends too early.
    Late(u8),
    /// The launcher takes a worker for wedged that is not.
    Suspects(u8),
    /// The time of a pin is over before its worker is ready.
    Abandons(u8),
    /// The successor's connection to its incumbent ends.
    Cut(u8),
    /// The worker's app fails.
    Fails(u8),
    /// The worker hangs in its phase.
    Hangs(u8),
    /// The worker gets SIGTERM.
    Term(u8),
    /// Time passes for versions that failed.
    Tick,
    /// The disk becomes full.
    Fills,
    /// The disk has room again.
    Frees,
    /// A person revokes the trust in the file of this version.
    Revokes(u8),
}

/// The processes' own steps.
pub(super) fn own(rules: &Rules, s: &State, out: &mut Vec<Move>) {
    for me in call::calls(s) {
        out.extend(launcher::may_go(s, me).then_some(Move::Go(me)));
        out.extend(launcher::may_expire(s, me).then_some(Move::Expires(me)));
        out.extend(launcher::may_force(rules, s, me).then_some(Move::Forces(me)));
    }
    for slot in numbers(SLOTS).filter(|slot| s.at(*slot).runs()) {
        work(rules, s, slot, out);
    }
}

fn work(rules: &Rules, s: &State, slot: u8, out: &mut Vec<Move>) {
    let worker = s.at(slot);
    if worker.hangs && !rules.breaks(Mutation::NoWatchdog) {
        out.push(Move::Watchdog(slot));
    }
    if worker.todo != Todo::Nothing {
        out.extend(successor::may_act(rules, s, slot).then_some(Move::Acts(slot, worker.todo)));
        return;
    }
    if worker.messages[0] != Message::Nothing {
        out.push(Move::Reads(slot));
    }
    match worker.phase {
        Phase::Empty => {}
        Phase::Booting if worker.hangs => {}
        Phase::Booting => out.push(Move::Boots(slot)),
        Phase::Incumbent(state) => {
            let events = incumbent::possible_events(rules, s, slot, state);
            out.extend(events.into_iter().map(|event| Move::Hears(slot, event)));
            let relieved = matches!(state, Incumbent::Granted | Incumbent::Relieved);
            if relieved && rules.breaks(Mutation::TwoWriters) && worker.generation != s.ledger {
                out.push(Move::Writes(slot));
            }
        }
        Phase::Successor(state) => {
            let events = successor::possible_events(rules, s, slot, state);
            out.extend(events.into_iter().map(|event| Move::Learns(slot, event)));
            out.extend(successor::may_join(rules, s, slot).then_some(Move::Joins(slot)));
            out.extend(successor::may_overrun(s, slot, state).then_some(Move::Watchdog(slot)));
            if state == Successor::Active && !matches!(worker.predecessor, Kin::Alive(_)) {
                out.push(Move::Settles(slot));
            }
        }
    }
}

/// What may be done to the processes.
pub(super) fn foreign(rules: &Rules, s: &State, out: &mut Vec<Move>) {
    for me in call::calls(s) {
        let pc = s.launchers[usize::from(me)].pc;
        if s.left.crashes > 0 && pc != Pc::Look {
            out.push(Move::KillLauncher(me));
        }
        if s.left.lates > 0 && pc == Pc::Silent {
            out.push(Move::Suspects(me));
        }
        let pins = s.launchers[usize::from(me)].task == Task::Pin;
        if s.left.lates > 0 && pins && matches!(pc, Pc::AwaitTakeover(_)) {
            out.push(Move::Abandons(me));
        }
    }
    let ages = s.tally.ages() || rules.policy.change(s.record, Change::Tick) != s.record;
    if s.left.ticks > 0 && ages {
        out.push(Move::Tick);
    }
    out.extend((s.left.fills > 0 && !s.full).then_some(Move::Fills));
    out.extend((s.left.frees > 0 && s.full).then_some(Move::Frees));
    if s.left.revokes > 0 {
        // Trust can also be revoked after a file was read and before its offer is recorded.
        let offered = (0..rules.levels()).filter(|level| s.revoked & (1 << level) == 0);
        out.extend(offered.map(Move::Revokes));
    }
    for (slot, worker) in s.living() {
        if s.left.crashes > 0 {
            out.push(Move::KillWorker(slot));
        }
        if worker.stopped {
            out.extend((s.left.resumes > 0).then_some(Move::Continue(slot)));
            continue;
        }
        if s.left.stops > 0 {
            out.push(Move::Stop(slot));
        }
        afflict(rules, s, slot, out);
    }
}

fn afflict(rules: &Rules, s: &State, slot: u8, out: &mut Vec<Move>) {
    let worker = s.at(slot);
    let idle = worker.todo == Todo::Nothing;
    let (late, fails, hangs, ends) = match worker.phase {
        Phase::Empty => return,
        Phase::Booting => (false, true, true, true),
        Phase::Incumbent(state) => (
            matches!(state, Incumbent::Prepared | Incumbent::Granted)
                && matches!(worker.successor, Kin::Alive(_)),
            matches!(state, Incumbent::Quiescing | Incumbent::Reclaiming),
            incumbent::can_hang(state),
            !matches!(state, Incumbent::Leaving),
        ),
        Phase::Successor(state) => (
            matches!(state, Successor::Asking | Successor::Committing),
            successor::can_fail(rules, s, slot, state),
            successor::can_hang(rules, state),
            state != Successor::Over,
        ),
    };
    let cuts = matches!(worker.phase, Phase::Successor(_)) && worker.linked;
    let offers = [
        (s.left.lates > 0 && idle && late, Move::Late(slot)),
        (s.left.failures > 0 && idle && fails, Move::Fails(slot)),
        (s.left.ailments > 0 && !worker.hangs && hangs, Move::Hangs(slot)),
        (s.left.terms > 0 && idle && ends, Move::Term(slot)),
        (s.left.cuts > 0 && cuts, Move::Cut(slot)),
    ];
    out.extend(offers.into_iter().filter(|(can, _)| *can).map(|(_, what)| what));
}

/// The state after a move.
pub(super) fn apply(rules: &Rules, s: &mut State, what: Move) {
    match what {
        Move::Go(me) => launcher::go(rules, s, me),
        Move::Expires(me) => launcher::expire(rules, s, me),
        Move::Forces(me) => launcher::force(rules, s, me),
        Move::Acts(slot, _) => match s.at(slot).phase {
            Phase::Incumbent(_) => incumbent::act(rules, s, slot),
            Phase::Successor(_) => successor::act(rules, s, slot),
            Phase::Empty | Phase::Booting => {}
        },
        Move::Boots(slot) if !rules.is_sound(s.at(slot).level) => {
            s.replaced -= 1;
            s.bury(slot, News::Failed);
        }
        Move::Boots(slot) => boots(s, slot),
        Move::Reads(slot) => incumbent::read(rules, s, slot),
        Move::Hears(slot, event) => incumbent::hear(rules, s, slot, event),
        Move::Learns(slot, event) => successor::learn(rules, s, slot, event),
        Move::Joins(slot) => s.worker(slot).accepts = true,
        Move::Settles(slot) => successor::settle_alone(rules, s, slot),
        Move::Watchdog(slot) => incumbent::watchdog(rules, s, slot),
        Move::Writes(slot) => s.write_ledger(s.at(slot).generation, s.lineage),
        Move::KillLauncher(_)
        | Move::KillWorker(_)
        | Move::Stop(_)
        | Move::Continue(_)
        | Move::Late(_)
        | Move::Suspects(_)
        | Move::Abandons(_)
        | Move::Cut(_)
        | Move::Fails(_)
        | Move::Hangs(_)
        | Move::Term(_)
        | Move::Tick
        | Move::Fills
        | Move::Frees
        | Move::Revokes(_) => befall(rules, s, what),
    }
}

fn boots(s: &mut State, slot: u8) {
    s.worker(slot).phase = Phase::Incumbent(Incumbent::Serving);
    s.serve(slot);
    let parent = s.at(slot).parent;
    if usize::from(parent) < s.launchers.len() {
        s.launcher(parent).news = News::Ready;
    }
}

/// Something goes wrong, and is counted.
fn befall(rules: &Rules, s: &mut State, what: Move) {
    s.left.crashes -= u8::from(matches!(what, Move::KillLauncher(_) | Move::KillWorker(_)));
    match what {
        Move::KillLauncher(me) => call::die(s, me),
        Move::KillWorker(slot) => s.bury(slot, News::Gone),
        Move::Stop(slot) | Move::Continue(slot) => {
            let stops = what == Move::Stop(slot);
            *(if stops { &mut s.left.stops } else { &mut s.left.resumes }) -= 1;
            s.worker(slot).stopped = stops;
        }
        Move::Late(slot) => {
            s.left.lates -= 1;
            incumbent::hear(rules, s, slot, IncumbentEvent::Lost);
            successor::learn(rules, s, slot, SuccessorEvent::Late);
        }
        Move::Suspects(me) => {
            s.left.lates -= 1;
            launcher::force(rules, s, me);
        }
        Move::Abandons(me) => {
            s.left.lates -= 1;
            abandon(s, me);
        }
        Move::Cut(slot) => cut(s, slot),
        Move::Hangs(slot) => {
            s.left.ailments -= 1;
            s.worker(slot).hangs = true;
        }
        Move::Term(slot) => {
            s.left.terms -= 1;
            launcher::end(rules, s, slot);
        }
        Move::Fails(slot) => fail(rules, s, slot),
        Move::Tick => {
            s.left.ticks -= 1;
            s.tally.tick();
            s.change(rules, Change::Tick);
        }
        Move::Fills | Move::Frees => {
            s.full = what == Move::Fills;
            let left = if s.full { &mut s.left.fills } else { &mut s.left.frees };
            *left -= 1;
        }
        Move::Revokes(level) => {
            s.left.revokes -= 1;
            s.revoked |= 1 << level;
        }
        Move::Go(_)
        | Move::Expires(_)
        | Move::Forces(_)
        | Move::Acts(..)
        | Move::Boots(_)
        | Move::Reads(_)
        | Move::Hears(..)
        | Move::Learns(..)
        | Move::Joins(_)
        | Move::Settles(_)
        | Move::Watchdog(_)
        | Move::Writes(_) => {}
    }
}

/// The call ends its worker because its own time is over. This is no failure of the worker.
fn abandon(s: &mut State, me: u8) {
    if let Pc::AwaitTakeover(slot) = s.launcher(me).pc {
        s.worker(slot).news = News::Ended;
        s.bury(slot, News::Ended);
    }
}

/// The connection ends while both workers live: no message arrives any more.
fn cut(s: &mut State, slot: u8) {
    s.left.cuts -= 1;
    s.worker(slot).linked = false;
    if let Kin::Alive(other) = s.at(slot).predecessor
        && s.at(other).successor == Kin::Alive(slot)
    {
        s.worker(other).linked = false;
    }
}

fn fail(rules: &Rules, s: &mut State, slot: u8) {
    s.left.failures -= 1;
    let Worker { phase, .. } = *s.at(slot);
    match phase {
        Phase::Booting => s.bury(slot, News::Failed),
        Phase::Incumbent(Incumbent::Quiescing) => {
            incumbent::decline(s, slot);
            incumbent::hear(rules, s, slot, IncumbentEvent::NotQuiesced);
        }
        Phase::Incumbent(Incumbent::Reclaiming) => {
            incumbent::hear(rules, s, slot, IncumbentEvent::NotReclaimed);
        }
        Phase::Successor(_) => {
            s.worker(slot).news = News::Failed;
            successor::learn(rules, s, slot, SuccessorEvent::Failed);
        }
        Phase::Empty | Phase::Incumbent(_) => {}
    }
}

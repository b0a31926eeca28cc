//! What a launcher does about a worker that serves: `ensure`, a proved `restart`, `stop`.
//!
//! Cut where the real ones can be interleaved or can die. Whom to replace is told here in two lines; the shipped judge has a
//! model of its own beside this one.

use tenure_core::policy::handoff::{Incumbent, IncumbentEvent, Successor, SuccessorEvent};

use crate::takeover::process::{
    Kin, Launcher, NOBODY, News, Origin, Outcome, Pc, Phase, Todo, Tried, Worker,
};
use crate::takeover::scenario::{Mutation, Scenario, Task};
use crate::takeover::state::{LAUNCHERS, Sight, State, numbers};
use crate::takeover::{incumbent, successor};

/// Whether the launcher goes on by itself now.
pub(super) fn may_go(s: &State, me: u8) -> bool {
    let launcher = &s.launchers[usize::from(me)];
    match launcher.pc {
        Pc::Look | Pc::Gated | Pc::Leased | Pc::Opened => true,
        Pc::Bound => free(s).is_some(),
        Pc::AwaitSettled(slot) => match s.at(slot).phase {
            Phase::Empty | Phase::Incumbent(_) => true,
            Phase::Booting | Phase::Successor(_) => false,
        },
        Pc::WantGate => s.gate_is_free(),
        Pc::Mute | Pc::Verify => s.see() != Sight::Silent,
        Pc::TakeLease => s.lease == 0,
        Pc::AwaitBoot(_) | Pc::AwaitTakeover(_) => launcher.news != News::None,
        Pc::Bake(slot) => launcher.news == News::Gone || !matches!(s.at(slot).predecessor, Kin::Alive(_)),
        Pc::Ask | Pc::Retire => match s.see() {
            Sight::Worker(slot) => can_be_asked(s.at(slot)),
            Sight::Nobody | Sight::Silent => true,
        },
        Pc::Asked => {
            let asks_again = matches!(s.see(), Sight::Worker(slot) if would_end(s.at(slot)));
            (s.lease == 0 && s.gate_is_free()) || asks_again
        }
        Pc::Done(_) | Pc::Dead => false,
    }
}

/// Whether what it waits for stands still, so that its budget ends.
pub(super) fn may_expire(s: &State, me: u8) -> bool {
    let stands = |slot: u8| s.at(slot).stopped;
    let before = |slot: u8| matches!(s.at(slot).predecessor, Kin::Alive(other) if s.at(other).stopped);
    match s.launchers[usize::from(me)].pc {
        Pc::AwaitSettled(slot) | Pc::Bake(slot) => stands(slot) || before(slot),
        Pc::WantGate => s.workers.iter().any(|worker| worker.gate && worker.stopped),
        Pc::Verify => s.see() == Sight::Silent && s.workers.iter().any(|worker| worker.stopped),
        Pc::Asked => s.lease == 0 && s.workers.iter().any(|worker| worker.gate && worker.stopped),
        Pc::Look
        | Pc::Gated
        | Pc::Mute
        | Pc::Retire
        | Pc::TakeLease
        | Pc::Leased
        | Pc::Opened
        | Pc::Bound
        | Pc::AwaitBoot(_)
        | Pc::AwaitTakeover(_)
        | Pc::Ask
        | Pc::Done(_)
        | Pc::Dead => false,
    }
}

/// Whether it may end, by a verified handle, whoever stands still.
pub(super) fn may_force(rules: &Scenario, s: &State, me: u8) -> bool {
    let still = |worker: &Worker| worker.stopped || (worker.ails && rules.breaks(Mutation::NoWatchdog));
    let keeps = |worker: &Worker| worker.lease != 0 && worker.lease == s.lease && still(worker);
    match s.launchers[usize::from(me)].pc {
        Pc::Mute | Pc::TakeLease | Pc::Asked => s.workers.iter().any(keeps),
        Pc::AwaitBoot(slot) | Pc::AwaitTakeover(slot) => {
            s.launchers[usize::from(me)].news == News::None && still(s.at(slot))
        }
        Pc::Look
        | Pc::AwaitSettled(_)
        | Pc::WantGate
        | Pc::Gated
        | Pc::Leased
        | Pc::Opened
        | Pc::Bound
        | Pc::Bake(_)
        | Pc::Verify
        | Pc::Ask
        | Pc::Retire
        | Pc::Done(_)
        | Pc::Dead => false,
    }
}

/// Ends who is in its way: what it started itself, or the recorded lineage; if nobody of that lives, whoever has the lease.
pub(super) fn force(s: &mut State, me: u8) {
    let pc = s.launcher(me).pc;
    if let Pc::AwaitBoot(slot) | Pc::AwaitTakeover(slot) = pc {
        s.bury(slot, News::Gone);
        return;
    }
    let recorded: Vec<u8> =
        s.living().map(|(slot, _)| slot).filter(|slot| s.lineage & (1 << slot) != 0).collect();
    let holders = s.living().filter(|(_, worker)| worker.lease == s.lease).map(|(slot, _)| slot).collect();
    for slot in if recorded.is_empty() { holders } else { recorded } {
        s.bury(slot, News::Gone);
    }
    if pc != Pc::Asked {
        s.launcher(me).pc = Pc::Gated;
    }
}

/// Its budget ends.
pub(super) fn expire(rules: &Scenario, s: &mut State, me: u8) {
    match s.launcher(me).pc {
        Pc::Bake(_) => s.launcher(me).pc = Pc::Verify,
        Pc::Verify => finish(rules, s, me, Outcome::Unproved),
        Pc::Look
        | Pc::AwaitSettled(_)
        | Pc::WantGate
        | Pc::Gated
        | Pc::Mute
        | Pc::Retire
        | Pc::TakeLease
        | Pc::Leased
        | Pc::Opened
        | Pc::Bound
        | Pc::AwaitBoot(_)
        | Pc::AwaitTakeover(_)
        | Pc::Ask
        | Pc::Asked
        | Pc::Done(_)
        | Pc::Dead => finish(rules, s, me, Outcome::TimedOut),
    }
}

/// Its next step.
pub(super) fn go(rules: &Scenario, s: &mut State, me: u8) {
    let Launcher { pc, level, news, .. } = *s.launcher(me);
    match pc {
        Pc::Look => look(rules, s, me),
        Pc::AwaitSettled(_) => s.launcher(me).pc = Pc::Look,
        Pc::WantGate => {
            let launcher = s.launcher(me);
            (launcher.gate, launcher.pc) = (true, Pc::Gated);
        }
        Pc::Gated if offers(rules, s, level) => decide(rules, s, me),
        Pc::Gated => finish(rules, s, me, Outcome::SpawnFailed),
        Pc::Retire => retire(rules, s, me),
        Pc::Mute => s.launcher(me).pc = Pc::Gated,
        Pc::TakeLease => {
            let lease = s.new_lease();
            let launcher = s.launcher(me);
            (launcher.lease, launcher.pc) = (lease, Pc::Leased);
        }
        Pc::Leased => match best(rules, s, u8::MAX) {
            Some(target) if !s.full => {
                s.chooses(target);
                s.write_ledger(s.ledger + 1, 0);
                let launcher = s.launcher(me);
                (launcher.target, launcher.pc) = (target, Pc::Opened);
            }
            Some(_) | None => finish(rules, s, me, Outcome::SpawnFailed),
        },
        Pc::Opened => {
            let socket = s.new_socket();
            let launcher = s.launcher(me);
            (launcher.socket, launcher.pc) = (socket, Pc::Bound);
        }
        Pc::Bound => start(s, me),
        Pc::AwaitBoot(_) | Pc::AwaitTakeover(_) => {
            if tally(rules, s, me) {
                told(rules, s, me, news);
            } else {
                finish(rules, s, me, Outcome::SpawnFailed);
            }
        }
        Pc::Bake(_) => s.launcher(me).pc = Pc::Verify,
        Pc::Verify => verify(rules, s, me),
        Pc::Ask => ask(rules, s, me),
        Pc::Asked if s.lease == 0 => finish(rules, s, me, Outcome::Stopped),
        Pc::Asked => s.launcher(me).pc = Pc::Ask,
        Pc::Done(_) | Pc::Dead => {}
    }
}

/// A look without a lock.
fn look(rules: &Scenario, s: &mut State, me: u8) {
    let Launcher { task, level, .. } = *s.launcher(me);
    match (task, s.see()) {
        (Task::Stop, _) => s.launcher(me).pc = Pc::Ask,
        (Task::Ensure, Sight::Worker(slot)) if suits(rules, s, slot, level) => {
            finish(rules, s, me, Outcome::Serving);
        }
        (Task::Ensure | Task::Restart, _) => s.launcher(me).pc = Pc::WantGate,
    }
}

/// Under the gate.
fn decide(rules: &Scenario, s: &mut State, me: u8) {
    let Launcher { task, level, .. } = *s.launcher(me);
    let slot = match s.see() {
        Sight::Nobody if s.launcher(me).tried == Tried::Spent => {
            return finish(rules, s, me, Outcome::SpawnFailed);
        }
        Sight::Nobody => return s.launcher(me).pc = Pc::TakeLease,
        Sight::Silent => return s.launcher(me).pc = Pc::Mute,
        Sight::Worker(slot) => slot,
    };
    let has_tried = s.launcher(me).tried == Tried::Spent && s.at(slot).serves_alone();
    if task == Task::Ensure && (has_tried || suits(rules, s, slot, level)) {
        return finish(rules, s, me, Outcome::Serving);
    }
    if !s.at(slot).serves_alone() && !rules.breaks(Mutation::OverlappingBegun) {
        release(s, me);
        s.launcher(me).pc = Pc::AwaitSettled(slot);
        return;
    }
    let Some(target) = best(rules, s, u8::MAX) else { return finish(rules, s, me, Outcome::SpawnFailed) };
    let Some(free) = free(s) else { return };
    let target = if rules.breaks(Mutation::StaleSuccessor) { s.at(slot).level } else { target };
    s.chooses(target);
    let origin = if task == Task::Ensure { Origin::Replacement } else { Origin::Restart };
    *s.worker(free) = Worker {
        phase: Phase::Successor(Successor::Standby),
        level: target,
        generation: s.ledger + 1,
        predecessor: Kin::Alive(slot),
        origin,
        gate: true,
        parent: me,
        ..Worker::NONE
    };
    let generation = s.ledger + 1;
    let launcher = s.launcher(me);
    (launcher.target, launcher.generation, launcher.news) = (target, generation, News::None);
    launcher.pc = Pc::AwaitTakeover(free);
}

/// A worker in an empty scope.
fn start(s: &mut State, me: u8) {
    let Some(free) = free(s) else { return };
    let Launcher { target, lease, socket, .. } = *s.launcher(me);
    let generation = s.ledger;
    *s.worker(free) = Worker {
        phase: Phase::Booting,
        level: target,
        generation,
        lease,
        socket,
        answers: true,
        origin: Origin::Cold,
        parent: me,
        ..Worker::NONE
    };
    s.lineage = 1 << free;
    let launcher = s.launcher(me);
    (launcher.lease, launcher.socket, launcher.news) = (0, 0, News::None);
    (launcher.generation, launcher.pc) = (generation, Pc::AwaitBoot(free));
}

/// What the worker that it waits for came to.
fn told(rules: &Scenario, s: &mut State, me: u8, news: News) {
    let Launcher { task, pc, .. } = *s.launcher(me);
    let believes = rules.breaks(Mutation::ReportBelieved);
    match (task, pc, news) {
        (Task::Restart, _, News::Ready) if believes => verified(rules, s, me),
        (Task::Restart, Pc::AwaitTakeover(slot), News::Ready) => {
            // Who was ready and died is gone; the slot may be somebody else's by now.
            let gone = s.at(slot).generation != s.launcher(me).generation;
            let launcher = s.launcher(me);
            launcher.news = if gone { News::Gone } else { News::None };
            launcher.pc = Pc::Bake(slot);
        }
        (Task::Restart, _, News::Ready) => s.launcher(me).pc = Pc::Verify,
        // Whoever wants a worker has one: the probation goes on without the call.
        (_, _, News::Ready) => finish(rules, s, me, Outcome::Serving),
        (_, _, News::Ended) => finish(rules, s, me, Outcome::Ended),
        (Task::Restart, _, News::Failed | News::Gone | News::None | News::Unheard | News::Kept) => {
            finish(rules, s, me, Outcome::Unproved);
        }
        // One that makes no room is ended first.
        (_, _, News::Declined) => s.launcher(me).pc = Pc::Retire,
        // What stands is looked at again: one that is silent to everybody is found out by that.
        (_, _, News::Failed | News::Gone | News::None) => s.launcher(me).pc = Pc::Gated,
        (_, _, News::Unheard | News::Kept) => {
            let launcher = s.launcher(me);
            let once = launcher.tried == Tried::Nothing && news == News::Unheard;
            launcher.tried = if once { Tried::Unheard } else { Tried::Spent };
            launcher.pc = Pc::Gated;
        }
    }
}

/// Puts on record what it offers, and what workers have left in the ledger; whether it can.
fn offers(rules: &Scenario, s: &mut State, level: u8) -> bool {
    let (mut tally, offers) = (s.tally, s.offers | (1 << level));
    tally.count(!rules.breaks(Mutation::RollbackUncounted));
    if s.full && (tally, offers) != (s.tally, s.offers) {
        return false;
    }
    (s.tally, s.offers) = (tally, offers);
    true
}

/// The worker that stands makes no room: it is asked to end, and its lease waited for.
fn retire(rules: &Scenario, s: &mut State, me: u8) {
    s.launcher(me).pc = match s.see() {
        Sight::Worker(slot) => {
            s.harmed |= s.at(slot).serves_alone() && !s.at(slot).declines;
            end(rules, s, slot);
            Pc::TakeLease
        }
        Sight::Nobody => Pc::TakeLease,
        // One that does not hear it is waited for as any silent worker is.
        Sight::Silent => Pc::Mute,
    };
}

/// Counts, or clears, what is known against the version that it started; whether it can.
fn tally(rules: &Scenario, s: &mut State, me: u8) -> bool {
    let Launcher { pc, news, target, generation, .. } = *s.launcher(me);
    let on_probation = matches!(pc, Pc::AwaitTakeover(_)) && rules.terms.bakes;
    match news {
        // What its worker has left in the ledger is for the next one to count.
        News::Failed | News::Gone if s.full => return false,
        News::Failed | News::Gone => {
            s.tally.failed(target);
            for worker in s.workers.iter_mut().filter(|worker| worker.above == generation) {
                worker.blames = worker.blames.filter(|(level, _)| *level != target);
            }
        }
        // The worker itself says when it has passed.
        News::Ready if on_probation && !rules.breaks(Mutation::ClearedAtReady) => {}
        // A tally that cannot be cleared is cleared by the next success.
        News::Ready if s.full => {}
        News::Ready if on_probation => s.tally.clear(target),
        News::Ready => s.tally.succeeded(target),
        News::None | News::Ended | News::Declined | News::Unheard | News::Kept => {}
    }
    true
}

/// A new connection, and what it shows.
fn verify(rules: &Scenario, s: &mut State, me: u8) {
    let Launcher { generation, target, .. } = *s.launcher(me);
    let proved = |seen: &Worker| {
        let exact = seen.generation == generation;
        let any = rules.breaks(Mutation::AnyHigherGeneration) && seen.generation > generation;
        seen.level == target && (exact || any)
    };
    match s.see() {
        Sight::Worker(slot) if proved(s.at(slot)) => verified(rules, s, me),
        Sight::Worker(_) | Sight::Silent | Sight::Nobody => finish(rules, s, me, Outcome::Unproved),
    }
}

/// `restart` says that it has its proof.
fn verified(rules: &Scenario, s: &mut State, me: u8) {
    let Launcher { generation, target, .. } = *s.launcher(me);
    let shown = match s.see() {
        Sight::Worker(slot) => s.at(slot).generation == generation && s.at(slot).level == target,
        Sight::Silent | Sight::Nobody => false,
    };
    s.unproved |= !shown;
    finish(rules, s, me, Outcome::Verified);
}

/// Whether a worker may serve a launcher of this version.
fn suits(rules: &Scenario, s: &State, slot: u8, level: u8) -> bool {
    let worker = s.at(slot);
    let serves = match worker.phase {
        Phase::Successor(state) => state == Successor::Active,
        Phase::Incumbent(state) => state.serves(),
        Phase::Empty | Phase::Booting => false,
    };
    serves && (worker.level >= level || best(rules, s, 1 << level).is_none_or(|best| worker.level >= best))
}

/// The highest offer that has not failed and may be started now, these included.
fn best(rules: &Scenario, s: &State, with: u8) -> Option<u8> {
    let offers = if with == u8::MAX { s.offers } else { s.offers | with };
    let offers = if rules.breaks(Mutation::RevokedCounts) { offers } else { offers & !s.revoked };
    (0..8).rev().find(|level| offers & (1 << level) != 0 && !s.tally.keeps_out(*level))
}

fn free(s: &State) -> Option<u8> {
    numbers(s.workers.len()).find(|slot| !s.at(*slot).lives())
}

/// Whether its control thread hands on that somebody asks it to end now.
fn can_be_asked(worker: &Worker) -> bool {
    worker.todo == Todo::Nothing
}

/// Whether it has not been asked yet, as far as it tells.
fn would_end(worker: &Worker) -> bool {
    match worker.phase {
        Phase::Incumbent(Incumbent::Leaving | Incumbent::Ending(_)) | Phase::Empty => false,
        Phase::Successor(state) => state != Successor::Over,
        Phase::Booting | Phase::Incumbent(_) => can_be_asked(worker),
    }
}

/// `stop` asks whoever answers.
fn ask(rules: &Scenario, s: &mut State, me: u8) {
    s.launcher(me).pc = Pc::Asked;
    if let Sight::Worker(slot) = s.see() {
        end(rules, s, slot);
    }
}

/// Somebody asks a worker to end: over the control socket, or by a signal.
pub(super) fn end(rules: &Scenario, s: &mut State, slot: u8) {
    match s.at(slot).phase {
        Phase::Empty => {}
        Phase::Booting => s.bury(slot, News::Ended),
        Phase::Incumbent(_) => incumbent::hear(rules, s, slot, IncumbentEvent::StopAsked),
        Phase::Successor(state) => {
            s.worker(slot).news = News::Ended;
            s.worker(slot).ends = matches!(state, Successor::Granted | Successor::Active);
            successor::learn(rules, s, slot, SuccessorEvent::Failed);
        }
    }
}

/// A call ends.
fn finish(rules: &Scenario, s: &mut State, me: u8, outcome: Outcome) {
    let fine = match outcome {
        Outcome::Serving | Outcome::Verified | Outcome::Stopped => true,
        Outcome::Unproved => rules.callers.len() > 1,
        Outcome::Ended | Outcome::SpawnFailed | Outcome::TimedOut => false,
    };
    s.unsound |= !fine && s.left == rules.limits && !rules.has(Task::Stop);
    release(s, me);
    let launcher = s.launcher(me);
    launcher.runs -= 1;
    (launcher.news, launcher.generation, launcher.target) = (News::None, 0, 0);
    launcher.tried = Tried::Nothing;
    launcher.pc = if launcher.runs > 0 { Pc::Look } else { Pc::Done(outcome) };
}

fn release(s: &mut State, me: u8) {
    let launcher = s.launcher(me);
    (launcher.gate, launcher.lease, launcher.socket) = (false, 0, 0);
    s.settle();
}

/// A launcher is killed.
pub(super) fn die(s: &mut State, me: u8) {
    release(s, me);
    *s.launcher(me) = Launcher::KILLED;
    for worker in s.workers.iter_mut().filter(|worker| worker.parent == me) {
        worker.parent = NOBODY;
    }
}

/// Whether it is one of those that call.
pub(super) fn calls(s: &State) -> impl Iterator<Item = u8> {
    numbers(LAUNCHERS).filter(|me| !s.launchers[usize::from(*me)].is_over())
}

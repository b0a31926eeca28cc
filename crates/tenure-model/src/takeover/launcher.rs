//! The steps of `ensure` with a worker that serves, and in the empty scope that a worker may leave; and the steps that
//! all calls share.
//!
//! A step ends where the real process can be interleaved or can die. The shipped functions decide what follows from a
//! look. A look without the gate and the read of the record are one step here; they are two in the model of one worker.

use tenure_core::policy::takeover::{Incumbent, IncumbentEvent, Successor, SuccessorEvent};

use crate::kernel::{NOBODY, Sight};
use crate::mutation::Mutation;
use crate::policy::{AttemptEvent, Question};
use crate::real::{Choice, Looks, ModelTarget, Seen};
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::takeover::call::{
    count_before_start, finish, free, is_trusted, keep, look_again, observe, target,
};
use crate::takeover::process::{Kin, Launcher, News, Origin, Outcome, Pc, Phase, Todo, Why, Worker};
use crate::takeover::state::State;
use crate::takeover::{call, incumbent, person, proof, replacing, successor};

/// Whether the launcher can take its next step now.
pub(super) fn may_go(s: &State, me: u8) -> bool {
    let launcher = &s.launchers[usize::from(me)];
    match launcher.pc {
        Pc::Look
        | Pc::Gated
        | Pc::Put
        | Pc::Leased
        | Pc::Opened
        | Pc::Pin
        | Pc::AwaitAlone(NOBODY)
        | Pc::Settling(NOBODY) => true,
        Pc::Bound => free(s).is_some(),
        Pc::AwaitSettled { slot, proves } => is_settled(s.at(slot), proves),
        Pc::Settling(slot) => is_settled(s.at(slot), true),
        Pc::AwaitAlone(slot) => !s.at(slot).is_followed(),
        Pc::Back(slot) => slot == NOBODY && s.see() != Sight::Silent,
        Pc::Done(_) | Pc::Dead => false,
        Pc::WantGate => s.gate_is_free(),
        Pc::Silent | Pc::Verify | Pc::PutBack => s.see() != Sight::Silent,
        Pc::TakeLease => s.lease == 0 || matches!(s.see(), Sight::Worker(_)),
        Pc::AwaitBoot(_) | Pc::AwaitTakeover(_) => launcher.news != News::None,
        Pc::Bake(slot) => launcher.news == News::Gone || !s.at(slot).is_followed(),
        Pc::Ask(_) => match s.see() {
            Sight::Worker(slot) => can_be_asked(s.at(slot)),
            Sight::Nobody | Sight::Silent => true,
        },
        Pc::Asked(_) => {
            let asks_again = matches!(s.see(), Sight::Worker(slot) if would_end(s.at(slot)));
            (s.lease == 0 && (launcher.gate || s.gate_is_free())) || asks_again
        }
    }
}

/// Whether a wait for this worker is over: it is gone, has made room, or serves. With `proves`, its probation is over
/// too.
fn is_settled(worker: &Worker, proves: bool) -> bool {
    match worker.phase {
        Phase::Empty | Phase::Incumbent(_) | Phase::Successor(Successor::Over) => true,
        Phase::Successor(state) => state == Successor::Active && !proves,
        Phase::Booting => false,
    }
}

/// Whether the process that it waits for is stopped, so that its budget ends.
pub(super) fn may_expire(s: &State, me: u8) -> bool {
    let stands = |slot: u8| slot != NOBODY && s.at(slot).stopped;
    let before = |slot: u8| matches!(s.at(slot).predecessor, Kin::Alive(other) if s.at(other).stopped);
    match s.launchers[usize::from(me)].pc {
        Pc::AwaitSettled { slot, .. } | Pc::Bake(slot) => stands(slot) || before(slot),
        Pc::Settling(slot) => slot != NOBODY && (stands(slot) || before(slot)),
        Pc::Back(slot) if slot != NOBODY => stands(slot),
        Pc::WantGate => s.workers.iter().any(|worker| worker.gate && worker.stopped),
        Pc::Verify | Pc::PutBack | Pc::Back(_) => {
            s.see() == Sight::Silent && s.workers.iter().any(|worker| worker.stopped)
        }
        Pc::Asked(_) => s.lease == 0 && s.workers.iter().any(|worker| worker.gate && worker.stopped),
        Pc::Look
        | Pc::Gated
        | Pc::Put
        | Pc::Silent
        | Pc::AwaitAlone(_)
        | Pc::TakeLease
        | Pc::Leased
        | Pc::Opened
        | Pc::Bound
        | Pc::AwaitBoot(_)
        | Pc::AwaitTakeover(_)
        | Pc::Ask(_)
        | Pc::Pin
        | Pc::Done(_)
        | Pc::Dead => false,
    }
}

/// Whether it may kill, by a verified handle, a worker that is stopped or hangs.
pub(super) fn may_force(rules: &Rules, s: &State, me: u8) -> bool {
    let still = |worker: &Worker| worker.stopped || (worker.hangs && rules.breaks(Mutation::NoWatchdog));
    let keeps = |worker: &Worker| worker.lease != 0 && worker.lease == s.lease && still(worker);
    match s.launchers[usize::from(me)].pc {
        Pc::Silent | Pc::TakeLease | Pc::Asked(_) => s.workers.iter().any(keeps),
        Pc::AwaitAlone(slot) => predecessor(s, slot).is_some_and(|before| still(s.at(before))),
        Pc::AwaitBoot(slot) | Pc::AwaitTakeover(slot) => {
            s.launchers[usize::from(me)].news == News::None && still(s.at(slot))
        }
        Pc::Look
        | Pc::AwaitSettled { .. }
        | Pc::WantGate
        | Pc::Gated
        | Pc::Put
        | Pc::Leased
        | Pc::Opened
        | Pc::Bound
        | Pc::Bake(_)
        | Pc::Verify
        | Pc::Ask(_)
        | Pc::Settling(_)
        | Pc::Back(_)
        | Pc::PutBack
        | Pc::Pin
        | Pc::Done(_)
        | Pc::Dead => false,
    }
}

fn predecessor(s: &State, slot: u8) -> Option<u8> {
    match s.workers.get(usize::from(slot))?.predecessor {
        Kin::Alive(before) => Some(before),
        Kin::None | Kin::Gone => None,
    }
}

/// Kills the worker in its way: the one that it started itself, an incumbent that should be gone, or the recorded
/// lineage; if none of these lives, the holder of the lease.
pub(super) fn force(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { pc, task, target, .. } = *s.launcher(me);
    if let Pc::AwaitBoot(slot) | Pc::AwaitTakeover(slot) = pc {
        return s.bury(slot, News::Gone);
    }
    if let Pc::AwaitAlone(slot) = pc {
        return predecessor(s, slot).into_iter().for_each(|before| s.bury(before, News::Gone));
    }
    // Without a target the silent worker is left alone: it is better than none.
    if pc == Pc::Silent && task == Task::Ensure && target == NOBODY {
        return finish(rules, s, me, Outcome::SpawnFailed);
    }
    let recorded: Vec<u8> =
        s.living().map(|(slot, _)| slot).filter(|slot| s.lineage & (1 << slot) != 0).collect();
    let holders = s.living().filter(|(_, worker)| worker.lease == s.lease).map(|(slot, _)| slot).collect();
    for slot in if recorded.is_empty() { holders } else { recorded } {
        s.bury(slot, News::Gone);
    }
    if !matches!(pc, Pc::Asked(_)) {
        s.launcher(me).pc = Pc::TakeLease;
    }
}

/// Its budget ends.
pub(super) fn expire(rules: &Rules, s: &mut State, me: u8) {
    let pc = s.launcher(me).pc;
    if let Pc::Bake(_) = pc {
        s.launcher(me).pc = Pc::Verify;
    } else if pc == Pc::Verify {
        proof::unproved(rules, s, me);
    } else {
        finish(rules, s, me, Outcome::TimedOut);
    }
}

/// Its next step.
pub(super) fn go(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { pc, task, .. } = *s.launcher(me);
    match pc {
        Pc::Look => look(rules, s, me),
        Pc::AwaitSettled { .. } => s.launcher(me).pc = Pc::Look,
        Pc::WantGate => {
            let launcher = s.launcher(me);
            (launcher.gate, launcher.pc) = (true, Pc::Gated);
        }
        Pc::Gated => match task {
            Task::Restart => person::restart(rules, s, me),
            Task::Pin => person::pin(rules, s, me),
            Task::Ensure | Task::Start | Task::Stop | Task::Down | Task::Unpin => act(rules, s, me),
        },
        Pc::Put => person::put(rules, s, me),
        // The silent worker answers again or is gone; or the awaited worker has ended, and the one before it may have
        // taken the scope back.
        Pc::Silent | Pc::AwaitAlone(NOBODY) if task == Task::Ensure => look_again(s, me),
        Pc::Silent if s.launcher(me).unheard => proof::unproved(rules, s, me),
        Pc::Silent | Pc::AwaitAlone(NOBODY) => s.launcher(me).pc = Pc::Put,
        Pc::AwaitAlone(slot) => replacing::attempt(rules, s, me, slot),
        // A worker answers by now, so the lease is not that of a worker that ends.
        Pc::TakeLease if s.lease != 0 && task == Task::Ensure => look_again(s, me),
        Pc::TakeLease if s.lease != 0 => s.launcher(me).pc = Pc::Ask(Why::Replace),
        Pc::TakeLease => {
            let lease = s.new_lease();
            let launcher = s.launcher(me);
            (launcher.lease, launcher.pc) = (lease, Pc::Leased);
        }
        Pc::Leased => open(rules, s, me),
        Pc::Opened => {
            let socket = s.new_socket();
            let launcher = s.launcher(me);
            (launcher.socket, launcher.pc) = (socket, Pc::Bound);
        }
        Pc::Bound => start(s, me),
        Pc::AwaitBoot(_) | Pc::AwaitTakeover(_) => replacing::settle(rules, s, me),
        Pc::Bake(_) => s.launcher(me).pc = Pc::Verify,
        Pc::Verify => proof::verify(rules, s, me),
        Pc::Ask(why) => ask(rules, s, me, why),
        Pc::Asked(Why::Stop) if s.lease == 0 => finish(rules, s, me, Outcome::Stopped),
        Pc::Asked(Why::Replace) if s.lease == 0 => {
            if task == Task::Ensure {
                call::remember(rules, s, me, AttemptEvent::Retired);
                s.replaced += 1;
            }
            s.launcher(me).pc = Pc::TakeLease;
        }
        Pc::Asked(why) => s.launcher(me).pc = Pc::Ask(why),
        Pc::Settling(slot) => person::settled(rules, s, me, slot),
        Pc::Back(_) => person::came_back(rules, s, me),
        Pc::PutBack => person::put_back(rules, s, me),
        Pc::Pin => person::hold(rules, s, me),
        Pc::Done(_) | Pc::Dead => {}
    }
}

/// Looks without the gate.
fn look(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { task, level: criteria, memory, .. } = *s.launcher(me);
    match task {
        Task::Stop | Task::Down => return s.launcher(me).pc = Pc::Ask(Why::Stop),
        Task::Restart | Task::Pin | Task::Unpin => return s.launcher(me).pc = Pc::WantGate,
        Task::Ensure | Task::Start => {}
    }
    let seen = observe(rules, s);
    let is_known = rules.policy.is_known(s.record, criteria);
    let target = if is_known { target(rules, s, criteria, memory).target } else { ModelTarget::Unknown };
    let (choice, memory) = rules.policy.look(Question { criteria, target, seen, memory });
    match (choice, s.see()) {
        (Choice::Answer(_), _) => {
            s.launcher(me).memory = memory;
            finish(rules, s, me, Outcome::Serving);
        }
        (Choice::Await, Sight::Worker(slot)) => {
            let proves = matches!(seen, Seen::Worker(_, Looks::OnProbation));
            let launcher = s.launcher(me);
            (launcher.memory, launcher.pc) = (memory, Pc::AwaitSettled { slot, proves });
        }
        (Choice::Refuse, _) => finish(rules, s, me, Outcome::SpawnFailed),
        (_, _) => s.launcher(me).pc = Pc::WantGate,
    }
}

/// Under the gate: looks again and does what follows from that.
fn act(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { level: criteria, memory, .. } = *s.launcher(me);
    if !keep(rules, s, &[Change::Offer(criteria)]) {
        return finish(rules, s, me, Outcome::SpawnFailed);
    }
    let wanted = target(rules, s, criteria, memory);
    let seen = match observe(rules, s) {
        Seen::Worker(level, Looks::OnProbation) if rules.breaks(Mutation::OverlappingBegun) => {
            Seen::Worker(level, Looks::Ready)
        }
        seen @ (Seen::Worker(..) | Seen::Nobody | Seen::Silent) => seen,
    };
    let (choice, memory) = rules.policy.choose(Question { criteria, target: wanted.target, seen, memory });
    let target = match seen {
        Seen::Worker(level, _) if rules.breaks(Mutation::StaleSuccessor) => level,
        Seen::Worker(..) | Seen::Nobody | Seen::Silent => wanted.startable.unwrap_or(NOBODY),
    };
    s.launcher(me).memory = memory;
    match (choice, s.see()) {
        (Choice::Answer(_), _) => finish(rules, s, me, Outcome::Serving),
        (Choice::Await, _) => look_again(s, me),
        (Choice::Suspect, _) => {
            s.chooses(me, target);
            s.launcher(me).pc = Pc::Silent;
        }
        (Choice::Start | Choice::AwaitEnd, _) if target != NOBODY => {
            s.chooses(me, target);
            s.launcher(me).pc = Pc::TakeLease;
        }
        (Choice::Replace, Sight::Worker(slot)) if target != NOBODY => {
            s.chooses(me, target);
            replacing::attempt(rules, s, me, slot);
        }
        (_, _) => finish(rules, s, me, Outcome::SpawnFailed),
    }
}

/// Holds the lease: opens a generation for its target, if that is still trusted.
fn open(rules: &Rules, s: &mut State, me: u8) {
    let target = s.launcher(me).target;
    if s.full || !count_before_start(rules, s) || !is_trusted(rules, s, target) {
        return proof::fail(rules, s, me);
    }
    s.starts(target);
    s.write_ledger(s.ledger + 1, 0);
    s.change(rules, Change::Open);
    s.launcher(me).pc = Pc::Opened;
}

/// Starts a worker in an empty scope.
fn start(s: &mut State, me: u8) {
    let Some(free) = free(s) else { return };
    let Launcher { target, lease, socket, task, .. } = *s.launcher(me);
    let generation = s.ledger;
    *s.worker(free) = Worker {
        phase: Phase::Booting,
        level: target,
        generation,
        lease,
        socket,
        answers: true,
        origin: if task == Task::Pin { Origin::Pin } else { Origin::Cold },
        parent: me,
        ..Worker::NONE
    };
    s.lineage = 1 << free;
    let launcher = s.launcher(me);
    (launcher.lease, launcher.socket, launcher.news) = (0, 0, News::None);
    (launcher.generation, launcher.pc) = (generation, Pc::AwaitBoot(free));
}

/// Whether a request to end reaches its machine now: no action is under way.
fn can_be_asked(worker: &Worker) -> bool {
    worker.todo == Todo::Nothing
}

/// Whether a request would end it: by its answer it is not ending yet.
fn would_end(worker: &Worker) -> bool {
    match worker.phase {
        Phase::Incumbent(Incumbent::Leaving | Incumbent::Ending(_)) | Phase::Empty => false,
        Phase::Successor(state) => state != Successor::Over,
        Phase::Booting | Phase::Incumbent(_) => can_be_asked(worker),
    }
}

/// Asks the worker that answers to end, and waits for its lease.
fn ask(rules: &Rules, s: &mut State, me: u8, why: Why) {
    s.launcher(me).pc = Pc::Asked(why);
    if let Sight::Worker(slot) = s.see() {
        end(rules, s, slot);
    }
}

/// Somebody asks a worker to end: over the control socket, or by a signal.
pub(super) fn end(rules: &Rules, s: &mut State, slot: u8) {
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

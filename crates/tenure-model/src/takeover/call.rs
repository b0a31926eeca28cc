//! The parts that all calls share: what they see, their target, the record, how they end.

use tenure_core::policy::takeover::Successor;

use crate::kernel::{NOBODY, Sight, numbers};
use crate::mutation::Mutation;
use crate::policy::{AttemptEvent, Memory, Record};
use crate::real::{Level, Looks, ModelCallTarget, Seen};
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::takeover::process::{Launcher, News, Outcome, Pc, Phase};
use crate::takeover::state::{LAUNCHERS, State};

/// What a launcher sees of the scope.
pub(super) fn observe(rules: &Rules, s: &State) -> Seen {
    let slot = match s.see() {
        Sight::Nobody => return Seen::Nobody,
        Sight::Silent => return Seen::Silent,
        Sight::Worker(slot) => slot,
    };
    let worker = s.at(slot);
    let looks = match worker.phase {
        Phase::Successor(Successor::Active) if rules.terms.probation && worker.is_followed() => {
            Looks::OnProbation
        }
        // To callers a worker that makes room is ready, because its listeners stay open.
        Phase::Successor(Successor::Active) | Phase::Incumbent(_) => Looks::Ready,
        Phase::Successor(Successor::Over) => Looks::Draining,
        Phase::Successor(_) | Phase::Booting | Phase::Empty => Looks::Booting,
    };
    Seen::Worker(worker.level, looks)
}

/// The target of a call with this memory, by a launcher of this version and the present record.
pub(super) fn target(rules: &Rules, s: &State, asks: Level, memory: Memory) -> ModelCallTarget {
    target_of(rules, s, s.record, (asks, memory))
}

/// The target of a call with this memory by this record.
pub(super) fn target_of(
    rules: &Rules,
    s: &State,
    record: Record,
    (asks, memory): (Level, Memory),
) -> ModelCallTarget {
    let revoked = if rules.breaks(Mutation::RevokedCounts) { 0 } else { s.revoked };
    rules.policy.target(record, asks, memory, revoked)
}

/// The record with the ledger's facts counted; nothing is written.
pub(super) fn counted(rules: &Rules, s: &State) -> Record {
    let count = if rules.breaks(Mutation::RollbackUncounted) { Change::CountProofs } else { Change::Count };
    rules.policy.change(s.record, count)
}

/// What a launcher does before it starts a worker: counts the ledger's facts, which the next generation erases.
/// `false`: the record cannot be written.
pub(super) fn count_before_start(rules: &Rules, s: &mut State) -> bool {
    rules.breaks(Mutation::ErasedUncounted) || keep(rules, s, &[])
}

/// Counts the ledger's facts and makes these changes. `false`: the record cannot be written.
pub(super) fn keep(rules: &Rules, s: &mut State, changes: &[Change]) -> bool {
    let record =
        changes.iter().fold(counted(rules, s), |record, change| rules.policy.change(record, *change));
    let writes = !s.full || record == s.record;
    if writes {
        s.record = record;
    }
    writes
}

/// Whether a version is still trusted when it is about to be started, perhaps long after it was chosen.
pub(super) fn is_trusted(rules: &Rules, s: &State, level: Level) -> bool {
    rules.breaks(Mutation::RevokedCounts) || s.revoked & (1 << level) == 0
}

/// An empty slot.
pub(super) fn free(s: &State) -> Option<u8> {
    numbers(s.workers.len()).find(|slot| !s.at(*slot).lives())
}

/// A call remembers an event.
pub(super) fn remember(rules: &Rules, s: &mut State, me: u8, event: AttemptEvent) {
    let memory = s.launcher(me).memory;
    s.launcher(me).memory = rules.policy.remember(memory, event);
}

/// A call ends.
pub(super) fn finish(rules: &Rules, s: &mut State, me: u8, outcome: Outcome) {
    let is_stranger = rules.policy.is_taken(s.record, s.launcher(me).level);
    let fine = match outcome {
        Outcome::SpawnFailed if is_stranger => true,
        Outcome::Serving | Outcome::Verified | Outcome::Stopped | Outcome::Pinned => true,
        Outcome::Unproved | Outcome::PinFailed => rules.callers.len() > 1,
        Outcome::SpawnFailed | Outcome::TimedOut => false,
    };
    let owed = !rules.has(Task::Stop) && rules.fails == 0;
    s.unsound |= !fine && owed && s.left == rules.limits;
    release(s, me);
    let launcher = s.launcher(me);
    let Launcher { task, level, runs, .. } = *launcher;
    let pc = if runs > 1 { Pc::Look } else { Pc::Done(outcome) };
    *launcher = Launcher { task, level, runs: runs - 1, pc, ..Launcher::NONE };
}

/// Leaves the gate and every lock, to look again.
pub(super) fn look_again(s: &mut State, me: u8) {
    release(s, me);
    let launcher = s.launcher(me);
    (launcher.news, launcher.generation, launcher.target, launcher.pc) = (News::None, 0, 0, Pc::Look);
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

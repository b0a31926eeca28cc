//! The shipped decisions on small numbers. The real functions decide each case when it first comes up; after that the
//! answer is looked up.
//!
//! Records and memories of calls are numbered when they first come up, so that a state has only numbers.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use tenure_core::policy::attempt::Attempt;

use crate::real::{self, Choice, Level, ModelCallTarget, ModelTarget, STRANGERS, Seen, Versions};
use crate::records::{self, Change, Records};

/// The number of a record.
pub(crate) type Record = u16;

/// The number of a call's memory.
pub(crate) type Memory = u8;

/// A case to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) criteria: Level,
    pub(crate) target: ModelTarget,
    pub(crate) seen: Seen,
    pub(crate) memory: Memory,
}

/// What a call remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AttemptEvent {
    Retired,
    Started,
    StartFailed(Level),
}

/// What a record says besides the target. Versions are bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// The versions that have been offered.
    pub(crate) offered: u8,
    /// Versions that have failed and not succeeded since.
    pub(crate) tallied: u8,
    /// Versions that have failed more than once.
    pub(crate) failed_twice: u8,
    /// Versions in quarantine.
    pub(crate) kept_out: u8,
    /// The version that a person holds.
    pub(crate) pinned: Option<Level>,
    /// Whether a person stopped the worker for good.
    pub(crate) down: bool,
}

/// The decisions, and their answers so far.
#[derive(Debug)]
pub(crate) struct Policy {
    versions: Versions,
    /// Whether launchers replace workers of any version but their own.
    strictly: bool,
    records: Numbered<Records>,
    changes: Known<(Record, Change), Record>,
    targets: Known<(Record, bool, Memory, u8), ModelCallTarget>,
    taken: Known<(Record, bool), bool>,
    facts: Known<Record, Facts>,
    memories: Numbered<Attempt>,
    remembered: Known<(Memory, AttemptEvent), Memory>,
    failed: Known<Memory, u8>,
    choices: Known<Question, (Choice, Memory)>,
    looks: Known<Question, (Choice, Memory)>,
}

impl Policy {
    /// The decisions for these versions. Record 0 and memory 0 are empty.
    pub(crate) fn of(versions: Versions, strictly: bool) -> Self {
        Self {
            versions,
            strictly,
            records: Numbered::of(Records::default()),
            changes: Known::default(),
            targets: Known::default(),
            taken: Known::default(),
            facts: Known::default(),
            memories: Numbered::of(Attempt::default()),
            remembered: Known::default(),
            failed: Known::default(),
            choices: Known::default(),
            looks: Known::default(),
        }
    }

    /// The record after a change.
    pub(crate) fn change(&self, record: Record, change: Change) -> Record {
        self.changes.get((record, change), || {
            self.records.number_of(self.records.value(record).changed(&self.versions, change))
        })
    }

    /// The target of a call with this memory, by a launcher of this version. The versions in `revoked` (bits) are not
    /// trusted any more.
    pub(crate) fn target(&self, record: Record, asks: Level, memory: Memory, revoked: u8) -> ModelCallTarget {
        self.targets.get((record, asks >= STRANGERS, memory, revoked), || {
            self.records.value(record).target(asks, &self.attempt(memory), revoked)
        })
    }

    /// Whether the name is kept for another app than that of a launcher of this version.
    pub(crate) fn is_taken(&self, record: Record, asks: Level) -> bool {
        self.taken.get((record, asks >= STRANGERS), || self.records.value(record).is_taken(asks))
    }

    /// Whether a launcher of this version may decide by a record that it has read without the gate: it holds this very
    /// offer, or keeps the name for another app.
    pub(crate) fn is_known(&self, record: Record, asks: Level) -> bool {
        self.facts(record).offered & (1 << asks) != 0 || self.is_taken(record, asks)
    }

    /// The other facts of a record.
    pub(crate) fn facts(&self, record: Record) -> Facts {
        self.facts.get(record, || {
            let records = self.records.value(record);
            let bits = |holds: &dyn Fn(Level) -> bool| self.bits(holds);
            Facts {
                offered: bits(&|level| records.desired.offered(&real::version(level)).is_some()),
                tallied: bits(&|level| records.failures(level) > 0),
                failed_twice: bits(&|level| records.failures(level) > 1),
                kept_out: bits(&|level| records.keeps_out(level)),
                pinned: records::pinned(&records.desired),
                down: records.desired.down.is_some(),
            }
        })
    }

    /// The version that the app of `level` says it is, where that is another one.
    pub(crate) fn says(&self, level: Level) -> Option<Level> {
        self.versions.says(level)
    }

    /// The attempt's next step after the decision, and the memory after it. Without a target the record was not read,
    /// and a call that sees an older worker reads it.
    pub(crate) fn choose(&self, question: Question) -> (Choice, Memory) {
        self.choices.get(question, || {
            let Question { criteria, target, seen, memory } = question;
            let decide = if self.strictly { real::strict_decision } else { real::decision };
            let decision = decide(&self.versions, criteria, target, seen);
            if target == ModelTarget::Unknown && real::needs_record(&decision) {
                return (Choice::Read, memory);
            }
            let mut attempt = (*self.attempt(memory)).clone();
            (real::choice(&attempt.step(decision)), self.memory(attempt))
        })
    }

    /// The same for a look without the gate. An unknown target is a record without the caller's offer.
    pub(crate) fn look(&self, question: Question) -> (Choice, Memory) {
        self.looks.get(question, || {
            let Question { criteria, target, seen, memory } = question;
            let decision = real::decision_without_gate(&self.versions, criteria, target, seen);
            let mut attempt = (*self.attempt(memory)).clone();
            (real::choice(&attempt.step(decision)), self.memory(attempt))
        })
    }

    /// The memory after an event.
    pub(crate) fn remember(&self, memory: Memory, event: AttemptEvent) -> Memory {
        self.remembered.get((memory, event), || {
            let mut attempt = (*self.attempt(memory)).clone();
            match event {
                AttemptEvent::Retired => attempt.note_replaced(),
                AttemptEvent::Started => attempt.note_started(),
                AttemptEvent::StartFailed(level) => attempt.note_start_failed(&real::version(level)),
            }
            self.memory(attempt)
        })
    }

    /// The versions whose start failed in this call, as bits.
    pub(crate) fn failed(&self, memory: Memory) -> u8 {
        self.failed.get(memory, || {
            let attempt = self.attempt(memory);
            self.bits(&|level| !attempt.may_start(&real::version(level)))
        })
    }

    fn bits(&self, holds: &dyn Fn(Level) -> bool) -> u8 {
        (0..self.versions.levels).filter(|level| holds(*level)).fold(0, |bits, level| bits | (1 << level))
    }

    fn attempt(&self, memory: Memory) -> Arc<Attempt> {
        self.memories.value(memory.into())
    }

    fn memory(&self, attempt: Attempt) -> Memory {
        Memory::try_from(self.memories.number_of(attempt)).expect("a call has few memories")
    }
}

/// Answers so far. The lock is against the other threads of the search.
#[derive(Debug)]
struct Known<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Copy> Known<K, V> {
    fn get(&self, key: K, answer: impl FnOnce() -> V) -> V {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        known.unwrap_or_else(|| {
            let answer = answer();
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, answer);
            answer
        })
    }
}

/// Values, numbered in the order in which they came up.
#[derive(Debug)]
struct Numbered<T>(RwLock<Met<T>>);

/// The values by number, and the number of each by its text.
type Met<T> = (Vec<Arc<T>>, HashMap<String, Record>);

impl<T: Debug> Numbered<T> {
    fn of(first: T) -> Self {
        let numbered = Self(RwLock::default());
        numbered.number_of(first);
        numbered
    }

    fn number_of(&self, value: T) -> Record {
        let (values, known) = &mut *self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = Record::try_from(values.len()).expect("there are few different values");
        let number = *known.entry(format!("{value:?}")).or_insert(next);
        if number == next {
            values.push(Arc::new(value));
        }
        number
    }

    fn value(&self, number: Record) -> Arc<T> {
        let numbered = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&numbered.0[usize::from(number)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(levels: Level) -> Policy {
        let says = if levels > 1 { vec![(1, 0)] } else { Vec::new() };
        Policy::of(Versions { levels, counts: true, says, ignores_apps: false }, false)
    }

    fn record(policy: &Policy, changes: &[Change]) -> Record {
        changes.iter().fold(0, |record, change| policy.change(record, *change))
    }

    fn after(policy: &Policy, changes: &[Change]) -> ModelCallTarget {
        policy.target(record(policy, changes), 0, 0, 0)
    }

    /// A version that is on offer as usual.
    fn target(level: Level) -> ModelCallTarget {
        ModelCallTarget { target: ModelTarget::start(level), startable: Some(level) }
    }

    #[test]
    fn abstract_time_makes_the_real_record_pass_a_version_over_and_take_it_back() {
        let policy = policy(2);
        let failed = [Change::Offer(0), Change::Offer(1), Change::Fail(1)];
        assert_eq!(after(&policy, &failed), target(0));
        assert_eq!(after(&policy, &[&failed[..], &[Change::SuppressionEnds(1)]].concat()), target(0));
        assert_eq!(after(&policy, &[&failed[..], &[Change::QuarantineEnds(1)]].concat()), target(1));
    }

    #[test]
    fn abstract_time_makes_the_real_record_suppress_a_lone_failure() {
        let policy = policy(1);
        let failed = [Change::Offer(0), Change::Fail(0)];
        let nothing = ModelCallTarget { target: ModelTarget::Nothing, startable: None };
        assert_eq!(after(&policy, &failed), nothing);
        let retry = ModelCallTarget { startable: Some(0), ..nothing };
        assert_eq!(after(&policy, &[&failed[..], &[Change::SuppressionEnds(0)]].concat()), retry);
    }

    #[test]
    fn the_real_record_keeps_what_a_person_said_and_what_disagreed() {
        let policy = policy(2);
        let said = [Change::Offer(0), Change::Offer(1), Change::Pin(0), Change::Down];
        assert_eq!(after(&policy, &said).target, ModelTarget::Start { level: 0, pinned: true, tried: 0 });
        let facts = policy.facts(record(&policy, &said));
        assert_eq!((facts.offered, facts.pinned, facts.down), (0b11, Some(0), true));
        let disagreed = [Change::Offer(0), Change::Offer(1), Change::Disagree(1)];
        assert_eq!(
            after(&policy, &disagreed).target,
            ModelTarget::Start { level: 1, pinned: false, tried: 1 }
        );
    }

    #[test]
    fn a_memory_knows_which_versions_failed() {
        let policy = policy(2);
        let memory = policy.remember(0, AttemptEvent::StartFailed(1));
        assert_eq!((policy.failed(0), policy.failed(memory)), (0, 0b10));
    }

    #[test]
    fn a_version_that_failed_twice_is_kept_out_for_twice_as_long() {
        let policy = policy(2);
        let twice = [Change::Offer(0), Change::Offer(1), Change::Fail(1), Change::Tick, Change::Fail(1)];
        assert_eq!(after(&policy, &twice[..4]), target(1));
        assert_eq!(after(&policy, &[&twice[..], &[Change::Tick]].concat()), target(0));
        assert_eq!(after(&policy, &[&twice[..], &[Change::Tick, Change::Tick]].concat()), target(1));
    }

    #[test]
    fn what_the_ledger_tells_is_counted_once_and_not_after_the_launcher_itself() {
        let policy = policy(2);
        let offered = [Change::Offer(0), Change::Offer(1), Change::RollBack(1)];
        let counts = |changes: &[Change]| {
            policy.facts(record(&policy, &[&offered[..], changes].concat())).failed_twice
        };
        assert_eq!(after(&policy, &[&offered[..], &[Change::Count, Change::Count]].concat()), target(0));
        assert_eq!(counts(&[Change::Count, Change::Count]), 0);
        assert_eq!(counts(&[Change::Fail(1), Change::Count]), 0);
        assert_eq!(counts(&[Change::Count, Change::RollBack(1), Change::Count]), 0b10);
    }

    #[test]
    fn a_name_is_kept_for_the_app_that_offered_first() {
        let policy = policy(4);
        let offered = record(&policy, &[Change::Offer(0), Change::Offer(STRANGERS), Change::Offer(1)]);
        assert_eq!(policy.facts(offered).offered, 0b11, "a stranger's offer leaves nothing");
        assert!(policy.is_taken(offered, STRANGERS) && !policy.is_taken(offered, 2));
        let taken = ModelCallTarget { target: ModelTarget::Taken, startable: None };
        assert_eq!(policy.target(offered, STRANGERS, 0, 0), taken);
        assert_eq!(policy.target(offered, 2, 0, 0), target(1));
    }

    #[test]
    fn what_nobody_trusts_is_not_chosen() {
        let policy = policy(2);
        let offered = record(&policy, &[Change::Offer(0), Change::Offer(1)]);
        assert_eq!(policy.target(offered, 0, 0, 0b10), target(0));
    }
}

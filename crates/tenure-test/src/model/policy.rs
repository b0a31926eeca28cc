//! The shipped decisions as tables: every case is asked once of the real functions, then looked up.
//!
//! Records and call memories are values of `Desired` and `Errand`, numbered as they are met while the tables are filled.

use std::collections::HashMap;

use tenure::desired::Desired;
use tenure::errand::Errand;
use tenure::judge::Verdict;

use crate::model::real::{self, Change, Choice, Goal, Level, Looks, Seen};

/// A value of `desired.json`, by number.
pub(super) type Record = u16;

/// A call's memory, by number.
pub(super) type Memory = u8;

/// A question to the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) want: Level,
    pub(super) goal: Goal,
    pub(super) seen: Seen,
    pub(super) memory: Memory,
}

/// What became of a call's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    Retired,
    Started,
    StartFailed(Level),
}

/// The tables.
#[derive(Debug)]
pub(super) struct Policy {
    records: Numbered<Desired>,
    changes: HashMap<(Record, Change), Record>,
    goals: HashMap<(Record, u8), Goal>,
    tallied: Vec<u8>,
    memories: Numbered<Errand>,
    deeds: HashMap<(Memory, Deed), Memory>,
    failed: Vec<u8>,
    choices: HashMap<Question, (Choice, Memory)>,
}

impl Policy {
    /// Asks the shipped functions for every case that `levels` versions can lead to. Strictly: the judge is shown accounts
    /// that agree with nobody but a launcher of the very same version.
    pub(super) fn of(levels: Level, strictly: bool) -> Self {
        let mut policy = Self {
            records: Numbered::of(Desired::default()),
            changes: HashMap::new(),
            goals: HashMap::new(),
            tallied: Vec::new(),
            memories: Numbered::of(Errand::default()),
            deeds: HashMap::new(),
            failed: Vec::new(),
            choices: HashMap::new(),
        };
        policy.fill_records(levels);
        policy.fill_memories(levels, &verdicts(levels, strictly));
        policy
    }

    /// The record after a change.
    pub(super) fn change(&self, record: Record, change: Change) -> Record {
        self.changes[&(record, change)]
    }

    /// What would be started by a call that may not start the versions in `except` (as bits).
    pub(super) fn goal(&self, record: Record, except: u8) -> Goal {
        self.goals[&(record, except)]
    }

    /// The versions that have failed and not succeeded since, as bits.
    pub(super) fn tallied(&self, record: Record) -> u8 {
        self.tallied[usize::from(record)]
    }

    /// The errand's act on the judge's verdict, and what the call then remembers.
    pub(super) fn choose(&self, question: Question) -> (Choice, Memory) {
        self.choices[&question]
    }

    /// The memory after a deed.
    pub(super) fn remember(&self, memory: Memory, deed: Deed) -> Memory {
        self.deeds[&(memory, deed)]
    }

    /// The versions whose start failed in this call, as bits.
    pub(super) fn failed(&self, memory: Memory) -> u8 {
        self.failed[usize::from(memory)]
    }

    fn fill_records(&mut self, levels: Level) {
        let mut next = 0;
        while let Some(desired) = self.records.values.get(next).cloned() {
            let record = number(next);
            for change in (0..levels).flat_map(Change::all) {
                let after = self.records.number_of(real::changed(desired.clone(), change));
                self.changes.insert((record, change), after);
            }
            for except in 0..1_u8 << levels {
                self.goals.insert((record, except), real::goal(&desired, except));
            }
            self.tallied.push(bits(levels, |level| desired.failure(&real::spec(level)).is_some()));
            next += 1;
        }
    }

    fn fill_memories(&mut self, levels: Level, verdicts: &[(Question, Verdict)]) {
        let mut next = 0;
        while let Some(errand) = self.memories.values.get(next).cloned() {
            let memory = small(number(next));
            self.failed.push(bits(levels, |level| !errand.may_start(&real::version(level))));
            for (deed, after) in deeds(&errand, levels) {
                let after = small(self.memories.number_of(after));
                self.deeds.insert((memory, deed), after);
            }
            for (question, verdict) in verdicts {
                let mut errand = errand.clone();
                let choice = real::choice(&errand.step(verdict.clone()));
                let after = small(self.memories.number_of(errand));
                self.choices.insert(Question { memory, ..*question }, (choice, after));
            }
            next += 1;
        }
    }
}

fn bits(levels: Level, holds: impl Fn(Level) -> bool) -> u8 {
    (0..levels).filter(|level| holds(*level)).fold(0, |bits, level| bits | (1 << level))
}

/// Values that were met, numbered as they were met.
#[derive(Debug)]
struct Numbered<T> {
    values: Vec<T>,
}

impl<T: PartialEq> Numbered<T> {
    fn of(first: T) -> Self {
        Self { values: vec![first] }
    }

    fn number_of(&mut self, value: T) -> Record {
        let known = self.values.iter().position(|one| *one == value);
        number(known.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        }))
    }
}

fn number(place: usize) -> Record {
    Record::try_from(place).expect("there are few different values")
}

fn small(record: Record) -> Memory {
    Memory::try_from(record).expect("a call has few memories")
}

fn deeds(errand: &Errand, levels: Level) -> Vec<(Deed, Errand)> {
    let after = |change: &dyn Fn(&mut Errand)| {
        let mut errand = errand.clone();
        change(&mut errand);
        errand
    };
    let mut deeds = vec![(Deed::Retired, after(&Errand::retired)), (Deed::Started, after(&Errand::started))];
    for level in (0..levels).filter(|level| errand.may_start(&real::version(*level))) {
        let failed = after(&|errand: &mut Errand| errand.start_failed(&real::version(level)));
        deeds.push((Deed::StartFailed(level), failed));
    }
    deeds
}

fn verdicts(levels: Level, strictly: bool) -> Vec<(Question, Verdict)> {
    let goals = (0..levels).map(Goal::Start).chain([Goal::Unknown, Goal::Nothing]);
    let looks = [Looks::Booting, Looks::Ready, Looks::Stalled, Looks::Draining];
    let workers = (0..levels).flat_map(|level| looks.map(|looks| Seen::Worker(level, looks)));
    let seen: Vec<Seen> = workers.chain([Seen::Nobody, Seen::Silent]).collect();
    let mut verdicts = Vec::new();
    for goal in goals {
        for want in 0..levels {
            for &seen in &seen {
                let question = Question { want, goal, seen, memory: 0 };
                verdicts.push((question, real::verdict(want, goal, seen, strictly)));
            }
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(policy: &Policy, changes: &[Change]) -> Goal {
        let record = changes.iter().fold(0, |record, change| policy.change(record, *change));
        policy.goal(record, 0)
    }

    #[test]
    fn abstract_time_makes_the_real_record_pass_a_version_over_and_take_it_back() {
        let policy = Policy::of(2, false);
        let failed = [Change::Offer(0), Change::Offer(1), Change::Fail(1)];
        assert_eq!(after(&policy, &failed), Goal::Start(0));
        assert_eq!(after(&policy, &[&failed[..], &[Change::SuppressionEnds(1)]].concat()), Goal::Start(0));
        assert_eq!(after(&policy, &[&failed[..], &[Change::QuarantineEnds(1)]].concat()), Goal::Start(1));
    }

    #[test]
    fn abstract_time_makes_the_real_record_suppress_a_lone_failure() {
        let policy = Policy::of(1, false);
        let failed = [Change::Offer(0), Change::Fail(0)];
        assert_eq!(after(&policy, &failed), Goal::Nothing);
        assert_eq!(after(&policy, &[&failed[..], &[Change::SuppressionEnds(0)]].concat()), Goal::Start(0));
    }

    #[test]
    fn a_memory_knows_which_versions_failed() {
        let policy = Policy::of(2, false);
        let memory = policy.remember(0, Deed::StartFailed(1));
        assert_eq!((policy.failed(0), policy.failed(memory)), (0, 0b10));
    }
}

//! The shipped decisions as tables: every case is asked once of the real functions, then looked up.
//!
//! Records and call memories are values of `Desired` and `Attempt`, numbered as they are met while the tables are filled.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;

use tenure_core::policy::attempt::Attempt;
use tenure_core::policy::decide::Decision;
use tenure_core::policy::facts::Desired;

use crate::real::{self, Cast, Change, Choice, Goal, Level, Looks, Seen};

/// A value of `desired.json`, by number.
pub(super) type Record = u16;

/// A call's memory, by number.
pub(super) type Memory = u8;

/// A case to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) criteria: Level,
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

/// What a record says besides its goal. Versions as bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The versions that have been offered.
    pub(super) offered: u8,
    /// Those that have failed and not succeeded since.
    pub(super) tallied: u8,
    /// The one that a person holds.
    pub(super) held: Option<Level>,
    /// Whether a person stopped the worker for good.
    pub(super) down: bool,
}

/// The tables.
#[derive(Debug)]
pub(super) struct Policy {
    cast: Cast,
    records: Numbered<Desired>,
    changes: HashMap<(Record, Change), Record>,
    goals: HashMap<(Record, u8), Goal>,
    facts: Vec<Facts>,
    memories: Numbered<Attempt>,
    deeds: HashMap<(Memory, Deed), Memory>,
    failed: Vec<u8>,
    choices: HashMap<Question, (Choice, Memory)>,
}

impl Policy {
    /// Asks the shipped functions for every case that this cast can lead to. Strictly: the decision is shown accounts that
    /// agree with nobody but a launcher of the very same version.
    pub(super) fn of(cast: &Cast, strictly: bool) -> Self {
        let mut policy = Self {
            cast: cast.clone(),
            records: Numbered::of(Desired::default()),
            changes: HashMap::new(),
            goals: HashMap::new(),
            facts: Vec::new(),
            memories: Numbered::of(Attempt::default()),
            deeds: HashMap::new(),
            failed: Vec::new(),
            choices: HashMap::new(),
        };
        policy.fill_records(cast);
        let verdicts = policy.verdicts(cast, strictly);
        policy.fill_memories(cast.levels, &verdicts);
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

    /// What else a record says.
    pub(super) fn facts(&self, record: Record) -> Facts {
        self.facts[usize::from(record)]
    }

    /// What the app of a version says that it is, where that is another one.
    pub(super) fn says(&self, level: Level) -> Option<Level> {
        self.cast.says(level)
    }

    /// The attempt's next step after a decision, and what the call then remembers.
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

    fn fill_records(&mut self, cast: &Cast) {
        let (levels, changes) = (cast.levels, cast.changes());
        let mut next = 0;
        while let Some(desired) = self.records.values.get(next).cloned() {
            let record = number(next);
            for &change in &changes {
                let after = self.records.number_of(real::changed(cast, desired.clone(), change));
                self.changes.insert((record, change), after);
            }
            for except in 0..1_u8 << levels {
                self.goals.insert((record, except), real::goal(&desired, except));
            }
            self.facts.push(Facts {
                offered: bits(levels, |level| desired.offered(&real::version(level)).is_some()),
                tallied: bits(levels, |level| desired.failure(&real::spec(level)).is_some()),
                held: real::held(&desired),
                down: desired.down.is_some(),
            });
            next += 1;
        }
    }

    /// Every question that can come up, less what the call remembers.
    fn verdicts(&self, cast: &Cast, strictly: bool) -> Vec<(Question, Decision)> {
        let levels = cast.levels;
        let met: HashSet<Goal> = self.goals.values().copied().collect();
        let goals: HashSet<Goal> = (0..levels).map(Goal::start).chain([Goal::Unknown]).chain(met).collect();
        let looks = [Looks::Booting, Looks::Ready, Looks::Stalled, Looks::Draining];
        let workers = (0..levels).flat_map(|level| looks.map(|looks| Seen::Worker(level, looks)));
        let seen: Vec<Seen> = workers.chain([Seen::Nobody, Seen::Silent]).collect();
        let mut verdicts = Vec::new();
        for goal in goals {
            for criteria in 0..levels {
                for &seen in &seen {
                    let question = Question { criteria, goal, seen, memory: 0 };
                    verdicts.push((question, real::decision(cast, criteria, goal, seen, strictly)));
                }
            }
        }
        verdicts
    }

    fn fill_memories(&mut self, levels: Level, verdicts: &[(Question, Decision)]) {
        let mut next = 0;
        while let Some(attempt) = self.memories.values.get(next).cloned() {
            let memory = small(number(next));
            self.failed.push(bits(levels, |level| !attempt.may_start(&real::version(level))));
            for (deed, after) in deeds(&attempt, levels) {
                let after = small(self.memories.number_of(after));
                self.deeds.insert((memory, deed), after);
            }
            for (question, decision) in verdicts {
                let mut attempt = attempt.clone();
                let reads = question.goal == Goal::Unknown && real::is_older(decision);
                let choice = if reads { Choice::Read } else { real::choice(&attempt.step(decision.clone())) };
                let after = small(self.memories.number_of(attempt));
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
    known: HashMap<String, Record>,
}

impl<T: Debug> Numbered<T> {
    fn of(first: T) -> Self {
        let mut numbered = Self { values: Vec::new(), known: HashMap::new() };
        numbered.number_of(first);
        numbered
    }

    fn number_of(&mut self, value: T) -> Record {
        let next = number(self.values.len());
        let number = *self.known.entry(format!("{value:?}")).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }
}

fn number(place: usize) -> Record {
    Record::try_from(place).expect("there are few different values")
}

fn small(record: Record) -> Memory {
    Memory::try_from(record).expect("a call has few memories")
}

fn deeds(attempt: &Attempt, levels: Level) -> Vec<(Deed, Attempt)> {
    let after = |change: &dyn Fn(&mut Attempt)| {
        let mut attempt = attempt.clone();
        change(&mut attempt);
        attempt
    };
    let mut deeds =
        vec![(Deed::Retired, after(&Attempt::retired)), (Deed::Started, after(&Attempt::started))];
    for level in (0..levels).filter(|level| attempt.may_start(&real::version(*level))) {
        let failed = after(&|attempt: &mut Attempt| attempt.start_failed(&real::version(level)));
        deeds.push((Deed::StartFailed(level), failed));
    }
    deeds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(levels: Level) -> Policy {
        let says = if levels > 1 { vec![(1, 0)] } else { Vec::new() };
        Policy::of(&Cast { levels, pins: 1, downs: true, says }, false)
    }

    fn after(policy: &Policy, changes: &[Change]) -> Goal {
        let record = changes.iter().fold(0, |record, change| policy.change(record, *change));
        policy.goal(record, 0)
    }

    #[test]
    fn abstract_time_makes_the_real_record_pass_a_version_over_and_take_it_back() {
        let policy = policy(2);
        let failed = [Change::Offer(0), Change::Offer(1), Change::Fail(1)];
        assert_eq!(after(&policy, &failed), Goal::start(0));
        assert_eq!(after(&policy, &[&failed[..], &[Change::SuppressionEnds(1)]].concat()), Goal::start(0));
        assert_eq!(after(&policy, &[&failed[..], &[Change::QuarantineEnds(1)]].concat()), Goal::start(1));
    }

    #[test]
    fn abstract_time_makes_the_real_record_suppress_a_lone_failure() {
        let policy = policy(1);
        let failed = [Change::Offer(0), Change::Fail(0)];
        assert_eq!(after(&policy, &failed), Goal::Nothing);
        let retry = Goal::Start { level: 0, retry: true, held: false, tried: 0 };
        assert_eq!(after(&policy, &[&failed[..], &[Change::SuppressionEnds(0)]].concat()), retry);
    }

    #[test]
    fn the_real_record_keeps_what_a_person_said_and_what_disagreed() {
        let policy = policy(2);
        let said = [Change::Offer(0), Change::Offer(1), Change::Hold(0), Change::Down];
        assert_eq!(after(&policy, &said), Goal::Start { level: 0, retry: false, held: true, tried: 0 });
        let record = said.iter().fold(0, |record, change| policy.change(record, *change));
        let facts = policy.facts(record);
        assert_eq!((facts.offered, facts.held, facts.down), (0b11, Some(0), true));
        let disagreed = [Change::Offer(0), Change::Offer(1), Change::Disagree(1)];
        assert_eq!(after(&policy, &disagreed), Goal::Start { level: 1, retry: false, held: false, tried: 1 });
    }

    #[test]
    fn a_memory_knows_which_versions_failed() {
        let policy = policy(2);
        let memory = policy.remember(0, Deed::StartFailed(1));
        assert_eq!((policy.failed(0), policy.failed(memory)), (0, 0b10));
    }
}

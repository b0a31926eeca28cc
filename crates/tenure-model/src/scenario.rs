//! A scenario: who calls, what may go wrong and how often, and which rules are broken on purpose.
//!
//! Data only. A count bounds each thing that may go wrong, so that the state space is finite. The steps of the protocol
//! itself are not bounded.

use std::ops::Deref;

use tenure_core::policy::takeover::Terms;

use crate::mutation::Mutation;
use crate::policy::Policy;
use crate::real::{Level, STRANGERS, Versions};

/// What a launcher calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// `ensure`.
    Ensure,
    /// `stop`.
    Stop,
    /// `restart`, proved.
    Restart,
    /// `stop --hold`: nothing starts it until a person does.
    Down,
    /// `start`: an `ensure` by a person, which ends a `stop --hold`.
    Start,
    /// `pin` of a version that was offered.
    Pin,
    /// `unpin`.
    Unpin,
}

/// A launcher: it makes `runs` calls of `task`, one after the other, and offers the version `level` (or pins it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Its calls.
    pub task: Task,
    /// The version that it offers or pins; 0 is the lowest.
    pub level: Level,
    /// How often it calls.
    pub runs: u8,
}

/// How often each thing may happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// A launcher or a worker is killed from outside (SIGKILL).
    pub crashes: u8,
    /// A worker, or a launcher that holds the gate of a single worker, is stopped (SIGSTOP); it keeps what it holds.
    pub stops: u8,
    /// A stopped process goes on (SIGCONT).
    pub resumes: u8,
    /// A boot, a drain or a part of a takeover hangs, or an active app stalls.
    pub ailments: u8,
    /// Time passes for versions that failed.
    pub ticks: u8,
    /// Of a single worker: a healthy worker does not answer within the time of a first probe.
    pub slow: u8,
    /// Of a single worker: a caller's budget is over before the event that it waits for.
    pub budgets: u8,
    /// Of a single worker: a hold of the gate passes its bound.
    pub overruns: u8,
    /// Of a single worker: its program closes the descriptors that it inherited, its lock among them.
    pub sheds: u8,
    /// Of a single worker: the time of a worker is over without a use.
    pub idles: u8,
    /// Of a takeover: a wait for the other side ends before its answer.
    pub lates: u8,
    /// Of a takeover: the connection between the two workers ends while both live.
    pub cuts: u8,
    /// Of a takeover: an app fails at boot, in its probation, or when it is to make room or to serve again.
    pub failures: u8,
    /// Of a takeover: one worker process is asked to end by a signal, without the control socket (SIGTERM).
    pub terms: u8,
    /// Of a takeover: the disk becomes full.
    pub fills: u8,
    /// Of a takeover: the disk has room again.
    pub frees: u8,
    /// Of a takeover: a person revokes the trust in the file from which a version was offered.
    pub revokes: u8,
}

impl Limits {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        crashes: 0,
        stops: 0,
        resumes: 0,
        ailments: 0,
        ticks: 0,
        slow: 0,
        budgets: 0,
        overruns: 0,
        sheds: 0,
        idles: 0,
        lates: 0,
        cuts: 0,
        failures: 0,
        terms: 0,
        fills: 0,
        frees: 0,
        revokes: 0,
    };

    /// The number of faults that may each cost a replacement. A full disk or revoked trust is none of them: it only
    /// keeps a version from being started.
    pub(crate) fn sum(&self) -> i16 {
        let Self { crashes, stops, lates, cuts, failures, ailments, terms, .. } = *self;
        [crashes, stops, lates, cuts, failures, ailments, terms].into_iter().map(i16::from).sum()
    }

    /// The number of events that may keep a version from being started.
    pub(crate) fn lacks(&self) -> i16 {
        i16::from(self.fills) + i16::from(self.revokes)
    }
}

/// Which of the two models explores a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One worker at a time, from an empty scope on: its app makes no room, and it is ended before another one is
    /// started.
    Single,
    /// A worker serves, and another one takes its place.
    Takeover,
}

/// One exploration.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name, by which the command line chooses it.
    pub name: &'static str,
    /// Which model explores it.
    pub subject: Subject,
    /// The launchers.
    pub callers: Vec<Caller>,
    /// Of a single worker: the versions whose boot fails, as bits.
    pub fails: u8,
    /// Of a single worker: the versions that fail before there is a process, as bits.
    pub unstartable: u8,
    /// Of a single worker: versions whose app names another version, and the version that it names.
    pub says: Vec<(Level, Level)>,
    /// Of a single worker: whether workers wrap a program that outlives its host until its shim has ended it.
    pub wraps: bool,
    /// Of a takeover: the terms of incumbents and successors.
    pub terms: Terms,
    /// Of a takeover: whether workers say in HELLO that they make no room.
    pub stays: bool,
    /// What may go wrong.
    pub limits: Limits,
    /// What is broken on purpose.
    pub mutations: Vec<Mutation>,
    /// Names of witnesses of its model that must be seen, so that the exploration is not vacuous.
    pub witnesses: Vec<&'static str>,
}

impl Scenario {
    /// A scenario of one worker at a time, in which nothing goes wrong.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            subject: Subject::Single,
            callers: Vec::new(),
            fails: 0,
            unstartable: 0,
            says: Vec::new(),
            wraps: false,
            terms: Terms { overlap: false, probation: true },
            stays: false,
            limits: Limits::NONE,
            mutations: Vec::new(),
            witnesses: Vec::new(),
        }
    }

    /// A scenario of takeovers with a probation, in which nothing goes wrong. It begins with a worker of version 0 that
    /// serves.
    #[must_use]
    pub fn takeover(name: &'static str) -> Self {
        Self { subject: Subject::Takeover, ..Self::new(name) }
    }

    /// Adds a launcher.
    #[must_use]
    pub fn call(mut self, task: Task, level: Level, runs: u8) -> Self {
        self.callers.push(Caller { task, level, runs });
        self
    }

    /// Sets what may go wrong.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets the boot of this version fail.
    #[must_use]
    pub fn failing(mut self, level: Level) -> Self {
        self.fails |= 1 << level;
        self
    }

    /// Lets the start of this version fail before there is a process.
    #[must_use]
    pub fn unstartable(mut self, level: Level) -> Self {
        self.unstartable |= 1 << level;
        self
    }

    /// Lets the app of this version name another version.
    #[must_use]
    pub fn saying(mut self, level: Level, says: Level) -> Self {
        self.says.push((level, says));
        self
    }

    /// Lets workers wrap programs.
    #[must_use]
    pub fn wrapping(mut self) -> Self {
        self.wraps = true;
        self
    }

    /// Removes the probation.
    #[must_use]
    pub fn unbaked(mut self) -> Self {
        self.terms.probation = false;
        self
    }

    /// Lets both programs run beside each other before the commit, without a probation.
    #[must_use]
    pub fn overlapping(mut self) -> Self {
        self.terms = Terms { overlap: true, probation: false };
        self
    }

    /// Lets workers say that they make no room.
    #[must_use]
    pub fn staying(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Breaks a rule.
    #[must_use]
    pub fn breaking(mut self, mutation: Mutation) -> Self {
        self.mutations.push(mutation);
        self
    }

    /// Demands that these witnesses are seen.
    #[must_use]
    pub fn seeing(mut self, witnesses: &[&'static str]) -> Self {
        self.witnesses = witnesses.to_vec();
        self
    }

    /// How many versions there are.
    pub(crate) fn levels(&self) -> Level {
        self.callers.iter().map(|caller| caller.level + 1).max().unwrap_or(1)
    }

    /// How many versions one app offers. The version that serves at first is one of them.
    pub(crate) fn offered(&self) -> i16 {
        let offers = self.callers.iter().filter(|caller| caller.task.offers()).map(|caller| caller.level);
        let first = u8::from(self.subject == Subject::Takeover);
        let bits = offers.fold(first, |bits, level| bits | (1 << level));
        // Each app has versions of its own, and no worker of one makes room for another's.
        let own = bits & ((1 << STRANGERS) - 1);
        i16::try_from(own.count_ones().max((bits & !own).count_ones())).expect("few versions")
    }

    /// Whether somebody calls this.
    pub(crate) fn has(&self, task: Task) -> bool {
        self.callers.iter().any(|caller| caller.task == task)
    }

    /// Whether a worker of this version can boot.
    pub(crate) fn is_sound(&self, level: Level) -> bool {
        (self.fails | self.unstartable) & (1 << level) == 0
    }

    /// Whether a failed call is an error of the protocol as long as nothing goes wrong: the only other calls are pins
    /// and unpins, and every app names its own version.
    pub(crate) fn owes_answers(&self) -> bool {
        let company = |caller: &Caller| match caller.task {
            Task::Ensure => true,
            Task::Pin | Task::Unpin => self.fails | self.unstartable == 0,
            Task::Stop | Task::Restart | Task::Down | Task::Start => false,
        };
        let waits = !self.has(Task::Pin) || self.limits.ticks == 0;
        self.says.is_empty() && self.callers.iter().all(company) && waits
    }
}

impl Task {
    /// Whether it offers a version.
    pub(crate) fn offers(self) -> bool {
        match self {
            Self::Ensure | Self::Restart | Self::Start => true,
            Self::Stop | Self::Down | Self::Pin | Self::Unpin => false,
        }
    }
}

/// A scenario with the decisions that it needs.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) scenario: Scenario,
    pub(crate) policy: Policy,
}

impl Rules {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let counts = scenario.subject == Subject::Takeover;
        let ignores_apps = scenario.mutations.contains(&Mutation::AppIgnored);
        let says = scenario.says.clone();
        let versions = Versions { levels: scenario.levels(), counts, says, ignores_apps };
        let strictly = scenario.mutations.contains(&Mutation::StrictVersion);
        Self { policy: Policy::of(versions, strictly), scenario: scenario.clone() }
    }

    pub(crate) fn breaks(&self, mutation: Mutation) -> bool {
        self.scenario.mutations.contains(&mutation)
    }
}

impl Deref for Rules {
    type Target = Scenario;

    fn deref(&self) -> &Scenario {
        &self.scenario
    }
}

/// One worker at a time, to be explored.
#[derive(Debug)]
pub(crate) struct Single(pub(crate) Rules);

/// A takeover, to be explored.
#[derive(Debug)]
pub(crate) struct Takeover(pub(crate) Rules);

impl Deref for Single {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.0
    }
}

impl Deref for Takeover {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.0
    }
}

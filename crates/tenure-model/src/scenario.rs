//! What is explored: who calls, what may go wrong and how often, and which rule is broken on purpose.
//!
//! Data only. Everything that goes wrong is bounded by a count, so that the state space is finite; what the protocol itself
//! may do is not bounded.

use crate::policy::Policy;
use crate::real::{Cast, Level};

/// What a launcher calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// `ensure`.
    Ensure,
    /// `stop`.
    Stop,
    /// `restart`.
    Restart,
    /// `stop --hold`: nothing starts it until a person does.
    Down,
    /// `start`: an `ensure` that is a person's word.
    Start,
    /// `pin` of a version that was offered.
    Pin,
    /// `unpin`.
    Unpin,
}

/// A launcher: it makes `runs` calls of `task`, one after the other, and offers the version `level` (or pins it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// What it calls.
    pub task: Task,
    /// What it offers, or pins; 0 is the oldest.
    pub level: Level,
    /// How often.
    pub runs: u8,
}

/// How often each thing may go wrong, or happen by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// A launcher or a worker is killed from outside.
    pub crashes: u8,
    /// A worker, or a launcher that holds the gate, is stopped (SIGSTOP).
    pub stops: u8,
    /// A stopped process goes on.
    pub resumes: u8,
    /// A boot or a drain hangs, or an active app stalls.
    pub ailments: u8,
    /// A healthy worker does not answer within the time of a first look.
    pub slow: u8,
    /// A caller's budget ends while it waits for what would come.
    pub budgets: u8,
    /// A failed version's suppression or quarantine ends.
    pub ticks: u8,
    /// A hold of the gate passes its bound.
    pub overruns: u8,
    /// A program closes the descriptors that it inherited, its lock among them.
    pub sheds: u8,
}

/// A rule of the protocol that is broken on purpose; the model must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A worker of any other version is replaced.
    StrictVersion,
    /// A lease that is busy may be taken over, as a lock that is a record of a time or of a pid may be.
    BreakableLease,
    /// The socket's path is taken before the lease is.
    BindFirst,
    /// A launcher starts the version that it offers, not the target.
    OwnVersion,
    /// What stands decides what comes: the successor is of the standing worker's version.
    StaleSuccessor,
    /// No thread of its own ends a worker whose boot or drain hangs.
    NoWatchdog,
    /// Nobody waits for the lock that a former program holds.
    ProgramLockIgnored,
    /// A lock that is free counts as the proof that nothing of a former program lives, though one that is recorded does.
    FreeLockProves,
    /// A launcher ends a worker that boots, instead of waiting for it.
    ImpatientBoot,
    /// A worker that ends removes the socket after it has given up the lease.
    LateUnlink,
    /// A worker that has closed its listener is forced at once, instead of being given the time that it announced.
    DrainForced,
    /// A worker that does not answer a first look in time is forced at once.
    SilenceForced,
    /// A caller whose budget ends forces the worker that it had asked to end.
    BudgetForces,
    /// A launcher waits for a worker that drains as long as its own spec would take, not as long as was announced.
    OwnPatience,
    /// A launcher that has lost the gate goes on to force.
    UnconfirmedForce,
    /// A launcher that has waited long for a lease forces its holder without another look.
    NoSecondLook,
    /// A launcher that has lost the gate writes back the record that it had read.
    StaleRecord,
    /// A start that fails before there is a process is not tallied.
    UntalliedStart,
    /// A version whose start failed in this call is chosen again when its quarantine ends.
    RetriedChoice,
    /// Launchers aim at the highest offer, whatever a person holds.
    PinIgnored,
    /// That a version disagrees with its own answer is not written down.
    PairUnrecorded,
    /// An older worker is accepted by a record in which the caller's offer is not.
    StrangeRecord,
    /// A pin is on record before the worker that it is for has started.
    EarlyPin,
    /// What a pin has retired is not started again when the pinned version does not start.
    NothingPutBack,
    /// Whether a person has stopped the worker for good is read before the gate is entered.
    EarlyLook,
    /// That a person stops the worker for good is written down when it is gone and the gate is left.
    LateDown,
}

/// One exploration.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// The launchers; at most four.
    pub callers: Vec<Caller>,
    /// The versions whose boot fails, as bits.
    pub fails: u8,
    /// The versions that fail before there is a process, as bits.
    pub unstartable: u8,
    /// Versions whose app says that it is another one, and which.
    pub says: Vec<(u8, u8)>,
    /// Whether workers wrap a program that outlives its host until its shim has ended it.
    pub wraps: bool,
    /// What may go wrong.
    pub limits: Limits,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
    /// What must be seen to happen, so that the exploration is not vacuous: names of [`crate::witness`].
    pub witnesses: Vec<&'static str>,
}

impl Scenario {
    /// A scenario in which nothing goes wrong.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            callers: Vec::new(),
            fails: 0,
            unstartable: 0,
            says: Vec::new(),
            wraps: false,
            limits: Limits::default(),
            mutation: None,
            witnesses: Vec::new(),
        }
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

    /// Lets the app of this version say that it is another one.
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

    /// Breaks a rule.
    #[must_use]
    pub fn breaking(mut self, mutation: Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }

    /// Demands that these are seen to happen.
    #[must_use]
    pub fn seeing(mut self, witnesses: &[&'static str]) -> Self {
        self.witnesses = witnesses.to_vec();
        self
    }

    /// The versions, and what can happen to the record of them.
    pub(super) fn cast(&self) -> Cast {
        let pins = self.callers.iter().filter(|caller| caller.task == Task::Pin);
        Cast {
            levels: self.callers.iter().map(|caller| caller.level + 1).max().unwrap_or(1),
            pins: pins.fold(0, |bits, caller| bits | (1 << caller.level)),
            downs: self.callers.iter().any(|caller| caller.task == Task::Down),
            says: self.says.clone(),
        }
    }

    /// Versions that are offered, each counted once.
    pub(super) fn offered(&self) -> i16 {
        let offers =
            |level: &Level| self.callers.iter().any(|caller| caller.task.offers() && caller.level == *level);
        i16::try_from((0..self.cast().levels).filter(offers).count()).expect("few versions")
    }

    /// Whether a worker of this version can boot.
    pub(super) fn is_sound(&self, level: Level) -> bool {
        (self.fails | self.unstartable) & (1 << level) == 0
    }

    /// Whether a call that fails is a fault of the protocol as long as nothing is done to the processes: launchers have no
    /// other company than a person who pins, and every version is what it says.
    pub(super) fn owes_answers(&self) -> bool {
        let pins = self.cast().pins != 0;
        let company = |caller: &Caller| match caller.task {
            Task::Ensure => true,
            Task::Pin | Task::Unpin => self.fails | self.unstartable == 0,
            Task::Stop | Task::Restart | Task::Down | Task::Start => false,
        };
        self.says.is_empty() && self.callers.iter().all(company) && (!pins || self.limits.ticks == 0)
    }
}

impl Task {
    /// Whether it offers a version.
    pub(super) fn offers(self) -> bool {
        match self {
            Self::Ensure | Self::Restart | Self::Start => true,
            Self::Stop | Self::Down | Self::Pin | Self::Unpin => false,
        }
    }
}

/// A scenario with the decisions that it needs.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) scenario: Scenario,
    pub(super) policy: Policy,
}

impl Rules {
    pub(super) fn of(scenario: Scenario) -> Self {
        let strictly = scenario.mutation == Some(Mutation::StrictVersion);
        Self { policy: Policy::of(&scenario.cast(), strictly), scenario }
    }

    pub(super) fn breaks(&self, mutation: Mutation) -> bool {
        self.scenario.mutation == Some(mutation)
    }
}

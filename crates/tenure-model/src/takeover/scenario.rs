//! What is explored of a takeover: who calls while a worker serves, what may go wrong and how often, what is broken.
//!
//! Data only. Whatever goes wrong is bounded by a count.

use tenure_core::policy::handoff::Terms;

/// What a launcher calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// `ensure`.
    Ensure,
    /// `restart`, proved.
    Restart,
    /// `stop`.
    Stop,
}

/// A launcher: it makes `runs` calls of `task`, one after the other, and offers the version `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// What it calls.
    pub task: Task,
    /// What it offers; 0 is what serves at first.
    pub level: u8,
    /// How often.
    pub runs: u8,
}

/// How often each thing may go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// A launcher or a worker is killed from outside (SIGKILL).
    pub crashes: u8,
    /// A worker is stopped (SIGSTOP); it keeps what it holds.
    pub stops: u8,
    /// A stopped worker goes on (SIGCONT).
    pub resumes: u8,
    /// Somebody's patience ends although the other one would have come.
    pub lates: u8,
    /// A connection between the two ends while both live.
    pub cuts: u8,
    /// An app fails: at boot, in its probation, or when it is to make room or to come back.
    pub failures: u8,
    /// A boot, a making of room, a coming back or a drain hangs.
    pub ailments: u8,
    /// One worker process is asked to end by a signal, without the control socket (SIGTERM).
    pub terms: u8,
    /// The quarantine of the versions that failed ends.
    pub ticks: u8,
    /// The disk becomes full.
    pub fills: u8,
    /// It has room again.
    pub frees: u8,
    /// A person takes back the trust in what a version was offered from.
    pub revokes: u8,
}

impl Limits {
    /// All that may cost a replacement, together: a full disk and a trust that is gone keep something from being started, and
    /// make room for nothing.
    pub(super) fn sum(&self) -> i16 {
        let Self { crashes, stops, lates, cuts, failures, ailments, terms, .. } = *self;
        [crashes, stops, lates, cuts, failures, ailments, terms].into_iter().map(i16::from).sum()
    }

    /// What may keep a version from being started.
    pub(super) fn lacks(&self) -> i16 {
        i16::from(self.fills) + i16::from(self.revokes)
    }
}

/// A rule that is broken on purpose; the model must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The successor takes the path of the control socket before it has the lease.
    BindFirst,
    /// The incumbent's app accepts until the successor says that it serves.
    AcceptsUntilAck,
    /// The incumbent answers callers until the successor says that it serves.
    AnswersUntilAck,
    /// The incumbent goes on without ending the successor.
    RollbackWithoutKill,
    /// The incumbent goes on with the generation that it had.
    RollbackSameGeneration,
    /// The lease is given up by the one and taken by the other, not shared.
    ReleaseAndRetake,
    /// The incumbent admits a successor while its own predecessor lives.
    OverlappingAdmitted,
    /// A launcher begins a takeover while the incumbent's predecessor lives.
    OverlappingBegun,
    /// The successor does not notice that the incumbent is gone.
    EndIgnored,
    /// No time limits an answer of the other side.
    NoTimer,
    /// No thread of its own ends a worker whose phase hangs.
    NoWatchdog,
    /// What stands decides what comes: the successor is of the incumbent's version.
    StaleSuccessor,
    /// The incumbent writes the ledger after the grant as before.
    TwoWriters,
    /// The successor takes the end of a connection for the end of the incumbent.
    EndUnproved,
    /// The incumbent goes on although the successor says that somebody asked the worker to end.
    AbortEndsIgnored,
    /// The incumbent believes a death before it has read what was said.
    DeathBeforeWords,
    /// A successor that is ended because somebody stops the worker counts as a version that failed.
    StopTallied,
    /// A launcher clears the tally of a successor's version when that is ready, and not when its probation is over.
    ClearedAtReady,
    /// Who enters the gate does not count the failure that a worker has put on record.
    RollbackUncounted,
    /// A successor that has lost sight of the incumbent, or does not hear it in time, says that it was declined.
    LostLinkDeclines,
    /// The incumbent takes no room on the disk for its way back before it shares anything.
    NoRoomKept,
    /// The incumbent tells its new generation although it could not be recorded.
    UnrecordedTold,
    /// The target is chosen among all offers, those included whose trust is gone.
    RevokedCounts,
    /// `restart` believes the successor's report, without a connection of its own.
    ReportBelieved,
    /// `restart` takes any higher generation for the new worker.
    AnyHigherGeneration,
}

/// One exploration. It begins with a worker of version 0 that serves.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// The launchers; at most three.
    pub callers: Vec<Caller>,
    /// What incumbents and successors agree on.
    pub terms: Terms,
    /// What may go wrong.
    pub limits: Limits,
    /// What is broken on purpose.
    pub mutations: Vec<Mutation>,
    /// What must be seen to happen: names of [`super::witness`].
    pub witnesses: Vec<&'static str>,
}

impl Scenario {
    /// A scenario in which nothing goes wrong, with a probation.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            callers: Vec::new(),
            terms: Terms { overlap: false, bakes: true },
            limits: Limits::default(),
            mutations: Vec::new(),
            witnesses: Vec::new(),
        }
    }

    /// Adds a launcher.
    #[must_use]
    pub fn call(mut self, task: Task, level: u8, runs: u8) -> Self {
        self.callers.push(Caller { task, level, runs });
        self
    }

    /// Without a probation.
    #[must_use]
    pub fn unbaked(mut self) -> Self {
        self.terms.bakes = false;
        self
    }

    /// With both programs beside each other before the commit.
    #[must_use]
    pub fn overlapping(mut self) -> Self {
        self.terms = Terms { overlap: true, bakes: false };
        self
    }

    /// Sets what may go wrong.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Breaks a rule.
    #[must_use]
    pub fn breaking(mut self, mutation: Mutation) -> Self {
        self.mutations.push(mutation);
        self
    }

    /// Demands that these are seen to happen.
    #[must_use]
    pub fn seeing(mut self, witnesses: &[&'static str]) -> Self {
        self.witnesses = witnesses.to_vec();
        self
    }

    pub(super) fn breaks(&self, mutation: Mutation) -> bool {
        self.mutations.contains(&mutation)
    }

    pub(super) fn has(&self, task: Task) -> bool {
        self.callers.iter().any(|caller| caller.task == task)
    }

    /// Versions that are offered, what serves at first included.
    pub(super) fn offered(&self) -> i16 {
        let levels =
            self.callers.iter().filter(|caller| caller.task != Task::Stop).map(|caller| caller.level);
        let bits = levels.fold(1_u8, |bits, level| bits | (1 << level));
        i16::try_from(bits.count_ones()).expect("few versions")
    }
}

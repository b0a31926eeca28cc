//! The rules of the protocol that are broken on purpose, one at a time: the model must notice each.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A worker of any other version is replaced.
    StrictVersion,
    /// A lease that is busy may be taken over, as a lock that is a record of a time or of a pid may be.
    BreakableLease,
    /// The path of the control socket is taken before the lease is.
    BindFirst,
    /// A launcher starts the version that it offers, not the target.
    OwnVersion,
    /// What stands decides what comes: the successor is of the standing worker's version.
    StaleSuccessor,
    /// No thread of its own ends a worker whose boot, drain or part of a takeover hangs.
    NoWatchdog,
    /// Nobody waits for the lock that a former program holds.
    ProgramLockIgnored,
    /// A lock that is free counts as the proof that nothing of a former program lives, though one that is recorded
    /// does.
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

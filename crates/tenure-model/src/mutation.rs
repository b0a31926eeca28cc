//! The rules of the protocol that are broken on purpose, one at a time: the model must notice each.

/// A broken rule, described by what happens instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A worker of any other version is replaced.
    StrictVersion,
    /// Another app is compared by its version.
    AppIgnored,
    /// A lease that is busy may be taken over, like a lock that is a file with a time or a pid.
    BreakableLease,
    /// A launcher binds the control socket before it holds the lease.
    BindFirst,
    /// A launcher starts the version that it offers, not the target.
    OwnVersion,
    /// A launcher replaces a worker by one of the same version instead of the target.
    StaleSuccessor,
    /// No watchdog ends a worker whose boot, drain or part of a takeover hangs.
    NoWatchdog,
    /// A new program starts without waiting for the lock of a former program.
    ProgramLockIgnored,
    /// A free lock counts as proof that no process of a former program lives, although a recorded one does.
    FreeLockProves,
    /// A launcher ends a worker that boots, instead of waiting for it.
    ImpatientBoot,
    /// A worker that ends removes the socket after it has given up the lease.
    LateUnlink,
    /// A worker that has closed its listener is forced at once, instead of being given the time that it announced.
    DrainForced,
    /// A worker that does not answer the first probe in time is forced at once.
    SilenceForced,
    /// A caller whose budget is over forces the worker that it has asked to end.
    BudgetForces,
    /// A launcher waits for a draining worker as long as its own spec says, not as long as the worker announced.
    OwnPatience,
    /// A launcher that has lost the gate still forces a worker.
    UnconfirmedForce,
    /// A launcher that has waited long for a lease forces the holder without a second look.
    NoSecondLook,
    /// A launcher that has lost the gate writes back the record that it had read before.
    StaleRecord,
    /// A start that fails before there is a process is not tallied.
    UntalliedStart,
    /// A version whose start failed in this call is chosen again when its quarantine ends.
    RetriedChoice,
    /// The target is the highest offer, whatever a person holds.
    PinIgnored,
    /// A launcher does not record that a worker says that it is another version.
    PairUnrecorded,
    /// An older worker is accepted by a record that does not have the caller's offer.
    StrangeRecord,
    /// A pin is recorded before a worker of its version serves.
    EarlyPin,
    /// After a pin whose version does not start, nothing is started again.
    NothingPutBack,
    /// A launcher reads before it enters the gate whether a person holds the worker down.
    EarlyLook,
    /// `stop --hold` is recorded only when the worker is gone and the gate is left.
    LateDown,
    /// A worker that nobody uses closes its control socket last, after its end is decided.
    ClosedLast,
    /// The incumbent's app accepts until the successor says that it serves.
    AcceptsUntilAck,
    /// The incumbent answers callers until the successor says that it serves.
    AnswersUntilAck,
    /// The incumbent takes its scope back without ending the successor.
    RollbackWithoutKill,
    /// The incumbent takes its scope back with its old generation.
    RollbackSameGeneration,
    /// The incumbent gives up the lease and the successor takes it, instead of sharing it.
    ReleaseAndRetake,
    /// The incumbent admits a successor while its own predecessor lives.
    OverlappingAdmitted,
    /// A launcher begins a takeover while the incumbent's predecessor lives.
    OverlappingBegun,
    /// The successor does not notice the end of the incumbent.
    EndIgnored,
    /// Neither side has a time limit for an answer of the other.
    NoTimer,
    /// The incumbent still writes the ledger after the grant.
    TwoWriters,
    /// The successor takes the end of the connection for the end of the incumbent.
    EndUnproved,
    /// The incumbent goes on although the successor says that the worker was asked to end.
    AbortEndsIgnored,
    /// The incumbent acts on the successor's death before it has read its messages.
    DeathBeforeWords,
    /// The version of a successor counts as failed although it ended because somebody stopped the worker.
    StopTallied,
    /// A launcher clears the tally of a successor's version when it is ready, not when its probation is over.
    ClearedAtReady,
    /// The gate holder does not count the failure that a worker has recorded in the ledger.
    RollbackUncounted,
    /// Who starts a worker does not count the failures that were put on record after it had entered the gate.
    ErasedUncounted,
    /// A successor whose incumbent is lost or does not answer in time reports that it was declined.
    LostLinkDeclines,
    /// The incumbent reserves no disk space for taking its scope back.
    NoRoomKept,
    /// The incumbent announces a new generation that could not be recorded.
    UnrecordedTold,
    /// The target is chosen among all offers, including those that nobody trusts any more.
    RevokedCounts,
    /// `restart` believes the successor's report, without a connection of its own.
    ReportBelieved,
    /// `restart` takes any higher generation for the new worker.
    AnyHigherGeneration,
}

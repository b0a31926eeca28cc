//! Named points between the steps of a process, at which it can be interleaved with others or can die.
//!
//! The model stops at them, and so do tests with real processes (`fault`). The list is closed, so that a matrix over
//! [`Point::ALL`] covers each.

macro_rules! points {
    ($($variant:ident = $name:literal, $role:ident, $doc:literal;)+) => {
        /// A place where a process can be made to die, stop or wait.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Point { $(#[doc = $doc] $variant,)+ }

        impl Point {
            /// Every point, in the order of the story.
            pub const ALL: &[Point] = &[$(Point::$variant,)+];

            /// The name used in `TENURE_FAULT`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Point::$variant => $name,)+ }
            }

            /// The kind of process that passes this point.
            #[must_use]
            pub fn role(self) -> PointRole {
                match self { $(Point::$variant => PointRole::$role,)+ }
            }
        }
    };
}

/// The kind of process that passes a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointRole {
    /// A process that called `ensure`, `stop`, `restart` or `pin`.
    Launcher,
    /// The worker: the host of a program, or an embedding process.
    Worker,
    /// The small parent of a program.
    Shim,
    /// A worker that makes room for another one.
    Incumbent,
    /// A worker that takes another one's place.
    Successor,
}

points! {
    GateEntered = "launcher.gate-entered", Launcher, "The launcher holds the gate.";
    LeaseTaken = "launcher.lease-taken", Launcher, "The launcher holds gate and lease; nothing is bound yet.";
    GenerationRecorded = "launcher.generation-recorded", Launcher, "The new generation is durable.";
    SocketBound = "launcher.socket-bound", Launcher, "The control socket is bound under its temporary name.";
    SocketRenamed = "launcher.socket-renamed", Launcher, "The control socket stands at its path; no worker yet.";
    WorkerSpawned = "launcher.worker-spawned", Launcher, "The worker process exists; its identity is not recorded.";
    WorkerRecorded = "launcher.worker-recorded", Launcher, "The worker's identity is recorded; it has no go yet.";
    WorkerReleased = "launcher.worker-released", Launcher, "The worker has its go; the launcher waits for ready.";
    DisagreementRecorded = "launcher.disagreement-recorded", Launcher, "What a worker says is on record; it was not asked to end.";
    RetireAsked = "launcher.retire-asked", Launcher, "The worker was asked to stop; its end is not proved.";
    RetireProved = "launcher.retire-proved", Launcher, "The worker is proved gone and the launcher holds its lease.";
    PinProved = "launcher.pin-proved", Launcher, "A worker of the version to be pinned stands; nothing is pinned yet.";
    WorkerStarted = "worker.started", Worker, "The worker has its descriptors; it has recorded nothing.";
    WorkerAdopted = "worker.adopted", Worker, "The worker owns the ledger and answers HELLO as booting.";
    ProgramIntended = "worker.program-intended", Worker, "The host has recorded that it will start a program.";
    ShimSpawned = "worker.shim-spawned", Worker, "The shim exists and waits for its release.";
    ShimRecorded = "worker.shim-recorded", Worker, "The shim's identity is recorded; it is not released.";
    ProgramRunning = "worker.program-running", Worker, "The program runs and is recorded; it is not ready.";
    WorkerReady = "worker.ready", Worker, "The worker is about to say that it is ready.";
    IdleAsked = "worker.idle-asked", Worker, "Nothing uses the worker, by all that it has asked; it takes callers.";
    IdleRuled = "worker.idle-ruled", Worker, "The worker ends for lack of use; its control socket is not closed yet.";
    DrainAnnounced = "worker.drain-announced", Worker, "The worker has announced its end.";
    ProgramEnded = "worker.program-ended", Worker, "The program's tree is gone; the worker is about to exit.";
    ShimStarted = "shim.started", Shim, "The shim runs and has not been released.";
    ShimReleased = "shim.released", Shim, "The shim was released and has not started the program.";
    ShimProgramStarted = "shim.program-started", Shim, "The program exists; the host has not been told.";
    ShimEnding = "shim.ending", Shim, "The shim is about to end the program's tree.";
    SuccessorSpawned = "launcher.successor-spawned", Launcher, "The successor exists and has the gate; no record names it.";
    StandingBy = "successor.standing-by", Successor, "The successor has done what can be done alone; it has asked for nothing.";
    SuccessorPrepared = "successor.prepared", Successor, "The successor shares lease and listeners; the incumbent serves.";
    SuccessorGranted = "successor.granted", Successor, "The scope is the successor's; its generation is not recorded.";
    SuccessorRecorded = "successor.recorded", Successor, "Its generation is durable and it answers callers; its app does not serve.";
    SuccessorActive = "successor.active", Successor, "Its app serves; the incumbent has not been told.";
    IncumbentPrepared = "incumbent.prepared", Incumbent, "The successor is recorded; nothing is shared with it yet.";
    IncumbentCommitted = "incumbent.committed", Incumbent, "The incumbent was asked to stop serving and serves still.";
    IncumbentGranted = "incumbent.granted", Incumbent, "It serves no more; the successor has been told.";
    IncumbentRelieved = "incumbent.relieved", Incumbent, "The successor serves, on probation.";
    IncumbentReclaiming = "incumbent.reclaiming", Incumbent, "The successor is proved gone; nothing is taken back yet.";
    IncumbentLeaving = "incumbent.leaving", Incumbent, "The takeover is over for it; its end is not announced.";
}

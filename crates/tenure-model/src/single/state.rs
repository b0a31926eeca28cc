//! One state of a scope and its processes, and what the kernel does by itself.
//!
//! Processes, lock descriptions and sockets are numbers, which are used again as soon as nothing refers to them, so
//! that equal situations are equal states. This room decides nothing. It has the facts of files and processes: a lock
//! is held and a socket answers as long as a process holds its description.

use tenure_core::policy::attempt::How;
use tenure_core::policy::lifecycle::LifecycleState;

use crate::kernel::{NOBODY, Sight, numbers, unused};
use crate::policy::{Memory, Record};
use crate::real::Level;
use crate::scenario::{Limits, Task};

/// Most launchers.
pub(super) const LAUNCHERS: usize = 4;

/// Most workers, or programs of dead workers, at a time. The protocol needs two; what breaks it needs more.
pub(super) const SLOTS: usize = 3;

/// Why a launcher ends a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Why {
    Wedged,
    Replace,
    Stop,
    Restart,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// A worker serves that was there, was started by this call, or was put in the place of another by it.
    Serving(How),
    /// Another launcher's start was waited for.
    Joined,
    /// An older worker serves, because what was offered does not run.
    Older,
    /// The budget ended while a worker booted.
    Warming,
    /// `stop` proved that nothing runs.
    Stopped,
    /// `restart` proved the new worker.
    Restarted,
    /// `pin` holds a version; `unpin` holds none.
    Pinned,
    Unpinned,
    /// Typed errors.
    SpawnFailed,
    Suppressed,
    StillUnusable,
    Refused,
    TimedOut,
    GateHeld,
    GateLost,
    Survivor,
    Unverifiable,
    HeldDown,
    Unknown,
    PinFailed,
}

impl Outcome {
    pub(super) fn is_error(self) -> bool {
        match self {
            Self::Serving(_)
            | Self::Joined
            | Self::Older
            | Self::Warming
            | Self::Stopped
            | Self::Restarted
            | Self::Pinned
            | Self::Unpinned => false,
            Self::SpawnFailed
            | Self::Suppressed
            | Self::StillUnusable
            | Self::Refused
            | Self::TimedOut
            | Self::GateHeld
            | Self::GateLost
            | Self::Survivor
            | Self::Unverifiable
            | Self::HeldDown
            | Self::Unknown
            | Self::PinFailed => true,
        }
    }
}

/// The position of a launcher in its call. A step leads from one to the next; the launcher may die at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pc {
    /// About to make its next call.
    Idle,
    /// Looks without a lock.
    Look,
    /// Saw a worker of this version that is older, or another app's; reads the record without a lock.
    Read(Level),
    /// Waits for a worker to settle, holding nothing.
    AwaitSettled(u8),
    /// In the kernel's queue for the gate.
    WantGate,
    /// Holds the gate, and looks again.
    Gated,
    /// Wants the lease: no worker answers.
    TakeLease,
    /// Finds out whether the silent process is wedged.
    ProbeSilent,
    /// Waits for the silent process to answer.
    StillSilent,
    /// About to ask a worker to end.
    Retire(Why),
    /// Waits for the lease of a worker that has agreed to end.
    Asked(Why),
    /// Waits for the lease of a worker that has closed its listener already.
    Leaving(Why),
    /// Waits for a silent worker to answer.
    Silent(Why),
    /// About to signal the recorded processes.
    Force(Why),
    /// About to take the lease, as the proof of the end.
    Prove(Why),
    /// Holds the lease, and waits for the rest of a former program.
    Clear,
    /// The new generation is recorded.
    Opened,
    /// The control socket stands at its path.
    Bound,
    /// The worker exists; no record names it.
    Spawned(u8),
    /// The record names it.
    Recorded(u8),
    /// The worker has its go and the lease.
    AwaitReport(u8),
    /// Holds the gate and waits for a worker of the version to be pinned; [`NOBODY`] once that worker is gone.
    Settling(u8),
    /// A worker of the pinned version serves: about to record the pin.
    Pin,
    /// Has made its last call.
    Done(Outcome),
    /// Was killed.
    Dead,
}

/// What a launcher knows of the worker that it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum News {
    None,
    Ready,
    /// It failed by itself.
    Failed,
    /// Somebody stopped it while it booted.
    Stopped,
}

/// A launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Launcher {
    pub(super) task: Task,
    pub(super) level: Level,
    pub(super) runs: u8,
    pub(super) pc: Pc,
    pub(super) memory: Memory,
    /// The version that it will start; [`NOBODY`] where nothing can be started.
    pub(super) target: Level,
    /// The description of the lease that it holds, or 0.
    pub(super) lease: u8,
    /// The socket that it holds, or 0.
    pub(super) socket: u8,
    pub(super) news: News,
    /// The record as it read it, where it uses that later.
    pub(super) copy: Record,
    /// How often it entered the gate in this call.
    pub(super) gate_entries: u8,
    pub(super) suspended: bool,
    /// The time of its hold is over, and the gate was given back.
    pub(super) lost: bool,
}

/// A worker, or the program of a dead one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub(super) struct Worker {
    pub(super) present: bool,
    pub(super) state: LifecycleState,
    /// It has its go, or its launcher is gone: now it writes the ledger.
    pub(super) adopted: bool,
    pub(super) go: bool,
    pub(super) level: Level,
    /// Generations opened since its own.
    pub(super) age: u8,
    pub(super) lease: u8,
    pub(super) socket: u8,
    /// The launcher at the other end of its channel.
    pub(super) parent: u8,
    pub(super) suspended: bool,
    /// It was stopped at some time: a launcher that found it silent was right.
    pub(super) was_suspended: bool,
    /// Its boot or drain hangs, or its app stalls.
    pub(super) hangs: bool,
    /// It exits because it was asked to end.
    pub(super) stopped: bool,
    /// Its program, or a part of it, runs. It outlives the worker.
    pub(super) program: bool,
    /// That program has closed the lock that it inherited.
    pub(super) lock_closed: bool,
    /// Its time without use is over, and it is about to end.
    pub(super) unused: bool,
    /// A caller was told since then that it serves.
    pub(super) told: bool,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub(crate) struct State {
    /// The launcher that holds the gate.
    pub(super) gate: u8,
    /// The description that has the lock `instance`, or 0.
    pub(super) lease: u8,
    /// The socket that the path `control.sock` leads to, or 0.
    pub(super) path: u8,
    /// `ledger.json`: the slot in the lineage, and whether a boot is under way.
    pub(super) lineage: u8,
    pub(super) booting: bool,
    /// `desired.json`.
    pub(super) desired: Record,
    pub(super) launchers: [Launcher; LAUNCHERS],
    pub(super) workers: [Worker; SLOTS],
    /// What may still go wrong.
    pub(super) left: Limits,
    /// Versions that have served, as bits.
    pub(super) served: u8,
    /// Workers that were ended to make room, minus the starts that failed.
    pub(super) replaced: i8,
    /// A launcher signalled a worker that answers, or whose time to end was not over.
    pub(super) harmed: bool,
    /// A version was started although a higher one had served and not failed.
    pub(super) downgraded: bool,
    /// A version was started although a version of another app had served.
    pub(super) usurped: bool,
    /// A call failed although nothing had gone wrong.
    pub(super) unsound: bool,
    /// The version of the last proved pin, until a person's next command about versions.
    pub(super) pinned: Level,
    /// A `stop --hold` has succeeded, and no person has started the worker since.
    pub(super) downed: bool,
    /// A failed pin left no worker where one was, or left its hold on record.
    pub(super) pin_left_damage: bool,
    /// A person's start succeeded, but the record still holds the worker down.
    pub(super) start_ignored: bool,
    /// A worker ended for lack of use after a caller was told that it serves.
    pub(super) misled: bool,
}

impl Launcher {
    /// A launcher that makes no call.
    pub(super) const NONE: Self = Self {
        task: Task::Ensure,
        level: 0,
        runs: 0,
        pc: Pc::Dead,
        memory: 0,
        target: NOBODY,
        lease: 0,
        socket: 0,
        news: News::None,
        copy: 0,
        gate_entries: 0,
        suspended: false,
        lost: false,
    };

    pub(super) fn is_over(&self) -> bool {
        matches!(self.pc, Pc::Done(_) | Pc::Dead)
    }
}

impl Worker {
    /// An empty slot.
    pub(super) const NONE: Self = Self {
        present: false,
        state: LifecycleState::Ended,
        adopted: false,
        go: false,
        level: 0,
        age: 0,
        lease: 0,
        socket: 0,
        parent: NOBODY,
        suspended: false,
        was_suspended: false,
        hangs: false,
        stopped: false,
        program: false,
        lock_closed: false,
        unused: false,
        told: false,
    };

    pub(super) fn is(&self, state: LifecycleState) -> bool {
        self.present && self.state == state
    }
}

impl State {
    pub(super) fn launcher(&mut self, me: u8) -> &mut Launcher {
        &mut self.launchers[usize::from(me)]
    }

    pub(super) fn worker(&mut self, slot: u8) -> &mut Worker {
        &mut self.workers[usize::from(slot)]
    }

    /// What one look at the path shows.
    pub(super) fn see(&self) -> Sight {
        if self.path == 0 {
            return Sight::Nobody;
        }
        let worker = numbers(SLOTS).find(|slot| {
            let worker = &self.workers[usize::from(*slot)];
            worker.present && worker.socket == self.path
        });
        match worker {
            Some(slot) if self.workers[usize::from(slot)].suspended => Sight::Silent,
            Some(slot) => Sight::Worker(slot),
            // A launcher has bound the socket and the worker does not exist yet: callers wait in the queue.
            None => Sight::Silent,
        }
    }

    /// Whether the holder of the lease will not give it up by itself.
    pub(super) fn lease_is_stuck(&self) -> bool {
        let worker = self.workers.iter().find(|worker| worker.present && worker.lease == self.lease);
        match worker {
            Some(worker) => {
                worker.suspended || matches!(worker.state, LifecycleState::Booting | LifecycleState::Active)
            }
            None => self.launchers.iter().any(|one| one.lease == self.lease && one.suspended),
        }
    }

    /// A new lock description, locked by whoever asks.
    pub(super) fn lock_lease(&mut self, me: u8) {
        let used = |id: u8| {
            self.launchers.iter().any(|one| one.lease == id) || self.workers.iter().any(|one| one.lease == id)
        };
        let id = unused(used);
        self.lease = id;
        self.launcher(me).lease = id;
    }

    /// A new socket, renamed over the path.
    pub(super) fn bind(&mut self, me: u8) {
        let used = |id: u8| {
            self.path == id
                || self.launchers.iter().any(|one| one.socket == id)
                || self.workers.iter().any(|one| one.socket == id)
        };
        let id = unused(used);
        self.path = id;
        self.launcher(me).socket = id;
    }

    /// The kernel frees the lock and the socket that no process holds any more.
    pub(super) fn settle(&mut self) {
        let held = self.launchers.iter().any(|one| one.lease == self.lease)
            || self.workers.iter().any(|one| one.lease == self.lease);
        if !held {
            self.lease = 0;
        }
        let heard = self.launchers.iter().any(|one| one.socket == self.path)
            || self.workers.iter().any(|one| one.socket == self.path);
        if !heard {
            self.path = 0;
        }
    }

    /// The process in `slot` is gone: everything that it held is free, and launchers that wait for it know.
    pub(super) fn bury(&mut self, slot: u8, news: News) {
        let parent = self.worker(slot).parent;
        if parent != NOBODY {
            self.launcher(parent).news = news;
        }
        let Worker { program, lock_closed, .. } = *self.worker(slot);
        *self.worker(slot) = Worker { program, lock_closed, ..Worker::NONE };
        if self.lineage == slot {
            self.lineage = NOBODY;
        }
        for launcher in &mut self.launchers {
            if launcher.pc == Pc::AwaitSettled(slot) {
                launcher.pc = Pc::Look;
            } else if launcher.pc == Pc::Settling(slot) {
                launcher.pc = Pc::Settling(NOBODY);
            }
        }
        self.settle();
    }

    /// Whether a process of any program lives.
    pub(super) fn program_lives(&self) -> bool {
        self.workers.iter().any(|worker| worker.program)
    }

    /// Whether the lock that programs inherit is held.
    pub(super) fn program_is_locked(&self) -> bool {
        self.workers.iter().any(|worker| worker.program && !worker.lock_closed)
    }
}

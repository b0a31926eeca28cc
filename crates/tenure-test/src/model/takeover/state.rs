//! One state of a scope in which a worker takes the place of another, and what the kernel does by itself.
//!
//! A process that is stopped takes no step and keeps its descriptors. A lock is free, and a socket refuses, when nobody
//! holds its description any more; a description in a message that is not read yet is held by whom it was sent to. What a
//! process has said is heard before its end is.

use tenure_worker::takeover::machine::{Incumbent, Successor};

use crate::model::takeover::scenario::{Limits, Task};

/// No process.
pub(super) const NOBODY: u8 = u8::MAX;

/// Most launchers.
pub(super) const LAUNCHERS: usize = 3;

/// Most workers at a time. The protocol needs two; what breaks it needs more.
pub(super) const SLOTS: usize = 3;

/// Most words of a successor that are not read yet.
pub(super) const WORDS: usize = 3;

/// What a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// No process.
    Empty,
    /// A worker that was started in an empty scope, and does not serve yet.
    Booting,
    /// A successor.
    Successor(Successor),
    /// Whoever serves alone, or makes room.
    Incumbent(Incumbent),
}

/// What a worker is about to do: its next step, before which it can be killed or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Todo {
    Nothing,
    // A successor.
    Ask,
    Commit,
    Open,
    Answer,
    Tell,
    GiveUp,
    // An incumbent.
    Record,
    Share,
    Hush,
    Grant,
    End,
    Reopen,
    Leave,
    // Both.
    Exit,
}

/// Somebody that a worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kin {
    None,
    Alive(u8),
    Gone,
}

/// What a successor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Said {
    Nothing,
    Prepare,
    Commit,
    Active,
    Abort { ends: bool },
}

/// What an incumbent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    None,
    Prepared { lease: u8, socket: u8 },
    Refused,
    Granted,
}

/// How a worker came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// It served at first.
    First,
    /// A launcher started it in an empty scope.
    Cold,
    /// A launcher started it in the place of another: because of its version, or by a person's word.
    Replacement,
    Restart,
}

/// A worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub(super) struct Worker {
    pub(super) phase: Phase,
    pub(super) todo: Todo,
    pub(super) level: u8,
    /// Its own, or the one that it is to open.
    pub(super) generation: u8,
    /// Descriptions that it holds; 0 is none.
    pub(super) lease: u8,
    pub(super) socket: u8,
    /// It accepts on the control socket.
    pub(super) answers: bool,
    /// Its app accepts.
    pub(super) accepts: bool,
    pub(super) stopped: bool,
    /// Its phase hangs.
    pub(super) ails: bool,
    /// Somebody asked the worker to end, and so it ends.
    pub(super) ends: bool,
    /// Its successor has told it that somebody asked the worker to end.
    pub(super) dismissed: bool,
    /// What its launcher hears of its end.
    pub(super) news: News,
    pub(super) origin: Origin,
    pub(super) predecessor: Kin,
    pub(super) successor: Kin,
    /// Its connection to either of them has not ended.
    pub(super) linked: bool,
    /// The generation of its successor.
    pub(super) above: u8,
    pub(super) words: [Said; WORDS],
    pub(super) reply: Reply,
    /// It shares the gate.
    pub(super) gate: bool,
    /// The launcher that waits for it.
    pub(super) parent: u8,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A worker that may serve this caller serves.
    Serving,
    /// `restart` has its proof.
    Verified,
    /// `restart` has none.
    Unproved,
    /// `stop` proved that nothing runs.
    Stopped,
    /// Somebody stopped the worker meanwhile.
    Ended,
    /// Typed errors.
    SpawnFailed,
    /// The budget ended while somebody stood still.
    TimedOut,
}

/// Where a launcher stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pc {
    /// About to make its next call.
    Look,
    /// Waits until this worker serves alone.
    AwaitSettled(u8),
    WantGate,
    Gated,
    /// Holds the gate; somebody is there and does not answer.
    Mute,
    /// Holds the gate; nobody answers, and the lease is to be had.
    TakeLease,
    /// Holds the lease as well.
    Leased,
    /// The generation is recorded.
    Opened,
    /// The control socket stands.
    Bound,
    /// Waits for a worker that it started in an empty scope.
    AwaitBoot(u8),
    /// Waits for a successor.
    AwaitTakeover(u8),
    /// The successor serves; waits for the end of its probation.
    Bake(u8),
    /// Makes a new connection.
    Verify,
    /// `stop`: about to ask.
    Ask,
    /// `stop`: waits for the lease.
    Asked,
    Done(Outcome),
    Dead,
}

/// What a launcher heard of the worker that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum News {
    None,
    Ready,
    /// It said that its app fails.
    Failed,
    /// Somebody asked it to end.
    Ended,
    /// It changed nothing: the worker that stands does not make room.
    Declined,
    Gone,
}

/// A launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Launcher {
    pub(super) task: Task,
    pub(super) level: u8,
    pub(super) runs: u8,
    pub(super) pc: Pc,
    pub(super) gate: bool,
    pub(super) lease: u8,
    pub(super) socket: u8,
    pub(super) news: News,
    /// The generation that it gave to the worker that it waits for, and what that is.
    pub(super) generation: u8,
    pub(super) target: u8,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub struct State {
    /// The description that has the lock `instance`, or 0.
    pub(super) lease: u8,
    /// The socket that the path leads to, or 0.
    pub(super) path: u8,
    /// `ledger.json`: the generation, and slots of the lineage as bits.
    pub(super) ledger: u8,
    pub(super) lineage: u8,
    /// `desired.json`: offers and versions that failed, as bits.
    pub(super) offers: u8,
    pub(super) failed: u8,
    pub(super) launchers: [Launcher; LAUNCHERS],
    pub(super) workers: [Worker; SLOTS],
    pub(super) left: Limits,
    /// The highest generation whose app has served.
    pub(super) written: u8,
    /// The version that served last.
    pub(super) last: u8,
    pub(super) replaced: i8,
    pub(super) downgrades: i8,
    /// The ledger's generation went back.
    pub(super) regressed: bool,
    /// A worker that was told of a stop served again.
    pub(super) resurrected: bool,
    /// `restart` said that it had a proof, and had none.
    pub(super) unproved: bool,
    /// A call failed although nothing had gone wrong.
    pub(super) unsound: bool,
    /// An incumbent took its scope back.
    pub(super) reclaimed: bool,
}

/// What the path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    Nobody,
    Silent,
    Worker(u8),
}

impl Launcher {
    /// One that makes no call.
    pub(super) const NONE: Self = Self {
        task: Task::Ensure,
        level: 0,
        runs: 0,
        pc: Pc::Dead,
        gate: false,
        lease: 0,
        socket: 0,
        news: News::None,
        generation: 0,
        target: 0,
    };

    /// One that was killed.
    pub(super) const KILLED: Self = Self { target: NOBODY, ..Self::NONE };

    pub(super) fn is_over(&self) -> bool {
        matches!(self.pc, Pc::Done(_) | Pc::Dead)
    }
}

impl Worker {
    /// An empty slot.
    pub(super) const NONE: Self = Self {
        phase: Phase::Empty,
        todo: Todo::Nothing,
        level: 0,
        generation: 0,
        lease: 0,
        socket: 0,
        answers: false,
        accepts: false,
        stopped: false,
        ails: false,
        ends: false,
        dismissed: false,
        news: News::Gone,
        origin: Origin::First,
        predecessor: Kin::None,
        successor: Kin::None,
        linked: false,
        above: 0,
        words: [Said::Nothing; WORDS],
        reply: Reply::None,
        gate: false,
        parent: NOBODY,
    };

    pub(super) fn lives(&self) -> bool {
        self.phase != Phase::Empty
    }

    /// Whether it can take a step now.
    pub(super) fn runs(&self) -> bool {
        self.lives() && !self.stopped
    }

    /// Whether it serves, and nobody makes room for it any more or it for anybody.
    pub(super) fn serves_alone(&self) -> bool {
        self.phase == Phase::Incumbent(Incumbent::Serving) && !matches!(self.predecessor, Kin::Alive(_))
    }

    /// The descriptions that it keeps alive.
    fn holds_lease(&self, id: u8) -> bool {
        self.lease == id || matches!(self.reply, Reply::Prepared { lease, .. } if lease == id)
    }

    fn holds_socket(&self, id: u8) -> bool {
        self.socket == id || matches!(self.reply, Reply::Prepared { socket, .. } if socket == id)
    }

    /// The next word of its successor, taken off the connection.
    pub(super) fn take_word(&mut self) -> Said {
        let word = self.words[0];
        self.words.rotate_left(1);
        self.words[WORDS - 1] = Said::Nothing;
        word
    }
}

/// The numbers below `length`.
pub(super) fn numbers(length: usize) -> std::ops::Range<u8> {
    0..u8::try_from(length).expect("few processes")
}

impl State {
    pub(super) fn launcher(&mut self, me: u8) -> &mut Launcher {
        &mut self.launchers[usize::from(me)]
    }

    pub(super) fn worker(&mut self, slot: u8) -> &mut Worker {
        &mut self.workers[usize::from(slot)]
    }

    pub(super) fn at(&self, slot: u8) -> &Worker {
        &self.workers[usize::from(slot)]
    }

    pub(super) fn living(&self) -> impl Iterator<Item = (u8, &Worker)> {
        numbers(SLOTS).zip(&self.workers).filter(|(_, worker)| worker.lives())
    }

    /// What one look at the path shows.
    pub(super) fn see(&self) -> Sight {
        if self.path == 0 {
            return Sight::Nobody;
        }
        let who = self.living().find(|(_, worker)| worker.answers && worker.socket == self.path);
        match who {
            Some((slot, worker)) if !worker.stopped => Sight::Worker(slot),
            Some(_) | None => Sight::Silent,
        }
    }

    pub(super) fn gate_is_free(&self) -> bool {
        !self.launchers.iter().any(|one| one.gate) && !self.workers.iter().any(|one| one.gate)
    }

    /// A new lock description, locked by whoever asks.
    pub(super) fn new_lease(&mut self) -> u8 {
        let used = |id: u8| {
            self.launchers.iter().any(|one| one.lease == id)
                || self.workers.iter().any(|one| one.holds_lease(id))
        };
        let id = (1..NOBODY).find(|id| !used(*id)).expect("few descriptions");
        self.lease = id;
        id
    }

    /// A new socket, renamed over the path.
    pub(super) fn new_socket(&mut self) -> u8 {
        let used = |id: u8| {
            self.path == id
                || self.launchers.iter().any(|one| one.socket == id)
                || self.workers.iter().any(|one| one.holds_socket(id))
        };
        let id = (1..NOBODY).find(|id| !used(*id)).expect("few sockets");
        self.path = id;
        id
    }

    /// The kernel: what nobody holds any more is gone.
    pub(super) fn settle(&mut self) {
        let (lease, path) = (self.lease, self.path);
        let held = self.launchers.iter().any(|one| one.lease == lease)
            || self.workers.iter().any(|one| one.holds_lease(lease));
        if !held {
            self.lease = 0;
        }
        let heard = self.launchers.iter().any(|one| one.socket == path)
            || self.workers.iter().any(|one| one.holds_socket(path));
        if !heard {
            self.path = 0;
        }
    }

    /// Writes the ledger's generation and lineage.
    pub(super) fn write_ledger(&mut self, generation: u8, lineage: u8) {
        self.regressed |= generation < self.ledger;
        self.ledger = generation;
        self.lineage = lineage;
    }

    /// The app of `slot` begins to accept.
    pub(super) fn serve(&mut self, slot: u8) {
        let Worker { level, generation, dismissed, .. } = *self.at(slot);
        self.worker(slot).accepts = true;
        self.resurrected |= dismissed;
        self.downgrades += i8::from(level < self.last);
        self.last = level;
        self.written = self.written.max(generation);
    }

    /// What a successor says to the worker before it, if that is there and the connection is.
    pub(super) fn say(&mut self, from: u8, word: Said) {
        let Worker { predecessor, linked, .. } = *self.at(from);
        if let Kin::Alive(to) = predecessor
            && linked
        {
            let to = self.worker(to);
            to.dismissed |= word == (Said::Abort { ends: true });
            if let Some(free) = to.words.iter_mut().find(|said| **said == Said::Nothing) {
                *free = word;
            }
        }
    }

    /// The process in `slot` is gone: everything that it held is free, and whoever waits for it can know.
    pub(super) fn bury(&mut self, slot: u8, news: News) {
        if let Kin::Alive(before) = self.at(slot).predecessor
            && self.at(before).successor != Kin::Alive(slot)
        {
            // Its connection was never admitted, and went with it.
            self.worker(before).words = [Said::Nothing; WORDS];
        }
        *self.worker(slot) = Worker::NONE;
        self.lineage &= !(1 << slot);
        for worker in &mut self.workers {
            if worker.predecessor == Kin::Alive(slot) {
                (worker.predecessor, worker.linked) = (Kin::Gone, false);
            }
            if worker.successor == Kin::Alive(slot) {
                (worker.successor, worker.linked) = (Kin::Gone, false);
            }
        }
        for launcher in &mut self.launchers {
            match launcher.pc {
                Pc::AwaitBoot(awaited) | Pc::AwaitTakeover(awaited) if awaited == slot => {
                    // What it reported is read before its end.
                    if launcher.news == News::None {
                        launcher.news = news;
                    }
                }
                Pc::Bake(awaited) if awaited == slot => launcher.news = News::Gone,
                Pc::AwaitSettled(awaited) if awaited == slot => launcher.pc = Pc::Look,
                Pc::AwaitBoot(_)
                | Pc::AwaitTakeover(_)
                | Pc::Bake(_)
                | Pc::AwaitSettled(_)
                | Pc::Look
                | Pc::WantGate
                | Pc::Gated
                | Pc::Mute
                | Pc::TakeLease
                | Pc::Leased
                | Pc::Opened
                | Pc::Bound
                | Pc::Verify
                | Pc::Ask
                | Pc::Asked
                | Pc::Done(_)
                | Pc::Dead => {}
            }
        }
        self.settle();
    }
}

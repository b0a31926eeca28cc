//! Workers and launchers in one state of a takeover.

use tenure_core::policy::takeover::{Incumbent, Successor};

use crate::kernel::NOBODY;
use crate::policy::Memory;
use crate::real::Level;
use crate::scenario::Task;

/// Most unread messages of a successor.
pub(super) const MESSAGES: usize = 3;

/// The phase of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// No process.
    Empty,
    /// A worker that was started in an empty scope, and does not serve yet.
    Booting,
    /// A successor.
    Successor(Successor),
    /// A worker that serves alone, or makes room.
    Incumbent(Incumbent),
}

/// The next step of a worker, before which it can be killed or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Todo {
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
    StopAnswering,
    Grant,
    End,
    Reopen,
    Leave,
    // Both.
    Exit,
}

/// A worker's predecessor or successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kin {
    None,
    Alive(u8),
    Gone,
}

/// A message of a successor to its incumbent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Nothing,
    Prepare,
    Commit,
    Active,
    Abort { ends: bool },
}

/// An answer of an incumbent to its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    None,
    Prepared {
        lease: u8,
        socket: u8,
    },
    Refused,
    /// Not now, and the incumbent must not be ended for that.
    Kept,
    Granted,
}

/// How a worker came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// It serves from the beginning.
    First,
    /// A launcher started it in an empty scope.
    Cold,
    /// A launcher started it in the place of another: for its version, by `restart`, or by `pin`.
    Replacement,
    Restart,
    Pin,
}

/// A worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub(super) struct Worker {
    pub(super) phase: Phase,
    pub(super) todo: Todo,
    pub(super) level: Level,
    /// Its generation, or the one that it is to open.
    pub(super) generation: u8,
    /// The lock description and the socket that it holds; 0 is none.
    pub(super) lease: u8,
    pub(super) socket: u8,
    /// It answers on the control socket.
    pub(super) answers: bool,
    /// Its app accepts clients.
    pub(super) accepts: bool,
    /// Its app has been ready.
    pub(super) served: bool,
    pub(super) stopped: bool,
    /// Its phase hangs.
    pub(super) hangs: bool,
    /// It ends because somebody asked the worker to end.
    pub(super) ends: bool,
    /// Its successor has said that somebody asked the worker to end.
    pub(super) stop_received: bool,
    /// What its launcher will know of its end.
    pub(super) news: News,
    pub(super) origin: Origin,
    pub(super) predecessor: Kin,
    pub(super) successor: Kin,
    /// Its connection to predecessor or successor has not ended.
    pub(super) linked: bool,
    /// The generation of its successor.
    pub(super) successor_generation: u8,
    /// The version of a successor that has failed and is gone, until its failure is counted; and whether it had served.
    pub(super) uncounted_failure: Option<(u8, bool)>,
    pub(super) messages: [Message; MESSAGES],
    pub(super) reply: Reply,
    /// It shares the gate.
    pub(super) gate: bool,
    /// It has declined.
    pub(super) declines: bool,
    /// It has reserved disk space for taking its scope back.
    pub(super) room: bool,
    /// The launcher that waits for it.
    pub(super) parent: u8,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A worker that this caller accepts serves.
    Serving,
    /// `restart` has its proof.
    Verified,
    /// `restart` has none.
    Unproved,
    /// `stop` proved that nothing runs.
    Stopped,
    /// `pin` holds its version.
    Pinned,
    /// `pin` failed.
    PinFailed,
    /// Nothing could be started, or what was started failed.
    SpawnFailed,
    /// The budget ended while a process was stopped.
    TimedOut,
}

/// Why a launcher asks a worker to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// A person stops it.
    Stop,
    /// It declines, and the launcher's target is to be started after it.
    Replace,
}

/// The position of a launcher in its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pc {
    /// About to make its next call.
    Look,
    /// Waits, holding nothing, until this worker has settled, or until its probation is over.
    AwaitSettled {
        slot: u8,
        proves: bool,
    },
    WantGate,
    /// Holds the gate from here on, and looks again.
    Gated,
    /// `restart` or `pin`: about to put the target in the place of the present worker.
    Put,
    /// Waits for a silent process to answer.
    Silent,
    /// Waits until the predecessor of this worker is gone; [`NOBODY`] once the worker itself is gone.
    AwaitAlone(u8),
    /// Wants the lease: no worker answers.
    TakeLease,
    /// Holds the lease as well.
    Leased,
    /// The generation is recorded.
    Opened,
    /// The control socket is bound.
    Bound,
    /// Waits for a worker that it started in an empty scope.
    AwaitBoot(u8),
    /// Waits for a successor.
    AwaitTakeover(u8),
    /// The successor serves; waits for the end of its probation.
    Bake(u8),
    /// Makes a new connection.
    Verify,
    /// About to ask whoever answers to end.
    Ask(Why),
    /// Waits for the lease.
    Asked(Why),
    /// `pin`: waits until this worker of the version has settled; [`NOBODY`] once it is gone.
    Settling(u8),
    /// `pin`: has sent this worker back, and waits for its end.
    Back(u8),
    /// `pin`: the version does not serve; waits until a look shows the present worker, and then puts a version back.
    PutBack,
    /// `pin`: a worker of the version serves; about to record the pin.
    Pin,
    Done(Outcome),
    Dead,
}

/// What a launcher knows of the worker that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum News {
    None,
    Ready,
    /// It reported that its app fails.
    Failed,
    /// Somebody asked it to end.
    Ended,
    /// It changed nothing, because the incumbent declined.
    Declined,
    /// It has lost the incumbent, or had no answer in time: no version has failed.
    Unheard,
    /// It cannot go on, and neither its version nor the incumbent is to blame.
    Kept,
    Gone,
}

/// A launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Launcher {
    pub(super) task: Task,
    pub(super) level: Level,
    pub(super) runs: u8,
    pub(super) pc: Pc,
    pub(super) gate: bool,
    pub(super) lease: u8,
    pub(super) socket: u8,
    pub(super) news: News,
    /// What the call has done so far.
    pub(super) memory: Memory,
    /// A successor of this call has lost the incumbent, or had no answer in time.
    pub(super) unheard: bool,
    /// The generation that it gave to the worker that it waits for.
    pub(super) generation: u8,
    /// The version that it will start; [`NOBODY`] where nothing can be started.
    pub(super) target: Level,
    /// The version that was pinned when a pin began.
    pub(super) pinned: Option<Level>,
}

impl Launcher {
    /// A launcher that makes no call.
    pub(super) const NONE: Self = Self {
        task: Task::Ensure,
        level: 0,
        runs: 0,
        pc: Pc::Dead,
        gate: false,
        lease: 0,
        socket: 0,
        news: News::None,
        memory: 0,
        unheard: false,
        generation: 0,
        target: 0,
        pinned: None,
    };

    /// A launcher that was killed.
    pub(super) const KILLED: Self = Self { target: NOBODY, ..Self::NONE };

    pub(super) fn is_over(&self) -> bool {
        matches!(self.pc, Pc::Done(_) | Pc::Dead)
    }

    /// The worker in `slot` is gone: a wait for it ends.
    pub(super) fn lose(&mut self, slot: u8, news: News) {
        match self.pc {
            // An earlier report of the worker counts, not its end.
            Pc::AwaitBoot(awaited) | Pc::AwaitTakeover(awaited) if awaited == slot => {
                if self.news == News::None {
                    self.news = news;
                }
            }
            Pc::Bake(awaited) if awaited == slot => self.news = News::Gone,
            Pc::AwaitSettled { slot: awaited, .. } if awaited == slot => self.pc = Pc::Look,
            Pc::AwaitAlone(awaited) if awaited == slot => self.pc = Pc::AwaitAlone(NOBODY),
            Pc::Settling(awaited) if awaited == slot => self.pc = Pc::Settling(NOBODY),
            Pc::Back(awaited) if awaited == slot => self.pc = Pc::Back(NOBODY),
            Pc::Look
            | Pc::AwaitSettled { .. }
            | Pc::WantGate
            | Pc::Gated
            | Pc::Put
            | Pc::Silent
            | Pc::AwaitAlone(_)
            | Pc::TakeLease
            | Pc::Leased
            | Pc::Opened
            | Pc::Bound
            | Pc::AwaitBoot(_)
            | Pc::AwaitTakeover(_)
            | Pc::Bake(_)
            | Pc::Verify
            | Pc::Ask(_)
            | Pc::Asked(_)
            | Pc::Settling(_)
            | Pc::Back(_)
            | Pc::PutBack
            | Pc::Pin
            | Pc::Done(_)
            | Pc::Dead => {}
        }
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
        served: false,
        stopped: false,
        hangs: false,
        ends: false,
        stop_received: false,
        news: News::Gone,
        origin: Origin::First,
        predecessor: Kin::None,
        successor: Kin::None,
        linked: false,
        successor_generation: 0,
        uncounted_failure: None,
        messages: [Message::Nothing; MESSAGES],
        reply: Reply::None,
        gate: false,
        declines: false,
        room: false,
        parent: NOBODY,
    };

    pub(super) fn lives(&self) -> bool {
        self.phase != Phase::Empty
    }

    /// Whether it can take a step now.
    pub(super) fn runs(&self) -> bool {
        self.lives() && !self.stopped
    }

    /// Whether its predecessor lives: it may take the scope back.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self.predecessor, Kin::Alive(_))
    }

    /// Whether it serves, without a living predecessor and without a successor.
    pub(super) fn serves_alone(&self) -> bool {
        self.phase == Phase::Incumbent(Incumbent::Serving) && !self.is_followed()
    }

    /// Whether it keeps this lock description alive.
    pub(super) fn holds_lease(&self, id: u8) -> bool {
        self.lease == id || matches!(self.reply, Reply::Prepared { lease, .. } if lease == id)
    }

    pub(super) fn holds_socket(&self, id: u8) -> bool {
        self.socket == id || matches!(self.reply, Reply::Prepared { socket, .. } if socket == id)
    }

    /// Drops these unread messages, because their connection has ended. Each connection has messages of its own.
    pub(super) fn forget_messages(&mut self, is_forgotten: impl Fn(Message) -> bool) {
        let kept = self
            .messages
            .into_iter()
            .filter(|message| !is_forgotten(*message) && *message != Message::Nothing);
        let mut messages = [Message::Nothing; MESSAGES];
        messages.iter_mut().zip(kept).for_each(|(place, message)| *place = message);
        self.messages = messages;
    }

    /// Takes the next message of its successor off the connection.
    pub(super) fn take_message(&mut self) -> Message {
        let message = self.messages[0];
        self.messages.rotate_left(1);
        self.messages[MESSAGES - 1] = Message::Nothing;
        message
    }
}

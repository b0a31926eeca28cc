//! What a worker and a launcher are in one state of a takeover.

use tenure_core::policy::handoff::{Incumbent, Successor};

use crate::kernel::NOBODY;
use crate::policy::Memory;
use crate::real::Level;
use crate::scenario::Task;

/// Most words of a successor that are not read yet.
pub(super) const MESSAGES: usize = 3;

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

/// Somebody that a worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kin {
    None,
    Alive(u8),
    Gone,
}

/// What a successor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Message {
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
    Prepared {
        lease: u8,
        socket: u8,
    },
    Refused,
    /// Not now, and the incumbent is not to be ended for it.
    Kept,
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
    Pin,
}

/// A worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub(super) struct Worker {
    pub(super) phase: Phase,
    pub(super) todo: Todo,
    pub(super) level: Level,
    /// Its own, or the one that it is to open.
    pub(super) generation: u8,
    /// Descriptions that it holds; 0 is none.
    pub(super) lease: u8,
    pub(super) socket: u8,
    /// It accepts on the control socket.
    pub(super) answers: bool,
    /// Its app accepts.
    pub(super) accepts: bool,
    /// Its app has been ready.
    pub(super) served: bool,
    pub(super) stopped: bool,
    /// Its phase hangs.
    pub(super) hangs: bool,
    /// Somebody asked the worker to end, and so it ends.
    pub(super) ends: bool,
    /// Its successor has told it that somebody asked the worker to end.
    pub(super) stop_received: bool,
    /// What its launcher hears of its end.
    pub(super) news: News,
    pub(super) origin: Origin,
    pub(super) predecessor: Kin,
    pub(super) successor: Kin,
    /// Its connection to either of them has not ended.
    pub(super) linked: bool,
    /// The generation of its successor.
    pub(super) successor_generation: u8,
    /// The version of its successor that is gone, if that has failed and nobody has counted it; and whether it had
    /// served.
    pub(super) uncounted_failure: Option<(u8, bool)>,
    pub(super) messages: [Message; MESSAGES],
    pub(super) reply: Reply,
    /// It shares the gate.
    pub(super) gate: bool,
    /// It has said itself that it makes no room.
    pub(super) declines: bool,
    /// It has kept room on the disk for its way back.
    pub(super) room: bool,
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
    /// `pin` holds its version.
    Pinned,
    /// `pin` holds nothing new.
    PinFailed,
    /// Nothing could be started, or what was started failed.
    SpawnFailed,
    /// The budget ended while somebody stood still.
    TimedOut,
}

/// Why a launcher asks a worker to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// A person stops it.
    Stop,
    /// It makes no room, and the launcher's target is to be started after it.
    Replace,
}

/// Where a launcher stands.
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
    /// A person's word: about to put the target in the place of whatever stands.
    Put,
    /// Somebody is there and does not answer.
    Silent,
    /// Waits until whoever made room for this worker is gone; [`NOBODY`] once the worker itself is.
    AwaitAlone(u8),
    /// Nobody answers, and the lease is to be had.
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
    /// About to ask whoever answers to end.
    Ask(Why),
    /// Waits for the lease.
    Asked(Why),
    /// `pin`: a worker of the version has not settled; [`NOBODY`] once it is gone.
    Settling(u8),
    /// `pin`: has sent this worker back, and waits for its end.
    Back(u8),
    /// `pin`: the version did not come to serve; waits until it can be seen what stands.
    PutBack,
    /// `pin`: the version stands; it is about to be held.
    Hold,
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
    /// It has lost sight of the worker that stands: no version has failed.
    Unheard,
    /// It cannot go on, and neither its version nor the worker that stands is to blame.
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
    /// A successor of this call has lost sight of the worker that stands, once.
    pub(super) unheard: bool,
    /// The generation that it gave to the worker that it waits for.
    pub(super) generation: u8,
    /// What it will start; [`NOBODY`] where nothing can be.
    pub(super) target: Level,
    /// The version that was held when a pin began.
    pub(super) held: Option<Level>,
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
        memory: 0,
        unheard: false,
        generation: 0,
        target: 0,
        held: None,
    };

    /// One that was killed.
    pub(super) const KILLED: Self = Self { target: NOBODY, ..Self::NONE };

    pub(super) fn is_over(&self) -> bool {
        matches!(self.pc, Pc::Done(_) | Pc::Dead)
    }

    /// What it waits for is gone.
    pub(super) fn lose(&mut self, slot: u8, news: News) {
        match self.pc {
            // What it reported is read before its end.
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
            | Pc::Hold
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

    /// Whether the worker before it can take the scope back, or is not gone yet.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self.predecessor, Kin::Alive(_))
    }

    /// Whether it serves, and nobody makes room for it any more or it for anybody.
    pub(super) fn serves_alone(&self) -> bool {
        self.phase == Phase::Incumbent(Incumbent::Serving) && !self.is_followed()
    }

    /// The descriptions that it keeps alive.
    pub(super) fn holds_lease(&self, id: u8) -> bool {
        self.lease == id || matches!(self.reply, Reply::Prepared { lease, .. } if lease == id)
    }

    pub(super) fn holds_socket(&self, id: u8) -> bool {
        self.socket == id || matches!(self.reply, Reply::Prepared { socket, .. } if socket == id)
    }

    /// These words are not read any more. Every connection has its own: what one has to say does not go with another.
    pub(super) fn forget_messages(&mut self, is_forgotten: impl Fn(Message) -> bool) {
        let kept = self
            .messages
            .into_iter()
            .filter(|message| !is_forgotten(*message) && *message != Message::Nothing);
        let mut messages = [Message::Nothing; MESSAGES];
        messages.iter_mut().zip(kept).for_each(|(place, message)| *place = message);
        self.messages = messages;
    }

    /// The next word of its successor, taken off the connection.
    pub(super) fn take_message(&mut self) -> Message {
        let message = self.messages[0];
        self.messages.rotate_left(1);
        self.messages[MESSAGES - 1] = Message::Nothing;
        message
    }
}

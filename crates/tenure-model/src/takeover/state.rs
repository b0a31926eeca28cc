//! One state of a scope in which a worker takes the place of another, and what the kernel does by itself.
//!
//! A stopped process takes no step and keeps its descriptors. A lock is free, and a socket refuses, once no process
//! holds its description; a description in an unread message is held by the receiver. The messages of a process arrive
//! before its end is noticed.

use crate::kernel::{NOBODY, Sight, numbers, unused};
use crate::policy::Record;
use crate::real::Level;
use crate::records::Change;
use crate::scenario::{Limits, Rules};
use crate::takeover::process::{Kin, Launcher, Message, News, Origin, Worker};
use crate::takeover::tally::Tally;

/// Most launchers.
pub(super) const LAUNCHERS: usize = 3;

/// Most workers at a time. The protocol needs two; what breaks it needs more.
pub(super) const SLOTS: usize = 3;

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all may hold at once")]
pub(crate) struct State {
    /// The description that has the lock `instance`, or 0.
    pub(super) lease: u8,
    /// The socket that the path leads to, or 0.
    pub(super) path: u8,
    /// `ledger.json`: the generation, and the slots of the lineage as bits.
    pub(super) ledger: u8,
    pub(super) lineage: u8,
    /// `desired.json`, and the facts in `ledger.json` that are still to be counted.
    pub(super) record: Record,
    /// The true failures of versions.
    pub(super) tally: Tally,
    /// Versions whose offer is not trusted any more, as bits.
    pub(super) revoked: u8,
    /// The disk is full.
    pub(super) full: bool,
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
    /// A worker that knew of a stop served again.
    pub(super) resurrected: bool,
    /// `restart` claimed a proof that it did not have.
    pub(super) unproved: bool,
    /// A call failed although nothing had gone wrong.
    pub(super) unsound: bool,
    /// An incumbent took its scope back.
    pub(super) reclaimed: bool,
    /// A launcher chose a version that had failed in its probation, within its quarantine.
    pub(super) impatient: bool,
    /// A launcher decided to end a healthy worker that had not declined.
    pub(super) harmed: bool,
    /// An incumbent could not take its scope back, because the disk was full.
    pub(super) stranded: bool,
    /// A launcher started a version that is not trusted any more.
    pub(super) distrusted: bool,
    /// The version of the last proved pin, until a person's next command about versions.
    pub(super) pinned: Level,
    /// A failed pin left no worker where one was, or left its hold on record.
    pub(super) pin_left_damage: bool,
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
        let id = unused(used);
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
        let id = unused(used);
        self.path = id;
        id
    }

    /// The kernel frees the lock and the socket that no process holds any more.
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

    /// Whether a worker can write the ledger now: on a full disk only in disk space that it has reserved.
    pub(super) fn can_write(&self, slot: u8) -> bool {
        !self.full || self.at(slot).room
    }

    /// Writes the ledger's generation and lineage.
    pub(super) fn write_ledger(&mut self, generation: u8, lineage: u8) {
        self.regressed |= generation < self.ledger;
        self.ledger = generation;
        self.lineage = lineage;
    }

    /// Changes the record.
    pub(super) fn change(&mut self, rules: &Rules, change: Change) {
        self.record = rules.policy.change(self.record, change);
    }

    /// A launcher chooses what it will start.
    pub(super) fn chooses(&mut self, me: u8, target: Level) {
        self.impatient |= target != NOBODY && self.tally.keeps_out(target);
        self.launcher(me).target = target;
    }

    /// A launcher starts what it has chosen.
    pub(super) fn starts(&mut self, target: Level) {
        self.distrusted |= self.revoked & (1 << target) != 0;
    }

    /// A person asks for this version: its failures are cleared.
    pub(super) fn begin_anew(&mut self, level: Level) {
        self.tally.clear(level);
        for worker in &mut self.workers {
            worker.uncounted_failure = worker.uncounted_failure.filter(|(blamed, _)| *blamed != level);
        }
    }

    /// A person's command about a version: from now on replacements and downgrades are counted anew. The command itself
    /// causes no downgrade.
    pub(super) fn begin_epoch(&mut self, level: Level) {
        (self.pinned, self.replaced, self.downgrades) = (NOBODY, 0, 0);
        self.last = self.last.min(level);
    }

    /// The app of the worker in `slot` begins to accept clients.
    pub(super) fn serve(&mut self, slot: u8) {
        let Worker { level, generation, stop_received, origin, .. } = *self.at(slot);
        (self.worker(slot).accepts, self.worker(slot).served) = (true, true);
        self.resurrected |= stop_received;
        // A pin is the only downgrade that a person asks for.
        self.downgrades += i8::from(level < self.last && origin != Origin::Pin);
        self.last = level;
        self.written = self.written.max(generation);
    }

    /// Sends a message to the incumbent, if that lives and the connection has not ended.
    pub(super) fn send(&mut self, from: u8, message: Message) {
        let Worker { predecessor, linked, .. } = *self.at(from);
        if let Kin::Alive(to) = predecessor
            && linked
        {
            let to = self.worker(to);
            to.stop_received |= message == (Message::Abort { ends: true });
            if let Some(free) = to.messages.iter_mut().find(|unread| **unread == Message::Nothing) {
                *free = message;
            }
        }
    }

    /// The process in `slot` is gone: everything that it held is free, and launchers that wait for it know.
    pub(super) fn bury(&mut self, slot: u8, news: News) {
        let Worker { level, news: last_words, served, .. } = *self.at(slot);
        let uncounted_failure = matches!(news, News::Failed | News::Gone)
            && !matches!(last_words, News::Ended | News::Declined | News::Unheard | News::Kept);
        if let Kin::Alive(before) = self.at(slot).predecessor
            && self.at(before).successor != Kin::Alive(slot)
        {
            // Its connection was never admitted, and its messages end with it.
            self.worker(before).forget_messages(|message| message == Message::Prepare);
        }
        *self.worker(slot) = Worker::NONE;
        self.lineage &= !(1 << slot);
        for worker in &mut self.workers {
            if worker.predecessor == Kin::Alive(slot) {
                (worker.predecessor, worker.linked) = (Kin::Gone, false);
            }
            if worker.successor == Kin::Alive(slot) {
                (worker.successor, worker.linked) = (Kin::Gone, false);
                worker.uncounted_failure = uncounted_failure.then_some((level, served));
            }
        }
        for launcher in &mut self.launchers {
            launcher.lose(slot, news);
        }
        self.settle();
    }
}

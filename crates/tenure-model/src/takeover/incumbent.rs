//! An incumbent's own steps, each through the shipped table.
//!
//! One thread serves one takeover: an action is finished before the next event is read. Between a table's step and each
//! part of its action the process can be killed or stopped.

use tenure_core::policy::takeover::{self, Incumbent, IncumbentAction, IncumbentEvent, Successor, Then};

use crate::mutation::Mutation;
use crate::records::Change;
use crate::scenario::Rules;
use crate::takeover::process::{Kin, Message, News, Phase, Reply, Todo, Worker};
use crate::takeover::state::State;
use crate::takeover::successor;

/// The events that the incumbent in `slot` can notice now, apart from its successor's messages.
pub(super) fn possible_events(rules: &Rules, s: &State, slot: u8, state: Incumbent) -> Vec<IncumbentEvent> {
    let worker = s.at(slot);
    let silent = worker.messages[0] == Message::Nothing;
    let gone = worker.successor == Kin::Gone && (silent || rules.breaks(Mutation::DeathBeforeWords));
    let ended = worker.successor != Kin::None && !worker.linked && silent;
    let late = matches!(state, Incumbent::Prepared | Incumbent::Granted)
        && !rules.breaks(Mutation::NoTimer)
        && matches!(worker.successor, Kin::Alive(other) if s.at(other).stopped || s.at(other).hangs);
    let offers = [
        (ended || late, IncumbentEvent::Lost),
        (gone, IncumbentEvent::SuccessorGone),
        (state == Incumbent::Relieved, IncumbentEvent::ProbationOver),
        (state == Incumbent::Quiescing && !worker.hangs, IncumbentEvent::Quiesced),
        (state == Incumbent::Reclaiming && !worker.hangs, IncumbentEvent::Reclaimed),
    ];
    let matters = |event: &IncumbentEvent| takeover::incumbent(state, *event, rules.terms) != (state, None);
    offers.into_iter().filter(|(can, _)| *can).map(|(_, event)| event).filter(matters).collect()
}

/// Applies an event; the shipped table gives the next state and action.
pub(super) fn hear(rules: &Rules, s: &mut State, slot: u8, event: IncumbentEvent) {
    let Phase::Incumbent(state) = s.at(slot).phase else { return };
    match event {
        IncumbentEvent::Quiesced if !rules.breaks(Mutation::AcceptsUntilAck) => {
            s.worker(slot).accepts = false;
        }
        IncumbentEvent::Active => acknowledged(rules, s, slot),
        IncumbentEvent::Reclaimed => {
            s.worker(slot).answers = true;
            s.serve(slot);
            s.reclaimed = true;
        }
        IncumbentEvent::Quiesced
        | IncumbentEvent::Prepare
        | IncumbentEvent::Commit
        | IncumbentEvent::NotQuiesced
        | IncumbentEvent::Stuck
        | IncumbentEvent::Aborted { .. }
        | IncumbentEvent::Lost
        | IncumbentEvent::SuccessorGone
        | IncumbentEvent::ProbationOver
        | IncumbentEvent::StopAsked
        | IncumbentEvent::NotReclaimed => {}
    }
    let (next, action) = match (state, event) {
        // Without a successor it ends as any worker does.
        (Incumbent::Serving, IncumbentEvent::StopAsked) => (Incumbent::Leaving, Some(IncumbentAction::Leave)),
        (_, _) => takeover::incumbent(state, event, rules.terms),
    };
    let worker = s.worker(slot);
    worker.phase = Phase::Incumbent(next);
    worker.todo = match action {
        Some(IncumbentAction::Share) => Todo::Record,
        Some(IncumbentAction::Grant) => Todo::StopAnswering,
        Some(IncumbentAction::EndSuccessor) => Todo::End,
        Some(IncumbentAction::Reclaim) => Todo::Reopen,
        Some(IncumbentAction::Leave) => Todo::Leave,
        Some(IncumbentAction::Exit) => Todo::Exit,
        // The app is asked on another thread, and its answer is the next event.
        Some(IncumbentAction::Quiesce) | None => Todo::Nothing,
    };
    if action == Some(IncumbentAction::Exit) {
        worker.hangs = false;
    }
    if next == Incumbent::Serving {
        (worker.successor, worker.linked) = (Kin::None, false);
        worker.forget_messages(|message| message != Message::Prepare);
    }
}

/// The successor has said that it serves.
fn acknowledged(rules: &Rules, s: &mut State, slot: u8) {
    if rules.breaks(Mutation::AcceptsUntilAck) {
        s.worker(slot).accepts = false;
    }
    if rules.breaks(Mutation::AnswersUntilAck) {
        s.worker(slot).answers = false;
    }
}

/// Reads the next message to the worker in `slot`, whatever its phase is by now.
pub(super) fn read(rules: &Rules, s: &mut State, slot: u8) {
    let message = s.worker(slot).take_message();
    let event = match message {
        Message::Nothing => return,
        Message::Prepare => return admit(rules, s, slot),
        Message::Commit => IncumbentEvent::Commit,
        Message::Active => IncumbentEvent::Active,
        Message::Abort { ends } => {
            IncumbentEvent::Aborted { ends: ends && !rules.breaks(Mutation::AbortEndsIgnored) }
        }
    };
    hear(rules, s, slot, event);
}

/// Answers PREPARE. It refuses unless it serves alone, its own predecessor is gone, and the disk has room for what it
/// would have to write to take its scope back.
fn admit(rules: &Rules, s: &mut State, slot: u8) {
    let asks = |worker: &Worker| {
        worker.phase == Phase::Successor(Successor::Asking) && worker.predecessor == Kin::Alive(slot)
    };
    let asker = s.living().find(|(_, worker)| asks(worker)).map(|(asker, _)| asker);
    let Some(asker) = asker else { return };
    if rules.breaks(Mutation::OverlappingAdmitted) && s.at(slot).phase == Phase::Successor(Successor::Active)
    {
        let worker = s.worker(slot);
        (worker.phase, worker.predecessor) = (Phase::Incumbent(Incumbent::Serving), Kin::None);
    }
    let is_alone = s.at(slot).phase == Phase::Successor(Successor::Active) && !s.at(slot).is_followed();
    if is_alone {
        // It finds out only now that its own predecessor is gone.
        successor::settle_alone(rules, s, slot);
    }
    let keeps_room = !rules.breaks(Mutation::NoRoomKept);
    let leaves = s.at(slot).phase == Phase::Incumbent(Incumbent::Leaving);
    let is_next = s.at(asker).generation == s.at(slot).generation + 1;
    if leaves || !s.at(slot).serves_alone() || (keeps_room && s.full) || !is_next {
        // Only an incumbent that ends by itself may be ended by the launcher. Another takeover, a living predecessor, a
        // full disk, or a successor from before this worker took its scope back is no reason for that.
        s.worker(asker).reply = if leaves { Reply::Refused } else { Reply::Kept };
        return;
    }
    let above = s.at(asker).generation;
    let worker = s.worker(slot);
    (worker.room, worker.declines) = (keeps_room, false);
    (worker.successor, worker.linked, worker.successor_generation) = (Kin::Alive(asker), true, above);
    worker.uncounted_failure = None;
    if !s.at(asker).linked {
        s.worker(slot).linked = false;
    }
    hear(rules, s, slot, IncumbentEvent::Prepare);
}

/// Takes its next step.
pub(super) fn act(rules: &Rules, s: &mut State, slot: u8) {
    let Worker { todo, successor, lease, socket, .. } = *s.at(slot);
    s.worker(slot).todo = Todo::Nothing;
    match (todo, successor) {
        (Todo::Record, _) if !s.can_write(slot) => hear(rules, s, slot, IncumbentEvent::Lost),
        (Todo::Record, _) => {
            if let Kin::Alive(other) = successor {
                s.write_ledger(s.ledger, s.lineage | (1 << other));
            }
            s.worker(slot).todo = Todo::Share;
        }
        (Todo::Share, Kin::Alive(other)) => answer(s, slot, other, Reply::Prepared { lease, socket }),
        (Todo::StopAnswering, _) => {
            if !rules.breaks(Mutation::AnswersUntilAck) {
                s.worker(slot).answers = false;
            }
            s.worker(slot).todo = Todo::Grant;
        }
        (Todo::Grant, _) => {
            if rules.breaks(Mutation::ReleaseAndRetake) {
                s.worker(slot).lease = 0;
                s.settle();
            }
            if let Kin::Alive(other) = successor {
                answer(s, slot, other, Reply::Granted);
            }
        }
        (Todo::End, _) => {
            if let Kin::Alive(other) = successor {
                end(rules, s, slot, other);
            }
            if s.at(slot).phase == Phase::Incumbent(Incumbent::Ending(Then::Serve)) {
                record_failure(rules, s, slot);
            }
        }
        (Todo::Reopen, _) if !s.can_write(slot) => {
            s.stranded = true;
            if rules.breaks(Mutation::UnrecordedTold) {
                s.worker(slot).generation = s.at(slot).successor_generation.max(s.ledger) + 1;
            } else {
                hear(rules, s, slot, IncumbentEvent::NotReclaimed);
            }
        }
        (Todo::Reopen, _) => {
            let above = s.at(slot).successor_generation.max(s.ledger) + 1;
            if !rules.breaks(Mutation::RollbackSameGeneration) {
                s.worker(slot).generation = above;
            }
            s.write_ledger(s.at(slot).generation, 1 << slot);
            record_failure(rules, s, slot);
        }
        (Todo::Leave, _) => {
            let worker = s.worker(slot);
            (worker.answers, worker.accepts, worker.socket, worker.todo) = (false, false, 0, Todo::Exit);
            s.settle();
        }
        (Todo::Exit, _) => s.bury(slot, News::Gone),
        // The receiver of the answer is gone.
        (_, _) => {}
    }
}

/// Kills its successor.
fn end(rules: &Rules, s: &mut State, slot: u8, other: u8) {
    if rules.breaks(Mutation::RollbackWithoutKill) {
        s.worker(slot).successor = Kin::Gone;
        return;
    }
    let stops = s.at(slot).phase == Phase::Incumbent(Incumbent::Ending(Then::Leave));
    let was_stopped = stops && !rules.breaks(Mutation::StopTallied);
    // A refused successor gets a moment to read the refusal, and ends by itself.
    let hears = s.at(other).reply == Reply::Refused && !s.at(other).stopped;
    s.bury(
        other,
        match (was_stopped, hears) {
            (true, _) => News::Ended,
            (false, true) => News::Declined,
            (false, false) => News::Gone,
        },
    );
}

/// Records that its successor failed, for the next holder of the gate.
fn record_failure(rules: &Rules, s: &mut State, slot: u8) {
    let writes = s.can_write(slot);
    if let Some((level, served)) = s.worker(slot).uncounted_failure.take().filter(|_| writes) {
        s.change(rules, Change::RollBack(level));
        if served {
            s.tally.failed(level);
        }
    }
}

/// Its app cannot make room: refuses the successor.
pub(super) fn decline(s: &mut State, slot: u8) {
    s.worker(slot).declines = true;
    if let Kin::Alive(other) = s.at(slot).successor {
        answer(s, slot, other, Reply::Refused);
    }
}

fn answer(s: &mut State, from: u8, to: u8, reply: Reply) {
    if s.at(from).linked && s.at(to).predecessor == Kin::Alive(from) {
        s.worker(to).reply = reply;
    }
}

/// Its watchdog ends a phase that hangs.
pub(super) fn watchdog(rules: &Rules, s: &mut State, slot: u8) {
    match s.at(slot).phase {
        Phase::Incumbent(Incumbent::Quiescing) => hear(rules, s, slot, IncumbentEvent::Stuck),
        Phase::Incumbent(Incumbent::Reclaiming) => hear(rules, s, slot, IncumbentEvent::NotReclaimed),
        Phase::Incumbent(_) => s.bury(slot, News::Gone),
        // A boot that hangs has failed, unless somebody asked the worker to end.
        Phase::Empty | Phase::Booting | Phase::Successor(_) => {
            let news = if s.at(slot).news == News::Ended { News::Ended } else { News::Failed };
            s.bury(slot, news);
        }
    }
}

/// Whether it can hang in this state.
pub(super) fn can_hang(state: Incumbent) -> bool {
    match state {
        Incumbent::Quiescing | Incumbent::Reclaiming | Incumbent::Leaving => true,
        Incumbent::Serving
        | Incumbent::Prepared
        | Incumbent::Granted
        | Incumbent::Relieved
        | Incumbent::Ending(Then::Serve | Then::Reclaim | Then::Leave) => false,
    }
}

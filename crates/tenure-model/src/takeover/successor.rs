//! A successor's own steps, each through the shipped table.

use tenure_core::policy::takeover::{self, Incumbent, Successor, SuccessorAction, SuccessorEvent};

use crate::kernel::{NOBODY, Sight};
use crate::mutation::Mutation;
use crate::records::Change;
use crate::scenario::Rules;
use crate::takeover::process::{Kin, Message, News, Origin, Phase, Reply, Todo, Worker};
use crate::takeover::state::State;

/// The events that the successor in `slot` can notice now.
pub(super) fn possible_events(rules: &Rules, s: &State, slot: u8, state: Successor) -> Vec<SuccessorEvent> {
    let worker = s.at(slot);
    let waits = worker.reply == Reply::None && !worker.linked;
    let shares = matches!(state, Successor::Prepared | Successor::Committing);
    let lost = waits && !(shares && rules.breaks(Mutation::EndIgnored));
    let slow = match worker.predecessor {
        Kin::Alive(other) => s.at(other).stopped || s.at(other).hangs,
        // The end of the connection is noticed before a wait is over.
        Kin::Gone => rules.breaks(Mutation::EndIgnored),
        Kin::None => false,
    };
    let late = worker.reply == Reply::None && slow && !rules.breaks(Mutation::NoTimer);
    let overlaps = rules.terms.overlap && !worker.accepts;
    let offers = match state {
        Successor::Standby => vec![(!worker.hangs, SuccessorEvent::Booted)],
        Successor::Asking => vec![
            (matches!(worker.reply, Reply::Prepared { .. }), SuccessorEvent::Prepared),
            (worker.reply == Reply::Refused, SuccessorEvent::Refused),
            (worker.reply == Reply::Kept, SuccessorEvent::Kept),
            (lost, SuccessorEvent::Lost),
            (late, SuccessorEvent::Late),
        ],
        Successor::Prepared => {
            vec![(!overlaps && !worker.hangs, SuccessorEvent::Willing), (lost, SuccessorEvent::Lost)]
        }
        Successor::Committing => vec![
            (worker.reply == Reply::Granted, SuccessorEvent::Granted),
            (worker.reply == Reply::Refused, SuccessorEvent::Refused),
            (lost, SuccessorEvent::Lost),
            (late, SuccessorEvent::Late),
        ],
        Successor::Proving => {
            let lives = matches!(worker.predecessor, Kin::Alive(_)) && !rules.breaks(Mutation::EndUnproved);
            vec![(!lives, SuccessorEvent::IncumbentGone), (lives, SuccessorEvent::IncumbentLives)]
        }
        Successor::Granted if !rules.is_sound(worker.level) => vec![(true, SuccessorEvent::Failed)],
        Successor::Granted => vec![(!worker.hangs, SuccessorEvent::Ready)],
        Successor::Active | Successor::Over => Vec::new(),
    };
    offers.into_iter().filter(|(can, _)| *can).map(|(_, event)| event).collect()
}

/// Whether its boot can take too long because the incumbent is stopped: the deadline of the boot may come before the
/// wait for an answer is over.
pub(super) fn may_overrun(s: &State, slot: u8, state: Successor) -> bool {
    let waits = matches!(state, Successor::Asking | Successor::Committing);
    waits
        && s.at(slot).reply == Reply::None
        && matches!(s.at(slot).predecessor, Kin::Alive(other) if s.at(other).stopped)
}

/// Whether its program can start beside the incumbent's now.
pub(super) fn may_join(rules: &Rules, s: &State, slot: u8) -> bool {
    let worker = s.at(slot);
    let prepared = worker.phase == Phase::Successor(Successor::Prepared);
    rules.terms.overlap && prepared && !worker.accepts && !worker.hangs
}

/// Applies an event; the shipped table gives the next state and action.
pub(super) fn learn(rules: &Rules, s: &mut State, slot: u8, event: SuccessorEvent) {
    let Phase::Successor(state) = s.at(slot).phase else { return };
    let (next, step) = match (state, event) {
        (Successor::Asking, SuccessorEvent::Lost | SuccessorEvent::Late)
            if rules.breaks(Mutation::LostLinkDeclines) =>
        {
            (Successor::Over, Some(SuccessorAction::Decline))
        }
        (_, _) => takeover::successor(state, event),
    };
    match event {
        SuccessorEvent::Booted if rules.breaks(Mutation::BindFirst) => s.worker(slot).socket = s.new_socket(),
        SuccessorEvent::Prepared => {
            if let Reply::Prepared { lease, socket } = s.at(slot).reply {
                let worker = s.worker(slot);
                (worker.lease, worker.socket) = (lease, socket);
            }
        }
        SuccessorEvent::Ready => s.serve(slot),
        SuccessorEvent::Booted
        | SuccessorEvent::Refused
        | SuccessorEvent::Kept
        | SuccessorEvent::Willing
        | SuccessorEvent::Granted
        | SuccessorEvent::Lost
        | SuccessorEvent::Late
        | SuccessorEvent::IncumbentGone
        | SuccessorEvent::IncumbentLives
        | SuccessorEvent::Failed => {}
    }
    let counts = i8::from(event == SuccessorEvent::Ready && s.at(slot).origin == Origin::Replacement);
    s.replaced += counts;
    let worker = s.worker(slot);
    worker.news = match (step, event) {
        (Some(SuccessorAction::Decline), _) => News::Declined,
        (Some(SuccessorAction::GiveUp), SuccessorEvent::Lost | SuccessorEvent::Late) => News::Unheard,
        (Some(SuccessorAction::GiveUp), SuccessorEvent::Kept | SuccessorEvent::IncumbentLives) => News::Kept,
        (Some(SuccessorAction::GiveUp), SuccessorEvent::Failed) if worker.news == News::None => News::Failed,
        (_, _) => worker.news,
    };
    (worker.phase, worker.reply) = (Phase::Successor(next), Reply::None);
    worker.todo = match step {
        Some(SuccessorAction::Ask) => Todo::Ask,
        Some(SuccessorAction::Commit) => Todo::Commit,
        Some(SuccessorAction::Open) => Todo::Open,
        Some(SuccessorAction::Tell) => Todo::Tell,
        Some(SuccessorAction::Decline) => Todo::Exit,
        Some(SuccessorAction::GiveUp) => Todo::GiveUp,
        // The result of the proof is its next event.
        Some(SuccessorAction::Prove) | None => Todo::Nothing,
    };
    s.settle();
}

/// Whether its next step can be taken now. A connection attempt needs an answer, or a peer that is stopped.
pub(super) fn may_act(rules: &Rules, s: &State, slot: u8) -> bool {
    let Worker { todo, hangs, predecessor, .. } = *s.at(slot);
    match todo {
        Todo::Nothing => false,
        Todo::Exit => !hangs,
        Todo::Ask if !rules.breaks(Mutation::BindFirst) => match (s.see(), predecessor) {
            (Sight::Silent, Kin::Alive(other)) => s.at(other).stopped,
            (Sight::Silent | Sight::Nobody | Sight::Worker(_), _) => true,
        },
        Todo::Ask
        | Todo::Commit
        | Todo::Open
        | Todo::Answer
        | Todo::Tell
        | Todo::GiveUp
        | Todo::Record
        | Todo::Share
        | Todo::StopAnswering
        | Todo::Grant
        | Todo::End
        | Todo::Reopen
        | Todo::Leave => true,
    }
}

/// Takes its next step.
pub(super) fn act(rules: &Rules, s: &mut State, slot: u8) {
    let todo = std::mem::replace(&mut s.worker(slot).todo, Todo::Nothing);
    match todo {
        Todo::Ask => ask(rules, s, slot),
        Todo::Commit => s.send(slot, Message::Commit),
        Todo::Open => open(rules, s, slot),
        Todo::Answer => s.worker(slot).answers = true,
        Todo::Tell => tell(s, slot),
        Todo::GiveUp => {
            let ends = s.at(slot).ends;
            let worker = s.worker(slot);
            (worker.answers, worker.accepts, worker.socket, worker.todo) = (false, false, 0, Todo::Exit);
            s.send(slot, Message::Abort { ends });
            s.settle();
        }
        Todo::Exit => s.bury(slot, s.at(slot).news),
        Todo::Nothing
        | Todo::Record
        | Todo::Share
        | Todo::StopAnswering
        | Todo::Grant
        | Todo::End
        | Todo::Reopen
        | Todo::Leave => {}
    }
}

/// Sends PREPARE to the worker that its launcher saw, and to no other.
fn ask(rules: &Rules, s: &mut State, slot: u8) {
    let meant = s.at(slot).predecessor;
    let direct = rules.breaks(Mutation::BindFirst);
    match (s.see(), meant) {
        (_, Kin::Alive(other)) if direct || s.see() == Sight::Worker(other) => {
            s.worker(slot).linked = true;
            s.send(slot, Message::Prepare);
        }
        (Sight::Silent, Kin::Alive(_)) => learn(rules, s, slot, SuccessorEvent::Late),
        // No worker is there, or another one: the incumbent is lost.
        (Sight::Silent | Sight::Nobody | Sight::Worker(_), _) => learn(rules, s, slot, SuccessorEvent::Lost),
    }
}

/// Records the generation durably; answering callers is the next step.
fn open(rules: &Rules, s: &mut State, slot: u8) {
    let Worker { generation, predecessor, .. } = *s.at(slot);
    let retakes = rules.breaks(Mutation::ReleaseAndRetake);
    if s.ledger >= generation || (retakes && s.lease != 0) || !s.can_write(slot) {
        s.worker(slot).news = News::Kept;
        return learn(rules, s, slot, SuccessorEvent::Failed);
    }
    if retakes {
        s.worker(slot).lease = s.new_lease();
    }
    let before = if let Kin::Alive(other) = predecessor { 1 << other } else { 0 };
    s.write_ledger(generation, before | (1 << slot));
    s.change(rules, Change::Open);
    s.worker(slot).todo = Todo::Answer;
}

/// Tells the incumbent and the launcher, and gives its share of the gate back.
fn tell(s: &mut State, slot: u8) {
    s.send(slot, Message::Active);
    let parent = std::mem::replace(&mut s.worker(slot).parent, NOBODY);
    if parent != NOBODY {
        s.launcher(parent).news = News::Ready;
    }
    s.worker(slot).gate = false;
}

/// The incumbent is gone: the successor is alone in the lineage, and its probation is over. The real successor notices
/// the incumbent's leave a moment earlier; no other worker can take over in between.
pub(super) fn settle_alone(rules: &Rules, s: &mut State, slot: u8) {
    // Where the ledger cannot be written, it names one process too many, and the tally stays as it is.
    let writes = s.can_write(slot);
    if writes {
        s.write_ledger(s.ledger, 1 << slot);
    }
    if rules.terms.probation {
        let level = s.at(slot).level;
        s.tally.clear(level);
        // Without a failure on record there is nothing to clear.
        if writes && rules.policy.facts(s.record).tallied & (1 << level) != 0 {
            s.change(rules, Change::Prove(level));
        }
    }
    let worker = s.worker(slot);
    (worker.phase, worker.predecessor) = (Phase::Incumbent(Incumbent::Serving), Kin::None);
}

/// Whether it can hang in this state.
pub(super) fn can_hang(rules: &Rules, state: Successor) -> bool {
    match state {
        Successor::Standby | Successor::Granted | Successor::Over => true,
        Successor::Prepared => rules.terms.overlap,
        Successor::Asking | Successor::Committing | Successor::Proving | Successor::Active => false,
    }
}

/// Whether its app can fail in this state.
pub(super) fn can_fail(rules: &Rules, s: &State, slot: u8, state: Successor) -> bool {
    match state {
        Successor::Standby | Successor::Granted => true,
        Successor::Prepared => rules.terms.overlap,
        Successor::Active => s.at(slot).predecessor != Kin::None,
        Successor::Asking | Successor::Committing | Successor::Proving | Successor::Over => false,
    }
}

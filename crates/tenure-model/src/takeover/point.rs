//! The fault points at which the processes of a state are, and the text of a trace.

use tenure_core::policy::point::Point;
use tenure_core::policy::takeover::{Incumbent, Successor, Then};

use crate::takeover::moves::Move;
use crate::takeover::process::{Pc, Phase, Todo, Worker};
use crate::takeover::state::State;

/// The fault point at which a worker is, if it is at one.
pub(super) fn of_worker(worker: &Worker) -> Option<Point> {
    match (worker.phase, worker.todo) {
        (Phase::Successor(Successor::Asking), Todo::Ask) => Some(Point::StandingBy),
        (Phase::Successor(Successor::Prepared), Todo::Nothing) => Some(Point::SuccessorPrepared),
        (Phase::Successor(Successor::Granted), Todo::Open) => Some(Point::SuccessorGranted),
        (Phase::Successor(Successor::Granted), Todo::Nothing) => Some(Point::SuccessorRecorded),
        (Phase::Successor(Successor::Active), Todo::Tell) => Some(Point::SuccessorActive),
        (Phase::Incumbent(Incumbent::Prepared), Todo::Share) => Some(Point::IncumbentPrepared),
        (Phase::Incumbent(Incumbent::Quiescing), Todo::Nothing) => Some(Point::IncumbentCommitted),
        (Phase::Incumbent(Incumbent::Granted), Todo::Nothing) => Some(Point::IncumbentGranted),
        (Phase::Incumbent(Incumbent::Relieved), Todo::Nothing) => Some(Point::IncumbentRelieved),
        (Phase::Incumbent(Incumbent::Reclaiming), Todo::Reopen) => Some(Point::IncumbentReclaiming),
        (Phase::Incumbent(Incumbent::Leaving), Todo::Leave) => Some(Point::IncumbentLeaving),
        (Phase::Empty | Phase::Booting | Phase::Successor(_) | Phase::Incumbent(_), _) => None,
    }
}

/// The fault point at which a launcher is, if it is at one.
pub(super) fn of_launcher(pc: Pc) -> Option<Point> {
    match pc {
        Pc::Gated => Some(Point::GateEntered),
        Pc::Leased => Some(Point::LeaseTaken),
        Pc::Opened => Some(Point::GenerationRecorded),
        Pc::Bound => Some(Point::SocketRenamed),
        Pc::AwaitBoot(_) => Some(Point::WorkerReleased),
        Pc::AwaitTakeover(_) => Some(Point::SuccessorSpawned),
        Pc::Pin => Some(Point::PinProved),
        Pc::Look
        | Pc::AwaitSettled { .. }
        | Pc::WantGate
        | Pc::Put
        | Pc::Silent
        | Pc::AwaitAlone(_)
        | Pc::TakeLease
        | Pc::Bake(_)
        | Pc::Verify
        | Pc::Ask(_)
        | Pc::Asked(_)
        | Pc::Settling(_)
        | Pc::Back(_)
        | Pc::PutBack
        | Pc::Done(_)
        | Pc::Dead => None,
    }
}

/// One step in words: which process, what it does, and the fault point at which it was before.
pub(super) fn describe(s: &State, what: Move) -> String {
    let (who, at) = match what {
        Move::Tick => return "time passes for the versions that failed".to_owned(),
        Move::Fills => return "the DISK is FULL".to_owned(),
        Move::Frees => return "the disk has room again".to_owned(),
        Move::Revokes(level) => return format!("the TRUST in version {level} is TAKEN BACK"),
        Move::Go(me)
        | Move::Expires(me)
        | Move::Forces(me)
        | Move::KillLauncher(me)
        | Move::Suspects(me)
        | Move::Abandons(me) => {
            let launcher = &s.launchers[usize::from(me)];
            (format!("launcher {me} ({:?} at {:?})", launcher.task, launcher.pc), of_launcher(launcher.pc))
        }
        Move::Acts(slot, _)
        | Move::Boots(slot)
        | Move::Reads(slot)
        | Move::Hears(slot, _)
        | Move::Learns(slot, _)
        | Move::Joins(slot)
        | Move::Settles(slot)
        | Move::Watchdog(slot)
        | Move::Writes(slot)
        | Move::KillWorker(slot)
        | Move::Stop(slot)
        | Move::Continue(slot)
        | Move::Late(slot)
        | Move::Cut(slot)
        | Move::Fails(slot)
        | Move::Hangs(slot)
        | Move::Term(slot) => (name(slot, s.at(slot)), of_worker(s.at(slot))),
    };
    let at = at.map(|point| format!(" [{}]", point.name())).unwrap_or_default();
    format!("{who}: {}{at}", words(s, what))
}

fn name(slot: u8, worker: &Worker) -> String {
    let Worker { level, generation, .. } = worker;
    let role = match worker.phase {
        Phase::Empty => "nobody".to_owned(),
        Phase::Booting => "worker that boots".to_owned(),
        Phase::Successor(state) => format!("successor {state:?}"),
        Phase::Incumbent(Incumbent::Ending(Then::Serve | Then::Reclaim | Then::Leave)) => {
            "incumbent Ending".to_owned()
        }
        Phase::Incumbent(state) => format!("incumbent {state:?}"),
    };
    format!("{role} (slot {slot}, version {level}, generation {generation})")
}

fn words(s: &State, what: Move) -> String {
    match what {
        Move::Go(_) => "goes on".to_owned(),
        Move::Expires(_) => "its budget ends".to_owned(),
        Move::Forces(_) => "ends who stands still".to_owned(),
        Move::Acts(_, todo) => format!("does {todo:?}"),
        Move::Boots(_) => "serves".to_owned(),
        Move::Reads(slot) => format!("reads {:?}", s.at(slot).messages[0]),
        Move::Hears(_, event) => format!("hears {event:?}"),
        Move::Learns(_, event) => format!("learns {event:?}"),
        Move::Joins(_) => "its program serves as well".to_owned(),
        Move::Settles(_) => "is alone".to_owned(),
        Move::Watchdog(_) => "ends itself: its watchdog".to_owned(),
        Move::Writes(_) => "writes the ledger".to_owned(),
        Move::KillLauncher(_) | Move::KillWorker(_) => "KILLED".to_owned(),
        Move::Stop(_) => "STOPPED".to_owned(),
        Move::Continue(_) => "CONTINUED".to_owned(),
        Move::Late(_) => "LOSES PATIENCE".to_owned(),
        Move::Suspects(_) => "SUSPECTS who is there".to_owned(),
        Move::Abandons(_) => "its TIME IS OVER, and it ends what it started".to_owned(),
        Move::Cut(_) => "its CONNECTION ENDS".to_owned(),
        Move::Fails(_) => "its app FAILS".to_owned(),
        Move::Hangs(_) => "HANGS".to_owned(),
        Move::Term(_) => "gets SIGTERM".to_owned(),
        Move::Tick | Move::Fills | Move::Frees | Move::Revokes(_) => String::new(),
    }
}

//! `stop`: the worker and everything of its program proved gone. Never starts anything.

use std::time::Duration;

use crate::control;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::event::{self, Event, What};
use crate::gate::Gate;
use crate::leftovers::{self, Ended};
use crate::order;
use crate::paths::{StateDir, file};
use crate::probe::FIRST_ANSWER;
use crate::records;
use crate::retire::{self, Ending, Purpose};
use crate::scope::Scope;
use crate::spec::KILL_GRACE;

/// A request to stop a worker.
#[derive(Debug, Clone)]
pub struct StopOrder {
    /// Whose worker.
    pub scope: Scope,
    /// The longest time that the call may take.
    pub budget: Duration,
    /// Why, for events and logs.
    pub reason: String,
}

/// The proof of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Pid of the worker that was ended; none where nothing ran.
    pub pid: Option<u32>,
    /// How it ended.
    pub ending: Ending,
    /// What its program had left behind and was ended as well.
    pub leftovers: Vec<Ended>,
}

/// How long a worker may take to end by itself when the caller's budget allows more: its own drain and stop settings are
/// shorter unless somebody set them to more, and then the budget is the caller's word.
const LONGEST_DRAIN: Duration = Duration::from_mins(10);

/// Ends the worker of a scope and returns when it, its program and their children are proved gone. Idempotent: nothing
/// running is success. Asks first, without waiting for the gate, so that a worker can be stopped while a launcher waits
/// for it; forces only processes whose identity was verified; names what survives.
///
/// # Errors
/// [`ErrorKind::Survivor`], [`ErrorKind::Wedged`], [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`],
/// [`ErrorKind::Recursion`], [`ErrorKind::Denied`], [`ErrorKind::StateUnusable`], [`ErrorKind::RecordUnusable`].
pub fn stop(order: &StopOrder) -> Result<Stopped, Error> {
    let budget = Deadline::start(order.budget);
    let Some(state) = StateDir::open(&order.scope)? else {
        return Ok(Stopped { pid: None, ending: Ending::WasGone, leftovers: Vec::new() });
    };
    if order::is_inside(&state) {
        let message = format!("stop {}: this process is part of that worker", order.scope);
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    let patience = budget.remaining().min(LONGEST_DRAIN);
    let purpose = Purpose { reason: order.reason.clone(), by: order::asker(), patience };

    let asked = ask_without_gate(&state, &purpose, &budget)?;
    let gate = Gate::enter_for(&state, budget.stage("gate")?, patience)?;
    let ledger = records::read_ledger(&state)?;
    let retired = retire::retire(&gate, &ledger, &purpose, budget.stage("retire")?)?;
    let patience = leftovers::patience(budget.stage("previous program")?, KILL_GRACE);
    let leftovers = leftovers::clear(&gate, &retired.lease, &ledger, patience)?;
    // The lease is ours, so what stands at the path serves nobody.
    drop(state.dir().remove(file::CONTROL));

    let pid = retired.pid.or(asked);
    let ending =
        if retired.ending == Ending::WasGone && asked.is_some() { Ending::Asked } else { retired.ending };
    if pid.is_some() {
        let mut event = Event::now(What::Stopped, ledger.generation, &purpose.by, order.reason.as_str());
        event.pid = pid;
        event::note(&state, &event);
    }
    Ok(Stopped { pid, ending, leftovers })
}

/// STOP needs no gate: the holder may be waiting for this very worker. Returns the pid that accepted.
fn ask_without_gate(state: &StateDir, purpose: &Purpose, budget: &Deadline) -> Result<Option<u32>, Error> {
    let stage = budget.stage("ask")?.at_most(FIRST_ANSWER);
    let asked = control::connect(state, stage).and_then(|mut connection| {
        let hello = connection.hello(stage)?;
        connection.stop(&purpose.reason, purpose.patience, &purpose.by, stage)?;
        Ok(hello.identity.pid)
    });
    Ok(asked.ok())
}

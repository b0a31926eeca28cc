//! `stop`: ends the worker and its program, and proves that all of it is gone. Never starts anything.

use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::process::{self, Verified};

use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind};
use crate::launch::ask::probe::FIRST_ANSWER;
use crate::launch::end::orphans::{self, EndedOrphan};
use crate::launch::end::stop_and_prove::{self, LONGEST_DRAIN, OVERRUN, ProvedEnd, Purpose};
use crate::launch::request::{self, DEFAULT_BUDGET};
use crate::protocol::wire::Hello;
use crate::record::desired::Down;
use crate::spec::KILL_GRACE;
use crate::spec::scope::Scope;
use crate::store::event::{self, Event, What};
use crate::store::gate::Gate;
use crate::store::paths::{StateDir, file};
use crate::store::{records, sockets};

/// A request to stop a worker.
///
/// ```
/// use std::time::Duration;
///
/// let mut options = tenure::StopOptions::new("cache".parse()?, "maintenance");
/// options.budget = Duration::from_secs(20);
/// options.hold = true;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StopOptions {
    /// Whose worker.
    pub scope: Scope,
    /// The longest time that the call may take.
    pub budget: Duration,
    /// Why, for events and logs.
    pub reason: String,
    /// Nothing starts it again until a person does ([`Request::start`](crate::Request::start)).
    pub hold: bool,
}

impl StopOptions {
    /// Stops the worker of `scope` within the usual budget, for the reason that is told in events; any launcher may
    /// start it again.
    pub fn new(scope: Scope, reason: impl Into<String>) -> Self {
        Self { scope, budget: DEFAULT_BUDGET, reason: reason.into(), hold: false }
    }
}

/// The proof of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Pid of the worker that was ended; none where nothing ran.
    pub pid: Option<u32>,
    /// How it ended.
    pub ending: ProvedEnd,
    /// What its program had left behind and was ended as well.
    pub leftovers: Vec<EndedOrphan>,
}

/// Ends the worker of a scope and returns when it, its program and their children are proved gone. Idempotent: nothing
/// running is success. Asks first, without waiting for the gate, so that a worker can be stopped while a launcher waits
/// for it; forces only processes whose identity was verified; names what survives. A stop that holds is on record
/// before the worker ends.
///
/// # Errors
/// [`ErrorKind::Survivor`], [`ErrorKind::Wedged`], [`ErrorKind::GateHeld`], [`ErrorKind::TimedOut`],
/// [`ErrorKind::Recursion`], [`ErrorKind::Denied`], [`ErrorKind::StateUnusable`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use tenure::{ProvedEnd, StopOptions};
///
/// let stopped = tenure::stop(&StopOptions::new("cache".parse()?, "maintenance"))?;
/// assert_eq!(stopped.ending, ProvedEnd::WasGone);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stop(options: &StopOptions) -> Result<Stopped, Error> {
    let budget = Deadline::start(options.budget);
    let found =
        if options.hold { Some(StateDir::create(&options.scope)?) } else { StateDir::open(&options.scope)? };
    let Some(state) = found else {
        return Ok(Stopped { pid: None, ending: ProvedEnd::WasGone, leftovers: Vec::new() });
    };
    if request::is_inside(&state) {
        let message = format!("stop {}: this process is part of that worker", options.scope);
        return Err(Error::of(ErrorKind::Recursion, message));
    }
    // The worker is to end within the person's budget, which must leave time for the proof.
    let patience = budget.remaining().saturating_sub(OVERRUN).max(budget.remaining() / 2).min(LONGEST_DRAIN);
    let mut purpose = Purpose {
        reason: options.reason.clone(),
        by: request::asker(),
        patience,
        silence: request::wedged_after(),
    };

    // STOP is sent without the gate, because the gate's holder may be waiting for this very worker.
    let asked = stop_and_prove::ask(&state, &purpose, budget.stage("ask")?.at_most(FIRST_ANSWER)).ok();
    if let Some((_, within)) = &asked {
        purpose.patience = *within;
    }
    let gate = Gate::enter_for(&state, budget.stage("gate")?, patience).map_err(|error| {
        Error::from(error).adding(&what_was_done(asked.as_ref().map(|(hello, _)| hello), options.hold))
    })?;
    // Recorded before the worker ends, so that nobody starts another one. If the write fails, the stop goes on, and the
    // error is returned at the end.
    let held = if options.hold { hold_down(&gate) } else { Ok(()) };
    // The stop goes on without a readable ledger: the ledger only names processes to verify, and the locks prove the
    // end.
    let ledger = records::read_ledger(&state).unwrap_or_default();
    let retired = stop_and_prove::retire(&gate, &ledger, &purpose, budget.stage("retire")?)?;
    let patience =
        orphans::patience(budget.stage("previous program")?, ledger.end_budget(Duration::ZERO) + KILL_GRACE);
    let leftovers = orphans::clear(&gate, &retired.lease, &ledger, patience)?;
    if let Some((hello, _)) = &asked {
        stop_and_prove::await_exit(&hello.identity);
    }
    // The lease is ours, so a socket at the path serves nobody. Anything but a socket is left there.
    if state.dir().refuse_no_socket(file::CONTROL).is_ok() {
        best_effort(state.dir().remove(file::CONTROL));
    }
    sockets::remove_dead(&state);

    let asked = asked.map(|(hello, _)| hello.identity.pid);
    let pid = retired.pid.or(asked);
    let ending = if retired.ending == ProvedEnd::WasGone && asked.is_some() {
        ProvedEnd::Asked
    } else {
        retired.ending
    };
    if pid.is_some() {
        let mut event = Event::now(What::Stopped, ledger.generation, &purpose.by, options.reason.as_str());
        event.pid = pid;
        event::note(&state, &event);
    }
    match held {
        Ok(()) => Ok(Stopped { pid, ending, leftovers }),
        Err(error) if pid.is_some() => Err(error.adding("the worker has ended and is NOT held down")),
        Err(error) => Err(error.adding("nothing runs, and it is NOT held down")),
    }
}

/// What a stop has done that did not get the gate, and so could not prove the end.
fn what_was_done(asked: Option<&Hello>, hold: bool) -> String {
    let done = match asked.map(|hello| (hello.identity.pid, process::verify(&hello.identity))) {
        None => "nobody was asked to end".to_owned(),
        Some((pid, Verified::Gone(_))) => format!("pid {pid} was asked to end, and has ended"),
        Some((pid, Verified::Same(_) | Verified::Unverifiable(_))) => {
            format!("pid {pid} was asked to end, and goes on with that")
        }
    };
    if hold { format!("{done}; nothing is held down") } else { done }
}

fn hold_down(gate: &Gate<'_>) -> Result<(), Error> {
    let mut desired = records::read_desired(gate.state())?;
    if desired.down.is_none() {
        gate.confirm()?;
        let by = request::asker();
        let event = Event::now(What::HeldDown, 0, &by, "a person stops it for good");
        desired.down = Some(Down { by, at: Moment::now() });
        records::write_desired(gate.state(), &desired)?;
        event::note(gate.state(), &event);
    }
    Ok(())
}

//! `signal` and `reload`: a signal to the program that runs, by its verified identity.
//!
//! Nothing is started, stopped or waited for, and no lock is taken: whoever types this knows the program. The program
//! may end between the look and the signal; the handle makes sure that no other process gets the signal.

use tenure_sys::identity::Identity;
use tenure_sys::process::{self, Delivery, Signal, Verified};

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::launch::ask::probe::{self, FIRST_ANSWER};
use crate::launch::request;
use crate::policy::decide::Observation;
use crate::record::ledger::Ledger;
use crate::spec::Kind;
use crate::spec::scope::Scope;
use crate::store::event::{self, Event, What};
use crate::store::paths::StateDir;
use crate::store::records;

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalOutcome {
    /// The kernel has delivered it.
    #[non_exhaustive]
    Sent {
        /// The program: that of a wrapped command, else the worker itself.
        pid: u32,
        /// The signal.
        signal: Signal,
    },
    /// No program runs: no worker, or one whose program is about to start again.
    Down,
    /// The description that the worker was started from does not say how it reloads.
    NoReload,
    /// The program runs and is not ready: it may not know the signal yet, and would end of it. Only for [`reload`].
    Booting,
}

/// Sends `signal` to the program of the worker that runs. A program that ends of it ended without being asked to: its
/// restart policy decides.
///
/// # Errors
/// [`ErrorKind::Denied`] where the program cannot be verified from here, or the system refuses the signal;
/// [`ErrorKind::StateUnusable`], [`ErrorKind::RecordUnusable`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use tenure::{Signal, SignalOutcome};
///
/// assert_eq!(tenure::signal(&"cache".parse()?, Signal::Hup)?, SignalOutcome::Down);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn signal(scope: &Scope, signal: Signal) -> Result<SignalOutcome, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(SignalOutcome::Down) };
    send(&state, |_| Ok(signal))
}

/// Sends the signal by which the program of the worker that runs reads its configuration again: `reload` of the
/// description that it was started from. A program that is not ready gets none.
///
/// # Errors
/// Those of [`signal`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// assert_eq!(tenure::reload(&"cache".parse()?)?, tenure::SignalOutcome::Down);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reload(scope: &Scope) -> Result<SignalOutcome, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(SignalOutcome::Down) };
    send(&state, |ledger| {
        let signal = ledger.program.as_ref().and_then(|program| program.reload);
        let signal = signal.ok_or(SignalOutcome::NoReload)?;
        if boots(&state) { Err(SignalOutcome::Booting) } else { Ok(signal) }
    })
}

/// Whether the worker says that its program is not ready. One that does not answer says nothing. The question counts as
/// use: a worker that ends without use gets its whole time to read its configuration.
fn boots(state: &StateDir) -> bool {
    let Ok(stage) = Deadline::start(FIRST_ANSWER).stage("probe") else { return false };
    let seen = probe::observe(state, stage);
    matches!(seen, Observation::Answered(hello) if !hello.app.state.is_settled())
}

fn send(
    state: &StateDir,
    choose: impl FnOnce(&Ledger) -> Result<Signal, SignalOutcome>,
) -> Result<SignalOutcome, Error> {
    let ledger = records::read_ledger(state)?;
    let Some(recorded) = program(&ledger) else { return Ok(SignalOutcome::Down) };
    let handle = match process::verify(recorded) {
        Verified::Same(handle) => handle,
        Verified::Gone(_) => return Ok(SignalOutcome::Down),
        Verified::Unverifiable(doubt) => {
            let message = format!("verify the program (pid {}): {doubt}", recorded.pid);
            return Err(Error::of(ErrorKind::Denied, message));
        }
    };
    let signal = match choose(&ledger) {
        Ok(signal) => signal,
        Err(outcome) => return Ok(outcome),
    };
    match handle.signal(signal) {
        Ok(Delivery::Sent) => {}
        Ok(Delivery::AlreadyGone) => return Ok(SignalOutcome::Down),
        Err(error) => {
            let message = format!("send {signal} to the program (pid {}): {error}", recorded.pid);
            return Err(Error::of(ErrorKind::Denied, message));
        }
    }
    let event = Event::now(What::Signalled, ledger.generation, &request::asker(), signal.name());
    let event = event.pid(recorded.pid);
    event::note(
        state,
        &match &ledger.version {
            Some(version) => event.version(version),
            None => event,
        },
    );
    Ok(SignalOutcome::Sent { pid: recorded.pid, signal })
}

/// The program of the ledger's worker: that of a wrapped command once it runs, or an embedded worker itself. The host of
/// a command whose program is not on record yet is no program.
fn program(ledger: &Ledger) -> Option<&Identity> {
    match (&ledger.program, ledger.kind) {
        (Some(program), _) => program.identity.as_ref(),
        (None, Some(Kind::Embedded)) => ledger.lineage.first(),
        (None, _) => None,
    }
}

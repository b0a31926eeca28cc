//! `status`: the worker's own answer, or why there is none. Changes nothing and starts nothing.

use std::time::Duration;

use tenure_sys::lock;
use tenure_sys::process::{self, RunState, Verified};

use crate::deadline::{Deadline, Moment};
use crate::error::{Error, ErrorKind};
use crate::launch::ask::probe::{self, FIRST_ANSWER};
use crate::policy::decide::Observation;
use crate::protocol::ends::UnaskedEnd;
use crate::protocol::wire::Hello;
use crate::record::desired::Desired;
use crate::record::ledger::Ledger;
use crate::spec::scope::Scope;
use crate::store::event::{self, Event};
use crate::store::lease::LeaseError;
use crate::store::paths::{self, StateDir, file};
use crate::store::{gate, logs, records};

/// What stands under a scope.
///
/// ```
/// fn pid(standing: &tenure::Standing) -> Option<u32> {
///     standing.hello().map(|hello| hello.identity.pid)
/// }
/// assert_eq!(pid(&tenure::Standing::Down), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// A worker answers, and its app serves (perhaps degraded).
    Serving(Box<Hello>),
    /// A worker answers, and its app does not serve: booting, backing off, failed or draining.
    NotServing(Box<Hello>),
    /// No worker.
    Down,
    /// Somebody holds the lease and does not answer: silent, or without a socket that leads to it.
    Silent {
        /// The time of the worker's boot is not over: it may still answer.
        booting: bool,
        /// The processes of the ledger and their states, as far as they can be verified.
        who: Vec<String>,
    },
    /// The system does not permit the look.
    Denied(String),
    /// Somebody answers who is not our worker.
    Foreign(String),
}

impl Standing {
    /// The worker's own account, where it answers.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        match self {
            Self::Serving(hello) | Self::NotServing(hello) => Some(hello),
            Self::Down | Self::Silent { .. } | Self::Denied(_) | Self::Foreign(_) => None,
        }
    }
}

/// What stands under the scope, from one look with a bounded wait.
///
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use tenure::Standing;
///
/// match tenure::status(&"cache".parse()?)? {
///     Standing::Serving(hello) => println!("generation {} serves", hello.generation),
///     other => assert_eq!(other, Standing::Down),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn status(scope: &Scope) -> Result<Standing, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(Standing::Down) };
    let stage = Deadline::start(FIRST_ANSWER).stage("probe")?;
    Ok(match probe::look(&state, stage) {
        Observation::Answered(hello) if !hello.draining && hello.app.state.serves() => {
            Standing::Serving(hello)
        }
        Observation::Answered(hello) => Standing::NotServing(hello),
        // Nobody listens, and a process holds the lease: it is about to end, or its socket was removed.
        Observation::Nobody if state.is_locked(file::LEASE).map_err(LeaseError)? => silent(&state),
        Observation::Nobody => Standing::Down,
        Observation::Silent => silent(&state),
        Observation::Denied(why) => Standing::Denied(why),
        Observation::Foreign(why) => Standing::Foreign(why),
    })
}

/// A scope and what stands under it, or why that cannot be told.
pub type Listed = (Scope, Result<Standing, Error>);

/// Every scope that has state on this host, with what stands there.
///
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// for (scope, standing) in tenure::list()? {
///     println!("{scope}: {standing:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn list() -> Result<Vec<Listed>, Error> {
    let scopes = paths::scopes()?;
    Ok(scopes.into_iter().map(|scope| (scope.clone(), status(&scope))).collect())
}

fn silent(state: &StateDir) -> Standing {
    let ledger = records::read_ledger(state).unwrap_or_else(|_| Ledger::default());
    let booting = ledger.booting_for(&Moment::now()) > Duration::ZERO;
    let who = ledger.lineage.iter().map(|identity| match process::verify(identity) {
        Verified::Same(handle) => match process::state_of(handle.pid()) {
            Some(RunState::Stopped) => format!("{identity} is stopped"),
            Some(RunState::Traced) => format!("{identity} is traced"),
            Some(other) => format!("{identity} is there and silent ({other:?})"),
            None => format!("{identity} is ending"),
        },
        Verified::Gone(why) => format!("{identity} of the record is gone ({why})"),
        Verified::Unverifiable(why) => format!("{identity} of the record cannot be verified ({why})"),
    });
    Standing::Silent { booting, who: who.collect() }
}

/// The record of offers, pin and failures of the scope, with the failures that workers have left in the ledger since;
/// `None` where no worker ever ran. For display only: a launcher may change the record at any time.
pub fn recorded(scope: &Scope) -> Result<Option<Desired>, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(None) };
    Ok(Some(records::counted(&state)?))
}

/// The last end that nobody had asked for, where the worker of the last generation went with it; and whether one that
/// left its socket behind died without a word. For people, of a scope in which nobody serves.
pub fn last_end(scope: &Scope) -> Result<Option<UnaskedEnd>, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(None) };
    let mut ledger = records::read_ledger(&state)?;
    if state.dir().exists(file::CONTROL).unwrap_or(false) {
        let at_ms = crate::deadline::wall_millis();
        ledger.found_dead(Moment::now(), at_ms, logs::tail_since(&state, logs::LogPositions::default()));
    }
    Ok(ledger.last_end().cloned())
}

/// Whether a process holds the lock of a program. For display, of a scope in which nobody serves: there it is a
/// leftover of a dead worker.
pub fn is_program_left(scope: &Scope) -> Result<bool, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(false) };
    let locked = |name| state.dir().open_read(name).and_then(lock::is_locked).unwrap_or(false);
    Ok(file::PROGRAMS.into_iter().any(locked))
}

/// Reads the events of a scope, oldest first. The disk keeps the last 1 to 2 MB of them. The list is empty where no
/// worker ever ran.
///
/// # Errors
/// [`ErrorKind::Denied`] and [`ErrorKind::StateUnusable`].
///
/// # Examples
/// ```
/// # let _place = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/place.rs"));
/// use tenure::What;
///
/// let starts = tenure::events(&"cache".parse()?)?.into_iter().filter(|event| event.what == What::Spawned);
/// assert_eq!(starts.count(), 0, "no worker ever ran");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn events(scope: &Scope) -> Result<Vec<Event>, Error> {
    let Some(state) = StateDir::open(scope)? else { return Ok(Vec::new()) };
    event::read_all(&state).map_err(|source| {
        Error::of(ErrorKind::StateUnusable, format!("read the events of {scope}: {source}"))
    })
}

/// Who signed the gate last; only meaningful while somebody holds it.
pub fn gate_holder(scope: &Scope) -> Result<Option<gate::Holder>, Error> {
    Ok(StateDir::open(scope)?.map(|state| gate::holder(&state)).filter(|holder| holder.pid.is_some()))
}

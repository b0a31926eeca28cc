//! Ending a worker and proving that it is gone: the proof is its lease in our hands.
//!
//! The worker is asked first, over its control socket. It is forced only through handles whose identity was verified
//! after they were opened. A traced process is never forced. If a process cannot be verified, nothing is touched, and
//! the error says so.

use std::time::Duration;

use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::process::{self, Delivery, Doubt, ProcessHandle, RunState, Signal, Verified};
use tenure_sys::tree;

use crate::deadline::{Stage, TimedOut};
use crate::fault::{self, Point};
use crate::launch::ask::client::{self, Silence};
use crate::launch::ask::probe;
use crate::launch::end::orphans;
use crate::protocol::wire::{Asker, Hello};
use crate::record::ledger::Ledger;
use crate::spec::{KILL_GRACE, scope};
use crate::store::gate::{Gate, GateError};
use crate::store::lease::{Lease, LeaseError, TryLease};
use crate::store::paths::StateDir;

/// How long a worker that was asked may overrun its own announced end before it is forced: its watchdog has one second.
pub const OVERRUN: Duration = Duration::from_secs(1);

/// How long a worker that makes room may take to end. Its own drain and stop settings are shorter, unless somebody set
/// them to more.
pub const LONGEST_DRAIN: Duration = Duration::from_mins(10);

/// How long the kernel may take from SIGKILL to the freed lease; only a process in uninterruptible sleep takes longer.
const FREED: Duration = Duration::from_secs(5);

/// The proof that a scope has no worker: its lease, in our hands.
#[derive(Debug)]
pub struct Retired {
    /// The lease.
    pub lease: Lease,
    /// How the worker ended.
    pub ending: ProvedEnd,
    /// The worker's pid, where there was one.
    pub pid: Option<u32>,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProvedEnd {
    /// It was gone already.
    WasGone,
    /// It was asked and ended by itself.
    Asked,
    /// It was ended by this signal.
    Forced(Signal),
}

impl ProvedEnd {
    /// One word for programs, which never changes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::WasGone => "was-gone",
            Self::Asked => "asked",
            Self::Forced(_) => "forced",
        }
    }

    /// The signal that ended it, where one did.
    #[must_use]
    pub fn signal(self) -> Option<Signal> {
        match self {
            Self::Forced(signal) => Some(signal),
            Self::WasGone | Self::Asked => None,
        }
    }
}

/// Why a worker is to end.
#[derive(Debug, Clone)]
pub struct Purpose {
    /// For events and logs.
    pub reason: String,
    /// Who asks.
    pub by: Asker,
    /// How long it may take to end by itself; its own settings may say less.
    pub patience: Duration,
    /// How long it may be silent before it is called wedged.
    pub silence: Duration,
}

/// A worker cannot be ended, or its end cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// Somebody holds the lease and cannot be verified.
    #[error("end the worker: {why}; nothing was touched")]
    Unverifiable {
        /// Who holds it as far as can be told, and why that is not enough.
        why: String,
    },
    /// A debugger is attached.
    #[error("end the worker: pid {pid} is traced by pid {tracer}; nothing was touched")]
    Traced {
        /// The worker.
        pid: u32,
        /// Its tracer.
        tracer: u32,
    },
    /// It was signalled and still holds the lease.
    #[error("prove that the worker is gone: {survivor} still holds its lease")]
    Survivor {
        /// Who, as far as can be told.
        survivor: String,
    },
    /// The kernel refused a signal.
    #[error("signal pid {pid}")]
    Signal {
        /// The worker.
        pid: u32,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The budget ended before the time that the worker announced for its end.
    #[error("wait for the worker's end")]
    TimedOut(#[source] TimedOut),
    /// The gate was lost.
    #[error("end the worker")]
    Gate(#[source] GateError),
    /// The lease file cannot be used.
    #[error("take the worker's lease")]
    Lease(#[source] LeaseError),
}

/// Ends the worker of the gate's scope: asks, then forces what does not end, then takes its lease.
pub fn retire(
    gate: &Gate<'_>,
    ledger: &Ledger,
    purpose: &Purpose,
    stage: Stage,
) -> Result<Retired, RetireError> {
    let state = gate.state();
    if let TryLease::Free(lease) = Lease::try_take(state).map_err(RetireError::Lease)? {
        return Ok(Retired { lease, ending: ProvedEnd::WasGone, pid: None });
    }
    let asked = ask(state, purpose, stage.at_most(purpose.silence));
    fault::reach(Point::RetireAsked);
    let (hello, within) = match asked {
        Ok((hello, within)) => (Some(hello), within),
        // Nobody listens and the lease is busy: the worker is ending already, and has the time that it was given.
        Err(Silence::Absent | Silence::Refused | Silence::Closed) => (None, unheard(ledger, purpose)),
        // The connection queue is full. A TERM signal makes the same request, and gives the worker the same time.
        Err(Silence::Busy) => {
            gate.confirm().map_err(RetireError::Gate)?;
            for handle in verified_lineage(state, ledger, None)? {
                let failed = |source| RetireError::Signal { pid: handle.pid(), source };
                refuse_traced(handle.pid())?;
                handle.signal(Signal::Term).map_err(failed)?;
            }
            (None, unheard(ledger, purpose))
        }
        // A silent worker is forced only if the budget covers the silence that counts as wedged.
        Err(Silence::Silent) if stage.remaining().is_zero() => {
            return Err(RetireError::TimedOut(stage.timed_out()));
        }
        Err(Silence::Silent) => return force(gate, ledger, None),
        Err(doubt @ (Silence::Denied(_) | Silence::OtherUser { .. } | Silence::NotOurs { .. })) => {
            return Err(RetireError::Unverifiable { why: doubt.to_string() });
        }
    };
    let patience = within.saturating_add(OVERRUN);
    let limited = stage.remaining() < patience;
    match Lease::take_within(state, stage.at_most(patience)).map_err(RetireError::Lease)? {
        TryLease::Free(lease) => {
            fault::reach(Point::RetireProved);
            if let Some(hello) = &hello {
                await_exit(&hello.identity);
            }
            let worker = hello.as_ref().map(|hello| &hello.identity).or(ledger.lineage.first());
            Ok(Retired { lease, ending: ProvedEnd::Asked, pid: worker.map(|worker| worker.pid) })
        }
        // A caller's own budget never forces a worker that is still within the time that it announced.
        TryLease::Busy if limited => Err(RetireError::TimedOut(stage.timed_out())),
        TryLease::Busy => force(gate, ledger, hello.as_ref()),
    }
}

/// How long a lease holder that cannot be asked may take to end: the time that its generation was given, or none if it
/// is stopped by a signal, because then it cannot end by itself.
fn unheard(ledger: &Ledger, purpose: &Purpose) -> Duration {
    let stopped = |identity| match process::verify(identity) {
        Verified::Same(handle) => process::state_of(handle.pid()) == Some(RunState::Stopped),
        Verified::Gone(_) | Verified::Unverifiable(_) => false,
    };
    if ledger.lineage.iter().any(stopped) {
        Duration::ZERO
    } else {
        ledger.end_budget(purpose.patience).min(purpose.patience)
    }
}

/// The name of the thread that answers in every worker.
pub const CONTROL_THREAD: &str = "tenure-control";

/// How long the control threads of the recorded workers have run, as far as the kernel tells. While this grows, a
/// worker answers somebody, even if our connection does not get through.
pub(crate) fn run_time(ledger: &Ledger) -> Option<Duration> {
    let ran = |identity| match process::verify(identity) {
        Verified::Same(handle) => process::run_time_of(handle.pid(), CONTROL_THREAD),
        Verified::Gone(_) | Verified::Unverifiable(_) => None,
    };
    ledger.lineage.iter().filter_map(ran).reduce(Duration::saturating_add)
}

/// Ends a worker that holds its lease and does not answer.
pub fn end_wedged(gate: &Gate<'_>, ledger: &Ledger) -> Result<Retired, RetireError> {
    force(gate, ledger, None)
}

/// Sends HELLO and STOP on one connection; returns the worker that accepted to end, and the time within which it will.
/// Needs no gate: the gate's holder may be waiting for this very worker.
pub fn ask(state: &StateDir, purpose: &Purpose, stage: Stage) -> Result<(Hello, Duration), Silence> {
    let once = || {
        let mut connection = client::connect(state, stage)?;
        let hello = connection.hello(stage)?;
        let within = connection.stop(&purpose.reason, purpose.patience, &purpose.by, stage)?;
        Ok((hello, within))
    };
    probe::unless_closed(stage, once)
}

/// Waits until a worker whose lease is free has left the process table as well. The kernel closes a process's files a
/// moment before it reports the end of the process, and a caller may look for the process after this.
pub fn await_exit(worker: &Identity) {
    if let Verified::Same(handle) = process::verify(worker) {
        // The lease is the proof: a process that takes longer to leave the table has closed its files and does no harm.
        best_effort(handle.wait_ended(Some(FREED)));
    }
}

fn force(gate: &Gate<'_>, ledger: &Ledger, hello: Option<&Hello>) -> Result<Retired, RetireError> {
    // If the gate was lost meanwhile, another launcher may have started a worker, which is not ours to end.
    gate.confirm().map_err(RetireError::Gate)?;
    let state = gate.state();
    let handles = verified_lineage(state, ledger, hello)?;
    let mut ending = ProvedEnd::WasGone;
    for handle in &handles {
        ending = ProvedEnd::Forced(cascade(handle)?);
    }
    let freed = crate::deadline::Deadline::start(FREED).stage("freed lease");
    let stage = freed.map_err(|_| RetireError::Survivor { survivor: "it".to_owned() })?;
    match Lease::take_within(state, stage).map_err(RetireError::Lease)? {
        TryLease::Free(lease) => {
            fault::reach(Point::RetireProved);
            Ok(Retired { lease, ending, pid: handles.first().map(ProcessHandle::pid) })
        }
        TryLease::Busy => Err(RetireError::Survivor { survivor: describe(&handles) }),
    }
}

/// Handles of every process that may hold the lease: by the worker's answer, by the ledger, or, if neither names a
/// living one, by the scope's worker cookie. Each was verified after it was opened.
fn verified_lineage(
    state: &StateDir,
    ledger: &Ledger,
    hello: Option<&Hello>,
) -> Result<Vec<ProcessHandle>, RetireError> {
    let mut handles: Vec<ProcessHandle> = Vec::new();
    let mut doubt = None;
    for identity in hello.map(|hello| &hello.identity).into_iter().chain(&ledger.lineage) {
        match process::verify(identity) {
            Verified::Same(handle) if handles.iter().all(|known| known.pid() != handle.pid()) => {
                handles.push(handle);
            }
            Verified::Unverifiable(why) => doubt = Some((identity.pid, why)),
            Verified::Same(_) | Verified::Gone(_) => {}
        }
    }
    let is_foreign = hello.is_some_and(|hello| hello.identity.is_foreign());
    if handles.is_empty() && !is_foreign {
        let prefixes = orphans::cookie_prefixes(state, ledger);
        let carriers = prefixes.iter().flat_map(|prefix| tree::with_cookie(prefix));
        let workers = carriers.filter(|found| found.cookie.ends_with(scope::WORKER));
        handles.extend(workers.map(|found| found.handle));
    }
    if handles.is_empty() {
        return Err(RetireError::Unverifiable { why: unverifiable(state, doubt) });
    }
    Ok(handles)
}

fn unverifiable(state: &StateDir, doubt: Option<(u32, Doubt)>) -> String {
    let holders =
        state.dir().open_lock(crate::store::paths::file::LEASE).map(|file| tenure_sys::lock::holders(&file));
    let pids: Vec<String> = holders.unwrap_or_default().iter().map(u32::to_string).collect();
    match doubt {
        Some((pid, why)) => format!("pid {pid} of the record cannot be verified ({why})"),
        None if pids.is_empty() => "its lease is held by a process that no record names".to_owned(),
        None => format!(
            "its lease, first locked by pid {}, is held by a process that no record names",
            pids.join(", ")
        ),
    }
}

fn refuse_traced(pid: u32) -> Result<(), RetireError> {
    process::tracer_of(pid).map_or(Ok(()), |tracer| Err(RetireError::Traced { pid, tracer }))
}

/// Sends TERM, waits, then sends KILL; returns the signal that ended the process. A stopped process cannot react to
/// TERM, so it gets no time.
fn cascade(handle: &ProcessHandle) -> Result<Signal, RetireError> {
    let pid = handle.pid();
    refuse_traced(pid)?;
    let failed = |source| RetireError::Signal { pid, source };
    if handle.signal(Signal::Term).map_err(failed)? == Delivery::AlreadyGone {
        return Ok(Signal::Term);
    }
    let stopped = matches!(process::state_of(pid), Some(RunState::Stopped));
    if !stopped && handle.wait_ended(Some(KILL_GRACE)).map_err(failed)? {
        return Ok(Signal::Term);
    }
    handle.signal(Signal::Kill).map_err(failed)?;
    handle.wait_ended(Some(FREED)).map_err(failed)?;
    Ok(Signal::Kill)
}

fn describe(handles: &[ProcessHandle]) -> String {
    let living = handles.iter().filter(|handle| !handle.has_ended());
    let names: Vec<String> = living
        .map(|handle| {
            let command = process::command_line(handle.pid()).unwrap_or_default();
            let state = process::state_of(handle.pid());
            let sleep = if state == Some(RunState::DiskSleep) { ", in uninterruptible sleep" } else { "" };
            format!("pid {} ({command}{sleep})", handle.pid())
        })
        .collect();
    if names.is_empty() { "a process that no record names".to_owned() } else { names.join(" and ") }
}

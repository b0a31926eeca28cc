//! The story of a worker: take over, answer, record, boot, ready, serve, drain, end.
//!
//! The app's own part stands between these calls: it boots after [`Worker::adopt`], serves after [`Worker::ready`], ends
//! what it does once a stop was asked for, and returns the exit code of [`Worker::finish`] from `main`. Everything that has
//! to work while the app does not (answers, deadlines, the look at its own paths) runs on threads of the kit.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tenure::brief::{Brief, Report};
use tenure::deadline::{Moment, monotonic};
use tenure::event::What;
use tenure::fault::{self, Point};
use tenure::ledger::{HostRecord, Ledger};
use tenure::paths::StateDir;
use tenure::readiness::STOPPED;
use tenure::records::RecordError;
use tenure::spec::Kind;
use tenure::version::{self, NoVersion};
use tenure::wire::{App, AppState, Endpoint, Hello, PROTOCOL, Role};
use tenure_sys::identity::{self, Identity};
use tenure_sys::signals::SignalFd;
use tenure_sys::{limits, process, random};

use crate::adopt::{self, AdoptError, Adopted, broken};
use crate::channel::Go;
use crate::holding::Holding;
use crate::life::{Deed, EXIT_FAILED, Happening, Life};
use crate::source::Source;
use crate::status::{Limits, Status, StopRequest};
use crate::{control, reason, selfcheck, watchdog};

/// Name of the check that says that the ledger cannot be written.
const LEDGER_CHECK: &str = "ledger";

/// This process as the worker of its scope.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
///     tenure_worker::init();
///     let Some(mut worker) = tenure_worker::Worker::adopt()? else {
///         return Err("start this program with `tenure ensure`".into());
///     };
///     let listener = worker.take_listener("http");
///     // Boot: open the store, build the server, start to accept on `listener`.
///     worker.ready()?;
///     let stop = worker.wait_for_stop();
///     // Drain: finish what was begun, for at most `stop.deadline.remaining()`.
///     drop((listener, stop));
///     Ok(ExitCode::from(worker.finish()))
/// }
/// ```
///
/// Dropping it without [`Worker::finish`] or [`Worker::fail`] leaves the lease with the process, and an ended process to
/// be found dead by the next launcher.
#[derive(Debug)]
pub struct Worker {
    holding: Arc<Holding>,
    status: Status,
    source: Source,
    endpoints: Vec<Endpoint>,
    listeners: Vec<(String, OwnedFd)>,
    born: Duration,
}

/// A worker cannot say that it is ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadyError {
    /// Its end has been announced meanwhile: it should drain and finish.
    #[error("become ready: it was asked to end ({reason})")]
    Stopping {
        /// Why it is to end.
        reason: String,
    },
}

impl Worker {
    /// Takes over from the launcher that started this process; `None` when none did.
    ///
    /// To be called in `main` before any thread is started (and so before a runtime is built) and before any descriptor is
    /// opened: TERM and INT are blocked for all threads from here on and mean a stop, and the inherited descriptors have
    /// fixed numbers. From its return on the worker answers HELLO as booting, and its boot has a deadline.
    ///
    /// The soft limit of open files is raised to the hard one; [`Brief::nofile`] is what children should get.
    pub fn adopt() -> Result<Option<Self>, AdoptError> {
        let Some(count) = adopt::handover()? else { return Ok(None) };
        let signals = SignalFd::for_termination()
            .map_err(|source| AdoptError::Descriptor { what: "the signals".to_owned(), source })?;
        let adopted = adopt::take(count)?;
        // A lower limit is not worth refusing to serve.
        drop(limits::set_nofile_soft(u64::MAX));
        let holding = Arc::clone(&adopted.holding);
        fault::reach(Point::WorkerStarted);
        Self::begin(adopted, signals).map(Some).inspect_err(|error| {
            holding.clear_paths();
            holding.report_failure("adopt", &reason::of(error));
        })
    }

    /// The order matters: first somebody answers, then somebody watches, then the ledger is ours, then the build is known;
    /// the app begins after that.
    fn begin(adopted: Adopted, signals: SignalFd) -> Result<Self, AdoptError> {
        let Adopted { holding, control, listeners, endpoints } = adopted;
        let started = |name| move |source| AdoptError::Thread { name, source };
        let born = monotonic();
        let hello = hello(&holding, &endpoints).map_err(broken("its own identity"))?;
        let own = hello.identity.clone();
        let status = Status::new(hello, budgets(&holding.brief)).map_err(broken("an eventfd"))?;

        let source = Source::new().map_err(broken("an eventfd"))?;

        let told = control::Told { status: status.clone(), source: source.clone() };
        control::start(told, Arc::clone(&holding), control, signals).map_err(started("tenure-control"))?;
        watchdog::start(status.clone(), Arc::clone(&holding)).map_err(started("tenure-watchdog"))?;
        match holding.channel.await_go().map_err(AdoptError::Channel)? {
            Go::Given => {}
            Go::LauncherGone => record_self(&holding, own, &endpoints).map_err(AdoptError::Record)?,
        }
        fault::reach(Point::WorkerAdopted);
        source.begin(&holding.brief.spec, &status).map_err(started("tenure-source"))?;
        selfcheck::start(status.clone(), Arc::clone(&holding)).map_err(started("tenure-self-check"))?;
        Ok(Self { holding, status, source, endpoints, listeners, born })
    }

    /// What the launcher said about this activation.
    #[must_use]
    pub fn brief(&self) -> &Brief {
        &self.holding.brief
    }

    /// The fencing token of this activation: what carries a lower one is older.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.holding.brief.generation
    }

    /// The scope's state directory.
    #[must_use]
    pub fn state(&self) -> &StateDir {
        &self.holding.state
    }

    /// Where this worker serves, ports resolved, in the order of the spec.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Takes the inherited listener `name`: bound, listening, blocking, close-on-exec. Once taken it is the app's to close.
    pub fn take_listener(&mut self, name: &str) -> Option<OwnedFd> {
        let index = self.listeners.iter().position(|(known, _)| known == name)?;
        Some(self.listeners.remove(index).1)
    }

    /// The worker's account of itself, to be kept current from any thread.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Reads, changes and replaces the ledger, durably. A worker whose ledger cannot be written goes on and is shown as
    /// degraded until a write succeeds.
    pub fn ledger(&mut self, change: impl FnOnce(&mut Ledger)) -> Result<(), RecordError> {
        let written = self.holding.write_ledger(change);
        match &written {
            Ok(()) => self.status.forget_check(LEDGER_CHECK),
            Err(error) => self.status.check(LEDGER_CHECK, false, format!("failed to {}", reason::of(error))),
        }
        written
    }

    /// Says which version the app is, as it knows it itself: shown by HELLO, and compared with the version that it was
    /// started as. To be said before [`Worker::ready`]. One `v` before it is taken off; what is no version is refused.
    pub fn app_version(&mut self, version: &str) -> Result<(), NoVersion> {
        self.status.set_app_version(Some(version::parse(version)?));
        Ok(())
    }

    /// The program is about to start, once more: what it said of itself is forgotten, and the worker answers for the files
    /// of its build as they are now.
    pub(crate) fn begin_again(&self) {
        self.status.set_app_version(None);
        self.source.begin_again(&self.status);
    }

    /// Says that the app serves. Launchers that wait are answered; calling it again changes nothing.
    pub fn ready(&mut self) -> Result<(), ReadyError> {
        fault::reach(Point::WorkerReady);
        if !self.status.happen(Happening::AppReady).contains(&Deed::ReportReady) {
            return match self.status.life() {
                Life::Booting | Life::Active => Ok(()),
                Life::Draining | Life::Ended => Err(ReadyError::Stopping { reason: self.stop_reason() }),
            };
        }
        // For people only: a worker serves without it.
        drop(self.holding.write_pid());
        self.status.set(AppState::Ready, None);
        let boot = monotonic().saturating_sub(self.born).as_millis();
        let by = self.holding.brief.started_by.clone();
        self.holding.note(What::Ready, &by, format!("it serves, {boot}ms after it took over"));
        self.holding.channel.report(&Report::Ready { hello: Box::new(self.source.hello(&self.status)) });
        // Last, since nobody waits for it: until it is written a silent worker is only given more time. A failure is
        // shown by the check.
        drop(self.ledger(|ledger| ledger.booting_until = None));
        Ok(())
    }

    /// Ends the worker because its app cannot serve, or no longer can; returns the exit code for `main`. Before
    /// [`Worker::ready`] the launcher gets `stage` and `message`, and callers that wait get them from it.
    #[must_use]
    pub fn fail(self, stage: &str, message: &str) -> u8 {
        self.end(Happening::AppFailed, stage, message)
    }

    /// Readable once a stop was asked for (STOP, TERM, INT, [`Status::ask_stop`], a failed self-check), and from then on:
    /// for the app's own poll, or, duplicated, for a runtime's.
    #[must_use]
    pub fn stop_signal(&self) -> BorrowedFd<'_> {
        self.status.stopping()
    }

    /// Why, by whom and until when the worker is to end; `None` while nobody has asked.
    #[must_use]
    pub fn stop_request(&self) -> Option<StopRequest> {
        self.status.stop_request()
    }

    /// Waits until a stop was asked for.
    #[must_use]
    pub fn wait_for_stop(&self) -> StopRequest {
        self.status.wait_for_stop()
    }

    /// Says that the app has ended what it did; returns the exit code for `main`. The process must then end: the lease is
    /// free with it and not before, and the watchdog sees to it.
    #[must_use]
    pub fn finish(self) -> u8 {
        let (stage, message) = match self.stop_request() {
            Some(request) => {
                (STOPPED, format!("it was asked to end before it was ready ({})", request.reason))
            }
            None => ("boot", "it ended before it was ready".to_owned()),
        };
        self.end(Happening::Drained, stage, &message)
    }

    fn end(self, happening: Happening, stage: &str, message: &str) -> u8 {
        let deeds = self.status.happen(happening);
        self.status.end_within(self.holding.brief.spec.end_budget());
        self.holding.clear_paths();
        // Heard only by a launcher that was told nothing yet.
        self.holding.report_failure(stage, message);
        let code = deeds.iter().find_map(|deed| match deed {
            Deed::Exit { code } => Some(*code),
            Deed::ReportReady | Deed::ReportFailed | Deed::CloseListener | Deed::Drain => None,
        });
        u8::try_from(code.unwrap_or(EXIT_FAILED)).unwrap_or(u8::MAX)
    }

    fn stop_reason(&self) -> String {
        self.stop_request().map_or_else(String::new, |request| request.reason)
    }
}

/// The account with which a worker begins.
fn hello(holding: &Holding, endpoints: &[Endpoint]) -> io::Result<Hello> {
    let brief = &holding.brief;
    Ok(Hello {
        scope: holding.state.id().to_owned(),
        generation: brief.generation,
        role: Role::Booting,
        version: brief.spec.version.clone(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        identity: identity::current()?,
        instance: random::hex(16)?,
        worker_path: own_path(),
        uptime_ms: 0,
        started_by: brief.started_by.clone(),
        endpoints: endpoints.to_vec(),
        app: App::default(),
        draining: false,
        spec: brief.spec.summary(),
        program: None,
        content: None,
        source_changed: false,
    })
}

fn budgets(brief: &Brief) -> Limits {
    let stall = match brief.spec.kind {
        Kind::Embedded => Some(brief.spec.stall_timeout.duration()),
        // The host has no runtime that could stall; its program has its health check.
        Kind::Program => None,
    };
    Limits { boot: brief.booting_until.ahead_of(&Moment::now()), stall }
}

/// The launcher died, before or after it recorded us: the record is made, or made again.
fn record_self(holding: &Holding, own: Identity, endpoints: &[Endpoint]) -> Result<(), RecordError> {
    let (version, hosts) = (env!("CARGO_PKG_VERSION").to_owned(), holding.brief.spec.kind == Kind::Program);
    holding.write_ledger(|ledger| {
        ledger.lineage = vec![own];
        ledger.endpoints = endpoints.to_vec();
        ledger.host = Some(HostRecord { exe: own_path(), version, hosts });
    })
}

fn own_path() -> String {
    let path = process::executable_of(std::process::id());
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

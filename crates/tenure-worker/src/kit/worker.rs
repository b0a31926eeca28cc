//! The story of a worker: adopt, answer, record, boot, ready, serve, drain, end.
//!
//! The app's own part stands between these calls: it boots after [`Worker::adopt`], serves after [`Worker::ready`],
//! ends what it does once a stop was asked for, and returns the exit code of [`Worker::finish`] from `main`. Everything
//! that has to work while the app does not (answers, deadlines, the look at its own paths) runs on threads of the kit.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use tenure_core::causes;
use tenure_core::deadline::monotonic;
use tenure_core::error::stage;
use tenure_core::fault::{self, Point};
use tenure_core::launch::start::handshake::{Handshake, Report, Succession};
use tenure_core::protocol::boot_stage::BootStage;
use tenure_core::protocol::wire::Endpoint;
use tenure_core::record::ledger::Ledger;
use tenure_core::store::paths::StateDir;
use tenure_core::store::records::RecordError;
use tenure_core::{NoVersion, Version};
use tenure_sys::identity::Identity;
use tenure_sys::signals::SignalFd;

use crate::build::BuildWatcher;
use crate::kit::adopt::{AdoptError, StartingPoint, broken};
use crate::kit::{control, selfcheck, watchdog};
use crate::mailbox::MailboxSender;
use crate::ownership::Ownership;
use crate::ownership::channel::Go;
use crate::status::{LEDGER_CHECK, Status, StopRequest};
use crate::takeover::context::{IncumbentAnswer, NamedListeners, TakeoverContext, duplicates};
use crate::takeover::hooks::TakeoverHooks;
use crate::takeover::{TakeoverError, successor};

mod begin;
mod ended;
mod error;
mod life;
mod ready;
pub mod standby;

use ended::Service;
pub use error::ReadyError;

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
/// Dropping it without [`Worker::finish`] or [`Worker::fail`] leaves the lease with the process, and an ended process
/// to be found dead by the next launcher.
#[derive(Debug)]
pub struct Worker {
    ownership: Arc<Ownership>,
    status: Status,
    build_watcher: BuildWatcher,
    context: Arc<TakeoverContext>,
    side: TakeoverSide,
    endpoints: Vec<Endpoint>,
    listeners: NamedListeners,
    handed: Vec<u8>,
    own: Identity,
    born: Duration,
    service: Service,
}

/// How far this worker has come with the place of another.
#[derive(Debug)]
enum TakeoverSide {
    /// It is nobody's successor, or not any more.
    Alone,
    /// It stands by.
    Beside(successor::StandbyPhase),
    /// It shares lease and listeners.
    Prepared(Box<successor::PreparedPhase>),
    /// The scope is its own.
    Granted(Box<successor::GrantedPhase>),
}

impl Worker {
    /// The order matters: first somebody answers, then somebody watches, then the ledger is ours, then the build is
    /// known; the app begins after that.
    fn begin(ownership: Arc<Ownership>, place: StartingPoint, signals: SignalFd) -> Result<Self, AdoptError> {
        let started = |name| move |source| AdoptError::Thread { name, source };
        let born = monotonic();
        let hello = begin::hello(&ownership).map_err(broken("its own identity"))?;
        let own = hello.identity.clone();
        let status =
            Status::new(hello, begin::time_limits(&ownership.handshake)).map_err(broken("an eventfd"))?;
        let build_watcher = BuildWatcher::new().map_err(broken("an eventfd"))?;
        let context = Arc::new(TakeoverContext::new(Arc::clone(&ownership), status.clone()));
        let (beside, endpoints, listeners) = begin::take_sockets(place, &context)?;
        let side = beside.map_or(TakeoverSide::Alone, TakeoverSide::Beside);

        let account = control::ControlAccount {
            status: status.clone(),
            build_watcher: build_watcher.clone(),
            context: Arc::clone(&context),
        };
        control::start(account, Arc::clone(&ownership), signals).map_err(started("tenure-control"))?;
        watchdog::start(Arc::clone(&context)).map_err(started("tenure-watchdog"))?;
        if matches!(side, TakeoverSide::Alone) {
            match ownership.channel.await_go().map_err(AdoptError::Channel)? {
                Go::Given => {}
                Go::LauncherGone => {
                    begin::record_self(&ownership, own.clone(), &endpoints).map_err(AdoptError::Record)?;
                }
            }
        }
        fault::reach(Point::WorkerAdopted);
        build_watcher.begin(&ownership.handshake.spec, &status).map_err(started("tenure-source"))?;
        let handed = Vec::new();
        let worker = Self {
            ownership,
            status,
            build_watcher,
            context,
            side,
            endpoints,
            listeners,
            handed,
            own,
            born,
            service: Service::default(),
        };
        if matches!(worker.side, TakeoverSide::Alone) {
            worker.look_after_itself().map_err(started("tenure-self-check"))?;
        }
        Ok(worker)
    }

    fn look_after_itself(&self) -> io::Result<()> {
        selfcheck::start(self.status.clone(), Arc::clone(&self.ownership))
    }

    /// How another worker's place is to be taken, while that is going on.
    #[must_use]
    pub fn terms(&self) -> Option<&Succession> {
        match &self.side {
            TakeoverSide::Alone => None,
            TakeoverSide::Beside(standby) => Some(&standby.terms),
            TakeoverSide::Prepared(prepared) => Some(prepared.terms()),
            TakeoverSide::Granted(granted) => Some(granted.terms()),
        }
    }

    /// Readable when the worker whose listeners are shared has ended: then the scope is to be taken at once.
    pub(crate) fn incumbent_lost(&self) -> Option<BorrowedFd<'_>> {
        match &self.side {
            TakeoverSide::Prepared(prepared) => Some(prepared.incumbent()),
            TakeoverSide::Alone | TakeoverSide::Beside(_) | TakeoverSide::Granted(_) => None,
        }
    }

    /// Tells `watch` what the worker before this one does, as long as it could take its place back.
    pub(crate) fn watch_incumbent(&self, watch: MailboxSender<IncumbentAnswer>) {
        self.context.watch_incumbent(watch);
    }

    /// Tells the worker before this one that the program failed on probation, for this reason.
    pub(crate) fn ask_back(&self, why: &str) {
        self.context.ask_back(why);
    }

    /// Shares lease and listeners of the worker that serves; nothing where none does.
    fn prepare(&mut self) -> Result<(), TakeoverError> {
        let standby = match mem::replace(&mut self.side, TakeoverSide::Alone) {
            TakeoverSide::Beside(standby) => standby,
            other @ (TakeoverSide::Alone | TakeoverSide::Prepared(_) | TakeoverSide::Granted(_)) => {
                self.side = other;
                return Ok(());
            }
        };
        let prepared = standby
            .prepare(&self.ownership, &self.own)
            .inspect_err(|error| self.report_failed_takeover(error))?;
        self.listeners = duplicates(&prepared.bound.listeners)
            .map_err(|source| TakeoverError::Io { what: "the listeners", source })
            .inspect_err(|error| self.report_failed_takeover(error))?;
        self.endpoints.clone_from(&prepared.bound.endpoints);
        self.side = TakeoverSide::Prepared(Box::new(prepared));
        Ok(())
    }

    /// Refuses a successor that says that it is another version than the one that it was started as. The error says
    /// why.
    pub(crate) fn expect_version(&self) -> Result<(), String> {
        let wanted = &self.ownership.handshake.spec.version;
        let strict = self.terms().is_some_and(|terms| terms.strict);
        match self.status.hello().app.version.filter(|says| strict && says != wanted) {
            Some(says) => Err(format!("it was started as {wanted} and says that it is {says}")),
            None => Ok(()),
        }
    }

    /// Takes the scope from the worker that serves; nothing where none does, or it is taken.
    pub(crate) fn commit(&mut self) -> Result<(), TakeoverError> {
        self.prepare()?;
        let prepared = match mem::replace(&mut self.side, TakeoverSide::Alone) {
            TakeoverSide::Prepared(prepared) => prepared,
            other @ (TakeoverSide::Alone | TakeoverSide::Beside(_) | TakeoverSide::Granted(_)) => {
                self.side = other;
                return Ok(());
            }
        };
        let mut granted = prepared
            .commit(&self.context, &self.own)
            .inspect_err(|error| self.report_failed_takeover(error))?;
        self.ownership.begin_own_logs();
        self.handed = mem::take(&mut granted.packed);
        self.side = TakeoverSide::Granted(Box::new(granted));
        self.look_after_itself()
            .map_err(|source| TakeoverError::Io { what: "the thread of its self-check", source })
    }

    /// The launcher hears whether somebody else is to make room, or this start has failed.
    fn report_failed_takeover(&self, error: &TakeoverError) {
        let stage = match error {
            TakeoverError::Declined { why } => {
                self.ownership.channel.report(&Report::Declined { why: why.clone() });
                return;
            }
            TakeoverError::NoAnswer { .. } => BootStage::Unheard,
            TakeoverError::Listen(_) if error.is_of_the_version() => stage::LISTEN.into(),
            TakeoverError::Listen(_)
            | TakeoverError::GivenUp { .. }
            | TakeoverError::Record(_)
            | TakeoverError::Orphan(_)
            | TakeoverError::Io { .. } => BootStage::Takeover,
        };
        self.ownership.report_failure(&stage, &causes::in_one_line(error), None);
    }

    /// Gives the hooks with which this app makes room for a successor, and comes back where that fails; see
    /// [`TakeoverHooks`]. To be called before [`Worker::ready`].
    pub fn set_takeover_hooks(&mut self, hooks: Box<dyn TakeoverHooks>) {
        self.context.set_hooks(hooks);
    }

    /// Takes what the app of the worker whose place was taken has packed; empty where none was, or it had nothing.
    #[must_use]
    pub fn take_state(&mut self) -> Vec<u8> {
        mem::take(&mut self.handed)
    }

    /// What the launcher said about this activation.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.ownership.handshake
    }

    /// The fencing token of this activation: what carries a lower one is older. It rises where this worker takes its
    /// scope back from a successor that failed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.ownership.generation()
    }

    /// The scope's state directory.
    #[must_use]
    pub fn state(&self) -> &StateDir {
        &self.ownership.state
    }

    /// Where this worker serves, ports resolved, in the order of the spec.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Takes the inherited listener `name`: bound, listening, blocking, close-on-exec. Once taken it is the app's to
    /// close.
    pub fn take_listener(&mut self, name: &str) -> Option<OwnedFd> {
        let index = self.listeners.iter().position(|(known, _)| known == name)?;
        Some(self.listeners.remove(index).1)
    }

    /// The worker's account of itself, to be kept current from any thread.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Reads, changes and replaces the ledger. The change survives the end of this process; a loss of power may bring
    /// the ledger before it back, whose processes are gone then. A worker whose ledger cannot be written goes on and is
    /// shown as degraded until a write succeeds.
    pub fn ledger(&mut self, change: impl FnOnce(&mut Ledger)) -> Result<(), RecordError> {
        let written = self.ownership.write_ledger(change);
        match &written {
            Ok(()) => self.status.forget_check(LEDGER_CHECK),
            Err(error) => {
                self.status.check(LEDGER_CHECK, false, format!("failed to {}", causes::in_one_line(error)));
            }
        }
        written
    }

    /// Says which version the app is, as it knows it itself: shown by HELLO, and compared with the version that it was
    /// started as. To be said before [`Worker::ready`]. One `v` before it is taken off; what is no version is refused.
    pub fn app_version(&mut self, version: &str) -> Result<(), NoVersion> {
        self.status.set_app_version(Some(Version::with_order(version)?));
        Ok(())
    }

    /// The program is about to start, once more: what it said of itself is forgotten, and the worker answers for the
    /// files of its build as they are now.
    pub(crate) fn begin_again(&self) {
        self.status.set_app_version(None);
        self.build_watcher.begin_again(&self.status);
    }

    /// Readable once a stop was asked for (STOP, TERM, INT, [`Status::ask_stop`], a failed self-check), and from then
    /// on: for the app's own poll, or, duplicated, for a runtime's.
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

    fn stop_reason(&self) -> String {
        self.stop_request().map_or_else(String::new, |request| request.reason)
    }
}

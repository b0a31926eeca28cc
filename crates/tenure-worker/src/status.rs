//! What a worker says of itself, and what was asked of it.
//!
//! The app writes its state here; the control thread answers from it; the watchdog takes its deadlines from it. One
//! mutex, never held over I/O or over code of the app, protects it from torn views between these threads; the app's
//! heartbeat is an atomic. Every change wakes who has to know, so nobody polls.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use tenure_core::Version;
use tenure_core::deadline::{self, Deadline, millis};
use tenure_core::policy::idle::Use;
use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleExecutor, LifecycleState, Orders};
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::protocol::wire::{AppState, Check, Endpoint, Hello, ProgramStatus, Role, Until};
use tenure_core::spec::{ListenMode, Spec};
use tenure_sys::poll;
use tenure_sys::wake::Waker;

mod account;

pub(crate) use account::{Ask, Deadlines, TimeLimits};
pub use account::{BEAT, StopRequest};

use account::{Account, OnProbation};

/// Name of the check that says that the ledger cannot be written.
pub(crate) const LEDGER_CHECK: &str = "ledger";

/// Finds out why a program is not ready.
pub(crate) type Diagnosis = Arc<dyn Fn() -> NotReady + Send + Sync>;

/// Tells the uses of one kind, each time it is asked. It must not wait.
pub(crate) type UseSource = Arc<dyn Fn() -> Use + Send + Sync>;

/// A worker's account of itself; clones write and read the same one.
#[derive(Clone)]
pub struct Status(Arc<StatusInner>);

struct StatusInner {
    account: Mutex<Account>,
    /// Set by the host while its program boots; called by the watchdog when the time of the boot is over.
    diagnosis: Mutex<Option<Diagnosis>>,
    /// Milliseconds of the monotonic clock at the last beat, plus one; 0 before the first.
    beat: AtomicU64,
    /// The same at the last use that the app told of.
    last_use: AtomicU64,
    /// Asked at the deadline of a worker that ends without use.
    uses: Mutex<Vec<UseSource>>,
    /// Up when the control thread has something to look at.
    changed: Waker,
    /// Up when a deadline has changed.
    deadlines: Waker,
    /// Up from the announcement of the end on.
    stopping: Waker,
}

impl Status {
    /// The account of a worker that begins to boot as `hello` says.
    pub(crate) fn new(hello: Hello, limits: TimeLimits) -> io::Result<Self> {
        let account = Account::begin(hello, limits, deadline::monotonic());
        Ok(Self(Arc::new(StatusInner {
            account: Mutex::new(account),
            diagnosis: Mutex::new(None),
            beat: AtomicU64::new(0),
            last_use: AtomicU64::new(0),
            uses: Mutex::new(Vec::new()),
            changed: Waker::new()?,
            deadlines: Waker::new()?,
            stopping: Waker::new()?,
        })))
    }

    /// Sets the state of the app and why it is in it. Waiting launchers learn of it at once.
    pub fn set(&self, state: AppState, reason: Option<String>) {
        self.change(|account| {
            account.hello.app.state = state;
            account.hello.app.reason = reason;
            if state.serves() {
                account.hello.app.not_ready = None;
            }
        });
    }

    /// Tells what is known of a program that is not ready. Nobody is woken for the same answer once more.
    pub(crate) fn set_not_ready(&self, told: Option<NotReady>) {
        if self.account().hello.app.not_ready.as_deref() == told.as_ref() {
            return;
        }
        self.change(|account| {
            account.hello.app.not_ready = told.map(Box::new);
            account.not_ready_since = deadline::monotonic();
        });
    }

    /// Says how to find out why the program is not ready; `None` once it is.
    pub(crate) fn set_diagnosis(&self, diagnosis: Option<Diagnosis>) {
        *self.0.diagnosis.lock().unwrap_or_else(PoisonError::into_inner) = diagnosis;
    }

    /// How to find out why the program is not ready, where that is asked.
    pub(crate) fn diagnosis(&self) -> Option<Diagnosis> {
        self.0.diagnosis.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the last result of the check `name`. A failed check makes a ready worker a degraded one.
    pub fn check(&self, name: &str, ok: bool, detail: impl Into<String>) {
        let check = Check::new(name, ok, detail);
        self.change(|account| {
            if check.ok {
                account.failing_since.remove(&check.name);
            } else {
                account.failing_since.entry(check.name.clone()).or_insert_with(deadline::monotonic);
            }
            let checks = &mut account.hello.app.checks;
            match checks.iter_mut().find(|known| known.name == check.name) {
                Some(known) => *known = check,
                None => checks.push(check),
            }
        });
    }

    /// Forgets the check `name`, if there is one.
    pub fn forget_check(&self, name: &str) {
        self.change(|account| {
            account.failing_since.remove(name);
            account.hello.app.checks.retain(|check| check.name != name);
        });
    }

    /// Tells what is known of the wrapped program.
    pub fn set_program(&self, program: Option<ProgramStatus>) {
        self.change(|account| account.hello.program = program);
    }

    /// Tells the version that the app says it is; `None` while it says none.
    pub fn set_app_version(&self, version: Option<Version>) {
        self.change(|account| account.hello.app.version = version);
    }

    /// Sets the role that this worker has in a takeover: standby, or committed once it has made room; `None` when it is
    /// alone.
    pub(crate) fn set_takeover_role(&self, role: Option<Role>) {
        self.change(|account| account.takeover_role = role);
    }

    /// Notes that the app stops serving for a successor. Where its program alone has a listener, clients cannot connect
    /// until somebody listens there again, so HELLO shows the app as booting and callers wait. An inherited or proxied
    /// listener stays open, and clients wait in its queue.
    pub(crate) fn makes_room(&self, spec: &Spec) {
        let closes = spec.listen.iter().any(|listen| listen.mode == ListenMode::SelfBound);
        self.change(|account| account.closed = closes);
    }

    /// Notes that the app serves again, or is about to: from here on HELLO shows the state that the app sets.
    pub(crate) fn opens_again(&self) {
        self.change(|account| account.closed = false);
    }

    /// Tells the generation, and where the worker serves, once both are its own.
    pub(crate) fn set_activation(&self, generation: u64, endpoints: Vec<Endpoint>) {
        self.change(|account| {
            account.hello.generation = generation;
            account.hello.endpoints = endpoints;
        });
    }

    /// Tells whether the app can make room for a successor.
    pub(crate) fn set_hands_over(&self, hands_over: bool) {
        self.change(|account| account.hello.hands_over = hands_over);
    }

    /// Tells that the incumbent, of version `incumbent_version`, can take the scope back for about this long.
    pub(crate) fn begin_probation(&self, lasts: Duration, incumbent_version: Version) {
        let probation =
            OnProbation { since: deadline::monotonic(), until: Deadline::start(lasts), incumbent_version };
        self.change(|account| account.probation = Some(probation));
    }

    /// The probation is over; whether there was one.
    pub(crate) fn end_probation(&self) -> bool {
        let mut ended = false;
        self.change(|account| ended = account.probation.take().is_some());
        ended
    }

    pub(crate) fn is_on_probation(&self) -> bool {
        self.account().probation.is_some()
    }

    /// Wakes the control thread, because the control listener was opened or closed.
    pub(crate) fn touch(&self) {
        self.0.changed.wake();
    }

    /// Tells the digest of the build that was started.
    pub(crate) fn set_content(&self, content: Option<String>) {
        self.change(|account| account.hello.content = content);
    }

    /// Notes that the app's runtime makes progress. To be called from inside that runtime, every [`BEAT`]: an app that
    /// has beaten once and then stops for `stall_timeout` is ended by the watchdog. One that never beats is not
    /// watched.
    pub fn beat(&self) {
        let now = millis(deadline::monotonic()).saturating_add(1);
        if self.0.beat.swap(now, Ordering::Relaxed) == 0 {
            self.0.deadlines.wake();
        }
    }

    /// Notes that the app is used, or works for itself: the time of `idle_timeout` begins anew. For uses that nobody
    /// else sees; calls of `ensure` and connections on the worker's listeners count by themselves. It costs one store.
    pub fn note_use(&self) {
        self.0.last_use.store(millis(deadline::monotonic()).saturating_add(1), Ordering::Relaxed);
    }

    /// Adds a kind of use, to be asked at the deadline of `idle_timeout`.
    pub(crate) fn add_use(&self, source: UseSource) {
        self.0.uses.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// The kinds of use that were added, and the uses that the app told of.
    pub(crate) fn uses(&self) -> Vec<UseSource> {
        let told = self.0.last_use.load(Ordering::Relaxed).checked_sub(1);
        let told = told.map_or(Use::None, |ms| Use::Until(Duration::from_millis(ms)));
        let added = self.0.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let own: UseSource = Arc::new(move || told);
        std::iter::once(own).chain(added.iter().cloned()).collect()
    }

    /// Whether the end of this worker was announced because nobody used it.
    pub(crate) fn ends_unused(&self) -> bool {
        self.account().ends_unused
    }

    /// Asks the worker to end, as STOP does. The control thread announces it; a second request changes nothing.
    pub fn ask_stop(&self, reason: impl Into<String>) {
        self.ask(LifecycleEvent::StopAsked, reason.into());
    }

    pub(crate) fn ask(&self, event: LifecycleEvent, reason: String) {
        self.change(|account| account.asked = account.asked.take().or(Some(Ask { event, reason })));
    }

    /// What HELLO answers now.
    #[must_use]
    pub fn hello(&self) -> Hello {
        self.account().hello(deadline::monotonic(), self.last_beat())
    }

    /// Waits until a stop was asked for: for a thread that tells the app's runtime.
    #[must_use]
    pub fn wait_for_stop(&self) -> StopRequest {
        loop {
            // Only a lack of memory ends the wait early.
            if matches!(poll::wait_readable([self.stopping()], None), Ok([true]))
                && let Some(request) = self.stop_request()
            {
                return request;
            }
        }
    }

    /// Whether a stop has been announced.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.account().stop.is_some()
    }

    /// Whether a WAIT for `until` is over. An end that was announced ends every wait: whoever waits has to look
    /// elsewhere.
    pub(crate) fn is_wait_over(&self, until: Until, proved: bool) -> bool {
        self.account().is_wait_over(until, proved)
    }

    /// Moves the life on and has carried out what that orders, on this thread and without the lock. `false`: nothing
    /// was ordered.
    pub(crate) fn happen(&self, event: LifecycleEvent, executor: &mut impl LifecycleExecutor) -> bool {
        let orders = self.account().step(event);
        self.carry_out(orders, executor)
    }

    /// Takes note of a stop: the first one moves the life on, a later one can only bring the end nearer. The deadline
    /// stands before anything of the end is carried out. `true` for the first.
    pub(crate) fn announce(
        &self,
        event: LifecycleEvent,
        request: StopRequest,
        executor: &mut impl LifecycleExecutor,
    ) -> bool {
        let mut account = self.account();
        let orders = account.step(event);
        let known = account.stop.take();
        let is_nearer = |known: &StopRequest| request.deadline.remaining() < known.deadline.remaining();
        if known.as_ref().is_none_or(is_nearer) {
            account.end_ends = Some(deadline::monotonic().saturating_add(request.deadline.remaining()));
            let deadline = request.deadline;
            account.stop = Some(known.map_or(request, |known| StopRequest { deadline, ..known }));
        } else {
            account.stop = known;
        }
        drop(account);
        self.0.deadlines.wake();
        self.carry_out(orders, executor)
    }

    fn carry_out(&self, orders: Orders, executor: &mut impl LifecycleExecutor) -> bool {
        if orders.is_empty() {
            return false;
        }
        self.0.changed.wake();
        self.0.deadlines.wake();
        orders.carry_out(executor);
        true
    }

    /// Bounds the time from the end of what the app does to the exit of the process.
    pub(crate) fn end_within(&self, budget: Duration) {
        let mut account = self.account();
        let at = deadline::monotonic().saturating_add(budget);
        account.end_ends = Some(account.end_ends.map_or(at, |known| known.min(at)));
        drop(account);
        self.0.deadlines.wake();
    }

    /// Tells the app of the end that was announced.
    pub(crate) fn raise_stop(&self) {
        self.0.stopping.wake();
    }

    /// The stop that was announced.
    pub(crate) fn stop_request(&self) -> Option<StopRequest> {
        self.account().stop.clone()
    }

    pub(crate) fn take_ask(&self) -> Option<Ask> {
        self.account().asked.take()
    }

    pub(crate) fn life(&self) -> LifecycleState {
        self.account().life
    }

    pub(crate) fn deadlines(&self) -> Deadlines {
        let account = self.account();
        Deadlines {
            life: account.life,
            boot_ends: account.boot_ends,
            end_ends: account.end_ends,
            stall_timeout: account.stall_timeout,
            last_beat: self.last_beat(),
        }
    }

    /// Up when something changed that the control thread acts on.
    pub(crate) fn changed(&self) -> &Waker {
        &self.0.changed
    }

    /// Up when a deadline changed.
    pub(crate) fn deadlines_changed(&self) -> &Waker {
        &self.0.deadlines
    }

    /// Readable from the announcement of the end on; never taken down.
    pub(crate) fn stopping(&self) -> BorrowedFd<'_> {
        self.0.stopping.as_fd()
    }

    fn last_beat(&self) -> Option<Duration> {
        self.0.beat.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_millis)
    }

    fn change(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.account());
        self.0.changed.wake();
    }

    /// Ignores poisoning: a thread that panicked under the lock leaves each field whole.
    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").field("life", &self.life()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;

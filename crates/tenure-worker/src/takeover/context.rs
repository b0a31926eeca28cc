//! What a worker knows of the workers before and after it: whether a successor is admitted, what it would be handed,
//! and from which incumbent this worker took over.
//!
//! Shared by the app's thread, the control thread and the thread of a takeover. One mutex, never held over a wait or
//! over code of the app, protects it; the app's hooks have one of their own.

use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_core::deadline::Moment;
use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleState};
use tenure_core::protocol::wire::{Abort, Answer, ControlRequest, Endpoint};
use tenure_core::record::ledger::{HostRecord, Proved};
use tenure_core::spec::Kind;
use tenure_core::{Version, os_text};
use tenure_sys::discard::best_effort;
use tenure_sys::process::ProcessHandle;

use crate::mailbox::MailboxSender;
use crate::ownership::Ownership;
use crate::status::Status;
use crate::takeover::descriptor_link::DescriptorLink;
use crate::takeover::hooks::TakeoverHooks;

/// The app's hooks, called by one thread at a time.
pub(crate) type AppHooks = Arc<Mutex<Box<dyn TakeoverHooks>>>;

/// The takeover context of this process: one for each worker, shared by its threads.
pub(crate) struct TakeoverContext {
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) status: Status,
    inner: Mutex<ContextInner>,
    changed: Condvar,
}

#[derive(Default)]
struct ContextInner {
    hooks: Option<AppHooks>,
    kept: Option<KeptDescriptors>,
    endpoints: Vec<Endpoint>,
    incumbent: Option<IncumbentLink>,
    /// Who wants to know what the incumbent does.
    incumbent_watch: Option<MailboxSender<IncumbentAnswer>>,
    /// A takeover of this worker's place goes on.
    busy: bool,
    /// A successor was admitted that waits for the end of that takeover.
    next: bool,
}

impl ContextInner {
    fn may_be_taken_back(&self) -> bool {
        self.incumbent.as_ref().is_some_and(|incumbent| !incumbent.process.has_ended())
    }
}

/// When the takeover of an admitted successor can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// At once.
    Now,
    /// Once the takeover that goes on is over.
    Next,
}

/// The refusal where another successor's takeover goes on.
const BUSY: &str =
    "the takeover before this one is not over yet: its successor is in place, or its program still ends";

/// Listeners by name.
pub(crate) type NamedListeners = Vec<(String, OwnedFd)>;

/// What a successor will need, kept open beside what the app and the control thread use.
#[derive(Debug)]
pub(crate) struct KeptDescriptors {
    pub(crate) control: OwnedFd,
    pub(crate) listeners: NamedListeners,
}

/// Why a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// By this event of its life.
    Of(LifecycleEvent),
    /// Somebody wants its incumbent to serve again.
    SentBack,
}

impl EndCause {
    pub(crate) fn event(self) -> LifecycleEvent {
        match self {
            Self::Of(event) => event,
            Self::SentBack => LifecycleEvent::StopAsked,
        }
    }
}

/// What an incumbent does about a successor that serves on probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncumbentAnswer {
    /// It has announced its end, or is gone.
    Left,
    /// It has learned that the successor failed, and takes its place back.
    ComesBack,
}

/// The incumbent from which this worker took over, until it is gone.
struct IncumbentLink {
    link: Arc<DescriptorLink>,
    process: Arc<ProcessHandle>,
}

impl TakeoverContext {
    pub(crate) fn new(ownership: Arc<Ownership>, status: Status) -> Self {
        Self { ownership, status, inner: Mutex::default(), changed: Condvar::new() }
    }

    /// Keeps what a successor would need.
    pub(crate) fn keep(&self, kept: KeptDescriptors, endpoints: Vec<Endpoint>) {
        let mut inner = self.inner();
        inner.kept = Some(kept);
        inner.endpoints = endpoints;
    }

    /// Sets the app's hooks: from now on a successor is admitted.
    pub(crate) fn set_hooks(&self, hooks: Box<dyn TakeoverHooks>) {
        self.inner().hooks = Some(Arc::new(Mutex::new(hooks)));
        self.status.set_hands_over(true);
    }

    /// Closes the listeners kept for a successor where the app takes none: what such an app closes is closed.
    pub(crate) fn drop_unneeded_listeners(&self) {
        let mut inner = self.inner();
        if inner.hooks.is_none() {
            inner.kept = None;
        }
    }

    /// Closes the control listener, so that callers are refused, and everything that was kept for a successor.
    pub(crate) fn close_listeners(&self) {
        self.ownership.control_listener.close();
        self.inner().kept = None;
    }

    /// Admits the peer as the one that takes over, or gives the answer that refuses it. A refusal that says that this
    /// worker goes on means: try again later, it is not to be ended for this.
    ///
    /// One successor may come while a takeover goes on, and waits for the end of that one ([`Self::await_turn`]): a
    /// launcher is free to start it as soon as the successor before is dead, and this worker may then still be ending
    /// that one's program.
    pub(crate) fn admit(&self, stream: &UnixStream) -> Result<(DescriptorLink, Turn), Answer> {
        let mut inner = self.inner();
        self.may_be_taken_over(&inner)?;
        if inner.busy && inner.next {
            return Err(Answer::goes_on(BUSY));
        }
        let link = stream
            .try_clone()
            .and_then(DescriptorLink::new)
            .map_err(|error| Answer::refused(error.to_string()))?;
        let turn = if inner.busy { Turn::Next } else { Turn::Now };
        match turn {
            Turn::Now => inner.busy = true,
            Turn::Next => inner.next = true,
        }
        Ok((link, turn))
    }

    /// Waits for the end of the takeover before this one, for at most `limit`, and begins the takeover of the successor
    /// that was admitted for [`Turn::Next`]; or gives the answer that refuses it.
    pub(crate) fn await_turn(&self, limit: Duration) -> Result<(), Answer> {
        let waited = self.changed.wait_timeout_while(self.inner(), limit, |inner| inner.busy);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.next = false;
        if inner.busy {
            return Err(Answer::goes_on(BUSY));
        }
        self.may_be_taken_over(&inner)?;
        inner.busy = true;
        Ok(())
    }

    /// Whether a takeover could begin but for another one that goes on.
    fn may_be_taken_over(&self, inner: &ContextInner) -> Result<(), Answer> {
        if self.status.life() != LifecycleState::Active || self.status.is_stopping() {
            return Err(Answer::refused("it does not serve"));
        }
        if inner.hooks.is_none() || inner.kept.is_none() {
            return Err(Answer::refused("its app does not hand over"));
        }
        if let Some(incumbent) = inner.incumbent.as_ref().filter(|incumbent| !incumbent.process.has_ended()) {
            let pid = incumbent.process.pid();
            let why = format!("pid {pid}, from which it took over itself, is not gone yet");
            return Err(Answer::goes_on(why));
        }
        Ok(())
    }

    /// Whether a takeover of this worker's place goes on, or its own is not over: the incumbent can still come back.
    pub(crate) fn is_engaged(&self) -> bool {
        let inner = self.inner();
        inner.busy || inner.next || inner.may_be_taken_back()
    }

    /// The takeover that was admitted is over, one way or the other.
    pub(crate) fn takeover_over(&self) {
        self.inner().busy = false;
        self.changed.notify_all();
    }

    /// The takeover that was admitted for this turn has no thread, and does not begin.
    pub(crate) fn not_begun(&self, turn: Turn) {
        match turn {
            Turn::Now => self.takeover_over(),
            Turn::Next => self.inner().next = false,
        }
    }

    /// Waits until no takeover is going on: an app that has ended keeps its process for as long as a successor is to be
    /// ended. The watchdog bounds it.
    pub(crate) fn await_idle(&self) {
        let guard = self.inner();
        let idle = self.changed.wait_while(guard, |inner| inner.busy);
        drop(idle.unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn hooks(&self) -> Option<AppHooks> {
        self.inner().hooks.clone()
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.inner().endpoints.clone()
    }

    /// Duplicates of what is kept.
    pub(crate) fn duplicate(&self) -> std::io::Result<KeptDescriptors> {
        let inner = self.inner();
        let Some(kept) = &inner.kept else { return Err(std::io::ErrorKind::NotFound.into()) };
        Ok(KeptDescriptors { control: kept.control.try_clone()?, listeners: duplicates(&kept.listeners)? })
    }

    /// Notes the incumbent, which made room for this worker.
    pub(crate) fn set_incumbent(&self, link: Arc<DescriptorLink>, process: Arc<ProcessHandle>) {
        self.inner().incumbent = Some(IncumbentLink { link, process });
    }

    /// Whether the incumbent may still take the scope back. The paths of the scope are then its own as well, and are
    /// not to be removed.
    pub(crate) fn may_be_taken_back(&self) -> bool {
        self.inner().may_be_taken_back()
    }

    /// The incumbent is gone.
    pub(crate) fn incumbent_gone(&self) {
        self.inner().incumbent = None;
        self.probation_over();
    }

    /// Tells `watch` what the incumbent does; where there is none, at once that it has left.
    pub(crate) fn watch_incumbent(&self, watch: MailboxSender<IncumbentAnswer>) {
        let mut inner = self.inner();
        if inner.incumbent.is_none() {
            best_effort(watch.send(IncumbentAnswer::Left));
        }
        inner.incumbent_watch = Some(watch);
    }

    /// The incumbent has said what it does, or is gone.
    pub(crate) fn incumbent_answered(&self, answer: IncumbentAnswer) {
        if let Some(watch) = &self.inner().incumbent_watch {
            best_effort(watch.send(answer));
        }
    }

    /// Begins the probation of this worker, which is about to serve: for `lasts` its incumbent can take the scope
    /// back. Without a living incumbent this worker counts as proved at once.
    pub(crate) fn begin_probation(&self, lasts: Duration, incumbent_version: Version) {
        let inner = self.inner();
        if inner.incumbent.is_some() {
            self.status.begin_probation(lasts, incumbent_version);
        } else {
            drop(inner);
            self.record_proved();
        }
    }

    /// Ends the probation: the incumbent has announced its end, or is gone. A worker that has announced its own end
    /// does not count as proved.
    pub(crate) fn probation_over(&self) {
        if self.status.is_on_probation() && self.status.life() == LifecycleState::Active {
            self.record_proved();
        }
        self.status.end_probation();
        self.incumbent_answered(IncumbentAnswer::Left);
    }

    /// Records this version as proved, for whoever chooses the next version to start. If the write fails, the failures
    /// of the version stay counted.
    fn record_proved(&self) {
        let proved = Proved { version: self.ownership.handshake.spec.version.clone(), at: Moment::now() };
        best_effort(self.ownership.write_ledger(|ledger| ledger.proved = Some(proved)));
    }

    /// Sends ABORT to the incumbent, because the program of this worker failed on probation. Whether the incumbent comes
    /// back is its answer ([`Self::watch_incumbent`]).
    pub(crate) fn ask_back(&self, why: &str) {
        self.end_announced(EndCause::Of(LifecycleEvent::AppFailed), why, false);
    }

    /// Sends ABORT to the incumbent, because this worker ends: the incumbent serves again, unless somebody asked
    /// for the end. An incumbent that is gone, or does not read, needs no message.
    pub(crate) fn end_announced(&self, end: EndCause, why: &str, blameless: bool) {
        let link = self.inner().incumbent.as_ref().map(|incumbent| Arc::clone(&incumbent.link));
        if let Some(link) = link {
            let abort = Abort {
                why: why.to_owned(),
                ends: end == EndCause::Of(LifecycleEvent::StopAsked),
                back: end == EndCause::SentBack,
                blameless,
            };
            best_effort(link.send(&ControlRequest::Abort(abort), &[]));
        }
    }

    fn inner(&self) -> MutexGuard<'_, ContextInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TakeoverContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeoverContext").field("busy", &self.inner().busy).finish_non_exhaustive()
    }
}

/// Duplicates of the listeners: each holder closes its own.
pub(crate) fn duplicates(listeners: &[(String, OwnedFd)]) -> std::io::Result<NamedListeners> {
    listeners.iter().map(|(name, fd)| Ok((name.clone(), fd.try_clone()?))).collect()
}

/// The record of this executable for the ledger.
pub(crate) fn host_record(kind: Kind) -> HostRecord {
    HostRecord::of(tenure_sys::process::executable_of(std::process::id()), kind)
}

/// The path of this executable, as far as the kernel tells.
pub(crate) fn own_path() -> String {
    let path = tenure_sys::process::executable_of(std::process::id());
    path.map(|path| os_text::text(path.as_os_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! What a worker owns: its state directory, its lease, the path of its control socket, its ledger, and its channel to
//! the launcher.
//!
//! Only the holder of the lease may touch the socket path or the ledger, and a path may meanwhile lead to another
//! worker's file. So whatever removes or replaces one of these does it here, and looks first. The pid file is written
//! here without a look, because nothing reads it. Logs, events and the `notify` socket have rules of their own, in the
//! rooms that write them.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tenure_core::launch::start::handshake::{Handshake, Report};
use tenure_core::protocol::boot_stage::BootStage;
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::protocol::wire::Asker;
use tenure_core::record::ledger::Ledger;
use tenure_core::store::event::{self, Event, What};
use tenure_core::store::lease::Lease;
use tenure_core::store::logs::{self, LogPositions};
use tenure_core::store::paths::{StateDir, file};
use tenure_core::store::records::{self, RecordError};
use tenure_sys::dir::FileStat;
use tenure_sys::dir::reserve::DiskReserve;
use tenure_sys::discard::best_effort;

use crate::ownership::channel::Channel;
use crate::ownership::control_listener::ControlListener;

pub(crate) mod channel;
pub(crate) mod control_listener;

/// What the threads of a worker share to act for it.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(crate) state: StateDir,
    pub(crate) channel: Channel,
    pub(crate) handshake: Arc<Handshake>,
    pub(crate) control_listener: ControlListener,
    lease: OnceLock<Lease>,
    /// The control socket as it stood at its path when this worker took over.
    socket: OnceLock<FileStat>,
    generation: AtomicU64,
    ledger: Mutex<Writer>,
    /// Where the logs ended when it took its scope from another worker, which wrote there as well.
    own_logs_begin: OnceLock<LogPositions>,
    /// Disk space for the ledger on a full disk: kept from readiness on, and before a takeover.
    disk_reserve: Mutex<Option<DiskReserve>>,
}

/// The least reserve, in bytes: a ledger with a program and its ends has some 3 KB.
const LEAST_DISK_RESERVE: u64 = 16 * 1024;

/// Who writes the ledger.
#[derive(Debug)]
enum Writer {
    /// This worker.
    Own,
    /// Another worker of the lineage. Changes of this one are kept until it opens a generation, which takes over only
    /// what they say of its program.
    Other(Box<Ledger>),
}

impl Ownership {
    /// A worker that owns everything from the beginning.
    pub(crate) fn own(
        state: StateDir,
        channel: Channel,
        handshake: Handshake,
        lease: Lease,
    ) -> io::Result<Self> {
        let ownership = Self::standby(state, channel, handshake);
        ownership.take(lease)?;
        *ownership.writer() = Writer::Own;
        Ok(ownership)
    }

    /// A worker that stands by: it has neither lease nor socket, and writes nothing.
    pub(crate) fn standby(state: StateDir, channel: Channel, handshake: Handshake) -> Self {
        Self {
            state,
            channel,
            control_listener: ControlListener::default(),
            lease: OnceLock::new(),
            socket: OnceLock::new(),
            generation: AtomicU64::new(handshake.generation),
            ledger: Mutex::new(Writer::Other(Box::default())),
            own_logs_begin: OnceLock::new(),
            disk_reserve: Mutex::new(None),
            handshake: Arc::new(handshake),
        }
    }

    /// Takes the lease, and notes the control socket that stands at its path.
    pub(crate) fn take(&self, lease: Lease) -> io::Result<()> {
        let socket = self.state.dir().stat(file::CONTROL)?;
        // Both are set once: a second lease of the same scope is the same open file description.
        best_effort(self.lease.set(lease));
        if let Some(socket) = socket {
            self.socket.get_or_init(|| socket);
        }
        Ok(())
    }

    /// The lease, where this worker has it.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.get()
    }

    /// The fencing token of this activation, as it is now: it rises where this worker takes its scope back.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Notes where the logs end now: another worker wrote what is in them so far.
    pub(crate) fn begin_own_logs(&self) {
        self.own_logs_begin.get_or_init(|| logs::positions(&self.state));
    }

    /// Whether the lease file at the path is the one that this worker holds.
    pub(crate) fn lease_is_at_path(&self) -> io::Result<bool> {
        match self.lease.get() {
            Some(lease) => lease.is_at_path(&self.state).map_err(|error| error.0),
            None => Ok(false),
        }
    }

    /// Writes an event about this worker. A full disk loses it.
    pub(crate) fn note(&self, what: What, by: &Asker, why: impl Into<String>) {
        event::note(&self.state, &self.event(what, by, why));
    }

    fn event(&self, what: What, by: &Asker, why: impl Into<String>) -> Event {
        let event = Event::now(what, self.generation(), by, why);
        event.version(&self.handshake.spec.version).pid(std::process::id())
    }

    /// Reports a failed boot to the launcher; one that is gone leaves it to us to write the event.
    pub(crate) fn report_failure(&self, stage: &BootStage, message: &str, not_ready: Option<&NotReady>) {
        if !self.channel.is_open() {
            return;
        }
        let since = self.own_logs_begin.get().copied();
        let told = not_ready.cloned().map(Box::new);
        let report =
            Report::Failed { stage: stage.clone(), message: message.to_owned(), since, not_ready: told };
        if !self.channel.report(&report) {
            let why = format!("{stage}: {message}");
            let event = self.event(What::StartFailed, &self.handshake.started_by, why);
            event::note(&self.state, &event.not_ready(not_ready));
        }
    }

    /// Reads, changes and replaces the ledger. Fails once the lease at the path is another one. While another worker of
    /// the lineage writes the ledger, the change is kept for the next generation.
    pub(crate) fn write_ledger(&self, change: impl FnOnce(&mut Ledger)) -> Result<(), RecordError> {
        let mut writer = self.writer();
        match &mut *writer {
            Writer::Other(kept) => {
                change(kept);
                Ok(())
            }
            Writer::Own => {
                self.expect_lease()?;
                let mut ledger = records::read_ledger(&self.state)?;
                change(&mut ledger);
                self.record(&ledger, records::update_ledger)
            }
        }
    }

    /// Leaves the ledger to a successor. Nothing is written here after this returns.
    pub(crate) fn leave_ledger(&self) {
        *self.writer() = Writer::Other(Box::default());
    }

    /// Records a generation durably, as `open` makes it from the ledger and from what was kept. The ledger is this
    /// worker's from then on. The caller has made sure that no other worker writes it.
    pub(crate) fn open_generation(
        &self,
        open: impl FnOnce(Ledger, &Ledger) -> Ledger,
    ) -> Result<u64, RecordError> {
        let mut writer = self.writer();
        self.expect_lease()?;
        let found = records::read_ledger(&self.state)?;
        let ledger = match &*writer {
            Writer::Other(kept) => open(found, kept),
            Writer::Own => open(found, &Ledger::default()),
        };
        self.record(&ledger, records::write_ledger)?;
        self.generation.store(ledger.generation, Ordering::SeqCst);
        *writer = Writer::Own;
        Ok(ledger.generation)
    }

    /// Reserves disk space for the ledger, for writes while the disk is full: when the program ends and is started
    /// again, and when this worker takes its scope back from a successor that failed. Without a record neither is done.
    pub(crate) fn keep_disk_reserve(&self) -> io::Result<()> {
        let length = self.state.dir().stat(file::LEDGER)?.map_or(0, |found| found.len);
        let size = usize::try_from(length.saturating_mul(2).max(LEAST_DISK_RESERVE)).unwrap_or(usize::MAX);
        // Locked during the whole call: a host reserves space when its program serves, and a successor may come then.
        let mut disk_reserve = self.disk_reserve();
        *disk_reserve = Some(self.state.dir().keep_reserve(file::LEDGER, size)?);
        Ok(())
    }

    /// Frees the disk space that [`Self::keep_disk_reserve`] reserved.
    pub(crate) fn free_disk_reserve(&self) {
        if let Some(disk_reserve) = self.disk_reserve().take() {
            self.state.dir().free_reserve(&disk_reserve);
        }
    }

    /// Writes the ledger, on a full disk into the reserved space.
    fn record(
        &self,
        ledger: &Ledger,
        write: fn(&StateDir, &Ledger) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let written = write(&self.state, ledger);
        let full = matches!(&written, Err(RecordError::Write { source, .. }) if is_full(source));
        match &*self.disk_reserve() {
            Some(disk_reserve) if full => {
                records::write_ledger_into_reserve(&self.state, disk_reserve, ledger)
            }
            Some(_) | None => written,
        }
    }

    fn disk_reserve(&self) -> MutexGuard<'_, Option<DiskReserve>> {
        self.disk_reserve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owns_ledger(&self) -> bool {
        matches!(*self.writer(), Writer::Own)
    }

    fn expect_lease(&self) -> Result<(), RecordError> {
        if self.lease_is_at_path().unwrap_or(false) {
            return Ok(());
        }
        let source = io::Error::other("the lease at its path is not this worker's any more");
        Err(RecordError::Write { path: self.state.path().join(file::LEDGER), source })
    }

    /// Writes the process id for people. Not durable and not waited for: nothing reads it to decide.
    pub(crate) fn write_pid(&self) -> io::Result<()> {
        let dir = self.state.dir();
        dir.refuse_no_file(file::PID)?;
        dir.remove(file::PID)?;
        dir.open_append(file::PID)?.write_all(format!("{}\n", std::process::id()).as_bytes())
    }

    /// Whether the control socket's path still leads to our socket.
    pub(crate) fn socket_is_at_path(&self) -> io::Result<bool> {
        let place = |stat: &FileStat| (stat.dev, stat.ino);
        let standing = self.state.dir().stat(file::CONTROL)?;
        Ok(standing.as_ref().map(place) == self.socket.get().map(place) && standing.is_some())
    }

    /// Removes what would lead callers to a worker that is gone; never what belongs to another one. A failure leaves a
    /// dead socket, which the next launcher replaces.
    pub(crate) fn clear_paths(&self) {
        self.free_disk_reserve();
        if self.owns_ledger()
            && self.lease_is_at_path().unwrap_or(false)
            && self.socket_is_at_path().unwrap_or(false)
        {
            best_effort(self.state.dir().remove(file::CONTROL));
            if self.state.dir().refuse_no_file(file::PID).is_ok() {
                best_effort(self.state.dir().remove(file::PID));
            }
        }
    }
}

/// Whether a write failed for want of disk space, for everybody or for this user.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
pub(crate) mod tests;

//! What a worker holds: its state directory, its lease, its socket's place, and its channel to the launcher.
//!
//! Only the holder of the lease may touch the socket path or the ledger, and a path may meanwhile lead to somebody else's
//! file; so everything that removes or replaces goes through here and looks first.

use std::io::{self, Write};
use std::sync::Arc;

use tenure::brief::{Brief, Report};
use tenure::event::{self, Event, What};
use tenure::lease::Lease;
use tenure::ledger::Ledger;
use tenure::paths::{StateDir, file};
use tenure::records::{self, RecordError};
use tenure::wire::Asker;
use tenure_sys::dir::FileStat;

use crate::channel::Channel;

/// All that a worker's threads need to act for it.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) state: StateDir,
    pub(crate) lease: Lease,
    pub(crate) channel: Channel,
    pub(crate) brief: Arc<Brief>,
    /// The control socket as it stood at its path when this worker took over.
    pub(crate) socket: Option<FileStat>,
}

impl Holding {
    /// Writes an event about this worker. A full disk loses it.
    pub(crate) fn note(&self, what: What, by: &Asker, why: impl Into<String>) {
        let event = Event::now(what, self.brief.generation, by, why);
        event::note(&self.state, &event.version(&self.brief.spec.version).pid(std::process::id()));
    }

    /// Reports a failed boot to the launcher; one that is gone leaves it to us to write the event.
    pub(crate) fn report_failure(&self, stage: &str, message: &str) {
        if !self.channel.is_open() {
            return;
        }
        let report = Report::Failed { stage: stage.to_owned(), message: message.to_owned() };
        if !self.channel.report(&report) {
            self.note(What::StartFailed, &self.brief.started_by, format!("{stage}: {message}"));
        }
    }

    /// Reads, changes and replaces the ledger. Refused once the lease at the path is not ours any more.
    pub(crate) fn write_ledger(&self, change: impl FnOnce(&mut Ledger)) -> Result<(), RecordError> {
        if !self.lease.is_at_path(&self.state).unwrap_or(false) {
            let source = io::Error::other("the lease at its path is not this worker's any more");
            return Err(RecordError::Write { path: self.state.path().join(file::LEDGER), source });
        }
        let mut ledger = records::read_ledger(&self.state)?;
        change(&mut ledger);
        records::update_ledger(&self.state, &ledger)
    }

    /// Writes the process id for people. Not durable and not waited for: nothing reads it to decide.
    pub(crate) fn write_pid(&self) -> io::Result<()> {
        let dir = self.state.dir();
        dir.remove(file::PID)?;
        dir.open_append(file::PID)?.write_all(format!("{}\n", std::process::id()).as_bytes())
    }

    /// Whether the control socket's path still leads to our socket.
    pub(crate) fn socket_is_at_path(&self) -> io::Result<bool> {
        let place = |stat: &FileStat| (stat.dev, stat.ino);
        let standing = self.state.dir().stat(file::CONTROL)?;
        Ok(standing.as_ref().map(place) == self.socket.as_ref().map(place) && standing.is_some())
    }

    /// Removes what would lead callers to a worker that is gone; never what belongs to another one. A failure leaves a
    /// dead socket, which the next launcher replaces.
    pub(crate) fn clear_paths(&self) {
        if self.lease.is_at_path(&self.state).unwrap_or(false) && self.socket_is_at_path().unwrap_or(false) {
            drop(self.state.dir().remove(file::CONTROL));
            drop(self.state.dir().remove(file::PID));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use tenure::deadline::Moment;
    use tenure::lease::TryLease;
    use tenure::scope::Scope;
    use tenure::spec::Spec;
    use tenure_sys::socket;

    use super::*;

    /// A worker's holding in a directory of its own, its control socket, and the launcher's end of its channel.
    pub(crate) struct Ground {
        pub(crate) _root: tempfile::TempDir,
        pub(crate) holding: Arc<Holding>,
        pub(crate) listener: Option<UnixListener>,
        pub(crate) launcher: std::os::fd::OwnedFd,
    }

    pub(crate) fn ground() -> Ground {
        use std::os::fd::AsFd;
        let private = std::fs::Permissions::from_mode(0o700);
        let root = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
        let scope: Scope = "memory".parse().expect("valid");
        let state = StateDir::at(root.path(), &scope).expect("private");
        let TryLease::Free(lease) = Lease::try_take(&state).expect("lockable") else {
            panic!("a new directory")
        };
        let listener = socket::bind_unix(state.dir(), file::CONTROL, 16).expect("binds");
        let brief = Brief {
            state_dir: root.path().to_owned(),
            scope,
            generation: 3,
            spec: Spec::of_command(vec!["server".into()], "/".into()),
            started_by: Asker::default(),
            booting_until: Moment::now(),
            listeners: Vec::new(),
            nofile: 64,
        };
        let (launcher, theirs) = socket::pair().expect("a pair");
        socket::send(launcher.as_fd(), &serde_json::to_vec(&brief).expect("writes"), &[]).expect("room");
        let (channel, brief) = Channel::open(theirs).expect("a brief");
        let socket = state.dir().stat(file::CONTROL).expect("readable");
        let holding = Arc::new(Holding { state, lease, channel, brief: Arc::new(brief), socket });
        Ground { _root: root, holding, listener: Some(listener), launcher }
    }

    #[test]
    fn the_socket_of_a_successor_is_never_removed() {
        let ground = ground();
        let dir = ground.holding.state.dir();
        let _other = socket::bind_unix(dir, "other", 1).expect("binds");
        dir.rename("other", file::CONTROL).expect("renames");
        ground.holding.clear_paths();
        assert!(dir.exists(file::CONTROL).expect("readable"));
    }

    #[test]
    fn the_own_socket_and_pid_file_are_removed() {
        let ground = ground();
        ground.holding.write_pid().expect("writes");
        ground.holding.clear_paths();
        assert!(!ground.holding.state.dir().exists(file::CONTROL).expect("readable"));
        assert!(!ground.holding.state.dir().exists(file::PID).expect("readable"));
    }

    #[test]
    fn without_its_lease_a_worker_writes_no_ledger() {
        let ground = ground();
        ground.holding.write_ledger(|ledger| ledger.generation = 3).expect("its own");
        ground.holding.state.dir().remove(file::INSTANCE).expect("removes");
        assert!(matches!(ground.holding.write_ledger(|_| {}), Err(RecordError::Write { .. })));
    }

    #[test]
    fn a_failure_that_no_launcher_hears_is_an_event() {
        let ground = ground();
        drop(ground.launcher);
        ground.holding.report_failure("config", "no such file");
        let events = event::read_all(&ground.holding.state).expect("readable");
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].what, events[0].why.as_str()), (What::StartFailed, "config: no such file"));
    }
}

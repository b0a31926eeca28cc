//! A child that the caller has started and is to wait for.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::linux::process::{Delivery, ExitStatus, ProcessHandle, Signal};

/// A child of the caller. Dropping it neither ends the process nor waits for it; once ended, the process stays a zombie
/// until somebody waits for it or the caller ends.
#[derive(Debug)]
pub struct Child {
    handle: ProcessHandle,
    ended: OnceLock<ExitStatus>,
}

impl Child {
    pub(super) fn new(handle: ProcessHandle) -> Self {
        Self { handle, ended: OnceLock::new() }
    }

    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> &ProcessHandle {
        &self.handle
    }

    /// Its number, which no other process gets until it was waited for.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.handle.pid()
    }

    /// How it ended, if it has.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.ask(WaitIdOptions::NOHANG)
    }

    /// Waits until it has ended and tells how.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.ask(WaitIdOptions::empty())? {
                return Ok(status);
            }
        }
    }

    /// Waits until it has ended; `None` when the time was over first.
    pub fn wait_within(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        if self.ended.get().is_none() && !self.handle.wait_ended(Some(limit))? {
            return Ok(None);
        }
        self.try_wait()
    }

    /// Kills it. It still has to be waited for.
    pub fn kill(&self) -> io::Result<Delivery> {
        self.handle.signal(Signal::Kill)
    }

    fn ask(&self, how: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.ended.get() {
            return Ok(Some(*status));
        }
        match retry_on_intr(|| waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED | how)) {
            Ok(None) => Ok(None),
            Ok(Some(told)) => {
                let (code, signal) = (told.exit_status(), told.terminating_signal());
                let status = ExitStatus { code, signal, core: told.dumped() };
                Ok(Some(*self.ended.get_or_init(|| status)))
            }
            // Another thread was first: it has stored the status, or it reaped any child and the kernel still knows how
            // this one ended.
            Err(Errno::CHILD) => {
                let known = self.ended.get().copied().or_else(|| self.handle.exit_of_stranger());
                known.map(Some).ok_or_else(|| Errno::CHILD.into())
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

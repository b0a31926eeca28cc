//! The handle itself: a pidfd, and the identity that was read through it.
//!
//! It keeps leading to the process for which it was opened. Nothing here decides that somebody should be signalled.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use thiserror::Error;

use crate::common::exit_status::ExitStatus;
use crate::common::signal::Signal;
use crate::linux::descriptor::poll;
use crate::linux::identity::{self, Identity};
use crate::linux::process::procfs::{self, ShownPid};

use super::exited;

/// Why no handle of a process could be had.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The process has ended; it may still be waiting for its parent to ask how.
    #[error("open a handle of a process that has ended")]
    Gone,
    /// The kernel has no such handles: pidfd needs Linux 5.3, that of a peer 6.5.
    #[error("open a process handle on a kernel without them")]
    Unsupported,
    /// A sandbox or the owner of the process forbids it.
    #[error("open a process handle without permission")]
    Denied(#[source] io::Error),
    /// Anything else, for example no free descriptor.
    #[error("open a process handle")]
    Other(#[source] io::Error),
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The kernel took it. That the process ends is proved by waiting, not by this.
    Sent,
    /// The process had already ended; nobody was signalled.
    AlreadyGone,
}

/// An open handle of one process, with the identity that was read through it.
#[derive(Debug)]
pub struct ProcessHandle {
    fd: OwnedFd,
    identity: Identity,
}

impl ProcessHandle {
    /// Opens a handle of the process that has this number now.
    ///
    /// It may be another process than the caller means: [`super::verify()`] compares identities. A process that has
    /// ended but was not waited for yet is [`OpenError::Gone`].
    pub fn open(pid: u32) -> Result<Self, OpenError> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(OpenError::Gone)?;
        let fd = pidfd_open(number, PidfdFlags::empty()).map_err(open_error)?;
        Self::living(fd, Some(pid))
    }

    /// Takes over a handle that came from elsewhere, such as one that a peer has sent.
    pub fn from_pidfd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::living(fd, None)
    }

    /// Takes a handle of a child that nobody can have waited for: its identity is readable even if it has ended.
    pub(crate) fn of_unreaped(fd: OwnedFd) -> Result<Self, OpenError> {
        let identity = read_identity(fd.as_fd(), None)?;
        Ok(Self { fd, identity })
    }

    fn living(fd: OwnedFd, pid: Option<u32>) -> Result<Self, OpenError> {
        let identity = read_identity(fd.as_fd(), pid);
        // Checked after the read: had the process ended before, its number could have had another owner meanwhile.
        if ended(fd.as_fd()).map_err(OpenError::Other)? {
            return Err(OpenError::Gone);
        }
        Ok(Self { fd, identity: identity? })
    }

    /// The identity as read when the handle was opened.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// Duplicates the handle; both lead to the same process.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, identity: self.identity.clone() })
    }

    /// Signals the process behind the handle, and never another one that has got its number.
    pub fn signal(&self, signal: Signal) -> io::Result<Delivery> {
        // The kernel accepts signals for a zombie and drops them.
        if self.has_ended() {
            return Ok(Delivery::AlreadyGone);
        }
        match pidfd_send_signal(&self.fd, signal.kernel()) {
            Ok(()) => Ok(Delivery::Sent),
            Err(Errno::SRCH) => Ok(Delivery::AlreadyGone),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Tells whether the process has ended: all of its threads, waited for or not.
    ///
    /// The state letter is not asked: a process whose first thread has ended shows `Z` while the others still run.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        // Polling a valid descriptor without waiting fails only for lack of kernel memory, which proves nothing.
        ended(self.fd.as_fd()).unwrap_or(false)
    }

    /// Waits until the process has ended; `false` when the time was over first. `None` waits for ever.
    pub fn wait_ended(&self, limit: Option<Duration>) -> io::Result<bool> {
        let mut waiting = [poll::Interest::new(self.fd.as_fd(), poll::Readiness::Read)];
        Ok(poll::wait(&mut waiting, limit)? > 0)
    }

    /// Waits until the process has ended and its parent has asked how; `false` when the time was over first.
    ///
    /// Only then [`Self::exit_of_stranger`] has an answer. The kernel tells since Linux 6.9; before it this waits out
    /// the limit, so always give one for a process that is not a child.
    pub fn wait_reaped(&self, limit: Option<Duration>) -> io::Result<bool> {
        let mut waiting = [poll::Interest::new(self.fd.as_fd(), poll::Readiness::Nothing)];
        Ok(poll::wait(&mut waiting, limit)? > 0)
    }

    /// How a process ended that is not a child of the caller.
    ///
    /// `None` while it runs, until its parent has waited for it, and on kernels before 6.15. It needs a handle that
    /// was opened before the end.
    #[must_use]
    pub fn exit_of_stranger(&self) -> Option<ExitStatus> {
        exited::of_handle(self.fd.as_fd())
    }
}

impl AsFd for ProcessHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl ProcessHandle {
    /// The descriptor: readable once the process has ended.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn ended(handle: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(poll::wait(&mut [poll::Interest::new(handle, poll::Readiness::Read)], Some(Duration::ZERO))? > 0)
}

fn read_identity(handle: BorrowedFd<'_>, pid: Option<u32>) -> Result<Identity, OpenError> {
    let shown = match procfs::shown_pid(handle).map_err(OpenError::Other)? {
        ShownPid::Number(number) => number,
        ShownPid::Reaped => return Err(OpenError::Gone),
        ShownPid::Outside => {
            return Err(OpenError::Other(io::Error::other("process is outside this pid namespace")));
        }
    };
    // A hidden process (mount option hidepid) is absent from /proc although it lives.
    let stat = procfs::stat(&shown.to_string()).map_err(OpenError::Denied)?;
    Ok(Identity {
        boot: identity::boot_id().map_err(OpenError::Other)?,
        pidns: identity::pid_namespace().map_err(OpenError::Other)?,
        pid: pid.unwrap_or(shown),
        start: stat.start,
        inode: identity::handle_inode(handle).map_err(OpenError::Other)?,
    })
}

/// `EINVAL` and `ENOENT` are how kernels say that the number belongs to a thread that leads no process.
fn open_error(errno: Errno) -> OpenError {
    match errno {
        Errno::SRCH | Errno::INVAL | Errno::NOENT => OpenError::Gone,
        Errno::NOSYS => OpenError::Unsupported,
        Errno::PERM | Errno::ACCESS => OpenError::Denied(errno.into()),
        _ => OpenError::Other(errno.into()),
    }
}

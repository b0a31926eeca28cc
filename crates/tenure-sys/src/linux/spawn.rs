//! Starts programs: as a child of the caller, or detached from it.
//!
//! The only place of the project that makes processes. A [`Launch`] names all that the new program gets: its whole
//! environment, its directory, its descriptors. Everything that needs memory is prepared before the fork (`plan`); what
//! runs between fork and exec (`inside`) only makes system calls.
//!
//! The new process waits with execve(2) until the caller has read its identity through a handle, so every start returns
//! a handle. If the caller dies before, the new process sees the end of its channel and ends.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use crate::common::discard::best_effort;
use crate::linux::process::ProcessHandle;
use crate::linux::socket;

mod child;
mod error;
mod inside;
mod plan;
mod reset;

pub use crate::common::launch::{Launch, Stream};
pub use child::Child;
pub use error::SpawnError;

use inside::{ChildRole, SpawnStage};
use plan::SpawnPlan;

/// Starts a program that is not the caller's child but that of init or of the nearest subreaper. It leads a new
/// session, and soft limits and scheduling of the caller are not passed on, as far as the system allows to reset them.
///
/// A process in between forks the program, opens its handle while nobody can have waited for it, sends the handle and
/// ends. A caller that is a subreaper becomes the parent after all.
pub fn detached(launch: &Launch<'_>) -> Result<ProcessHandle, SpawnError> {
    let mut plan = SpawnPlan::prepare(&Launch { session: true, ..*launch }).map_err(SpawnError::other)?;
    plan.afresh();
    let channel = StartChannel::open().map_err(SpawnError::other)?;
    let between = channel.fork(&mut plan, ChildRole::Between).map_err(SpawnError::Fork)?;
    let ends = channel.into_parent_ends();
    wait_for(between);
    let handle = match socket::recv_now(ends.release.as_fd(), 1) {
        Ok(mut message) => message.fds.pop(),
        // The process in between was killed, or its report says below what it could not do. A new process, if there is
        // one, still waits and ends with the channel.
        Err(_) => None,
    };
    let Some(handle) = handle else {
        let failed = ends.read_report().map(|(stage, source)| SpawnError::reported(launch, stage, source));
        return Err(
            failed.unwrap_or_else(|| SpawnError::Other(io::Error::other("the forking process was ended")))
        );
    };
    let handle = ProcessHandle::of_unreaped(handle).map_err(SpawnError::handle)?;
    ends.release(launch)?;
    Ok(handle)
}

/// Starts a program as a child of the caller, which is to wait for it.
pub fn child(launch: &Launch<'_>) -> Result<Child, SpawnError> {
    let mut plan = SpawnPlan::prepare(launch).map_err(SpawnError::other)?;
    let channel = StartChannel::open().map_err(SpawnError::other)?;
    let pid = channel.fork(&mut plan, ChildRole::Program).map_err(SpawnError::Fork)?;
    let ends = channel.into_parent_ends();
    let started = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| SpawnError::other(errno.into()))
        .and_then(|fd| ProcessHandle::of_unreaped(fd).map_err(SpawnError::handle))
        .and_then(|handle| ends.release(launch).map(|()| Child::new(handle)));
    if started.is_err() {
        // The channel is closed, so the process ends by itself.
        wait_for(pid);
    }
    started
}

/// Waits for a child that is about to end. A child that somebody else has waited for is an error, and fine.
fn wait_for(child: Pid) {
    best_effort(retry_on_intr(|| waitpid(Some(child), WaitOptions::empty())));
}

/// Both ends of what connects the caller with the new process until execve(2).
struct StartChannel {
    release: OwnedFd,
    released: OwnedFd,
    report: OwnedFd,
    reporter: OwnedFd,
}

/// The caller's ends.
struct ParentPipeEnds {
    release: OwnedFd,
    report: File,
}

impl StartChannel {
    fn open() -> io::Result<Self> {
        let (release, released) = socket::pair()?;
        let (report, reporter) = crate::linux::descriptor::pipe::pipe()?;
        Ok(Self { release, released, report, reporter })
    }

    fn fork(&self, plan: &mut SpawnPlan, role: ChildRole) -> io::Result<Pid> {
        let ends = inside::ChildPipeEnds {
            release: self.release.as_raw_fd(),
            released: self.released.as_raw_fd(),
            reporter: self.reporter.as_raw_fd(),
        };
        inside::fork(plan, role, ends)
    }

    /// Closes the new process's ends here, so that their last copies are in it.
    fn into_parent_ends(self) -> ParentPipeEnds {
        ParentPipeEnds { release: self.release, report: File::from(self.report) }
    }
}

impl ParentPipeEnds {
    /// Lets the new process call execve(2), and waits until it has succeeded or reported a failure.
    fn release(self, launch: &Launch<'_>) -> Result<(), SpawnError> {
        // If it was killed meanwhile, its handle tells so later; here its channel ends without a report.
        best_effort(socket::send(self.release.as_fd(), &[1], &[]));
        match self.read_report() {
            None => Ok(()),
            Some((stage, source)) => Err(SpawnError::reported(launch, stage, source)),
        }
    }

    /// Closes the channel and reads the report.
    fn read_report(mut self) -> Option<(SpawnStage, io::Error)> {
        drop(self.release);
        // Reads to the end of the pipe, which comes when the new process has closed all that it inherited: after a
        // failed start nothing of it is left.
        let mut report = Vec::new();
        self.report.read_to_end(&mut report).ok()?;
        inside::read_report(*report.first_chunk()?)
    }
}

//! Starts programs: as a child of the caller, or detached from it.
//!
//! This is the only place of the project that makes processes. What the new program gets is said in full by a
//! [`Launch`]: its whole environment, its directory, its descriptors and nothing besides. Everything that needs memory
//! is prepared before the fork (room `plan`); what runs between fork and exec (room `inside`) only makes system calls.
//!
//! The new process waits before it becomes the program until the caller has read its identity through a handle, so no
//! start returns without a handle, and a caller that dies in between leaves nothing: the new process sees the end of
//! its pipe and is gone.

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

/// Starts a program that is nobody's child: not the caller's, and not for longer than a moment anyone's but the
/// system's. It leads a new session, and nothing of how the caller happens to be scheduled or limited is passed on where the
/// system allows to put it back.
///
/// A process in between forks it, opens its handle while it cannot have been waited for, hands the handle over and
/// ends. Orphans go to the nearest subreaper; a caller that is one becomes the parent after all.
pub fn detached(launch: &Launch<'_>) -> Result<ProcessHandle, SpawnError> {
    let mut plan = SpawnPlan::prepare(&Launch { session: true, ..*launch }).map_err(SpawnError::other)?;
    plan.afresh();
    let rails = Rails::lay().map_err(SpawnError::other)?;
    let between = rails.fork(&mut plan, ChildRole::Between).map_err(SpawnError::Fork)?;
    let line = rails.keep();
    wait_for(between);
    let handle = match socket::recv_now(line.release.as_fd(), 1) {
        Ok(mut message) => message.fds.pop(),
        // It was ended from outside, or reports below what it could not do. The new process, if there is one, is
        // still waiting and ends with the line.
        Err(_) => None,
    };
    let Some(handle) = handle else {
        let failed = line.give_up().map(|(stage, source)| SpawnError::reported(launch, stage, source));
        return Err(
            failed.unwrap_or_else(|| SpawnError::Other(io::Error::other("the forking process was ended")))
        );
    };
    let handle = ProcessHandle::of_unreaped(handle).map_err(SpawnError::handle)?;
    line.go(launch)?;
    Ok(handle)
}

/// Starts a program as a child of the caller, which is to wait for it.
pub fn child(launch: &Launch<'_>) -> Result<Child, SpawnError> {
    let mut plan = SpawnPlan::prepare(launch).map_err(SpawnError::other)?;
    let rails = Rails::lay().map_err(SpawnError::other)?;
    let pid = rails.fork(&mut plan, ChildRole::Program).map_err(SpawnError::Fork)?;
    let line = rails.keep();
    let started = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| SpawnError::other(errno.into()))
        .and_then(|fd| ProcessHandle::of_unreaped(fd).map_err(SpawnError::handle))
        .and_then(|handle| line.go(launch).map(|()| Child::new(handle)));
    if started.is_err() {
        // The line is closed, so the process ends by itself.
        wait_for(pid);
    }
    started
}

/// Waits for a child that is about to end. If somebody else has waited for it, that is as good.
fn wait_for(child: Pid) {
    best_effort(retry_on_intr(|| waitpid(Some(child), WaitOptions::empty())));
}

/// Both ends of what connects the caller with the new process until it is the program.
struct Rails {
    release: OwnedFd,
    released: OwnedFd,
    report: OwnedFd,
    reporter: OwnedFd,
}

/// The caller's ends.
struct ParentEnds {
    release: OwnedFd,
    report: File,
}

impl Rails {
    fn lay() -> io::Result<Self> {
        let (release, released) = socket::pair()?;
        let (report, reporter) = crate::linux::descriptor::pipe::pipe()?;
        Ok(Self { release, released, report, reporter })
    }

    fn fork(&self, plan: &mut SpawnPlan, role: ChildRole) -> io::Result<Pid> {
        let ends = inside::Ends {
            release: self.release.as_raw_fd(),
            released: self.released.as_raw_fd(),
            reporter: self.reporter.as_raw_fd(),
        };
        inside::fork(plan, role, ends)
    }

    /// Closes the far ends, so that their last copies are in the new process.
    fn keep(self) -> ParentEnds {
        ParentEnds { release: self.release, report: File::from(self.report) }
    }
}

impl ParentEnds {
    /// Lets the new process go on and waits until it is the program, or says why it is not.
    fn go(self, launch: &Launch<'_>) -> Result<(), SpawnError> {
        // If it was killed meanwhile, its handle tells so later; here there is only an end without a report.
        best_effort(socket::send(self.release.as_fd(), &[1], &[]));
        match self.give_up() {
            None => Ok(()),
            Some((stage, source)) => Err(SpawnError::reported(launch, stage, source)),
        }
    }

    /// Closes the line and reads the report.
    fn give_up(mut self) -> Option<(SpawnStage, io::Error)> {
        drop(self.release);
        // On to the end of the pipe, which comes when the new process has let go of all that it had inherited: whoever
        // hears of a failed start may rely on nothing of it being left.
        let mut report = Vec::new();
        self.report.read_to_end(&mut report).ok()?;
        inside::read_report(*report.first_chunk()?)
    }
}

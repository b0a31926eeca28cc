//! `exec`: a command of the spec, with the program's own environment and directory, that ends with 0.

use tenure_core::deadline::Deadline;
use tenure_sys::poll;
use tenure_sys::spawn::Stream;
use tenure_sys::wake::Waker;

use crate::host::command::{Command, NotStarted};

use super::check::{CheckResult, ProgramCheck};
use super::fd::READY_VARIABLE;
use super::kind::{CheckedProgram, ReadinessKind};

/// The command and its arguments.
pub(super) struct Exec(pub(super) Vec<String>);

impl ReadinessKind for Exec {
    /// The command gets no listener and no lock. It carries the program's cookie, so that what it leaves behind is
    /// found like what the program leaves behind.
    fn check(&self, program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        let of_descriptors = |name: &str| name.starts_with("LISTEN_") || name == READY_VARIABLE;
        let variables = program.variables.iter().filter(|(name, _)| !of_descriptors(name)).cloned().collect();
        let (words, cwd) = (self.0.clone(), program.cwd.to_owned());
        Some(Box::new(Command { words, cwd, variables, umask: program.umask }))
    }
}

impl ProgramCheck for Command {
    /// A command that takes too long, or is called off, is ended with its whole group. One whose program cannot be
    /// started, now or later, is hopeless.
    fn ask(&self, limit: &Deadline, off: &Waker) -> CheckResult {
        let shown = self.shown();
        let child = match self.start(Stream::Null) {
            Ok(child) => child,
            Err(NotStarted { why, lasting: true }) => {
                return CheckResult::Hopeless(format!("`{shown}`: {why}"));
            }
            Err(NotStarted { why, lasting: false }) => {
                return CheckResult::Failed(format!("`{shown}`: {why}"));
            }
        };
        let fds = [child.handle().as_fd(), off.as_fd()];
        let waited = poll::wait_readable(fds, Some(limit.remaining()));
        let ended = matches!(waited, Ok([true, _]));
        if !ended {
            Command::kill_group(&child);
        }
        match child.wait() {
            Ok(_) if !ended => CheckResult::Failed(format!("`{shown}` did not end in time")),
            Ok(status) if status.success() => CheckResult::Passed,
            Ok(status) => CheckResult::Failed(format!("`{shown}` ended with {status}")),
            Err(error) => CheckResult::Failed(format!("`{shown}`: {error}")),
        }
    }
}

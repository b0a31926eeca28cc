//! What a kind of readiness is.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use super::check::{CheckTarget, ProgramCheck};
use super::line_search::LineSearch;

/// One kind of readiness: how a host learns that its program serves. Each kind works in one way, and leaves the methods
/// of the others as they are.
pub(in crate::host) trait ReadinessKind {
    /// A check that is asked until it passes.
    fn check(&self, _program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        None
    }

    /// What is awaited where nothing is asked, and, in words that follow it, that it has not come.
    fn awaited(&self) -> (String, &'static str) {
        (String::new(), "")
    }

    /// After how long a program that runs counts as ready.
    fn counts_after(&self) -> Option<Duration> {
        None
    }

    /// What is looked for in the program's output.
    fn line_search(&self) -> Option<LineSearch> {
        None
    }

    /// Whether each start gets a pipe on which the program tells.
    fn wants_pipe(&self) -> bool {
        false
    }

    /// The variable that names to the program where it is to tell. `descriptor` is the number of its end of the pipe.
    fn variable(&self, _descriptor: usize) -> Option<(&'static str, String)> {
        None
    }

    /// A start begins: what the one before it has told does not count.
    fn begin(&mut self) {}

    /// Takes our end of the pipe of the start that began.
    fn take_pipe(&mut self, _pipe: OwnedFd) {}

    /// Readable when the program has told something.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Takes what the program has told, in its order.
    fn read(&mut self) -> Vec<ReadinessMessage> {
        Vec::new()
    }
}

/// What a check needs to know of the program that it concerns.
pub(in crate::host) struct CheckedProgram<'a> {
    /// The listener that it asks, where it asks one.
    pub(in crate::host) target: Option<CheckTarget>,
    pub(in crate::host) cwd: &'a Path,
    pub(in crate::host) variables: &'a [(String, String)],
    pub(in crate::host) umask: u32,
    /// Its soft limit of open files.
    pub(in crate::host) nofile: u64,
}

/// What a program tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum ReadinessMessage {
    /// It is ready.
    Ready,
    /// The version that it is, as it says it.
    Version(String),
    /// How it is, for people.
    Status(String),
    /// It tells nothing any more, and has not said that it is ready.
    Silent,
}

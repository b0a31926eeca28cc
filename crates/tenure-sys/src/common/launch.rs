//! What a new program gets. Data only.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// What one of the three standard streams is to be.
#[derive(Clone, Copy, Debug)]
pub enum Stream<'a> {
    /// `/dev/null`.
    Null,
    /// This descriptor; the caller's stays open.
    Fd(BorrowedFd<'a>),
    /// The caller's own.
    Inherit,
}

/// Everything that a new program gets. There is no `Debug`: an environment may hold secrets.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    /// The program file. It is not searched for; if it is relative, then to `cwd`.
    pub program: &'a Path,
    /// Its `argv[0]`, if that is not the path.
    pub arg0: Option<&'a OsStr>,
    /// Its arguments.
    pub args: &'a [OsString],
    /// Its whole environment.
    pub env: &'a [(OsString, OsString)],
    /// Its working directory.
    pub cwd: &'a Path,
    /// Its standard input.
    pub stdin: Stream<'a>,
    /// Its standard output.
    pub stdout: Stream<'a>,
    /// Its standard error.
    pub stderr: Stream<'a>,
    /// What becomes its descriptors 3, 4, 5, …; every other one is closed.
    pub fds: &'a [BorrowedFd<'a>],
    /// Its umask, if not the caller's.
    pub umask: Option<u32>,
    /// Whether it leads a new session, without a terminal. A detached start always does.
    pub session: bool,
    /// Its soft limit of open descriptors, if not the caller's; cut to the hard one.
    pub nofile: Option<u64>,
    /// A variable that is to hold its own pid, such as `LISTEN_PID`.
    pub pid_env: Option<&'a str>,
}

impl<'a> Launch<'a> {
    /// A program without arguments, environment, streams or descriptors; set the rest by struct update syntax.
    #[must_use]
    pub fn new(program: &'a Path, cwd: &'a Path) -> Self {
        Self {
            program,
            arg0: None,
            args: &[],
            env: &[],
            cwd,
            stdin: Stream::Null,
            stdout: Stream::Null,
            stderr: Stream::Null,
            fds: &[],
            umask: None,
            session: false,
            nofile: None,
            pid_env: None,
        }
    }
}

//! Starts programs: as a child of the caller, or detached from it.
//!
//! This is the only place of the project that makes processes. What the new program gets is said in full by a
//! [`Launch`]: its whole environment, its directory, its descriptors and nothing besides. Everything that needs memory
//! is prepared before the fork (room `plan`); what runs between fork and exec (room `inside`) only makes system calls.
//!
//! The new process waits before it becomes the program until the caller has read its identity through a handle, so no
//! start returns without a handle, and a caller that dies in between leaves nothing: the new process sees the end of
//! its pipe and is gone.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::limits;
use crate::process::{OpenError, ProcessHandle};
use crate::socket;

mod child;
mod inside;
mod plan;

pub use child::Child;

use inside::{Role, Stage};
use plan::Plan;

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
    /// Its name for itself, if that is not the path.
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
    /// A program without arguments, environment, streams or descriptors; for the rest, update syntax.
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

/// Why a program was not started. Nothing of it is left.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The program, or the interpreter that its first line names, is not there.
    #[error("start {}, which does not exist or names an interpreter that does not", program.display())]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// It is there and cannot be run.
    #[error("start {}, which cannot be executed", program.display())]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Its working directory cannot be entered.
    #[error("start a program in {}", cwd.display())]
    BadDirectory {
        /// The directory.
        cwd: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused to run it for another reason.
    #[error("start {}", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There are no free descriptors.
    #[error("start a program without free descriptors (soft limit {soft}, hard limit {hard})")]
    Descriptors {
        /// The soft limit of the caller.
        soft: u64,
        /// The hard limit of the caller.
        hard: u64,
    },
    /// No process could be made.
    #[error("make a process")]
    Fork(#[source] io::Error),
    /// Anything else.
    #[error("prepare a process")]
    Other(#[source] io::Error),
}

impl SpawnError {
    fn other(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => {
                let (soft, hard) = limits::nofile();
                Self::Descriptors { soft, hard }
            }
            _ => Self::Other(error),
        }
    }

    fn handle(error: OpenError) -> Self {
        match error {
            OpenError::Denied(error) | OpenError::Other(error) => Self::other(error),
            OpenError::Gone | OpenError::Unsupported => Self::Other(io::Error::other(error)),
        }
    }

    fn reported(launch: &Launch<'_>, stage: Stage, source: io::Error) -> Self {
        let program = launch.program.to_owned();
        match (stage, source.raw_os_error()) {
            (_, Some(libc::EMFILE | libc::ENFILE)) => Self::other(source),
            (Stage::Fork, _) => Self::Fork(source),
            (Stage::Directory, _) => Self::BadDirectory { cwd: launch.cwd.to_owned(), source },
            (Stage::Exec, Some(libc::ENOENT | libc::ENOTDIR)) => Self::NotFound { program },
            (
                Stage::Exec,
                Some(libc::EACCES | libc::EPERM | libc::ENOEXEC | libc::EISDIR | libc::ELIBBAD),
            ) => Self::NotExecutable { program, source },
            (Stage::Exec, _) => Self::Exec { program, source },
            (Stage::Handle | Stage::Descriptors | Stage::Setting, _) => Self::Other(source),
        }
    }
}

/// Starts a program that is nobody's child: not the caller's, and not for longer than a moment anyone's but the
/// system's. It leads a new session.
///
/// A process in between forks it, opens its handle while it cannot have been waited for, hands the handle over and
/// ends. Orphans go to the nearest subreaper; a caller that is one becomes the parent after all.
pub fn detached(launch: &Launch<'_>) -> Result<ProcessHandle, SpawnError> {
    let mut plan = Plan::prepare(&Launch { session: true, ..*launch }).map_err(SpawnError::other)?;
    let rails = Rails::lay().map_err(SpawnError::other)?;
    let between = rails.fork(&mut plan, Role::Between).map_err(SpawnError::Fork)?;
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
    let mut plan = Plan::prepare(launch).map_err(SpawnError::other)?;
    let rails = Rails::lay().map_err(SpawnError::other)?;
    let pid = rails.fork(&mut plan, Role::Program).map_err(SpawnError::Fork)?;
    let line = rails.keep();
    let started = inside::open_handle(pid)
        .map_err(SpawnError::other)
        .and_then(|fd| ProcessHandle::of_unreaped(fd).map_err(SpawnError::handle))
        .and_then(|handle| line.go(launch).map(|()| Child::new(handle)));
    if started.is_err() {
        // The line is closed, so the process ends by itself.
        wait_for(pid);
    }
    started
}

/// Waits for a child that is about to end. If somebody else has waited for it, that is as good.
fn wait_for(pid: libc::pid_t) {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Both ends of what connects the caller with the new process until it is the program.
struct Rails {
    release: OwnedFd,
    released: OwnedFd,
    report: OwnedFd,
    reporter: OwnedFd,
}

/// The caller's ends.
struct Line {
    release: OwnedFd,
    report: File,
}

impl Rails {
    fn lay() -> io::Result<Self> {
        let (release, released) = socket::pair()?;
        let (report, reporter) = crate::pipe::pipe()?;
        Ok(Self { release, released, report, reporter })
    }

    fn fork(&self, plan: &mut Plan, role: Role) -> io::Result<libc::pid_t> {
        let ends = inside::Ends {
            release: self.release.as_raw_fd(),
            released: self.released.as_raw_fd(),
            reporter: self.reporter.as_raw_fd(),
        };
        inside::fork(plan, role, ends)
    }

    /// Closes the far ends, so that their last copies are in the new process.
    fn keep(self) -> Line {
        Line { release: self.release, report: File::from(self.report) }
    }
}

impl Line {
    /// Lets the new process go on and waits until it is the program, or says why it is not.
    fn go(self, launch: &Launch<'_>) -> Result<(), SpawnError> {
        // If it was killed meanwhile, its handle tells so later; here there is only an end without a report.
        socket::send(self.release.as_fd(), &[1], &[]).unwrap_or_default();
        match self.give_up() {
            None => Ok(()),
            Some((stage, source)) => Err(SpawnError::reported(launch, stage, source)),
        }
    }

    /// Closes the line and reads the report to its end.
    fn give_up(mut self) -> Option<(Stage, io::Error)> {
        drop(self.release);
        let mut report = [0_u8; inside::REPORT];
        self.report.read_exact(&mut report).ok()?;
        inside::read_report(report)
    }
}

/// Takes ownership of a descriptor that a system call has just returned.
fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the caller passes the result of a call that makes a descriptor; nobody else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

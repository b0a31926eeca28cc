//! The shim: the small resident parent between a host and its program.
//!
//! It is this very executable, started under the name [`NAME`]; [`crate::init`] keeps it from the rest of `main`.
//!
//! ```text
//! started ──▶ waits for the host's release ──▶ program runs ──▶ ends the tree (`tree`) ──▶ no child is left: exit
//!                      │                            │    ▲
//!                      └── the link closes: exit    └────┘ reaps orphans, tells the program's end
//! ```
//!
//! - The host records the shim before it releases it. The program has a session of its own.
//! - The shim adopts every orphan of the program's tree (subreaper) and reaps it.
//! - It ends the whole tree when the host asks for that, when the program has ended, or when the link closes because
//!   the host is dead.
//! - It ends itself when the kernel says that nothing of the tree is left. Until then it keeps the
//!   lock of the tree: `program` or `program.2`.
//! - It has one thread, no clock but the budget of an end, and writes no file: it reports to the host.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tenure_core::causes;
use tenure_core::fault::{self, Point};
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{ExitStatus, ProcessHandle};
use tenure_sys::signals::SignalFd;
use tenure_sys::spawn::{self, Launch, Stream};
use tenure_sys::tree::Reaped;
use tenure_sys::{fdset, socket, tree as processes};

pub(crate) mod message;
mod tree;

pub use message::{LONGEST_MESSAGE, Release, ShimEvent, ShimRequest};

use tree::{Killed, TreeEnd};

/// The name (`argv[0]`) under which an executable is the shim.
pub const NAME: &str = tenure_core::spec::program::SHIM;

/// Place of each inherited descriptor, from 3.
pub mod descriptor {
    /// The link to the host.
    pub const LINK: usize = 0;
    /// The lock of the program's tree.
    pub const LOCK: usize = 1;
    /// First of those that the program gets from 3 on, the lock after the last of them.
    pub const FIRST_OF_PROGRAM: usize = 2;
}

/// Exit codes of a shim. Its host learns from the link what happened, and from the code only whether nothing of the
/// program is left ([`proved_its_end`]).
mod code {
    pub(super) const TREE_GONE: i32 = 0;
    pub(super) const NOT_STARTED: i32 = 1;
    pub(super) const BROKEN: i32 = 2;
}

/// Whether a shim that ended like this has proved that nothing of its program is left.
#[must_use]
pub fn proved_its_end(status: ExitStatus) -> bool {
    matches!(status.code, Some(code::TREE_GONE | code::NOT_STARTED))
}

/// The whole life of a shim, from its descriptors to the end of the tree. `arguments` follow the name: the number of
/// descriptors, then words for people.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let count = arguments.next().and_then(|count| count.to_str()?.parse().ok());
    let Some(mut shim) = count.and_then(|count| ShimState::take(count).ok()) else { return code::BROKEN };
    fault::reach(Point::ShimStarted);
    let Some(release) = shim.await_release() else { return code::NOT_STARTED };
    fault::reach(Point::ShimReleased);

    let program = match shim.start(&release) {
        Ok(program) => program,
        Err(NotStarted { message, lasting }) => {
            shim.tell(&ShimEvent::CannotRun { message, lasting });
            return code::NOT_STARTED;
        }
    };
    fault::reach(Point::ShimProgramStarted);
    shim.tell(&ShimEvent::Runs { identity: program.identity().clone() });
    match shim.keep(program, &release) {
        Ok(()) => code::TREE_GONE,
        Err(_) => code::BROKEN,
    }
}

/// What a shim holds.
struct ShimState {
    link: OwnedFd,
    lock: OwnedFd,
    for_program: Vec<OwnedFd>,
    signals: SignalFd,
}

impl ShimState {
    /// Takes the inherited descriptors, and from now on the signals: a terminal's interrupt is not meant for the shim.
    fn take(count: usize) -> io::Result<Self> {
        let mut inherited = fdset::take_inherited(count)?;
        let signals = SignalFd::for_termination_and_children()?;
        if inherited.len() < descriptor::FIRST_OF_PROGRAM {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let for_program = inherited.split_off(descriptor::FIRST_OF_PROGRAM);
        let lock = inherited.remove(descriptor::LOCK);
        let link = inherited.remove(descriptor::LINK);
        Ok(Self { link, lock, for_program, signals })
    }

    /// The release; `None` when the host died first.
    fn await_release(&self) -> Option<Box<Release>> {
        let received = socket::recv(self.link.as_fd(), LONGEST_MESSAGE).ok()?;
        match serde_json::from_slice(&received.bytes).ok()? {
            ShimRequest::Release(release) => Some(release),
            ShimRequest::Stop { .. } => None,
        }
    }

    /// Starts the program and lets go of what only it needs.
    fn start(&mut self, release: &Release) -> Result<ProcessHandle, NotStarted> {
        let passing = |message| NotStarted { message, lasting: false };
        processes::set_subreaper()
            .map_err(|error| passing(format!("become the parent of orphans: {error}")))?;
        let for_program = std::mem::take(&mut self.for_program);
        let fds: Vec<BorrowedFd<'_>> = for_program.iter().chain([&self.lock]).map(AsFd::as_fd).collect();
        let args: Vec<OsString> = release.arguments.iter().map(OsString::from).collect();
        let env: Vec<(OsString, OsString)> =
            release.variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let launch = Launch {
            arg0: Some(OsStr::new(&release.name)),
            args: &args,
            env: &env,
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
            fds: &fds,
            umask: Some(release.umask),
            session: true,
            nofile: Some(release.nofile),
            pid_env: release.pid_variable.as_deref(),
            ..Launch::new(&release.program, &release.cwd)
        };
        let child = spawn::child(&launch).map_err(|error| NotStarted {
            lasting: error.is_lasting(),
            message: causes::in_one_line(&error),
        })?;
        child.handle().try_clone().map_err(|error| passing(format!("keep the program's handle: {error}")))
    }

    /// Sends a message to the host. A failure is ignored: the wait for the link notices that the host is gone.
    fn tell(&self, event: &ShimEvent) {
        if let Ok(bytes) = serde_json::to_vec(event) {
            best_effort(socket::send(self.link.as_fd(), &bytes, &[]));
        }
    }

    /// Waits for ends and for the host, until nothing of the tree is left.
    fn keep(&self, program: ProcessHandle, release: &Release) -> io::Result<()> {
        let mut program = Some(program);
        let mut ending: Option<TreeEnd> = None;
        loop {
            let asked = self.wait(ending.as_ref())?;
            if let Some(grace) = asked.filter(|_| ending.is_none()) {
                fault::reach(Point::ShimEnding);
                let grace = grace.min(release.stop.grace.duration());
                ending = Some(TreeEnd::ask(program.as_ref(), release.stop.signal, grace));
            }
            let reaped = self.reap(&mut program)?;
            if reaped == Family::Gone {
                return Ok(());
            }
            if program.is_none() && ending.is_none() {
                fault::reach(Point::ShimEnding);
                // The program may be a wrapper whose child serves, and that child was not asked to end yet.
                let grace = release.stop.grace.duration();
                ending = Some(TreeEnd::ask(None, release.stop.signal, grace));
            }
            if let Some(ending) = &mut ending {
                for Killed { pid, command } in ending.go_on(program.as_ref()) {
                    self.tell(&ShimEvent::Kills { pid, command });
                }
            }
        }
    }

    /// Waits for a signal, for the next step of an end, and, before an end has begun, for the host. Tells the grace
    /// that was asked for; a host that died asks for all of it.
    fn wait(&self, ending: Option<&TreeEnd>) -> io::Result<Option<Duration>> {
        let signals = Interest::new(self.signals.as_fd(), Readiness::Read);
        let mut interests = vec![signals];
        if ending.is_none() {
            interests.push(Interest::new(self.link.as_fd(), Readiness::Read));
        }
        poll::wait(&mut interests, ending.and_then(TreeEnd::patience))?;
        let host = interests.get(1).is_some_and(Interest::ready);
        while self.signals.read().is_some() {}
        Ok(if host { Some(self.grace_asked()) } else { None })
    }

    fn grace_asked(&self) -> Duration {
        let request = socket::recv(self.link.as_fd(), LONGEST_MESSAGE)
            .ok()
            .and_then(|received| serde_json::from_slice(&received.bytes).ok());
        match request {
            Some(ShimRequest::Stop { grace_ms }) => Duration::from_millis(grace_ms),
            Some(ShimRequest::Release(_)) | None => Duration::MAX,
        }
    }

    /// Reaps all that have ended; the program's own end is told at once.
    fn reap(&self, program: &mut Option<ProcessHandle>) -> io::Result<Family> {
        loop {
            match processes::reap_any()? {
                // Children of other scopes' workers, which a subreaper inherits, are not waited for.
                Reaped::NoneReady if program.is_none() && tree::family().is_empty() => {
                    return Ok(Family::Gone);
                }
                Reaped::NoneReady => return Ok(Family::Lives),
                Reaped::NoChildren => return Ok(Family::Gone),
                Reaped::One(pid, status) => {
                    if program.take_if(|program| program.pid() == pid).is_some() {
                        self.tell(&ShimEvent::Exited { status });
                    }
                }
            }
        }
    }
}

/// A program that could not be started.
struct NotStarted {
    message: String,
    /// Another try fails likewise, until somebody changes what is on disk.
    lasting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Lives,
    Gone,
}

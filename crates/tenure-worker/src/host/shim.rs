//! The shim: the small resident parent between a host and its program.
//!
//! It is this very executable, started under the name [`NAME`]; [`crate::init`] keeps it from the rest of `main`.
//!
//! ```text
//! started ──▶ waits for the host's release ──▶ program runs ──▶ ends the tree (`tree`) ──▶ no child is left: exit
//!                      │          │    ▲            │    ▲                 ▲
//!                      │          └────┘            └────┘ reaps orphans,  │ `before_start` fails
//!                      │      `before_start`               tells the end ──┘ or is asked to end
//!                      └── the link closes: exit
//! ```
//!
//! - The host records the shim before it releases it. The program has a session of its own.
//! - The shim adopts every orphan of the program's tree (subreaper) and reaps it.
//! - It ends the whole tree when the host asks for that, when the program has ended, or when the link closes because
//!   the host is dead.
//! - It ends itself when the kernel says that nothing of the tree is left. Until then it keeps the
//!   lock of the tree: `program` or `program.2`.
//! - It has one thread, no clock but the budget of an end, and writes no file: it reports to the host.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tenure_core::fault::{self, Point};
use tenure_core::spec::Stdin;
use tenure_core::{causes, os_text};
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{ExitStatus, ProcessHandle};
use tenure_sys::signals::SignalFd;
use tenure_sys::spawn::{self, Launch, Stream};
use tenure_sys::tree::Reaped;
use tenure_sys::{fdset, pipe, socket, tree as processes};

pub(crate) mod message;
mod tree;

pub use message::{LONGEST_MESSAGE, LeftProcess, Release, ReleasedCommand, ShimEvent, ShimRequest};

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

    let program = match shim.run_before(&release).and_then(|()| shim.start(&release.command, &release)) {
        Ok(program) => program,
        Err(NotStarted { message, lasting }) => {
            shim.tell(&ShimEvent::CannotRun { message, lasting });
            return code::NOT_STARTED;
        }
    };
    shim.let_go();
    fault::reach(Point::ShimProgramStarted);
    shim.tell(&ShimEvent::Runs { identity: program.identity().clone() });
    match shim.keep(program, &release, Task::Program) {
        Ok(_) => code::TREE_GONE,
        Err(_) => code::BROKEN,
    }
}

/// What a shim holds.
struct ShimState {
    link: OwnedFd,
    lock: OwnedFd,
    for_program: Vec<OwnedFd>,
    /// Both ends of a standard input that stays open.
    stdin: Option<(OwnedFd, OwnedFd)>,
    signals: SignalFd,
}

/// What a shim's child is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// The command before the program.
    Before,
    Program,
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
        Ok(Self { link, lock, for_program, stdin: None, signals })
    }

    /// The release; `None` when the host died first.
    fn await_release(&self) -> Option<Box<Release>> {
        let received = socket::recv_long(self.link.as_fd(), LONGEST_MESSAGE).ok()?;
        match serde_json::from_slice(&received).ok()? {
            ShimRequest::Release(release) => Some(release),
            ShimRequest::Stop { .. } => None,
        }
    }

    /// Prepares for children, and runs the command before the program, where there is one. What that leaves running
    /// belongs to the program's tree. Where it fails, nothing of it is left.
    fn run_before(&mut self, release: &Release) -> Result<(), NotStarted> {
        processes::set_subreaper()
            .map_err(|error| NotStarted::passing(format!("become the parent of orphans: {error}")))?;
        if release.stdin == Stdin::Open {
            let ends = pipe::pipe();
            self.stdin =
                Some(ends.map_err(|error| NotStarted::passing(format!("open its standard input: {error}")))?);
        }
        let Some(command) = &release.before else { return Ok(()) };
        let named = |why| NotStarted::passing(format!("run `before_start` ({}): {why}", command.name));
        let child = self.start(command, release)?;
        match self.keep(child, release, Task::Before) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(named(format!("it ended with {status}"))),
            Ok(None) => Err(named("it was asked to end".to_owned())),
            Err(error) => Err(named(error.to_string())),
        }
    }

    /// Closes what only the program needs.
    fn let_go(&mut self) {
        self.for_program.clear();
        // The program has the other end; a write end is kept for as long as this process lives.
        if let Some((read, write)) = self.stdin.take() {
            drop(read);
            self.for_program.push(write);
        }
    }

    /// Starts one command, with all that the program gets.
    fn start(&self, command: &ReleasedCommand, release: &Release) -> Result<ProcessHandle, NotStarted> {
        let fds: Vec<BorrowedFd<'_>> = self.for_program.iter().chain([&self.lock]).map(AsFd::as_fd).collect();
        let name = os_text::os(&command.name);
        let args: Vec<OsString> =
            command.arguments.iter().map(|word| os_text::os(word).into_owned()).collect();
        let env = os_text::variables(release.variables.iter().map(|(name, value)| (name, value)));
        let launch = Launch {
            arg0: Some(&name),
            args: &args,
            env: &env,
            stdin: self.stdin.as_ref().map_or(Stream::Null, |(read, _)| Stream::Fd(read.as_fd())),
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
            fds: &fds,
            umask: Some(release.umask),
            session: true,
            nofile: Some(release.nofile),
            pid_env: release.pid_variable.as_deref(),
            ..Launch::new(&command.program, &release.cwd)
        };
        let child = spawn::child(&launch).map_err(|error| NotStarted {
            lasting: error.is_lasting(),
            message: causes::in_one_line(&error),
        })?;
        child
            .handle()
            .try_clone()
            .map_err(|error| NotStarted::passing(format!("keep the program's handle: {error}")))
    }

    /// Sends a message to the host. A failure is ignored: the wait for the link notices that the host is gone.
    fn tell(&self, event: &ShimEvent) {
        if let Ok(bytes) = serde_json::to_vec(event) {
            best_effort(socket::send_long(self.link.as_fd(), &bytes));
        }
    }

    /// Waits for ends and for the host, until nothing of the tree is left; after a command before the program that
    /// succeeds, only for its end. Returns how the child ended, where it ended by itself.
    fn keep(&self, child: ProcessHandle, release: &Release, task: Task) -> io::Result<Option<ExitStatus>> {
        let mut program = Some(child);
        let mut ended = None;
        let mut ending: Option<TreeEnd> = None;
        loop {
            let asked = self.wait(ending.as_ref())?;
            if let Some(grace) = asked.filter(|_| ending.is_none()) {
                fault::reach(Point::ShimEnding);
                let grace = grace.min(release.stop.grace.duration());
                ending = Some(TreeEnd::ask(program.as_ref(), release.stop.signal, grace));
            }
            let (family, status) = Self::reap(&mut program)?;
            if let Some(status) = status {
                ended = ending.is_none().then_some(status);
                match task {
                    Task::Program => {
                        let left =
                            if status.success() && ending.is_none() { tree::left() } else { Vec::new() };
                        self.tell(&ShimEvent::Exited { status, left });
                    }
                    Task::Before if ending.is_none() && status.success() => return Ok(ended),
                    Task::Before => {}
                }
            }
            if family == Family::Gone {
                return Ok(ended);
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
        let request = socket::recv_long(self.link.as_fd(), LONGEST_MESSAGE)
            .ok()
            .and_then(|received| serde_json::from_slice(&received).ok());
        match request {
            Some(ShimRequest::Stop { grace_ms }) => Duration::from_millis(grace_ms),
            Some(ShimRequest::Release(_)) | None => Duration::MAX,
        }
    }

    /// Reaps all that have ended, and returns whether anything of the tree lives, and how the child ended if it did now.
    fn reap(child: &mut Option<ProcessHandle>) -> io::Result<(Family, Option<ExitStatus>)> {
        let mut ended = None;
        loop {
            match processes::reap_any()? {
                // Children of other scopes' workers, which a subreaper inherits, are not waited for.
                Reaped::NoneReady if child.is_none() && tree::family().is_empty() => {
                    return Ok((Family::Gone, ended));
                }
                Reaped::NoneReady => return Ok((Family::Lives, ended)),
                Reaped::NoChildren => return Ok((Family::Gone, ended)),
                Reaped::One(pid, status) => {
                    if child.take_if(|child| child.pid() == pid).is_some() {
                        ended = Some(status);
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

impl NotStarted {
    /// A failure that another try may not have.
    fn passing(message: String) -> Self {
        Self { message, lasting: false }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Lives,
    Gone,
}

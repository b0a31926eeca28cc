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
//! - Of a program that puts itself into the background, another process than the first is the main one (`main_process`).
//! - The shim adopts every orphan of the program's tree (subreaper) and reaps it.
//! - It ends the whole tree when the host asks for that, when the program has ended, or when the link closes because
//!   the host is dead.
//! - It ends itself when the kernel says that nothing of the tree is left. Until then it keeps the
//!   lock of the tree: `program` or `program.2`.
//! - It has one thread, no clock but the budget of an end, and writes no file: it reports to the host. The pid file of its program is
//!   the only file that it removes.

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

mod main_process;
pub(crate) mod message;
mod tree;

pub use message::{LONGEST_MESSAGE, LeftProcess, Release, ReleasedCommand, ShimEvent, ShimRequest};

use main_process::{AfterEnd, MainProcess, Unknown};
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

    let started = shim.run_before(&release).and_then(|()| {
        let main = MainProcess::of(&release.forking, &release.cwd);
        Ok((shim.start(&release.command, &release)?, main))
    });
    let (program, main) = match started {
        Ok(started) => started,
        Err(NotStarted { message, lasting }) => {
            shim.tell(&ShimEvent::CannotRun { message, lasting });
            return code::NOT_STARTED;
        }
    };
    shim.let_go();
    fault::reach(Point::ShimProgramStarted);
    shim.tell(&ShimEvent::Runs { identity: program.identity().clone() });
    match shim.keep(KeptTree::of(program, main), &release, Task::Program) {
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
        match self.keep(KeptTree::of(child, None), release, Task::Before) {
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
    fn keep(&self, mut kept: KeptTree, release: &Release, task: Task) -> io::Result<Option<ExitStatus>> {
        loop {
            let asked = self.wait(&kept)?;
            if let Some(grace) = asked.filter(|_| kept.ending.is_none()) {
                fault::reach(Point::ShimEnding);
                kept.ask(release, grace);
            }
            let (family, status) = kept.reap()?;
            if let Some(status) = status {
                match task {
                    Task::Program => self.program_ended(&mut kept, status),
                    Task::Before if kept.ending.is_none() && status.success() => return Ok(Some(status)),
                    Task::Before => kept.ended = kept.ending.is_none().then_some(status),
                }
            }
            if family == Family::Gone {
                self.tree_gone(&mut kept);
                return Ok(kept.ended);
            }
            let is_sought = kept.is_sought();
            if is_sought {
                self.seek_main(&mut kept);
            } else if kept.child.is_none() && kept.ending.is_none() {
                fault::reach(Point::ShimEnding);
                // The program may be a wrapper whose child serves, and that child was not asked to end yet.
                kept.ask(release, Duration::MAX);
            }
            if let Some(ending) = &mut kept.ending {
                for Killed { pid, command } in ending.go_on(kept.child.as_ref()) {
                    self.tell(&ShimEvent::Kills { pid, command });
                }
            }
        }
    }

    /// The first process of the program has ended, or its main process.
    fn program_ended(&self, kept: &mut KeptTree, status: ExitStatus) {
        let by_itself = kept.ending.is_none();
        let main = kept.main.as_mut().filter(|_| by_itself);
        match main.map_or(AfterEnd::Over, |main| main.ended(status)) {
            AfterEnd::Next(main) => self.found_main(kept, main),
            AfterEnd::Sought => {}
            AfterEnd::Over => {
                kept.ended = by_itself.then_some(status);
                let is_told = status.success() && by_itself && kept.main.is_none();
                let left = if is_told { tree::left() } else { Vec::new() };
                self.tell(&ShimEvent::Exited { status, left });
            }
        }
    }

    fn seek_main(&self, kept: &mut KeptTree) {
        match kept.main.as_mut().map(MainProcess::look) {
            Some(Ok(main)) => self.found_main(kept, main),
            Some(Err(Some(Unknown { pid_file, left }))) => self.tell(&ShimEvent::NoMain { pid_file, left }),
            Some(Err(None)) | None => {}
        }
    }

    fn found_main(&self, kept: &mut KeptTree, main: ProcessHandle) {
        self.tell(&ShimEvent::Main { identity: main.identity().clone() });
        kept.child = Some(main);
    }

    /// Nothing of the tree lives: removes its pid file, and tells the end of a program whose main process was never
    /// known.
    fn tree_gone(&self, kept: &mut KeptTree) {
        let is_sought = kept.is_sought();
        let Some(main) = &kept.main else { return };
        main.remove_file();
        if is_sought {
            let status = main.last_end();
            kept.ended = Some(status);
            self.tell(&ShimEvent::Exited { status, left: Vec::new() });
        }
    }

    /// Waits for a signal, for the next step of an end, for what tells the main process, and, before an end has begun,
    /// for the host. Tells the grace that was asked for; a host that died asks for all of it.
    fn wait(&self, kept: &KeptTree) -> io::Result<Option<Duration>> {
        let readable = |fd| Interest::new(fd, Readiness::Read);
        let mut interests = vec![readable(self.signals.as_fd())];
        if kept.ending.is_none() {
            interests.push(readable(self.link.as_fd()));
        }
        if let Some(main) = &kept.main {
            interests.extend(main.changes().map(readable));
            // One that is no child of this process brings no signal.
            interests.extend(kept.child.as_ref().map(|child| readable(child.as_fd())));
        }
        poll::wait(&mut interests, kept.ending.as_ref().and_then(TreeEnd::patience))?;
        let host = kept.ending.is_none() && interests.get(1).is_some_and(Interest::ready);
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
}

/// A child and what descends from it.
struct KeptTree {
    /// The command before the program; the program, which is its main process once that is known.
    child: Option<ProcessHandle>,
    /// Of a program that puts itself into the background.
    main: Option<MainProcess>,
    /// How the child ended, where it ended by itself.
    ended: Option<ExitStatus>,
    ending: Option<TreeEnd>,
}

impl KeptTree {
    fn of(child: ProcessHandle, main: Option<MainProcess>) -> Self {
        Self { child: Some(child), main, ended: None, ending: None }
    }

    /// Whether the program goes on though its main process is not known.
    fn is_sought(&self) -> bool {
        self.ending.is_none() && self.main.as_ref().is_some_and(MainProcess::is_sought)
    }

    /// Begins the end, with at most `grace`.
    fn ask(&mut self, release: &Release, grace: Duration) {
        if let (Some(main), Some(child)) = (&mut self.main, &self.child) {
            main.asked_to_end(child);
        }
        let grace = grace.min(release.stop.grace.duration());
        self.ending = Some(TreeEnd::ask(self.child.as_ref(), release.stop.signal, grace));
    }

    /// Reaps all that have ended, and returns whether anything of the tree lives, and how the child ended if it did now.
    fn reap(&mut self) -> io::Result<(Family, Option<ExitStatus>)> {
        let (family, ended) = self.reap_children()?;
        if self.main.is_none() || ended.is_some() {
            return Ok((family, ended));
        }
        let Some(main) = self.child.take_if(|child| child.has_ended()) else { return Ok((family, None)) };
        // It ended after the look above, or is the child of another process of the tree, which may tell nobody how.
        let pid = main.pid();
        self.child = Some(main);
        let (family, ended) = self.reap_children()?;
        let stranger = self.child.take_if(|child| child.pid() == pid);
        let unknown = ExitStatus { code: None, signal: None, core: false };
        let ended = ended.or(stranger.map(|main| main.exit_of_stranger().unwrap_or(unknown)));
        Ok((family, ended))
    }

    fn reap_children(&mut self) -> io::Result<(Family, Option<ExitStatus>)> {
        let mut ended = None;
        loop {
            match processes::reap_any()? {
                // Children of other scopes' workers, which a subreaper inherits, are not waited for.
                Reaped::NoneReady if self.child.is_none() && tree::family().is_empty() => {
                    return Ok((Family::Gone, ended));
                }
                Reaped::NoneReady => return Ok((Family::Lives, ended)),
                Reaped::NoChildren => return Ok((Family::Gone, ended)),
                Reaped::One(pid, status) => {
                    if self.child.take_if(|child| child.pid() == pid).is_some() {
                        ended = Some(status);
                    } else if let Some(main) = &mut self.main {
                        main.note_end(status);
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

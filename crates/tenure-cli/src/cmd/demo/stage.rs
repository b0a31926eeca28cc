//! The stage of the demo: a throw-away state directory, and real `tenure` processes that work in it.
//!
//! Every wait also listens for Ctrl-C, so that what was started is always ended and the directory removed. Processes
//! are killed only through handles whose identity was verified.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tenure_core::deadline::Deadline;
use tenure_core::launch::ask::probe;
use tenure_core::policy::decide::Observation;
use tenure_core::protocol::wire::{Endpoint, Hello};
use tenure_core::spec::scope::{COOKIE_VARIABLE, cookie_prefix};
use tenure_core::store::paths::{self, StateDir};
use tenure_core::{Scope, Spec};
use tenure_sys::dir::Dir;
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{self, ExitStatus, ProcessHandle, Signal, Verified};
use tenure_sys::signals::SignalFd;
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::{limits, pipe, random, tree};

/// What any one process of the demo may take; all of it is to be over in half a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// The system does not give what is needed.
    #[error("set the stage: {what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Ctrl-C, or a request to end.
    #[error("finish the demo: it was interrupted")]
    Interrupted,
    /// Something took longer than it may.
    #[error("finish the demo: `tenure {command}` took longer than {PATIENCE:?}")]
    TimedOut {
        /// What was typed.
        command: String,
    },
    /// An answer is no document.
    #[error("understand the answer of `tenure {command}`: {text:?}")]
    Answer {
        /// What was typed.
        command: String,
        /// What it said.
        text: String,
    },
    /// What was promised did not hold.
    #[error("show what was promised: {0}")]
    Promise(String),
}

/// Names what was being done when the system refused.
pub(super) fn io(what: &'static str) -> impl Fn(io::Error) -> StageError {
    move |source| StageError::Io { what, source }
}

/// The part of a document of `ensure` that the demo looks at.
#[derive(Debug, Deserialize)]
pub(super) struct DemoAnswer {
    pub(super) state: String,
    pub(super) pid: Option<u32>,
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub(super) warnings: Vec<DemoMessage>,
    pub(super) error: Option<DemoMessage>,
    /// Its own account of the time that it took.
    #[serde(default)]
    pub(super) took_us: u64,
}

/// The part of a failure or a warning that the demo shows.
#[derive(Debug, Deserialize)]
pub(super) struct DemoMessage {
    pub(super) kind: String,
    pub(super) message: String,
    #[serde(default)]
    pub(super) last_words: Vec<String>,
}

/// The stage; dropping it ends everything on it and removes the directory.
pub(super) struct DemoStage {
    root: PathBuf,
    executable: PathBuf,
    environment: Vec<(OsString, OsString)>,
    signals: SignalFd,
    scopes: Vec<Scope>,
}

/// A `tenure` process that was started.
pub(super) struct Launcher {
    command: String,
    child: Child,
    stdin: Option<File>,
    stdout: File,
}

impl DemoStage {
    /// Sets the stage for these scopes.
    pub(super) fn set(scopes: &[&Scope]) -> Result<Self, StageError> {
        let signals = SignalFd::for_termination().map_err(io("listen for Ctrl-C"))?;
        // Fifty processes at once have their ends here; a lower limit shows itself as an error.
        best_effort(limits::set_nofile_soft(u64::MAX));
        let name = random::hex(8).map_err(io("choose a name"))?;
        let root = std::env::temp_dir().join(format!("tenure-demo-{name}"));
        let made = Dir::create_private(&root).map_err(io::Error::other);
        made.map_err(io("make a throw-away state directory"))?;
        let executable = std::env::current_exe().map_err(io("find this executable"))?;
        let ours = |name: &OsString| name.as_encoded_bytes().starts_with(b"TENURE_");
        let mut environment: Vec<_> = std::env::vars_os().filter(|(name, _)| !ours(name)).collect();
        environment.push((paths::ROOT_VARIABLE.into(), root.clone().into()));
        let scopes = scopes.iter().map(|&scope| scope.clone()).collect();
        Ok(Self { root, executable, environment, signals, scopes })
    }

    /// A spec of the demo's own worker, with these arguments.
    pub(super) fn spec(&self, arguments: &[&str]) -> Spec {
        let command = [&self.executable.to_string_lossy(), "demo-worker"];
        let command = command.iter().chain(arguments).map(|&word| word.to_owned()).collect();
        Spec::of_command(command, self.root.clone())
    }

    /// Starts `tenure` with these arguments, which then waits for its stdin.
    pub(super) fn launch(&self, arguments: &[&str]) -> Result<Launcher, StageError> {
        let (stdin, feed) = pipe::pipe().map_err(io("open a pipe"))?;
        let (collect, stdout) = pipe::pipe().map_err(io("open a pipe"))?;
        let args: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let launch = Launch {
            args: &args,
            env: &self.environment,
            stdin: Stream::Fd(stdin.as_fd()),
            stdout: Stream::Fd(stdout.as_fd()),
            ..Launch::new(&self.executable, &self.root)
        };
        let child = spawn::child(&launch).map_err(io::Error::other).map_err(io("start a launcher"))?;
        let command = arguments.join(" ");
        Ok(Launcher { command, child, stdin: Some(feed.into()), stdout: collect.into() })
    }

    /// Starts a launcher of `spec`, which waits for [`Launcher::release`].
    pub(super) fn ensure(&self, scope: &Scope) -> Result<Launcher, StageError> {
        self.launch(&["ensure", &scope.to_string(), "--json", "--spec", "-"])
    }

    /// A whole call of `ensure`.
    pub(super) fn call(&self, scope: &Scope, spec: &Spec) -> Result<DemoAnswer, StageError> {
        self.ensure(scope)?.release(spec)?.answer(self)
    }

    /// Waits for a descriptor, or for Ctrl-C, which comes first.
    fn wait(&self, fd: BorrowedFd<'_>) -> Result<bool, StageError> {
        let mut waiting =
            [Interest::new(self.signals.as_fd(), Readiness::Read), Interest::new(fd, Readiness::Read)];
        poll::wait(&mut waiting, Some(PATIENCE)).map_err(io("wait"))?;
        if waiting[0].ready() { Err(StageError::Interrupted) } else { Ok(waiting[1].ready()) }
    }

    /// Waits until a process has ended that has nothing left to do.
    pub(super) fn await_end(&self, process: &ProcessHandle) -> Result<(), StageError> {
        if self.wait(process.as_fd())? {
            return Ok(());
        }
        Err(StageError::Promise(format!("pid {} still runs after {PATIENCE:?}", process.pid())))
    }

    /// The worker of a scope, by its own answer.
    pub(super) fn hello(&self, scope: &Scope) -> Result<Box<Hello>, StageError> {
        let seen = self.state(scope).and_then(|state| {
            let stage = Deadline::start(PATIENCE).stage("demo").map_err(io::Error::other)?;
            Ok(probe::observe(&state, stage))
        });
        match seen.map_err(io("ask the worker"))? {
            Observation::Answered(hello) => Ok(hello),
            other @ (Observation::Nobody
            | Observation::Silent
            | Observation::Denied(_)
            | Observation::Foreign(_)) => {
                Err(StageError::Promise(format!("{scope} does not answer ({other:?})")))
            }
        }
    }

    fn state(&self, scope: &Scope) -> io::Result<StateDir> {
        let path = paths::host_directory(&self.root).map_err(io::Error::other)?.join(scope.to_string());
        StateDir::at(&path, scope).map_err(io::Error::other)
    }

    /// Ends a process as `kill -9` does, if it is the one that is meant, and waits until it has ended.
    pub(super) fn kill(&self, identity: &Identity) -> Result<(), StageError> {
        let Verified::Same(handle) = process::verify(identity) else {
            return Err(StageError::Promise(format!("{identity} is not there to be killed")));
        };
        handle.signal(Signal::Kill).map_err(io("kill a process"))?;
        self.wait(handle.as_fd()).map(|_| ())
    }

    /// The processes of a scope that live, found by their cookie.
    pub(super) fn left(&self, scope: &Scope) -> Result<usize, StageError> {
        let state = self.state(scope).map_err(io("look at what is left"))?;
        Ok(tree::with_environ(COOKIE_VARIABLE, &cookie_prefix(&state.id())).len())
    }

    /// Ends every worker; from here on a second Ctrl-C is not heard.
    fn clear(&self) -> Result<(), StageError> {
        for scope in &self.scopes {
            let stop = self.launch(&["stop", &scope.to_string(), "--quiet"])?;
            stop.child.wait_within(PATIENCE).map_err(io("wait for the end of a worker"))?;
        }
        fs::remove_dir_all(&self.root).map_err(io("remove the throw-away state directory"))
    }
}

impl Drop for DemoStage {
    fn drop(&mut self) {
        // The failure that led here is the one to tell.
        best_effort(self.clear());
    }
}

impl Launcher {
    /// Gives it what it waits for.
    pub(super) fn release(mut self, spec: &Spec) -> Result<Self, StageError> {
        let bytes = serde_json::to_vec(spec).map_err(|error| io("write a spec")(error.into()))?;
        if let Some(mut stdin) = self.stdin.take() {
            stdin.write_all(&bytes).map_err(io("feed a launcher"))?;
        }
        Ok(self)
    }

    /// Waits for its end.
    pub(super) fn end(&self, stage: &DemoStage) -> Result<ExitStatus, StageError> {
        if !stage.wait(self.child.handle().as_fd())? {
            return Err(StageError::TimedOut { command: self.command.clone() });
        }
        self.child.wait().map_err(io("wait for a launcher"))
    }

    /// Waits for its end and reads its answer.
    pub(super) fn answer(mut self, stage: &DemoStage) -> Result<DemoAnswer, StageError> {
        self.end(stage)?;
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).map_err(io("read an answer"))?;
        serde_json::from_str(&text).map_err(|_| StageError::Answer { command: self.command, text })
    }
}

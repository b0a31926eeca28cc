//! What a worker process is made from, and spawning it: executable, environment, channel, handshake and log.
//!
//! A worker in an empty scope and a successor differ only in the descriptors that they get. The callers record the
//! worker, and end it if that fails.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use tenure_sys::discard::best_effort;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::socket;
use tenure_sys::spawn::{self, Launch, SpawnError, Stream};

use crate::fault;
use crate::launch::request::Request;
use crate::launch::start::env_file::{self, EnvFileError};
use crate::launch::start::handshake::{DESCRIPTORS_PID_VARIABLE, DESCRIPTORS_VARIABLE, Handshake};
use crate::os_text;
use crate::record::ledger::HostRecord;
use crate::spec::environment::Variables;
use crate::spec::program::{self, NoProgram};
use crate::spec::scope::{self, COOKIE_VARIABLE};
use crate::spec::{KILL_GRACE, Kind, ListenMode, Spec, Umask};
use crate::store::logs;
use crate::store::paths::{self, StateDir};

/// A worker process cannot be made; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The program or the host is not there.
    #[error("find the worker's program")]
    Program(#[source] NoProgram),
    /// The file of variables cannot be used.
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// The process cannot be spawned.
    #[error("spawn the worker")]
    Spawn(#[source] SpawnError),
    /// The handshake cannot be sent, or a log cannot be opened.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What the worker process is made from.
pub(crate) struct SpawnRecipe {
    executable: PathBuf,
    environment: Variables,
}

impl SpawnRecipe {
    /// Finds what a worker of `spec` is made from; `recorded` is the code that kept the last one.
    pub(crate) fn of(
        spec: &Spec,
        request: &Request,
        recorded: Option<&HostRecord>,
    ) -> Result<Self, RecipeError> {
        let environment = environment(spec)?;
        let executable = executable(spec, request, &environment, recorded).map_err(RecipeError::Program)?;
        Ok(Self { executable, environment })
    }

    /// Spawns the worker with the handshake on a channel of its own as its first descriptor and `given` after it; our
    /// end of the channel, and the worker.
    pub(crate) fn spawn(
        self,
        state: &StateDir,
        handshake: &Handshake,
        given: &[BorrowedFd<'_>],
    ) -> Result<(OwnedFd, ProcessHandle), RecipeError> {
        let io = |what| move |source| RecipeError::Io { what, source };
        let (ours, theirs) = socket::pair().map_err(io("open its channel"))?;
        let bytes = serde_json::to_vec(handshake).map_err(|error| io("write its handshake")(error.into()))?;
        socket::send_long(ours.as_fd(), &bytes).map_err(io("send its handshake"))?;
        let log = logs::open_boot_log(state).map_err(io("open its log"))?;

        let fds: Vec<BorrowedFd<'_>> = [theirs.as_fd()].into_iter().chain(given.iter().copied()).collect();
        let mut environment = self.environment;
        environment.insert(DESCRIPTORS_VARIABLE.to_owned(), fds.len().to_string());
        environment
            .insert(COOKIE_VARIABLE.to_owned(), scope::worker_cookie(&state.id(), handshake.generation));
        let environment = os_text::variables(&environment);
        let args = arguments(handshake);
        let launch = Launch {
            program: &self.executable,
            arg0: None,
            args: &args,
            env: &environment,
            cwd: &handshake.spec.cwd,
            stdin: Stream::Null,
            stdout: Stream::Fd(log.as_fd()),
            stderr: Stream::Fd(log.as_fd()),
            fds: &fds,
            umask: Some(match handshake.spec.kind {
                // What it writes is the scope's own, and private.
                Kind::Program => 0o077,
                Kind::Embedded => umask(&handshake.spec),
            }),
            session: true,
            nofile: None,
            pid_env: Some(DESCRIPTORS_PID_VARIABLE),
        };
        let worker = spawn::detached(&launch).map_err(RecipeError::Spawn)?;
        Ok((ours, worker))
    }
}

/// A program's worker is the host; an embedded worker is its own command.
fn arguments(handshake: &Handshake) -> Vec<OsString> {
    match handshake.spec.kind {
        Kind::Program => vec!["host".into(), handshake.scope.to_string().into()],
        Kind::Embedded => {
            handshake.spec.command.iter().skip(1).map(|word| os_text::os(word).into_owned()).collect()
        }
    }
}

/// Names of the listeners that a worker gets, in order.
pub(crate) fn listener_names(spec: &Spec) -> Vec<String> {
    let bound = spec.listen.iter().filter(|listen| listen.mode != ListenMode::SelfBound);
    bound.map(|listen| listen.name.clone()).collect()
}

/// The variables of this launcher that the worker gets. `TENURE_STATE_DIR` is among them, so that commands inside the
/// worker find the same scopes.
fn environment(spec: &Spec) -> Result<Variables, EnvFileError> {
    let mut built = spec.env.build_here();
    env_file::add(spec, &mut built)?;
    for name in [paths::ROOT_VARIABLE].into_iter().chain(fault::variable()) {
        if let Some(value) = std::env::var_os(name) {
            built.insert(name.to_owned(), os_text::text(&value));
        }
    }
    Ok(built)
}

fn executable(
    spec: &Spec,
    request: &Request,
    environment: &Variables,
    recorded: Option<&HostRecord>,
) -> Result<PathBuf, NoProgram> {
    let path = environment.get("PATH").map(String::as_str);
    let command = spec.command.first().map_or("", String::as_str);
    let program = program::resolve(command, &spec.cwd, path)?;
    match spec.kind {
        Kind::Embedded => Ok(program),
        Kind::Program => host(request, recorded),
    }
}

/// Fails if a file that a start needs is missing. Checked before a worker is stopped to make room.
pub(crate) fn check(spec: &Spec, request: &Request) -> Result<(), RecipeError> {
    SpawnRecipe::of(spec, request, None).map(drop)
}

/// The executable that hosts programs. The executable of the last worker comes first if it is newer than this code and
/// still there, so that no older launcher downgrades the host. Else the request names it, or the environment, or PATH.
fn host(request: &Request, recorded: Option<&HostRecord>) -> Result<PathBuf, NoProgram> {
    let root = Path::new("/");
    let newer =
        recorded.filter(|host| host.is_newer_host()).map(|host| program::resolve(&host.exe, root, None));
    if let Some(Ok(newer)) = newer {
        return Ok(newer);
    }
    if let Some(host) = &request.host {
        return Ok(host.clone());
    }
    let variable = |name| std::env::var_os(name).map(|value| os_text::text(&value));
    match variable(program::HOST_VARIABLE).filter(|named| !named.is_empty()) {
        Some(named) => program::resolve(&named, root, None),
        None => program::resolve("tenure", root, variable("PATH").as_deref()),
    }
}

/// The umask of the program of `spec`: never the launcher's, which may be anything.
#[must_use]
pub fn umask(spec: &Spec) -> u32 {
    spec.umask.map_or_else(tenure_sys::user::usual_umask, Umask::bits)
}

/// Whether the program of `spec` is there, by the PATH that it would get from this launcher.
#[must_use]
pub fn can_run(spec: &Spec) -> bool {
    let path = spec.env.path_here();
    let command = spec.command.first().map_or("", String::as_str);
    spec.cwd.is_dir() && program::resolve(command, &spec.cwd, path.as_deref()).is_ok()
}

/// What the ledger says of the code in `worker`.
pub(crate) fn host_record(worker: &ProcessHandle, kind: Kind) -> HostRecord {
    HostRecord::of(tenure_sys::process::executable_of(worker.pid()), kind)
}

/// Kills a worker that no record names yet, because no other process could find it.
pub(crate) fn end_unrecorded(worker: &ProcessHandle) {
    if worker.signal(Signal::Kill).is_ok() {
        best_effort(worker.wait_ended(Some(KILL_GRACE)));
    }
}

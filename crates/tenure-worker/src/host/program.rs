//! Starting a host's program through a shim, learning what becomes of it, and ending it.
//!
//! ```text
//! intent on record ─▶ lock ─▶ shim ─▶ shim on record ─▶ release ─▶ program ─▶ program on record
//! ```
//!
//! - Each record is written before the next step. The record survives the death of the host: a shim is left that ends
//!   by itself, and a record that says which processes to verify. A loss of power may lose the record, and ends the
//!   processes that it names.
//! - The lock of the program is taken here and given away with the spawn. From then on only the shim and the program's
//!   tree hold it: a held lock says that one of these lives. A free lock proves nothing, because a program may close
//!   its descriptors and live; the end is proved by the shim's exit or by the recorded identities.
//! - There are two such locks, since with `overlap` two programs live for a while. Without it both have to be free.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_core::deadline::millis;
use tenure_core::fault::{self, Point};
use tenure_core::launch::end::orphans::{self, EndedOrphan, OrphanError};
use tenure_core::record::ledger::ProgramRecord;
use tenure_core::spec::scope::COOKIE_VARIABLE;
use tenure_core::spec::{Forking, Stdin, StopPolicy, program as resolver};
use tenure_core::store::paths::{self, StateDir};
use tenure_core::store::records::RecordError;
use tenure_sys::discard::best_effort;
use tenure_sys::process::Signal;
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::{pipe, socket};

use crate::host::shim::{self, LONGEST_MESSAGE, Release, ReleasedCommand, ShimEvent, ShimRequest};
use crate::host::variables;

use error::failed;

mod error;
pub(crate) mod tree_lock;

pub use error::ProgramError;
pub use tree_lock::Slot;

/// Bytes that the pipe of the output holds, where the user's limits allow it: what Linux lets every user have. A program
/// that does not wait for a full pipe (Node, which then exits) loses what does not fit, and that is its last words.
const OUTPUT_PIPE: usize = 1024 * 1024;

/// What is started. Between the starts of one host only the cookie changes, and the variables that name the generation
/// and the addresses.
#[derive(Debug, Clone)]
pub struct ProgramPlan {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The command that must succeed before it; empty where there is none.
    pub before: Vec<String>,
    /// Its standard input.
    pub stdin: Stdin,
    /// Its directory.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub variables: Vec<(String, String)>,
    /// The cookie of its tree, which is among the variables too.
    pub cookie: String,
    /// Its umask.
    pub umask: u32,
    /// Its soft limit of open files.
    pub nofile: u64,
    /// Whether it puts itself into the background.
    pub forking: Forking,
    /// How it is ended.
    pub stop: StopPolicy,
    /// How it reads its configuration again.
    pub reload: Option<Signal>,
    /// Whether it tells its readiness on a descriptor.
    pub ready_pipe: bool,
}

/// A start: the program may run.
#[derive(Debug)]
pub struct Started {
    /// The program.
    pub program: Program,
    /// What it writes; ends with the last process of its tree.
    pub output: OwnedFd,
    /// Where it tells its readiness.
    pub ready: Option<OwnedFd>,
}

/// A program under its shim.
#[derive(Debug)]
pub struct Program {
    shim: Child,
    link: OwnedFd,
    record: ProgramRecord,
    lock: &'static str,
}

/// What a program's shim tells, or its end.
#[derive(Debug)]
pub enum ShimReport {
    /// A message of the shim.
    Event(ShimEvent),
    /// The shim has ended, and nothing of the tree lives.
    Gone,
    /// The shim was ended by somebody else, and what it left may live.
    Lost,
}

/// Writes a record of a program. It survives the end of this process, but perhaps not a loss of power.
pub type Recorder<'a> = &'a mut dyn FnMut(&ProgramRecord) -> Result<(), RecordError>;

/// Starts the program of `plan` with `listeners` from descriptor 3 on. Whether it runs is the shim's first report.
pub fn start(
    state: &StateDir,
    plan: &ProgramPlan,
    listeners: &[OwnedFd],
    slot: Slot,
    record: Recorder<'_>,
) -> Result<Started, ProgramError> {
    let release = release(plan, !listeners.is_empty())?;
    let mut known = ProgramRecord {
        command: plan.command.join(" "),
        stop: Some(plan.stop.clone()),
        reload: plan.reload,
        ..ProgramRecord::of_cookie(plan.cookie.clone())
    };
    record(&known).map_err(ProgramError::Record)?;
    fault::reach(Point::ProgramIntended);

    let (name, lock) = tree_lock::take(state, slot, plan.stop.grace.duration())?;
    let (link, theirs) = socket::pair().map_err(failed("open the link to its shim"))?;
    let (output, writer) = pipe::pipe().map_err(failed("open its output"))?;
    // With a smaller pipe the program's last words may not fit; it runs all the same.
    best_effort(pipe::enlarge(writer.as_fd(), OUTPUT_PIPE));
    let (ready, teller) = match plan.ready_pipe.then(pipe::pipe).transpose() {
        Ok(Some((ready, teller))) => (Some(ready), Some(teller)),
        Ok(None) => (None, None),
        Err(error) => return Err(failed("open its readiness pipe")(error)),
    };
    let given: Vec<BorrowedFd<'_>> = [theirs.as_fd(), lock.as_fd()]
        .into_iter()
        .chain(listeners.iter().chain(&teller).map(AsFd::as_fd))
        .collect();
    let shim = spawn_shim(state, plan, &given, writer.as_fd())?;
    fault::reach(Point::ShimSpawned);
    drop((theirs, lock, writer, teller));

    known.lock = Some(name.to_owned());
    known.shim = Some(shim.handle().identity().clone());
    let program = Program { shim, link, record: known, lock: name };
    record(&program.record).map_err(|error| program.give_up(ProgramError::Record(error)))?;
    fault::reach(Point::ShimRecorded);
    let request = ShimRequest::Release(Box::new(release));
    program.send(&request).map_err(|source| program.give_up(failed("release its shim")(source)))?;
    Ok(Started { program, output, ready })
}

fn release(plan: &ProgramPlan, listens: bool) -> Result<Release, ProgramError> {
    let path = variables::value(&plan.variables, "PATH");
    let resolved = |words: &[String]| {
        let name = words.first().map_or("", String::as_str);
        Ok(ReleasedCommand {
            program: resolver::resolve(name, &plan.cwd, path).map_err(ProgramError::Missing)?,
            name: name.to_owned(),
            arguments: words.iter().skip(1).cloned().collect(),
        })
    };
    Ok(Release {
        before: (!plan.before.is_empty()).then(|| resolved(&plan.before)).transpose()?,
        command: resolved(&plan.command)?,
        stdin: plan.stdin,
        variables: plan.variables.clone(),
        pid_variable: listens.then(|| "LISTEN_PID".to_owned()),
        cwd: plan.cwd.clone(),
        umask: plan.umask,
        nofile: plan.nofile,
        forking: plan.forking.clone(),
        stop: plan.stop.clone(),
    })
}

fn spawn_shim(
    state: &StateDir,
    plan: &ProgramPlan,
    given: &[BorrowedFd<'_>],
    output: BorrowedFd<'_>,
) -> Result<Child, ProgramError> {
    let args: [OsString; 2] = [given.len().to_string().into(), state.scope().to_string().into()];
    // The shim gets the cookie and the root, by which a search for processes of this scope or root finds it, and none
    // of the program's own variables.
    let passed = [paths::ROOT_VARIABLE].into_iter().chain(fault::variable());
    let mut env: Vec<(OsString, OsString)> =
        passed.filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect();
    env.push((COOKIE_VARIABLE.into(), (&plan.cookie).into()));
    let launch = Launch {
        arg0: Some(OsStr::new(shim::NAME)),
        args: &args,
        env: &env,
        stdout: Stream::Fd(output),
        stderr: Stream::Fd(output),
        fds: given,
        session: true,
        ..Launch::new(Path::new("/proc/self/exe"), Path::new("/"))
    };
    spawn::child(&launch).map_err(ProgramError::Spawn)
}

impl Program {
    /// Readable when the shim has told something, or has ended.
    #[must_use]
    pub fn link(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    /// The shim's pid: everything of the program descends from it.
    #[must_use]
    pub fn shim(&self) -> u32 {
        self.shim.pid()
    }

    /// Its record, with its identity once the shim has told it.
    #[must_use]
    pub fn record(&self) -> &ProgramRecord {
        &self.record
    }

    /// Name of the lock that its tree holds.
    #[must_use]
    pub fn lock(&self) -> &'static str {
        self.lock
    }

    /// Takes what the shim has told. Blocks unless [`Self::link`] is readable.
    pub fn next_report(&mut self) -> ShimReport {
        let received = socket::recv_long(self.link.as_fd(), LONGEST_MESSAGE).ok();
        let Some(event) = received.and_then(|received| serde_json::from_slice(&received).ok()) else {
            return self.end_of_shim();
        };
        if let ShimEvent::Runs { identity } | ShimEvent::Main { identity } = &event {
            self.record.identity = Some(identity.clone());
        }
        ShimReport::Event(event)
    }

    /// Waits for the end of a shim whose link is closed: such a shim is exiting.
    fn end_of_shim(&self) -> ShimReport {
        match self.shim.wait() {
            Ok(status) if shim::proved_its_end(status) => ShimReport::Gone,
            Ok(_) | Err(_) => ShimReport::Lost,
        }
    }

    /// Asks the shim to end the tree, with at most `grace` for the program. A shim that is gone needs no request.
    pub fn stop(&self, grace: Duration) {
        best_effort(self.send(&ShimRequest::Stop { grace_ms: millis(grace) }));
    }

    /// Ends a shim that did not do what it was asked.
    pub fn kill_shim(&self) {
        best_effort(self.shim.kill());
    }

    /// Ends the processes that a lost shim has left, and proves that they are gone.
    pub fn clear(&self, state: &StateDir) -> Result<Vec<EndedOrphan>, OrphanError> {
        let grace = self.record.stop.as_ref().map_or(Duration::ZERO, |stop| stop.grace.duration());
        orphans::clear_program(state, &self.record, grace)
    }

    fn send(&self, request: &ShimRequest) -> io::Result<()> {
        socket::send_long(self.link.as_fd(), &serde_json::to_vec(request)?)
    }

    /// An unreleased shim ends with its link; it is waited for, so that nothing is left.
    fn give_up(&self, error: ProgramError) -> ProgramError {
        self.stop(Duration::ZERO);
        best_effort(self.shim.wait());
        error
    }
}

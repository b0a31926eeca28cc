//! The `exec` check: a command of the spec, with the program's own environment and directory, that ends with 0.

use std::ffi::OsString;
use std::path::PathBuf;

use tenure_core::causes;
use tenure_core::deadline::Deadline;
use tenure_core::spec::program;
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::Signal;
use tenure_sys::spawn::{self, Child, Launch};
use tenure_sys::tree;
use tenure_sys::wake::Waker;

use super::finding::CheckResult;

/// A command. There is no listener, lock or standard stream in it, and its marks are the program's: what it leaves behind is
/// found like what the program leaves behind.
#[derive(Clone)]
pub struct Command {
    /// Program and arguments.
    pub words: Vec<String>,
    /// Its directory.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub variables: Vec<(String, String)>,
    /// Its umask.
    pub umask: u32,
}

impl std::fmt::Debug for Command {
    /// An environment may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("words", &self.words).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// Runs the command; one that takes too long, or is called off, is ended with its whole group. One
/// whose own program cannot be started, now or later, is hopeless.
pub(super) fn run(command: &Command, limit: &Deadline, off: &Waker) -> CheckResult {
    let shown = command.words.join(" ");
    let child = match start(command) {
        Ok(child) => child,
        Err((why, true)) => return CheckResult::Hopeless(format!("`{shown}`: {why}")),
        Err((why, false)) => return CheckResult::Failed(format!("`{shown}`: {why}")),
    };
    let ended = {
        let mut interests = [
            Interest::new(child.handle().as_fd(), Readiness::Read),
            Interest::new(off.as_fd(), Readiness::Read),
        ];
        let waited = poll::wait(&mut interests, Some(limit.remaining()));
        waited.is_ok() && interests[0].ready()
    };
    if !ended {
        // It leads a group of its own and was not waited for, so the group is its own.
        best_effort(tree::signal_group(child.handle(), Signal::Kill));
    }
    match child.wait() {
        Ok(_) if !ended => CheckResult::Failed(format!("`{shown}` did not end in time")),
        Ok(status) if status.success() => CheckResult::Passed,
        Ok(status) => CheckResult::Failed(format!("`{shown}` ended with {status}")),
        Err(error) => CheckResult::Failed(format!("`{shown}`: {error}")),
    }
}

/// The error, and whether another try fails likewise.
fn start(command: &Command) -> Result<Child, (String, bool)> {
    let path = command.variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    let name = command.words.first().map_or("", String::as_str);
    let program =
        program::resolve(name, &command.cwd, path).map_err(|error| (causes::in_one_line(&error), true))?;
    let args: Vec<OsString> = command.words.iter().skip(1).map(OsString::from).collect();
    let env: Vec<(OsString, OsString)> =
        command.variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let umask = Some(command.umask);
    let launch =
        Launch { args: &args, env: &env, session: true, umask, ..Launch::new(&program, &command.cwd) };
    spawn::child(&launch).map_err(|error| (causes::in_one_line(&error), error.is_lasting()))
}

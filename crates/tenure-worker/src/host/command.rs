//! A command of the spec that is not the program: a check, or the preflight.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use tenure_core::causes;
use tenure_core::os_text::{self, shell};
use tenure_core::spec::program;
use tenure_sys::discard::best_effort;
use tenure_sys::process::Signal;
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::tree;

use super::variables;

/// A command.
pub(super) struct Command {
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// Its directory.
    pub(super) cwd: PathBuf,
    /// Its whole environment.
    pub(super) variables: Vec<(String, String)>,
    /// Its umask.
    pub(super) umask: u32,
    /// Its soft limit of open files.
    pub(super) nofile: u64,
}

/// A command that could not be started.
pub(super) struct NotStarted {
    pub(super) why: String,
    /// Another try fails likewise, until somebody changes what is on disk.
    pub(super) lasting: bool,
}

impl Command {
    /// As it is shown to people.
    pub(super) fn shown(&self) -> String {
        self.words.join(" ")
    }

    /// As a shell reads it.
    pub(super) fn typed(&self) -> String {
        shell::line(&self.words)
    }

    /// Starts it in a session of its own; `output` is for both of its streams.
    pub(super) fn start(&self, output: Stream<'_>) -> Result<Child, NotStarted> {
        self.start_with(output, &[])
    }

    /// The same, with these listeners from descriptor 3 on.
    pub(super) fn start_with(&self, output: Stream<'_>, listeners: &[OwnedFd]) -> Result<Child, NotStarted> {
        let name = self.words.first().map_or("", String::as_str);
        let program = program::resolve(name, &self.cwd, variables::value(&self.variables, "PATH"))
            .map_err(|error| NotStarted { why: causes::in_one_line(&error), lasting: true })?;
        let args: Vec<OsString> =
            self.words.iter().skip(1).map(|word| os_text::os(word).into_owned()).collect();
        let env = os_text::variables(self.variables.iter().map(|(name, value)| (name, value)));
        let fds: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
        let launch = Launch {
            args: &args,
            env: &env,
            stdout: output,
            stderr: output,
            session: true,
            umask: Some(self.umask),
            nofile: Some(self.nofile),
            fds: &fds,
            pid_env: (!fds.is_empty()).then_some("LISTEN_PID"),
            ..Launch::new(&program, &self.cwd)
        };
        spawn::child(&launch)
            .map_err(|error| NotStarted { why: causes::in_one_line(&error), lasting: error.is_lasting() })
    }

    /// Kills what was started, with its group. It leads that group and was not waited for, so the group is its own.
    pub(super) fn kill_group(child: &Child) {
        best_effort(tree::signal_group(child.handle(), Signal::Kill));
    }
}

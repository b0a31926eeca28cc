//! `exec`: a command of the spec, with the program's own environment and directory, that ends with 0.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use tenure_core::deadline::Deadline;
use tenure_sys::spawn::{Child, Stream};
use tenure_sys::wake::Waker;
use tenure_sys::{pipe, poll};

use crate::host::command::{Command, NotStarted};

use super::check::{Answer, AnswerKind, CheckResult, ProgramCheck};
use super::fd::READY_VARIABLE;
use super::kind::{CheckedProgram, ReadinessKind};
use super::line_search;

/// Bytes of the command's output that are kept: its last line tells why it failed.
const LAST_BYTES: usize = 4096;

/// Reads after the end of a command: a pipe holds 64 KiB.
const LAST_READS: usize = 16;

/// The command and its arguments.
pub(super) struct Exec(pub(super) Vec<String>);

impl ReadinessKind for Exec {
    /// The command gets no listener and no lock. It carries the program's cookie, so that what it leaves behind is
    /// found like what the program leaves behind.
    fn check(&self, program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        let of_descriptors = |name: &str| name.starts_with("LISTEN_") || name == READY_VARIABLE;
        let variables = program.variables.iter().filter(|(name, _)| !of_descriptors(name)).cloned().collect();
        let (words, cwd) = (self.0.clone(), program.cwd.to_owned());
        Some(Box::new(Command { words, cwd, variables, umask: program.umask, nofile: program.nofile }))
    }
}

impl ProgramCheck for Command {
    fn target(&self) -> String {
        format!("`{}`", self.typed())
    }

    /// A command that takes too long, or is called off, is ended with its whole group. One whose program cannot be
    /// started, now or later, is hopeless.
    fn ask(&self, limit: &Deadline, off: &Waker) -> CheckResult {
        let failed = |words: String| CheckResult::Failed(Answer::new(AnswerKind::Command, words));
        let (output, writer) = match pipe::pipe() {
            Ok(pipe) => pipe,
            Err(error) => return failed(format!("could not be started: {error}")),
        };
        let child = match self.start(Stream::Fd(writer.as_fd())) {
            Ok(child) => child,
            Err(NotStarted { why, lasting: true }) => {
                return CheckResult::Hopeless(Answer::new(
                    AnswerKind::Missing,
                    format!("cannot be run: {why}"),
                ));
            }
            Err(NotStarted { why, lasting: false }) => return failed(format!("could not be started: {why}")),
        };
        drop(writer);
        let mut output = LastOutput { pipe: Some(File::from(output)), bytes: Vec::new() };
        let ended = output.read_until_end(&child, limit, off);
        if !ended {
            Command::kill_group(&child);
        }
        let last = output.last_line().map(|line| format!(": {line}")).unwrap_or_default();
        match child.wait() {
            Ok(_) if !ended => failed(format!("did not end in time{last}")),
            Ok(status) if status.success() => CheckResult::Passed,
            Ok(status) => failed(format!("ended with {status}{last}")),
            Err(error) => failed(format!("could not be waited for: {error}")),
        }
    }
}

/// The last output of a command.
struct LastOutput {
    pipe: Option<File>,
    bytes: Vec<u8>,
}

impl LastOutput {
    /// Reads until the command has ended; `false` if it has not within `limit`, or is called off. What it started may
    /// keep the pipe open and is not waited for.
    fn read_until_end(&mut self, child: &Child, limit: &Deadline, off: &Waker) -> bool {
        if self.pipe.as_ref().is_some_and(|pipe| pipe::set_nonblocking(pipe.as_fd(), true).is_err()) {
            self.pipe = None;
        }
        loop {
            let fds = [child.handle().as_fd(), off.as_fd()];
            let waited = match &self.pipe {
                Some(pipe) => poll::wait_readable([fds[0], fds[1], pipe.as_fd()], Some(limit.remaining())),
                None => poll::wait_readable(fds, Some(limit.remaining())).map(|[one, two]| [one, two, false]),
            };
            let Ok([ended, off, written]) = waited else { return false };
            // What is left once it has ended fits into its pipe.
            for _ in 0..if ended { LAST_READS } else { usize::from(written) } {
                self.take();
            }
            if ended || off || !written {
                return ended;
            }
        }
    }

    /// Takes what is there.
    fn take(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut chunk = [0_u8; LAST_BYTES];
        match pipe.read(&mut chunk) {
            Ok(count) if count > 0 => {
                self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                let surplus = self.bytes.len().saturating_sub(LAST_BYTES);
                self.bytes.drain(..surplus);
            }
            Ok(_) => self.pipe = None,
            Err(_) => {}
        }
    }

    fn last_line(&self) -> Option<String> {
        let lines = line_search::plain_lines(&self.bytes);
        lines
            .into_iter()
            .rev()
            .find(|line| !line.trim().is_empty())
            .map(|line| line.chars().take(300).collect())
    }
}

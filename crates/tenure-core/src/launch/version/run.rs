//! One run of a command that tells the version: bounded in time and output. A command that goes beyond them is ended
//! with all its descendants. What a command leaves when it ends by itself is left alone: it carries no cookie, it has
//! another parent by then, and it may be wanted, like the server of a build tool.
//!
//! It gets the environment that the worker would get, without the variables of `tenure`: the caller's other variables
//! may be about another place, like the `GIT_DIR` of a hook. It gets the worker's umask, and no input. It stays in the
//! caller's session and group, so that whoever ends a hook with all that belongs to it ends the command too.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};

use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::{pipe, tree};

use crate::deadline::Stage;
use crate::os_text;
use crate::spec::KILL_GRACE;
use crate::spec::environment::Variables;

use super::cache::Question;
use super::error::VersionError;

/// Most bytes that are kept of each stream: as many as a pipe holds. A version is far shorter, and so is an error.
const MOST: usize = 64 * 1024;

/// Last lines of the standard error that an error shows.
const LAST_WORDS: usize = 5;

/// A question with what its command gets besides its arguments.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) question: &'a Question,
    /// Its whole environment.
    pub(super) variables: &'a Variables,
    pub(super) umask: u32,
}

/// What the command wrote: at most [`MOST`] bytes of its standard output, and as many from the end of its standard
/// error.
pub(super) fn run(run: Run<'_>, stage: Stage) -> Result<[String; 2], VersionError> {
    let question = run.question;
    let within = stage.remaining();
    let too_much = || VersionError::TooMuch { command: question.shown(), most: MOST };
    let failed = |source| VersionError::Io { command: question.shown(), source };
    let (mut output, to_output) = ear(true).map_err(failed)?;
    let (mut errors, to_errors) = ear(false).map_err(failed)?;
    let child = start(run, [&to_output, &to_errors])?;
    drop((to_output, to_errors));
    let heard = listen(&child, [&mut output, &mut errors], stage);
    if !matches!(heard, Ok(ListenedUntil::CommandEnded)) {
        end(&child);
        // A command in uninterruptible sleep is not waited for: it ends once its device answers.
        best_effort(child.wait_within(KILL_GRACE));
    }
    let status = match heard.map_err(failed)? {
        ListenedUntil::CommandEnded => child.wait().map_err(failed)?,
        ListenedUntil::TimeOver => {
            let last_words = errors.last_lines();
            return Err(VersionError::TimedOut { command: question.shown(), within, last_words });
        }
        ListenedUntil::TooMuch => return Err(too_much()),
    };
    // All that the command wrote is in the pipes now. Another process that holds their other ends is not waited for.
    output.take_rest();
    errors.take_rest();
    if !status.success() {
        let last_words = errors.last_lines();
        return Err(VersionError::Exit { command: question.shown(), status, last_words });
    }
    if output.is_too_much() {
        return Err(too_much());
    }
    Ok([output, errors].map(|ear| String::from_utf8_lossy(&ear.kept).into_owned()))
}

fn start(run: Run<'_>, [output, errors]: [&OwnedFd; 2]) -> Result<Child, VersionError> {
    let Run { question, variables, umask } = run;
    let args: Vec<OsString> =
        question.command.iter().skip(1).map(|word| os_text::os(word).into_owned()).collect();
    let env = os_text::variables(variables);
    let name = question.command.first().map(|name| os_text::os(name));
    let launch = Launch {
        arg0: name.as_deref(),
        args: &args,
        env: &env,
        stdout: Stream::Fd(output.as_fd()),
        stderr: Stream::Fd(errors.as_fd()),
        umask: Some(umask),
        ..Launch::new(&question.program, &question.cwd)
    };
    spawn::child(&launch).map_err(|source| VersionError::Start { command: question.shown(), source })
}

/// Why the output of a command is not read any longer.
enum ListenedUntil {
    /// The command has ended.
    CommandEnded,
    /// Its time was over.
    TimeOver,
    /// It wrote more than a version can be.
    TooMuch,
}

/// Takes what is written until the command has ended, its time is over, or it has written too much.
fn listen(child: &Child, mut ears: [&mut Ear; 2], stage: Stage) -> io::Result<ListenedUntil> {
    loop {
        let mut interests = vec![Interest::new(child.handle().as_fd(), Readiness::Read)];
        let open = ears.iter().filter_map(|ear| ear.pipe.as_ref());
        interests.extend(open.map(|pipe| Interest::new(pipe.as_fd(), Readiness::Read)));
        let ready = poll::wait(&mut interests, Some(stage.remaining()))?;
        if ready > 0 && interests[0].ready() {
            return Ok(ListenedUntil::CommandEnded);
        }
        // A command that writes without end is always ready, so the time is looked at as well.
        if ready == 0 || stage.remaining().is_zero() {
            return Ok(ListenedUntil::TimeOver);
        }
        for ear in &mut ears {
            ear.take();
            if ear.is_too_much() {
                return Ok(ListenedUntil::TooMuch);
            }
        }
    }
}

/// Ends the command and its descendants. They are listed, opened and listed again: only a pid that is in both lists is
/// surely that of the opened process.
fn end(child: &Child) {
    let opened = |pid| ProcessHandle::open(pid).ok();
    let below: Vec<ProcessHandle> =
        tree::descendants_of(child.pid()).into_iter().filter_map(opened).collect();
    let still = tree::descendants_of(child.pid());
    for handle in below.iter().filter(|handle| still.contains(&handle.pid())) {
        best_effort(handle.signal(Signal::Kill));
    }
    // The command was not waited for yet, so the kernel has given its pid to nobody else.
    best_effort(child.kill());
}

/// One stream of the command.
struct Ear {
    pipe: Option<File>,
    kept: Vec<u8>,
    /// Bytes that were read, kept or not.
    taken: usize,
    /// Whether the beginning is kept, or the end.
    beginning: bool,
}

fn ear(beginning: bool) -> io::Result<(Ear, OwnedFd)> {
    let (read, write) = pipe::pipe()?;
    pipe::set_nonblocking(read.as_fd(), true)?;
    Ok((Ear { pipe: Some(File::from(read)), kept: Vec::new(), taken: 0, beginning }, write))
}

impl Ear {
    /// Takes what one read gives; whether there may be more.
    fn take(&mut self) -> bool {
        let mut chunk = vec![0_u8; MOST];
        let Some(pipe) = &mut self.pipe else { return false };
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.taken = self.taken.saturating_add(count);
                self.kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
                if self.beginning {
                    self.kept.truncate(MOST);
                } else {
                    self.kept.drain(..self.kept.len().saturating_sub(MOST));
                }
                return true;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.pipe = None,
        }
        false
    }

    /// Whether the answer is longer than a version can be. The standard error may have any length: its end is kept.
    fn is_too_much(&self) -> bool {
        self.beginning && self.taken > MOST
    }

    /// Takes what is there; no more than twice what a pipe holds, in case somebody goes on writing.
    fn take_rest(&mut self) {
        for _ in 0..4 {
            if !self.take() {
                return;
            }
        }
    }

    fn last_lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.kept);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines.iter().rev().take(LAST_WORDS).rev().map(|line| line.trim_end().to_owned()).collect()
    }
}

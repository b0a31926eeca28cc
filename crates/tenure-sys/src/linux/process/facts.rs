//! Facts about a process by its bare number, for messages and listings only.
//!
//! Each answer may already be about another process, so nothing is decided on it; `None` says only that nothing was
//! read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::signal::Signal;
use crate::linux::process::procfs;

/// Longest command line that is shown, in characters. A line in a terminal or log, not an archive.
const COMMAND_LIMIT: usize = 200;

/// What the scheduler says about a process (the letter in `/proc/PID/stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Running, or ready to.
    Running,
    /// Waiting for an event.
    Sleeping,
    /// Waiting in the kernel where signals do not reach it.
    DiskSleep,
    /// Stopped by a signal.
    Stopped,
    /// Stopped by a debugger.
    Traced,
    /// Its first thread has ended and was not waited for.
    Zombie,
    /// About to disappear.
    Dead,
    /// Another letter, such as the idle state of kernel threads.
    Other(char),
}

impl RunState {
    fn from_letter(letter: char) -> Self {
        match letter {
            'R' => Self::Running,
            'S' => Self::Sleeping,
            'D' => Self::DiskSleep,
            'T' => Self::Stopped,
            't' => Self::Traced,
            'Z' => Self::Zombie,
            'X' | 'x' => Self::Dead,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Sleeping => f.write_str("sleeping"),
            Self::DiskSleep => f.write_str("in uninterruptible sleep"),
            Self::Stopped => f.write_str("stopped"),
            Self::Traced => f.write_str("stopped by a debugger"),
            Self::Zombie => f.write_str("ended, not waited for"),
            Self::Dead => f.write_str("dead"),
            Self::Other(letter) => write!(f, "in state {letter}"),
        }
    }
}

/// The run state of a process.
#[must_use]
pub fn state_of(pid: u32) -> Option<RunState> {
    Some(RunState::from_letter(procfs::stat(&pid.to_string()).ok()?.state))
}

/// The parent of a process; 0 where it is outside this pid namespace.
#[must_use]
pub fn parent_of(pid: u32) -> Option<u32> {
    Some(procfs::stat(&pid.to_string()).ok()?.parent)
}

/// The debugger that is attached to a process, if there is one.
#[must_use]
pub fn tracer_of(pid: u32) -> Option<u32> {
    procfs::status_field(pid, "TracerPid")?.parse().ok().filter(|tracer| *tracer != 0)
}

/// The effective user of a process.
#[must_use]
pub fn uid_of(pid: u32) -> Option<u32> {
    procfs::status_field(pid, "Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether a process ignores a signal; `false` also where that cannot be read.
#[must_use]
pub fn ignores(pid: u32, signal: Signal) -> bool {
    let mask = procfs::status_field(pid, "SigIgn").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.kernel().as_raw() - 1)) != 0)
}

/// Whether a process exists whose open files the caller may not look at: of another user, or protected by the kernel.
#[must_use]
pub fn is_hidden(pid: u32) -> bool {
    fs::read_dir(procfs::path(pid, "fd"))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// How long the threads with this name have run on a processor, or all threads where none has the name. The process ran
/// between two calls exactly if the answers differ.
///
/// `None` where the kernel keeps no such account (`CONFIG_SCHED_INFO`), or the process is gone.
#[must_use]
pub fn run_time_of(pid: u32, thread: &str) -> Option<Duration> {
    let tasks: Vec<PathBuf> =
        fs::read_dir(procfs::path(pid, "task")).ok()?.filter_map(|task| Some(task.ok()?.path())).collect();
    let named =
        |task: &&PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == thread);
    let mut chosen: Vec<&PathBuf> = tasks.iter().filter(named).collect();
    if chosen.is_empty() {
        chosen = tasks.iter().collect();
    }
    let ran = |task: &PathBuf| {
        let text = fs::read_to_string(task.join("schedstat")).ok()?;
        Some(Duration::from_nanos(text.split_ascii_whitespace().next()?.parse().ok()?))
    };
    chosen.into_iter().filter_map(ran).reduce(Duration::saturating_add)
}

/// The program file that a process runs; where it was deleted, the kernel appends ` (deleted)`.
#[must_use]
pub fn executable_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(procfs::path(pid, "exe")).ok()
}

/// The regular file that is the standard output of a process: its path, to which the kernel appends ` (deleted)` where
/// it was removed, and device and inode.
#[must_use]
pub fn output_of(pid: u32) -> Option<(PathBuf, (u64, u64))> {
    let link = procfs::path(pid, "fd/1");
    let found = fs::metadata(&link).ok().filter(fs::Metadata::is_file)?;
    Some((fs::read_link(link).ok()?, (found.dev(), found.ino())))
}

/// The mount namespace of a process, as the inode that names it; `None` where the kernel does not let us look.
#[must_use]
pub fn mounts_of(pid: u32) -> Option<u64> {
    procfs::namespace(&pid.to_string(), "mnt").ok()
}

/// The network namespace of a process, as the inode that names it; `None` where the kernel does not let us look.
#[must_use]
pub fn network_of(pid: u32) -> Option<u64> {
    procfs::namespace(&pid.to_string(), "net").ok()
}

/// The arguments of a process joined by spaces: control characters replaced, at most 200 characters.
///
/// A process that has none, such as a zombie, gives `None`.
#[must_use]
pub fn command_line(pid: u32) -> Option<String> {
    shown_command(&procfs::memory::arguments(pid)?)
}

pub(crate) fn shown_command(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    // A script among the arguments may have several lines.
    let text = text.trim_end_matches('\0').replace('\n', "\\n");
    if text.is_empty() {
        return None;
    }
    let shown = text.chars().take(COMMAND_LIMIT).map(|char| match char {
        '\0' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    });
    Some(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_cannot_write_to_the_terminal() {
        assert_eq!(shown_command(b"sh\0-c\0a\x1b[2Jb\n\0").as_deref(), Some("sh -c a\u{fffd}[2Jb\\n"));
        assert_eq!(shown_command(b"\0"), None);
        assert_eq!(shown_command(&[b'a'; 500]).map(|line| line.len()), Some(COMMAND_LIMIT));
    }

    #[test]
    fn facts_of_the_caller_agree_with_the_standard_library() {
        let own = std::process::id();
        assert_eq!(uid_of(own), Some(rustix::process::geteuid().as_raw()));
        assert_eq!(executable_of(own), std::env::current_exe().ok());
        assert_eq!(tracer_of(own), None);
        assert_eq!(mounts_of(own), procfs::namespace("self", "mnt").ok());
        assert_eq!(network_of(own), procfs::namespace("self", "net").ok());
        assert!(parent_of(own).is_some());
        assert!(run_time_of(own, "no such thread").is_some_and(|ran| ran > Duration::ZERO));
        assert!(matches!(state_of(own), Some(RunState::Running | RunState::Sleeping)));
    }
}

//! A program's output: one pipe for both streams, read by a thread of its own, written to `logs/output.log`.
//!
//! The log never blocks or ends the program: on a full disk output is lost and counted, and the check `log` fails.
//! Files are rotated at the size of the spec. The same thread looks for the line that tells readiness, where the spec
//! names one; it ends with the last writer, or when the host has proved that nobody is left.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tenure_core::spec::Logs;
use tenure_core::store::logs;
use tenure_core::store::paths::{StateDir, file};
use tenure_sys::dir::Dir;
use tenure_sys::discard::best_effort;
use tenure_sys::pipe;
use tenure_sys::poll;
use tenure_sys::wake::Waker;

use crate::host::readiness::LineSearch;
use crate::logs as rotation;

/// Bytes taken at once: what a pipe's writer can have put there atomically, four times.
const CHUNK: usize = 16 * 1024;

/// Chunks that are still read once nobody should be left: 1 MiB, the most that an unprivileged pipe holds.
const LAST_CHUNKS: usize = 64;

/// The thread needs little more than the buffers, which are not on its stack; matching a pattern is bounded by them.
const STACK: usize = 128 * 1024;

/// What the reader of the output tells the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutputEvent {
    /// A line matched.
    Matched,
    /// Writing to the log fails.
    Losing {
        /// Bytes lost since the host started.
        lost: u64,
        /// Why.
        why: String,
    },
    /// Writing to the log works again.
    WritingAgain {
        /// Bytes lost since the host started.
        lost: u64,
    },
}

/// The log file of a program and its predecessors.
#[derive(Debug)]
pub(super) struct OutputLog {
    dir: Dir,
    limits: Logs,
    file: Option<File>,
    length: u64,
    lost: u64,
    losing: bool,
}

impl OutputLog {
    /// The log of the scope. The file is opened when there is something to write.
    pub(super) fn new(state: &StateDir, limits: &Logs) -> io::Result<Self> {
        let dir = logs::directory(state)?;
        Ok(Self { dir, limits: limits.clone(), file: None, length: 0, lost: 0, losing: false })
    }

    /// Appends, or counts what is lost. Tells when losing begins, and when it ends.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Option<OutputEvent> {
        let was_losing = self.losing;
        match self.try_append(bytes) {
            Ok(()) => {
                self.losing = false;
                was_losing.then_some(OutputEvent::WritingAgain { lost: self.lost })
            }
            Err(error) => {
                self.lost = self.lost.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                self.losing = true;
                self.file = None;
                (!was_losing).then(|| OutputEvent::Losing { lost: self.lost, why: error.to_string() })
            }
        }
    }

    fn try_append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let adds = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.file.is_none() {
            self.open()?;
        }
        if self.length > 0 && self.length.saturating_add(adds) > self.limits.size.get() {
            self.rotate();
            self.open()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            self.length = self.length.saturating_add(adds);
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        let file = self.dir.open_append(file::OUTPUT_LOG)?;
        self.length = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Moves the full file aside. A move that fails costs the bound or an old file, not the output.
    fn rotate(&mut self) {
        self.file = None;
        best_effort(rotation::shift(&self.dir, file::OUTPUT_LOG, self.limits.keep));
    }
}

/// The reader of one start's output.
#[derive(Debug)]
pub(super) struct Output {
    over: Arc<Waker>,
    reader: JoinHandle<OutputLog>,
}

/// Takes the events. Called on the reader's thread.
pub(super) type OutputListener = Box<dyn FnMut(OutputEvent) + Send>;

impl Output {
    /// Reads `output` into `log` from now on, with what `search` looks for.
    pub(super) fn begin(
        output: OwnedFd,
        log: OutputLog,
        search: Option<LineSearch>,
        tell: OutputListener,
    ) -> io::Result<Self> {
        pipe::set_nonblocking(output.as_fd(), true)?;
        let over = Arc::new(Waker::new()?);
        let mut reader = OutputReader { log, search, tell };
        let theirs = Arc::clone(&over);
        let reader =
            thread::Builder::new().name("tenure-output".to_owned()).stack_size(STACK).spawn(move || {
                reader.read(&mut File::from(output), &theirs);
                reader.log
            })?;
        Ok(Self { over, reader })
    }

    /// Takes what is still in the pipe and gives the log back. To be called when no process of the tree is left: a
    /// process that escaped with the pipe open is not waited for.
    pub(super) fn end(self) -> Option<OutputLog> {
        self.over.wake();
        self.reader.join().ok()
    }
}

struct OutputReader {
    log: OutputLog,
    search: Option<LineSearch>,
    tell: OutputListener,
}

impl OutputReader {
    fn read(&mut self, output: &mut File, over: &Waker) {
        let mut chunk = vec![0_u8; CHUNK];
        loop {
            let Ok([_, last]) = poll::wait_readable([output.as_fd(), over.as_fd()], None) else { return };
            if !self.take(output, &mut chunk, last) || last {
                return;
            }
        }
    }

    /// Takes what is there; `false` at the end of the output.
    fn take(&mut self, output: &mut File, chunk: &mut [u8], last: bool) -> bool {
        let rounds = if last { LAST_CHUNKS } else { 1 };
        for _ in 0..rounds {
            match output.read(chunk) {
                Ok(0) => return false,
                Ok(count) => self.log_and_search(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    fn log_and_search(&mut self, bytes: &[u8]) {
        if let Some(event) = self.log.append(bytes) {
            (self.tell)(event);
        }
        if self.search.as_mut().is_some_and(|search| search.finds_in(bytes)) {
            self.search = None;
            (self.tell)(OutputEvent::Matched);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;

    use regex_lite::Regex;
    use tenure_core::spec::amount::Size;

    use super::*;

    fn sandbox(size: u64, keep: u32) -> (tempfile::TempDir, StateDir, OutputLog) {
        let private = PermissionsExt::from_mode(0o700);
        let root = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
        let scope = "memory".parse().expect("a scope");
        let state = StateDir::at(root.path(), &scope).expect("private");
        let mut bounds = Logs::default();
        (bounds.size, bounds.keep) = (Size::bytes(size), keep);
        let log = OutputLog::new(&state, &bounds).expect("a log");
        (root, state, log)
    }

    fn text(root: &tempfile::TempDir, name: &str) -> Option<String> {
        std::fs::read_to_string(root.path().join("logs").join(name)).ok()
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_falls_off() {
        let (root, _state, mut log) = sandbox(4, 2);
        for words in ["one\n", "two\n", "tri\n", "for\n"] {
            assert_eq!(log.append(words.as_bytes()), None);
        }
        assert_eq!(text(&root, "output.log").as_deref(), Some("for\n"));
        assert_eq!(text(&root, "output.log.1").as_deref(), Some("tri\n"));
        assert_eq!(text(&root, "output.log.2").as_deref(), Some("two\n"));
        assert_eq!(text(&root, "output.log.3"), None);
    }

    #[test]
    fn keeping_none_leaves_only_the_current_file() {
        let (root, _state, mut log) = sandbox(4, 0);
        log.append(b"one\n");
        log.append(b"two\n");
        assert_eq!(text(&root, "output.log").as_deref(), Some("two\n"));
        assert_eq!(text(&root, "output.log.1"), None);
    }

    #[test]
    fn a_log_that_takes_nothing_counts_what_is_lost_and_says_so_once() {
        let (root, _state, mut log) = sandbox(4096, 0);
        let path = root.path().join("logs/output.log");
        std::fs::create_dir(&path).expect("in the way");
        assert!(matches!(log.append(b"four"), Some(OutputEvent::Losing { lost: 4, .. })));
        assert_eq!(log.append(b"more"), None);
        std::fs::remove_dir(&path).expect("out of the way");
        assert_eq!(log.append(b"again"), Some(OutputEvent::WritingAgain { lost: 8 }));
        assert_eq!(text(&root, "output.log").as_deref(), Some("again"));
    }

    #[test]
    fn output_is_read_to_its_end_and_readiness_is_told_once() {
        let (root, _state, log) = sandbox(4096, 1);
        let (read, write) = pipe::pipe().expect("a pipe");
        let (told, heard) = mpsc::channel();
        let search = LineSearch::new(Regex::new("ready").expect("a pattern"));
        let tell = Box::new(move |event| drop(told.send(event)));
        let output = Output::begin(read, log, Some(search), tell).expect("a thread");
        let mut write = File::from(write);
        write.write_all(b"ready\nready\n").expect("room");
        assert_eq!(heard.recv(), Ok(OutputEvent::Matched));
        write.write_all(b"last words").expect("room");
        // The writer escaped with the pipe open: what it wrote is taken, its end is not awaited.
        assert!(output.end().is_some());
        assert!(heard.recv().is_err());
        assert_eq!(text(&root, "output.log").as_deref(), Some("ready\nready\nlast words"));
        drop(write);
    }
}

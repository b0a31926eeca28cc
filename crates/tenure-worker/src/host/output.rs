//! A program's output: one pipe for both streams, read by a thread of its own, written to `logs/output.log`.
//!
//! The log never blocks or ends the program: on a full disk output is lost and counted, and the check `log` fails.
//! Each line gets the time at which it was read, and the generation ([`stamp`]). Files are rotated at the size of the
//! spec; one that was moved, truncated or removed by somebody else is noticed with the next output. The same thread looks for the line that tells readiness, where the spec
//! names one; it ends with the last writer, or when the host has proved that nobody is left.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tenure_core::spec::Logs;
use tenure_core::store::logs;
use tenure_core::store::paths::{StateDir, file};
use tenure_core::store::stamp::{self, Stamp};
use tenure_sys::dir::{self, Dir};
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

/// The file that is written.
#[derive(Debug)]
struct LogFile {
    file: File,
    /// Device and inode, by which it is known whether the name still leads to it.
    id: (u64, u64),
    length: u64,
    /// The last line in it has no end yet.
    open: bool,
}

/// The log file of a program and its predecessors.
#[derive(Debug)]
pub(super) struct OutputLog {
    dir: Dir,
    limits: Logs,
    generation: u64,
    file: Option<LogFile>,
    lost: u64,
    losing: bool,
}

impl OutputLog {
    /// The log of the scope. The file is opened when there is something to write.
    pub(super) fn new(state: &StateDir, limits: &Logs) -> io::Result<Self> {
        let dir = logs::directory(state)?;
        Ok(Self { dir, limits: limits.clone(), generation: 0, file: None, lost: 0, losing: false })
    }

    /// The same, for the output of a program of this generation.
    pub(super) fn of_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
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
                self.lost = self.lost.saturating_add(length(bytes));
                self.losing = true;
                self.file = None;
                (!was_losing).then(|| OutputEvent::Losing { lost: self.lost, why: error.to_string() })
            }
        }
    }

    fn try_append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stamp = Stamp::now(self.generation);
        let mut log = self.current()?;
        let mut lines = stamp::stamped(bytes, &stamp, log.open);
        if log.length > 0 && log.length.saturating_add(length(&lines)) > self.limits.size.get() {
            drop(log);
            self.rotate();
            log = self.open()?;
            lines = stamp::stamped(bytes, &stamp, log.open);
        }
        log.file.write_all(&lines)?;
        log.length = log.length.saturating_add(length(&lines));
        log.open = lines.last().map_or(log.open, |last| *last != b'\n');
        self.file = Some(log);
        Ok(())
    }

    /// The file that the name leads to. Another process may have moved, removed or emptied the one that is open; one look
    /// for each output costs a microsecond, and needs no thread that wakes up.
    fn current(&mut self) -> io::Result<LogFile> {
        let Some(mut log) = self.file.take() else { return self.open() };
        match self.dir.stat(file::OUTPUT_LOG)? {
            Some(there) if (there.dev, there.ino) == log.id => {
                log.open = log.open && there.len >= log.length;
                log.length = there.len;
                Ok(log)
            }
            Some(_) | None => self.open(),
        }
    }

    /// Opens the file, or makes it. A last line without its end is ended: what was written by another process, or before
    /// something was lost, does not go on.
    fn open(&self) -> io::Result<LogFile> {
        let mut file = self.dir.open_append(file::OUTPUT_LOG)?;
        let there = dir::fstat(file.as_fd())?;
        let mut length = there.len;
        if length > 0 && !self.ends_with_a_line(length)? {
            file.write_all(b"\n")?;
            length += 1;
        }
        Ok(LogFile { file, id: (there.dev, there.ino), length, open: false })
    }

    fn ends_with_a_line(&self, length: u64) -> io::Result<bool> {
        let mut last = [0];
        self.dir.open_read(file::OUTPUT_LOG)?.read_at(&mut last, length - 1)?;
        Ok(last == [b'\n'])
    }

    /// Moves the full file aside. A move that fails costs the bound or an old file, not the output.
    fn rotate(&self) {
        best_effort(rotation::shift(&self.dir, file::OUTPUT_LOG, self.limits.keep));
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
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

    /// The lines of a file, without their stamps.
    fn text(root: &tempfile::TempDir, name: &str) -> Option<String> {
        let bytes = std::fs::read(root.path().join("logs").join(name)).ok()?;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| Stamp::split(line).1);
        Some(String::from_utf8(lines.collect::<Vec<_>>().concat()).expect("text"))
    }

    #[test]
    fn every_line_has_its_time_and_its_generation() {
        let (root, _state, log) = sandbox(4096, 0);
        let mut log = log.of_generation(7);
        let before = Stamp::now(7).at_ms;
        for part in ["one\ntw", "o\n", "last"] {
            assert_eq!(log.append(part.as_bytes()), None);
        }
        let bytes = std::fs::read(root.path().join("logs/output.log")).expect("there");
        for line in bytes.split(|byte| *byte == b'\n') {
            let stamp = Stamp::split(line).0.expect("a stamp");
            assert!(stamp.generation == 7 && stamp.at_ms >= before, "{stamp:?}");
        }
        assert_eq!(text(&root, "output.log").as_deref(), Some("one\ntwo\nlast"));
    }

    #[test]
    fn a_line_that_another_process_left_open_is_ended() {
        let (root, state, mut log) = sandbox(4096, 0);
        log.append(b"its last words");
        let mut next = OutputLog::new(&state, &Logs::default()).expect("a log").of_generation(2);
        next.append(b"hello\n");
        assert_eq!(text(&root, "output.log").as_deref(), Some("its last words\nhello\n"));
    }

    #[test]
    fn a_log_that_is_moved_removed_or_emptied_goes_on_under_its_name() {
        let (root, _state, mut log) = sandbox(100, 1);
        let path = root.path().join("logs/output.log");
        log.append(b"one\n");
        std::fs::rename(&path, path.with_file_name("moved")).expect("moved");
        log.append(b"two\n");
        assert_eq!(text(&root, "moved").as_deref(), Some("one\n"));
        assert_eq!(text(&root, "output.log").as_deref(), Some("two\n"));
        std::fs::remove_file(&path).expect("removed");
        log.append(b"three\n");
        assert_eq!(text(&root, "output.log").as_deref(), Some("three\n"));
        log.append(b"three, cut");
        std::fs::write(&path, "").expect("emptied");
        // The length is that of the file, so it is not rotated too early.
        log.append(b"four\nfive\n");
        assert_eq!(text(&root, "output.log").as_deref(), Some("four\nfive\n"));
        assert_eq!(text(&root, "output.log.1"), None);
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_falls_off() {
        let (root, _state, mut log) = sandbox(40, 2);
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
        let (root, _state, mut log) = sandbox(40, 0);
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

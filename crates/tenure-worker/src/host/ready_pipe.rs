//! The descriptor on which a program tells that it is ready: by a line, or by closing after a write. A line `version=…`
//! before that tells its version.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

/// How a line begins that tells a version.
const VERSION: &[u8] = b"version=";

/// What is kept of a line: a version is far shorter, and of any other line only its end matters.
const LONGEST: usize = 256;

/// Our end of the descriptor.
pub(super) struct ReadyPipe {
    pipe: File,
    line: Vec<u8>,
    written: bool,
}

/// What was read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadyWord {
    /// A version, as the program says it.
    Version(String),
    /// A line, or the end after a write.
    Ready,
    /// The end without a write.
    Silent,
}

impl ReadyPipe {
    pub(super) fn new(pipe: File) -> Self {
        Self { pipe, line: Vec::new(), written: false }
    }

    /// Readable when there is something to read, or at the end.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads once. After [`ReadyWord::Ready`] and [`ReadyWord::Silent`] there is nothing more to hear.
    pub(super) fn read(&mut self) -> Vec<ReadyWord> {
        let mut bytes = [0_u8; LONGEST];
        let count = self.pipe.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            let last = if self.written { ReadyWord::Ready } else { ReadyWord::Silent };
            return self.version().into_iter().chain([last]).collect();
        }
        self.written = true;
        let mut words = Vec::new();
        for &byte in bytes.iter().take(count) {
            if byte != b'\n' {
                if self.line.len() < LONGEST {
                    self.line.push(byte);
                }
                continue;
            }
            let version = self.version();
            let ends = version.is_none();
            words.push(version.unwrap_or(ReadyWord::Ready));
            if ends {
                break;
            }
        }
        words
    }

    /// Takes the line, if it tells a version.
    fn version(&mut self) -> Option<ReadyWord> {
        let line = std::mem::take(&mut self.line);
        line.strip_prefix(VERSION).map(|said| ReadyWord::Version(String::from_utf8_lossy(said).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn ends() -> (ReadyPipe, File) {
        let (read, write) = tenure_sys::pipe::pipe().expect("a pipe");
        (ReadyPipe::new(File::from(read)), File::from(write))
    }

    fn version(said: &str) -> ReadyWord {
        ReadyWord::Version(said.to_owned())
    }

    #[test]
    fn readiness_is_a_line_or_the_end_after_a_write() {
        let (mut ready, mut program) = ends();
        program.write_all(b"rea").expect("room");
        assert_eq!(ready.read(), []);
        program.write_all(b"dy\n").expect("room");
        assert_eq!(ready.read(), [ReadyWord::Ready]);
        let (mut ready, mut program) = ends();
        program.write_all(b"1").expect("room");
        assert_eq!(ready.read(), []);
        drop(program);
        assert_eq!(ready.read(), [ReadyWord::Ready]);
    }

    #[test]
    fn a_descriptor_that_is_closed_without_a_word_tells_nothing() {
        let (mut ready, program) = ends();
        drop(program);
        assert_eq!(ready.read(), [ReadyWord::Silent]);
    }

    #[test]
    fn a_version_is_told_before_readiness_and_is_not_readiness() {
        let (mut ready, mut program) = ends();
        program.write_all(b"version=1.").expect("room");
        assert_eq!(ready.read(), []);
        program.write_all(b"2.3\n").expect("room");
        assert_eq!(ready.read(), [version("1.2.3")]);
        program.write_all(b"version=2.0.0\nready\n").expect("room");
        assert_eq!(ready.read(), [version("2.0.0"), ReadyWord::Ready]);
        let (mut ready, mut program) = ends();
        program.write_all(b"version=1.0.0").expect("room");
        drop(program);
        assert_eq!(ready.read(), []);
        assert_eq!(ready.read(), [version("1.0.0"), ReadyWord::Ready]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_room_than_a_line() {
        let (mut ready, mut program) = ends();
        for _ in 0..10 {
            program.write_all(&[b'x'; LONGEST]).expect("room");
            assert_eq!(ready.read(), []);
        }
        assert_eq!(ready.line.len(), LONGEST);
        program.write_all(b"\n").expect("room");
        assert_eq!(ready.read(), [ReadyWord::Ready]);
    }
}

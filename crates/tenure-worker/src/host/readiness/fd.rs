//! `fd`: a descriptor on which the program tells that it is ready, by a line, or by closing it after a write. A line
//! `version=…` before that tells its version.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::kind::{ReadinessKind, ReadinessMessage};

/// Names the descriptor on which the program says that it is ready.
pub(in crate::host) const READY_VARIABLE: &str = "TENURE_READY_FD";

/// How a line begins that tells a version.
const VERSION: &[u8] = b"version=";

/// What is kept of a line: a version is far shorter, and of any other line only its end matters.
const LONGEST: usize = 256;

/// Our end of the descriptor.
struct ReadyPipe {
    pipe: File,
    line: Vec<u8>,
    written: bool,
}

/// Our end of the pipe of the present start, until there is nothing more to read from it.
#[derive(Default)]
pub(super) struct Fd(Option<ReadyPipe>);

impl ReadinessKind for Fd {
    fn awaited(&self) -> (String, &'static str) {
        (format!("a line on the descriptor in {READY_VARIABLE}"), "did not arrive")
    }

    fn wants_pipe(&self) -> bool {
        true
    }

    fn variable(&self, descriptor: usize) -> Option<(&'static str, String)> {
        Some((READY_VARIABLE, descriptor.to_string()))
    }

    fn begin(&mut self) {
        self.0 = None;
    }

    fn take_pipe(&mut self, pipe: OwnedFd) {
        self.0 = Some(ReadyPipe::new(File::from(pipe)));
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|ready| ready.pipe.as_fd())
    }

    fn read(&mut self) -> Vec<ReadinessMessage> {
        let messages = self.0.as_mut().map(ReadyPipe::read).unwrap_or_default();
        if messages.iter().any(|told| matches!(told, ReadinessMessage::Ready | ReadinessMessage::Silent)) {
            self.0 = None;
        }
        messages
    }
}

impl ReadyPipe {
    fn new(pipe: File) -> Self {
        Self { pipe, line: Vec::new(), written: false }
    }

    /// Reads once. After [`ReadinessMessage::Ready`] and [`ReadinessMessage::Silent`] there is nothing more to read.
    fn read(&mut self) -> Vec<ReadinessMessage> {
        let mut bytes = [0_u8; LONGEST];
        let count = self.pipe.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            let last = if self.written { ReadinessMessage::Ready } else { ReadinessMessage::Silent };
            return self.version().into_iter().chain([last]).collect();
        }
        self.written = true;
        let mut messages = Vec::new();
        for &byte in bytes.iter().take(count) {
            if byte != b'\n' {
                if self.line.len() < LONGEST {
                    self.line.push(byte);
                }
                continue;
            }
            let version = self.version();
            let ends = version.is_none();
            messages.push(version.unwrap_or(ReadinessMessage::Ready));
            if ends {
                break;
            }
        }
        messages
    }

    /// Takes the line, if it tells a version.
    fn version(&mut self) -> Option<ReadinessMessage> {
        let line = std::mem::take(&mut self.line);
        line.strip_prefix(VERSION)
            .map(|said| ReadinessMessage::Version(String::from_utf8_lossy(said).into_owned()))
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

    fn version(said: &str) -> ReadinessMessage {
        ReadinessMessage::Version(said.to_owned())
    }

    #[test]
    fn readiness_is_a_line_or_the_end_after_a_write() {
        let (mut ready, mut program) = ends();
        program.write_all(b"rea").expect("room");
        assert_eq!(ready.read(), []);
        program.write_all(b"dy\n").expect("room");
        assert_eq!(ready.read(), [ReadinessMessage::Ready]);
        let (mut ready, mut program) = ends();
        program.write_all(b"1").expect("room");
        assert_eq!(ready.read(), []);
        drop(program);
        assert_eq!(ready.read(), [ReadinessMessage::Ready]);
    }

    #[test]
    fn a_descriptor_that_is_closed_without_a_word_tells_nothing() {
        let (mut ready, program) = ends();
        drop(program);
        assert_eq!(ready.read(), [ReadinessMessage::Silent]);
    }

    #[test]
    fn a_version_is_told_before_readiness_and_is_not_readiness() {
        let (mut ready, mut program) = ends();
        program.write_all(b"version=1.").expect("room");
        assert_eq!(ready.read(), []);
        program.write_all(b"2.3\n").expect("room");
        assert_eq!(ready.read(), [version("1.2.3")]);
        program.write_all(b"version=2.0.0\nready\n").expect("room");
        assert_eq!(ready.read(), [version("2.0.0"), ReadinessMessage::Ready]);
        let (mut ready, mut program) = ends();
        program.write_all(b"version=1.0.0").expect("room");
        drop(program);
        assert_eq!(ready.read(), []);
        assert_eq!(ready.read(), [version("1.0.0"), ReadinessMessage::Ready]);
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
        assert_eq!(ready.read(), [ReadinessMessage::Ready]);
    }
}

//! One request and its answer over a connection, bounded in time and called off at once.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use tenure_core::deadline::Deadline;
use tenure_sys::poll;
use tenure_sys::socket::Connection;
use tenure_sys::wake::Waker;

use super::check::{Answer, AnswerKind};

/// A conversation that can say why it failed.
pub(super) trait Conversation: Read + Write {
    /// The answer that a failed read or write stands for.
    fn answer(&self, error: io::Error) -> Answer;
}

/// A connection whose reads wait, until a limit or until they are called off.
pub(super) struct Bounded<'ask> {
    stream: Connection,
    until: (&'ask Deadline, &'ask Waker),
    why: Option<Answer>,
}

impl<'ask> Bounded<'ask> {
    /// A connection that does not block.
    pub(super) fn new(stream: Connection, until: (&'ask Deadline, &'ask Waker)) -> Self {
        Self { stream, until, why: None }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            let (limit, off) = self.until;
            match poll::wait_readable([self.stream.as_fd(), off.as_fd()], Some(limit.remaining())) {
                Ok([true, false]) => {}
                Ok([_, true]) => {
                    self.why = Some(Answer::other("was called off"));
                    return Err(io::Error::other("called off"));
                }
                Ok([false, false]) => {
                    self.why = Some(Answer::new(AnswerKind::Silent, "was not answered in time"));
                    return Err(ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Conversation for Bounded<'_> {
    fn answer(&self, error: io::Error) -> Answer {
        match (&self.why, error.kind()) {
            (Some(why), _) => why.clone(),
            (None, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => closed(),
            (None, _) => Answer::other(format!("failed: {error}")),
        }
    }
}

pub(super) fn closed() -> Answer {
    Answer::other("was not answered: the connection was closed")
}

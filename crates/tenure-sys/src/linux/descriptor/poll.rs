//! Waits for descriptors, and only for as long as it was told to.
//!
//! A wait that a signal interrupted goes on with the time that is left.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::linux::machine::clock::WaitLimit;

/// What is waited for on a descriptor. The end of the other side is always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Something to read, a connection to accept, a process that ended, or the end of the stream.
    Read,
    /// Room to write.
    Write,
    /// Nothing but the end of the other side.
    Nothing,
}

/// One descriptor of a wait, with what the last wait said about it.
#[derive(Debug)]
pub struct Interest<'fd> {
    fd: BorrowedFd<'fd>,
    want: Readiness,
    seen: PollFlags,
}

impl<'fd> Interest<'fd> {
    /// Names a descriptor and what is wanted of it; not ready before a wait.
    #[must_use]
    pub fn new(fd: BorrowedFd<'fd>, want: Readiness) -> Self {
        Self { fd, want, seen: PollFlags::empty() }
    }

    /// Tells whether what was wanted can be done now without blocking, be it only to learn of the end or an error.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Tells whether the other side is gone or the descriptor has failed; there may still be something to read.
    #[must_use]
    pub fn hangup(&self) -> bool {
        self.seen.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
    }

    fn flags(&self) -> PollFlags {
        match self.want {
            Readiness::Read => PollFlags::IN,
            Readiness::Write => PollFlags::OUT,
            Readiness::Nothing => PollFlags::empty(),
        }
    }
}

/// Waits until at least one is ready and returns how many are; 0 says that the time is over. `None` waits for ever.
pub fn wait(interests: &mut [Interest<'_>], limit: Option<Duration>) -> io::Result<usize> {
    let until = WaitLimit::after(limit);
    let mut fds: Vec<PollFd<'_>> =
        interests.iter().map(|interest| PollFd::from_borrowed_fd(interest.fd, interest.flags())).collect();
    let count = loop {
        // A length that the kernel cannot hold means for ever.
        let left = until.left().and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(count) => break count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    };
    for (interest, fd) in interests.iter_mut().zip(&fds) {
        interest.seen = fd.revents();
    }
    Ok(count)
}

/// Waits until at least one of `fds` can be read, or has ended, and returns which; none says that the time is over.
/// `None` waits for ever.
pub fn wait_readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    limit: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut interests = fds.map(|fd| Interest::new(fd, Readiness::Read));
    wait(&mut interests, limit)?;
    Ok(interests.map(|interest| interest.ready()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_wait_ends_with_its_time() {
        let (read, _write) = crate::linux::descriptor::pipe::pipe().expect("a pipe");
        let mut waiting = [Interest::new(read.as_fd(), Readiness::Read)];
        assert_eq!(wait(&mut waiting, Some(Duration::from_millis(1))).expect("a wait"), 0);
        assert!(!waiting[0].ready() && !waiting[0].hangup());
    }

    #[test]
    fn the_end_of_the_other_side_is_told_apart_from_data() {
        let (read, write) = crate::linux::descriptor::pipe::pipe().expect("a pipe");
        let mut write = std::fs::File::from(write);
        write.write_all(b"x").expect("room");
        let mut waiting = [Interest::new(read.as_fd(), Readiness::Read)];
        assert_eq!(wait(&mut waiting, None).expect("a wait"), 1);
        assert!(waiting[0].ready() && !waiting[0].hangup());
        drop(write);
        let mut waiting = [Interest::new(read.as_fd(), Readiness::Nothing)];
        assert_eq!(wait(&mut waiting, None).expect("a wait"), 1);
        assert!(waiting[0].hangup());
    }
}

//! Wakes a thread that waits in [`crate::linux::descriptor::poll::wait`], from any other thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::retry_on_intr;

use crate::common::discard::best_effort;

/// A flag in the kernel (eventfd): readable from [`Waker::wake`] until [`Waker::drain`].
///
/// It carries no count and no value; what changed is to be found where it is kept.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// Makes a flag that is not up.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Puts the flag up. It stays up however often this is called.
    pub fn wake(&self) {
        // A full counter is an error, and the flag is up then; nothing else can happen to an eventfd.
        best_effort(retry_on_intr(|| rustix::io::write(&self.0, &1_u64.to_ne_bytes())));
    }

    /// Takes the flag down.
    pub fn drain(&self) {
        let mut count = [0_u8; 8];
        // A flag that is down already is an error.
        best_effort(retry_on_intr(|| rustix::io::read(&self.0, &mut count)));
    }

    /// A second handle of the same flag.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::linux::descriptor::poll::{Interest, Readiness, wait};

    fn is_up(waker: &Waker) -> bool {
        wait(&mut [Interest::new(waker.as_fd(), Readiness::Read)], Some(Duration::ZERO)).expect("a wait") == 1
    }

    #[test]
    fn it_is_up_from_wake_until_drain() {
        let waker = Waker::new().expect("a waker");
        assert!(!is_up(&waker));
        waker.try_clone().expect("a second handle").wake();
        waker.wake();
        assert!(is_up(&waker));
        waker.drain();
        assert!(!is_up(&waker));
        waker.drain();
    }
}

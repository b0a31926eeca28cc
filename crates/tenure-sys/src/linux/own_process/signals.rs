//! Signals to this process: read from a descriptor, or ignored.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::retry_on_intr;

/// Makes a write beyond the limit on the size of files an error (`EFBIG`) instead of the end of the process. Programs
/// that are started later get the default back.
pub fn ignore_sigxfsz() {
    // SAFETY: the disposition is built in, so no code of the program is called from a handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// A signal that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedSignal {
    /// Asked to end (TERM).
    Terminate,
    /// Interrupted from the keyboard (INT).
    Interrupt,
    /// The terminal has gone (HUP).
    Hangup,
    /// One or more children have changed; ask until none is left, since signals of a kind are merged.
    Child,
}

/// Signals as a descriptor, instead of a handler that interrupts a thread anywhere.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks TERM and INT in the calling thread and gives a descriptor to read them from; as
    /// [`Self::for_termination_and_children`], for a process whose app may have handlers of its own for all others.
    pub fn for_termination() -> io::Result<Self> {
        Self::of(&[libc::SIGTERM, libc::SIGINT])
    }

    /// Blocks TERM, INT, HUP and CHLD in the calling thread and gives a descriptor to read them from.
    ///
    /// To be called before other threads are started: they inherit the block, while a thread from before would still
    /// take the signal and end the process. What is started through this crate gets an empty mask.
    pub fn for_termination_and_children() -> io::Result<Self> {
        Self::of(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD])
    }

    fn of(signals: &[libc::c_int]) -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigemptyset` initialises the set before it is used; the signal numbers are valid; a null old mask
        // is allowed.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), *signal);
            }
            let failed = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            if failed != 0 {
                return Err(io::Error::from_raw_os_error(failed));
            }
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes one signal that is there; `None` when there is none.
    #[must_use]
    pub fn read(&self) -> Option<ReceivedSignal> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        retry_on_intr(|| rustix::io::read(&self.0, &mut info)).ok()?;
        // `ssi_signo` is the first field (signalfd(2)).
        match i32::from_ne_bytes(*info.first_chunk()?) {
            libc::SIGTERM => Some(ReceivedSignal::Terminate),
            libc::SIGINT => Some(ReceivedSignal::Interrupt),
            libc::SIGHUP => Some(ReceivedSignal::Hangup),
            libc::SIGCHLD => Some(ReceivedSignal::Child),
            // Not among those that the descriptor was made for.
            _ => None,
        }
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_signals_are_read_one_by_one() {
        let read = std::thread::spawn(|| {
            let signals = SignalFd::for_termination_and_children().expect("a descriptor of signals");
            let mut read = vec![signals.read()];
            for signal in [libc::SIGHUP, libc::SIGTERM, libc::SIGINT] {
                // SAFETY: the thread that is signalled is this one, which blocks these signals.
                assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), signal) }, 0);
                read.push(signals.read());
            }
            read.push(signals.read());
            read
        });
        let expected = [
            None,
            Some(ReceivedSignal::Hangup),
            Some(ReceivedSignal::Terminate),
            Some(ReceivedSignal::Interrupt),
            None,
        ];
        assert_eq!(read.join().expect("no signal ends the thread"), expected);
    }
}

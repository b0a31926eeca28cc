//! Descriptors with fixed numbers: those that a launcher placed at 3, 4, 5, …, and the two of the output.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::retry_on_intr;
use rustix::stdio::{dup2_stderr, dup2_stdout};

use crate::linux::descriptor::pipe;

/// The first descriptor after the three standard ones; also what `LISTEN_FDS` counts from (`sd_listen_fds(3)`).
const FIRST: RawFd = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes over the descriptors from 3 on, `count` of them, and makes them close-on-exec.
///
/// To be called first in `main`, before anything else opens a descriptor that could get one of these numbers. It
/// works once in a process; a second call is refused, because ownership has been handed out. If one of them is not
/// open nothing is taken.
pub fn take_inherited(count: usize) -> io::Result<Vec<OwnedFd>> {
    let count = RawFd::try_from(count).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    for fd in FIRST..FIRST.saturating_add(count) {
        // SAFETY: reading the flags of a number touches no memory, whether or not it is open.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            let message = format!("descriptor {fd} was expected from the launcher and is not open");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
    }
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "inherited descriptors have been taken before",
        ));
    }
    let mut fds = Vec::new();
    for fd in FIRST..FIRST + count {
        // SAFETY: the number is open, as checked above, and no one else owns it: this runs once in a process, before
        // anything of the program has opened a descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        pipe::set_cloexec(fd.as_fd(), true)?;
        fds.push(fd);
    }
    Ok(fds)
}

/// Points stdout and stderr at another file, each in one step: a write of another thread goes to the old file or to the
/// new one.
pub fn replace_output(file: BorrowedFd<'_>) -> io::Result<()> {
    retry_on_intr(|| dup2_stdout(file))?;
    Ok(retry_on_intr(|| dup2_stderr(file))?)
}

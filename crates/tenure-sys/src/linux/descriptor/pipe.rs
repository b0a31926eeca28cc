//! Pipes, and the two flags of a descriptor.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// Makes a pipe: the end to read from, the end to write to; both close-on-exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// Has a pipe hold at least so many bytes, as far as the user may: an unprivileged user gets at most
/// `/proc/sys/fs/pipe-max-size` (1 MiB unless it was changed), and the usual size once all of the user's pipes take more
/// than `pipe-user-pages-soft`.
pub fn enlarge(pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let had = fcntl_getpipe_size(pipe)?;
    if had >= bytes { Ok(had) } else { Ok(fcntl_setpipe_size(pipe, bytes)?) }
}

/// Sets whether reads and writes return at once. The flag belongs to the open file, so everyone who shares it sees it.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, nonblocking);
    Ok(fcntl_setfl(fd, flags)?)
}

/// Sets whether the descriptor is closed when the process becomes another program.
pub fn set_cloexec(fd: BorrowedFd<'_>, cloexec: bool) -> io::Result<()> {
    let mut flags = fcntl_getfd(fd)?;
    flags.set(FdFlags::CLOEXEC, cloexec);
    Ok(fcntl_setfd(fd, flags)?)
}

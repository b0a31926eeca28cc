//! Who is at the other end of a local socket, as the kernel tells it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::{fs, io};

use crate::linux::process::{OpenError, ProcessHandle};

/// `SO_PEERPIDFD` of asm-generic/socket.h, Linux 6.5.
const SO_PEERPIDFD: libc::c_int = 77;

/// The default of `kernel.overflowuid` (linux/highuid.h).
const OVERFLOW_UID: u32 = 65_534;

/// The peer of a connection as it was when it connected, or, seen from there, when its listener began to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// Its process; 0 where it is in a pid namespace that cannot be seen from here.
    pub pid: u32,
    /// Its effective user; see [`overflow_uid`].
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// Asks who the peer is.
pub fn peer_cred(stream: impl AsFd) -> io::Result<PeerCred> {
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    // SAFETY: `ucred` is plain data that the kernel may fill in any way.
    unsafe { option(stream.as_fd(), libc::SO_PEERCRED, &mut cred) }?;
    Ok(PeerCred { pid: u32::try_from(cred.pid).unwrap_or(0), uid: cred.uid, gid: cred.gid })
}

/// Opens a handle of the peer: the very process that connected, or listened, and not whoever has its number now.
///
/// [`OpenError::Unsupported`] before Linux 6.5, [`OpenError::Gone`] if the process has ended, even if another one
/// answers on the socket that it left.
pub fn peer_process(stream: &UnixStream) -> Result<ProcessHandle, OpenError> {
    let mut fd: libc::c_int = -1;
    // SAFETY: any number may be written into the integer.
    let asked = unsafe { option(stream.as_fd(), SO_PEERPIDFD, &mut fd) };
    match asked.map_err(|error| (error.raw_os_error(), error)) {
        // SAFETY: on success the kernel has made this descriptor for us, close-on-exec.
        Ok(()) => ProcessHandle::from_pidfd(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err((Some(libc::ENOPROTOOPT), _)) => Err(OpenError::Unsupported),
        // A peer that was waited for is ESRCH, and EINVAL before Linux 6.15.
        Err((Some(libc::ESRCH | libc::EINVAL), _)) => Err(OpenError::Gone),
        Err((Some(libc::EPERM | libc::EACCES), error)) => Err(OpenError::Denied(error)),
        Err((_, error)) => Err(OpenError::Other(error)),
    }
}

/// Reads a socket option of fixed size.
///
/// # Safety
///
/// Every pattern of bytes must be a valid `T`.
unsafe fn option<T>(stream: BorrowedFd<'_>, name: libc::c_int, value: &mut T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).expect("options are a few bytes");
    let mut length = size;
    let place = std::ptr::from_mut(value).cast();
    // SAFETY: `place` has `length` writable bytes, and `length` says so to the kernel.
    let answer =
        unsafe { libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, name, place, &raw mut length) };
    match answer {
        0 if length == size => Ok(()),
        0 => Err(io::Error::from(io::ErrorKind::InvalidData)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The uid that the kernel shows for users outside this user namespace: a peer with it has no known user.
#[must_use]
pub fn overflow_uid() -> u32 {
    let text = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(OVERFLOW_UID)
}

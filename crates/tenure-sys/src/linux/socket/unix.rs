//! Local sockets with a name in a private directory.
//!
//! A socket's path may have 107 bytes and the end mark (unix(7)); a longer one goes through `/proc/self/fd/`, which
//! leads to the open directory.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use thiserror::Error;

use crate::linux::file::dir::Dir;
use crate::linux::machine::clock::WaitLimit;

/// Bytes of a path in `sockaddr_un` without the end mark.
pub const PATH_LIMIT: usize = 107;

/// Why a local socket did not answer.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// There is no such name, so nobody listens.
    #[error("connect to a socket that does not exist")]
    Absent,
    /// The name exists and its listener is gone, so nobody listens.
    #[error("connect to a socket that nobody listens on")]
    Refused,
    /// A sandbox or permissions forbid it. This says nothing about the listener.
    #[error("connect to a socket without permission")]
    Denied(#[source] io::Error),
    /// The queue of the listener stayed full: a process listens and does not accept.
    #[error("connect to a socket whose queue is full")]
    Full,
    /// Anything else.
    #[error("connect to a socket")]
    Other(#[source] io::Error),
}

/// Binds a name in the directory and listens on it, with mode 0600 whatever the umask says.
///
/// The name must be free; to replace a listener, bind another name and rename it over.
pub fn bind_unix(dir: &Dir, name: impl AsRef<Path>, backlog: i32) -> io::Result<UnixListener> {
    bind_at(&reachable(dir, name.as_ref()), backlog)
}

/// Binds a path that the kernel takes.
pub(super) fn bind_at(path: &Path, backlog: i32) -> io::Result<UnixListener> {
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Linux takes the mode of the new name from the unbound socket, so there is no moment with a wider one.
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    bind(&fd, &SocketAddrUnix::new(path)?)?;
    listen(&fd, backlog)?;
    Ok(UnixListener::from(fd))
}

/// Listens again on a socket that was inherited: the kernel then names the caller as the peer of those who connect.
pub fn relisten(fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    Ok(listen(fd, backlog)?)
}

/// Connects to a name in the directory; waits for room in a full queue for at most `timeout`.
///
/// The limit is set as the send time-out of the socket before connecting and stays; nothing else is set.
pub fn connect_unix(
    dir: &Dir,
    name: impl AsRef<Path>,
    timeout: Duration,
) -> Result<UnixStream, ConnectError> {
    connect_at(&reachable(dir, name.as_ref()), timeout)
}

/// Connects to a path, of any length, as [`connect_unix`] does.
pub fn connect_path(path: &Path, timeout: Duration) -> Result<UnixStream, ConnectError> {
    if path.as_os_str().len() <= PATH_LIMIT {
        return connect_at(path, timeout);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ConnectError::Other(io::ErrorKind::InvalidInput.into()));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, parent, flags, Mode::empty()).map_err(connect_error)?;
    connect_at(&reachable_in(parent, dir.as_fd(), Path::new(name)), timeout)
}

fn connect_at(path: &Path, timeout: Duration) -> Result<UnixStream, ConnectError> {
    let until = WaitLimit::after(Some(timeout));
    let address = SocketAddrUnix::new(path).map_err(connect_error)?;
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(connect_error)?;
    loop {
        // Zero would mean for ever.
        let left = until.left().map(|left| left.max(Duration::from_millis(1)));
        set_socket_timeout(&fd, Timeout::Send, left).map_err(connect_error)?;
        match connect(&fd, &address) {
            Ok(()) => return Ok(UnixStream::from(fd)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(connect_error(errno)),
        }
    }
}

fn reachable(dir: &Dir, name: &Path) -> PathBuf {
    reachable_in(dir.path(), dir.as_fd(), name)
}

/// The path itself, or through the open directory where it is too long.
pub(super) fn reachable_in(path: &Path, dir: BorrowedFd<'_>, name: &Path) -> PathBuf {
    let direct = path.join(name);
    if direct.as_os_str().len() <= PATH_LIMIT {
        return direct;
    }
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name)
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Absent => io::ErrorKind::NotFound.into(),
            ConnectError::Refused => io::ErrorKind::ConnectionRefused.into(),
            ConnectError::Full => io::ErrorKind::TimedOut.into(),
            ConnectError::Denied(source) | ConnectError::Other(source) => source,
        }
    }
}

fn connect_error(errno: Errno) -> ConnectError {
    match errno {
        Errno::NOENT => ConnectError::Absent,
        Errno::CONNREFUSED => ConnectError::Refused,
        Errno::PERM | Errno::ACCESS => ConnectError::Denied(errno.into()),
        Errno::AGAIN => ConnectError::Full,
        _ => ConnectError::Other(errno.into()),
    }
}

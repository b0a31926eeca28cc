//! Local sockets with a name in a private directory.
//!
//! A socket's path may have 107 bytes and the end mark (unix(7)); a longer one goes through `/proc/self/fd/`, which
//! leads to the open directory.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use thiserror::Error;

use crate::linux::file::dir::Dir;
use crate::linux::machine::clock::WaitLimit;

/// Bytes of a path in `sockaddr_un` without the end mark.
const PATH_LIMIT: usize = 107;

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
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Linux takes the mode of the new name from the unbound socket, so there is no moment with a wider one.
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    bind(&fd, &SocketAddrUnix::new(reachable(dir, name.as_ref()))?)?;
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
    let until = WaitLimit::after(Some(timeout));
    let address = SocketAddrUnix::new(reachable(dir, name.as_ref())).map_err(connect_error)?;
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
    let direct = dir.path().join(name);
    if direct.as_os_str().as_bytes().len() <= PATH_LIMIT {
        return direct;
    }
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).join(name)
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

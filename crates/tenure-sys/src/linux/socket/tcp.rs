//! Listeners and connections over TCP.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// Binds an address and listens on it. Finished connections do not keep an address (`SO_REUSEADDR`); another listener
/// on it is an error of kind `AddrInUse`, and [`super::owner_of_tcp`] tells whose it is.
pub fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&fd, true)?;
    bind(&fd, &address)?;
    listen(&fd, backlog)?;
    Ok(TcpListener::from(fd))
}

/// Connects within `timeout`, which must not be zero.
pub fn connect_tcp(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, timeout)
}

/// Makes closing this connection a reset, from which the peer learns that it has not received everything.
pub fn reset_at_close(stream: BorrowedFd<'_>) -> io::Result<()> {
    Ok(set_socket_linger(stream, Some(Duration::ZERO))?)
}

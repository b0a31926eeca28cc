//! Whole messages over a connected socket, with descriptors (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::linux::descriptor::memory;

/// Most descriptors that the kernel takes with one message (`SCM_MAX_FD` in net/scm.h).
const MAX_FDS: usize = 253;

/// One message.
#[derive(Debug)]
pub struct ReceivedMessage {
    /// What was sent; empty at the end of the connection.
    pub bytes: Vec<u8>,
    /// What came with it, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Makes two connected sockets that keep messages apart (`SOCK_SEQPACKET`), close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message with at most 253 descriptors. A closed peer is an error (`EPIPE`) and raises no signal.
///
/// A message must not be empty: the receiver would take it for the end. The kernel duplicates the descriptors; ours
/// stay open.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if bytes.is_empty() || fds.len() > MAX_FDS {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(fds.len()))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        match sendmsg(socket, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL) {
            // Only a stream takes a part of a message; the descriptors went with the first part.
            Ok(count) => {
                rest = rest.get(count..).unwrap_or_default();
                control.clear();
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Receives one message of at most `max` bytes, or the end.
///
/// A peer that closes with unread data resets the connection, and the kernel reports that once, ahead of what the peer
/// had sent (unix(7), `ECONNRESET`); the message behind it is then read. A message that was cut, or whose descriptors
/// found no room, is an error of kind `InvalidData`; descriptors that did arrive are closed.
pub fn recv(socket: BorrowedFd<'_>, max: usize) -> io::Result<ReceivedMessage> {
    receive(socket, max, RecvFlags::empty())
}

/// Most bytes of a message that go over the socket itself: its buffer, 208 KiB unless the machine says otherwise, has
/// room for that.
const MOST_ON_SOCKET: usize = 64 * 1024;

/// Sends one message of any length, without descriptors. A long one goes as an unnamed file, with its length as the
/// message: the buffer of a socket is shorter than what a process can get as arguments and environment.
pub fn send_long(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() <= MOST_ON_SOCKET {
        return send(socket, bytes, &[]);
    }
    let held = memory::hold("tenure-message", bytes)?;
    send(socket, bytes.len().to_string().as_bytes(), &[held.as_fd()])
}

/// Receives what [`send_long`] has sent, of at most `max` bytes; empty at the end.
pub fn recv_long(socket: BorrowedFd<'_>, max: usize) -> io::Result<Vec<u8>> {
    let ReceivedMessage { bytes, fds } = recv(socket, max.min(2 * MOST_ON_SOCKET))?;
    let Some(held) = fds.into_iter().next() else { return Ok(bytes) };
    let length = std::str::from_utf8(&bytes).ok().and_then(|length| length.parse::<u64>().ok());
    match length.filter(|length| *length <= max as u64) {
        Some(length) => memory::read(held, length),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "message has no length that can be read")),
    }
}

/// How many bytes could be read now, at most one; 0 at the end of a stream. They stay where they are.
pub fn peek(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (count, _) = retry_on_intr(|| rustix::net::recv(socket, &mut [0_u8; 1][..], flags))?;
    Ok(count)
}

/// Receives a message that is already there; `WouldBlock` if there is none.
pub(crate) fn recv_now(socket: BorrowedFd<'_>, max: usize) -> io::Result<ReceivedMessage> {
    receive(socket, max, RecvFlags::DONTWAIT)
}

fn receive(socket: BorrowedFd<'_>, max: usize, flags: RecvFlags) -> io::Result<ReceivedMessage> {
    let mut bytes = vec![0_u8; max];
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut was_reset = false;
    let message = loop {
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Ok(message) => break message,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) if !was_reset => was_reset = true,
            Err(errno) => return Err(errno.into()),
        }
    };
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    // The kernel also sets this flag where this process has no descriptor number left (unix(7), recvmsg(2)).
    if message.flags.contains(ReturnFlags::CTRUNC) {
        let why =
            "descriptors that came with a message were lost: too many of them, or this process has none left";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message was cut on its way"));
    }
    bytes.truncate(message.bytes);
    Ok(ReceivedMessage { bytes, fds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_arrive_open_and_lead_to_the_same_file() {
        let (left, right) = pair().expect("a pair");
        let (read, write) = crate::linux::descriptor::pipe::pipe().expect("a pipe");
        send(left.as_fd(), b"two", &[read.as_fd(), write.as_fd()]).expect("room");
        let received = recv(right.as_fd(), 16).expect("a message");
        assert_eq!(received.bytes, b"two");
        let inode = |fd: BorrowedFd<'_>| crate::linux::file::dir::fstat(fd).expect("open").ino;
        let arrived: Vec<u64> = received.fds.iter().map(|fd| inode(fd.as_fd())).collect();
        assert_eq!(arrived, [inode(read.as_fd()), inode(write.as_fd())]);
        for fd in &received.fds {
            assert!(rustix::io::fcntl_getfd(fd).expect("open").contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn a_message_may_be_longer_than_the_sockets_buffer() {
        let (left, right) = pair().expect("a pair");
        let long = vec![b'x'; 3 << 20];
        for message in [&b"short"[..], &long] {
            send_long(left.as_fd(), message).expect("room");
            assert_eq!(recv_long(right.as_fd(), 4 << 20).expect("a message"), message);
        }
        send_long(left.as_fd(), &long).expect("room");
        let refused = recv_long(right.as_fd(), 1 << 20).expect_err("too long");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        drop(left);
        assert!(recv_long(right.as_fd(), 9).expect("the end").is_empty());
    }

    #[test]
    fn a_cut_message_is_an_error_and_not_half_a_message() {
        let (left, right) = pair().expect("a pair");
        send(left.as_fd(), b"too long", &[]).expect("room");
        assert_eq!(recv(right.as_fd(), 3).expect_err("cut").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_end_is_an_empty_message_and_cannot_be_sent() {
        let (left, right) = pair().expect("a pair");
        assert!(send(left.as_fd(), b"", &[]).is_err());
        assert_eq!(recv_now(right.as_fd(), 3).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        drop(left);
        assert!(recv(right.as_fd(), 3).expect("the end").bytes.is_empty());
        assert_eq!(send(right.as_fd(), b"x", &[]).expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
    }
}

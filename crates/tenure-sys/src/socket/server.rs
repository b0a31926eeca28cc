//! Whose the other side of a TCP connection on this machine is, by the word of the kernel.
//!
//! Asked over `sock_diag(7)`: one message with the addresses of the connection as its other side has them, one answer with that
//! socket's user. It is about this very connection and not about whoever listens on the address now. Own code: it is one
//! request of 72 bytes and one answer of which two numbers are read, less than a crate would be to look after.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST` and `NLMSG_ERROR` of `linux/netlink.h`.
const REQUEST: u16 = 1;
const ERROR: u16 = 2;

/// Bytes of `struct nlmsghdr`, `struct inet_diag_req_v2`, and of an answer up to the last field that is read.
const HEADER: usize = 16;
const QUESTION: usize = HEADER + 56;
const ANSWER: usize = HEADER + 72;

/// Where `idiag_uid` stands in `struct inet_diag_msg`.
const UID: usize = HEADER + 64;

/// `INET_DIAG_NOCOOKIE` of `linux/inet_diag.h`.
const NO_COOKIE: [u8; 4] = [0xff; 4];

/// All states of a connection. A closed side that waits for its time to be over has no user any more, and tells 0.
const STATES: u32 = 0xffff_ffff;

/// A way to ask, kept open.
#[derive(Debug)]
pub struct ServerSide {
    netlink: OwnedFd,
    asked: u32,
}

impl ServerSide {
    /// Opens a way to ask the kernel. Without privileges; some sandboxes forbid it.
    pub fn new() -> io::Result<Self> {
        let kind = SocketType::DGRAM;
        let flags = SocketFlags::CLOEXEC;
        let netlink = socket_with(AddressFamily::NETLINK, kind, flags, Some(netlink::SOCK_DIAG))?;
        Ok(Self { netlink, asked: 0 })
    }

    /// The user whose socket is the other side of the connection that the caller has from `own` to `other`; `None` if
    /// there is none on this machine and in this network namespace. A connection that nobody has accepted yet belongs to
    /// the user of its listener from Linux 6.17 on, and tells 0 before.
    pub fn user(&mut self, own: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
        self.asked = self.asked.wrapping_add(1);
        let question = question(other, own, self.asked);
        let kernel = SocketAddrNetlink::new(0, 0);
        retry(|| sendto(self.netlink.as_fd(), &question, SendFlags::empty(), &kernel))?;
        let mut answer = [0_u8; 512];
        loop {
            // The kernel answers within the call that asks, so there is nothing to wait for.
            let (count, _) = retry(|| recv(self.netlink.as_fd(), &mut answer[..], RecvFlags::DONTWAIT))?;
            let answer = answer.get(..count).unwrap_or_default();
            if word(answer, 8) == Some(self.asked) {
                return read(answer);
            }
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: addresses and ports in the order of the network, the rest in the machine's.
fn question(from: SocketAddr, to: SocketAddr, number: u32) -> [u8; QUESTION] {
    let mut bytes = Vec::with_capacity(QUESTION);
    let length = u32::try_from(QUESTION).unwrap_or(0);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    let family = if from.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    bytes.extend([u8::try_from(family).unwrap_or(0), u8::try_from(libc::IPPROTO_TCP).unwrap_or(0), 0, 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    for address in [from.ip(), to.ip()] {
        match address {
            IpAddr::V4(ip) => {
                bytes.extend(ip.octets());
                bytes.extend([0; 12]);
            }
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    // Any interface, and no cookie.
    bytes.extend([0; 4]);
    bytes.extend(NO_COOKIE);
    bytes.extend(NO_COOKIE);
    let mut question = [0; QUESTION];
    for (place, byte) in question.iter_mut().zip(bytes) {
        *place = byte;
    }
    question
}

fn read(answer: &[u8]) -> io::Result<Option<u32>> {
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "unreadable answer about a socket");
    match half(answer, 4).ok_or_else(unreadable)? {
        BY_FAMILY if answer.len() >= ANSWER => Ok(word(answer, UID)),
        ERROR => {
            let errno = i32::from_ne_bytes(word(answer, HEADER).ok_or_else(unreadable)?.to_ne_bytes());
            let error = io::Error::from_raw_os_error(errno.wrapping_neg());
            if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
        }
        _ => Err(unreadable()),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_user_of_the_other_side_is_told_before_and_after_it_is_accepted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let server = listener.local_addr().expect("an address");
            let stream = TcpStream::connect(server).expect("it listens");
            let own = stream.local_addr().expect("an address");
            let mut kernel = ServerSide::new().expect("a kernel that can be asked");
            let ours = Some(crate::user::effective_uid());
            assert_eq!(kernel.user(own, server).expect("an answer"), ours, "{address}");
            let (_accepted, _) = listener.accept().expect("a client");
            assert_eq!(kernel.user(own, server).expect("an answer"), ours, "{address}");
        }
    }

    #[test]
    fn there_is_no_other_side_of_what_is_no_connection() {
        let [own, other] = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().expect("an address"));
        assert_eq!(
            ServerSide::new().and_then(|mut kernel| kernel.user(own, other)).expect("an answer"),
            None
        );
    }
}

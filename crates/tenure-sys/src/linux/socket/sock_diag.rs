//! TCP sockets of this network namespace, asked of the kernel by `sock_diag(7)`: the user at the other end of a
//! connection, and the sockets that listen. The room `unix_diag` asks about local sockets in the same way.
//!
//! One request of 72 bytes serves both: with the addresses of a connection as its other end has them, the answer is
//! that socket; with a port and the state LISTEN, every socket that listens there, however many connections there are.
//! Written here because a crate for one request, and few numbers of its answers, would be more to look after.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST`, `NLM_F_DUMP`, `NLMSG_ERROR` and `NLMSG_DONE` of `linux/netlink.h`.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Bytes of `struct nlmsghdr`, `struct inet_diag_req_v2`, and of an answer about TCP up to the last field that is read.
pub(super) const HEADER: usize = 16;
const QUESTION: usize = 56;
const ANSWER: usize = HEADER + 72;

/// Where `idiag_family`, `idiag_sport`, `idiag_dport`, `idiag_src`, `idiag_dst`, `idiag_rqueue`, `idiag_uid` and
/// `idiag_inode` stand in an answer.
const FAMILY: usize = HEADER;
const PORT: usize = HEADER + 4;
const PEER_PORT: usize = HEADER + 6;
const SOURCE: usize = HEADER + 8;
const PEER: usize = HEADER + 24;
const QUEUE: usize = HEADER + 56;
const UID: usize = HEADER + 64;
const INODE: usize = HEADER + 68;

/// The kernel fills no more than this at once (`netlink_recvmsg`).
const LARGEST: usize = 32 * 1024;

/// All states of a connection. A closed end in `TIME_WAIT` has no user any more and tells 0.
const ALL: u32 = 0xffff_ffff;

/// `1 << TCP_LISTEN` (`net/tcp_states.h`): the kernel then skips connections.
pub(super) const LISTEN: u32 = 1 << 10;

/// `1 << TCP_ESTABLISHED`: also of a connection that nobody has accepted yet.
pub(super) const ESTABLISHED: u32 = 1 << 1;

/// The same with `TCP_SYN_RECV` and `TCP_CLOSE_WAIT`: a client that connects just now, and one that has sent its last
/// byte and may wait for an answer.
pub(super) const CONNECTED: u32 = ESTABLISHED | 1 << 3 | 1 << 8;

/// A connection: its own end, and the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connected {
    pub(super) own: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// A socket that listens, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) uid: u32,
    pub(super) inode: u64,
    /// Connections that nobody has accepted yet.
    pub(super) waiting: u32,
}

/// An open netlink socket to ask by.
#[derive(Debug)]
pub struct SockDiag {
    netlink: OwnedFd,
    asked: u32,
}

impl SockDiag {
    /// Opens the netlink socket. It needs no privileges; some sandboxes forbid it.
    pub fn new() -> io::Result<Self> {
        let kind = SocketType::DGRAM;
        let flags = SocketFlags::CLOEXEC;
        let netlink = socket_with(AddressFamily::NETLINK, kind, flags, Some(netlink::SOCK_DIAG))?;
        Ok(Self { netlink, asked: 0 })
    }

    /// The user at the other end of the caller's connection from `own` to `other`; `None` if that end is not on this
    /// machine or not in this network namespace. The answer is about this connection, whoever listens on the address
    /// now. A connection that was not accepted yet belongs to its listener's user from Linux 6.17 on, and tells 0
    /// before.
    pub fn user(&mut self, own: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
        self.field(UID, other, own)
    }

    /// The inode of the socket whose connection goes from `from` to `to`; 0 if no process has it open. `None` if there
    /// is none on this machine.
    pub(super) fn inode(&mut self, from: SocketAddr, to: SocketAddr) -> io::Result<Option<u64>> {
        Ok(self.field(INODE, from, to)?.map(u64::from))
    }

    fn field(&mut self, field: usize, from: SocketAddr, to: SocketAddr) -> io::Result<Option<u32>> {
        self.ask(REQUEST, ALL, from, to)?;
        let mut answers = vec![0_u8; LARGEST];
        loop {
            for message in messages(self.next(&mut answers)?) {
                let message = message?;
                if word(message, 8) == Some(self.asked) {
                    return Ok(read(message)?.and_then(|answer| word(answer, field)));
                }
            }
        }
    }

    /// Lists the sockets of the family of `any` that listen on its port, at whatever address; with port 0 on any port.
    pub(super) fn listening(&mut self, any: SocketAddr) -> io::Result<Vec<Listening>> {
        self.every(any, LISTEN, listening)
    }

    /// Lists the connections of the family of `any` whose own end has its port.
    pub(super) fn connected(&mut self, any: SocketAddr) -> io::Result<Vec<Connected>> {
        self.every(any, CONNECTED, connected)
    }

    fn every<T>(
        &mut self,
        any: SocketAddr,
        states: u32,
        understand: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        // In a dump the kernel heeds family, states and ports. A listener has no peer: with a port for one, the kernel
        // would skip it.
        self.ask(REQUEST | DUMP, states, any, SocketAddr::new(any.ip(), 0))?;
        let mut found = Vec::new();
        let mut answers = vec![0_u8; LARGEST];
        loop {
            for message in messages(self.next(&mut answers)?) {
                let message = message?;
                if word(message, 8) != Some(self.asked) {
                    continue;
                }
                if half(message, 4) == Some(DONE) {
                    return done(message).map(|()| found);
                }
                let answer = read(message)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
                found.push(understand(answer).ok_or_else(unreadable)?);
            }
        }
    }

    fn ask(&mut self, flags: u16, states: u32, from: SocketAddr, to: SocketAddr) -> io::Result<()> {
        self.send(flags, &question([from, to], states))
    }

    /// Asks one question of the kind of its first byte, a family of addresses.
    fn send(&mut self, flags: u16, question: &[u8]) -> io::Result<()> {
        self.asked = self.asked.wrapping_add(1);
        let mut bytes = Vec::with_capacity(HEADER + question.len());
        bytes.extend(u32::try_from(HEADER + question.len()).unwrap_or(0).to_ne_bytes());
        bytes.extend(BY_FAMILY.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(self.asked.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(question);
        let kernel = SocketAddrNetlink::new(0, 0);
        retry_on_intr(|| sendto(self.netlink.as_fd(), &bytes, SendFlags::empty(), &kernel))?;
        Ok(())
    }

    /// Asks `question` about all sockets of a family, and calls `each` with every answer from its header on.
    pub(super) fn dump(
        &mut self,
        question: &[u8],
        mut each: impl FnMut(&[u8]) -> Option<()>,
    ) -> io::Result<()> {
        self.send(REQUEST | DUMP, question)?;
        let mut answers = vec![0_u8; LARGEST];
        loop {
            for message in messages(self.next(&mut answers)?) {
                let message = message?;
                if word(message, 8) != Some(self.asked) {
                    continue;
                }
                match half(message, 4) {
                    Some(BY_FAMILY) => each(message).ok_or_else(unreadable)?,
                    Some(DONE | ERROR) => return done(message),
                    _ => return Err(unreadable()),
                }
            }
        }
    }

    /// The kernel answers within the call that asks, and continues a long answer within the calls that read it, so
    /// reading never waits.
    fn next<'answers>(&self, answers: &'answers mut [u8]) -> io::Result<&'answers [u8]> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let (count, whole) = retry_on_intr(|| recv(self.netlink.as_fd(), &mut *answers, flags))?;
        if whole > count || count == 0 {
            return Err(unreadable());
        }
        answers.get(..count).ok_or_else(unreadable)
    }
}

/// `struct inet_diag_req_v2`: addresses and ports in the order of the network, the rest in the machine's.
fn question(sides: [SocketAddr; 2], states: u32) -> Vec<u8> {
    let [from, to] = sides;
    let mut bytes = Vec::with_capacity(QUESTION);
    let family = if from.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    bytes.extend([u8::try_from(family).unwrap_or(0), u8::try_from(libc::IPPROTO_TCP).unwrap_or(0), 0, 0]);
    bytes.extend(states.to_ne_bytes());
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
    // Any interface, and INET_DIAG_NOCOOKIE twice (linux/inet_diag.h).
    bytes.extend([0; 4]);
    bytes.extend([0xff; 8]);
    bytes
}

/// The messages in what was read at once, each from its header on.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = io::Result<&[u8]>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = word(bytes, 0).and_then(|length| usize::try_from(length).ok());
        let Some(message) = length.filter(|length| *length >= HEADER).and_then(|length| bytes.get(..length))
        else {
            bytes = &[];
            return Some(Err(unreadable()));
        };
        // `NLMSG_ALIGN`; the last one may end without the padding.
        bytes = bytes.get(message.len().next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(message))
    })
}

/// An answer about one socket; `None` where the kernel says that there is none.
fn read(message: &[u8]) -> io::Result<Option<&[u8]>> {
    match half(message, 4).ok_or_else(unreadable)? {
        BY_FAMILY if message.len() >= ANSWER => Ok(Some(message)),
        ERROR => match done(message) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Err(unreadable()),
        },
        _ => Err(unreadable()),
    }
}

/// Reads the result in an error message or at the end of a dump: 0, or a negative errno.
fn done(message: &[u8]) -> io::Result<()> {
    match i32::from_ne_bytes(word(message, HEADER).ok_or_else(unreadable)?.to_ne_bytes()) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno.wrapping_neg())),
    }
}

fn address(answer: &[u8], ip: usize, port: usize) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(*answer.get(port..)?.first_chunk()?);
    let octets = answer.get(ip..)?;
    let ip = if i32::from(*answer.get(FAMILY)?) == libc::AF_INET {
        IpAddr::V4(Ipv4Addr::from(*octets.first_chunk::<4>()?))
    } else {
        IpAddr::V6(Ipv6Addr::from(*octets.first_chunk::<16>()?))
    };
    Some(SocketAddr::new(ip, port))
}

fn connected(answer: &[u8]) -> Option<Connected> {
    Some(Connected { own: address(answer, SOURCE, PORT)?, peer: address(answer, PEER, PEER_PORT)? })
}

fn listening(answer: &[u8]) -> Option<Listening> {
    Some(Listening {
        address: address(answer, SOURCE, PORT)?,
        uid: word(answer, UID)?,
        inode: u64::from(word(answer, INODE)?),
        waiting: word(answer, QUEUE)?,
    })
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "unreadable answer about a socket")
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn half(bytes: &[u8], at: usize) -> Option<u16> {
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
            let mut kernel = SockDiag::new().expect("a kernel that can be asked");
            let ours = Some(crate::linux::machine::user::effective_uid());
            assert_eq!(kernel.user(own, server).expect("an answer"), ours, "{address}");
            let (_accepted, _) = listener.accept().expect("a client");
            assert_eq!(kernel.user(own, server).expect("an answer"), ours, "{address}");
        }
    }

    #[test]
    fn there_is_no_other_side_of_what_is_no_connection() {
        let [own, other] = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().expect("an address"));
        assert_eq!(SockDiag::new().and_then(|mut kernel| kernel.user(own, other)).expect("an answer"), None);
    }

    #[test]
    fn the_sockets_that_listen_on_a_port_are_told_and_no_connection() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let server = listener.local_addr().expect("an address");
            let _stream = TcpStream::connect(server).expect("it listens");
            let _accepted = listener.accept().expect("a client");
            let mut kernel = SockDiag::new().expect("a kernel that can be asked");
            for _ in 0..2 {
                let found = kernel.listening(server).expect("an answer");
                let own = (server, crate::linux::machine::user::effective_uid());
                let told: Vec<_> = found.iter().map(|socket| (socket.address, socket.uid)).collect();
                assert_eq!(told, [own]);
            }
            drop(listener);
            assert_eq!(kernel.listening(server).expect("an answer"), []);
        }
    }

    #[test]
    fn a_list_that_does_not_fit_into_one_answer_is_read_to_its_end() {
        let many: Vec<_> = (1..=200_u8)
            .scan(0, |port, last| {
                let bound = TcpListener::bind((Ipv4Addr::new(127, 0, 77, last), *port)).ok()?;
                *port = bound.local_addr().ok()?.port();
                Some(bound)
            })
            .collect();
        let server = many.first().and_then(|first| first.local_addr().ok()).expect("an address");
        let mut kernel = SockDiag::new().expect("a kernel that can be asked");
        let found = kernel.listening(server).expect("an answer");
        assert_eq!(found.len(), many.len());
    }

    #[test]
    fn a_message_that_is_cut_off_is_unreadable() {
        let mut bytes = vec![0_u8; HEADER];
        bytes[..4].copy_from_slice(&100_u32.to_ne_bytes());
        let read: Vec<_> = messages(&bytes).collect();
        assert!(matches!(read.as_slice(), [Err(_)]), "{read:?}");
    }
}

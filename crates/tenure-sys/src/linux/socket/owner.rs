//! Who listens on a TCP address: for the message why it cannot be bound, and to check that a program has opened its
//! port.
//!
//! Only sockets of this network namespace are seen, and processes only where the caller may look into them. The kernel
//! is asked by `sock_diag(7)`. Where that is forbidden (some sandboxes), the tables in /proc/net are read: these hold
//! every connection of the machine, also those in `TIME_WAIT`, and take seconds to read where there are many.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::linux::process::{self, procfs};

use super::sock_diag::{CONNECTED, Connected, Listening, SockDiag};

/// State `TCP_LISTEN` (`net/tcp_states.h`).
const LISTEN: &str = "0A";

/// The families of addresses, and the table of each.
pub(super) const FAMILIES: [(IpAddr, &str); 2] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), "/proc/self/net/tcp"),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), "/proc/self/net/tcp6"),
];

/// Who listens on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// A process that has the socket open; `None` if none can be seen from here.
    pub pid: Option<u32>,
    /// The user whose socket it is.
    pub uid: u32,
    /// The command of that process.
    pub command: Option<String>,
}

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListeningSocket {
    /// The user whose socket it is.
    pub uid: u32,
    /// Its inode, which links in `/proc/PID/fd` show.
    pub inode: u64,
    /// Connections in its queue: made, and not accepted yet.
    pub waiting: u32,
}

/// Lists the sockets that listen on the address, or on a wildcard address that covers it, without their processes.
#[must_use]
pub fn listening_sockets(address: SocketAddr) -> Vec<ListeningSocket> {
    let found = listening_on(address);
    found.iter().map(shown).collect()
}

fn shown(socket: &Listening) -> ListeningSocket {
    ListeningSocket { uid: socket.uid, inode: socket.inode, waiting: socket.waiting }
}

/// Lists the addresses on which these processes listen, lowest first. `None` where that cannot be told: one of them may
/// not be looked into, or is in another network namespace.
#[must_use]
pub fn addresses_of(pids: &[u32]) -> Option<Vec<SocketAddr>> {
    let own = procfs::namespace("self", "net").ok()?;
    let mut inodes = Vec::new();
    for pid in pids {
        let namespace = procfs::namespace(&pid.to_string(), "net");
        match (namespace, procfs::sockets_of(*pid)) {
            (Ok(namespace), Ok(sockets)) if namespace == own => inodes.extend(sockets),
            // It has ended meanwhile.
            _ if procfs::owner(*pid).is_none() => {}
            _ => return None,
        }
    }
    let mut kernel = SockDiag::new().ok();
    let all = FAMILIES.into_iter().flat_map(|(any, table)| {
        let told = kernel.as_mut().and_then(|kernel| kernel.listening(SocketAddr::new(any, 0)).ok());
        told.unwrap_or_else(|| in_table(table))
    });
    let held = all.filter(|socket| inodes.contains(&socket.inode));
    let mut addresses: Vec<SocketAddr> = held.map(|socket| socket.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Some(addresses)
}

/// Finds who listens on the address, or on a wildcard address that covers it. `None` if nobody is found.
#[must_use]
pub fn owner_of_tcp(address: SocketAddr) -> Option<SocketOwner> {
    let found = listening_on(address);
    let first = found.first()?;
    let pid = pids_of(&[first.inode]).first().copied();
    Some(SocketOwner { pid, uid: first.uid, command: pid.and_then(process::command_line) })
}

/// Lists every process that has such a socket open, lowest number first; processes of other users are not visible.
#[must_use]
pub fn listener_pids(address: SocketAddr) -> Vec<u32> {
    let inodes: Vec<u64> = listening_on(address).iter().map(|socket| socket.inode).collect();
    pids_of(&inodes)
}

fn listening_on(wanted: SocketAddr) -> Vec<Listening> {
    let port = wanted.port();
    let mut kernel = SockDiag::new().ok();
    let mut found: Vec<Listening> = FAMILIES
        .into_iter()
        .flat_map(|(any, table)| {
            let told = kernel.as_mut().and_then(|kernel| kernel.listening(SocketAddr::new(any, port)).ok());
            told.unwrap_or_else(|| in_table(table))
        })
        .filter(|listening| covers(listening.address, wanted))
        .collect();
    // The address itself before a wildcard.
    found.sort_by_key(|listening| listening.address != wanted);
    found
}

/// The kernel writes the table in pieces, and may list a socket twice while others come and go.
fn in_table(table: &str) -> Vec<Listening> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let mut found: Vec<Listening> = text.lines().filter_map(parse_line).collect();
    found.sort_by_key(|listening| listening.inode);
    found.dedup_by_key(|listening| listening.inode);
    found
}

/// The connections of such a table. An error: the table cannot be read.
pub(super) fn connected_in(table: &str) -> std::io::Result<Vec<Connected>> {
    match fs::read_to_string(table) {
        Ok(text) => Ok(text.lines().filter_map(connected_line).collect()),
        // A kernel without IPv6 has no table of it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A line about a connection, in one of the states that count.
fn connected_line(line: &str) -> Option<Connected> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let state = u32::from_str_radix(fields.get(3)?, 16).ok()?;
    let counts = 1_u32.checked_shl(state).is_some_and(|state| CONNECTED & state != 0);
    counts.then_some(())?;
    Some(Connected { own: address_of(fields.get(1)?)?, peer: address_of(fields.get(2)?)? })
}

fn address_of(field: &str) -> Option<SocketAddr> {
    let (ip, port) = field.split_once(':')?;
    Some(SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// Tells whether a listener at `held` gets connections to `wanted`, or keeps `wanted` from being bound.
pub(super) fn covers(held: SocketAddr, wanted: SocketAddr) -> bool {
    if held.port() != wanted.port() {
        return false;
    }
    let (own, asked) = (held.ip().to_canonical(), wanted.ip().to_canonical());
    let wildcard = |wild: IpAddr, other: IpAddr| match wild {
        IpAddr::V4(wild) => wild.is_unspecified() && other.is_ipv4(),
        IpAddr::V6(wild) => wild.is_unspecified(),
    };
    own == asked || wildcard(own, asked) || wildcard(asked, own)
}

fn parse_line(line: &str) -> Option<Listening> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let address = address_of(fields.get(1)?)?;
    let (_, received) = fields.get(4)?.split_once(':')?;
    // Of a socket that listens, the bytes received are the connections in its queue (`get_tcp4_sock` in tcp_ipv4.c).
    let waiting = u32::from_str_radix(received, 16).ok()?;
    Some(Listening {
        address,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        waiting,
    })
}

/// The kernel prints an address as words of 32 bits in the byte order of the machine.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let mut octets = [0_u8; 16];
    for (at, place) in octets.chunks_exact_mut(4).enumerate() {
        place.copy_from_slice(&word(at)?);
    }
    Some(IpAddr::V6(Ipv6Addr::from(octets)))
}

pub(super) fn pids_of(inodes: &[u64]) -> Vec<u32> {
    if inodes.is_empty() {
        return Vec::new();
    }
    let mut pids = procfs::pids();
    pids.retain(|pid| procfs::has_socket(*pid, inodes));
    pids.sort_unstable();
    pids
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1";
        let listening = parse_line(line).expect("a listener");
        assert_eq!(listening.address, "127.0.0.1:8080".parse().expect("an address"));
        assert_eq!((listening.uid, listening.inode), (1000, 4242));
        assert_eq!(parse_line(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(parse_ip("00000000000000000000000001000000"), "::1".parse().ok());
    }

    #[test]
    fn a_wildcard_covers_what_it_takes() {
        let covers = |held: &str, wanted: &str| {
            super::covers(held.parse().expect("an address"), wanted.parse().expect("an address"))
        };
        assert!(covers("0.0.0.0:80", "127.0.0.1:80"));
        assert!(covers("127.0.0.1:80", "0.0.0.0:80"));
        assert!(covers("[::]:80", "127.0.0.1:80"));
        assert!(covers("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
        assert!(!covers("0.0.0.0:80", "[::1]:80"));
        assert!(!covers("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!covers("127.0.0.1:80", "127.0.0.1:81"));
    }

    #[test]
    fn the_caller_owns_what_it_listens_on() {
        let listener = crate::linux::socket::bind_tcp("127.0.0.1:0".parse().expect("an address"), 1)
            .expect("a listener");
        let address = listener.local_addr().expect("an address");
        let owner = owner_of_tcp(address).expect("an owner");
        assert_eq!(owner.uid, crate::linux::machine::user::effective_uid());
        assert!(listener_pids(address).contains(&std::process::id()));
        assert_eq!(listening_sockets(address).len(), 1);
        assert!(addresses_of(&[std::process::id()]).expect("it is seen").contains(&address));
    }

    #[test]
    fn a_connection_that_nobody_accepts_is_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let _waits = std::net::TcpStream::connect(address).expect("a connection");
        let waiting = |sockets: Vec<Listening>| {
            sockets.iter().find(|one| one.address == address).map(|one| one.waiting)
        };
        assert_eq!(listening_sockets(address)[0].waiting, 1);
        assert_eq!(waiting(in_table(FAMILIES[0].1)), Some(1));
    }

    #[test]
    fn the_tables_tell_what_the_kernel_tells_when_asked() {
        for (address, (any, table)) in ["127.0.0.1:0", "[::1]:0"].into_iter().zip(FAMILIES) {
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let address = listener.local_addr().expect("an address");
            let mut read = in_table(table);
            read.retain(|listening| listening.address.port() == address.port());
            let mut kernel = SockDiag::new().expect("a kernel that can be asked");
            let told = kernel.listening(SocketAddr::new(any, address.port())).expect("an answer");
            assert_eq!((told.len(), told), (1, read));
        }
    }
}

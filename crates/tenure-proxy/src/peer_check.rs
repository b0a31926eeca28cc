//! Checks that a connection to a program's private address leads to that program, before anything is relayed.
//!
//! A port belongs to whoever binds it: once a program closes its port, any user of the machine can listen there. So the
//! kernel is asked for the user at the other end of each new connection. The user decides, whichever of the user's
//! processes it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tenure_sys::socket::SockDiag;
use tenure_sys::user;

use super::stream::FarEnd;

/// Tells whether a user is one of the program's.
pub(super) type IsOurs = Box<dyn Fn(u32) -> bool + Send>;

/// The way to ask, and which users are accepted.
pub(super) struct PeerCheck {
    kernel: Option<SockDiag>,
    own: u32,
    /// Users of the program other than our own, found out so far.
    others: Vec<u32>,
    is_ours: IsOurs,
}

impl PeerCheck {
    pub(super) fn new() -> Self {
        let (own, others) = (user::effective_uid(), Vec::new());
        Self { kernel: None, own, others, is_ours: Box::new(|_| false) }
    }

    /// Another program comes: what was found out about the last one is void.
    pub(super) fn begin(&mut self, is_ours: IsOurs) {
        self.others.clear();
        self.is_ours = is_ours;
    }

    /// Whether a connection leads to the program; `false` where the kernel cannot be asked. At a path the kernel has
    /// told who listens there with the connection itself.
    pub(super) fn leads_to_program(&mut self, end: FarEnd) -> bool {
        match end {
            FarEnd::Tcp(own, other) => self.is_of_program(own, other),
            FarEnd::Unix(user) => self.knows(user),
        }
    }

    fn is_of_program(&mut self, own: SocketAddr, other: SocketAddr) -> bool {
        let Some(user) = self.user(own, other) else { return false };
        if user != 0 {
            return self.knows(user);
        }
        // Before Linux 6.17 an end that is not accepted yet, or is closed, tells 0. Then the listener must be ours, and
        // the connection must still tell 0 afterwards: so it waited in that listener's queue. A connection that was
        // accepted in between tells by whom.
        let listener = self.user(any(other), other);
        let listens = listener.is_some_and(|user| self.knows(user));
        match self.user(own, other) {
            Some(0) => listens,
            Some(user) => self.knows(user),
            None => false,
        }
    }

    fn knows(&mut self, user: u32) -> bool {
        if user == self.own || self.others.contains(&user) {
            return true;
        }
        let ours = (self.is_ours)(user);
        if ours {
            self.others.push(user);
        }
        ours
    }

    fn user(&mut self, own: SocketAddr, other: SocketAddr) -> Option<u32> {
        if self.kernel.is_none() {
            self.kernel = SockDiag::new().ok();
        }
        let told = self.kernel.as_mut()?.user(own, other);
        if told.is_err() {
            // The next question opens a new socket.
            self.kernel = None;
        }
        told.ok().flatten()
    }
}

/// An unspecified client, for which the kernel tells the listener that would accept it.
fn any(server: SocketAddr) -> SocketAddr {
    let ip = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

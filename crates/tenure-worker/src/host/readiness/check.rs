//! What a check is, and whom it believes.
//!
//! A check looks and changes nothing. Where the program binds its own port, an answer counts only if the socket belongs
//! to its own tree: a stranger on the port is named, not believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tenure_core::deadline::Deadline;
use tenure_sys::wake::Waker;

use super::owner::{self, Owner};

/// A question to a program about how it is.
pub trait ProgramCheck: Send {
    /// Asks once, until `limit`, or until `off` calls it off.
    fn ask(&self, limit: &Deadline, off: &Waker) -> CheckResult;
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It passed.
    Passed,
    /// Not now, for this reason.
    Failed(String),
    /// Not now and not later, for this reason.
    Hopeless(String),
}

/// Where a program answers.
#[derive(Debug, Clone, Copy)]
pub struct CheckTarget {
    /// The listener's address.
    pub address: SocketAddr,
    /// The process from which the owner of the socket must descend, where the program binds it itself.
    pub tree: Option<u32>,
}

impl CheckTarget {
    /// Asks, and then asks the kernel whose the answer was.
    pub(super) fn believe(&self, ask: impl FnOnce() -> Result<(), String>) -> CheckResult {
        if let Err(why) = ask() {
            return CheckResult::Failed(why);
        }
        match self.tree.map_or(Owner::Ours, |tree| owner::of(self.address, tree)) {
            Owner::Ours => CheckResult::Passed,
            Owner::Nobody => CheckResult::Failed(format!("nobody listens on {} any more", self.address)),
            Owner::Stranger(who) => CheckResult::Hopeless(format!(
                "{} is answered by {who}, which is not of the program",
                self.address
            )),
        }
    }

    /// A wildcard address is asked through the loopback.
    pub(super) fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

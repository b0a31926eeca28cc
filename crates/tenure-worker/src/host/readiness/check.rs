//! What a check is, what it answers, and whom it believes.
//!
//! A check looks and changes nothing. Where the program binds its own port, an answer counts only if the socket belongs
//! to its own tree: a stranger on the port is named, not believed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tenure_core::deadline::Deadline;
use tenure_core::spec::Address;
use tenure_sys::wake::Waker;

use super::owner::{self, Owner};

/// A question to a program about how it is.
pub trait ProgramCheck: Send {
    /// What is asked, such as `GET http://127.0.0.1:3000/`.
    fn target(&self) -> String;

    /// Asks once, until `limit`, or until `off` calls it off.
    fn ask(&self, limit: &Deadline, off: &Waker) -> CheckResult;
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It passed.
    Passed,
    /// The program lives, and says that it does not serve as it should.
    Degraded(Answer),
    /// Not now, for this reason.
    Failed(Answer),
    /// Not now and not later, for this reason.
    Hopeless(Answer),
}

/// An answer, in words that follow the target of its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What kind of answer it is: what helps depends on it.
    pub kind: AnswerKind,
    /// Such as `was answered with 404`.
    pub words: String,
}

/// Kinds of answers that do not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// This status of HTTP.
    Status(u16),
    /// Nobody listens.
    Refused,
    /// Nobody answered in time.
    Silent,
    /// TLS, where plain text was asked for.
    Tls,
    /// Plain text, where TLS was asked for.
    Plain,
    /// Another process has the address.
    Stranger,
    /// A command that ended otherwise than with 0.
    Command,
    /// A command that cannot be run.
    Missing,
    /// Anything else.
    Other,
}

impl Answer {
    /// An answer of this kind.
    pub fn new(kind: AnswerKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// Anything else.
    pub(super) fn other(words: impl Into<String>) -> Self {
        Self::new(AnswerKind::Other, words)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Where a program answers.
#[derive(Debug, Clone)]
pub struct CheckTarget {
    /// The listener's address.
    pub address: Address,
    /// The process from which the owner of the socket must descend, where the program binds it itself.
    pub tree: Option<u32>,
}

impl CheckTarget {
    /// Asks, and then asks the kernel whose the answer was.
    pub(super) fn believe(&self, ask: impl FnOnce() -> CheckResult) -> CheckResult {
        let result = ask();
        if !matches!(result, CheckResult::Passed | CheckResult::Degraded(_)) {
            return result;
        }
        match self.tree.map_or(Owner::Ours, |tree| owner::of(&self.address, tree)) {
            Owner::Ours => result,
            Owner::Nobody => CheckResult::Failed(Answer::new(
                AnswerKind::Refused,
                format!("was answered, and nobody listens on {} any more", self.address),
            )),
            Owner::Unseen(user) => CheckResult::Failed(Answer::new(
                AnswerKind::Stranger,
                format!("is answered by a process of uid {user} that is not seen among the program's"),
            )),
            Owner::Stranger(who) => CheckResult::Hopeless(Answer::new(
                AnswerKind::Stranger,
                format!("is answered by {who}, which is not of the program"),
            )),
        }
    }

    /// A wildcard address is asked through the loopback.
    pub(super) fn reachable(&self) -> Address {
        let Address::Tcp(address) = &self.address else { return self.address.clone() };
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        Address::Tcp(SocketAddr::new(ip, address.port()))
    }
}

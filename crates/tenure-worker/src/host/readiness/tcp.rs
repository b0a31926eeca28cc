//! `tcp`: a listener accepts a connection, on its address or at its path.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::spec::Address;
use tenure_sys::socket::{self, Connection};
use tenure_sys::wake::Waker;

use super::check::{Answer, AnswerKind, CheckResult, CheckTarget, ProgramCheck};
use super::kind::{CheckedProgram, ReadinessKind};

/// Longest wait for a connection. On one machine it is made or refused at once; a queue that is full for this long
/// belongs to a program that does not accept.
const CONNECT: Duration = Duration::from_secs(1);

pub(super) struct Tcp;

impl ReadinessKind for Tcp {
    fn check(&self, program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        program.target.clone().map(|target| Box::new(TcpConnection(target)) as Box<dyn ProgramCheck>)
    }
}

/// A connection is accepted.
#[derive(Debug, Clone)]
pub struct TcpConnection(pub CheckTarget);

impl ProgramCheck for TcpConnection {
    fn target(&self) -> String {
        format!("a connection to {}", self.0.address)
    }

    fn ask(&self, limit: &Deadline, _off: &Waker) -> CheckResult {
        self.0.believe(|| match connect(&self.0.reachable(), limit) {
            Ok(_) => CheckResult::Passed,
            Err(answer) => CheckResult::Failed(answer),
        })
    }
}

/// Connects, in at most what is left of `limit`.
pub(super) fn connect(address: &Address, limit: &Deadline) -> Result<Connection, Answer> {
    let left = limit.remaining().clamp(Duration::from_millis(1), CONNECT);
    let answer = |error: std::io::Error| {
        if error.kind() == ErrorKind::ConnectionRefused {
            Answer::new(AnswerKind::Refused, "was refused: nobody listens there")
        } else if error.kind() == ErrorKind::NotFound {
            Answer::new(AnswerKind::Refused, "was refused: there is no socket")
        } else if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
            Answer::new(AnswerKind::Silent, "was not accepted in time: the queue of its listener is full")
        } else {
            Answer::other(format!("failed to connect: {error}"))
        }
    };
    let made = match address {
        Address::Tcp(address) => socket::connect_tcp(*address, left).map(Connection::Tcp),
        Address::Unix(path) => {
            socket::connect_path(path, left).map(Connection::Unix).map_err(io::Error::from)
        }
        _ => Err(ErrorKind::Unsupported.into()),
    };
    made.map_err(answer)
}

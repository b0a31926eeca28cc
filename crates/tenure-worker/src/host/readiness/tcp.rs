//! `tcp`: the first listener's address accepts a connection.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::socket;
use tenure_sys::wake::Waker;

use super::check::{CheckResult, CheckTarget, ProgramCheck};
use super::kind::{CheckedProgram, ReadinessKind};

/// Longest wait for a connection. On one machine it is made or refused at once; a queue that is full for this long
/// belongs to a program that does not accept.
const CONNECT: Duration = Duration::from_secs(1);

pub(super) struct Tcp;

impl ReadinessKind for Tcp {
    fn check(&self, program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        program.target.map(|target| Box::new(TcpCheck(target)) as Box<dyn ProgramCheck>)
    }
}

/// A connection is accepted.
#[derive(Debug, Clone, Copy)]
pub struct TcpCheck(pub CheckTarget);

impl ProgramCheck for TcpCheck {
    fn ask(&self, limit: &Deadline, _off: &Waker) -> CheckResult {
        self.0.believe(|| connect(self.0.reachable(), limit).map(drop))
    }
}

/// Connects, in at most what is left of `limit`.
pub(super) fn connect(address: SocketAddr, limit: &Deadline) -> Result<TcpStream, String> {
    let left = limit.remaining().clamp(Duration::from_millis(1), CONNECT);
    socket::connect_tcp(address, left).map_err(|error| format!("connect to {address}: {error}"))
}

//! `http`: one GET over a fresh connection to the first listener, of which only the status matters.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;

use tenure_core::deadline::Deadline;
use tenure_sys::poll;
use tenure_sys::wake::Waker;

use super::check::{CheckResult, CheckTarget, ProgramCheck};
use super::kind::{CheckedProgram, ReadinessKind};
use super::tcp;

/// Most bytes of an answer that are read to find its status: it stands in the first line.
const LONGEST_HEAD: usize = 8 * 1024;

/// The path to ask for.
pub(super) struct Http(pub(super) String);

impl ReadinessKind for Http {
    fn check(&self, program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        let target = program.target?;
        Some(Box::new(HttpCheck { target, path: self.0.clone() }))
    }
}

/// GET `path`, answered with 2xx or 3xx.
pub(super) struct HttpCheck {
    pub(super) target: CheckTarget,
    pub(super) path: String,
}

impl ProgramCheck for HttpCheck {
    fn ask(&self, limit: &Deadline, off: &Waker) -> CheckResult {
        self.target.believe(|| get(self.target.reachable(), &self.path, limit, off))
    }
}

/// Asks `address` for `path`. 2xx and 3xx pass; anything else is told.
fn get(address: SocketAddr, path: &str, limit: &Deadline, off: &Waker) -> Result<(), String> {
    let mut stream = tcp::connect(address, limit)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: tenure\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let failed = |what: &str, error: std::io::Error| format!("{what} {address}: {error}");
    stream.set_nonblocking(true).map_err(|error| failed("ask", error))?;
    // A request of this size always finds room in the buffer of a fresh connection.
    stream.write_all(request.as_bytes()).map_err(|error| failed("ask", error))?;
    let mut head = Vec::new();
    loop {
        await_answer(&stream, limit, off).map_err(|why| format!("GET {path}: {why}"))?;
        let mut chunk = [0_u8; 512];
        match stream.read(&mut chunk) {
            Ok(0) => return Err(format!("GET {path}: the connection was closed without an answer")),
            Ok(count) => head.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(failed("hear from", error)),
        }
        match status(&head) {
            Some(200..=399) => return Ok(()),
            Some(code) => return Err(format!("GET {path} was answered with {code}")),
            None if head.len() >= LONGEST_HEAD => return Err(format!("GET {path} was not answered in HTTP")),
            None => {}
        }
    }
}

fn await_answer(stream: &TcpStream, limit: &Deadline, off: &Waker) -> Result<(), &'static str> {
    match poll::wait_readable([stream.as_fd(), off.as_fd()], Some(limit.remaining())) {
        Ok([_, true]) => Err("the check was called off"),
        Ok([true, false]) => Ok(()),
        Ok([false, false]) => Err("no answer in time"),
        Err(_) => Err("it could not be waited for"),
    }
}

/// The status, as soon as the first line is there; the rest of the head need not even be valid.
fn status(head: &[u8]) -> Option<u16> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(_) | Err(_) => response.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_known_from_the_first_line_on() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\nX: "), Some(503));
        assert_eq!(status(b"HTTP/1.0 200 OK\r\n\r\nbody"), Some(200));
        assert_eq!(status(b"HTTP/1."), None);
        assert_eq!(status(b"SSH-2.0-OpenSSH"), None);
    }
}

//! Asking a worker what it serves, as its clients would.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::meeting::PATIENCE;
use crate::sandbox::Output;

/// The address of the first endpoint in a JSON answer of `ensure` or `status`.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn address(output: &Output) -> SocketAddr {
    let json = output.json();
    let tcp = json["endpoints"][0]["tcp"].as_str().unwrap_or_default();
    tcp.parse().unwrap_or_else(|_| no_address(&output.stdout))
}

#[expect(clippy::panic, reason = "an answer without an address fails the test")]
fn no_address(answer: &str) -> SocketAddr {
    panic!("no endpoint in {answer}")
}

/// The body of `GET path` at `address`.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let reply =
        exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))?;
    reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| io::Error::other(reply))
}

/// Sends `request` and reads until the peer closes.
pub fn exchange(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

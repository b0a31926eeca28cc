//! The worker of the demo: a small HTTP server on the listener that it inherits, which answers with its version.
//!
//! One connection at a time, and nothing beyond what shows that it serves. Asked to end, it finishes the answer that it is
//! at and accepts no more: whoever has connected meanwhile waits in the listener, which is not its own, for the next one.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use clap::Args;
use tenure_sys::fdset;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::signals::SignalFd;

use crate::answer::AnswerState;
use crate::cmd::call::{Call, Run};
use crate::output::failure::Failure;

/// A client that says nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request longer than this is none.
const LONGEST: usize = 8 * 1024;

/// The small HTTP server of the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoWorker {
    /// The version that it answers with.
    serve: String,
    /// Fail after so many answers; 0 is a boot that fails.
    #[arg(long, value_name = "ANSWERS")]
    fail_after: Option<u64>,
}

impl Run for DemoWorker {
    fn run(&self, _: &Call) -> Result<u8, Failure> {
        if self.fail_after == Some(0) {
            return Err(made_to_fail("open the store: it is of a newer format"));
        }
        let (listener, signals) = equipment().map_err(|error| {
            let message = "take the listener of the demo, which `tenure demo` hands over";
            Failure::caused(AnswerState::WrongUse, message, &error)
        })?;
        let mut answers = 0_u64;
        while let Some(stream) = next_client(&listener, &signals) {
            // A client that has gone is no reason to end.
            answers += u64::from(serve(stream, &self.serve).is_ok());
            if self.fail_after.is_some_and(|enough| answers >= enough) {
                return Err(made_to_fail("read the store: a page of it is damaged"));
            }
        }
        Ok(0)
    }
}

fn made_to_fail(what: &str) -> Failure {
    Failure::new(AnswerState::SpawnFailed, what).hint("this program is made to fail; nothing is wrong")
}

/// What it was started with comes first: descriptors that are opened here must not take its place.
fn equipment() -> io::Result<(TcpListener, SignalFd)> {
    let [listener] = <[_; 1]>::try_from(fdset::take_inherited(1)?)
        .map_err(|_| io::Error::other("one descriptor was asked for"))?;
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    Ok((listener, SignalFd::for_termination()?))
}

/// The next connection; `None` when it is to end.
fn next_client(listener: &TcpListener, signals: &SignalFd) -> Option<TcpStream> {
    loop {
        let mut waiting = [
            Interest::new(signals.as_fd(), Readiness::Read),
            Interest::new(listener.as_fd(), Readiness::Read),
        ];
        poll::wait(&mut waiting, None).ok()?;
        if waiting[0].ready() {
            return None;
        }
        // A client that has gone before it was accepted leaves nothing to accept.
        if let Ok((stream, _)) = listener.accept() {
            return Some(stream);
        }
    }
}

fn serve(mut stream: TcpStream, version: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut request, mut part) = (Vec::new(), [0_u8; 1024]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.len() < LONGEST {
        match stream.read(&mut part)? {
            0 => break,
            count => request.extend_from_slice(&part[..count]),
        }
    }
    let length = version.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close";
    // In one piece: the parts of a formatted write would each wait for the other side's word.
    stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{version}").as_bytes())
}

/// Asks a server for its version: the body of its answer, if that is whole.
pub(super) fn ask(stream: &mut TcpStream, within: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(within))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer ends in the middle");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    if length == Some(body.len()) { Ok(body.to_owned()) } else { Err(cut()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_with_its_version() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (server, _) = listener.accept().expect("accepts");
        let serving = std::thread::spawn(move || serve(server, "1.2.3"));
        assert_eq!(ask(&mut client, PATIENCE).expect("an answer"), "1.2.3");
        serving.join().expect("joined").expect("served");
    }

    #[test]
    fn an_answer_that_ends_in_the_middle_is_none() {
        for cut in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1.2"] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
            let (mut server, _) = listener.accept().expect("accepts");
            server.write_all(cut.as_bytes()).expect("it listens");
            server.shutdown(std::net::Shutdown::Write).expect("it is open");
            let error = ask(&mut client, PATIENCE).expect_err("cut");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut:?}");
        }
    }
}

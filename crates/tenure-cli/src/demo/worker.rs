//! The worker of the demo: a small HTTP server on the listener that it inherits, which answers with its version.
//!
//! One connection at a time, and nothing beyond what shows that it serves. It ends as any program does, by a signal.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use tenure_sys::fdset;

use crate::answer::State;
use crate::failure::Failure;
use crate::words::DemoWorker;

/// A client that says nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request longer than this is none.
const LONGEST: usize = 8 * 1024;

/// Serves until it is ended; or fails to boot, if that is what it is for.
pub(crate) fn run(words: &DemoWorker) -> Result<u8, Failure> {
    if words.fail {
        return Err(Failure::new(State::SpawnFailed, "open the store: it is of a newer format")
            .hint("this program is made to fail; nothing is wrong"));
    }
    let listener = listener().map_err(|error| {
        let mut failure =
            Failure::new(State::WrongUse, "take the listener of the demo, which `tenure demo` hands over");
        failure.told.causes = vec![error.to_string()];
        failure
    })?;
    for stream in listener.incoming() {
        // A client that has gone is no reason to end.
        drop(stream.and_then(|stream| serve(stream, &words.serve)));
    }
    Ok(0)
}

fn listener() -> io::Result<TcpListener> {
    let [listener] = <[_; 1]>::try_from(fdset::take_inherited(1)?)
        .map_err(|_| io::Error::other("one descriptor was asked for"))?;
    Ok(TcpListener::from(listener))
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
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{version}"
    )
}

/// Asks a server for its version: the body of its answer.
pub(super) fn ask(stream: &mut TcpStream, within: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(within))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| io::Error::other("the answer has no body"))
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
}

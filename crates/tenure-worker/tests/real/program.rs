//! Programs that know nothing of the kit, for hosts to keep.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

pub(crate) fn run(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["http"] => serve(&inherited()),
        ["self", address] => serve(&TcpListener::bind(address).expect("a free port")),
        ["port"] => serve(&told(PORT)),
        ["port", manner] => serve_in_a_manner(manner),
        ["notify"] => notify("STATUS=up\nREADY=1"),
        ["notify", version] => notify(&format!("READY=1\nX_TENURE_VERSION={version}")),
        _ => return ExitCode::from(42),
    }
    ExitCode::SUCCESS
}

/// The one listener of socket activation.
fn inherited() -> TcpListener {
    assert_eq!(std::env::var("LISTEN_FDS").as_deref(), Ok("1"));
    assert_eq!(std::env::var("LISTEN_PID"), Ok(std::process::id().to_string()));
    let mut fds = tenure_sys::fdset::take_inherited(1).expect("the listener");
    TcpListener::from(fds.remove(0))
}

/// Names the port that a program behind a proxy is to bind.
const PORT: &str = "PORT";

/// A listener on the port that this variable names; no other is given.
fn told(variable: &str) -> TcpListener {
    assert!(std::env::var("LISTEN_FDS").is_err(), "the proxy keeps its listener");
    let port = std::env::var(variable).expect("it is told");
    TcpListener::bind(format!("127.0.0.1:{port}")).expect("a free port")
}

/// Answers, but not as one should.
fn serve_in_a_manner(manner: &str) {
    let mut listener = Some(told(PORT));
    let mut kept = Vec::new();
    loop {
        let stream = listener.get_or_insert_with(|| told(PORT)).accept().map(|(stream, _)| stream);
        let mut stream = stream.expect("a connection");
        // A client that went away is its own affair.
        drop(match manner {
            "slow" => head(&stream).and_then(|()| dawdle(&mut stream)),
            "keeps" => head(&stream).map(|()| kept.push(stream)),
            "rebinds" => asked(&stream).and_then(|asked| {
                // Whoever only looks whether somebody listens is no reason to stop listening.
                listener = listener.take().filter(|_| !asked);
                tell_pid(&stream)
            }),
            _ => Ok(()),
        });
    }
}

/// Reads a request and answers with a head that promises more.
fn head(mut stream: &TcpStream) -> std::io::Result<()> {
    asked(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")
}

/// Sends a piece every fifth of a second, and an end.
fn dawdle(stream: &mut TcpStream) -> std::io::Result<()> {
    for piece in [".", ".", ".", "over"] {
        std::thread::park_timeout(std::time::Duration::from_millis(150));
        stream.write_all(piece.as_bytes())?;
    }
    Ok(())
}

/// Answers each request with the own pid, for ever.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        // A client that went away is its own affair.
        drop(answer(&stream.expect("a connection")));
    }
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    asked(stream)?;
    tell_pid(stream)
}

/// Reads a request; whether there was one.
fn asked(stream: &TcpStream) -> std::io::Result<bool> {
    let mut lines = BufReader::new(stream).lines();
    let mut asked = false;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {
        asked = true;
    }
    Ok(asked)
}

fn tell_pid(mut stream: &TcpStream) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", std::process::id())
}

fn notify(message: &str) {
    let socket = UnixDatagram::unbound().expect("a socket");
    let path = std::env::var_os("NOTIFY_SOCKET").expect("it is told where");
    socket.send_to(message.as_bytes(), path).expect("somebody listens");
    loop {
        std::thread::park();
    }
}

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

/// Answers each request with the own pid, for ever.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        // A client that went away is its own affair.
        drop(answer(&stream.expect("a connection")));
    }
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
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

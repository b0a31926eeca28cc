//! Serving until asked to end, and the drain: no connection that was accepted is left without its answer.
//!
//! Asked to end, the server accepts no more, answers what has been accepted with `Connection: close`, waits a moment for
//! the next request of connections that it has served before, and closes those that stay silent. What nobody has accepted
//! waits in the backlog for the next generation.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use tenure_core::deadline::monotonic;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::signals::SignalFd;
use tenure_sys::{exit, pipe};

use crate::Words;
use crate::life::Life;

/// How long a connection that was accepted has to ask for the first time once the server is to end.
const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// How long a silent connection is waited for without the word `linger`.
const LINGER: Duration = Duration::from_millis(100);

/// Longest request.
const LONGEST: usize = 8192;

/// Exit code of a program that dies after it was ready.
const AFTER_READY: i32 = 8;

/// What every connection needs.
#[derive(Debug, Clone, Copy)]
struct Service<'a> {
    life: &'a Life,
    /// At its end when the server drains.
    draining: BorrowedFd<'a>,
    slow: Option<Duration>,
    linger: Duration,
}

/// Accepts and answers until asked to end; returns when the last connection is done.
pub(crate) fn serve(listener: &TcpListener, signals: &SignalFd, life: &Life, words: &Words) {
    let Ok((draining, serving)) = pipe::pipe() else { return };
    // The listener is shared with other generations: a connection that this one was woken for may be gone.
    if listener.set_nonblocking(true).is_err() {
        return;
    }
    let dies = words.millis("die-after-ready").filter(|_| life.dies(words));
    let dies = dies.map(|after| monotonic().saturating_add(after));
    let service = Service {
        life,
        draining: draining.as_fd(),
        slow: words.millis("slow"),
        linger: words.millis("linger").unwrap_or(LINGER),
    };
    thread::scope(|scope| {
        loop {
            let mut interests = [
                Interest::new(listener.as_fd(), Readiness::Read),
                Interest::new(signals.as_fd(), Readiness::Read),
            ];
            let left = dies.map(|dies| dies.saturating_sub(monotonic()));
            if poll::wait(&mut interests, left).is_ok_and(|ready| ready == 0) {
                words.say();
                exit::now(AFTER_READY);
            }
            if interests[1].ready() {
                break;
            }
            if let Ok((stream, _)) = listener.accept() {
                scope.spawn(move || service.connection(stream));
            }
        }
        life.drains();
        drop(serving);
    });
}

impl Service<'_> {
    /// One connection from its first request to its last.
    fn connection(self, mut stream: TcpStream) {
        drop(stream.set_nodelay(true));
        let mut served = false;
        while let Some(request) = self.request(&mut stream, served) {
            let answered = self.answer(&mut stream, &request);
            if answered.is_none_or(|closes| closes) {
                return;
            }
            served = true;
        }
    }

    /// The next request; nothing when the connection is over, or silent for too long in a drain.
    fn request(self, stream: &mut TcpStream, served: bool) -> Option<String> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") && bytes.len() < LONGEST {
            if !self.comes(stream, served) {
                return None;
            }
            let mut part = [0_u8; 1024];
            let count = stream.read(&mut part).ok().filter(|&count| count > 0)?;
            bytes.extend_from_slice(&part[..count]);
        }
        String::from_utf8(bytes).ok()
    }

    /// Waits for something to read: without limit, or for a while once the server drains.
    fn comes(self, stream: &TcpStream, served: bool) -> bool {
        if !self.drains() {
            let mut interests = [
                Interest::new(stream.as_fd(), Readiness::Read),
                Interest::new(self.draining, Readiness::Nothing),
            ];
            drop(poll::wait(&mut interests, None));
            if interests[0].ready() {
                return true;
            }
        }
        let limit = if served { self.linger } else { FIRST_REQUEST };
        let mut interests = [Interest::new(stream.as_fd(), Readiness::Read)];
        poll::wait(&mut interests, Some(limit)).is_ok_and(|ready| ready > 0)
    }

    fn drains(self) -> bool {
        let mut drain = [Interest::new(self.draining, Readiness::Nothing)];
        poll::wait(&mut drain, Some(Duration::ZERO)).is_ok_and(|drains| drains > 0)
    }

    /// Answers, and says whether the connection ends with that; nothing when the client is gone.
    fn answer(self, stream: &mut TcpStream, request: &str) -> Option<bool> {
        let path = request.split_ascii_whitespace().nth(1).unwrap_or("/");
        let asked = request.to_ascii_lowercase().contains("\r\nconnection: close");
        if let Some(query) = path.strip_prefix("/stream") {
            return self.stream(stream, query).ok().map(|()| true);
        }
        if let Some(slow) = self.slow {
            pause(stream, slow)?;
        }
        let closes = asked || self.drains();
        let body = format!("{}\n{path}\n", self.life.told());
        let close = if closes { "Connection: close\r\n" } else { "" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{close}\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        Some(closes)
    }

    /// A long answer, to its end whatever happens meanwhile.
    fn stream(self, stream: &mut TcpStream, query: &str) -> std::io::Result<()> {
        let number = |name: &str| {
            let mut pairs = query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(known, _)| *known == name).and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let every = Duration::from_millis(number("every").unwrap_or(50));
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes())?;
        for chunk in 0..number("chunks").unwrap_or(10) {
            if chunk > 0 && pause(stream, every).is_none() {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            let text = format!("{} chunk={chunk}\n", self.life.told());
            stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
        }
        stream.write_all(b"0\r\n\r\n")
    }
}

/// Lets time pass while the client waits; nothing when it has gone meanwhile.
fn pause(stream: &TcpStream, span: Duration) -> Option<()> {
    let mut client = [Interest::new(stream.as_fd(), Readiness::Nothing)];
    poll::wait(&mut client, Some(span)).ok().filter(|&gone| gone == 0).map(|_| ())
}

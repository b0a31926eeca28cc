//! The clients of a load: each a thread with blocking sockets, which goes on until it is told to stop.

use std::io::{self, BufReader, ErrorKind};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tenure_cli::load::{Turns, is_timeout};
use tenure_core::deadline::monotonic;
use tenure_core::spec::Address;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::socket::Connection;

use super::answer::{self, Answer, Failure};
use super::clients::{Clients, Shape};
use super::tally::{Load, Told};

/// The pause of a client that was refused: it would only take the processor from whoever is to serve it.
const AFTER_TROUBLE: Duration = Duration::from_millis(1);

/// A client and what it has seen.
#[derive(Debug)]
pub(super) struct Client {
    address: Address,
    clients: Clients,
    /// When the load began.
    began: Duration,
    turns: Turns,
    seen: Load,
}

/// Why a client has no connection.
enum Unconnected {
    Refused,
    TimedOut,
    Reset(String),
    Impossible(String),
}

impl Client {
    pub(super) fn new(address: Address, clients: Clients, began: Duration, turns: Turns) -> Self {
        Self { address, clients, began, turns, seen: Load::default() }
    }

    /// A new connection for every request.
    pub(super) fn fresh(mut self) -> Load {
        let mut trying = None;
        while self.goes_on(trying.is_some()) {
            let since = monotonic();
            let first_try = *trying.get_or_insert(since);
            if self.one_fresh() {
                let now = monotonic();
                self.seen.fresh.waits.push(now.saturating_sub(since));
                let longest = &mut self.seen.fresh.longest_with_retries;
                *longest = (*longest).max(now.saturating_sub(first_try));
                trying = None;
            }
        }
        self.seen
    }

    fn one_fresh(&mut self) -> bool {
        let mut connection = match connect(&self.address, self.clients.patience) {
            Ok(connection) => connection,
            Err(why) => {
                self.unconnected(why);
                return false;
            }
        };
        match self.one_exchange(&mut connection) {
            Ok(Some(told)) => {
                self.seen.fresh.answered += 1;
                self.counted(told);
                return true;
            }
            Ok(None) => self.seen.fresh.wrong += 1,
            Err(Failure::Malformed(text)) => {
                self.seen.fresh.wrong += 1;
                self.note(&format!("another answer on a new connection: {text}"));
            }
            Err(Failure::TimedOut) => self.seen.fresh.timed_out += 1,
            Err(Failure::Unanswered(error)) => {
                self.seen.fresh.reset += 1;
                self.note(&format!("a new connection ended without an answer: {error}"));
            }
            Err(Failure::Cut(error)) => {
                self.seen.fresh.reset += 1;
                self.note(&format!("an answer on a new connection was cut: {error}"));
            }
        }
        false
    }

    /// Who gave a whole answer; `None` for one of another shape.
    fn one_exchange(&mut self, connection: &mut BufReader<Connection>) -> Result<Option<Told>, Failure> {
        if let Some(words) = &self.clients.words {
            return answer::say(connection, words).map(|()| Some(Told::default()));
        }
        let head = answer::ask(connection, &self.clients.path, false)?;
        let answer = answer::rest(connection, &head)?;
        Ok(self.is_expected(&answer).then(|| Told::of(&answer.body)))
    }

    fn unconnected(&mut self, why: Unconnected) {
        let fresh = &mut self.seen.fresh;
        let told = match why {
            Unconnected::Refused => {
                fresh.refused += 1;
                "a new connection was refused".to_owned()
            }
            Unconnected::TimedOut => {
                fresh.timed_out += 1;
                "a new connection timed out".to_owned()
            }
            Unconnected::Reset(error) => {
                fresh.reset += 1;
                format!("a new connection was reset: {error}")
            }
            Unconnected::Impossible(error) => {
                fresh.wrong += 1;
                format!("a client could not connect: {error}")
            }
        };
        self.note(&told);
    }

    /// One connection for as many requests as the server answers on it.
    pub(super) fn kept(mut self) -> Load {
        let mut pause = false;
        while self.goes_on(pause) {
            let Ok(mut connection) = connect(&self.address, self.clients.patience) else {
                self.seen.kept.refused += 1;
                self.note("a client with a kept connection could not connect again");
                pause = true;
                continue;
            };
            self.seen.kept.connections += 1;
            pause = !self.asks_on(&mut connection);
        }
        self.seen
    }

    /// Asks until the connection ends, and says whether it ended as it may.
    fn asks_on(&mut self, connection: &mut BufReader<Connection>) -> bool {
        let mut requests = 0_u64;
        loop {
            if requests > 0 && !self.goes_on(false) {
                return true;
            }
            if requests > 0 && has_ended(connection) {
                self.seen.kept.closed += 1;
                return true;
            }
            let asked = answer::ask(connection, &self.clients.path, true);
            let answer = asked.and_then(|head| answer::rest(connection, &head));
            match answer {
                Ok(answer) if !self.is_expected(&answer) => {
                    self.seen.kept.wrong += 1;
                    return false;
                }
                Ok(answer) => {
                    self.seen.kept.answered += 1;
                    self.seen.kept.closed += u64::from(answer.closes);
                    self.counted(Told::of(&answer.body));
                    if answer.closes {
                        return true;
                    }
                }
                Err(Failure::Unanswered(_)) if requests > 0 => {
                    self.seen.kept.raced += 1;
                    return true;
                }
                Err(failure) => {
                    self.failed(failure);
                    return false;
                }
            }
            requests += 1;
        }
    }

    fn failed(&mut self, failure: Failure) {
        let kept = &mut self.seen.kept;
        let told = match failure {
            Failure::Unanswered(error) => {
                kept.reset += 1;
                format!("the first request of a kept connection was not answered: {error}")
            }
            Failure::Cut(error) => {
                kept.cut += 1;
                format!("an answer on a kept connection was cut: {error}")
            }
            Failure::TimedOut => {
                kept.timed_out += 1;
                "a request on a kept connection timed out".to_owned()
            }
            Failure::Malformed(text) => {
                kept.wrong += 1;
                format!("no HTTP on a kept connection: {text}")
            }
        };
        self.note(&told);
    }

    /// Long answers, one after the other.
    pub(super) fn streams(mut self) -> Load {
        let (chunks, every) = (self.clients.chunks, self.clients.every.as_millis());
        let path = format!("/stream?chunks={chunks}&every={every}");
        let mut pause = false;
        while self.goes_on(pause) {
            pause = true;
            let Ok(mut connection) = connect(&self.address, self.clients.patience) else {
                self.seen.streams.failed += 1;
                self.note("a stream could not connect");
                continue;
            };
            let head = match answer::ask(&mut connection, &path, false) {
                Ok(head) => head,
                Err(failure) => {
                    self.seen.streams.failed += 1;
                    self.note(&format!("a stream did not begin: {failure:?}"));
                    continue;
                }
            };
            self.turns.answered();
            match answer::rest(&mut connection, &head) {
                Ok(answer) if answer.status == 200 && answer.chunks == chunks => {
                    self.seen.streams.complete += 1;
                    pause = false;
                }
                Ok(answer) => {
                    self.seen.streams.cut += 1;
                    self.note(&format!("a stream had {} of {chunks} chunks", answer.chunks));
                }
                Err(failure) => {
                    self.seen.streams.cut += 1;
                    self.note(&format!("a stream was cut: {failure:?}"));
                }
            }
        }
        self.seen
    }

    /// Whether the load goes on, after the pause that there is to be.
    fn goes_on(&self, trouble: bool) -> bool {
        let pause = if trouble { AFTER_TROUBLE } else { Duration::ZERO };
        self.turns.again_after(pause.max(self.clients.pace))
    }

    fn is_expected(&mut self, answer: &Answer) -> bool {
        let told = match self.clients.shape {
            Shape::Any => true,
            Shape::Told => Told::of(&answer.body).generation > 0,
        };
        let expected = (200..300).contains(&answer.status) && told;
        if !expected {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            self.note(&format!("status {}: {body}", answer.status));
        }
        expected
    }

    fn counted(&mut self, by: Told) {
        *self.seen.by.entry(by).or_default() += 1;
        self.turns.answered();
    }

    fn note(&mut self, what: &str) {
        self.seen.note(monotonic().saturating_sub(self.began), what);
    }
}

fn connect(address: &Address, patience: Duration) -> Result<BufReader<Connection>, Unconnected> {
    let connection = open(address, patience).map_err(|error| {
        let is_one_of = |kinds: [ErrorKind; 2]| kinds.contains(&error.kind());
        if is_one_of([ErrorKind::ConnectionRefused, ErrorKind::NotFound]) {
            Unconnected::Refused
        } else if is_one_of([ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted]) {
            Unconnected::Reset(error.to_string())
        } else if is_timeout(&error) {
            Unconnected::TimedOut
        } else {
            Unconnected::Impossible(error.to_string())
        }
    })?;
    let set = connection.set_read_timeout(Some(patience));
    set.map_err(|error| Unconnected::Impossible(error.to_string()))?;
    Ok(BufReader::with_capacity(4096, connection))
}

/// A connection; at a path it waits for room in the listener's queue, however long that takes.
fn open(address: &Address, patience: Duration) -> io::Result<Connection> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, patience)?;
            stream.set_nodelay(true)?;
            Ok(Connection::Tcp(stream))
        }
        Address::Unix(path) => UnixStream::connect(path).map(Connection::Unix),
        other => Err(io::Error::other(format!("no client connects to {other}"))),
    }
}

/// Whether the server has ended an idle connection: there is something to read where nothing was asked.
fn has_ended(connection: &BufReader<Connection>) -> bool {
    let mut idle = [Interest::new(connection.get_ref().as_fd(), Readiness::Read)];
    poll::wait(&mut idle, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
}

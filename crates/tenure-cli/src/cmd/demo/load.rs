//! A small load on one address: clients that ask again and again, each time on a new connection, and what they saw.
//!
//! Refuses to judge: it counts, and what the counts have to be is said by the act that they belong to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use tenure_core::deadline::monotonic;
use tenure_sys::socket;

use super::stage::{PATIENCE, StageError};
use super::worker;

/// Clients at the same time.
pub(super) const CLIENTS: usize = 4;

/// Between an answer and the next request of a client, unless the load is over: it is to ask, not to take the processor
/// from whoever is to answer, nor all ports of this machine.
const THOUGHT: Duration = Duration::from_millis(2);

/// What clients saw. A connection is in exactly one of the counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Whole answers, by the version that gave them.
    pub(super) answered: BTreeMap<String, u64>,
    /// Nobody listened.
    pub(super) refused: u64,
    /// Ended before the whole answer was there.
    pub(super) reset: u64,
    /// Nothing came for as long as a client is patient.
    pub(super) silent: u64,
    /// From the wish to connect to the whole answer, the longest time of all.
    pub(super) longest: Duration,
}

impl Tally {
    /// Whole answers of all versions.
    pub(super) fn answers(&self) -> u64 {
        self.answered.values().sum()
    }

    /// Whole answers of one version.
    pub(super) fn of(&self, version: &str) -> u64 {
        self.answered.get(version).copied().unwrap_or_default()
    }

    /// Connections that got no answer.
    pub(super) fn lost(&self) -> u64 {
        self.refused + self.reset + self.silent
    }

    fn count(&mut self, asked: io::Result<String>, waited: Duration) {
        self.longest = self.longest.max(waited);
        match asked {
            Ok(version) => *self.answered.entry(version).or_default() += 1,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.refused += 1,
            // A wait with a limit ends with either of the two.
            Err(error) if [ErrorKind::TimedOut, ErrorKind::WouldBlock].contains(&error.kind()) => {
                self.silent += 1;
            }
            Err(_) => self.reset += 1,
        }
    }

    fn add(mut self, other: Self) -> Self {
        for (version, count) in other.answered {
            *self.answered.entry(version).or_default() += count;
        }
        self.refused += other.refused;
        self.reset += other.reset;
        self.silent += other.silent;
        self.longest = self.longest.max(other.longest);
        self
    }
}

/// An answer came: whether it was the first of its client.
struct First(bool);

/// Does something while clients ask: it begins when each of them has had an answer, and they go on until some have had
/// answers to what they asked after its end.
pub(super) fn during<T>(
    address: SocketAddr,
    act: impl FnOnce() -> Result<T, StageError>,
) -> Result<(T, Tally), StageError> {
    thread::scope(|scope| {
        let (answered, answers) = mpsc::channel();
        let (over, clients): (Vec<_>, Vec<_>) = (0..CLIENTS)
            .map(|_| {
                let (over, goes_on) = mpsc::channel();
                let answered = answered.clone();
                (over, scope.spawn(move || client(address, &goes_on, &answered)))
            })
            .unzip();
        drop(answered);
        await_answers(&answers, CLIENTS, |First(is_first)| is_first)?;
        let done = act()?;
        while answers.try_recv().is_ok() {}
        // Each client may be at a request from before.
        await_answers(&answers, CLIENTS + 1, |First(_)| true)?;
        drop(over);
        let tallies = clients.into_iter().map(|client| client.join().expect("a client only counts"));
        Ok((done, tallies.fold(Tally::default(), Tally::add)))
    })
}

/// Waits for so many answers, or first answers only.
fn await_answers(
    answers: &Receiver<First>,
    mut left: usize,
    counts: fn(First) -> bool,
) -> Result<(), StageError> {
    while left > 0 {
        let Ok(first) = answers.recv_timeout(PATIENCE) else {
            return Err(StageError::Promise("the clients get no answers".to_owned()));
        };
        left -= usize::from(counts(first));
    }
    Ok(())
}

/// Asks until the other side of `goes_on` is dropped, and tells of each answer.
fn client(address: SocketAddr, goes_on: &Receiver<Infallible>, answered: &Sender<First>) -> Tally {
    let mut tally = Tally::default();
    loop {
        let began = monotonic();
        let asked = request(address);
        let came = asked.is_ok();
        tally.count(asked, monotonic().saturating_sub(began));
        if came && answered.send(First(tally.answers() == 1)).is_err() {
            return tally;
        }
        match goes_on.recv_timeout(THOUGHT) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return tally,
            Ok(never) => match never {},
        }
    }
}

/// One request on a connection of its own.
pub(super) fn request(address: SocketAddr) -> io::Result<String> {
    let mut stream = socket::connect_tcp(address, PATIENCE)?;
    worker::ask(&mut stream, PATIENCE)
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};

    use super::*;

    /// A server that answers `whole` connections and cuts the others, until it gets one that says nothing.
    fn serve(listener: &TcpListener, whole: usize) {
        for (count, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a client comes");
            let asked = io::Read::read(&mut stream, &mut [0_u8; 512]).expect("it is open");
            if asked == 0 {
                return;
            }
            if count < whole {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7";
                io::Write::write_all(&mut stream, answer).expect("it listens");
            }
        }
    }

    #[test]
    fn what_clients_see_is_counted_once() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (answers, tally) = thread::scope(|scope| {
            let server = scope.spawn(|| serve(&listener, usize::MAX));
            let seen = during(address, || Ok("done")).expect("it answers");
            let end = socket::connect_tcp(address, PATIENCE).expect("it listens");
            end.shutdown(Shutdown::Write).expect("it is open");
            server.join().expect("it ends");
            seen
        });
        assert_eq!((answers, tally.lost(), tally.of("7")), ("done", 0, tally.answers()));
        assert!(tally.answers() > u64::try_from(CLIENTS).expect("few"), "{tally:?}");
        assert!(tally.longest > Duration::ZERO);
    }

    #[test]
    fn cut_and_refused_connections_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut tally = Tally::default();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listener, 0));
            tally.count(request(address), Duration::from_millis(3));
            let end = socket::connect_tcp(address, PATIENCE).expect("it listens");
            end.shutdown(Shutdown::Write).expect("it is open");
        });
        drop(listener);
        tally.count(request(address), Duration::from_millis(1));
        tally.count(Err(ErrorKind::TimedOut.into()), Duration::from_millis(2));
        assert_eq!((tally.reset, tally.refused, tally.silent, tally.answers()), (1, 1, 1, 0), "{tally:?}");
        assert_eq!((tally.lost(), tally.longest), (3, Duration::from_millis(3)));
    }
}

//! Load on one address: clients that ask again and again, and what those of the demo saw, each time on a new connection.
//!
//! Refuses to judge: it counts, and what the counts have to be is said by the act or the test that they belong to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_core::deadline::monotonic;
use tenure_sys::discard::best_effort;
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
            Err(error) if is_timeout(&error) => self.silent += 1,
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

/// Clients that ask until they are told to stop: those of the demo, and those of the load tests. What a client saw is a `T`.
#[derive(Debug)]
pub struct Load<T> {
    clients: Vec<(Sender<Infallible>, JoinHandle<T>)>,
    answers: Receiver<bool>,
    patience: Duration,
}

/// What a client has of the load that it belongs to.
#[derive(Debug)]
pub struct Turns {
    over: Receiver<Infallible>,
    answered: Sender<bool>,
    is_answered: bool,
}

/// Clients got no answer for as long as they are patient.
#[derive(Debug, thiserror::Error)]
#[error("the clients get no answers")]
pub struct NoAnswers;

impl<T: Send + 'static> Load<T> {
    /// Starts the clients. They get no more than `patience` for their first answers, and for those of [`Load::flows_on`].
    pub fn start<C>(clients: impl IntoIterator<Item = C>, patience: Duration) -> Self
    where
        C: FnOnce(Turns) -> T + Send + 'static,
    {
        let (answered, answers) = mpsc::channel();
        let start = |client: C| {
            let (goes_on, over) = mpsc::channel();
            let turns = Turns { over, answered: answered.clone(), is_answered: false };
            (goes_on, thread::spawn(move || client(turns)))
        };
        Self { clients: clients.into_iter().map(start).collect(), answers, patience }
    }

    /// Waits until each client has had its first answer.
    ///
    /// # Errors
    /// If one has none in time.
    pub fn begins(&self) -> Result<(), NoAnswers> {
        self.wait_for(self.clients.len(), |is_first| is_first)
    }

    /// Waits until clients have had so many more answers that some to requests of after this call are among them.
    ///
    /// # Errors
    /// If nobody has an answer in time.
    pub fn flows_on(&self) -> Result<(), NoAnswers> {
        while self.answers.try_recv().is_ok() {}
        // Each client may be at a request from before.
        self.wait_for(2 * self.clients.len() + 1, |_| true)
    }

    fn wait_for(&self, mut left: usize, counts: fn(bool) -> bool) -> Result<(), NoAnswers> {
        while left > 0 {
            let is_first = self.answers.recv_timeout(self.patience).map_err(|_| NoAnswers)?;
            left -= usize::from(counts(is_first));
        }
        Ok(())
    }

    /// Ends the load: every client finishes the request that it is at, and gives what it saw.
    ///
    /// # Panics
    /// If a client panicked.
    #[must_use]
    pub fn stop(self) -> Vec<T> {
        let (over, clients): (Vec<_>, Vec<_>) = self.clients.into_iter().unzip();
        drop(over);
        clients.into_iter().map(|client| client.join().expect("a client only counts")).collect()
    }
}

impl Turns {
    /// Waits for `pause`; false as soon as the load is over.
    #[must_use]
    pub fn again_after(&self, pause: Duration) -> bool {
        self.over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }

    /// Tells of an answer.
    pub fn answered(&mut self) {
        // Whoever started the load may have stopped listening.
        best_effort(self.answered.send(!self.is_answered));
        self.is_answered = true;
    }
}

/// Whether a read or a connect ended with its time limit: the platform says it in either of two ways.
#[must_use]
pub fn is_timeout(error: &io::Error) -> bool {
    [ErrorKind::TimedOut, ErrorKind::WouldBlock].contains(&error.kind())
}

/// Does something while clients ask: it begins when each of them has had an answer, and they go on until some have had
/// answers to what they asked after its end.
pub(super) fn during<T>(
    address: SocketAddr,
    act: impl FnOnce() -> Result<T, StageError>,
) -> Result<(T, Tally), StageError> {
    let load = Load::start((0..CLIENTS).map(|_| move |turns| client(address, turns)), PATIENCE);
    let unanswered = |error: NoAnswers| StageError::Promise(error.to_string());
    load.begins().map_err(unanswered)?;
    let done = act()?;
    load.flows_on().map_err(unanswered)?;
    Ok((done, load.stop().into_iter().fold(Tally::default(), Tally::add)))
}

fn client(address: SocketAddr, mut turns: Turns) -> Tally {
    let mut tally = Tally::default();
    loop {
        let began = monotonic();
        let asked = request(address);
        if asked.is_ok() {
            turns.answered();
        }
        tally.count(asked, monotonic().saturating_sub(began));
        if !turns.again_after(THOUGHT) {
            return tally;
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

//! Load on one address: clients with sockets of their own, and what they saw.
//!
//! Refuses to judge: it counts, and keeps apart what must not be mixed up. A request on a new connection that was refused
//! or reset is lost; a kept connection that the server closes between two answers is the client's to retry; an answer
//! that ends in the middle is broken.

mod answer;
mod client;
mod clients;
pub mod subject;
pub mod tally;

use std::time::Duration;

use tenure_cli::load;
use tenure_core::deadline::monotonic;
use tenure_core::spec::Address;

use client::Client;
pub use clients::{Clients, Shape, Words};
pub use tally::Load;

/// A load that goes on.
#[derive(Debug)]
pub struct Generator {
    clients: load::Load<Load>,
    began: Duration,
}

impl Clients {
    /// Starts the load, and returns when every client has had its first answer.
    ///
    /// # Panics
    /// If one has none within its patience.
    #[must_use]
    pub fn load(&self, address: impl Into<Address>) -> Generator {
        let address = address.into();
        let began = monotonic();
        let some = |count: usize, work: fn(Client) -> Load| std::iter::repeat_n(work, count);
        let works = some(self.fresh, Client::fresh)
            .chain(some(self.kept, Client::kept))
            .chain(some(self.streams, Client::streams));
        let client = |work: fn(Client) -> Load| {
            let (clients, address) = (self.clone(), address.clone());
            move |turns| work(Client::new(address, clients, began, turns))
        };
        let generator = Generator { clients: load::Load::start(works.map(client), self.patience), began };
        if generator.clients.begins().is_err() {
            return no_flow(generator);
        }
        generator
    }
}

#[expect(clippy::panic, reason = "a test whose subject does not answer has failed")]
fn no_flow(generator: Generator) -> Generator {
    panic!("a client has no answer: {}", generator.stop())
}

impl Generator {
    /// Waits until clients have had so many more answers that some to requests of after this call are among them.
    ///
    /// # Panics
    /// If nobody has an answer within the clients' patience.
    pub fn flows_on(&self) {
        self.clients.flows_on().expect("a load that goes on is answered");
    }

    /// Ends the load: every client finishes the request that it is at.
    ///
    /// # Panics
    /// If a client panicked.
    #[must_use]
    pub fn stop(self) -> Load {
        let lasted = monotonic().saturating_sub(self.began);
        let mut load = Load::default();
        self.clients.stop().into_iter().for_each(|seen| load.add(seen));
        load.lasted = lasted;
        load
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use super::*;

    fn few(fresh: usize, kept: usize, streams: usize) -> Clients {
        Clients { fresh, kept, streams, patience: Duration::from_secs(5), ..Clients::default() }
    }

    /// A server that treats its first `good` connections well and the others badly, and ends with the latter.
    fn serve(good: usize, bad: usize, badly: fn(&mut TcpStream)) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            for (count, stream) in listener.incoming().take(good + bad).enumerate() {
                let mut stream = stream.expect("a client comes");
                let read = stream.read(&mut [0_u8; 512]).expect("it asks");
                let body = "generation=1\n";
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                if count >= good {
                    badly(&mut stream);
                } else if read > 0 {
                    stream.write_all(format!("{head}{body}").as_bytes()).expect("it listens");
                }
            }
        });
        (address, server)
    }

    #[test]
    fn what_happens_to_new_connections_is_told_apart() {
        let (address, server) = serve(3, 2, |_| ());
        let load = few(1, 0, 0).load(address);
        server.join().expect("it ends");
        let load = load.stop();
        assert_eq!((load.fresh.answered, load.fresh.waits.len(), load.generations()), (3, 3, vec![1]));
        assert!(load.fresh.reset >= 2 && load.fresh.wrong == 0, "{load}");
        assert!(!load.refused_nothing() && Load::default().refused_nothing());
    }

    #[test]
    fn a_server_that_closes_kept_connections_between_answers_breaks_nothing() {
        let (address, server) = serve(3, 1, |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf").expect("it listens");
        });
        let load = few(0, 1, 0).load(address);
        server.join().expect("it ends");
        let load = load.stop();
        assert_eq!((load.kept.answered, load.kept.closed + load.kept.raced), (3, 3), "{load}");
        assert_eq!((load.kept.cut, load.cut_nothing()), (1, false), "{load}");
    }

    #[test]
    fn a_stream_without_all_its_chunks_is_cut() {
        let (address, server) = serve(0, 1, |stream| {
            let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
            stream.write_all(begun).expect("it listens");
        });
        let load = few(0, 0, 1).load(address);
        server.join().expect("it ends");
        let load = load.stop();
        assert_eq!((load.streams.complete, load.streams.cut), (0, 1), "{load}");
    }
}

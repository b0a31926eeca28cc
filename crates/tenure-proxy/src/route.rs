//! A listener and where its clients go.
//!
//! A listener is watched only while clients are accepted; otherwise they wait in the kernel's queue and wake no thread.

use std::io::{self, ErrorKind};

use mio::{Interest, Registry, Token};
use tenure_core::spec::Address;
use tenure_sys::limits;

use super::stream::{ProxyListener, Stream, WatchedListener};

/// A proxied listener.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: String,
    listener: WatchedListener,
    token: Token,
    watched: bool,
    /// Where the program listens, once it has said that it is ready.
    pub(super) upstream: Option<Address>,
    /// Nobody listened there when a client came, and [`super::Proxy::open`] was not called since.
    pub(super) refused: bool,
}

/// What came of accepting once.
#[derive(Debug)]
pub(super) enum Accepted {
    Client(Stream),
    /// The client was gone before it could be accepted.
    Gone,
    /// Nobody waits; the next client raises an event.
    Nobody,
    /// There is no descriptor for the client, or the kernel fails otherwise: do not try again at once.
    Starved,
}

impl Route {
    pub(super) fn new(name: String, listener: ProxyListener, token: Token) -> io::Result<Self> {
        let listener = listener.into_watched()?;
        Ok(Self { name, listener, token, watched: false, upstream: None, refused: false })
    }

    /// Whether clients are being taken in.
    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Starts or stops watching for clients. A refusal of the kernel is tried again with the next change.
    pub(super) fn watch(&mut self, wanted: bool, registry: &Registry) {
        if wanted == self.watched {
            return;
        }
        let done = if wanted {
            // A program that got the socket meanwhile was given one whose accepts wait. Clients who wait already raise an
            // event at once.
            let ready = self.listener.set_nonblocking();
            ready.and_then(|()| registry.register(&mut self.listener, self.token, Interest::READABLE))
        } else {
            registry.deregister(&mut self.listener)
        };
        if done.is_ok() {
            self.watched = wanted;
        }
    }

    pub(super) fn accept(&self) -> Accepted {
        match self.listener.accept() {
            Ok(client) => Accepted::Client(client),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Nobody,
            Err(error) if limits::ran_out(&error) => Accepted::Starved,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {
                Accepted::Gone
            }
            Err(_) => Accepted::Starved,
        }
    }
}

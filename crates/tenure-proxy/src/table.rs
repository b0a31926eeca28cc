//! All relays of the thread, by numbers that are never used again: a late event cannot reach another relay.

use std::collections::BTreeMap;

use mio::Token;

use super::relay::{Relay, Side, Tokens};

/// The relays.
#[derive(Debug)]
pub(super) struct Table {
    /// Tokens below this one belong to the waker and the listeners.
    first: usize,
    next: usize,
    relays: BTreeMap<usize, Relay>,
}

impl Table {
    pub(super) fn new(first: usize) -> Self {
        Self { first, next: 0, relays: BTreeMap::new() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.relays.len()
    }

    /// A number for a new relay.
    pub(super) fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    pub(super) fn put(&mut self, number: usize, relay: Relay) {
        self.relays.insert(number, relay);
    }

    pub(super) fn get(&mut self, number: usize) -> Option<&mut Relay> {
        self.relays.get_mut(&number)
    }

    /// Takes a relay out; its sockets close when it is dropped.
    pub(super) fn take(&mut self, number: usize) -> Option<Relay> {
        self.relays.remove(&number)
    }

    /// Every relay with its number.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Relay)> {
        self.relays.iter().map(|(number, relay)| (*number, relay))
    }

    /// Every relay with its number, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (usize, &mut Relay)> {
        self.relays.iter_mut().map(|(number, relay)| (*number, relay))
    }

    /// The tokens of a relay's sockets.
    pub(super) fn tokens(&self, number: usize) -> Tokens {
        let client = self.first + number * 2;
        Tokens { client: Token(client), program: Token(client + 1) }
    }

    /// The relay and the side that a token belongs to.
    pub(super) fn named(&self, token: Token) -> Option<(usize, Side)> {
        let offset = token.0.checked_sub(self.first)?;
        Some((offset / 2, if offset % 2 == 0 { Side::Client } else { Side::Program }))
    }
}

//! All relays of the thread, by numbers that are not used again before the events of the same wait are over.

use mio::Token;

use super::relay::{Direction, Relay, Tokens};

/// Places that an empty table keeps.
const KEPT: usize = 256;

/// The relays.
#[derive(Debug)]
pub(super) struct Table {
    /// Tokens below this one are somebody else's.
    first: usize,
    places: Vec<Option<Relay>>,
    free: Vec<usize>,
    /// Free once the events of this wait, which may still name them, are over.
    freed: Vec<usize>,
    count: usize,
}

impl Table {
    pub(super) fn new(first: usize) -> Self {
        Self { first, places: Vec::new(), free: Vec::new(), freed: Vec::new(), count: 0 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A place for a relay; taken by [`Table::put`].
    pub(super) fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }

    /// Gives a place back that was not taken.
    pub(super) fn leave(&mut self, place: usize) {
        self.freed.push(place);
    }

    pub(super) fn put(&mut self, place: usize, relay: Relay) {
        if let Some(empty) = self.places.get_mut(place) {
            *empty = Some(relay);
            self.count += 1;
        }
    }

    pub(super) fn get(&mut self, place: usize) -> Option<&mut Relay> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Takes a relay out; its sockets close when it is dropped.
    pub(super) fn take(&mut self, place: usize) -> Option<Relay> {
        let relay = self.places.get_mut(place)?.take()?;
        self.count -= 1;
        self.freed.push(place);
        Some(relay)
    }

    /// The events of a wait are over.
    pub(super) fn settle(&mut self) {
        self.free.append(&mut self.freed);
        if self.count == 0 && self.places.len() > KEPT {
            // After a crowd the table need not stay as large as the crowd was.
            *self = Self::new(self.first);
        }
    }

    /// Every relay with its place.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Relay)> {
        self.places.iter().enumerate().filter_map(|(place, relay)| Some((place, relay.as_ref()?)))
    }

    /// The same, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (usize, &mut Relay)> {
        self.places.iter_mut().enumerate().filter_map(|(place, relay)| Some((place, relay.as_mut()?)))
    }

    /// The names of a relay's sockets.
    pub(super) fn tokens(&self, place: usize) -> Tokens {
        let client = self.first + place * 2;
        Tokens { client: Token(client), program: Token(client + 1) }
    }

    /// The place and side that a token names.
    pub(super) fn named(&self, token: Token) -> Option<(usize, Direction)> {
        let number = token.0.checked_sub(self.first)?;
        Some((number / 2, if number % 2 == 0 { Direction::Client } else { Direction::Program }))
    }
}

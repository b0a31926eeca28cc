//! The thread that relays: one wait of the kernel for everything, and no timer while nothing is owed.
//!
//! It does what it is told between two waits ([`EngineCommand`]): to take clients in, to pause, to drain, to cut. Time plays a part
//! in three places only: a drain knows when the next relay will be quiet, clients that were told the end are not listened to
//! for ever, and descriptors that ran out are asked for again.
//!
//! From a drain on, until clients are let in again, a relay passes an answer on and nothing that is asked after it: one that
//! is asked again and again would never be quiet.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};
use tenure_core::deadline::monotonic;

use super::peer_check::{IsOurs, PeerCheck};
use super::relay::{LEAVE, Next, Relay};
use super::route::{Accepted, Route};
use super::table::Table;
use super::talk::ASKED;

/// The one buffer: as much as a socket of the loopback mostly has to give.
const BUFFER: usize = 64 * 1024;

/// Events of one wait.
const EVENTS: usize = 256;

/// Descriptors that ran out and of which no relay gives one back are asked for again after this long.
const SCARCE: Duration = Duration::from_secs(1);

/// The waker's name; listeners follow, and then relays.
pub(super) const WAKER: Token = Token(0);

/// Called with the name of a listener whose program does not listen.
pub(super) type Refused = Box<dyn Fn(&str) + Send>;

/// What the thread is told.
pub(super) enum EngineCommand {
    /// Take clients in, and relay them there.
    Open(Vec<(String, SocketAddr)>, Refused, IsOurs),
    /// Take nobody in from now on.
    Pause(Sender<()>),
    /// End the quiet relays; answer with the number of those that are left when there are none or time is up.
    Drain(Duration, Sender<usize>),
    /// End them all; answer with their number.
    Cut(Sender<usize>),
}

/// A drain that is not over.
struct Drain {
    until: Duration,
    /// Before this moment nothing becomes quiet.
    look: Duration,
    answer: Sender<usize>,
}

/// All that the thread has.
pub(super) struct Engine {
    poll: Poll,
    routes: Vec<Route>,
    relays: Table,
    buffer: Vec<u8>,
    orders: Receiver<EngineCommand>,
    refused: Refused,
    peer_check: PeerCheck,
    open: bool,
    /// Clients whom nobody took yet.
    waiting: Vec<usize>,
    /// Relays whose last turn was too long, and listeners where clients may wait.
    relays_again: Vec<usize>,
    routes_again: Vec<usize>,
    /// Descriptors ran out; they are asked for again at this moment, or when a relay ends.
    scarce: Option<Duration>,
    drain: Option<Drain>,
    /// Clients that were told the end, by the moment up to which they are listened to; those that are gone included.
    leaving: VecDeque<(Duration, usize)>,
    /// How many of them are there.
    left: usize,
    now: Duration,
}

impl Engine {
    pub(super) fn new(
        poll: Poll,
        listeners: Vec<(String, TcpListener)>,
        orders: Receiver<EngineCommand>,
    ) -> io::Result<Self> {
        let routes = listeners.into_iter().enumerate();
        let routes: io::Result<Vec<Route>> =
            routes.map(|(index, (name, listener))| Route::new(name, listener, token(index))).collect();
        let routes = routes?;
        Ok(Self {
            poll,
            relays: Table::new(token(routes.len()).0),
            routes,
            buffer: vec![0; BUFFER],
            orders,
            refused: Box::new(|_| {}),
            peer_check: PeerCheck::new(),
            open: false,
            waiting: Vec::new(),
            relays_again: Vec::new(),
            routes_again: Vec::new(),
            scarce: None,
            drain: None,
            leaving: VecDeque::new(),
            left: 0,
            now: Duration::ZERO,
        })
    }

    /// Relays until nobody is there any more to tell it anything.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            // Interrupted, or for a moment without memory: then there are no events.
            if self.poll.poll(&mut events, self.patience()).is_err() {
                events.clear();
            }
            self.now = monotonic();
            for event in &events {
                self.hear(event);
            }
            self.turn_again();
            if self.obey().is_none() {
                return;
            }
            self.end_scarcity();
            self.look_for_quiet();
            self.end_leaving();
            self.relays.settle();
        }
    }

    fn patience(&self) -> Option<Duration> {
        if !self.relays_again.is_empty() || !self.routes_again.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = self.drain.as_ref().map(|drain| drain.look.min(drain.until));
        let leave = self.leaving.front().map(|(until, _)| *until);
        let next = next.into_iter().chain(self.scarce).chain(leave).min()?;
        Some(next.saturating_sub(monotonic()))
    }

    fn hear(&mut self, event: &Event) {
        if let Some((place, side)) = self.relays.named(event.token()) {
            let Some(relay) = self.relays.get(place) else { return };
            let next = relay.hear(side, event, &mut self.buffer, self.now);
            self.follow(place, next);
        } else if event.token() != WAKER {
            self.accept_later(event.token().0 - token(0).0);
        }
    }

    /// Those who wait for their next turn get it.
    fn turn_again(&mut self) {
        for place in std::mem::take(&mut self.relays_again) {
            if let Some(relay) = self.relays.get(place) {
                let next = relay.turn(&mut self.buffer, self.now);
                self.follow(place, next);
            }
        }
        for route in std::mem::take(&mut self.routes_again) {
            self.accept(route);
        }
    }

    /// Takes one client in, if one waits, and comes back for the next.
    ///
    /// Not more at once: by then the kernel has told whether the program took this one, and where it did not, the others are
    /// better off in the queue, from which another process can take them if this one is to end.
    fn accept(&mut self, index: usize) {
        let Some(route) = self.routes.get(index).filter(|route| route.is_watched()) else { return };
        match route.accept() {
            Accepted::Client(client) => {
                let place = self.relays.place();
                let token = self.relays.tokens(place).client;
                match Relay::new(index, client, self.poll.registry(), token) {
                    Ok(relay) => {
                        self.relays.put(place, relay);
                        self.connect(place);
                    }
                    // It is gone already, or the kernel has no room to watch it.
                    Err(_) => self.relays.leave(place),
                }
                self.accept_later(index);
            }
            Accepted::Gone => self.accept_later(index),
            Accepted::Nobody => {}
            Accepted::Starved => self.starve(),
        }
    }

    fn accept_later(&mut self, index: usize) {
        if !self.routes_again.contains(&index) {
            self.routes_again.push(index);
        }
    }

    /// Connects a client that waits to the program.
    fn connect(&mut self, place: usize) {
        let token = self.relays.tokens(place).program;
        let Some(relay) = self.relays.get(place).filter(|relay| relay.is_waiting()) else { return };
        let upstream = self.routes.get(relay.route).filter(|route| !route.refused);
        let Some(upstream) = upstream.and_then(|route| route.upstream).filter(|_| self.open) else {
            return self.waiting.push(place);
        };
        let next = relay.connect(upstream, self.poll.registry(), token);
        self.follow(place, next);
    }

    fn follow(&mut self, place: usize, next: Next) {
        if let Some(drain) = &mut self.drain {
            // What has just moved can be quiet after this and not before.
            drain.look = drain.look.min(self.now.saturating_add(ASKED));
        }
        match next {
            Next::Wait => {}
            Next::Turn => self.relays_again.push(place),
            Next::Connected { speaks } => self.let_through(place, speaks),
            Next::Refused => {
                self.waiting.push(place);
                let index = self.relays.get(place).map(|relay| relay.route);
                self.refuse(index);
            }
            Next::Starved => {
                self.waiting.push(place);
                self.starve();
            }
            Next::Close => self.close(place),
        }
    }

    /// Relays where a new connection leads to the program, and makes its client wait where it does not.
    fn let_through(&mut self, place: usize, speaks: bool) {
        let Some(relay) = self.relays.get(place) else { return };
        let leads = relay.ends().is_some_and(|(own, other)| self.peer_check.leads_to_program(own, other));
        let next = if leads { relay.begin(speaks, &mut self.buffer, self.now) } else { relay.turn_away() };
        self.follow(place, next);
    }

    fn close(&mut self, place: usize) {
        let Some(relay) = self.relays.take(place) else { return };
        if relay.is_waiting() {
            self.waiting.retain(|waiting| *waiting != place);
        }
        self.left -= usize::from(relay.leaves_at().is_some());
        // Its descriptors are free again.
        self.scarce = self.scarce.map(|_| self.now);
    }

    /// Takes nobody in by this listener any more, until told that its program listens.
    fn refuse(&mut self, index: Option<usize>) {
        let Some(route) = index.and_then(|index| self.routes.get_mut(index)) else { return };
        if self.open && !route.refused {
            route.refused = true;
            (self.refused)(&route.name);
        }
        self.watch();
    }

    fn starve(&mut self) {
        self.scarce = Some(self.now.saturating_add(SCARCE));
        self.watch();
    }

    fn end_scarcity(&mut self) {
        if self.scarce.is_some_and(|until| until <= self.now) {
            self.scarce = None;
            self.connect_waiting();
            self.watch();
        }
    }

    fn connect_waiting(&mut self) {
        for place in std::mem::take(&mut self.waiting) {
            self.connect(place);
        }
    }

    /// Watches the listeners whose clients can be served.
    fn watch(&mut self) {
        let registry: &Registry = self.poll.registry();
        for route in &mut self.routes {
            let wanted = self.open && self.scarce.is_none() && !route.refused && route.upstream.is_some();
            route.watch(wanted, registry);
        }
    }

    /// Does what it was told; `None` when nobody is there any more.
    fn obey(&mut self) -> Option<()> {
        loop {
            match self.orders.try_recv() {
                Ok(EngineCommand::Open(upstreams, refused, is_ours)) => {
                    self.peer_check.begin(is_ours);
                    self.begin(&upstreams, refused);
                }
                Ok(EngineCommand::Pause(done)) => {
                    self.open = false;
                    self.watch();
                    // Whoever does not wait for it needs no answer, here and below.
                    let _heard = done.send(());
                }
                Ok(EngineCommand::Drain(until, answer)) => {
                    self.relays.all_mut().for_each(|(_, relay)| relay.keep_back());
                    self.drain = Some(Drain { until, look: self.now, answer });
                }
                Ok(EngineCommand::Cut(answer)) => {
                    let _heard = answer.send(self.cut());
                }
                Err(TryRecvError::Empty) => return Some(()),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }

    fn begin(&mut self, upstreams: &[(String, SocketAddr)], refused: Refused) {
        self.end_drain();
        self.open = true;
        self.refused = refused;
        for route in &mut self.routes {
            let told = upstreams.iter().find(|(name, _)| *name == route.name);
            route.upstream = told.map(|(_, address)| *address);
            route.refused = false;
        }
        let kept_back = self.relays.all_mut().filter_map(|(place, relay)| relay.pass_on().then_some(place));
        self.relays_again.extend(kept_back);
        self.connect_waiting();
        self.watch();
    }

    fn cut(&mut self) -> usize {
        let open = self.relays.all().filter(|(_, relay)| relay.leaves_at().is_none());
        let places: Vec<usize> = open.map(|(place, _)| place).collect();
        for &place in &places {
            if let Some(relay) = self.relays.get(place) {
                relay.abort();
            }
            self.close(place);
        }
        self.waiting.clear();
        places.len()
    }

    /// While draining: ends what is quiet, and answers when nothing is left to wait for.
    fn look_for_quiet(&mut self) {
        let Some(drain) = &self.drain else { return };
        if self.now >= drain.look {
            let quiet: Vec<usize> =
                self.relays.all().filter(|(_, relay)| self.is_quiet(relay)).map(|(place, _)| place).collect();
            for place in quiet {
                self.leave(place);
            }
            let next = self.relays.all().filter_map(|(_, relay)| relay.quiet_at()).min();
            if let Some(drain) = &mut self.drain {
                drain.look = next.unwrap_or(Duration::MAX);
            }
        }
        let over = self.drain.as_ref().is_some_and(|drain| self.now >= drain.until);
        // Clients whom the program did not take cannot be served while it ends.
        if over || self.open_relays() <= self.waiting.len() {
            self.end_drain();
        }
    }

    /// Those who were not told the end.
    fn open_relays(&self) -> usize {
        self.relays.count() - self.left
    }

    /// Ends a quiet relay: to the program at once, to its client with a while to read the end.
    fn leave(&mut self, place: usize) {
        let until = self.now.saturating_add(LEAVE);
        let Some(relay) = self.relays.get(place) else { return };
        let next = relay.leave(until, &mut self.buffer);
        self.left += 1;
        self.leaving.push_back((until, place));
        self.follow(place, next);
    }

    /// Closes the clients that have had their while.
    fn end_leaving(&mut self) {
        while let Some((until, place)) = self.leaving.pop_front_if(|(until, _)| *until <= self.now) {
            // The place may be somebody else's by now.
            if self.relays.get(place).is_some_and(|relay| relay.leaves_at() == Some(until)) {
                self.close(place);
            }
        }
    }

    fn is_quiet(&self, relay: &Relay) -> bool {
        relay.quiet_at().is_some_and(|at| at <= self.now)
    }

    fn end_drain(&mut self) {
        if let Some(drain) = self.drain.take() {
            let _heard = drain.answer.send(self.open_relays());
        }
    }
}

/// The name of a listener.
fn token(index: usize) -> Token {
    Token(WAKER.0 + 1 + index)
}

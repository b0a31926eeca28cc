//! The thread that relays: one poll for everything, without a time-out while nothing is due.
//!
//! Between two polls it obeys commands ([`EngineCommand`]): open, pause, drain, cut. Three things are timed: when the
//! next relay of a drain becomes quiet, how long a client that was sent the end may go on, and when to try again after
//! descriptors ran out.
//!
//! From a drain until the next open, a relay passes an answer on but no request after it: a relay with request after
//! request would never be quiet.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};
use tenure_core::deadline::monotonic;
use tenure_core::spec::Address;

use super::last_use::LastUse;
use super::peer_check::{IsOurs, PeerCheck};
use super::relay::{LEAVE, Next, Relay};
use super::route::{Accepted, Route};
use super::stream::ProxyListener;
use super::table::Table;
use super::talk::ASKED;

/// The one buffer: as much as a read from a loopback socket mostly yields.
const BUFFER: usize = 64 * 1024;

/// Events of one wait.
const EVENTS: usize = 256;

/// After descriptors ran out, and while no relay closes one, it is tried again after this long.
const SCARCE: Duration = Duration::from_secs(1);

/// The waker's token; those of listeners follow, and then those of relays.
pub(super) const WAKER: Token = Token(0);

/// Called with the name of a listener whose program does not listen.
pub(super) type Refused = Box<dyn Fn(&str) + Send>;

/// What the thread is told to do.
pub(super) enum EngineCommand {
    /// Accept clients and relay them there.
    Open(Vec<(String, Address)>, Refused, IsOurs),
    /// Accept no further client.
    Pause(Sender<()>),
    /// End quiet relays until none is left or the time is up; answer with how many are left.
    Drain(Duration, Sender<usize>),
    /// End all relays; answer with their number.
    Cut(Sender<usize>),
}

/// A drain that is not over.
struct Drain {
    until: Duration,
    /// No relay becomes quiet before this moment.
    look: Duration,
    answer: Sender<usize>,
}

/// The state of the thread.
pub(super) struct Engine {
    poll: Poll,
    routes: Vec<Route>,
    relays: Table,
    buffer: Vec<u8>,
    orders: Receiver<EngineCommand>,
    refused: Refused,
    peer_check: PeerCheck,
    open: bool,
    /// Clients that are not connected to the program yet.
    waiting: Vec<usize>,
    /// Relays that need another turn, and listeners where clients may wait.
    relays_again: Vec<usize>,
    routes_again: Vec<usize>,
    /// Descriptors ran out; it is tried again at this moment, or when a relay ends.
    scarce: Option<Duration>,
    drain: Option<Drain>,
    /// Clients that were sent the end, by the moment at which they are closed; those that are gone included.
    leaving: VecDeque<(Duration, usize)>,
    /// How many of them are still there.
    left: usize,
    last_use: Arc<LastUse>,
    now: Duration,
}

impl Engine {
    pub(super) fn new(
        poll: Poll,
        listeners: Vec<(String, ProxyListener)>,
        orders: Receiver<EngineCommand>,
        last_use: Arc<LastUse>,
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
            last_use,
            now: Duration::ZERO,
        })
    }

    /// Relays until the [`super::Proxy`] is dropped.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            // After an interruption or a lack of memory there are no events.
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
        if let Some((number, side)) = self.relays.named(event.token()) {
            let Some(relay) = self.relays.get(number) else { return };
            let next = relay.hear(side, event, &mut self.buffer, self.now);
            self.follow(number, next);
        } else if event.token() != WAKER {
            self.accept_later(event.token().0 - token(0).0);
        }
    }

    /// Gives relays and listeners their next turn.
    fn turn_again(&mut self) {
        for number in std::mem::take(&mut self.relays_again) {
            if let Some(relay) = self.relays.get(number) {
                let next = relay.turn(&mut self.buffer, self.now);
                self.follow(number, next);
            }
        }
        for route in std::mem::take(&mut self.routes_again) {
            self.accept(route);
        }
    }

    /// Accepts one client, if one waits, and comes back for the next.
    ///
    /// Not more at once: by the next turn the kernel has told whether the program took this client. If not, the other
    /// clients are better off in the queue, from which another process can accept them if this one ends.
    fn accept(&mut self, index: usize) {
        let Some(route) = self.routes.get(index).filter(|route| route.is_watched()) else { return };
        match route.accept() {
            Accepted::Client(client) => {
                self.last_use.note(self.now);
                let number = self.relays.number();
                let token = self.relays.tokens(number).client;
                // It fails where the client is gone already, or the kernel has no room to watch it.
                if let Ok(relay) = Relay::new(index, client, self.poll.registry(), token) {
                    self.relays.put(number, relay);
                    self.connect(number);
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

    /// Connects a waiting client to the program.
    fn connect(&mut self, number: usize) {
        let token = self.relays.tokens(number).program;
        let Some(relay) = self.relays.get(number).filter(|relay| relay.is_waiting()) else { return };
        let upstream = self.routes.get(relay.route).filter(|route| !route.refused);
        let Some(upstream) = upstream.and_then(|route| route.upstream.as_ref()).filter(|_| self.open) else {
            return self.waiting.push(number);
        };
        let next = relay.connect(upstream, self.poll.registry(), token);
        self.follow(number, next);
    }

    fn follow(&mut self, number: usize, next: Next) {
        if let Some(drain) = &mut self.drain {
            // A relay that has just moved bytes becomes quiet no earlier.
            drain.look = drain.look.min(self.now.saturating_add(ASKED));
        }
        match next {
            Next::Wait => {}
            Next::Turn => self.relays_again.push(number),
            Next::Connected { speaks } => self.let_through(number, speaks),
            Next::Refused => {
                self.waiting.push(number);
                let index = self.relays.get(number).map(|relay| relay.route);
                self.refuse(index);
            }
            Next::Starved => {
                self.waiting.push(number);
                self.starve();
            }
            Next::Close => self.close(number),
        }
    }

    /// Begins to relay if the new connection leads to the program; otherwise its client waits.
    fn let_through(&mut self, number: usize, speaks: bool) {
        let Some(relay) = self.relays.get(number) else { return };
        let leads = relay.far_end().is_some_and(|end| self.peer_check.leads_to_program(end));
        let next = if leads { relay.begin(speaks, &mut self.buffer, self.now) } else { relay.turn_away() };
        self.follow(number, next);
    }

    fn close(&mut self, number: usize) {
        let Some(relay) = self.relays.take(number) else { return };
        self.last_use.note(self.now);
        if relay.is_waiting() {
            self.waiting.retain(|waiting| *waiting != number);
        }
        self.left -= usize::from(relay.leaves_at().is_some());
        // Its descriptors are free again.
        self.scarce = self.scarce.map(|_| self.now);
    }

    /// Stops accepting by this listener until the next open.
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
        for number in std::mem::take(&mut self.waiting) {
            self.connect(number);
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

    /// Obeys the queued commands; `None` when the [`super::Proxy`] was dropped.
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
                    // A caller that does not wait needs no answer, here and below.
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

    fn begin(&mut self, upstreams: &[(String, Address)], refused: Refused) {
        self.end_drain();
        self.open = true;
        self.refused = refused;
        for route in &mut self.routes {
            let told = upstreams.iter().find(|(name, _)| *name == route.name);
            route.upstream = told.map(|(_, address)| address.clone());
            route.refused = false;
        }
        let kept_back = self.relays.all_mut().filter_map(|(number, relay)| relay.pass_on().then_some(number));
        self.relays_again.extend(kept_back);
        self.connect_waiting();
        self.watch();
    }

    fn cut(&mut self) -> usize {
        let open = self.relays.all().filter(|(_, relay)| relay.leaves_at().is_none());
        let numbers: Vec<usize> = open.map(|(number, _)| number).collect();
        for &number in &numbers {
            if let Some(relay) = self.relays.get(number) {
                relay.abort();
            }
            self.close(number);
        }
        self.waiting.clear();
        numbers.len()
    }

    /// While draining: ends quiet relays, and answers when nothing is left to wait for.
    fn look_for_quiet(&mut self) {
        let Some(drain) = &self.drain else { return };
        if self.now >= drain.look {
            let quiet: Vec<usize> = self
                .relays
                .all()
                .filter(|(_, relay)| self.is_quiet(relay))
                .map(|(number, _)| number)
                .collect();
            for number in quiet {
                self.leave(number);
            }
            let next = self.relays.all().filter_map(|(_, relay)| relay.quiet_at()).min();
            if let Some(drain) = &mut self.drain {
                drain.look = next.unwrap_or(Duration::MAX);
            }
        }
        let over = self.drain.as_ref().is_some_and(|drain| self.now >= drain.until);
        // Clients that the program did not take cannot be served while it ends.
        if over || self.open_relays() <= self.waiting.len() {
            self.end_drain();
        }
    }

    /// Relays whose client was not sent the end.
    fn open_relays(&self) -> usize {
        self.relays.count() - self.left
    }

    /// Ends a quiet relay: the program's side at once, the client's after a while to read the end.
    fn leave(&mut self, number: usize) {
        let until = self.now.saturating_add(LEAVE);
        let Some(relay) = self.relays.get(number) else { return };
        let next = relay.leave(until, &mut self.buffer);
        self.left += 1;
        self.leaving.push_back((until, number));
        self.follow(number, next);
    }

    /// Closes the clients whose while is over.
    fn end_leaving(&mut self) {
        while let Some((until, number)) = self.leaving.pop_front_if(|(until, _)| *until <= self.now) {
            // It may be closed already.
            if self.relays.get(number).is_some_and(|relay| relay.leaves_at() == Some(until)) {
                self.close(number);
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

/// The token of a listener.
fn token(index: usize) -> Token {
    Token(WAKER.0 + 1 + index)
}

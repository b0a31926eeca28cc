//! One client and its connection to the program, from accept to the end of both.
//!
//! A client whose program refuses waits until it is connected again, with what it has sent still in the kernel. An
//! error of one side resets the other side too: a broken stream must not look like one that ended. A quiet relay that a
//! drain ends closes its client by an orderly end, which the client can tell from a reset ([`Relay::leave`]).

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use mio::event::Event;
use mio::{Interest, Registry, Token};
use tenure_core::spec::Address;
use tenure_sys::discard::best_effort;
use tenure_sys::{limits, socket};

use super::flow::{Flow, Turn};
use super::stream::{FarEnd, Stream};
use super::talk::Talk;

/// How long a client that was sent the end may go on: what it still sends is read and discarded. Closing at once would
/// answer that with a reset, which may overtake the end (RFC 9112, 9.6). A client that does not close by then gets the
/// reset when it sends again.
pub(super) const LEAVE: Duration = Duration::from_secs(1);

/// Reads of a client that was sent the end, before other relays have a turn.
const DISCARDS: usize = 16;

/// The two sides of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Program,
}

/// The stage of a relay.
#[derive(Debug)]
enum RelayStage {
    /// The program did not take the client, or was not asked yet.
    Waiting,
    /// The connection to the program, at this address, is being made.
    Connecting(Stream, Address),
    /// Bytes go both ways.
    Relaying(Stream),
    /// The client was sent the end, and may send its own until then.
    Leaving(Duration),
}

/// A relay.
#[derive(Debug)]
pub(super) struct Relay {
    /// The listener that it came in by.
    pub(super) route: usize,
    client: Stream,
    stage: RelayStage,
    up: Flow,
    down: Flow,
    talk: Talk,
    /// An answer is passed on to its end, and no request after it.
    last_answer: bool,
}

/// What comes next for a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its next event.
    Wait,
    /// Another turn, after the others.
    Turn,
    /// The connection stands; before anything is relayed, its other end has to be checked.
    Connected {
        /// The program has already sent bytes, or the end.
        speaks: bool,
    },
    /// Nobody listens where the program should: the client waits.
    Refused,
    /// There is no descriptor or port for it now: the client waits.
    Starved,
    /// Both sides have ended, or one has failed.
    Close,
}

/// The tokens of the two sockets of a relay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    pub(super) client: Token,
    pub(super) program: Token,
}

/// Both: an edge costs nothing until it comes, while each change of what is watched costs a system call.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Relay {
    /// Takes a client, which is not connected to the program yet.
    pub(super) fn new(
        route: usize,
        mut client: Stream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        client.send_at_once()?;
        registry.register(&mut client, token, BOTH)?;
        Ok(Self {
            route,
            client,
            stage: RelayStage::Waiting,
            up: Flow::default(),
            down: Flow::default(),
            talk: Talk::new(tenure_core::deadline::monotonic()),
            last_answer: false,
        })
    }

    /// Begins to connect to the program.
    pub(super) fn connect(&mut self, address: &Address, registry: &Registry, token: Token) -> Next {
        let made = Stream::connect(address).and_then(|mut program| {
            registry.register(&mut program, token, BOTH)?;
            Ok(program)
        });
        match made {
            Ok(program) => {
                self.stage = RelayStage::Connecting(program, address.clone());
                Next::Wait
            }
            Err(error) => self.not_connected(&error),
        }
    }

    /// What an event on one of the sockets leads to.
    pub(super) fn hear(&mut self, side: Side, event: &Event, buffer: &mut [u8], now: Duration) -> Next {
        let near = event.is_read_closed();
        if near {
            match side {
                Side::Client => self.up.end_is_near(),
                Side::Program => self.down.end_is_near(),
            }
        }
        let program = match &self.stage {
            RelayStage::Relaying(program) => program,
            RelayStage::Leaving(_) => return self.discard(buffer),
            RelayStage::Waiting | RelayStage::Connecting(..) => return self.hear_early(side, event),
        };
        if event.is_error() {
            let failed = match side {
                Side::Client => self.client.take_error(),
                Side::Program => program.take_error(),
            };
            if !matches!(failed, Ok(None)) {
                return self.abort();
            }
        }
        let (reads, writes) = (event.is_readable() || near, event.is_writable());
        let (up, down) = match side {
            Side::Client => (reads, writes && self.down.is_held()),
            Side::Program => (writes && self.up.is_held(), reads),
        };
        self.pump(up, down, buffer, now)
    }

    /// Before bytes go both ways, only two things matter: the program takes the client, or the client goes away.
    fn hear_early(&mut self, side: Side, event: &Event) -> Next {
        match side {
            // At a path the kernel tells so also of a client that has sent its request, and left.
            Side::Client if event.is_error() || event.is_write_closed() && !self.client.has_bytes() => {
                Next::Close
            }
            Side::Client => Next::Wait,
            Side::Program => self.finish_connecting(event),
        }
    }

    /// Goes on after a turn that ended by its length.
    pub(super) fn turn(&mut self, buffer: &mut [u8], now: Duration) -> Next {
        match &self.stage {
            RelayStage::Leaving(_) => self.discard(buffer),
            RelayStage::Waiting | RelayStage::Connecting(..) | RelayStage::Relaying(_) => {
                self.pump(true, true, buffer, now)
            }
        }
    }

    fn finish_connecting(&mut self, event: &Event) -> Next {
        if !event.is_writable() && !event.is_error() {
            return Next::Wait;
        }
        let RelayStage::Connecting(program, address) = &self.stage else { return Next::Wait };
        if let Err(error) = program.connected(address) {
            self.stage = RelayStage::Waiting;
            return self.not_connected(&error);
        }
        Next::Connected { speaks: event.is_readable() || event.is_read_closed() }
    }

    /// Where a connection leads that was just made.
    pub(super) fn far_end(&self) -> Option<FarEnd> {
        let RelayStage::Connecting(program, _) = &self.stage else { return None };
        program.far_end()
    }

    /// The connection leads to the program: begins to relay.
    pub(super) fn begin(&mut self, speaks: bool, buffer: &mut [u8], now: Duration) -> Next {
        match std::mem::replace(&mut self.stage, RelayStage::Waiting) {
            RelayStage::Connecting(program, _) => self.stage = RelayStage::Relaying(program),
            stage @ (RelayStage::Waiting | RelayStage::Relaying(_) | RelayStage::Leaving(_)) => {
                self.stage = stage;
            }
        }
        // The client's events were ignored until now. The program is read only where it has sent already: its later
        // bytes raise an event of their own, and read in this turn, an answer would pass for bytes that came before the
        // request.
        self.pump(true, speaks, buffer, now)
    }

    /// The connection leads to somebody else: it ends with a reset, and the client waits.
    pub(super) fn turn_away(&mut self) -> Next {
        if let RelayStage::Connecting(program, _) = std::mem::replace(&mut self.stage, RelayStage::Waiting) {
            best_effort(socket::reset_at_close(program.as_fd()));
        }
        self.down = Flow::default();
        Next::Refused
    }

    fn not_connected(&mut self, error: &io::Error) -> Next {
        if limits::ran_out(error) {
            return Next::Starved;
        }
        // A reset says that the connection was in the queue of a program that has just ended; nothing was sent on it. At
        // a path there may be no socket yet, or its queue may be full.
        let refused = [
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::NotFound,
            ErrorKind::WouldBlock,
        ];
        if refused.contains(&error.kind()) {
            // The end of this connection does not concern the next one.
            self.down = Flow::default();
            return Next::Refused;
        }
        self.abort()
    }

    /// Whether the program has not been asked, or did not take the client.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, RelayStage::Waiting)
    }

    fn pump(&mut self, up: bool, down: bool, buffer: &mut [u8], now: Duration) -> Next {
        let up = up && !self.keeps_back();
        let RelayStage::Relaying(program) = &mut self.stage else { return Next::Wait };
        let idle = Ok(Turn { moved: false, more: false });
        let up = if up { self.up.pump(&mut self.client, program, buffer) } else { idle };
        let idle = Ok(Turn { moved: false, more: false });
        let down = if down { self.down.pump(program, &mut self.client, buffer) } else { idle };
        let (Ok(up), Ok(down)) = (up, down) else { return self.abort() };
        // Bytes of both sides in one turn leave the request open.
        if down.moved {
            self.talk.program_spoke(now);
        }
        if up.moved {
            self.talk.client_spoke();
        }
        if self.up.is_over() && self.down.is_over() {
            return Next::Close;
        }
        if up.more || down.more { Next::Turn } else { Next::Wait }
    }

    /// From now on no request after an answer is passed on. It stays in the kernel and raises no further event.
    pub(super) fn keep_back(&mut self) {
        self.last_answer = true;
    }

    /// Passes everything on again; returns whether something was kept back, so that this relay needs a turn.
    pub(super) fn pass_on(&mut self) -> bool {
        self.last_answer = false;
        self.talk.has_asked()
    }

    /// Whether what the client sends now is kept back. Its end is not: no request can follow it.
    fn keeps_back(&mut self) -> bool {
        if !self.last_answer || !self.talk.is_answered() || self.up.is_held() || self.up.is_over() {
            return false;
        }
        // A later read finds an error again.
        let asks = self.client.has_bytes();
        if asks {
            self.talk.client_asked();
        }
        asks
    }

    /// When this relay becomes quiet if nothing moves until then; `None` while one side waits for the other.
    pub(super) fn quiet_at(&self) -> Option<Duration> {
        let relaying = matches!(self.stage, RelayStage::Relaying(_));
        if !relaying || self.up.is_held() || self.down.is_held() {
            return None;
        }
        self.talk.quiet_at()
    }

    /// Closes the connection to the program and sends the client the end: never a reset, even where the client has sent
    /// something that was not passed on.
    pub(super) fn leave(&mut self, until: Duration, buffer: &mut [u8]) -> Next {
        self.stage = RelayStage::Leaving(until);
        match self.client.shutdown(Shutdown::Write) {
            Ok(()) => self.discard(buffer),
            // The client is gone.
            Err(_) => Next::Close,
        }
    }

    /// Until when a client that was sent the end may go on; `None` before.
    pub(super) fn leaves_at(&self) -> Option<Duration> {
        match self.stage {
            RelayStage::Leaving(until) => Some(until),
            RelayStage::Waiting | RelayStage::Connecting(..) | RelayStage::Relaying(_) => None,
        }
    }

    /// Reads and discards what a client still sends, up to its end.
    fn discard(&mut self, buffer: &mut [u8]) -> Next {
        for _ in 0..DISCARDS {
            match self.client.read(buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Ok(0) | Err(_) => return Next::Close,
            }
        }
        Next::Turn
    }

    /// Makes the end of this relay a reset for both sides.
    pub(super) fn abort(&self) -> Next {
        // A side that is gone already needs no reset.
        best_effort(socket::reset_at_close(self.client.as_fd()));
        match &self.stage {
            RelayStage::Waiting | RelayStage::Leaving(_) => {}
            RelayStage::Connecting(program, _) | RelayStage::Relaying(program) => {
                best_effort(socket::reset_at_close(program.as_fd()));
            }
        }
        Next::Close
    }
}

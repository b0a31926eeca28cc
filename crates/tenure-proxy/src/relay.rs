//! One client and its connection to the program, from accept to the end of both.
//!
//! A client whose program refuses waits, with what it has sent still in the kernel, until it is connected again. An error
//! of one side ends both, and the other side is reset: a stream that broke must not look like one that ended. Where a relay is
//! ended from here, because it is quiet, the client is told so by an end that it can tell from that ([`Relay::leave`]).

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tenure_sys::discard::best_effort;
use tenure_sys::{limits, socket};

use super::flow::{Flow, Turn};
use super::talk::Talk;

/// A client that was taken leave of may still have something under way: so long, it is read and thrown away. To close
/// instead would answer it with a reset, which may overtake the end that was sent before. A client in no hurry to close
/// takes longer, and gets the reset when it speaks again.
pub(super) const LEAVE: Duration = Duration::from_secs(1);

/// Reads of a client that was taken leave of, before the others are looked at.
const DISCARDS: usize = 16;

/// The two sides of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Client,
    Program,
}

/// Where it stands.
#[derive(Debug)]
enum RelayStage {
    /// The program did not take the client, or nobody has asked it yet.
    Waiting,
    /// The connection to the program, at this address, is being made.
    Connecting(TcpStream, SocketAddr),
    /// Bytes go both ways.
    Relaying(TcpStream),
    /// The client was told the end, and its own is waited for until then.
    Leaving(Duration),
}

/// A relay.
#[derive(Debug)]
pub(super) struct Relay {
    /// The listener that it came in by.
    pub(super) route: usize,
    client: TcpStream,
    stage: RelayStage,
    up: Flow,
    down: Flow,
    talk: Talk,
    /// An answer is passed on to its end, and nothing that is asked after it.
    last_answer: bool,
}

/// What comes next for a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its next event.
    Wait,
    /// Another turn, after the others.
    Turn,
    /// The connection stands; whose the other side is has to be found out before anything is relayed.
    Connected {
        /// The other side has spoken, or ended, already.
        speaks: bool,
    },
    /// Nobody listens where the program should: the client waits.
    Refused,
    /// There is no descriptor or port for it now: the client waits.
    Starved,
    /// Both sides have ended, or one has failed.
    Close,
}

/// Names the two sockets of a relay to the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    pub(super) client: Token,
    pub(super) program: Token,
}

/// Both: an edge costs nothing until it comes, and changing what is watched costs a call each time.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Relay {
    /// Takes a client in. It is not connected to the program yet.
    pub(super) fn new(
        route: usize,
        mut client: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        client.set_nodelay(true)?;
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
    pub(super) fn connect(&mut self, address: SocketAddr, registry: &Registry, token: Token) -> Next {
        let made = TcpStream::connect(address).and_then(|mut program| {
            registry.register(&mut program, token, BOTH)?;
            Ok(program)
        });
        match made {
            Ok(program) => {
                self.stage = RelayStage::Connecting(program, address);
                Next::Wait
            }
            Err(error) => self.not_connected(&error),
        }
    }

    /// What an event on one of the sockets leads to.
    pub(super) fn hear(&mut self, side: Direction, event: &Event, buffer: &mut [u8], now: Duration) -> Next {
        let near = event.is_read_closed();
        if near {
            match side {
                Direction::Client => self.up.end_is_near(),
                Direction::Program => self.down.end_is_near(),
            }
        }
        let program = match &self.stage {
            RelayStage::Relaying(program) => program,
            RelayStage::Leaving(_) => return self.discard(buffer),
            RelayStage::Waiting | RelayStage::Connecting(..) => return self.hear_early(side, event),
        };
        if event.is_error() {
            let failed = match side {
                Direction::Client => self.client.take_error(),
                Direction::Program => program.take_error(),
            };
            if !matches!(failed, Ok(None)) {
                return self.abort();
            }
        }
        let (reads, writes) = (event.is_readable() || near, event.is_writable());
        let (up, down) = match side {
            Direction::Client => (reads, writes && self.down.is_held()),
            Direction::Program => (writes && self.up.is_held(), reads),
        };
        self.pump(up, down, buffer, now)
    }

    /// Before bytes go both ways, only two things matter: the program takes the client, or the client goes away.
    fn hear_early(&mut self, side: Direction, event: &Event) -> Next {
        match side {
            Direction::Client if event.is_error() || event.is_write_closed() => Next::Close,
            Direction::Client => Next::Wait,
            Direction::Program => self.finish_connecting(event),
        }
    }

    /// The next part of a turn that was too long.
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
        if let Err(error) = connected(program, *address) {
            self.stage = RelayStage::Waiting;
            return self.not_connected(&error);
        }
        Next::Connected { speaks: event.is_readable() || event.is_read_closed() }
    }

    /// Both ends of a connection that was just made, ours first.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let RelayStage::Connecting(program, _) = &self.stage else { return None };
        Some((program.local_addr().ok()?, program.peer_addr().ok()?))
    }

    /// The connection leads to the program: begins to relay.
    pub(super) fn begin(&mut self, speaks: bool, buffer: &mut [u8], now: Duration) -> Next {
        match std::mem::replace(&mut self.stage, RelayStage::Waiting) {
            RelayStage::Connecting(program, _) => self.stage = RelayStage::Relaying(program),
            stage @ (RelayStage::Waiting | RelayStage::Relaying(_) | RelayStage::Leaving(_)) => {
                self.stage = stage;
            }
        }
        // The client's edges were not listened to until now. What the program says from now on has an edge of its own: read in
        // this turn, an answer to what the client says would pass for one that came before.
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
        // A reset: it was in the queue of a program that has just ended, and nothing was sent to it.
        if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) {
            // What was heard of the end of this connection is not about the next one.
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
        // An answer that comes while more is asked leaves the question open.
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

    /// From now on nothing that is asked after an answer is passed on. It stays in the kernel and wakes nobody again.
    pub(super) fn keep_back(&mut self) {
        self.last_answer = true;
    }

    /// Passes everything on again; returns whether something was kept back, so that this relay needs a turn.
    pub(super) fn pass_on(&mut self) -> bool {
        self.last_answer = false;
        self.talk.has_asked()
    }

    /// Whether what the client sends now is not to be passed on. Its end is: nothing can be asked after it.
    fn keeps_back(&mut self) -> bool {
        if !self.last_answer || !self.talk.is_answered() || self.up.is_held() || self.up.is_over() {
            return false;
        }
        match self.client.peek(&mut [0]) {
            Ok(1..) => {
                self.talk.client_asked();
                true
            }
            // An error is found again by whoever reads.
            Ok(0) | Err(_) => false,
        }
    }

    /// When this relay is quiet, if nothing moves until then; `None` while somebody waits for somebody.
    pub(super) fn quiet_at(&self) -> Option<Duration> {
        let relaying = matches!(self.stage, RelayStage::Relaying(_));
        if !relaying || self.up.is_held() || self.down.is_held() {
            return None;
        }
        self.talk.quiet_at()
    }

    /// Ends the connection to the program and tells the client the end: by its own, and not by a reset, even where it has
    /// said something that was not passed on.
    pub(super) fn leave(&mut self, until: Duration, buffer: &mut [u8]) -> Next {
        self.stage = RelayStage::Leaving(until);
        match self.client.shutdown(Shutdown::Write) {
            Ok(()) => self.discard(buffer),
            // It is gone.
            Err(_) => Next::Close,
        }
    }

    /// Until when a client that was told the end is listened to; `None` before.
    pub(super) fn leaves_at(&self) -> Option<Duration> {
        match self.stage {
            RelayStage::Leaving(until) => Some(until),
            RelayStage::Waiting | RelayStage::Connecting(..) | RelayStage::Relaying(_) => None,
        }
    }

    /// Reads what a client still says, for nobody, up to its end.
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
        // One that is gone already needs none.
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

/// Makes sure that a connection that is over with being made stands.
fn connected(program: &TcpStream, address: SocketAddr) -> io::Result<()> {
    if let Some(error) = program.take_error()? {
        return Err(error);
    }
    if program.local_addr()? == address {
        // The kernel lets a socket connect to itself where nobody listens and its own port happens to be the one asked for.
        return Err(ErrorKind::ConnectionRefused.into());
    }
    program.set_nodelay(true)
}

//! The control thread: it answers HELLO, WAIT and STOP, takes TERM and INT as a STOP, and passes a PREPARE on.
//!
//! - It is started before anything else of the app's boot, so it answers while the app boots, is stuck, or ends.
//! - What it shares with the app ([`Status`], build watcher, takeover context, ownership) is locked, and never over a
//!   wait.
//! - It blocks on no caller. Its only blocking writes are one event, and one frame to the worker from which
//!   this one took over.
//! - It alone announces an end. From then on the process has no listening control socket: late callers are refused and
//!   block on the lease, and peers that are connected still get answers.

use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::asker;
use tenure_core::deadline::{self, Deadline, millis};
use tenure_core::fault::{self, Point};
use tenure_core::launch::end::stop_and_prove::CONTROL_THREAD;
use tenure_core::policy::idle::IdleClock;
use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleExecutor, LifecycleState};
use tenure_core::protocol::wire::{Answer, Asker, ControlRequest};
use tenure_core::store::event::What;
use tenure_sys::discard::best_effort;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::signals::{ReceivedSignal, SignalFd};
use tenure_sys::{thread, user};

use crate::build::BuildWatcher;
use crate::ownership::Ownership;
use crate::status::{Status, StopRequest};
use crate::takeover::context::{EndCause, TakeoverContext};
use crate::takeover::incumbent;

mod accept;
mod crowd;
mod peer;
mod unused;

use peer::{Gone, Peer, PeerMessage, Waiting};

/// Peers that were answered before and are served again in one turn; the others of them come first in the next turn. A
/// crowd that asks without a pause then costs a newcomer some milliseconds and not seconds.
const TURN: usize = 128;

/// What the control thread answers from, and the context that admits a successor.
pub(crate) struct ControlAccount {
    pub(crate) status: Status,
    pub(crate) build_watcher: BuildWatcher,
    pub(crate) context: Arc<TakeoverContext>,
}

/// Starts the thread. It lives as long as the process, and answers callers while the control listener is open.
pub(crate) fn start(account: ControlAccount, ownership: Arc<Ownership>, signals: SignalFd) -> io::Result<()> {
    let mut control = Control {
        status: account.status,
        build_watcher: account.build_watcher,
        context: account.context,
        ownership,
        signals,
        peers: Vec::new(),
        reserve: Vec::new(),
        paused_until: None,
        idle: None,
        uid: user::effective_uid(),
    };
    let idle_timeout = control.ownership.handshake.spec.idle_timeout.time();
    control.idle = idle_timeout.map(|time| IdleClock::new(time.duration()));
    control.refill();
    thread::start(CONTROL_THREAD, move || {
        loop {
            control.turn();
        }
    })
}

struct Control {
    status: Status,
    build_watcher: BuildWatcher,
    context: Arc<TakeoverContext>,
    ownership: Arc<Ownership>,
    signals: SignalFd,
    peers: Vec<Peer>,
    reserve: Vec<OwnedFd>,
    paused_until: Option<Duration>,
    /// The deadline of a worker that ends without use.
    idle: Option<IdleClock>,
    uid: u32,
}

/// What a wait has found.
struct Wakeup {
    changed: bool,
    signal: bool,
    connections: bool,
    peers: Vec<bool>,
}

impl Control {
    fn turn(&mut self) {
        let found = self.wait();
        if found.changed {
            self.status.changed().drain();
        }
        // Before anything changes `peers`: `found.peers` is in their order.
        self.serve(&found.peers);
        if found.signal {
            self.take_signals();
        }
        if let Some(ask) = self.status.take_ask() {
            self.announce(Stop { end: EndCause::Of(ask.event), reason: ask.reason, by: asker() });
        }
        // An incumbent that takes its scope back can have opened the listener since the end was announced.
        if matches!(self.status.life(), LifecycleState::Draining | LifecycleState::Ended) {
            self.context.close_listeners();
        }
        if found.connections {
            self.accept();
        }
        self.answer_waits();
        self.end_if_unused();
    }

    fn wait(&mut self) -> Wakeup {
        let now = deadline::monotonic();
        self.paused_until = self.paused_until.filter(|until| *until > now);
        let unused = self.unused_due(now);
        let due = self.peers.iter().filter_map(Peer::due).chain(self.paused_until).chain(unused).min();
        self.wait_for(due.map(|due| due.saturating_sub(now)))
    }

    fn wait_for(&mut self, limit: Option<Duration>) -> Wakeup {
        let mut interests = vec![
            Interest::new(self.status.changed().as_fd(), Readiness::Read),
            Interest::new(self.signals.as_fd(), Readiness::Read),
        ];
        interests.extend(self.peers.iter().map(|peer| Interest::new(peer.as_fd(), peer.want())));
        let listener = self.ownership.control_listener.listener().filter(|_| self.paused_until.is_none());
        interests.extend(listener.as_ref().map(|listener| Interest::new(listener.as_fd(), Readiness::Read)));
        if poll::wait(&mut interests, limit).is_err() {
            // The kernel has no memory for a wait of this size. All peers are closed, and may connect again.
            drop(interests);
            self.peers = Vec::new();
            return Wakeup { changed: true, signal: true, connections: false, peers: Vec::new() };
        }
        let ready: Vec<bool> = interests.iter().map(Interest::ready).collect();
        let (own, others) = ready.split_at(2);
        let (peers, listener) = others.split_at(self.peers.len());
        let connections = listener.first() == Some(&true);
        Wakeup { changed: own[0], signal: own[1], connections, peers: peers.to_vec() }
    }

    fn take_signals(&mut self) {
        while let Some(signal) = self.signals.read() {
            let name = match signal {
                ReceivedSignal::Terminate => "TERM",
                ReceivedSignal::Interrupt => "INT",
                ReceivedSignal::Hangup | ReceivedSignal::Child => continue,
            };
            let end = EndCause::Of(LifecycleEvent::StopAsked);
            self.announce(Stop { end, reason: format!("signal {name}"), by: Asker::default() });
        }
    }

    /// Serves the peers that `ready` names, and closes those that are gone or late.
    fn serve(&mut self, ready: &[bool]) {
        let now = deadline::monotonic();
        let (mut closed, mut left, mut served) = (false, TURN, Vec::new());
        let peers = mem::take(&mut self.peers);
        for (index, mut peer) in peers.into_iter().enumerate() {
            let asks = ready.get(index) == Some(&true) || peer.has_more();
            // A peer whose first request is not read yet never waits for peers that were answered before.
            let turn = asks && (left > 0 || !peer.has_asked());
            left -= usize::from(turn && peer.has_asked());
            let stays = if turn { self.attend(&mut peer, now) } else { Ok(()) };
            if stays.is_err() || peer.is_overdue(now) {
                closed = true;
            } else if turn {
                served.push(peer);
            } else {
                self.peers.push(peer);
            }
        }
        // Peers that had a turn now come after those that had none.
        self.peers.append(&mut served);
        if closed {
            self.refill();
            self.paused_until = None;
        }
    }

    /// Gives a peer its turn: sends the rest of its answer, answers a request that was read before, then reads once.
    fn attend(&mut self, peer: &mut Peer, now: Duration) -> Result<(), Gone> {
        if peer.waiting().is_some() {
            // While a WAIT goes on, only the end of the connection wakes us.
            return Err(Gone);
        }
        peer.flush()?;
        self.answer_next(peer, now)?;
        // Nothing is read while a request waits for its answer: so the bytes kept for one peer are bounded.
        if !peer.is_busy() && !peer.has_more() {
            peer.fill(now)?;
            self.answer_next(peer, now)?;
        }
        Ok(())
    }

    /// Answers one request that was read, unless an answer is still owed. In a turn this comes once before the peer is
    /// read and once after, however many requests it has sent.
    fn answer_next(&mut self, peer: &mut Peer, now: Duration) -> Result<(), Gone> {
        if peer.is_busy() {
            return Ok(());
        }
        match peer.next(now)? {
            PeerMessage::Nothing => return Ok(()),
            PeerMessage::Unknown(why) => {
                let why = format!("understand the request: {why}");
                peer.answer(&Answer::refused(why), now)?;
            }
            PeerMessage::Request(ControlRequest::Hello { look }) => {
                if !look {
                    self.note_use(now);
                }
                peer.answer(&self.hello(), now)?;
            }
            PeerMessage::Request(ControlRequest::Wait { until, within_ms, proved }) => {
                let due = now.saturating_add(Duration::from_millis(within_ms));
                peer.wait(Waiting { until, proved, due });
                self.answer_wait(peer, now)?;
            }
            PeerMessage::Request(ControlRequest::Stop { back: true, .. })
                if !self.status.is_on_probation() =>
            {
                let why = "make room for the worker before: it is not on probation".to_owned();
                peer.answer(&Answer::refused(why), now)?;
            }
            PeerMessage::Request(ControlRequest::Stop { reason, deadline_ms, by, back }) => {
                let asked = Some(Duration::from_millis(deadline_ms));
                let end = if back { EndCause::SentBack } else { EndCause::Of(LifecycleEvent::StopAsked) };
                self.announce_to(Stop { end, reason, by }, asked, Some(peer))?;
            }
            PeerMessage::Request(ControlRequest::Prepare(prepare)) => match self.context.admit(peer.stream())
            {
                Ok((link, turn)) => {
                    self.note_use(now);
                    incumbent::start(&self.context, link, turn, *prepare);
                    // The connection is the takeover's from here on.
                    return Err(Gone);
                }
                Err(refused) => peer.answer(&refused, now)?,
            },
            PeerMessage::Request(
                ControlRequest::Commit | ControlRequest::Active(_) | ControlRequest::Abort(_),
            ) => {
                let why = "go on with a takeover: none was prepared here".to_owned();
                peer.answer(&Answer::refused(why), now)?;
            }
        }
        Ok(())
    }

    fn hello(&self) -> Answer {
        Answer::Hello(Box::new(self.build_watcher.hello_with_build(&self.status)))
    }

    /// Answers every WAIT that is over.
    fn answer_waits(&mut self) {
        let now = deadline::monotonic();
        let mut peers = mem::take(&mut self.peers);
        peers.retain_mut(|peer| self.answer_wait(peer, now).is_ok());
        // Peers that were accepted meanwhile come after the others.
        peers.append(&mut self.peers);
        self.peers = peers;
    }

    /// Answers a WAIT that is over, and the request that the peer sent after it.
    fn answer_wait(&mut self, peer: &mut Peer, now: Duration) -> Result<(), Gone> {
        let Some(waiting) = peer.waiting() else { return Ok(()) };
        if now < waiting.due && !self.status.is_wait_over(waiting.until, waiting.proved) {
            return Ok(());
        }
        self.note_use(now);
        peer.answer(&self.hello(), now)?;
        self.answer_next(peer, now)
    }

    /// Announces a stop that no peer asked for.
    fn announce(&mut self, stop: Stop) {
        best_effort(self.announce_to(stop, None, None));
    }

    /// Announces a stop, and tells the peer that asked for it within what time the worker will be gone.
    fn announce_to(
        &mut self,
        stop: Stop,
        asked: Option<Duration>,
        peer: Option<&mut Peer>,
    ) -> Result<(), Gone> {
        let status = self.status.clone();
        let budget = self.ownership.handshake.spec.end_budget();
        let deadline = Deadline::start(asked.unwrap_or(budget).min(budget));
        let request = StopRequest { reason: stop.reason.clone(), by: stop.by.clone(), deadline };
        let event = stop.end.event();
        let mut announced = Announced { control: self, stop, peer, answered: Ok(()) };
        status.announce(event, request, &mut announced);
        announced.answer_peer();
        announced.answered
    }
}

/// A stop: how it came about, why, and who wants it.
struct Stop {
    end: EndCause,
    reason: String,
    by: Asker,
}

/// The control thread while it announces an end.
struct Announced<'control> {
    control: &'control mut Control,
    stop: Stop,
    /// Whoever asked, until it is answered.
    peer: Option<&'control mut Peer>,
    answered: Result<(), Gone>,
}

impl Announced<'_> {
    fn answer_peer(&mut self) {
        let Some(peer) = self.peer.take() else { return };
        let known = self.control.status.stop_request();
        let within = known.map_or(Duration::ZERO, |known| known.deadline.remaining());
        let answer = Answer::Stopping { within_ms: millis(within) };
        self.answered = peer.answer(&answer, deadline::monotonic());
    }
}

impl LifecycleExecutor for Announced<'_> {
    /// Callers in the listener's queue are still accepted and answered; later ones are refused by the kernel.
    fn close_listener(&mut self) {
        self.control.accept();
        self.control.context.close_listeners();
    }

    /// The app learns of the stop last, because it may end the process at once.
    fn drain(&mut self) {
        let Stop { end, reason, by } = &self.stop;
        self.control.context.end_announced(*end, reason, false);
        let what = if end.event() == LifecycleEvent::Idle { What::Idle } else { What::Draining };
        self.control.ownership.note(what, by, reason.as_str());
        self.answer_peer();
        fault::reach(Point::DrainAnnounced);
        self.control.status.raise_stop();
    }

    // These follow from what the app does, or from a deadline, and never from a stop.
    fn report_ready(&mut self) {}

    fn leave_scope(&mut self) {}

    fn report_failed(&mut self) {}

    fn exit(&mut self, _code: i32) {}
}

#[cfg(test)]
mod tests;

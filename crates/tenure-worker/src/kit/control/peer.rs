//! One connection to the control thread: bytes in, requests out, answers back, and never a blocking call.
//!
//! Limits bound what a hostile or stuck peer can cost: the length of a request, the time for an incomplete one, the
//! time for taking an answer. A peer that breaks one is closed. Knows nothing of what requests mean.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tenure_core::protocol::wire::{self, Answer, ControlRequest, HEADER, Until};
use tenure_sys::poll::Readiness;

use super::crowd::{Cost, CrowdState};

/// Longest request: a STOP with a long reason is far below it.
const LONGEST_REQUEST: usize = 64 * 1024;

/// Time for an incomplete request, and for taking an answer; both are one write on a local socket.
const FRAME_LIMIT: Duration = Duration::from_secs(10);

/// Bytes read at a time: one read takes any usual request, and bounds how long one peer keeps the others waiting.
const CHUNK: usize = 4096;

/// A connected peer.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    due: Option<Duration>,
    waiting: Option<Waiting>,
    last_read: Duration,
    /// Whether it has sent a whole request.
    asked: bool,
}

/// A WAIT that is not over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) until: Until,
    pub(crate) proved: bool,
    pub(crate) due: Duration,
}

/// What a peer has sent.
#[derive(Debug)]
pub(crate) enum PeerMessage {
    /// A request.
    Request(ControlRequest),
    /// A well-formed frame with a request that this build does not know.
    Unknown(String),
    /// Nothing that is complete.
    Nothing,
}

/// A peer to be closed: it is gone, or it broke a limit.
#[derive(Debug)]
pub(crate) struct Gone;

impl Peer {
    /// Takes a connection over; its reads and writes no longer block.
    pub(crate) fn new(stream: UnixStream, now: Duration) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (inbox, outbox) = (Vec::new(), Vec::new());
        Ok(Self { stream, inbox, outbox, due: None, waiting: None, last_read: now, asked: false })
    }

    /// The connection, for a conversation that goes on elsewhere.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What to wait for on this connection: nothing is read while an answer is owed.
    pub(crate) fn want(&self) -> Readiness {
        match (self.outbox.is_empty(), self.waiting) {
            (false, _) => Readiness::Write,
            (true, Some(_)) => Readiness::Nothing,
            (true, None) => Readiness::Read,
        }
    }

    /// When this peer needs a turn at the latest.
    pub(crate) fn due(&self) -> Option<Duration> {
        let more = self.has_more().then_some(Duration::ZERO);
        more.or(self.waiting.map(|waiting| waiting.due)).or(self.due)
    }

    /// Whether the peer has used up its time.
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        self.waiting.is_none() && self.due.is_some_and(|due| now >= due)
    }

    /// What it costs to close this peer for another.
    pub(super) fn cost(&self, now: Duration) -> Cost {
        let state = if self.waiting.is_some() {
            CrowdState::Waiting
        } else if !self.inbox.is_empty() || !self.outbox.is_empty() {
            CrowdState::Stuck
        } else {
            CrowdState::Idle
        };
        Cost::of(state, self.last_read, now)
    }

    /// Whether it has sent a whole request before.
    pub(crate) fn has_asked(&self) -> bool {
        self.asked
    }

    /// Whether a whole request of its own was read and could be answered now.
    pub(crate) fn has_more(&self) -> bool {
        let header = self.inbox.first_chunk::<HEADER>().filter(|_| !self.is_busy());
        // A malformed header is reported by `next`.
        header.is_some_and(|header| {
            wire::body_length(*header).is_ok_and(|length| self.inbox.len() - HEADER >= length)
        })
    }

    /// Whether the next request has to wait for an answer that is still owed.
    pub(crate) fn is_busy(&self) -> bool {
        !self.outbox.is_empty() || self.waiting.is_some()
    }

    pub(crate) fn waiting(&self) -> Option<Waiting> {
        self.waiting
    }

    /// Notes that an answer is owed until `waiting` is over.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.waiting = Some(waiting);
    }

    /// Reads once what is there.
    pub(crate) fn fill(&mut self, now: Duration) -> Result<(), Gone> {
        let mut chunk = [0u8; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Gone),
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                self.last_read = now;
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(_) => Err(Gone),
        }
    }

    /// Takes the first request out of what was read.
    pub(crate) fn next(&mut self, now: Duration) -> Result<PeerMessage, Gone> {
        let Some(header) = self.inbox.first_chunk::<HEADER>() else { return self.incomplete(now) };
        let length = wire::body_length(*header).map_err(|_| Gone)?;
        if length > LONGEST_REQUEST {
            return Err(Gone);
        }
        let Some(body) = self.inbox.get(HEADER..HEADER + length) else { return self.incomplete(now) };
        let message = match serde_json::from_slice(body) {
            Ok(request) => PeerMessage::Request(request),
            // Valid JSON that is no request: a later build asks for something that this one cannot do.
            Err(error) if error.is_data() => PeerMessage::Unknown(error.to_string()),
            Err(_) => return Err(Gone),
        };
        self.inbox.drain(..HEADER + length);
        if self.inbox.is_empty() {
            self.inbox = Vec::new();
        }
        self.due = None;
        self.asked = true;
        Ok(message)
    }

    fn incomplete(&mut self, now: Duration) -> Result<PeerMessage, Gone> {
        match self.inbox.first() {
            None => {}
            // A first byte that is no wire version shows garbage, before its length is believed.
            Some(&version) if version != wire::WIRE_VERSION => return Err(Gone),
            Some(_) => self.due = self.due.or(Some(now.saturating_add(FRAME_LIMIT))),
        }
        Ok(PeerMessage::Nothing)
    }

    /// Sends an answer, which ends a WAIT; bytes that the socket does not take at once are kept.
    pub(crate) fn answer(&mut self, answer: &Answer, now: Duration) -> Result<(), Gone> {
        self.waiting = None;
        self.outbox.extend(wire::encode(answer).map_err(|_| Gone)?);
        self.due = Some(now.saturating_add(FRAME_LIMIT));
        self.flush()
    }

    /// Writes as many of the kept bytes as the socket takes now.
    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(0) => return Err(Gone),
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Gone),
            }
            if self.outbox.is_empty() {
                self.outbox = Vec::new();
                self.due = None;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    fn peer() -> (UnixStream, Peer) {
        let (theirs, ours) = UnixStream::pair().expect("a pair");
        (theirs, Peer::new(ours, NOW).expect("takes it"))
    }

    fn hears(peer: &mut Peer) -> Result<PeerMessage, Gone> {
        peer.fill(NOW).and_then(|()| peer.next(NOW))
    }

    #[test]
    fn a_request_in_pieces_is_heard_when_it_is_whole_and_has_a_time_limit_until_then() {
        let (mut theirs, mut peer) = peer();
        let frame = wire::encode(&ControlRequest::Hello { look: false }).expect("encodes");
        let (first, rest) = frame.split_at(7);
        theirs.write_all(first).expect("room");
        assert!(matches!(hears(&mut peer), Ok(PeerMessage::Nothing)));
        assert!(peer.is_overdue(NOW + FRAME_LIMIT) && !peer.is_overdue(NOW));
        theirs.write_all(rest).expect("room");
        assert!(matches!(hears(&mut peer), Ok(PeerMessage::Request(ControlRequest::Hello { .. }))));
        assert_eq!(peer.due(), None);
    }

    #[test]
    fn two_requests_in_one_write_are_two_requests() {
        let (mut theirs, mut peer) = peer();
        let frame = wire::encode(&ControlRequest::Hello { look: false }).expect("encodes");
        theirs.write_all(&[frame.clone(), frame].concat()).expect("room");
        assert!(matches!(hears(&mut peer), Ok(PeerMessage::Request(ControlRequest::Hello { .. }))));
        assert!(matches!(peer.next(NOW), Ok(PeerMessage::Request(ControlRequest::Hello { .. }))));
        assert!(matches!(peer.next(NOW), Ok(PeerMessage::Nothing)));
    }

    #[test]
    fn garbage_and_giants_are_closed_and_unknown_verbs_are_not() {
        for bytes in
            [&b"G"[..], b"GET / HTTP/1.1", &[1, 0, 2, 0, 0], &[1, 255, 0, 0, 0], &[1, 0, 0, 0, 2, b'{', b'x']]
        {
            let (mut theirs, mut peer) = peer();
            theirs.write_all(bytes).expect("room");
            assert!(hears(&mut peer).is_err(), "{bytes:?}");
        }
        let (mut theirs, mut peer) = peer();
        wire::write(&mut theirs, &serde_json::json!({"op": "prepare"})).expect("room");
        assert!(matches!(hears(&mut peer), Ok(PeerMessage::Unknown(_))));
    }

    #[test]
    fn a_peer_that_does_not_read_its_answers_is_bounded() {
        let (_theirs, mut peer) = peer();
        let answer = Answer::refused("x".repeat(100_000));
        while !peer.is_busy() {
            peer.answer(&answer, NOW).expect("kept");
        }
        assert_eq!(peer.want(), Readiness::Write);
        assert!(peer.is_overdue(NOW + FRAME_LIMIT));
    }

    #[test]
    fn a_closed_peer_is_gone() {
        let (theirs, mut peer) = peer();
        drop(theirs);
        assert!(hears(&mut peer).is_err());
    }
}

//! Frames of the control wire with descriptors, over a connection that both sides keep for one takeover.
//!
//! - A frame and the first of its descriptors travel in one message. The kernel takes a limited number at a time, so
//!   the others follow in lots, each with a frame of its own.
//! - Reads and writes block: each side has a thread of its own for them.
//! - A wait for a frame is a wait for the end of the peer's process as well. A frame that the peer does not take is
//!   given up in time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::causes;
use tenure_core::protocol::wire::{self, Answer, DESCRIPTORS_A_FRAME, HEADER, MOST_DESCRIPTORS, WireError};
use tenure_sys::discard::best_effort;
use tenure_sys::identity::Identity;
use tenure_sys::poll;
use tenure_sys::process::{self, OpenError, ProcessHandle, Verified};
use tenure_sys::socket;

/// Bytes read at a time. Frames of a takeover are a few hundred bytes.
const CHUNK: usize = 64 * 1024;

/// How long the other side may take to make room for a frame. Frames are small, and each side has a thread that reads
/// them: a peer that does not is stopped or hostile, and is treated as one that is gone.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// One side's end of the connection.
#[derive(Debug)]
pub(crate) struct DescriptorLink {
    stream: UnixStream,
    inbox: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// Nothing more can be sent or received on a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side has closed it, or has ended.
    #[error("go on with the takeover: the other side is gone")]
    Ended,
    /// The connection failed.
    #[error("use the connection of the takeover")]
    Io(#[source] io::Error),
    /// What was sent is no frame, or none that belongs here.
    #[error("understand the other side of the takeover")]
    Wire(#[source] WireError),
    /// More descriptors than the wire allows, or fewer than were announced.
    #[error("take over {expected} descriptors: {found} came")]
    Descriptors {
        /// How many were announced.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl DescriptorLink {
    /// Takes a connection over; it is used blocking from here on.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(Some(SEND_LIMIT))?;
        Ok(Self { stream, inbox: Vec::new(), fds: Vec::new() })
    }

    /// The same connection once more, for a thread that only reads.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, inbox: Vec::new(), fds: Vec::new() })
    }

    /// The connection, for asking the kernel about the peer.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends a frame with at most [`DESCRIPTORS_A_FRAME`] descriptors.
    pub(crate) fn send(&self, frame: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<(), LinkError> {
        let bytes = wire::encode(frame).map_err(LinkError::Wire)?;
        socket::send(self.stream.as_fd(), &bytes, fds).map_err(ended)
    }

    /// Sends an answer with any number of descriptors.
    pub(crate) fn send_all(&self, answer: &Answer, fds: &[BorrowedFd<'_>]) -> Result<(), LinkError> {
        let mut lots = fds.chunks(DESCRIPTORS_A_FRAME);
        self.send(answer, lots.next().unwrap_or_default())?;
        for lot in lots {
            self.send(&Answer::Descriptors { count: lot.len() }, lot)?;
        }
        Ok(())
    }

    /// Reads once what has arrived; blocks where nothing has.
    pub(crate) fn fill(&mut self) -> Result<(), LinkError> {
        let received = socket::recv(self.stream.as_fd(), CHUNK).map_err(ended)?;
        if received.bytes.is_empty() {
            return Err(LinkError::Ended);
        }
        self.inbox.extend(received.bytes);
        self.fds.extend(received.fds);
        if self.fds.len() > MOST_DESCRIPTORS {
            return Err(LinkError::Descriptors { expected: MOST_DESCRIPTORS, found: self.fds.len() });
        }
        Ok(())
    }

    /// The next frame, where all of it has been read.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LinkError> {
        let Some(length) = self.frame_length()?.filter(|length| self.inbox.len() >= *length) else {
            return Ok(None);
        };
        let frame = wire::read(&mut self.inbox.get(..length).unwrap_or_default()).map_err(LinkError::Wire);
        self.inbox.drain(..length);
        frame.map(Some)
    }

    /// The descriptors that have come so far.
    pub(crate) fn take_fds(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.fds)
    }

    /// How many descriptors have come so far.
    pub(crate) fn count_fds(&self) -> usize {
        self.fds.len()
    }

    fn frame_length(&self) -> Result<Option<usize>, LinkError> {
        let Some(header) = self.inbox.first_chunk::<HEADER>() else { return Ok(None) };
        wire::body_length(*header).map(|body| Some(HEADER + body)).map_err(LinkError::Wire)
    }
}

impl AsFd for DescriptorLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Waits until the incumbent says that it leaves, or has ended. An older build only ends.
pub(crate) fn await_leave(incumbent: &ProcessHandle, mut link: DescriptorLink, comes_back: impl Fn()) {
    while !incumbent.has_ended() {
        match link.next::<Answer>() {
            Ok(Some(Answer::Stopping { .. })) => return,
            Ok(Some(Answer::Refused { goes_on: true, .. })) => comes_back(),
            Ok(Some(_)) => {}
            Ok(None) => {
                let fds = [link.as_fd(), incumbent.as_fd()];
                let [readable, _] = poll::wait_readable(fds, None).unwrap_or_default();
                if readable && link.fill().is_err() {
                    best_effort(incumbent.wait_ended(None));
                }
            }
            Err(_) => best_effort(incumbent.wait_ended(None)),
        }
    }
}

/// The process at the other end, as the kernel names it; where the kernel is too old for that, the process of the
/// identity that the peer has `claimed`, once verified. An error is a lowercase fragment.
pub(crate) fn peer(stream: &UnixStream, claimed: &Identity) -> Result<ProcessHandle, String> {
    match socket::peer_process(stream) {
        Ok(handle) => Ok(handle),
        Err(OpenError::Unsupported) => match process::verify(claimed) {
            Verified::Same(handle) => Ok(handle),
            Verified::Gone(gone) => Err(format!("pid {} cannot be verified: {gone}", claimed.pid)),
            Verified::Unverifiable(doubt) => Err(format!("pid {} cannot be verified: {doubt}", claimed.pid)),
        },
        Err(error) => Err(format!("failed to {}", causes::in_one_line(&error))),
    }
}

fn ended(source: io::Error) -> LinkError {
    let ends = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::NotConnected];
    if ends.contains(&source.kind()) { LinkError::Ended } else { LinkError::Io(source) }
}

#[cfg(test)]
mod tests {
    use tenure_core::protocol::wire::{Abort, ControlRequest, Prepared};

    use super::*;

    fn links() -> (DescriptorLink, DescriptorLink) {
        let (left, right) = UnixStream::pair().expect("a pair");
        (DescriptorLink::new(left).expect("a link"), DescriptorLink::new(right).expect("a link"))
    }

    fn read<T: DeserializeOwned>(link: &mut DescriptorLink) -> Result<T, LinkError> {
        loop {
            if let Some(frame) = link.next()? {
                return Ok(frame);
            }
            link.fill()?;
        }
    }

    #[test]
    fn a_thousand_descriptors_arrive_in_lots() {
        let (incumbent, mut successor) = links();
        let file = tempfile::tempfile().expect("a file");
        let fds: Vec<BorrowedFd<'_>> = (0..1000).map(|_| file.as_fd()).collect();
        let prepared = Answer::Prepared(Prepared { listeners: Vec::new(), within_ms: 1 });
        std::thread::scope(|scope| {
            scope.spawn(|| incumbent.send_all(&prepared, &fds).expect("sends"));
            assert_eq!(read::<Answer>(&mut successor).expect("reads"), prepared);
            while successor.count_fds() < 1000 {
                assert_eq!(
                    read::<Answer>(&mut successor).expect("reads"),
                    Answer::Descriptors { count: DESCRIPTORS_A_FRAME }
                );
            }
        });
        assert_eq!(successor.take_fds().len(), 1000);
    }

    #[test]
    fn what_was_said_before_an_end_is_heard() {
        let (mut incumbent, successor) = links();
        let abort =
            ControlRequest::Abort(Abort { why: "x".into(), ends: true, back: false, blameless: false });
        successor.send(&abort, &[]).expect("sends");
        drop(successor);
        assert_eq!(read::<ControlRequest>(&mut incumbent).expect("reads"), abort);
        assert!(matches!(read::<ControlRequest>(&mut incumbent), Err(LinkError::Ended)));
    }
}

//! One direction of a relay: passes bytes and the end of the stream on, with back-pressure.
//!
//! Bytes are read into the thread's one buffer and written at once. What the receiver does not take is kept in a buffer
//! of the flow, and nothing more is read until that is empty: TCP's window then slows the sender down. So a flow holds
//! at most one buffer, and mostly none.
//!
//! Sockets are watched edge-triggered, so each turn goes on until the kernel has nothing more to give or to take, or
//! until the turn is over ([`Turn::more`]).

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use tenure_sys::discard::best_effort;

use super::stream::Stream;

/// Reads in one turn. A fast sender gets a megabyte before other relays have a turn.
const READS: usize = 16;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Read and not yet taken.
    held: Vec<u8>,
    /// How much of it the receiver has taken meanwhile.
    taken: usize,
    /// The kernel has reported the sender's end; the next reads lead to it.
    ending: bool,
    /// The sender's end was read.
    ended: bool,
    /// It was passed on.
    over: bool,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Bytes came from the sender.
    pub(super) moved: bool,
    /// It was ended by its length: there may be more at once.
    pub(super) more: bool,
}

impl Flow {
    /// Whether something waits for the other side to take it.
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the end was passed on.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Notes that the sender's end was reported, so that a short read does not end a turn.
    pub(super) fn end_is_near(&mut self) {
        self.ending = true;
    }

    /// Moves what can be moved now.
    pub(super) fn pump(&mut self, from: &mut Stream, to: &mut Stream, buffer: &mut [u8]) -> io::Result<Turn> {
        let mut moved = false;
        for _ in 0..READS {
            if !self.flush(to)? || self.over {
                return Ok(Turn { moved, more: false });
            }
            if self.ended {
                // The other direction notices a receiver that is gone.
                best_effort(to.shutdown(Shutdown::Write));
                self.over = true;
                return Ok(Turn { moved, more: false });
            }
            let count = match from.read(buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Turn { moved, more: false });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if count == 0 {
                self.ended = true;
                continue;
            }
            moved = true;
            let bytes = buffer.get(..count).unwrap_or_default();
            let taken = write(to, bytes)?;
            self.held.extend_from_slice(bytes.get(taken..).unwrap_or_default());
            if count < buffer.len() && from.reads_all() && !self.ending && !self.is_held() {
                // The kernel had no more; the next bytes raise an event.
                return Ok(Turn { moved, more: false });
            }
        }
        Ok(Turn { moved, more: true })
    }

    /// Whether the other side has taken all that was held.
    fn flush(&mut self, to: &mut Stream) -> io::Result<bool> {
        if self.held.is_empty() {
            return Ok(true);
        }
        self.taken += write(to, self.held.get(self.taken..).unwrap_or_default())?;
        if self.taken < self.held.len() {
            return Ok(false);
        }
        // Freed: thousands of relays that were slow once must not keep thousands of buffers.
        self.held = Vec::new();
        self.taken = 0;
        Ok(true)
    }
}

/// Writes until all is taken or the kernel would block.
fn write(to: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

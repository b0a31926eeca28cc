//! New connections: taking them, closing others for them, and going on without descriptors.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tenure_core::deadline;
use tenure_sys::socket;

use super::Control;
use super::crowd::{self, Cost};
use super::peer::Peer;

/// Most peers at a time: a thousand launchers that wait for one boot, twice over. Each costs a descriptor and some
/// hundred bytes. Beyond it another peer is closed for each newcomer: a worker that leaves newcomers in the queue looks
/// as silent as one that is wedged, and would be ended as such.
pub(super) const MOST_PEERS: usize = 2048;

/// Connections taken in one turn, so that those who are connected are not kept waiting by a storm of new ones: some
/// milliseconds of work, and 16 turns for a queue that is full.
const BATCH: usize = 256;

/// Descriptors kept in reserve, so that the worker can accept and answer callers when the app has used up all others.
const RESERVE: usize = 8;

/// Pause after which connections are taken again when descriptors had run out; the kernel does not tell when one is
/// free.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// `ENFILE` and `EMFILE` of asm-generic/errno-base.h, the same on every architecture of Linux.
const OUT_OF_DESCRIPTORS: [i32; 2] = [23, 24];

impl Control {
    /// Takes new connections and serves them; whether more may be waiting.
    pub(super) fn accept(&mut self) -> bool {
        let mut streams = Vec::new();
        while streams.len() < BATCH {
            // No reference to the listener is kept while a peer is served: its STOP closes the listener.
            let Some(accepted) = self.ownership.control_listener.listener().map(|listener| listener.accept())
            else {
                break;
            };
            match accepted {
                Ok((stream, _)) => streams.push(stream),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Connections that were accepted before the failure are served first.
                Err(_) if !streams.is_empty() => break,
                Err(error) => {
                    let spare = error.raw_os_error().is_some_and(|code| OUT_OF_DESCRIPTORS.contains(&code));
                    if !spare || (self.reserve.pop().is_none() && !self.close_for_newcomers(1)) {
                        self.paused_until = Some(deadline::monotonic().saturating_add(ACCEPT_PAUSE));
                        break;
                    }
                }
            }
        }
        let places = MOST_PEERS.saturating_sub(self.peers.len());
        self.close_for_newcomers(streams.len().saturating_sub(places));
        let is_full = streams.len() == BATCH;
        for stream in streams {
            self.admit(stream);
        }
        is_full
    }

    /// Serves a new connection at once: most have sent their request already. Connections of other users are closed
    /// unread.
    fn admit(&mut self, stream: UnixStream) {
        let now = deadline::monotonic();
        let ours = socket::peer_cred(&stream).is_ok_and(|peer| peer.uid == self.uid);
        if !ours {
            return;
        }
        if let Ok(mut peer) = Peer::new(stream, now)
            && self.attend(&mut peer, now).is_ok()
        {
            self.peers.push(peer);
        }
    }

    /// Closes as many peers for newcomers, those first whom it costs least; whether there were any.
    fn close_for_newcomers(&mut self, count: usize) -> bool {
        let now = deadline::monotonic();
        let costs: Vec<Cost> = self.peers.iter().map(|peer| peer.cost(now)).collect();
        let mut closed = crowd::closed_for_newcomers(&costs, count).into_iter();
        let any = closed.len() > 0;
        let mut next = closed.next();
        let mut index = 0;
        self.peers.retain(|_| {
            let closes = next == Some(index);
            if closes {
                next = closed.next();
            }
            index += 1;
            !closes
        });
        any
    }

    /// Fills the reserve of descriptors again, as far as the app leaves any.
    pub(super) fn refill(&mut self) {
        while self.reserve.len() < RESERVE
            && let Ok(spare) = self.status.changed().as_fd().try_clone_to_owned()
        {
            self.reserve.push(spare);
        }
    }
}

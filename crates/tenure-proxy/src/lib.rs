//! Relays clients to a program that does not know of the relay, so that the program can be replaced while no client is
//! refused.
//!
//! The listeners stay here, whatever becomes of the program: while it cannot serve they are paused, and clients wait in
//! the kernel's queue. One thread relays for all listeners; nothing wakes it while it is idle. It knows no protocol:
//! bytes and ends pass through as they come, so a request that a program has begun can be waited for ([`Proxy::drain`])
//! but not moved to another program. The caller decides when the program is ready. Each connection to the program must
//! lead to one of the program's users (`peer_check`), or nothing is relayed.
//!
//! A drain goes by bytes and time, since TCP shows no request: what the program has begun to answer is passed on until
//! the program has been silent for long enough. What a client asks after an answer is not read: the client finds the
//! end of its connection, never a reset, and asks again (RFC 9112, 9.3.1). So a client that never pauses cannot hold up
//! a drain. The rule and its limits are in `talk`.
//!
//! Listeners and programs can be on TCP or at a path, in any combination. A path shows less than TCP: there is no reset,
//! so that a broken stream looks like one that ended; descriptors that a client passes do not reach the program; and the
//! program sees this process as its peer.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use mio::{Poll, Waker};
use tenure_core::deadline::{Deadline, monotonic};
use tenure_core::spec::Address;
use tenure_sys::discard::best_effort;
use tenure_sys::thread;

mod engine;
mod flow;
mod last_use;
mod peer_check;
mod relay;
mod route;
mod stream;
mod table;
mod talk;

use engine::{Engine, EngineCommand, WAKER};
use last_use::LastUse;
pub use stream::ProxyListener;

/// The listeners of a worker and the thread that relays their clients. Dropping it ends the thread and closes the
/// listeners.
#[derive(Debug)]
pub struct Proxy {
    orders: Sender<EngineCommand>,
    waker: Arc<Waker>,
    listeners: Vec<(String, ProxyListener)>,
    open: AtomicBool,
    last_use: Arc<LastUse>,
}

/// What was left after a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainRemainder {
    /// Clients that are still connected.
    pub open: usize,
}

impl Proxy {
    /// Starts the thread. No client is accepted until [`Proxy::open`].
    pub fn start<L: Into<ProxyListener>>(listeners: Vec<(String, L)>) -> io::Result<Self> {
        let listeners: Vec<(String, ProxyListener)> =
            listeners.into_iter().map(|(name, listener)| (name, listener.into())).collect();
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (orders, heard) = mpsc::channel();
        let theirs = duplicated(&listeners)?;
        let last_use = Arc::default();
        let engine = Engine::new(poll, theirs, heard, Arc::clone(&last_use))?;
        // A waker that is closed before the thread has seen its event is never seen, so the thread keeps one too.
        let heard_by = Arc::clone(&waker);
        thread::start("tenure-proxy", move || {
            engine.run();
            drop(heard_by);
        })?;
        Ok(Self { orders, waker, listeners, open: AtomicBool::new(false), last_use })
    }

    /// Accepts clients from now on, those who wait already first, and relays the clients of each listener to the
    /// address named with it.
    ///
    /// Where nobody listens on such an address, or a user who is neither the caller nor accepted by `is_ours`, clients
    /// wait again and `refused` is called with the listener's name. Both functions are called on the thread that
    /// relays. Once the program listens after all, call this again.
    pub fn open<A: Into<Address>>(
        &self,
        upstreams: Vec<(String, A)>,
        is_ours: impl Fn(u32) -> bool + Send + 'static,
        refused: impl Fn(&str) + Send + 'static,
    ) {
        let upstreams = upstreams.into_iter().map(|(name, address)| (name, address.into())).collect();
        self.open.store(true, Ordering::Release);
        self.tell(EngineCommand::Open(upstreams, Box::new(refused), Box::new(is_ours)));
    }

    /// Stops accepting, and returns once that is so: further clients wait in the kernel's queue.
    pub fn pause(&self) {
        self.open.store(false, Ordering::Release);
        let (done, paused) = mpsc::channel();
        self.tell(EngineCommand::Pause(done));
        // The thread lives as long as this handle, so it answers.
        let _answered = paused.recv();
    }

    /// Waits until every relay has ended, or until the deadline, and ends quiet relays meanwhile. Until
    /// [`Proxy::open`], a relay whose last request has an answer passes no further request on.
    ///
    /// Call it while paused. [`Proxy::open`] ends it early; what was kept back is then passed on.
    pub fn drain(&self, deadline: &Deadline) -> DrainRemainder {
        let (answer, drained) = mpsc::channel();
        self.tell(EngineCommand::Drain(monotonic().saturating_add(deadline.remaining()), answer));
        DrainRemainder { open: drained.recv().unwrap_or_default() }
    }

    /// Ends all relays with a reset to both sides; returns how many there were.
    pub fn cut(&self) -> usize {
        let (answer, cut) = mpsc::channel();
        self.tell(EngineCommand::Cut(answer));
        cut.recv().unwrap_or_default()
    }

    /// Whether [`Proxy::open`] was called last, and not [`Proxy::pause`].
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// When the last client came or went, by the monotonic clock; `None` where there was none.
    #[must_use]
    pub fn last_use(&self) -> Option<Duration> {
        self.last_use.time()
    }

    /// Duplicates of the listeners, to be handed to another process. They are non-blocking in every process that has
    /// them.
    pub fn listeners(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let listeners = duplicated(&self.listeners)?;
        Ok(listeners.into_iter().map(|(name, listener)| (name, listener.into())).collect())
    }

    fn tell(&self, order: EngineCommand) {
        // This fails only where the thread is gone, and it lives as long as this handle.
        best_effort(self.orders.send(order));
        best_effort(self.waker.wake());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Closing the channel ends the thread.
        let (last, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.orders, last));
        best_effort(self.waker.wake());
    }
}

fn duplicated(listeners: &[(String, ProxyListener)]) -> io::Result<Vec<(String, ProxyListener)>> {
    listeners.iter().map(|(name, listener)| Ok((name.clone(), listener.duplicate()?))).collect()
}

#[cfg(test)]
mod tests;

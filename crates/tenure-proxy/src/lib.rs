//! Relaying clients to a program that knows nothing of it, so that it can be replaced while nobody is refused.
//!
//! The listeners stay here, whatever becomes of the program: while it cannot serve they are paused, and clients wait in the
//! kernel's queue. One thread relays for all of them; an idle one is woken by nothing. It knows no protocol: bytes and ends
//! pass through as they come, so a request that a program has begun can be waited for ([`Proxy::drain`]) but not moved to
//! another one. When the program is ready is not decided here. Each connection
//! that is made to it must lead to one of its users (`peer_check`), or nothing is relayed.
//!
//! A program is drained by bytes and time, since TCP shows no request: what the program has begun to answer is passed on
//! until it has been silent for long enough, and what a client asks after an answer stays with the client, which finds the
//! end of its connection, never a reset, and asks again (RFC 9112, 9.3.1). So a client that never pauses cannot hold a drain
//! up. The rule, and what it cannot know, are in `talk`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};

use mio::{Poll, Waker};
use tenure_core::deadline::{Deadline, monotonic};
use tenure_sys::discard::best_effort;
use tenure_sys::thread;

mod engine;
mod flow;
mod peer_check;
mod relay;
mod route;
mod table;
mod talk;

use engine::{Engine, EngineCommand, WAKER};

/// The listeners of a worker and the thread that relays what comes in. Ends with the last handle; listeners then close.
#[derive(Debug)]
pub struct Proxy {
    orders: Sender<EngineCommand>,
    waker: Arc<Waker>,
    listeners: Vec<(String, TcpListener)>,
    open: AtomicBool,
}

/// What a drain has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainRemainder {
    /// Clients that are still connected.
    pub open: usize,
}

impl Proxy {
    /// Starts the thread. Nobody is taken in until [`Proxy::open`].
    pub fn start(listeners: Vec<(String, TcpListener)>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (orders, heard) = mpsc::channel();
        let theirs = duplicated(&listeners)?;
        let engine = Engine::new(poll, theirs, heard)?;
        // A waker that is closed before the thread has heard it is never heard: the thread keeps it, too.
        let heard_by = Arc::clone(&waker);
        thread::start("tenure-proxy", move || {
            engine.run();
            drop(heard_by);
        })?;
        Ok(Self { orders, waker, listeners, open: AtomicBool::new(false) })
    }

    /// Takes clients in from now on, and relays those of each listener to the address that is named with it; those who
    /// wait already are first.
    ///
    /// Where nobody listens on such an address, or a user who is neither ours nor one of those that `is_ours` names, its
    /// clients are made to wait again and `refused` is called with the listener's name. Both are called on the thread that
    /// relays. Whoever finds out that the program listens after all opens again.
    pub fn open(
        &self,
        upstreams: Vec<(String, SocketAddr)>,
        is_ours: impl Fn(u32) -> bool + Send + 'static,
        refused: impl Fn(&str) + Send + 'static,
    ) {
        self.open.store(true, Ordering::Release);
        self.tell(EngineCommand::Open(upstreams, Box::new(refused), Box::new(is_ours)));
    }

    /// Takes nobody in any more, and returns once that is so: who comes now waits in the kernel's queue.
    pub fn pause(&self) {
        self.open.store(false, Ordering::Release);
        let (done, paused) = mpsc::channel();
        self.tell(EngineCommand::Pause(done));
        // The thread lives as long as this handle, so it answers.
        let _answered = paused.recv();
    }

    /// Waits until every relay has ended, or until the deadline; those that are quiet are ended meanwhile. From now on, and
    /// until [`Proxy::open`], no request is passed on by a relay whose last one has an answer.
    ///
    /// To be called while paused. [`Proxy::open`] ends it early, and what was kept back is passed on then.
    pub fn drain(&self, deadline: &Deadline) -> DrainRemainder {
        let (answer, drained) = mpsc::channel();
        self.tell(EngineCommand::Drain(monotonic().saturating_add(deadline.remaining()), answer));
        DrainRemainder { open: drained.recv().unwrap_or_default() }
    }

    /// Ends the relays that are left, with a reset to both sides; returns how many there were.
    pub fn cut(&self) -> usize {
        let (answer, cut) = mpsc::channel();
        self.tell(EngineCommand::Cut(answer));
        cut.recv().unwrap_or_default()
    }

    /// Whether it was told to take clients in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Duplicates of the listeners, to be handed to another process. They do not block, for nobody who has them.
    pub fn listeners(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let listeners = duplicated(&self.listeners)?;
        Ok(listeners.into_iter().map(|(name, listener)| (name, listener.into())).collect())
    }

    fn tell(&self, order: EngineCommand) {
        // Only a thread that is gone cannot be told, and it goes with this handle.
        best_effort(self.orders.send(order));
        best_effort(self.waker.wake());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The end of the orders is what the thread is to find.
        let (last, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.orders, last));
        best_effort(self.waker.wake());
    }
}

fn duplicated(listeners: &[(String, TcpListener)]) -> io::Result<Vec<(String, TcpListener)>> {
    listeners.iter().map(|(name, listener)| Ok((name.clone(), listener.try_clone()?))).collect()
}

#[cfg(test)]
mod tests;

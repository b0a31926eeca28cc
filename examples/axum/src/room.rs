//! Accepting connections, and making room in a takeover.
//!
//! A server that makes room stops accepting at once and finishes the requests that it has begun; new connections wait
//! in the queue of the listener, which the worker kit keeps open. If the successor fails, the server accepts again.
//!
//! One trap: axum's graceful shutdown closes every connection on which no request was read yet, and loses a request
//! that is under way. So the shutdown begins only once each accepted connection has been read from.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tenure_worker::{Back, Deadline, TakeoverHooks};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::app::{Shared, routes};

/// How long the drain waits for a client that has connected and sent nothing.
const SILENT: Duration = Duration::from_secs(1);

/// The server, and its rounds of accepting: one, and another after each takeover that failed.
pub(crate) struct Server {
    runtime: Handle,
    shared: Arc<Shared>,
    round: Mutex<Option<Round>>,
    rounds: Mutex<Vec<JoinHandle<io::Result<()>>>>,
    /// Connections that were accepted and not read from.
    unread: watch::Sender<usize>,
    /// True from the drain on.
    drains: watch::Sender<bool>,
}

/// What ends a round of accepting, and what tells that it has ended.
struct Round {
    end: oneshot::Sender<()>,
    closed: oneshot::Receiver<()>,
}

impl Server {
    pub(crate) fn new(runtime: Handle, shared: Arc<Shared>) -> Self {
        let (round, rounds) = (Mutex::default(), Mutex::default());
        Self {
            runtime,
            shared,
            round,
            rounds,
            unread: watch::Sender::new(0),
            drains: watch::Sender::new(false),
        }
    }

    /// Accepts on `listener` until [`Server::stop_accepting`].
    pub(crate) fn accept(&self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let (end, ends) = oneshot::channel();
        let (close, closed) = oneshot::channel();
        let listener = {
            let _context = self.runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let address = listener.local_addr()?;
        let door =
            Door { listener: Some(listener), address, ends, close: Some(close), unread: self.unread.clone() };
        let mut drains = self.drains.subscribe();
        let serve = axum::serve(door, routes(Arc::clone(&self.shared)))
            .with_graceful_shutdown(async move { drop(drains.wait_for(|drains| *drains).await) });
        let served = self.runtime.spawn(async move { serve.await });
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).push(served);
        *self.round.lock().unwrap_or_else(PoisonError::into_inner) = Some(Round { end, closed });
        Ok(())
    }

    /// Stops accepting; begun requests go on. The receiver tells when no connection can be accepted any more.
    fn stop_accepting(&self) -> Option<oneshot::Receiver<()>> {
        let round = self.round.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        drop(round.end);
        Some(round.closed)
    }

    /// Stops accepting, and waits for requests that were begun.
    pub(crate) async fn drain(&self) {
        if let Some(closed) = self.stop_accepting() {
            drop(closed.await);
        }
        let mut unread = self.unread.subscribe();
        drop(tokio::time::timeout(SILENT, unread.wait_for(|unread| *unread == 0)).await);
        self.drains.send_replace(true);
        let rounds = std::mem::take(&mut *self.rounds.lock().unwrap_or_else(PoisonError::into_inner));
        for round in rounds {
            // A round that failed has nothing left to finish.
            drop(round.await);
        }
    }
}

/// A listener that can be closed, and tells when it is.
struct Door {
    listener: Option<tokio::net::TcpListener>,
    address: std::net::SocketAddr,
    ends: oneshot::Receiver<()>,
    close: Option<oneshot::Sender<()>>,
    unread: watch::Sender<usize>,
}

impl Listener for Door {
    type Io = Connection;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Connection, Self::Addr) {
        if let Some(listener) = &mut self.listener {
            tokio::select! {
                (stream, peer) = Listener::accept(listener) => {
                    return (Connection::new(stream, self.unread.clone()), peer);
                }
                _ = &mut self.ends => {}
            }
        }
        self.listener = None;
        if let Some(close) = self.close.take() {
            // The receiver may be gone.
            close.send(()).unwrap_or_default();
        }
        // The round goes on for accepted connections until the drain.
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// A connection that counts as unread until something was read from it, or it is gone.
struct Connection {
    stream: TcpStream,
    unread: Option<watch::Sender<usize>>,
}

impl Connection {
    fn new(stream: TcpStream, unread: watch::Sender<usize>) -> Self {
        unread.send_modify(|count| *count += 1);
        Self { stream, unread: Some(unread) }
    }

    fn is_read(&mut self) {
        if let Some(unread) = self.unread.take() {
            unread.send_modify(|count| *count -= 1);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.is_read();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.is_read();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The hooks of the takeover, called on a thread of the worker kit.
pub(crate) struct Room {
    server: Arc<Server>,
}

impl Room {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }
}

impl TakeoverHooks for Room {
    fn quiesce(&mut self, _until: Deadline) -> Result<Vec<u8>, String> {
        if let Some(closed) = self.server.stop_accepting() {
            // If the runtime is gone, the listener is closed as well.
            drop(closed.blocking_recv());
        }
        Ok(self.server.shared.pack())
    }

    fn resume(&mut self, back: Back) -> Result<(), String> {
        self.server.shared.put_back(&back.state);
        self.server.shared.activated_as(back.generation);
        let listener: Option<OwnedFd> =
            back.listeners.into_iter().find(|(name, _)| name == "http").map(|(_, fd)| fd);
        let listener = listener.ok_or("there is no listener named http")?;
        self.server.accept(TcpListener::from(listener)).map_err(|error| error.to_string())
    }
}
